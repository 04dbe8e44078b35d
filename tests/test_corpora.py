"""Corpora: folders of recordings become features on disk, split by piece."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmc_helpers import corpora, sequences
from cmc_helpers.audio import read_audio, write_audio
from cmc_helpers.corpora import (
    CorpusError,
    StoredFeatures,
    build_corpus,
    load_corpus,
    open_corpus,
)
from cmc_helpers.features import FeatureConfig, extract_features, silent_frames
from cmc_helpers.vectors import write_csv

ROOT = Path(__file__).parent.parent
CONFIG = FeatureConfig.preset("default")


def tone(frequency, seconds=0.5):
    return 0.3 * np.sin(2 * np.pi * frequency * np.arange(int(8000 * seconds)) / 8000)


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    (folder / "deeper").mkdir(parents=True)
    for number in range(11):
        write_audio(folder / f"tone {number}.wav", tone(200 + 50 * number))
    write_audio(folder / "deeper" / "last.flac", tone(900))
    (folder / "broken.wav").write_text("this is not a recording")
    (folder / "notes.txt").write_text("neither is this, and nobody asked for it")
    return folder


def test_a_folder_becomes_the_features_of_each_recording(recordings, tmp_path):
    unreadable = build_corpus(recordings, tmp_path / "corpus", CONFIG)
    corpus = load_corpus(tmp_path / "corpus")
    assert [path.name for path, _ in unreadable] == ["broken.wav"]
    assert [piece.name for piece in corpus.pieces][:2] == ["deeper/last.flac", "tone 0.wav"]
    assert len(corpus.pieces) == 12 and corpus.config == CONFIG
    for piece in corpus.pieces:
        assert isinstance(piece.features, StoredFeatures)
        expected = extract_features(read_audio(recordings / piece.name), CONFIG)
        np.testing.assert_array_equal(piece.features, expected)


def test_the_split_is_by_piece_and_the_same_every_time(recordings, tmp_path):
    splits = []
    for name in ("one", "two"):
        build_corpus(recordings, tmp_path / name, CONFIG)
        splits.append([piece.split for piece in load_corpus(tmp_path / name).pieces])
    assert splits[0] == splits[1]
    assert splits[0].count("validation") == 1  # a tenth of twelve
    build_corpus(recordings, tmp_path / "half", CONFIG, hold_out=0.5)
    assert len(load_corpus(tmp_path / "half").split("validation")) == 6


def test_two_recordings_leave_one_to_train_on(tmp_path):
    (tmp_path / "in").mkdir()
    write_audio(tmp_path / "in" / "a.wav", tone(300))
    write_audio(tmp_path / "in" / "b.wav", tone(400))
    build_corpus(tmp_path / "in", tmp_path / "corpus", CONFIG)
    splits = {piece.split for piece in load_corpus(tmp_path / "corpus").pieces}
    assert splits == {"train", "validation"}


def test_one_recording_is_held_out_at_its_end(tmp_path):
    write_audio(tmp_path / "a.wav", tone(300, 2.0))
    corpus = open_corpus(tmp_path / "a.wav")
    (train,), (held_out,) = corpus.split("train"), corpus.split("validation")
    whole = extract_features(read_audio(tmp_path / "a.wav"), CONFIG)
    np.testing.assert_array_equal(np.concatenate([train, held_out]), whole)
    assert len(held_out) == len(whole) // 10
    assert open_corpus(tmp_path / "a.wav", hold_out=0).split("validation") == []


def test_an_interrupted_build_goes_on_where_it_stopped(recordings, tmp_path):
    def stop_at_the_fifth(done, total, name):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_corpus(recordings, tmp_path / "corpus", CONFIG, progress=stop_at_the_fifth)
    with pytest.raises(CorpusError, match="unfinished"):
        load_corpus(tmp_path / "corpus")
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "corpus").glob("*.npy")}
    build_corpus(recordings, tmp_path / "corpus", CONFIG)
    build_corpus(recordings, tmp_path / "fresh", CONFIG)
    manifests = [(tmp_path / n / "manifest.json").read_text() for n in ("corpus", "fresh")]
    assert manifests[0] == manifests[1]
    assert len(kept) == 4  # of the first five one is broken
    for name, written in kept.items():
        assert (tmp_path / "corpus" / name).stat().st_mtime_ns == written


def test_a_changed_recording_is_read_again(recordings, tmp_path):
    build_corpus(recordings, tmp_path / "corpus", CONFIG)
    write_audio(recordings / "tone 0.wav", tone(3000))
    build_corpus(recordings, tmp_path / "corpus", CONFIG)
    piece = next(p for p in load_corpus(tmp_path / "corpus").pieces if p.name == "tone 0.wav")
    loudest = np.asarray(piece.features).mean(axis=0).argmax()
    assert loudest > 64  # 3 kHz lies in the groups of eight bins and the widest of four


def test_vectors_from_a_csv_have_no_feature_settings(tmp_path):
    write_csv(tmp_path / "bounce.csv", sequences.bounce(100))
    corpus = open_corpus(tmp_path / "bounce.csv")
    assert corpus.config is None and corpus.width == 8
    assert not silent_frames(corpus.split("train")[0], None).any()


def test_silence_is_60_db_below_the_loudest_frame():
    features = np.full((3, 100), 1.0)
    features[1] *= 10 ** (-59 / 20)
    features[2] *= 10 ** (-61 / 20)
    paper = FeatureConfig.preset("paper")
    assert silent_frames(features, paper).tolist() == [False, False, True]
    assert silent_frames(features**0.5, CONFIG).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "manifest.json").write_text("{"), "damaged"),
        (lambda folder: next(folder.glob("*.npy")).write_bytes(b"no"), "does not hold"),
        (lambda folder: next(folder.glob("*.npy")).unlink(), "does not exist"),
        (lambda folder: np.save(next(folder.glob("*.npy")), np.zeros((3, 100))), "does not hold"),
    ],
)
def test_a_damaged_corpus_is_refused_in_a_sentence(recordings, tmp_path, damage, sentence):
    build_corpus(recordings, tmp_path / "corpus", CONFIG)
    damage(tmp_path / "corpus")
    with pytest.raises(CorpusError, match=sentence) as caught:
        load_corpus(tmp_path / "corpus")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"pieces": [{}]},
        {"pieces": []},
        {"pieces": {"a": 1}},
        {"pieces": 1},
        {"complete": "yes"},
        {"hold_out": "x"},
        {"hold_out": float("nan")},
        {"test": 0.95},
        {"test": "x"},
        {"origin": []},
        {"file": "../x.npy"},
        {"file": "/etc/passwd"},
        {"file": None},
        {"frames": 1.5},
        {"frames": 10**400},
        {"frames": -1},
        {"name": []},
        {"split": "other"},
    ],
    ids=str,
)
def test_a_manifest_that_was_not_written_here_is_refused(recordings, tmp_path, change):
    build_corpus(recordings, tmp_path / "corpus", CONFIG)
    path = tmp_path / "corpus" / "manifest.json"
    manifest = json.loads(path.read_text())
    inside = set(change) <= {"file", "frames", "name", "split"}
    (manifest["pieces"][0] if inside else manifest).update(change)
    path.write_text(json.dumps(manifest))
    with pytest.raises(CorpusError, match="manifest.json is damaged or of another version"):
        load_corpus(tmp_path / "corpus")


def test_a_manifest_that_is_nested_without_end_or_holds_nothing_to_train_on_is_refused(
    recordings, tmp_path
):
    build_corpus(recordings, tmp_path / "corpus", CONFIG)
    path = tmp_path / "corpus" / "manifest.json"
    path.write_text(path.read_text().replace('"train"', '"validation"'))
    with pytest.raises(CorpusError, match="manifest.json has nothing to train on"):
        load_corpus(tmp_path / "corpus")
    path.write_text("[" * 100_000)
    with pytest.raises(CorpusError, match="manifest.json is damaged"):
        load_corpus(tmp_path / "corpus")


def test_settings_of_another_pipeline_are_refused(recordings, tmp_path):
    build_corpus(recordings, tmp_path / "corpus", CONFIG)
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    manifest["features"]["hop"] = 128
    (tmp_path / "corpus" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorpusError, match="another version"):
        load_corpus(tmp_path / "corpus")


def test_a_corpus_of_another_preset_is_not_mixed(recordings, tmp_path):
    build_corpus(recordings, tmp_path / "corpus", CONFIG)
    with pytest.raises(CorpusError, match="other feature settings"):
        build_corpus(recordings, tmp_path / "corpus", FeatureConfig.preset("paper"))


def test_folders_without_anything_to_read_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="not a folder"):
        build_corpus(tmp_path / "missing", tmp_path / "corpus", CONFIG)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="holds no recordings"):
        build_corpus(tmp_path / "empty", tmp_path / "corpus", CONFIG)
    (tmp_path / "empty" / "bad.wav").write_text("no sound here")
    with pytest.raises(CorpusError, match="nothing could be read; the first: .*bad.wav"):
        build_corpus(tmp_path / "empty", tmp_path / "corpus", CONFIG)


def test_several_processes_read_a_folder_as_one_does(recordings, tmp_path):
    import soundfile

    left = tone(500)
    soundfile.write(recordings / "cancelled.wav", np.stack([left, -left], axis=1), 8000)
    folders = []
    for jobs in (1, 2):
        with pytest.warns(UserWarning, match="cancelled.wav has channels that cancel") as caught:
            unreadable = build_corpus(recordings, tmp_path / f"{jobs}", CONFIG, jobs=jobs)
        assert len(caught) == 1
        ((source, reason),) = unreadable
        assert source.name == "broken.wav" and "broken.wav is not WAV" in reason
        folders.append({p.name: p.read_bytes() for p in (tmp_path / f"{jobs}").iterdir()})
    assert folders[0] == folders[1]


# features on disk


@pytest.fixture(scope="session")
def stored(tmp_path_factory):
    """Features as an array, and the same on disk."""
    path = tmp_path_factory.mktemp("stored") / "x.npy"
    array = np.random.default_rng(0).random((50, 100), np.float32)
    np.save(path, array)
    return array, StoredFeatures.open(path, {"name": "x", "frames": 50})


@settings(derandomize=True, deadline=None)
@given(data=st.data())
def test_stored_features_are_indexed_like_an_array(stored, data):
    array, features = stored
    rows = st.one_of(st.integers(-50, 49), st.slices(50), st.lists(st.integers(-50, 49)))
    index = data.draw(st.one_of(rows, st.tuples(rows, st.slices(100))))
    index = np.array(index, int) if isinstance(index, list) else index
    np.testing.assert_array_equal(features[index], array[index])
    assert features[index].dtype == np.float32


def test_a_part_of_stored_features_is_stored_too(stored):
    array, features = stored
    part = features.part(10, 30)
    assert isinstance(part, StoredFeatures) and part.shape == (20, 100)
    assert repr(part) == f"<features (20, 100) in {part.path}>"
    np.testing.assert_array_equal(part[5:25], array[15:30])


def test_numpy_reads_all_of_stored_features(stored):
    array, features = stored
    assert features.shape == (50, 100) and len(features) == 50 and features.ndim == 2
    np.testing.assert_array_equal(np.abs(features), array)
    np.testing.assert_array_equal(np.diff(features, axis=0), np.diff(array, axis=0))
    np.testing.assert_array_equal(np.concatenate(list(features)), array.ravel())
    assert np.asarray(features, np.float64).dtype == np.float64
    with pytest.raises(IndexError):
        features[50]


def test_features_that_were_cut_short_after_opening_are_a_sentence(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((50, 100), np.float32))
    features = StoredFeatures.open(tmp_path / "x.npy", {"name": "x", "frames": 50})
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:9000])
    with pytest.raises(CorpusError, match="x.npy was changed or cut short"):
        features[40:]


def test_features_that_another_build_replaced_after_opening_are_a_sentence(tmp_path):
    for name, value in (("x", 0), ("new", 1)):
        np.save(tmp_path / f"{name}.npy", np.full((50, 100), value, np.float32))
    features = StoredFeatures.open(tmp_path / "x.npy", {"name": "x", "frames": 50})
    (tmp_path / "new.npy").replace(tmp_path / "x.npy")  # as long, but not the same
    with pytest.raises(CorpusError, match="x.npy was changed .* run the cmc corpus command again"):
        features[:10]
    (tmp_path / "x.npy").unlink()
    with pytest.raises(CorpusError, match="x.npy does not exist"):
        features[:10]


def test_a_corpus_may_have_more_pieces_than_a_process_may_open_files(tmp_path):
    pytest.importorskip("resource", reason="this system limits no process")
    features = np.ones((3, 100), np.float32)
    entries = []
    for number in range(300):
        np.save(tmp_path / f"{number}.npy", features)
        entry = {"name": str(number), "file": f"{number}.npy", "frames": 3, "split": "train"}
        entries.append(entry)
    manifest = {"format": 1, "complete": True, "features": CONFIG.to_dict(), "hold_out": 0.1}
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "pieces": entries}))
    script = (
        "import resource, sys; from cmc_helpers.corpora import load_corpus;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40));"
        "print(sum(features[:2].sum() for features in load_corpus(sys.argv[1]).split('train')))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.stdout == "60000.0\n", result.stderr


# samples


def test_a_sample_is_found_by_name_and_another_name_lists_them():
    assert corpora.sample_path("bounce.csv").is_file()
    with pytest.raises(CorpusError, match="bach_prelude.flac"):
        corpora.sample_path("bach_prelude.mp3")


def test_a_folder_of_recordings_needs_a_place_for_its_corpus(tmp_path):
    with pytest.raises(CorpusError, match="is a folder of recordings: turn it into a corpus first"):
        open_corpus(tmp_path)
