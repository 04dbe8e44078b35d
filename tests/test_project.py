"""The lists that must agree: what is installed where, what runs where, what is packed and cited."""

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
from servers import start

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
REPOSITORY = PROJECT["project"]["urls"]["Repository"]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))


@pytest.mark.skipif(os.name == "nt", reason="the fakes are shell scripts")
@pytest.mark.parametrize(
    "missing", [[], ["python3-venv"], ["chromium"], ["python3-venv", "chromium"], ["fluidsynth"]]
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
        "no" if "fluidsynth" in missing else "fluidsynth": "exit 0",
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
    # With the soundfont, or the tests that play it are skipped.
    missing = missing + ["fluid-soundfont-gm"] * ("fluidsynth" in missing)
    assert not missing or apt[-1].endswith(" ".join(["", *missing]))


def commands_of(job):
    return [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step]


def test_the_workflow_runs_the_same_on_every_supported_python():
    job = WORKFLOW["jobs"]["test"]
    assert job["runs-on"] == "ubuntu-latest"
    assert job["strategy"]["matrix"]["python"] == start.PYTHONS
    (step,) = [step for step in job["steps"] if "run" in step]
    assert step["run"] == ".ci/run"
    assert step["env"] == {"PYTHON": "python${{ matrix.python }}"}
    assert "schedule" in WORKFLOW[True]  # YAML reads the key "on" as true


def test_the_workflow_checks_windows_and_macos_without_make():
    job = WORKFLOW["jobs"]["check"]
    assert job["runs-on"] == "${{ matrix.system }}"
    assert job["strategy"]["matrix"]["system"] == ["windows-latest", "macos-latest"]
    assert commands_of("check") == ["python start.py check"]
    assert "if" not in job


@pytest.mark.parametrize("name", ["weekly", "colab"])
def test_the_workflow_runs_it_once_a_week(name):
    assert WORKFLOW["jobs"][name]["if"] == "github.event_name == 'schedule'"
    assert commands_of(name)[-1] == f"python start.py {name}"


def test_the_supported_pythons_are_the_same_everywhere():
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert start.PYTHONS == ["3.11", "3.12", "3.13"]
    (conda,) = [
        line
        for line in yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
        if str(line).startswith("python=")
    ]
    assert conda == f"python={start.FETCHED}"


def test_what_start_py_installs_is_in_the_list_of_extras():
    extras = PROJECT["project"]["optional-dependencies"]
    for venv in (start.VENV, start.COLAB_VENV):
        for names in venv.extras.values():
            assert set(names.split(",")) <= extras.keys()
        assert (ROOT / venv.versions).is_file()
    assert set(start.OWN_EXTRA) <= extras.keys()
    # On a Mac with an Intel processor `lab` is this without TensorFlow.
    assert [x for x in extras["lab"] if "tensorflow" not in x and "ipywidgets" not in x] == [
        "jupyterlab>=4.2"
    ]


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    ["audio", "corpora", "features", "inversion", "mixtures", "scores.bach", "scores.soundfonts"]
    + ["sequences", "vectors"],
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


@pytest.mark.slow
def test_a_wheel_carries_the_samples_and_what_experiments_found(tmp_path):
    """What Colab installs is no checkout: these must lie inside the package."""
    pytest.importorskip("setuptools", minversion="77")
    packages = PROJECT["tool"]["setuptools"]["packages"]
    elsewhere = PROJECT["tool"]["setuptools"]["package-dir"]
    files = {f"{name.replace('.', '/')}/__init__.py" for name in packages if name not in elsewhere}
    files |= {
        "data_samples/bounce.csv",
        "data_samples/runs/bach/model.keras",
        "data_samples/make_samples.py",
        "tools/experiments/one.json",
        "tools/experiments/one.py",
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
    moved |= {"tools/experiments/": "cmc_helpers/long_experiments/"}
    assert packed == {
        next((name.replace(a, b) for a, b in moved.items() if name.startswith(a)), name)
        for name in files
    }


@pytest.mark.weekly
def test_style_and_types_are_in_order():
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "lint.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


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
