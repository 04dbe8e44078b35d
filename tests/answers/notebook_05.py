"""Answers to the exercises of notebook 05: right ones, and plausible mistakes."""

import numpy as np


def needs_memory(vectors, read=tuple, wrap=False):
    follows = {}
    following = np.roll(vectors, -1, axis=0)
    last = None if wrap else -1
    for x, y in zip(vectors[:last], following[:last], strict=True):
        if follows.setdefault(read(x), tuple(y)) != tuple(y):
            return True
    return False


def counted(vectors):
    """As section 2 of the lesson counts."""
    pairs = {(tuple(a), tuple(b)) for a, b in zip(vectors[:-1], vectors[1:], strict=True)}
    return len(pairs) > len({a for a, _ in pairs})


def phase(generated, pattern, sign=1, lines=None, best=np.argmin, size=np.abs):
    """The nearest phase, and by its options the ways to get it wrong."""
    some = generated[:lines]
    t, n = np.arange(len(some)), len(pattern)
    return best([np.mean(size(some - pattern[(t + sign * p) % n])) for p in range(n)])


def adjacent(vectors):
    """Looks at the paper's border only: a line that comes twice, and then the way back."""
    triples = zip(vectors, vectors[1:], vectors[2:], strict=False)
    return any((a == b).all() and not (b == c).all() for a, b, c in triples)


def by_likeness(generated, pattern):
    t, n = np.arange(len(generated)), len(pattern)
    return max(range(n), key=lambda p: np.sum(generated * pattern[(t + p) % n]))


RIGHT = {
    "05.1": [
        needs_memory,
        counted,
        lambda vectors: np.array([needs_memory(vectors)]),
        lambda vectors: int(needs_memory(vectors)),
    ],
    "05.2": [
        lambda steps, left: left ** (1 / steps),
        lambda steps, left: np.exp(np.log(left) / steps),
        lambda steps, left: np.float32(left) ** np.float32(1 / steps),
        lambda steps, left: [left ** (1 / steps)],
    ],
    "05.3": [
        phase,
        lambda generated, pattern: phase(generated, pattern, size=np.square),
        by_likeness,
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "05.1": [
        ("never", lambda vectors: False, "bounce(32) you say False, but (1, 0, 0, 0, 0, 0, 0, 0)"),
        ("always", lambda vectors: True, "no vector has two different successors"),
        (
            "a vector comes back",
            lambda vectors: len(np.unique(vectors, axis=0)) < len(vectors),
            "cyclic(21) you say True",
        ),
        (
            "it rests",
            lambda vectors: bool(np.any(np.all(vectors[1:] == vectors[:-1], axis=1))),
            "never changes you say True",
        ),
        (
            "it rests after it has moved",
            lambda vectors: (
                bool(np.any(np.all(vectors[1:] == vectors[:-1], axis=1)))
                and len(np.unique(vectors, axis=0)) > 1
            ),
            "a random walk you say False",
        ),
        (
            "the end joined to the beginning",
            lambda vectors: needs_memory(vectors, wrap=True),
            "stops in the middle of a circle, you say True",
        ),
        (
            "only the place of the largest number",
            lambda vectors: needs_memory(vectors, read=np.argmax),
            "double_cyclic(27) you say True",
        ),
        ("line by line", lambda vectors: np.zeros(len(vectors)), "True or False"),
        (
            "in words",
            lambda vectors: "yes" if needs_memory(vectors) else "no",
            "is 'no', but True or False",
        ),
        ("nearest neighbours only", adjacent, "a random walk you say False"),
    ],
    "05.2": [
        (
            "linear",
            lambda steps, left: 1 - (1 - left) / steps,
            "your factor 0.625 leaves 0.3906 after 2 steps, but 0.25",
        ),
        ("shared out", lambda steps, left: left / steps, "for 2 steps"),
        ("the other way", lambda steps, left: left**steps, "for 2 steps"),
        ("what is lost", lambda steps, left: (1 - left) ** (1 / steps), "but 0.3 is wanted"),
        ("a rate, not a factor", lambda steps, left: np.log(left) / steps, "but 0.3 is wanted"),
        ("one step fewer", lambda steps, left: left ** (1 / max(steps - 1, 1)), "for 2 steps"),
        ("rounded", lambda steps, left: round(left ** (1 / steps), 4), "for 200 steps"),
        ("five digits", lambda steps, left: round(left ** (1 / steps), 5), "for 200 steps"),
    ],
    "05.3": [
        ("backwards", lambda g, p: phase(g, p, sign=-1), "from phase 1"),
        ("the first line alone", lambda g, p: phase(g, p, lines=1), "the first one wrong"),
        ("the farthest", lambda g, p: phase(g, p, best=np.argmax), "from phase 0"),
        ("errors that cancel", lambda g, p: phase(g, p, size=lambda off: off), "from phase"),
        ("counted from 1", lambda g, p: phase(g, p) + 1, "from phase 0"),
        ("the column", lambda g, p: int(np.argmax(g[0])), "from phase 0"),
        ("two lines", lambda g, p: phase(g, p, lines=2), "from phase"),
        ("all deviations", lambda g, p: phase(g, p, best=np.array), "has the shape (7,)"),
        ("less than none", lambda g, p: phase(g, p) - len(p), "for"),
    ],
}
