"""Exercises that answer back: not attempted yet, right, or wrong with a counter-example.

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
from dataclasses import dataclass

import numpy as np

_CHECKS = {}


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


def check(exercise, answer):
    """Try the function `answer` on `exercise`, for example "07.1"; returns a Verdict.

    Raises ValueError for an exercise that does not exist.
    """
    if exercise not in _CHECKS:
        raise ValueError(f"there is no exercise {exercise!r}; choose one of {', '.join(_CHECKS)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Verdict(exercise, "right", _CHECKS[exercise](_Learner(answer)))
    except _NotAttempted:
        hint = "the function returns nothing. Predict, then write it, and run this cell again."
        return Verdict(exercise, "not attempted yet", hint)
    except _Wrong as wrong:
        return Verdict(exercise, "wrong", f"{wrong}.")


def exercise(number):
    """Register the decorated function as the check of exercise `number`."""

    def register(function):
        _CHECKS[number] = function
        return function

    return register


def expect(condition, message):
    """Stop the check with the counter-example in `message` unless `condition` holds."""
    if not condition:
        raise _Wrong(message)


def numbers(answer, asked):
    """The answer as an array of floats, or a counter-example that says it holds no numbers."""
    try:
        return np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        kind = type(answer).__name__
        raise _Wrong(f"{asked} your answer ({kind}) is not made of numbers") from None


def expect_equal(got, wanted, asked, why, tolerance=1e-6):
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


@exercise("00.1")
def _frames(answer):
    """Paper, section 2.4.1: windows of 256 samples, one every 64, none beyond the end."""
    for n in (256, 319, 320, 321, 8000, 80000):
        fitting = len(range(0, n - 256 + 1, 64))
        why = f"so many windows of 256 samples, 64 apart, fit into {n} samples"
        expect_equal(answer(n), fitting, f"for n = {n}", why)
    return "the first window costs 256 samples and every further one 64: T = ⌊(n − 256) / 64⌋ + 1."


@exercise("00.2")
def _outputs(answer):
    """Paper, section 2.1.2: one weight, one σ and m means for every component."""
    for K, m in ((1, 1), (1, 7), (10, 1), (3, 5), (10, 100)):
        why = "each component has one weight, one σ and one mean per feature"
        expect_equal(answer(K, m), K * (1 + 1 + m), f"for K = {K}, m = {m}", why)
    return "2K + K·m: 1020 for the paper's K = 10 and m = 100, of which only 20 are not means."


@exercise("00.3")
def _seconds(answer):
    """The inverse of 00.1 at 8000 samples per second: 8 ms a frame, but 32 ms for the first."""
    for frames in (1, 2, 5, 1250):
        samples = 64 * (frames - 1) + 256
        why = f"window number {frames} ends after {samples} samples"
        asked = f"for frames = {frames}"
        expect_equal(answer(frames), samples / 8000, asked, why, tolerance=1e-9)
    return "a frame adds only its hop of 8 ms, so 125 make a second; the first one costs 32 ms."


@exercise("07.1")
def _gain(answer):
    """Paper, section 2.4.1: A-weighting, flat below 100 Hz so that it can be undone."""
    import librosa

    def curve(*frequencies):
        return librosa.A_weighting(np.array(frequencies)).round(3) + 0.0  # no −0

    for f in (1000.0, 100.0, 200.0, 440.0, 2500.0, 4000.0):
        asked, wanted = f"at {f:.0f} Hz", curve(f)
        got = numbers(answer(np.array([f])), asked)
        power = np.all(np.abs(got - 2 * wanted) < 0.02)
        why = "yours is the curve of power, not of amplitude" if power else "so says librosa"
        expect_equal(got, wanted, asked, why, tolerance=0.01)
    why = "below 100 Hz the curve stays what it is there, or undoing it would boost all rumble"
    for f in (0.0, 1.0, 50.0, 99.0):
        expect_equal(answer(np.array([f])), curve(100.0), f"at {f:.0f} Hz", why, tolerance=0.01)
    many = np.array([50.0, 100.0, 1000.0])
    why = "one gain per frequency"
    expect_equal(
        answer(many), curve(100.0, 100.0, 1000.0), f"at {many.tolist()} Hz", why, tolerance=0.01
    )
    return "−19.1 dB at 100 Hz and below, 0 dB at 1 kHz, and librosa's curve in between."


@exercise("07.2")
def _feature_of_bin(answer):
    """Paper, section 2.4.1: 32 bins alone, then octaves of 32 groups; the test is a single bin."""
    from cmc_helpers.features import reduce_magnitudes

    lit = reduce_magnitudes(np.eye(256)).argmax(axis=1)  # row k: only bin k is not silent
    for k in (0, 31, 32, 33, 95, 96, 99, 223, 224, 255, *range(256)):
        why = f"a spectrum that is silent but for bin {k} lights up feature {lit[k]}"
        expect_equal(answer(k), lit[k], f"for bin k = {k}", why)
    return "the higher, the wider: a feature spans 16 Hz at the bottom and 125 Hz at the top."


@exercise("07.3")
def _drop_first_frame(answer):
    """A sound and what is left of it after one hop share all frames but the first."""
    for n in (320, 1000):
        waveform = np.random.default_rng(n).standard_normal(n)
        wanted = _spectrogram(waveform)[1:]
        asked = f"for a waveform of {n} samples"
        got = numbers(answer(waveform), asked)
        expect(
            got.ndim == 1 and len(got) >= 256,
            f"{asked} you return the shape {got.shape}, which holds no window of 256 samples",
        )
        shape = _spectrogram(got).shape
        expect(
            shape == wanted.shape,
            f"{asked} the spectrogram of what you return has {shape[0]} frames "
            f"instead of {len(wanted)}, one fewer than before",
        )
        same = np.isclose(_spectrogram(got), wanted, atol=1e-6).all(axis=1)
        expect(
            same.all(),
            f"{asked} frame {same.argmin()} of your spectrogram is not frame {same.argmin() + 1} "
            "of the original: a frame begins 64 samples after the one before",
        )
    return "a shift by one hop is a shift by one frame, so frames know nothing of absolute time."


@exercise("09.1")
def _window_starts(answer):
    """Paper, section 2.3 (T̂ steps of back-propagation): inputs and targets inside one piece."""
    for lengths, steps in (([5], 3), ([5, 4], 3), ([3, 9, 4], 3), ([2, 2], 1), ([4, 2], 5)):
        piece = np.repeat(np.arange(len(lengths)), lengths)
        asked = f"for pieces of {lengths} frames and windows of {steps} steps"
        starts = np.sort(numbers(answer(list(lengths), steps), asked).ravel())
        expect(np.all(starts % 1 == 0), f"{asked} your starts are not whole numbers: {starts}")
        for start in starts.astype(int):
            frames = np.arange(start, start + steps + 1)  # the inputs, and the last target
            expect(
                0 <= start and frames[-1] < len(piece),
                f"{asked} you allow the start {start}: its last target would be frame "
                f"{frames[-1]}, but the last frame there is has number {len(piece) - 1}",
            )
            expect(
                len(set(piece[frames])) == 1,
                f"{asked} you allow the start {start}: its frames {start} to {frames[-1]}, "
                "inputs and last target, belong to two pieces",
            )
        wanted = [s for s in range(len(piece) - steps) if piece[s] == piece[s + steps]]
        missing = sorted(set(wanted) - set(starts))
        expect(not missing, f"{asked} the starts {missing} are missing, though they cross nothing")
        expect(len(starts) == len(wanted), f"{asked} some starts come twice: {starts}")
    return "a window takes steps + 1 frames of one piece; a jump to the next would be learnt too."


@exercise("09.2")
def _best_epoch(answer):
    """Early stopping (paper, section 6.1): what training keeps, as one reads it epoch by epoch."""
    cases = [
        ([3.0, 2.0, 1.0], 2, "the loss never rose"),
        ([3.0, 2.0, 2.5, 2.6, 1.0], 2, "after two epochs without a lower loss nobody ran the last"),
        ([3.0, 2.0, 2.5, 1.0, 1.5], 2, "one bad epoch is still within the patience of two"),
        ([3.0, 2.0, 2.5, 1.9, 2.5, 1.0, 1.5], 2, "patience begins anew with every lower loss"),
        ([2.0, 1.0, 1.0, 1.0, 0.5], 2, "an equal loss is not a lower one"),
        ([2.0, -1.0, -3.0, -2.0, -2.5, -9.0], 1, "lower is better, also below zero"),
    ]
    for losses, patience, why in cases:
        best, waited = 0, 0
        for epoch, loss in enumerate(losses[1:], start=1):
            best, waited = (epoch, 0) if loss < losses[best] else (best, waited + 1)
            if waited == patience:
                break
        expect_equal(
            answer(list(losses), patience), best, f"for {losses} and patience {patience}", why
        )
    return "the network that is kept is the one that knew the unseen pieces best, not the last one."


@exercise("09.3")
def _nll(answer):
    """Paper, section 2.1.2: the density of one isotropic Gaussian; the oracle is SciPy."""
    from scipy.stats import multivariate_normal

    half_log_2pi = 0.5 * np.log(2 * np.pi)
    for m in (1, 2, 100):
        why = "the peak of the density is (2π)^(−m/2)"
        asked = f"for y = mean and m = {m}"
        expect_equal(answer(np.zeros(m), np.zeros(m)), m * half_log_2pi, asked, why, 1e-3)
    for m in (1, 2, 100):
        random = np.random.default_rng(m)
        y, mean = random.normal(size=(2, m))
        wanted = -multivariate_normal(mean, np.eye(m)).logpdf(y)
        asked = f"for random y and mean with m = {m}"
        expect_equal(answer(y, mean), wanted, asked, "so says SciPy", 1e-3)
    return "½‖y − μ‖² + m/2 · ln 2π: but for a constant, this is the squared error of the paper."


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


def _spectrogram(waveform):
    """|STFT| without weighting, as in the paper's section 2.4.1; (n,) → (T, 257)."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 256)[::64]
    return np.abs(np.fft.rfft(frames * np.hamming(256), 512))
