"""Sources of sound → a corpus folder: a `.npy` file of features a source, and a `manifest.json`.

A source is a recording, or a score with an instrument; here it is only something with a name that
gives a waveform. Building is spread over processes, and may be stopped and taken up at any moment.
"""

import hashlib
import itertools
import json
import math
import multiprocessing.connection
import os
import re
import sys
import tempfile
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cmc_helpers.features import FeatureConfig, extract_features
from cmc_helpers.files import FileError, locked, parse_json, readable_file, replacing
from cmc_helpers.stopping import held_back, ignore
from cmc_helpers.transposition import ratio

MANIFEST = "manifest.json"
RECORDINGS = {"kind": "recordings"}
# To learn from; to choose epochs and settings by; and to report on, once all is chosen.
SPLITS = ("train", "validation", "test")
_FORMAT = 1
_EVERY = 5.0  # seconds between two states of the manifest on disk during a build
_WINDOWS_PROCESSES = 61  # Windows cannot wait for more at once
# What a build leaves behind when it is killed, or when less is wanted than before.
_OURS = re.compile(r"\.?[0-9a-f]{16}\.npy|\.[0-9a-f]{16}\.json")


class CorpusError(FileError):
    """Training data that cannot be used, in one sentence."""


class Source(Protocol):
    """What `build_from_sources` asks of a source of sound."""

    @property
    def name(self) -> str: ...

    @property
    def unreadable(self) -> type[Exception]: ...

    def checksum(self) -> str: ...

    def waveform(self, sample_rate: int) -> np.ndarray: ...


def build_from_sources(
    sources: Sequence[Source],
    output: str | Path,
    config: FeatureConfig,
    origin: dict[str, Any] = RECORDINGS,
    seconds: float = math.inf,
    hold_out: float = 0.1,
    test: float = 0.1,
    seed: int | None = None,
    jobs: int = 1,
    progress: Callable[..., object] | None = None,
    transpose: int = 0,
) -> list[tuple[Source, str]]:
    """Turn sources of sound into features in the corpus folder `output`, in their order.

    sources: a list of objects with a `name`; `checksum()`, which changes when the sound may have;
    `waveform(sample_rate)`; and `unreadable`, the exception of these that leaves out this source
    alone. origin: how they are made, ready for JSON; a corpus begun with another origin is refused.
    seconds: as many sources are taken as last that long. hold_out, test: the shares of the pieces
    that validate and that only test, see `split_pieces`. seed: decides which; None goes by their
    order, so that a longer corpus holds out what a shorter one does, and more. jobs: processes; the
    result does not depend on it.
    progress(done, total, name) is called before each source, with a limit in seconds, else pieces.
    transpose: so many semitones up and down a copy of each training piece is added, played faster
    or slower (paper, 6.1; notebook 13 compares the ways). Nothing held out has a copy.

    Memory is bounded by the longest source, once for each job. Every file is written whole. A build
    that was stopped goes on where it stopped and ends as if it had not been; features of what has
    not changed are kept, those of what is no longer wanted are deleted. Returns the list of
    (source, reason) of those that could not be read; raises CorpusError if none could, and where
    another process is building in `output`.
    """
    check_hold_out(hold_out, test)
    settings = {
        "features": config.to_dict(),
        "hold_out": hold_out,
        "test": test,
        "origin": origin,
    }
    with _held(Path(output)) as folder, _Journal(folder, settings) as journal:
        entries, unreadable = _build(sources, journal, config, jobs, progress, seconds)
        if not entries:
            raise CorpusError(f"nothing could be read; the first: {unreadable[0][1]}")
        parts = split_pieces(len(entries), hold_out, test, seed)
        entries = [{**entry, "split": part} for entry, part in zip(entries, parts, strict=True)]
        if transpose and len(entries) == 1:
            raise CorpusError(
                "a single recording cannot be transposed, for its own end is held out: give two or "
                "more"
            )
        learned = {entry["name"] for entry in entries if entry["split"] == "train"}
        moves = [move for n in range(1, transpose + 1) for move in (-n, n)]
        copies = [Transposed(s, move) for s in sources if s.name in learned for move in moves]
        if copies:
            made, _ = _build(copies, journal, config, jobs, progress)
            entries += [{**entry, "copy": True, "split": "train"} for entry in made]
        journal.finish(entries)
    return unreadable


