"""Bach from scores: what is written, how a hand plays it, and what plays the notes."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmc_helpers.corpora import load_corpus
from cmc_helpers.corpora.building import build_from_sources
from cmc_helpers.features import FeatureConfig
from cmc_helpers.scores import Event, Score, ScoreError, bach, performing, read_score, soundfonts
from cmc_helpers.scores.bach import ScoreSource
from cmc_helpers.scores.instruments import Note
from cmc_helpers.scores.performing import perform
from cmc_helpers.scores.soundfonts import AdditivePiano, SoundfontError, SoundfontPiano, grand_piano

ROOT = Path(__file__).parent.parent
CONFIG = FeatureConfig.preset("default")
NEEDS_SHELL = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script of a shell")
FLUIDSYNTH = pytest.mark.skipif(
    isinstance(grand_piano(), AdditivePiano),
    reason="FluidSynth and a soundfont are not installed (apt install fluidsynth)",
)

# Two voices in four quarters and a half note: a tie over the upper voice's first two, a fermata
# over both voices' fourth, and a chord.
KERN = """**kern\t**kern
*M4/4\t*M4/4
=1\t=1
4C\t[4c
4D\t4c]
4E\t4e 4g
4F;\t4f;
=2\t=2
2G\t2g
*-\t*-
"""


@pytest.fixture(scope="session")
def score_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("scores") / "small.krn"
    path.write_text(KERN)
    return path


@dataclass(frozen=True)
class Buzz:
    """An instrument that takes no time: a click for each note."""

    def describe(self):
        return {"name": "buzz"}

    def play(self, notes, sample_rate):
        sound = np.zeros(round(sample_rate * (1 + notes[-1].start)))
        for note in notes:
            sound[round(note.start * sample_rate)] += note.velocity
        return sound


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def build(folder, sources, **options):
    unreadable = build_from_sources(sources, folder, CONFIG, {"kind": "bach"}, **options)
    return [(source.name, reason) for source, reason in unreadable]


# scores


def test_ties_are_one_note_and_fermatas_are_kept(score_file):
    score = read_score(score_file)
    assert score.name == "small" and score.beat == 1
    lower, upper = (
        [(e.start, e.length, e.pitch) for e in sorted(score.events) if e.part == part]
        for part in sorted({e.part for e in score.events}, key=lambda part: -part)
    )
    if lower[0][2] > upper[0][2]:  # which spine comes first is the encoder's choice
        lower, upper = upper, lower
    assert lower == [(0, 1, 48), (1, 1, 50), (2, 1, 52), (3, 1, 53), (4, 2, 55)]
    assert upper == [(0, 2, 60), (2, 1, 64), (2, 1, 67), (3, 1, 65), (4, 2, 67)]
    assert set(score.fermatas) == {(3, 4)}
    accents = {event.start: event.accent for event in score.events}
    assert accents[4] == accents[0] > accents[2] > accents[1] == accents[3]


def test_a_grace_note_has_no_time_and_a_score_without_notes_is_refused(tmp_path):
    from music21 import note, stream

    quarter = note.Note("G4", quarterLength=1)
    for name, events in {
        "graced": [note.Note("A4").getGrace(), quarter],
        "silent": [note.Rest(quarterLength=4)],
    }.items():
        stream.Part(events).write("musicxml", tmp_path / f"{name}.xml")
    assert [(e.pitch, e.length) for e in read_score(tmp_path / "graced.xml").events] == [(67, 1)]
    with pytest.raises(ScoreError, match="silent.xml cannot be read as a score: .* no notes"):
        read_score(tmp_path / "silent.xml")


def test_the_scores_are_all_of_bach_but_the_reserved_and_the_repeated():
    names = [source.name for source in bach.sources(Buzz())]
    assert len(names) == len(set(names)) > 390 and "bwv846" in names
    assert not set(names) & {"bwv277", "bwv281", "bwv366"}
    assert not set(names) & set(bach.REPEATED)
    assert names == [source.name for source in bach.sources(Buzz())]
    assert sorted(names) == sorted(source.name for source in bach.sources(Buzz(), seed=1))
    assert names != [source.name for source in bach.sources(Buzz(), seed=1)]


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 no score at all", b"<score-partwise/>", b"\xff\xfe\x00"]
)
def test_a_damaged_score_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "bad.mxl").write_bytes(content)
    with pytest.raises(ScoreError, match="bad.mxl cannot be read as a score") as caught:
        read_score(tmp_path / "bad.mxl")
    assert "\n" not in str(caught.value)


XML = """<score-partwise><part-list><score-part id="P"><part-name>P</part-name></score-part>
</part-list><part id="P"><measure number="1"><attributes><divisions>2</divisions>
<time><beats>4</beats><beat-type>4</beat-type></time></attributes>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>8</duration></note>
</measure></part></score-partwise>"""


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("one.musicxml", "<beats>4", "<beats>999999999"),
        ("one.xml", "<beat-type>4", "<beat-type >128"),
        ("one.mxl", "<beats>4", "<beats><!-- -->100"),
        ("one.xml", "<duration>8", "<duration>1e99"),
        ("one.xml", "<duration>8", "<duration>nan"),
        ("one.krn", "*M4/4", "*M400/4"),
    ],
)
def test_a_score_that_would_keep_music21_busy_for_ever_is_refused_at_once(tmp_path, name, old, new):
    def save(text):
        if name.endswith(".mxl"):
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                archive.writestr("one.xml", text)
        else:
            (tmp_path / name).write_text(text)

    good = "**kern\n*M4/4\n1c\n*-\n" if name.endswith(".krn") else XML
    save(good)
    assert [event[1:4] for event in read_score(tmp_path / name).events] == [(0.0, 4.0, 60)]
    assert old in good
    save(good.replace(old, new))
    with pytest.raises(ScoreError, match=f"{name} cannot be read as a score"):
        read_score(tmp_path / name)


def test_a_bomb_and_what_is_no_score_by_its_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "one.mxl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.xml", XML + " " * 10**7)
    with pytest.raises(ScoreError, match="one.mxl cannot be read .*unpack"):
        read_score(tmp_path / "one.mxl")
    (tmp_path / "one.p").write_text(XML)  # which music21 takes for a pickle
    with pytest.raises(ScoreError, match="one.p cannot be read .*its name ends in '.p'"):
        read_score(tmp_path / "one.p")


@pytest.mark.slow
def test_reading_scores_writes_nothing_into_the_home_folder(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "temporary").mkdir()
    script = (
        "from cmc_helpers.scores import bach, performing, read_score\n"
        "source = min(bach.sources(None), key=lambda source: source.name)\n"
        "print(len(performing.perform(read_score(source.path))))"
    )
    home = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **home, "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""},
        capture_output=True,
        text=True,
    )
    assert int(result.stdout) > 50, result.stderr
    assert list((tmp_path / "home").iterdir()) == []
    assert not [path for path in (tmp_path / "temporary").rglob("*") if path.is_file()]


# performance

# A busy machine is no reason to fail.
repeatable = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LENGTHS = st.sampled_from([1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 1, 3 / 2, 2, 4])
EVENTS = st.builds(
    Event,
    st.integers(0, 3),
    st.integers(0, 48 * 24).map(lambda n: n / 24),
    LENGTHS,
    st.integers(36, 88),
    st.sampled_from([1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]),
)
SCORES = st.builds(
    Score,
    st.text(max_size=5),
    st.lists(EVENTS, min_size=1, max_size=40),
    st.lists(st.integers(0, 48).map(lambda n: (float(n), n + 1.0)), max_size=4),
    st.sampled_from([1.0, 1.5, 2.0]),
)


@pytest.mark.slow
@repeatable
@given(SCORES)
def test_every_key_goes_up_before_it_is_struck_again(score):
    free = {}
    for note in perform(score):
        assert note.start >= free.get(note.pitch, 0) + 0.009
        assert note.duration >= 0.019
        assert 0.15 <= note.velocity <= 0.95
        free[note.pitch] = note.start + note.duration


NOTES = st.lists(
    st.builds(
        Note,
        st.integers(0, 300).map(lambda n: n / 100),
        st.sampled_from([0.05, 0.2, 0.5, 2.0]),
        st.integers(60, 62),
        st.sampled_from([0.2, 0.5, 0.8]),
    )
)


@pytest.mark.slow
@repeatable
@given(NOTES)
def test_no_stroke_is_swallowed_by_another_of_its_key(notes):
    strokes = performing.one_key_one_string(notes)
    for note in notes:
        (heard,) = [
            s for s in strokes if s.pitch == note.pitch and 0 <= note.start - s.start < 0.03
        ]
        assert heard.velocity >= note.velocity
    for pitch in {note.pitch for note in notes}:
        ends = [
            max(start + duration for start, duration, key, _ in some if key == pitch)
            for some in (notes, strokes)
        ]
        assert ends[0] == pytest.approx(ends[1])


def scale(name="scale", fermatas=(), length=1.0):
    """A line of 32 quarters."""
    events = [Event(0, float(i), length, 60 + i % 12, 0.25) for i in range(32)]
    return Score(name, events, list(fermatas))


def test_the_same_name_is_the_same_performance_and_another_name_another():
    assert perform(scale()) == perform(scale())
    assert perform(scale()) != perform(scale("another"))


def test_a_performance_that_was_changed_has_another_number():
    """Otherwise a corpus begun with the old one would go on with the new one."""
    notes = perform(scale())
    assert bach._PERFORMANCE == 1  # count it up when the next line has to be changed
    assert notes[15] == pytest.approx((10.8876, 0.8152, 63, 0.5255), abs=1e-3)


def test_the_tempo_gives_way_at_a_fermata_and_at_the_end():
    for name in "abcdefgh":
        starts = [note.start for note in perform(scale(name, [(15.0, 16.0)]))]
        gaps = np.diff(starts)
        assert gaps[15] > 1.15 * np.median(gaps)  # held
        assert gaps[14] > 1.02 * np.median(gaps)
        assert gaps[-1] > np.median(gaps)
        assert 60 / 130 < np.median(gaps) < 60 / 45
        assert gaps.std() > 0.01  # and none is like another


def test_loudness_rises_and_falls_with_the_phrase():
    middle, edges = [], []
    for name in "abcdefgh":
        velocities = [note.velocity for note in perform(scale(name, [(15.0, 16.0)]))]
        middle += velocities[5:11] + velocities[21:27]
        edges += velocities[:3] + velocities[13:18] + velocities[-3:]
    assert np.mean(middle) > np.mean(edges) + 0.05


def test_notes_are_legato_but_for_a_breath_after_a_fermata():
    notes = perform(scale(fermatas=[(15.0, 16.0)]))
    silences = [b.start - a.start - a.duration for a, b in zip(notes, notes[1:], strict=False)]
    assert silences[15] > 0.05
    assert max(silences[:15] + silences[16:]) < 0.03


def test_the_highest_part_and_accents_stand_out():
    events = [
        Event(part, float(i), 1.0, 72 - 8 * part, (1, 0.25)[i % 2])
        for part in range(3)
        for i in range(32)
    ]
    notes = perform(Score("three parts", events, []))
    soprano, middle, bass = (
        np.array([note.velocity for note in notes if note.pitch == pitch]) for pitch in (72, 64, 56)
    )
    assert soprano.mean() > bass.mean() + 0.02 > middle.mean() + 0.04
    assert soprano[::2].mean() > soprano[1::2].mean() + 0.04


def test_a_voice_that_doubles_another_is_one_stroke_as_long_as_the_longer():
    strokes = performing.one_key_one_string(
        [Note(0.01, 0.5, 60, 0.7), Note(0, 1, 60, 0.4), Note(0.6, 0.2, 60, 0.5)]
    )
    assert strokes == [Note(0, 0.59, 60, 0.7), Note(0.6, pytest.approx(0.4), 60, 0.5)]


# instruments


def test_the_midi_file_holds_the_notes_and_ends_after_the_tail():
    from music21 import midi

    notes = [Note(0.1, 0.5, 60, 0.5), Note(0.1, 1.0, 67, 0.7), Note(0.61, 0.5, 60, 1.0)]
    file = midi.MidiFile()
    file.readstr(soundfonts.midi_bytes(notes))
    now, strokes, end = 0, [], None
    for event in file.tracks[0].events:
        if event.isDeltaTime():
            now += event.time
        elif event.isNoteOn():
            strokes.append((now, event.pitch, event.velocity))
        elif event.type == midi.MetaEvents.END_OF_TRACK:
            end = now
    assert strokes == [(100, 60, 64), (100, 67, 89), (610, 60, 127)]
    assert end == 1110 + 2000 and file.ticksPerQuarterNote == 500


INSTRUMENTS = [
    pytest.param(AdditivePiano(), id="additive"),
    pytest.param(grand_piano(), id="fluidsynth", marks=FLUIDSYNTH),
]


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_an_instrument_plays_the_pitch_at_its_time_and_rings_on(instrument):
    sound = instrument.play([Note(0.5, 1.0, 69, 0.6)])
    assert np.abs(sound[:3900]).max() < 1e-3 < 0.02 < np.abs(sound[4000:6000]).max() < 1
    spectrum = np.abs(np.fft.rfft(sound[4000:12000] * np.hanning(8000)))
    assert abs(int(spectrum[300:600].argmax()) + 300 - 440) <= 2  # Hz
    assert 1.6 < len(sound) / 8000 < 3.6
    assert np.abs(sound[-80:]).max() < 1e-3


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_soft_piece_stays_soft_beside_a_loud_one(instrument):
    soft, loud = (instrument.play([Note(0.1, 1.0, 60, v)]).std() for v in (0.3, 0.9))
    assert loud > 3 * soft


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_an_instrument_plays_the_same_samples_twice(instrument):
    notes = perform(scale())[:6]
    np.testing.assert_array_equal(instrument.play(notes), instrument.play(notes))


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_an_instrument_says_what_it_is_without_a_path_of_this_machine(instrument):
    described = json.dumps(instrument.describe())
    assert "/" not in described and str(instrument)
    if isinstance(instrument, SoundfontPiano):
        assert '"name": "fluidsynth", "version": "' in described
        assert len(instrument.describe()["soundfont_sha256"]) == 64


@FLUIDSYNTH
def test_the_two_pianos_are_about_as_loud():
    notes = perform(scale())
    levels = [20 * np.log10(p.play(notes).std()) for p in (AdditivePiano(), grand_piano())]
    assert abs(levels[0] - levels[1]) < 6 and -40 < levels[1] < -15


def soundfont_like(path, size=0):
    path.write_bytes(b"RIFF\x00\x01\x00\x00sfbk" + bytes(size))
    return path


def test_without_fluidsynth_the_additive_piano_plays(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert grand_piano() == AdditivePiano()
    with pytest.raises(SoundfontError, match="own.sf2 needs FluidSynth, which is not installed"):
        grand_piano(soundfont_like(tmp_path / "own.sf2"))


def test_without_a_soundfont_the_additive_piano_plays(monkeypatch):
    monkeypatch.setattr(soundfonts, "_NAMES", ())
    assert grand_piano() == AdditivePiano()


@NEEDS_SHELL
def test_a_soundfont_of_ones_own_and_the_usual_ones_are_found(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "fluidsynth"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    own = soundfont_like(tmp_path / "own.sf2")
    assert grand_piano(own) == SoundfontPiano(str(program), str(own))
    monkeypatch.setattr(soundfonts, "_PREFIXES", (str(tmp_path),))
    folder = tmp_path / "share" / "soundfonts"
    folder.mkdir(parents=True)
    for name in ("default.sf2", "FluidR3_GM.sf2"):
        soundfont_like(folder / name)
    assert grand_piano() == SoundfontPiano(str(program), str(folder / "FluidR3_GM.sf2"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("no.sf2", "does not exist"), ("text.sf2", "is not a soundfont"), ("", "is a folder")],
)
def test_what_is_no_soundfont_is_refused(tmp_path, name, sentence):
    (tmp_path / "text.sf2").write_text("not a soundfont")
    with pytest.raises(SoundfontError, match=sentence):
        grand_piano(tmp_path / name)


@FLUIDSYNTH
def test_a_soundfont_that_was_cut_short_is_not_replaced_by_another(tmp_path):
    piano = grand_piano(soundfont_like(tmp_path / "cut.sf2", 1000))
    with pytest.raises(SoundfontError, match="cut.sf2 could not be played") as caught:
        piano.play([Note(0.1, 0.5, 60, 0.5)])
    assert "\n" not in str(caught.value)


@NEEDS_SHELL
@pytest.mark.parametrize("does", ["exit 1", "exit 0", "kill -9 $$"])
def test_a_fluidsynth_that_fails_is_a_sentence(tmp_path, does):
    program = tmp_path / "fluidsynth"
    program.write_text(f"#!/bin/sh\necho 'fluidsynth: error: no room' >&2\n{does}\n")
    program.chmod(0o755)
    piano = SoundfontPiano(str(program), str(soundfont_like(tmp_path / "own.sf2")))
    with pytest.raises(SoundfontError, match=r"own.sf2 could not be played .*\(.*no room\)"):
        piano.play([Note(0.1, 0.5, 60, 0.5)])


# the corpus


@pytest.mark.slow
def test_fewer_hours_of_bach_are_the_beginning_of_more(tmp_path):
    sources = bach.sources(Buzz())
    for name, seconds in (("short", 30), ("long", 120)):
        assert build(tmp_path / name, sources, seconds=seconds) == []
    short, long = (load_corpus(tmp_path / name).pieces for name in ("short", "long"))
    assert [piece.name for piece in long] == [source.name for source in sources][: len(long)]
    assert [piece.name for piece in short] == [piece.name for piece in long[: len(short)]]
    assert files(tmp_path / "short").keys() < files(tmp_path / "long").keys()
    for name, content in files(tmp_path / "short").items():
        assert name == "manifest.json" or files(tmp_path / "long")[name] == content


def test_a_score_that_cannot_be_read_is_listed_and_the_others_are_built(score_file, tmp_path):
    (tmp_path / "bad.krn").write_bytes(b"\x00\x01")
    sources = [
        ScoreSource("good", score_file, Buzz()),
        ScoreSource("bad", tmp_path / "bad.krn", Buzz()),
        ScoreSource("missing", tmp_path / "no.krn", Buzz()),
        ScoreSource("fine", score_file, Buzz()),
    ]
    assert [name for name, _ in build(tmp_path / "corpus", sources)] == ["bad", "missing"]
    assert [piece.name for piece in load_corpus(tmp_path / "corpus").pieces] == ["good", "fine"]


def test_an_instrument_that_fails_stops_the_build(score_file, tmp_path):
    broken = SoundfontPiano(shutil.which("false"), str(score_file))
    with pytest.raises(SoundfontError):
        build(tmp_path / "corpus", [ScoreSource("good", score_file, broken)])


@pytest.mark.slow
@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_two_processes_play_the_same_samples_as_one(score_file, tmp_path, instrument):
    sources = [ScoreSource(name, score_file, instrument) for name in ("a", "b")]
    for jobs in (1, 2):
        build(tmp_path / str(jobs), sources, jobs=jobs)
    assert files(tmp_path / "1") == files(tmp_path / "2")
