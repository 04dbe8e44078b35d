"""Does it bear the load? 200 hours to train on, an hour to generate, twenty people at once.

    make load [ARGS="--only hour playground"]

What is measured is memory that a process has for itself (RssAnon, summed over all processes of a
command), because pages of files that lie in the system's cache are given back when others need
them. Every command is an ordinary one, started as a user starts it.

corpus      trains and evaluates on 2 hours and on 200; builds corpora of short recordings and of
            one that lasts for hours.
hour        generates 1, 10 and 60 minutes, as sound and as CSV; one by every strategy.
playground  lets 20 visitors open the page at once, move τ, and go: see load_playground.py.

Tables go to tools/benchmarks/load.md, and all numbers to tools/benchmarks/load.json.
"""

import argparse
import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from cmc_helpers import mixtures, provenance
from cmc_helpers.features import FeatureConfig

PARTS = ("corpus", "hour", "playground")
CMC = [sys.executable, "-c", "import sys; from cmc_helpers.cli import main; sys.exit(main())"]
PIECE = 75_000  # frames: ten minutes
ROOM = 5  # GB of the disk that are left to others
NETWORK = "--layers 1 --units 32 --mixtures 4 --batch 16 --steps 64".split()


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--hours", type=float, default=200, help="of the large corpus")
    parser.add_argument("--gigabytes", type=float, default=40, help="of disk, at most, for it")
    parser.add_argument("--updates", type=int, default=300, help="of each training")
    parser.add_argument("--recordings", type=float, nargs="+", default=[1, 4, 16], help="hours")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60], help="generated")
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--moves", type=int, default=5, help="of each visitor")
    parser.add_argument("--work", type=Path, help="a folder with room; default: a temporary one")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args(arguments)
    options = [*(arguments or sys.argv[1:])]
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        for part in given.only:
            found = globals()[part](given, Path(folder))
            command = f"make load ARGS='{' '.join(['--only', part, *_without_only(options)])}'"
            found = provenance.provenance(command) | found
            kept = json.loads(given.output.read_text("utf-8")) if given.output.exists() else {}
            provenance.write(given.output, kept | {part: found})
    report(given.output)


def _without_only(options):
    """The options that say how much, without the names of parts and what is only of this machine"""
    left, skipping = [], False
    for word in options:
        if word.startswith("--"):
            skipping = word in ("--only", "--work", "--output")
        left += [] if skipping else [word]
    return left


# ------------------------------------------------------------------------------ a command's memory


def processes(root):
    """The process `root` and all that it has started, by number."""
    children = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            parent = int(path.joinpath("stat").read_text("utf-8").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.name))
    found, new = [], [root]
    while new:
        found += new
        new = [child for process in new for child in children.get(process, [])]
    return found


def anonymous(root):
    """MB that a process and all that it has started have for themselves."""
    total = 0
    for process in processes(root):
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process}/status").read_text("utf-8").splitlines()
            total += int(next(line for line in lines if line.startswith("RssAnon")).split()[1])
    return total * 1024 / 1e6


def watch(*arguments, every=0.2):
    """Run `cmc` with these arguments; a dict of what it took.

    megabytes: the peak. gained: MB that the second half of the work added, by a straight line.
    seconds; cpu: seconds of processor time; begun: seconds until "Training" stood on the terminal,
    which is when the first batch was done. Raises SystemExit if it fails.
    """
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 100))
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen([*CMC, *map(str, arguments)], stdout=said, stderr=end)
        os.close(end)
        os.set_blocking(terminal, False)
        seen, first, memory, usage = b"", None, [], None
        while usage is None:
            time.sleep(every)
            memory.append((time.monotonic() - begun, anonymous(process.pid)))
            with suppress(OSError):
                seen = seen[-4000:] + os.read(terminal, 65536)
            if first is None and b"Training:" in seen:
                first = memory[-1][0]
            number, status, used = os.wait4(process.pid, os.WNOHANG)
            usage = used if number else None
        os.close(terminal)
        said.seek(0)
        words = said.read().strip()
    if status:
        raise SystemExit(f"cmc {' '.join(map(str, arguments))} failed:\n{seen.decode()[-2000:]}")
    times, sizes = np.array(memory[:-1] or memory).T
    begin = max(times[-1] / 2, (first or 0) + (times[-1] - (first or 0)) / 2)
    late = times >= begin
    slope = np.polyfit(times[late], sizes[late], 1)[0] if late.sum() > 2 else 0.0
    return {
        "megabytes": round(float(sizes.max())),
        "gained": round(float(slope * (times[-1] - begin)), 1),
        "seconds": round(float(time.monotonic() - begun), 1),
        "cpu": round(usage.ru_utime + usage.ru_stime, 1),
        "begun": first and round(float(first), 1),
        "said": words.splitlines()[-1].partition(": ")[2] if words else "",  # without the path
    }


