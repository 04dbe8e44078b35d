"""The paper's figures 1 to 3, drawn anew: networks as circles, lines and boxes.

Every function draws into `ax`, or into a figure of its own 7.5 inches wide, and returns the Axes;
end a cell with `plots.figure_with_alt(ax, alt)`. On a figure of its own a unit is an inch. Colours
are Okabe and Ito's, and what they tell apart a label or the style of the line tells apart too.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cmc_helpers import plots

BLUE, VERMILION, GREEN, PURPLE = (line["color"] for line in plots.LINES)
INK, FADED, FADED_TEXT = "#000000", "#b0b0b0", "#767676"
WIDTH = 7.4  # the figure's 7.5 inches less the layout's margins
SYMBOL, NAME, WORD = 12, 10.5, 9.5  # sizes of text in points


def feed_forward_network(
    sizes: Iterable[int],
    title: str,
    *,
    weights: Iterable[ArrayLike] | None = None,
    activations: Iterable[ArrayLike] | None = None,
    names: Iterable[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw layers of neurons, each joined to all of the next: the paper's figure 1.

    sizes: neurons in each layer, at least two layers, such as (3, 5, 5, 2).
    weights: a matrix (neurons in, neurons out) for each two neighbours. The larger |w|, the wider
    the line; positive ones are solid and blue, negative ones dashed and vermilion.
    activations: a vector for each layer, written into its circles, from dark (the most negative)
    to bright.
    names: what stands below each layer, "input x", "hidden layer 1", …, "output ŷ" if not given.
    Raises ValueError if these do not fit together. Returns the Axes.

    Paper: section 2.1.1.
    """
    sizes = [int(size) for size in sizes]
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"a network needs two layers or more, each of a neuron or more: {sizes}")
    pairs = list(pairwise(sizes))
    if weights is not None:
        weights = _checked("weights", weights, pairs)
    if activations is not None:
        activations = _checked("activations", activations, [(size,) for size in sizes])
    names = _names(len(sizes)) if names is None else list(names)
    if len(names) != len(sizes):
        raise ValueError(f"{len(sizes)} layers need {len(sizes)} names, but {len(names)} came")

    gap = min(2.1, (WIDTH - 1.5) / (len(sizes) - 1))
    pitch = 0.62 if activations is not None else min(0.62, 5 / max(sizes))
    radius = 0.41 * pitch
    if gap < 1.3:  # too narrow for names of two words
        names = [name.replace(" ", "\n", 1) for name in names]
    words = 0.15 + 0.2 * max(name.count("\n") + 1 for name in names)  # their height
    bottom = words if weights is None else words + 0.3
    height = bottom + pitch * max(sizes)
    ax = _stage(title, height, ax)
    x = WIDTH / 2 + gap * (np.arange(len(sizes)) - (len(sizes) - 1) / 2)
    middle = (bottom + height) / 2
    y = [middle + pitch * ((size - 1) / 2 - np.arange(size)) for size in sizes]

    largest = max((np.abs(matrix).max() for matrix in weights or []), default=0) or 1
    for layer, (n_in, n_out) in enumerate(pairs):
        for i, j in np.ndindex(n_in, n_out):
            look = dict(color=FADED_TEXT, linewidth=0.8)
            if weights is not None:
                look = _weight(weights[layer][i, j] / largest)
            ax.plot(x[layer : layer + 2], [y[layer][i], y[layer + 1][j]], zorder=1, **look)
    values = None if activations is None else np.concatenate(activations)
    fills = iter([_tint(BLUE)] * sum(sizes) if values is None else _ramp(values))
    texts = iter([""] * sum(sizes) if values is None else map(_number, values))
    for layer, name in enumerate(names):
        for middle in y[layer]:
            _circle(ax, x[layer], middle, radius, next(texts), fill=next(fills))
        for row, line in enumerate(name.split("\n"), 1):
            _text(ax, x[layer], bottom - 0.05 - 0.2 * row, line, "baseline", size=NAME)
    if weights is not None:
        _legend_of_weights(ax)
    return ax


