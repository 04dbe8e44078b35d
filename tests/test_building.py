"""Building a corpus folder: the same bytes however often it is stopped and by however many jobs."""

import concurrent.futures.process
import json
import os
import signal
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmc_helpers.corpora import building, load_corpus
from cmc_helpers.corpora.building import CorpusError, Transposed, build_from_sources
from cmc_helpers.features import FeatureConfig
from cmc_helpers.files import FileError
from cmc_helpers.scores import bach

CONFIG = FeatureConfig.preset("default")
NEEDS_SIGKILL = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="this system does not end processes by signals"
)


class NoiseError(FileError):
    """A source that cannot be read."""


@dataclass(frozen=True)
class Noise:
    """One second of noise that only its name decides, or something that goes wrong."""

    name: str
    does: str = ""
    unreadable = NoiseError

    def checksum(self):
        return f"{self.name} {self.does}"

    def waveform(self, sample_rate):
        if self.does == "refuses":
            raise NoiseError(f"{self.name} is not for listening: listen to another")
        if self.does == "is killed":
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        if self.does == "fails":
            raise CorpusError("the disk is full: make room")
        rng = np.random.default_rng(list(self.checksum().encode()))
        return rng.standard_normal(sample_rate + 192)  # 125 frames and a window


def noises(count, **doing):
    return [Noise(f"n{i}", doing.get(f"n{i}", "")) for i in range(count)]


def build(folder, sources, **options):
    options = {"origin": {"kind": "noise", "colour": "white"}, **options}
    return [source.name for source, _ in build_from_sources(sources, folder, CONFIG, **options)]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(folder):
    return [piece.name for piece in load_corpus(folder).pieces]


def parts(folder):
    """What is not learnt from, and what it is for."""
    pieces = load_corpus(folder).pieces
    return {piece.name: piece.split for piece in pieces if piece.split != "train"}


def held_out(folder):
    return [piece.name for piece in load_corpus(folder).pieces if piece.split == "validation"]


# what is built


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_the_same_sources_give_the_same_bytes(tmp_path, jobs):
    sources = noises(12, n3="refuses")
    assert build(tmp_path / "a", sources) == build(tmp_path / "b", sources, jobs=jobs) == ["n3"]
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert names(tmp_path / "a") == [f"n{i}" for i in range(12) if i != 3]


@pytest.mark.slow
def test_where_61_processes_are_the_most_no_more_are_started(tmp_path, monkeypatch):
    asked = []

    class Pool(building.ProcessPoolExecutor):
        def __init__(self, workers, *rest):
            asked.append(workers)
            super().__init__(workers, *rest)

        def submit(self, function, *task):  # here: 61 processes would take a minute to start
            done = concurrent.futures.Future()
            done.set_result(function(*task))
            return done

    windows = types.SimpleNamespace(platform="win32")
    monkeypatch.setattr(concurrent.futures.process, "sys", windows)
    monkeypatch.setattr(building, "ProcessPoolExecutor", Pool)
    build(tmp_path / "many", noises(70), jobs=64)
    assert asked == [64, 61]
    build(tmp_path / "one", noises(70))
    assert files(tmp_path / "many") == files(tmp_path / "one")


