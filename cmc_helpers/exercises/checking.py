"""How an exercise answers: not attempted yet, right, or wrong with a counter-example.

A notebook leaves a function empty but for its docstring, and asks below it:

    check("00.1", frames)

A check knows properties and independent computations, never stored results. It is a function
`(answer) -> str` that calls the learner's `answer` like any function, reads what comes back with
`number`, `whole`, `truth` or `numbers`, hands what is wrong to `expect` or `expect_equal`, and
returns the sentence that a right answer has earned.

How an answer is written does not count: a list, a tuple or an array, one number bare or in an array
of its own, float64 or float32. What it says does.
"""

import contextlib
import copy
import html
import linecache
import re
import traceback
import warnings
from collections.abc import Callable, Iterator, KeysView, ValuesView
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_Answer = Callable[..., Any]
_Check = Callable[[_Answer], str]

CHECKS: dict[str, _Check] = {}

_LONG = np.ndarray | list | tuple

CLOSE = 1e-5  # float32 carries seven digits, and a long sum costs one or two of them
LONGEST = 300  # characters of a message: what is longer is not read


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
        near = [number for number in CHECKS if number[:3] == str(exercise)[:3]]
        known = ", ".join(near) or f"{min(CHECKS)} to {max(CHECKS)}"
        raise ValueError(f"there is no exercise {exercise!r}; choose one of {known}")
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return Verdict(exercise, "right", CHECKS[exercise](_Learner(answer)))
    except _NotAttempted:
        hint = "the function returns nothing. Predict, then write it, and run this cell again."
        return Verdict(exercise, "not attempted yet", hint)
    except _Wrong as wrong:
        return Verdict(exercise, "wrong", f"{_cut(str(wrong), LONGEST - 1)}.")


def exercise(number: str) -> Callable[[_Check], _Check]:
    """Register the decorated function as the check of exercise `number`."""

    def register(function: _Check) -> _Check:
        CHECKS[number] = function
        return function

    return register


# --------------------------------------------------------------------------- what is wrong


def expect(condition: bool | np.bool_, message: str) -> None:
    """Stop the check with the counter-example in `message` unless `condition` holds."""
    if not condition:
        raise _Wrong(message)


def expect_equal(
    got: object, wanted: ArrayLike, asked: str, why: str, tolerance: ArrayLike = CLOSE
) -> None:
    """Stop the check unless `got` equals `wanted` in shape and, nearly, in value.

    asked: what the learner's function was asked, for example "for n = 256". why: half a sentence.
    tolerance: of the value where it is above 1, else absolute; whole numbers have to be exact, for
    the next whole number is another answer, however large both are.
    """
    got, wanted = numbers(got, asked), np.asarray(wanted)
    if got.size == wanted.size == 1:  # one number is one number, in an array or not
        got = got.reshape(wanted.shape)
    expect(
        got.shape == wanted.shape,
        f"{asked} your answer {_form(got, 'has ', 'is ')}, but {_form(wanted)} is wanted: {why}",
    )
    exact = wanted.dtype.kind in "biu"
    scale = np.maximum(1, np.abs(wanted))
    allowed = np.asarray(1e-6) if exact else np.asarray(tolerance) * scale
    off = ~(np.abs(got - wanted) <= allowed)  # NaN is off, too
    if off.any():
        where = tuple(np.argwhere(off)[0])
        place = f" at position {', '.join(map(str, where))}" if got.size > 1 else ""
        yours, right = shown(got[where], wanted[where], digits=6)
        raise _Wrong(f"{asked} your answer is {yours}{place}, but {right} is wanted: {why}")


# --------------------------------------------------------------------------- how answers are read


