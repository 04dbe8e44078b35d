"""From a fresh clone to a working .venv: the two commands, and the lists that must agree.

Nothing is installed here. A fake Python, a shell script, answers what the Makefile asks and
writes down the rest.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
REPOSITORY = PROJECT["project"]["urls"]["Repository"]
VERSIONS = ["3.11", "3.12", "3.13"]
IN_VENV = Path(".venv", "bin", "python")
PYTHONS = ["python3.13", "python3.12", "python3.11", "python3", "python"]


class Checkout:
    """A folder with a space in its name, the Makefile, and a PATH of fake Pythons."""

    def __init__(self, folder):
        self.root, self.bin, self.calls_file = folder / "a b", folder / "bin", folder / "calls"
        self.root.mkdir()
        self.bin.mkdir()
        (self.root / "tests").mkdir()
        for name in ("Makefile", "pyproject.toml", "tests/colab.txt", "tests/locked.txt"):
            shutil.copy(ROOT / name, self.root / name)
        for name in PYTHONS:  # hide the real ones
            self.script(name, "exit 127")

    def script(self, name, text):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        path.chmod(0o755)
        return path

    def python(self, name, version, *, venv=True, pip="exit 0", pytest="exit 0"):
        """A Python that believes to be `version`; with `venv=False`, Debian's bare one."""
        site = self.bin / f"{name}-site"
        site.mkdir(exist_ok=True)
        numbers = (*map(int, version.split(".")), 0, "final", 0)
        bare = "" if venv else "sys.modules['ensurepip'] = None"
        (site / "sitecustomize.py").write_text(f"import sys\nsys.version_info = {numbers}\n{bare}")
        return self.script(
            name,
            f"""
            case "$*" in
            -c*) PYTHONPATH='{site}' exec '{sys.executable}' "$@" ;;
            esac
            with="${{PIP_CONSTRAINT:+ with $PIP_CONSTRAINT and $PIP_BUILD_CONSTRAINT}}"
            echo "{name} $*$with" >> '{self.calls_file}'
            case "$*" in
            "-m venv"*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
            "-m pip"*) {pip} ;;
            "-m pytest"*) {pytest} ;;
            esac
            """,
        )

    def make(self, *arguments):
        return subprocess.run(
            [shutil.which("make"), *arguments],
            cwd=self.root,
            env={"PATH": f"{self.bin}:{os.defpath}:/usr/bin:/bin", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=60,
        )

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


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def refusal(result):
    """The one sentence on stderr, without the line that make itself adds."""
    assert result.returncode != 0
    assert result.stdout == ""
    (sentence,) = [x for x in result.stderr.splitlines() if not re.match(r"g?make: \*\*\*", x)]
    return sentence


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10", "3.14", "4.11"])
def test_a_python_that_does_not_fit_is_refused_in_one_sentence(checkout, version):
    checkout.python("python3", version)
    sentence = refusal(checkout.make("setup"))
    assert f"3.11, 3.12 or 3.13 is needed, but python3 is Python {version}" in sentence
    assert checkout.calls() == []
    assert not (checkout.root / ".venv").exists()


def test_no_python_at_all_is_said_in_one_sentence(checkout):
    assert "is needed, but none was found" in refusal(checkout.make("setup"))


def test_a_python_without_venv_is_refused_with_the_package_that_brings_it(checkout):
    checkout.python("python3", "3.12", venv=False)
    sentence = refusal(checkout.make("setup"))
    assert "Python 3.12 lacks the venv module" in sentence
    assert "apt install python3.12-venv" in sentence
    assert checkout.calls() == []


@pytest.mark.parametrize(
    "name, reason", [("python-old", "is Python 3.9"), ("missing", "is not Python")]
)
def test_a_python_named_by_hand_is_the_only_one_tried(checkout, name, reason):
    checkout.python("python3", "3.12")
    checkout.python("python-old", "3.9")
    path = checkout.bin / name
    assert f"but {path} {reason}" in refusal(checkout.make("setup", f"PYTHON={path}"))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_supported_python_makes_the_environment(checkout, version):
    checkout.python("python", version)
    assert checkout.make("setup").returncode == 0
    assert checkout.calls() == [
        "python -m venv --clear .venv",
        "python -m pip install --quiet --disable-pip-version-check --editable .[test]"
        " with tests/locked.txt and tests/locked.txt",
    ]


def test_the_first_python_that_fits_is_taken(checkout):
    checkout.python("python3.13", "3.13", venv=False)
    checkout.python("python3.11", "3.11")
    checkout.python("python3", "3.12")
    assert checkout.make("setup").returncode == 0
    assert checkout.calls()[0].startswith("python3.11 -m venv")


def test_a_second_setup_installs_nothing(checkout):
    checkout.python("python3", "3.12")
    assert checkout.make("setup").returncode == 0
    assert len(checkout.calls()) == 2
    assert checkout.make("setup").returncode == 0
    assert checkout.make("test").returncode == 0
    assert [call.split()[2] for call in checkout.calls()] == ["pytest"]


@pytest.mark.parametrize("changed", ["pyproject.toml", "tests/locked.txt"])
def test_new_dependencies_are_installed_into_the_same_environment(checkout, changed):
    checkout.python("python3", "3.12")
    checkout.make("setup")
    checkout.calls()
    checkout.change(changed)
    assert checkout.make("setup").returncode == 0
    assert [call.split()[2] for call in checkout.calls()] == ["pip"]


def test_the_newest_versions_are_kept_until_the_locked_ones_are_asked_for(checkout):
    checkout.python("python3", "3.12")
    told = {}
    for arguments in (["setup"], ["setup", "VERSIONS=newest"], ["test"], ["test"]):
        assert checkout.make(*arguments).returncode == 0
        told[len(told)] = checkout.calls()
    locked, newest, *tests = told.values()
    assert locked[1] == f"{newest[1]} with tests/locked.txt and tests/locked.txt"
    assert "--clear" in newest[0]  # nothing locked is left
    assert [[call.split()[2] for call in calls] for calls in tests] == [["pytest"]] * 2
    checkout.change("pyproject.toml")
    checkout.make("setup")
    assert checkout.calls() == newest[1:]
    checkout.make("setup", "VERSIONS=locked")
    assert checkout.calls() == locked


def test_other_versions_than_locked_and_newest_are_refused_in_one_sentence(checkout):
    sentence = refusal(checkout.make("setup", "VERSIONS=newset"))
    assert 'VERSIONS is either locked or newest, not "newset"' in sentence


def test_where_the_locked_versions_are_not_to_be_had_the_newest_are_named(checkout):
    checkout.python("python3", "3.12", pip="exit 1")
    assert "make setup VERSIONS=newest takes what is" in checkout.make("setup").stderr
    assert "VERSIONS" not in checkout.make("setup", "VERSIONS=newest").stderr


@pytest.mark.parametrize("pip", ["exit 1", "kill -9 $PPID"])
def test_an_interrupted_installation_is_not_trusted(checkout, pip):
    checkout.python("python3", "3.12", pip=pip)
    assert checkout.make("setup").returncode != 0
    assert not (checkout.root / ".venv" / ".ready").exists()
    checkout.calls()
    checkout.python("python3", "3.12")
    assert checkout.make("setup").returncode == 0
    assert [call.split()[2] for call in checkout.calls()] == ["venv", "pip"]


def test_an_interrupted_update_is_not_trusted_either(checkout):
    python = checkout.python("python3", "3.12")
    checkout.make("setup")
    shutil.copy(checkout.python("broken", "3.12", pip="exit 1"), checkout.root / IN_VENV)
    checkout.change("pyproject.toml")
    assert checkout.make("setup").returncode != 0
    checkout.calls()
    assert checkout.make("setup").returncode == 0
    assert checkout.calls()[0] == f"{python.name} -m venv --clear .venv"


def test_a_moved_folder_gets_an_environment_of_its_own(checkout):
    checkout.python("python3", "3.12")
    checkout.make("setup")
    checkout.calls()
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert checkout.make("setup").returncode == 0
    assert checkout.calls()[0] == "python3 -m venv --clear .venv"


def test_an_environment_that_lost_its_python_is_made_anew(checkout):
    checkout.python("python3", "3.12")
    checkout.make("setup")
    checkout.calls()
    (checkout.root / IN_VENV).unlink()
    assert checkout.make("setup").returncode == 0
    assert checkout.calls()[0] == "python3 -m venv --clear .venv"


def test_make_test_runs_the_tests_and_every_notebook(checkout):
    checkout.python("python3", "3.12")
    assert checkout.make("test", "ARGS=-k 'one or two'").returncode == 0
    words = checkout.calls()[-1].split()
    assert words[1:4] == ["-m", "pytest", "--nbval"]  # strict: not --nbval-lax
    assert {"tests", "notebooks"} <= set(words)
    assert words[-4:] == ["-k", "one", "or", "two"]


def test_make_test_is_red_when_pytest_is(checkout):
    checkout.python("python3", "3.12", pytest="exit 1")
    assert checkout.make("test").returncode != 0


def test_make_colab_runs_every_notebook_with_colab_s_versions(checkout):
    checkout.python("python3.11", "3.11")
    checkout.python("python3", "3.12")
    assert checkout.make("colab", "ARGS=-x").returncode == 0
    venv, pip, pytest = checkout.calls()
    assert venv == "python3.11 -m venv --clear .venv-colab"
    assert pip.endswith("--editable .[cells] with tests/colab.txt and tests/colab.txt")
    assert {"--nbval-lax", "notebooks", "-x"} <= set(pytest.split())
    assert not (checkout.root / ".venv").exists()
    assert checkout.make("colab").returncode == 0
    assert [call.split()[2] for call in checkout.calls()] == ["pytest"]
    checkout.change("tests/colab.txt")
    assert checkout.make("colab").returncode == 0
    assert [call.split()[2] for call in checkout.calls()] == ["pip", "pytest"]


def test_make_lab_opens_the_first_notebook(checkout):
    checkout.python("python3", "3.12")
    assert checkout.make("lab").returncode == 0
    words = checkout.calls()[-1].split()
    assert (words[2], words[-1]) == ("jupyterlab", "notebooks/00_start_here.ipynb")


def test_make_links_hands_the_name_on_in_one_piece(checkout):
    checkout.python("python3", "3.12")
    for arguments, words in (
        ((), ""),
        (["REPOSITORY=me/it"], " me/it"),
        (["REPOSITORY=a b"], " a b"),
    ):
        assert checkout.make("links", *arguments).returncode == 0
        assert checkout.calls()[-1] == f"python3 notebooks/links.py{words}"


def test_make_alone_is_make_help_and_lists_every_target(checkout):
    phony = re.search(r"^\.PHONY: ([a-z\s\\]+)", MAKEFILE, re.M)[1].replace("\\", " ").split()
    listed = re.findall(r"^make (\w+) +\w.*$", checkout.make().stdout, re.M)
    assert sorted(listed) == sorted(phony)
    assert {"help", "setup", "lab", "test"} <= set(phony)


@pytest.mark.parametrize(
    "missing", [[], ["python3-venv"], ["chromium"], ["python3-venv", "chromium"]]
)
def test_ci_installs_only_what_is_missing_and_calls_make_test(tmp_path, missing):
    tools, log = tmp_path / "bin", tmp_path / "log"
    (tmp_path / "work" / ".ci").mkdir(parents=True)
    script = shutil.copy(ROOT / ".ci" / "run", tmp_path / "work" / ".ci")
    tools.mkdir()
    for name in ("sh", "bash", "dirname"):
        (tools / name).symlink_to(shutil.which(name))
    fakes = {
        "make": f"echo $PWD: make $* CI=$CI >> '{log}'",
        "git": "exit 0",
        "python3": f"exit {int('python3-venv' in missing)}",
        "nothing" if "chromium" in missing else "google-chrome": "exit 0",
        "apt-get": f"echo apt-get $* >> '{log}'",
        "sudo": 'exec "$@"',
    }
    for name, text in fakes.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        (tools / name).chmod(0o755)
    subprocess.run([script], env={"PATH": str(tools)}, cwd="/", check=True, timeout=60)
    *apt, last = log.read_text("utf-8").splitlines()
    assert last == f"{tmp_path / 'work'}: make test CI=true"  # no test of the browser is skipped
    assert [call.split()[1] for call in apt] == (["update", "install"] if missing else [])
    assert not missing or apt[-1].endswith(" ".join(["", *missing]))


def test_the_workflow_runs_the_same_on_every_supported_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == VERSIONS
    (step,) = [step for step in job["steps"] if "run" in step]
    assert step["run"] == ".ci/run"
    assert step["env"] == {"PYTHON": "python${{ matrix.python }}"}
    assert "schedule" in workflow[True]  # YAML reads the key "on" as true


def test_the_workflow_runs_colab_s_versions_once_a_week():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    job = workflow["jobs"]["colab"]
    assert job["if"] == "github.event_name == 'schedule'"
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make colab"]


def test_the_supported_pythons_are_the_same_everywhere():
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert " | ".join(VERSIONS) + ")" in MAKEFILE
    assert f"PYTHONS = {' '.join(PYTHONS)}\n" in MAKEFILE


def test_tensorflow_is_only_in_its_extra_so_that_colab_keeps_its_own():
    base, extras = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]
    assert not [line for line in base if re.match("tensorflow|keras", line)]
    assert "cmc-helpers[tensorflow]" in extras["lab"]
    assert {"cmc-helpers[cells]", "cmc-helpers[lab]"} <= set(extras["test"])
    # An upper bound would make pip replace what Colab has.
    requirements = [line.partition(";")[0] for line in base + extras["tensorflow"]]
    assert [line for line in requirements if not re.fullmatch(r"[\w-]+>=[\d.]+", line)] == []


