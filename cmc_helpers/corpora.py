"""What a network is trained on: named pieces of features, split into training and held-out pieces.

A CSV file is one piece of vectors. A recording is one piece of features. A folder of recordings
becomes a corpus folder: one `.npy` file of features a recording, memory-mapped when it is read,
and a `manifest.json`. Which pieces are held out is decided by piece, never by frame, because
neighbouring frames are almost equal.

Notebook: 09.
"""

import hashlib
import itertools
import json
import math
import multiprocessing
import os
import re
import signal
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmc_helpers import sequences
from cmc_helpers.audio import AudioError, read_audio
from cmc_helpers.features import FeatureConfig, extract_features
from cmc_helpers.files import FileError, readable_file, replacing

AUDIO_SUFFIXES = frozenset(
    ".wav .wave .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf .w64 .rf64"
    " .m4a .aac .wma".split()
)
_MANIFEST = "manifest.json"
_FORMAT = 1
_EVERY = 5.0  # seconds between two states of the manifest on disk during a build
# What a build leaves behind when it is killed, or when less is wanted than before.
_OURS = re.compile(r"\.?[0-9a-f]{16}\.npy|\.[0-9a-f]{16}\.json")
RECORDINGS = {"kind": "recordings"}


class CorpusError(FileError):
    """Training data that cannot be used, in one sentence."""


class Piece(NamedTuple):
    """One recording or sequence: its name, features (T, m), and "train" or "validation"."""

    name: str
    features: np.ndarray
    split: str


@dataclass(frozen=True)
class Corpus:
    """Pieces and the FeatureConfig that made them; config is None for plain vectors."""

    name: str
    pieces: tuple
    config: FeatureConfig | None

    def split(self, name):
        """The features of all pieces of one split: a list of (T, m)."""
        return [piece.features for piece in self.pieces if piece.split == name]

    @property
    def width(self):
        """m: numbers per frame."""
        return self.pieces[0].features.shape[1]


def open_corpus(path, config=None, workspace=None, hold_out=0.1, progress=None):
    """Whatever a user trains on → a `Corpus`.

    path: a CSV file of vectors, one recording, a corpus folder made by `build_corpus`, or a folder
    of recordings, which is turned into a corpus in the folder `workspace` first. config: the
    FeatureConfig for recordings (the default preset if None). hold_out: the share kept for
    validation, in [0, 1): whole pieces of a folder, the end of a single one. A corpus folder made
    earlier keeps its own split. Files of a folder that cannot be read are left out, each with a
    UserWarning. Raises FileError subclasses.
    """
    path = Path(path)
    config = config or FeatureConfig.preset("default")
    if not path.is_dir():
        path = readable_file(path, CorpusError)
        if path.suffix.lower() == ".csv":
            return Corpus(
                path.stem, _split_one(path.stem, sequences.read_csv(path), hold_out), None
            )
        features = extract_features(read_audio(path, config.sample_rate), config)
        return Corpus(path.stem, _split_one(path.stem, features, hold_out), config)
    if (path / _MANIFEST).exists():
        return load_corpus(path)
    if workspace is None:
        raise CorpusError(f"{path} is a folder of recordings: turn it into a corpus first")
    for _, reason in build_corpus(path, workspace, config, hold_out=hold_out, progress=progress):
        warnings.warn(f"left out: {reason}", stacklevel=2)
    return load_corpus(workspace)


def build_corpus(folder, output, config, hold_out=0.1, seed=0, jobs=1, progress=None):
    """Turn every recording under `folder` into features in the corpus folder `output`.

    A share of the pieces, at least one of two, is held out, chosen by `seed`; of a single piece
    its end is. The rest is as in `build_from_sources`.
    """
    folder, output = Path(folder), Path(output)
    if not folder.is_dir():
        raise CorpusError(
            f"{folder} is not a folder of recordings: give the folder that holds them"
        )
    if output.resolve() == folder.resolve():
        raise CorpusError(f"{folder} holds the recordings: choose another folder for the corpus")
    inside = output.resolve()
    recordings = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and inside not in path.resolve().parents
    )
    if not recordings:
        raise CorpusError(
            f"{folder} holds no recordings: put WAV, FLAC, OGG, MP3 or AIFF files into it"
        )
    sources = [Recording(path.relative_to(folder).as_posix(), path) for path in recordings]
    return build_from_sources(
        sources, output, config, hold_out=hold_out, seed=seed, jobs=jobs, progress=progress
    )


