"""What a run plays where the knobs stand: the pure function behind the player.

A position of the knobs is written as the command that makes the same music in a terminal. So it can
be copied, shared, and read back.

Notebook: 10.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cmc_helpers import analysis, generation, mixtures, notebook, performance, plots, runs
from cmc_helpers.features import features_to_amplitudes
from cmc_helpers.sampling import KNOBS, Sampling

SECONDS = (1, 30)  # what a player offers
QUICK = dict(iterations=20, reflections=10)  # of the inversion: less than a decibel worse


@dataclass(frozen=True)
class Position:
    """Where the knobs stand. run: a name or folder, as `runs.find` takes it; sampling: a
    `sampling.Sampling`; seed ≥ 0; seconds of sound; prime: see `performance.read_primer`.

    Raises ValueError, in one sentence, for a position that cannot be.
    """

    run: str
    sampling: Sampling
    seed: int = 1
    seconds: float = 4.0
    prime: str | None = None

    def __post_init__(self):
        if self.seed < 0:
            raise ValueError(f"a seed is an integer from 0 upwards, not {self.seed}")
        if not SECONDS[0] <= self.seconds <= SECONDS[1]:
            raise ValueError(
                "a player plays from {} to {} seconds, not {:g}".format(*SECONDS, self.seconds)
            )

    def __str__(self):
        """The command that makes the same music, without the knobs that its strategy lets rest."""
        words = ["cmc", "generate", self.run]
        rest = {"seed": self.seed, "seconds": self.seconds, "prime": self.prime}
        for name, value in (self.sampling.used() | rest).items():
            if value is not None:
                words += ["--" + name.replace("_", "-"), str(value).removesuffix(".0")]
        return shlex.join([*words, "-o", "music.wav"])


def read_position(text: str) -> Position:
    """The `Position` that a line like "cmc generate bach --strategy …" stands for.

    Raises ValueError, in one sentence, for a line that is not whole or asks for what cannot be.
    """
    try:
        command, verb, run, *words = shlex.split(text)
    except ValueError:
        command = verb = ""
    if (command, verb) != ("cmc", "generate") or len(words) % 2:
        raise ValueError("a position of the knobs is a line like: cmc generate bach --strategy …")
    given = dict(zip(words[::2], words[1::2], strict=True))
    given.pop("-o", None)
    kinds = {name: str if knob.metadata["choices"] else float for name, knob in KNOBS.items()}
    resting = Sampling(given["--strategy"]).idle() if "--strategy" in given else []
    values: dict[str, Any] = {}
    for name, kind in (kinds | {"seed": int, "seconds": float, "prime": str}).items():
        option = "--" + name.replace("_", "-")
        try:
            values[name] = kind(given.pop(option))
        except KeyError as problem:
            if name not in (*resting, "noise", "prime"):
                raise ValueError(f"{option} is missing: copy the whole line") from problem
        except ValueError as problem:
            raise ValueError(f"{option} is not a number: {problem!s:.99}") from problem
    if given:
        strange = ", ".join(repr(name)[1:-1] for name in given)  # it may hold the end of a line
        raise ValueError(f"{strange:.99} is no knob of the player: leave it out")
    knobs = {name: values.pop(name) for name in KNOBS if name in values}
    return Position(run, Sampling(**knobs), **values)


@dataclass(frozen=True, eq=False)
class Rendering:
    """What is heard at a position: features (T, 100) and components (T,) as generated, waveform
    (samples,) in [−1, 1]. Its pictures are drawn when they are asked for."""

    position: Position
    run: runs.Run
    features: np.ndarray
    components: np.ndarray
    waveform: np.ndarray

    @property
    def title(self) -> str:
        """The knobs in a line."""
        chosen = self.position.sampling
        knobs = f", τ {chosen.tau:g} of {chosen.form}" if chosen.strategy == "tempered" else ""
        of = " of residuals" if chosen.noise == "residuals" else ""
        return (
            f"{self.position.run}: {chosen.strategy}{knobs}, σ × {chosen.sigma_scale:g}{of}, "
            f"T {chosen.pi_temperature:g}, seed {self.position.seed}"
        )

    @property
    def label(self) -> str:
        """The title, and how long it sounds."""
        return f"{self.title}, {self.position.seconds:g} s"

    @cached_property
    def picture(self) -> plots.Picture:
        """Spectrogram, chosen components and flux below each other, a `plots.Picture`."""
        config: Any = self.run.features  # of a run of sound, so never None
        count = self.run.network.components
        amplitudes = features_to_amplitudes(self.features, config)
        loudness = np.linalg.norm(amplitudes[:-1], axis=1)
        silent = loudness < 1e-3 * loudness.max()  # what little there is has no flux to speak of
        flux = np.where(silent, np.nan, analysis.flux(amplitudes))
        changes = np.count_nonzero(np.diff(self.components[:: self.run.network.frames]))
        figure = plots.performance(self.waveform, self.components, flux, self.title, count=count)
        return plots.figure_with_alt(
            figure,
            f"{self.title}. Above, the spectrogram of {self.position.seconds:g} s. In the middle, "
            f"which of the {count} components each frame came from: {len(set(self.components))} of "
            f"them, with {changes} changes. Below, how much each frame differs from the one before "
            f"it, with a gap where there is silence.",
        )

    @cached_property
    def sound(self) -> notebook.Sound:
        """A `notebook.Sound`, with this picture."""
        config: Any = self.run.features  # of a run of sound, so never None
        return notebook.Sound(
            notebook.wav(self.waveform, config.sample_rate),
            self.label,
            "",
            self.picture,
        )

    def _ipython_display_(self):
        self.sound._ipython_display_()

    def __repr__(self):
        return self.title


def render(
    run: runs.Run,
    position: Position,
    primer: np.ndarray | None = None,
    progress: Callable[..., object] | None = None,
    **changes: Any,
) -> Rendering:
    """What `run`, a `runs.Run` of sound, plays at a `Position`: the same random numbers, the same
    primer (features (T, 100), see `performance.read_primer`) wherever the knobs stand. changes: of
    the inversion, e.g. **QUICK. Returns a `Rendering`. ValueError as `generation.generate` has it.
    """
    config: Any = run.features  # of a run of sound, so never None
    (features,), (components,) = generation.generate(
        run,
        config.frames(position.seconds),
        seed=position.seed,
        primer=primer,
        progress=progress,
        sampling=position.sampling,
    )
    waveform = performance.sound(run, features, position.seconds, **changes)
    return Rendering(position, run, features, components, waveform)


def moment(
    run: runs.Run,
    foreseen: generation.Foreseen,
    features: np.ndarray,
    step: int,
    tau: float | None = None,
    form: str = "exact",
) -> plots.Picture:
    """The mixture after one step of a piece, and what τ leaves of it, as a `plots.Picture`.

    foreseen: what `generation.foresee` says of features (T, 100). step: from 0. tau, form: see
    `mixtures.tempered_log_weights` and `standardised_log_weights`; without τ, the weights alone.
    The spectra are means over the frames that are foreseen together. Raises ValueError for a step
    that has no next one.
    """
    config: Any = run.features  # of a run of sound, so never None
    together, steps = run.network.frames, len(foreseen.scales)
    if not 0 <= step < len(features) // together - 1:
        raise ValueError(f"after step {step} nothing came: choose one from 0 to {steps - 2}")
    mixture = mixtures.Mixture(*(part[step] for part in foreseen.mixture))
    seconds = together * (step + 1) / config.frames_per_second
    count, weights = len(mixture.log_weights), np.exp(mixture.log_weights)
    if tau is None:
        ranks, kept = None, np.ones(count, bool)
        title = f"After {seconds:.2f} s: {count} components, and what came"
        choice = f"{title}."
    else:
        log_ranks = mixtures.standardised_log_weights(mixture, form)
        ranks = None if form == "weight" else np.exp(log_ranks)
        kept = np.isfinite(mixtures.tempered_log_weights(log_ranks, tau))
        title = f"After {seconds:.2f} s, τ = {tau:.2f} leaves {kept.sum()} of {count} components"
        inside = ", ".join(str(k) for k in 1 + np.flatnonzero(kept))
        choice = f"{title}: in S {'is' if kept.sum() == 1 else 'are'} {inside}. Ranked by {form}."
    spectra = [
        features_to_amplitudes(frames, config).mean(axis=0)
        for frames in foreseen.candidates(run, step)
    ]
    came = features[together * (step + 1) : together * (step + 2)]
    came = features_to_amplitudes(came, config).mean(axis=0)
    ranked_by = f"ranked by {mixtures.FORMS[form]}"
    figure = plots.mixture(weights, ranks, kept, spectra, came, title, ranked_by=ranked_by)
    names = ", ".join(f"{k} ({w:.2f})" for k, w in enumerate(weights, 1) if w >= 0.05)
    alt = f"{choice} Components with a weight of at least 0.05: {names}. Beside them the spectrum "
    alt += "that each would bring, and the one that came."
    return plots.figure_with_alt(figure, alt)
