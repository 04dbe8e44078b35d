"""Coverage-guided fuzzing of every reader of a file: `make fuzz`.

    .venv/bin/python tests/fuzz/fuzz.py [--runs 100000] [--only csv wav …] [--seed 1]
                             [--output tools/benchmarks/fuzzing.md] [--findings fuzz_findings]

Atheris (libFuzzer) makes the inputs, and prefers what reaches new lines of cmc_helpers.
`targets.py` says what is read and what counts as a finding, `mutations.py` how a file is damaged
inside its container. Every finding is kept as a file in --findings, its traceback beside it;
`--replay FILE --only NAME` reads it again. The exit status is 1 if there is any.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

ADDRESS_SPACE = 4  # GiB that a target may ask the system for, beyond what the start takes
HANG = 60  # seconds on the clock after which libFuzzer ends the process
LARGEST = 2  # times the largest seed: the longest input


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000, help="inputs for each target")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these targets alone")
    parser.add_argument("--seed", type=int, default=1, help="from 1")
    parser.add_argument("--output", type=Path, help="write the table into this file")
    parser.add_argument("--findings", type=Path, default=Path("fuzz_findings"))
    parser.add_argument("--replay", type=Path, metavar="FILE", help="read one input again")
    parser.add_argument("--run", type=Path, help="a small run instead of training one")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)  # of a child
    parser.add_argument("--done", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.work:
        return child(given)
    os.environ["OMP_NUM_THREADS"] = "1"
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        return parent(given, Path(folder))


# ------------------------------------------------------------------------------------- one by one


def parent(given, folder):
    """Make the seeds, give every target a process of its own, and write the table."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path[:2])}
    train(folder / "trained", given.run, environment)
    import targets

    known = targets.targets(folder / "seeds", folder / "trained" / "run")
    names = given.only or list(known)
    if unknown := set(names) - set(known):
        raise SystemExit(f"no target {', '.join(sorted(unknown))}: choose of {', '.join(known)}")
    if given.replay:
        return replay(known[names[0]], given.replay)
    rows = []
    for name in names:
        row = fuzz(name, known[name], given, folder, environment)
        rows.append(row)
        print(line(row), flush=True)
    with suppress(OSError):
        given.findings.rmdir()  # if it is empty
    table = report(rows, given)
    if given.output:
        given.output.write_text(table, "utf-8")
    found = sum(row["findings"] for row in rows)
    print(f"{found} findings" + (f", see {given.findings}" if found else ""))
    return int(found > 0)


def train(folder, run, environment):
    """The small run whose files are damaged, made by a process of its own, with TensorFlow."""
    if run:
        shutil.copytree(run, folder / "run")
        return
    print("training the small run whose files are damaged …", flush=True)
    code = "import sys, pathlib, targets; targets.make_run(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(folder)]
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)


def replay(target, path):
    """Read one input and say what came of it."""
    import targets

    warnings.filterwarnings("error", module="cmc_helpers")
    print("accepted" if targets.check(target, path.read_bytes()) else "refused")
    return 0


def fuzz(name, target, given, folder, environment):
    """All runs of one target, however often its process dies: a row of the table."""
    corpus, findings = folder / f"corpus_{name}", given.findings / name
    corpus.mkdir()
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed_{number}").write_bytes(seed)
    (folder / f"words_{name}").write_text("".join(f'"{escaped(w)}"\n' for w in target.words))
    row = dict(name=name, runs=0, seconds=0.0, memory=0, edges=0, accepted=0, findings=0)
    dead = 0
    while row["runs"] < given.runs and dead < 20:
        stats, log = folder / f"stats_{name}.json", folder / f"log_{name}"
        stats.unlink(missing_ok=True)
        begun = os.times().children_user + os.times().children_system
        with log.open("wb") as file:
            child = [sys.executable, __file__, "--work", str(folder), "--only", name]
            child += ["--runs", str(given.runs - row["runs"]), "--findings", str(findings)]
            child += ["--seed", str(given.seed + dead)]
            status = subprocess.call(child, env=environment, stdout=file, stderr=file)
        row["seconds"] += os.times().children_user + os.times().children_system - begun
        text = log.read_bytes().decode("utf-8", "replace")
        if not stats.exists():
            raise SystemExit(f"{name} did not start:\n{text[-2000:]}")
        told = json.loads(stats.read_text())
        for key in ("runs", "accepted", "findings"):
            row[key] += told[key]
        row["memory"] = max(row["memory"], told["memory"])
        covered = re.findall(r"\bcov: (\d+)", text)
        row["edges"] = max(row["edges"], int(covered[-1]) if covered else 0)
        if status:  # the process is dead, by an input that libFuzzer has written down
            dead += 1
            row["findings"] += 1
            findings.mkdir(parents=True, exist_ok=True)
            (findings / f"died_{dead}.log").write_text(text[-20_000:], "utf-8")
    if findings.is_dir() and not any(findings.iterdir()):
        findings.rmdir()
    return row


