"""Ctrl-C, `kill` and a closed terminal end a command in one sentence, at whatever moment."""

import os
import signal
import subprocess
import sys

import pytest
from notebook_rules import ROOT

# The command line in a process that is sent signals at a chosen place: the next import of a module.
pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGHUP"), reason="this system has no signals but Ctrl-C"
)
PROCESS = """
import os, signal, sys
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_DFL)  # what runs in the background is deaf to some
{before}

class Importing:
    def find_spec(self, name, *_):
        if name == {module!r}:
            for each in {signals}:
                os.kill(os.getpid(), each)

sys.meta_path.insert(0, Importing())
from cmc_helpers.__main__ import main
sys.exit(main())
"""


def cmc(module, signals, *arguments, before=""):
    script = PROCESS.format(
        module=module, signals=[int(getattr(signal, name)) for name in signals], before=before
    )
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("signals", [["SIGINT"], ["SIGINT"] * 3, ["SIGTERM"], ["SIGHUP"]])
def test_who_is_stopped_during_the_first_imports_says_a_sentence(signals):
    result = cmc("numpy", signals, "runs")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "cmc: stopped: nothing had begun\n"


@pytest.mark.keras
def test_who_is_stopped_while_tensorflow_starts_says_a_sentence(tmp_path):
    data, run = ROOT / "data_samples" / "cyclic.csv", tmp_path / "run"
    result = cmc("tensorflow", ["SIGTERM"] * 2, "train", data, "--run", run)
    assert (result.returncode, result.stdout) == (2, "")
    begins = "cmc: stopped: the training had not begun; the same command begins again\n"
    assert result.stderr == begins
    assert not run.exists()


def test_what_nohup_ignores_stays_ignored():
    nohup = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    result = cmc("numpy", ["SIGHUP"], "runs", before=nohup)
    assert (result.returncode, result.stderr) == (0, "")


def test_what_is_held_back_arrives_at_the_end():
    script = """
import os, signal
from cmc_helpers import stopping
signal.signal(signal.SIGINT, signal.default_int_handler)
stopping.answer()
try:
    with stopping.held_back():
        os.kill(os.getpid(), signal.SIGTERM)
        print("whole", end="")
    print("and on")
except KeyboardInterrupt:
    print(", then stopped", end="")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("whole, then stopped", "")
