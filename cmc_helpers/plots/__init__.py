"""Pictures of sound and of learning: what a notebook shows beside what it computes.

Every function draws into `ax`, or into a figure of its own, and returns the Axes. A title is a
sentence that says what is to be seen. `figure_with_alt` turns the result into what a cell ends
with: an opaque picture, readable on dark and light pages, with its words for those who do not see
it. Colours are cividis for magnitudes and Okabe and Ito's for lines, never without a line style.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cmc_helpers.features import GROUP_WIDTHS

FRAME_SECONDS, HOP_SECONDS = 0.032, 0.008  # the paper's window and hop, section 2.4.1
BIN_HZ = 8000 / 512  # between two bins of the paper's zero-padded FFT
_BAR = dict(color="#0072B2", align="center", snap=False)
LINES = [
    dict(color="#0072B2", linestyle="-"),
    dict(color="#D55E00", linestyle="--"),
    dict(color="#009E73", linestyle=":"),
    dict(color="#CC79A7", linestyle="-."),
]


class Picture:
    """A finished PNG with its alternative text, which is also its repr.

    JupyterLab ignores the alternative text of a PNG, so the words follow once more as text that
    only a screen reader meets.
    """

    def __init__(self, png: bytes, alt: str) -> None:
        self.png, self.alt = png, alt

    def __repr__(self):
        return self.alt

    def _ipython_display_(self):
        from IPython.display import display

        png = base64.b64encode(self.png).decode()
        described = {"image/png": {"alt": self.alt}}
        display({"image/png": png, "text/plain": self.alt}, metadata=described, raw=True)
        hidden = "position:absolute;width:1px;height:1px;overflow:hidden;white-space:nowrap"
        display({"text/html": f'<p style="{hidden}">{html.escape(self.alt)}</p>'}, raw=True)


def figure_with_alt(figure: Any, alt: str) -> Picture:
    """Turn a Figure, or the Figure of an Axes, into a Picture described by the sentence `alt`.

    Draws on white, stores no program name or date, and closes a pyplot figure, so that it is not
    shown a second time. Raises ValueError for a description that is empty.
    """
    if not alt.strip():
        raise ValueError("a figure needs a description: say in `alt` what is to be seen in it")
    figure = getattr(figure, "figure", figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, facecolor="white", metadata={"Software": None})
    buffer = _with_palette(buffer)
    if figure.canvas.manager is not None:  # made by pyplot
        import matplotlib.pyplot

        matplotlib.pyplot.close(figure)
    return Picture(buffer.getvalue(), alt)


def waveform(samples: np.ndarray, title: str, *, sample_rate: int = 8000, ax: Any = None) -> Any:
    """Draw a waveform (samples,) over time in seconds; returns the Axes."""
    ax = ax or new_axes(height=2.2)
    ax.plot(np.arange(len(samples)) / sample_rate, samples, color=LINES[0]["color"], linewidth=0.6)
    ax.set(title=title, xlabel="time (s)", ylabel="amplitude")
    ax.margins(x=0)
    return ax


def spectrogram(
    sound: np.ndarray,
    title: str,
    *,
    sample_rate: int = 8000,
    ax: Any = None,
    reference: float | None = None,
    decibels: float = 60,
) -> Any:
    """Draw magnitudes in decibels below `reference` (their maximum) over seconds and kilohertz.

    sound: a waveform (samples,), of which the short-time Fourier transform is taken as in the
    paper's section 2.4.1 (32 ms Hamming windows every 8 ms), or magnitudes (T, bins) for 125 frames
    per second whose bins reach from 0 Hz to half the sample rate. Returns the Axes.
    """
    magnitudes = _magnitudes(sound, sample_rate)
    ax = ax or new_axes()
    levels = _decibels(magnitudes, reference, decibels)
    _image(ax, levels, extent_y=(0, sample_rate / 2000), label="level (dB)", limits=(-decibels, 0))
    ax.set(title=title, xlabel="time (s)", ylabel="frequency (kHz)")
    return ax


def feature_image(
    features: ArrayLike,
    title: str,
    *,
    compression: float = 1.0,
    ax: Any = None,
    decibels: float | None = 60,
) -> Any:
    """Draw features (T, 100) over seconds, each row named by its number and its lowest frequency.

    compression: the power that turned amplitudes into features (0.5 for square roots); the scale is
    decibels of the amplitude below its maximum. `decibels=None` keeps the features' own linear
    scale, as normalised ones need, which may be negative. Returns the Axes.
    """
    features = np.asarray(features, np.float64)
    ax = ax or new_axes(height=3.4)
    if decibels is None:
        levels, label, limits = features, "feature", (features.min(), features.max())
    else:
        amplitudes = np.maximum(features, 0.0) ** (1 / compression)
        levels, label, limits = _decibels(amplitudes, None, decibels), "level (dB)", (-decibels, 0)
    _image(ax, levels, extent_y=(-0.5, features.shape[1] - 0.5), label=label, limits=limits)
    rows = np.arange(0, 100, 16)
    lowest = (np.cumsum(GROUP_WIDTHS) - GROUP_WIDTHS) * BIN_HZ
    ax.set_yticks(rows, [f"{row}: {lowest[row]:.0f} Hz" for row in rows])
    ax.set(title=title, xlabel="time (s)", ylabel="feature: lowest frequency")
    return ax


def curves(
    x: ArrayLike,
    curves: Mapping[str, ArrayLike],
    title: str,
    *,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    ax: Any = None,
) -> Any:
    """Draw up to four curves {label: y} over a common x, told apart by colour and line style."""
    ax = ax or new_axes()
    for (label, y), line in zip(curves.items(), LINES[: len(curves)], strict=True):
        ax.plot(x, y, label=label, **line)
    if log_x:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def learning_curve(
    history: Any, title: str, *, ylabel: str = "loss (nats per frame)", ax: Any = None
) -> Any:
    """Draw training and validation loss per epoch and mark the best epoch, counted from 1.

    history: a mapping with "loss" and possibly "validation_loss", a number per epoch, such as
    `Run.history`, or the History that Keras' `fit` returns, which says "val_loss". The best epoch
    is that of the lowest validation loss. Returns the Axes.
    """
    history = getattr(history, "history", history)
    losses = {"training": history["loss"]}
    for name in {"validation_loss", "val_loss"} & set(history):
        losses["validation"] = history[name]
    epochs = np.arange(1, len(history["loss"]) + 1)
    ax = curves(epochs, losses, title, xlabel="epoch", ylabel=ylabel, ax=ax)
    name, judged = list(losses.items())[-1]
    best = int(np.nanargmin(judged))
    label = f"lowest {name} loss: epoch {best + 1}"
    ax.plot(epochs[best], judged[best], "ko", markerfacecolor="none", markersize=9, label=label)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()
    return ax


def compare(
    sounds: Mapping[str, np.ndarray], title: str, *, sample_rate: int = 8000, decibels: float = 60
) -> Any:
    """Draw spectrograms {panel title: sound} below each other on one scale; returns the Figure.

    Each sound is what `spectrogram` takes. 0 dB is the loudest point of all panels, so a quieter
    sound looks quieter.
    """
    sounds = {name: _magnitudes(sound, sample_rate) for name, sound in sounds.items()}
    reference = max(magnitudes.max() for magnitudes in sounds.values())
    figure = _figure(height=0.8 + 1.7 * len(sounds))
    panels = figure.subplots(len(sounds), sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, (name, magnitudes) in zip(panels, sounds.items(), strict=True):
        spectrogram(
            magnitudes, name, sample_rate=sample_rate, ax=ax, reference=reference, decibels=decibels
        )
        ax.label_outer()
    figure.suptitle(title)
    return figure


def piano_roll(
    rolls: Mapping[str, Sequence[Any]], title: str, *, steps_per_second: float = 1.0
) -> Any:
    """Draw notes {panel title: notes with start, length, pitch} below each other; the Figure.

    steps_per_second: how many units of start and length pass in a second. All panels share their
    axes: what is longer looks longer.
    """
    figure = _figure(height=0.8 + 1.5 * len(rolls))
    panels = figure.subplots(len(rolls), sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, (name, notes) in zip(panels, rolls.items(), strict=True):
        starts = [note.start / steps_per_second for note in notes]
        lengths = [0.92 * note.length / steps_per_second for note in notes]
        ax.barh([note.pitch for note in notes], lengths, 1.0, starts, **_BAR)
        ax.set(title=name, xlabel="time (s)", ylabel="pitch", yticks=range(36, 97, 12))
        ax.set_yticklabels([f"C{octave}" for octave in range(2, 8)])
        ax.grid(alpha=0.3)
        ax.label_outer()
    figure.suptitle(title)
    return figure


def mixture(
    weights: np.ndarray,
    ranks: np.ndarray | None,
    kept: np.ndarray,
    spectra: ArrayLike,
    came: np.ndarray,
    title: str,
    *,
    ranked_by: str = "π̂",
) -> Any:
    """Draw a mixture of K possible next spectra, and which of them may be chosen; the Figure.

    weights: π (K,). ranks: what the strategy ranks by, (K,), summing to 1, or None where it is π.
    kept: of each component, whether it is in S. spectra: amplitudes (K, 100) that each component's
    mean would bring. came: those that came in the end (100,).
    """
    count = len(weights)
    figure = _figure(height=0.9 + 0.28 * (count + 1))
    left, right = figure.subplots(1, 2, width_ratios=[1, 2.2], sharey=True)
    rows = np.arange(1, count + 1)
    if ranks is None:
        bars = left.barh(rows, weights, 0.6, color=LINES[0]["color"], label="π")
    else:
        left.barh(rows - 0.2, weights, 0.36, color=LINES[0]["color"], label="π")
        bars = left.barh(rows + 0.2, ranks, 0.36, color=LINES[1]["color"], label=ranked_by)
    for bar, inside in zip(bars, kept, strict=True):
        if not inside:  # an outline: it is ranked, but cannot be chosen
            bar.set(facecolor="none", edgecolor=bar.get_facecolor(), linestyle="--")
    left.set(xlim=(0, 1), xlabel="weight", ylabel="component")
    left.legend(loc="best")
    image = np.vstack([spectra, came])
    levels = _decibels(image, None, 50)
    shown = right.imshow(
        levels,
        aspect="auto",
        interpolation="nearest",
        cmap="cividis",
        extent=(-0.5, image.shape[1] - 0.5, count + 1.5, 0.5),
    )
    figure.colorbar(shown, ax=right, label="level (dB)", pad=0.01)
    right.set_yticks([*rows, count + 1], [*(f"{r}" for r in rows), "came"])
    for row, inside in zip(rows, kept, strict=True):
        if not inside:
            right.fill_between((-0.5, image.shape[1] - 0.5), row - 0.5, row + 0.5, color="white")
            right.text(2, row, "not in S", va="center", fontsize=8)
    right.set(xlabel="feature, from low to high", ylim=(count + 1.5, 0.5))
    figure.suptitle(title)
    return figure


def performance(
    waveform: np.ndarray,
    components: np.ndarray,
    flux: np.ndarray,
    title: str,
    *,
    count: int,
    sample_rate: int = 8000,
) -> Any:
    """Draw what was generated over a common time in seconds; returns the Figure.

    Above the spectrogram of a waveform (samples,), then which of `count` components each frame
    came from, (T,), then the flux from frame to frame, (T − 1,), as `analysis.flux` gives it, with
    NaN for gaps.
    """
    figure = _figure(height=4.6)
    above, middle, below = figure.subplots(3, sharex=True, height_ratios=[3, 1.2, 1])
    spectrogram(waveform, title, sample_rate=sample_rate, ax=above)
    above.set_xlabel("")
    times = HOP_SECONDS * np.arange(len(components))
    middle.scatter(times, components + 1, s=3, marker="s", color=LINES[0]["color"], linewidths=0)
    middle.set(ylabel="component", ylim=(count + 0.6, 0.4))
    middle.yaxis.get_major_locator().set_params(integer=True)
    below.plot(times[1:], flux, **LINES[1] | dict(linestyle="-"), linewidth=0.8)
    below.set(xlabel="time (s)", ylabel="flux", ylim=(0, 0.6))
    below.set_xlim(0, HOP_SECONDS * len(components))
    for ax in (middle, below):
        ax.grid(alpha=0.3)
    return figure


def _with_palette(buffer):
    """The same PNG in 256 colours: less than half the bytes, and nothing to be seen of it."""
    from PIL import Image

    smaller = io.BytesIO()
    picture = Image.open(buffer).convert("RGB")
    picture = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    picture.save(smaller, "PNG", dpi=(100, 100))
    return smaller


def _figure(height):
    """A figure that pyplot does not know: nothing to close, and no window system to choose."""
    from matplotlib.figure import Figure

    return Figure(figsize=(7.5, height), layout="constrained")


def new_axes(height: float = 2.8) -> Any:
    """The Axes of a new figure, 7.5 inches wide and `height` high."""
    return _figure(height).subplots()


def _magnitudes(sound, sample_rate):
    """A waveform (samples,) → |STFT| (T, bins); magnitudes (T, bins) stay what they are."""
    sound = np.asarray(sound, np.float64)
    if sound.ndim == 2:
        return sound
    window, hop = round(FRAME_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    sound = np.pad(sound, (0, max(0, window - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(sound, window)[::hop]
    return np.abs(np.fft.rfft(frames * np.hamming(window), 2 * window))


def _decibels(magnitudes, reference, decibels):
    """20 log₁₀ of magnitudes over `reference`, not below −decibels; silence lies at the bottom."""
    reference = magnitudes.max() if reference is None else reference
    floor = 10 ** (-decibels / 20)
    return 20 * np.log10(np.maximum(magnitudes / (reference or 1.0), floor))


def _image(ax, rows, *, extent_y, label, limits):
    """Draw `rows` (T, n), one every 8 ms, upright and with a colour bar."""
    image = ax.imshow(
        rows.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="cividis",
        vmin=limits[0],
        vmax=limits[1],
        extent=(0, len(rows) * HOP_SECONDS, *extent_y),
    )
    ax.figure.colorbar(image, ax=ax, label=label, pad=0.01)