def escaped(word):
    """A word of `Target.words` as libFuzzer's dictionaries have it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def line(row):
    pace = row["runs"] / max(row["seconds"], 1e-9)
    return (
        f"{row['name']:12s} {row['runs']:8,d} inputs  {row['seconds']:7.0f} s  {pace:6.0f} /s  "
        f"{row['accepted']:8,d} accepted  {row['edges']:5d} edges  {row['memory']:5.0f} MB  "
        f"{row['findings']} findings"
    )


def report(rows, given):
    """The table as Markdown; rows of other readers in --output stay, with their date and seed."""
    from importlib.metadata import version

    from cmc_helpers.provenance import processor, provenance

    about = provenance("make fuzz ARGS='--output tools/benchmarks/fuzzing.md'")
    named = about["versions"] | {name: version(name) for name in ("atheris", "h5py", "soundfile")}
    wanted = ("python", "atheris", "numpy", "h5py", "soundfile", "music21")
    versions = ", ".join(f"{name} {named[name]}" for name in wanted)
    table = {row["name"]: row for row in rows}
    lines = {
        name: f"| {name} | {r['runs']:,d} | {r['accepted']:,d} | {r['edges']} | {r['seconds']:.0f} "
        f"| {r['memory']:.0f} | {r['findings']} | {given.seed} | {about['date']} |"
        for name, r in table.items()
    }
    if given.output and given.output.exists():
        old = re.findall(r"^\| ([a-z0-9]+) \| \d.*$", given.output.read_text("utf-8"), re.MULTILINE)
        kept = given.output.read_text("utf-8").splitlines()
        for name in old:
            lines.setdefault(name, next(x for x in kept if x.startswith(f"| {name} | ")))
    head = f"{about['date']}, `{about['command']}`, one core of {processor()}; {versions}\n\n"
    head += "| reader | inputs | accepted | edges | s of CPU | peak MB | findings | seed | date |\n"
    head += "|---|---:|---:|---:|---:|---:|---:|---:|---|\n"
    return head + "\n".join(lines[name] for name in sorted(lines)) + "\n"


# ------------------------------------------------------------------------- the process of a target


def child(given):
    """Fuzz one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["cmc_helpers"], enable_loader_override=False):
        import targets
    import mutations

    (name,) = given.only
    target = targets.targets(given.work / f"files_{os.getpid()}", given.work / "trained" / "run")[
        name
    ]
    limit_memory()
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    warnings.filterwarnings("error", module="cmc_helpers")
    stats = given.work / f"stats_{name}.json"
    told = dict(runs=0, accepted=0, findings=0, memory=0)
    seen = set()

    def write():
        told["memory"] = targets._peak()
        stats.write_text(json.dumps(told))

    def one(data):
        if told["runs"] % 100 == 0:
            write()
        told["runs"] += 1
        try:
            told["accepted"] += targets.check(target, data)
        except targets.Finding as finding:
            keep(finding, data)
        if told["runs"] >= given.runs:
            write()
            sys.stderr.flush()
            os._exit(0)

    def keep(finding, data):
        """The first input that fails at a place and in a way; its traceback beside it."""
        frames = traceback.extract_tb((finding.__cause__ or finding).__traceback__)
        ours = [f for f in frames if "cmc_helpers" in f.filename] or frames
        place = f"{Path(ours[-1].filename).stem}_{ours[-1].lineno}"
        where = f"{place}_{re.split('[^A-Za-z]', str(finding))[0]}"
        if where in seen:
            return
        seen.add(where)
        told["findings"] += 1
        given.findings.mkdir(parents=True, exist_ok=True)
        (given.findings / where).write_bytes(data)
        text = "".join(traceback.format_exception(finding))
        (given.findings / f"{where}.log").write_text(text, "utf-8", "backslashreplace")

    def mutate(data, most, seed):
        rng = random.Random(seed)
        changed = raw(data, rng)
        if rng.random() < 0.5:
            changed = mutations.inside(data, rng, lambda part, rng: raw(part, rng))
        return changed[:most]

    def raw(data, rng):
        return atheris.Mutate(data, len(data) + 64)

    longest = max(4096, LARGEST * max(map(len, target.seeds)))
    given.findings.mkdir(parents=True, exist_ok=True)
    options = [f"-seed={given.seed}", f"-timeout={HANG}", "-rss_limit_mb=0", "-runs=-1"]
    options += [f"-max_len={longest}", f"-dict={given.work / f'words_{name}'}"]
    options += [f"-artifact_prefix={given.findings}/died_", str(given.work / f"corpus_{name}")]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=mutate)
    atheris.Fuzz()


def limit_memory():
    """What asks for much more than it gets fails at once, instead of filling the machine."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ADDRESS_SPACE * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    raise SystemExit(main())