def test_a_system_that_does_not_tell_which_processors_may_be_used_says_how_many(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert building.usable_cpus() == 6
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    assert building.usable_cpus() == 61
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert building.usable_cpus() == 1


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_as_many_sources_are_taken_as_last_long_enough(tmp_path, jobs):
    build(tmp_path / "some", noises(30), seconds=4.5, jobs=jobs)
    assert names(tmp_path / "some") == [f"n{i}" for i in range(5)]
    assert len(list((tmp_path / "some").iterdir())) == 6
    build(tmp_path / "all", noises(7), seconds=100, jobs=jobs)
    assert len(names(tmp_path / "all")) == 7


def test_a_longer_corpus_holds_out_what_a_shorter_one_does_and_more(tmp_path):
    for count in (2, 10, 19, 20, 35):
        build(tmp_path / f"{count}", noises(count), test=0)
    assert held_out(tmp_path / "2") == ["n1"]
    assert held_out(tmp_path / "10") == held_out(tmp_path / "19") == ["n9"]
    assert held_out(tmp_path / "20") == ["n9", "n19"]
    assert held_out(tmp_path / "35") == ["n9", "n19", "n29"]


def test_a_third_part_is_only_reported_on(tmp_path):
    """A tenth each, in turn, and of the first that is held out the epoch is chosen."""
    for count in (4, 5, 10, 20):
        build(tmp_path / f"{count}", noises(count))
    assert parts(tmp_path / "4") == {"n3": "validation"}
    assert parts(tmp_path / "5") == {"n4": "validation"}
    assert parts(tmp_path / "10") == {"n4": "validation", "n9": "test"}
    both = parts(tmp_path / "10") | {"n14": "validation", "n19": "test"}
    assert parts(tmp_path / "20") == both
    assert load_corpus(tmp_path / "4").unheard == "validation"
    assert load_corpus(tmp_path / "10").unheard == "test"


def test_of_bach_80_pieces_test_and_40_validate():
    split = building.split_pieces(396, bach.HOLD_OUT, bach.TEST)
    assert split.count("test") >= 80 and split.count("validation") >= 40
    shorter = building.split_pieces(200, bach.HOLD_OUT, bach.TEST)
    assert split[:200] == shorter


@pytest.mark.parametrize("count", [2, 3, 11, 40])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.95, 1 - 1e-12])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_the_share_is_held_out_and_something_is_left_to_train_on(count, share, seed):
    split = building.split_pieces(count, share, seed=seed)
    chosen = split.count("validation")
    assert split.count("train") == count - chosen > 0
    assert bool(chosen) == bool(share)
    assert abs(chosen - share * count) <= 1


@given(
    st.integers(2, 300), st.floats(0.01, 0.4), st.floats(0.01, 0.4), st.sampled_from([None, 0, 7])
)
def test_three_parts_are_as_large_as_asked_and_validation_comes_first(count, hold_out, test, seed):
    split = building.split_pieces(count, hold_out, test, seed)
    sizes = {part: split.count(part) for part in building.SPLITS}
    assert sum(sizes.values()) == count and sizes["train"] and sizes["validation"]
    assert abs(sizes["validation"] - hold_out * count) < 2
    assert abs(sizes["test"] - test * count) < 2


def test_shares_that_leave_nothing_to_learn_from_are_refused():
    with pytest.raises(ValueError, match="0.5 to validate and 0.5 to test leave nothing to learn"):
        building.split_pieces(10, 0.5, 0.5)


def test_progress_counts_sources_or_seconds(tmp_path):
    steps = []
    build(tmp_path / "a", noises(3), progress=lambda *step: steps.append(step))
    assert steps == [(0, 3, "n0"), (1, 3, "n1"), (2, 3, "n2"), (3, 3, "done")]
    steps.clear()
    build(tmp_path / "b", noises(9), seconds=1.5, progress=lambda *step: steps.append(step))
    assert steps == [(0, 2, "n0"), (1, 2, "n1"), (2, 2, "done")]


# stopped and taken up again

KILLED = """
import os, signal, sys
import test_building as t

def kill(done, total, name):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    t.building._EVERY = {every}
    t.build(t.Path(sys.argv[1]), t.noises(12, n2="refuses"), jobs={jobs}, progress=kill)
"""


@pytest.mark.slow
@NEEDS_SIGKILL
@pytest.mark.parametrize(("jobs", "every"), [(1, 0), (2, 0), (2, 1e9)])
def test_a_build_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(tmp_path, jobs, every):
    (tmp_path / "kill.py").write_text(KILLED.format(jobs=jobs, every=every))
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"}
    command = [sys.executable, tmp_path / "kill.py", tmp_path / "corpus"]
    # This waits for all who hold the pipe: workers that outlive the build would be noticed.
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == -signal.SIGKILL, result.stderr
    (tmp_path / "corpus" / ".0123456789abcdef.npy").write_bytes(b"half of a fi")
    done = [path for path in (tmp_path / "corpus").glob("[!.]*.npy")]
    written = {path: path.stat().st_mtime_ns for path in done}
    assert len(done) >= 4
    with pytest.raises(CorpusError, match="unfinished"):
        load_corpus(tmp_path / "corpus")

    sources = noises(12, n2="refuses")
    for folder in ("corpus", "fresh"):
        assert build(tmp_path / folder, sources, jobs=jobs) == ["n2"]
    assert files(tmp_path / "corpus") == files(tmp_path / "fresh")
    if every == 0:
        kept = [path for path in done if path.stat().st_mtime_ns == written[path]]
        assert len(kept) >= 4


