"""Bach's chorales, and the prelude BWV 846, from scores to sound: music to train on, made locally.

The package music21 brings the scores. They are performed the way a hand would play them, with a
tempo that breathes, phrases that rise and fall, and no two strokes alike; `soundfonts` gives the
piano. Everything that chance decides in a piece follows from the piece's name, so that a piece is
the same whatever else is built.

    sources(instrument) ──► read_score ──► perform ──► instrument.play ──► waveform
"""

import hashlib
import re
import textwrap
import warnings
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from cmc_helpers.files import FileError, readable_file, unzip
from cmc_helpers.instruments import Note

# The encoders of these three reserve all rights; no other piece of Bach in music21 carries such a
# note (`!!!YEN` and `!!!EMD` in the .krn files).
RESERVED = ("bwv277", "bwv281", "bwv366")
# Note for note, or nearly, another piece of the list under a second number: held out, they would
# not test anything. In each pair the other one stays.
REPEATED = ("bwv117.4", "bwv120.8-a", "bwv18.5-w", "bwv197.7-a", "bwv20.11", "bwv227.11")
REPEATED += ("bwv244.17", "bwv274", "bwv279", "bwv280", "bwv414")

# What counts time in MusicXML, and so decides how long music21 works on it.
_NUMBERS = {"beats", "beat-type", "divisions", "duration", "offset", "alter", "octave"}
_NUMBERS |= {"actual-notes", "normal-notes", "multiple-rest", "measure-repeat", "staves"}

_PERFORMANCE = 1  # counted up when `perform` changes what is played
_QUARTERS_PER_MINUTE = 76
_LEAD_IN = 0.15  # seconds of silence before the first note
_LONGEST_PHRASE = 24  # quarters; a longer stretch without a fermata is phrased in bars of its own


class ScoreError(FileError):
    """A score that cannot be read, in one sentence."""


class Event(NamedTuple):
    """A written note: its part, start and length in quarters, MIDI pitch, accent in (0, 1]."""

    part: int
    start: float
    length: float
    pitch: int
    accent: float


class Score(NamedTuple):
    """What is written: events; the (start, end) of the notes under a fermata; the beat's length."""

    name: str
    events: list
    fermatas: list
    beat: float = 1.0


@dataclass(frozen=True)
class ScoreSource:
    """One score as a source of sound for `corpora.build_from_sources`."""

    name: str
    path: Path
    instrument: object
    unreadable = ScoreError

    def checksum(self):
        """SHA-256 of the score's file."""
        with readable_file(self.path, ScoreError).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def waveform(self, sample_rate):
        """The piece performed: (samples,) float64. Raises ScoreError."""
        return self.instrument.play(perform(read_score(self.path)), sample_rate)


def sources(instrument, seed=0):
    """All pieces as a list of `ScoreSource`, in an order that only `seed` decides.

    instrument: of `soundfonts`.
    """
    from music21 import corpus

    paths = {
        path.stem: path
        for path in corpus.getComposer("bach")
        if path.suffix in (".mxl", ".xml") and path.stem not in RESERVED + REPEATED
    }
    names = sorted(paths)
    order = np.random.default_rng(seed).permutation(len(names))
    return [ScoreSource(names[i], paths[names[i]], instrument) for i in order]


def origin(instrument):
    """How the pieces are made, for the corpus' manifest: what must agree when a build goes on."""
    import music21

    return {
        "kind": "bach",
        "music21": music21.__version__,
        "performance": _PERFORMANCE,
        "instrument": instrument.describe(),
    }


def read_score(path):
    """A file that music21 reads → `Score`, ties merged, repeats not expanded.

    Raises ScoreError.
    """
    from music21 import converter

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what an encoder left out is filled in
            _check(Path(path))
            # Without forceSource music21 keeps a pickle of every score it has read.
            return _score(
                Path(path).stem, converter.parse(path, forceSource=True, storePickle=False)
            )
    except Exception as problem:  # a damaged score raises whatever the line of it raises
        raise ScoreError(
            f"{path} cannot be read as a score: is it MusicXML or kern, and whole? "
            f"({reason(problem)})"
        ) from problem


