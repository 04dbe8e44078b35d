"""Training: teacher-forced windows, resuming to the same bits, and clear ends to bad trainings."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from cmc_helpers import corpora, runs, sequences, training
from cmc_helpers.corpora import Corpus, Piece
from cmc_helpers.features import FeatureConfig
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.training import TrainingConfig, TrainingError, Windows, train, window_starts

NETWORK = NetworkConfig(8, layers=1, units=8, components=2, stack="paper", sigma_floor=0.1)
SHORT = TrainingConfig(epochs=4, batch=4, steps=10, learning_rate=0.01, warmup=5, input_noise=0.05)


def bouncing(steps=200, hold_out=20):
    vectors = sequences.bounce(steps)
    cut = steps - hold_out
    pieces = (Piece("b", vectors[:cut], "train"), Piece("b", vectors[cut:], "validation"))
    return Corpus("bounce", pieces if hold_out else pieces[:1], None)


def music(pieces=2, frames=400, config=None, seed=0):
    rng = np.random.default_rng(seed)
    config = config or FeatureConfig.preset("default")
    made = []
    for number in range(pieces):
        features = np.abs(np.cumsum(0.1 * rng.standard_normal((frames, 100)), axis=0)) + 0.1
        split = "validation" if number and number + 1 == pieces else "train"
        made.append(Piece(f"piece {number}", features.astype(np.float32), split))
    return Corpus("music", tuple(made), config)


def weights(run):
    return run.model.get_weights()


def test_windows_stay_inside_a_piece_and_all_are_found():
    starts = window_starts([5, 3, 4, 2], steps=3)
    assert starts.tolist() == [[0, 0], [0, 1], [2, 0]]


def test_targets_are_the_inputs_one_frame_later():
    config = replace(SHORT, input_noise=0.0)
    corpus = bouncing()
    windows = Windows(corpus, training.fit_normaliser(corpus), config)
    inputs, targets = windows.batch(0, 0)
    assert inputs.shape == targets.shape == (4, 10, 8)
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    held_in, held_out = windows.validation()
    np.testing.assert_array_equal(held_in[0], corpus.split("validation")[0][:10])
    np.testing.assert_array_equal(held_out[0], corpus.split("validation")[0][1:11])


def test_noise_goes_on_the_inputs_only_and_has_the_size_asked_for():
    corpus = bouncing()
    config = replace(SHORT, batch=500, input_noise=0.3)
    quiet = Windows(corpus, training.fit_normaliser(corpus), replace(config, input_noise=0.0))
    noisy = Windows(corpus, training.fit_normaliser(corpus), config)
    (clean, same), (inputs, targets) = quiet.batch(3, 1), noisy.batch(3, 1)
    np.testing.assert_array_equal(same, targets)
    assert abs((inputs - clean).std() - 0.3) < 0.01


def test_a_batch_depends_on_seed_epoch_and_number_alone():
    corpus = bouncing()
    windows = Windows(corpus, training.fit_normaliser(corpus), SHORT)
    again = Windows(corpus, training.fit_normaliser(corpus), SHORT)
    np.testing.assert_array_equal(windows.batch(2, 3)[0], again.batch(2, 3)[0])
    for other in (windows.batch(2, 4), windows.batch(3, 3)):
        assert not np.array_equal(windows.batch(2, 3)[0], other[0])


def test_windows_with_more_than_a_fifth_of_silence_are_left_out():
    corpus = music(pieces=1, frames=200)
    corpus.pieces[0].features[100:] = 0.0
    config = replace(SHORT, steps=19)
    windows = Windows(corpus, training.fit_normaliser(corpus), config)
    # A window has 20 frames; 4 may be silent: the last one begins at frame 84.
    assert windows.starts[:, 1].max() == 84 and windows.starts[:, 1].min() == 0


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


def test_the_same_seed_trains_the_same_network_and_another_seed_another(tmp_path):
    first = train(bouncing(), tmp_path / "a", NETWORK, SHORT)
    second = train(bouncing(), tmp_path / "b", NETWORK, SHORT)
    other = train(bouncing(), tmp_path / "c", NETWORK, replace(SHORT, seed=1))
    for a, b in zip(weights(first), weights(second), strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.history == second.history != other.history


def test_learning_happens_and_the_best_epoch_is_kept(tmp_path):
    config = replace(SHORT, epochs=8, learning_rate=0.02)
    run = train(bouncing(), tmp_path / "run", NETWORK, config)
    losses = run.history["validation_loss"]
    assert losses[-1] < losses[0] - 1.0
    windows = Windows(bouncing(), run.normaliser, config)
    inputs, targets = windows.validation()
    from cmc_helpers import mixtures

    output = np.asarray(run.model(inputs))
    mixture = mixtures.from_network_output(output, 2, 0.1)
    best = -mixtures.log_density(targets.astype(np.float32), mixture).mean()
    assert abs(best - min(losses)) < 1e-3


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


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path):
    whole = train(bouncing(), tmp_path / "whole", NETWORK, SHORT)

    def stop(done, total, message):
        if done == 50:  # in the middle of the third epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(bouncing(), tmp_path / "parts", NETWORK, SHORT, progress=stop)
    parts = train(bouncing(), tmp_path / "parts", resume=True)
    assert whole.history == parts.history and len(whole.history["epoch"]) == 4
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


KILLED = """
import sys
from cmc_helpers.notebook import quiet_tensorflow
quiet_tensorflow()
sys.path.insert(0, {tests!r})
from test_training import NETWORK, SHORT, bouncing, replace, train
train(bouncing(), {folder!r}, NETWORK, replace(SHORT, epochs=200))
"""


def test_a_killed_training_leaves_whole_files_and_goes_on(tmp_path):
    folder = tmp_path / "run"
    script = KILLED.format(tests=os.path.dirname(__file__), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 200
        while not (folder / "checkpoint.npz").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.3)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    runs.load(folder)  # the best network so far is usable as it is
    done = len(runs.read_history(folder / "history.csv")["epoch"])
    # The cosine of the learning rate is laid out for all epochs, so compare with one that goes
    # just as far under the same settings: one that is stopped instead of killed.
    resumed_to, reference = done + 2, tmp_path / "reference"

    def stop(bar_done, total, message):
        if bar_done > resumed_to * 20:
            raise KeyboardInterrupt

    for place, resume in ((folder, True), (reference, False)):
        with pytest.raises(KeyboardInterrupt):
            config = replace(SHORT, epochs=200)
            train(bouncing(), place, NETWORK, config, resume=resume, progress=stop)
    histories = [runs.read_history(place / "history.csv") for place in (folder, reference)]
    assert histories[0] == histories[1] and len(histories[0]["epoch"]) == resumed_to
    with np.load(folder / "checkpoint.npz") as a, np.load(reference / "checkpoint.npz") as b:
        assert set(a) == set(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_a_loss_that_is_not_finite_stops_with_the_place(tmp_path):
    corpus = bouncing()
    corpus.pieces[0].features[:] = np.nan
    with pytest.raises(TrainingError, match="not finite in epoch 1, batch 1 of 20") as caught:
        train(corpus, tmp_path / "run", NETWORK, SHORT)
    assert "\n" not in str(caught.value) and "learning-rate" in str(caught.value)


def test_early_stopping_waits_for_its_patience(tmp_path):
    # Constant targets with nothing to learn: a learning rate that makes the loss jump about.
    config = replace(SHORT, epochs=30, learning_rate=0.5, patience=2)
    run = train(bouncing(), tmp_path / "run", NETWORK, config)
    losses = run.history["validation_loss"]
    assert len(losses) < 30
    assert len(losses) - 1 - int(np.argmin(losses)) == 2


def test_the_weight_penalty_shrinks_the_weights_and_stays_out_of_the_history(tmp_path):
    plain = train(bouncing(), tmp_path / "plain", NETWORK, SHORT)
    small = train(bouncing(), tmp_path / "small", NETWORK, replace(SHORT, weight_penalty=1.0))

    def norm(run):
        return sum(np.square(w).sum() for w in weights(run))

    assert norm(small) < 0.5 * norm(plain)
    # Were the penalty in it, λ/2 ‖θ‖² of the first weights (about 100) would be seen.
    assert abs(small.history["loss"][0] - plain.history["loss"][0]) < 10


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


def test_resuming_with_other_data_or_a_damaged_checkpoint_is_refused(tmp_path):
    train(bouncing(), tmp_path / "run", NETWORK, replace(SHORT, epochs=1))
    with pytest.raises(corpora.CorpusError, match="not what"):
        train(bouncing(300), tmp_path / "run", resume=True)
    (tmp_path / "run" / "checkpoint.npz").write_bytes(b"PK broken")
    with pytest.raises(TrainingError, match="cannot be resumed"):
        train(bouncing(), tmp_path / "run", resume=True)


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
    assert sampling["strategy"] == "sample" and config.steps == 128
    network, _, sampling = training.defaults(bouncing())
    assert network.stack == "paper" and sampling["strategy"] == "greedy"
