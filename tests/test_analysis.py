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
    assert len(analysis.life(clip[:749]).fates) == 1  # a rest that fills no second
    with pytest.raises(ValueError, match="has no fate yet"):
        analysis.life(clip[:600])


def test_seconds_have_as_many_frames_as_is_said():
    """At 50 frames a second 250 are enough, and what the last five seconds hold decides."""
    clip = np.concatenate([noise(300), still(250), noise(50, 3)])
    assert analysis.fate(clip[:550], 50) == "frozen"
    assert analysis.fate(clip[:500], 50) == "alive"
    assert analysis.life(clip, 50) == (["alive"] * 6 + ["frozen", "alive"], 6, 1)
    with pytest.raises(ValueError, match="a clip of 249 frames has no fate yet: give 250"):
        analysis.fate(clip[:249], 50)
    with pytest.raises(ValueError, match="a clip of 249 frames has no fate yet: give 250"):
        analysis.life(clip[:249], 50)
    assert analysis.life(clip[:250], 50) == (["alive"], None, 0)


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


def seconds_of(*rows):
    """One second of one feature for each row of numbers, (n, frames, 1)."""
    return np.array(rows, float)[..., None]


def test_what_a_judge_looks_at_in_closed_form():
    t = np.arange(125)
    scales = {
        name: lambda *rows, look=look: look(seconds_of(*rows))
        for name, look in analysis.SCALES.items()
    }
    np.testing.assert_allclose(scales["spectrum"](t, 0 * t), [[62], [0]])
    blocks = np.arange(128) // 16 % 2  # means over 16 frames: 0, 1, 0, 1, 0, 1, 0, 1
    np.testing.assert_allclose(scales["movement"](blocks, np.arange(128) % 2), [[0.5], [0]])
    spread = np.sqrt(3 / 7 * 4 / 7)  # without the rest of 125 frames
    np.testing.assert_allclose(scales["movement"](blocks[:125]), [[spread]])
    np.testing.assert_allclose(
        scales["steps"](3 * t, -t % 2, 0 * t), np.log([[3], [1], [1e-5]]), atol=1e-4
    )
    zigzag, slow = t % 2, np.array([0, 0, 1, 1])[t % 4]
    texture = scales["texture"](zigzag, slow)
    np.testing.assert_allclose(texture[0], [-1, 1, -1, 1], atol=1e-6)
    np.testing.assert_allclose(texture[1], [0, -1, 0, 1], atol=0.03)
    bins = np.arange(9.0) ** 2 * np.ones((1, 125, 1))  # second differences of k² are 2
    np.testing.assert_allclose(analysis.SCALES["roughness"](-bins), 2 * np.ones((1, 7)))


def test_texture_is_that_of_each_feature_on_its_own():
    x = np.random.default_rng(0).normal(size=(3, 60, 4))
    d = np.diff(x, axis=1)
    wanted = [
        [
            (d[n, lag:, k] * d[n, :-lag, k]).mean() / (d[n, :, k] ** 2).mean()
            for lag in (1, 2, 3, 4)
            for k in range(4)
        ]
        for n in range(3)
    ]
    np.testing.assert_allclose(analysis.SCALES["texture"](x), wanted, rtol=1e-6)


def test_a_judge_is_fair_where_one_kind_is_rare_and_hears_at_any_level():
    many, few = clips(9, 0), [1.0015 * clip for clip in clips(2, 1)]
    accuracy = analysis.two_sample_accuracy(many, few, "spectrum")
    assert accuracy > 0.7
    for level in (1e-8, 1e8):
        scaled = [[level * clip for clip in kind] for kind in (many, few)]
        assert analysis.two_sample_accuracy(*scaled, "spectrum") == pytest.approx(
            accuracy, abs=0.05
        )