@dataclass(frozen=True)
class Transposed:
    """Another source of sound, so many semitones higher and as much faster."""

    source: Source
    semitones: int

    @property
    def name(self) -> str:
        return f"{self.source.name} {self.semitones:+d}"

    @property
    def unreadable(self) -> type[Exception]:
        return self.source.unreadable

    def checksum(self) -> str:
        """That of what it is a copy of."""
        return self.source.checksum()

    def waveform(self, sample_rate: int) -> np.ndarray:
        """Read as at a lower rate and taken for `sample_rate`, so nothing is resampled twice."""
        return self.source.waveform(round(sample_rate / ratio(self.semitones)))


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a corpus folder; raises CorpusError if it is missing or damaged."""
    path = readable_file(Path(folder) / MANIFEST, CorpusError)
    try:
        manifest = parse_json(path.read_text(encoding="utf-8"))
        current = manifest["format"] == _FORMAT and isinstance(manifest["complete"], bool)
        check_hold_out(manifest["hold_out"], manifest.get("test", 0))
        FeatureConfig.from_dict(manifest["features"])
        current = current and all(map(_is_entry, manifest["pieces"]))
        current = current and (manifest["pieces"] or not manifest["complete"])
        current = current and isinstance(manifest.get("origin", {}), dict)
    except (ValueError, KeyError, TypeError, AttributeError):
        current = False
    if not current:
        raise CorpusError(f"{path} is damaged or of another version: build the corpus again")
    return manifest


def _is_entry(entry):
    """Is this an entry of a manifest? Its file lies in the corpus, nowhere else."""
    return (
        isinstance(entry["name"], str)
        and Path(entry["file"]).name == entry["file"]
        and type(entry["frames"]) is int
        and 0 < entry["frames"] < 2**53
        and entry.get("split") in (None, *SPLITS)
    )


def check_hold_out(hold_out: float, test: float = 0.0) -> None:
    """Raise ValueError unless both are shares, and leave something to learn from."""
    for share in (hold_out, test):
        if not 0 <= share < 1:
            raise ValueError(f"the share to hold out is from 0 to below 1, not {share}")
    if hold_out + test >= 1:
        raise ValueError(
            f"{hold_out} to validate and {test} to test leave nothing to learn from: hold out less"
        )


def split_pieces(
    count: int, hold_out: float, test: float = 0.0, seed: int | None = None
) -> list[str]:
    """The part of each piece, one of SPLITS: a list of `count` names.

    hold_out: the share that chooses epochs and settings ("validation"), at least one of two pieces.
    test: the share that is only reported on. Both spread evenly over a shuffled order, or, where
    seed is None, over their own; of few pieces that are held out the first validates. Raises
    ValueError for shares that leave nothing to learn from.
    """
    check_hold_out(hold_out, test)
    order = range(count) if seed is None else np.random.default_rng(seed).permutation(count)
    held = [int(order[i]) for i in _spread(count, hold_out + test, math.floor)[: count - 1]]
    if hold_out and count > 1 and not held:
        held = [int(order[-1])]
    validates = set(_spread(len(held), hold_out / (hold_out + test), math.ceil)) if held else set()
    parts = ["train"] * count
    for number, piece in enumerate(held):
        parts[piece] = "validation" if number in validates else "test"
    return parts


def _spread(count, share, rounded):
    """A share of 0 … count − 1, evenly: which the first n hold is share · n, rounded."""
    # Rounded twice, because 0.1 · 10 n may lie just below n.
    passed = [rounded(round(n * share, 9)) for n in range(count + 1)]
    return [i for i in range(count) if passed[i + 1] > passed[i]]


def _build(sources, journal, config, jobs, progress, seconds=math.inf):
    """The features of `sources`, until they last `seconds`: entries of the manifest, and (source,
    reason) of those that could not be read."""
    limited, known = seconds < math.inf, journal.entries
    tasks = [(source, known.get(source.name), config, journal.folder) for source in sources]
    entries, unreadable, done = [], [], 0.0
    with _in_order(_build_one, tasks, jobs) as results:
        for number, source in enumerate(sources):
            if progress and limited:
                progress(int(done), math.ceil(seconds), source.name)
            elif progress:
                progress(number, len(sources), source.name)
            entry, reason, warned = next(results)
            for message in warned:
                warnings.warn(message, stacklevel=3)
            if entry is None:
                unreadable.append((source, reason))
                continue
            entries.append(entry)
            journal.add(entry)
            done += entry["seconds"]
            if done >= seconds:
                break
    if progress:
        progress(*(2 * [math.ceil(seconds) if limited else len(sources)]), "done")
    return entries, unreadable


class _Journal:
    """The manifest while a build goes on: what is done is on disk within seconds, and at the end.

    entries: {name: entry} of the features in the folder that can be kept, an earlier build's too.
    """

    def __init__(self, folder, settings):
        self.folder, self.settings = folder, settings
        self.entries, self.written = {}, -math.inf
        if (folder / MANIFEST).exists():
            self._take_over(read_manifest(folder))

    def _take_over(self, manifest):
        if manifest["features"] != self.settings["features"]:
            raise CorpusError(
                f"{self.folder} holds a corpus made with other feature settings: choose another "
                "folder"
            )
        if difference := _difference(manifest.get("origin"), self.settings["origin"]):
            raise CorpusError(
                f"{self.folder} holds a corpus made with another {difference}: choose another "
                "folder, or delete it"
            )
        for entry in manifest["pieces"]:
            if (self.folder / entry["file"]).exists():
                entry.pop("split", None)
                self.entries[entry["name"]] = entry

    def add(self, entry):
        self.entries[entry["name"]] = entry
        if time.monotonic() >= self.written + _EVERY:
            self._write(list(self.entries.values()), complete=False)
            self.written = time.monotonic()

    def __enter__(self):
        if self.entries:  # from here on the features may be others than an earlier manifest says
            self._write(list(self.entries.values()), complete=False)
        return self

    def __exit__(self, kind, problem, traceback):
        if problem and self.entries:
            with suppress(CorpusError):  # a full disk is `problem` itself
                self._write(list(self.entries.values()), complete=False)

    def finish(self, entries):
        """Write the whole manifest, then delete what does not belong to it."""
        self._write(entries, complete=True)
        wanted = {entry["file"] for entry in entries}
        for path in self.folder.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in wanted:
                with suppress(PermissionError):  # on Windows, while another process reads it
                    path.unlink(missing_ok=True)

    def _write(self, entries, complete):
        manifest = {"format": _FORMAT, "complete": complete, **self.settings, "pieces": entries}
        with replacing(self.folder / MANIFEST, CorpusError) as temporary:
            temporary.write_text(json.dumps(manifest, indent=1) + "\n", "utf-8", newline="\n")


def _difference(old, new):
    """In words, what differs between two origins; "" if nothing does."""
    old = old or RECORDINGS
    if old == new:
        return ""
    if old.get("kind") != new.get("kind"):
        return "kind of sources"
    return next(key for key in [*new, *old] if old.get(key) != new.get(key))


def _build_one(source, known, config, output):
    """Features of one source → (entry, "", warnings), or (None, why it cannot be read, …)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module="cmc_helpers")
        try:
            checksum = source.checksum()
            if known and known.get("sha256") == checksum:
                return known, "", []
            features = extract_features(source.waveform(config.sample_rate), config)
        except source.unreadable as problem:
            return None, str(problem), [str(warning.message) for warning in caught]
    entry = {
        "name": source.name,
        "file": f"{hashlib.sha256(os.fsencode(source.name)).hexdigest()[:16]}.npy",
        "frames": len(features),
        "seconds": round(len(features) / config.frames_per_second, 3),
        "sha256": checksum,
    }
    with replacing(output / entry["file"], CorpusError) as temporary:
        np.save(temporary, features, allow_pickle=False)
    return entry, "", [str(warning.message) for warning in caught]


