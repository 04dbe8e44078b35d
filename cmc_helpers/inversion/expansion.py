"""Where a search knows 100 numbers of a frame, and needs 257 to begin with."""

import functools

import numpy as np
from numpy.typing import ArrayLike

from cmc_helpers.features import GROUP_WIDTHS, expand_magnitudes, reduce_magnitudes
from cmc_helpers.inversion.transform import BLOCK, TINY


class OctaveGroups:
    """The reduction of the features, and how a spectrum is held to it: see `Filterbank`."""

    power = 1

    def __init__(self, expansion: str = "spline") -> None:
        self.expansion = expansion

    def gain(self, wanted: np.ndarray, magnitudes: np.ndarray) -> np.ndarray:
        """What magnitudes (T, 257) are to be multiplied by for the group means (T, 100) wanted."""
        scale = wanted / (reduce_magnitudes(magnitudes) + TINY)
        return expand_magnitudes(scale.astype(np.float32))

    def expand(self, means: np.ndarray) -> np.ndarray:
        """Group means (T, 100) → magnitudes (T, 257) to begin with."""
        return expand(means, self.expansion)


def expand(amplitudes: ArrayLike, expansion: str = "spline") -> np.ndarray:
    """Group means (T, 100) → magnitudes (T, 257) that have these group means.

    expansion: "repetition" is the pseudo-inverse, a staircase; "linear" and "spline" draw a curve
    through the groups' centres and rescale it in every group. The spline is cubic in the logarithm
    of the amplitudes, because the window's main lobe, which every partial becomes, is nearly a
    Gaussian bell, and the logarithm of a bell is a parabola. `tools/benchmarks/inversion.py`
    measures what each is worth. Raises ValueError for an unknown name.
    """
    if expansion not in EXPANSIONS:
        raise ValueError(
            f"there is no expansion {expansion!r}; choose one of {', '.join(EXPANSIONS)}"
        )
    amplitudes = np.asarray(amplitudes)
    amplitudes = amplitudes.astype(np.result_type(amplitudes, np.float32), copy=False)
    # 100 dB below the loudest is silence; without a floor, its logarithm would bend the curve.
    audible = np.maximum(amplitudes, max(amplitudes.max() * 1e-5, np.finfo(np.float32).tiny))
    magnitudes = np.empty((len(amplitudes), 257), amplitudes.dtype)
    for start in range(0, len(amplitudes), BLOCK):
        block = slice(start, start + BLOCK)
        magnitudes[block] = match_groups(EXPANSIONS[expansion](audible[block]), amplitudes[block])
    return magnitudes


def match_groups(magnitudes: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
    """Keep the shape of (T, 257) magnitudes inside each group, set the group's mean: (T, 257).

    Where a group is silent, nothing is there to be scaled. Notebook: 08, section 6.
    """
    means = reduce_magnitudes(magnitudes)
    gain = np.divide(amplitudes, means, out=np.zeros_like(means), where=means > 0)
    return magnitudes * expand_magnitudes(gain)


def _linear(amplitudes):
    return amplitudes @ _interpolation("linear")


def _spline(amplitudes):
    means = np.log(amplitudes)
    knots = means
    for _ in range(2):  # the mean over a group of a peak is less than the value at its centre
        curve = np.exp(knots @ _interpolation("spline"))
        knots = knots + np.clip(means - np.log(reduce_magnitudes(curve)), -1, 1)
    return np.exp(knots @ _interpolation("spline"))


@functools.cache
def _interpolation(kind):
    """The matrix (100, 257) from values at the groups' centres to values at the bins."""
    from scipy.interpolate import CubicSpline, make_interp_spline

    centres = np.cumsum(GROUP_WIDTHS) - (GROUP_WIDTHS + 1) / 2
    unit = np.eye(len(centres))
    if kind == "spline":
        curve = CubicSpline(centres, unit, bc_type="natural")
    else:
        curve = make_interp_spline(centres, unit, k=1)
    return curve(np.clip(np.arange(257), centres[0], centres[-1])).T


EXPANSIONS = {"repetition": expand_magnitudes, "linear": _linear, "spline": _spline}
