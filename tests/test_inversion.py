"""Magnitudes → waveform, against librosa, Griffin and Lim's theorem, and sounds that are known."""

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmc_helpers.features import FeatureConfig, extract_features, magnitude_spectrogram
from cmc_helpers.inversion import (
    METHODS,
    griffin_lim,
    invert_features,
    slaney,
    spectral_convergence,
    time_delay_start,
)

CONFIG = FeatureConfig()
SECOND = np.arange(8000) / 8000


def tone(frequency):
    return np.sin(2 * np.pi * frequency * SECOND)


def chords():
    """Three notes with seven decaying partials, entering one after the other; whole frames."""
    x = np.zeros(8000)
    for onset, f in [(0, 220.0), (0.3, 277.18), (0.6, 329.63)]:
        t = np.maximum(SECOND - onset, 0)
        x += sum(np.exp(-2 * t) * np.sin(2 * np.pi * f * h * t) / h for h in range(1, 8))
    return 0.2 * x[: 64 * 120 + 256]


def magnitudes_of(x):
    return magnitude_spectrogram(x, CONFIG)


def loss(magnitudes, x):
    return spectral_convergence(magnitudes, magnitudes_of(x))


def loudest_frequency(x):
    x = x[1000:-1000]
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 2**18))
    return np.argmax(spectrum) * 8000 / 2**18


@pytest.mark.parametrize("momentum", [0, 0.99])
@pytest.mark.parametrize("iterations", [0, 1, 2, 32])
def test_griffin_lim_is_librosas_sample_by_sample(momentum, iterations):
    magnitudes = magnitudes_of(np.random.default_rng(0).normal(size=3000))
    wanted = librosa.griffinlim(
        magnitudes.T,
        n_iter=iterations,
        hop_length=64,
        win_length=256,
        n_fft=512,
        window=np.hamming(256),
        center=False,
        momentum=momentum,
        init=None,
    )[128:-128]
    x = griffin_lim(magnitudes, CONFIG, iterations, momentum)
    assert x.shape == wanted.shape
    np.testing.assert_allclose(x, wanted, atol=1e-9)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_without_momentum_more_iterations_are_never_worse(seed, frames):
    """The theorem of Griffin and Lim (1984), for any magnitudes. It holds for the norm over all 512
    bins, in which those between 0 and 4 kHz count twice."""
    magnitudes = np.random.default_rng(seed).exponential(size=(frames, 257))
    twice = np.sqrt(np.repeat([1, 2, 1], [1, 255, 1]))
    signals = [griffin_lim(magnitudes, CONFIG, i, 0) for i in range(8)]
    distances = [np.linalg.norm((magnitudes_of(x) - magnitudes) * twice) for x in signals]
    assert (np.diff(distances) <= 1e-9 * distances[0]).all()


@pytest.mark.parametrize("momentum", [0, 0.99])
@pytest.mark.parametrize("iterations", [0, 5])
def test_with_the_true_phase_the_waveform_comes_back_exactly(momentum, iterations):
    x = np.random.default_rng(0).normal(size=64 * 40 + 256)
    again = griffin_lim(magnitudes_of(x), CONFIG, iterations, momentum, start=x)
    np.testing.assert_allclose(again, x, atol=1e-12)


@pytest.mark.parametrize("frequency", [180, 220, 261.6, 440])
def test_a_tone_comes_back_at_its_frequency(frequency):
    """The mirrored spectrum of the 2017 code was one bin off and made 228 Hz of 220 Hz."""
    features = extract_features(tone(frequency), CONFIG)
    x = invert_features(features, CONFIG, iterations=200)
    assert abs(loudest_frequency(x) - frequency) < 1
    # Slaney's delays are whole samples: a tone whose period is not one comes back up to 1 % off.
    x = invert_features(features, CONFIG, "slaney")
    assert abs(loudest_frequency(x) / frequency - 1) < 0.01


@pytest.mark.parametrize("frequency", [125, 200, 400, 800, 1600])
def test_a_tone_with_a_period_of_whole_samples_is_slid_into_place(frequency):
    x = time_delay_start(magnitudes_of(tone(frequency)), CONFIG)
    assert abs(loudest_frequency(x) - frequency) < 0.1


def test_a_frame_without_a_predecessor_stays_where_it_is():
    frame = magnitudes_of(chords())[5:6]
    pulse = np.roll(np.fft.irfft(frame[0]), 128)[:256]  # its peak at the middle of the window
    wanted = pulse / np.hamming(256)
    np.testing.assert_allclose(time_delay_start(frame, CONFIG), wanted, atol=1e-12)
    amid_silence = np.pad(frame, ((9, 9), (0, 0)))
    assert abs(np.argmax(time_delay_start(amid_silence, CONFIG)) - (9 * 64 + 128)) <= 1


