"""Every result in tools/experiments/ says where it comes from; its command still works in small."""

import datetime
import json
import runpy
import shlex
import subprocess
import sys

import pytest
from notebook_rules import ROOT

from cmc_helpers import notebook
from cmc_helpers.files import FileError

FOLDER = ROOT / "tools" / "experiments"
RESULTS = sorted(FOLDER.glob("*.json"))
PROVENANCE = ["command", "date", "machine", "versions"]
EVERY = pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)


def read(path):
    return json.loads(path.read_text("utf-8"))


def script_of(results):
    """The script that a command names: `python tools/experiments/NAME.py …`."""
    python, script, *_ = shlex.split(results["command"])
    assert python == "python"
    return ROOT / script


def test_there_are_results_and_each_is_a_script_s():
    assert RESULTS
    tables = {path.stem for path in FOLDER.glob("*.csv")}
    assert tables <= {path.stem for path in RESULTS}, "a table needs a JSON that says whence it is"


@EVERY
def test_a_result_says_when_on_what_and_by_which_command_it_was_made(path):
    results = read(path)
    assert list(results)[:4] == PROVENANCE and len(results) > 4
    assert datetime.date.fromisoformat(results["date"]).year >= 2024
    assert "cores (" in results["machine"]
    assert {"python", "numpy"} <= set(results["versions"])
    script = script_of(results)
    assert script.parent == FOLDER and script.exists()
    assert path.stat().st_size < 100_000


@EVERY
def test_its_command_can_still_be_given(path, monkeypatch, capsys):
    script = script_of(read(path))
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(script), run_name="__main__")
    assert "--small" in capsys.readouterr().out


@pytest.mark.keras
@pytest.mark.weekly
@EVERY
def test_the_same_command_in_small_writes_the_same_keys(path, tmp_path):
    output = tmp_path / path.name
    command = [sys.executable, script_of(read(path)), "--small", "--output", output]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-2000:]
    small = read(output)
    assert list(small) == list(read(path))
    assert small["command"] == read(path)["command"]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@EVERY
def test_a_notebook_finds_it_by_its_name(path):
    assert notebook.results(path.stem) == read(path)


def test_a_result_that_is_not_there_is_a_sentence():
    with pytest.raises(FileError, match="no_such_thing.json does not exist"):
        notebook.results("no_such_thing")
