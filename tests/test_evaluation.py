"""The evaluation of a run: each number is that of the measure it names, on the clips it names."""

import numpy as np
import pytest

from cmc_helpers import analysis, corpora, generation, runs
from cmc_helpers.analysis import evaluation, likelihood
from cmc_helpers.corpora import Corpus, Piece
from cmc_helpers.features import FeatureConfig, features_to_amplitudes

CONFIG = FeatureConfig.preset("default")
SECOND = 125


@pytest.fixture(scope="module")
def run():
    return runs.load(runs.find("passage"))


@pytest.fixture(scope="module")
def passage(run):
    return corpora.open_corpus(corpora.sample_path("bach_prelude.flac"), run.features)


def noise(seconds, seed, loudness=1.0):
    rng = np.random.default_rng(seed)
    return np.sqrt(loudness) * rng.uniform(0.1, 1, (round(seconds * SECOND) + 2, 100))


def corpus_of(*lengths, config=CONFIG):
    return Corpus("noise", tuple(Piece(f"{n}", noise(n, n), "validation") for n in lengths), config)


def test_excerpts_are_the_middles_of_the_longest_pieces():
    corpus = corpus_of(30, 21, 3, 40)
    cut = evaluation.excerpts(corpus, "validation", 20, 2)
    assert [len(x) for x in cut] == 2 * [CONFIG.frames(20)]
    before = (len(corpus.pieces[3].features) - CONFIG.frames(20)) // 2
    np.testing.assert_array_equal(cut[1][0], corpus.pieces[3].features[before])
    assert len(evaluation.excerpts(corpus, "validation", 20, 9)) == 3  # one is too short
    assert evaluation.excerpts(corpus, "train", 20, 9) == []


@pytest.mark.slow
def test_music_is_measured_by_its_end():
    still = np.repeat(noise(0, 0)[:1], 30 * SECOND, axis=0)
    loud = [noise(20, seed, loudness=4.0) for seed in range(3)]
    for clip in loud:
        clip[0] = 9.0  # what comes before the last 20 s does not count
    real = [noise(20, seed) for seed in range(5, 9)]
    music = evaluation.measure([*loud, still], real, CONFIG)
    assert music.fates == {"alive": 3, "frozen": 1}
    ends = [features_to_amplitudes(x[-CONFIG.frames(20) :], CONFIG) for x in [*loud, still]]
    truth = [features_to_amplitudes(x, CONFIG) for x in real]
    rms = [np.sqrt(np.mean(np.concatenate(kind) ** 2)) for kind in (ends, truth)]
    assert music.level == pytest.approx(rms[0] / rms[1])
    assert set(music.two_sample) == set(analysis.SCALES)
    for scale, accuracy in music.two_sample.items():
        assert accuracy == analysis.two_sample_accuracy(truth, ends, scale)
    assert evaluation.measure(real[:2], real[2:], CONFIG).level == pytest.approx(1, abs=0.02)


@pytest.mark.slow
def test_a_single_clip_has_no_judge():
    real = [noise(20, seed) for seed in range(2)]
    assert evaluation.measure(real, real[:1], CONFIG).two_sample == {}


@pytest.mark.slow
def test_clips_begin_after_other_primers_with_other_seeds(run):
    corpus = corpus_of(3, 2)
    clips = evaluation.running_free(run, corpus, clips=3, seconds=1, sigma_scale=0.3)
    primers, frames = evaluation.excerpts(corpus, "validation", 1.5, 3), CONFIG.frames(1)
    for seed, primer in enumerate([*primers, primers[0]]):
        wanted = generation.generate(run, frames, primer=primer, seed=seed, sigma_scale=0.3)
        np.testing.assert_array_equal(clips[seed], wanted.vectors[0])


@pytest.mark.keras
def test_a_passage_learnt_by_heart_is_evaluated(run, passage):
    seen = []
    found = evaluation.evaluate(run, passage, 2, 20, lambda *progress: seen.append(progress))
    assert seen == [(1, 2, "clips"), (2, 2, "clips")]
    assert found.nats == likelihood.held_out(run, passage) < found.copying - 50
    assert found.copying == likelihood.copying(passage)
    assert found.generated.fates == {"alive": 2}
    assert found.real.level == 1 and found.real.two_sample == found.generated.two_sample == {}


@pytest.mark.parametrize(
    ("corpus", "sentence"),
    [
        (corpus_of(30, config=None), "noise is not made of the features of .*passage"),
        (corpus_of(30, config=FeatureConfig.preset("paper")), "made with the same `preset`"),
        (Corpus("noise", (Piece("a", noise(30, 0), "train"),), CONFIG), "nothing held out"),
        (corpus_of(4, 5), "no piece of noise lasts 20 s"),
    ],
)
def test_what_cannot_be_evaluated_is_named(run, corpus, sentence):
    with pytest.raises(ValueError, match=sentence):
        evaluation.evaluate(run, corpus)


def test_vectors_have_no_excerpts_of_sound():
    with pytest.raises(ValueError, match="^noise holds vectors, and this is for sound: give rec"):
        evaluation.excerpts(corpus_of(30, config=None), "train", 1.0, 2)
