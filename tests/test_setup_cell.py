"""The set-up cell of every notebook finds or installs the package, and does so once.

Each case runs the cell, as the file holds it, twice in one fresh Python that knows no installed
package and looks into its working folder, as a notebook's kernel does. Nothing asks a network.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from notebook_rules import LESSONS, ROOT, SOLUTIONS, TAG, Page, execute, tags

# Run the cell twice; tell after each time what it did: where the package is, what was put on
# sys.path, how many commands ran, and the error.
TWICE = """
import json, subprocess, sys, types
if {colab}:
    sys.modules["google.colab"] = types.ModuleType("google.colab")
sys.path.insert(0, "")
told, commands, run = [], [], subprocess.run
subprocess.run = lambda *command, **options: (commands.append(command), run(*command, **options))
for _ in range(2):
    before, found, error = list(sys.path), None, ""
    commands.clear()
    try:
        exec({cell!r}, {{}})
        import cmc_helpers
        found = cmc_helpers.__file__
    except Exception as problem:
        error = f"{{type(problem).__name__}}: {{problem}}"
    added = [entry for entry in sys.path if entry not in before]
    told.append([found, added, len(commands), error])
print(json.dumps(told))
"""


def twice(cell, folder, *, colab=False, path=(), **variables):
    """Run `cell` twice in `folder`, and return what TWICE tells."""
    result = subprocess.run(
        [sys.executable, "-S", "-P", "-c", TWICE.format(colab=colab, cell=cell)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def cell_of(path):
    (cell,) = [cell for cell in Page(path).code if "setup" in tags(cell)]
    return cell.source


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "somewhere" / "else"
    folder.mkdir(parents=True)
    return folder


FOUND = str(ROOT / "cmc_helpers" / "__init__.py")
MISSING = "ImportError: cmc_helpers is missing: clone its repository, run python start.py lab"


@pytest.mark.parametrize(
    "path", LESSONS + SOLUTIONS, ids=lambda path: path.relative_to(ROOT).with_suffix("").as_posix()
)
def test_every_notebook_has_the_same(path):
    assert cell_of(path) == execute.SETUP_CELL


@pytest.mark.slow
def test_it_works_from_four_folders_and_twice(elsewhere):
    cell = execute.SETUP_CELL
    nothing = [FOUND, [], 0, ""]
    for folder in ("notebooks", "notebooks/solutions"):
        assert twice(cell, ROOT / folder) == [[FOUND, [str(ROOT)], 0, ""], nothing]
    assert twice(cell, ROOT) == [nothing, nothing]
    assert twice(cell, elsewhere) == [[None, [], 0, MISSING]] * 2


def package(folder):
    (folder / "cmc_helpers").mkdir(parents=True)
    (folder / "cmc_helpers" / "__init__.py").touch()
    return folder


def test_it_does_nothing_where_the_package_is_installed(tmp_path, elsewhere):
    site = package(tmp_path / "site")
    package(elsewhere.parent)
    told = twice(
        execute.SETUP_CELL, elsewhere, path=[site], colab=True, CMC_REPO_URL="git+file:///nowhere"
    )
    assert told == [[str(site / "cmc_helpers" / "__init__.py"), [], 0, ""]] * 2


def test_a_checkout_is_preferred_to_an_installation_in_colab_too(elsewhere):
    checkout = package(elsewhere.parent)
    told = twice(execute.SETUP_CELL, elsewhere, colab=True, CMC_REPO_URL="git+file:///nowhere")
    assert [added for _, added, *_ in told] == [[str(checkout)], []]


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A git repository of this package, with the tag of the release and one commit after it."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    folder = tmp_path_factory.mktemp("repository")
    for name in ("cmc_helpers", "data_samples", "tools/experiments"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    git = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b"]
    git += ["-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]
    commit = ["commit", "-q", "-a", "-m", "x"]
    for command in (["init", "-q"], ["add", "."], commit, ["tag", TAG]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    (folder / "cmc_helpers" / "after_the_tag.py").touch()
    for command in (["add", "."], commit):
        subprocess.run([*git, *command], check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_it_installs_the_tagged_package_in_colab_once(tmp_path, elsewhere, repository):
    """pip really builds and installs it, into a folder that is then thrown away."""
    pytest.importorskip("setuptools", minversion="77")
    site = tmp_path / "site"
    site.mkdir()
    told = twice(
        execute.SETUP_CELL,
        elsewhere,
        colab=True,
        path=[site],
        CMC_REPO_URL=f"git+{repository.as_uri()}@{TAG}",
        PIP_TARGET=str(site),
        PIP_NO_INDEX="1",
        PIP_NO_DEPS="1",  # Colab has them; test_project holds that
        PIP_NO_BUILD_ISOLATION="0",  # pip's way to say: build with the setuptools that is here
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_ROOT_USER_ACTION="ignore",
    )
    assert told == [[str(site / "cmc_helpers" / "__init__.py"), [], ran, ""] for ran in (1, 0)]
    assert (site / "cmc_helpers" / "data_samples" / "bounce.csv").exists()
    assert not (site / "cmc_helpers" / "after_the_tag.py").exists()


@pytest.mark.slow
def test_an_installation_that_fails_is_an_error(elsewhere):
    nowhere = f"git+{(elsewhere / 'nowhere').as_uri()}@{TAG}"
    program = TWICE.format(colab=True, cell=execute.SETUP_CELL)
    result = subprocess.run(
        [sys.executable, "-S", "-P", "-c", program],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": "", "CMC_REPO_URL": nowhere},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "CalledProcessError" in json.loads(result.stdout)[0][-1]
    assert "nowhere" in result.stderr  # what pip says reaches the reader


def test_it_upgrades_nothing():
    assert "-U" not in execute.SETUP_CELL
    assert "upgrade" not in execute.SETUP_CELL


def test_it_is_short():
    assert sum(map(bool, execute.SETUP_CELL.splitlines())) <= 15
