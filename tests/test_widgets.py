"""Sliders move the picture, which keeps its words; what is stored never changes."""

import base64
import datetime
import gc
import html
import re
import shlex
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import ipywidgets
import numpy as np
import pytest

from cmc_helpers import cli, notebook, plots, runs, widgets
from cmc_helpers import listening_test as lt
from cmc_helpers import player as cmc_player

ROOT = Path(__file__).parent.parent


@pytest.fixture
def shown(monkeypatch):
    """The bundles that a cell displays."""
    bundles = []

    def display(data, *, raw):
        assert raw
        bundles.append(data)

    monkeypatch.setattr("IPython.display.display", display)
    return bundles


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

START = "--strategy tempered --tau 0.8 --sigma-scale 0.5 --pi-temperature 1 --form weight --seed 1"


@pytest.fixture
def player(audio_run):
    """A player of a small run, with upload and download."""
    line = f"cmc generate {audio_run} {START} --seconds 1"
    return widgets.Player([str(audio_run)], line, files=True)


def audio_in(player):
    (encoded,) = re.findall(r'src="data:audio/wav;base64,([^"]*)"', player.sound.value)
    return base64.b64decode(encoded)


def settled(player):
    player.wait()
    return audio_in(player), player.picture.value, player.text.value, player.status.value


def test_a_player_starts_with_sound_picture_and_text(player, audio_run):
    rendering = render_of(player)
    assert audio_in(player) == rendering.sound.wav
    assert rendering.picture.alt in html.unescape(player.picture.value)
    assert player.text.value == f"cmc generate {audio_run} {START} --seconds 1 -o music.wav"
    assert player.status.value.startswith('<p role="status">Here it is: ')
    assert " autoplay" not in player.sound.value  # nobody has touched it yet


def render_of(player):
    run = runs.load(player.position.run)
    return cmc_player.render(run, player.position, **cmc_player.QUICK)


def test_a_knob_let_go_changes_sound_picture_and_text(player):
    before = settled(player)
    player.knobs["tau"].value = 0.2
    after = settled(player)
    assert all(new != old for new, old in zip(after, before, strict=True))
    assert audio_in(player) == render_of(player).sound.wav
    assert "--tau 0.2 " in player.text.value and " autoplay" in player.sound.value
    player.at_once.value = False
    player.knobs["tau"].value = 0.8
    back = settled(player)
    assert back[:3] == before[:3] and " autoplay" not in player.sound.value


def test_it_says_that_it_computes_and_leaves_out_what_was_passed_on_the_way(player, monkeypatch):
    started, go_on, drawn = threading.Event(), threading.Event(), []

    def slow(run, position, *rest, **changes):
        drawn.append(position.tau)
        started.set()
        assert go_on.wait(30)
        return cmc_player.render(run, position, *rest, **changes)

    monkeypatch.setattr(widgets, "render", slow)
    player.knobs["tau"].value = 0.1
    assert started.wait(30)
    assert "Computing 1 s" in player.status.value
    for tau in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        player.knobs["tau"].value = tau
    go_on.set()
    player.wait()
    assert drawn == [0.1, 0.7]
    monkeypatch.undo()
    assert audio_in(player) == render_of(player).sound.wav
    assert "Here it is" in player.status.value and "--tau 0.7 " in player.text.value


def test_a_position_given_up_is_not_heard(player, monkeypatch):
    """What is generated for a knob that has moved on is dropped at its next report."""
    started, heard = threading.Event(), []

    def reporting(run, position, primer, go_on, **changes):
        started.set()
        while position.tau == 0.1:  # for ever, if nobody stops it
            go_on(1, 2, "")
            time.sleep(0.001)
        heard.append(position.tau)
        return cmc_player.render(run, position, primer, go_on, **changes)

    monkeypatch.setattr(widgets, "render", reporting)
    player.knobs["tau"].value = 0.1
    assert started.wait(30)
    player.knobs["tau"].value = 0.4
    player.wait()
    assert heard == [0.4] and "alert" not in player.status.value