def recurrent_network(
    steps: int, title: str, *, layers: int = 1, truncated: int | None = None, ax: Any = None
) -> Any:
    """Draw a recurrent network with its loop, and unrolled in time: the paper's figure 2.

    steps: time steps side by side, 1 to 8. layers: recurrent boxes on top of each other below the
    box F that predicts. truncated: T̂, 1 to `steps`: the gradient of the last answer goes back
    through so many steps. What has no part in it fades: older steps, the state that they hand on,
    earlier answers. Raises ValueError for other numbers. Returns the Axes.

    Paper: sections 2.1.3 and 2.3.
    """
    if not (1 <= steps <= 8 and layers >= 1):
        raise ValueError(
            f"{steps} steps of {layers} layers cannot be drawn: give 1 to 8 steps and 1 layer or "
            "more"
        )
    if truncated is not None and not 1 <= truncated <= steps:
        raise ValueError(
            f"the gradient cannot go back through {truncated} of {steps} steps: give `truncated` "
            f"from 1 to {steps}"
        )
    rise = 0.86  # from one row of boxes to the next
    bottom = 0.05 if truncated is None else 0.63
    height = bottom + rise * (layers + 2) + 0.1
    ax = _stage(title, height, ax)

    side = min(0.5, 2.6 / (steps + 0.5))  # of a box
    gap = min(0.75, (5.15 - steps * side) / (steps + 1))  # between two boxes of a row
    folded = (WIDTH - 2.15 - steps * side - (steps + 1) * gap) / 2 + 0.45
    _column(ax, folded, bottom, rise, side=0.5, layers=layers, step="t")
    for layer in range(layers):
        y, x = bottom + rise * (layer + 1), folded + 0.25
        _arrow(ax, [(x, y + 0.12), (x + 0.35, y + 0.12), (x + 0.35, y - 0.12), (x, y - 0.12)])
        _text(ax, x + 0.42, y, _state(layer, layers, "t"), "left")
    _text(ax, folded + 1.35, bottom + rise * (layers + 1) / 2, "=", size=22)

    oldest = 1 if truncated is None else steps - truncated + 1
    first = folded + 1.7 + gap + side / 2
    columns = first + (side + gap) * np.arange(steps)
    for step, x in enumerate(columns, 1):
        color = INK if step >= oldest else FADED
        answer = INK if truncated is None or step == steps else FADED
        look = dict(color=color, answer=answer)
        _column(ax, x, bottom, rise, side=side, layers=layers, step=step, **look)
    # A label that is wider than its arrow stands above the boxes' corners.
    lift = 0.07 if gap > (0.3 if layers == 1 else 0.5) else side / 2 + 0.03
    for layer, step in np.ndindex(layers, steps + 1):
        color = INK if truncated is None or step >= oldest else FADED
        y, start = bottom + rise * (layer + 1), first - side / 2 - gap + step * (side + gap)
        _arrow(ax, [(start, y), (start + gap, y)], color)
        label = _state(layer, layers, step)
        _text(ax, start + gap / 2 - 0.02, y + lift, label, "bottom", color=color, size=NAME)
    if truncated is not None:
        _gradient(ax, columns[oldest - 1] - side / 2, columns[-1] + side / 2, truncated)
    return ax


