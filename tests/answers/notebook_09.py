"""Answers to the exercises of notebook 09: right ones, and plausible mistakes."""

import numpy as np
from scipy.stats import multivariate_normal, norm


def all_starts(lengths, steps):
    ends = np.cumsum(lengths)
    return [s for n, end in zip(lengths, ends, strict=True) for s in range(end - n, end - steps)]


def patient(losses, patience, better=lambda loss, best: loss < best, last=False, extra=0):
    """Early stopping, and by its options the ways to get it wrong."""
    best = waited = 0
    for epoch, loss in enumerate(losses[1:], start=1):
        best, waited = (epoch, 0) if better(loss, losses[best]) else (best, waited + 1)
        if waited == patience + extra:
            return epoch if last else best
    return best


def impatient(losses, patience):
    """Forgets to begin anew when the loss falls."""
    best = waited = 0
    for epoch, loss in enumerate(losses[1:], start=1):
        if loss < losses[best]:
            best = epoch
        else:
            waited += 1
        if waited == patience:
            break
    return best


def yielded(lengths, steps):
    begin = 0
    for n in lengths:
        yield from range(begin, begin + n - steps)
        begin += n


def pieces(lengths, steps):
    begins = np.cumsum([0, *lengths[:-1]])
    return [list(range(b, b + n - steps)) for b, n in zip(begins, lengths, strict=True)]


def roomy(lengths, steps):
    starts, begin = [], 0
    for n in lengths:
        starts += range(begin, begin + n - steps)
        begin += max(n, steps)
    return starts


def by_index(losses, patience):
    for epoch in range(len(losses)):
        if epoch - int(np.argmin(losses[: epoch + 1])) >= patience:
            return int(np.argmin(losses[: epoch + 1]))
    return int(np.argmin(losses))


def against_the_last(losses, patience):
    best = waited = 0
    for epoch in range(1, len(losses)):
        waited = 0 if losses[epoch] < losses[epoch - 1] else waited + 1
        best = epoch if losses[epoch] < losses[best] else best
        if waited == patience:
            break
    return best


def rising(losses, patience):
    """Waits for so many rises one after the other."""
    run = 0
    for epoch in range(1, len(losses)):
        run = run + 1 if losses[epoch] > losses[epoch - 1] else 0
        if run == patience:
            return int(np.argmin(losses[: epoch + 1]))
    return int(np.argmin(losses))


RIGHT = {
    "09.1": [
        all_starts,
        lambda lengths, steps: np.array(all_starts(lengths, steps)[::-1]),
        lambda lengths, steps: set(all_starts(lengths, steps)),
        yielded,
        lambda lengths, steps: [float(s) for s in all_starts(lengths, steps)],
    ],
    "09.3": [
        patient,
        by_index,
    ],
    "09.2": [
        lambda y, mean: 0.5 * ((y - mean) ** 2).sum() + 0.5 * len(y) * np.log(2 * np.pi),
        lambda y, mean: -norm.logpdf(y, mean).sum(),
        lambda y, mean: -multivariate_normal(mean, 1.0).logpdf(y),
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "09.1": [
        (
            "no room for the last target",
            lambda lengths, steps: [
                s
                for n, end in zip(lengths, np.cumsum(lengths), strict=True)
                for s in range(end - n, end - steps + 1)
            ],
            "the last frame there is has number 4",
        ),
        ("pieces ignored", lambda lengths, steps: range(sum(lengths) - steps), "two pieces"),
        ("side by side", lambda lengths, steps: all_starts(lengths, steps)[::steps], "missing"),
        (
            "the last start forgotten",
            lambda lengths, steps: [
                s for s in all_starts(lengths, steps) if s + 1 in all_starts(lengths, steps)
            ],
            "[1]",
        ),
        (
            "numbers inside the pieces",
            lambda lengths, steps: [s for n in lengths for s in range(n - steps)],
            "are missing",
        ),
        (
            "pairs",
            lambda lengths, steps: [(s, s + steps) for s in all_starts(lengths, steps)],
            "you allow the start",
        ),
        ("short pieces take room", roomy, "you allow the start 4"),
        (
            "twice",
            lambda lengths, steps: 2 * all_starts(lengths, steps),
            "some starts come twice: [0, 0, 1, 1]",
        ),
        ("piece by piece", pieces, "has parts of different lengths"),
        (
            "halves",
            lambda lengths, steps: [s + 0.5 for s in all_starts(lengths, steps)],
            "are not whole numbers",
        ),
    ],
    "09.3": [
        ("the best of all", lambda losses, patience: int(np.argmin(losses)), "nobody ran"),
        ("the last", lambda losses, patience: patient(losses, patience, last=True), "2.5, 2.6"),
        ("one more", lambda losses, patience: patient(losses, patience, extra=1), "patience 2"),
        ("never anew", impatient, "begins anew"),
        (
            "an equal loss counts",
            lambda losses, patience: patient(losses, patience, lambda loss, best: loss <= best),
            "an equal loss",
        ),
        ("the highest", lambda losses, patience: int(np.argmax(losses)), "the loss never rose"),
        (
            "nearest to zero",
            lambda losses, patience: patient(
                losses, patience, lambda loss, best: abs(loss) < abs(best)
            ),
            "below zero",
        ),
        ("worse than the last", against_the_last, "than the best so far"),
        ("each worse than the last", rising, ""),
    ],
    "09.2": [
        ("no constant", lambda y, mean: 0.5 * ((y - mean) ** 2).sum(), "the peak"),
        (
            "one dimension's constant",
            lambda y, mean: 0.5 * (((y - mean) ** 2).sum() + np.log(2 * np.pi)),
            "m = 2",
        ),
        ("the sign", lambda y, mean: -RIGHT["09.2"][0](y, mean), "but 0.918939 is wanted"),
        ("decades, not nats", lambda y, mean: RIGHT["09.2"][0](y, mean) / np.log(10), "m = 1"),
        ("averaged over dimensions", lambda y, mean: RIGHT["09.2"][0](y, mean) / len(y), "m = 2"),
        (
            "no half",
            lambda y, mean: ((y - mean) ** 2).sum() + 0.5 * len(y) * np.log(2 * np.pi),
            "so says SciPy",
        ),
        (
            "not summed",
            lambda y, mean: 0.5 * (y - mean) ** 2 + 0.5 * np.log(2 * np.pi),
            "shape (2,), but one number is wanted",
        ),
        (
            "a product that vanishes",
            lambda y, mean: -np.log(np.prod(norm.pdf(y, mean))),
            "so far out the density is 0",
        ),
        (
            "a power that overflows",
            lambda y, mean: np.log(
                np.exp(0.5 * np.sum((y - mean) ** 2)) * (2 * np.pi) ** (len(y) / 2)
            ),
            "so far out",
        ),
        (
            "each density by itself",
            lambda y, mean: -np.sum(np.log(norm.pdf(y, mean))),
            "for y − mean = -40",
        ),
        ("a floor", lambda y, mean: -np.sum(np.log(norm.pdf(y, mean) + 1e-9)), "so far out"),
    ],
}
