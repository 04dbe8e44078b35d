"""Would a test notice? Small faults are put into the code one by one, and the tests have to fail.

    make mutants                            all of `MODULES`, or what an earlier run left over
    make mutants ARGS="--only mixtures"     some of them
    make mutants ARGS="--fresh"             forget what was found before

mutmut makes the mutants and runs the tests of the module, `tests/test_MODULE.py`, on each: those
that reach the mutated function, the fastest first, until one fails. Everything is imported before
the process forks, so a mutant costs a fraction of a second. Tests that start TensorFlow, marked
`keras`, and notebooks are left out: what they alone would notice counts as unnoticed.

Mutants that were killed stay killed until their function changes; the others are tried again
after every change of the tests. Results: tools/mutants.json, and tools/mutants.md for
people. Why a mutant may live is written by hand in tools/mutants_explained.toml. Exit status 1:
fewer than 85 % of a module's mutants were killed, or one that lives has no explanation.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from importlib import metadata
from pathlib import Path

from house import file_of

from cmc_helpers.provenance import in_words, provenance, write

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("mixtures", "features", "inversion", "generation", "analysis", "listening_test")
WORK = ROOT / "build" / "mutants"
RESULTS = ROOT / "tools" / "mutants.json"
EXPLAINED = ROOT / "tools" / "mutants_explained.toml"
REPORT = ROOT / "tools" / "mutants.md"
WANTED = 0.85

SETTINGS = """
[tool.mutmut]
source_paths = ["cmc_helpers"]
only_mutate = {paths}
pytest_add_cli_args_test_selection = ["tests/test_{module}.py", "-m", "not keras"]
pytest_add_cli_args = [
    "-p", "_hypothesis_pytestplugin", "-p", "pytest_timeout", "-p", "no:cacheprovider",
    "--hypothesis-profile=mutants",
]
timeout_constant = 3.0
timeout_multiplier = 15.0
on_dependency_change = "ignore"
track_dependencies = false
"""

PAGE = """# Would a test notice?

Branch coverage (`make coverage`) says which code the tests run. It does not say whether a test
would fail if that code were wrong. So `make mutants` makes it wrong: a `+` becomes a `-`, a `<` a
`<=`, a number one more, an argument `None` or left out, a string another one. Each such *mutant* is
a copy of the module with one fault. If some test fails, the mutant is killed; one that lives is a
fault that nobody would notice, or none at all.

| module | mutants | killed | time-outs | alive | noticed |
|---|---|---|---|---|---|
{table}

{about} The tool is [mutmut](https://mutmut.readthedocs.io). A time-out is a mutant that never ends,
and counts as noticed. The numbers stand in `tools/mutants.json`, too.

## What is counted, and what is not

- Only a module's own tests are asked, `tests/test_MODULE.py`. Tests that start TensorFlow (marked
  `keras`), other modules' tests and the notebooks are left out, for speed: what they alone would
  notice counts as alive.
- The words of a message are mutated like everything else. A mutant that changes them counts as
  alive unless a test reads them.
- mutmut changes what stands inside functions and methods. Constants of a module, and functions with
  a decorator other than `classmethod` (properties, cached functions, and the compiled loop of
  `inversion`), are out of its reach, and not in the table.
- Hypothesis looks at no more than 30 examples where a test does not ask for a number of its own.

## What lives, and why

Read one by one. Most are no faults: whatever such a mutant is given, it answers as the module does.
`-` is what stands in the module, `+` what the mutant makes of it.

{alive}
"""


def main(arguments=None):
    """Run or resume, write both results; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=MODULES, default=MODULES, metavar="MODULE")
    parser.add_argument("--fresh", action="store_true", help="forget what was found before")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time")
    options = parser.parse_args(arguments)
    for module in options.only:
        if options.fresh:
            shutil.rmtree(WORK / module, ignore_errors=True)
        found = {module: mutate(module, options.jobs)}
        if RESULTS.exists():
            found = json.loads(RESULTS.read_text("utf-8"))["modules"] | found
        about = provenance("make mutants")
        about["versions"]["mutmut"] = metadata.version("mutmut")
        results = about | {"modules": {name: found[name] for name in MODULES if name in found}}
        write(RESULTS, results)
        REPORT.write_text(report(results, explanations()), "utf-8")
    return judge(results, explanations())


def paths_of(module):
    """The files that `tests/test_MODULE.py` answers for: of a package, also the rooms that have no
    such file of their own."""
    door = file_of(module)
    rooms = sorted(door.parent.glob("[a-z]*.py")) if door.name == "__init__.py" else []
    answered = [r for r in rooms if not (ROOT / "tests" / f"test_{r.stem}.py").exists()]
    return [path.relative_to(ROOT).as_posix() for path in (door, *answered)]


