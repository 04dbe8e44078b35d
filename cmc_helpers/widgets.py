"""What people move: sliders above a picture, and the τ player, made anew when one is let go.

Both are thin views of a pure function, which tests and the pictures of a page without widgets call
as well. Of all this a stored notebook shows one line of text, the same on every computer; the
picture has its words for those who do not see it.
"""

import base64
import html
import tempfile
import threading
from contextlib import contextmanager
from decimal import Decimal
from numbers import Integral
from pathlib import Path

from cmc_helpers import generation, mixtures, notebook, plots, runs
from cmc_helpers import listening_test as listening
from cmc_helpers.audio import write_audio
from cmc_helpers.files import FileError
from cmc_helpers.player import QUICK, SECONDS, Position, moment, read_position, read_primer, render
from cmc_helpers.sequences import write_csv

CLIPS = ("bach_prelude.flac", "chopin_prelude.flac", "singer.flac", "laughter.flac")  # that ship
UPLOAD_MEGABYTES = 5
KNOB = {"width": "98%", "max_width": "32em"}
OWN = "the run's own primer"
FORMS = {"exact": "peaks, π/σ^m", "paper": "the paper's π/σ", "weight": "weights, π"}
_shown = []  # ipywidgets may hold its widgets weakly, and nobody else holds them


def slider(label, low, high, step, value):
    """A slider from `low` to `high` that reports when it is let go, not on its way.

    Whole numbers if all four are, else as many decimals as they need. Mouse and arrow keys move
    it. Raises ValueError for a range without `value` in it and for a step that is not positive.
    """
    import ipywidgets

    if not (low <= value <= high and step > 0):
        raise ValueError(
            f"the slider {label} cannot stand at {value} between {low} and {high} in steps of "
            f"{step}: give low ≤ value ≤ high and a step above 0"
        )
    numbers = dict(min=low, max=high, step=step, value=value)
    whole = all(isinstance(number, Integral) for number in numbers.values())
    return (ipywidgets.IntSlider if whole else ipywidgets.FloatSlider)(
        **numbers,
        description=label,
        readout_format="d" if whole else f".{_decimals(low, step, value)}f",
        continuous_update=False,
        style={"description_width": "initial"},
        layout=KNOB,
    )


def choice(label, options, value):
    """A list to choose one of `options` from, for mouse and keyboard."""
    import ipywidgets

    return ipywidgets.Dropdown(
        options=options,
        value=value,
        description=label,
        style={"description_width": "initial"},
        layout=KNOB,
    )


def explore(render, **sliders):
    """Show the sliders above the picture `render(name=value, …)`, drawn anew when one is let go.

    render: takes the values by their names and returns a `plots.Picture`, that is, ends with
    `plots.figure_with_alt`, or a `notebook.Sound`, which is heard as well. If it raises an error,
    its message stands where the picture was, and the sliders go on working. sliders: made by
    `slider` or `choice`. A page without widgets shows their names and ranges.
    """
    import ipywidgets

    picture = ipywidgets.HTML()

    def draw(change=None):
        values = {name: slider.value for name, slider in sliders.items()}
        picture.value, error = _picture_or_error(render, values)
        return error

    error = draw()
    for slider in sliders.values():
        slider.observe(draw, "value")
    ranges = [f"{s.description} ({_range(s)})" for s in sliders.values()]
    line = f"Sliders: {', '.join(ranges)}" + (f". No picture: {error}" if error else "")
    _show(ipywidgets.VBox([*sliders.values(), picture]), line)


def player(*names, position=None, files=False):
    """Show the τ player: knobs, and the music of a run where they stand, heard, seen and as text.

    names: runs of sound, as `runs.find` takes them. position: a `player.Position`, or its text, to
    begin from; None takes what the first run recommends. files: also take a primer of one's own,
    and give what is heard as WAV and CSV. A page without widgets shows the position's text.
    Raises RunError for a run that is not there, ValueError for a position that cannot be.
    """
    view = Player(names, position, files)
    _show(view.box, f"Player of {', '.join(names)}, at: {view.position}")


def mixture_explorer(run, features, step, tau=0.6, form="weight"):
    """Show the mixture at one moment of a piece, with sliders for the moment and τ.

    run: a `runs.Run`; features (T, 100): the piece; step, tau, form: where to begin, see
    `player.moment`, which draws it.
    """
    foreseen = generation.foresee(run, features)
    last = len(features) // run.network.frames - 2

    def render(step, tau, form):
        return moment(run, foreseen, features, step, tau, form)

    explore(
        render,
        step=slider("step", 0, last, 1, step),
        tau=slider("τ", 0, 1, 0.05, tau),
        form=choice("ranked by", [(FORMS[f], f) for f in mixtures.FORMS], form),
    )


