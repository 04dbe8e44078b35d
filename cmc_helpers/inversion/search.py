"""How a search goes on: iterations that bring a waveform nearer to what is wanted of it."""

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cmc_helpers.features import STFT, FeatureConfig
from cmc_helpers.inversion.expansion import OctaveGroups
from cmc_helpers.inversion.filterbank import Filterbank
from cmc_helpers.inversion.transform import TINY, OverlapAdd, blocks, stft

# How far a reflection leads: `tools/benchmarks/inversion.py` finds 0.85 to 0.97 alike.
BETA = 0.9


def griffin_lim(
    start: ArrayLike,
    wanted: "np.ndarray | Goal",
    config: STFT | FeatureConfig,
    momentum: float = 0.0,
) -> Generator[np.ndarray, None, None]:
    """Take the phase of the waveform, the magnitudes that are wanted, the nearest waveform; repeat.

    start: (hop (T − 1) + window,). wanted: magnitudes (T, bins), or the features' group means
    (T, 100): then every frame keeps its own shape inside a group and the group is scaled to its
    mean, instead of being forced into a shape that somebody guessed. momentum: 0 is Griffin and Lim
    (1984), 0.99 the fast variant of Perraudin, Balazs and Søndergaard (WASPAA 2013), as in
    `librosa.griffinlim`; because the STFT is linear it may be applied to the waveform. Yields the
    start, then the waveform after each iteration, float32, without end.
    """
    waveform = previous = np.asarray(start, np.float32)
    goal = wanted if isinstance(wanted, Goal) else Goal(wanted, reduction_of(wanted, config))
    while True:
        yield waveform
        ahead = waveform + np.float32(momentum) * (waveform - previous)
        nearest = OverlapAdd(goal.frames, config)
        for block, piece in blocks(ahead, goal.frames, config):
            nearest.add(block.start, goal.approach(block, stft(piece, config)))
        previous, waveform = waveform, nearest.finished()


def alternating_reflections(
    start: ArrayLike, wanted: "np.ndarray | Goal", config: STFT | FeatureConfig
) -> Generator[np.ndarray, None, None]:
    """Overshoot both goals and average: a search that leaves the dead ends of `griffin_lim`.

    With P_A x the spectra that have the phase of x and the magnitudes that are wanted, and P_C the
    nearest spectra that some waveform has, x ← β (x + P_C(2 P_A x − x)) + (1 − 2β) P_A x. Arguments
    and what is yielded as in `griffin_lim`; the spectra x are held, 257 kB per second of sound at
    8 kHz. Source: relaxed averaged alternating reflections, Luke, Inverse Problems 21 (2005), 37;
    for sound Peer, Welker and Gerkmann (IWAENC 2022).
    """
    waveform = np.asarray(start, np.float32)
    goal = wanted if isinstance(wanted, Goal) else Goal(wanted, reduction_of(wanted, config))
    spectra = np.empty((goal.frames, config.bins), np.complex64)
    for block, piece in blocks(waveform, goal.frames, config):
        spectra[block] = stft(piece, config)
    beta = np.float32(BETA)
    while True:
        yield waveform
        nearest = OverlapAdd(goal.frames, config)
        for block, _ in blocks(waveform, goal.frames, config):
            x = spectra[block]
            approached = goal.approach(block, x.copy())
            nearest.add(block.start, 2 * approached - x)
            x += (1 / beta - 2) * approached  # in two parts: this one, and below P_C
        waveform = nearest.finished()
        for block, piece in blocks(waveform, goal.frames, config):
            spectra[block] += stft(piece, config)
            spectra[block] *= beta


class Goal:
    """What the iterations ask of a spectrum's magnitudes.

    wanted: magnitudes (T, bins), or what a reduction left of them, such as group means (T, 100),
    together with a guess (T, bins) of the magnitudes, of whose shape the share `insistence` is
    asked for. level: by which what is found is to be multiplied.
    """

    def __init__(
        self,
        wanted: ArrayLike,
        reduction: OctaveGroups | Filterbank | None = None,
        guess: np.ndarray | None = None,
        insistence: float | np.float32 = 0.0,
        level: float = 1.0,
    ) -> None:
        self.wanted, self.reduction = np.asarray(wanted, np.float32), reduction
        self.guess: Any = guess  # asked for only where there is one
        self.level = level
        self.insistence = np.float32(insistence)
        self.frames = len(self.wanted)

    def part(self, frames: slice) -> "Goal":
        """The same for a slice of the frames."""
        return Goal(self.wanted[frames], self.reduction, self.guess[frames], self.insistence)

    def approach(self, block: slice, spectra: np.ndarray) -> np.ndarray:
        """Scale the spectra of a block of frames in place, to what is wanted of them."""
        wanted, magnitudes = self.wanted[block], np.abs(spectra)
        if self.reduction:
            shape = magnitudes
            if self.insistence:
                shape = magnitudes + self.insistence * (self.guess[block] - magnitudes)
            spectra *= self.reduction.gain(wanted, shape)
            wanted = shape
        if wanted is not magnitudes:
            spectra *= wanted / (magnitudes + TINY)
        return spectra


def reduction_of(
    wanted: np.ndarray, config: STFT | FeatureConfig, expansion: str = "spline"
) -> OctaveGroups | None:
    """None for magnitudes (T, bins), the features' groups for anything else."""
    return None if np.shape(wanted)[1] == config.bins else OctaveGroups(expansion)
