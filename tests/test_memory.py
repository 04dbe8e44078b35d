"""The watch over the notebooks' memory, in conftest.py at the root, itself seen to fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from notebook_rules import ROOT


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read from")
def test_a_notebook_that_takes_too_much_is_an_error_and_all_peaks_are_told(tmp_path):
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "tests/sanitize.cfg"):
        shutil.copy(ROOT / name, tmp_path / name)
    # What is given back again counts too: this is about the peak.
    for name, source in (("large", "size = len(b'x' * 300_000_000)"), ("small", "size = 1")):
        cells = [new_code_cell(source), new_code_cell("assert size")]
        nbformat.write(new_notebook(cells=cells), tmp_path / f"{name}.ipynb")
    options = ["--nbval-lax", "-o", "notebook_megabytes=250"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir=.", *options, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "4 passed, 1 error" in result.stdout
    *_, table = result.stdout.partition("peak memory in MB")
    (large, first), (small, second) = map(str.split, table.splitlines()[1:3])
    assert (first, second) == ("large.ipynb", "small.ipynb")
    assert int(small) < 250 < 300 < int(large)
    assert f"the notebook took {large} MB, 250 are the most" in result.stdout


WHO = """
import os, pathlib, pytest
@pytest.mark.parametrize("number", range(4))
def test_who(number): pathlib.Path(__file__).with_suffix(".pid").write_text(str(os.getpid()))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read from")
@pytest.mark.parametrize(
    "setting, status, workers",
    [
        pytest.param("worker_megabytes=10000", 0, 1, marks=pytest.mark.weekly),
        pytest.param("worker_megabytes=10", 1, 1, marks=pytest.mark.weekly),
        ("worker_retires=10", 0, 3),
    ],
)
def test_a_worker_that_has_grown_is_replaced_and_one_that_is_too_large_an_error(
    tmp_path, setting, status, workers
):
    shutil.copy(ROOT / "conftest.py", tmp_path)
    for name in ("one", "two", "three"):
        (tmp_path / f"test_{name}.py").write_text(WHO)
    options = ["--numprocesses=1", "--dist=loadfile", "-o", setting]
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir=.", *options, "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status and "12 passed" in done.stdout, done.stdout + done.stderr
    assert len({path.read_text() for path in tmp_path.glob("*.pid")}) == workers
    assert ("ERROR gw0 held more than 10 MB" in done.stdout) == bool(status)


@pytest.mark.weekly
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read from")
def test_a_later_worker_that_finds_other_tests_ends_all_in_a_sentence(tmp_path):
    shutil.copy(ROOT / "conftest.py", tmp_path)
    for name in ("a", "b", "c"):
        (tmp_path / f"test_{name}.py").write_text(WHO)
    adds = "open('test_c.py', 'a').write('def test_new(): pass\\n')"
    with (tmp_path / "test_a.py").open("a") as file:
        file.write(f"def test_changes_another(): {adds}\n")
    options = ["--numprocesses=1", "--dist=loadfile", "-o", "worker_retires=10"]
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir=.", *options, "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert done.returncode != 0
    assert "the tests were changed while they ran: run them again" in done.stdout + done.stderr


def test_the_limit_leaves_binder_room(pytestconfig):
    assert int(pytestconfig.getini("notebook_megabytes")) <= 1400
