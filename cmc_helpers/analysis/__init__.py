"""How good is what was generated? Measures that need no ear.

For sound they look at amplitudes, the group means (T, 100) of `features.features_to_amplitudes`,
125 frames a second.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_TAIL = 5.0  # seconds at the end of a clip that decide its fate
_STILL = 0.02  # change from frame to frame, relative to the frame; of real music, 0.05 to 0.4
_ALIKE = 0.15  # change from second to second; see `musical_fate`
_SILENCE = 1e-3  # 60 dB below the loudest second
_BLOCK = 8  # frames, 64 ms: what is averaged before two seconds are compared


def deviation(generated: ArrayLike, wanted: ArrayLike) -> tuple[float, float]:
    """Mean and largest absolute difference of two arrays of vectors (T, m), as two floats.

    The paper's section 4.1 reads them off figures 4 and 5: "deviations around Δ ≈ 0.01".

    Notebook: 05.
    """
    difference = np.abs(np.asarray(generated) - np.asarray(wanted))
    return float(difference.mean()), float(difference.max())


# ------------------------------------------------------------------------------- is it alive?


def flux(amplitudes: ArrayLike) -> np.ndarray:
    """How much changes from frame to frame: ‖x_{t+1} − x_t‖ / ‖x_t‖, (T, m) → (T − 1,).

    0 where a frame is silent and stays so, infinite where it begins to sound.
    """
    amplitudes = np.asarray(amplitudes, float)
    change = np.linalg.norm(np.diff(amplitudes, axis=0), axis=1)
    loudness = np.linalg.norm(amplitudes[:-1], axis=1)
    silent = np.where(change > 0, np.inf, 0.0)
    return np.divide(change, loudness, out=silent, where=loudness > 0)


def period(amplitudes: ArrayLike) -> int | None:
    """After how many frames a clip (T, m) repeats itself to within 2 %, or None.

    At least 2 and less than T / 2, so that it is heard twice. The distance is the root mean square
    of ‖x_{t+p} − x_t‖, and Σ‖x_{t+p} − x_t‖² = Σ‖x_{t+p}‖² + Σ‖x_t‖² − 2 Σ x_{t+p} · x_t; the last
    sum is an autocorrelation, which the Fourier transform gives for every p at once.
    """
    return _period(np.asarray(amplitudes, float), _STILL)


def _period(x, near):
    """`period`, to within a share `near`."""
    n, energy = len(x), np.square(x).sum(axis=1)
    power = np.square(np.abs(np.fft.rfft(x, 2 * n, axis=0))).sum(axis=1)
    periods = np.arange(n // 2)
    until = np.concatenate([[0.0], np.cumsum(energy)])
    squares = until[n - periods] + until[n] - until[periods] - 2 * np.fft.irfft(power)[: n // 2]
    alike = squares / (n - periods) < np.square(near) * energy.mean()
    found = np.flatnonzero(alike[2:])
    return int(found[0]) + 2 if len(found) else None


def fate(amplitudes: ArrayLike, frames_per_second: float = 125.0) -> str:
    """What has become of a clip (T, m) in its last 5 s: "alive", or how it died.

    "silent": 60 dB below its loudest second. "frozen": nine changes in ten are below 2 %, the
    steady state of the paper's section 4.2. "cycling": it has a `period` in those 5 s. "unbounded":
    a number in it is not finite. Raises ValueError for clips shorter than 5 s.
    """
    amplitudes = np.asarray(amplitudes, float)
    frames, second = round(_TAIL * frames_per_second), round(frames_per_second)
    if len(amplitudes) < frames:
        raise ValueError(f"a clip of {len(amplitudes)} frames has no fate yet: give {frames}")
    if not np.isfinite(amplitudes).all():
        return "unbounded"
    loudness = np.linalg.norm(amplitudes, axis=1)
    seconds = loudness[: len(loudness) // second * second].reshape(-1, second).mean(axis=1)
    tail = amplitudes[-frames:]
    if loudness[-frames:].mean() <= _SILENCE * seconds.max():
        return "silent"
    if np.percentile(flux(tail), 90) < _STILL:
        return "frozen"
    return "cycling" if period(tail) else "alive"


def seconds_change(amplitudes: ArrayLike, frames_per_second: float = 125.0) -> np.ndarray:
    """How much each second differs from the one before: (T, m) → (seconds − 1,).

    ‖r_{s+1} − r_s‖ / ‖r_s‖ of the mean square roots r of a second; a rest that fills none is left
    out. Noise averages out over a second, and notes do not: notebook 11, section 5, prints the
    change of Bach and that of noise as wide as its steps of 8 ms.
    """
    return flux(_mean_roots(amplitudes, round(frames_per_second)))


def musical_fate(amplitudes: ArrayLike, frames_per_second: float = 125.0) -> str:
    """`fate`, except that what only noise keeps moving is "humming", and as dead as a frozen clip.

    So it is where, in the last 5 s, each second is like the next, or the clip like itself some time
    later: to within 15 %, of square roots averaged over a second or over 64 ms. So noise that is
    painted on the output of a dead network, as wide as the steps of real music, is no life.
    Raises ValueError for clips shorter than 5 s.
    """
    found = fate(amplitudes, frames_per_second)
    tail = np.asarray(amplitudes, float)[-round(_TAIL * frames_per_second) :]
    if found == "alive" and (
        seconds_change(tail, frames_per_second).max() < _ALIKE
        or _period(_mean_roots(tail, _BLOCK), _ALIKE)
    ):
        return "humming"
    return found


def _mean_roots(amplitudes, frames):
    """Square roots, averaged over so many frames: (T, m) → (T // frames, m)."""
    roots = np.sqrt(np.maximum(np.asarray(amplitudes, float), 0))
    return roots[: len(roots) // frames * frames].reshape(-1, frames, roots.shape[1]).mean(axis=1)


class Life(NamedTuple):
    """fates: what `musical_fate` would say if the clip ended there, at every second from the fifth
    on. died: the second at which the first five that were dead began; None if it never died.
    escapes: how often it came back to life."""

    fates: list[str]
    died: float | None
    escapes: int


def life(amplitudes: np.ndarray, frames_per_second: float = 125.0) -> Life:
    """The `Life` of a clip (T, m): when it died, and whether it found a way out (paper, 4.2).

    Raises ValueError for clips shorter than 5 s.
    """
    frames, second = round(_TAIL * frames_per_second), round(frames_per_second)
    ends = range(frames, max(frames, len(amplitudes)) + 1, second)
    fates = [musical_fate(amplitudes[:end], frames_per_second) for end in ends]
    dead = np.array([name != "alive" for name in fates])
    died = float(np.argmax(dead)) if dead.any() else None
    return Life(fates, died, int(np.sum(dead[:-1] & ~dead[1:])))


def onsets(amplitudes: ArrayLike, frames_per_second: float = 125.0) -> np.ndarray:
    """Where notes begin, in seconds (n,), by librosa's onset detector, in amplitudes (T, m).

    `tools/benchmarks/onsets.py` compares it with scores.
    """
    import librosa

    levels = librosa.amplitude_to_db(np.asarray(amplitudes, float).T, ref=np.max, top_db=60)
    clock: dict[str, Any] = dict(sr=round(frames_per_second * 64), hop_length=64)
    strength = librosa.onset.onset_strength(S=levels, **clock)
    found = librosa.onset.onset_detect(onset_envelope=strength, **clock)
    late = 2048 // (2 * clock["hop_length"])  # frames: half of a window that librosa has in mind
    return (found - late) / frames_per_second


def onsets_per_second(amplitudes: np.ndarray, frames_per_second: float = 125.0) -> float:
    """How many notes begin in a second of amplitudes (T, m), see `onsets`."""
    return len(onsets(amplitudes, frames_per_second)) * frames_per_second / len(amplitudes)


# ------------------------------------------------------------------------------- is it new?


class Nearest(NamedTuple):
    """For each second that was asked about, (n,): its distance from the nearest second of the
    pieces, in [0, 1]; which piece that stands in; and the frame at which it begins."""

    distances: np.ndarray
    pieces: np.ndarray
    starts: np.ndarray


def nearest(
    clips: Iterable[ArrayLike], pieces: Iterable[ArrayLike], frames_per_second: float = 125.0
) -> Nearest:
    """Where does every second of `clips` come nearest to a second of `pieces`? (paper, 6.1)

    clips, pieces: iterables of amplitudes (T, m); a rest of a clip that fills no second is left
    out, a piece shorter than one too. A second is compared as the means of its square roots over
    64 ms, at every start 32 ms apart, and whatever the gain: the distance of q from t is
    min_g ‖q − g t‖ / ‖q‖, the sine of the angle between them; 1 from a second of silence. Held-out
    music has some distance too: compare with that. Returns `Nearest`, clip after clip. Raises
    ValueError where no second or no piece is left.
    """
    second = round(frames_per_second) // _BLOCK * _BLOCK
    asked: list[np.ndarray] | np.ndarray = [_directions(clip, second, second) for clip in clips]
    if not sum(map(len, asked)):
        raise ValueError(f"the clips hold no second: give at least {second} frames of one")
    asked = np.concatenate(asked)
    best = np.full(len(asked), -1.0, np.float32)
    where = np.full((2, len(asked)), -1)
    for number, piece in enumerate(pieces):
        known = _directions(piece, second, _BLOCK // 2)
        if len(known):
            cosines = asked @ known.T
            start = cosines.argmax(axis=1)
            highest = cosines[np.arange(len(asked)), start]
            nearer = highest > best
            best[nearer] = highest[nearer]
            where[0, nearer], where[1, nearer] = number, start[nearer] * (_BLOCK // 2)
    if best.max() < 0:
        raise ValueError(f"no piece lasts a second: give one of at least {second} frames")
    return Nearest(np.sqrt(1 - np.minimum(best.astype(float), 1.0) ** 2), *where)


def _directions(amplitudes, second, hop):
    """Seconds of a clip (T, m), one each `hop` frames, as vectors of length 1: (n, ·) float32."""
    roots = np.sqrt(np.maximum(np.asarray(amplitudes, np.float32), 0))
    sums = np.cumsum(np.pad(roots, ((1, _BLOCK), (0, 0))), axis=0, dtype=float)
    means = (sums[_BLOCK:] - sums[:-_BLOCK]) / _BLOCK  # of the frames from here on
    starts = np.arange(0, len(roots) - second + 1, hop)
    blocks = means[starts[:, None] + np.arange(0, second, _BLOCK)]
    vectors = blocks.reshape(len(starts), second // _BLOCK * roots.shape[1])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return whole.astype(np.float32)
