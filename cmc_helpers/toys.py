"""Small problems on which a model shows what it cannot do."""

import numpy as np


def inverse_sine(count, seed):
    """One x, up to three answers y: returns x and y, each (count, 1) float32, y in [0, 1).

    x = y + 0.3 sin(2πy) + noise, uniform in ±0.1. To find x from y is easy; here y is asked for
    (Bishop 1994, section 5; the paper's 2017 code has the same toy).

    Notebook: 01.
    """
    rng = np.random.default_rng(seed)
    y = rng.uniform(0.0, 1.0, (count, 1))
    x = y + 0.3 * np.sin(2 * np.pi * y) + rng.uniform(-0.1, 0.1, (count, 1))
    return x.astype(np.float32), y.astype(np.float32)