def _check(path):
    """Raise an exception for a score that would keep music21 busy for ever, or fill the memory.

    It works in proportion to the square of the beats in a bar, and fills with rests what is long.
    """
    suffix = path.suffix.lower()
    if suffix in (".krn", ".kern"):
        if re.search(rb"\*M[^\t\n]*\d{3}", path.read_bytes()):
            raise ValueError("it has bars of a hundred beats or more")
        return
    if suffix not in (".xml", ".musicxml", ".mxl"):
        raise ValueError(f"its name ends in {suffix!r:.20}, not in .musicxml, .xml, .mxl or .krn")
    if suffix == ".mxl":
        texts = [content.decode(errors="replace") for content in unzip(path, times=100).values()]
    else:
        texts = [path.read_bytes()]
    for text in texts:
        root = []
        with suppress(ElementTree.ParseError):  # in a .mxl there may be pictures
            root = ElementTree.fromstring(text).iter()
        for element in root:
            with suppress(TypeError, ValueError):
                most = {"beats": 99, "beat-type": 99}.get(element.tag, 1e6)
                if element.tag in _NUMBERS and not abs(float(element.text)) <= most:
                    raise OverflowError(f"a {element.tag} of {element.text:.20} is too much")


def reason(problem):
    """What music21 says of a file, in one line that is not too long."""
    return textwrap.shorten(str(problem), 200, placeholder=" …")


def _score(name, stream):
    from music21.expressions import Fermata

    events, fermatas, open_ties = [], [], {}
    for part, voice in enumerate(stream.parts):
        flat = voice.flatten()
        for note in flat.notes:
            start, length = Fraction(note.offset), Fraction(note.quarterLength)
            if length <= 0:
                continue  # a grace note has no time of its own
            if any(isinstance(sign, Fermata) for sign in note.expressions):
                fermatas.append((float(start), float(start + length)))
            for pitch in note.pitches:
                before = open_ties.pop((part, pitch.midi, start), None)
                tie = next(n.tie for n in getattr(note, "notes", [note]) if n.pitch == pitch)
                if before is not None and tie and tie.type in ("stop", "continue"):
                    event = events[before]
                    events[before] = event._replace(length=event.length + float(length))
                else:
                    before = len(events)
                    strength = float(note.beatStrength)
                    events.append(Event(part, float(start), float(length), pitch.midi, strength))
                if tie and tie.type in ("start", "continue"):
                    open_ties[part, pitch.midi, start + length] = before
    if not events:
        raise ValueError("it holds no notes")
    metres = stream.recurse().getElementsByClass("TimeSignature")
    beat = float(metres[0].beatDuration.quarterLength) if metres else 1.0
    return Score(name, sorted(events, key=lambda e: (e.start, e.part, e.pitch)), fermatas, beat)


# ----------------------------------------------------------------------------------- performance


def perform(score):
    """A `Score` → the list of `Note` that a hand plays, in order; the same for the same name.

    The tempo arches over each phrase, slows down into a fermata and at the end; loudness arches
    too, with accents of the metre and the outer parts brought out. The notes are legato, but for
    a breath after a fermata. On one key no note covers another.
    """
    rng = np.random.default_rng(list(hashlib.sha256(score.name.encode()).digest()))
    end = max(event.start + event.length for event in score.events)
    holds = _holds(score.fermatas, end)
    phrases = _phrases(holds, min(event.start for event in score.events), end)
    seconds = _clock(score, holds, phrases, end, rng)
    loudness = _loudness(phrases, rng)
    weights = _weights(score.events)
    breaths = {hold_end for _, hold_end in holds[:-1]}
    together = {}  # a chord is a little early or late as a whole
    notes = []
    for event in score.events:
        chord, late, overlap, touch = rng.standard_normal(4)
        chord = together.setdefault(event.start, 0.005 * chord)
        weight = weights[event.part]
        late = np.clip(chord + 0.006 * late - 0.1 * max(weight, 0), -0.025, 0.025)
        start = float(max(seconds(event.start) + late, 0.05))
        stop = seconds(event.start + event.length)
        if event.start + event.length in breaths:
            stop -= min(0.2, 0.15 * (stop - start)) * (1 + 0.2 * np.clip(overlap, -2, 2))
        else:
            stop += 0.015 + 0.01 * np.clip(overlap, -2, 2)
        velocity = loudness(event.start) + weight + 0.1 * (event.accent - 0.4) + 0.025 * touch
        length = float(max(stop - start, 0.05))
        notes.append(Note(start, length, event.pitch, float(np.clip(velocity, 0.15, 0.95))))
    return one_key_one_string(notes)


