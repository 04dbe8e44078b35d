"""What nbval compares, with which seeds, and what `make guard` says of it."""

import json
import os
import subprocess
import sys
import warnings

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from notebook_rules import NOTEBOOKS, ROOT, load

OTHER_SEEDS = ROOT / "tests" / "other_seeds"


@pytest.fixture
def guard(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))  # it imports execute.py, which lies beside it
    return load("guard")


@pytest.fixture
def checkout(tmp_path):
    """A folder with our settings for nbval, and `nbval(*options)`: the cells that fail there.

    A notebook in it has a cell for each pair of what it prints and what is stored.
    """

    def nbval(*options, **pages):
        for name, pairs in pages.items():
            cells = [
                new_code_cell(
                    f"print({printed!r})",
                    execution_count=1,
                    outputs=[new_output("stream", text=f"{stored}\n")],
                )
                for printed, stored in pairs
            ]
            nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
        report = tmp_path / "report.xml"
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", f"--junit-xml={report}"]
        subprocess.run([*command, *options, "notebooks"], cwd=tmp_path, capture_output=True)
        return load("guard").read_report(report)

    (tmp_path / "notebooks").mkdir()
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "tests/sanitize.cfg"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    return nbval


@pytest.mark.slow
def test_a_number_after_the_sign_may_differ_and_nothing_else_may(guard, checkout):
    pairs = [
        ("error ≈ 0.27, least ≈ −1,009.5 at ≈ 3e-05.", "error ≈ 0.3, least ≈ 4 at ≈ 12.25."),
        ("≈  9 of 10", "≈ 10 of 10"),
        ("error 0.27", "error 0.28"),
        ("error ≈ 0.27", "error 0.27"),
        ("≈ 5 of 10", "≈ 5 of 11"),
        ("≈ nan", "≈ 3"),
        ("≈ 0.27 falls", "≈ 0.27 rises"),
    ]
    found = checkout(a=pairs)
    assert found["differs"] == [f"Cell {n}" for n in range(2, 7)]
    assert found["cells"] == 7 and 20 < found["megabytes"] < 400
    assert guard.said(found).endswith(" s; differs: Cell 2, Cell 3, Cell 4, Cell 5, Cell 6")


@pytest.mark.slow
def test_with_other_seeds_all_numbers_may_differ_and_no_word(guard, checkout, tmp_path):
    pairs = [
        ("T2: 0.27 of 1,000 at -3e-05", "T2: 30  of 1 at 2"),
        ("≈ 0.2 for x1", "≈ 3 for x1"),
        ("0.27: True", "0.28: False"),
        ("x1", "x2"),
    ]
    (tmp_path / "any.cfg").write_text(guard.ANY_NUMBER, "ascii")
    found = checkout("--nbval-sanitize-with=any.cfg", a=pairs)
    assert found["differs"] == ["Cell 2", "Cell 3"]


def with_offset(offset, code):
    """What a Python prints that moves every seed on by `offset`."""
    environment = {"PYTHONPATH": f"{OTHER_SEEDS}", "CMC_SEED_OFFSET": str(offset)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
def test_the_offset_reaches_every_seed_that_numpy_is_given():
    code = """if True:
        import numpy as np
        for seed in ({0}, [{0}, 7], np.int64({0})):
            print(np.random.default_rng(seed).integers(10**9))
        print(np.random.default_rng(seed={0}).integers(10**9))
        assert np.random.default_rng(None).integers(10**9) is not None
    """
    assert with_offset(1000, code.format(3)) == with_offset(0, code.format(1003))
    assert with_offset(1000, code.format(3)) != with_offset(0, code.format(3))


@pytest.mark.weekly
@pytest.mark.keras
def test_the_offset_reaches_every_seed_that_keras_is_given():
    code = """if True:
        import keras
        keras.utils.set_random_seed({0})
        print(keras.random.uniform((3,)))
    """
    assert with_offset(1000, code.format(3)) == with_offset(0, code.format(1003))


@pytest.mark.slow
def test_the_offset_reaches_the_search_s_seed():
    code = "import optuna; print(optuna.samplers.TPESampler(seed={0})._rng.rng.randint(10**9))"
    assert with_offset(1000, code.format(3)) == with_offset(0, code.format(1003))


def test_what_cannot_be_had_here_is_said_and_not_counted(guard):
    assert guard.obstacle(("no-such-program",), {}) == "there is no no-such-program"
    code = ("import sys; sys.exit('no rights')",)
    assert guard.obstacle((sys.executable, "-c", *code), {}) == "no rights"
    assert guard.obstacle((), {}) is None
    assert "locale" in guard.obstacle((), {"LC_ALL": "xx_YY.UTF-8"})
    runs = {"a": {"impossible": "no rights"}, "b": {"cells": 3}, "c": {"differs": ["Cell 1"]}}
    assert guard.share(runs) == "1 of 2"


def test_a_change_of_code_or_output_makes_a_row_stale_and_a_change_of_words_does_not(
    guard, tmp_path
):
    page = nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4)
    path = tmp_path / "a.ipynb"

    def checksum():
        nbformat.write(page, path)
        return guard.checksum(path)

    before = checksum()
    page.cells[0].source += " More."
    assert checksum() == before
    shown = next(cell for cell in page.cells if cell.get("outputs"))
    shown.source += "\n# more"
    after = checksum()
    assert after != before
    shown.outputs.append(new_output("stream", text="1\n"))
    assert checksum() not in (before, after)


def test_the_stored_page_is_that_of_the_report_and_within_the_limits(guard):
    """Of notebooks as they are now; one that changed since is named, and guarded in time."""
    report = json.loads(guard.REPORT.read_text("utf-8"))
    assert guard.page() == guard.PAGE.read_text("utf-8")
    if stale := guard.stale():
        said = f"make guard has not seen these as they are now: {', '.join(stale)}"
        warnings.warn(said, stacklevel=1)
    for name in report["notebooks"].keys() - set(stale):
        runs = report["notebooks"][name]["runs"]
        bad = [key for key, run in runs.items() if "differs" in run]
        assert len(bad) <= 1 and all(key.startswith("seeds + ") for key in bad), (name, bad)
        plain = runs.get(guard.PLAIN, {"seconds": 0, "megabytes": 0})
        assert plain["seconds"] <= 40 and plain["megabytes"] <= 1400, name
