"""Checks of notebook 06: the best memoryless answer, how much past is needed, a secret note."""

import numpy as np

from cmc_helpers.exercises.checking import (
    exercise,
    expect,
    expect_equal,
    listed,
    numbers,
    shown,
    whole,
)
from cmc_helpers.sequences import bounce, cyclic, double_bounce, double_cyclic


def _path(columns, times):
    """One-hot vectors whose 1 visits `columns` (from 1) again and again."""
    columns = np.tile(columns, times)
    return np.eye(columns.max())[columns - 1]


@exercise("06.1")
def _best_guess(answer):
    """Paper, section 2.1.1: the squared error, whose minimum is the mean of what follows."""
    rest = _path([1, 1, 1, 2, 3, 4, 4, 4, 3, 2], 6)  # three lines at each border
    cases = [
        ("for cyclic data", cyclic(30), 2),
        ("for bounce", bounce(64), 3),
        ("for bounce", bounce(64), 7),
        ("for a 1 that rests three lines at the border", rest, 0),
        ("for a 1 that rests three lines at the border", rest, 3),
        ("for columns 1, 2, 1, 3, 1", _path([1, 2, 1, 3, 1], 1), 0),
    ]
    for data, vectors, column in cases:
        asked = f"{data}, at column {column + 1},"
        x = np.eye(vectors.shape[1])[column]
        following = vectors[1:][vectors[:-1, column] == 1]
        wanted = following.mean(axis=0)
        got = numbers(answer(vectors, x), asked)
        expect_equal(np.zeros(got.shape), np.zeros(wanted.shape), asked, "one number per column")
        error, least = (np.mean(np.sum((a - following) ** 2, axis=1)) for a in (got, wanted))
        larger, smaller = shown(error, least)
        expect(
            error <= least + 1e-9,  # NaN is no answer, too
            f"{asked} your answer {listed(got, 3, most=11)} has the squared error {larger}, "
            f"but {smaller} is possible: {_what_follows(following)}",
        )
    return "no function of the current vector, however large, has a smaller squared error."


@exercise("06.2")
def _memory_needed(answer):
    """Paper, section 5.1: what happened "two timesteps ago" is needed for bounce."""
    cases = [
        ("cyclic", cyclic(40), 1),
        ("double_cyclic", double_cyclic(40), 1),
        ("bounce", bounce(64), 2),
        ("double_bounce", double_bounce(40), 2),
        ("columns 1, 2, 3, 2 and again, without a rest", _path([1, 2, 3, 2], 8), 2),
        ("three lines at each border", _path([1, 1, 1, 2, 3, 3, 3, 2], 6), 3),
        ("columns 1, 2, 1, 2, 1, 3 and again", _path([1, 2, 1, 2, 1, 3], 6), 4),
    ]
    for data, vectors, wanted in cases:
        asked = f"for {data}"
        got = whole(answer(vectors), asked)
        columns = [" and ".join(map(str, np.flatnonzero(x) + 1)) for x in vectors]
        expect(got >= wanted, f"{asked} your answer is {got}, but {_doubt(columns, wanted - 1)}")
        last = "one vector leaves" if wanted == 1 else f"the last {wanted} leave"
        expect(got == wanted, f"{asked} your answer is {got}, but {last} no doubt already")
    return "a network that hears one vector at a time has to carry the rest in its state."


@exercise("06.3")
def _leaves_a_note(answer):
    """Paper, sections 4.1 and 5.1: deviations of 0.01 are room enough for a secret."""
    for width in (3, 8, 11):
        steps = 200
        asked = f"for width {width}"
        wanted = bounce(steps + 1, width)
        made = [wanted[0]]
        for line, ideal in enumerate(wanted[1:], start=2):
            x = numbers(answer(made[-1]), asked)
            expect_equal(np.zeros(x.shape), np.zeros(width), asked, "one number per column")
            off = ~(np.abs(x - ideal) <= 0.01 + 1e-6)  # float32 may go a little too far
            worst = int(off.argmax())
            edge = ideal[worst] + np.copysign(0.01, x[worst] - ideal[worst])
            yours, right, _ = shown(x[worst], ideal[worst], edge)
            expect(
                not off.any(),
                f"{asked} line {line} should be within 0.01 of column {ideal.argmax() + 1}, "
                f"but in column {worst + 1} your answer to {_few(made[-1])} has {yours}, "
                f"not {right}",
            )
            made.append(x)
        for line in np.random.default_rng(width).permutation(steps):  # in another order
            again = numbers(answer(made[line]), asked)
            same = np.array_equal(again, made[line + 1])
            expect(same, f"{asked} {_memory_of_its_own(made[line], made[line + 1], again)}")
    return "running free within 0.01 proves no memory: the network could hear its own note."


def _what_follows(following):
    columns, counts = np.unique(following.argmax(axis=1) + 1, return_counts=True)
    often = {1: "once", 2: "twice"}
    said = [
        f"column {c} follows {often.get(n, f'{n} times')}"
        for c, n in zip(columns, counts, strict=True)
    ]
    return " and ".join(said)


def _doubt(columns, n):
    """An example of n equal vectors that are followed by different ones."""
    if n < 1:
        return "one vector is the least that is heard"
    followed = {}
    for end in range(n, len(columns)):
        run = tuple(columns[end - n : end])
        if followed.setdefault(run, columns[end]) != columns[end]:
            return (
                f"after column {', then '.join(run)} there follows column {followed[run]} one time "
                f"and column {columns[end]} another"
            )
    raise AssertionError("n vectors leave no doubt")


def _memory_of_its_own(x, first, later):
    if later.shape != first.shape:
        what = f"the shape {first.shape} and later the shape {later.shape}"
    else:
        column = int((first != later).argmax())
        one, other = shown(first[column], later[column])
        what = f"{one} in column {column + 1} and later with {other}"
    return f"your function answers {_few(x)} first with {what}: it keeps a memory of its own"


def _few(x):
    return listed(x, most=11)