class Player:
    """The view that `player` shows: `box` is its widget, `position` where its knobs stand.

    Sound is made in a thread, of the newest position only: one that is left again is given up.
    """

    def __init__(self, names, position=None, files=False):
        import ipywidgets

        if isinstance(position, str):
            position = read_position(position)
        self._runs = {name: runs.load(runs.find(name)) for name in names}
        position = position or Position(names[0], **self._runs[names[0]].sampling)
        self._primers = {"none": "none"} | {clip: clip for clip in CLIPS}
        self._heard = {}  # (run, name of a primer) → features
        self._moving = False
        low, high = SECONDS
        self.knobs = {
            "tau": slider("τ", 0, 1, 0.05, 0.6),
            "sigma_scale": slider("σ scale", 0, 1.5, 0.05, 0.6),
            "strategy": choice("strategy", mixtures.STRATEGIES, "tempered"),
            "form": choice("ranked by", [(FORMS[f], f) for f in mixtures.FORMS], "exact"),
            "pi_temperature": slider("π temperature", 0.1, 2, 0.05, 1),
            "seconds": slider("seconds", low, high, 0.5, 4.0),
            "seed": ipywidgets.BoundedIntText(
                value=1,
                description="seed",
                min=0,
                max=2**31 - 1,
                style={"description_width": "initial"},
                layout=KNOB,
            ),
            "prime": choice("after hearing", self._heard_first(), OWN),
            "run": choice("run", list(self._runs), names[0]),
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
    def position(self):
        """Where the knobs stand, a `player.Position`."""
        values = {name: knob.value for name, knob in self.knobs.items()}
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
        return Position(**rounded | {"prime": None if values["prime"] == OWN else values["prime"]})

    def wait(self):
        """Return when what was asked for last is heard and drawn."""
        self._work.wait()

    def _moved(self, change):
        if self._moving:
            return
        with self._told():
            if change["owner"] is self.knobs["run"]:
                with self._knobs_held():
                    self._place(Position(change["new"], **self._runs[change["new"]].sampling))
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
        self.status.value = _said(f"Computing {position.seconds:g} s …")
        self._work.give(position)

    def _place(self, position):
        """Move the knobs, and those aside that have nothing to do there."""
        for name, knob in self.knobs.items():
            value = getattr(position, name)
            value = OWN if value is None else value
            if hasattr(knob, "max"):  # wider than the slider was made: it would be cut off
                knob.min, knob.max = min(knob.min, value), max(knob.max, value)
            knob.value = value
        self.knobs["tau"].disabled = position.strategy != "tempered"
        self.knobs["form"].disabled = position.strategy not in ("greedy", "tempered")
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
            self.status.value = _said(_message(error), "alert")

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
            self.status.value = _said("Heard below; drawing its picture …")
            self.picture.value = _image(rendering.picture)
            go_on()
            self.status.value = _said(f"Here it is: {rendering.title}.")

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
        self.links.value = _said("Making the files …")
        self._making.give(self.position)

    def _link(self, position):
        try:
            self.links.value = self._links(position)
        except Exception as error:
            self.links.value = _said(_message(error), "alert")

    def _links(self, position):
        """WAV and CSV as links that hold them, the same bytes that `cmc generate` writes."""
        run = self._runs[position.run]
        rendering = render(run, position, self._primer(position))
        links = []
        with tempfile.TemporaryDirectory() as folder:
            for suffix, kind in ((".wav", "audio/wav"), (".csv", "text/csv")):
                path = Path(folder, f"{position.run}-{position.strategy}-{position.seed}{suffix}")
                if suffix == ".wav":
                    write_audio(path, rendering.waveform, run.features.sample_rate)
                else:
                    write_csv(path, rendering.features)
                source = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
                name = html.escape(path.name)
                links.append(f'<a download="{name}" href="{source}">{name}</a>')
        return f'<p role="status">{", ".join(links)}: {html.escape(rendering.title)}</p>'


def listening_test(folder):
    """Show the composer test that `listening_test.prepare` wrote into `folder`, trial by trial.

    It asks for a name and the paper's question first (how much of Bach have you heard?), then plays
    trial after trial, and keeps every answer at once. What was right it does not say: it has not
    opened the key. A page without widgets shows how many trials there are.
    """
    view = ListeningTest(folder)
    _show(view.box, f"Listening test of {view.trials} trials")


class ListeningTest:
    """The view that `listening_test` shows: `box` is its widget."""

    def __init__(self, folder):
        import ipywidgets

        self._folder, self._answers = Path(folder), None
        about = listening.read_plan(folder)
        self.trials, self._pair = about["trials"], about["protocol"] == "pair"
        self.name = ipywidgets.Text(description="your name", style={"description_width": "initial"})
        self.familiarity = slider("of all of Bach's music I have heard (%)", 0, 100, 1, 30)
        self.begin = ipywidgets.Button(description="begin")
        self.status, self.sound = ipywidgets.HTML(), ipywidgets.HTML()
        if self._pair:
            self._question = "which is the machine's?"
            words = "the first is the machine's", "the second is the machine's"
        else:
            self._question = "whose is it?"
            words = "it is the composer's", "it is the machine's"
        self.answers = [
            ipywidgets.Button(description=word, layout={"width": "auto"}, disabled=True)
            for word in words
        ]
        self.begin.on_click(self._begun)
        for number, button in enumerate(self.answers):
            button.on_click(lambda _, number=number: self._answered(number))
        asked = [self.name, self.familiarity, self.begin]
        self.box = ipywidgets.VBox(
            [*asked, self.status, self.sound, ipywidgets.HBox(self.answers)],
            layout={"max_width": "64em"},
        )

    def _begun(self, _):
        try:
            familiarity = self.familiarity.value / 100
            self._answers = listening.Answers(self._folder, self.name.value.strip(), familiarity)
        except FileError as error:
            self.status.value = _said(str(error), "alert")
            return
        for asked in (self.name, self.familiarity, self.begin):
            asked.disabled = True
        self._play()

    def _answered(self, number):
        if self._answers.next_trial is not None:  # a double click on the last one comes too late
            try:
                self._answers.give(number)
            except FileError as error:
                self.status.value = _said(str(error), "alert")
                return
        self._play()

    def _play(self):
        trial = self._answers.next_trial
        for button in self.answers:
            button.disabled = trial is None
        if trial is None:
            self.sound.value = ""
            self.status.value = _said(f"All {self.trials} answers are kept. Thank you!")
            return
        self.status.value = _said(f"Trial {trial + 1} of {self.trials}: {self._question}")
        names = ("first", "second") if self._pair else ("clip",)
        self.sound.value = "".join(
            notebook.audio_html(listening.clip_path(self._folder, trial, i).read_bytes(), name)
            for i, name in enumerate(names)
        )


class Latest:
    """Works in a thread of its own on the newest value it was given, one at a time."""

    def __init__(self, work):
        self._work, self._lock = work, threading.Lock()
        self._newest, self._thread = None, None

    def give(self, value):
        """Work on this value next, and not on those that still wait."""
        with self._lock:
            self._newest = value
            if self._thread is None:
                self._thread = threading.Thread(target=self._go_on, daemon=True)
                self._thread.start()

    def is_outdated(self, value):
        """Has a newer value been given?"""
        return self._newest is not None and self._newest is not value

    def wait(self):
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


def _show(box, line):
    from IPython.display import display

    _shown.append(box)
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display({"text/plain": line, "application/vnd.jupyter.widget-view+json": view}, raw=True)


def _said(text, role="status"):
    return f'<p role="{role}">{html.escape(text)}</p>'


def _message(error):
    known = isinstance(error, (ValueError, FileError)) and str(error)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _range(knob):
    if hasattr(knob, "min"):
        return f"{knob.min:g} to {knob.max:g}"
    return ", ".join(option if isinstance(option, str) else option[0] for option in knob.options)


def _image(picture):
    source = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
    return f'<img alt="{html.escape(picture.alt)}" src="{source}" style="max-width:100%">'


def _decimals(*numbers):
    """The decimals that the longest of `numbers` is written with, four at most."""
    exponents = [Decimal(str(float(number))).normalize().as_tuple().exponent for number in numbers]
    return min(4, max(0, *(-exponent for exponent in exponents)))


def _picture_or_error(render, values):
    """What to show as HTML, and the message of what went wrong, or None."""
    try:
        picture, player = render(**values), ""
        if isinstance(picture, notebook.Sound):
            picture, player = picture.picture, picture._repr_html_()
        if not isinstance(picture, plots.Picture):
            raise ValueError(
                f"`render` returned {type(picture).__name__}, not a picture: end it with "
                "`return plots.figure_with_alt(ax, alt)`"
            )
    except Exception as error:  # whatever a student's function does, the sliders must survive
        return _said(_message(error), "alert"), _message(error)
    return _image(picture) + player, None
