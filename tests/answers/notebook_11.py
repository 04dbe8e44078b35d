"""Answers to the exercises of notebook 11: right ones, and plausible mistakes."""

import math

import numpy as np


def steps_until(share, first, second):
    return math.ceil(math.log(share) / math.log(abs(second / first)) - 1e-9)


def gelfand(J, n=1000):
    power, logarithm = np.eye(len(J)), 0.0
    for _ in range(n):
        power = J @ power
        size = np.linalg.norm(power)
        power, logarithm = power / size, logarithm + np.log(size)
    return np.exp(logarithm / n)


def plain_power(J, n=1000):
    return np.linalg.norm(np.linalg.matrix_power(J, n)) ** (1 / n)


RIGHT = {
    "11.1": [steps_until],
    "11.2": [gelfand, lambda J: np.abs(np.linalg.eigvals(J)).max()],
    "11.3": [lambda n: 1 - 0.05 ** (1 / n)],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "11.1": [
        ("rounded down", lambda s, a, b: math.floor(math.log(s) / math.log(abs(b / a))), "is left"),
        ("not whole", lambda s, a, b: math.log(s) / math.log(abs(b / a)), "not a whole number"),
        ("first forgotten", lambda s, a, b: steps_until(s, 1, b / max(a, 2)), "is left"),
        ("one more", lambda s, a, b: steps_until(s, a, b) + 1, "for the first time"),
    ],
    "11.2": [
        ("underflows", plain_power, "eigenvalues have magnitudes of at most 0.5"),
        ("the norm alone", lambda J: np.linalg.norm(J, 2), "random matrix (20, 20)"),
        ("the real part", lambda J: np.linalg.eigvals(J).real.max(), "rotation by 90°"),
    ],
    "11.3": [
        ("nothing seen, nothing there", lambda n: 0.0, "if each died with that probability"),
        ("the mean of the rule of succession", lambda n: 1 / (n + 2), "and not 0.05"),
        ("the rule of three as it stands", lambda n: min(1, 3 / n), "and not 0.05"),
        ("per cent", lambda n: 100 * (1 - 0.05 ** (1 / n)), "lies in [0, 1]"),
    ],
}
