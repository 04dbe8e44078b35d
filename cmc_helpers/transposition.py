"""Copies at another pitch: five ways to make a network hear more keys (paper, section 6.1).

A copy is right if it equals what a pianist would have played, had the score been transposed. Of a
recording there is no score; what is done to it instead keeps some things and spoils others.

Notebook: 13.
"""

import numpy as np
from numpy.typing import ArrayLike

from cmc_helpers.features import (
    FeatureConfig,
    expand_magnitudes,
    features_to_amplitudes,
    reduce_magnitudes,
)


def ratio(semitones: float) -> float:
    """By what factor frequencies grow: 2 for twelve semitones."""
    return 2.0 ** (semitones / 12)


def resampled(waveform: ArrayLike, semitones: float) -> np.ndarray:
    """Play it faster or slower, like a tape: pitch and tempo move together.

    waveform: (samples,). Returns (≈ samples / ratio,). Everything sounds as of a smaller or larger
    instrument; partials and their phases stay exact. What would lie above half the sample rate is
    left out, and moved down, the top stays empty: read the recording at a higher rate where it has
    one.
    """
    import soxr

    return soxr.resample(np.asarray(waveform, float), ratio(semitones), 1.0)


def vocoded(waveform: ArrayLike, semitones: float, sample_rate: float) -> np.ndarray:
    """Move the pitch and keep the tempo, by a phase vocoder and resampling (librosa's).

    waveform: (samples,). Returns as many. Time is stretched spectrum by spectrum, so strikes smear
    over a window of 2048 samples, and neighbouring partials no longer beat as they did.
    """
    import librosa

    waveform = np.asarray(waveform, float)
    return librosa.effects.pitch_shift(waveform, sr=sample_rate, n_steps=semitones)


def stretched(features: np.ndarray, semitones: float, config: FeatureConfig) -> np.ndarray:
    """Move every frame along frequency: what stood at f goes to f · ratio. (T, 100) → (T, 100).

    The 100 features are spread over their bins again, and read off at f / ratio. Time is untouched.
    But the window's main lobe, as wide in hertz for every note, is stretched as well, and moved up,
    formants and the room move along.
    """
    spectra = expand_magnitudes(features_to_amplitudes(features, config))
    return reduce_magnitudes(stretch(spectra, semitones)) ** config.compression


def stretch(spectra: np.ndarray, semitones: float) -> np.ndarray:
    """Spectra (T, bins), bin b at b · Δf → the same with b · ratio where b was; 0 from beyond.

    Notebook: 13, section 1.
    """
    bins = np.arange(spectra.shape[1])
    source = bins / ratio(semitones)
    return np.stack([np.interp(source, bins, row, right=0.0) for row in spectra])


def shifted(features: np.ndarray, count: int) -> np.ndarray:
    """Move every frame by a whole number of features, up where it is positive. (T, 100) → same.

    On a logarithmic axis this would be a transposition. The paper's axis is linear for 32 features
    and then in steps: up to 500 Hz each is 15.6 Hz wide, so that a shift adds the same hertz to
    every partial, and harmonics stop being harmonics.
    """
    source = np.arange(features.shape[1]) - count
    inside = (source >= 0) & (source < features.shape[1])
    return np.where(inside, features[:, source % features.shape[1]], 0)
