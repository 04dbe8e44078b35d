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


def counted(share, first, second):
    steps, left = 0, 1.0
    while left > share * (1 + 1e-9):
        steps, left = steps + 1, left * abs(second / first)
    return steps


RIGHT = {
    "11.1": [
        steps_until,
        counted,
    ],
    "11.2": [
        gelfand,
        lambda J: np.abs(np.linalg.eigvals(J)).max(),
        lambda J: [np.abs(np.linalg.eigvals(J)).max()],
    ],
    "11.3": [
        lambda n: 1 - 0.05 ** (1 / n),
        lambda n: -np.expm1(np.log(0.05) / n),
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "11.1": [
        ("rounded down", lambda s, a, b: math.floor(math.log(s) / math.log(abs(b / a))), "is left"),
        ("not whole", lambda s, a, b: math.log(s) / math.log(abs(b / a)), "not a whole number"),
        ("first forgotten", lambda s, a, b: steps_until(s, 1, b / max(a, 2)), "is left"),
        ("one more", lambda s, a, b: steps_until(s, a, b) + 1, "for the first time"),
        ("for ever", lambda s, a, b: 10**9, "after 1000000000 steps 0 is left"),
        ("never", lambda s, a, b: np.inf, "is inf, but a finite number"),
        ("below nothing", lambda s, a, b: -3, "counted from 0 on"),
        ("rounded", lambda s, a, b: round(math.log(s) / math.log(abs(b / a))), "is left"),
        (
            "one more than the floor",
            lambda s, a, b: math.floor(math.log(s) / math.log(abs(b / a))) + 1,
            "share 0.5",
        ),
        (
            "the sign kept",
            lambda s, a, b: math.ceil(math.log(s) / math.log(abs(b) / a) - 1e-9),
            "stops at",
        ),
    ],
    "11.2": [
        ("underflows", plain_power, "eigenvalues have magnitudes of at most 0.5"),
        ("the norm alone", lambda J: np.linalg.norm(J, 2), "random matrix (20, 20)"),
        ("the real part", lambda J: np.linalg.eigvals(J).real.max(), "rotation by 90°"),
        (
            "overflows",
            lambda J: (
                np.linalg.norm(np.linalg.matrix_power(J, 1000)) ** (1 / 1000)
                if J[0, 0] > 1
                else gelfand(J)
            ),
            "J^n over- or underflows",
        ),
        ("complex", lambda J: np.linalg.eigvals(J)[0], "complex, but real numbers"),
        ("all of them", lambda J: np.abs(np.linalg.eigvals(J)), "one number is wanted"),
        ("the determinant", lambda J: abs(np.linalg.det(J)) ** (1 / len(J)), "random matrix"),
    ],
    "11.3": [
        ("nothing seen, nothing there", lambda n: 0.0, "if each died with that probability"),
        ("the mean of the rule of succession", lambda n: 1 / (n + 2), "and not 0.05"),
        ("the rule of three as it stands", lambda n: min(1, 3 / n), "and not 0.05"),
        ("per cent", lambda n: 100 * (1 - 0.05 ** (1 / n)), "lies in [0, 1]"),
        ("the one sided share", lambda n: 1 - 0.95 ** (1 / n), "and not 0.05"),
        ("both sides", lambda n: 1 - 0.025 ** (1 / n), "and not 0.05"),
    ],
}