def test_a_text_moves_the_knobs(player, audio_run):
    other = f"cmc generate '{audio_run}' " + START.replace("0.8", "0.25").replace("0.5", "3.5")
    player.text.value = other + " --seconds 2 --prime none"
    player.wait()
    assert player.position.tau == player.knobs["tau"].value == 0.25
    assert player.position.sigma_scale == 3.5 == player.knobs["sigma_scale"].max
    assert player.position.prime == "none" and player.position.seconds == 2
    assert (
        audio_in(player)
        == cmc_player.render(
            runs.load(audio_run), player.position, np.empty(0), **cmc_player.QUICK
        ).sound.wav
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda line: "hello", "a position of the knobs is a line like"),
        (lambda line: line.replace("0.8", "8"), "τ is a share of probability"),
        (lambda line: "cmc generate /etc " + line.split(" ", 3)[3], "has no run /etc"),
        (lambda line: line + " --prime /etc/passwd", "has no /etc/passwd to begin from"),
    ],
)
def test_a_text_that_cannot_be_is_answered_and_the_knobs_stay(player, change, sentence):
    before, position = settled(player)[:2], player.position
    player.text.value = change(player.text.value)
    assert sentence in player.status.value and 'role="alert"' in player.status.value
    assert player.position == position and settled(player)[:2] == before
    player.knobs["tau"].value = 0.3
    player.wait()
    assert "Here it is" in player.status.value


def test_knobs_that_do_nothing_are_set_aside(player):
    for strategy, tau, form in (
        ("tempered", False, False),
        ("greedy", True, False),
        ("exact", True, True),
        ("sample", True, True),
    ):
        player.knobs["strategy"].value = strategy
        assert (player.knobs["tau"].disabled, player.knobs["form"].disabled) == (tau, form)
    player.wait()


def test_two_players_do_not_meet(player, audio_run):
    other = widgets.Player([str(audio_run)], files=True)
    before = settled(player)
    other.knobs["seed"].value = 5
    assert settled(other)[0] != before[0] and settled(player) == before
    other._take("mine.wav", tone())
    assert "mine.wav" not in str(player.knobs["prime"].options)


def tone(seconds=1.0):
    t = np.arange(round(8000 * seconds)) / 8000
    return notebook.wav(0.3 * np.sin(2 * np.pi * 330 * t), 8000)


def uploaded(player, name, content):
    """As ipywidgets 8 hands it over."""
    file = dict(name=name, content=memoryview(content), type="", size=len(content))
    player.upload.value = (file | {"last_modified": datetime.datetime(2000, 1, 1)},)
    player.wait()


def test_another_clip_of_the_same_name_is_heard_anew(player):
    uploaded(player, "mine.wav", tone())
    first = settled(player)[0]
    uploaded(player, "mine.wav", tone(2.0))
    assert settled(player)[0] != first


def test_a_clip_is_read_once_however_often_the_knobs_move(player, monkeypatch):
    read, reading = [], widgets.read_primer
    monkeypatch.setattr(
        widgets, "read_primer", lambda run, path: read.append(path) or reading(run, path)
    )
    player.knobs["prime"].value = "singer.flac"
    player.wait()
    for tau in (0.1, 0.2):
        player.knobs["tau"].value = tau
        player.wait()
    assert read == ["singer.flac"]


def test_a_clip_of_ones_own_is_heard_first(player):
    before = settled(player)[0]
    uploaded(player, "../../mine & yours.wav", tone())
    assert player.knobs["prime"].value == "mine & yours.wav"
    assert "--prime 'mine & yours.wav'" in player.text.value
    assert "Here it is" in player.status.value and audio_in(player) != before
    assert not (Path(player._folder.name).parent.parent / "mine & yours.wav").exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.wav", b"", "empty.wav"),
        ("text.wav", b"no sound at all", "text.wav"),
        ("short.wav", tone(0.01), "short.wav"),
        ("huge.wav", bytes(5_100_000), "huge.wav has 5.1 MB, 5 are the most: cut it"),
        ("narrow.csv", b"1,2,3\n", "narrow.csv has 3 columns"),
        ("..", tone(), "is no name of a file"),
    ],
)
def test_a_bad_clip_is_answered_in_the_page_and_changes_nothing(player, name, content, sentence):
    before, options = settled(player)[:3], player.knobs["prime"].options
    uploaded(player, name, content)
    assert sentence in html.unescape(player.status.value) and "alert" in player.status.value
    assert str(player._folder.name) not in player.status.value
    assert settled(player)[:3] == before and player.knobs["prime"].options == options


