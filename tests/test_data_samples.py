"""The files that ship in data_samples/: what the registry says of them is true, and they can be
made again."""

import json
import re
import sys
from fractions import Fraction
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from scipy.ndimage import uniform_filter1d

from cmc_helpers import sequences
from cmc_helpers.vectors import read_csv, write_csv

SAMPLES = Path(__file__).resolve().parents[1] / "data_samples"
REGISTRY = json.loads((SAMPLES / "registry.json").read_text("utf-8"))
ENTRIES = pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: entry["path"])
CLIPS = pytest.mark.parametrize(
    "entry", [e for e in REGISTRY if e["path"].endswith(".flac")], ids=lambda e: e["path"]
)


@pytest.fixture(scope="module")
def make_samples():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SAMPLES)
        import make_samples

        yield make_samples
    for name in ("make_samples", "scores"):
        sys.modules.pop(name, None)


@pytest.fixture
def scores(make_samples):
    return make_samples.scores


def sound(name):
    return soundfile.read(SAMPLES / name)


def test_the_registry_lists_what_is_there_and_nothing_else():
    listed = set()
    for entry in REGISTRY:
        inside = entry["sha256"] if isinstance(entry["sha256"], dict) else [""]
        listed |= {(SAMPLES / entry["path"] / name) for name in inside}
    runs = any(entry["path"].startswith("runs/") for entry in REGISTRY)
    there = {
        path
        for path in SAMPLES.rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc")
        and path not in (SAMPLES / "registry.json", SAMPLES / "README.md")
        and (runs or path.relative_to(SAMPLES).parts[0] != "runs")
    }
    assert there == listed
    assert len(REGISTRY) == len({entry["path"] for entry in REGISTRY})


@ENTRIES
def test_checksums_are_right(entry, make_samples):
    assert entry["sha256"] == make_samples.checksums(SAMPLES / entry["path"])


@ENTRIES
def test_every_sample_says_what_it_is_how_it_is_made_and_its_licence(entry, make_samples):
    assert entry["what"].endswith(".")
    assert entry["licence"] in ("CC0-1.0", "MIT")
    assert any((SAMPLES.parent / word).exists() for word in entry["made_by"].split())
    readme = (SAMPLES / "README.md").read_text("utf-8")
    assert make_samples.paragraph(entry) in readme


@CLIPS
def test_compositions_are_in_the_public_domain_or_nobodys(entry):
    if entry["composition"].startswith("Nobody's"):
        assert entry["path"] == "laughter.flac"
        return
    deaths = [int(year) for year in re.findall(r"\(\d{4}-(\d{4})\)", entry["composition"])]
    assert deaths and max(deaths) < 1900
    assert "public domain" in entry["composition"]


@CLIPS
def test_clips_are_as_long_as_the_registry_says_and_sound(entry):
    info = soundfile.info(SAMPLES / entry["path"])
    assert (info.samplerate, info.channels, info.subtype) == (22050, 1, "PCM_16")
    assert entry["sample_rate"] == info.samplerate
    assert entry["seconds"] == round(info.duration, 3) and 10 <= entry["seconds"] <= 60
    waveform, _ = sound(entry["path"])
    assert 0.7 < np.abs(waveform).max() < 0.71  # -3 dBFS: nothing clips
    assert waveform.std() > 0.04  # about -28 dBFS: a crowd is quiet half of the time
    assert np.abs(waveform.mean()) < 1e-3


def test_the_clips_are_small():
    assert sum(path.stat().st_size for path in SAMPLES.glob("*.flac")) < 2.7e6


@pytest.mark.parametrize("name", ["cyclic", "bounce", "double_cyclic", "double_bounce"])
def test_csv_files_are_the_sequences_in_whole_periods(name):
    stored = read_csv(SAMPLES / f"{name}.csv")
    make = getattr(sequences, name)
    np.testing.assert_array_equal(stored, make(len(stored)))
    np.testing.assert_array_equal(make(2 * len(stored))[len(stored) :], stored)
    entry = next(e for e in REGISTRY if e["path"] == f"{name}.csv")
    assert (entry["steps"], entry["width"]) == stored.shape


@pytest.mark.slow
def test_samples_are_what_the_command_makes(make_samples, tmp_path):
    make_samples.make(tmp_path)
    assert list(make_samples.differences(tmp_path)) == []

    # And a difference would be seen.
    waveform, rate = sound("singer.flac")
    soundfile.write(tmp_path / "singer.flac", np.roll(waveform, 1), rate)
    soundfile.write(tmp_path / "bach_prelude.flac", waveform, rate)
    write_csv(tmp_path / "bounce.csv", sequences.bounce(799))
    found = list(make_samples.differences(tmp_path))
    assert [sentence.split()[0] for sentence in found] == [
        "bach_prelude.flac",
        "bounce.csv",
        "singer.flac",
    ]


def chroma(waveform, rate):
    """Strength of the twelve pitch classes from C, as a sum over the keys C2 to B5.

    A key counts as the geometric mean of its first three partials, so that one partial of another
    key does not sound like it.
    """
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 2**18))
    hertz = np.fft.rfftfreq(2**18, 1 / rate)
    partials = np.outer(440 * 2 ** ((np.arange(36, 84) - 69) / 12), [1, 2, 3])
    level = [[spectrum[np.abs(hertz / f - 1) < 0.012].max() for f in key] for key in partials]
    return np.prod(level, axis=1).reshape(4, 12).sum(axis=0) ** (1 / 3)


