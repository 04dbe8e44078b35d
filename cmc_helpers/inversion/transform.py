"""Between waveform and spectra, a block of frames at once."""

import numpy as np

BLOCK = 256  # frames that are transformed at once: their spectra stay in the processor's cache


def stft(waveform, config):
    """The spectra (T, 257) of which `features.magnitude_spectrogram` shows the magnitudes.

    waveform: (n,), float32 or float64; the spectra are complex numbers of the same precision.
    """
    import scipy.fft

    frames = np.lib.stride_tricks.sliding_window_view(waveform, config.window)[:: config.hop]
    return scipy.fft.rfft(frames * np.hamming(config.window).astype(waveform.dtype), config.fft)


def overlap_add(spectra, config):
    """The waveform whose STFT is nearest to `spectra` (T, 257): Griffin and Lim (1984), eq. 6."""
    waveform = OverlapAdd(len(spectra), config)
    waveform.add(0, spectra)
    return waveform.finished()


class OverlapAdd:
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


def blocks(waveform, frames, config):
    """The blocks of frames, as slices, each with the piece of the waveform that they lie in."""
    for start in range(0, frames, BLOCK):
        stop = min(start + BLOCK, frames)
        block = slice(start, stop)
        yield block, waveform[samples(block, config)]


def samples(frames, config):
    """The samples, as a slice, that a slice of frames lies in."""
    return slice(frames.start * config.hop, (frames.stop - 1) * config.hop + config.window)
