"""The τ player: knobs, and the music of a run where they stand, heard, seen and as text.

A thin view of `player.render`, which makes the sound.
"""

import base64
import html
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmc_helpers import notebook, runs
from cmc_helpers.audio import write_audio
from cmc_helpers.files import FileError
from cmc_helpers.performance import read_primer
from cmc_helpers.player import QUICK, SECONDS, Position, read_position, render
from cmc_helpers.sampling import KNOBS, Sampling
from cmc_helpers.vectors import write_csv
from cmc_helpers.widgets import controls

CLIPS = ("bach_prelude.flac", "chopin_prelude.flac", "singer.flac", "laughter.flac")  # that ship
UPLOAD_MEGABYTES = 5
OWN = "the run's own primer"


class Player:
    """The view that `player` shows: `box` is its widget, `position` where its knobs stand.

    Sound is made in a thread, of the newest position only: one that is left again is given up.
    """

    def __init__(
        self, names: Sequence[str], position: Position | str | None = None, files: bool = False
    ) -> None:
        import ipywidgets

        if isinstance(position, str):
            position = read_position(position)
        self._runs = {name: runs.load(runs.find(name)) for name in names}
        position = position or Position(names[0], self._runs[names[0]].sampling)
        self._primers: dict[str, str | Path] = {name: name for name in ("none", *CLIPS)}
        self._heard: dict[tuple[str, str | None], Any] = {}  # (run, name of a primer) → features
        self._moving = False
        low, high = SECONDS
        first = sorted(KNOBS, key=lambda name: KNOBS[name].metadata["slider"] is None)  # sliders
        self.knobs: dict[str, Any] = {
            **{name: controls.knob(KNOBS[name]) for name in first},
            "seconds": controls.slider("seconds", low, high, 0.5, 4.0),
            "seed": ipywidgets.BoundedIntText(
                value=1,
                description="seed",
                min=0,
                max=2**31 - 1,
                style={"description_width": "initial"},
                layout=controls.LAYOUT,
            ),
            "prime": controls.choice("after hearing", self._heard_first(), OWN),
            "run": controls.choice("run", list(self._runs), names[0]),
        }
        self.at_once = ipywidgets.Checkbox(True, description="play at once", indent=False)
        self.text = ipywidgets.Text(
            description="as text",
            continuous_update=False,
            style={"description_width": "initial"},
            layout={"width": "auto"},
        )
        self.status, self.sound, self.picture = (ipywidgets.HTML() for _ in range(3))
        self._work = Latest(self._play)
        with self._told(), self._knobs_held():
            self._place(position)
        self._play(self.position, at_once=False)
        for knob in self.knobs.values():
            knob.observe(self._moved, "value")
        self.text.observe(self._typed, "value")
        knobs = [knob for name, knob in self.knobs.items() if name != "run" or len(names) > 1]
        knobs = ipywidgets.GridBox(
            [*knobs, self.at_once],
            layout={
                "grid_template_columns": "repeat(auto-fit, minmax(17em, 1fr))",
                "grid_gap": "0 1.5em",
            },
        )
        below = self._files() if files else []
        self.box = ipywidgets.VBox(
            [knobs, self.status, self.sound, self.picture, self.text, *below],
            layout={"max_width": "64em"},
        )

    @property
    def position(self) -> Position:
        """Where the knobs stand, a `player.Position`."""
        values = {name: knob.value for name, knob in self.knobs.items()}
        values = {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
        chosen = Sampling(**{name: values.pop(name) for name in KNOBS})
        values["prime"] = None if values["prime"] == OWN else values["prime"]
        return Position(sampling=chosen, **values)

    def wait(self) -> None:
        """Return when what was asked for last is heard and drawn."""
        self._work.wait()

    def _moved(self, change):
        if self._moving:
            return
        with self._told():
            if change["owner"] is self.knobs["run"]:
                with self._knobs_held():
                    self._place(Position(change["new"], self._runs[change["new"]].sampling))
            self._arrived()

    def _typed(self, change):
        if self._moving:
            return
        with self._told():
            position = read_position(change["new"])
            if position.run not in self._runs:
                raise ValueError(f"this player has no run {position.run}")
            if position.prime not in (None, *self._primers):
                raise ValueError(f"this player has no {position.prime} to begin from")
            with self._knobs_held():
                self._place(position)
            self._arrived()

    def _arrived(self):
        position = self.position
        with self._knobs_held():
            self._place(position)
        self.status.value = controls.said(f"Computing {position.seconds:g} s …")
        self._work.give(position)

    def _place(self, position):
        """Move the knobs, and those aside that have nothing to do there."""
        for name, knob in self.knobs.items():
            value = getattr(position.sampling if name in KNOBS else position, name)
            value = OWN if value is None else value
            if hasattr(knob, "max"):  # wider than the slider was made: it would be cut off
                knob.min, knob.max = min(knob.min, value), max(knob.max, value)
            knob.value = value
            knob.disabled = name in position.sampling.idle()
        self.knobs["noise"].disabled = not self._runs[position.run].residuals
        self.text.value = str(position)

    @contextmanager
    def _knobs_held(self):
        self._moving = True
        try:
            yield
        finally:
            self._moving = False

    @contextmanager
    def _told(self):
        """What goes wrong is said where the status stands; the knobs go on working."""
        try:
            yield
        except _Superseded:
            pass
        except Exception as error:  # in a thread, nobody else would hear of it
            self.status.value = controls.said(controls.message(error), "alert")

    def _play(self, position, at_once=None):
        def go_on(*_):
            if self._work.is_outdated(position):
                raise _Superseded

        with self._told():
            run = self._runs[position.run]
            rendering = render(run, position, self._primer(position), go_on, **QUICK)
            go_on()
            autoplay = self.at_once.value if at_once is None else at_once
            wav = notebook.wav(rendering.waveform, run.features.sample_rate)
            self.sound.value = notebook.audio_html(wav, rendering.label, autoplay=autoplay)
            self.status.value = controls.said("Heard below; drawing its picture …")
            self.picture.value = controls.image(rendering.picture)
            go_on()
            self.status.value = controls.said(f"Here it is: {rendering.title}.")

    def _primer(self, position):
        """Read once: what is heard first is the same wherever the knobs stand."""
        key = position.run, position.prime
        if key not in self._heard:
            path = position.prime and self._primers[position.prime]
            self._heard[key] = read_primer(self._runs[position.run], path)
        return self._heard[key]

    def _heard_first(self):
        return [(OWN, OWN), *(("nothing" if n == "none" else n, n) for n in self._primers)]

    def _files(self):
        """Upload and download."""
        import ipywidgets

        self._folder = tempfile.TemporaryDirectory()
        self.upload = ipywidgets.FileUpload(
            accept=".wav,.flac,.ogg,.mp3,.aiff,.csv",
            multiple=False,
            description=f"a clip of your own ({UPLOAD_MEGABYTES} MB)",
            layout={"width": "auto"},
        )
        self.make = ipywidgets.Button(description="make files of this", layout={"width": "auto"})
        self.links = ipywidgets.HTML()
        self._making = Latest(self._link)
        self.upload.observe(self._uploaded, "value")
        self.make.on_click(self._asked_for_files)
        return [ipywidgets.HBox([self.upload, self.make]), self.links]

    def _uploaded(self, change):
        with self._told():
            for name, content in _uploads(change["new"]):
                self._take(name, content)

    def _take(self, name, content):
        if len(content) > UPLOAD_MEGABYTES * 1e6:
            raise ValueError(
                f"{name} has {len(content) / 1e6:.1f} MB, {UPLOAD_MEGABYTES} are the most: cut it"
            )
        path = Path(self._folder.name, Path(name.replace("\\", "/")).name)
        if path.name in ("", ".."):
            raise ValueError(f"{name} is no name of a file: call it something like clip.wav")
        path.write_bytes(content)
        try:
            read_primer(self._runs[self.position.run], path)
        except FileError as problem:  # the visitor knows the file by its name alone
            raise FileError(str(problem).replace(str(path), path.name)) from problem
        self._primers[path.name] = path
        self._heard.clear()  # a file of this name may have been heard before
        with self._knobs_held():
            self.knobs["prime"].options = self._heard_first()
            self.knobs["prime"].value = path.name
        self._arrived()

    def _asked_for_files(self, _):
        self.links.value = controls.said("Making the files …")
        self._making.give(self.position)

    def _link(self, position):
        try:
            self.links.value = self._links(position)
        except Exception as error:
            self.links.value = controls.said(controls.message(error), "alert")

    def _links(self, position):
        """WAV and CSV as links that hold them, the same bytes that `cmc generate` writes."""
        run = self._runs[position.run]
        rendering = render(run, position, self._primer(position))
        stem = f"{position.run}-{position.sampling.strategy}-{position.seed}"
        links = []
        with tempfile.TemporaryDirectory() as folder:
            for suffix, kind in ((".wav", "audio/wav"), (".csv", "text/csv")):
                path = Path(folder, f"{stem}{suffix}")
                if suffix == ".wav":
                    write_audio(path, rendering.waveform, run.features.sample_rate)
                else:
                    write_csv(path, rendering.features)
                source = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
                name = html.escape(path.name)
                links.append(f'<a download="{name}" href="{source}">{name}</a>')
        return f'<p role="status">{", ".join(links)}: {html.escape(rendering.title)}</p>'


class Latest:
    """Works in a thread of its own on the newest value it was given, one at a time."""

    def __init__(self, work: Callable[[Any], object]) -> None:
        self._work, self._lock = work, threading.Lock()
        self._newest: Any = None
        self._thread: threading.Thread | None = None

    def give(self, value: Any) -> None:
        """Work on this value next, and not on those that still wait."""
        with self._lock:
            self._newest = value
            if self._thread is None:
                self._thread = threading.Thread(target=self._go_on, daemon=True)
                self._thread.start()

    def is_outdated(self, value: Any) -> bool:
        """Has a newer value been given?"""
        return self._newest is not None and self._newest is not value

    def wait(self) -> None:
        """Return when nothing is left to do."""
        while (thread := self._thread) is not None:
            thread.join()

    def _go_on(self):
        while True:
            value = self._newest
            self._work(value)
            with self._lock:
                if self._newest is value:
                    self._thread = None
                    return


class _Superseded(Exception):
    """A newer position was asked for meanwhile."""


def _uploads(value):
    """(name, bytes) of what a FileUpload holds, in ipywidgets 7 and 8."""
    if isinstance(value, dict):
        return [(name, file["content"]) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]
