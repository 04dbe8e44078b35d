"""What the answers of a listening test show, and how many of them it takes.

A rate of right answers is known up to a confidence interval, and the verdict is where that lies.
Above 0.5 listeners can tell; below it they can tell as well, but take the machine's music for the
composer's (the paper's section 6.2). Within a margin about 0.5 nobody can tell. Anywhere else more
answers are needed: "listeners can't tell with statistical significance" is not the same as
"listeners can't tell", and a test with three answers never finds anything.

The interval has the level 1 − alpha, so each of the three claims is a one-sided test at alpha/2.
Guessers are told apart or taken for the composer in at most alpha of all tests, and a rate that
differs from 0.5 by the margin passes in at most alpha/2. Equivalence is customarily tested at alpha
on either side, with an interval of 1 − 2 alpha (Schuirmann 1987). Here a claim to have passed needs
as much proof as any other, and the interval that is drawn is the one that decides.

Notebook: 12.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

TOLD, TAKEN, ALIKE, UNDECIDED = VERDICTS = (
    "told apart",
    "taken for the composer",
    "indistinguishable",
    "undecided",
)


class Verdict(NamedTuple):
    """rate: share of right answers, and its confidence interval (low, high). p_told, p_taken: how
    likely so many, or so few, right answers are for guessers. p_alike: how likely such a result is
    where the true rate differs from 0.5 by the margin or more. verdict: one of `VERDICTS`."""

    rate: float
    interval: tuple[float, float]
    p_told: float
    p_taken: float
    p_alike: float
    verdict: str


def judge_one(right: int, trials: int, margin: float = 0.1, alpha: float = 0.05) -> Verdict:
    """What `right` answers out of `trials` independent ones show: a `Verdict`.

    The interval is Clopper and Pearson's (1934), the exact one: its lower limit is above 0.5 where
    the binomial test against guessing has p_told < alpha/2, and likewise for the other two. A rate
    that is shown to differ from 0.5 is told apart, or taken, be it by less than the margin. Raises
    ValueError for counts that cannot be.
    """
    from scipy.stats import beta, binom

    if not (0 <= right <= trials and trials >= 1):
        raise ValueError(f"{right} of {trials} right: such a test cannot be")
    _check(margin, alpha)
    wrong = trials - right
    low = beta.ppf(alpha / 2, right, wrong + 1) if right else 0.0
    high = beta.isf(alpha / 2, right + 1, wrong) if wrong else 1.0
    return _verdict(
        right / trials,
        (low, high),
        lambda rate: binom.sf(right - 1, trials, rate),
        lambda rate: binom.cdf(right, trials, rate),
        margin,
    )


def judge_many(rates: ArrayLike, margin: float = 0.1, alpha: float = 0.05) -> Verdict:
    """What several listeners show together: a `Verdict`. rates: each one's share of right answers.

    A listener is the unit: answers of the same person are not independent, and to pool them all in
    one binomial test finds skill where there is only variety. The interval is Student's, of the
    mean of the rates. Where all rates are the same number c, there is no spread to estimate it by,
    and Markov's inequality gives a wider one: P(rate ≥ c) ≤ mean / c, so n listeners all reach c
    with a probability of at most (mean / c)ⁿ. Raises ValueError for fewer than two listeners.
    """
    from scipy.stats import t

    rates = np.asarray(rates, float)
    if rates.ndim != 1 or len(rates) < 2 or not ((0 <= rates) & (rates <= 1)).all():
        raise ValueError("several listeners are at least two, each with a rate from 0 to 1")
    _check(margin, alpha)
    mean, count = float(rates.mean()), len(rates)
    if np.ptp(rates) < 1e-9:
        share = (alpha / 2) ** (1 / count)
        return _verdict(
            mean,
            (mean * share, 1 - (1 - mean) * share),
            lambda rate: (rate / max(rate, mean)) ** count,
            lambda rate: ((1 - rate) / max(1 - rate, 1 - mean)) ** count,
            margin,
        )
    error = rates.std(ddof=1) / np.sqrt(count)
    half = t.isf(alpha / 2, count - 1) * error
    return _verdict(
        mean,
        (max(0.0, mean - half), min(1.0, mean + half)),
        lambda rate: t.sf((mean - rate) / error, count - 1),
        lambda rate: t.cdf((mean - rate) / error, count - 1),
        margin,
    )


def power(
    trials: int | np.ndarray,
    rate: float,
    alpha: float = 0.05,
    verdict: str = TOLD,
    margin: float = 0.1,
) -> float | np.ndarray:
    """How likely `judge_one` comes to a verdict about somebody who is right at `rate`; exact.

    trials: a number of answers, or an array of them. verdict: one of `VERDICTS`. At a rate of 0.5
    this is how often a guesser is told apart, or passes. Raises ValueError for another verdict.
    """
    from scipy.stats import binom

    if verdict not in VERDICTS:
        raise ValueError(f"there is no verdict {verdict!r}; choose one of {', '.join(VERDICTS)}")
    _check(margin, alpha)
    many = binom.isf(alpha / 2, trials, 0.5) + 1  # guessers seldom have as many right
    few = trials - many  # or as few
    most = np.minimum(binom.ppf(alpha / 2, trials, 0.5 + margin), many) - 1
    least = np.maximum(binom.isf(alpha / 2, trials, 0.5 - margin), few) + 1
    likely = {
        TOLD: binom.sf(many - 1, trials, rate),
        TAKEN: binom.cdf(few, trials, rate),
        ALIKE: np.maximum(0, binom.cdf(most, trials, rate) - binom.cdf(least - 1, trials, rate)),
    }
    return likely[verdict] if verdict in likely else 1 - sum(likely.values())


def trials_needed(
    rate: float, wanted: float = 0.8, alpha: float = 0.05, margin: float = 0.1
) -> int:
    """How many answers show, with the power `wanted`, what is true of somebody right at `rate`.

    Above 0.5 that is "told apart", below it "taken for the composer", and at 0.5 itself
    "indistinguishable". The least number from which on the power stays there: it does not grow
    smoothly, because answers are counted in whole numbers. Raises ValueError for what is no rate,
    and for a power that no number of answers has: at 0.5 that is 1 − alpha.
    """
    from scipy.stats import norm

    most = 1 if rate != 0.5 else 1 - alpha
    if not (0 <= rate <= 1 and 0 < wanted < most):
        raise ValueError(f"no number of answers shows a rate of {rate} with a power of {wanted}")
    verdict, distance, missed = TOLD if rate > 0.5 else TAKEN, abs(rate - 0.5), 1 - wanted
    if rate == 0.5:
        verdict, distance, missed = ALIKE, margin, (1 - wanted) / 2
    about = (norm.isf(alpha / 2) + norm.isf(missed)) ** 2 / (4 * distance**2)
    trials = np.arange(1, int(2 * about) + 100)
    short = np.flatnonzero(power(trials, rate, alpha, verdict, margin) < wanted)
    return int(trials[short[-1]]) + 1


def _check(margin, alpha):
    if not (0 < margin < 0.5 and 0 < alpha < 1):
        raise ValueError(f"margin {margin}, alpha {alpha}: such a test cannot be")


def _verdict(rate, interval, as_high, as_low, margin):
    """as_high, as_low: how likely a result as high, or as low, is at a true rate, the largest one
    of those that are tested against."""
    low, high = map(float, interval)
    words = UNDECIDED
    if low > 0.5:
        words = TOLD
    elif high < 0.5:
        words = TAKEN
    elif 0.5 - margin < low and high < 0.5 + margin:
        words = ALIKE
    p_alike = max(as_high(0.5 - margin), as_low(0.5 + margin))
    return Verdict(
        float(rate), (low, high), float(as_high(0.5)), float(as_low(0.5)), float(p_alike), words
    )
