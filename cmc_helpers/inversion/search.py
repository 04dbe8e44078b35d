"""How a search goes on: iterations that bring a waveform nearer to what is wanted of it."""

import numpy as np

from cmc_helpers.features import GROUP_WIDTHS, expand_magnitudes, reduce_magnitudes
from cmc_helpers.inversion.transform import OverlapAdd, blocks, stft

TINY = np.float32(1e-30)  # what is divided by is never quite 0

# How far a reflection leads: `tools/benchmarks/inversion.py` finds 0.85 to 0.97 alike.
BETA = 0.9


def griffin_lim(start, wanted, config, momentum=0.0):
    """Take the phase of the waveform, the magnitudes that are wanted, the nearest waveform; repeat.

    start: (64 (T − 1) + 256,). wanted: magnitudes (T, 257), or group means (T, 100): then every
    frame keeps its own shape inside a group and the group is scaled to its mean, instead of being
    forced into a shape that somebody guessed. momentum: 0 is Griffin and Lim (1984), 0.99 the fast
    variant of Perraudin, Balazs and Søndergaard (WASPAA 2013), as in `librosa.griffinlim`; because
    the STFT is linear it may be applied to the waveform. Yields the start, then the waveform after
    each iteration, float32, without end.
    """
    waveform = previous = np.asarray(start, np.float32)
    goal = wanted if isinstance(wanted, Goal) else Goal(wanted)
    while True:
        yield waveform
        ahead = waveform + np.float32(momentum) * (waveform - previous)
        nearest = OverlapAdd(goal.frames, config)
        for block, piece in blocks(ahead, goal.frames, config):
            nearest.add(block.start, goal.approach(block, stft(piece, config)))
        previous, waveform = waveform, nearest.finished()


def alternating_reflections(start, wanted, config):
    """Overshoot both goals and average: a search that leaves the dead ends of `griffin_lim`.

    With P_A x the spectra that have the phase of x and the magnitudes that are wanted, and P_C the
    nearest spectra that some waveform has, x ← β (x + P_C(2 P_A x − x)) + (1 − 2β) P_A x. Arguments
    and what is yielded as in `griffin_lim`; the spectra x are held, 257 kB per second of sound.
    Source: relaxed averaged alternating reflections, Luke, Inverse Problems 21 (2005), 37; for
    sound Peer, Welker and Gerkmann (IWAENC 2022).
    """
    waveform = np.asarray(start, np.float32)
    goal = wanted if isinstance(wanted, Goal) else Goal(wanted)
    spectra = np.empty((goal.frames, config.fft // 2 + 1), np.complex64)
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

    wanted: magnitudes (T, 257), or group means (T, 100) together with a guess (T, 257) of the
    shape inside the groups, of which the share `insistence` is asked for. level: by which what is
    found is to be multiplied.
    """

    def __init__(self, wanted, guess=None, insistence=0.0, level=1.0):
        self.wanted, self.guess, self.level = np.asarray(wanted, np.float32), guess, level
        self.insistence = np.float32(insistence)
        self.frames = len(self.wanted)

    def part(self, frames):
        """The same for a slice of the frames."""
        return Goal(self.wanted[frames], self.guess[frames], self.insistence)

    def approach(self, block, spectra):
        """Scale the spectra of a block of frames in place, to what is wanted of them."""
        wanted, magnitudes = self.wanted[block], np.abs(spectra)
        if wanted.shape[1] == len(GROUP_WIDTHS):
            shape = magnitudes
            if self.insistence:
                shape = magnitudes + self.insistence * (self.guess[block] - magnitudes)
            scale = wanted / (reduce_magnitudes(shape) + TINY)
            spectra *= expand_magnitudes(scale.astype(np.float32))
            wanted = shape
        if wanted is not magnitudes:
            spectra *= wanted / (magnitudes + TINY)
        return spectra