def lstm_cell(title: str, *, highlight: str | None = None, ax: Any = None) -> Any:
    """Draw one step of an LSTM cell, its gates and its cell state: the paper's figure 3.

    highlight: "forget", "input", "output" or "cell" draws that part thick and the rest grey.
    Raises ValueError for another part. Returns the Axes.

    Paper: section 2.1.4.
    """
    parts = {"forget": VERMILION, "input": GREEN, "output": PURPLE, "cell": BLUE, "inputs": INK}
    if highlight is not None and highlight not in [*parts][:-1]:
        raise ValueError(
            f'{highlight!r} is no part of the cell: highlight "forget", "input", "output" or "cell"'
        )

    def look(*belongs_to):
        part = highlight if highlight in belongs_to else belongs_to[0]
        lit = highlight in (None, part)
        return dict(color=parts[part] if lit else FADED, width=3 if highlight == part else 1.6)

    # The rows from top to bottom, and the columns from left to right.
    cell, meet, hidden, gates, inputs = 3.2, 2.4, 2.05, 1.5, 0.75
    entry, forget, enter, adder, candidate, leave, end = 1.5, 1.95, 3.1, 3.7, 4.3, 5.45, 6.3
    ax = _stage(title, 3.7, ax)
    _frame(ax, (1.2, 0.38), (6.75, 3.6))

    top, bottom = gates + 0.27, gates - 0.27  # of the gates' boxes; circles have a radius of 0.16
    for part, *points in (
        ("cell", (0.8, cell), (forget - 0.16, cell)),
        ("cell", (forget + 0.16, cell), (adder - 0.16, cell)),
        ("cell", (adder + 0.16, cell), (7.0, cell)),
        ("forget", (forget, top), (forget, cell - 0.16)),
        ("input", (enter, top), (enter, meet), (adder - 0.16, meet)),
        ("input", (candidate, top), (candidate, meet), (adder + 0.16, meet)),
        ("input", (adder, meet + 0.16), (adder, cell - 0.16)),
        ("output", (leave, top), (leave, hidden), (end - 0.16, hidden)),
        ("output", (end, cell), (end, 2.87)),
        ("output", (end, 2.53), (end, hidden + 0.16)),
        ("output", (end + 0.16, hidden), (7.0, hidden)),
        ("inputs", (0.8, inputs), (leave, inputs), (leave, bottom)),
        *(("inputs", (x, inputs), (x, bottom)) for x in (forget, enter, candidate)),
    ):
        _arrow(ax, points, **look(part))
    _arrow(ax, [(entry, 0.24), (entry, inputs)], **look("inputs"), head=False)
    for x in (entry, forget, enter, candidate):
        _dot(ax, x, inputs, look("inputs")["color"])
    _dot(ax, end, cell, look("cell")["color"])

    for x, y, sign, belongs_to in (
        (forget, cell, "×", ("forget", "cell")),
        (adder, cell, "+", ("cell", "input")),
        (adder, meet, "×", ("input",)),
        (end, hidden, "×", ("output",)),
    ):
        _circle(ax, x, y, 0.16, sign, size=SYMBOL, **look(*belongs_to))
    for x, words, part in (
        (forget, "forget\nσ", "forget"),
        (enter, "input\nσ", "input"),
        (candidate, "candidate\ntanh", "input"),
        (leave, "output\nσ", "output"),
    ):
        _box(ax, x, gates, (0.92, 0.54), words, size=WORD, **look(part))
    _box(ax, end, 2.7, (0.6, 0.34), "tanh", size=WORD, **look("output"))
    for x, y, symbol, part, align in (
        (0.72, cell, "$c_{t-1}$", "cell", "right"),
        (7.06, cell, "$c_t$", "cell", "left"),
        (7.06, hidden, "$h_t$", "output", "left"),
        (0.72, inputs, "$h_{t-1}$", "inputs", "right"),
        (entry, 0.2, "$x_t$", "inputs", "top"),
        (forget + 0.1, 0.68, "$[x_t, h_{t-1}]$", "inputs", "top left"),
        (forget + 0.1, meet, "$f_t$", "forget", "left"),
        (enter - 0.08, 2.1, "$i_t$", "input", "right"),
        (candidate + 0.1, 2.1, "$g_t$", "input", "left"),
        (leave - 0.08, 1.97, "$o_t$", "output", "right"),
    ):
        _text(ax, x, y, symbol, align, color=look(part)["color"])
    return ax


def _stage(title, height, ax):
    """Axes without axes; on a figure of its own a unit is an inch."""
    ax = ax or plots.new_axes(height + 0.4 + 0.2 * title.count("\n"))
    ax.set(title=title, xlim=(0, WIDTH), ylim=(0, height), aspect="equal")
    ax.axis("off")
    return ax


def _text(ax, x, y, text, align="center", *, color=INK, size=SYMBOL):
    """Write `text` with the side or corner of it that `align` names at (x, y)."""
    vertical = next((a for a in ("top", "bottom", "baseline") if a in align), "center_baseline")
    horizontal = next((a for a in ("left", "right") if a in align), "center")
    color = FADED_TEXT if color == FADED else INK
    ax.text(x, y, text, ha=horizontal, va=vertical, color=color, fontsize=size, zorder=4)


