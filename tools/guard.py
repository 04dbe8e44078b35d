"""Run the notebooks again and again, under other circumstances and with other seeds: `make guard`.

    .venv/bin/python tools/guard.py [--only NAME …] [--runs NAME …] [--seeds N …] [--jobs N]

Under each of `CIRCUMSTANCES`, other kernels of other processors among them, every output must be
the one that is stored, but for numbers after ≈. With other seeds a lesson must run through, so no
claim that it asserts fails, and say the same words: all numbers may differ. What cannot be done on
a machine is said, and left out. A copy of the checkout as it is now is run, one notebook at a time.

What was found goes to tools/guard.json as it comes, with a checksum of each notebook, and from
there to docs/guard.md. What is there already for a notebook as it is now is not
run again, unless it is asked for by name: so after a change only what changed is guarded, and a
command that was stopped goes on.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import nbformat
from execute import FOLDER, NotebookError, notebooks

from cmc_helpers.files import replacing
from cmc_helpers.provenance import provenance, write

ROOT = FOLDER.parent
COMMAND = "make guard"
REPORT, PAGE = ROOT / "tools" / "guard.json", ROOT / "docs" / "guard.md"
PEAK = "peak memory in MB"  # conftest.py measures it
PLAIN = "as it is"
SEEDS = 20


class Circumstance(NamedTuple):
    """environment: what is set. within: the command that another command is run by; {folder} in it
    is the copy's. folder: the copy's name."""

    environment: dict = {}
    within: tuple = ()
    folder: str = "copy"


def kernels(tensorflow, onednn, openblas, without):
    """The kernels that an older processor would get: of XLA, oneDNN, OpenBLAS and NumPy."""
    return Circumstance(
        {
            "XLA_FLAGS": f"--xla_cpu_max_isa={tensorflow}",
            "ONEDNN_MAX_CPU_ISA": onednn,
            "OPENBLAS_CORETYPE": openblas,
            "NPY_DISABLE_CPU_FEATURES": without,
        }
    )


def threads(count):
    names = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"
    return Circumstance(dict.fromkeys((*names, "TF_NUM_INTEROP_THREADS"), str(count)))


CIRCUMSTANCES = {
    PLAIN: Circumstance(),
    "AVX2": kernels("AVX2", "AVX2", "Haswell", "X86_V4 AVX512_ICL AVX512_SPR"),
    "SSE4.2": kernels("SSE4_2", "SSE41", "Nehalem", "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"),
    "no oneDNN": Circumstance({"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "one thread": threads(1),
    "two threads": threads(2),
    "eight threads": threads(8),
    "the language C, in ASCII": Circumstance(
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ),
    "Turkish": Circumstance({"LC_ALL": "tr_TR.UTF-8"}),
    "14 hours ahead": Circumstance({"TZ": "Pacific/Kiritimati"}),
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

HEAD = """\
# Does every notebook show the same everywhere?

What `make guard` found: {date}, {machine}. Under each of these circumstances every output is to be
the one that is stored, but for numbers after ≈: {circumstances}.

With other seeds no claim that a lesson asserts may fail and no word may change. The offsets are
1000, 2000, … on every seed that is set.

In how many of those that were tried was that so? Seconds and megabytes are those of a run as it is.

