"""The paper's dummy data (section 4.1): vectors in which a single 1, or two of them, walk."""

import numpy as np


def cyclic(steps: int, width: int = 7) -> np.ndarray:
    """Return (steps, width) vectors whose single 1 walks right and starts over: no memory needed.

    Paper: section 4.1, figure 4.
    """
    t = np.arange(steps)
    return _ones_at(width, t % width)


def bounce(steps: int, width: int = 8) -> np.ndarray:
    """Return (steps, width) vectors whose single 1 walks to a border, rests there two steps and
    walks back: the same vector is followed by different ones, so memory is needed.

    The period is 2·width. Paper: section 4.1, figure 5.
    """
    t = np.arange(steps) % (2 * width)
    return _ones_at(width, np.minimum(t, 2 * width - 1 - t))


def double_cyclic(steps: int, width: int = 9) -> np.ndarray:
    """Return (steps, width) vectors with two ones, two columns apart, that walk right in a cycle.

    The paper's 2017 code trained on them too.
    """
    t = np.arange(steps)
    return _ones_at(width, t % width, (t + 2) % width)


def double_bounce(steps: int, width: int = 10) -> np.ndarray:
    """Return (steps, width) vectors with two ones that bounce in opposite phase, each in its half.

    Row 0 holds the two borders; rows width/2 − 1 and width/2 the two middle columns. The period is
    the (even) width. The paper's 2017 code trained on them too.
    """
    t = np.arange(steps) % width
    return _ones_at(width, t, width - 1 - t)


def _ones_at(width, *columns):
    """Vectors (steps, width) of zeros with a 1 in each of `columns`, arrays of (steps,)."""
    vectors = np.zeros((len(columns[0]), width))
    for column in columns:
        np.put_along_axis(vectors, column[:, None], 1.0, axis=1)
    return vectors
