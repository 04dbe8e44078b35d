"""The measures of what was generated are what a pencil says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmc_helpers import analysis, sequences
from cmc_helpers.audio import read_audio
from cmc_helpers.corpora import sample_path
from cmc_helpers.features import FeatureConfig, extract_features, features_to_amplitudes

CONFIG = FeatureConfig()


def test_deviation_is_the_mean_and_the_largest_absolute_difference():
    mean, largest = analysis.deviation([[1.5, 0.0], [0.0, 0.75]], [[1.0, 0.0], [0.0, 1.0]])
    assert (mean, largest) == (0.75 / 4, 0.5)
    assert type(mean) is type(largest) is float


def test_errors_of_opposite_sign_do_not_cancel():
    assert analysis.deviation([[-1.0, 1.0]], [[0.0, 0.0]]) == (1.0, 1.0)


def test_a_perfect_walk_that_is_one_line_late_is_off_by_two_numbers_of_seven():
    walk = sequences.cyclic(8)
    assert analysis.deviation(walk[:7], walk[1:]) == pytest.approx((2 / 7, 1.0))


def test_what_is_equal_does_not_deviate():
    assert analysis.deviation(np.ones((3, 2), np.float32), np.ones((3, 2))) == (0.0, 0.0)


def test_nan_does_not_pass_for_a_small_deviation():
    assert np.isnan(analysis.deviation([[np.nan, 0.0]], [[0.0, 0.0]])).all()


def test_the_paper_s_figure_4_deviates_by_0_0076_and_0_032():
    """The first and the worst of its 13 lines stand for the others; their ideal is a one."""
    first = [1.0068, 0.0204, -0.0099, -0.0236, 0.0056, -0.0023, 0.0033]
    worst = [0.0092, 0.0058, 0.9962, 0.0065, 0.0132, -0.0041, -0.0323]
    mean, largest = analysis.deviation([first, worst], sequences.cyclic(3)[[0, 2]])
    assert mean == pytest.approx(0.1468 / 14, abs=1e-4)
    assert largest == pytest.approx(0.0323)


def noise(frames, seed=0, m=100):
    return np.random.default_rng(seed).exponential(size=(frames, m))


def test_flux_is_the_relative_change():
    np.testing.assert_allclose(analysis.flux([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0]]), [0.0, 1.0])
    np.testing.assert_allclose(analysis.flux([[0.0], [0.0], [2.0], [3.0]]), [0.0, np.inf, 0.5])
    x = noise(50)
    np.testing.assert_allclose(analysis.flux(7 * x), analysis.flux(x))


def recording():
    features = extract_features(read_audio(sample_path("bach_prelude.flac"), 8000), CONFIG)
    return features_to_amplitudes(features, CONFIG).astype(float)


def slow_decay(per_second):
    return noise(1)[0] * per_second ** (np.arange(1500)[:, None] / 125)


@pytest.mark.parametrize(
    "wanted, clip",
    [
        ("alive", noise(1500)),
        ("alive", recording()[:2500]),
        ("frozen", np.repeat(noise(1), 1500, axis=0)),
        ("frozen", np.concatenate([noise(700), np.repeat(noise(1), 800, axis=0)])),
        ("alive", np.concatenate([np.repeat(noise(1), 800, axis=0), noise(700)])),
        ("frozen", slow_decay(0.7)),
        ("alive", slow_decay(0.01)[:650]),  # it is dying: 4 % from frame to frame
        ("silent", slow_decay(0.01)),
        ("silent", np.concatenate([noise(700), 1e-4 * noise(800)])),
        ("silent", np.zeros((1500, 100))),
        ("cycling", np.tile(noise(2), (750, 1))),
        ("cycling", np.tile(noise(50), (30, 1))),
        ("cycling", np.tile(noise(300), (5, 1)) * (1 + 1e-3 * noise(1500, seed=1))),
        ("alive", np.tile(noise(400), (4, 1))),  # longer than half of what is looked at
    ],
)
def test_the_fate_of_clips_whose_fate_is_known(wanted, clip):
    assert analysis.fate(clip) == wanted
    assert analysis.fate(1e3 * clip) == wanted  # it is no matter of level


def test_what_is_not_finite_is_unbounded():
    clip = noise(700)
    clip[300, 7] = np.inf
    assert analysis.fate(clip) == "unbounded"


@pytest.mark.parametrize("known", [2, 3, 50, 301])
def test_a_period_that_is_known_is_found(known):
    clip = np.tile(noise(known), (-(-1250 // known), 1))[:1250]
    assert analysis.period(clip) == known
    assert analysis.period(clip * (1 + 0.005 * noise(1250, seed=1))) == known
    assert analysis.period(clip * (1 + 0.1 * noise(1250, seed=1))) is None


def test_noise_music_and_what_is_heard_once_have_no_period():
    assert analysis.period(noise(1250)) is None
    assert analysis.period(recording()[:1250]) is None
    assert analysis.period(np.tile(noise(700), (2, 1))[:1250]) is None


@given(st.integers(4, 60), st.integers(1, 5), st.integers(0, 1000))
def test_the_period_is_what_every_distance_says(n, m, seed):
    rng = np.random.default_rng(seed)
    clip = np.tile(rng.random((rng.integers(2, n), m)), (n, 1))[:n]
    level = np.sqrt(np.square(clip).sum(axis=1).mean())
    near = [
        p
        for p in range(2, n // 2)
        if np.sqrt(np.square(clip[p:] - clip[:-p]).sum(axis=1).mean()) < 0.02 * level
    ]
    assert analysis.period(clip) == (near[0] if near else None)


def still(frames, seed=2):
    return np.repeat(noise(1, seed), frames, axis=0)


@pytest.mark.parametrize(
    "clip, died, escapes, end",
    [
        (noise(2000), None, 0, "alive"),
        (recording()[:2500], None, 0, "alive"),
        (still(2000), 0, 0, "frozen"),
        (np.concatenate([noise(500), still(1500)]), 4, 0, "frozen"),
        (np.concatenate([noise(500), still(1000), noise(1000, 3)]), 4, 1, "alive"),
        (np.concatenate([still(1000), noise(1000), still(1000), noise(1000, 3)]), 0, 2, "alive"),
        (np.concatenate([noise(1000), np.tile(noise(50, 4), (30, 1))]), 8, 0, "cycling"),
    ],
)
def test_when_a_clip_dies_and_how_often_it_escapes(clip, died, escapes, end):
    life = analysis.life(clip)
    assert (life.died, life.escapes, life.fates[-1]) == (died, escapes, end)
    assert len(life.fates) == len(clip) // 125 - 4
    with pytest.raises(ValueError, match="has no fate yet"):
        analysis.life(clip[:600])


def test_the_fate_of_a_short_clip_is_not_guessed():
    with pytest.raises(ValueError, match="a clip of 600 frames has no fate yet: give 625"):
        analysis.fate(noise(600))


@pytest.mark.parametrize("rate", [1, 2, 4])
def test_onsets_are_counted(rate):
    seconds = np.arange(1250) / 125
    since = seconds % (1 / rate)
    clip = np.exp(-4 * since)[:, None] * noise(1)
    assert analysis.onsets_per_second(clip) == pytest.approx(rate, abs=0.2)


def clips(count, seed, correlation=0.0, m=20):
    """Noise whose square roots hang together over time, always as loud and with the same steps."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        z = rng.normal(size=(2504, m))
        z = sum(correlation**lag * z[4 - lag : len(z) - lag] for lag in range(5))
        made.append((5 + 0.1 * z / np.diff(z, axis=0).std()) ** 2)
    return made


