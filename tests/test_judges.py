"""Judges are fair to real music, detect what they say they look at, and know how sure they are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cmc_helpers import analysis
from cmc_helpers.analysis import judges
from cmc_helpers.analysis.judges import JUDGES, Judged, Null, two_sample_test
from cmc_helpers.audio import read_audio
from cmc_helpers.corpora import sample_path
from cmc_helpers.features import FeatureConfig, extract_features, features_to_amplitudes

CONFIG = FeatureConfig()


def clips(count, seed, correlation=0.0, m=20, seconds=20):
    """Noise whose square roots hang together over time, always as loud and with the same steps."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        z = rng.normal(size=(125 * seconds + 4, m))
        z = sum(correlation**lag * z[4 - lag : len(z) - lag] for lag in range(5))
        made.append((5 + 0.1 * z / np.diff(z, axis=0).std()) ** 2)
    return made


def views(shares, rng):
    """What a judge might see of clips: ten windows each, of which a share says what it is."""
    return [rng.normal(size=(10, 3)) + [share, 0, 0] for share in shares]


class NearerMean:
    """A classifier: which mean is nearer?"""

    def fit(self, x, y):
        self.means = np.stack([x[y == answer].mean(axis=0) for answer in (0, 1)])
        return self

    def predict(self, x):
        return np.square(x[:, None] - self.means).sum(axis=2).argmin(axis=1)


# how sure


@pytest.mark.parametrize("judge", JUDGES)
def test_a_judge_cannot_tell_two_halves_of_one_kind_apart(judge):
    found = two_sample_test(clips(8, 0), clips(8, 1), judge)
    assert found.low < 0.5 < found.high


def test_an_interval_holds_the_truth_as_often_as_it_says(monkeypatch):
    """The truth: the mean over many draws. 95 of 100, and not all: within what chance allows."""
    quick = replace(JUDGES["spectrum"], learner=NearerMean)  # 240 times five classifiers
    monkeypatch.setitem(JUDGES, "spectrum", quick)
    rng = np.random.default_rng(0)
    for difference in (0.0, 0.8):
        found = []
        for _ in range(120):
            shares = rng.normal(size=30), rng.normal(difference, size=30)
            found.append(judges.judge_views(*(views(x, rng) for x in shares), "spectrum"))
        truth = np.mean([one.accuracy for one in found])
        held = np.sum([one.low <= truth <= one.high for one in found])
        assert held >= stats.binom.ppf(0.005, 120, 0.95)
        widths = np.mean([one.high - one.low for one in found]) / 2 / 1.96
        spread = np.std([one.accuracy for one in found])
        assert spread < widths < 1.8 * spread  # wide enough, and no wider than it need be


def test_clips_are_the_witnesses_not_their_windows():
    """The same ten windows said again and again are no news."""
    rng = np.random.default_rng(1)
    shares = rng.normal(size=12), rng.normal(0.8, size=12)
    once = [views(x, np.random.default_rng(2)) for x in shares]
    again = [[np.tile(view, (5, 1)) for view in kind] for kind in once]
    few, many = (judges.judge_views(*kind, "spectrum") for kind in (once, again))
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.25)


def test_more_clips_make_it_surer():
    rng = np.random.default_rng(3)
    few, many = (
        judges.judge_views(*(views(rng.normal(s, size=n), rng) for s in (0, 1)), "spectrum")
        for n in (10, 80)
    )
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_the_null_is_drawn_from_what_there_is_with_at_most_half_on_each_side():
    real = judges.views(clips(9, 0, seconds=1), "spectrum")
    null = judges.null(real, "spectrum", 30, draws=6)
    assert (null.draws, null.clips) == (6, 4)
    assert null.mean == pytest.approx(0.5, abs=0.2)
    assert null == judges.null(real, "spectrum", 4, draws=6)
    assert null != judges.null(real, "spectrum", 4, draws=6, seed=1)


