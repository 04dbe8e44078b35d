"""Spectrogram → waveform: the missing phase is found again (paper, section 2.4.3).

`invert_features` is the way back from features to sound, `invert_magnitudes` the way back from a
full spectrogram; both take the name of a `Method`. A method is a waveform to begin with, found in
one pass, and a number of iterations that make it fit better: first, perhaps, alternating
reflections, then Griffin and Lim's.

Notebook: 08.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cmc_helpers.features import (
    GROUP_WIDTHS,
    expand_magnitudes,
    features_to_amplitudes,
    reduce_magnitudes,
    unweight,
)

BLOCK = 256  # frames that are transformed at once: their spectra stay in the processor's cache
PIECE = 8192  # frames that are searched at once, 65 seconds; a multiple of BLOCK
SEGMENT = 2048  # frames whose phase gradient is integrated at once: 16 seconds
SILENT = 1e-6  # 120 dB below the loudest: phases there are not worth an integral
FADE = 32  # samples: 4 ms
RINGING = 2  # seconds beyond which the A-curve, undone, rings 100 dB below the sound
TINY = np.float32(1e-30)  # what is divided by is never quite 0

# How far a reflection leads: `tools/benchmarks/inversion.py` finds 0.85 to 0.97 alike.
BETA = 0.9

# Of a Gaussian window that resembles a Hamming window W samples long, in units of W². Průša, Balazs
# and Søndergaard (2017), table I, give 0.29794; this one comes a decibel nearer, on synthetic
# instruments as on others (`tools/benchmarks/inversion.py`).
GAMMA = 0.27


@dataclass(frozen=True)
class Method:
    """How a waveform is found: where the search begins, and how it goes on.

    start: magnitudes (T, 257) and config → waveform. iterations: how many in all; the first of
    them, `reflections`, are `alternating_reflections`, the others `griffin_lim` with `momentum`.
    expansion: a name in `EXPANSIONS`, how 100 features become 257 magnitudes. insistence: how much
    of the shape of those magnitudes inside a group every iteration asks for, from 0 (none: what
    shape the waveform has is kept) to 1 (only them).
    """

    start: Callable
    iterations: int
    momentum: float
    reflections: int = 0
    expansion: str = "spline"
    insistence: float = 0.1


def invert_features(features, config, method="pghi-fast-griffin-lim", **changes):
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
    goal = _goal(amplitudes, settings)
    del amplitudes  # of an hour of sound: 360 MB
    return fade(_unweighted(_found(goal, config, settings), config))


def invert_magnitudes(magnitudes, config, method="pghi-fast-griffin-lim", **changes):
    """Magnitudes (T, 257) → waveform (64 (T − 1) + 256,), in the same, weighted, domain.

    method and changes as in `invert_features`. Raises ValueError for another shape, for values
    that are negative, NaN or infinite, and for an unknown method.
    """
    magnitudes = np.asarray(magnitudes)
    bins = config.fft // 2 + 1
    if magnitudes.ndim != 2 or magnitudes.shape[1] != bins or len(magnitudes) == 0:
        raise ValueError(f"magnitudes have the shape (frames, {bins}), not {magnitudes.shape}")
    if not (np.isfinite(magnitudes).all() and (magnitudes >= 0).all()):
        raise ValueError("the magnitudes hold negative, NaN or infinite values: take absolute ones")
    settings = _settings(method, changes)
    return _found(_goal(magnitudes, settings), config, settings)


def iterates(wanted, config, method="pghi-fast-griffin-lim", **changes):
    """The waveforms of a search without end: the start, then one after each iteration.

    wanted: features' amplitudes (T, 100) or magnitudes (T, 257). For error curves, and for those
    who want to stop on their own.
    """
    settings = _settings(method, changes)
    goal = _goal(wanted, settings)
    for waveform in _search(settings.start(goal.guess, config), goal, config, settings):
        yield waveform * goal.level


def _found(goal, config, settings):
    """What a search comes to. All but the start is done a minute at a time, and memory stays small.

    The result is, bit by bit, that of one search: an iteration hears of no more than three frames
    on either side, and so many for each of them are searched along with a piece.
    """
    begin = settings.start(goal.guess, config)
    found, reach = np.empty_like(begin), config.window // config.hop - 1
    # Whole blocks, so that every frame is in the company that it would be in otherwise.
    margin = -(-reach * settings.iterations // BLOCK) * BLOCK
    for start in range(0, goal.frames, PIECE):
        stop = min(start + PIECE, goal.frames)
        around = slice(max(start - margin, 0), min(stop + margin, goal.frames))
        search = _search(begin[_samples(around, config)], goal.part(around), config, settings)
        waveform = next(itertools.islice(search, settings.iterations, None))
        search.close()  # its spectra are not needed any more
        inside = slice(start - around.start, stop - around.start)
        found[_samples(slice(start, stop), config)] = waveform[_samples(inside, config)]
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


def _goal(wanted, settings):
    """What is searched for: at a level of 1, for single precision has a range to keep."""
    wanted = np.asarray(wanted)
    level = np.float64(wanted.max() or 1)
    scaled = np.empty(wanted.shape, np.float32)
    wanted = guess = np.divide(wanted, level, out=scaled, casting="same_kind")
    if wanted.shape[1] == len(GROUP_WIDTHS):
        guess = expand(wanted, settings.expansion)
        wanted = wanted if settings.insistence < 1 else guess
    return _Goal(wanted, guess, settings.insistence, level)


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


# ------------------------------------------------------------------------- 100 numbers become 257


def expand(amplitudes, expansion="spline"):
    """Group means (T, 100) → magnitudes (T, 257) that have these group means.

    expansion: "repetition" is the pseudo-inverse, a staircase; "linear" and "spline" draw a curve
    through the groups' centres and rescale it in every group. The spline is cubic in the logarithm
    of the amplitudes, because the window's main lobe, which every partial becomes, is nearly a
    Gaussian bell, and the logarithm of a bell is a parabola. `tools/benchmarks/inversion.py`
    measures what each is worth. Raises ValueError for an unknown name.
    """
    if expansion not in EXPANSIONS:
        raise ValueError(
            f"there is no expansion {expansion!r}; choose one of {', '.join(EXPANSIONS)}"
        )
    amplitudes = np.asarray(amplitudes)
    amplitudes = amplitudes.astype(np.result_type(amplitudes, np.float32), copy=False)
    # 100 dB below the loudest is silence; without a floor, its logarithm would bend the curve.
    audible = np.maximum(amplitudes, max(amplitudes.max() * 1e-5, np.finfo(np.float32).tiny))
    magnitudes = np.empty((len(amplitudes), 257), amplitudes.dtype)
    for start in range(0, len(amplitudes), BLOCK):
        block = slice(start, start + BLOCK)
        magnitudes[block] = match_groups(EXPANSIONS[expansion](audible[block]), amplitudes[block])
    return magnitudes


def match_groups(magnitudes, amplitudes):
    """Keep the shape of (T, 257) magnitudes inside each group, set the group's mean: (T, 257).

    Where a group is silent, nothing is there to be scaled. Notebook: 08, section 6.
    """
    means = reduce_magnitudes(magnitudes)
    gain = np.divide(amplitudes, means, out=np.zeros_like(means), where=means > 0)
    return magnitudes * expand_magnitudes(gain)


def _linear(amplitudes):
    return amplitudes @ _interpolation("linear")


def _spline(amplitudes):
    means = np.log(amplitudes)
    knots = means
    for _ in range(2):  # the mean over a group of a peak is less than the value at its centre
        curve = np.exp(knots @ _interpolation("spline"))
        knots = knots + np.clip(means - np.log(reduce_magnitudes(curve)), -1, 1)
    return np.exp(knots @ _interpolation("spline"))


@functools.cache
def _interpolation(kind):
    """The matrix (100, 257) from values at the groups' centres to values at the bins."""
    from scipy.interpolate import CubicSpline, make_interp_spline

    centres = np.cumsum(GROUP_WIDTHS) - (GROUP_WIDTHS + 1) / 2
    unit = np.eye(len(centres))
    if kind == "spline":
        curve = CubicSpline(centres, unit, bc_type="natural")
    else:
        curve = make_interp_spline(centres, unit, k=1)
    return curve(np.clip(np.arange(257), centres[0], centres[-1])).T