@pytest.mark.parametrize("scale", analysis.SCALES)
def test_a_judge_cannot_tell_two_halves_of_one_kind_apart(scale):
    assert abs(analysis.two_sample_accuracy(clips(6, 0), clips(6, 1), scale) - 0.5) < 0.12


def test_a_judge_of_texture_hears_what_one_of_steps_and_spectra_does_not():
    white, red = clips(6, 0), clips(6, 1, correlation=0.9)
    assert analysis.two_sample_accuracy(white, red, "texture") > 0.95
    assert analysis.two_sample_accuracy(white, red, "steps") < 0.8
    assert analysis.two_sample_accuracy(white, red, "spectrum") < 0.8


def test_every_judge_tells_music_from_noise():
    music = np.array_split(recording(), 6)
    other = [0.02 * noise(len(clip), seed) for seed, clip in enumerate(music)]
    for scale in analysis.SCALES:
        assert analysis.two_sample_accuracy(music, other, scale) > 0.9, scale


def test_a_judge_is_asked_for_what_there_is():
    with pytest.raises(ValueError, match="no scale 'taste'; choose one of spectrum, movement"):
        analysis.two_sample_accuracy(clips(2, 0), clips(2, 1), "taste")
    with pytest.raises(ValueError, match="two clips of each kind"):
        analysis.two_sample_accuracy(clips(2, 0), clips(1, 1), "steps")


