"""The processes that run the tests side by side: one that has grown is replaced, and none is large."""

import os
import shutil
import subprocess
import sys

import pytest
from notebook_rules import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc to read from"),
]
WHO = """
import os, pathlib, pytest
@pytest.mark.parametrize("number", range(4))
def test_who(number): pathlib.Path(__file__).with_suffix(".txt").write_text(str(os.getpid()))
"""


@pytest.fixture
def run(tmp_path):
    """Three files of tests, with our conftest.py: settings → (exit status, said, processes)."""
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "tests").mkdir()
    for name in "abc":
        (tmp_path / "tests" / f"test_{name}.py").write_text(WHO, "utf-8")

    def run(*settings):
        command = [sys.executable, "-m", "pytest", "--numprocesses", "1", "--dist", "loadfile"]
        done = subprocess.run([*command, *settings], cwd=tmp_path, capture_output=True, text=True)
        assert "12 passed" in done.stdout, done.stdout + done.stderr
        pids = {path.read_text("utf-8") for path in tmp_path.glob("tests/*.txt")}
        return done.returncode, done.stdout, len(pids)

    return run


def test_one_that_has_grown_gets_no_further_file(run):
    assert run("-o", "worker_retires=1")[::2] == (0, 3)


def test_one_that_is_small_stays_and_one_that_grew_beyond_all_bounds_is_an_error(run):
    status, said, processes = run("-o", "worker_megabytes=1")
    assert (status, processes) == (1, 1) and "ERROR gw0 held more than 1 MB" in said
