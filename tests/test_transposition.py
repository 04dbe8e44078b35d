"""Copies at another pitch: each way moves what it says it moves, and leaves the rest."""

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmc_helpers import transposition
from cmc_helpers.features import FeatureConfig, extract_features

CONFIG = FeatureConfig.preset("default")
RATE = 8000
SEMITONES = [-12, -5, -1, 0, 1, 7, 12]


def tone(hertz, seconds=2.0):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def pitch(waveform):
    """The frequency of the strongest line, in Hz."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 2**18))
    return spectrum.argmax() * RATE / 2**18


@pytest.mark.parametrize("semitones", SEMITONES)
def test_a_tape_played_faster_sounds_higher_and_is_over_sooner(semitones):
    ratio = transposition.ratio(semitones)
    made = transposition.resampled(tone(440), semitones)
    assert abs(len(made) - 2 * RATE / ratio) <= 1
    assert abs(12 * np.log2(pitch(made) / 440) - semitones) < 0.02


@pytest.mark.parametrize("semitones", SEMITONES)
def test_a_phase_vocoder_moves_the_pitch_and_keeps_the_tempo(semitones):
    made = transposition.vocoded(tone(440), semitones, RATE)
    assert len(made) == 2 * RATE
    assert abs(12 * np.log2(pitch(made) / 440) - semitones) < 0.05


@pytest.mark.parametrize("semitones", SEMITONES)
def test_stretched_features_peak_where_those_of_the_moved_tone_do(semitones):
    """Where features are 15.6 or 31 Hz wide, so that a semitone is at least a feature."""
    before = extract_features(tone(440), CONFIG)
    wanted = extract_features(tone(440 * transposition.ratio(semitones)), CONFIG)
    made = transposition.stretched(before, semitones, CONFIG)
    assert made.shape == before.shape
    assert abs(int(made[50].argmax()) - int(wanted[50].argmax())) <= 1


def test_stretched_by_nothing_the_features_are_what_they_were():
    before = extract_features(tone(440) + tone(1234), CONFIG)
    np.testing.assert_allclose(transposition.stretched(before, 0, CONFIG), before, atol=1e-5)


@given(st.floats(1, 40), st.sampled_from([-12, -7, 3, 12]))
def test_a_line_at_a_bin_goes_to_that_bin_times_the_ratio(bin_, semitones):
    bins = np.arange(257)
    line = np.maximum(0, 1 - np.abs(bins - bin_) / 3)[None]
    moved = transposition.stretch(line, semitones)[0]
    centre = (moved @ bins) / moved.sum() if moved.sum() else np.nan
    if 4 < bin_ * transposition.ratio(semitones) < 240 and bin_ > 4:
        assert abs(centre - bin_ * transposition.ratio(semitones)) < 0.5


def test_stretching_up_leaves_what_comes_from_beyond_silent():
    spectra = np.ones((2, 257))
    made = transposition.stretch(spectra, -12)
    assert np.all(made[:, :129] == 1) and np.all(made[:, 129:] == 0)


@pytest.mark.parametrize("count", [-100, -3, 0, 1, 40, 100, 130])
def test_shifted_features_are_the_same_numbers_further_up(count):
    rng = np.random.default_rng(0)
    features = rng.random((5, 100)).astype(np.float32)
    made = transposition.shifted(features, count)
    assert made.shape == features.shape
    for k in range(100):
        wanted = features[:, k - count] if 0 <= k - count < 100 else np.zeros(5)
        np.testing.assert_array_equal(made[:, k], wanted)


def test_a_shift_adds_hertz_and_does_not_multiply_them():
    """Why it is no transposition: two harmonics move by the same hertz."""
    before = extract_features(tone(156.25) + tone(312.5), CONFIG)
    made = transposition.shifted(before, 4)[50]
    peaks = [k for k in range(1, 40) if made[k] > max(made[k - 1], made[k + 1], 0.3 * made.max())]
    assert peaks == [14, 24]  # 10 and 20 before: 219 and 375 Hz are no octave


def test_the_truth_is_nearest_to_the_tape_then_to_the_stretch_and_far_from_a_shift():
    """On a harmonic tone with partials up to 3 kHz, of which all is known."""

    def harmonic(f):
        return sum(tone(f * n) / n for n in range(1, 9))

    semitones = 3
    before = harmonic(300)
    wanted = extract_features(harmonic(300 * transposition.ratio(semitones)), CONFIG)
    plain = extract_features(before, CONFIG)
    steps = round(300 / 15.625 * (transposition.ratio(semitones) - 1))
    made = {
        "tape": extract_features(transposition.resampled(before, semitones), CONFIG),
        "stretched": transposition.stretched(plain, semitones, CONFIG),
        "shifted": transposition.shifted(plain, steps),
        "nothing": plain,
    }
    away = {
        way: np.linalg.norm(x[50] - wanted[50]) / np.linalg.norm(wanted[50])
        for way, x in made.items()
    }
    assert away["tape"] < away["stretched"] < away["shifted"] < 1.5 * away["nothing"]
    assert away["tape"] < 0.15 < 0.5 < away["shifted"]


def test_the_vocoder_is_librosa_s():
    waveform = tone(300) + tone(700)
    wanted = librosa.effects.pitch_shift(waveform, sr=RATE, n_steps=4)
    np.testing.assert_array_equal(transposition.vocoded(waveform, 4, RATE), wanted)
