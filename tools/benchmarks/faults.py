"""What is left after a kill, on a full disk, in a folder that may not be written?

    python tools/benchmarks/faults.py [--kills 20] [--seed 0] [--only PART …] [--output FILE.md]

Runs the command line as users do, in processes of its own, and does to them what happens to users.
After each fault three promises are checked: every file under its own name is whole; the command
said one sentence and no traceback (but for `kill -9`); and when it is given again, with `--resume`
for a training, it ends as if nothing had been, byte by byte, and leaves no temporary file. Each
broken promise is printed, and the exit status is then 1.

Half of the kills come at random moments of the time that the command takes undisturbed, the others
while a file is being written. Full disks are small tmpfs, read-only folders a file system mounted
so: both need Linux and root, and are left out in a sentence elsewhere. A clock that is set back
during a command needs libfaketime (Debian: apt install faketime).
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from cmc_helpers import corpora, listening_test, runs
from cmc_helpers.audio import read_audio, write_audio
from cmc_helpers.files import FileError
from cmc_helpers.provenance import Stages, in_words, provenance
from cmc_helpers.vectors import read_csv

ROOT = Path(__file__).resolve().parents[2]
CMC = [sys.executable, "-m", "cmc_helpers"]
NETWORK = "--layers 1 --units 8 --mixtures 2 --batch 4 --steps 10 --seed 3".split()
TRAINING = [*NETWORK, "--epochs", "5", "--checkpoint-minutes", "0.002"]
TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.\w+|\.lock")
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
PAGE = 4096
STARTED = []  # processes


class Broken(Exception):
    """A promise that was not kept."""


def check(kept, promise):
    if not kept:
        raise Broken(promise)


# ------------------------------------------------------------------------------- what is disturbed


class Train:
    """`cmc train`: on a recording, or on a folder of them, which then becomes a corpus first."""

    def __init__(self, material, data="clip.wav"):
        self.name, self.data = f"train {data}", material / data

    def command(self, folder):
        return ["train", self.data, "--run", folder / "run", *TRAINING]

    def again(self, folder):
        if (folder / "run" / runs.CONFIG).exists():
            return ["train", self.data, "--run", folder / "run", "--resume"]
        return self.command(folder)

    def check_whole(self, folder):
        run = folder / "run"
        for path in run.glob("[!.]*.npz"):
            with np.load(path) as arrays:
                check(
                    all(np.isfinite(a).all() for a in arrays.values() if a.dtype.kind == "f"), path
                )
        if (run / runs.MODEL).exists():
            with zipfile.ZipFile(run / runs.MODEL) as archive:
                check(archive.testzip() is None, run / runs.MODEL)
        if (run / runs.CONFIG).exists():
            runs.read_settings(run)
        if (run / runs.HISTORY).exists():
            runs.read_history(run / runs.HISTORY)
        loads_or_says(runs.load, run)
        if (run / "corpus").exists():
            check_corpus(run / "corpus")

    def result(self, folder):
        """Bytes of every file; of the model, in whose ZIP file the time stands, the weights."""
        run = runs.load(folder / "run")
        weights = b"".join(w.tobytes() for arrays in run.weights.values() for w in arrays)
        return contents(folder, but=runs.MODEL) | {runs.MODEL: weights}


class Corpus:
    """`cmc corpus` by two processes, with copies in other keys."""

    name = "corpus"

    def __init__(self, material):
        self.data = material / "recordings"

    def command(self, folder):
        return ["corpus", self.data, "-o", folder / "corpus", "--jobs", "2", "--transpose", "1"]

    again = command

    def check_whole(self, folder):
        check_corpus(folder / "corpus")

    def result(self, folder):
        return contents(folder)


class Generate:
    """`cmc generate` over an older file, which stays or is replaced as a whole."""

    def __init__(self, material, suffix):
        self.name, self.run, self.old = f"generate {suffix}", material / "run", material / "old"
        self.suffix, self.new = suffix, None

    def command(self, folder):
        out = folder / f"out.{self.suffix}"
        if not out.exists() and not any(folder.glob("[!.f]*")):
            shutil.copyfile(self.old.with_suffix(out.suffix), out)
        return ["generate", self.run, "-o", out, "--seconds", "3", "--strategy", "sample"]

    again = command

    def check_whole(self, folder):
        out = folder / f"out.{self.suffix}"
        old = self.old.with_suffix(out.suffix).read_bytes()
        check(not out.exists() or out.read_bytes() in (old, self.new), f"{out} is half-written")

    def result(self, folder):
        found = contents(folder)
        self.new = self.new or found[f"out.{self.suffix}"]
        (read_audio if self.suffix != "csv" else read_csv)(folder / f"out.{self.suffix}")
        return found


def contents(folder, but=""):
    """{name: bytes} of all files, hidden ones too; what fills the disk aside."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (but, "filler")
    }


