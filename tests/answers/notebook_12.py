"""Answers to the exercises of notebook 12: right ones, and plausible mistakes."""

import hashlib
from math import comb


def kept(commitment, text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest() == commitment


def p_value(right, trials):
    return sum(comb(trials, k) for k in range(right, trials + 1)) / 2**trials


def right_needed(trials, alpha):
    return next(r for r in range(trials + 2) if p_value(r, trials) <= alpha)


RIGHT = {"12.1": [kept], "12.2": [p_value], "12.3": [right_needed]}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "12.1": [
        ("always", lambda commitment, text: True, "it changed"),
        ("never", lambda commitment, text: False, "it was kept"),
        ("another hash", lambda c, t: hashlib.sha1(t.encode()).hexdigest() == c, "it was kept"),
        (
            "only the beginning",
            lambda c, t: hashlib.sha256(t.encode()).hexdigest().startswith(c),
            "cut off",
        ),
        ("the hash itself", lambda c, t: hashlib.sha256(t.encode()).hexdigest(), "True or False"),
        ("white space ignored", lambda c, t: kept(c, t.strip()), "it "),
    ],
    "12.2": [
        ("more than r", lambda r, n: p_value(r + 1, n), "for 4 right of 4"),
        ("exactly r", lambda r, n: comb(n, r) / 2**n, "for 0 right of 4"),
        ("the other tail", lambda r, n: p_value(n - r, n), "for 4 right of 4"),
        ("both tails", lambda r, n: min(1, 2 * p_value(r, n)), "for 4 right of 4"),
    ],
    "12.3": [
        ("one too few", lambda n, a: right_needed(n, a) - 1, "is too few"),
        ("one too many", lambda n, a: min(n + 1, right_needed(n, a) + 1), "more than needed"),
        ("always 75 %", lambda n, a: round(0.75 * n), "for 5 trials"),
        ("strictly below", lambda n, a: right_needed(n, a - 1e-9), "alpha = 0.0625"),
        ("both tails", lambda n, a: right_needed(n, a / 2), "more than needed"),
    ],
}