def one_key_one_string(notes):
    """Let no note of a pitch begin while another of it sounds: a key must go up to be struck again.

    Notes of one pitch that begin within 30 ms are one stroke, the louder, which lasts as long as
    the longer. An earlier note is let go of 10 ms before the key is struck again; if it was to last
    longer than the new one, the new one lasts as long instead.
    """
    keys = {}
    for note in sorted(notes):
        strokes = keys.setdefault(note.pitch, [])
        before = strokes[-1] if strokes else None
        if before and note.start - before.start < 0.03:
            stop = max(before.start + before.duration, note.start + note.duration)
            velocity = max(before.velocity, note.velocity)
            strokes[-1] = Note(before.start, stop - before.start, note.pitch, velocity)
            continue
        if before and before.start + before.duration > note.start - 0.01:
            stop = max(before.start + before.duration, note.start + note.duration)
            strokes[-1] = before._replace(duration=note.start - 0.01 - before.start)
            note = note._replace(duration=stop - note.start)
        strokes.append(note)
    return sorted(note for strokes in keys.values() for note in strokes)


def _holds(fermatas, end):
    """Where time is held: overlapping fermatas of several parts as one; the last at the end."""
    holds = []
    for start, stop in sorted({*fermatas, (max(end - 1, 0), end)}):
        if holds and start < holds[-1][1]:
            holds[-1] = (holds[-1][0], max(stop, holds[-1][1]))
        else:
            holds.append((start, stop))
    return holds


def _phrases(holds, start, end):
    """Boundaries of phrases in quarters: ends of holds, in between equal parts if that is long."""
    ends = [stop for _, stop in holds if start < stop < end]
    boundaries = [start]
    for stop in [*ends, end]:
        parts = int(np.ceil((stop - boundaries[-1]) / _LONGEST_PHRASE))
        boundaries += np.linspace(boundaries[-1], stop, parts + 1)[1:].tolist()
    return np.array(boundaries)


def _clock(score, holds, phrases, end, rng):
    """A function of quarters → seconds: the integral of 60 / tempo."""
    # A long beat is slower than a short one, but not by as much as it is longer.
    tempo = _QUARTERS_PER_MINUTE * score.beat**0.6 * np.exp(0.12 * np.clip(rng.normal(), -2, 2))
    grid = np.arange(0, end + 1, 1 / 24)
    knots = np.arange(0, end + 4, 2)
    speed = 1 + np.interp(grid, knots, 0.025 * rng.standard_normal(len(knots)))
    speed *= 1 + 0.08 * (_arch(phrases, grid) - 0.5)
    for start, stop in holds:
        slower, held = 0.88 + 0.03 * rng.standard_normal(), 0.74 + 0.05 * rng.standard_normal()
        if stop == end:
            slower, held = slower - 0.06, held - 0.08
        curve = [1, np.clip(slower, 0.7, 0.95), np.clip(held, 0.5, 0.9)]
        approach = np.interp(grid, [start - 2 * score.beat, start, start + 0.25], curve)
        speed *= np.where(grid < stop, approach, 1)
    steps = 60 / (tempo * speed) / 24
    elapsed = _LEAD_IN + np.cumsum(steps) - steps
    return lambda quarters: float(np.interp(quarters, grid, elapsed))


def _loudness(phrases, rng):
    """A function of quarters → velocity: a level for the piece, another for each phrase, arches."""
    level = rng.uniform(0.42, 0.58)
    levels = level + 0.05 * rng.standard_normal(len(phrases))
    height = rng.uniform(0.08, 0.18)

    def loudness(quarters):
        phrase = np.searchsorted(phrases, quarters, side="right") - 1
        return levels[phrase] + height * (_arch(phrases, quarters) - 0.4)

    return loudness


def _arch(phrases, quarters):
    """0 at the beginning and the end of each phrase, 1 in its middle: a parabola."""
    phrase = np.clip(np.searchsorted(phrases, quarters, side="right") - 1, 0, len(phrases) - 2)
    x = (quarters - phrases[phrase]) / np.diff(phrases)[phrase]
    return np.clip(4 * x * (1 - x), 0, 1)


def _weights(events):
    """How far each part stands out, in velocity: most the highest one, then the lowest."""
    parts = sorted({event.part for event in events})
    means = [np.mean([event.pitch for event in events if event.part == part]) for part in parts]
    weights = dict.fromkeys(parts, -0.04)
    weights[parts[int(np.argmin(means))]] = 0.03
    weights[parts[int(np.argmax(means))]] = 0.08
    return weights
