"""Waveform → 100 features, against the paper's formula, librosa and SciPy; and the normaliser."""

import json

import librosa
import numpy as np
import pytest
import scipy.integrate
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from cmc_helpers import features
from cmc_helpers.features import (
    GROUP_WIDTHS,
    STFT,
    FeatureConfig,
    Normaliser,
    a_weighting,
    expand_magnitudes,
    extract_features,
    features_to_amplitudes,
    magnitude_spectrogram,
    reduce_magnitudes,
    unweight,
    weight,
)

PRESETS = ["paper", "original-2017", "default"]
PAPER = FeatureConfig.preset("paper")

# Bin by bin as in the paper: 32 of width 1, 32 of 2, 32 of 4, and the last 32 bins in 4 groups.
GROUPS = (
    [[k] for k in range(32)]
    + [[k, k + 1] for k in range(32, 96, 2)]
    + [[k, k + 1, k + 2, k + 3] for k in range(96, 224, 4)]
    + [list(range(k, k + 8)) for k in range(224, 256, 8)]
)


def noise(samples, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, samples)


def decibel(difference, reference):
    return 20 * np.log10(np.linalg.norm(difference) / np.linalg.norm(reference))


def features_by_the_book(x, squared_curve, compression):
    """The formula, step by step, with none of the module's functions: librosa's A-curve, a DFT
    matrix, a Hamming window written out, and a mean for each group."""
    f = np.fft.rfftfreq(len(x), 1 / 8000)
    curve_db = librosa.A_weighting(np.maximum(f, 100)) - librosa.A_weighting(1000)
    y = np.fft.irfft(np.fft.rfft(x) * 10 ** (curve_db * (1 + squared_curve) / 20), len(x))
    n = np.arange(256)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * n / 255)
    dft = np.exp(-2j * np.pi * np.outer(np.arange(256), n) / 512)
    starts = range(0, len(x) - 256 + 1, 64)
    spectra = np.abs([dft @ (window * y[s : s + 256]) for s in starts])
    return np.array([[row[bins].mean() for bins in GROUPS] for row in spectra]) ** compression


@pytest.mark.parametrize(
    "preset, squared_curve, compression",
    [("paper", False, 1.0), ("original-2017", True, 1.0), ("default", False, 0.5)],
)
@pytest.mark.parametrize("samples", [256, 319, 320, 2001])
def test_features_are_the_formula_of_the_paper(preset, squared_curve, compression, samples):
    x = noise(samples)
    wanted = features_by_the_book(x, squared_curve, compression)
    features = extract_features(x, FeatureConfig.preset(preset))
    assert features.dtype == np.float32 and features.shape == wanted.shape
    assert np.abs(features - wanted).max() < 1e-5 * wanted.max()
    assert decibel(features - wanted, wanted) < -100


def test_the_curve_is_0_db_at_1_khz_and_minus_19_db_at_and_below_100_hz():
    gain_db = 20 * np.log10(a_weighting(np.array([1000.0, 100.0, 99.0, 20.0, 0.0])))
    np.testing.assert_allclose(gain_db, [0, -19.1, -19.1, -19.1, -19.1], atol=0.05)
    assert np.ptp(gain_db[1:]) == 0
    np.testing.assert_allclose(2 * gain_db[1], -38.3, atol=0.05)  # the curve of 2017


def test_the_curve_is_librosas_above_100_hz():
    f = np.linspace(100, 4000, 500)
    np.testing.assert_allclose(20 * np.log10(a_weighting(f)), librosa.A_weighting(f), atol=0.01)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("samples", [256, 1001, 4000])
def test_weighting_can_be_undone(preset, samples):
    config, x = FeatureConfig.preset(preset), noise(samples)
    np.testing.assert_allclose(unweight(weight(x, config), config), x, atol=1e-12)


LEVELS = st.sampled_from([1e-30, 1e-12, 1.0, 1e12, 1e30])


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 3000), LEVELS, st.sampled_from(PRESETS))
def test_weighting_of_any_length_and_level_can_be_undone(samples, level, preset):
    config, x = FeatureConfig.preset(preset), level * noise(samples, samples)
    np.testing.assert_allclose(unweight(weight(x, config), config), x, atol=1e-12 * level)