def strongest(strength, count):
    return set(np.argsort(-strength)[:count].tolist())


def pitch_classes(names):
    return {"C C# D D# E F F# G G# A A# B".split().index(name) for name in names.split()}


def test_the_bach_clip_has_bachs_harmony_in_every_bar(scores):
    waveform, rate = sound("bach_prelude.flac")
    harmony = "C E G, D F A C, G B D F, C E G, A C E, D F# A C, G B D, C E G".split(", ")
    starts = scores.seconds(scores.BACH, np.arange(0, 33, 4))
    for names, start, stop in zip(harmony, starts[:-1], starts[1:], strict=True):
        expected = pitch_classes(names)
        # Not the first tenth of a second, where the bar before still rings. One overtone may be
        # stronger than the faintest note.
        strength = chroma(waveform[int((start + 0.1) * rate) : int(stop * rate)], rate)
        assert expected <= strongest(strength, len(expected) + 1), names


def test_the_chopin_clip_has_chopins_harmony_in_every_pair_of_bars(scores):
    waveform, rate = sound("chopin_prelude.flac")
    harmony = "E G# B D, A C# E, E B D F#, A C# E".split(", ")
    for pair, names in enumerate(harmony):
        # From the second beat, when the suspensions are resolved, to the end of the second bar.
        start, stop = scores.seconds(scores.CHOPIN, 1 + 6 * pair + np.array([2, 5]))
        strength = chroma(waveform[int(start * rate) : int(stop * rate)], rate)
        expected = pitch_classes(names)
        assert expected <= strongest(strength, len(expected) + 1), names


@pytest.mark.slow
def test_the_singer_sings_the_tune_of_the_chorale(scores):
    waveform, rate = sound("singer.flac")
    line = "C4 C4 C4 D4 D4 C4 A3 Bb3 A3 G3 A3 Bb3 G3 F3"
    tune = [scores.midi(name) for name in 2 * line.split()]
    assert [event.pitch for event in scores.CHORALE.events] == tune
    for event in scores.CHORALE.events:
        start, stop = scores.seconds(
            scores.CHORALE, event.beat + event.beats * np.array([0.3, 0.9])
        )
        note = waveform[int(start * rate) : int(stop * rate)]
        heard = librosa.yin(note, fmin=100, fmax=500, sr=rate, frame_length=1024, center=False)
        assert np.median(librosa.hz_to_midi(heard)) == pytest.approx(event.pitch, abs=0.4)


@pytest.mark.slow
def test_the_crowd_laughs_in_eight_waves_and_is_heard_in_the_last_tenth():
    waveform, rate = sound("laughter.flac")
    power = uniform_filter1d(waveform**2, 2 * rate, mode="constant")[:: rate // 100]
    level = 10 * np.log10(power + 1e-18)  # of two seconds each
    quiet, loud = np.percentile(level, [10, 90])
    assert loud - quiet > 25 and quiet > -65  # dB: but not silent
    ends = np.flatnonzero(np.diff((level > (quiet + loud) / 2).astype(int)) == -1)
    assert len(ends) == 8 and 5 < np.diff(ends).min() / 100 < np.diff(ends).max() / 100 < 10
    assert level[5400:].max() > loud  # a network that learns from it holds this out
    assert waveform[-rate // 10 :].std() < 0.003


def test_the_bach_score_is_the_pattern_of_the_prelude(scores):
    bar = sorted(event for event in scores.BACH.events if event.beat < 2)
    assert [e.pitch for e in bar] == [scores.midi(n) for n in "C4 E4 G4 C5 E5 G4 C5 E5".split()]
    assert [e.beat for e in bar] == [n / 4 for n in range(8)]
    assert [e.beat + e.beats for e in bar] == [2, 2, 0.75, 1, 1.25, 1.5, 1.75, 2]


def test_the_bars_of_the_chopin_score_are_full(scores):
    for text in (scores.CHOPIN_MELODY, scores.CHOPIN_INNER, scores.CHOPIN_LEFT):
        bars = [[Fraction(t.split(":")[1]) for t in bar.split()] for bar in text.split("|")]
        assert [sum(bar) for bar in bars] == [1] + 8 * [3]


def test_every_note_of_the_chorale_has_a_vowel_and_the_bars_are_full(scores):
    assert len(scores.CHORALE.vowels.split()) == len(scores.CHORALE.events)
    last = scores.CHORALE.events[-1]
    assert last.beat + last.beats == 1 + 8 * 4


def test_pitch_names_are_read_as_a_musician_reads_them(scores):
    names = "C4 A4 F#4 Bb3 B#4 Cb4 A1".split()
    assert [scores.midi(name) for name in names] == [60, 69, 66, 58, 72, 59, 33]


def test_the_tempo_curve_is_integrated(scores):
    steady = scores.Score([], tempo=[(0, 60), (8, 60)], loudness=[])
    np.testing.assert_allclose(scores.seconds(steady, np.array([0, 1, 8])), [0.1, 1.1, 8.1])
    slowing = scores.Score([], tempo=[(0, 120), (8, 60)], loudness=[])
    exact = 0.1 + 60 * np.log(120 / 60) / (60 / 8)  # of 60 / (120 - 7.5 beat) over 8 beats
    assert scores.seconds(slowing, 8) == pytest.approx(exact, abs=0.01)