@pytest.mark.parametrize("sound", [tone(220), tone(440), chords()], ids=["220", "440", "chords"])
def test_sliding_frames_into_place_beats_adding_them_where_they_are(sound):
    magnitudes = magnitudes_of(sound)
    zero_phase = loss(magnitudes, griffin_lim(magnitudes, CONFIG, 0))
    assert loss(magnitudes, time_delay_start(magnitudes, CONFIG)) < zero_phase - 6


def test_the_papers_start_is_worth_a_decibel_after_40_iterations():
    magnitudes = magnitudes_of(chords())
    from_zero_phase = griffin_lim(magnitudes, CONFIG, 40, 0)
    assert loss(magnitudes, slaney(magnitudes, CONFIG)) < loss(magnitudes, from_zero_phase) - 1


def test_slaney_is_40_plain_iterations_after_its_start():
    magnitudes = magnitudes_of(chords()[:2000])
    start = time_delay_start(magnitudes, CONFIG)
    wanted = griffin_lim(magnitudes, CONFIG, 40, 0, start)
    np.testing.assert_array_equal(slaney(magnitudes, CONFIG), wanted)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preset", ["paper", "original-2017", "default"])
def test_features_of_music_come_back_within_a_fifth(method, preset):
    config = FeatureConfig.preset(preset)
    features = extract_features(chords(), config)
    again = extract_features(invert_features(features, config, method), config)
    assert spectral_convergence(features, again) < -14


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("frames", [1, 2, 30])
def test_every_frame_adds_a_hop(method, frames):
    features = np.random.default_rng(0).exponential(size=(frames, 100))
    x = invert_features(features, CONFIG, method)
    assert x.shape == (64 * (frames - 1) + 256,) and np.isfinite(x).all()


@pytest.mark.parametrize("method", METHODS)
def test_silence_stays_silence(method):
    np.testing.assert_array_equal(invert_features(np.zeros((20, 100)), CONFIG, method), 0)
    np.testing.assert_array_equal(invert_features(np.full((20, 100), -1.0), CONFIG, method), 0)


CLICK = np.eye(1, 3000, 1500)[0]
EXTREMES = {
    "constant": np.ones(3000),
    "click": CLICK,
    "silence, then sound": np.where(SECOND < 0.5, 0, tone(300)),
    "barely there": 1e-12 * tone(300),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", EXTREMES)
def test_every_sound_comes_back_as_loud_as_it_was(method, name):
    sound = EXTREMES[name]
    x = invert_features(extract_features(sound, CONFIG), CONFIG, method)
    assert np.isfinite(x).all()
    assert 0.3 < np.linalg.norm(x) / np.linalg.norm(sound) < 1.5


@pytest.mark.parametrize("method", METHODS)
def test_a_click_comes_back_near_its_place(method):
    x = invert_features(extract_features(CLICK, CONFIG), CONFIG, method)
    assert abs((np.arange(len(x)) * x**2).sum() / (x**2).sum() - 1500) < 64


def test_spectral_convergence_in_closed_form():
    reference = np.random.default_rng(0).exponential(size=(10, 257))
    for factor, wanted in [(0, 0), (1.1, -20), (0.9, -20), (2, 0), (11, 20), (-1.01, -40)]:
        np.testing.assert_allclose(
            spectral_convergence(reference, factor * reference), wanted, atol=1e-9
        )
    assert spectral_convergence(reference, reference) < -300
    longer = np.concatenate([1.1 * reference, reference])  # what is beyond the end is left out
    np.testing.assert_allclose(spectral_convergence(reference, longer), -20)
    np.testing.assert_allclose(spectral_convergence(longer, reference), 20 * np.log10(0.1 / 1.1))


@pytest.mark.parametrize(
    "features, method, sentence",
    [
        (np.zeros((5, 99)), "slaney", r"shape \(frames, 100\), not \(5, 99\)"),
        (np.zeros((0, 100)), "slaney", r"not \(0, 100\)"),
        (np.zeros(100), "slaney", r"not \(100,\)"),
        (np.full((5, 100), np.nan), "slaney", "NaN or infinite values"),
        (np.full((5, 100), np.inf), "slaney", "NaN or infinite values"),
        (np.zeros((5, 100)), "magic", "no method 'magic'; choose one of griffin-lim, slaney"),
    ],
)
def test_what_is_not_features_is_refused(features, method, sentence):
    with pytest.raises(ValueError, match=sentence):
        invert_features(features, CONFIG, method)
