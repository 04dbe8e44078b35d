"""Train a network on a corpus and keep the result as a run (paper, sections 2.3, 2.4.2 and 3).

Sequence to sequence with teacher forcing: in a window of T̂ + 1 frames every frame but the first is
a target, predicted from all before it in the window. T̂ is thus the paper's truncated
back-propagation through time: nothing further apart than T̂ frames can be learned.

Every batch is a function of (seed, epoch, batch number) alone, so a run that was killed and goes on
from its last checkpoint ends where an uninterrupted one ends.

Notebook: 09.
"""

import json
import platform
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from cmc_helpers import networks, runs
from cmc_helpers.corpora import CorpusError, silent_frames
from cmc_helpers.features import Normaliser
from cmc_helpers.files import FileError, readable_file, replacing
from cmc_helpers.networks import NetworkConfig

_LEAST_BATCHES = 20  # an epoch of a short passage still has something to show
_MOST_SILENCE = 0.2  # windows with more teach the network to end and to stay silent
_PRIMER_SECONDS = 1.5
# Units up to which a training step spends its time between operations, not in them: XLA compiles
# all of it. Of larger networks only the loss gains.
_SMALL = 64
_PRIMER_STEPS = 64  # for plain vectors: four periods of bounce


class TrainingError(FileError):
    """A training that cannot start or go on, in one sentence."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    steps: T̂, frames a gradient reaches back. batch: windows a step. learning_rate: of Adam, after
    a linear warm-up, falling as a cosine to 2 %. input_noise: standard deviation of the Gaussian
    noise on the inputs, in normalised units. clip: largest norm of the whole gradient.
    weight_penalty: λ of λ/2 ‖θ‖² (paper, 6.1). patience: epochs without a better held-out loss
    before stopping; None never stops early. keep: the network that the run holds in the end, the
    "best" on held-out data or the "last", which over-fits (the paper's 4.2 does so on purpose).
    """

    epochs: int = 30
    batch: int = 32
    steps: int = 128
    learning_rate: float = 2e-3
    warmup: int = 60
    input_noise: float = 0.1
    clip: float = 1.0
    weight_penalty: float = 0.0
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
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience must be at least 1 epoch, not {self.patience}")


def defaults(corpus):
    """(NetworkConfig, TrainingConfig, sampling) that suit a corpus.

    Recordings: the residual stack, noise in the feedback (without it music dies). Plain vectors:
    the paper's stack, small, with a σ floor and input noise that keep it stable when it runs free,
    and the means fed back.
    """
    if corpus.config is None:
        network = networks.small(corpus.width)
        config = TrainingConfig(batch=16, steps=50, learning_rate=0.01, input_noise=0.05)
        return network, config, runs.MEANS_ALONE
    sampling = {"strategy": "sample", "tau": 0.6, "sigma_scale": 0.6}
    return NetworkConfig(corpus.width), TrainingConfig(), sampling