# ------------------------------------------------------------------------------------------ corpus


def corpus(given, folder):
    """Train, go on, and evaluate, on little and on much; build from short and long recordings."""
    found = {"training": {}, "building": {}}
    for hours in (min(2, given.hours), given.hours):
        data, run = folder / f"corpus_{hours:g}", folder / f"run_{hours:g}"
        distinct = synthetic_corpus(data, hours, given.gigabytes)
        each = max(given.updates // 3, 1)
        settings = [*NETWORK, "--batches-per-epoch", each, "--checkpoint-minutes", 1]
        rows = {
            "train": watch("train", data, "--run", run, *settings, "--epochs", 2),
            "resume": watch("train", data, "--run", run, "--resume", "--epochs", 3),
            "evaluate": watch("evaluate", run, data, "--clips", 2, "--seconds", 20),
        }
        found["training"][f"{hours:g} h"] = {"distinct hours": round(distinct, 1)} | rows
        shutil.rmtree(data)
        print(f"{hours:g} hours: {rows}", flush=True)
    for hours in given.recordings:
        for name, minutes in (("of a minute each", 1), ("in one recording", 60 * hours)):
            sounds = folder / "sounds"
            recordings(sounds, hours, minutes)
            row = watch("corpus", sounds, "-o", folder / "built", "--jobs", 2)
            found["building"][f"{hours:g} h {name}"] = row
            shutil.rmtree(sounds)
            shutil.rmtree(folder / "built")
            print(f"{hours:g} hours {name}: {row}", flush=True)
    return found


def synthetic_corpus(folder, hours, gigabytes):
    """A corpus folder of so many hours in pieces of ten minutes, two of twelve held out up to two
    hours of them; returns how many hours of it are distinct on disk.

    Where the disk has less room than all of it takes, several pieces share a file. What is read
    again then comes from memory, sooner than from a disk; but that memory is the system's.
    """
    count = max(round(hours * 6), 3)
    room = min(gigabytes, shutil.disk_usage(folder.parent).free / 1e9 - ROOM)
    files = min(count, int(room / (400 * PIECE / 1e9)))
    if files < 3:
        raise SystemExit(f"{folder.parent} has no room for a corpus: give another --work")
    if files < count:
        print(f"The disk has room for {files / 6:.1f} of {hours:g} hours: pieces share files.")
    folder.mkdir()
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 0.02, (PIECE, 100)).astype(np.float32)
    base = np.abs(np.cumsum(steps, axis=0) % 2 - 1) * np.linspace(1, 0.2, 100, dtype=np.float32)
    for number in range(files):
        rolled = np.roll(base, int(rng.integers(PIECE)), axis=0)
        np.save(folder / f"{number:016x}.npy", rolled * np.float32(rng.uniform(0.3, 1)))
    held_out = set(range(0, count, 6)[:12])
    pieces = [
        {
            "name": f"{number}.wav",
            "file": f"{number % files:016x}.npy",
            "frames": PIECE,
            "seconds": PIECE / 125,
            "sha256": "",
            "split": "validation" if number in held_out else "train",
        }
        for number in range(count)
    ]
    manifest = {
        "format": 1,
        "complete": True,
        "features": FeatureConfig.preset("default").to_dict(),
    }
    manifest |= {"hold_out": 0.1, "origin": {"kind": "recordings"}, "pieces": pieces}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return files / 6


