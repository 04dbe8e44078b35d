"""The diagrams show what they are told, and every word in them can be read."""

import pathlib
import subprocess
import sys
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from cmc_helpers import plots
from cmc_helpers.plots import diagrams

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent
BLUE, VERMILION, GREEN, PURPLE = (line["color"].lower() for line in plots.LINES)
GREYS = {diagrams.INK, diagrams.FADED, diagrams.FADED_TEXT}


def weights_of(sizes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=pair) for pair in pairwise(sizes)]


def activations_of(sizes):
    rng = np.random.default_rng(1)
    return [rng.normal(size=size) for size in sizes]


def feed_forward(*sizes, full=True):
    more = dict(weights=weights_of(sizes), activations=activations_of(sizes)) if full else {}
    return diagrams.feed_forward_network(sizes, "A network", **more)


DRAWINGS = {
    "figure 1": lambda: feed_forward(3, 5, 5, 2, full=False),
    "two layers": lambda: feed_forward(3, 2),
    "one path": lambda: feed_forward(1, 1),
    "weights": lambda: feed_forward(1, 4, 4, 1),
    "two titles": lambda: diagrams.lstm_cell("The first line\nand the second"),
    "long names": lambda: diagrams.feed_forward_network(
        (2, 3, 1), "Names", names=["one", "two\nlines", "three\nlong\nlines"]
    ),
    "deep": lambda: feed_forward(2, 3, 4, 9, 4, 3, 1),
    "wide": lambda: feed_forward(2, 30, 2, full=False),
    "large values": lambda: diagrams.feed_forward_network(
        (2, 2), "Large", activations=[[-999.4, 99.96], [-9.999, 1e-9]]
    ),
    **{
        f"{steps} steps, {layers} layers, {truncated}": lambda given=(steps, layers, truncated): (
            diagrams.recurrent_network(given[0], "Time", layers=given[1], truncated=given[2])
        )
        for steps, layers, truncated in [
            (1, 1, None),
            (1, 1, 1),
            (2, 2, 2),
            (4, 1, None),
            (4, 2, 3),
            (5, 5, None),
            (6, 1, 1),
            (6, 3, 2),
            (8, 1, 4),
            (8, 5, 1),
        ]
    },
    **{
        f"cell, {part}": lambda part=part: diagrams.lstm_cell("A cell", highlight=part)
        for part in (None, "forget", "input", "output", "cell")
    },
}


@pytest.fixture(params=DRAWINGS, scope="module")
def drawn(request):
    ax = DRAWINGS[request.param]()
    ax.figure.draw_without_rendering()
    return ax


@pytest.fixture(scope="module")
def boxes(drawn):
    """Where the words stand, in pixels."""
    return {text: text.get_window_extent() for text in words(drawn)}


def words(ax):
    return [text for text in ax.texts if text.get_text()]


def written(ax):
    return [text.get_text() for text in words(ax)]


def patches(ax, kind):
    """Patches of a kind without the wall of the cell."""
    return [p for p in ax.patches if isinstance(p, kind) and p.get_facecolor()[3] > 0]


