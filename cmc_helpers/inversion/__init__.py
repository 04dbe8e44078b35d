"""Spectrogram → waveform: the missing phase is found again (paper, section 2.4.3).

`invert_features` is the way back from features to sound, `invert_magnitudes` from the magnitudes of
any short-time Fourier transform, `invert_bands` from a mel spectrogram or what else a filter bank
leaves of them. All take the name of a `Method`. A method is a waveform to begin with, found in
one pass, and a number of iterations that make it fit better: first, perhaps, alternating
reflections, then Griffin and Lim's.

Notebook: 08.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from cmc_helpers.features import (
    GROUP_WIDTHS,
    STFT,
    FeatureConfig,
    features_to_amplitudes,
    unweight,
)
from cmc_helpers.inversion import transform
from cmc_helpers.inversion.expansion import EXPANSIONS as EXPANSIONS
from cmc_helpers.inversion.expansion import OctaveGroups
from cmc_helpers.inversion.expansion import expand as expand
from cmc_helpers.inversion.expansion import match_groups as match_groups
from cmc_helpers.inversion.filterbank import Filterbank
from cmc_helpers.inversion.search import Goal, alternating_reflections, griffin_lim, reduction_of
from cmc_helpers.inversion.starts import GAMMA as GAMMA
from cmc_helpers.inversion.starts import (
    phase_gradient_heap_integration,
    random_phase,
    spsi,
    time_delay_start,
)
from cmc_helpers.inversion.transform import neighbours, samples
from cmc_helpers.inversion.transform import overlap_add as overlap_add
from cmc_helpers.inversion.transform import stft as stft

PIECE = 8192  # frames that are searched at once, 65 seconds; a multiple of `transform.BLOCK`
FADE = 32  # samples: 4 ms
RINGING = 2  # seconds beyond which the A-curve, undone, rings 100 dB below the sound


@dataclass(frozen=True)
class Method:
    """How a waveform is found: where the search begins, and how it goes on.

    start: magnitudes (T, bins) and config → waveform. iterations: how many in all; the first of
    them, `reflections`, are `alternating_reflections`, the others `griffin_lim` with `momentum`.
    expansion: a name in `EXPANSIONS`, how 100 features become 257 magnitudes. insistence: where
    magnitudes are a guess, of features or bands, how much of their shape inside a group or band
    every iteration asks for, from 0 (none: what shape the waveform has is kept) to 1 (only them).
    """

    start: Callable[[np.ndarray, STFT | FeatureConfig], np.ndarray]
    iterations: int
    momentum: float
    reflections: int = 0
    expansion: str = "spline"
    insistence: float = 0.1


def invert_features(
    features: ArrayLike,
    config: FeatureConfig,
    method: str = "pghi-fast-griffin-lim",
    **changes: Any,
) -> np.ndarray:
    """Features (T, 100) → waveform (64 (T − 1) + 256,) at `config.sample_rate`.

    The A-weighting is undone and the first and last 4 ms are faded. The level is that of the sound
    the features describe. method: a name in `METHODS`; changes replace its settings
    (`iterations=…`, `momentum=…`, `expansion=…`, `insistence=…`). Raises ValueError for features
    of another width, for NaN or infinite values, and for an unknown method or expansion.
    """
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[1] != len(GROUP_WIDTHS) or len(features) == 0:
        raise ValueError(f"features have the shape (frames, 100), not {features.shape}")
    with np.errstate(over="ignore"):  # what is too large for a number is refused below
        amplitudes = features_to_amplitudes(np.asarray(features, np.float64), config)
    if not (np.isfinite(features).all() and np.isfinite(amplitudes).all()):
        raise ValueError("the features hold NaN or infinite values: no sound can be made of them")
    settings = _settings(method, changes)
    goal = _goal(amplitudes, settings, OctaveGroups(settings.expansion))
    del amplitudes  # of an hour of sound: 360 MB
    return fade(_unweighted(_found(goal, config, settings), config))


def invert_magnitudes(
    magnitudes: ArrayLike,
    config: STFT | FeatureConfig,
    method: str = "pghi-fast-griffin-lim",
    **changes: Any,
) -> np.ndarray:
    """Magnitudes (T, bins) of any STFT → waveform (hop (T − 1) + window,), in the same domain.

    config: the `features.STFT` that they are of, or a `FeatureConfig`, which has one. method and
    changes as in `invert_features`. At both ends, where one window alone tells of a sound, it is
    the least certain; under the feet of a Hann window it fades. Raises ValueError for another
    shape, for values that are negative, NaN or infinite, and for an unknown method.

    `abs(stft(waveform, config))` are such magnitudes. librosa's are turned round, its window is
    periodic, and with `center=True` its frames begin half a window before the waveform does:

        config = STFT(22050, window=1024, hop=256, fft=2048, shape="hann", periodic=True)
        spectra = librosa.stft(waveform, n_fft=2048, hop_length=256, win_length=1024)
        again = invert_magnitudes(abs(spectra).T, config)[512:][: len(waveform)]
    """
    magnitudes = _non_negative("magnitudes", magnitudes, config.bins, "take absolute ones")
    settings = _settings(method, changes)
    return _found(_goal(magnitudes, settings), config, settings)


def invert_bands(
    bands: ArrayLike,
    matrix: ArrayLike,
    config: STFT | FeatureConfig,
    power: float = 2,
    method: str = "pghi-fast-griffin-lim",
    **changes: Any,
) -> np.ndarray:
    """Bands (T, bands) of a mel or other filter bank → waveform (hop (T − 1) + window,).

    bands: |X|^power @ matrix.T of the magnitudes |X|. matrix: (bands, bins), non-negative, e.g.
    `librosa.filters.mel(sr=22050, n_fft=2048, n_mels=80)`. power: 2 for power mel, librosa's and
    torchaudio's default, 1 for magnitude mel; neither can be made of the other, so say which it is.
    Decibels and logarithms have to be undone before, as by `librosa.db_to_power`. config: the
    `features.STFT` of the magnitudes; frames are placed as in `invert_magnitudes`.

    Every iteration asks for the bands, and the spectrum between them stays as the waveform has it.
    method and changes as in `invert_features`, without `expansion`. Raises ValueError for another
    shape of either array, for values that are negative, NaN or infinite, for a power not above 0,
    and for an unknown method.
    """
    matrix = np.asarray(matrix, np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != config.bins:
        raise ValueError(
            f"the matrix has the shape (bands, {config.bins}), a column for each bin of the "
            f"{config.fft} points, not {matrix.shape}"
        )
    if not (np.isfinite(matrix).all() and (matrix >= 0).all() and matrix.any()):
        raise ValueError("the matrix holds negative, NaN or infinite weights, or none above 0")
    if not 0 < power < np.inf:
        raise ValueError(f"the power is {power}: give 1 for bands of magnitudes, 2 for power")
    bands = _non_negative("bands", bands, len(matrix), "undo decibels or logarithms first")
    settings, filterbank = _settings(method, changes), Filterbank(matrix, power)
    with threadpool_limits(1):  # the same sums on any number of cores
        return _found(_goal(filterbank.means(bands), settings, filterbank), config, settings)


def iterates(
    wanted: np.ndarray,
    config: STFT | FeatureConfig,
    method: str = "pghi-fast-griffin-lim",
    **changes: Any,
) -> Iterator[np.ndarray]:
    """The waveforms of a search without end: the start, then one after each iteration.

    wanted: magnitudes (T, bins), or features' amplitudes (T, 100). For error curves, and for those
    who want to stop on their own.
    """
    settings = _settings(method, changes)
    reduction = reduction_of(wanted, config, settings.expansion)
    goal = _goal(wanted, settings, reduction)
    for waveform in _search(settings.start(goal.guess, config), goal, config, settings):
        yield waveform * goal.level


def _non_negative(name: str, values: ArrayLike, width: int, cure: str) -> np.ndarray:
    """The values as an array (T, width), or a ValueError with what is to be done."""
    values = np.asarray(values)
    if values.ndim != 2 or values.shape[1] != width or len(values) == 0:
        turned = ": transpose them" if values.shape[:1] == (width,) else ""
        raise ValueError(f"{name} have the shape (frames, {width}), not {values.shape}{turned}")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(f"the {name} hold negative, NaN or infinite values: {cure}")
    return values


def _found(goal, config, settings):
    """What a search comes to. All but the start is done a minute at a time, and memory stays small.

    The result is, bit by bit, that of one search: an iteration hears of no more than three frames
    on either side, and so many for each of them are searched along with a piece.
    """
    begin = settings.start(goal.guess, config)
    found, reach = np.empty_like(begin), neighbours(config)
    # Whole blocks, so that every frame is in the company that it would be in otherwise.
    margin = -(-reach * settings.iterations // transform.BLOCK) * transform.BLOCK
    for start in range(0, goal.frames, PIECE):
        stop = min(start + PIECE, goal.frames)
        around = slice(max(start - margin, 0), min(stop + margin, goal.frames))
        search = _search(begin[samples(around, config)], goal.part(around), config, settings)
        waveform = next(itertools.islice(search, settings.iterations, None))
        search.close()  # its spectra are not needed any more
        inside = slice(start - around.start, stop - around.start)
        found[samples(slice(start, stop), config)] = waveform[samples(inside, config)]
    return found * goal.level


def _unweighted(waveform, config):
    """Undo the A-curve, a minute at a time, with so much around it that nothing is missed."""
    # Room on both sides: the curve is undone in a circle, and the end must not ring at the start.
    room, around = config.sample_rate // 4, RINGING * config.sample_rate
    undone, size = np.empty(len(waveform)), PIECE * config.hop
    for start in range(0, len(waveform) - config.window + 1, size):
        stop = start + size if start + size + config.window <= len(waveform) else len(waveform)
        before = min(start, around)
        heard = np.pad(waveform[start - before : stop + around], room)
        undone[start:stop] = unweight(heard, config)[room + before :][: stop - start]
    return undone


def _goal(wanted, settings, reduction=None):
    """What is searched for: at a level of 1, for single precision has a range to keep.

    wanted: magnitudes (T, bins), or what `reduction` left of them.
    """
    wanted = np.asarray(wanted)
    level = np.float64(wanted.max() or 1)
    scaled = np.empty(wanted.shape, np.float32)
    wanted = guess = np.divide(wanted, level, out=scaled, casting="same_kind")
    if reduction:
        guess, level = reduction.expand(wanted), level ** (1 / reduction.power)
        if settings.insistence >= 1:
            wanted, reduction = guess, None
    return Goal(wanted, reduction, guess, settings.insistence, level)


def _search(waveform, goal, config, settings):
    """The waveforms of a search: the one it begins with, then one after each iteration."""
    search = alternating_reflections(waveform, goal, config)
    yield from itertools.islice(search, settings.reflections)
    reflected = next(search)
    search.close()  # its spectra are not needed any more
    yield from griffin_lim(reflected, goal, config, settings.momentum)


def _settings(method, changes):
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; choose one of {', '.join(METHODS)}")
    return replace(METHODS[method], **changes)


METHODS = {
    "pghi-fast-griffin-lim": Method(phase_gradient_heap_integration, 80, 0.99, reflections=40),
    "pghi": Method(phase_gradient_heap_integration, 0, 0.0),
    "spsi": Method(spsi, 0, 0.0),
    "fast-griffin-lim": Method(random_phase, 32, 0.99),
    "griffin-lim": Method(random_phase, 32, 0.0),
    "slaney": Method(time_delay_start, 40, 0.0, 0, "repetition", insistence=1.0),  # the paper's
}


# ------------------------------------------------------------------------- ends, level and measure


def fade(waveform: ArrayLike) -> np.ndarray:
    """Raise and lower the first and last 4 ms along half a cosine, so that no end clicks.

    The ends lie under one window only, and what is wrong there is divided by its height: Hamming's
    is 0.08 at the first sample, 0.21 after these 4 ms. Notebook: 08, section 7.
    """
    ramp = np.sin(np.pi / 2 * (np.arange(FADE) + 0.5) / FADE) ** 2
    faded = np.array(waveform)
    faded[:FADE] *= ramp
    faded[-FADE:] *= ramp[::-1]
    return faded


def spectral_convergence(reference: np.ndarray, estimate: np.ndarray) -> float:
    """‖|estimate| − reference‖ / ‖reference‖ in dB: lower is better, −20 dB is 10 % off.

    Both (T, bins) magnitudes; frames beyond the shorter one are left out. A silent reference gives
    −inf for a silent estimate, inf for any other.
    """
    frames = min(len(reference), len(estimate))
    reference, estimate = np.abs(reference[:frames]), np.abs(estimate[:frames])
    error, scale = np.linalg.norm(estimate - reference), np.linalg.norm(reference)
    if error == 0:
        return -np.inf
    return float(20 * np.log10(error / scale)) if scale > 0 else np.inf