@dataclass(frozen=True)
class Recording:
    """A sound file as a source of sound."""

    name: str
    path: Path
    unreadable = AudioError

    def checksum(self):
        """SHA-256 of the file. Raises AudioError."""
        with readable_file(self.path, AudioError).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def waveform(self, sample_rate):
        """(samples,) float64. Raises AudioError."""
        return read_audio(self.path, sample_rate)


def build_from_sources(
    sources,
    output,
    config,
    origin=RECORDINGS,
    seconds=math.inf,
    hold_out=0.1,
    seed=None,
    jobs=1,
    progress=None,
):
    """Turn sources of sound into features in the corpus folder `output`, in their order.

    sources: a list of objects with a `name`; `checksum()`, which changes when the sound may have;
    `waveform(sample_rate)`; and `unreadable`, the exception of these that leaves out this source
    alone. origin: how they are made, ready for JSON; a corpus begun with another origin is refused.
    seconds: as many sources are taken as last that long. seed: decides which pieces are held out;
    None holds out every tenth in their order, or whatever the share is, so that a longer corpus
    holds out what a shorter one does, and more. jobs: processes; the result does not depend on it.
    progress(done, total, name) is called before each source, with a limit in seconds, else pieces.

    Memory is bounded by the longest source, once for each job. Every file is written whole. A build
    that was stopped goes on where it stopped and ends as if it had not been; features of what has
    not changed are kept, those of what is no longer wanted are deleted. Returns the list of
    (source, reason) of those that could not be read; raises CorpusError if none could.
    """
    _check_hold_out(hold_out)
    output, limited = Path(output), seconds < math.inf
    journal = _Journal(output, {"features": config.to_dict(), "hold_out": hold_out, "origin": origin})
    tasks = [(source, journal.entries.get(source.name), config, output) for source in sources]
    entries, unreadable, done = [], [], 0.0
    with journal, _in_order(_build_one, tasks, jobs) as results:
        for number, source in enumerate(sources):
            if progress and limited:
                progress(int(done), math.ceil(seconds), source.name)
            elif progress:
                progress(number, len(sources), source.name)
            entry, reason, warned = next(results)
            for message in warned:
                warnings.warn(message, stacklevel=2)
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
    if not entries:
        raise CorpusError(f"no file could be read; the first: {unreadable[0][1]}")
    held_out = _choose_held_out(len(entries), hold_out, seed)
    entries = [
        {**entry, "split": "validation" if number in held_out else "train"}
        for number, entry in enumerate(entries)
    ]
    journal.finish(entries)
    return unreadable


def load_corpus(folder):
    """Open a corpus folder: features stay on disk, as `StoredFeatures`. Raises CorpusError."""
    folder = Path(folder)
    manifest = _read_manifest(folder)
    if not manifest["complete"]:
        raise CorpusError(f"{folder} is an unfinished corpus: run the cmc corpus command again")
    config = FeatureConfig.from_dict(manifest["features"])
    pieces = [
        Piece(entry["name"], StoredFeatures.open(folder / entry["file"], entry), entry["split"])
        for entry in manifest["pieces"]
    ]
    if len(pieces) == 1:
        only = _split_one(pieces[0].name, pieces[0].features, manifest["hold_out"])
        return Corpus(folder.name, only, config)
    return Corpus(folder.name, tuple(pieces), config)


class StoredFeatures:
    """Features (T, 100) in a file: indexed like an array, of which only that part is read.

    What an index gives is an ordinary array, and NumPy's functions read all of it. Between two
    reads no file is open and none is mapped: a corpus may have more pieces than a process may open
    files, and it goes to another process as a name.
    """

    dtype, ndim = np.dtype(np.float32), 2

    def __init__(self, path, frames, offset):
        self.path, self.shape, self._offset = path, (frames, 100), offset

    @classmethod
    def open(cls, path, entry):
        """The file of a manifest's entry; raises CorpusError if it does not hold that."""
        try:
            with readable_file(path, CorpusError).open("rb") as file:
                np.lib.format.read_magic(file)
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
                offset, size = file.tell(), os.fstat(file.fileno()).st_size
        except (ValueError, OSError, EOFError) as problem:
            if isinstance(problem, CorpusError):
                raise
            shape = None
        if (
            shape != (entry["frames"], 100)
            or (fortran, dtype) != (False, cls.dtype)
            or size != offset + 400 * entry["frames"]
        ):
            raise CorpusError(
                f"{path} does not hold the features of {entry['name']}: delete it "
                "and run the cmc corpus command again"
            )
        return cls(path, entry["frames"], offset)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        mapped = np.memmap(self.path, self.dtype, "r", self._offset, self.shape)
        return np.array(mapped[index])

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


