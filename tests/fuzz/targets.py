"""What is fuzzed: every reader of a file that a user may have from a stranger.

A target writes the input where its file lies, among good files, reads it, and uses what was read. A
reader may accept a file or refuse it by its own error, in one sentence that names the file, or the
one beside it that it does not fit. All else is a `Finding`: another exception, a warning, more than
`SECONDS` of the processor or `MEGABYTES` of memory for one input.
"""

import io
import json
import math
import shutil
import time
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import mutations
import numpy as np
import soundfile

from cmc_helpers import (
    corpora,
    generation,
    listening_test,
    player,
    runs,
    scores,
    sequences,
)
from cmc_helpers.audio import AudioError, read_audio, write_audio
from cmc_helpers.corpora import building
from cmc_helpers.features import FeatureConfig
from cmc_helpers.scores import soundfonts, symbolic
from cmc_helpers.training import TrainingError, checkpoints
from cmc_helpers.vectors import SequenceError, read_csv, write_csv

SECONDS = 5.0
MEGABYTES = 256
SENTENCE = 1000  # characters, the path not counted

JSON = rb'{ } [ ] , : null true NaN Infinity 1e999 "" \ud800 format'.split()
NPY = [b"\x93NUMPY\x01\x00", *b"'descr' 'fortran_order' 'shape' '<f8' '|O' (1,) True".split()]
ZIP = [b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b".npy"]
SOUND = (
    b"RIFF RIFX RF64 WAVEfmt data ds64 FORM AIFF AIFC SSND COMM caff desc pakt riff .snd".split()
)
SOUND += [*b"OggS OpusHead vorbis fLaC ID3 Xing Info".split(), b"\xff\xfb\x90", b"\xff\xf8\x69"]
XML = b"<note> </note> <pitch> <duration> <divisions> <measure> <backup> <forward> <chord/>".split()
MIDI = [b"MThd", b"MTrk", b"\xff\x2f\x00", b"\xff\x51\x03", b"\xff\xff\xff\x7f", b"\x90", b"\xf0"]
HDF5 = [b"\x89HDF", *b"TREE SNOD HEAP OHDR FRHP".split()]


class Finding(AssertionError):
    """What a reader may not do, in a line."""


class Target(NamedTuple):
    """name: for --only. seeds: good contents. use(): reads the file and uses it. errors: what it
    may raise. path: of the file. words: bytes for libFuzzer's dictionary."""

    name: str
    seeds: list
    use: Any
    errors: type
    path: Path
    words: list


def check(target, data):
    """Let the target read `data`: True if it was accepted, False if refused. Raises Finding."""
    target.path.write_bytes(data)
    memory, begun = _peak(), time.process_time()
    try:
        target.use(target.path)
        accepted = True
    except target.errors as problem:
        accepted = False
        sentence = str(problem)
        about = target.errors is ValueError or str(target.path.parent) in sentence
        if not sentence.isprintable() or not about:
            raise Finding(f"not a sentence about the file: {sentence[:200]!r}") from problem
        if len(sentence) > SENTENCE + len(str(target.path)):
            raise Finding(f"a sentence of {len(sentence)} characters") from problem
    except Exception as problem:
        raise Finding(f"{type(problem).__name__}: {str(problem)[:200]!r}") from problem
    if (seconds := time.process_time() - begun) > SECONDS:
        raise Finding(f"{seconds:.1f} seconds")
    if (megabytes := _peak() - memory) > MEGABYTES:
        raise Finding(f"{megabytes:.0f} MB")
    return accepted


