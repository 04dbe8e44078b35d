"""What a network is trained on: named pieces of features, split into training and held-out pieces.

A CSV file is one piece of vectors. A recording is one piece of features. A folder of recordings
becomes a corpus folder (see `building`), of which only what is asked for is read. Which pieces are
held out is decided by piece, never by frame, because neighbouring frames are almost equal.

Notebook: 09.
"""

import hashlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from cmc_helpers.audio import AudioError, read_audio
from cmc_helpers.corpora.building import (
    MANIFEST,
    CorpusError,
    Source,
    build_from_sources,
    check_hold_out,
    read_manifest,
)
from cmc_helpers.corpora.samples import sample_path as sample_path
from cmc_helpers.features import FeatureConfig, extract_features
from cmc_helpers.files import readable_file
from cmc_helpers.vectors import read_csv

AUDIO_SUFFIXES = frozenset(
    ".wav .wave .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf .w64 .rf64"
    " .m4a .aac .wma".split()
)


class Piece(NamedTuple):
    """One recording or sequence: its name, features (T, m), and which of `building.SPLITS`."""

    name: str
    features: "np.ndarray | StoredFeatures"
    split: str


@dataclass(frozen=True)
class Corpus:
    """Pieces and the FeatureConfig that made them; config is None for plain vectors."""

    name: str
    pieces: tuple[Piece, ...]
    config: FeatureConfig | None

    def split(self, name: str) -> "list[np.ndarray | StoredFeatures]":
        """The features of all pieces of one split: a list of (T, m)."""
        return [piece.features for piece in self.pieces if piece.split == name]

    @property
    def unheard(self) -> str:
        """The part to report on: "test", or "validation" where there is no third part."""
        return "test" if self.split("test") else "validation"

    @property
    def width(self) -> int:
        """m: numbers per frame."""
        return self.pieces[0].features.shape[1]


def open_corpus(
    path: str | Path,
    config: FeatureConfig | None = None,
    workspace: str | Path | None = None,
    hold_out: float = 0.1,
    jobs: int = 1,
    progress: Callable[..., object] | None = None,
) -> Corpus:
    """Whatever a user trains on → a `Corpus`.

    path: a CSV file of vectors, one recording, a corpus folder made by `build_corpus`, or a folder
    of recordings, which is turned into a corpus in the folder `workspace` first. config: the
    FeatureConfig for recordings (the default preset if None). hold_out: the share kept for
    validation, in [0, 1): whole pieces of a folder, the end of a single one. Of a folder a tenth is
    kept to test, too (see `building.split_pieces`); a corpus folder made earlier keeps its own
    split. jobs: processes that read a folder of recordings. Files of it that
    cannot be read are left out, each with a UserWarning. Raises FileError subclasses.
    """
    path = Path(path)
    config = config or FeatureConfig.preset("default")
    if not path.is_dir():
        path = readable_file(path, CorpusError)
        if path.suffix.lower() == ".csv":
            return Corpus(path.stem, _split_one(path.stem, read_csv(path), hold_out), None)
        features = extract_features(read_audio(path, config.sample_rate), config)
        return Corpus(path.stem, _split_one(path.stem, features, hold_out), config)
    if (path / MANIFEST).exists():
        return load_corpus(path)
    if workspace is None:
        raise CorpusError(f"{path} is a folder of recordings: turn it into a corpus first")
    unreadable = build_corpus(
        path, workspace, config, hold_out=hold_out, jobs=jobs, progress=progress
    )
    for _, reason in unreadable:
        warnings.warn(f"left out: {reason}", stacklevel=2)
    return load_corpus(workspace)


def build_corpus(
    folder: str | Path,
    output: str | Path,
    config: FeatureConfig,
    hold_out: float = 0.1,
    test: float = 0.1,
    seed: int | None = 0,
    jobs: int = 1,
    progress: Callable[..., object] | None = None,
    transpose: int = 0,
) -> list[tuple[Source, str]]:
    """Turn every recording under `folder` into features in the corpus folder `output`.

    Shares of the pieces are held out, chosen by `seed`: hold_out, at least one of two, to validate
    with, and test to report on; of a single piece the end validates. The rest is as in
    `build_from_sources`.
    """
    folder, output = Path(folder), Path(output)
    if not folder.is_dir():
        raise CorpusError(
            f"{folder} is not a folder of recordings: give the folder that holds them"
        )
    if output.exists() and output.samefile(folder):  # also where a and A are one name
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
        sources,
        output,
        config,
        hold_out=hold_out,
        test=test,
        seed=seed,
        jobs=jobs,
        progress=progress,
        transpose=transpose,
    )


