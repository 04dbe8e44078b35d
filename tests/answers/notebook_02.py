"""Answers to the exercises of notebook 02: right ones, and plausible mistakes."""

import math

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm


def one_bell(weights, means, scales):
    mean = weights @ means
    return mean, math.sqrt(weights @ (scales**2 + (means - mean) ** 2))


def own_log_density(y, weights, means, scales):
    return np.sum(logsumexp(np.log(weights) + norm(means, scales).logpdf(y), axis=0))


def subset(pi_hat, tau, within=lambda total, tau: total <= tau, first=True, rounding=1e-9):
    """The rule of S, and by its options the ways to get it wrong."""
    kept, total = [], 0.0
    for k in np.argsort(-np.asarray(pi_hat), kind="stable"):
        total += pi_hat[k]
        if (first and not kept) or within(total, tau + rounding):
            kept.append(int(k))
        else:
            break
    return kept


def crossing(pi_hat, tau):
    """A nucleus as the field has it: the component that crosses belongs to it."""
    order = np.argsort(-pi_hat, kind="stable")
    before = np.cumsum(pi_hat[order]) - pi_hat[order]
    return [int(k) for k, total in zip(order, before, strict=True) if total < tau or total == 0]


def skipping(pi_hat, tau):
    """Goes on past a component that does not fit."""
    kept, total = [], 0.0
    for k in np.argsort(-pi_hat, kind="stable"):
        if not kept or total + pi_hat[k] <= tau + 1e-9:
            kept, total = [*kept, int(k)], total + pi_hat[k]
    return kept


def unsorted_sum(pi_hat, tau):
    """The largest components, but as many as an unsorted sum lets in."""
    size = max(1, np.sum(np.cumsum(pi_hat) <= tau + 1e-9))
    return np.argsort(-pi_hat, kind="stable")[:size]


def by_squares(weights, means, scales):
    mean = weights @ means
    return mean, math.sqrt(weights @ (scales**2 + means**2) - mean**2)


RIGHT = {
    "02.1": [
        one_bell,
        lambda w, mu, s: np.array(one_bell(w, mu, s)),
        by_squares,
    ],
    "02.2": [
        own_log_density,
        lambda y, w, mu, s: logsumexp(norm(mu, s).logpdf(y), b=w, axis=0).sum(),
    ],
    "02.3": [
        lambda residuals: np.sqrt(np.mean(residuals**2)),
        lambda r: math.sqrt((r**2).sum(axis=1).mean() / r.shape[1]),
        lambda r: np.linalg.norm(r) / np.sqrt(r.size),
    ],
    "02.4": [
        subset,
        lambda pi_hat, tau: np.array(subset(pi_hat, tau)[::-1]),
        lambda pi_hat, tau: set_free(pi_hat, tau),
        lambda pi_hat, tau: set(subset(pi_hat, tau)),
        lambda pi_hat, tau: (k for k in subset(pi_hat, tau)),
    ],
}


def set_free(pi_hat, tau):
    """The same by a sorted cumulative sum."""
    order = np.argsort(-pi_hat, kind="stable")
    size = np.count_nonzero(np.cumsum(pi_hat[order]) <= tau)
    return order if tau == 1 else order[: max(1, size)]


# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "02.1": [
        ("the plain mean", lambda w, mu, s: (mu.mean(), one_bell(w, mu, s)[1]), "pulls harder"),
        (
            "only the widths",
            lambda w, mu, s: (w @ mu, math.sqrt(w @ s**2)),
            "from one mean to the other",
        ),
        ("mean of the widths", lambda w, mu, s: (w @ mu, w @ s), "variances are averaged"),
        (
            "the variance itself",
            lambda w, mu, s: (w @ mu, one_bell(w, mu, s)[1] ** 2),
            "0.25 at position 1, but 0.5 is wanted",
        ),
        (
            "only the means",
            lambda w, mu, s: (w @ mu, math.sqrt(w @ (mu - w @ mu) ** 2)),
            "best fitted by itself",
        ),
        ("the top component", lambda w, mu, s: (mu[w.argmax()], s[w.argmax()]), "variances are"),
        ("the mean alone", lambda w, mu, s: w @ mu, "is one number, but the shape (2,)"),
        (
            "the wrong way round",
            lambda w, mu, s: one_bell(w, mu, s)[::-1],
            "is 0.5 at position 0, but 2",
        ),
        (
            "rounded",
            lambda w, mu, s: np.round(one_bell(w, mu, s), 3),
            "is 2.236 at position 1, but 2.23607",
        ),
    ],
    "02.2": [
        (
            "logarithm too late",
            lambda y, w, mu, s: np.log(np.prod(np.sum(w * norm(mu, s).pdf(y), axis=0))),
            "-inf, but",
        ),
        (
            "densities inside a dimension",
            lambda y, w, mu, s: np.sum(np.log(np.sum(w * norm(mu, s).pdf(y), axis=0))),
            "a single narrow bell",
        ),
        (
            "as if weights were shared",
            lambda y, w, mu, s: logsumexp(np.sum(np.log(w) + norm(mu, s).logpdf(y), axis=1)),
            "for K = 2, m = 3",
        ),
        (
            "the logarithm of each term",
            lambda y, w, mu, s: np.sum(w * norm(mu, s).logpdf(y)),
            "for K = 2, m = 1",
        ),
        ("the cost", lambda y, w, mu, s: -own_log_density(y, w, mu, s), "as SciPy's norm"),
        (
            "weights forgotten",
            lambda y, w, mu, s: np.sum(logsumexp(norm(mu, s).logpdf(y), axis=0)),
            "for K = 2, m = 1",
        ),
        (
            "the mean over dimensions",
            lambda y, w, mu, s: np.mean(logsumexp(norm(mu, s).logpdf(y), b=w, axis=0)),
            "add up over dimensions",
        ),
        (
            "not summed",
            lambda y, w, mu, s: logsumexp(norm(mu, s).logpdf(y), b=w, axis=0),
            "shape (3,), but one number is wanted",
        ),
        (
            "a floor under the density",
            lambda y, w, mu, s: np.sum(np.log(np.sum(w * norm(mu, s).pdf(y), axis=0) + 1e-12)),
            "a single narrow bell",
        ),
    ],
    "02.3": [
        (
            "the program of 2017",
            lambda r: np.sqrt(np.mean(np.sum(r**2, axis=1))),
            "is 5, but 3.53553 is wanted",
        ),
        ("the variance", lambda r: np.mean(r**2), "is 12.5, but 3.53553 is wanted"),
        ("mean of the absolutes", lambda r: np.mean(abs(r)), "one residual of length 5"),
        ("a mean subtracted", np.std, "[[3.0, 4.0]]"),
        (
            "mean of the lengths",
            lambda r: np.mean(np.linalg.norm(r, axis=1)) / np.sqrt(r.shape[1]),
            "squares are averaged",
        ),
        (
            "one σ a dimension",
            lambda r: np.sqrt(np.mean(r**2, axis=0)),
            "shape (2,), but one number is wanted",
        ),
        ("n − 1", lambda r: np.sqrt(np.sum(r**2) / (r.size - 1)), "is 5, but 3.53553 is wanted"),
    ],
    "02.4": [
        ("the crossing one is in", crossing, "but [0, 1] is wanted"),
        ("no first one", lambda pi_hat, tau: subset(pi_hat, tau, first=False), "always belongs"),
        (
            "below, not at τ",
            lambda pi_hat, tau: subset(
                pi_hat, tau, lambda total, tau: total < tau, rounding=0 if tau < 1 else 1e-9
            ),
            "a sum equal to τ is still allowed",
        ),
        ("rounding", lambda pi_hat, tau: subset(pi_hat, tau, rounding=0), "τ = 1 keeps all"),
        (
            "not sorted",
            lambda pi_hat, tau: list(range(max(1, np.sum(np.cumsum(pi_hat) <= tau + 1e-9)))),
            "the order is that of π̂",
        ),
        (
            "places in the order",
            lambda pi_hat, tau: list(range(len(subset(pi_hat, tau)))),
            "not that of the list",
        ),
        ("skipping", skipping, "0.3 comes before it"),
        (
            "each by itself",
            lambda pi_hat, tau: [k for k, p in enumerate(pi_hat) if p <= tau],
            "but [0, 1] is wanted",
        ),
        ("how many", lambda pi_hat, tau: len(subset(pi_hat, tau)), "no list of indices"),
        (
            "the weights",
            lambda pi_hat, tau: pi_hat[subset(pi_hat, tau)],
            "your S is [0.5, 0.3]",
        ),
        ("added up unsorted", unsorted_sum, "the sorted weights"),
        (
            "a mask",
            lambda pi_hat, tau: np.isin(range(len(pi_hat)), subset(pi_hat, tau)),
            "your S is [1, 1, 0]",
        ),
        ("twice", lambda pi_hat, tau: 2 * subset(pi_hat, tau), "your S is [0, 1, 0, 1]"),
        (
            "a column",
            lambda pi_hat, tau: np.array(subset(pi_hat, tau))[:, None],
            "no list of indices: it has the shape (2, 1)",
        ),
    ],
}