@given(st.floats(0, 1), st.floats(0.3, 0.7), st.floats(0, 0.1))
def test_detected_is_what_real_music_reaches_once_in_forty(accuracy, mean, deviation):
    null = Null(mean, deviation, 20, 30)
    beyond = stats.norm.cdf(accuracy, mean, max(deviation, 1e-300)) > 0.975
    if abs(accuracy - mean - 1.959964 * deviation) > 1e-6:
        assert judges.detected(Judged(accuracy, 0, 1), null) == beyond


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_the_same_seed_gives_the_same_answer(seed):
    rng = np.random.default_rng(5)
    sides = [views(rng.normal(size=7), rng), views(rng.normal(size=9), rng)]
    first, again = (judges.judge_views(*sides, "spectrum", seed) for _ in range(2))
    assert first == again and 0 <= first.low <= first.accuracy <= first.high <= 1


# what they hear


def test_a_judge_of_texture_hears_what_one_of_spectra_does_not():
    white, red = clips(8, 0), clips(8, 1, correlation=0.9)
    assert two_sample_test(white, red, "texture").accuracy > 0.95
    assert two_sample_test(white, red, "spectrum").accuracy < 0.8


def test_every_judge_tells_music_from_noise():
    music = []
    for name in ("bach_prelude", "chopin_prelude"):
        waveform = read_audio(sample_path(f"{name}.flac"), CONFIG.sample_rate)
        whole = features_to_amplitudes(extract_features(waveform, CONFIG), CONFIG)
        music += [whole[at : at + 1250] for at in range(0, len(whole) - 1249, 1250)]
    rng = np.random.default_rng(0)
    other = [0.02 * np.abs(rng.normal(size=clip.shape)) for clip in music]
    for judge in JUDGES:
        assert two_sample_test(music, other, judge).accuracy > 0.9, judge


def test_rhythm_hears_time_run_backwards_and_harmony_hears_seconds_in_another_order():
    """Notes that begin at once and fade, each half second another one of four, in turn."""
    rng = np.random.default_rng(0)

    def melody(order):
        x = np.full((1250, 20), 0.1)
        for n, note in enumerate(order):
            fading = np.exp(-np.arange(62) / 20)[:, None]
            x[n * 62 : n * 62 + 62, 5 * note : 5 * note + 5] += fading
        return (x + 0.01 * rng.normal(size=x.shape)) ** 2

    turns = [melody((np.arange(20) + rng.integers(4)) % 4) for _ in range(8)]
    others = [melody((np.arange(20) + rng.integers(4)) % 4)[::-1] for _ in range(8)]
    assert two_sample_test(turns, others, "rhythm").accuracy > 0.9
    others = [melody(rng.permutation(np.arange(20) % 4)) for _ in range(8)]
    assert two_sample_test(turns, others, "harmony").accuracy > 0.9
    assert two_sample_test(turns, others, "spectrum").accuracy < 0.75


def look(judge, *rows):
    """What a judge sees of windows of one number, a row of numbers each."""
    return JUDGES[judge].look(np.array(rows, float)[..., None])


def test_what_a_judge_looks_at_in_closed_form():
    t = np.arange(125)
    np.testing.assert_allclose(look("spectrum", t, 0 * t), [[62], [0]])
    zigzag, slow = t % 2, np.array([0, 0, 1, 1])[t % 4]
    texture = look("texture", zigzag, slow)
    np.testing.assert_allclose(texture[0], [-1, 1, -1, 1], atol=1e-6)
    np.testing.assert_allclose(texture[1], [0, -1, 0, 1], atol=0.03)
    bins = np.arange(9.0) ** 2 * np.ones((1, 125, 1))  # second differences of k² are 2
    np.testing.assert_allclose(JUDGES["roughness"].look(-bins), 2 * np.ones((1, 7)))


