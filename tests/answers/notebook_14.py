"""Answers to the exercises of notebook 14: right ones, and plausible mistakes."""

import math
from collections import Counter

import numpy as np


def higher(tokens, semitones):
    return np.where(tokens >= 2, tokens.astype(int) + semitones, tokens)


def nats_of_pairs(learn, judge, size):
    counts = np.ones((size, size))
    for before, after in zip(learn[:-1], learn[1:], strict=True):
        counts[before, after] += 1
    P = counts / counts.sum(axis=1, keepdims=True)
    return -np.log(P[judge[:-1], judge[1:]]).mean()


def at_temperature(logits, T):
    powers = np.exp((logits - logits.max()) / T)
    return powers / powers.sum()


def without_plus_one(learn, judge, size):
    counts = np.zeros((size, size))
    np.add.at(counts, (learn[:-1], learn[1:]), 1)
    P = counts / counts.sum(axis=1, keepdims=True)
    return -np.log(P[judge[:-1], judge[1:]]).mean()


def the_wrong_way(learn, judge, size):
    return nats_of_pairs(learn[::-1], judge[::-1], size)


def jointly(learn, judge, size):
    counts = np.ones((size, size))
    np.add.at(counts, (learn[:-1], learn[1:]), 1)
    return -np.log((counts / counts.sum())[judge[:-1], judge[1:]]).mean()


def naive(logits, T):
    powers = np.exp(logits / T)
    return powers / powers.sum()


def round_the_keyboard(tokens, semitones):
    """No note of the exercise leaves the keyboard; those that did would come back on the left."""
    row, key = np.divmod(tokens.astype(int) - 2, 88)
    return np.where(tokens > 1, 2 + 88 * row + (key + semitones) % 88, tokens)


def by_dictionary(learn, judge, size):
    seen = Counter(zip(learn.tolist(), learn[1:].tolist(), strict=False))
    before = Counter(learn[:-1].tolist())
    pairs = list(zip(judge.tolist(), judge[1:].tolist(), strict=False))
    return sum(math.log((before[a] + size) / (seen[a, b] + 1)) for a, b in pairs) / len(pairs)


def turned_round(learn, judge, size):
    counts = np.ones((size, size))
    np.add.at(counts, (learn[1:], learn[:-1]), 1)
    return -np.log((counts / counts.sum(axis=1, keepdims=True))[judge[:-1], judge[1:]]).mean()


def by_columns(learn, judge, size):
    counts = np.ones((size, size))
    np.add.at(counts, (learn[:-1], learn[1:]), 1)
    return -np.log((counts / counts.sum(axis=0))[judge[:-1], judge[1:]]).mean()


def softmaxed(z, T):
    return np.exp(z / T) / np.exp(z / T).sum()


RIGHT = {
    "14.1": [
        higher,
        lambda t, s: [x + s if x > 1 else x for x in t.astype(int)],
        round_the_keyboard,
    ],
    "14.2": [
        nats_of_pairs,
        by_dictionary,
    ],
    "14.3": [
        at_temperature,
        lambda z, T: np.exp(z / T - np.logaddexp.reduce(z / T)),
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "14.1": [
        ("everything moves", lambda t, s: t.astype(int) + s, "they have no pitch"),
        ("nothing moves", lambda t, s: t, "strikes and releases move alike"),
        ("strikes only", lambda t, s: np.where((t > 1) & (t < 90), t + s, t), "move alike"),
        ("downwards", lambda t, s: higher(t, -s), "move alike"),
        ("the rests are left out", lambda t, s: higher(t, s)[t > 1], "no token comes or goes"),
        ("the wrong way round", lambda t, s: higher(t, s)[::-1], "another token"),
        ("all keys but the lowest", lambda t, s: t.astype(int) + s * (t > 2), "but 3 is wanted"),
        (
            "all keys but the highest's release",
            lambda t, s: np.where((t > 1) & (t < 177), t + s, t),
            "but 170 is wanted",
        ),
        (
            "in 8 bits",
            lambda t, s: (
                np.where(t > 1, t + np.uint8(s), t)
                if s > 0
                else np.where(t > 1, t - np.uint8(8 + s), t)
            ),
            "move alike",
        ),
    ],
    "14.2": [
        ("not plus one", without_plus_one, "for learn [0, 1, 0, 1, 0]"),
        ("backwards", the_wrong_way, "for learn"),
        ("the pair, not what follows", jointly, "for learn [0, 1, 0, 1, 0]"),
        ("bits", lambda a, b, n: nats_of_pairs(a, b, n) / np.log(2), "for learn [0, 1, 0, 1, 0]"),
        ("the sum", lambda a, b, n: nats_of_pairs(a, b, n) * (len(b) - 1), "for learn"),
        ("what was before, from what is after", turned_round, "for learn [0, 0, 1]"),
        ("columns that sum to 1", by_columns, ""),
        (
            "one too many in the mean",
            lambda a, b, n: nats_of_pairs(a, b, n) * (len(b) - 1) / len(b),
            "for learn [0, 1, 0, 1, 0]",
        ),
        ("judged backwards", lambda a, b, n: nats_of_pairs(a, b[::-1], n), ""),
    ],
    "14.3": [
        ("overflows", naive, "too large for a float"),
        ("times T", lambda z, T: at_temperature(z, 1 / T), "T = 0.5"),
        ("T forgotten", lambda z, T: at_temperature(z, 1), "T = 0.5"),
        ("no sum of 1", lambda z, T: np.exp((z - z.max()) / T), "softmax(z / T)"),
        (
            "the mean taken off",
            lambda z, T: softmaxed(z - z.mean(), T),
            "take the largest logit off first",
        ),
        ("clipped", lambda z, T: softmaxed(np.clip(z / T, -700, 700), 1), "softmax(z / T)"),
        ("the wrong way round", lambda z, T: at_temperature(z, T)[::-1], "softmax(z / T)"),
    ],
}
