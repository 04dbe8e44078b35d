"""Knobs that are let go change what is heard, seen and written; nothing else is ever heard."""

import base64
import datetime
import html
import re
import shlex
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from cmc_helpers import cli, notebook, runs
from cmc_helpers import player as cmc_player
from cmc_helpers.sampling import Sampling
from cmc_helpers.widgets import player_view

START = (
    "--strategy tempered --tau 0.8 --sigma-scale 0.5 --pi-temperature 1 --form weight "
    "--noise gaussian --seed 1"
)


@pytest.fixture
def player(audio_run):
    """A player of a small run, with upload and download."""
    line = f"cmc generate {audio_run} {START} --seconds 1"
    return player_view.Player([str(audio_run)], line, files=True)


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
        drawn.append(position.sampling.tau)
        started.set()
        assert go_on.wait(30)
        return cmc_player.render(run, position, *rest, **changes)

    monkeypatch.setattr(player_view, "render", slow)
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
        while position.sampling.tau == 0.1:  # for ever, if nobody stops it
            go_on(1, 2, "")
            time.sleep(0.001)
        heard.append(position.sampling.tau)
        return cmc_player.render(run, position, primer, go_on, **changes)

    monkeypatch.setattr(player_view, "render", reporting)
    player.knobs["tau"].value = 0.1
    assert started.wait(30)
    player.knobs["tau"].value = 0.4
    player.wait()
    assert heard == [0.4] and "alert" not in player.status.value


def test_a_text_moves_the_knobs(player, audio_run):
    other = f"cmc generate '{audio_run}' " + START.replace("0.8", "0.25").replace("0.5", "3.5")
    player.text.value = other + " --seconds 2 --prime none"
    player.wait()
    assert player.position.sampling.tau == player.knobs["tau"].value == 0.25
    assert player.position.sampling.sigma_scale == 3.5 == player.knobs["sigma_scale"].max
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
        (lambda line: line.replace("0.8", "8"), "tau is a number from 0 to 1"),
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


def test_another_run_begins_with_what_it_recommends(audio_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(audio_run, other)
    sampling = Sampling("tempered", 0.35, 0.25, 0.75, "weight", "residuals")
    stored = {"sampling": sampling.to_dict()}
    runs.write_settings(other, runs.read_settings(other) | stored)
    view = player_view.Player([str(audio_run), str(other)])
    view.knobs["run"].value = str(other)
    view.wait()
    assert view.position.run == str(other) and view.position.sampling == sampling
    assert audio_in(view) == render_of(view).sound.wav


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


def test_a_run_that_keeps_no_residuals_offers_none(audio_run, tmp_path):
    older = shutil.copytree(audio_run, tmp_path / "older")
    (older / runs.RESIDUALS).unlink()
    view = player_view.Player([str(audio_run), str(older)])
    assert not view.knobs["noise"].disabled
    view.knobs["noise"].value = "residuals"
    view.wait()
    assert audio_in(view) == render_of(view).sound.wav
    view.knobs["run"].value = str(older)
    view.wait()
    assert view.knobs["noise"].disabled and view.position.sampling.noise == "gaussian"


def test_two_players_do_not_meet(player, audio_run):
    other = player_view.Player([str(audio_run)], files=True)
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
    read, reading = [], player_view.read_primer
    monkeypatch.setattr(
        player_view, "read_primer", lambda run, path: read.append(path) or reading(run, path)
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
    assert player_view._uploads({"a.wav": {"content": b"x", "metadata": {}}}) == [("a.wav", b"x")]


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


def test_files_that_cannot_be_made_are_said_and_the_player_goes_on(player, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(player_view, "write_csv", full)
        player.make.click()
        player._making.wait()
    assert 'role="alert"' in player.links.value and "No space left" in player.links.value
    player.make.click()
    player._making.wait()
    assert ".csv" in player.links.value