def recordings(folder, hours, minutes):
    """So many hours of sound in FLAC files of so many minutes: noise that swells, the same in all,
    written a minute at a time."""
    import soundfile

    folder.mkdir()
    t = np.arange(60 * 8000) / 8000
    minute = 0.2 * np.random.default_rng(0).normal(size=len(t)) * (1.1 + np.sin(t)) / 2
    first = folder / "0.flac"
    with soundfile.SoundFile(first, "w", 8000, 1, "PCM_16") as file:
        for _ in range(round(minutes)):
            file.write(minute)
    for number in range(1, round(hours * 60 / minutes)):
        shutil.copy(first, folder / f"{number}.flac")


# -------------------------------------------------------------------------------------------- hour


def hour(given, folder):
    """Generate for ever longer, as sound and as CSV; then by every strategy."""
    found = {}

    def made(name, minutes, suffix, *options):
        output = folder / f"made{suffix}"
        row = watch("generate", "bach", "-o", output, "--seconds", 60 * minutes, *options)
        found[name] = row | {"times real time": round(60 * minutes / row["seconds"], 1)}
        print(f"{name}: {found[name]}", flush=True)
        output.unlink()

    for suffix in (".wav", ".csv"):
        for minutes in given.minutes:
            made(f"{minutes:g} min, {suffix}", minutes, suffix)
    minutes = min(given.minutes)
    for strategy in mixtures.STRATEGIES:
        made(f"{minutes:g} min, {strategy}", minutes, ".wav", "--strategy", strategy)
    return found


# -------------------------------------------------------------------------------------- playground


def playground(given, folder):
    """Twenty people at once."""
    from load_playground import crowd

    found = crowd(folder, given.visitors, given.moves)
    print(found, flush=True)
    return found


# ------------------------------------------------------------------------------------------ tables


def report(path):
    """Write the tables of what is in the JSON file `path` beside it, and print them."""
    found = json.loads(path.read_text("utf-8"))
    lines = [
        "# Under load",
        "",
        "Made by `make load`; what is measured says the head of `load.py`. Seconds depend on what",
        "else the machine has to do; CPU, seconds of a core, hardly does.",
    ]
    for part in filter(found.get, PARTS):
        lines += ["", f"## {part.capitalize()}", ""]
        lines += globals()[f"_{part}_table"](found[part])
        lines += [
            "",
            f"{found[part]['date']}, {found[part]['machine']}: `{found[part]['command']}`",
        ]
    text = "\n".join(lines) + "\n"
    path.with_suffix(".md").write_text(text, "utf-8")
    print(text)


def _table(head, rows):
    rows = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def _corpus_table(found):
    head = ["", "MB", "MB gained in the second half", "seconds", "until the first batch", "CPU"]
    rows = [
        [f"{hours}: {name}", row["megabytes"], row["gained"], row["seconds"], row["begun"] or ""]
        + [row["cpu"]]
        for hours, three in found["training"].items()
        for name, row in three.items()
        if name != "distinct hours"
    ]
    distinct = ", ".join(f"{h}: {x['distinct hours']:g} h" for h, x in found["training"].items())
    built = [
        [name, row["megabytes"], row["seconds"], row["cpu"]]
        for name, row in found["building"].items()
    ]
    lines = [*_table(head, rows), "", f"Of these on disk, distinct: {distinct}.", ""]
    return lines + _table(["cmc corpus, two jobs", "MB", "seconds", "CPU"], built)


def _hour_table(found):
    head = ["cmc generate bach", "MB", "seconds", "CPU", "times real time"]
    names = ("megabytes", "seconds", "cpu", "times real time")
    return _table(head, [[name, *(row[k] for k in names)] for name, row in _only(found).items()])


def _playground_table(found):
    return _table(["", ""], _only(found).items())


def _only(found):
    """What was found, without what goes with it."""
    about = ("command", "date", "machine", "versions")
    return {name: value for name, value in found.items() if name not in about}


if __name__ == "__main__":
    main()
