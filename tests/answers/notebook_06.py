"""Answers to the exercises of notebook 06: right ones, and plausible mistakes."""

import numpy as np


def following(vectors, x):
    return vectors[1:][(vectors[:-1] == x).all(axis=1)]


def table(vectors, x):
    return x @ np.linalg.lstsq(vectors[:-1], vectors[1:], rcond=None)[0]


def most_frequent(vectors, x):
    return np.eye(len(x))[following(vectors, x).sum(axis=0).argmax()]


def memory(vectors, code=lambda x: x.tobytes(), least=1):
    """The smallest n without a doubt, by what `code` sees of a vector."""
    codes = [code(x) for x in vectors]
    for n in range(least, len(codes)):
        followed = {}
        if all(
            followed.setdefault(tuple(codes[end - n : end]), codes[end]) == codes[end]
            for end in range(n, len(codes))
        ):
            return n
    return None


def longest_run(vectors):
    longest = run = 1
    for before, now in zip(vectors, vectors[1:], strict=False):
        run = run + 1 if (before == now).all() else 1
        longest = max(longest, run)
    return longest


def neighbours_only(vectors):
    """Looks for a doubt at adjacent lines alone, as at the paper's border."""
    for n in range(1, 9):
        windows = [vectors[s : s + n + 1] for s in range(len(vectors) - n)]
        if not any(
            np.array_equal(a[:-1], b[:-1]) and not np.array_equal(a, b)
            for a, b in zip(windows, windows[1:], strict=False)
        ):
            return n
    return None


def note(x, left=0.995, turns_at_the_left=True):
    """Going left, the 1 is a little smaller."""
    column, goes_right = int(np.argmax(x)), max(x) > (1 + left) / 2
    if column == len(x) - 1 and goes_right:
        goes_right = False
    elif column == 0 and not goes_right:
        goes_right = turns_at_the_left
    else:
        column += 1 if goes_right else -1
    made = np.zeros(len(x))
    made[max(column, 0)] = 1.0 if goes_right else left
    return made


def elsewhere(x):
    """The note as a negative number in the column where the one came from."""
    column, m = int(np.argmax(x)), len(x)
    going = -1 if min(x) < 0 else 1
    if 0 <= column + going < m:
        column += going
    else:
        going = -going
    made = np.zeros(m)
    made[column] = 1
    if going < 0:
        made[(column + 1) % m] = -0.01
    return made


def with_a_memory():
    before = []

    def step(x):
        if not before or before[-1].argmax() < x.argmax() or not before[-1].any():
            goes_right = True
        else:
            goes_right = before[-1].argmax() == x.argmax() == 0
        before.append(np.array(x))
        column = x.argmax() + (1 if goes_right else -1)
        return np.eye(len(x))[np.clip(column, 0, len(x) - 1)]

    return step


class Restarting:
    """Counts its calls: a memory, too."""

    def __init__(self):
        self.calls = {}

    def __call__(self, x):
        m = len(x)
        self.calls[m] = t = (self.calls.get(m, 0) + 1) % (2 * m)
        return np.eye(m)[min(t, 2 * m - 1 - t)]


def average(x):
    m = len(x)
    sides = np.eye(m, k=1) + np.eye(m, k=-1)
    sides[0, 0] = sides[-1, -1] = 1
    return x @ sides / 2


RIGHT = {
    "06.1": [lambda vectors, x: following(vectors, x).mean(axis=0), table],
    "06.2": [memory, lambda vectors: float(memory(vectors))],
    "06.3": [note, elsewhere, lambda x: note(x, left=0.9901).tolist()],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "06.1": [
        ("the most frequent one", most_frequent, "but 0.5 is possible"),
        (
            "each successor once",
            lambda vectors, x: np.unique(following(vectors, x), axis=0).mean(axis=0),
            "rests three lines",
        ),
        ("the first one", lambda vectors, x: following(vectors, x)[0], "at column 4"),
        ("what came before", lambda vectors, x: following(vectors[::-1], x).mean(axis=0), "cyclic"),
        ("x itself", lambda vectors, x: x, "has the squared error 2"),
        ("the mean of all", lambda vectors, x: vectors.mean(axis=0), "but 0 is possible"),
        (
            "round the end",
            lambda vectors, x: np.roll(vectors, -1, axis=0)[(vectors == x).all(axis=1)].mean(
                axis=0
            ),
            "columns 1, 2, 1, 3, 1",
        ),
        (
            "a column, not a vector",
            lambda vectors, x: table(vectors, x).argmax(),
            "is one number, but the shape",
        ),
        (
            "two digits",
            lambda vectors, x: np.round(following(vectors, x).mean(axis=0), 2),
            "but 0.4444 is possible",
        ),
    ],
    "06.2": [
        ("always two", lambda vectors: 2, "leaves no doubt already"),
        ("always one", lambda vectors: 1, "for bounce your answer is 1"),
        ("the longest run", longest_run, "without a rest"),
        ("one more", lambda vectors: memory(vectors) + 1, "one vector leaves no doubt already"),
        ("one fewer", lambda vectors: memory(vectors) - 1, "for cyclic your answer is 0"),
        ("the first one's column", lambda vectors: memory(vectors, np.argmax), "double_cyclic"),
        ("adjacent lines", neighbours_only, "after column 2 there follows column 3 one time"),
        ("the period", lambda vectors: len(np.unique(vectors, axis=0)), "answer is 7"),
        ("begins at two", lambda vectors: memory(vectors, least=2), "for cyclic your answer is 2"),
        ("stops at three", lambda vectors: min(memory(vectors), 3), "column 1, then 2, then 1"),
        ("a half more", lambda vectors: memory(vectors) + 0.5, "is 1.5, not a whole number"),
        ("two numbers", lambda vectors: (memory(vectors), 1), "(2,), but one number is wanted"),
    ],
    "06.3": [
        ("the mean", average, "line 2 should be within 0.01 of column 2"),
        ("cyclic", lambda x: np.roll(x, 1), "line 4 should be within 0.01 of column 3"),
        ("a memory outside", with_a_memory(), "a memory of its own"),
        ("a counter", Restarting(), "a memory of its own"),
        ("too loud a note", lambda x: note(x, left=0.9), "0.9"),
        (
            "stuck at the left border",
            lambda x: note(x, turns_at_the_left=False),
            "line 8 should be",
        ),
        ("no note", lambda x: np.round(note(x)), "within 0.01"),
        ("one number", lambda x: x.argmax(), "is one number, but the shape"),
        ("a note a little too loud", lambda x: note(x, left=0.98999), "has 0.98999, not 1"),
        ("a coin", lambda x: note(x) * (1 - 0.001 * np.random.rand()), ""),
    ],
}
