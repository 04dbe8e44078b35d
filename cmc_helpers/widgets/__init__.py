"""What people move: sliders above a picture, the τ player, and the composer test.

Each is a thin view of a pure function, which tests and the pictures of a page without widgets call
as well. Of all this a stored notebook shows one line of text, the same on every computer; the
picture has its words for those who do not see it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cmc_helpers import generation, notebook, plots, runs
from cmc_helpers.player import Position, moment
from cmc_helpers.sampling import KNOBS
from cmc_helpers.widgets.controls import choice, image, knob, message, said, slider
from cmc_helpers.widgets.listening_view import ListeningTest
from cmc_helpers.widgets.player_view import Player

__all__ = ["choice", "explore", "listening_test", "mixture_explorer", "player", "slider"]
_shown: list[Any] = []  # ipywidgets may hold its widgets weakly, and nobody else holds them


def explore(render: Callable[..., plots.Picture | notebook.Sound], **sliders: Any) -> None:
    """Show the sliders above the picture `render(name=value, …)`, drawn anew when one is let go.

    render: takes the values by their names and returns a `plots.Picture`, that is, ends with
    `plots.figure_with_alt`, or a `notebook.Sound`, which is heard as well. If it raises an error,
    its message stands where the picture was, and the sliders go on working. sliders: made by
    `slider` or `choice`. A page without widgets shows their names and ranges.
    """
    import ipywidgets

    picture = ipywidgets.HTML()

    def draw(change=None):
        values = {name: one.value for name, one in sliders.items()}
        picture.value, error = _picture_or_error(render, values)
        return error

    error = draw()
    for one in sliders.values():
        one.observe(draw, "value")
    ranges = [f"{one.description} ({_range(one)})" for one in sliders.values()]
    line = f"Sliders: {', '.join(ranges)}" + (f". No picture: {error}" if error else "")
    _show(ipywidgets.VBox([*sliders.values(), picture]), line)


def player(*names: str, position: Position | str | None = None, files: bool = False) -> None:
    """Show the τ player: knobs, and the music of a run where they stand, heard, seen and as text.

    names: runs of sound, as `runs.find` takes them. position: a `player.Position`, or its text, to
    begin from; None takes what the first run recommends. files: also take a primer of one's own,
    and give what is heard as WAV and CSV. A page without widgets shows the position's text.
    Raises RunError for a run that is not there, ValueError for a position that cannot be.
    """
    view = Player(names, position, files)
    _show(view.box, f"Player of {', '.join(names)}, at: {view.position}")


def mixture_explorer(
    run: runs.Run, features: np.ndarray, step: int, tau: float = 0.6, form: str = "weight"
) -> None:
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
        tau=knob(KNOBS["tau"], tau),
        form=knob(KNOBS["form"], form),
    )


def listening_test(folder: str | Path) -> None:
    """Show the composer test that `listening_test.prepare` wrote into `folder`, trial by trial.

    It asks for a name and the paper's question first (how much of Bach have you heard?), then plays
    trial after trial, and keeps every answer at once. What was right it does not say: it has not
    opened the key. A page without widgets shows how many trials there are.
    """
    view = ListeningTest(folder)
    _show(view.box, f"Listening test of {view.trials} trials")


def _show(box, line):
    from IPython.display import display

    _shown.append(box)
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display({"text/plain": line, "application/vnd.jupyter.widget-view+json": view}, raw=True)


def _range(knob):
    if hasattr(knob, "min"):
        return f"{knob.min:g} to {knob.max:g}"
    return ", ".join(option if isinstance(option, str) else option[0] for option in knob.options)


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
        return said(message(error), "alert"), message(error)
    return image(picture) + player, None
