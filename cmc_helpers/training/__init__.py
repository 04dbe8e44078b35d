"""Train a network on a corpus and keep the result as a run (paper, sections 2.3, 2.4.2 and 3).

Sequence to sequence with teacher forcing: in a window of T̂ + 1 frames every frame but the first is
a target, predicted from all before it in the window. T̂ is thus the paper's truncated
back-propagation through time: nothing further apart than T̂ frames can be learned.

Every batch is a function of (seed, epoch, batch number) alone, so a run that was killed and goes on
from its last checkpoint ends where an uninterrupted one ends. `windows` cuts the batches,
`distribution` makes the step, `checkpoints` keeps the place.

Notebook: 09.
"""

import platform
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields, replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cmc_helpers import networks, residuals, runs
from cmc_helpers.corpora import Corpus, CorpusError
from cmc_helpers.features import Normaliser, silent_frames
from cmc_helpers.files import locked
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.sampling import Sampling
from cmc_helpers.training import checkpoints
from cmc_helpers.training.distribution import Trainer, is_chief
from cmc_helpers.training.errors import TrainingError
from cmc_helpers.training.monitoring import Monitor
from cmc_helpers.training.windows import Windows, ahead

_PRIMER_SECONDS = 1.5
_PRIMER_STEPS = 64  # for plain vectors: four periods of bounce


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    steps: T̂, how many steps of the network a gradient reaches back. batch: windows a step.
    learning_rate: of Adam, after a linear warm-up, falling as a cosine to 2 %. input_noise:
    standard deviation of the Gaussian noise on the inputs, in normalised units. clip: largest norm
    of the whole gradient.
    weight_penalty: λ of λ/2 ‖θ‖² (paper, 6.1). batches_per_epoch: None sees every frame once on
    average, or takes 20 if those are more; of a large corpus give fewer, so that the held-out loss
    is known in minutes. patience: epochs without a better held-out loss before stopping; None never
    stops early. keep: the network that the run holds in the end, the "best" on held-out data or the
    "last", which over-fits (the paper's 4.2 does so on purpose).
    """

    epochs: int = 30
    batch: int = 32
    steps: int = 128
    learning_rate: float = 2e-3
    warmup: int = 60
    input_noise: float = 0.1
    clip: float = 1.0
    weight_penalty: float = 0.0
    batches_per_epoch: int | None = None
    patience: int | None = None
    keep: str = "best"
    seed: int = 0

    def __post_init__(self):
        for name in ("epochs", "batch", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("warmup", "input_noise", "weight_penalty", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.keep not in ("best", "last"):
            raise ValueError(f"keep is 'best' or 'last', not {self.keep!r}")
        for name, unit in (("patience", "epoch"), ("batches_per_epoch", "batch")):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1 {unit}, not {getattr(self, name)}")


def defaults(corpus: Corpus) -> tuple[NetworkConfig, TrainingConfig, Sampling]:
    """(NetworkConfig, TrainingConfig, Sampling) that suit a corpus.

    Recordings: the residual stack, and residuals for noise (without any, music dies; these come
    nearest to music in tools/benchmarks/ingredients.md). Plain vectors: the paper's stack, small,
    with a σ floor and input noise that keep it stable when it runs free, and the means fed back.
    """
    if corpus.config is None:
        network = networks.small(corpus.width)
        config = TrainingConfig(batch=16, steps=50, learning_rate=0.01, input_noise=0.05)
        return network, config, Sampling()
    return NetworkConfig(corpus.width), TrainingConfig(), Sampling("sample", noise="residuals")


def train(
    corpus: Corpus,
    folder: str | Path,
    network: NetworkConfig | None = None,
    config: TrainingConfig | None = None,
    sampling: Sampling | None = None,
    resume: bool = False,
    progress: Callable[..., object] | None = None,
    checkpoint_minutes: float = 5,
    tensorboard: str | Path | None = None,
    strategy: Any = None,
    **settings: Any,
) -> runs.Run | None:
    """Train on `corpus` and return the `runs.Run` kept in `folder`.

    network, config, sampling: None takes `defaults`. settings: single ones by their names in
    NetworkConfig and TrainingConfig, as in layers=3, epochs=20; the others stay. resume: go on from
    the folder's checkpoint with the settings stored there; only `epochs` counts, to train longer.
    progress(done, total, message) is called after every batch, with the losses and the speed as the
    message. checkpoint_minutes: how much work a kill may cost; a checkpoint is written so often,
    and after every epoch. tensorboard: a folder for curves that TensorBoard draws. The run holds
    the best network by held-out loss (by training loss where nothing is held out), or the last if
    `config.keep` says so. Raises TrainingError (settings that do not fit the data, a loss that is
    not finite) and RunError (the folder).

    strategy: of `distribution.join_workers`, to train together with other processes. All of them
    are called alike and see the same `folder`, but only the chief writes it and calls `progress`;
    for the others None is returned.
    """
    folder, chief = Path(folder), is_chief(strategy)
    if resume:
        if others := settings.keys() - {"epochs"}:
            raise TrainingError(f"{folder} goes on as it began: leave out {', '.join(others)}")
        epochs = settings.get("epochs", config and config.epochs)
        network, config, sampling = _stored_settings(folder, epochs, corpus)
    else:
        usual_network, usual, sample = defaults(corpus)
        network, config = _changed(settings, network or usual_network, config or usual)
        sampling = sampling or (sample if network.components else Sampling())
    config = _fit_steps(config, corpus, network.frames)
    if resume and (folder / runs.NORMALISER).exists():
        normaliser = runs.read_normaliser(folder, network.width)
    else:
        normaliser = fit_normaliser(corpus, network.frames)
    windows = Windows(corpus, normaliser, config, network.frames)
    with _held(folder) if chief else nullcontext():
        if chief and not resume:
            check_new(folder)
        trainer = Trainer(network, config, config.epochs * windows.batches, strategy)
        state = checkpoints.State(trainer.model.get_weights())
        if resume:
            state = checkpoints.read(folder, trainer.model, trainer.optimizer)
        if state.epoch > config.epochs:
            raise TrainingError(
                f"{folder} has {state.epoch} epochs already: give `epochs` above that"
            )
        trainer.agree(state.epoch * windows.batches + state.number)
        if chief:
            # The settings come first: whatever stops the training then, it can be resumed.
            runs.write_settings(folder, _describe(corpus, network, config, sampling, windows))
            runs.write_normaliser(folder, normaliser)
            runs.write_primer(folder, _primer(corpus))
        watchers = []
        if chief:
            monitor = Monitor(config, windows.batches, progress, tensorboard)
            watchers = [monitor, _Keeper(folder, trainer, 60 * checkpoint_minutes)]
        while state.epoch < config.epochs and not _patience_is_over(state.history, config.patience):
            _run_epoch(trainer, windows, state, watchers)
        if not chief:
            return None
        monitor.close()
        if config.keep == "best":
            trainer.model.set_weights(state.best_weights)
        runs.write_model(folder, trainer.model)
        if network.components:
            kept = residuals.collect(runs.load(folder), windows.pieces, config.seed)
            runs.write_residuals(folder, kept)
    return runs.load(folder)


def check_new(folder: str | Path) -> None:
    """Raise RunError unless `folder` can hold a new run: it is missing or empty.

    A corpus made for this run may be there already, and hidden files, such as a killed process
    leaves behind; anything else is somebody's work.
    """
    folder = Path(folder)
    used: bool | set[str] = folder.exists()
    if folder.is_dir():
        used = {path.name for path in folder.glob("[!.]*")} - {"corpus"}
    if used:
        raise runs.RunError(
            f"{folder} exists: go on with `resume=True`, or choose another folder for the run"
        )


def fit_normaliser(corpus: Corpus, together: int = 1) -> Normaliser:
    """The Normaliser that the corpus' FeatureConfig asks for, from its training part alone.

    together: frames that the network sees and predicts in one step.
    """
    pieces = corpus.split("train")
    if corpus.config is None:
        return Normaliser.identity(corpus.width * together)
    if corpus.config.normalisation == "maximum":
        return Normaliser.maximum(pieces, together)
    return Normaliser.whitened_innovations(pieces, together)


@contextmanager
def _held(folder):
    """Make `folder` if need be, and keep other trainings out of it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise runs.RunError(
            f"{folder} cannot be made: choose another place ({problem.strerror})"
        ) from problem
    with locked(folder, runs.RunError):
        yield


class _Keeper:
    """Writes what a training has come to into its folder: every so many seconds, and after every
    epoch."""

    def __init__(self, folder, trainer, seconds):
        self.folder, self.trainer, self.seconds = folder, trainer, seconds
        self.kept = time.monotonic()

    def batch_ended(self, state, loss):
        if time.monotonic() - self.kept >= self.seconds:
            self._keep(state)

    def epoch_ended(self, state):
        better = state.history["validation_loss"][-1] == state.best_loss
        if better or self.trainer.config.keep == "last":
            runs.write_model(self.folder, self.trainer.model)
        runs.write_history(self.folder, state.history)
        self._keep(state)

    def _keep(self, state):
        checkpoints.write(self.folder, state, self.trainer.model, self.trainer.optimizer)
        self.kept = time.monotonic()


def _run_epoch(trainer, windows, state, watchers):
    """Train the rest of an epoch and validate; `state` is brought forward, `watchers` told."""
    epoch = state.epoch
    numbers = range(state.number, windows.batches)
    for inputs, targets in ahead(lambda number: windows.batch(epoch, number), numbers):
        loss = trainer.train(inputs, targets)
        state.number += 1
        if not np.isfinite(loss):
            raise TrainingError(
                f"the loss is not finite in epoch {epoch + 1}, batch {state.number} of "
                f"{windows.batches}: lower `learning_rate` and train into another folder"
            )
        state.total += loss
        for watcher in watchers:
            watcher.batch_ended(state, loss)
    loss = state.total / windows.batches
    held_out = loss
    if windows.held_out_count:
        losses = [trainer.evaluate(*batch) for batch in windows.validation()]
        held_out = float(np.concatenate(losses).mean(dtype=float))
    if not np.isfinite(held_out):
        raise TrainingError(
            f"the held-out loss is not finite after epoch {epoch + 1}: lower `learning_rate` "
            "and train into another folder"
        )
    state.end_epoch(loss, held_out, trainer.model)
    for watcher in watchers:
        watcher.epoch_ended(state)


def _patience_is_over(history, patience):
    losses = history["validation_loss"]
    return patience is not None and len(losses) - np.argmin(losses or [0]) > patience


def _fit_steps(config, corpus, together):
    """Shorten T̂ for data that is shorter than a window; raise TrainingError if nothing is left."""
    longest = max((len(piece) for piece in corpus.split("train")), default=0)
    if longest < 3 * together:
        raise TrainingError(f"{corpus.name} has only {longest} frames to train on: give it more")
    return replace(config, steps=min(config.steps, longest // together - 1))


def _primer(corpus):
    """What a run listens to before it goes on: the end of the vectors, which it then continues, or
    the first sounding second and a half of the first training piece."""
    if corpus.config is None:
        return corpus.pieces[-1].features[-_PRIMER_STEPS:]
    piece = corpus.split("train")[0]
    frames = min(corpus.config.frames(_PRIMER_SECONDS), len(piece))
    start = int(np.argmin(silent_frames(piece, corpus.config)))
    start = min(start, len(piece) - frames)
    return piece[start : start + frames]


def _describe(corpus, network, config, sampling, windows):
    """The contents of config.json: everything, and no path of this machine."""
    import keras

    return {
        "features": corpus.config.to_dict() if corpus.config else None,
        "network": network.to_dict(),
        "training": asdict(config),
        "sampling": sampling.to_dict(),
        "data": {
            "name": corpus.name,
            "train_pieces": len(windows.pieces),
            "train_frames": sum(len(piece) for piece in windows.pieces),
            "validation_pieces": len(windows.held_out),
            "validation_frames": sum(len(piece) for piece in windows.held_out),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "keras")},
            keras.backend.backend(): import_module(keras.backend.backend()).__version__,
        },
    }


def _changed(settings, *usual):
    """The dataclasses `usual` with those of the settings that each knows."""
    names = [{field.name for field in fields(one)} for one in usual]
    if unknown := settings.keys() - set().union(*names):
        raise TrainingError(f"there is no setting {', '.join(unknown)} of a network or a training")
    return [
        replace(one, **{name: settings[name] for name in settings.keys() & known})
        for one, known in zip(usual, names, strict=True)
    ]


def _stored_settings(folder, epochs, corpus):
    """Settings of the run in `folder`, but for the number of epochs if that is given."""
    settings = runs.read_settings(folder)
    try:
        stored_network = NetworkConfig(**settings["network"])
        stored = TrainingConfig(**settings["training"])
        data = settings["data"]
    except (KeyError, TypeError, ValueError) as problem:
        raise runs.RunError(
            f"{folder} cannot be resumed, its {runs.CONFIG} is not a run's "
            "settings: train into a new folder"
        ) from problem
    frames = sum(len(piece) for piece in corpus.split("train"))
    same = settings["features"] == (corpus.config.to_dict() if corpus.config else None)
    if not same or data["train_frames"] != frames or stored_network.features != corpus.width:
        raise CorpusError(
            f"{corpus.name} is not what {folder} was trained on ({data['name']}): resume with the "
            "same data"
        )
    stored = replace(stored, epochs=epochs or stored.epochs)
    return stored_network, stored, Sampling.from_dict(settings["sampling"])
