"""The inverse sine: what it promises to a model that is to fail on it."""

import numpy as np
import pytest

from cmc_helpers import experiments

NOISE = 0.1


def sine(y):
    return y + 0.3 * np.sin(2 * np.pi * y)


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_x_and_y_are_columns_of_single_precision(count):
    for column in experiments.inverse_sine(count, seed=0):
        assert column.shape == (count, 1)
        assert column.dtype == np.float32


def test_the_same_seed_gives_the_same_data_and_another_seed_gives_others():
    for first, again, other in zip(
        experiments.inverse_sine(50, 1),
        experiments.inverse_sine(50, 1),
        experiments.inverse_sine(50, 2),
        strict=True,
    ):
        assert np.array_equal(first, again)
        assert not np.isclose(first, other).any(axis=1).all()
        assert not np.array_equal(first, other)


def test_no_global_generator_is_touched():
    np.random.seed(0)
    untouched = np.random.rand()
    np.random.seed(0)
    experiments.inverse_sine(10, 3)
    assert np.random.rand() == untouched


def test_x_is_the_sine_of_y_within_the_noise():
    x, y = experiments.inverse_sine(20_000, 4)
    noise = x - sine(y.astype(float))
    assert np.abs(noise).max() <= NOISE + 1e-6
    # Uniform on both sides, and it tells nothing about y.
    assert np.abs(np.quantile(noise, [0.25, 0.5, 0.75]) - [-0.05, 0, 0.05]).max() < 0.004
    assert abs(np.corrcoef(noise[:, 0], y[:, 0])[0, 1]) < 0.03


def test_y_fills_the_range_from_0_to_1_evenly():
    y = experiments.inverse_sine(20_000, 5)[1]
    assert 0 <= y.min() < 0.001 and 0.999 < y.max() <= 1
    assert np.abs(np.histogram(y, 10, (0, 1))[0] / 2000 - 1).max() < 0.1


@pytest.mark.parametrize(("x_asked", "answers"), [(0.1, 1), (0.5, 3), (0.9, 1)])
def test_without_noise_one_x_has_up_to_three_answers(x_asked, answers):
    fine = np.linspace(0, 1, 10_000)
    assert np.sum(np.diff(np.sign(sine(fine) - x_asked)) != 0) == answers


@pytest.mark.parametrize(("x_asked", "branches"), [(0.1, 1), (1 / 3, 2), (2 / 3, 2), (0.9, 1)])
def test_the_mean_falls_into_a_gap_where_there_are_two_levels(x_asked, branches):
    x, y = experiments.inverse_sine(200_000, 6)
    answers = np.sort(y[np.abs(x - x_asked) < 0.01])
    assert 1 + np.sum(np.diff(answers) > 0.1) == branches
    nearest = np.abs(answers - answers.mean()).min()
    assert nearest > 0.05 if branches == 2 else nearest < 0.01
