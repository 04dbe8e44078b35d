"""How an exercise answers: not attempted yet, right, or wrong with a counter-example.

A notebook leaves a function empty but for its docstring, and asks below it:

    check("00.1", frames)

A check knows properties and independent computations, never stored results. It is a function
`(answer) -> str` that calls the learner's `answer` like any function, hands what is wrong to
`expect`, and returns the sentence that a right answer has earned.
"""

import html
import linecache
import re
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_Answer = Callable[..., Any]
_Check = Callable[[_Answer], str]

CHECKS: dict[str, _Check] = {}


@dataclass(frozen=True)
class Verdict:
    """What a learner reads below an exercise. True if and only if the answer is right."""

    exercise: str
    state: str  # "not attempted yet", "right" or "wrong"
    message: str

    def __bool__(self):
        return self.state == "right"

    def __repr__(self):
        return f"{self.exercise} {self.state}: {self.message}"

    def _repr_html_(self):
        mark = {"right": "✓", "wrong": "✗"}.get(self.state, "…")
        head = f"<strong>{mark} {self.exercise} {self.state}:</strong>"
        style = "border-left:4px solid;padding-left:0.8em"
        return f'<div role="status" style="{style}">{head} {html.escape(self.message)}</div>'


def check(exercise: str, answer: _Answer) -> Verdict:
    """Try the function `answer` on `exercise`, for example "07.1"; returns a Verdict.

    Raises ValueError for an exercise that does not exist.
    """
    if exercise not in CHECKS:
        raise ValueError(f"there is no exercise {exercise!r}; choose one of {', '.join(CHECKS)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Verdict(exercise, "right", CHECKS[exercise](_Learner(answer)))
    except _NotAttempted:
        hint = "the function returns nothing. Predict, then write it, and run this cell again."
        return Verdict(exercise, "not attempted yet", hint)
    except _Wrong as wrong:
        return Verdict(exercise, "wrong", f"{wrong}.")


def exercise(number: str) -> Callable[[_Check], _Check]:
    """Register the decorated function as the check of exercise `number`."""

    def register(function: _Check) -> _Check:
        CHECKS[number] = function
        return function

    return register


def expect(condition: bool | np.bool_, message: str) -> None:
    """Stop the check with the counter-example in `message` unless `condition` holds."""
    if not condition:
        raise _Wrong(message)


def numbers(answer: object, asked: str) -> np.ndarray:
    """The answer as an array of floats, or a counter-example that says it holds no numbers."""
    try:
        return np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        kind = type(answer).__name__
        raise _Wrong(f"{asked} your answer ({kind}) is not made of numbers") from None


def expect_equal(
    got: object, wanted: ArrayLike, asked: str, why: str, tolerance: float = 1e-6
) -> None:
    """Stop the check unless `got` equals `wanted` in shape and, up to `tolerance`, in value.

    asked: what the learner's function was asked, for example "for n = 256". why: half a sentence.
    """
    got, wanted = numbers(got, asked), np.asarray(wanted)
    expect(
        got.shape == wanted.shape,
        f"{asked} your answer has the shape {got.shape}, but {wanted.shape} is wanted: {why}",
    )
    off = ~(np.abs(got - wanted) <= tolerance)  # NaN is off, too
    if off.any():
        where = tuple(np.argwhere(off)[0])
        place = f" at position {', '.join(map(str, where))}" if got.size > 1 else ""
        values = f"{got[where]:.6g}{place}, but {wanted[where]:.6g} is wanted"
        raise _Wrong(f"{asked} your answer is {values}: {why}")


class _NotAttempted(Exception):
    """The learner's function is still empty."""


class _Wrong(Exception):
    """The counter-example."""


class _Learner:
    """The learner's function: its errors are counter-examples, its first None an empty answer."""

    def __init__(self, function):
        self.function, self.called = function, False

    def __call__(self, *arguments):
        asked = ", ".join(_short(argument) for argument in arguments)
        first, self.called = not self.called, True
        try:
            result = self.function(*arguments)
        except NotImplementedError:
            raise _NotAttempted from None
        except Exception as error:
            raise _Wrong(f"for {asked} {_where(error, self.function)}") from None
        if result is None or result is ...:
            if first:
                raise _NotAttempted
            raise _Wrong(f"for {asked} your function returns nothing: is a `return` missing?")
        return result


def _where(error, function):
    """Which line of the learner's function stopped, and why; no file name and no address."""
    said = re.sub(" at 0x[0-9a-f]+", "", " ".join(str(error).split()))
    code = getattr(function, "__code__", None)
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code is code:
            line = linecache.getline(code.co_filename, number).strip()
            return f"your function stops at `{line}` ({type(error).__name__}: {said})"
    return f"your function cannot be called ({type(error).__name__}: {said})"


def _short(argument):
    """An argument as a learner may read it: numbers in full, long arrays by their shape."""
    if isinstance(argument, np.ndarray) and argument.size > 6:
        return f"an array of shape {argument.shape}"
    return str(argument)