@dataclass(frozen=True)
class Recording:
    """A sound file as a source of sound."""

    name: str
    path: Path
    unreadable = AudioError

    def checksum(self) -> str:
        """SHA-256 of the file. Raises AudioError."""
        with readable_file(self.path, AudioError).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def waveform(self, sample_rate: int) -> np.ndarray:
        """(samples,) float64. Raises AudioError."""
        return read_audio(self.path, sample_rate)


def load_corpus(folder: str | Path) -> Corpus:
    """Open a corpus folder: features stay on disk, as `StoredFeatures`. Raises CorpusError."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    if not manifest["complete"]:
        raise CorpusError(f"{folder} is an unfinished corpus: run the cmc corpus command again")
    config = FeatureConfig.from_dict(manifest["features"])
    pieces = [
        Piece(entry["name"], StoredFeatures.open(folder / entry["file"], entry), entry.get("split"))
        for entry in manifest["pieces"]
    ]
    if "train" not in {piece.split for piece in pieces} and len(pieces) > 1:
        raise CorpusError(f"{folder / MANIFEST} has nothing to train on: build the corpus again")
    if len(pieces) == 1:
        only = _split_one(pieces[0].name, pieces[0].features, manifest["hold_out"])
        return Corpus(folder.name, only, config)
    return Corpus(folder.name, tuple(pieces), config)


class StoredFeatures:
    """Features (T, 100) in a file: indexed like an array, reading only the rows that are asked for.

    An index gives an ordinary array; NumPy's functions read all of it. Between two reads no file is
    open and none is mapped: a corpus may have more pieces than a process may open files. A file
    that is another one by then, because the corpus was built again, raises CorpusError.
    """

    dtype, ndim = np.dtype(np.float32), 2

    def __init__(
        self, path: Path, frames: int, offset: int, identity: tuple[int, int, int]
    ) -> None:
        self.path, self.shape, self._offset = path, (frames, 100), offset
        self._identity = identity

    def __repr__(self):
        return f"<features {self.shape} in {self.path}>"

    @classmethod
    def open(cls, path: str | Path, entry: dict[str, Any]) -> Self:
        """The file of a manifest's entry; raises CorpusError if it does not hold that."""
        shape, path = (entry["frames"], 100), readable_file(path, CorpusError)
        try:
            with path.open("rb") as file:
                np.lib.format.read_magic(file)
                header = np.lib.format.read_array_header_1_0(file)
                offset, status = file.tell(), os.fstat(file.fileno())
            size = offset + 400 * shape[0]
            whole = header == (shape, False, cls.dtype) and status.st_size == size
        except Exception:  # a damaged header raises a dozen kinds
            whole = False
        if not whole:
            raise CorpusError(
                f"{path} does not hold the features of {entry['name']:.99}: delete it "
                "and run the cmc corpus command again"
            )
        return cls(path, entry["frames"], offset, _identity(status))

    def __len__(self) -> int:
        return self.shape[0]

    def part(self, start: int, stop: int) -> "StoredFeatures":
        """The frames from `start` to `stop`, as features in a file, too."""
        return StoredFeatures(self.path, stop - start, self._offset + 400 * start, self._identity)

    def __getitem__(self, index: Any) -> np.ndarray:
        if not isinstance(index, slice | int | np.integer):
            return self[:][index]
        rows = range(len(self))[index]  # an int, or the steps of a slice, neither below 0
        if isinstance(rows, int):
            return self._read(rows, 1)[0]
        return self._read(rows.start, len(rows)) if rows.step == 1 else self[:][index]

    def _read(self, start, count):
        with readable_file(self.path, CorpusError).open("rb") as file:
            same = _identity(os.fstat(file.fileno())) == self._identity
            numbers = np.fromfile(file, self.dtype, 100 * count, offset=self._offset + 400 * start)
        if not same or len(numbers) < 100 * count:
            raise CorpusError(
                f"{self.path} was changed or cut short while it was in use: run the cmc corpus "
                "command again"
            )
        return numbers.reshape(count, 100)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def _identity(status):
    """What tells a file from another one that took its place."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def _split_one(name, features, hold_out):
    """A single sequence cannot be split by piece: its end is held out."""
    check_hold_out(hold_out)
    cut = len(features) - int(len(features) * hold_out)
    part = getattr(features, "part", lambda start, stop: features[start:stop])
    train = Piece(name, part(0, cut), "train")
    if cut == len(features):
        return (train,)
    return train, Piece(name, part(cut, len(features)), "validation")
