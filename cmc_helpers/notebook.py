"""Players with pictures, and bars for long work: the notebook's own furniture.

The pipeline knows nothing of this module. Its long functions take a callable
`progress(done, total, message="")`; a notebook hands in `widget_progress(label)`.
"""

import base64
import html
import io
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cmc_helpers.files import readable_file
from cmc_helpers.terminal import Progress, TerminalProgress, quiet_tensorflow

if TYPE_CHECKING:
    from cmc_helpers.plots import Picture


def set_seed(seed: int, deterministic: bool = True) -> None:
    """Seed Python, NumPy and TensorFlow, so that the same cells give the same numbers again.

    deterministic: also choose operations that add up in a fixed order; about 10 % slower.
    """
    tensorflow = quiet_tensorflow()
    import keras

    keras.utils.set_random_seed(seed)
    if deterministic:
        tensorflow.config.experimental.enable_op_determinism()


class Sound:
    """A waveform as WAV, with its spectrogram; what `listen` returns. Its repr names it."""

    def __init__(self, wav: bytes, label: str, note: str, picture: "Picture") -> None:
        self.wav, self.label, self.note, self.picture = wav, label, note, picture

    def __repr__(self):
        return f"{self.label}{self.note}"

    def _repr_html_(self):
        return audio_html(self.wav, self.label, self.note)

    def _ipython_display_(self):
        from IPython.display import display

        display(self.picture)
        display({"text/html": self._repr_html_(), "text/plain": repr(self)}, raw=True)


def audio_html(wav: bytes, label: str, note: str = "", autoplay: bool = False) -> str:
    """A player for the bytes of a WAV file, with its caption, as HTML that needs nothing else."""
    source = f"data:audio/wav;base64,{base64.b64encode(wav).decode()}"
    label, start = html.escape(label), " autoplay" if autoplay else ""
    return (
        f'<figure style="margin:0"><figcaption>{label}{html.escape(note)}</figcaption>'
        f'<audio controls{start} style="width:100%" aria-label="{label}" src="{source}"></audio>'
        "</figure>"
    )


def results(name: str) -> dict[str, Any]:
    """What the long experiment tools/experiments/{name}.py found, a dict: what its JSON holds.

    In a checkout the folder lies beside the package, in an installed package inside it. Raises
    FileError where there is no such file.
    """
    package = Path(__file__).resolve().parent
    folders = package / "long_experiments", package.parent / "tools" / "experiments"
    path = next((f / f"{name}.json" for f in folders if f.is_dir()), folders[-1] / f"{name}.json")
    return json.loads(readable_file(path).read_text("utf-8"))


def listen(waveform: ArrayLike, sample_rate: int, title: str, *, normalise: bool = False) -> Sound:
    """Show a player for `waveform` (samples,), in [−1, 1], below its spectrogram.

    Levels stay as they are, unlike in IPython's Audio, so that a change of gain is heard. Only a
    peak above 1 is turned down, and the caption says by how much. `normalise=True` brings the peak
    to 1. Raises ValueError for sound that is empty, not one-dimensional, or not finite.

    The sound is part of the page's HTML, which nbval compares: tag the cell
    `nbval-ignore-output`, because the last bits differ between processors, and print what is to be
    checked (seconds, level) in a cell of its own. Ten seconds at 8 kHz add about 0.3 MB to the
    notebook.
    """
    from cmc_helpers import plots

    waveform = np.asarray(waveform, np.float64)
    if waveform.ndim != 1 or not len(waveform) or not np.isfinite(waveform).all():
        raise ValueError(
            f"sound of shape {waveform.shape} cannot be played: give one channel of finite numbers"
        )
    peak = np.abs(waveform).max()
    gain = 1 / peak if peak > 1 or (normalise and peak > 0) else 1.0
    note = f" ({20 * np.log10(gain):+.1f} dB)" if gain != 1 else ""
    label = f"{title}, {len(waveform) / sample_rate:.1f} s"
    ax = plots.spectrogram(waveform, title, sample_rate=sample_rate)
    ax.figure.set_figheight(2.2)
    picture = plots.figure_with_alt(
        ax, f"Spectrogram: {label}, 0 to {sample_rate / 2000:g} kHz, 60 dB from dark to bright."
    )
    return Sound(wav(waveform * gain, sample_rate), label, note, picture)


class WidgetProgress(Progress):
    """A bar in a notebook. Only its label is stored and compared by nbval, not how far it came.

    It moves ten times a second at most: training may have a thousand steps in that time.
    """

    bar: Any = None
    message, due = "", 0.0

    def show(self, message: str) -> None:
        self.message = message
        if self.bar is None:
            self._open()
        if time.monotonic() >= self.due or self.done >= self.total:
            self.close()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.max, self.bar.value = max(self.total, 1), self.done
            self.text.value = f"{self.done} of {self.total}  {self.message}"
            self.due = time.monotonic() + 0.1

    def _open(self):
        import ipywidgets
        from IPython.display import display

        self.bar = ipywidgets.IntProgress(
            description=self.label, style={"description_width": "auto"}
        )
        self.text = ipywidgets.Label()
        box = ipywidgets.HBox([self.bar, self.text])
        view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
        display(
            {"text/plain": self.label, "application/vnd.jupyter.widget-view+json": view}, raw=True
        )


def widget_progress(label: str) -> WidgetProgress:
    """A callable `progress(done, total, message="")` that moves a bar in a notebook."""
    return WidgetProgress(label)


def progress(total: int, label: str) -> Progress:
    """The bar for a loop: a widget in a notebook, text on a terminal, else nothing.

    `with progress(200, "Training") as bar:` and in the loop `bar.update(1, "loss 0.3")`.
    """
    return (WidgetProgress if _in_notebook() else TerminalProgress)(label, total)


def _in_notebook():
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


def wav(waveform: np.ndarray, sample_rate: int) -> bytes:
    """A waveform (samples,) in [−1, 1] as the bytes of a 16-bit WAV file."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
