"""The versions that everything runs with: the lock, lower bounds, and what will soon be gone."""

import os
import re
import subprocess
import sys
import tomllib
import warnings
from itertools import product
from pathlib import Path

import nbclient
import nbformat
import pytest
import versions
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = (ROOT / "tests" / "locked.txt").read_text("utf-8").splitlines()
PINS = [Requirement(line) for line in LOCK if not line.startswith("#")]
PLATFORMS = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64")]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))


def on(python, system="linux", machine="x86_64"):
    """The markers of a computer."""
    full = f"{python}.9"
    return {
        "python_version": python,
        "python_full_version": full,
        "sys_platform": system,
        "platform_machine": machine,
        "os_name": "nt" if system == "win32" else "posix",
    }


ON_REQUEST = {"bench", "fuzz", "mutants"}  # extras that `make setup` leaves out


@pytest.mark.parametrize("python, platform", [*product(versions.PYTHONS, PLATFORMS)])
def test_the_lock_names_one_version_of_all_that_make_setup_asks_for(python, platform):
    there = [pin for pin in PINS if not pin.marker or pin.marker.evaluate(on(python, *platform))]
    pinned = {pin.name: pin.specifier for pin in there}
    assert len(there) == len(pinned), "two versions of one package"
    extras = PROJECT["optional-dependencies"]
    lists = [lines for name, lines in extras.items() if name not in ON_REQUEST]
    for requirement in map(Requirement, sum(lists, PROJECT["dependencies"])):
        wanted = not requirement.marker or requirement.marker.evaluate(on(python, *platform))
        if wanted and requirement.name != "cmc-helpers":
            (pin,) = pinned[requirement.name]
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version), requirement


def test_the_lock_names_no_place_to_load_from():
    for line in LOCK:
        assert re.fullmatch(r"#.*|[a-z0-9-]+==[\w.]+( ; [^:@/]+)?", line), line
    assert "make lock" in LOCK[1]


def test_the_oldest_versions_are_the_lower_bounds_and_an_extra_may_ask_for_more():
    extras = {"lab": ["b>=2.1", "d[x]>=4; sys_platform == 'linux'", "cmc-helpers[y]"]}
    project = {"dependencies": ["a>=1.10", "b>=2"], "optional-dependencies": extras}
    assert versions.lower_bounds(project) == ["a==1.10", "b==2.1", "d==4"]


def test_every_dependency_has_a_lower_bound_and_the_lock_is_not_below():
    bounds = dict(line.split("==") for line in versions.lower_bounds(PROJECT))
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    names = {Requirement(line).name for lines in lists for line in lines}
    assert bounds.keys() == names - {"cmc-helpers"}
    for pin in PINS:
        (version,) = pin.specifier
        assert Version(version.version) >= Version(bounds.get(pin.name, "0"))


REPORT = """<testsuites><testsuite>
<testcase classname="a" name="test_a" /><testcase classname="a" name="test_b"><skipped /></testcase>
<testcase classname="b" name="Cell 3"><failure message="x">y</failure></testcase>
<testcase classname="b" name="test_c"><error>no</error></testcase>
</testsuite></testsuites>"""


def test_a_report_of_pytest_is_counted():
    counts, failed = versions.read_report(REPORT)
    assert counts == {"passed": 1, "failed": 2, "skipped": 1}
    assert failed == ["Cell 3", "test_c"]


@pytest.fixture
def matrix(tmp_path, monkeypatch):
    """`make versions` in a folder of its own, where nothing is installed; returns what it tries."""
    monkeypatch.setattr(versions, "FOLDER", tmp_path)
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    monkeypatch.setattr(versions, "TABLE", tmp_path / "versions.md")
    tried = []

    def install(python, chosen, folder):
        tried.append((python, chosen))
        if chosen == "oldest":
            return {}, "not installed: no wheel"
        return {"numpy": "2.4.6"}, ""

    monkeypatch.setattr(versions, "install", install)
    monkeypatch.setattr(versions, "run", lambda *_: versions.read_report("<a><testcase /></a>"))
    return tried


