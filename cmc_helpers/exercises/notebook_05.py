"""Checks of notebook 05: memory, the circle that must not shrink, and phase."""

import numpy as np

from cmc_helpers import sequences
from cmc_helpers.exercises.checking import (
    CLOSE,
    counted,
    exercise,
    expect,
    expect_equal,
    number,
    shown,
    truth,
)


@exercise("05.1")
def _needs_memory(answer):
    """Paper, section 5.1: is the next vector a pure function of the current one?"""
    walk = np.cumsum(np.random.default_rng(0).choice([-1.0, 1.0], size=30))
    cases = {
        "sequences.cyclic(21)": sequences.cyclic(21),
        "sequences.bounce(32)": sequences.bounce(32),
        "sequences.cyclic(10), which stops in the middle of a circle,": sequences.cyclic(10),
        "sequences.double_cyclic(27)": sequences.double_cyclic(27),
        "sequences.double_bounce(30)": sequences.double_bounce(30),
        "a vector that never changes": np.ones((6, 3)),
        "numbers that never come back, 0, 1, 2, …,": np.arange(8.0)[:, None],
        "a random walk": walk[:, None],
        "the numbers 0, 1, 0, 2, which never rest,": np.array([[0.0], [1.0], [0.0], [2.0]]),
    }
    for name, vectors in cases.items():
        asked = f"for {name}"
        said = truth(answer(vectors), asked)
        clash = _clash(vectors)
        if clash is None:
            expect(not said, f"{asked} you say True, but no vector has two different successors")
        else:
            here, first, later = (vectors[t] for t in clash)
            expect(
                said,
                f"{asked} you say False, but {_row(here)} is followed once by {_row(first)} and "
                f"once by {_row(later)}",
            )
    return "one successor for each vector: then no memory is needed, and only then."


@exercise("05.2")
def _smallest_factor(answer):
    """The factor q with q^steps = left; the oracle is to multiply step by step."""
    for steps, left in ((1, 0.3), (2, 0.25), (3, 0.5), (200, 0.965), (200, 0.13)):
        asked = f"for {counted(steps, 'step')} and {left} left"
        q = number(answer(steps, left), asked)
        product = 1.0
        for _ in range(steps):
            product *= q
        (yours,), (remains, wanted) = shown(q, digits=6), shown(product, left)
        expect(
            abs(product - left) <= CLOSE,  # 200 factors in float32 are off by half of that
            f"{asked} your factor {yours} leaves {remains} after {counted(steps, 'step')}, "
            f"but {wanted} is wanted",
        )
    return "0.99982 for 200 lines: a linear walk has to be right to three nines and more."


@exercise("05.3")
def _phase(answer):
    """Section 4.1 compares line by line, which makes sense in phase only."""
    rng = np.random.default_rng(0)
    patterns = {
        "cyclic": sequences.cyclic(7),
        "bounce": sequences.bounce(16),
        "double_cyclic": sequences.double_cyclic(9),
    }
    for name, pattern in patterns.items():
        for steps in (len(pattern), 2 * len(pattern) + 3):
            for wanted in (0, 1, len(pattern) - 1, 4):
                true = pattern[(np.arange(steps) + wanted) % len(pattern)]
                off = 0.05 * rng.standard_normal(true.shape)
                off[0] += np.roll(true[0], 3) - true[0]  # a first line that misleads
                asked = f"for {steps} lines of {name} from phase {wanted}, the first one wrong,"
                why = f"line t must be near line t + {wanted}, counted round {len(pattern)}"
                expect_equal(answer(true + off, pattern), wanted, asked, why)
    return "now a walk that is late is late, and not wrong; in phase 1 of 7 it was off by 2/7."


def _clash(vectors):
    """(t, t + 1, u + 1) where vectors t and u are equal and their successors are not, or None."""
    for t in range(len(vectors) - 1):
        for u in range(t + 1, len(vectors) - 1):
            same = np.array_equal(vectors[t], vectors[u])
            if same and not np.array_equal(vectors[t + 1], vectors[u + 1]):
                return t, t + 1, u + 1
    return None


def _row(vector):
    return "(" + ", ".join(f"{value:g}" for value in vector) + ")"
