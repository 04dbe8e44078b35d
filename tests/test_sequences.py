"""The paper's dummy data."""

import numpy as np
import pytest

from cmc_helpers.sequences import (
    bounce,
    cyclic,
    double_bounce,
    double_cyclic,
)


def columns(vectors):
    """The columns of the ones, row by row."""
    assert set(np.unique(vectors)) == {0, 1} and vectors.dtype == float
    return [tuple(np.flatnonzero(row)) for row in vectors]


def test_cyclic_is_figure_4():
    assert columns(cyclic(16)) == [(t % 7,) for t in range(16)]
    assert cyclic(16).shape == (16, 7)


def test_bounce_is_figure_5_and_rests_two_steps_at_each_border():
    walk = [0, 1, 2, 3, 4, 5, 6, 7, 7, 6, 5, 4, 3, 2, 1, 0, 0, 1, 2, 3]
    assert columns(bounce(20)) == [(column,) for column in walk]


def test_double_cyclic_has_two_ones_two_columns_apart():
    pairs = [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7), (6, 8), (0, 7), (1, 8), (0, 2)]
    assert columns(double_cyclic(10)) == pairs


def test_double_bounce_has_two_ones_in_opposite_phase():
    pairs = [(0, 9), (1, 8), (2, 7), (3, 6), (4, 5), (4, 5), (3, 6), (2, 7), (1, 8), (0, 9), (0, 9)]
    assert columns(double_bounce(11)) == pairs
    np.testing.assert_array_equal(double_bounce(40)[:, :5], bounce(40, width=5))


@pytest.mark.parametrize("make", [cyclic, bounce, double_cyclic, double_bounce])
def test_the_width_can_be_chosen(make):
    assert make(5, width=4).shape == (5, 4)