def test_a_cell_leaves_its_row_and_a_second_run_replaces_it(matrix):
    assert versions.main(["--python", "3.12", "--set", "locked", "--quick"]) == 0
    assert versions.main(["--python", "3.12", "--set", "oldest", "--", "-x"]) == 1
    assert versions.main(["--python", "3.12", "--set", "locked", "--quick"]) == 0
    assert matrix == [("3.12", chosen) for chosen in ("locked", "oldest", "locked")]
    text = versions.TABLE.read_text("utf-8")
    rows = versions.read_rows(text)
    assert list(rows) == [("3.12", "oldest", "full -x"), ("3.12", "locked", "quick")]
    assert rows["3.12", "oldest", "full -x"][-1] == "not installed: no wheel"
    assert rows["3.12", "locked", "quick"][:3] == ["1", "0", "0"]
    assert versions.page(rows) == text


def test_a_matrix_that_was_stopped_goes_on_with_the_next_cell(matrix, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(versions, "run", stopped)
        versions.main([])
    assert matrix == [("3.11", "oldest"), ("3.11", "locked")]
    assert versions.main([]) == 3  # the one from before is counted too
    assert matrix[2:] == list(product(versions.PYTHONS, versions.SETS))[1:]
    versions.main([])
    assert len(matrix) == 2 + 8 + 9


def test_what_uv_says_enters_the_page_without_addresses_and_folders():
    said = "error: Failed to fetch: `https://a.b/simple/x`\n  ╰─▶ in /home/me/.cache/uv | because"
    assert versions.one_line(said) == "error: Failed to fetch: … in … because"
    assert len(versions.one_line("word " * 200)) <= 402


def test_quick_is_a_part_of_full():
    assert [name for name in versions.QUICK if not (ROOT / name).is_file()] == []


def test_the_workflow_runs_the_matrix_once_a_week():
    job = WORKFLOW["jobs"]["versions"]
    assert job["if"] == WORKFLOW["jobs"]["colab"]["if"]
    assert job["strategy"]["matrix"] == {"python": versions.PYTHONS, "set": versions.SETS}
    run, show = [step["run"] for step in job["steps"] if "run" in step]
    cell = "--python ${{ matrix.python }} --set ${{ matrix.set }}"
    assert run == f"python start.py versions {cell}"
    assert "docs/versions.md" in show


def test_a_warning_is_an_error_in_our_code_and_one_of_the_end_in_a_test_too():
    for module in ("cmc_helpers", "cmc_helpers.audio", "cmc_helpers.exercises.checking"):
        with pytest.raises(UserWarning):
            warnings.warn_explicit("x", UserWarning, "x.py", 1, module)
    for kind in (DeprecationWarning, FutureWarning):
        with pytest.raises(kind):
            warnings.warn("this very line", kind, stacklevel=1)
        with pytest.warns(kind):
            warnings.warn_explicit("x", kind, "x.py", 1, "another.library")


GOING = "import warnings; warnings.warn_explicit('going', DeprecationWarning, 'x.py', 1, {!r})"


@pytest.mark.parametrize("module", ["cmc_helpers", "cmc_helpers.exercises.checking", "__main__"])
def test_what_is_about_to_go_is_an_error_in_commands_too(module):
    for name, status in ((module, 1), ("another.library", 0)):
        result = subprocess.run([sys.executable, "-c", GOING.format(name)], capture_output=True)
        assert result.returncode == status, result.stderr


@pytest.mark.slow
def test_what_is_about_to_go_is_an_error_in_notebooks_too():
    cells = [nbformat.v4.new_code_cell(GOING.format("another.library"))]
    nbclient.execute(nbformat.v4.new_notebook(cells=cells), kernel_name="python3")
    for source in (
        GOING.format("cmc_helpers.audio"),
        "import warnings; warnings.warn('x', DeprecationWarning)",
    ):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        with pytest.raises(nbclient.exceptions.CellExecutionError, match="DeprecationWarning"):
            nbclient.execute(book, kernel_name="python3")


def test_no_module_imports_what_is_about_to_go():
    """In a process of its own, so that each module is really imported."""
    code = (
        "import importlib, pkgutil, cmc_helpers\n"
        "for module in pkgutil.walk_packages(cmc_helpers.__path__, 'cmc_helpers.'):\n"
        "    importlib.import_module(module.name)"
    )
    options = {"cwd": ROOT, "env": os.environ, "capture_output": True, "text": True}
    result = subprocess.run([sys.executable, "-c", code], **options)
    assert result.returncode == 0, result.stderr