def numbers(answer: object, asked: str, ordered: bool = True) -> np.ndarray:
    """The answer as an array of floats, or a counter-example that says why it is none.

    ordered: False where a set will do.
    """
    if isinstance(answer, set | frozenset):
        expect(not ordered, f"{asked} your answer is a set, which has no order: return a list")
    if isinstance(answer, set | frozenset | KeysView | ValuesView):
        answer = list(answer)
    if isinstance(answer, list | tuple) and all(_is_boxed(part) for part in answer):
        answer = [part.item() for part in answer]
    try:
        array = np.asarray(answer)
    except Exception as error:  # also an object of another package may refuse
        ragged = "inhomogeneous" in str(error)
        expect(not ragged, f"{asked} your answer, {kind(answer)}, has parts of different lengths")
        array = np.asarray(None)
    parts = array.ravel().tolist() if array.dtype.kind == "O" else []
    real = not (array.dtype.kind == "c" and np.any(np.abs(array.imag) > 1e-9 * np.abs(array)))
    expect(real, f"{asked} your answer is complex, but real numbers are wanted")
    try:
        if array.dtype.kind not in "biufcO" or any(isinstance(p, str | None) for p in parts):
            raise TypeError
        return np.asarray(array.real if array.dtype.kind == "c" else array, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _Wrong(f"{asked} your answer, {kind(answer)}, is not made of numbers") from None


def number(answer: object, asked: str) -> float:
    """The one number of the answer, in an array or not, or a counter-example."""
    got = numbers(answer, asked)
    expect(got.size == 1, f"{asked} your answer {_form(got, 'has ')}, but one number is wanted")
    value: float = got.item()
    expect(np.isfinite(value), f"{asked} your answer is {value}, but a finite number is wanted")
    return value


def whole(answer: object, asked: str) -> int:
    """The one whole number of the answer, as 7, 7.0 or [7], or a counter-example."""
    got = number(answer, asked)
    (yours,) = shown(got, digits=6)
    expect(abs(got - round(got)) <= 1e-6, f"{asked} your answer is {yours}, not a whole number")
    return round(got)


def truth(answer: object, asked: str) -> bool:
    """The answer as yes or no, of Python or of NumPy, or a counter-example."""
    with contextlib.suppress(_Wrong):
        got = numbers(answer, asked)
        if got.size == 1 and got.item() in (0, 1):
            return bool(got.item())
    raise _Wrong(f"{asked} your answer is {_short(answer)}, but True or False is wanted")


# --------------------------------------------------------------------------- how values are shown


def shown(*values: float, digits: int = 4) -> tuple[str, ...]:
    """The values in words, with as many digits as it takes that what differs looks different."""
    different = len(set(map(float, values)))
    said: tuple[str, ...] = ()
    for more in range(digits, 18):
        said = tuple(_plain(float(value), more) for value in values)
        if len(set(said)) >= different:
            break
    return said


def listed(values: ArrayLike, digits: int = 4, most: int = 6) -> str:
    """A list of numbers, short enough to be read: "[0, 1, 2, 3, 4, 5, …]"."""
    flat = np.ravel(values)
    said = [_plain(float(value), digits) for value in flat[:most]]
    return f"[{', '.join(said + ['…'] * (len(flat) > most))}]"


def counted(n: int, what: str) -> str:
    """So many of them: 1 frame, 2 frames."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def kind(thing: object) -> str:
    """What sort of thing it is: text, an int, a tuple."""
    if isinstance(thing, str | bytes):
        return "text"
    if callable(thing):
        return "a function"
    name = "array" if isinstance(thing, np.ndarray) else type(thing).__name__
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


class _NotAttempted(Exception):
    """The learner's function is still empty."""


class _Wrong(Exception):
    """The counter-example."""


class _Learner:
    """The learner's function: its errors are counter-examples, its first None an empty answer."""

    def __init__(self, function):
        self.function, self.called = function, False

    def __call__(self, *arguments):
        asked = _cut(", ".join(map(_short, arguments)), 90)
        first, self.called = not self.called, True
        try:
            # Copies: what the function changes in place must not change the comparison.
            result = self.function(*copy.deepcopy(arguments))
            if isinstance(result, Iterator):
                result = list(result)  # here, so that errors on the way are the learner's
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
    said = re.sub(", with gufunc signature [^ ]*", "", _spoken(error))  # NumPy's, for its authors
    said = f"{type(error).__name__}: {_cut(said, 90)}" if said else type(error).__name__
    code = getattr(function, "__code__", None)
    frames = list(traceback.walk_tb(error.__traceback__))
    for frame, line in frames:
        if frame.f_code is code:
            text = linecache.getline(code.co_filename, line).strip()
            return f"your function stops at `{_cut(text, 60)}` ({said})"
    inside = len(frames) > 1 or not isinstance(error, TypeError)
    return f"your function {'stops' if inside else 'cannot be called'} ({said})"


def _short(argument):
    """An argument as a learner may read it: numbers in full, long arrays by their shape."""
    if isinstance(argument, np.ndarray) and argument.ndim:
        short = argument.ndim == 1 and argument.size <= 6
        return listed(argument) if short else f"an array of shape {argument.shape}"
    if isinstance(argument, list | tuple) and any(isinstance(a, _LONG) for a in argument):
        return f"a {type(argument).__name__} of {len(argument)}"
    if callable(argument):
        return getattr(argument, "__name__", type(argument).__name__)
    text = repr(argument) if isinstance(argument, str) else argument
    return _cut(_spoken(text), 50)


def _spoken(thing):
    """A thing's text on one line, without addresses and without where a function was defined."""
    return " ".join(re.sub(r"( at)? ?\b0x[0-9a-fA-F]+|[\w.]*<locals>\.", "", str(thing)).split())


def _form(array, has="", is_=""):
    return f"{has}the shape {array.shape}" if array.ndim else f"{is_}one number"


def _cut(text, most):
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _plain(value, digits):
    """A number in a few digits, a whole one in full: 505020, not 5.0502e+05."""
    exact = value.is_integer() and abs(value) < 1e15
    return f"{value + 0.0:.0f}" if exact else f"{value:.{digits}g}"


def _is_boxed(part):
    """Whether a part of a list is one number in an array of its own."""
    return isinstance(part, np.ndarray) and part.ndim > 0 and part.size == 1
