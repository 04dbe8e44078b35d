"""Does everything run on each Python, with the oldest, the locked and the newest versions?

    make versions                                      the whole matrix, which takes hours
    make versions ARGS=--quick                         with a part of the tests and notebooks
    make versions ARGS="--python 3.12 --set oldest"    only this cell
    make versions ARGS="-- --ignore=tests/test_browser.py"    what follows -- is for pytest

oldest: the lower bounds of pyproject.toml, exactly. locked: tests/locked.txt. newest: what there
is today. Each cell of the matrix gets an environment of its own in .versions. There the unit tests
run, and the notebooks, without a look at what they print. Its row in docs/versions.md is written
when it is through, and a call that was stopped goes on with the next cell.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from datetime import date
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".versions"
TABLE = ROOT / "docs" / "versions.md"
PYTHONS = ["3.11", "3.12", "3.13"]
SETS = ["oldest", "locked", "newest"]
SHOWN = ["numpy", "scipy", "librosa", "tensorflow", "keras", "ipython", "pytest"]
HEAD = ["Python", "set", "ran", "passed", "failed", "skipped", "minutes", "on", *SHOWN, "remarks"]
FULL = ["tests", "notebooks"]
# The import of every module, files, mathematics, networks, and three notebooks.
QUICK = """
    tests/test_audio.py tests/test_features.py tests/test_files.py tests/test_inverse_sine.py
    tests/test_inversion.py tests/test_likelihood.py tests/test_mixtures.py tests/test_networks.py
    tests/test_plots.py tests/test_runs.py tests/test_sequences.py tests/test_symbolic.py
    tests/test_vectors.py tests/test_versions.py notebooks/01_feed_forward_networks.ipynb
    notebooks/02_mixture_density_networks.ipynb notebooks/07_preprocessing.ipynb
""".split()
NBVAL = ["--nbval-lax"]  # the rest comes from conftest.py
PAGE = """\
# Which versions were tried

`make versions` writes this page: a row for each Python and each set of versions, with what ran on
one machine on one day. *oldest* are the lower bounds of `pyproject.toml`, *locked* is
`tests/locked.txt`, which `make setup` takes, and *newest* is what there was that day. *full* is
every test and every cell of every notebook, *quick* the tests of files, mathematics and networks
and three notebooks. What notebooks print is not compared here: `make test` does that.

"""


def main(arguments):
    """Run the cells that `arguments` name; returns how many of them are not in order."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--python", choices=PYTHONS, action="append", help="only this one")
    parser.add_argument("--set", choices=SETS, action="append", help="only this one")
    parser.add_argument("--quick", action="store_true", help="only a part of the tests")
    parser.add_argument("pytest", nargs="*", help="after --: what pytest is told besides")
    options = parser.parse_args(arguments)
    cells = list(product(options.python or PYTHONS, options.set or SETS))
    name = "quick" if options.quick else "full"
    through = {cell: FOLDER / f"{'-'.join(cell)}-{name}.done" for cell in cells}
    for number, (python, chosen) in enumerate(cells, 1):
        path = through[python, chosen]
        print(f"[{number}/{len(cells)}] Python {python}, {chosen}", flush=True)
        if path.exists():
            continue
        row = try_cell(python, chosen, (QUICK if options.quick else FULL) + options.pytest)
        rows = read_rows(TABLE.read_text("utf-8")) if TABLE.exists() else {}
        rows[python, chosen, " ".join([name, *options.pytest])] = row
        TABLE.write_text(page(rows), "utf-8")
        path.write_text(row[-1], "utf-8")
    remarks = [path.read_text("utf-8") for path in through.values()]
    for path in through.values():
        path.unlink()
    bad = sum(map(bool, remarks))
    print(f"{len(cells) - bad} of {len(cells)} are in order; see {TABLE.relative_to(ROOT)}.")
    return bad


def try_cell(python, chosen, arguments):
    """Install and run one cell of the matrix; returns its row without the first three columns."""
    folder = FOLDER / f"{python}-{chosen}"
    start = time.monotonic()
    versions, reason = install(python, chosen, folder)
    counts, failed = ({}, []) if reason else run(folder, arguments)
    if failed:
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        reason = f"failed: {', '.join(failed[:5])}{more}"
    return [
        *(str(counts.get(name, "")) for name in ("passed", "failed", "skipped")),
        f"{(time.monotonic() - start) / 60:.0f}",
        date.today().isoformat(),
        *(versions.get(name, "") for name in SHOWN),
        reason,
    ]


