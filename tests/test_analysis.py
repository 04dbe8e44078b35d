"""The measures of what was generated are what a pencil says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmc_helpers import analysis, sequences
from cmc_helpers.audio import read_audio
from cmc_helpers.corpora import sample_path
from cmc_helpers.features import FeatureConfig, extract_features, features_to_amplitudes
from cmc_helpers.scores.instruments import Note, piano

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
    np.testing.assert_allclose(analysis.flux([[0.0], [0.0], [0.2], [0.3]]), [0.0, np.inf, 0.5])
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


def test_numbers_may_be_integers_or_lists():
    clip = np.random.default_rng(0).integers(1, 200, (40, 3)).astype(np.uint8)
    np.testing.assert_array_equal(analysis.flux(clip), analysis.flux(clip.astype(float)))
    assert analysis.period(np.tile(clip, (5, 1))) == 40
    assert analysis.fate(np.tile(clip, (40, 1)).tolist()) == "cycling"


def test_a_period_is_one_at_any_level_and_silence_has_none():
    clip = np.tile(noise(50), (25, 1))
    assert analysis.period(1e-6 * clip) == analysis.period(1e6 * clip) == 50
    assert analysis.period(np.zeros((1250, 100))) is None


@pytest.mark.parametrize("change, wanted", [(0.0095, 500), (0.0125, None)])
def test_a_repetition_may_differ_by_2_percent(change, wanted):
    """The clip is heard softer, louder, softer; the distance is twice the change."""
    level = 1 + change * (-1.0) ** (np.arange(1250) // 500)
    assert analysis.period(np.tile(noise(500), (3, 1))[:1250] * level[:, None]) == wanted


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


def lively(frames, seed=0):
    """Noise that plays other notes every half second."""
    numbers = np.random.default_rng(seed).uniform(size=(frames // 62 + 1, 100)) ** 4
    return noise(frames, seed) * np.repeat(numbers, 62, axis=0)[:frames]


def still(frames, seed=2):
    return np.repeat(noise(1, seed), frames, axis=0)


@pytest.mark.parametrize(
    "clip, died, escapes, end",
    [
        (noise(2000), 0, 0, "humming"),
        (lively(2000), None, 0, "alive"),
        (recording()[:2500], None, 0, "alive"),
        (still(2000), 0, 0, "frozen"),
        (np.concatenate([lively(500), still(1500)]), 4, 0, "frozen"),
        (np.concatenate([lively(500), still(1000), lively(1000, 3)]), 4, 1, "alive"),
        (np.concatenate([still(1000), lively(1000), still(1000), lively(1000, 3)]), 0, 2, "alive"),
        (np.concatenate([lively(1000), np.tile(noise(50, 4), (30, 1))]), 8, 0, "cycling"),
    ],
)
def test_when_a_clip_dies_and_how_often_it_escapes(clip, died, escapes, end):
    life = analysis.life(clip)
    assert (life.escapes, life.fates[-1]) == (escapes, end)
    assert life.died == (died if died is None else pytest.approx(died, abs=1))
    assert len(life.fates) == len(clip) // 125 - 4
    assert len(analysis.life(clip[:749]).fates) == 1  # a rest that fills no second
    with pytest.raises(ValueError, match="has no fate yet"):
        analysis.life(clip[:600])


def test_seconds_have_as_many_frames_as_is_said():
    """At 50 frames a second 250 are enough, and what the last five seconds hold decides."""
    clip = np.concatenate([lively(300), still(250), lively(50, 3)])
    assert analysis.fate(clip[:550], 50) == "frozen"
    assert analysis.fate(clip[:500], 50) == "alive"
    assert analysis.life(clip, 50) == (["alive"] * 6 + ["frozen", "alive"], 6, 1)
    with pytest.raises(ValueError, match="a clip of 249 frames has no fate yet: give 250"):
        analysis.fate(clip[:249], 50)
    with pytest.raises(ValueError, match="a clip of 249 frames has no fate yet: give 250"):
        analysis.life(clip[:249], 50)
    assert analysis.life(clip[:250], 50) == (["alive"], None, 0)


def painted(clip, share, seed=0):
    """A clip with noise on its output, as wide as that share of the steps of real music."""
    features = np.sqrt(recording())
    steps = np.diff(features, axis=0).std(axis=0)
    noisy = np.sqrt(clip) + share * steps * np.random.default_rng(seed).normal(size=clip.shape)
    return np.maximum(noisy, 0) ** 2


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 1.0])
def test_noise_that_is_painted_on_a_dead_clip_and_never_fed_back_is_no_life(share):
    music = recording()
    for clip in (
        np.repeat(music[400:401], 1250, axis=0),  # frozen
        np.tile(music[400:404], (313, 1)),  # cycling, as `bach-mse` does
        np.tile(music[400:600], (7, 1)),  # over and over, each 1.6 s
    ):
        assert analysis.fate(clip) in ("frozen", "cycling")
        assert analysis.musical_fate(painted(clip, share)) in ("frozen", "cycling", "humming")
        assert "alive" not in analysis.life(painted(clip, share)).fates
    assert analysis.musical_fate(painted(music[:1250], share)) == "alive"


def test_all_that_is_dead_to_one_is_dead_to_the_other_and_music_is_alive():
    for clip in (still(700), np.tile(noise(50), (30, 1)), np.zeros((700, 100))):
        assert analysis.musical_fate(clip) == analysis.fate(clip) != "alive"
    music = recording()
    for start in range(0, len(music) - 625, 125):
        assert analysis.musical_fate(music[start : start + 625]) == "alive"


def test_the_change_of_seconds_is_that_of_their_mean_roots():
    levels = np.repeat([1.0, 4.0, 4.0, 0.0, 9.0], 125)[:, None] * np.ones((1, 3))
    np.testing.assert_allclose(analysis.seconds_change(levels), [1, 0, 1, np.inf])
    assert len(analysis.seconds_change(levels[:624])) == 3
    np.testing.assert_allclose(analysis.seconds_change(levels[:500], 250), [1 / 3])


@pytest.mark.parametrize("below, wanted", [(0.9e-3, "silent"), (1.1e-3, "alive")])
def test_silent_is_60_db_below_the_loudest_second(below, wanted):
    numbers = 1 + 0.3 * noise(1, m=500)  # as loud in every frame, but never the same
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(500), (875, 1)), axis=1)
    level = np.repeat([1, below], [125, 750])  # the first second is the loudest
    clip = level[:, None] * numbers[0, orders]
    assert analysis.fate(clip) == wanted


@pytest.mark.parametrize("change, wanted", [(0.019, "frozen"), (0.021, "alive")])
@pytest.mark.parametrize("moving, still_alive", [(0.095, False), (0.105, True)])
def test_frozen_is_nine_changes_in_ten_below_2_percent(change, wanted, moving, still_alive):
    steps = np.full(1250, 1 + change)
    assert analysis.fate(np.cumprod(steps)[:, None]) == wanted
    jumps = np.random.default_rng(0).permutation(625) < moving * 624  # the first moves nothing
    clip = np.cumprod(np.where(jumps, 1.05, 1.0001))[:, None]
    assert (analysis.fate(clip) == "alive") == still_alive


def test_the_fate_of_a_short_clip_is_not_guessed():
    with pytest.raises(ValueError, match="a clip of 600 frames has no fate yet: give 625"):
        analysis.fate(noise(600))


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1, 2, 4])
def test_onsets_are_counted(rate):
    seconds = np.arange(1250) / 125
    since = seconds % (1 / rate)
    clip = np.exp(-4 * since)[:, None] * noise(1)
    assert analysis.onsets_per_second(clip) == pytest.approx(rate, abs=0.2)


def test_onsets_stand_where_the_notes_begin():
    """Of the frames of a real recording, at 125 a second: the moments are those of the notes."""
    notes = [Note(t, 0.5, pitch, 0.6) for t, pitch in ((0.3, 60), (0.9, 64), (1.7, 67), (2.1, 72))]
    config = FeatureConfig()
    clip = features_to_amplitudes(extract_features(piano(notes, 8000), config), config)
    np.testing.assert_allclose(analysis.onsets(clip), [0.3, 0.9, 1.7, 2.1], atol=0.05)


def test_onsets_are_counted_at_any_level_and_frame_rate():
    seconds = np.arange(2500) / 250
    clip = np.exp(-4 * (seconds % 0.5))[:, None] * noise(1)
    for level in (1e-2, 1, 1e6):
        assert analysis.onsets_per_second(level * clip, 250) == pytest.approx(2, abs=0.2)


def test_what_lies_60_db_below_the_loudest_is_no_onset():
    clip = np.full((1250, 100), 1e-9)
    clip[100:110] = 1
    clip[600:610] = 8e-4
    assert analysis.onsets_per_second(clip) == pytest.approx(0.1)
    clip[600:610] = 1e-2
    assert analysis.onsets_per_second(clip) == pytest.approx(0.2)


@pytest.mark.parametrize("frames_per_second", [125, 250])
def test_two_onsets_are_two_if_more_than_30_ms_lie_between(frames_per_second):
    clip, first = np.full((10 * frames_per_second, 100), 1e-3), 4 * frames_per_second
    for onset in (first, first + round(0.048 * frames_per_second)):
        clip[onset : onset + 3] = 1
    found = analysis.onsets_per_second(clip, frames_per_second)
    assert found == pytest.approx(0.2)