def music(seed, seconds=6):
    """Something that changes all the time: amplitudes (T, 20)."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.random((seconds * 16, 20)), 8, axis=0)


def test_a_second_that_was_copied_is_found_where_it_stands_whatever_its_gain():
    pieces = [music(1), music(2), music(3)]
    clip = 0.3 * pieces[2][128:248]
    found = analysis.nearest([clip], pieces)
    assert found.distances.shape == (1,) and found.distances[0] < 1e-3
    assert (found.pieces[0], found.starts[0]) == (2, 128)


def test_what_was_not_copied_is_further_away():
    found = analysis.nearest([music(4)], [music(1), music(2)])
    assert found.distances.shape == (6,)
    assert np.all((0.2 < found.distances) & (found.distances < 1))


def test_the_nearest_distance_is_the_least_over_all_starts_and_gains():
    """The oracle: every start by hand, and the best gain by least squares."""
    clip, piece = music(5, 2)[:120], music(6, 3)

    def blocks(x):
        return np.sqrt(x).reshape(15, 8, 20).mean(axis=1).ravel()

    q, wanted = blocks(clip), []
    for start in range(0, len(piece) - 119, 4):
        t = blocks(piece[start : start + 120])
        gain = np.linalg.lstsq(t[:, None], q, rcond=None)[0]
        wanted.append(np.linalg.norm(q - gain * t) / np.linalg.norm(q))
    found = analysis.nearest([clip], [piece])
    assert found.distances[0] == pytest.approx(min(wanted), abs=1e-4)
    assert found.starts[0] == 4 * int(np.argmin(wanted))


def test_clips_are_asked_second_by_second_and_short_pieces_left_out():
    found = analysis.nearest([music(1)[:250], music(2)[:130]], [music(3)[:50], music(3)])
    assert found.distances.shape == (3,)
    assert set(found.pieces) == {1}


def test_silence_is_nearest_to_nothing():
    found = analysis.nearest([np.zeros((120, 20))], [music(1)])
    assert found.distances[0] == 1.0


@pytest.mark.parametrize(
    ("clips", "pieces", "words"),
    [
        ([np.ones((119, 20))], [np.ones((500, 20))], "the clips hold no second"),
        ([], [np.ones((500, 20))], "the clips hold no second"),
        ([np.ones((120, 20))], [np.ones((119, 20))], "no piece lasts a second"),
        ([np.ones((120, 20))], [], "no piece lasts a second"),
    ],
)
def test_too_little_to_compare_is_one_sentence(clips, pieces, words):
    with pytest.raises(ValueError, match=words):
        analysis.nearest(clips, pieces)