@contextmanager
def _held(folder):
    """Make `folder`, keep other builds out of it, and take it away again if it stays empty."""
    made = []
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise CorpusError(
            f"{folder} cannot be made: choose another place ({problem.strerror})"
        ) from problem
    try:
        with locked(folder, CorpusError):
            try:
                yield folder
            finally:  # what a worker was writing when it was no longer wanted
                for path in folder.glob(".*"):
                    if _OURS.fullmatch(path.name):
                        with suppress(PermissionError):
                            path.unlink(missing_ok=True)
    finally:
        for path in made:
            with suppress(OSError):
                path.rmdir()


def usable_cpus() -> int:
    """How many processes to compute with: one for each CPU that this one may use."""
    with suppress(AttributeError):  # not on every system
        return len(os.sched_getaffinity(0))
    cpus = os.cpu_count() or 1
    return min(cpus, _WINDOWS_PROCESSES) if sys.platform == "win32" else cpus


@contextmanager
def _in_order(function, tasks, jobs):
    """An iterator of function(*task) in the order of the tasks, computed by `jobs` processes."""
    jobs = min(jobs, len(tasks))
    if jobs == 1:
        yield itertools.starmap(function, tasks)
        return
    # A fresh process, for a copy of this one could not be trusted once TensorFlow has threads.
    context = multiprocessing.get_context("spawn")
    if os.name == "posix":
        from multiprocessing import resource_tracker

        with held_back():  # now, for while it starts it lets through what is held back
            resource_tracker.ensure_running()
    listens, speaks = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        worker = context, _become_a_worker, (listens, folder)
        try:
            pool = ProcessPoolExecutor(jobs, *worker)
        except ValueError:
            jobs = min(jobs, _WINDOWS_PROCESSES)
            pool = ProcessPoolExecutor(jobs, *worker)
        try:
            yield _ahead(pool, function, tasks, 8 * jobs)
        except BrokenProcessPool as problem:
            raise CorpusError(
                "a process that made features was killed, perhaps for lack of memory: run the same "
                "command again with fewer `jobs`"
            ) from problem
        finally:
            speaks.close()  # whatever is still to be done is not wanted any more
            pool.shutdown()


def _ahead(pool, function, tasks, count):
    """Yield results in order, with up to `count` tasks begun or waiting beyond the one yielded."""
    futures = deque()
    for task in tasks:
        with held_back():  # also from the process that this may start
            futures.append(pool.submit(function, *task))
        if len(futures) > count:
            yield futures.popleft().result()
    while futures:
        yield futures.popleft().result()


def _become_a_worker(listens, folder):
    tempfile.tempdir = folder  # which the parent will delete
    ignore()  # to stop is the parent's to answer
    threading.Thread(target=_end_with_the_parent, args=[listens], daemon=True).start()


def _end_with_the_parent(listens):
    """Stop at once when the parent wants no more, or was killed: files are whole or not there."""
    multiprocessing.connection.wait([listens])
    os._exit(1)
