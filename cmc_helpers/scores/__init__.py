"""Scores: what is written, read from MusicXML and kern; the rooms perform, play and write them.

The package music21 reads the files.
"""

import re
import textwrap
import warnings
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from cmc_helpers.files import FileError, unzip

# What counts time in MusicXML, and so decides how long music21 works on it.
_NUMBERS = {"beats", "beat-type", "divisions", "duration", "offset", "alter", "octave"}
_NUMBERS |= {"actual-notes", "normal-notes", "multiple-rest", "measure-repeat", "staves"}


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
    events: list[Event]
    fermatas: list[tuple[float, float]]
    beat: float = 1.0


def read_score(path: str | Path) -> Score:
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


def reason(problem: Exception) -> str:
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
