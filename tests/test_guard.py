"""`make guard`: what it finds is what pytest found, and its table leaves no notebook out."""

import json
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from notebook_rules import NOTEBOOKS, ROOT, load


@pytest.fixture
def guard(monkeypatch):
    monkeypatch.syspath_prepend(str(NOTEBOOKS))  # it imports execute.py, which lies beside it
    return load("guard")


def test_a_cell_that_shows_something_else_is_named_and_time_and_memory_are_read(guard, tmp_path):
    right, wrong = (
        new_code_cell(f"print({n})", execution_count=1, outputs=[new_output("stream", text="1\n")])
        for n in (1, 2)
    )
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    for name, cells in {"solutions/01_a": [right], "02_b": [right, wrong]}.items():
        nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q"]
    command += ["--junit-xml=report.xml", "notebooks/solutions/01_a.ipynb", "notebooks/02_b.ipynb"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 1
    found = guard.read_report(tmp_path / "report.xml")
    assert (found["passed"], found["failed"]) == (2, ["02_b: Cell 1"])
    assert list(found["notebooks"]) == ["02_b", "solutions/01_a"]
    assert all(20 < row["megabytes"] < 400 for row in found["notebooks"].values())
    assert found["seconds"] >= max(row["seconds"] for row in found["notebooks"].values())
    assert guard.said(found).endswith("s\n    02_b: Cell 1")


def test_what_cannot_be_had_here_is_said_and_not_counted(guard):
    assert guard.obstacle(("no-such-program",), {}) == "there is no no-such-program"
    assert guard.obstacle(("sh", "-c", "echo no rights >&2; exit 3"), {}) == "no rights"
    assert guard.obstacle((), {}) is None
    assert "locale" in guard.obstacle((), {"LC_ALL": "xx_YY.UTF-8"})


def test_the_stored_table_is_that_of_the_report_and_within_the_limits(guard):
    report = json.loads(guard.REPORT.read_text("utf-8"))
    assert f"{guard.BEGIN}\n{guard.table()}\n{guard.END}" in guard.PAGE.read_text("utf-8")
    assert list(report["runs"]) == list(guard.CIRCUMSTANCES)
    there = {path.relative_to(NOTEBOOKS).with_suffix("").as_posix() for path in guard.notebooks()}
    for run in report["runs"].values():  # a new notebook need not be in it yet
        assert run["impossible"] or (set(run["notebooks"]) <= there and not run["failed"])
    plain = report["runs"][guard.PLAIN]
    assert plain["seconds"] <= 480
    for row in plain["notebooks"].values():
        assert row["seconds"] <= 60 and row["megabytes"] <= 1400