def test_what_an_earlier_build_knew_is_not_forgotten_when_the_next_is_stopped(tmp_path):
    build(tmp_path / "corpus", noises(6))
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "corpus").glob("*.npy")}

    def stop(done, total, name):
        with pytest.raises(CorpusError, match="unfinished"):
            load_corpus(tmp_path / "corpus")  # even before the first file is another
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "corpus", noises(6, n0="changed"), progress=stop)
    with pytest.raises(CorpusError, match="unfinished"):
        load_corpus(tmp_path / "corpus")
    build(tmp_path / "corpus", noises(6, n0="changed"))
    assert sum(path.stat().st_mtime_ns == time for path, time in written.items()) == 5
    build(tmp_path / "fresh", noises(6, n0="changed"))
    assert files(tmp_path / "corpus") == files(tmp_path / "fresh")


def test_a_corpus_can_grow_and_shrink_and_only_its_own_files_are_deleted(tmp_path):
    build(tmp_path / "corpus", noises(12))
    (tmp_path / "corpus" / "notes.npy").write_bytes(b"somebody's own")
    for seconds in (3, 8):
        build(tmp_path / "corpus", noises(12), seconds=seconds)
    build(tmp_path / "fresh", noises(12), seconds=8)
    left = files(tmp_path / "corpus")
    assert left.pop("notes.npy") == b"somebody's own"
    assert left == files(tmp_path / "fresh")


def test_the_manifest_is_not_written_again_for_every_piece(tmp_path, monkeypatch):
    writes = []
    write = building._Journal._write
    monkeypatch.setattr(
        building._Journal, "_write", lambda *a, **k: (writes.append(k), write(*a, **k))
    )
    monkeypatch.setattr(building, "_EVERY", 1e9)
    build(tmp_path / "corpus", noises(30))
    assert [write["complete"] for write in writes] == [False, True]


def test_two_builds_in_one_folder_are_one_too_many(tmp_path):
    def meanwhile(done, total, name):
        with pytest.raises(CorpusError, match="corpus is in use by another process"):
            build(tmp_path / "corpus", noises(2))

    build(tmp_path / "corpus", noises(2), progress=meanwhile)
    assert len(names(tmp_path / "corpus")) == 2
    assert not list((tmp_path / "corpus").glob(".*"))


def test_a_build_that_is_stopped_leaves_nothing_half_written(tmp_path):
    def stop(done, total, name):
        if done == 1:
            (tmp_path / "corpus" / ".0123456789abcdef.npy").write_bytes(b"of a worker")
            (tmp_path / "corpus" / ".mine").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "corpus", noises(3), progress=stop)
    assert [path.name for path in (tmp_path / "corpus").glob(".*")] == [".mine"]


# what is refused


def test_a_corpus_of_another_origin_is_not_gone_on_with(tmp_path):
    def stop(done, total, name):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "corpus", noises(4), progress=stop)
    before = files(tmp_path / "corpus")
    for origin, word in (
        ({"kind": "noise", "colour": "pink"}, "colour"),
        ({"kind": "noise"}, "colour"),
        ({"kind": "noise", "colour": "white", "level": 1}, "level"),
        ({"kind": "recordings"}, "kind of sources"),
    ):
        with pytest.raises(CorpusError, match=f"made with another {word}: choose another folder"):
            build(tmp_path / "corpus", noises(4), origin=origin)
    assert files(tmp_path / "corpus") == before