def train(corpus, folder, network=None, config=None, sampling=None, resume=False, progress=None):
    """Train on `corpus` and return the `runs.Run` kept in `folder`.

    network, config, sampling: None takes `defaults`. resume: go on from the folder's checkpoint
    with the settings stored there; of `config` only `epochs` counts, to train longer.
    progress(done, total, message) is called after every batch, with the last epoch's losses as the
    message. The run holds the best network by held-out loss (by training loss where nothing is
    held out), or the last if `config.keep` says so. Raises TrainingError (settings that do not fit
    the data, a loss that is not finite) and RunError (the folder).
    """
    folder = Path(folder)
    if resume:
        network, config, sampling = _stored_settings(folder, config, corpus)
    else:
        check_new(folder)
    usual = defaults(corpus)
    network = network or usual[0]
    sampling = sampling or (usual[2] if network.components else runs.MEANS_ALONE)
    config = _fit_steps(config or usual[1], corpus)
    normaliser = fit_normaliser(corpus)
    windows = Windows(corpus, normaliser, config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise runs.RunError(
            f"{folder} cannot be made: choose another place ({problem.strerror})"
        ) from problem

    model = _compile(network, config, windows.batches)
    state = _State.read(folder, model) if resume else _State.fresh(model)
    if state.epoch > config.epochs:
        raise TrainingError(f"{folder} has {state.epoch} epochs already: give --epochs above that")
    # The settings come first: from then on, whatever stops the training, it can be resumed.
    runs.write_settings(folder, _describe(corpus, network, config, sampling, windows))
    runs.write_normaliser(folder, normaliser)
    runs.write_primer(folder, _primer(corpus))
    _run_epochs(model, network, config, windows, state, folder, progress)
    if config.keep == "best":
        model.set_weights(state.best_weights)
    runs.write_model(folder, model)
    return runs.load(folder)


def check_new(folder):
    """Raise RunError unless `folder` can hold a new run: it is missing or empty.

    A corpus made for this run may be there already, and hidden files, such as a killed process
    leaves behind; anything else is somebody's work.
    """
    folder = Path(folder)
    used = folder.exists()
    if folder.is_dir():
        used = {path.name for path in folder.glob("[!.]*")} - {"corpus"}
    if used:
        raise runs.RunError(
            f"{folder} exists: add --resume to go on, or choose another folder for the run"
        )


def fit_normaliser(corpus):
    """The Normaliser that the corpus' FeatureConfig asks for, from its training part alone."""
    pieces = corpus.split("train")
    if corpus.config is None:
        return Normaliser.identity(corpus.width)
    if corpus.config.normalisation == "maximum":
        return Normaliser.maximum(pieces)
    return Normaliser.whitened_innovations(pieces)


def window_starts(lengths, steps):
    """Where windows of `steps` inputs and their targets, one frame later, may begin.

    lengths: frames of each piece. Returns (count, 2) integers, (piece, start): every window of
    steps + 1 frames that lies inside one piece; its last `steps` frames are the targets of its
    first. Paper, section 2.3. Notebook: 09, section 1.
    """
    pairs = [
        np.stack([np.full(max(n - steps, 0), piece), np.arange(max(n - steps, 0))], axis=1)
        for piece, n in enumerate(lengths)
    ]
    return np.concatenate(pairs)


class Windows:
    """Batches of teacher-forced windows: inputs with noise, and the frames that follow them."""

    def __init__(self, corpus, normaliser, config):
        self.config, self.normaliser = config, normaliser
        self.pieces = corpus.split("train")
        self.held_out = corpus.split("validation")
        starts = window_starts([len(piece) for piece in self.pieces], config.steps)
        sounding = [_sounding(piece, config.steps, corpus.config) for piece in self.pieces]
        self.starts = starts[np.concatenate(sounding)]
        if len(self.starts) == 0:
            raise TrainingError(
                f"{corpus.name} has no window of {config.steps + 1} frames that is not mostly "
                "silence: give longer recordings or fewer --steps"
            )
        frames = sum(len(piece) for piece in self.pieces)
        self.batches = max(_LEAST_BATCHES, -(-frames // (config.batch * config.steps)))

    def batch(self, epoch, number):
        """Inputs and targets (batch, T̂, m), the same for the same seed, epoch and number."""
        rng = np.random.default_rng([self.config.seed, epoch, number])
        chosen = self.starts[rng.integers(len(self.starts), size=self.config.batch)]
        inputs, targets = self._cut(self.pieces, chosen)
        noise = rng.standard_normal(inputs.shape, dtype=np.float32)
        return inputs + np.float32(self.config.input_noise) * noise, targets

    def validation(self):
        """Held-out inputs and targets, one window after the other, without noise; or None."""
        steps = self.config.steps
        if not self.held_out:
            return None
        starts = window_starts([len(piece) for piece in self.held_out], steps)
        starts = starts[starts[:, 1] % steps == 0]
        return self._cut(self.held_out, starts) if len(starts) else None

    def _cut(self, pieces, starts):
        frames = np.stack(
            [pieces[piece][start : start + self.config.steps + 1] for piece, start in starts]
        )
        frames = self.normaliser.transform(frames)
        return frames[:, :-1], frames[:, 1:]


@dataclass
class _State:
    """Where a training stands after an epoch: all that is needed to go on as if never stopped."""

    epoch: int
    history: dict
    best_loss: float
    best_weights: list

    @classmethod
    def fresh(cls, model):
        history = {"epoch": [], "loss": [], "validation_loss": []}
        return cls(0, history, float("inf"), model.get_weights())

    @classmethod
    def read(cls, folder, model):
        """Restore model and optimizer from checkpoint.npz; a fresh state if there is none yet."""
        if not (folder / runs.CHECKPOINT).exists():
            return cls.fresh(model)
        path = readable_file(folder / runs.CHECKPOINT, TrainingError)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                described = json.loads(str(arrays["state"]))
                stored = {
                    kind: [arrays[f"{kind}_{i}"] for i in range(described["counts"][kind])]
                    for kind in ("weights", "optimizer", "best")
                }
            model.set_weights(stored["weights"])
            model.optimizer.build(model.trainable_variables)
            for variable, value in zip(model.optimizer.variables, stored["optimizer"], strict=True):
                variable.assign(value)
        except Exception as problem:  # a damaged zip raises a dozen kinds of exception
            raise TrainingError(
                f"{path} cannot be resumed from, it is damaged or of other settings: train into a "
                "new folder"
            ) from problem
        return cls(described["epoch"], described["history"], described["best_loss"], stored["best"])

    def write(self, folder, model):
        """One file, renamed into place: a kill leaves the old checkpoint or the new one."""
        stored = {
            "weights": model.get_weights(),
            "optimizer": [np.asarray(variable) for variable in model.optimizer.variables],
            "best": self.best_weights,
        }
        described = {
            "epoch": self.epoch,
            "history": self.history,
            "best_loss": self.best_loss,
            "counts": {kind: len(arrays) for kind, arrays in stored.items()},
        }
        arrays = {
            f"{kind}_{i}": array for kind, items in stored.items() for i, array in enumerate(items)
        }
        with replacing(folder / runs.CHECKPOINT, TrainingError) as temporary:
            np.savez(temporary, state=np.array(json.dumps(described)), **arrays)


def _run_epochs(model, network, config, windows, state, folder, progress):
    """Train epoch by epoch; `state` is brought forward and kept on disk after each."""
    validation = windows.validation()
    total = config.epochs * windows.batches
    while state.epoch < config.epochs and not _patience_is_over(state.history, config.patience):
        epoch = state.epoch
        watch = _watch(epoch, windows.batches, total, state.history, progress)
        fitted = model.fit(_dataset(windows, epoch), verbose=0, shuffle=False, callbacks=[watch])
        # The penalty λ/2 ‖θ‖² steers the training; the history keeps the likelihood alone.
        penalty = float(sum(model.losses)) if model.losses else 0.0
        loss = fitted.history["loss"][0] - penalty
        if validation is None:
            held_out = loss
        else:
            held_out = float(model.evaluate(*validation, config.batch, verbose=0)) - penalty
        if not np.isfinite(held_out):
            raise TrainingError(
                f"the held-out loss is not finite after epoch {epoch + 1}: lower --learning-rate "
                "and train into another folder"
            )
        for name, value in (("epoch", epoch + 1), ("loss", loss), ("validation_loss", held_out)):
            state.history[name].append(value)
        state.epoch += 1
        if held_out < state.best_loss:
            state.best_loss, state.best_weights = held_out, model.get_weights()
        if config.keep == "last" or state.best_loss == held_out:
            runs.write_model(folder, model)
        runs.write_history(folder, state.history)
        state.write(folder, model)


def _dataset(windows, epoch):
    import keras

    class Epoch(keras.utils.PyDataset):
        def __len__(self):
            return windows.batches

        def __getitem__(self, number):
            return windows.batch(epoch, number)

    return Epoch()


def _watch(epoch, batches, total, history, progress):
    """Look at every batch: move the bar, and stop where the loss is no longer a number."""
    import keras

    message = ""
    if history["epoch"]:
        message = (
            f"epoch {history['epoch'][-1]}: loss {history['loss'][-1]:.2f}, "
            f"held-out {history['validation_loss'][-1]:.2f}"
        )

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if not np.isfinite(logs["loss"]):
                raise TrainingError(
                    f"the loss is not finite in epoch {epoch + 1}, batch {batch + 1} of {batches}: "
                    "lower --learning-rate and train into another folder"
                )
            if progress:
                progress(epoch * batches + batch + 1, total, message)

    return Watch()


def _compile(network, config, batches):
    import keras

    keras.utils.set_random_seed(config.seed)
    model = networks.build(network, config.weight_penalty)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if config.warmup else config.learning_rate,
        warmup_target=config.learning_rate if config.warmup else None,
        warmup_steps=config.warmup,
        decay_steps=max(1, config.epochs * batches - config.warmup),
        alpha=0.02,
    )
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=config.clip)
    whole = network.units <= _SMALL
    model.compile(optimizer, networks.loss(network, fused=not whole), jit_compile=whole)
    return model


def _patience_is_over(history, patience):
    losses = history["validation_loss"]
    return patience is not None and len(losses) - np.argmin(losses or [0]) > patience


def _fit_steps(config, corpus):
    """Shorten T̂ for data that is shorter than a window; raise TrainingError if nothing is left."""
    longest = max(len(piece) for piece in corpus.split("train"))
    if longest < 3:
        raise TrainingError(f"{corpus.name} has only {longest} frames to train on: give it more")
    return replace(config, steps=min(config.steps, longest - 1))


def _sounding(piece, steps, config):
    """True for each start of a window in `piece` that is not mostly silence."""
    silent = np.concatenate([[0], np.cumsum(silent_frames(piece, config))])
    starts = np.arange(max(len(piece) - steps, 0))
    return silent[starts + steps + 1] - silent[starts] <= _MOST_SILENCE * (steps + 1)


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
    return {
        "features": corpus.config.to_dict() if corpus.config else None,
        "network": network.to_dict(),
        "training": asdict(config),
        "sampling": sampling,
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
            "tensorflow": _tensorflow_version(),
        },
    }


def _tensorflow_version():
    import tensorflow as tf

    return tf.__version__


def _stored_settings(folder, config, corpus):
    """Settings of the run in `folder`; of this call's, the number of epochs counts if given."""
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
    if data["train_frames"] != frames or stored_network.features != corpus.width:
        raise CorpusError(
            f"{corpus.name} is not what {folder} was trained on ({data['name']}): resume with the "
            "same data"
        )
    epochs = config.epochs if config else stored.epochs
    return stored_network, replace(stored, epochs=epochs), settings["sampling"]