@settings(derandomize=True, deadline=None)
@given(
    st.integers(0, 1200),
    LEVELS,
    st.sampled_from(PRESETS),
    st.sampled_from([np.float32, np.float64]),
)
def test_a_waveform_of_any_length_and_level_has_features_or_is_refused(
    samples, level, preset, dtype
):
    config, x = FeatureConfig.preset(preset), (level * noise(samples, samples)).astype(dtype)
    if samples < 256:
        with pytest.raises(ValueError, match=rf"\({samples},\) has no frame: give .* at least 256"):
            extract_features(x, config)
        return
    features = extract_features(x, config)
    assert features.shape == ((samples - 256) // 64 + 1, 100) and features.dtype == np.float32
    assert np.isfinite(features).all() and (features >= 0).all()
    wanted = extract_features(noise(samples, samples), config) * level**config.compression
    np.testing.assert_allclose(features, wanted, rtol=1e-3)


@settings(derandomize=True, deadline=None)
@given(st.integers(256, 5000))
def test_there_are_as_many_frames_as_whole_windows_fit(samples):
    frames = (samples - 256) // 64 + 1
    assert extract_features(noise(samples), PAPER).shape == (frames, 100)


def test_the_spectrogram_is_librosas():
    x = noise(3000)
    padded = np.pad(x, 128)  # librosa centres the window in its 512 points
    spectra = librosa.stft(
        padded, n_fft=512, hop_length=64, win_length=256, window=np.hamming(256), center=False
    )
    np.testing.assert_allclose(magnitude_spectrogram(x, PAPER), np.abs(spectra).T, atol=1e-10)


def test_the_spectrogram_is_scipys():
    x = noise(3000)
    window = np.hamming(256)
    _, _, spectra = scipy.signal.stft(
        x, window=window, noverlap=192, nperseg=256, nfft=512, boundary=None, padded=False
    )
    wanted = np.abs(spectra).T * window.sum()  # SciPy divides by it
    np.testing.assert_allclose(magnitude_spectrogram(x, PAPER), wanted, atol=1e-10)


def test_a_shift_by_one_hop_is_a_shift_by_one_frame():
    x = noise(3000)
    np.testing.assert_array_equal(
        magnitude_spectrogram(x[64:], PAPER), magnitude_spectrogram(x, PAPER)[1:]
    )


def test_a_long_signal_in_blocks_is_the_same_as_in_one_go():
    x = noise(64 * 8199 + 256)  # 8200 frames: blocks of 4096, 4096 and 8
    whole = reduce_magnitudes(magnitude_spectrogram(weight(x, PAPER), PAPER))
    np.testing.assert_array_equal(extract_features(x, PAPER), whole.astype(np.float32))


def test_100_groups_cover_256_bins_once():
    assert len(GROUP_WIDTHS) == len(GROUPS) == 100
    assert [len(bins) for bins in GROUPS] == GROUP_WIDTHS.tolist()
    assert sum(GROUPS, []) == list(range(256))


def test_expanding_is_the_pseudo_inverse_of_reducing():
    reduce, expand = reduce_magnitudes(np.eye(256)), expand_magnitudes(np.eye(100))
    assert expand.shape == (100, 257)
    np.testing.assert_allclose(expand[:, :256], np.linalg.pinv(reduce), atol=1e-12)
    np.testing.assert_array_equal(expand[:, 256], expand[:, 255])  # 4 kHz repeats its neighbour
    np.testing.assert_array_equal(reduce_magnitudes(expand), np.eye(100))


@pytest.mark.parametrize("preset", PRESETS)
def test_features_give_their_own_amplitudes_back(preset):
    config = FeatureConfig.preset(preset)
    features = extract_features(noise(1000), config)
    amplitudes = features_to_amplitudes(features, config)
    np.testing.assert_allclose(amplitudes**config.compression, features, rtol=1e-6)
    np.testing.assert_array_equal(features_to_amplitudes(-features, config), 0)


@pytest.mark.parametrize(
    "preset, gain", [("paper", 2), ("original-2017", 2), ("default", np.sqrt(2))]
)
def test_twice_the_amplitude_is_twice_the_feature_or_its_root(preset, gain):
    config, x = FeatureConfig.preset(preset), noise(1000)
    twice = extract_features(2 * x, config)
    np.testing.assert_allclose(twice, gain * extract_features(x, config), rtol=1e-6)


def test_a_waveform_in_single_precision_or_in_integers_is_computed_with_in_double():
    for x in (noise(1000).astype(np.float32), (1000 * noise(1000)).astype(np.int16)):
        wanted = extract_features(x.astype(np.float64), PAPER)
        np.testing.assert_array_equal(extract_features(x, PAPER), wanted)
        np.testing.assert_array_equal(extract_features(x.tolist(), PAPER), wanted)


def test_features_repeat_bit_for_bit_and_leave_the_waveform_alone():
    x = noise(1000)
    np.testing.assert_array_equal(extract_features(x, PAPER), extract_features(x, PAPER))
    np.testing.assert_array_equal(x, noise(1000))


@pytest.mark.parametrize(
    "waveform, sentence",
    [
        (noise(255), r"\(255,\) has no frame: give one channel of at least 256 samples \(32 ms\)"),
        ([], r"\(0,\) has no frame"),
        (noise(2000).reshape(1000, 2), r"\(1000, 2\) has no frame: give one channel"),
        (
            np.append(noise(300), np.nan),
            "^the waveform holds NaN or infinite samples: repair or cut",
        ),
        (np.append(noise(300), -np.inf), "NaN or infinite samples"),
    ],
)
def test_a_waveform_without_features_is_refused(waveform, sentence):
    with pytest.raises(ValueError, match=sentence):
        extract_features(waveform, PAPER)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_config_survives_json(preset):
    config = FeatureConfig.preset(preset)
    assert FeatureConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_config_is_written_as_it_always_was():
    """What runs and corpora keep: they are read again, and compared, for years."""
    assert json.dumps(FeatureConfig().to_dict()) == (
        '{"name": "default", "sample_rate": 8000, "window": 256, "hop": 64, "fft": 512, '
        '"weighting_power": 1, "compression": 0.5, "normalisation": "whitened innovations"}'
    )


def test_a_config_is_as_its_settings_are_and_has_the_papers_transform():
    assert {FeatureConfig.preset(p) for p in PRESETS for _ in range(2)} == {
        FeatureConfig(p, **features.PRESETS[p]) for p in PRESETS
    }
    assert PAPER != FeatureConfig.preset("default")
    for name in ("sample_rate", "window", "hop", "fft", "bins", "shape", "middle"):
        assert getattr(PAPER, name) == getattr(STFT(), name)
    np.testing.assert_array_equal(PAPER.taper, np.hamming(256))


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("shape", ["hamming", "hann"])
@pytest.mark.parametrize("window", [4, 255, 1024])
def test_a_window_is_scipys_and_its_middle_is_where_it_is_symmetric(shape, window, periodic):
    stft = STFT(22050, window, 2, 1024, shape, periodic)
    wanted = scipy.signal.get_window(shape, window, fftbins=periodic)
    np.testing.assert_allclose(stft.taper, wanted, atol=1e-15)
    offsets = np.arange(window) - stft.middle
    heard = np.interp(-offsets, offsets, stft.taper)
    np.testing.assert_allclose(heard[periodic:], stft.taper[periodic:], atol=1e-12)


@pytest.mark.parametrize(
    "setting, sentence",
    [
        ({"sample_rate": 0}, "^the sample rate is 0: give it in Hz, above 0$"),
        ({"sample_rate": np.nan}, "^the sample rate is nan"),
        ({"window": 3}, "^the window is 3: give whole samples, at least 4$"),
        ({"window": 256.0}, "^the window is 256.0: give whole samples"),
        ({"hop": 0}, "^the hop is 0: give whole samples, from 1 to half the window's 256, for"),
        ({"hop": 129}, "^the hop is 129"),
        ({"hop": 64.5}, "^the hop is 64.5"),
        ({"fft": 255}, "^the transform has 255 points: give a whole number, at least the window's"),
        ({"shape": "kaiser"}, "^there is no window 'kaiser'; choose one of hamming, hann$"),
    ],
)
def test_a_transform_that_cannot_be_is_refused(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        STFT(**setting)


def test_the_least_and_the_most_that_a_transform_can_have():
    assert STFT(window=4, hop=2, fft=4).bins == 3
    assert STFT(44100.0, np.int64(256), np.int64(1), 256).bins == 129


def test_the_presets_are_the_three_of_the_project():
    assert FeatureConfig() == FeatureConfig.preset("default")
    table = {p: list(FeatureConfig.preset(p).to_dict().values()) for p in PRESETS}
    timing = [8000, 256, 64, 512]
    assert table == {
        "paper": ["paper", *timing, 1, 1.0, "maximum"],
        "original-2017": ["original-2017", *timing, 2, 1.0, "maximum"],
        "default": ["default", *timing, 1, 0.5, "whitened innovations"],
    }
    with pytest.raises(ValueError, match="no preset 'mel'; choose one of paper, original-2017"):
        FeatureConfig.preset("mel")


def test_settings_of_another_pipeline_are_refused():
    good = PAPER.to_dict()
    incomplete = {name: good[name] for name in good if name != "compression"}
    for other in [good | {"hop": 128}, good | {"mel": 1}, incomplete, None, []]:
        with pytest.raises(
            ValueError, match="^these feature settings were made by another version"
        ):
            FeatureConfig.from_dict(other)


def test_a_second_is_125_frames():
    assert PAPER.frames_per_second == 125
    assert [PAPER.frames(s) for s in (1, 0.5, 0.02, 0)] == [125, 62, 2, 1]


def walks(count=3, m=4):
    """Random walks whose innovations have a covariance far from the identity."""
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(m, m)) * [1, 3, 0.3, 2][:m]
    return [np.cumsum(rng.normal(size=(200 + i, m)) @ mixing, axis=0) + 50 for i in range(count)]


NORMALISERS = {
    "identity": lambda x: Normaliser.identity(4),
    "maximum": Normaliser.maximum,
    "whitened innovations": Normaliser.whitened_innovations,
}


@pytest.mark.parametrize("name", NORMALISERS)
def test_normalising_can_be_undone(name):
    sequences = walks()
    normaliser = NORMALISERS[name](iter(sequences))  # once through is enough
    for x in sequences:
        z = normaliser.transform(x)
        assert z.dtype == np.float32
        assert normaliser.invert(z).dtype == np.float32
        np.testing.assert_allclose(normaliser.invert(z), x, atol=1e-5 * np.abs(x).max())
    np.testing.assert_allclose(normaliser.matrix @ normaliser.inverse, np.eye(4), atol=1e-12)


def test_identity_changes_nothing():
    x = walks()[0]
    np.testing.assert_array_equal(Normaliser.identity(4).transform(x), x.astype(np.float32))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_maximum_of_the_whole_corpus_becomes_1(sign):
    sequences = [sign * x for x in walks()]
    normaliser = Normaliser.maximum(sequences)
    assert max(np.abs(normaliser.transform(x)).max() for x in sequences) == 1
    np.testing.assert_array_equal(normaliser.transform(np.zeros(4)), 0)  # silence stays silence


def test_whitened_innovations_have_unit_covariance_and_the_frames_no_mean():
    sequences = walks()
    normaliser = Normaliser.whitened_innovations(sequences)
    z = [normaliser.transform(x).astype(np.float64) for x in sequences]
    innovations = np.concatenate([np.diff(x, axis=0) for x in z])
    np.testing.assert_allclose(innovations.T @ innovations / len(innovations), np.eye(4), atol=1e-4)
    np.testing.assert_allclose(np.concatenate(z).mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(normaliser.matrix, normaliser.matrix.T, atol=1e-12)  # ZCA
    assert normaliser.matrix.dtype == np.float32


@pytest.mark.parametrize("together", [2, 3])
def test_of_frames_together_the_innovation_is_what_a_linear_prediction_leaves(together):
    """The oracle: rows of so many frames, and least squares from one row to the next."""
    sequences = walks()  # of 200, 201 and 202 frames: a rest that fills no row is left out
    normaliser = Normaliser.whitened_innovations(iter(sequences), together)
    rows = [x[: len(x) // together * together].reshape(-1, 4 * together) for x in sequences]
    before = np.concatenate([x[:-1] for x in rows])
    after = np.concatenate([x[1:] for x in rows])
    left = after - before @ np.linalg.lstsq(before, after)[0]
    z = left @ normaliser.matrix.astype(float)
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(4 * together), atol=1e-3)
    np.testing.assert_allclose(normaliser.offset, np.concatenate(rows).mean(axis=0))


def test_of_frames_together_one_that_never_moves_is_not_blown_up():
    x = np.random.default_rng(2).normal(size=(500, 4)) * [1, 1, 1, 0]
    normaliser = Normaliser.whitened_innovations([x], 2, floor=0.01)
    assert np.isfinite(normaliser.matrix).all()
    np.testing.assert_allclose(np.diag(normaliser.matrix)[[3, 7]], 10 / np.sqrt(0.75), rtol=0.05)


@pytest.mark.parametrize("name", ["maximum", "whitened innovations"])
@pytest.mark.parametrize("level", [1e-4, 1e4])
def test_the_level_of_a_corpus_does_not_matter(name, level):
    normaliser, louder = (NORMALISERS[name]([g * x for x in walks()]) for g in (1, level))
    x = walks()[0]
    np.testing.assert_allclose(louder.transform(level * x), normaliser.transform(x), rtol=1e-3)


def test_a_corpus_in_half_precision_is_summed_up_in_double():
    sequences = [(x + 20000).astype(np.float16) for x in walks()]  # sums of squares overflow
    wanted = Normaliser.whitened_innovations([x.astype(float) for x in sequences])
    found = Normaliser.whitened_innovations(sequences)
    np.testing.assert_array_equal(found.matrix, wanted.matrix)
    np.testing.assert_array_equal(found.offset, wanted.offset)


@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize("name", ["maximum", "whitened innovations"])
def test_a_recording_of_many_hours_is_normalised_by_parts(monkeypatch, name, together):
    whole = NORMALISERS[name](walks(), together=together)
    monkeypatch.setattr(features, "ROWS", 20)
    parts = NORMALISERS[name](walks(), together=together)
    np.testing.assert_allclose(parts.matrix, whole.matrix, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(parts.offset, whole.offset, rtol=1e-9)


@pytest.mark.parametrize(
    "changed",
    [
        {"weighting_power": 3},
        {"name": 5},
        {"compression": 0},
        {"compression": 1.5},
        {"normalisation": "none"},
    ],
)
def test_settings_that_no_features_have_are_refused(changed):
    sentence = "there are no features with these settings; choose a preset"
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        FeatureConfig(**changed)


def test_parts_overlap_and_are_whole_in_multiples_of_the_overlap(monkeypatch):
    monkeypatch.setattr(features, "ROWS", 8)
    x = np.arange(20)[:, None]
    assert [list(part[:, 0]) for part in features.parts(x, 3)] == [
        [*range(6)],
        [*range(3, 12)],
        [*range(9, 18)],
        [*range(15, 20)],
    ]
    assert [list(part[:, 0]) for part in features.parts(x)] == [
        [*range(8)],
        [*range(8, 16)],
        [*range(16, 20)],
    ]
    assert [len(part) for part in features.parts(x[:8])] == [8]
    assert [len(part) for part in features.parts(x[:0], 3)] == [0]


def test_a_feature_that_never_moves_is_not_blown_up():
    x = np.random.default_rng(2).normal(size=(500, 4)) * [1, 1, 1, 0]
    normaliser = Normaliser.whitened_innovations([x], floor=0.01)
    variances = np.var(np.diff(x, axis=0), axis=0)
    np.testing.assert_allclose(normaliser.matrix[3, 3] ** -2, 0.01 * variances.mean(), rtol=0.01)


@pytest.mark.parametrize("name", ["maximum", "whitened innovations"])
def test_a_corpus_of_silence_stays_finite(name):
    normaliser = NORMALISERS[name]([np.zeros((5, 4))])
    np.testing.assert_array_equal(normaliser.transform(np.zeros((5, 4))), 0)
    assert np.isfinite(normaliser.matrix).all() and np.isfinite(normaliser.log_volume)


@pytest.mark.parametrize("name", NORMALISERS)
def test_log_volume_is_the_log_determinant_of_the_map(name):
    normaliser = NORMALISERS[name](walks())
    jacobian = normaliser.transform(np.eye(4)).astype(float) - normaliser.transform(np.zeros(4))
    np.testing.assert_allclose(
        np.log(abs(np.linalg.det(jacobian))), normaliser.log_volume, atol=1e-3
    )


@pytest.mark.parametrize("name", ["maximum", "whitened innovations"])
def test_a_density_of_z_with_log_volume_is_a_density_of_x(name):
    normaliser = NORMALISERS[name]([x[:, :1] for x in walks()])
    x = normaliser.invert(np.linspace(-8, 8, 4001)[:, None]).astype(float)
    z = normaliser.transform(x)[:, 0].astype(float)
    density = np.exp(-(z**2) / 2 + normaliser.log_volume) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(scipy.integrate.trapezoid(density, x[:, 0]), 1, atol=1e-4)
