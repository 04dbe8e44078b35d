"""Run all notebooks again and again, each time under other circumstances: `make guard`.

    .venv/bin/python notebooks/guard.py [--only NAME …] [--seed N] [--work FOLDER]

Ten strict runs, in which every output must be the one that is stored. Each takes the notebooks in
an order of its own, drawn from the seed, and nine of them change something besides, one of
`CIRCUMSTANCES`. They run on what is committed, in a clone. What cannot be done on a machine is
said, and left out.

The results go to notebooks/guard.json, and from there the table of seconds and megabytes into
CONTRIBUTING.md. With --work, a command that was stopped goes on.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from execute import FOLDER, notebooks

from cmc_helpers.files import replacing
from cmc_helpers.provenance import Stages, provenance, write

ROOT = FOLDER.parent
COMMAND = "make guard"
REPORT, PAGE = FOLDER / "guard.json", ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- make guard writes from here -->", "<!-- to here -->"
PEAK = "peak memory in MB"  # conftest.py measures it
PLAIN = "as it is"


class Circumstance(NamedTuple):
    """environment: what is set. within: the command that another command is run by; {folder} in it
    is the clone's. folder: the clone's name."""

    environment: dict = {}
    within: tuple = ()
    folder: str = "clone"


CIRCUMSTANCES = {
    PLAIN: Circumstance(),
    "the language C, in ASCII": Circumstance(
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ),
    "Turkish": Circumstance({"LC_ALL": "tr_TR.UTF-8"}),
    "14 hours ahead": Circumstance({"TZ": "Pacific/Kiritimati"}),
    "one core": Circumstance(within=("taskset", "--cpu-list", "0")),
    "eight threads": Circumstance(
        {"OMP_NUM_THREADS": "8", "OPENBLAS_NUM_THREADS": "8", "TF_NUM_INTRAOP_THREADS": "8"}
    ),
    "an older processor": Circumstance(
        {
            "OPENBLAS_CORETYPE": "Sandybridge",
            "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
            "TF_ENABLE_ONEDNN_OPTS": "0",
        }
    ),
    "no network": Circumstance(
        within=("unshare", "--map-root-user", "--net")
        + ("sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    ),
    "a path with spaces and umlauts": Circumstance(folder="Töne, Rauschen & 音"),
    "nothing can be written": Circumstance(
        within=("unshare", "--map-root-user", "--mount", "sh", "-c")
        + ('mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$0" && exec "$@"',)
        + ("{folder}",)
    ),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="names of notebooks; stores nothing")
    parser.add_argument("--runs", nargs="*", default=list(CIRCUMSTANCES), help="names of runs")
    parser.add_argument("--seed", type=int, default=0, help="of the orders")
    parser.add_argument("--work", type=Path, help="a folder for what is done so far")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        runs = guard(given, Stages(work / "guard_stages.json"))
    if not (given.only or given.runs != list(CIRCUMSTANCES)):
        write(REPORT, provenance(COMMAND) | {"seed": given.seed, "runs": runs})
        tabulate()
    if any(run["failed"] for run in runs.values()):
        sys.exit("some cells did not show what is stored")


def guard(given, done):
    """Circumstance → what `run` found, with a line printed for each."""
    found = {}
    for name in given.runs:
        order = [path.relative_to(ROOT) for path in notebooks(given.only)]
        random.Random(f"{given.seed} {name}").shuffle(order)
        found[name] = one = done(name, lambda name=name, order=order: run(name, order))
        print(f"{name:32}{said(one)}", flush=True)
    return found


def said(run):
    """A result of `run` in a few words."""
    if run["impossible"]:
        return f"not possible here: {run['impossible']}"
    failed = "".join(f"\n    {cell}" for cell in run["failed"])
    return f"{run['passed']} cells as stored in {run['seconds']:.0f} s" + failed


def run(name, order):
    """Run the notebooks in this order: passed, failed, seconds, and for each seconds and MB."""
    circumstance = CIRCUMSTANCES[name]
    with tempfile.TemporaryDirectory() as temporary:
        clone, report = Path(temporary, circumstance.folder), Path(temporary, "report.xml")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        environment = os.environ | {"PYTHONPATH": str(clone)} | circumstance.environment
        within = [part.format(folder=clone) for part in circumstance.within]
        if impossible := obstacle(within, environment):
            return {"impossible": impossible, "passed": 0, "failed": [], "seconds": 0}
        options = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=300", "--quiet"]
        options += ["-p", "no:cacheprovider", f"--junit-xml={report}"]
        command = [*within, sys.executable, "-m", "pytest", *options, *map(str, order)]
        finished = subprocess.run(
            command, cwd=clone, env=environment, capture_output=True, text=True, errors="replace"
        )
        if finished.returncode not in (0, 1):
            sys.exit(finished.stdout + finished.stderr)
        return read_report(report)


def obstacle(within, environment):
    """Why nothing can be run by the command `within` and so, in a few words; or None."""
    if within and not shutil.which(within[0]):
        return f"there is no {within[0]}"
    language = environment.get("LC_ALL")
    code = f"import locale; locale.setlocale(locale.LC_ALL, {language!r})" if language else ""
    probe = subprocess.run(
        [*within, sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    return " ".join(probe.stderr.strip().splitlines()[-1:]) if probe.returncode else None


def read_report(path):
    """What pytest wrote into its report, notebook by notebook."""
    suite = ElementTree.parse(path).getroot().find("testsuite")
    rows, failed = {}, []
    for case in suite.iter("testcase"):
        name = case.get("classname").removesuffix(".ipynb").replace(".", "/")
        name = name.removeprefix("notebooks/")
        row = rows.setdefault(name, {"seconds": 0.0, "megabytes": 0})
        row["seconds"] += float(case.get("time"))
        row["megabytes"] += sum(
            int(one.get("value")) for one in case.iter("property") if one.get("name") == PEAK
        )
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{name}: {case.get('name')}")
    return {
        "impossible": None,
        "passed": int(suite.get("tests")) - len(failed),
        "failed": failed,
        "seconds": round(float(suite.get("time"))),
        "notebooks": {
            name: row | {"seconds": round(row["seconds"])} for name, row in sorted(rows.items())
        },
    }


def tabulate():
    """Write the table into CONTRIBUTING.md, between its two marks, from guard.json."""
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    with replacing(PAGE) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", "utf-8")


def table():
    """guard.json in words and rows."""
    report = json.loads(REPORT.read_text("utf-8"))
    plain, runs = report["runs"][PLAIN], report["runs"]
    done = [name for name, run in runs.items() if not run["impossible"]]
    clean = [name for name in done if not runs[name]["failed"]]
    lines = [
        f"{report['date']}, {report['machine']}: {len(done)} strict runs of all notebooks, each in",
        f"an order of its own, {len(clean)} without a difference: {', '.join(clean)}.",
    ]
    for name, run in runs.items():
        if name not in clean:
            lines += [f"{name}: {run['impossible'] or ', '.join(run['failed'])}."]
    lines += ["", "| notebook | seconds | MB |", "|---|---:|---:|"]
    rows = plain["notebooks"].items()
    lines += [f"| {name} | {row['seconds']} | {row['megabytes']} |" for name, row in rows]
    largest = max(row["megabytes"] for _, row in rows)
    return "\n".join([*lines, f"| together | {plain['seconds']} | {largest} at most |"])


if __name__ == "__main__":
    main()