def arrows(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def luminance(color):
    channels = np.array(to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_no_words_overlap_or_leave_the_picture(drawn, boxes):
    legend = drawn.get_legend()
    others = [drawn.title] + (legend.get_texts() if legend else [])
    boxes = boxes | {text: text.get_window_extent() for text in others}
    for one, other in combinations(boxes, 2):
        assert not boxes[one].overlaps(boxes[other]), (one.get_text(), other.get_text())
    inside = drawn.figure.bbox
    for text, box in boxes.items():
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1, text.get_text()
        assert inside.y0 <= box.y0 and box.y1 <= inside.y1, text.get_text()


def test_a_unit_is_an_inch_so_that_words_fit_where_they_stand(drawn):
    across, up = drawn.transData.transform((1, 1)) - drawn.transData.transform((0, 0))
    assert across == pytest.approx(up)
    assert across == pytest.approx(drawn.figure.dpi, rel=0.01)


def test_words_stand_inside_a_shape_or_clear_of_it(drawn, boxes):
    for shape in patches(drawn, (Circle, FancyBboxPatch)):
        around = shape.get_window_extent()
        for text, box in boxes.items():
            within = around.contains(box.x0, box.y0) and around.contains(box.x1, box.y1)
            assert within or not box.overlaps(around), text.get_text()


def test_no_arrow_runs_through_words(drawn, boxes):
    for arrow in arrows(drawn):
        path = arrow.get_transform().transform_path(arrow.get_path())
        for part in path.to_polygons(closed_only=False):
            for text, box in boxes.items():
                assert not Path(part).intersects_bbox(box, filled=False), text.get_text()


def test_words_are_large_and_dark_enough(drawn):
    for text in words(drawn):
        assert text.get_fontsize() >= 9
        assert contrast(text.get_color(), "white") >= 4.5
    if legend := drawn.get_legend():
        assert all(text.get_fontsize() >= 9 for text in legend.get_texts())


def test_colours_are_those_of_the_lines_or_grey(drawn):
    allowed = {BLUE, VERMILION, GREEN, PURPLE} | GREYS
    edges = [patch.get_edgecolor() for patch in drawn.patches]
    lines = [line.get_color() for line in drawn.lines]
    assert {to_hex(color) for color in edges + lines} <= allowed


@pytest.mark.parametrize("name", ["weights", "6 steps, 3 layers, 2", "cell, input"])
def test_the_same_call_draws_the_same_bytes_7_5_inches_wide(name):
    first, second = (plots.figure_with_alt(DRAWINGS[name](), name).png for _ in range(2))
    assert first == second
    assert int.from_bytes(first[16:20]) == 750


def test_a_drawing_goes_into_the_axes_it_is_given():
    figure, ax = plt.subplots()
    assert diagrams.feed_forward_network((1, 2), "Here", ax=ax) is ax
    assert diagrams.recurrent_network(2, "Here", ax=ax) is ax
    assert diagrams.lstm_cell("Here", ax=ax) is ax
    assert ax.get_title() == "Here"
    assert not ax.axison
    plt.close(figure)


@pytest.mark.parametrize("sizes", [(3, 5, 5, 2), (1, 1), (2, 30, 4)])
def test_a_network_has_its_neurons_and_its_weights(sizes):
    ax = feed_forward(*sizes, full=False)
    assert len(patches(ax, Circle)) == sum(sizes)
    assert len(ax.lines) == sum(n_in * n_out for n_in, n_out in pairwise(sizes))
    assert len(ax.texts) == len(sizes)


def test_lines_join_the_middles_of_the_neurons_in_the_order_of_the_matrix():
    ax = diagrams.feed_forward_network((2, 3), "Order", weights=[[[1, 2, 3], [4, 5, 6]]])
    middles = [circle.get_center() for circle in patches(ax, Circle)]
    by_width = sorted(ax.lines, key=lambda line: line.get_linewidth())
    ends = [(tuple(line.get_xydata()[0]), tuple(line.get_xydata()[1])) for line in by_width]
    assert ends == [(middles[i], middles[2 + j]) for i in range(2) for j in range(3)]
    assert middles[0][1] > middles[1][1]


def test_a_weight_is_told_by_width_and_its_sign_by_colour_and_dashes():
    sizes = (3, 4, 2)
    ax = feed_forward(*sizes)
    weights = np.concatenate([matrix.ravel() for matrix in weights_of(sizes)])
    widths = np.array([line.get_linewidth() for line in ax.lines])
    assert np.array_equal(np.argsort(widths), np.argsort(np.abs(weights)))
    for weight, line in zip(weights, ax.lines, strict=True):
        assert to_hex(line.get_color()) == (BLUE if weight > 0 else VERMILION)
        assert line.is_dashed() == (weight < 0)
    positive, negative, _ = ax.get_legend().get_lines()
    assert (positive.get_color().lower(), negative.get_color().lower()) == (BLUE, VERMILION)
    assert negative.is_dashed() and not positive.is_dashed()


def test_weights_of_zero_are_no_division_by_zero(recwarn):
    ax = diagrams.feed_forward_network((1, 1), "0", weights=[[[0]]], activations=[[0], [0]])
    assert ax.lines[0].get_linewidth() > 0
    assert not recwarn.list


def test_activations_are_written_and_brighten_with_their_value():
    ax = diagrams.feed_forward_network((2, 1), "Values", activations=[[0.25, -0.5], [12.34]])
    assert written(ax)[:2] == ["+0.25", "−0.50"] and "+12.3" in written(ax)
    middle, low, high = (luminance(circle.get_facecolor()) for circle in patches(ax, Circle))
    assert low < middle < high


def test_activations_can_be_read_on_every_shade():
    values = np.linspace(-1, 1, 41)
    ax = diagrams.feed_forward_network((41, 1), "Shades", activations=[values, [0]])
    for circle in patches(ax, Circle):
        assert contrast(circle.get_facecolor(), "black") >= 4.5


def test_layers_have_the_names_of_the_paper_or_those_given():
    assert written(feed_forward(3, 5, 5, 2, full=False)) == [
        "input $x$",
        "hidden layer 1",
        "hidden layer 2",
        r"output $\hat{y}$",
    ]
    ax = diagrams.feed_forward_network((1, 2), "Named", names=("here", "there"))
    assert written(ax) == ["here", "there"]


@pytest.mark.parametrize(
    ("sizes", "given", "sentence"),
    [
        ((3,), {}, "two layers or more"),
        ((3, 0), {}, "a neuron or more"),
        ((2, 3), {"weights": []}, "1 weights are needed for these layers, 0 came"),
        ((2, 3), {"weights": [np.ones((3, 2))]}, r"weights\[0\] has shape \(3, 2\).*need \(2, 3\)"),
        ((2, 3), {"weights": [np.full((2, 3), np.nan)]}, "not finite"),
        ((2, 3), {"activations": [[1, 2]]}, "2 activations are needed"),
        ((2, 3), {"activations": [[1, 2], [1, 2]]}, r"activations\[1\] has shape \(2,\)"),
        ((2, 3), {"names": ["one"]}, "2 layers need 2 names, but 1 came"),
    ],
)
def test_what_does_not_fit_the_layers_is_refused(sizes, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        diagrams.feed_forward_network(sizes, "Wrong", **given)


@pytest.mark.parametrize(("steps", "layers"), [(1, 1), (4, 1), (5, 3), (8, 2)])
def test_the_loop_is_unrolled_step_by_step(steps, layers):
    ax = diagrams.recurrent_network(steps, "Unrolled", layers=layers)
    times = ["t", *range(1, steps + 1)]
    states = ["t", *range(steps + 1)]
    expected = [f"$x_{{{t}}}$" for t in times] + [rf"$\hat{{y}}_{{{t}}}$" for t in times]
    expected += ["$F$"] * len(times) + ["="]
    if layers == 1:
        expected += ["$A$"] * len(times) + [f"$h_{{{t}}}$" for t in states]
    else:
        numbers = range(1, layers + 1)
        expected += [f"$A_{{{n}}}$" for n in numbers] * len(times)
        expected += [f"$h_{{{n},{t}}}$" for n in numbers for t in states]
    assert sorted(written(ax)) == sorted(expected)
    upwards = (layers + 2) * len(times)
    assert len(arrows(ax)) == upwards + layers * len(states)


def test_a_step_stands_above_its_input_and_after_the_one_before():
    ax = diagrams.recurrent_network(4, "Order", layers=2)
    at = {text.get_text(): text.get_position() for text in ax.texts}
    across = [at[f"$x_{{{t}}}$"][0] for t in range(1, 5)]
    assert across == sorted(across)
    assert across == [at[rf"$\hat{{y}}_{{{t}}}$"][0] for t in range(1, 5)]
    assert at["$h_{1,0}$"][0] < across[0] < at["$h_{1,1}$"][0] < across[1]
    assert at["$x_{1}$"][1] < at["$h_{1,1}$"][1] < at["$h_{2,1}$"][1] < at[r"$\hat{y}_{1}$"][1]


@pytest.mark.parametrize(("steps", "layers", "truncated"), [(5, 1, 3), (4, 2, 1), (6, 3, 6)])
def test_the_gradient_goes_back_through_the_last_steps_only(steps, layers, truncated):
    ax = diagrams.recurrent_network(steps, "Cut", layers=layers, truncated=truncated)
    (way,) = (arrow for arrow in arrows(ax) if arrow.get_linestyle() == "--")
    start, end = way.get_path().vertices[:2, 0]
    assert to_hex(way.get_edgecolor()) == VERMILION
    columns = {
        t: text for t in range(1, steps + 1) for text in ax.texts if f"x_{{{t}}}" in str(text)
    }
    last = range(steps - truncated + 1, steps + 1)
    assert end < start
    assert [t for t, text in columns.items() if end < text.get_position()[0] < start] == [*last]
    dark = [t for t, text in columns.items() if text.get_color() == diagrams.INK]
    assert dark == [*last]
    boxes = [to_hex(box.get_edgecolor()) for box in patches(ax, FancyBboxPatch)]
    assert boxes.count(BLUE) == layers * (truncated + 1)  # and the folded network
    assert boxes.count(diagrams.FADED) == layers * (steps - truncated) + steps - 1
    plural = "" if truncated == 1 else "s"
    assert rf"gradient, $\hat{{T}} = {truncated}$ step{plural}" in written(ax)


def test_a_window_begins_with_a_fresh_state_and_is_judged_by_its_last_answer_alone():
    ax = diagrams.recurrent_network(4, "Cut", truncated=2)
    colors = {text.get_text(): text.get_color() for text in ax.texts}
    dark = diagrams.INK
    assert [t for t in range(5) if colors[f"$h_{{{t}}}$"] == dark] == [3, 4]
    assert [t for t in range(1, 5) if colors[rf"$\hat{{y}}_{{{t}}}$"] == dark] == [4]


def test_nothing_fades_without_truncation():
    ax = diagrams.recurrent_network(4, "Whole")
    assert {text.get_color() for text in ax.texts} == {diagrams.INK}
    assert {arrow.get_linestyle() for arrow in arrows(ax)} == {"-"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (dict(steps=0), "0 steps of 1 layers"),
        (dict(steps=9), "give 1 to 8 steps"),
        (dict(steps=2, layers=0), "1 layer or more"),
        (dict(steps=2, truncated=0), "through 0 of 2 steps"),
        (dict(steps=2, truncated=3), "from 1 to 2"),
    ],
)
def test_steps_that_cannot_be_drawn_are_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        diagrams.recurrent_network(title="Wrong", **given)


def test_the_cell_names_its_gates_and_its_states():
    labels = written(diagrams.lstm_cell("A cell"))
    symbols = "f_t i_t g_t o_t x_t h_t c_t h_{t-1} c_{t-1}".split()
    assert {f"${symbol}$" for symbol in symbols} <= set(labels)
    gates = ["forget\nσ", "input\nσ", "candidate\ntanh", "output\nσ"]
    assert [label for label in labels if "\n" in label] == gates
    assert [labels.count(sign) for sign in ("×", "+", "tanh")] == [3, 1, 1]


@pytest.mark.parametrize(
    ("part", "color", "symbols"),
    [
        ("forget", VERMILION, {"$f_t$", "forget\nσ", "×"}),
        ("input", GREEN, {"$i_t$", "$g_t$", "input\nσ", "candidate\ntanh", "×", "+"}),
        ("output", PURPLE, {"$o_t$", "$h_t$", "output\nσ", "tanh", "×"}),
        ("cell", BLUE, {"$c_t$", "$c_{t-1}$", "×", "+"}),
    ],
)
def test_only_the_part_asked_for_is_thick_and_coloured(part, color, symbols):
    ax = diagrams.lstm_cell("A cell", highlight=part)
    looks = {(to_hex(patch.get_edgecolor()), patch.get_linewidth() >= 3) for patch in ax.patches}
    assert looks == {(color, True), (diagrams.FADED, False)}
    dark = {text.get_text() for text in ax.texts if text.get_color() == diagrams.INK}
    assert dark == symbols


def test_without_a_highlight_every_part_has_its_colour():
    ax = diagrams.lstm_cell("A cell")
    colors = {to_hex(arrow.get_edgecolor()) for arrow in arrows(ax)}
    assert colors == {BLUE, VERMILION, GREEN, PURPLE, diagrams.INK}
    assert {text.get_color() for text in ax.texts} == {diagrams.INK}


@pytest.mark.parametrize("part", ["gate", "inputs", "", 1])
def test_an_unknown_part_is_refused(part):
    with pytest.raises(ValueError, match='highlight "forget", "input", "output" or "cell"'):
        diagrams.lstm_cell("A cell", highlight=part)


def test_importing_the_module_does_not_wait_for_matplotlib():
    code = "import sys; from cmc_helpers.plots import diagrams; "
    code += "print({'matplotlib', 'IPython'} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == "set()\n", result.stderr
