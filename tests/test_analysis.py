"""The measures of what was generated are what a pencil says."""

import numpy as np
import pytest

from cmc_helpers import analysis, sequences


def test_deviation_is_the_mean_and_the_largest_absolute_difference():
    mean, largest = analysis.deviation([[1.5, 0.0], [0.0, 0.75]], [[1.0, 0.0], [0.0, 1.0]])
    assert (mean, largest) == (0.75 / 4, 0.5)
    assert type(mean) is type(largest) is float


def test_errors_of_opposite_sign_do_not_cancel():
    assert analysis.deviation([[-1.0, 1.0]], [[0.0, 0.0]]) == (1.0, 1.0)


def test_a_perfect_walk_that_is_one_line_late_is_off_by_two_numbers_of_seven():
    walk = sequences.cyclic(8)
    assert analysis.deviation(walk[:7], walk[1:]) == pytest.approx((2 / 7, 1.0))


def test_what_is_equal_does_not_deviate():
    assert analysis.deviation(np.ones((3, 2), np.float32), np.ones((3, 2))) == (0.0, 0.0)


def test_nan_does_not_pass_for_a_small_deviation():
    assert np.isnan(analysis.deviation([[np.nan, 0.0]], [[0.0, 0.0]])).all()


def test_the_paper_s_figure_4_deviates_by_0_0076_and_0_032():
    """The first and the worst of its 13 lines stand for the others; their ideal is a one."""
    first = [1.0068, 0.0204, -0.0099, -0.0236, 0.0056, -0.0023, 0.0033]
    worst = [0.0092, 0.0058, 0.9962, 0.0065, 0.0132, -0.0041, -0.0323]
    mean, largest = analysis.deviation([first, worst], sequences.cyclic(3)[[0, 2]])
    assert mean == pytest.approx(0.1468 / 14, abs=1e-4)
    assert largest == pytest.approx(0.0323)