def test_a_manifest_from_before_there_were_origins_is_of_recordings(tmp_path):
    build(tmp_path / "corpus", noises(3), origin=building.RECORDINGS)
    path = tmp_path / "corpus" / "manifest.json"
    whole = path.read_text()
    manifest = json.loads(whole)
    del manifest["origin"]
    path.write_text(json.dumps(manifest))
    assert len(names(tmp_path / "corpus")) == 3
    with pytest.raises(CorpusError, match="another kind of sources"):
        build(tmp_path / "corpus", noises(3))
    build(tmp_path / "corpus", noises(3), origin=building.RECORDINGS)
    assert path.read_text() == whole


@pytest.mark.parametrize("jobs", [1, 2])
def test_nothing_is_left_when_nothing_can_be_read(tmp_path, jobs):
    with pytest.raises(CorpusError, match="nothing could be read; the first: n0 is not for"):
        build(tmp_path / "corpus", noises(2, n0="refuses", n1="refuses"), jobs=jobs)
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_no_fault_of_the_source_stops_the_build(tmp_path, jobs):
    with pytest.raises(CorpusError, match="the disk is full"):
        build(tmp_path / "corpus", noises(4, n2="fails"), jobs=jobs)
    with pytest.raises(CorpusError, match="unfinished"):
        load_corpus(tmp_path / "corpus")


def test_a_process_that_was_killed_is_a_sentence(tmp_path):
    with pytest.raises(CorpusError, match="was killed, .* with fewer `jobs`"):
        build(tmp_path / "corpus", noises(4, n2="is killed"), jobs=2)


# copies in other keys


@dataclass(frozen=True)
class Tone:
    """Two seconds of a sine at 500 Hz."""

    name: str
    unreadable = NoiseError

    def checksum(self):
        return self.name

    def waveform(self, sample_rate):
        return np.sin(2 * np.pi * 500 * np.arange(2 * sample_rate) / sample_rate)


def test_what_is_learned_gets_copies_in_other_keys_and_what_is_held_out_gets_none(tmp_path):
    build(tmp_path / "plain", [Tone(f"t{i}") for i in range(4)], hold_out=0.25)
    build(tmp_path / "more", [Tone(f"t{i}") for i in range(4)], hold_out=0.25, transpose=2)
    plain, more = load_corpus(tmp_path / "plain"), load_corpus(tmp_path / "more")
    kept = {piece.name: piece.split for piece in plain.pieces}
    assert {
        name: split for piece in more.pieces for name, split in [piece[::2]] if name in kept
    } == kept
    learned = [name for name, split in kept.items() if split == "train"]
    copies = {f"{name} {move:+d}" for name in learned for move in (-2, -1, 1, 2)}
    assert {piece.name for piece in more.pieces} == {*kept, *copies}
    assert all(piece.split == "train" for piece in more.pieces if piece.name in copies)


@pytest.mark.parametrize("semitones", [-12, -1, 2, 12])
def test_a_copy_is_higher_and_as_much_shorter(tmp_path, semitones):
    copy = Transposed(Tone("t"), semitones)
    ratio = 2 ** (semitones / 12)
    made = copy.waveform(8000)
    assert abs(len(made) - 16000 / ratio) <= 1.5
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made)), 2**18))
    assert abs(12 * np.log2(spectrum.argmax() * 8000 / 2**18 / 500) - semitones) < 0.01


def test_copies_come_and_go_and_what_is_there_is_not_made_again(tmp_path):
    tones = [Tone(f"t{i}") for i in range(3)]
    build(tmp_path / "c", tones, transpose=1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "c").glob("*.npy")}
    build(tmp_path / "c", tones, transpose=2)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "c").glob("*.npy")}
    assert len(before) == 3 + 2 * 2 and len(after) == 3 + 2 * 4
    assert {path: after[path] for path in before} == before
    build(tmp_path / "c", tones)
    assert len(list((tmp_path / "c").glob("*.npy"))) == 3
    assert names(tmp_path / "c") == ["t0", "t1", "t2"]


def test_a_single_recording_has_no_copies_for_its_own_end_is_held_out(tmp_path):
    with pytest.raises(CorpusError, match="a single recording cannot be transposed"):
        build(tmp_path / "c", [Tone("t")], transpose=1)
