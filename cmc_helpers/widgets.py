"""What people move: sliders above a picture that is drawn anew when one of them is let go.

Of all this a stored notebook shows one line of text, the same on every computer; the picture has
its words for those who do not see it.
"""

import base64
import html
from decimal import Decimal
from numbers import Integral

from cmc_helpers import plots

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
        layout={"width": "100%", "max_width": "32em"},
    )


def explore(render, **sliders):
    """Show the sliders above the picture `render(name=value, …)`, drawn anew when one is let go.

    render: takes the sliders' values by their names and returns a `plots.Picture`, that is, ends
    with `plots.figure_with_alt`. If it raises an error, its message stands where the picture was,
    and the sliders go on working. A page without widgets shows the sliders' names and ranges.
    """
    import ipywidgets
    from IPython.display import display

    picture = ipywidgets.HTML()

    def draw(change=None):
        values = {name: slider.value for name, slider in sliders.items()}
        picture.value, error = _picture_or_error(render, values)
        return error

    error = draw()
    for slider in sliders.values():
        slider.observe(draw, "value")
    box = ipywidgets.VBox([*sliders.values(), picture])
    _shown.append(box)
    ranges = [f"{s.description} ({s.min:g} to {s.max:g})" for s in sliders.values()]
    line = f"Sliders: {', '.join(ranges)}" + (f". No picture: {error}" if error else "")
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display({"text/plain": line, "application/vnd.jupyter.widget-view+json": view}, raw=True)


def _decimals(*numbers):
    """The decimals that the longest of `numbers` is written with, four at most."""
    exponents = [Decimal(str(float(number))).normalize().as_tuple().exponent for number in numbers]
    return min(4, max(0, *(-exponent for exponent in exponents)))


def _picture_or_error(render, values):
    """What to show as HTML, and the message of what went wrong, or None."""
    try:
        picture = render(**values)
        if not isinstance(picture, plots.Picture):
            raise ValueError(
                f"`render` returned {type(picture).__name__}, not a picture: end it with "
                "`return plots.figure_with_alt(ax, alt)`"
            )
    except Exception as error:  # whatever a student's function does, the sliders must survive
        known = isinstance(error, ValueError) and str(error)
        message = str(error) if known else f"{type(error).__name__}: {error}"
        return f'<p role="alert">{html.escape(message)}</p>', message
    source = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
    alt = html.escape(picture.alt)
    return f'<img alt="{alt}" src="{source}" style="max-width:100%">', None