def loads_or_says(load, folder):
    try:
        load(folder)
    except FileError as problem:
        check(": " in str(problem) and "\n" not in str(problem), f"{problem} is no sentence")


def check_corpus(folder):
    for path in folder.glob("[!.]*.npy"):
        features = np.load(path)
        check(features.shape[1] == 100 and np.isfinite(features).all(), f"{path} is not whole")
    if (folder / "manifest.json").exists():
        json.loads((folder / "manifest.json").read_text("utf-8"))
    loads_or_says(corpora.load_corpus, folder)


def material(folder, trained=None, suffixes=("wav", "csv", "flac")):
    """What the commands are given: recordings, a run, which is a copy of the one that is `trained`,
    and older files with these suffixes to write over."""
    t = np.arange(24000) / 8000
    (folder / "recordings").mkdir()
    for number in range(4):
        noise = 0.01 * np.random.default_rng(number).standard_normal(len(t))
        sound = 0.4 * np.sin(2 * np.pi * (200 + 60 * number + 50 * t) * t) + noise
        write_audio(folder / "recordings" / f"{number}.wav", sound)
    shutil.copy(folder / "recordings" / "0.wav", folder / "clip.wav")
    if trained:
        shutil.copytree(trained, folder / "run")
    else:
        succeeds(["train", folder / "clip.wav", "--run", folder / "run", *TRAINING])
    for suffix in suffixes:
        succeeds(["generate", folder / "run", "-o", folder / f"old.{suffix}", "--seconds", "3"])
    return folder


# ------------------------------------------------------------------------------------- processes


