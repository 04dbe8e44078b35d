"""Answers to the exercises of notebook 10: right ones, and plausible mistakes."""

import numpy as np
from scipy import stats
from scipy.special import softmax


def narrow(r, m):
    return r ** (-1 / m)


def entropy(weights):
    weights = np.asarray(weights)
    return float(-(weights[weights > 0] * np.log(weights[weights > 0])).sum())


def bent(weights, T):
    powers = np.asarray(weights) ** (1 / T)
    return powers / powers.sum()


def cut_off(weights, T):
    """The likely ones are bent, the unlikely one is gone."""
    powers = np.where((weights < 0.2) & (T < 1), 0, weights ** (1 / T))
    return powers / powers.sum()


RIGHT = {
    "10.1": [
        narrow,
        lambda r, m: np.exp(-np.log(r) / m),
        lambda r, m: np.array([narrow(r, m)]),
        lambda r, m: (1 / r) ** (1 / m),
    ],
    "10.2": [
        entropy,
        lambda w: -np.nansum(w * np.log(w)),
        lambda w: stats.entropy(w),
    ],
    "10.3": [
        bent,
        lambda weights, T: list(bent(weights, T)),
        lambda weights, T: softmax(np.log(weights) / T),
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "10.1": [
        ("the other way round", lambda r, m: r ** (1 / m), "must be the narrower one"),
        ("the paper's form", lambda r, m: 1 / r, "4 times the weight in 2 dimensions"),
        ("the variance", lambda r, m: r ** (-2 / m), "for 2 times the weight in 1 dimension"),
        ("a factor m", lambda r, m: 1 / (r * m), "4 times the weight in 2"),
        ("two numbers", lambda r, m: [narrow(r, m), 1], "but one number is wanted"),
        ("nearly 1", lambda r, m: 1 - np.log(r) / m, ""),
        ("nothing left", lambda r, m: 0.0, "lies above 0"),
    ],
    "10.2": [
        ("bits", lambda w: entropy(w) / np.log(2), "so H = ln 2"),
        ("the sign", lambda w: -entropy(w), "for 2 equal weights"),
        (
            "0 · ln 0",
            lambda w: float(-(w * np.log(w)).sum()),
            "for the weights 0.5, 0, 0.5",
        ),
        ("the number of options", lambda w: np.exp(entropy(w)), "for 1 equal weight"),
        ("the mean", lambda w: entropy(w) / len(w), "for 2 equal weights"),
        ("1 − Σπ²", lambda w: 1 - (np.asarray(w) ** 2).sum(), "for 2 equal weights"),
        ("Rényi's", lambda w: -np.log(np.sum(w**2)), "the mean of the surprises"),
        ("the least surprise", lambda w: -np.log(w.max()), "the mean of the surprises"),
        ("how many there are", lambda w: np.log(np.count_nonzero(w)), "the mean of the surprises"),
        (
            "a number to each",
            lambda w: np.where(w > 0, -w * np.log(np.maximum(w, 1e-9)), 0),
            "(2,), but one number",
        ),
    ],
    "10.3": [
        ("to the power T", lambda w, T: bent(w, 1 / T), "T = 0.5"),
        ("not normalised", lambda w, T: np.asarray(w) ** (1 / T), "sum to 0.46"),
        ("a softmax of the weights", lambda w, T: bent(np.exp(w), T), "T = 1 changes nothing"),
        ("divided", lambda w, T: np.asarray(w) / T, "sum to 2"),
        ("nothing", lambda w, T: w, "T = 0.5"),
        (
            "in logarithms, with a floor",
            lambda w, T: bent(np.maximum(w, 0.01), T) if min(w) == 0 else bent(w, T),
            "a weight of 0 stays 0",
        ),
        ("sorted", lambda w, T: np.sort(bent(w, T))[::-1], "T = 1 changes nothing"),
        ("the small one cut off", cut_off, "T = 0.5"),
        (
            "in logarithms, with a small floor",
            lambda w, T: softmax(np.log(w + 1e-12) / T),
            "your last weight is 7.07e-07",
        ),
        ("a column", lambda w, T: bent(w, T)[:, None], "(3, 1), not (3,)"),
    ],
}
