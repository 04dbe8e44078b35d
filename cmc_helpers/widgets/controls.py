"""What everything one can move is made of: sliders, lists, a line of status, a picture."""

import base64
import html
from collections.abc import Iterable
from dataclasses import Field
from decimal import Decimal
from numbers import Integral
from typing import Any

from cmc_helpers.files import FileError
from cmc_helpers.plots import Picture

LAYOUT = {"width": "98%", "max_width": "32em"}


def slider(label: str, low: float, high: float, step: float, value: float) -> Any:
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
        layout=LAYOUT,
    )


def choice(label: str, options: Iterable[Any], value: Any) -> Any:
    """A list to choose one of `options` from, for mouse and keyboard."""
    import ipywidgets

    return ipywidgets.Dropdown(
        options=options,
        value=value,
        description=label,
        style={"description_width": "initial"},
        layout=LAYOUT,
    )


def knob(field: Field[Any], value: Any = None) -> Any:
    """The slider or list of a field of `sampling.Sampling`, at `value` or where it usually is."""
    about = field.metadata
    value = field.default if value is None else value
    if about["slider"]:
        low, high, step = about["slider"]
        return slider(about["label"], low, high, step, low if value is None else value)
    options = about["choices"]
    if isinstance(options, dict):  # each with its formula
        options = [(f"{name}: {formula}", name) for name, formula in options.items()]
    return choice(about["label"], options, value)


def said(text: str, role: str = "status") -> str:
    """A line of HTML that a screen reader reads out: role "status" when it can, "alert" at once."""
    return f'<p role="{role}">{html.escape(text)}</p>'


def message(error: Exception) -> str:
    """What to say of an error: its sentence, and of one that is not ours also its name."""
    known = isinstance(error, (ValueError, FileError)) and str(error)
    return str(error) if known else f"{type(error).__name__}: {error}"


def image(picture: Picture) -> str:
    """A `plots.Picture` as HTML, with its words."""
    source = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
    return f'<img alt="{html.escape(picture.alt)}" src="{source}" style="max-width:100%">'


def _decimals(*numbers):
    """The decimals that the longest of `numbers` is written with, four at most."""
    exponents = [Decimal(str(float(number))).normalize().as_tuple().exponent for number in numbers]
    return min(4, max(0, *(-exponent for exponent in exponents)))