def _arrow(ax, points, color=INK, width=1.4, *, style="-", head=True):
    """A line through `points`, with a head at the last one."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    ax.add_patch(
        FancyArrowPatch(
            path=Path(points),
            arrowstyle="-|>,head_length=0.55,head_width=0.25" if head else "-",
            mutation_scale=12,
            color=color,
            linewidth=width,
            linestyle=style,
            capstyle="butt",
            joinstyle="round",
            zorder=2,
        )
    )


def _box(ax, x, y, shape, text, *, color=BLUE, width=1.4, size=SYMBOL):
    from matplotlib.patches import FancyBboxPatch

    box = FancyBboxPatch((x - shape[0] / 2, y - shape[1] / 2), *shape)
    box.set_boxstyle("round", pad=0, rounding_size=0.07)
    box.set(edgecolor=color, facecolor=_tint(color), linewidth=width, zorder=3)
    ax.add_patch(box)
    _text(ax, x, y, text, color=color, size=size)


def _circle(ax, x, y, radius, text, *, color=BLUE, width=1.4, fill=None, size=WORD):
    from matplotlib.patches import Circle

    look = dict(edgecolor=color, facecolor=fill or _tint(color), linewidth=width, zorder=3)
    ax.add_patch(Circle((x, y), radius, **look))
    if text:
        _text(ax, x, y, text, color=color, size=size)


def _dot(ax, x, y, color):
    """Where a line branches."""
    ax.plot(x, y, "o", color=color, markersize=5, zorder=3)


def _tint(color):
    """`color` mixed with six times as much white."""
    from matplotlib.colors import to_rgb

    return tuple(1 - (1 - channel) / 7 for channel in to_rgb(color))


def _names(layers):
    hidden = [f"hidden layer {layer}" for layer in range(1, layers - 1)]
    return ["input $x$", *hidden, r"output $\hat{y}$"]


def _checked(kind, given, shapes) -> list[np.ndarray]:
    """Arrays of `shapes`, or a ValueError that says which one has another."""
    arrays = [np.asarray(array, float) for array in given]
    if len(arrays) != len(shapes):
        raise ValueError(f"{len(shapes)} {kind} are needed for these layers, {len(arrays)} came")
    for number, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        if array.shape != shape:
            hint = ": a row for each neuron it comes from" if len(shape) == 2 else ""
            raise ValueError(
                f"{kind}[{number}] has shape {array.shape}, but these layers need {shape}{hint}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{kind}[{number}] holds a number that is not finite")
    return arrays


def _weight(size):
    """The look of a weight, `size` in −1 … 1 of the largest."""
    sign = dict(color=BLUE) if size >= 0 else dict(color=VERMILION, linestyle=(0, (4, 1.5)))
    return sign | dict(linewidth=0.3 + 3 * abs(size))


def _legend_of_weights(ax):
    from matplotlib.lines import Line2D

    positive = Line2D([], [], **_weight(0.7), label="weight > 0")
    negative = Line2D([], [], **_weight(-0.7), label="weight < 0")
    wider = Line2D([], [], linestyle="", label="the wider, the larger |weight|")
    ax.legend(
        handles=[positive, negative, wider],
        loc="lower center",
        ncols=3,
        frameon=False,
        fontsize=WORD,
        handlelength=3,
        borderaxespad=0,
    )


def _ramp(values):
    """Cividis from −max |value| to max |value|, so light that black can be read on all of it."""
    from matplotlib import colormaps

    limit = np.abs(values).max() or 1
    return [tuple(0.5 + c / 2 for c in colormaps["cividis"](0.5 + v / limit / 2)) for v in values]


def _number(value):
    """A signed number of at most five characters for those below 1000."""
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:+.{decimals}f}".replace("-", "−")


def _column(ax, x, bottom, rise, *, side, layers, step, color=INK, answer=INK):
    """One time step: x and the recurrent boxes in `color`, on top of them F and ŷ in `answer`."""
    rows = bottom + rise * np.arange(layers + 3)
    rows[[0, -1]] += 0.11, -0.09
    blue, green = FADED if color == FADED else BLUE, FADED if answer == FADED else GREEN
    _text(ax, x, rows[0], f"$x_{{{step}}}$", color=color)
    for layer in range(layers):
        name = "$A$" if layers == 1 else f"$A_{{{layer + 1}}}$"
        _box(ax, x, rows[layer + 1], (side, side), name, color=blue)
    _box(ax, x, rows[-2], (side, side), "$F$", color=green)
    _text(ax, x, rows[-1], rf"$\hat{{y}}_{{{step}}}$", color=answer)
    for row, (low, high) in enumerate(pairwise(rows)):
        start = low + (side / 2 if row else 0.14)
        end = high - (side / 2 if row < layers + 1 else 0.16)
        _arrow(ax, [(x, start), (x, end)], answer if row >= layers else color)


def _state(layer, layers, step):
    """The paper's h with its indices."""
    return f"$h_{{{step}}}$" if layers == 1 else f"$h_{{{layer + 1},{step}}}$"


def _gradient(ax, left, right, steps):
    """The way back: dashed, and as long as the steps it passes."""
    _arrow(ax, [(right, 0.4), (left, 0.4)], VERMILION, 1.8, style="--")
    words = rf"gradient, $\hat{{T}} = {steps}$ step" + "s" * (steps > 1)
    middle = min((left + right) / 2, WIDTH - 0.95)
    _text(ax, middle, 0.14, words, size=NAME)


def _frame(ax, low, high):
    """The wall of the cell."""
    from matplotlib.patches import FancyBboxPatch

    frame = FancyBboxPatch(low, high[0] - low[0], high[1] - low[1])
    frame.set_boxstyle("round", pad=0, rounding_size=0.15)
    frame.set(edgecolor=FADED, facecolor="none", linewidth=1.2, zorder=0)
    ax.add_patch(frame)