def test_what_colab_has_is_good_enough_so_that_pip_adds_optuna_and_changes_nothing_there():
    lines = (ROOT / "tests" / "colab.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    extras = PROJECT["project"]["optional-dependencies"]
    lines = PROJECT["project"]["dependencies"] + extras["tensorflow"]
    requirements = {requirement.name: requirement for requirement in map(Requirement, lines)}
    assert requirements.keys() - pins.keys() == {"optuna"}
    for name in requirements.keys() & pins.keys():
        assert requirements[name].specifier.contains(pins[name]), name


@pytest.mark.parametrize(
    "module",
    ["audio", "bach", "corpora", "features", "inversion", "mixtures", "sequences", "soundfonts"],
)
def test_signal_processing_does_not_wait_for_tensorflow(module):
    assert not {"tensorflow", "keras"} & imported_with(f"cmc_helpers.{module}")


def test_importing_the_package_is_cheap():
    heavy = {"keras", "librosa", "matplotlib", "numba", "scipy", "sklearn", "tensorflow"}
    assert not heavy & imported_with("cmc_helpers")


def imported_with(module):
    """The top-level modules that a fresh Python holds after importing `module`."""
    code = f"import json, sys, {module}; print(json.dumps([*sys.modules]))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(result.stdout)}


def test_a_wheel_carries_the_samples_and_what_experiments_found(tmp_path):
    """What Colab installs is no checkout: these must lie inside the package."""
    pytest.importorskip("setuptools", minversion="77")
    files = {
        "cmc_helpers/__init__.py",
        "cmc_helpers/exercises/__init__.py",
        "data_samples/bounce.csv",
        "data_samples/runs/bach/model.keras",
        "data_samples/make_samples.py",
        "experiments/one.json",
        "experiments/one.py",
    }
    for name in files | {"README.md", "data_samples/runs/__pycache__/x.pyc"}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    code = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    moved = {"data_samples/": "cmc_helpers/data_samples/"}
    moved |= {"experiments/": "cmc_helpers/long_experiments/"}
    assert packed == {
        next((name.replace(a, b) for a, b in moved.items() if name.startswith(a)), name)
        for name in files
    }


def test_every_folder_of_the_package_is_packed():
    folders = {path.parent for path in (ROOT / "cmc_helpers").rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert names <= set(PROJECT["tool"]["setuptools"]["packages"])


def test_the_citation_agrees_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = PROJECT["project"]
    assert citation["title"] == project["name"]
    assert citation["version"] == project["version"]
    assert citation["abstract"] == project["description"]
    assert citation["license"] == project["license"]
    assert citation["repository-code"] == REPOSITORY
    assert [a["name"] for a in citation["authors"]] == [a["name"] for a in project["authors"]]
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Naterop", "Giacomuzzi"]
