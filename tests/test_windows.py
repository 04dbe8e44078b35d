"""Teacher-forced windows: where they lie, what is noise in them, and in which order they come."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from small_corpora import SHORT, bouncing, music

from cmc_helpers import training
from cmc_helpers.corpora import Corpus, Piece
from cmc_helpers.features import FeatureConfig, silent_frames
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.training import TrainingError, Windows, train
from cmc_helpers.training.windows import ahead, window_starts


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
        silent = silent_frames(pieces[number].features, corpus.config)
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


@pytest.mark.parametrize("frames, batches", [(180, 20), (800, 20), (801, 21), (2000, 50)])
def test_an_epoch_sees_every_frame_once_on_average_but_has_at_least_20_batches(frames, batches):
    corpus = bouncing(frames + 20)
    normaliser = training.fit_normaliser(corpus)
    assert Windows(corpus, normaliser, SHORT).batches == batches
    assert Windows(corpus, normaliser, replace(SHORT, batches_per_epoch=3)).batches == 3


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


def test_a_corpus_of_silence_has_nothing_to_draw_from(tmp_path):
    silent = music()
    for piece in silent.pieces:
        piece.features[:] = 0
    network = NetworkConfig(100, layers=1, units=8, components=2)
    with pytest.raises(TrainingError, match="that is not mostly silence: give longer recordings"):
        train(silent, tmp_path / "run", network, SHORT)


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