EXPANSIONS = {"repetition": expand_magnitudes, "linear": _linear, "spline": _spline}


# -------------------------------------------------------------------------- where a search begins


def random_phase(magnitudes, config):
    """Every phase drawn at random, always the same ones: where Griffin and Lim (1984) began."""
    rng, waveform = np.random.default_rng(0), _Sum(len(magnitudes), config)
    for start in range(0, len(magnitudes), BLOCK):
        block = magnitudes[start : start + BLOCK]
        turns = rng.random(block.shape, np.float32)
        waveform.add(start, block * np.exp(2j * np.pi * turns))
    return waveform.finished()


def time_delay_start(magnitudes, config):
    """Zero-phase frames slid into place, one after the other (the paper's start).

    Each frame becomes a zero-phase pulse; before it is added, it is shifted by the delay at which
    it correlates best with what has been summed so far (Slaney, Naar and Lyon, ICASSP 1994).
    """
    window, hop = config.window, config.hop
    overlap, middle = window - hop, config.fft // 2 - window // 2
    waveform = np.zeros(window + hop * (len(magnitudes) - 1))
    weights = np.zeros_like(waveform)
    for t, frame in enumerate(magnitudes):
        pulse = np.fft.fftshift(np.fft.irfft(frame, config.fft))
        here = slice(t * hop, t * hop + window)
        summed = waveform[here][:overlap]
        reach = slice(middle - overlap // 2, middle + overlap + overlap // 2)
        likeness = np.correlate(pulse[reach], summed, mode="valid")  # one value per delay
        # Without a predecessor, or where all is silent, every delay is as good: stay in place.
        delay = np.argmax(likeness) - overlap // 2 if likeness.any() else 0
        waveform[here] += pulse[middle + delay : middle + delay + window]
        weights[here] += np.hamming(window)
    return waveform / weights


def spsi(magnitudes, config):
    """Single pass spectrogram inversion: every peak is a partial whose phase turns evenly.

    A parabola through each peak and its neighbours gives the partial's frequency; from frame to
    frame its phase grows by that frequency times the hop, and all bins down to the next valleys
    share it. Source: Beauregard, Harish and Wyse, DSP 2015.
    """
    waveform, turned = _Sum(len(magnitudes), config), np.zeros(magnitudes.shape[1])
    for t, frame in enumerate(magnitudes):
        middle = frame[1:-1]
        peaks = 1 + np.flatnonzero((middle > frame[:-2]) & (middle >= frame[2:]))
        if len(peaks):
            a, b, c = frame[peaks - 1], frame[peaks], frame[peaks + 1]
            partials = peaks + 0.5 * (a - c) / (a - 2 * b + c)  # in bins
            valleys = [p + np.argmin(frame[p:q]) for p, q in itertools.pairwise(peaks)]
            owner = np.searchsorted(valleys, np.arange(len(frame)), side="right")
            turned = (turned[peaks] + 2 * np.pi * config.hop / config.fft * partials)[owner]
        waveform.add(t, _from_the_middle(frame[None], turned, config))
    return waveform.finished()


def phase_gradient_heap_integration(magnitudes, config):
    """PGHI: the phase follows from the slopes of the logarithm of the magnitudes.

    For a Gaussian window, the derivative of the phase over time is that of the log-magnitude over
    frequency, and the other way round with the opposite sign. The phase is the integral of both,
    taken from the loudest bins outwards. Source: Průša, Balazs and Søndergaard, IEEE/ACM Trans.
    Audio, Speech, Lang. Process. 25 (2017), 1154.
    """
    silent = max(magnitudes.max() * SILENT, np.finfo(np.float32).tiny)
    waveform = _Sum(len(magnitudes), config)
    known, integrate = None, _compiled_heap_integration()
    for start in range(0, len(magnitudes), SEGMENT):
        # A frame more on both sides: one whose phase is known by then, and one for the slope.
        first, stop = max(start - 1, 0), min(start + SEGMENT, len(magnitudes))
        segment = magnitudes[first : stop + 1]
        logarithms = np.log(np.maximum(segment, 1e-4 * silent)).astype(np.float32)
        per_hop, per_bin = _phase_gradient(logarithms, config)
        phases = np.zeros_like(logarithms)
        if known is not None:
            phases[0] = known
        done = segment < silent  # what is too faint keeps phase 0
        seeds = np.array([np.argmax(logarithms)])
        if known is not None:
            seeds = np.flatnonzero(~done[0])
        integrate(logarithms, per_hop, per_bin, seeds, True, phases, done)
        # Islands that no path above the threshold has reached, from the loudest on.
        islands = np.flatnonzero(~done)
        islands = islands[np.argsort(-logarithms.ravel()[islands], kind="stable")]
        integrate(logarithms, per_hop, per_bin, islands, False, phases, done)
        phases = phases[start - first : stop - first]
        waveform.add(start, _from_the_middle(magnitudes[start:stop], phases, config))
        known = phases[-1]
    return waveform.finished()


def _phase_gradient(logarithms, config):
    """The phase's change per hop and per bin, (T, 257) each; phases count from a frame's middle."""
    gamma = GAMMA * config.window**2
    slope_in_time = np.zeros_like(logarithms)
    slope_in_time[1:-1] = (logarithms[2:] - logarithms[:-2]) / 2
    slope_in_frequency = np.zeros_like(logarithms)
    slope_in_frequency[:, 1:-1] = (logarithms[:, 2:] - logarithms[:, :-2]) / 2
    step = config.hop * config.fft / gamma
    turns = 2 * np.pi * config.hop / config.fft * np.arange(logarithms.shape[1], dtype=np.float32)
    return turns + np.float32(step) * slope_in_frequency, slope_in_time / np.float32(-step)


@functools.cache
def _compiled_heap_integration():
    """Compiled at first use, so that importing this module stays fast."""
    import heapq

    import numba

    @numba.njit(cache=True)
    def integrate(logarithms, per_hop, per_bin, seeds, together, phases, done):
        frames, bins = logarithms.shape
        heap = [(np.float32(0), 0, 0)][:0]
        for i, seed in enumerate(seeds):
            t, k = seed // bins, seed % bins
            if not done[t, k]:
                done[t, k] = True
                heapq.heappush(heap, (-logarithms[t, k], t, k))
            while heap and (i + 1 == len(seeds) or not together):
                _, t, k = heapq.heappop(heap)
                for dt, dk in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                    u, j = t + dt, k + dk
                    if 0 <= u < frames and 0 <= j < bins and not done[u, j]:
                        along = dt * (per_hop[t, k] + per_hop[u, j])
                        across = dk * (per_bin[t, k] + per_bin[u, j])
                        phases[u, j] = phases[t, k] + (along + across) / 2
                        done[u, j] = True
                        heapq.heappush(heap, (-logarithms[u, j], u, j))

    return integrate


def _from_the_middle(magnitudes, phases, config):
    """Spectra of frames whose phases (T, 257) count from the window's middle, not its beginning."""
    delay = np.pi * (config.window - 1) / config.fft * np.arange(magnitudes.shape[1])
    return magnitudes * np.exp(1j * (phases - delay).astype(np.float32))


# ----------------------------------------------------------------------------- how a search goes on


def griffin_lim(start, wanted, config, momentum=0.0):
    """Take the phase of the waveform, the magnitudes that are wanted, the nearest waveform; repeat.

    start: (64 (T − 1) + 256,). wanted: magnitudes (T, 257), or group means (T, 100): then every
    frame keeps its own shape inside a group and the group is scaled to its mean, instead of being
    forced into a shape that somebody guessed. momentum: 0 is Griffin and Lim (1984), 0.99 the fast
    variant of Perraudin, Balazs and Søndergaard (WASPAA 2013), as in `librosa.griffinlim`; because
    the STFT is linear it may be applied to the waveform. Yields the start, then the waveform after
    each iteration, float32, without end.
    """
    waveform = previous = np.asarray(start, np.float32)
    goal = wanted if isinstance(wanted, _Goal) else _Goal(wanted)
    while True:
        yield waveform
        ahead = waveform + np.float32(momentum) * (waveform - previous)
        nearest = _Sum(goal.frames, config)
        for block, piece in _blocks(ahead, goal.frames, config):
            nearest.add(block.start, goal.approach(block, stft(piece, config)))
        previous, waveform = waveform, nearest.finished()


def alternating_reflections(start, wanted, config):
    """Overshoot both goals and average: a search that leaves the dead ends of `griffin_lim`.

    With P_A x the spectra that have the phase of x and the magnitudes that are wanted, and P_C the
    nearest spectra that some waveform has, x ← β (x + P_C(2 P_A x − x)) + (1 − 2β) P_A x. Arguments
    and what is yielded as in `griffin_lim`; the spectra x are held, 257 kB per second of sound.
    Source: relaxed averaged alternating reflections, Luke, Inverse Problems 21 (2005), 37; for
    sound Peer, Welker and Gerkmann (IWAENC 2022).
    """
    waveform = np.asarray(start, np.float32)
    goal = wanted if isinstance(wanted, _Goal) else _Goal(wanted)
    spectra = np.empty((goal.frames, config.fft // 2 + 1), np.complex64)
    for block, piece in _blocks(waveform, goal.frames, config):
        spectra[block] = stft(piece, config)
    beta = np.float32(BETA)
    while True:
        yield waveform
        nearest = _Sum(goal.frames, config)
        for block, _ in _blocks(waveform, goal.frames, config):
            x = spectra[block]
            approached = goal.approach(block, x.copy())
            nearest.add(block.start, 2 * approached - x)
            x += (1 / beta - 2) * approached  # in two parts: this one, and below P_C
        waveform = nearest.finished()
        for block, piece in _blocks(waveform, goal.frames, config):
            spectra[block] += stft(piece, config)
            spectra[block] *= beta


class _Goal:
    """What the iterations ask of a spectrum's magnitudes.

    wanted: magnitudes (T, 257), or group means (T, 100) together with a guess (T, 257) of the
    shape inside the groups, of which the share `insistence` is asked for. level: by which what is
    found is to be multiplied.
    """

    def __init__(self, wanted, guess=None, insistence=0.0, level=1.0):
        self.wanted, self.guess, self.level = np.asarray(wanted, np.float32), guess, level
        self.insistence = np.float32(insistence)
        self.frames = len(self.wanted)

    def part(self, frames):
        """The same for a slice of the frames."""
        return _Goal(self.wanted[frames], self.guess[frames], self.insistence)

    def approach(self, block, spectra):
        """Scale the spectra of a block of frames in place, to what is wanted of them."""
        wanted, magnitudes = self.wanted[block], np.abs(spectra)
        if wanted.shape[1] == len(GROUP_WIDTHS):
            shape = magnitudes
            if self.insistence:
                shape = magnitudes + self.insistence * (self.guess[block] - magnitudes)
            scale = wanted / (reduce_magnitudes(shape) + TINY)
            spectra *= expand_magnitudes(scale.astype(np.float32))
            wanted = shape
        if wanted is not magnitudes:
            spectra *= wanted / (magnitudes + TINY)
        return spectra


def _blocks(waveform, frames, config):
    """The blocks of frames, as slices, each with the piece of the waveform that they lie in."""
    for start in range(0, frames, BLOCK):
        stop = min(start + BLOCK, frames)
        block = slice(start, stop)
        yield block, waveform[_samples(block, config)]


def _samples(frames, config):
    """The samples, as a slice, that a slice of frames lies in."""
    return slice(frames.start * config.hop, (frames.stop - 1) * config.hop + config.window)


def stft(waveform, config):
    """The spectra (T, 257) of which `features.magnitude_spectrogram` shows the magnitudes.

    waveform: (n,), float32 or float64; the spectra are complex numbers of the same precision.
    """
    import scipy.fft

    frames = np.lib.stride_tricks.sliding_window_view(waveform, config.window)[:: config.hop]
    return scipy.fft.rfft(frames * np.hamming(config.window).astype(waveform.dtype), config.fft)


def overlap_add(spectra, config):
    """The waveform whose STFT is nearest to `spectra` (T, 257): Griffin and Lim (1984), eq. 6."""
    waveform = _Sum(len(spectra), config)
    waveform.add(0, spectra)
    return waveform.finished()


class _Sum:
    """Frames come in blocks, are windowed, added where they belong, and divided by Σ window²."""

    def __init__(self, frames, config):
        self.config, self.window = config, np.hamming(config.window).astype(np.float32)
        self.hops = np.zeros((frames + config.window // config.hop - 1, config.hop), np.float32)

    def add(self, start, spectra):
        import scipy.fft

        config = self.config
        frames = scipy.fft.irfft(spectra, config.fft)[:, : config.window] * self.window
        self._overlap(self.hops[start:], frames)

    def _overlap(self, hops, frames):
        parts = frames.reshape(len(frames), -1, self.config.hop)
        for i in range(parts.shape[1]):
            hops[i : i + len(parts)] += parts[:, i]

    def finished(self):
        count = len(self.hops) - self.config.window // self.config.hop + 1
        weights = np.zeros_like(self.hops)
        self._overlap(weights, np.broadcast_to(self.window**2, (count, self.config.window)))
        return (self.hops / weights).ravel()


METHODS = {
    "pghi-fast-griffin-lim": Method(phase_gradient_heap_integration, 80, 0.99, reflections=40),
    "pghi": Method(phase_gradient_heap_integration, 0, 0.0),
    "spsi": Method(spsi, 0, 0.0),
    "fast-griffin-lim": Method(random_phase, 32, 0.99),
    "griffin-lim": Method(random_phase, 32, 0.0),
    "slaney": Method(time_delay_start, 40, 0.0, 0, "repetition", insistence=1.0),  # the paper's
}


# ------------------------------------------------------------------------- ends, level and measure


def fade(waveform):
    """Raise and lower the first and last 4 ms along half a cosine, so that no end clicks.

    The ends lie under the feet of one window only, 8 % high: what is wrong there is divided by
    0.08 and would be heard. Notebook: 08, section 7.
    """
    ramp = np.sin(np.pi / 2 * (np.arange(FADE) + 0.5) / FADE) ** 2
    faded = np.array(waveform)
    faded[:FADE] *= ramp
    faded[-FADE:] *= ramp[::-1]
    return faded


def spectral_convergence(reference, estimate):
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
