"""Answers to the exercises of notebook 13: right ones, and plausible mistakes."""

import math

import numpy as np

WIDTHS = np.repeat([1, 2, 4, 8], [32, 32, 32, 4])


def feature_of(frequency):
    b = round(frequency / 15.625)
    return int(np.searchsorted(np.cumsum(WIDTHS), b, side="right"))


def by_hand(frequency):
    b = round(frequency / 15.625)
    for first, width, feature in ((224, 8, 96), (96, 4, 64), (32, 2, 32)):
        if b >= first:
            return feature + (b - first) // width
    return b


def most_probable(X, y, sigma, s):
    return np.linalg.solve(X.T @ X + sigma**2 / s**2 * np.eye(X.shape[1]), X.T @ y)


def distance(q, t):
    energy = t @ t
    gain = q @ t / energy if energy else 0.0
    return np.linalg.norm(q - gain * t) / np.linalg.norm(q)


def by_angle(q, t):
    both = np.linalg.norm(q) * np.linalg.norm(t)
    cosine = q @ t / both if both else 0.0
    return np.sqrt(max(1 - cosine**2, 0.0))


def augmented(X, y, sigma, s):
    """Ordinary least squares, with the prior as so many more data."""
    pulls = sigma / s * np.eye(X.shape[1])
    return np.linalg.lstsq(np.vstack([X, pulls]), np.append(y, 0 * pulls[0]), rcond=None)[0]


RIGHT = {
    "13.1": [
        feature_of,
        by_hand,
        lambda f: np.repeat(np.arange(100), WIDTHS)[int(f / 15.625 + 0.5)],
    ],
    "13.2": [
        most_probable,
        augmented,
    ],
    "13.3": [distance, by_angle],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "13.1": [
        ("the bin", lambda f: round(f / 15.625), "of what it has in feature"),
        ("off the end", lambda f: 100, "numbered from 0 to 99"),
        ("the axis taken as linear", lambda f: int(f / 40), "of what it has in feature"),
        ("bins of the window", lambda f: feature_of(f / 2), "of what it has in feature"),
        ("not whole", lambda f: f / 40, "not a whole number"),
        ("one off", lambda f: min(feature_of(f) + 1, 99), "of what it has in feature"),
        (
            "the bin below",
            lambda f: by_hand(15.625 * int(f / 15.625)),
            "for 466.16 Hz your answer is 29",
        ),
        (
            "the bin above",
            lambda f: min(99, by_hand(15.625 * math.ceil(f / 15.625))),
            "for 440 Hz your answer is 29",
        ),
    ],
    "13.2": [
        ("the prior forgotten", lambda X, y, a, s: np.linalg.lstsq(X, y)[0], "posterior"),
        ("not squared", lambda X, y, a, s: most_probable(X, y, a**0.5, s**0.5), "posterior"),
        ("upside down", lambda X, y, a, s: most_probable(X, y, s, a), "posterior"),
        ("per sample", lambda X, y, a, s: most_probable(X, y, a * len(y) ** 0.5, s), "posterior"),
        ("a matrix", lambda X, y, a, s: most_probable(X, y, a, s)[:, None], "the shape (4, 1)"),
        ("rounded", lambda X, y, a, s: np.round(most_probable(X, y, a, s), 3), "posterior"),
        (
            "a constant, too",
            lambda X, y, a, s: most_probable(X - X.mean(0), y - y.mean(), a, s),
            "posterior",
        ),
    ],
    "13.3": [
        (
            "the gain forgotten",
            lambda q, t: np.linalg.norm(q - t) / np.linalg.norm(q),
            "the best gain",
        ),
        ("not relative", lambda q, t: distance(q, t) * np.linalg.norm(q), "the best gain"),
        ("the cosine", lambda q, t: 1 - by_angle(q, t), "what is left"),
        (
            "the louder one decides",
            lambda q, t: by_angle(q, t) if np.any(t) else 0.0,
            "and silence",
        ),
        (
            "unit lengths",
            lambda q, t: np.linalg.norm(q / np.linalg.norm(q) - t / np.linalg.norm(t)),
            "that share nothing",
        ),
        (
            "the other way round",
            lambda q, t: np.linalg.norm(t - (q @ t) / (q @ q) * q) / np.linalg.norm(t),
            "and silence your answer is nan",
        ),
        (
            "never louder",
            lambda q, t: np.linalg.norm(q - min(1, (q @ t) / (t @ t)) * t) / np.linalg.norm(q),
            "and its half",
        ),
        ("squared", lambda q, t: distance(q, t) ** 2, "for two random"),
        (
            "a large floor",
            lambda q, t: np.linalg.norm(q - (q @ t) / (t @ t + 1e-4) * t) / np.linalg.norm(q),
            "quiet",
        ),
    ],
}