def _peak():
    """The most that this process has held so far, in MB; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def make_run(folder):
    """Train a small run in `folder`: the one thing here that needs TensorFlow."""
    from cmc_helpers import training
    from cmc_helpers.networks import NetworkConfig

    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "vectors.csv", sequences.bounce(80, width=3))
    network = NetworkConfig(3, layers=1, units=2, components=2, stack="residual")
    config = training.TrainingConfig(epochs=2, batch=2, steps=8, warmup=2)
    training.train(corpora.open_corpus(folder / "vectors.csv"), folder / "run", network, config)
    return folder / "run"


def targets(folder, run):
    """All `Target`s by name, each in a folder of its own below `folder`. run: of `make_run`."""
    made = [
        *_sound(folder),
        *_vectors(folder),
        *_run(folder, run),
        *_corpus(folder),
        *_scores(folder),
        *_listening(folder),
        _soundfont(folder),
    ]
    return {target.name: target for target in made}


# ---------------------------------------------------------------------------- sound and vectors


def _sound(folder):
    def use(path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of channels that cancel each other
            waveform = read_audio(path)
        assert waveform.ndim == 1 and len(waveform) >= 256 and np.isfinite(waveform).all()

    tone = 0.5 * np.sin(np.arange(600) / 3)
    kinds = {
        "wav": [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("RF64", "PCM_U8")],
        "flac": [("FLAC", "PCM_16"), ("FLAC", "PCM_24")],
        "ogg": [("OGG", "VORBIS"), ("OGG", "OPUS")],
        "mp3": [("MP3", "MPEG_LAYER_III")],
        "aiff": [("AIFF", "PCM_16"), ("AU", "ULAW"), ("CAF", "ALAC_16"), ("W64", "PCM_16")],
    }
    for name, formats in kinds.items():
        seeds = []
        for kind, subtype in formats:
            for channels in (1, 2):
                file = io.BytesIO()
                rate = 48000 if subtype == "OPUS" else 8000
                sound = np.tile(tone, 6) if rate == 48000 else tone
                both = np.column_stack([sound, sound / 2])[:, :channels]
                soundfile.write(file, both, rate, format=kind, subtype=subtype)
                seeds.append(file.getvalue())
        path = _folder(folder, name) / f"sound.{name}"
        yield Target(name, seeds, use, AudioError, path, SOUND)


def _vectors(folder):
    path = _folder(folder, "csv") / "vectors.csv"
    again = path.with_name("again.csv")

    def use(path):
        vectors = read_csv(path)
        write_csv(again, vectors)
        np.testing.assert_array_equal(read_csv(again), vectors)

    write_csv(path, sequences.bounce(6, width=3) - 0.25)
    seeds = [path.read_bytes(), b"1;2\n3;4.5\n", b"1\t2\n\n3 4e-5\r\n", b"\xef\xbb\xbf1e300,-2\n"]
    words = [*b"nan inf 1e999 , ; 1_0 0x1p3".split(), b"\n", b"\r", b"\0", "\u2028".encode()]
    yield Target("csv", seeds, use, SequenceError, path, words)

    def knobs(path):
        player.read_position(path.read_text("utf-8", "replace"))

    lines = [
        "cmc generate bach --strategy tempered --tau 0.6 --sigma-scale 0.6 --pi-temperature 1 "
        "--form exact --seed 1 --seconds 4 --prime none -o music.wav",
        "cmc generate 'a b' --strategy greedy --tau 0 --sigma-scale 0 --pi-temperature 2 "
        "--form paper --seed 0 --seconds 30",
    ]
    path = _folder(folder, "knobs") / "knobs.txt"
    words = b"--tau --seed --seconds --form --strategy nan inf 1e999 '".split()
    yield Target("knobs", [s.encode() for s in lines], knobs, ValueError, path, words)


# ------------------------------------------------------------------------------------------ runs


def _run(folder, run):
    def load(path):
        loaded = runs.load(path.parent)
        assert loaded.features is None or isinstance(loaded.features, FeatureConfig)
        try:
            made = generation.generate(loaded, 3)
            if loaded.residuals:
                made = generation.generate(loaded, 3, strategy="sample", noise="residuals")
        except ValueError as problem:  # of weights that grow without bounds
            assert str(problem).isprintable(), problem
        else:
            assert np.isfinite(made.vectors).all()

    def history(path):
        lengths = {len(column) for column in runs.read_history(path).values()}
        assert len(lengths) == 1

    with np.load(run / runs.CHECKPOINT) as stored:
        counts = json.loads(str(stored["state"]))["counts"]
        weights = [stored[f"weights_{i}"] for i in range(counts["weights"])]
        moments = [stored[f"optimizer_{i}"] for i in range(counts["optimizer"])]

    def checkpoint(path):
        # As Keras' own, which take only arrays of the same shapes.
        model = SimpleNamespace(get_weights=lambda: weights, set_weights=lambda new: fit(new))
        variables = [
            SimpleNamespace(shape=m.shape, assign=lambda new: float(np.sum(new))) for m in moments
        ]
        state = checkpoints.read(path.parent, model, SimpleNamespace(variables=variables))
        fit(state.best_weights)
        state.number += 1
        assert math.isfinite(state.total + 1.0)
        state.end_epoch(1.0, 0.5, model)
        runs.write_history(path.parent, state.history)

    def fit(new):
        if [np.shape(array) for array in new] != [array.shape for array in weights]:
            raise ValueError("other shapes")

    with zipfile.ZipFile(run / runs.MODEL) as archive:
        mutations.WHOLE.add(archive.read("model.weights.h5"))
    files = {
        "config": (runs.CONFIG, load, JSON),
        "model": (runs.MODEL, load, ZIP + HDF5),
        "normaliser": (runs.NORMALISER, load, ZIP + NPY),
        "primer": (runs.PRIMER, load, NPY),
        "residuals": (runs.RESIDUALS, load, ZIP + NPY),
        "history": (runs.HISTORY, history, b"epoch loss nan , 1e999 \n".split(b" ")),
        "checkpoint": (runs.CHECKPOINT, checkpoint, ZIP + NPY + JSON),
    }
    for name, (file, use, words) in files.items():
        copy = _folder(folder, name) / "run"
        shutil.copytree(run, copy, dirs_exist_ok=True)
        error = TrainingError if name == "checkpoint" else runs.RunError
        yield Target(name, [(run / file).read_bytes()], use, error, copy / file, words)


# ---------------------------------------------------------------------------------------- corpora


def _corpus(folder):
    def use(path):
        corpus = corpora.load_corpus(path.parent)
        for split in ("train", "validation"):
            for features in corpus.split(split):
                assert np.asarray(features).shape[1] == corpus.width

    sounds = _folder(folder, "sounds")
    for number in range(2):
        write_audio(sounds / f"{number}.wav", np.sin(np.arange(600) / (3 + number)))
    good = folder / "corpus"
    corpora.build_corpus(sounds, good, FeatureConfig(), hold_out=0.5)
    (first, *_) = sorted(good.glob("*.npy"))
    for name, file, words in (("manifest", building.MANIFEST, JSON), ("features", first.name, NPY)):
        copy = _folder(folder, name) / "corpus"
        shutil.copytree(good, copy, dirs_exist_ok=True)
        seeds = [(good / file).read_bytes()]
        yield Target(name, seeds, use, building.CorpusError, copy / file, words)


# ----------------------------------------------------------------------------------------- scores

SCORE = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.1"><part-list><score-part id="P1"><part-name>P</part-name></score-part>
</part-list><part id="P1"><measure number="1"><attributes><divisions>2</divisions><time><beats>4
</beats><beat-type>4</beat-type></time></attributes><note><pitch><step>C</step><octave>4</octave>
</pitch><duration>2</duration><tie type="start"/></note><note><pitch><step>C</step><octave>4
</octave></pitch><duration>1</duration><tie type="stop"/></note><note><rest/><duration>1</duration>
</note></measure></part></score-partwise>
"""
CONTAINER = """<?xml version="1.0"?><container><rootfiles><rootfile full-path="score.xml"/>
</rootfiles></container>"""


