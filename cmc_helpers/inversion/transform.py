"""Between waveform and spectra, a block of frames at once."""

from collections.abc import Iterator

import numpy as np

from cmc_helpers.features import STFT, FeatureConfig

BLOCK = 256  # frames that are transformed at once: their spectra stay in the processor's cache
TINY = np.float32(1e-30)  # what is divided by is never quite 0

# What a sum of squared windows counts as at least. At the ends of a sound one window alone is
# left, and a Hann window falls to 0 there: the first and last samples fade, where a division by
# nearly nothing would make noise of them. The end of a Hamming window, squared, is 0.0064.
FOOT = np.float32(0.005)


def stft(waveform: np.ndarray, config: STFT | FeatureConfig) -> np.ndarray:
    """Waveform (n,) → spectra (T, bins), T = ⌊(n − window) / hop⌋ + 1, without padding.

    Their absolute values are what `invert_magnitudes` takes; with the features' config, those of
    `features.magnitude_spectrogram`. waveform: float32 or float64, n ≥ window; the spectra are
    complex numbers of the same precision. config: an `STFT`, or a `FeatureConfig`.
    """
    import scipy.fft

    frames = np.lib.stride_tricks.sliding_window_view(waveform, config.window)[:: config.hop]
    return scipy.fft.rfft(frames * config.taper.astype(waveform.dtype), config.fft)


def overlap_add(spectra: np.ndarray, config: STFT | FeatureConfig) -> np.ndarray:
    """The waveform whose STFT is nearest to `spectra` (T, bins): Griffin and Lim (1984), eq. 6."""
    waveform = OverlapAdd(len(spectra), config)
    waveform.add(0, spectra)
    return waveform.finished()


class OverlapAdd:
    """Frames come in blocks, are windowed, added where they belong, and divided by Σ window²."""

    def __init__(self, frames: int, config: STFT | FeatureConfig) -> None:
        self.config, self.window = config, config.taper.astype(np.float32)
        self.frames = frames
        self.hops = np.zeros((frames + neighbours(config), config.hop), np.float32)

    def add(self, start: int, spectra: np.ndarray) -> None:
        import scipy.fft

        config = self.config
        frames = scipy.fft.irfft(spectra, config.fft)[:, : config.window] * self.window
        self._overlap(self.hops[start:], frames)

    def _overlap(self, hops, frames):
        config = self.config
        beyond = (neighbours(config) + 1) * config.hop - config.window
        if beyond:  # the window is no multiple of the hop
            frames = np.pad(frames, ((0, 0), (0, beyond)))
        parts = frames.reshape(len(frames), -1, config.hop)
        for i in range(parts.shape[1]):
            hops[i : i + len(parts)] += parts[:, i]

    def finished(self) -> np.ndarray:
        weights = np.zeros_like(self.hops)
        shape = self.frames, self.config.window
        self._overlap(weights, np.broadcast_to(self.window**2, shape))
        waveform = (self.hops / np.maximum(weights, FOOT)).ravel()
        return waveform[samples(slice(0, self.frames), self.config)]


def neighbours(config: STFT | FeatureConfig) -> int:
    """How many frames after it share samples with a frame."""
    return -(-config.window // config.hop) - 1


def blocks(
    waveform: np.ndarray, frames: int, config: STFT | FeatureConfig
) -> Iterator[tuple[slice, np.ndarray]]:
    """The blocks of frames, as slices, each with the piece of the waveform that they lie in."""
    for start in range(0, frames, BLOCK):
        stop = min(start + BLOCK, frames)
        block = slice(start, stop)
        yield block, waveform[samples(block, config)]


def samples(frames: slice, config: STFT | FeatureConfig) -> slice:
    """The samples, as a slice, that a slice of frames lies in."""
    return slice(frames.start * config.hop, (frames.stop - 1) * config.hop + config.window)
