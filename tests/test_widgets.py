"""Sliders move the picture, which keeps its words; what is stored never changes."""

import base64
import gc
import re
import subprocess
import sys
import weakref
from pathlib import Path

import ipywidgets
import pytest

from cmc_helpers import notebook, plots, runs, widgets

ROOT = Path(__file__).parent.parent


def picture_in(shown):
    """The HTML below the sliders, found by way of what was displayed."""
    view = shown[-1]["application/vnd.jupyter.widget-view+json"]
    box = widgets._shown[-1]
    assert view == {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    assert isinstance(box, ipywidgets.VBox)
    return box.children[-1]


def render(**values):
    """A picture whose bytes and words are its values."""
    words = ", ".join(f"{name}={value}" for name, value in values.items())
    return plots.Picture(words.encode(), f"Drawn with {words}")


def tau(value=0.6):
    return widgets.slider("τ", 0, 1, 0.05, value)


def drawn_from(widget):
    """The bytes of the picture in an HTML widget."""
    (encoded,) = re.findall(r'src="data:image/png;base64,([^"]*)"', widget.value)
    return base64.b64decode(encoded).decode()


def test_the_first_picture_is_drawn_once_with_the_values_given(shown):
    calls = []

    def counted(**values):
        calls.append(values)
        return render(**values)

    assert widgets.explore(counted, tau=tau(), mixtures=widgets.slider("K", 1, 9, 1, 3)) is None
    assert calls == [{"tau": 0.6, "mixtures": 3}]
    assert drawn_from(picture_in(shown)) == "tau=0.6, mixtures=3"


def test_a_slider_let_go_draws_again_with_all_values(shown):
    one, other = tau(), widgets.slider("K", 1, 9, 1, 3)
    widgets.explore(render, tau=one, mixtures=other)
    picture = picture_in(shown)
    other.value = 5
    assert drawn_from(picture) == "tau=0.6, mixtures=5"
    assert 'alt="Drawn with tau=0.6, mixtures=5"' in picture.value
    one.value = 0.2
    assert drawn_from(picture) == "tau=0.2, mixtures=5"
    assert len(shown) == 1


def test_the_same_values_give_the_same_html(shown):
    slider = tau()
    widgets.explore(render, tau=slider)
    picture = picture_in(shown)
    before = picture.value
    slider.value = 0.2
    assert picture.value != before
    slider.value = 0.6
    assert picture.value == before


def test_a_real_picture_arrives_whole(shown):
    drawn = plots.figure_with_alt(
        plots.curves([0, 1], {"a": [0, 1]}, "", xlabel="", ylabel=""), "A"
    )
    widgets.explore(lambda tau: drawn, tau=tau())
    encoded = base64.b64encode(drawn.png).decode()
    assert picture_in(shown).value == (
        f'<img alt="A" src="data:image/png;base64,{encoded}" style="max-width:100%">'
    )


def test_a_sound_is_seen_and_heard(shown):
    def render(tau):
        return notebook.Sound(b"RIFF", f"at {tau:g}", "", plots.Picture(b"", "words"))

    slider = tau()
    widgets.explore(render, tau=slider)
    value = picture_in(shown).value
    assert value.startswith('<img alt="words"') and "<audio controls" in value
    slider.value = 0.9
    assert 'aria-label="at 0.9"' in picture_in(shown).value


def test_the_words_cannot_break_out_of_their_attribute(shown):
    widgets.explore(lambda tau: plots.Picture(b"", '"><script>&'), tau=tau())
    assert 'alt="&quot;&gt;&lt;script&gt;&amp;"' in picture_in(shown).value


def test_what_a_page_without_widgets_shows_does_not_move(shown):
    for start in (0.2, 0.6):
        sliders = dict(tau=tau(start), count=widgets.slider("mixtures", 1, 12, 1, 3))
        widgets.explore(render, **sliders)
        sliders["tau"].value = 0.4
    lines = [bundle["text/plain"] for bundle in shown]
    assert lines == ["Sliders: τ (0 to 1), mixtures (1 to 12)"] * 2
    assert all(len(bundle) == 2 for bundle in shown)


def test_an_error_stands_in_place_of_the_picture_until_the_next_move(shown):
    def fragile(tau):
        if tau == 0:
            raise ValueError("τ = 0 chooses <nothing>: give more")
        return render(tau=tau)

    slider = tau()
    widgets.explore(fragile, tau=slider)
    picture = picture_in(shown)
    slider.value = 0
    assert picture.value == '<p role="alert">τ = 0 chooses &lt;nothing&gt;: give more</p>'
    slider.value = 0.5
    assert drawn_from(picture) == "tau=0.5"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda tau: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda tau: {}["x"], "KeyError: &#x27;x&#x27;"),
        (lambda tau: None, "`render` returned NoneType, not a picture"),
        (lambda wrong: None, "TypeError: "),
    ],
)
def test_a_render_that_is_wrong_from_the_start_says_so_where_it_is_stored(shown, broken, message):
    widgets.explore(broken, tau=tau())
    assert message in picture_in(shown).value
    assert shown[-1]["text/plain"].startswith("Sliders: τ (0 to 1). No picture: ")