def _scores(folder):
    def use(path):
        assert symbolic.read(path) == sorted(symbolic.read(path))

    path = _folder(folder, "midi") / "notes.mid"
    symbolic.write_midi(path, [symbolic.GridNote(0, 4, 60), symbolic.GridNote(2, 3, 64)])
    yield Target("midi", [path.read_bytes()], use, scores.ScoreError, path, MIDI)

    path = _folder(folder, "musicxml") / "notes.musicxml"
    yield Target("musicxml", [SCORE.encode()], use, scores.ScoreError, path, XML)

    path = _folder(folder, "mxl") / "notes.mxl"
    packed = _zip({"META-INF/container.xml": CONTAINER.encode(), "score.xml": SCORE.encode()})
    yield Target("mxl", [packed], use, scores.ScoreError, path, ZIP + XML)

    path = _folder(folder, "kern") / "notes.krn"
    seeds = [b"**kern\t**kern\n*M4/4\t*M4/4\n4c\t4e\n[8d\t4r\n8d]\t.\n=2\t=2\n4cc#;\t4E-\n*-\t*-\n"]
    words = b"**kern *- *^ *v = [ ] q % 4. r \t".split(b" ")
    yield Target("kern", seeds, use, scores.ScoreError, path, words)

    def network(path):
        loaded = symbolic.load(path)
        with np.errstate(all="ignore"):
            symbolic.generate(loaded, 1)

    path = _folder(folder, "weights") / "weights.npz"
    rng, units, size = np.random.default_rng(0), 2, symbolic.VOCABULARY
    shapes = {"embedding": [(size, 3)], "project": [(units, size), (size,)]}
    shapes["lstm_1"] = [(3, 4 * units), (units, 4 * units), (4 * units,)]
    arrays = {name: [rng.normal(size=s) for s in parts] for name, parts in shapes.items()}
    symbolic.save(path, arrays)
    seeds = [path.read_bytes()]
    yield Target("weights", seeds, network, symbolic.SymbolicError, path, ZIP + NPY)


