"""Training: what is learnt, kept and measured, and clear ends to bad trainings."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from small_corpora import NETWORK, SHORT, bouncing, music, weights

from cmc_helpers import runs, training
from cmc_helpers.corpora import Corpus, Piece
from cmc_helpers.features import FeatureConfig
from cmc_helpers.sampling import Sampling
from cmc_helpers.training import TrainingConfig, TrainingError, Windows, train

pytestmark = pytest.mark.usefixtures("compiled_once")


def test_the_normaliser_is_fitted_on_the_training_pieces_alone():
    corpus = music()
    louder = Corpus(
        "music",
        (corpus.pieces[0], corpus.pieces[1]._replace(features=100 * corpus.pieces[1].features)),
        corpus.config,
    )
    fitted, refitted = training.fit_normaliser(corpus), training.fit_normaliser(louder)
    np.testing.assert_array_equal(fitted.matrix, refitted.matrix)
    paper = training.fit_normaliser(music(config=FeatureConfig.preset("paper")))
    assert abs(paper.transform(corpus.split("train")[0]).max() - 1) < 1e-6


@pytest.mark.keras
def test_the_same_seed_trains_the_same_network_and_another_seed_another(tmp_path):
    first = train(bouncing(), tmp_path / "a", NETWORK, SHORT)
    second = train(bouncing(), tmp_path / "b", NETWORK, SHORT)
    other = train(bouncing(), tmp_path / "c", NETWORK, replace(SHORT, seed=1))
    for a, b in zip(weights(first), weights(second), strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.history == second.history != other.history


@pytest.mark.keras
def test_single_settings_leave_the_others_as_they_suit_the_data(tmp_path):
    usual_network, usual, _ = training.defaults(bouncing())
    wanted = dict(epochs=1, batches_per_epoch=1, steps=20)
    run = train(bouncing(), tmp_path / "run", units=4, **wanted)
    assert run.network == replace(usual_network, units=4)
    assert run.settings["training"] == asdict(replace(usual, **wanted))
    with pytest.raises(TrainingError, match="goes on as it began: leave out units$"):
        train(bouncing(), tmp_path / "run", units=5, epochs=2, resume=True)


def test_a_setting_that_there_is_not_is_named(tmp_path):
    with pytest.raises(TrainingError, match="^there is no setting epoch of a network or a train"):
        train(bouncing(), tmp_path / "run", epoch=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.keras
def test_learning_happens_and_the_best_epoch_is_kept(tmp_path):
    config = replace(SHORT, epochs=8, learning_rate=0.02)
    run = train(bouncing(), tmp_path / "run", NETWORK, config)
    losses = run.history["validation_loss"]
    assert losses[-1] < losses[0] - 1.0
    windows = Windows(bouncing(), run.normaliser, config)
    inputs, targets = map(np.concatenate, zip(*windows.validation(), strict=True))
    from cmc_helpers import mixtures

    output = np.asarray(run.model(inputs))
    mixture = mixtures.from_network_output(output, 2, 0.1)
    best = -mixtures.log_density(targets.astype(np.float32), mixture).mean()
    assert abs(best - min(losses)) < 1e-3


@pytest.mark.keras
def test_the_last_network_is_kept_when_over_fitting_is_the_purpose(tmp_path):
    # Held out is noise, which looks the stranger the better bounce is learned.
    noise = np.random.default_rng(0).random((40, 8))
    corpus = Corpus("b", (bouncing().pieces[0], Piece("n", noise, "validation")), None)
    config = replace(SHORT, epochs=8, learning_rate=0.02, keep="last")
    last = train(corpus, tmp_path / "last", NETWORK, config)
    best = train(corpus, tmp_path / "best", NETWORK, replace(config, keep="best"))
    losses = last.history["validation_loss"]
    assert last.history == best.history and losses[-1] > min(losses)
    with np.load(tmp_path / "last" / "checkpoint.npz") as checkpoint:
        for number, weight in enumerate(weights(last)):
            np.testing.assert_array_equal(weight, checkpoint[f"weights_{number}"])
        for number, weight in enumerate(weights(best)):
            np.testing.assert_array_equal(weight, checkpoint[f"best_{number}"])


@pytest.mark.keras
def test_an_epoch_may_be_smaller_than_the_corpus(tmp_path):
    config = replace(SHORT, batches_per_epoch=3, epochs=2)
    seen = []
    run = train(bouncing(), tmp_path / "r", NETWORK, config, progress=lambda *a: seen.append(a[:2]))
    assert seen == [(n, 6) for n in range(1, 7)] and len(run.history["epoch"]) == 2


@pytest.mark.keras
def test_a_loss_that_is_not_finite_stops_with_the_place(tmp_path):
    corpus = bouncing()
    corpus.pieces[0].features[:] = np.nan
    with pytest.raises(TrainingError, match="not finite in epoch 1, batch 1 of 20") as caught:
        train(corpus, tmp_path / "run", NETWORK, SHORT)
    assert "\n" not in str(caught.value) and "`learning_rate`" in str(caught.value)


@pytest.mark.keras
def test_a_held_out_loss_that_is_not_finite_stops_after_its_epoch(tmp_path):
    corpus = bouncing()
    corpus.pieces[1].features[:] = np.nan
    with pytest.raises(TrainingError, match="held-out loss is not finite after epoch 1: lower"):
        train(corpus, tmp_path / "run", NETWORK, SHORT)


@pytest.mark.keras
def test_a_place_where_no_folder_can_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(runs.RunError, match="run cannot be made: choose another place"):
        train(bouncing(), tmp_path / "file" / "run", NETWORK, SHORT)


@pytest.mark.keras
def test_early_stopping_waits_for_its_patience(tmp_path):
    # Constant targets with nothing to learn: a learning rate that makes the loss jump about.
    config = replace(SHORT, epochs=30, learning_rate=0.5, patience=2)
    run = train(bouncing(), tmp_path / "run", NETWORK, config)
    losses = run.history["validation_loss"]
    assert len(losses) < 30
    assert len(losses) - 1 - int(np.argmin(losses)) == 2


@pytest.mark.keras
def test_the_weight_penalty_shrinks_the_weights_and_stays_out_of_the_history(tmp_path):
    plain = train(bouncing(), tmp_path / "plain", NETWORK, SHORT)
    small = train(bouncing(), tmp_path / "small", NETWORK, replace(SHORT, weight_penalty=1.0))

    def norm(run):
        return sum(np.square(w).sum() for w in weights(run))

    assert norm(small) < 0.5 * norm(plain)
    # Were the penalty in it, λ/2 ‖θ‖² of the first weights (about 100) would be seen.
    assert abs(small.history["loss"][0] - plain.history["loss"][0]) < 10


@pytest.mark.keras
def test_short_data_shortens_the_window_and_too_short_data_is_refused(tmp_path):
    run = train(bouncing(20, 5), tmp_path / "run", NETWORK, replace(SHORT, epochs=1, steps=50))
    assert run.settings["training"]["steps"] == 14
    with pytest.raises(TrainingError, match="only 2 frames"):
        train(bouncing(2, 0), tmp_path / "other", NETWORK, SHORT)


def test_a_run_that_exists_is_not_overwritten(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    with pytest.raises(runs.RunError, match="exists"):
        train(bouncing(), tmp_path / "run", NETWORK, SHORT)
    with pytest.raises(runs.RunError, match="no config.json"):
        train(bouncing(), tmp_path / "run", NETWORK, SHORT, resume=True)
    with pytest.raises(runs.RunError, match="not a run folder"):
        train(bouncing(), tmp_path / "missing", NETWORK, SHORT, resume=True)


def test_a_corpus_without_training_pieces_is_refused(tmp_path):
    pieces = tuple(piece._replace(split="validation") for piece in bouncing().pieces)
    with pytest.raises(TrainingError, match="bounce has only 0 frames to train on"):
        train(Corpus("bounce", pieces, None), tmp_path / "run", NETWORK, SHORT)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"steps": 0},
        {"learning_rate": float("nan")},
        {"learning_rate": 0.0},
        {"clip": -1.0},
        {"input_noise": -0.1},
        {"input_noise": float("nan")},
        {"weight_penalty": float("inf")},
        {"patience": 0},
        {"batches_per_epoch": 0},
        {"keep": "worst"},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        TrainingConfig(**wrong)


def test_recordings_and_vectors_get_the_defaults_that_suit_them():
    network, config, sampling = training.defaults(music())
    assert (network.stack, network.layers, network.units) == ("residual", 5, 100)
    assert sampling == Sampling("sample", noise="residuals")
    assert network.frames == 1 and config.steps == 128
    network, _, sampling = training.defaults(bouncing())
    assert network.stack == "paper" and sampling == Sampling()


def test_the_innovations_of_several_frames_are_what_a_line_does_not_foresee():
    """The residual of NumPy's least squares, whitened; music's mere differences are larger."""
    corpus = music(frames=3000)
    normaliser = training.fit_normaliser(corpus, 2)
    x = corpus.split("train")[0].reshape(-1, 200).astype(float)
    before, after = x[:-1], np.diff(x, axis=0)
    residual = after - before @ np.linalg.lstsq(before, after)[0]
    white = residual @ normaliser.matrix
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(200), atol=0.02)
    np.testing.assert_allclose(normaliser.matrix @ normaliser.inverse, np.eye(200), atol=1e-8)
    np.testing.assert_allclose(normaliser.offset, x.mean(axis=0))
