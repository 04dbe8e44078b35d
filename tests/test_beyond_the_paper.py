"""The parts of the two experiments on the paper's proposals: each does what the results say."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from notebook_rules import ROOT

from cmc_helpers.corpora import Corpus, Piece
from cmc_helpers.features import FeatureConfig, extract_features
from cmc_helpers.scores.instruments import Note

CONFIG = FeatureConfig.preset("default")


@pytest.fixture(scope="module")
def folder():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools" / "experiments"))
        yield
    for name in ("beyond_the_paper", "hyperparameter_search", "bach_corpus"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def beyond(folder):
    import beyond_the_paper

    return beyond_the_paper


@pytest.fixture(scope="module")
def search(folder):
    import hyperparameter_search

    return hyperparameter_search


def corpus(*lengths, split="train"):
    rng = np.random.default_rng(0)
    pieces = [
        Piece(str(n), rng.random((length, 100)).astype(np.float32), split)
        for n, length in enumerate(lengths)
    ]
    return Corpus("random", tuple(pieces), CONFIG)


def test_more_minutes_hold_the_fewer_ones_and_the_last_piece_is_cut(beyond):
    data = corpus(3000, 5000, 9000)
    some, more = beyond.learned(data, 0.5), beyond.learned(data, 1.0)
    assert [len(piece.features) for piece in some] == [3000, 750]  # 30 s of 125 frames
    assert [len(piece.features) for piece in more] == [3000, 4500]
    for one, other in zip(some, more, strict=True):
        np.testing.assert_array_equal(one.features, other.features[: len(one.features)])
    assert beyond.length(data, 1e9) == pytest.approx(17000 / 125 / 60)


def test_a_performance_in_another_key_has_the_same_keystrokes(beyond):
    notes = [Note(0.5, 1.0, 60, 0.5), Note(1.5, 0.5, 64, 0.7)]
    up = beyond.moved(notes, 2)
    assert [(n.start, n.duration, n.pitch, n.velocity) for n in up] == [
        (0.5, 1.0, 62, 0.5),
        (1.5, 0.5, 66, 0.7),
    ]
    assert beyond.moved(notes, 0, 2.0)[1] == Note(0.75, 0.25, 64, 0.7)


@pytest.mark.slow
def test_every_way_but_the_score_makes_a_copy_of_a_recording(beyond):
    seconds = np.arange(2 * beyond.RATE) / beyond.RATE
    waveform = np.sin(2 * np.pi * 500 * seconds)
    plain = beyond.heard(waveform)
    moved = np.sin(2 * np.pi * 500 * 2 ** (2 / 12) * seconds)
    wanted = beyond.heard(moved)[100].argmax()
    for way in beyond.WAYS[1:]:
        made = beyond.copy(way, waveform, plain, 2)
        assert abs(int(made[100].argmax()) - int(wanted)) <= 2, way
    assert plain[100].argmax() < wanted - 1


def test_no_two_networks_share_a_folder(beyond):
    size = beyond.FULL
    jobs = [beyond.Job(m, way, s) for m in size.minutes for way in ("", *size.ways) for s in (0, 1)]
    jobs += [beyond.Job(5.0, "", s, True, *r) for s in (0, 1) for r in size.remedies.values()]
    assert len({job.name for job in jobs}) == len(jobs)


def test_what_was_copied_is_nearer_than_held_out_music(beyond):
    rng = np.random.default_rng(0)

    def piece(seed, split):
        x = np.repeat(np.random.default_rng(seed).random((60, 100)), 8, axis=0)
        return Piece(f"{seed}", x.astype(np.float32), split)

    known = [piece(seed, "train") for seed in range(3)]
    data = Corpus("x", (*known, piece(9, "validation"), piece(10, "validation")), CONFIG)
    copied = [known[1].features[80:320] + 0.01 * rng.random((240, 100)).astype(np.float32)]
    found = beyond.distances(copied, known, data)
    assert found["nearer_than_all_but_5_percent"] == 1.0
    assert found["generated"]["0.95"] < 0.1 < found["held_out"]["0.05"]
    first = found["closest"][0]
    assert first["piece"] == "1" and first["at"] in (80 / 125, 200 / 125)
    new = beyond.distances([piece(20, "").features], known, data)
    assert new["nearer_than_all_but_5_percent"] < 0.5


def test_the_length_of_theta_counts_what_the_penalty_counts(beyond):
    weights = {
        "lstm_1": [np.full((2, 2), 3.0), np.zeros(2)],
        "norm_1": [np.full(5, 100.0)],
        "norm": [np.full(5, 100.0)],
        "mixture": [np.full((4, 4), 2.0), np.zeros(4)],
    }
    assert beyond.length_of_theta(SimpleNamespace(weights=weights)) == 10.0  # 36 + 64


def test_the_given_trials_lie_in_the_space_that_is_searched(search):
    import optuna

    for settings in search.GIVEN.values():
        proposed = search.propose(optuna.trial.FixedTrial(settings))
        assert proposed == settings


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_the_search_compares_networks_of_one_and_of_several_frames_a_step(search, frames):
    """A Gaussian of z = 3 x has the same density in x, however many frames a step has."""
    from cmc_helpers import mixtures
    from cmc_helpers.features import Normaliser

    x = np.random.default_rng(0).normal(size=(12, 5))
    normaliser = Normaliser(np.zeros(5 * frames), 3 * np.eye(5 * frames))
    z = normaliser.transform(x.reshape(-1, 5 * frames)).astype(float)
    width = 5 * frames
    standard = mixtures.Mixture(np.zeros(1), np.zeros((1, width)), np.ones(1))
    loss = -mixtures.log_density(z, standard).mean() / frames
    narrow = mixtures.Mixture(np.zeros(1), np.zeros((1, 5)), np.full(1, 1 / 3))
    wanted = -mixtures.log_density(x, narrow).mean()
    assert search.in_features(loss, normaliser, frames) == pytest.approx(wanted, abs=1e-5)


def test_a_search_goes_on_where_it_was_stopped(search, tmp_path):
    study = search.study_in(tmp_path)
    study.enqueue_trial({"x": 0.5})
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    again = search.study_in(tmp_path)
    assert search.finished(again) == 3
    assert again.trials[0].params == {"x": 0.5}
    again.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert search.finished(search.study_in(tmp_path)) == 5


def test_features_of_the_experiments_are_those_of_the_corpus(beyond):
    waveform = np.sin(2 * np.pi * 300 * np.arange(16000) / 16000)
    half = np.sin(2 * np.pi * 300 * np.arange(8000) / 8000)
    np.testing.assert_allclose(
        beyond.heard(waveform)[20:100], extract_features(half, CONFIG)[20:100], atol=2e-2
    )