# -------------------------------------------------------------------------------- listening tests


def _listening(folder):
    def use(path):
        about = listening_test.read_plan(path.parent)
        assert about["trials"] >= 1
        listener = listening_test.Answers(path.parent, "ann", 0.3)
        assert listener.next_trial is None or listener.next_trial < about["trials"]
        for score in listening_test.score(path.parent).values():
            assert set(score.right) <= {0, 1} and score.counts in (True, False)

    good = folder / "listening"
    tone = np.sin(np.arange(4000) / 3)
    key = listening_test.plan(["r1", "r2"], ["g1", "g2"], seed=1)
    key = listening_test.Key(key.protocol, key.trials, key.generated, "0" * 32)
    listening_test.prepare(good, key, dict.fromkeys(["r1", "r2", "g1", "g2"], tone))
    listening_test.Answers(good, "ann", 0.3).give(1)
    for clip in good.glob("*.wav"):
        clip.unlink()
    files = {"plan": listening_test.PLAN, "key": listening_test.KEY, "answers": "answers_ann.jsonl"}
    words = [*JSON, *b"trials commitment generated familiarity answer".split(), b"\n"]
    for name, file in files.items():
        copy = _folder(folder, name) / "test"
        shutil.copytree(good, copy, dirs_exist_ok=True)
        seeds = [(good / file).read_bytes()]
        yield Target(name, seeds, use, listening_test.TestError, copy / file, words)


def _soundfont(folder):
    path = _folder(folder, "soundfont") / "piano.sf2"
    seeds = [b"RIFF\x10\x00\x00\x00sfbkLIST\x04\x00\x00\x00INFO"]
    words = b"RIFF sfbk LIST INFO sdta pdta".split()

    def use(path):
        try:
            soundfonts.grand_piano(path)
        except soundfonts.SoundfontError as problem:
            if "needs FluidSynth" not in str(problem):
                raise

    return Target("soundfont", seeds, use, soundfonts.SoundfontError, path, words)


def _folder(folder, name):
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def _zip(files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return made.getvalue()
