"""Waveform ↔ 100 psychoacoustically reduced spectrogram features per 8 ms (paper, section 2.4.1).

The path is: A-weighting → short-time Fourier transform → magnitude → octave-wise averages →
compression. Everything up to here is fixed by a `FeatureConfig`; what depends on a corpus (its
maximum, its covariance) is a `Normaliser`, fitted once and kept inside the run.

Notebook: 07.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from operator import attrgetter
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

# 32 bins of width 1, 32 groups of 2, 32 groups of 4, and the last 32 bins in 4 groups of 8.
GROUP_WIDTHS = np.repeat([1, 2, 4, 8], [32, 32, 32, 4])
ROWS = 2**16  # frames that are looked at together, nine minutes: a recording may last for hours

PRESETS: dict[str, dict[str, Any]] = {
    "paper": dict(compression=1.0, normalisation="maximum"),
    "original-2017": dict(weighting_power=2, compression=1.0, normalisation="maximum"),
    "default": dict(compression=0.5, normalisation="whitened innovations"),
}
_NORMALISATIONS = ("maximum", "whitened innovations")
_TAPERS = {"hamming": np.hamming, "hann": np.hanning}


@dataclass(frozen=True)
class STFT:
    """A short-time Fourier transform: how a waveform is cut into frames, and these into bins.

    What is not given is the paper's: windows of 32 ms with 75 % overlap at 8 kHz. Frame t covers
    the samples from t · hop to t · hop + window, none of them outside the waveform.

    - sample_rate: in Hz.
    - window: samples of a frame, at least 4.
    - hop: samples from a frame to the next, at most half a window. A quarter or less is best.
    - fft: points of the transform, at least `window`; a frame is zero-padded to so many.
    - shape: of the window, "hamming" or "hann".
    - periodic: False for a symmetric window, as in NumPy; True for the first samples of one that
      is a sample longer, as in librosa and PyTorch.

    Raises ValueError, in a sentence, for other settings.
    """

    sample_rate: float = 8000
    window: int = 256
    hop: int = 64
    fft: int = 512
    shape: str = "hamming"
    periodic: bool = False

    def __post_init__(self):
        if not 0 < self.sample_rate < np.inf:
            raise ValueError(f"the sample rate is {self.sample_rate}: give it in Hz, above 0")
        if not _whole(self.window, 4, np.inf):
            raise ValueError(f"the window is {self.window}: give whole samples, at least 4")
        if not _whole(self.hop, 1, self.window / 2):
            raise ValueError(
                f"the hop is {self.hop}: give whole samples, from 1 to half the window's "
                f"{self.window}, for frames that overlap"
            )
        if not _whole(self.fft, self.window, np.inf):
            raise ValueError(
                f"the transform has {self.fft} points: give a whole number, at least the window's "
                f"{self.window}"
            )
        if self.shape not in _TAPERS:
            raise ValueError(
                f"there is no window {self.shape!r}; choose one of {', '.join(_TAPERS)}"
            )

    @property
    def bins(self) -> int:
        """Numbers in the spectrum of a frame, from 0 Hz to half the sample rate: fft // 2 + 1."""
        return self.fft // 2 + 1

    @property
    def taper(self) -> np.ndarray:
        """What a frame is multiplied by, (window,)."""
        return _TAPERS[self.shape](self.window + self.periodic)[: self.window]

    @property
    def middle(self) -> float:
        """Of a window, in samples after its first; between two of them where it is symmetric."""
        return (self.window - 1 + self.periodic) / 2


def _whole(number, least, most):
    return isinstance(number, (int, np.integer)) and least <= number <= most