def mutate(module, jobs):
    """Let mutmut try every mutant of `module` that was not killed before: a dict of numbers, and
    what lives."""
    folder = WORK / module
    (folder / "mutants").mkdir(parents=True, exist_ok=True)
    for name in ("cmc_helpers", "tests", "tools", "mutants/data_samples"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / Path(name).name)
    settings = (ROOT / "pyproject.toml").read_text("utf-8") + SETTINGS.format(
        module=module, paths=json.dumps(paths_of(module))
    )
    (folder / "pyproject.toml").write_text(settings, "utf-8")
    found = {path: folder / "mutants" / f"{path}.meta" for path in paths_of(module)}
    stats = folder / "mutants" / "mutmut-stats.json"
    tests = (ROOT / "tests" / "conftest.py", ROOT / "tests" / f"test_{module}.py")
    if stats.exists() and stats.stat().st_mtime < max(path.stat().st_mtime for path in tests):
        # The tests have changed: only what they killed is settled.
        stats.unlink()
        for stored in filter(Path.exists, found.values()):
            meta = json.loads(stored.read_text("utf-8"))
            codes = meta["exit_code_by_key"].items()
            meta["exit_code_by_key"] = {key: code if code == 1 else None for key, code in codes}
            stored.write_text(json.dumps(meta), "utf-8")
    one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    one["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # each would be loaded again for every mutant
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(jobs)]
    print(f"{module}:", flush=True)
    subprocess.run(command, cwd=folder, env=os.environ | one, check=True)
    codes, paths = {}, {}
    for path, stored in found.items():
        there = json.loads(stored.read_text("utf-8"))["exit_code_by_key"]
        codes |= there
        paths |= dict.fromkeys(there, path)
    return summary(codes, lambda key: change(folder, paths[key], key))


def summary(exit_codes, change):
    """Numbers of mutants by their fate, and the changes of those that live.

    exit_codes: {mutant: what pytest returned}; 1 and 3 mean killed, a signal or mutmut's own 36
    that the time was up, 0 and "no test came here" that it lives. change: mutant → [function,
    was, is].
    """
    from mutmut.stats import status_by_exit_code

    fates = {key: status_by_exit_code[code] for key, code in exit_codes.items()}
    counts = Counter(fates.values())
    alive = [key for key, fate in fates.items() if fate not in ("killed", "timeout")]
    return {
        "mutants": len(fates),
        "killed": counts["killed"],
        "timeout": counts["timeout"],
        "alive": sorted(change(key) for key in alive),
    }


def change(folder, path, key):
    """What a mutant changes: [name of the function, lines that were, lines that are]."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.utils.format_utils import orig_function_and_class_names_from_key

    previous = Path.cwd()
    os.chdir(folder)  # where mutmut looks for its files
    try:
        lines = get_diff_for_mutant(key, path=path).splitlines()[2:]
    finally:
        os.chdir(previous)
    function, owner = orig_function_and_class_names_from_key(key)
    name = f"{owner}.{function}" if owner else function
    was, new = (
        " ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    return [name, was, new]


def explanations():
    """{(module, function, was, is): why}, from the hand-written file."""
    if not EXPLAINED.exists():
        return {}
    return {
        (module, entry["function"], *entry_change): entry["why"]
        for module, entries in tomllib.loads(EXPLAINED.read_text("utf-8")).items()
        for entry in entries
        for entry_change in entry["changes"]
    }


def share(found):
    """Of a module's mutants, the share that was killed or ran out of time."""
    return (found["killed"] + found["timeout"]) / found["mutants"]


def judge(results, explained):
    """0 if enough mutants of every module were killed and all others are explained, else 1."""
    status = 0
    for module, found in results["modules"].items():
        unexplained = [one for one in found["alive"] if (module, *one) not in explained]
        print(
            f"{module}: {share(found):.1%} of {found['mutants']} mutants killed, "
            f"{len(found['alive'])} live, {len(unexplained)} of them unexplained"
        )
        if share(found) < WANTED or unexplained:
            status = 1
    return status


def report(results, explained):
    """The page for people, in Markdown."""
    rows = [
        f"| `{module}` | {found['mutants']} | {found['killed']} | {found['timeout']} "
        f"| {len(found['alive'])} | {share(found):.1%} |"
        for module, found in results["modules"].items()
    ]
    lists = []
    for module, found in results["modules"].items():
        reasons = {}
        for one in found["alive"]:
            reasons.setdefault(explained.get((module, *one), "Not explained yet."), []).append(one)
        lists.append(f"### `{module}`\n")
        for why, changes in reasons.items():
            lists.append(f"{why}\n\n```")
            lists += [f"{name}\n  - {was}\n  + {new}" for name, was, new in changes]
            lists.append("```\n")
    about = in_words(results) + "."
    return PAGE.format(table="\n".join(rows), about=about, alive="\n".join(lists).rstrip()) + "\n"


if __name__ == "__main__":
    sys.exit(main())