def start(command, before=(), **environment):
    """`cmc` with these arguments, as the leader of a process group, as a shell starts it."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TF_")},
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        **environment,
    }
    process = subprocess.Popen(
        [*map(str, before), *CMC, *map(str, command)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=_hear_signals,
        cwd=environment.get("PWD_OF_CMC"),
    )
    STARTED.append(process)
    return process


def _hear_signals():  # what runs in the background is deaf to Ctrl-C, and so are its children
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)


def ends(process, patience=600):
    """Wait; return (status, stdout, stderr). All who hold its pipes must have ended too."""
    try:
        said, complained = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise Broken(f"it did not end within {patience} s") from None
    return process.returncode, said, complained


def succeeds(command, **options):
    status, _, complained = ends(start(command, **options))
    check((status, complained) == (0, ""), f"{command[0]} ended with {status}: {complained}")


def refused(process, *words):
    """The one sentence of a command that ends with status 2; it holds all these words."""
    status, _, complained = ends(process)
    check(status == 2, f"status {status}, not 2: {complained}")
    check(
        complained.startswith("cmc: ") and complained.count("\n") == 1,
        f"not one line: {complained}",
    )
    for word in words:
        check(word in complained, f"nothing of {word!r} in: {complained}")
    return complained


def kill(process, number=signal.SIGKILL):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def writing(process, folder, nth):
    """Wait until the nth temporary file appears below `folder`, or until the process ends."""
    seen = set()
    while process.poll() is None:
        for place in (folder, folder / "run", folder / "corpus", folder / "run" / "corpus"):
            with suppress(OSError):
                seen.update(n for n in os.listdir(place) if TEMPORARY.fullmatch(n) and n != ".lock")
        if len(seen) >= nth:
            return
        time.sleep(0.0002)


def answers_signals(process):
    """Wait until Python is up and has its handlers: before that nobody could say a sentence."""
    while process.poll() is None:
        with suppress(OSError):
            caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
            if caught and int(caught[1], 16) >> signal.SIGTERM - 1 & 1:
                return
        time.sleep(0.002)


# ------------------------------------------------------------------------------------ the faults


class Faults:
    """All parts, with what they share: the seed, the number of kills, results undisturbed.

    trained: a run to generate from; None trains one. names: of the commands, all of them if None.
    """

    def __init__(self, folder, kills, seed, trained=None, names=None):
        self.folder, self.kills, self.random = folder, kills, random.Random(seed)
        self.rows, self.count = [], 0
        generated = [name.split()[1] for name in names or () if name.startswith("generate")]
        self.material = material(folder, trained, *([generated] if names else []))
        self.jobs = [
            Train(folder),
            Train(folder, "recordings"),
            Corpus(folder),
            Generate(folder, "wav"),
            Generate(folder, "csv"),
        ]
        self.jobs = [job for job in self.jobs if names is None or job.name in names]
        self.seconds, self.writes, self.results = {}, {}, {}
        for job in self.jobs:
            self._undisturbed(job)

    def _undisturbed(self, job):
        place = self.new()
        begun, count = time.monotonic(), 0
        process = start(job.command(place))
        while process.poll() is None:
            count += 1
            writing(process, place, count)
        self.seconds[job], self.writes[job] = time.monotonic() - begun, count - 1
        check(ends(process)[0] == 0, f"{job.name} failed undisturbed")
        self.results[job] = job.result(place)

    def new(self):
        """A fresh folder."""
        self.count += 1
        place = self.folder / f"place{self.count}"
        place.mkdir()
        return place

    def row(self, fault, job, tries):
        """Call every function of `tries`; enter how many of them kept all promises."""
        broken = []
        for number, attempt in enumerate(tries):
            try:
                attempt()
            except Broken as problem:
                broken.append(f"try {number + 1}: {problem}")
        self.rows.append((fault, job, len(tries), broken))
        print(f"{fault}; {job}: {len(tries) - len(broken)} of {len(tries)} kept", flush=True)
        for line in broken:
            print(f"    {line}", flush=True)

    def ends_alike(self, job, place, **options):
        """The command again ends as if it had not been disturbed."""
        succeeds(job.again(place), **options)
        found, wanted = job.result(place), self.results[job]
        check(found.keys() == wanted.keys(), f"files differ: {found.keys() ^ wanted.keys()}")
        differing = [name for name in wanted if found[name] != wanted[name]]
        check(not differing, f"not identical: {differing}")
        shutil.rmtree(place)

    def moment(self, job, process, place, number):
        """Wait for a random moment: every second time one at which a file is being written."""
        if number % 2 and self.writes[job]:
            writing(process, place, self.random.randint(1, self.writes[job]))
            time.sleep(self.random.choice((0, 0, 0.0005, 0.002, 0.01)))
        else:
            with suppress(subprocess.TimeoutExpired):
                process.wait(self.random.uniform(0, self.seconds[job]))

    def killed(self, jobs=None):
        """kill -9 of all its processes, and again while it is taken up."""

        def once(job, number):
            place = self.new()
            for command in (job.command, job.again)[: 1 + number % 3 % 2]:
                process = start(command(place))
                self.moment(job, process, place, number)
                kill(process)
                ends(process)
                job.check_whole(place)
            self.ends_alike(job, place)

        for job in jobs or self.jobs:
            kills = max(1, self.kills // 4) if job.name == "train recordings" else self.kills
            self.row("kill -9", job.name, [lambda j=job, n=n: once(j, n) for n in range(kills)])

    def killed_on_and_on(self):
        """One training, killed until it ends by itself; its checkpoint never goes back."""
        job, kills = self.jobs[0], 0
        place, before = self.new(), (0, 0)

        def end():
            nonlocal kills, before
            while kills < 5 * self.kills:
                process = start(job.again(place))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(self.seconds[job] * self.random.uniform(0.5, 1))
                if process.poll() == 0:
                    break
                kill(process)
                ends(process)
                kills += 1
                job.check_whole(place)
                now = stands_at(place / "run")
                check(now >= before, f"the checkpoint went back from {before} to {now}")
                before = now
            self.ends_alike(job, place)

        self.row("kill -9 again and again", job.name, [end])
        self.rows[-1] = (f"kill -9 {kills} times in a row", *self.rows[-1][1:])

    def stopped(self, ways=None, names=None):
        """Ctrl-C, kill and a closed terminal, of the whole process group; Ctrl-C also twice."""

        def once(job, numbers, number):
            place = self.new()
            process = start(job.command(place))
            answers_signals(process)
            self.moment(job, process, place, number)
            for each in numbers:
                kill(process, each)
                time.sleep(0.05)
            if process.poll() == 0:
                ends(process)
            else:
                status, _, complained = ends(process)
                if status:
                    check(status == 2, f"status {status}: {complained}")
                    check(
                        complained.startswith("cmc: stopped") and complained.count("\n") == 1,
                        f"no sentence: {complained}",
                    )
            left = [name for name in contents(place) if TEMPORARY.fullmatch(Path(name).name)]
            check(not left, f"left behind: {left}")
            job.check_whole(place)
            self.ends_alike(job, place)

        ways = ways or {
            "Ctrl-C": [signal.SIGINT],
            "Ctrl-C twice": [signal.SIGINT] * 2,
            "SIGTERM": [signal.SIGTERM],
            "SIGHUP": [signal.SIGHUP],
        }
        few = max(2, self.kills // 10)
        for way, numbers in ways.items():
            for job in (job for job in self.jobs if names is None or job.name in names):
                tries = [lambda j=job, w=numbers, n=n: once(j, w, n) for n in range(few)]
                self.row(way, job.name, tries)

    def full(self):
        """A disk that is full: at the start, somewhere on the way, one page before the end."""
        if not may_mount():
            return self.skip("full disk", "it takes Linux and root to mount a small tmpfs")

        def once(job, share):
            with mounted(self.new(), "size=8m") as place:
                job.command(place)  # puts the older file there
                need = -(-sum(map(len, self.results[job].values())) // PAGE) * PAGE
                leave(place, 0 if share == "the start" else PAGE * round(share * need / PAGE))
                status, said, complained = ends(start(job.command(place)))
                check(status in (0, 2), f"status {status}: {complained}")
                if status:
                    check(
                        complained.startswith("cmc: ")
                        and complained.count("\n") == 1
                        and "make room" in complained
                        and str(place) in complained,
                        f"no sentence: {complained}",
                    )
                job.check_whole(place)
                left = [name for name in contents(place) if TEMPORARY.fullmatch(Path(name).name)]
                check(not left, f"left behind: {left}")
                (place / "filler").unlink()
                self.ends_alike(job, place)

        for job in [*self.jobs, flac := Generate(self.material, "flac")]:
            if job is flac:
                self._undisturbed(job)
            shares = ["the start", 0.25, 0.5, 0.75, 0.9, 0.97, 1]
            self.row("full disk", job.name, [lambda j=job, s=s: once(j, s) for s in shares])
        self.row("full disk", "answers of the listening test", [self._full_answers])
        self.row("full disk", "stages of an experiment", [self._full_stages])

    def _full_answers(self):
        with mounted(self.new(), "size=256k") as place:
            clips = {name: np.sin(np.arange(800.0)) for name in "ab"}
            key = listening_test.plan(["a"], ["b"], 0)
            listening_test.prepare(place, key, clips, 8000)
            plan = place / listening_test.PLAN
            plan.write_text(json.dumps(json.loads(plan.read_text()) | {"trials": 1000}))
            answers = listening_test.Answers(place, "me", 0.3)
            leave(place, 0)
            with suppress(FileError):
                for number in range(1000):
                    answers.give(number % 2)
            check(len(answers.given) < 1000, "the disk was never full")
            (place / "filler").unlink()
            while answers.next_trial is not None:
                answers.give(answers.next_trial % 2)
            again = listening_test.Answers(place, "me").given
            check(again == [n % 2 for n in range(1000)], "answers were lost")

    def _full_stages(self):
        with mounted(self.new(), "size=64k") as place:
            stages, word = Stages(place / "stages.json"), "x" * 1000
            leave(place, 4 * PAGE)
            with suppress(FileError):
                for number in range(1000):
                    stages(str(number), lambda: word)
            kept = Stages(place / "stages.json").found
            check(0 < len(kept) < 1000 and set(kept.values()) == {word}, "stages were lost")
            check(sorted(contents(place)) == ["stages.json"], "left behind")

    def read_only(self):
        """Nothing may be written but one folder; then not that one either."""
        if not may_mount():
            return self.skip("read-only", "it takes Linux and root to mount a folder read-only")
        run, corpus = self.material / "run", self.new() / "corpus"
        succeeds(["corpus", self.material / "recordings", "-o", corpus])
        place = self.new()
        closed = ["unshare", "--mount", "sh", "-c", CLOSED, "sh", place]
        somewhere = {"TMPDIR": str(place), "HOME": "/", "PWD_OF_CMC": "/"}

        def works(*command):
            status, _, complained = ends(start(command, closed, **somewhere))
            check((status, complained) == (0, ""), f"status {status}: {complained}")

        def says(path, *command):
            refused(start(command, closed, **somewhere), str(path))

        shut, clip = self.new(), self.material / "clip.wav"
        self.row(
            "read-only, all but the output",
            "features, invert, corpus, train, generate",
            [
                lambda: works("features", clip, "-o", place / "f.csv"),
                lambda: works("invert", place / "f.csv", "-o", place / "f.wav"),
                lambda: works("corpus", self.material / "recordings", "-o", place / "c"),
                lambda: works("train", corpus, "--run", place / "run", *TRAINING),
                lambda: works("generate", run, "-o", place / "o.wav", "--seconds", "1"),
                lambda: works("generate", "bach", "-o", place / "o.flac", "--seconds", "1"),
            ],
        )
        self.row(
            "read-only output",
            "features, corpus, train, --resume, generate",
            [
                lambda: says(shut, "features", clip, "-o", shut / "f.csv"),
                lambda: says(shut, "corpus", self.material / "recordings", "-o", shut / "c"),
                lambda: says(corpus, "corpus", self.material / "recordings", "-o", corpus),
                lambda: says(shut, "train", clip, "--run", shut / "run", *TRAINING),
                lambda: says(run, "train", clip, "--run", run, "--resume", "--epochs", "9"),
                lambda: says(shut, "generate", run, "-o", shut / "o.wav"),
                lambda: says("o.wav", "generate", run, "-o", "o.wav"),
            ],
        )

    def clock(self):
        """The clock is set back ten years, between two commands and in the middle of one."""

        def between(job):
            place = self.new()
            process = start(job.command(place))
            self.moment(job, process, place, 1)
            kill(process)
            ends(process)
            later = time.time() + 3e8  # as if it had been written before the clock was set back
            for path in place.rglob("*"):
                os.utime(path, (later, later))
            self.ends_alike(job, place)

        def amid(job):
            place, clock = self.new(), self.folder / "clock"
            clock.write_text("+0")
            process = start(
                job.again(place),
                LD_PRELOAD=str(FAKETIME),
                FAKETIME_TIMESTAMP_FILE=str(clock),
                FAKETIME_NO_CACHE="1",
                FAKETIME_DONT_FAKE_MONOTONIC="1",
            )
            self.moment(job, process, place, 1)
            clock.write_text("-3650d")
            status, _, complained = ends(process)
            check((status, complained) == (0, ""), f"status {status}: {complained}")
            self.ends_alike(job, place)

        few = max(1, self.kills // 10)
        for job in self.jobs:
            self.row("clock set back, then resumed", job.name, few * [lambda j=job: between(j)])
        if not FAKETIME:
            return self.skip("clock set back meanwhile", "libfaketime is not installed")
        for job in self.jobs[:3]:
            self.row("clock set back meanwhile", job.name, [lambda j=job: amid(j)])

    def together(self):
        """A second process in the same folder, while the first is at work."""
        train, _, corpus, *_ = self.jobs
        long = [*NETWORK, "--epochs", "100000", "--checkpoint-minutes", "0.002"]

        @contextmanager
        def at_work(command, until):
            process = start(command)
            try:
                while not until() and process.poll() is None:
                    time.sleep(0.02)
                yield process
            finally:
                kill(process, signal.SIGINT)
                self.last = ends(process)

        def second_training(*more):
            place = self.new()
            command = ["train", self.material / "clip.wav", "--run", place / "run"]
            with at_work([*command, *long], (place / "run" / runs.CHECKPOINT).exists):
                said = refused(start([*command, *more]), "run")
                wanted = "in use by another process" if more else "exists: add --resume"
                check(wanted in said, said)
            check("keeps its last checkpoint" in self.last[2], f"the first ended: {self.last}")

        def both_at_once(job, word):
            place = self.new()
            both = [start(job.command(place)), start(job.command(place))]
            ended = [ends(process) for process in both]
            check(sorted(status for status, *_ in ended) in ([0, 2], [0, 0]), f"{ended}")
            for status, _, complained in ended:
                check(not status or word(complained), complained)
            self.ends_alike(job, place) if job is corpus else job.check_whole(place)

        def generating():
            place = self.new()
            command = ["train", self.material / "clip.wav", "--run", place / "run", *long]
            with at_work(command, (place / "run" / runs.MODEL).exists):
                for number in range(5):
                    succeeds(["generate", place / "run", "-o", place / f"{number}.wav"])

        def rebuilt():
            place = self.new()
            sounds = place / "recordings"
            shutil.copytree(self.material / "recordings", sounds)
            succeeds(["corpus", sounds, "-o", place / "corpus"])
            command = ["train", place / "corpus", "--run", place / "run", *long]
            with at_work(command, (place / "run" / runs.CHECKPOINT).exists) as process:
                succeeds(["corpus", sounds, "-o", place / "corpus"])
                check(process.poll() is None, "the training fell over a build that changed nothing")
                for path in sounds.glob("*.wav"):
                    write_audio(path, 0.5 * np.flip(read_audio(path)))
                succeeds(["corpus", sounds, "-o", place / "corpus"])
                refused(process, "was changed")

        def busy(complaint):
            return "in use by another process" in complaint or "add --resume" in complaint

        self.row("two at once", "train, train", [second_training])
        self.row("two at once", "train, --resume", [lambda: second_training("--resume")])
        for job in (train, corpus):
            tries = 2 * [lambda j=job: both_at_once(j, busy)]
            self.row("two at once, from the start", job.name, tries)
        self.row("two at once", "train, generate", [generating])
        self.row("two at once", "train, corpus changed below it", [rebuilt])

    def notebook(self):
        """The stop button of a notebook, while a cell trains; the next cell goes on."""
        from jupyter_client.manager import start_new_kernel

        def interrupted():
            place = self.new()
            paths = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            manager, client = start_new_kernel(env=paths)
            try:
                for folder, number in (("whole", 0), ("run", 0), ("run", 1)):
                    checkpoint = place / folder / runs.CHECKPOINT
                    client.execute(CELL.format(str(place / folder), self.data, bool(number)))
                    if (folder, number) == ("run", 0):
                        while not checkpoint.exists():
                            time.sleep(0.01)
                        manager.interrupt_kernel()
                    reply = client.get_shell_msg(timeout=300)["content"]
                    wanted = "KeyboardInterrupt" if (folder, number) == ("run", 0) else None
                    check(reply.get("ename") == wanted, f"{reply}")
            finally:
                client.stop_channels()
                manager.shutdown_kernel(now=True)
            files = [contents(place / folder, but=runs.MODEL) for folder in ("whole", "run")]
            check(files[0] == files[1], "not identical")

        self.data = str(self.material / "clip.wav")
        self.row("stop button", "a cell that trains", [interrupted])

    def skip(self, fault, reason):
        self.rows.append((fault, f"left out: {reason}", 0, []))
        print(f"{fault}: left out: {reason}", flush=True)


CELL = """
from pathlib import Path
from cmc_helpers import corpora, networks, training
from cmc_helpers.terminal import quiet_tensorflow
quiet_tensorflow()
network = networks.NetworkConfig(100, layers=1, units=8, components=2)
config = training.TrainingConfig(epochs=20, batch=4, steps=10)
training.train(
    corpora.open_corpus({1!r}), Path({0!r}), network, config, resume={2}, checkpoint_minutes=0
)
"""

# Everything that is mounted becomes read-only, but the folder given and what the system needs.
CLOSED = """
place=$1; shift
mount --bind "$place" "$place"
mount -o remount,bind,ro /
case "$place" in /tmp/*) mountpoint -q /tmp && mount -o remount,bind,ro /tmp;; esac
exec "$@"
"""


def may_mount():
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def mounted(place, options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
    try:
        (place / "disk").mkdir()
        yield place / "disk"
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def leave(place, room):
    """Fill the disk until so many bytes are left, whole pages."""
    free = os.statvfs(place)
    with (place / "filler").open("wb", buffering=0) as file, suppress(OSError):
        left = free.f_bavail * free.f_frsize - room
        while left > 0:
            left -= file.write(bytes(min(left, 2**20)))


def stands_at(run):
    """(epochs, batches) of the checkpoint in a run's folder; (0, 0) if there is none."""
    if not (run / runs.CHECKPOINT).exists():
        return 0, 0
    with np.load(run / runs.CHECKPOINT) as arrays:
        state = json.loads(str(arrays["state"]))
    return state["epoch"], state["number"]


PARTS = (
    "killed",
    "killed_on_and_on",
    "stopped",
    "full",
    "read_only",
    "clock",
    "together",
    "notebook",
)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--output", type=Path, help="a Markdown file for the table")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            faults = Faults(Path(folder), given.kills, given.seed)
            for part in given.only:
                getattr(faults, part)()
                if given.output:  # after each: all of them take half an hour
                    given.output.write_text(report(faults.rows, given), "utf-8")
        finally:  # Ctrl-C of this script is not theirs
            for process in STARTED:
                if process.poll() is None:
                    kill(process)
                    process.wait()
    return int(any(broken for *_, broken in faults.rows))


def report(rows, given):
    """The table, with what it was made by."""
    found = provenance(
        f"python tools/benchmarks/faults.py --kills {given.kills} --seed {given.seed}"
    )
    lines = [
        in_words(found) + "\n",
        "| fault | command | tries | all promises kept |",
        "|---|---|---:|---:|",
    ]
    lines += [
        f"| {fault} | {job} | {tries} | {tries - len(broken)} |"
        for fault, job, tries, broken in rows
    ]
    lines += [f"\n{fault}, {job}: {line}" for fault, job, _, b in rows for line in b]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