def test_persistence_is_the_autocorrelation_of_each_of_twenty_bands():
    x = np.random.default_rng(0).normal(size=(3, 625, 100))
    bands = x.reshape(3, 625, 20, 5).mean(axis=3)
    seen = JUDGES["persistence"].look(x)
    for at, lag in enumerate((8, 16, 32, 64, 125, 250)):
        for band in (0, 19):
            z = stats.zscore(bands[1, :, band])
            wanted = np.mean(z[lag:] * z[:-lag])
            assert seen[1, 20 * at + band] == pytest.approx(wanted, abs=1e-5)
    np.testing.assert_allclose(seen[:, -20:], stats.skew(bands, axis=1), atol=1e-4)


def test_harmony_is_the_cosine_between_half_seconds():
    x = np.abs(np.random.default_rng(0).normal(size=(2, 1250, 30)))
    halves = x[:, : 20 * 62].reshape(2, 20, 62, 30).mean(axis=2)
    unit = halves / np.linalg.norm(halves, axis=2, keepdims=True)
    cosines = [unit[0, n] @ unit[0, n + 3] for n in range(17)]
    seen = JUDGES["harmony"].look(x)
    np.testing.assert_allclose(seen[0, 4:6], [np.mean(cosines), np.std(cosines)], rtol=1e-4)
    steady = JUDGES["harmony"].look(np.ones((1, 1250, 30)))
    np.testing.assert_allclose(steady[0], 6 * [1, 0], atol=1e-4)


def test_rhythm_is_the_autocorrelation_of_what_begins():
    t = np.arange(1250)
    beat = np.where(t % 64 < 4, 1.0, 0.0)  # a note every 512 ms, 16 steps of 32 ms
    seen = look("rhythm", beat)[0, :78]
    assert 1 + np.argmax(seen) == 16
    np.testing.assert_allclose(seen[[15, 31]], [1, 1], atol=0.12)


# what is asked of them


def test_a_judge_is_fair_where_one_kind_is_rare_and_hears_at_any_level():
    many, few = clips(9, 0), [1.0015 * clip for clip in clips(4, 1)]
    accuracy = two_sample_test(many, few, "spectrum").accuracy
    assert accuracy > 0.7
    for level in (1e-8, 1e8):
        scaled = [[level * clip for clip in kind] for kind in (many, few)]
        found = two_sample_test(*scaled, "spectrum").accuracy
        assert found == pytest.approx(accuracy, abs=0.05)


def test_a_judge_hears_whole_windows_and_negative_numbers_as_silence():
    real, made = clips(4, 0), clips(4, 1, correlation=0.9)
    wanted = two_sample_test(real, made, "texture", 250)
    longer = [[np.pad(clip[:2500], ((0, 249), (0, 0))) for clip in kind] for kind in (real, made)]
    assert two_sample_test(*longer, "texture", 250) == wanted
    negative = [[np.where(clip > 25, clip, x) for clip in real] for x in (0.0, -5.0)]
    assert two_sample_test(*negative, "spectrum").accuracy == pytest.approx(0.5, abs=0.01)


def test_nobody_is_asked_about_what_it_has_learnt_from():
    """Odd clips say that loud is real, even ones that soft is: whoever learns is misled."""
    loud, soft = ([level * clip for clip in clips(2, 0, seconds=1)] for level in (1.2, 1))
    real, made = [loud[0], soft[1]], [soft[0], loud[1]]
    assert two_sample_test(real, made, "spectrum").accuracy < 0.05


def test_what_cannot_be_judged_is_named():
    with pytest.raises(ValueError, match="no judge 'taste'; choose one of spectrum, roughness"):
        two_sample_test(clips(2, 0), clips(2, 1), "taste")
    with pytest.raises(
        ValueError, match="^a judge needs two clips of each kind: one to learn from, one to judge$"
    ):
        two_sample_test(clips(2, 0), clips(1, 1), "texture")
    with pytest.raises(ValueError, match="of rhythm listens for 10 s, and a clip has 9 s: give lo"):
        two_sample_test(clips(2, 0, seconds=9), clips(2, 1), "rhythm")
    assert not hasattr(analysis, "two_sample_accuracy")
