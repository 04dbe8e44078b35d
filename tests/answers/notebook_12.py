"""Answers to the exercises of notebook 12: right ones, and plausible mistakes."""

import hashlib
import hmac
from math import comb

import numpy as np
from scipy.stats import binom, norm


def kept(commitment, text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest() == commitment


def p_value(right, trials):
    return sum(comb(trials, k) for k in range(right, trials + 1)) / 2**trials


def right_needed(trials, alpha):
    return next(r for r in range(trials + 2) if p_value(r, trials) <= alpha)


RIGHT = {
    "12.1": [
        kept,
        lambda c, t: hmac.compare_digest(c, hashlib.sha256(t.encode()).hexdigest()),
        lambda c, t: hashlib.sha256(t.encode()).digest() == bytes.fromhex(c),
        lambda c, t: np.bool_(kept(c, t)),
    ],
    "12.2": [
        p_value,
        lambda r, n: binom.sf(r - 1, n, 0.5),
        lambda r, n: 1 - binom.cdf(r - 1, n, 0.5),
    ],
    "12.3": [
        right_needed,
        lambda n, a: int(binom.isf(a, n, 0.5)) + 1,
    ],
}

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
        ("small letters", lambda c, t: kept(c, t.lower()), "the text 'First, second, second'"),
        (
            "one holds the other",
            lambda c, t: hashlib.sha256(t.encode()).hexdigest() in c,
            "too long",
        ),
        ("in words", lambda c, t: "yes", "is 'yes', but True or False"),
        (
            "another alphabet",
            lambda c, t: hashlib.sha256(t.encode("latin-1")).hexdigest() == c,
            "stops at",
        ),
    ],
    "12.2": [
        ("more than r", lambda r, n: p_value(r + 1, n), "for 4 right of 4"),
        ("exactly r", lambda r, n: comb(n, r) / 2**n, "for 0 right of 4"),
        ("the other tail", lambda r, n: p_value(n - r, n), "for 4 right of 4"),
        ("both tails", lambda r, n: min(1, 2 * p_value(r, n)), "for 4 right of 4"),
        ("three digits", lambda r, n: round(p_value(r, n), 3), "is 0.062, but 0.0625"),
        ("a bell", lambda r, n: norm.sf((r - 0.5 - n / 2) / np.sqrt(n / 4)), "for 4 right of 4"),
    ],
    "12.3": [
        ("one too few", lambda n, a: right_needed(n, a) - 1, "is too few"),
        ("one too many", lambda n, a: min(n + 1, right_needed(n, a) + 1), "more than needed"),
        ("always 75 %", lambda n, a: round(0.75 * n), "for 5 trials"),
        ("strictly below", lambda n, a: right_needed(n, a - 1e-9), "alpha = 0.0625"),
        ("both tails", lambda n, a: right_needed(n, a / 2), "more than needed"),
        ("a bell", lambda n, a: min(n + 1, int(n / 2 + 1.645 * np.sqrt(n / 4)) + 1), ""),
        ("not whole", lambda n, a: right_needed(n, a) - 0.5, "not a whole number"),
        ("never", lambda n, a: np.nan, "finite number"),
    ],
}