| notebook | seconds | MB | circumstances | seeds |
|---|---:|---:|---:|---:|
{rows}
{notes}"""

# For nbval: with other seeds every number may be another one, and so every sound and drawing.
ANY_NUMBER = r"""[a number]
regex: (?:\u2248 *)?(?<![\w.])[-+\u2212]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?
replace: ...
[a sound]
regex: base64,[A-Za-z0-9+/=]+
replace: ...
[a column's width]
regex: [ \t]+
replace: _
"""


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="names of notebooks")
    parser.add_argument("--runs", nargs="*", choices=CIRCUMSTANCES, help="circumstances; all")
    parser.add_argument("--seeds", nargs="*", type=int, help=f"offsets; 1 to {SEEDS}")
    parser.add_argument("--jobs", type=int, default=1, help="notebooks side by side")
    given = parser.parse_args(arguments)
    if given.runs is None and given.seeds is None:
        given.runs, given.seeds = CIRCUMSTANCES, range(1, SEEDS + 1)
        again = bool(given.only)
    else:
        again = True
    try:
        paths = notebooks(given.only)
    except NotebookError as problem:
        parser.error(f"{problem}")
    wanted = [(path, run) for run in given.runs or () for path in paths]
    wanted += [(path, seed) for path in paths if sets_seeds(path) for seed in given.seeds or ()]
    bad = guard(wanted, again, given.jobs)
    tabulate()
    if bad:
        sys.exit(f"{bad} runs did not show what is stored")


def guard(wanted, again, jobs):
    """Run what is wanted, store and tell what each run found; how many showed something else."""
    bad, there = 0, known()
    if not again:
        wanted = [one for one in wanted if key(one[1]) not in there[name_of(one[0])]["runs"]]
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(jobs) as pool:
        copies = {run: copy(Path(temporary), run) for run in {run for _, run in wanted}}
        results = pool.map(lambda one: run(*one, copies[one[1]]), wanted)
        for (path, circumstance), result in zip(wanted, results, strict=True):
            name = name_of(path)
            found = known()  # another command may have stored something meanwhile
            if found[name]["checksum"] == there[name]["checksum"]:
                found[name]["runs"][key(circumstance)] = result
                write(REPORT, provenance(COMMAND) | {"notebooks": found})
            print(f"{name:38}{key(circumstance):32}{said(result)}", flush=True)
            bad += bool(result.get("differs"))
    return bad


def known():
    """What guard.json knows of the notebooks as they are now: name → checksum, cells and runs."""
    stored = json.loads(REPORT.read_text("utf-8"))["notebooks"] if REPORT.exists() else {}
    fresh = {name_of(path): {"checksum": checksum(path), "runs": {}} for path in notebooks()}
    for name, row in fresh.items():
        if stored.get(name, {}).get("checksum") == row["checksum"]:
            row["runs"] = stored[name]["runs"]
    return fresh


def stale():
    """The notebooks of which guard.json knows nothing, or only what they were before a change."""
    stored = json.loads(REPORT.read_text("utf-8"))["notebooks"]
    there = {name_of(path): checksum(path) for path in notebooks()}
    return [name for name, sum_ in there.items() if stored.get(name, {}).get("checksum") != sum_]


def checksum(path):
    """Of what a run can change: code, tags and outputs that are compared; words may be mended, and
    so may the set-up cell."""
    compared = [
        [cell.source, tags, [_compared(output) for output in cell.outputs]]
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code" and "setup" not in (tags := cell.metadata.get("tags", []))
    ]
    text = json.dumps(compared, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _compared(output):
    data = output.get("data", {}).items()
    return output.get("text"), {kind: str(value) for kind, value in data if "image/p" not in kind}


def name_of(path):
    return path.relative_to(FOLDER).with_suffix("").as_posix()


def key(run):
    """The name of a run in guard.json: a circumstance, or how far the seeds were moved."""
    return run if isinstance(run, str) else f"seeds + {run}"


def sets_seeds(path):
    """Lessons draw; their solutions and the playground answer what is put to them."""
    return path.parent == FOLDER and path.name[0].isdigit()


def copy(folder, run):
    """A copy of the checkout as it is now for a run, in a folder of its own; returns its path."""
    place = folder / key(run) / (CIRCUMSTANCES[run].folder if run in CIRCUMSTANCES else "copy")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    return place


def run(path, name, place):
    """One notebook in one copy: cells, seconds and megabytes; differs, the cells that show
    something else; or impossible, why it cannot be run so here."""
    circumstance, folders = CIRCUMSTANCES.get(name, threads(1)), [str(place)]
    report = place.parent / f"{path.parent.name} {path.stem}.xml"
    options = ["--nbval", "--quiet", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    if name not in CIRCUMSTANCES:
        folders.append(str(place / "tests" / "other_seeds"))
        any_number = place.parent / "any_number.cfg"
        any_number.write_text(ANY_NUMBER, "ascii")
        options.append(f"--nbval-sanitize-with={any_number}")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)} | circumstance.environment
    if name not in CIRCUMSTANCES:
        environment["CMC_SEED_OFFSET"] = str(1000 * name)
    within = [part.format(folder=place) for part in circumstance.within]
    if impossible := obstacle(within, environment):
        return {"impossible": impossible}
    finished = subprocess.run(
        [*within, sys.executable, "-m", "pytest", *options, str(path.relative_to(ROOT))],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
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
    """What pytest wrote into its report of one notebook."""
    suite = ElementTree.parse(path).getroot().find("testsuite")
    found = {"cells": int(suite.get("tests")), "seconds": round(float(suite.get("time")))}
    peaks = [one.get("value") for one in suite.iter("property") if one.get("name") == PEAK]
    found["megabytes"] = max(map(int, peaks), default=0)
    bad = {
        case.get("name"): why
        for case in suite.iter("testcase")
        for why in case.iter()
        if why.tag in ("failure", "error")
    }
    if bad:
        found["differs"] = list(bad)
        print("\n".join(why.text or why.get("message") for why in bad.values()), file=sys.stderr)
    return found


def said(result):
    """A result of `run` in a few words."""
    if "impossible" in result:
        return f"not possible here: {result['impossible']}"
    differs = f"; differs: {', '.join(result['differs'])}" if "differs" in result else ""
    return f"{result['cells']} cells, {result['seconds']} s{differs}"


def tabulate():
    """Write guard.json as a page for readers."""
    with replacing(PAGE) as temporary:
        temporary.write_text(page(), "utf-8")


def page():
    """guard.json in words and rows."""
    report = json.loads(REPORT.read_text("utf-8"))
    lines, notes, total = [], [], 0
    for name, row in report["notebooks"].items():
        runs = row["runs"]
        plain = runs.get(PLAIN, {"seconds": "–", "megabytes": "–"})
        total += plain["seconds"] if PLAIN in runs else 0
        counts = [
            share({k: run for k, run in runs.items() if k.startswith("seeds + ") is seeds})
            for seeds in (False, True)
        ]
        size = f"{plain['seconds']} | {plain['megabytes']}"
        lines.append(f"| {name} | {size} | {' | '.join(counts)} |")
        notes += [
            f"- {name}, {run}: {said(one)}"
            for run, one in runs.items()
            if "differs" in one or "impossible" in one
        ]
    rows = "\n".join([*lines, f"| together | {total} | | | |"])
    return HEAD.format(
        date=report["date"],
        machine=report["machine"],
        circumstances=", ".join(CIRCUMSTANCES),
        rows=rows,
        notes="\n".join(["", *notes, ""] if notes else []),
    )


def share(runs):
    """How many of some runs were possible, and how many of these showed what is stored."""
    done = [one for one in runs.values() if "impossible" not in one]
    return f"{sum('differs' not in one for one in done)} of {len(done)}" if done else "–"


if __name__ == "__main__":
    main()
