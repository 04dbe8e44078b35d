"""What a network is held against is wrong in the one way that its name says."""

import numpy as np
import pytest

from cmc_helpers.analysis import yardsticks


def numbered(*lengths):
    """Pieces whose frames say where they stand: (piece, frame)."""
    return [np.stack([np.full(n, k), np.arange(n)], axis=1) for k, n in enumerate(lengths)]


def rng(seed=0):
    return np.random.default_rng(seed)


def test_excerpts_are_one_of_each_piece_from_anywhere():
    pieces = numbered(30, 8, 21, 10)
    found = yardsticks.excerpts(pieces, 10, rng())
    assert sorted(x[0, 0] for x in found) == [0, 2, 3]
    starts = {int(x[0, 1]) for n in range(200) for x in yardsticks.excerpts(pieces[:1], 10, rng(n))}
    assert starts == {0, 10, 20}  # of a piece of three stretches exactly
    starts = {
        int(x[0, 1]) for n in range(200) for x in yardsticks.excerpts(pieces[2:3], 10, rng(n))
    }
    assert starts == {0, 1, 10, 11}
    for x in found:
        np.testing.assert_array_equal(np.diff(x, axis=0), np.tile([0, 1], (9, 1)))


def test_more_excerpts_than_pieces_take_turns_and_do_not_overlap():
    found = yardsticks.excerpts(numbered(40, 20), 10, rng(), 99)
    assert [len(found), sorted(x[0, 0] for x in found[:2])] == [6, [0, 1]]
    assert len({(a, b) for x in found for a, b in x}) == 60
    assert len(yardsticks.excerpts(numbered(40, 20), 10, rng(), 1)) == 1
    assert yardsticks.excerpts(numbered(9), 10, rng(), 5) == []


def test_scissors_keep_what_lies_within_a_stretch_and_nothing_else():
    clip = yardsticks.scissors(numbered(50, 5, 400), 200, 7, rng())
    assert clip.shape == (200, 2)
    seams = np.flatnonzero((np.diff(clip, axis=0) != [0, 1]).any(axis=1)) + 1
    assert 25 < len(seams) and set(seams % 7) == {seams[0] % 7}
    assert set(clip[:, 0]) == {0, 2}
    assert np.mean(clip[:, 0] == 2) > 0.7  # every moment is drawn alike, not every piece


def test_scissors_begin_anywhere_in_a_stretch():
    firsts = set()
    for seed in range(60):
        clip = yardsticks.scissors(numbered(300), 20, 5, rng(seed))
        seams = np.flatnonzero(np.diff(clip[:, 1]) != 1) + 1
        firsts.add(int(seams[0]) % 5)
    assert firsts == {0, 1, 2, 3, 4}


def test_shuffled_seconds_are_all_there_in_another_order():
    (clip,) = numbered(1000)
    found = yardsticks.shuffled(clip, 125, rng())
    assert sorted(map(tuple, found)) == sorted(map(tuple, clip))
    assert 5 < np.sum(np.diff(found[:, 1]) != 1) <= 8
    np.testing.assert_array_equal(yardsticks.backwards(clip)[:, 1], np.arange(999, -1, -1))


@pytest.fixture(scope="module")
def linear():
    """Pieces of a process that is linear, and of which everything is known: x' = 0.9 x + e."""
    pieces = []
    for seed in range(6):
        e = np.random.default_rng(seed).exponential(size=(4000, 3)) - 1
        x = np.zeros_like(e)
        for t in range(1, len(x)):
            x[t] = 0.9 * x[t - 1] + e[t]
        pieces.append(5 + x)
    return pieces


def test_without_a_network_the_linear_prediction_and_the_distribution_are_kept(linear):
    made = yardsticks.WithoutANetwork(linear, 1)
    np.testing.assert_allclose(made._step, 0.9 * np.eye(3), atol=0.03)
    clip = made(20_000, rng())
    assert clip.shape == (20_000, 3)
    real = np.concatenate(linear)
    np.testing.assert_allclose(clip.mean(axis=0), real.mean(axis=0), atol=0.4)
    np.testing.assert_allclose(clip.std(axis=0), real.std(axis=0), rtol=0.1)
    before, after = clip[:-1, 0] - 5, clip[1:, 0] - 5
    assert np.corrcoef(before, after)[0, 1] == pytest.approx(0.9, abs=0.02)
    missed = after - 0.9 * before
    assert missed.min() > -1.3  # real chance: never far below, as a Gaussian would be


def test_without_a_network_blocks_of_frames_come_whole(linear):
    clip = yardsticks.WithoutANetwork(linear, 4)(1001, rng())
    assert clip.shape == (1001, 3) and np.isfinite(clip).all()
    np.testing.assert_array_equal(clip, yardsticks.WithoutANetwork(linear, 4)(1001, rng()))
