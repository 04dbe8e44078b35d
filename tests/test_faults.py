"""A few faults of tools/benchmarks/faults.py, always the same; `make faults` tries all of them."""

import importlib.util
import os
import subprocess
import sys

import pytest
from notebook_rules import ROOT


@pytest.fixture(scope="module")
def faults(tmp_path_factory, audio_run):
    spec = importlib.util.spec_from_file_location(
        "faults", ROOT / "tools" / "benchmarks" / "faults.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("faults")
    return module.Faults(folder, 2, 0, audio_run, ("corpus", "generate wav"))


def kept(faults):
    """Whether all promises of the parts tried since the last call were kept, and how many tries."""
    rows, faults.rows = faults.rows, []
    assert [row for row in rows if row[-1]] == []
    return sum(tries for *_, tries, _ in rows)


@pytest.mark.weekly
def test_what_is_killed_leaves_whole_files_and_ends_alike(faults):
    faults.killed()
    assert kept(faults) == 4


@pytest.mark.weekly
def test_a_terminal_that_is_closed_ends_all_processes_of_a_build_in_one_sentence(faults):
    faults.stopped({"SIGHUP": [1]}, ["corpus"])
    assert kept(faults) == 2


@pytest.mark.weekly
def test_a_promise_that_is_broken_is_told(faults, monkeypatch):
    job = faults.jobs[1]
    faults.results[job] |= {"out.wav": b"another"}
    monkeypatch.setattr(faults, "kills", 1)
    faults.killed([job])
    ((*_, broken),) = faults.rows
    faults.rows = []
    assert len(broken) == 1 and "not identical" in broken[0]


def test_where_the_home_folder_may_not_be_written_numba_has_a_place_that_goes_again(tmp_path):
    # As root, permissions would not bite.
    script = "import os; os.access = lambda *_: False; import cmc_helpers;"
    script += "print(os.environ['NUMBA_CACHE_DIR'] == os.path.join(os.environ['TMPDIR'],"
    script += " *os.listdir(os.environ['TMPDIR'])))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("True\n", "")
    assert not list(tmp_path.iterdir())