def install(python, chosen, folder):
    """Make an environment with this package and its tests in `folder`.

    Returns ({name: version} of what is in it, ""), or ({}, the reason why it cannot be).
    """
    folder.parent.mkdir(exist_ok=True)
    if chosen == "oldest":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        bounds = FOLDER / f"{folder.name}.txt"
        bounds.write_text("\n".join(lower_bounds(project)), "utf-8")
        # Without what pyproject.toml tells uv about new versions. A bound that no wheel meets is
        # not true: nobody should have to compile NumPy.
        options = ["--no-config", "--only-binary", ":all:", "--constraints", bounds]
    elif chosen == "locked":
        lock = ROOT / "tests" / "locked.txt"
        options = ["--constraints", lock, "--build-constraints", lock]
    else:
        options = ["--refresh"]
    inside = ["--python", folder / "bin" / "python"]
    for command in (
        ["venv", "--clear", "--seed", "--python", python, folder],
        ["pip", "install", *inside, *options, "--editable", ".[test]"],
    ):
        result = uv(*command)
        if result.returncode:
            return {}, f"not installed: {one_line(result.stderr)}"
    listed = json.loads(uv("pip", "list", *inside, "--format", "json").stdout)
    return {entry["name"].removesuffix("-cpu"): entry["version"] for entry in listed}, ""


def uv(*arguments):
    """Run uv, which takes a Python from PATH or from pyenv, and loads what is not there."""
    pythons = map(str, sorted(Path.home().glob(".pyenv/versions/*/bin")))
    path = os.pathsep.join([os.environ["PATH"], *pythons])
    return subprocess.run(
        [sys.executable, "-m", "uv", *arguments],
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )


def lower_bounds(project):
    """The oldest versions that the [project] of a pyproject.toml allows, as lines `name==version`.

    A package that also stands in an extra, with another bound, gets the higher one.
    """
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds = {}
    for requirement in map(Requirement, (line for lines in lists for line in lines)):
        for bound in requirement.specifier:
            bounds.setdefault(requirement.name, []).append(Version(bound.version))
    return [f"{name}=={max(versions)}" for name, versions in sorted(bounds.items())]


def one_line(text):
    """What uv says, in one line for a table, without addresses, folders and drawn lines."""
    text = re.sub(r"\w+://\S+|(?<!\w)/[\w./-]+", "…", text)
    words = re.sub(r"[^\w\s.,:;…<>=~!()'\"+-]", "", text).split()
    line = " ".join(words)
    return line if len(line) <= 400 else line[:400].rsplit(" ", 1)[0] + " …"


def run(folder, arguments):
    """Run pytest in the environment; returns what `read_report` does."""
    report = FOLDER / f"{folder.name}.xml"
    report.unlink(missing_ok=True)
    command = [folder / "bin" / "python", "-m", "pytest", "-q", *NBVAL, "--disable-warnings"]
    result = subprocess.run([*command, f"--junitxml={report}", *arguments], cwd=ROOT)
    if not report.exists():
        return {}, [f"pytest itself, with exit status {result.returncode}"]
    return read_report(report.read_text("utf-8"))


def read_report(xml):
    """From a report of pytest: ({"passed", "failed", "skipped": how many}, names of the failed)."""
    cases = list(ElementTree.fromstring(xml).iter("testcase"))
    failed = [c.get("name") for c in cases if {"failure", "error"} & {child.tag for child in c}]
    skipped = sum(case.find("skipped") is not None for case in cases)
    passed = len(cases) - len(failed) - skipped
    return {"passed": passed, "failed": len(failed), "skipped": skipped}, failed


def read_rows(text):
    """The rows of the page: {(Python, set, what ran): the other columns}."""
    lines = [line for line in text.splitlines() if line.startswith("| 3.")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return {tuple(row[:3]): row[3:] for row in rows}


def page(rows):
    """The page with these rows, the full runs first."""
    lines = [HEAD, ["---"] * len(HEAD)]
    for key in sorted(rows, key=lambda key: (key[2], PYTHONS.index(key[0]), SETS.index(key[1]))):
        lines.append([*key, *(cell.replace("|", "/") for cell in rows[key])])
    return PAGE + "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
