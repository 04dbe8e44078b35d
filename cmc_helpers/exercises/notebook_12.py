"""Checks of notebook 12: a commitment, a guesser's tail, and how many right answers it takes."""

import hashlib

from cmc_helpers.exercises.checking import (
    counted,
    exercise,
    expect,
    expect_equal,
    shown,
    truth,
    whole,
)


@exercise("12.1")
def _kept_the_promise(answer):
    """The commitment is the SHA-256 of the key's text: of exactly this text."""
    for text in ("first, second, second", "π < 1\n", ""):
        commitment = hashlib.sha256(text.encode("utf-8")).hexdigest()
        asked = f"for the text {text!r} and its own SHA-256"
        expect(truth(answer(commitment, text), asked), f"{asked} you say no, but it was kept")
        for other in (text + " ", text + "!", text.replace("first", "First")):
            if other == text:
                continue
            asked = f"for the SHA-256 of {text!r} and the text {other!r}"
            expect(not truth(answer(commitment, other), asked), f"{asked} you say yes: it changed")
        for other, name in ((commitment[:8], "is cut off"), (commitment + "00", "is too long")):
            asked = f"for a commitment that {name}"
            expect(not truth(answer(other, text), asked), f"{asked} you say yes")
    return "whoever changes the key afterwards would have to find another text with the same hash."


@exercise("12.2")
def _p_value(answer):
    """A guesser's upper tail; the oracle is SciPy's binomial distribution."""
    from scipy.stats import binom

    for right, trials in ((4, 4), (0, 4), (2, 4), (15, 20), (60, 100)):
        asked = f"for {right} right of {trials}"
        why = "so says SciPy: P(X ≥ r), with r itself included"
        wanted = binom.sf(right - 1, trials, 0.5)
        expect_equal(answer(right, trials), wanted, asked, why, tolerance=1e-6)
    return "4 of 4 happen to one guesser in 16."


@exercise("12.3")
def _right_needed(answer):
    """The least r whose tail is at most alpha: r is enough, r − 1 is not."""
    from scipy.stats import binom

    for trials, alpha in ((20, 0.05), (5, 0.05), (100, 0.05), (20, 0.01), (4, 0.0625), (4, 0.05)):
        asked = f"for {counted(trials, 'trial')} and alpha = {alpha}"
        r = whole(answer(trials, alpha), asked)
        expect(
            0 <= r <= trials + 1,
            f"{asked} your answer is {r}, but a number from 0 to {trials + 1} is wanted",
        )
        tail = binom.sf(r - 1, trials, 0.5)
        often, most = shown(tail, alpha)
        expect(
            tail <= alpha + 1e-12,
            f"{asked} your answer {r} is too few: a guesser gets there with probability {often}, "
            f"more than {most}",
        )
        before = binom.sf(r - 2, trials, 0.5)
        expect(
            before > alpha + 1e-12,
            f"{asked} your answer {r} is more than needed: {r - 1} has a probability of only "
            f"{before:.4g}",
        )
    return "with 4 trials no answer is enough: the test cannot find anything."
