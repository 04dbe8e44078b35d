"""What a network is trained on: named pieces of features, split into training and held-out pieces.

A CSV file is one piece of vectors. A recording is one piece of features. A folder of recordings
becomes a corpus folder: one `.npy` file of features a recording, memory-mapped when it is read,
and a `manifest.json`. Which pieces are held out is decided by piece, never by frame, because
neighbouring frames are almost equal.

Notebook: 09.
"""

import hashlib
import json
import os
import warnings
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


def build_corpus(folder, output, config, hold_out=0.1, seed=0, progress=None):
    """Turn every recording under `folder` into features in the corpus folder `output`.

    A share of the pieces, at least one of two, is held out, chosen by `seed`; of a single piece
    its end is. Memory is bounded by the longest recording. Each piece is
    written whole, and an interrupted build goes on where it stopped; features of a recording that
    has not changed are kept. progress(done, total, name) is called before each recording. Returns
    the list of (path, reason) of files that could not be read; raises CorpusError if none could.
    """
    folder, output = Path(folder), Path(output)
    if not folder.is_dir():
        raise CorpusError(
            f"{folder} is not a folder of recordings: give the folder that holds them"
        )
    if output.resolve() == folder.resolve():
        raise CorpusError(f"{folder} holds the recordings: choose another folder for the corpus")
    recordings = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and output.resolve() not in path.resolve().parents
    )
    if not recordings:
        raise CorpusError(
            f"{folder} holds no recordings: put WAV, FLAC, OGG, MP3 or AIFF files into it"
        )
    known = _entries_of_an_earlier_build(output, config)
    entries, unreadable = [], []
    for number, path in enumerate(recordings):
        name = path.relative_to(folder).as_posix()
        if progress:
            progress(number, len(recordings), name)
        try:
            checksum = _sha256(readable_file(path, AudioError))
            entry = known.get((name, checksum))
            if entry is None:
                features = extract_features(read_audio(path, config.sample_rate), config)
        except AudioError as problem:
            unreadable.append((path, str(problem)))
            continue
        if entry is None:
            entry = {
                "name": name,
                "file": f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.npy",
                "frames": len(features),
                "seconds": round(len(features) / config.frames_per_second, 3),
                "sha256": checksum,
            }
            _make_folder(output)  # only now, so that nothing is left when no file can be read
            with replacing(output / entry["file"], CorpusError) as temporary:
                np.save(temporary, features, allow_pickle=False)
        entries.append(entry)
        _write_manifest(output, config, entries, hold_out, complete=False)
    if progress:
        progress(len(recordings), len(recordings), "done")
    if not entries:
        path, reason = unreadable[0]
        raise CorpusError(f"no file in {folder} could be read; the first: {reason}")
    held_out = _choose_held_out(len(entries), hold_out, seed)
    entries = [
        {**entry, "split": "validation" if number in held_out else "train"}
        for number, entry in enumerate(entries)
    ]
    _write_manifest(output, config, entries, hold_out, complete=True)
    return unreadable


def load_corpus(folder):
    """Open a corpus folder: features stay on disk, memory-mapped. Raises CorpusError."""
    folder = Path(folder)
    manifest = _read_manifest(folder)
    if not manifest["complete"]:
        raise CorpusError(f"{folder} is an unfinished corpus: run the cmc corpus command again")
    config = FeatureConfig.from_dict(manifest["features"])
    pieces = []
    for entry in manifest["pieces"]:
        path = readable_file(folder / entry["file"], CorpusError)
        try:
            features = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError):
            features = np.empty(0)
        if features.shape != (entry["frames"], 100) or features.dtype != np.float32:
            raise CorpusError(
                f"{path} does not hold the features of {entry['name']}: delete it "
                "and run the cmc corpus command again"
            )
        pieces.append(Piece(entry["name"], features, entry["split"]))
    if len(pieces) == 1:
        only = _split_one(pieces[0].name, pieces[0].features, manifest["hold_out"])
        return Corpus(folder.name, only, config)
    return Corpus(folder.name, tuple(pieces), config)


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
    """Indices of the held-out pieces: at least one where there are two and any are wanted."""
    _check_hold_out(hold_out)
    wanted = min(max(1, round(count * hold_out)), count - 1) if hold_out else 0
    return set(np.random.default_rng(seed).permutation(count)[:wanted].tolist())


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


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_manifest(folder, config, entries, hold_out, complete):
    manifest = {
        "format": _FORMAT,
        "complete": complete,
        "features": config.to_dict(),
        "hold_out": hold_out,
        "pieces": entries,
    }
    with replacing(folder / _MANIFEST, CorpusError) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


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


def _entries_of_an_earlier_build(folder, config):
    """{(name, sha256): entry} of features in `folder` that can be kept."""
    if not (folder / _MANIFEST).exists():
        return {}
    manifest = _read_manifest(folder)
    if manifest["features"] != config.to_dict():
        raise CorpusError(
            f"{folder} holds a corpus made with other feature settings: choose another folder"
        )
    return {
        (entry["name"], entry["sha256"]): {k: v for k, v in entry.items() if k != "split"}
        for entry in manifest["pieces"]
        if (folder / entry["file"]).exists()
    }
