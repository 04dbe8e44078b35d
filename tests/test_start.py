"""start.py: from a fresh clone to a working .venv, on any system, and the commands that it starts.

Nothing is installed here. On Linux and macOS fake Pythons, shell scripts, answer what start.py asks
and write down the rest; Windows and Macs with an Intel processor are played by a fake `ask`.
"""

import ast
import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from servers import start

ROOT = Path(__file__).parent.parent
SOURCE = (ROOT / "start.py").read_text("utf-8")
IN_VENV = Path(".venv", "bin", "python")
NO_OPTIONS = {"python": None, "versions": None, "fetch": False}


class Checkout:
    """A folder with a space and an umlaut in its name, start.py, and a PATH of fake Pythons."""

    def __init__(self, folder):
        self.root, self.bin = folder / "a bü", folder / "bin"
        self.calls_file, self.environment_file = folder / "calls", folder / "environment"
        self.root.mkdir()
        self.bin.mkdir()
        (self.root / "tests").mkdir()
        for name in ("start.py", "Makefile", "pyproject.toml", start.COLAB, start.LOCKED):
            shutil.copy(ROOT / name, self.root / name)
        for name in [*start.NAMES, "uv"]:  # hide the real ones
            self.script(name, "exit 127")

    def script(self, name, text):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        path.chmod(0o755)
        return path

    def python(self, name, version, *, venv=True, pip="exit 0", pytest="exit 0", lands=True):
        """A Python that believes to be `version`; with `venv=False`, Debian's bare one. What it is
        asked to install does not land in its folder if not `lands`."""
        launch = self.bin / f"{name}.py"
        launch.write_text(
            "import runpy, signal, sys\n"
            # What is started in the background is deaf to Ctrl-C.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            f"sys.version_info = {(*map(int, version.split('.')), 0)}\n"
            f"sys.executable = {str(self.bin / name)!r}\ndel sys.argv[0]\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')",
            "utf-8",
        )
        found = {"version": version, "platform": "linux-x86_64", "machine": "x86_64"}
        found |= {"prefix": "/", "base": ""} | ({"venv": True} if venv else {})
        packages = f"lib/python{version}/site-packages"
        ours = f'mkdir -p "${{0%/bin/python}}/{packages}/cmc_helpers-1.dist-info"' if lands else ":"
        return self.script(
            name,
            f"""
            case "$*" in
            -c*) echo '{json.dumps(found)}'; exit ;;
            *start.py*) exec '{sys.executable}' -S '{launch}' "$@" ;;
            esac
            env > '{self.environment_file}'
            with="${{PIP_CONSTRAINT:+ with $PIP_CONSTRAINT and $PIP_BUILD_CONSTRAINT}}"
            case "$*" in *pip*) ;; *) with= ;; esac
            echo "{name} $*$with" >> '{self.calls_file}'
            for last; do :; done
            case "$*" in
            "-m venv"*) mkdir -p "$last/bin" "$last/{packages}" && cp "$0" "$last/bin/python" ;;
            "-m pip"*) {ours}; {pip} ;;
            "-m uv python"*) PATH="$PATH:/usr/bin:/bin"; {self.uv()} ;;
            "-m pytest"*) {pytest} ;;
            esac
            """,
        )

    def uv(self, version="3.12", fails=False):
        """What uv does for `uv python install`: an interpreter in its folder, from bin/kept."""
        place = f'"$UV_PYTHON_INSTALL_DIR/cpython-{version}/bin"'
        if fails:
            return "echo 'error: no route to host' >&2; exit 2"
        return f"mkdir -p {place} && cp '{self.bin}/kept' {place}/python3"

    def call(self, *command, cwd=None, **others):
        return subprocess.run(
            [*map(str, command)],
            cwd=cwd or self.root,
            env=self.environment(others.pop("environment", {})),
            text=True,
            encoding="utf-8",
            timeout=60,
            **({"capture_output": True} | others),
        )

    def environment(self, more=()):
        return {"PATH": f"{self.bin}:{os.defpath}:/usr/bin:/bin", "LC_ALL": "C"} | dict(more)

    def start(self, *arguments, by="python3", **others):
        """`python3 start.py …`, where python3 is the fake of that name."""
        return self.call(self.bin / by, "start.py", *arguments, **others)

    def make(self, *arguments):
        if not shutil.which("make"):
            pytest.skip("there is no make")
        return self.call(shutil.which("make"), *arguments)

    def change(self, name):
        """Add to a file, under a clock that was set back to 1970."""
        with (self.root / name).open("a") as file:
            file.write("# changed\n")
        os.utime(self.root / name, (0, 0))

    def calls(self):
        """What the fake Pythons were asked to do since the last time."""
        if not self.calls_file.exists():
            return []
        text = self.calls_file.read_text("utf-8")
        self.calls_file.unlink()
        return text.splitlines()

    def seen(self):
        """What was set in the environment of the last of them."""
        lines = self.environment_file.read_text("utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def checkout(tmp_path):
    if os.name == "nt":
        pytest.skip("the fakes are shell scripts")
    return Checkout(tmp_path)


def sentence_of(result, status=1):
    """The one sentence on stderr of a call that was refused."""
    assert result.returncode == status
    assert result.stdout == ""
    (sentence,) = result.stderr.splitlines()
    assert sentence.endswith(".")
    return sentence


def verbs(calls):
    return [call.split()[2] for call in calls]


# Any Python can run it


def test_it_is_the_standard_library_and_nothing_newer_than_what_people_have():
    """Python 2.7 to 3.14 can parse it: an old one must be able to say what is missing."""
    tree = ast.parse(SOURCE, feature_version=(3, 7))
    nodes = list(ast.walk(tree))
    new = ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Nonlocal, ast.YieldFrom
    assert not [node.lineno for node in nodes if isinstance(node, new)]
    assert not [node.lineno for node in nodes if isinstance(node, ast.Raise) and node.cause]
    assert not [node.name for node in nodes if isinstance(node, ast.arguments) and node.kwonlyargs]
    for node in nodes:
        stars = getattr(node, "elts", []) + getattr(node, "keys", [])
        assert not [star for star in stars if star is None or isinstance(star, ast.Starred)]
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    assert imported <= sys.stdlib_module_names - {"pathlib", "tomllib", "venv", "shlex"}
    assert not [node for node in nodes if isinstance(node, ast.ImportFrom)]


def test_all_that_it_says_is_ascii_and_a_path_that_is_not_stops_no_sentence():
    assert SOURCE.isascii()
    for encoding in ("cp1252", "cp850", "ascii"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding)
        start.say("/home/音/.venv", stream)
        assert stream.buffer.getvalue().strip() == b"/home/?/.venv"


@pytest.mark.parametrize("version", ["2.7", "3.8", "3.10", "3.14", "4.11"])
def test_a_python_that_does_not_fit_is_refused_in_one_sentence(checkout, version):
    checkout.python("python3", version, venv=False)
    sentence = sentence_of(checkout.start("setup"))
    assert "3.11, 3.12 or 3.13 is needed, but" in sentence
    assert f"{checkout.bin}/python3 is Python {version}" in sentence
    assert "python.org" in sentence
    assert checkout.calls() == []
    assert not (checkout.root / ".venv").exists()


def test_an_old_python_starts_what_one_that_fits_then_does(checkout):
    checkout.python("python3", "3.8")
    checkout.python("python3.12", "3.12")
    assert checkout.start("check").returncode == 0
    assert [call.split()[0] for call in checkout.calls()] == ["python3.12"] * 3


def test_a_python_without_venv_is_refused_with_the_package_that_brings_it(checkout):
    checkout.python("python3", "3.12", venv=False)
    sentence = sentence_of(checkout.start("lab"))
    assert "Python 3.12 lacks the venv module" in sentence
    assert "apt install python3.12-venv) and run python3 start.py lab again" in sentence
    assert checkout.calls() == []


@pytest.mark.parametrize("way", ["option", "word", "variable"])
@pytest.mark.parametrize("name, reason", [("old", "is Python 3.9"), ("missing", "is not Python")])
def test_a_python_named_by_hand_is_the_only_one_tried(checkout, name, reason, way):
    checkout.python("python3", "3.12")
    checkout.python("old", "3.9")
    path = checkout.bin / name
    sentence = sentence_of(
        {
            "option": lambda: checkout.start("--python", path, "setup"),
            "word": lambda: checkout.start("setup", f"PYTHON={path}"),
            "variable": lambda: checkout.start("setup", environment={"PYTHON": str(path)}),
        }[way]()
    )
    assert f"but {path} {reason}" in sentence
    assert "--fetch-python" not in sentence


def test_a_python_named_by_hand_is_found_from_where_one_stands(checkout):
    checkout.python("python3", "3.14")
    checkout.python("mine", "3.11")
    command = [checkout.bin / "python3", "../a bü/start.py", "--python", "./mine", "setup"]
    assert checkout.call(*command, cwd=checkout.bin).returncode == 0
    assert checkout.calls()[0] == "mine -m venv --clear .venv"


@pytest.mark.parametrize("version", start.PYTHONS)
def test_every_supported_python_makes_the_environment(checkout, version):
    checkout.python("python3", version)
    assert checkout.start("setup").returncode == 0
    assert checkout.calls() == [
        "python3 -m venv --clear .venv",
        "python3 -m pip install --quiet --disable-pip-version-check --editable .[test]"
        " with tests/locked.txt and tests/locked.txt",
    ]


def test_the_one_that_runs_it_is_taken_and_else_the_first_that_fits(checkout):
    checkout.python("python3.13", "3.13", venv=False)
    checkout.python("python3.11", "3.11")
    checkout.python("python3", "3.12")
    checkout.python("python", "3.9")
    for by, taken in (("python3", "python3"), ("python", "python3.11")):
        assert checkout.start("setup", "VERSIONS=newest", by=by).returncode == 0
        assert checkout.calls()[0].startswith(f"{taken} -m venv")
        shutil.rmtree(checkout.root / ".venv")


def test_an_environment_that_must_go_does_not_make_itself_anew(checkout, monkeypatch):
    """The one that runs start.py may be .venv's own; its base makes the new one."""
    monkeypatch.setattr(start, "ROOT", str(checkout.root))
    monkeypatch.setattr(start, "candidates", lambda: [["inside"]])
    inside = {"version": "3.12", "platform": "linux-x86_64", "venv": True, "base": "base"}
    inside["prefix"] = str(checkout.root / ".venv")
    answers = {"inside": inside, "base": inside | {"prefix": "/usr"}}
    monkeypatch.setattr(start, "probe", lambda one, _: answers[one[0]] | {"command": one})
    assert start.find_python(None, False, ".venv", "lab", {})["command"] == ["base"]


def test_a_python_says_what_it_is(tmp_path):
    """This very one, which has all; and one that lacks what Debian packs apart."""
    found = start.probe([sys.executable], dict(os.environ))
    assert found["version"] == "{}.{}".format(*sys.version_info)
    assert found["prefix"] == sys.prefix and found["venv"] is True
    assert start.obstacle(found) is None
    (tmp_path / "ensurepip.py").write_text("raise ImportError", "utf-8")
    bare = start.probe([sys.executable], os.environ | {"PYTHONPATH": str(tmp_path)})
    assert start.obstacle(bare) == "lacks the venv module"
    for nothing in (["no such program"], [sys.executable, "-c", "", "x"], [sys.executable, "--no"]):
        assert start.probe(nothing, dict(os.environ)) is None


# What is installed, and when


def test_a_second_setup_installs_nothing(checkout):
    checkout.python("python3", "3.12")
    assert checkout.start("setup").returncode == 0
    assert len(checkout.calls()) == 2
    assert checkout.start("setup").returncode == 0
    assert checkout.start("test").returncode == 0
    assert verbs(checkout.calls()) == ["pytest"]


def test_lessons_get_what_they_need_and_tests_add_the_rest(checkout):
    checkout.python("python3", "3.12")
    extras = {"lab": "[lab,playground]", "play": None, "links": None, "check": "[test]"}
    for command, extra in [*extras.items(), ("setup", None), ("lab", None), ("test", None)]:
        assert checkout.start(command).returncode == 0
        installed = [call for call in checkout.calls() if " pip " in call]
        assert len(installed) == (extra is not None), command
        assert all(f"--editable .{extra} with tests/locked.txt" in call for call in installed)


@pytest.mark.parametrize("first", ["lab", "test"])
@pytest.mark.parametrize("changed", ["pyproject.toml", "tests/locked.txt"])
def test_new_dependencies_are_installed_into_the_same_environment(checkout, changed, first):
    checkout.python("python3", "3.12")
    checkout.start(first)
    _, before, _ = checkout.calls()
    checkout.change(changed)
    assert checkout.start("lab").returncode == 0
    assert checkout.calls()[:-1] == [before]  # and with all that was in it


def test_an_environment_that_make_has_made_is_not_made_anew(checkout):
    checkout.python("python3", "3.12")
    checkout.start("setup")
    assert (checkout.root / ".venv" / ".ready").read_text("utf-8") == f"{checkout.root}\n"


def test_the_newest_versions_are_kept_until_the_locked_ones_are_asked_for(checkout):
    checkout.python("python3", "3.12")
    told = []
    for arguments in (["setup"], ["setup", "VERSIONS=newest"], ["test"], ["lab"]):
        assert checkout.start(*arguments).returncode == 0
        told.append(checkout.calls())
    locked, newest, *others = told
    assert locked[1] == f"{newest[1]} with tests/locked.txt and tests/locked.txt"
    assert "--clear" in newest[0]  # nothing locked is left
    assert list(map(verbs, others)) == [["pytest"], ["jupyterlab"]]
    checkout.change("pyproject.toml")
    checkout.start("setup")
    assert checkout.calls() == newest[1:]
    checkout.start("--versions", "locked", "lab")
    assert checkout.calls()[:-1] == locked


def test_other_versions_than_locked_and_newest_are_refused_in_one_sentence(checkout):
    checkout.python("python3", "3.12")
    for arguments in (["setup", "VERSIONS=newset"], ["--versions=newset", "setup"]):
        sentence = sentence_of(checkout.start(*arguments), 2)
        assert sentence == 'VERSIONS is either locked or newest, not "newset".'


def test_a_moved_folder_gets_an_environment_of_its_own(checkout):
    checkout.python("python3", "3.12")
    checkout.start("setup")
    checkout.calls()
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert checkout.start("setup").returncode == 0
    assert checkout.calls()[0] == "python3 -m venv --clear .venv"


@pytest.mark.parametrize("lost", ["gone", "broken", "upgraded", "another"])
def test_an_environment_that_lost_its_python_is_made_anew(checkout, lost):
    python = checkout.python("python3", "3.12")
    checkout.start("setup")
    checkout.calls()
    inside = checkout.root / IN_VENV
    if lost == "gone":
        inside.unlink()
    elif lost == "broken":
        inside.write_text("#!/bin/sh\nexit 127\n")
    elif lost == "upgraded":  # the system's python3, which it leads to, became 3.13
        shutil.copy(checkout.python("python3.13", "3.13"), inside)
    else:
        shutil.copy(checkout.python("old", "3.9"), inside)
    assert checkout.start("setup").returncode == 0
    assert checkout.calls()[0] == f"{python.name} -m venv --clear .venv"


# What goes wrong


@pytest.mark.parametrize("pip", ["exit 1", "kill -9 $PPID"])
def test_an_interrupted_installation_is_not_trusted(checkout, pip):
    checkout.python("python3", "3.12", pip=pip)
    assert checkout.start("setup").returncode != 0
    assert not (checkout.root / ".venv" / ".ready").exists()
    checkout.calls()
    checkout.python("python3", "3.12")
    assert checkout.start("setup").returncode == 0
    assert verbs(checkout.calls()) == ["venv", "pip"]


def test_an_interrupted_update_is_not_trusted_either(checkout):
    checkout.python("python3", "3.12")
    checkout.start("lab")
    shutil.copy(checkout.python("broken", "3.12", pip="exit 1"), checkout.root / IN_VENV)
    assert checkout.start("test").returncode != 0
    checkout.calls()
    assert checkout.start("setup").returncode == 0
    assert checkout.calls()[0] == "python3 -m venv --clear .venv"


@pytest.mark.parametrize("how", ["Ctrl-C", "kill"])
def test_a_call_that_is_stopped_in_the_middle_of_pip_ends_in_one_sentence(checkout, how):
    """Ctrl-C reaches the whole group, `kill` start.py alone: then it ends pip."""
    checkout.python("python3", "3.12", pip="echo $$ > pid; exec sleep 50")
    process = subprocess.Popen(
        [checkout.bin / "python3", "start.py", "lab"],
        cwd=checkout.root,
        env=checkout.environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pid, until = checkout.root / "pid", time.time() + 30
    while not (pid.exists() and pid.read_text()) and time.time() < until:
        time.sleep(0.02)
    if how == "kill":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[1:] == ["Stopped. The next call makes good what was not finished."]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    checkout.calls()
    checkout.python("python3", "3.12")
    assert checkout.start("lab").returncode == 0
    assert verbs(checkout.calls()) == ["venv", "pip", "jupyterlab"]


NO_NETWORK = "WARNING: Retrying after NewConnectionError(: [Errno -3] Temporary failure)"
FAILURES = {
    f"{NO_NETWORK}\nERROR: No matching distribution": "because the network did not answer",
    "ERROR: [Errno 28] No space left on device: 'x'": "because the disk is full: make room",
    "ERROR: [Errno 2]: 'x'\nHINT: no Windows Long Path support": "move this folder nearer to C:\\",
    "x\nERROR: No matching distribution for a.": "not finish: No matching distribution for a;",
    "Traceback\n  File x\nMemoryError": "did not finish: MemoryError; run",
    "": "did not finish: it said nothing; run",
}


@pytest.mark.parametrize("said, told", FAILURES.items())
def test_an_installation_that_fails_says_why_in_one_sentence(checkout, said, told):
    (checkout.bin.parent / "said").write_text(said, "utf-8")
    checkout.python("python3", "3.12", pip=f"cat '{checkout.bin.parent}/said' >&2; exit 1")
    result = checkout.start("setup")
    first, sentence = result.stderr.splitlines()
    assert result.returncode == 1
    assert first == "Installing into .venv; the first time takes some minutes."
    assert told in sentence and ".venv/pip.log" in sentence
    assert "C:\\" in told or "run python3 start.py setup again" in sentence
    assert (checkout.root / ".venv" / "pip.log").read_text("utf-8") == said


def test_where_the_locked_versions_are_not_to_be_had_the_newest_are_named(checkout):
    checkout.python("python3", "3.12", pip="exit 1")
    assert "python3 start.py lab VERSIONS=newest takes what is" in checkout.start("lab").stderr
    assert "make setup VERSIONS=newest takes what is" in checkout.make("setup").stderr
    assert "VERSIONS" not in checkout.start("setup", "VERSIONS=newest").stderr


def test_packages_that_pip_put_elsewhere_are_missed(checkout):
    checkout.python("python3", "3.12", lands=False)
    _, sentence = checkout.start("setup").stderr.splitlines()
    assert "pip installed elsewhere than into .venv" in sentence and "pip config list" in sentence
    assert not (checkout.root / ".venv" / ".ready").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(checkout):
    checkout.python("python3", "3.12")
    (checkout.root / ".venv").write_text("a file")
    sentence = sentence_of(checkout.start("lab"))
    assert f"{checkout.root.parent}/a b" in sentence
    assert "cannot be written (File exists)" in sentence
    if os.geteuid():
        (checkout.root / ".venv").unlink()
        checkout.root.chmod(0o555)
        assert "cannot be written (Permission" in sentence_of(checkout.start("lab"))
        checkout.root.chmod(0o755)


def test_an_environment_that_cannot_be_made_is_one_sentence(checkout):
    python = checkout.python("python3", "3.12")
    fails = '"-m venv"*) echo "a\nb: busy" >&2; exit 1;'
    python.write_text(python.read_text("utf-8").replace('"-m venv"*) ', fails), "utf-8")
    sentence = sentence_of(checkout.start("lab"))
    assert "could not make .venv (b: busy): close what runs in it" in sentence


def test_what_is_no_command_is_one_sentence(checkout):
    checkout.python("python3", "3.14")
    sentence = sentence_of(checkout.start("labb"), 2)
    assert sentence == 'There is no command "labb": python3 start.py help lists them.'
    assert sentence_of(checkout.start("setup", "-x"), 2) == 'Nothing follows setup, but "-x" does.'


# The machine's own settings


def test_settings_of_the_machine_lead_neither_pip_nor_a_command_elsewhere(checkout):
    foreign = dict.fromkeys(start.FOREIGN.split() + start.PIP_FOREIGN.split(), "/elsewhere")
    foreign |= dict.fromkeys(start.PIP_OFF.split(), "1") | {"PYTHONHOME": ""}
    kept = {"PIP_INDEX_URL": "https://a/b", "PIP_CONFIG_FILE": "/c", "HTTPS_PROXY": "d", "CI": "1"}
    checkout.python("python3", "3.12")
    for arguments in (["setup"], ["check"]):
        assert checkout.start(*arguments, environment=foreign | kept).returncode == 0
        seen = checkout.seen()
        assert kept.items() <= seen.items()
        assert not set(start.FOREIGN.split()) & seen.keys()
        if arguments == ["setup"]:
            assert not set(start.PIP_FOREIGN.split()) & seen.keys()
            assert {seen[name] for name in start.PIP_OFF.split()} == {"0"}
            assert seen["PIP_CONSTRAINT"] == start.LOCKED


def test_the_newest_versions_leave_the_machine_s_own_constraint_alone(checkout):
    checkout.python("python3", "3.12")
    checkout.start("setup", "VERSIONS=newest", environment={"PIP_CONSTRAINT": "/mine"})
    assert checkout.seen()["PIP_CONSTRAINT"] == "/mine"


# Where no Python fits


def test_nothing_is_fetched_without_a_yes(checkout):
    checkout.python("python3", "3.14")
    sentence = sentence_of(checkout.start("lab", stdin=subprocess.DEVNULL))
    assert "is Python 3.14: install one from python.org" in sentence
    assert sentence.endswith("fetch one into this folder: python3 start.py --fetch-python lab.")
    assert checkout.calls() == []
    assert not (checkout.root / start.FETCHED_FOLDER).exists()


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("arguments", [["--fetch-python", "lab"], ["lab", "--fetch-python"]])
def test_with_a_yes_uv_fetches_a_python_into_the_folder_and_it_is_kept(checkout, there, arguments):
    """uv comes from PATH, or by pip into an environment that is gone afterwards."""
    checkout.python("kept", "3.12")
    checkout.python("python3", "3.14")
    if there:
        checkout.script("uv", f'case "$*" in "python install 3.12") {checkout.uv()} ;; esac')
    assert checkout.start(*arguments).returncode == 0
    *before, venv, pip, lab = checkout.calls()
    assert verbs(before) == ([] if there else ["venv", "pip", "uv"])
    assert there or not Path(before[0].split()[-1]).exists()
    assert venv == "kept -m venv --clear .venv"
    shutil.rmtree(checkout.root / ".venv")
    assert checkout.start("lab").returncode == 0  # without a question
    assert verbs(checkout.calls()) == ["venv", "pip", "jupyterlab"]


def test_what_uv_cannot_fetch_is_one_sentence_that_says_what_to_do_by_hand(checkout):
    checkout.python("python3", "3.14")
    script = f'case "$*" in "python install"*) {checkout.uv(fails=True)} ;; esac'
    checkout.script("uv", script)
    result = checkout.start("--fetch-python", "lab")
    first, sentence = result.stderr.splitlines()
    assert result.returncode == 1 and first == "Fetching Python 3.12 into .venv-python."
    assert sentence.startswith("uv could not fetch a Python (error: no route to host): install one")


@pytest.mark.parametrize("answer, yes", [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_it_asks_first(checkout, answer, yes):
    checkout.python("kept", "3.13")
    checkout.python("python3", "3.14")
    checkout.script("uv", f'case "$*" in "python install 3.12") {checkout.uv()} ;; esac')
    ours, theirs = os.openpty()
    os.write(ours, f"{answer}\n".encode())
    result = checkout.start("lab", stdin=theirs, stderr=theirs, stdout=theirs, capture_output=False)
    said = os.read(ours, 10000).decode()
    for end in (ours, theirs):
        os.close(end)
    assert "Fetch Python 3.12 with uv into this folder? [y/N]" in said
    assert (result.returncode == 0) is yes
    assert bool(checkout.calls()) is yes


# What it starts


def test_test_and_check_call_pytest(checkout):
    checkout.python("python3", "3.12")
    workers = "--numprocesses auto --dist loadfile"
    told = {
        "test": f"python3 -m pytest --nbval {workers} --durations 10 tests notebooks -m not weekly"
        " -k one or two",
        "weekly": f"python3 -m pytest --nbval {workers} --durations 10 tests notebooks"
        " -k one or two",
        "check": "python3 -m pytest -p no:nbval -m not (keras or browser or slow or weekly)"
        f" {workers} tests -k one or two",
        "coverage": "python3 -m pytest --cov --cov-report=term -k one or two",
        "colab": "python3 -m pytest --nbval-lax --disable-warnings notebooks -k one or two",
    }
    for name, call in told.items():
        assert checkout.start(name, "-k", "one or two").returncode == 0
        assert checkout.calls()[-1] == call
    assert checkout.start("coverage").returncode == 0
    assert checkout.calls()[-1].endswith("--cov-report=term tests")


def test_a_command_is_red_when_pytest_is_and_its_exit_status_is_handed_on(checkout):
    checkout.python("python3", "3.12", pytest="exit 5")
    assert checkout.start("test").returncode == 5
    assert checkout.make("test").returncode != 0


def test_colab_runs_every_notebook_with_colab_s_versions(checkout):
    checkout.python("python3", "3.11")
    assert checkout.start("colab", "-x").returncode == 0
    venv, pip, _ = checkout.calls()
    assert venv == "python3 -m venv --clear .venv-colab"
    assert pip.endswith("--editable .[cells] with tests/colab.txt and tests/colab.txt")
    assert not (checkout.root / ".venv").exists()
    assert checkout.start("colab", "VERSIONS=newest").returncode == 0
    assert verbs(checkout.calls()) == ["pytest"]
    checkout.change("tests/colab.txt")
    assert checkout.start("colab").returncode == 0
    assert verbs(checkout.calls()) == ["pip", "pytest"]


def test_lab_opens_the_first_notebook_from_wherever_it_is_called(checkout):
    checkout.python("python3", "3.12")
    command = [checkout.bin / "python3", "../a bü/start.py", "lab", "--no-browser"]
    assert checkout.call(*command, cwd=checkout.bin).returncode == 0
    call = checkout.calls()[-1]
    assert call.startswith("python3 -m jupyterlab --ServerApp.root_dir=. notebooks/00_start_here")
    assert call.endswith(" --no-browser")
    assert checkout.seen()["PWD"] == str(checkout.root)


def test_play_opens_the_page_and_gives_memory_back_on_linux_alone():
    environment = {"A": "b", "JUPYTER_PATH": "c"}
    linux, mac = (start.environment_of("play", environment, name) for name in ("linux", "darwin"))
    assert mac == {"A": "b", "JUPYTER_PATH": "notebooks"}
    assert linux == mac | start.MALLOC
    assert start.environment_of("lab", environment) == environment
    assert "notebooks/playground.ipynb" in start.WORDS["play"]


def test_links_hands_the_name_on_in_one_piece(checkout):
    checkout.python("python3", "3.12")
    for arguments, words in (
        ((), ""),
        (["REPOSITORY=me/it"], " me/it"),
        (["REPOSITORY=a b"], " a b"),
    ):
        for call in (checkout.start, checkout.make):
            assert call("links", *arguments).returncode == 0
            assert checkout.calls()[-1] == f"python3 tools/links.py{words}"


def test_versions_has_an_option_of_its_own_called_python(checkout):
    checkout.python("python3", "3.12")
    checkout.start("versions", "--python", "3.13", "--set", "oldest")
    assert checkout.calls()[-1] == "python3 tools/versions.py --python 3.13 --set oldest"


def test_mutants_and_fuzz_add_what_they_alone_need(checkout):
    checkout.python("python3", "3.12")
    for name in ("mutants", "fuzz"):
        assert checkout.start(name).returncode == 0
        assert checkout.calls()[-2].endswith(f"--editable .[{name}]")


def test_every_command_starts_a_file_or_a_module():
    names = [name for name, _ in start.SAYS]
    assert names == [*dict.fromkeys(names)]
    assert set(names) == start.WORDS.keys() | set(start.ALONE)
    for words in start.WORDS.values():
        assert words[0] == "-m" or (ROOT / words[0]).is_file()
    assert set(start.ONLY_LESSONS) | set(start.OWN_EXTRA) <= start.WORDS.keys()


def test_clean_removes_what_can_be_made_again_and_nothing_else(checkout):
    checkout.python("python3", "3.12")
    checkout.start("setup")
    outside = checkout.bin.parent / "outside"
    for folder in (outside, checkout.root / "tests" / "__pycache__", checkout.root / "book/_build"):
        folder.mkdir(parents=True)
        (folder / "x").touch()
    (checkout.root / ".venv-colab").symlink_to(outside)
    assert checkout.start("clean").returncode == 0
    left = {path.relative_to(checkout.root).as_posix() for path in checkout.root.rglob("*")}
    files = {"start.py", "Makefile", "pyproject.toml", "tests/colab.txt", "tests/locked.txt"}
    assert left == files | {"tests", "book"}
    assert (outside / "x").exists()


# make


def test_make_is_the_same_and_hands_on_what_it_is_told(checkout):
    checkout.python("python3", "3.12")
    checkout.python("mine", "3.11")
    for arguments, made, pip, last in (
        ([], "python3", " with tests/locked.txt and tests/locked.txt", "-m not weekly"),
        (["VERSIONS=newest", "ARGS=-k 'one or two'"], "python3", "", "weekly -k one or two"),
        ([f"PYTHON={checkout.bin}/mine", "VERSIONS=locked"], "mine", None, "-m not weekly"),
    ):
        assert checkout.make("test", *arguments).returncode == 0
        calls = checkout.calls()
        assert calls[0] == f"{made} -m venv --clear .venv"
        assert pip is None or calls[1].endswith(f"--editable .[test]{pip}")
        assert calls[2].endswith(last)


def test_make_without_any_python_says_so_in_one_sentence(checkout):
    result = checkout.make("lab")
    assert result.returncode != 0
    assert "Python 3.11, 3.12 or 3.13 is needed, but none was found" in result.stderr


def test_make_refuses_in_the_same_sentence(checkout):
    checkout.python("python3", "3.12")
    checkout.python("old", "3.9")
    said, _ = checkout.make("setup", f"PYTHON={checkout.bin}/old").stderr.splitlines()
    assert f"but {checkout.bin}/old is Python 3.9" in said


def test_make_alone_is_help_and_has_every_command(checkout):
    checkout.python("python3", "3.14")
    said = checkout.make().stdout
    assert said == checkout.start().stdout == checkout.start("--help").stdout
    listed = re.findall(r"^(\w+) {2,}\w.*$", said, re.M)
    assert listed == [name for name, _ in start.SAYS]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = re.search(r"^COMMANDS = ([a-z\s\\]+)", makefile, re.M)[1].replace("\\", " ").split()
    assert commands == [name for name, _ in start.SAYS if name != "help"]
    assert f"PYTHONS = {' '.join(start.NAMES)}\n" in makefile


# Windows, and Macs with an Intel processor


class Machine:
    """Another computer: start.py's `ask` and `start` are played by it."""

    def __init__(self, root, pythons, packages):
        self.root, self.pythons, self.packages = root, pythons, packages
        self.calls, self.imported = [], []

    def ask(self, command, environment):
        if command[-1] == start.PROBE:
            found = self.pythons.get(" ".join(command[:-2]))
            return found and (0, json.dumps(found), "")
        if "-c" in command:
            self.imported.append(command[-1])
            return 0, "", ""
        self.calls.append((command, environment))
        if "venv" in command:
            self.pythons[start.python_in(str(self.root / command[-1]))] = self.pythons[
                " ".join(command[: command.index("-m")])
            ]
            (self.root / self.packages).mkdir(parents=True)
        if "pip" in command:
            (self.root / self.packages / "cmc_helpers-1.dist-info").mkdir(exist_ok=True)
        return (1, "", "") if command[0] == "uv" else (0, "", "")

    def start(self, command, environment):
        self.calls.append((command, environment))
        return 0


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that makes this a machine with these Pythons; `main` then is start.py there."""

    def make(packages, windows, **pythons):
        pythons = {name.replace("_", " "): found for name, found in pythons.items()}
        one = Machine(tmp_path, pythons, packages)
        monkeypatch.setattr(start, "ROOT", str(tmp_path))
        monkeypatch.setattr(start, "WINDOWS", windows)
        monkeypatch.setattr(start, "ask", one.ask)
        monkeypatch.setattr(start, "start", one.start)
        monkeypatch.setattr(start.sys, "executable", "launching")
        for name in ("MAKELEVEL", "PYTHON", "VERSIONS", "REPOSITORY"):
            monkeypatch.delenv(name, raising=False)
        return one

    return make


def python_of(version, platform="win-amd64", machine="AMD64"):
    return {
        "version": version,
        "platform": platform,
        "machine": machine,
        "prefix": "/",
        "base": "",
        "venv": True,
    }


WINDOWS_PACKAGES = ".venv/Lib/site-packages"
MAC_PACKAGES = ".venv/lib/python3.12/site-packages"


def test_on_windows_py_finds_a_python_and_the_environment_s_own_is_in_scripts(machine):
    pythons = {"launching": python_of("3.14"), "py_-3.12": python_of("3.12")}
    windows = machine(WINDOWS_PACKAGES, True, **pythons)
    assert start.main(["lab"]) == 0
    venv, pip, lab = [command for command, _ in windows.calls]
    assert venv == ["py", "-3.12", "-m", "venv", "--clear", ".venv"]
    inside = os.path.join(str(windows.root), ".venv", "Scripts", "python.exe")
    assert pip[0] == lab[0] == inside
    assert start.main(["lab"]) == 0
    assert len(windows.calls) == 4  # nothing is installed again


def test_on_windows_what_is_missing_is_said_as_it_is_got_there(machine, capsys):
    pythons = {"launching": python_of("3.14"), "py_-3.13": python_of("3.13", "win-arm64")}
    windows = machine(WINDOWS_PACKAGES, True, **pythons)
    assert start.main(["lab"]) == 1
    sentence = capsys.readouterr().err
    assert "but launching is Python 3.14: install one from python.org or with: py install 3.12" in (
        sentence
    )
    assert "python start.py --fetch-python lab" in sentence
    del windows.pythons["launching"]
    assert start.main(["lab"]) == 1
    assert "py -3.13 is made for win-arm64, and TensorFlow for 64-bit" in capsys.readouterr().err
    assert [command[0] for command, _ in windows.calls] == ["uv", "uv"]  # is it there?


def test_py_is_not_let_load_a_python_by_itself(monkeypatch):
    seen = []
    monkeypatch.setattr(start, "ask", lambda command, environment: seen.append(environment))
    assert start.probe(["py", "-3.12"], {"PYLAUNCHER_ALLOW_INSTALL": "1"}) is None
    assert seen == [{"PYTHON_MANAGER_AUTOMATIC_INSTALL": "false"}]


def test_on_windows_what_needs_fork_is_refused(machine, capsys):
    windows = machine(WINDOWS_PACKAGES, True)
    for name in start.OWN_EXTRA:
        assert start.main([name]) == 1
        assert capsys.readouterr().err == (
            f"{name} needs a system that can fork, which Windows cannot.\n"
        )
    assert windows.calls == []


def test_on_windows_it_waits_for_the_command_through_ctrl_c_and_hands_its_status_on(monkeypatch):
    class Process:
        waited = 0

        def __init__(self, command, env):
            pass

        def wait(self):
            Process.waited += 1
            if Process.waited < 3:
                raise KeyboardInterrupt
            return 7

    monkeypatch.setattr(start, "WINDOWS", True)
    monkeypatch.setattr(start.os, "chdir", lambda folder: None)
    with monkeypatch.context() as patched:
        patched.setattr(start.subprocess, "Popen", Process)
        assert start.start(["x"], {}) == 7
    command = [sys.executable, "-c", "raise SystemExit(9)"]
    assert start.start(command, dict(os.environ)) == 9


@pytest.mark.parametrize("command", ["lab", "play"])
def test_an_intel_mac_is_told_what_runs_there_before_anything_is_loaded(machine, capsys, command):
    python = python_of("3.12", "macosx-10.13-universal2", "x86_64")
    mac = machine(MAC_PACKAGES, False, launching=python)
    assert start.main([command]) == 0
    told, installing = capsys.readouterr().err.splitlines()
    assert "TensorFlow has no version for Macs with an Intel processor" in told
    assert "Binder" in told and "Colab" in told
    (_, (pip, environment), (last, _)) = mac.calls
    assert pip[-5:] == [*"--editable .[playground] jupyterlab>=4.2".split(), *pip[-2:]]
    assert "PIP_CONSTRAINT" not in environment  # the locked numba has no wheel there
    assert start.main([command]) == 0
    assert capsys.readouterr().err == ""
    assert len(mac.calls) == 4
    assert mac.imported == ["import librosa.onset"]  # what that compiles is made by one process


@pytest.mark.parametrize("command", ["test", "setup", "colab"])
def test_an_intel_mac_is_told_that_the_rest_does_not_run(machine, capsys, command):
    python = python_of("3.12", "macosx-10.13-universal2", "x86_64")
    mac = machine(MAC_PACKAGES, False, launching=python)
    for _ in range(2):
        assert start.main([command]) == 1
        (sentence,) = capsys.readouterr().err.splitlines()
        assert "nothing but lab, play, links runs here" in sentence
        mac.calls.clear()
        assert start.main(["lab"]) == 0  # and that stays as it is
        capsys.readouterr()


def test_a_mac_with_an_m_processor_gets_everything_in_silence(machine, capsys):
    python = python_of("3.12", "macosx-11.0-arm64", "arm64")
    mac = machine(MAC_PACKAGES, False, launching=python)
    assert start.main(["test"]) == 0
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert mac.calls[1][0][-1] == ".[test]"


def test_a_read_only_disk_is_one_sentence(machine, capsys, monkeypatch):
    mac = machine(MAC_PACKAGES, False, launching=python_of("3.12", "macosx-11.0-arm64", "arm64"))

    def refuse(path):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(start.os, "mkdir", refuse)
    assert start.main(["lab"]) == 1
    assert capsys.readouterr().err == (
        f"{os.path.join(str(mac.root), '.venv')} cannot be written (Read-only file system): "
        "copy this folder to where you may write, and start.\n"
    )


def test_help_needs_no_environment_and_no_python_that_fits():
    command = [sys.executable, str(ROOT / "start.py")]
    with contextlib.chdir(ROOT.anchor):
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "lab        open JupyterLab on the first notebook" in said.splitlines()
