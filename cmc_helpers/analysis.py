"""How good is what was generated? Measures that need no ear."""

import numpy as np


def deviation(generated, wanted):
    """Mean and largest absolute difference of two arrays of vectors (T, m), as two floats.

    The paper's section 4.1 reads them off figures 4 and 5: "deviations around Δ ≈ 0.01".

    Notebook: 05.
    """
    difference = np.abs(np.asarray(generated) - np.asarray(wanted))
    return float(difference.mean()), float(difference.max())