@dataclass(frozen=True)
class FeatureConfig:
    """Everything that turns a waveform into features and back, except corpus statistics.

    stft: the paper's, which is not to choose: windows of 32 ms with 75 % overlap at 8 kHz, 125
    frames per second. What it is asked (`hop`, `bins`, …), the config answers too.

    `FeatureConfig.preset` gives the three settings in use:

    - ``paper``: amplitudes under the A-curve, to be divided by the corpus maximum;
    - ``original-2017``: the same under the squared A-curve, as the 2017 code computed it (it
      applied the curve's power response to amplitudes: −38.3 dB at 100 Hz instead of −19.1);
    - ``default``: the square root of the amplitudes, to be whitened by the covariance of their
      frame-to-frame innovations. `tools/benchmarks/representations.py` measures what this buys.
    """

    name: str = "default"
    stft: STFT = field(default=STFT(), init=False)
    weighting_power: int = 1  # 1: the A-curve; 2: the A-curve squared
    compression: float = 0.5  # features are amplitudes to this power
    normalisation: str = "whitened innovations"  # or "maximum"

    sample_rate = property(attrgetter("stft.sample_rate"), doc="8000 Hz")
    window = property(attrgetter("stft.window"), doc="256 samples: 32 ms")
    hop = property(attrgetter("stft.hop"), doc="64 samples: 8 ms")
    fft = property(attrgetter("stft.fft"), doc="512 points: the window is zero-padded")
    shape = property(attrgetter("stft.shape"), doc="hamming")
    bins = property(attrgetter("stft.bins"), doc="257, from 0 Hz to 4 kHz")
    taper = property(attrgetter("stft.taper"), doc="the window, (256,)")
    middle = property(attrgetter("stft.middle"), doc="of the window, 127.5 samples after its first")

    def __post_init__(self):
        known = self.weighting_power in (1, 2) and isinstance(self.name, str)
        if not (known and 0 < self.compression <= 1 and self.normalisation in _NORMALISATIONS):
            raise ValueError("there are no features with these settings; choose a preset")

    @classmethod
    def preset(cls, name: str) -> Self:
        """The settings called `name`; raises ValueError that lists the names there are."""
        if name not in PRESETS:
            raise ValueError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
        return cls(name=name, **PRESETS[name])

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Self:
        """The inverse of `to_dict`; raises ValueError for settings of another pipeline."""
        try:
            config: Self | None = cls(**{f.name: settings[f.name] for f in fields(cls) if f.init})
        except (KeyError, TypeError, ValueError):
            config = None
        if config is None or config.to_dict() != settings:
            raise ValueError("these feature settings were made by another version of the pipeline")
        return config

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        settings = asdict(self)
        framing = settings.pop("stft")
        del framing["shape"], framing["periodic"]  # the paper's, as those who wrote it down knew
        return {"name": settings.pop("name"), **framing, **settings}

    @property
    def frames_per_second(self) -> float:
        """125 for the paper's hop of 8 ms."""
        return self.sample_rate / self.hop

    def frames(self, seconds: float) -> int:
        """Seconds of sound → the number of frames, rounded, at least 1."""
        return max(1, round(seconds * self.frames_per_second))


def a_weighting(frequencies: np.ndarray) -> np.ndarray:
    """Gain in amplitude of the A-curve (IEC 61672), flat below 100 Hz so that it can be inverted.

    frequencies: any shape, in Hz, ≥ 0. Returns the same shape; 1 (0 dB) at 1 kHz, 0.11 (−19.1 dB)
    at and below 100 Hz. Paper, section 2.4.1. Notebook: 07, section 2.
    """

    def response(f):
        f2 = np.square(f)
        corners = np.sqrt((f2 + 107.65265**2) * (f2 + 737.86223**2))
        return f2**2 / ((f2 + 20.598997**2) * corners * (f2 + 12194.217**2))

    return response(np.maximum(frequencies, 100.0)) / response(1000.0)