def test_a_judge_hears_whole_seconds_of_so_many_frames_and_negative_numbers_as_silence():
    real, made = clips(4, 0), clips(4, 1, correlation=0.9)
    wanted = analysis.two_sample_accuracy(real, made, "texture", 250)
    longer = [[np.pad(clip[:2500], ((0, 249), (0, 0))) for clip in kind] for kind in (real, made)]
    assert analysis.two_sample_accuracy(*longer, "texture", 250) == wanted
    negative = [
        [np.where(clip > 25, clip, sign * 0.0 - 5 * (sign < 0)) for clip in real]
        for sign in (1, -1)
    ]
    assert analysis.two_sample_accuracy(*negative, "spectrum") == pytest.approx(0.5, abs=0.01)


def test_a_clip_of_125_frames_is_a_second():
    real, made = ([level * clip[:125] for clip in clips(4, 0)] for level in (1, 1.2))
    assert analysis.two_sample_accuracy(real, made, "spectrum") == 1


def test_a_judge_learns_from_every_other_clip_and_is_asked_about_the_rest():
    """Clips 0, 2, … say that loud is real, clips 1, 3, … that soft is: each half misleads."""
    loud, soft = ([level * clip for clip in clips(4, 0)] for level in (1.2, 1))
    real = [loud[0], soft[1], loud[2], soft[3]]
    made = [soft[0], loud[1], soft[2], loud[3]]
    assert analysis.two_sample_accuracy(real, made, "spectrum") < 0.05


def test_a_judge_is_asked_for_what_there_is():
    with pytest.raises(ValueError, match="no scale 'taste'; choose one of spectrum, movement"):
        analysis.two_sample_accuracy(clips(2, 0), clips(2, 1), "taste")
    with pytest.raises(
        ValueError, match="^a judge needs two clips of each kind: one to learn from, one to judge$"
    ):
        analysis.two_sample_accuracy(clips(2, 0), clips(1, 1), "steps")


def music(seed, seconds=6):
    """Something that changes all the time: amplitudes (T, 20)."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.random((seconds * 16, 20)), 8, axis=0)


def test_a_second_that_was_copied_is_found_where_it_stands_whatever_its_gain():
    pieces = [music(1), music(2), music(3)]
    for where in range(3):
        for gain in (1e-9, 0.3, 1e9):
            found = analysis.nearest([gain * pieces[where][128:248]], pieces)
            assert found.distances.shape == (1,) and found.distances[0] < 1e-3
            assert (found.pieces[0], found.starts[0]) == (where, 128)


def test_of_two_seconds_as_near_the_first_is_named_and_no_distance_is_below_0():
    pieces = [music(1, 30), music(2), music(2), music(1, 30)]
    found = analysis.nearest(pieces[:2], pieces)
    assert (0 <= found.distances).all() and (found.distances < 1e-3).all()
    assert set(found.pieces[:32]) == {0} and set(found.pieces[32:]) == {1}


def test_in_a_piece_of_40_minutes_a_copy_is_as_near_at_the_end():
    piece = 0.5 + np.random.default_rng(0).random((300_000, 2))
    found = analysis.nearest([piece[-120:]], [piece])
    assert found.distances[0] < 1e-3 and found.starts[0] == 300_000 - 120


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


def test_at_another_frame_rate_a_second_has_another_length():
    piece = music(1)
    found = analysis.nearest([piece[64:128], piece[200:264]], [music(2), piece], 64)
    np.testing.assert_allclose(found.distances, 0, atol=1e-3)
    assert found.starts.tolist() == [64, 200] and found.pieces.tolist() == [1, 1]
    assert len(analysis.nearest([piece[:200]], [piece]).distances) == 1  # 120 frames, and a rest
    assert len(analysis.nearest([piece[:200]], [piece], 64).distances) == 3


def test_a_copy_at_the_end_of_a_piece_is_found_and_negative_numbers_are_silence():
    piece = music(1)
    found = analysis.nearest([piece[-120:]], [music(2), piece])
    assert found.starts[0] == len(piece) - 120
    clip = np.where(piece > 0.5, piece, 0)[-120:]
    found = analysis.nearest([clip], [np.where(piece > 0.5, piece, -piece)])
    assert found.distances[0] < 1e-3


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
