"""What Binder builds from this folder, and what the badges open there. No Docker is needed."""

import re
import subprocess
import sys
import tomllib
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from notebook_rules import REPOSITORY, ROOT, TAG, links
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))


@pytest.fixture(scope="module")
def rendered():
    """The Dockerfile that repo2docker would build, and what it says about its choice."""
    result = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", ROOT],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_conda_brings_python_and_pip_the_rest_from_the_one_list():
    python, pip, packages = ENVIRONMENT["dependencies"]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    assert pip == "pip"
    constraint, package = packages["pip"]
    assert package == "-e .[lab,playground]"
    assert (ROOT / constraint.removeprefix("--constraint ")).is_file()


def test_the_extras_that_binder_asks_for_exist_and_bring_what_the_badges_open():
    line = ENVIRONMENT["dependencies"][-1]["pip"][-1]
    extras = Requirement(line.replace("-e .", PROJECT["name"])).extras
    wanted = [x for extra in extras for x in PROJECT["optional-dependencies"][extra]]
    assert {"cmc-helpers", "jupyterlab", "voila"} <= {Requirement(x).name for x in wanted}


@pytest.mark.slow
def test_binder_builds_from_environment_yml(rendered):
    python = ENVIRONMENT["dependencies"][0]
    assert f"Building conda environment for {python}" in rendered
    update = 'env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"'
    assert rendered.count(update) == 1
    # pip finds `.` there only if the files have been copied by then.
    assert rendered.index("COPY --chown=0:0 src/ ${REPO_DIR}/") < rendered.index(update)


def test_nothing_hides_it_or_adds_to_it():
    others = "binder", ".binder", "requirements.txt", "setup.py", "apt.txt", "postBuild", "start"
    assert [name for name in others if (ROOT / name).exists()] == []


def test_every_badge_of_the_readme_opens_a_notebook_that_is_there():
    """The badges that it has, or will have: `links` writes them when the address is public."""
    text = links.README.format(name=REPOSITORY, tag=TAG)
    shown = links.badges((ROOT / "README.md").read_text("utf-8"))
    assert shown in ("", text.strip())
    assert f"/github/{REPOSITORY}/blob/{TAG}/notebooks/00_start_here.ipynb)" in text
    opened = set()
    for address in re.findall(r"\]\((https://mybinder\.org/v2/[^)]*)\)", text):
        assert urlsplit(address).path == f"/v2/gh/{REPOSITORY}/{TAG}"
        (place,) = parse_qs(urlsplit(address).query)["urlpath"]
        opened.add(place)
        notebook = re.fullmatch(r"(?:lab/tree|voila/render)/(notebooks/\w+\.ipynb)", place)[1]
        assert (ROOT / notebook).exists(), notebook
    assert opened == {
        "lab/tree/notebooks/00_start_here.ipynb",
        "voila/render/notebooks/playground.ipynb",
    }