def weight(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Apply the A-curve to the whole waveform at once: irfft(rfft(x) · W). Shape (samples,).

    Notebook: 07, section 2.
    """
    frequencies = np.fft.rfftfreq(len(waveform), 1 / config.sample_rate)
    gain = a_weighting(frequencies) ** config.weighting_power
    return np.fft.irfft(np.fft.rfft(waveform) * gain, len(waveform))


def unweight(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Undo `weight`: safe because the clamped curve never falls below its value at 100 Hz.

    Notebook: 07, section 2.
    """
    frequencies = np.fft.rfftfreq(len(waveform), 1 / config.sample_rate)
    gain = a_weighting(frequencies) ** config.weighting_power
    return np.fft.irfft(np.fft.rfft(waveform) / gain, len(waveform))


def magnitude_spectrogram(waveform: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """|STFT| without centring or padding, shape (T, 257) with T = ⌊(n − 256) / 64⌋ + 1.

    waveform: (n,), n ≥ 256. The window is a symmetric Hamming window, zero-padded to 512 points.
    Of any other STFT, `abs(inversion.stft(waveform, stft))` are the magnitudes.
    Paper, section 2.4.1. Notebook: 07, section 3.
    """
    frames = np.lib.stride_tricks.sliding_window_view(waveform, config.window)[:: config.hop]
    spectra = np.fft.rfft(frames * np.hamming(config.window), config.fft)
    return np.abs(spectra)


def reduce_magnitudes(magnitudes: np.ndarray) -> np.ndarray:
    """Average the first 256 bins in groups that widen by octaves: (T, ≥ 256) → (T, 100).

    Paper, section 2.4.1: wider bins towards high frequencies. Notebook: 07, section 4.
    """
    starts = np.cumsum(GROUP_WIDTHS) - GROUP_WIDTHS
    return np.add.reduceat(magnitudes[:, :256], starts, axis=1) / GROUP_WIDTHS


def expand_magnitudes(reduced: np.ndarray) -> np.ndarray:
    """Repeat each group's mean over its bins: (T, 100) → (T, 257), the pseudo-inverse of reducing.

    The last bin (4 kHz) is not kept by the features; it repeats its neighbour.
    Notebook: 07, section 5.
    """
    repeated = np.repeat(reduced, GROUP_WIDTHS, axis=1)
    return np.pad(repeated, ((0, 0), (0, 1)), mode="edge")


def extract_features(waveform: ArrayLike, config: FeatureConfig) -> np.ndarray:
    """Waveform → features.

    waveform: (n,) at `config.sample_rate`, n ≥ 256. Returns (T, 100) float32, ≥ 0: weighted
    amplitudes, averaged in groups, to the power `config.compression`. Not yet normalised. Raises
    ValueError for a waveform that is too short, not one-dimensional, or not finite.
    """
    waveform = np.asarray(waveform, dtype=np.float64)
    if waveform.ndim != 1 or len(waveform) < config.window:
        raise ValueError(
            f"a waveform of shape {waveform.shape} has no frame: give one channel of at least "
            f"{config.window} samples ({1000 * config.window / config.sample_rate:.0f} ms)"
        )
    if not np.isfinite(waveform).all():
        raise ValueError("the waveform holds NaN or infinite samples: repair or cut them first")
    weighted = weight(waveform, config)
    count = (len(waveform) - config.window) // config.hop + 1
    features = np.empty((count, len(GROUP_WIDTHS)), np.float32)
    for start in range(0, count, 4096):  # blocks keep an hour of audio in bounded memory
        stop = min(start + 4096, count)
        block = weighted[start * config.hop : (stop - 1) * config.hop + config.window]
        amplitudes = reduce_magnitudes(magnitude_spectrogram(block, config))
        features[start:stop] = amplitudes**config.compression
    return features


def features_to_amplitudes(features: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Features (T, 100) → weighted amplitudes, the group means; negative ones count as silence."""
    return np.maximum(features, 0.0) ** (1 / config.compression)


class _InAFile(Protocol):
    """Features (T, m) that are read where they are sliced, such as `corpora.StoredFeatures`."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


def silent_frames(features: np.ndarray | _InAFile, config: FeatureConfig | None) -> np.ndarray:
    """True (T,) where a frame is 60 dB or more below the loudest frame of `features`.

    Loudness is the mean amplitude of the frame. Plain vectors (config None) are never silent.
    """
    if config is None:
        return np.zeros(len(features), bool)
    amplitudes = (part ** (1 / config.compression) for part in parts(features))
    loudness = np.concatenate([part.mean(axis=1) for part in amplitudes])
    return loudness <= 1e-3 * loudness.max()


def parts(features: np.ndarray | _InAFile, overlap: int = 0) -> Iterator[np.ndarray]:
    """Features (T, m), perhaps in a file, as arrays of nine minutes at most, in order.

    Each begins with the last `overlap` frames of the one before. Fewer frames are one part.
    """
    size = ROWS // max(overlap, 1) * max(overlap, 1)
    for start in range(0, max(len(features), 1), size):
        yield np.asarray(features[max(start - overlap, 0) : start + size])


@dataclass(frozen=True)
class Normaliser:
    """The affine map between features and what the network sees: z = (x − offset) · matrix.

    offset: (m,). matrix: (m, m), invertible. Fitted on the training part of a corpus only.
    Whitening is kept in single precision: of several frames at once it is a large matrix.
    """

    offset: np.ndarray
    matrix: np.ndarray

    def __repr__(self):
        return f"<normaliser of {len(self.offset)} numbers>"

    @classmethod
    def identity(cls, m: int) -> Self:
        """Leave vectors as they are (the dummy experiments)."""
        return cls(np.zeros(m), np.eye(m))

    @classmethod
    def maximum(cls, sequences: Iterable[np.ndarray | _InAFile], together: int = 1) -> Self:
        """Divide by the largest absolute value of all `sequences`, an iterable of (T, m).

        together: see `whitened_innovations`.
        """
        largest, m = 1e-12, 0
        for x in sequences:  # a part of one at a time: a corpus need not fit in memory
            m = x.shape[1] * together
            for part in parts(x):
                largest = max(largest, float(np.abs(part).max()))
        return cls(np.zeros(m), np.eye(m) / largest)

    @classmethod
    def whitened_innovations(
        cls,
        sequences: Iterable[np.ndarray | _InAFile],
        together: int = 1,
        floor: float = 1e-4,
    ) -> Self:
        """Scale and rotate so that innovations have unit covariance (ZCA).

        The mixture's components are isotropic: one σ for all m features. Whitening by the
        innovations rather than by x itself makes what the network does not yet know isotropic too.
        An innovation is the frame-to-frame difference x_{t+1} − x_t. together: so many frames count
        as one vector; its innovation is what the best linear prediction from the one before leaves,
        for a mere difference would hide how the frames inside a vector hang together. floor:
        smallest eigenvalue kept, relative to the mean one, so that features that never move are not
        blown up.
        """
        count = frames = 0
        nothing: Any = 0.0  # what comes is added to it, and makes an array of it
        total = squares = known = covered = nothing
        for sequence in sequences:  # a part of one at a time: a corpus need not fit in memory
            first = 0
            for part in parts(sequence, together):
                x = np.asarray(part, np.float64)
                x = x[: len(x) // together * together].reshape(-1, x.shape[1] * together)
                before, difference = x[:-1], np.diff(x, axis=0)
                squares = squares + difference.T @ difference
                if together > 1:
                    known = known + before.T @ before
                    covered = covered + before.T @ difference
                count += len(difference)
                total = total + x[first:].sum(axis=0)
                frames += len(x[first:])
                first = 1  # of the next parts, the first vector was the last one's last
        outer = squares
        if together > 1:  # what `before` predicts of the difference is no innovation
            ridge = 1e-9 * np.trace(known) / len(known) * np.eye(len(known))
            outer = squares - covered.T @ np.linalg.solve(known + ridge, covered)
        variances, axes = np.linalg.eigh(outer / count)
        scales = np.sqrt(np.maximum(variances, floor * max(variances.mean(), 1e-12)))
        return cls(total / frames, ((axes / scales) @ axes.T).astype(np.float32))

    @cached_property
    def inverse(self) -> np.ndarray:
        """The inverse of `matrix`, (m, m)."""
        return np.linalg.inv(self.matrix.astype(float))

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Features (..., m) → what the network sees (..., m), float32."""
        return ((features - self.offset) @ self.matrix).astype(np.float32)

    def invert(self, normalised: np.ndarray) -> np.ndarray:
        """What the network made (..., m) → features (..., m), float32."""
        return (normalised @ self.inverse + self.offset).astype(np.float32)

    @property
    def log_volume(self) -> float:
        """ln |det matrix|: adding it to a log-density of z gives the log-density of x."""
        return float(np.linalg.slogdet(self.matrix.astype(float))[1])