def test_nothing_is_printed(shown, capfd):
    slider = tau()
    widgets.explore(render, tau=slider)
    slider.value = 0.1
    assert capfd.readouterr() == ("", "")


def test_the_widgets_outlive_the_cell(shown, monkeypatch):
    monkeypatch.setattr(ipywidgets.widgets.widget, "_instances", {}, raising=False)
    slider = tau()
    widgets.explore(render, tau=slider)
    alive = weakref.ref(slider)
    del slider
    ipywidgets.widgets.widget._instances.clear()
    gc.collect()
    assert alive() is not None


@pytest.mark.parametrize(
    ("numbers", "kind", "readout"),
    [
        ((1, 10, 1, 3), ipywidgets.IntSlider, "d"),
        ((0, 1, 0.05, 0.6), ipywidgets.FloatSlider, ".2f"),
        ((0, 1, 0.1, 0.25), ipywidgets.FloatSlider, ".2f"),
        ((0.0, 5.0, 1.0, 2.0), ipywidgets.FloatSlider, ".0f"),
        ((0, 100, 0.5, 2), ipywidgets.FloatSlider, ".1f"),
        ((0, 1, 1 / 3, 0), ipywidgets.FloatSlider, ".4f"),
        ((0, 1, 1e-3, 0), ipywidgets.FloatSlider, ".3f"),
        ((0, 1e3, 100.0, 0), ipywidgets.FloatSlider, ".0f"),
    ],
)
def test_a_slider_is_as_fine_as_its_numbers(numbers, kind, readout):
    slider = widgets.slider("x", *numbers)
    assert type(slider) is kind
    assert slider.readout_format == readout
    assert (slider.min, slider.max, slider.step, slider.value) == numbers


@pytest.mark.parametrize("slider", [tau(), widgets.slider("K", 1, 9, 1, 3)])
def test_a_slider_reports_when_it_is_let_go_and_shows_its_whole_name(slider):
    assert slider.continuous_update is False
    assert slider.style.description_width == "initial"
    assert slider.description in ("τ", "K")


@pytest.mark.parametrize("numbers", [(0, 1, 0.1, 2), (1, 0, 0.1, 0.5), (0, 1, 0, 0.5)])
def test_a_slider_that_cannot_stand_there_is_refused(numbers):
    with pytest.raises(ValueError, match="give low ≤ value ≤ high and a step above 0"):
        widgets.slider("τ", *numbers)


def test_importing_the_module_does_not_wait_for_widgets():
    code = "import sys, cmc_helpers.widgets; print({'ipywidgets', 'IPython'} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == "set()\n", result.stderr


# --- The τ player ---


def test_a_stored_page_shows_where_the_knobs_stood(shown, audio_run):
    position = (
        f"cmc generate {audio_run} --strategy tempered --tau 0.8 --sigma-scale 0.5 "
        "--pi-temperature 1 --form weight --noise gaussian --seed 1 --seconds 1"
    )
    widgets.player(str(audio_run), position=position)
    assert shown[-1]["text/plain"] == f"Player of {audio_run}, at: {position} -o music.wav"


def test_the_explorer_shows_a_moment_and_moves_to_others(shown, audio_run):
    run = runs.load(audio_run)
    piece = run.primer
    widgets.mixture_explorer(run, piece, step=3, tau=0.5)
    step, tau, form = widgets._shown[-1].children[:3]
    assert "After 0.03 s, τ = 0.50" in picture_in(shown).value
    step.value, tau.value, form.value = len(piece) - 2, 1.0, "exact"
    assert "τ = 1.00 leaves 3 of 3 components" in picture_in(shown).value
    assert "Ranked by exact" in picture_in(shown).value
    assert shown[-1]["text/plain"].endswith("(exact: π/σ^m, paper: π/σ, weight: π)")
