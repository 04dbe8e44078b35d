"""Checks of notebook 12: a commitment, a guesser's tail, and how many right answers it takes."""

import hashlib

import numpy as np

from cmc_helpers.exercises.checking import exercise, expect, expect_equal, numbers


@exercise("12.1")
def _kept_the_promise(answer):
    """The commitment is the SHA-256 of the key's text: of exactly this text."""
    for text in ("first, second, second", "π < 1\n", ""):
        commitment = hashlib.sha256(text.encode("utf-8")).hexdigest()
        asked = f"for the text {text!r} and its own SHA-256"
        expect(_truth(answer(commitment, text), asked), f"{asked} you say no, but it was kept")
        for other in (text + " ", text.replace("first", "First") + "!"):
            asked = f"for {text!r}'s SHA-256 and the text {other!r}"
            expect(not _truth(answer(commitment, other), asked), f"{asked} you say yes: it changed")
        asked = "for a commitment that is cut off"
        expect(not _truth(answer(commitment[:8], text), asked), f"{asked} you say yes")
    return "whoever changes the key afterwards would have to find another text with the same hash."


def _truth(value, asked):
    expect(
        isinstance(value, bool | np.bool_),
        f"{asked} your answer is {value!r}, but True or False is wanted",
    )
    return bool(value)


@exercise("12.2")
def _p_value(answer):
    """A guesser's upper tail; the oracle is SciPy's binomial distribution."""
    from scipy.stats import binom

    for right, trials in ((4, 4), (0, 4), (2, 4), (15, 20), (60, 100)):
        asked = f"for {right} right of {trials}"
        why = "so says SciPy: P(X ≥ r), with r itself included"
        expect_equal(answer(right, trials), binom.sf(right - 1, trials, 0.5), asked, why)
    return "4 of 4 happen to one guesser in 16."


@exercise("12.3")
def _right_needed(answer):
    """The least r whose tail is at most alpha: r is enough, r − 1 is not."""
    from scipy.stats import binom

    for trials, alpha in ((20, 0.05), (5, 0.05), (100, 0.05), (20, 0.01), (4, 0.0625), (4, 0.05)):
        asked = f"for {trials} trials and alpha = {alpha}"
        r = numbers(answer(trials, alpha), asked)
        expect(
            r.shape == () and r % 1 == 0 and 0 <= r <= trials + 1,
            f"{asked} your answer is {r}, but a whole number from 0 to {trials + 1} is wanted",
        )
        tail = binom.sf(r - 1, trials, 0.5)
        expect(
            tail <= alpha + 1e-12,
            f"{asked} {r:g} is too few: a guesser gets there with probability {tail:.4f}",
        )
        before = binom.sf(r - 2, trials, 0.5)
        expect(
            before > alpha + 1e-12,
            f"{asked} {r:g} is more than needed: {r - 1:g} has a probability of {before:.4f} only",
        )
    return "with 4 trials no answer is enough: the test cannot find anything."