def test_ipywidgets_7_hands_uploads_over_as_a_dictionary():
    assert widgets._uploads({"a.wav": {"content": b"x", "metadata": {}}}) == [("a.wav", b"x")]


def test_the_files_are_those_of_the_command(player, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    player.make.click()
    player._making.wait()
    line = shlex.split(player.text.value)[1:]
    assert cli.main(line) == 0 and cli.main([*line[:-1], "music.csv"]) == 0
    for kind, name in (("audio/wav", "music.wav"), ("text/csv", "music.csv")):
        (encoded,) = re.findall(rf'href="data:{kind};base64,([^"]*)"', player.links.value)
        assert base64.b64decode(encoded) == (tmp_path / name).read_bytes()
    assert re.findall('download="([^"]*)"', player.links.value)[0].endswith("-tempered-1.wav")


def test_a_stored_page_shows_where_the_knobs_stood(shown, audio_run):
    widgets.player(str(audio_run), position=f"cmc generate {audio_run} {START} --seconds 1")
    assert shown[-1]["text/plain"] == (
        f"Player of {audio_run}, at: cmc generate {audio_run} {START} --seconds 1 -o music.wav"
    )


def test_the_explorer_shows_a_moment_and_moves_to_others(shown, audio_run):
    run = runs.load(audio_run)
    piece = run.primer
    widgets.mixture_explorer(run, piece, step=3, tau=0.5)
    step, tau, form = widgets._shown[-1].children[:3]
    assert "After 0.03 s, τ = 0.50" in picture_in(shown).value
    step.value, tau.value, form.value = len(piece) - 2, 1.0, "exact"
    assert "τ = 1.00 leaves 3 of 3 components" in picture_in(shown).value
    assert "Ranked by exact" in picture_in(shown).value
    assert shown[-1]["text/plain"].endswith("(peaks, π/σ^m, the paper's π/σ, weights, π)")


# --- The listening test ---


@pytest.fixture(params=["pair", "single"])
def held(request, tmp_path):
    real, made = ["r1", "r2"], ["g1", "g2"]
    rng = np.random.default_rng(0)
    clips = {name: 0.1 * rng.standard_normal(4000) for name in real + made}
    lt.prepare(tmp_path / "test", lt.plan(real, made, 0, request.param), clips)
    return tmp_path / "test"


def test_a_listener_is_asked_hears_every_trial_and_is_told_nothing(held):
    view = widgets.ListeningTest(held)
    places = 2 if view._pair else 1
    assert view.trials == (2 if view._pair else 4) and all(b.disabled for b in view.answers)
    view.name.value, view.familiarity.value = "../x", 20
    view.begin.click()
    assert 'role="alert"' in view.status.value and view.sound.value == ""
    view.name.value = "anna"
    view.begin.click()
    for trial in range(view.trials):
        assert f"Trial {trial + 1} of {view.trials}" in view.status.value
        wanted = [lt.clip_path(held, trial, place).read_bytes() for place in range(places)]
        found = re.findall(r'src="data:audio/wav;base64,([^"]*)"', view.sound.value)
        assert [base64.b64decode(one) for one in found] == wanted
        view.answers[trial % 2].click()
    assert "All" in view.status.value and "<audio" not in view.sound.value
    assert all(button.disabled for button in view.answers)
    view._answered(0)  # the second half of a double click
    kept = lt.Answers(held, "anna")
    assert kept.given == [trial % 2 for trial in range(view.trials)] and kept.familiarity == 0.2


def test_who_was_interrupted_goes_on(held, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    first = widgets.ListeningTest(held)
    first.name.value = "anna"
    first.begin.click()
    first.answers[1].click()
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        first.answers[0].click()
    assert 'role="alert"' in first.status.value and "make room" in first.status.value
    again = widgets.ListeningTest(held)
    again.name.value = "anna"
    again.begin.click()
    assert "Trial 2 of" in again.status.value


def test_a_page_without_widgets_says_how_many_trials_there_are(shown, held):
    widgets.listening_test(held)
    assert re.fullmatch("Listening test of [24] trials", shown[-1]["text/plain"])