def silent_frames(features, config):
    """True (T,) where a frame is 60 dB or more below the loudest frame of `features`.

    Loudness is the mean amplitude of the frame. Plain vectors (config None) are never silent.
    """
    if config is None:
        return np.zeros(len(features), bool)
    loudness = (np.asarray(features) ** (1 / config.compression)).mean(axis=1)
    return loudness <= 1e-3 * loudness.max()


def samples_folder():
    """The folder data_samples: in a checkout, or inside an installed package."""
    package = Path(__file__).resolve().parent
    for folder in (package / "data_samples", package.parent / "data_samples"):
        if (folder / "registry.json").is_file():
            return folder
    raise CorpusError("the folder data_samples is missing: install the package again")


def sample_path(name):
    """The path of a shipped sample, such as "bach_prelude.flac"; CorpusError for another name."""
    path = samples_folder() / name
    if not path.exists():
        names = sorted(p.name for p in samples_folder().iterdir() if p.suffix in (".csv", ".flac"))
        raise CorpusError(f"there is no sample {name}; the samples are {', '.join(names)}")
    return path


def _split_one(name, features, hold_out):
    """A single sequence cannot be split by piece: its end is held out."""
    _check_hold_out(hold_out)
    cut = len(features) - int(len(features) * hold_out)
    pieces = (Piece(name, features[:cut], "train"), Piece(name, features[cut:], "validation"))
    return pieces if cut < len(features) else pieces[:1]


def _choose_held_out(count, hold_out, seed):
    """Indices of the held-out pieces, spread evenly over a shuffled order, or over their own."""
    order = range(count) if seed is None else np.random.default_rng(seed).permutation(count)
    # Rounded, because 0.1 · 10 n may lie just below n.
    passed = [math.floor(round(number * hold_out, 9)) for number in range(count + 1)]
    held_out = {int(order[i]) for i in range(count) if passed[i + 1] > passed[i]}
    if not held_out and hold_out and count > 1:
        held_out = {int(order[-1])}
    return held_out if len(held_out) < count else held_out - {int(order[0])}


def _check_hold_out(hold_out):
    if not 0 <= hold_out < 1:
        raise ValueError(f"the share to hold out is from 0 to below 1, not {hold_out}")


def _make_folder(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise CorpusError(
            f"{folder} cannot be made: choose another place ({problem.strerror})"
        ) from problem


def _read_manifest(folder):
    path = readable_file(folder / _MANIFEST, CorpusError)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        current = manifest["format"] == _FORMAT and {"complete", "hold_out", "pieces"} <= set(
            manifest
        )
        FeatureConfig.from_dict(manifest["features"])
    except (ValueError, KeyError, TypeError):
        current = False
    if not current:
        raise CorpusError(f"{path} is damaged or of another version: build the corpus again")
    return manifest


class _Journal:
    """The manifest while a build goes on: what is done is on disk within seconds, and at the end.

    entries: {name: entry} of the features in the folder that can be kept, an earlier build's too.
    """

    def __init__(self, folder, settings):
        self.folder, self.settings = folder, settings
        self.entries, self.written = {}, -math.inf
        if (folder / _MANIFEST).exists():
            self._take_over(_read_manifest(folder))

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
                path.unlink(missing_ok=True)

    def _write(self, entries, complete):
        manifest = {"format": _FORMAT, "complete": complete, **self.settings, "pieces": entries}
        with replacing(self.folder / _MANIFEST, CorpusError) as temporary:
            temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


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
            if known and known["sha256"] == checksum:
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
    _make_folder(output)  # only now, so that nothing is left when no source can be read
    with replacing(output / entry["file"], CorpusError) as temporary:
        np.save(temporary, features, allow_pickle=False)
    return entry, "", [str(warning.message) for warning in caught]


@contextmanager
def _in_order(function, tasks, jobs):
    """An iterator of function(*task) in the order of the tasks, computed by `jobs` processes."""
    if jobs == 1:
        yield itertools.starmap(function, tasks)
        return
    # A fresh process, for a copy of this one could not be trusted once TensorFlow has threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_become_a_worker)
    try:
        yield pool.map(function, *zip(*tasks, strict=True))
    except BrokenProcessPool as problem:
        raise CorpusError(
            "a process that made features was killed, perhaps for lack of memory: run the same "
            "command again with fewer --jobs"
        ) from problem
    finally:
        pool.shutdown(cancel_futures=True)


def _become_a_worker():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent():
    """Without this a worker whose parent was killed would wait for the next task for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)
