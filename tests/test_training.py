"""Training: teacher-forced windows, resuming to the same bits, and clear ends to bad trainings."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from cmc_helpers import (
    checkpoints,
    corpora,
    distribution,
    generation,
    networks,
    runs,
    sequences,
    training,
)
from cmc_helpers.corpora import Corpus, Piece
from cmc_helpers.features import FeatureConfig
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.training import TrainingConfig, TrainingError, Windows, train
from cmc_helpers.windows import ahead, window_starts

pytestmark = pytest.mark.usefixtures("compiled_once")
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
    held_in, held_out = next(windows.validation())
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
    assert windows.count == 85


def test_every_sounding_window_of_every_piece_can_be_drawn_and_no_other():
    pieces = [music(1, frames, seed=frames).pieces[0] for frames in (30, 7, 64, 200)]
    rng = np.random.default_rng(0)
    for piece in pieces:
        piece.features[rng.random(len(piece.features)) < 0.2] = 0.0
    corpus = Corpus("music", tuple(pieces), FeatureConfig.preset("default"))
    windows = Windows(corpus, training.fit_normaliser(corpus), replace(SHORT, steps=9))
    wanted = []
    for number, start in window_starts([len(piece.features) for piece in pieces], 9):
        silent = corpora.silent_frames(pieces[number].features, corpus.config)
        if silent[start : start + 10].sum() <= 2:
            wanted.append((number, start))
    found = windows._sounding.find(np.arange(windows.count))
    assert list(zip(*found, strict=True)) == wanted and 0 < len(wanted) < 250


@pytest.mark.slow
def test_windows_need_memory_by_the_piece_not_by_the_frame():
    """Six hours of sound, 2.7 million frames, of which nobody reads the features."""
    piece = np.lib.stride_tricks.as_strided(np.ones(8, np.float32), (2_700_000, 8), (0, 4))
    corpus = Corpus("hours", (Piece("d", piece, "train"), Piece("e", piece, "validation")), None)
    windows = Windows(corpus, training.fit_normaliser(corpus), SHORT)
    kept = pickle.dumps([windows._sounding, windows._one_after_the_other])
    assert windows.count == 2_700_000 - 10 and len(kept) < 2000


def test_held_out_windows_are_all_evaluated_up_to_a_number_and_beyond_spread_evenly():
    def held_out_starts(frames, steps=10):
        piece = np.repeat(np.arange(frames, dtype=np.float32)[:, None], 8, axis=1)
        corpus = Corpus("c", (Piece("a", piece, "train"), Piece("b", piece, "validation")), None)
        windows = Windows(corpus, training.fit_normaliser(corpus), replace(SHORT, steps=steps))
        starts = np.concatenate([inputs[:, 0, 0] for inputs, _ in windows.validation()])
        assert len(starts) == windows.held_out_count
        return starts

    np.testing.assert_array_equal(held_out_starts(102), np.arange(0, 100, 10))
    np.testing.assert_array_equal(held_out_starts(100), np.arange(0, 90, 10))
    many = held_out_starts(60_001)
    assert len(many) == 2048 and many[0] == 0 and many[-1] > 59_900
    assert set(np.diff(many)) == {20, 30}


def test_batches_are_made_ahead_in_order_and_what_fails_fails_at_its_turn():
    made = []

    def make(number):
        made.append(number)
        return 10 // (3 - number)

    batches = ahead(make, range(6))
    assert [next(batches) for _ in range(3)] == [3, 5, 10]
    with pytest.raises(ZeroDivisionError):
        next(batches)
    assert made[:4] == [0, 1, 2, 3] and list(ahead(make, [])) == []


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


@pytest.mark.keras
def test_a_checkpoint_inside_an_epoch_loses_nothing(tmp_path):
    whole = train(bouncing(), tmp_path / "whole", NETWORK, SHORT)
    seen = []

    def stop(done, total, message):
        seen.append(done)
        if done == 50:  # the checkpoint after batch 49 is written, the one after 50 not yet
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(bouncing(), tmp_path / "parts", NETWORK, SHORT, progress=stop, checkpoint_minutes=0)
    parts = train(
        bouncing(), tmp_path / "parts", resume=True, progress=lambda done, *_: seen.append(done)
    )
    assert seen == [*range(1, 51), *range(50, 81)]
    assert whole.history == parts.history
    with (
        np.load(tmp_path / "whole/checkpoint.npz") as a,
        np.load(tmp_path / "parts/checkpoint.npz") as b,
    ):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.keras
def test_an_epoch_may_be_smaller_than_the_corpus(tmp_path):
    config = replace(SHORT, batches_per_epoch=3, epochs=2)
    seen = []
    run = train(bouncing(), tmp_path / "r", NETWORK, config, progress=lambda *a: seen.append(a[:2]))
    assert seen == [(n, 6) for n in range(1, 7)] and len(run.history["epoch"]) == 2


@pytest.mark.keras
def test_two_trainings_in_one_folder_are_one_too_many(tmp_path):
    def meanwhile(done, total, message):
        if done == 30:
            with pytest.raises(runs.RunError, match="in use by another process"):
                train(bouncing(), tmp_path / "run", resume=True)

    train(bouncing(), tmp_path / "run", NETWORK, SHORT, progress=meanwhile)
    assert not (tmp_path / "run" / ".lock").exists()


KILLED = """
import sys
from cmc_helpers.notebook import quiet_tensorflow
quiet_tensorflow()
sys.path.insert(0, {tests!r})
from test_training import NETWORK, SHORT, bouncing, replace, train
train(bouncing(), {folder!r}, NETWORK, replace(SHORT, epochs=200))
"""


@pytest.mark.keras
def test_a_killed_training_leaves_whole_files_and_goes_on(tmp_path):
    folder = tmp_path / "run"
    script = KILLED.format(tests=os.path.dirname(__file__), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        while not (folder / "checkpoint.npz").exists():
            assert process.poll() is None
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


@pytest.mark.keras
def test_a_loss_that_is_not_finite_stops_with_the_place(tmp_path):
    corpus = bouncing()
    corpus.pieces[0].features[:] = np.nan
    with pytest.raises(TrainingError, match="not finite in epoch 1, batch 1 of 20") as caught:
        train(corpus, tmp_path / "run", NETWORK, SHORT)
    assert "\n" not in str(caught.value) and "learning-rate" in str(caught.value)


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


def test_a_corpus_of_silence_has_nothing_to_draw_from(tmp_path):
    silent = music()
    for piece in silent.pieces:
        piece.features[:] = 0
    network = NetworkConfig(100, layers=1, units=8, components=2)
    with pytest.raises(TrainingError, match="that is not mostly silence: give longer recordings"):
        train(silent, tmp_path / "run", network, SHORT)


@pytest.mark.keras
def test_weights_that_are_not_finite_do_not_replace_a_checkpoint(tmp_path):
    train(bouncing(), tmp_path / "run", NETWORK, replace(SHORT, epochs=1))
    before = (tmp_path / "run" / "checkpoint.npz").read_bytes()
    trainer = distribution.Trainer(NETWORK, SHORT, 20)
    state = checkpoints.State(trainer.model.get_weights(), epoch=1)
    trainer.model.set_weights([np.full_like(w, np.nan) for w in trainer.model.get_weights()])
    with pytest.raises(TrainingError, match="the weights are not finite in epoch 2"):
        checkpoints.write(tmp_path / "run", state, trainer.model, trainer.optimizer)
    assert (tmp_path / "run" / "checkpoint.npz").read_bytes() == before


@pytest.mark.keras
@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "1"},
        {"epoch": -1},
        {"epoch": 10**400},
        {"number": 0.5},
        {"total": float("nan")},
        {"best_loss": float("nan")},
        {"history": {}},
        {"history": {"epoch": [1], "loss": [0.5], "validation_loss": ["x"]}},
        {"history": {"epoch": [1], "loss": [], "validation_loss": [0.5]}},
        {"counts": {"weights": 10**9, "optimizer": 0, "best": 0}},
        {"unheard": "of"},
    ],
    ids=str,
)
def test_a_checkpoint_that_was_not_written_here_is_refused(vectors_run, tmp_path, change):
    with np.load(vectors_run / "checkpoint.npz") as stored:
        arrays = dict(stored)
    described = json.loads(str(arrays["state"])) | change
    np.savez(tmp_path / "checkpoint.npz", **arrays | {"state": np.array(json.dumps(described))})
    model = networks.build(runs.load(vectors_run).network)
    with pytest.raises(TrainingError, match="checkpoint.npz cannot be resumed from") as caught:
        checkpoints.read(tmp_path, model, None)
    assert str(caught.value).isprintable()


@pytest.mark.keras
def test_a_full_disk_is_a_sentence_and_the_checkpoint_before_is_kept(tmp_path):
    import resource

    whole = train(bouncing(), tmp_path / "whole", NETWORK, SHORT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up(done, total, message):
        if done == 50:  # from here on no file may be longer than a kilobyte
            resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))

    try:
        with pytest.raises(TrainingError, match="checkpoint.npz cannot be written: .* make room"):
            train(
                bouncing(),
                tmp_path / "run",
                NETWORK,
                SHORT,
                progress=fill_up,
                checkpoint_minutes=0,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    resumed = train(bouncing(), tmp_path / "run", resume=True)
    for a, b in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


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


@pytest.mark.keras
def test_resuming_with_a_corpus_made_with_other_settings_is_refused(tmp_path):
    network = NetworkConfig(100, layers=1, units=8, components=2)
    train(music(), tmp_path / "run", network, replace(SHORT, epochs=1))
    other = music(config=FeatureConfig.preset("paper"))
    with pytest.raises(corpora.CorpusError, match="music is not what .* was trained on"):
        train(other, tmp_path / "run", resume=True)


@pytest.mark.keras
def test_resuming_with_other_data_or_a_damaged_checkpoint_is_refused(tmp_path):
    train(bouncing(), tmp_path / "run", NETWORK, replace(SHORT, epochs=1))
    with pytest.raises(corpora.CorpusError, match="not what"):
        train(bouncing(300), tmp_path / "run", resume=True)
    (tmp_path / "run" / "checkpoint.npz").write_bytes(b"PK broken")
    with pytest.raises(TrainingError, match="cannot be resumed"):
        train(bouncing(), tmp_path / "run", resume=True)
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    settings["training"]["patience"] = "long"
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(runs.RunError, match="its config.json is not a run's settings"):
        train(bouncing(), tmp_path / "run", resume=True)


@pytest.mark.keras
def test_a_training_killed_before_its_first_checkpoint_begins_again(tmp_path):
    once = train(bouncing(), tmp_path / "once", NETWORK, replace(SHORT, epochs=1))
    train(bouncing(), tmp_path / "run", NETWORK, replace(SHORT, epochs=1))
    (tmp_path / "run" / "checkpoint.npz").unlink()
    again = train(bouncing(), tmp_path / "run", resume=True)
    for first, second in zip(weights(once), weights(again), strict=True):
        np.testing.assert_array_equal(first, second)


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
    assert sampling["strategy"] == "sample" and sampling["noise"] == "residuals"
    assert network.frames == 1 and config.steps == 128
    network, _, sampling = training.defaults(bouncing())
    assert network.stack == "paper" and sampling["strategy"] == "greedy"


def test_several_frames_are_cut_as_one_vector_after_the_other():
    corpus = bouncing(hold_out=41)
    config = replace(SHORT, input_noise=0.0, steps=6)
    windows = Windows(corpus, training.fit_normaliser(corpus, 3), config, 3)
    inputs, targets = windows.batch(0, 0)
    assert inputs.shape == targets.shape == (4, 6, 24) and windows.length == 21
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    vectors = corpus.split("train")[0]
    assert windows.count == len(vectors) - 21 + 1
    places = np.lib.stride_tricks.sliding_window_view(vectors, (21, 8))[:, 0].reshape(-1, 7, 24)
    for window in np.concatenate([inputs, targets[:, -1:]], axis=1):
        assert (places == window).all(axis=(1, 2)).any()
    # 41 held-out frames hold two windows that stand one after the other, 18 frames apart.
    assert windows.held_out_count == (41 - 3) // 18 == 2
    (held_in, held_out) = next(windows.validation())
    np.testing.assert_array_equal(held_in[1].reshape(-1, 8), corpus.split("validation")[0][18:36])
    np.testing.assert_array_equal(
        held_out[1, -1].reshape(-1, 8), corpus.split("validation")[0][36:39]
    )


@pytest.mark.keras
def test_a_run_of_several_frames_is_trained_resumed_and_goes_on(tmp_path):
    network = replace(NETWORK, frames=4, feature_scales=True)
    config = replace(SHORT, epochs=2, steps=8)
    whole = train(bouncing(), tmp_path / "whole", network, config)
    assert whole.network == network and whole.normaliser.offset.shape == (32,)
    train(bouncing(), tmp_path / "half", network, replace(config, epochs=1))
    assert (
        train(bouncing(), tmp_path / "half", config=config, resume=True).settings["training"]
        == whole.settings["training"]
    )
    made = generation.generate(whole, 30)
    assert made.vectors.shape == (1, 30, 8)
    with pytest.raises(TrainingError, match="only 11 frames to train on"):
        train(bouncing(11, 0), tmp_path / "short", network, config)


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
