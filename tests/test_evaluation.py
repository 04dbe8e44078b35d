"""The evaluation of a run: each number is that of the measure it names, on the clips it names."""

import json

import numpy as np
import pytest

from cmc_helpers import corpora, generation, runs
from cmc_helpers.analysis import evaluation, judges, likelihood
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


def test_excerpts_come_from_random_places_of_random_pieces():
    corpus = corpus_of(30, 21, 3, 40, 22)
    whole = {piece.name: np.asarray(piece.features) for piece in corpus.pieces}

    def heard(seed, count=4):
        cut = evaluation.excerpts(corpus, "validation", 20, count, seed)
        assert {len(x) for x in cut} == {CONFIG.frames(20)}
        return [name for x in cut for name in whole if (whole[name] == x[0]).all(axis=1).any()]

    assert sorted(heard(0)) == ["21", "22", "30", "40"]  # one is too short
    assert len({frozenset(heard(seed, 2)) for seed in range(9)}) > 2
    assert sorted(heard(0, 9)) == ["21", "22", "30", "40", "40"]  # two of the longest
    assert evaluation.excerpts(corpus, "train", 20, 9) == []


@pytest.mark.slow
def test_music_is_measured_by_its_end():
    still = np.repeat(noise(0, 0)[:1], 30 * SECOND, axis=0)
    loud = [noise(20, seed, loudness=4.0) for seed in range(3)]
    for clip in loud:
        clip[0] = 9.0  # what comes before the last 20 s does not count
    real = [noise(20, seed) for seed in range(5, 9)]
    music = evaluation.measure([*loud, still], real, CONFIG)
    assert music.fates == {"humming": 3, "frozen": 1}  # noise is not alive
    ends = [features_to_amplitudes(x[-CONFIG.frames(20) :], CONFIG) for x in [*loud, still]]
    truth = [features_to_amplitudes(x, CONFIG) for x in real]
    rms = [np.sqrt(np.mean(np.concatenate(kind) ** 2)) for kind in (ends, truth)]
    assert music.level == pytest.approx(rms[0] / rms[1])
    assert set(music.judged) == set(judges.JUDGES)
    for judge in ("spectrum", "rhythm"):
        assert music.judged[judge] == judges.two_sample_test(truth, ends, judge)
    other = evaluation.measure(real[:2], real[2:], CONFIG, ["texture"])
    assert other.level == pytest.approx(1, abs=0.02) and list(other.judged) == ["texture"]
    short = [x[: CONFIG.frames(5)] for x in real]
    assert list(evaluation.measure(short, short, CONFIG).judged) == [
        *("spectrum", "roughness", "texture", "persistence")
    ]


@pytest.mark.slow
def test_a_single_clip_has_no_judge():
    real = [noise(20, seed) for seed in range(2)]
    assert evaluation.measure(real, real[:1], CONFIG).judged == {}


@pytest.mark.slow
def test_clips_begin_after_other_primers_with_other_seeds(run):
    corpus = corpus_of(3, 2)
    clips = evaluation.running_free(run, corpus, clips=3, seconds=1, sigma_scale=0.3)
    primers, frames = evaluation.excerpts(corpus, "validation", 1.5, 3), CONFIG.frames(1)
    for seed, primer in enumerate(primers):
        wanted = generation.generate(run, frames, primer=primer, seed=seed, sigma_scale=0.3)
        np.testing.assert_array_equal(clips[seed], wanted.vectors[0])


@pytest.mark.keras
def test_a_passage_learnt_by_heart_is_evaluated(run, passage):
    seen = []
    found = evaluation.evaluate(run, passage, 2, 20, lambda *progress: seen.append(progress))
    assert seen[:2] == [(1, 2, "clips"), (2, 2, "clips")]
    assert {message for *_, message in seen[2:]} <= {"judges"}
    assert found.nats == likelihood.held_out(run, passage) < found.copying - 50
    assert found.copying == likelihood.copying(passage)
    assert found.generated.fates == {"alive": 2}
    assert (found.part, found.pieces) == ("train", 1) and found.real.judged == {}
    told = json.loads(json.dumps(evaluation.to_dict(found)))
    assert told["generated"]["fates"] == {"alive": 2} and told["nats"] == round(found.nats, 3)


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


def three_parts():
    """A corpus that has a test part: twelve pieces of half a minute to learn from, four to test."""
    parts = ["train"] * 12 + ["validation"] + ["test"] * 4
    pieces = [Piece(f"{n}", noise(30, n), part) for n, part in enumerate(parts)]
    return Corpus("noise", tuple(pieces), CONFIG)


def test_what_is_reported_on_is_the_test_part_where_there_is_one():
    corpus = three_parts()
    part, real = evaluation.real_music(corpus, 3)
    tested = np.concatenate([np.asarray(x) for x in corpus.split("test")])
    assert part == "test" and len(real) == 3
    assert all((tested == x[0]).all(axis=1).any() for x in real)
    assert evaluation.real_music(corpus_of(30, 31), 3)[0] == "validation"
    only = Corpus("noise", (*corpus.pieces[:2], Piece("s", noise(3, 3), "test")), CONFIG)
    assert evaluation.real_music(only, 3)[0] == "train"  # what is held out is too short


@pytest.mark.slow
def test_the_null_is_that_of_real_music_at_the_same_size(monkeypatch):
    for slow in ("forest", "texture", "harmony"):
        monkeypatch.delitem(judges.JUDGES, slow)
    seen = []
    found = evaluation.nulls(three_parts(), 4, lambda *progress: seen.append(progress))
    assert list(found) == list(judges.JUDGES) and len(seen) == len(found)
    assert {null.clips for null in found.values()} == {4}
    assert found["spectrum"].mean == pytest.approx(0.5, abs=0.15)
    assert evaluation.nulls(corpus_of(25, 30), 4) == {}


@pytest.mark.slow
def test_scissors_stand_beside_a_run_with_stretches_of_three_lengths():
    found = evaluation.cut_up(three_parts(), 4)
    assert list(found) == [0.5, 1, 2]
    for music in found.values():
        assert sum(music.fates.values()) == 4 and set(music.judged) == set(judges.JUDGES)
