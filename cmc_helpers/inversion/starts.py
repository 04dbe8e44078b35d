"""Where a search begins: magnitudes (T, bins) → a waveform, found in one pass."""

import functools
import itertools

import numpy as np

from cmc_helpers.features import STFT, FeatureConfig
from cmc_helpers.inversion.transform import BLOCK, FOOT, OverlapAdd

SEGMENT = 2048  # frames whose phase gradient is integrated at once: 16 seconds
SILENT = 1e-6  # 120 dB below the loudest: phases there are not worth an integral

# γ of the Gaussian window that resembles one of W samples, in units of W². Průša, Balazs and
# Søndergaard (2017), table I, give 0.29794 for Hamming and 0.25645 for Hann; these come nearer, on
# synthetic instruments as on others (`inversion.py` and `any_spectrogram.py` in tools/benchmarks).
# They hold for a transform of 2 W points; where bins lie further apart, the flanks of a lobe,
# measured from bin to bin, seem steeper than they are.
GAMMA = 0.27
GAMMAS = {"hamming": GAMMA, "hann": 0.215}
STEEPER = 0.18  # by 1 + 0.18 (W / points)²


def random_phase(magnitudes: np.ndarray, config: STFT | FeatureConfig) -> np.ndarray:
    """Every phase drawn at random, always the same ones: where Griffin and Lim (1984) began."""
    rng, waveform = np.random.default_rng(0), OverlapAdd(len(magnitudes), config)
    for start in range(0, len(magnitudes), BLOCK):
        block = magnitudes[start : start + BLOCK]
        turns = rng.random(block.shape, np.float32)
        waveform.add(start, block * np.exp(2j * np.pi * turns))
    return waveform.finished()


def time_delay_start(magnitudes: np.ndarray, config: STFT | FeatureConfig) -> np.ndarray:
    """Zero-phase frames slid into place, one after the other (the paper's start).

    Each frame becomes a zero-phase pulse; before it is added, it is shifted by the delay at which
    it correlates best with what has been summed so far (Slaney, Naar and Lyon, ICASSP 1994).
    """
    window, hop = config.window, config.hop
    overlap, margin = window - hop, config.fft // 2 - window // 2
    room = max(overlap // 2 - margin, 0)  # beyond a transform that hardly exceeds the window
    middle = margin + room
    waveform = np.zeros(window + hop * (len(magnitudes) - 1))
    weights, taper = np.zeros_like(waveform), config.taper
    for t, frame in enumerate(magnitudes):
        pulse = np.pad(np.fft.fftshift(np.fft.irfft(frame, config.fft)), room)
        here = slice(t * hop, t * hop + window)
        summed = waveform[here][:overlap]
        reach = slice(middle - overlap // 2, middle + overlap + overlap // 2)
        likeness = np.correlate(pulse[reach], summed, mode="valid")  # one value per delay
        # Without a predecessor, or where all is silent, every delay is as good: stay in place.
        delay = np.argmax(likeness) - overlap // 2 if likeness.any() else 0
        waveform[here] += pulse[middle + delay : middle + delay + window]
        weights[here] += taper
    return waveform / np.maximum(weights, FOOT**0.5)


def spsi(magnitudes: np.ndarray, config: STFT | FeatureConfig) -> np.ndarray:
    """Single pass spectrogram inversion: every peak is a partial whose phase turns evenly.

    A parabola through each peak and its neighbours gives the partial's frequency; from frame to
    frame its phase grows by that frequency times the hop, and all bins down to the next valleys
    share it. Source: Beauregard, Harish and Wyse, DSP 2015.
    """
    waveform, turned = OverlapAdd(len(magnitudes), config), np.zeros(magnitudes.shape[1])
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


def phase_gradient_heap_integration(
    magnitudes: np.ndarray, config: STFT | FeatureConfig
) -> np.ndarray:
    """PGHI: the phase follows from the slopes of the logarithm of the magnitudes.

    For a Gaussian window, the derivative of the phase over time is that of the log-magnitude over
    frequency, and the other way round with the opposite sign. The phase is the integral of both,
    taken from the loudest bins outwards. Source: Průša, Balazs and Søndergaard, IEEE/ACM Trans.
    Audio, Speech, Lang. Process. 25 (2017), 1154.
    """
    silent = max(magnitudes.max() * SILENT, np.finfo(np.float32).tiny)
    waveform = OverlapAdd(len(magnitudes), config)
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
    """The phase's change per hop and per bin, (T, bins); phases count from a frame's middle."""
    steeper, usual = (1 + STEEPER * r**2 for r in (config.window / config.fft, 1 / 2))
    gamma = GAMMAS[config.shape] * steeper / usual * config.window**2
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
    """Spectra of frames whose phases (T, bins) count from the middle of the window."""
    delay = 2 * np.pi * config.middle / config.fft * np.arange(magnitudes.shape[1])
    return magnitudes * np.exp(1j * (phases - delay).astype(np.float32))
