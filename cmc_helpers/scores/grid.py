"""Scores and MIDI files ↔ notes on a grid of sixteenths."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

from cmc_helpers.files import readable_file, replacing
from cmc_helpers.scores import Event, Score, ScoreError, read_score, reason

STEPS_PER_QUARTER = 4  # the grid: sixteenths
QUARTERS_PER_MINUTE = 76  # as `performing.perform` plays
LOWEST, KEYS = 21, 88  # MIDI number of a piano's first key, and how many there are
_DRUMS = 10  # the channel whose notes are no pitches


@dataclass(frozen=True, order=True)
class GridNote:
    """A note on the grid: start ≥ 0 and length ≥ 1 in sixteenths, pitch as a MIDI number.

    Raises ValueError for a note that no piano has or that has no time.
    """

    start: int
    length: int
    pitch: int

    def __post_init__(self):
        if not (self.start >= 0 and self.length >= 1 and 0 <= self.pitch - LOWEST < KEYS):
            raise ValueError(
                f"a note {astuple(self)} is not on the grid: give a start from 0, a length from 1 "
                f"and a pitch from {LOWEST} to {LOWEST + KEYS - 1}"
            )


def read(path: str | Path) -> list[GridNote]:
    """A MIDI, MusicXML or kern file → its `GridNote`s, in order.

    music21 reads it. Tempo, loudness, drums and who plays what are left behind; see `on_the_grid`.
    Raises ScoreError for a file that is none, or that holds notes that no piano has.
    """
    path = readable_file(path, ScoreError)
    with path.open("rb") as file:
        is_midi = file.read(4) == b"MThd" or path.suffix.lower() in (".mid", ".midi")
    events = _midi_events(path) if is_midi else read_score(path).events
    try:
        return on_the_grid(events)
    except (ValueError, OverflowError) as problem:
        raise ScoreError(f"{path} holds what no piano plays: {problem}") from problem


def on_the_grid(events: Iterable[Event]) -> list[GridNote]:
    """Events with start and length in quarters, and pitch → `GridNote`s in order.

    Starts and ends move to the nearest sixteenth. A key is struck once even if two voices meet on
    it, and goes up before it is struck again; a stroke lasts as long as the longest note it is for.
    """
    keys: dict[int, dict[int, int]] = {}
    for event in events:
        start = round(STEPS_PER_QUARTER * event.start)
        stop = max(start + 1, round(STEPS_PER_QUARTER * (event.start + event.length)))
        strokes = keys.setdefault(event.pitch, {})
        strokes[start] = max(stop, strokes.get(start, 0))
    notes = []
    for pitch, strokes in keys.items():
        stop = 0
        starts: list[Any] = [*sorted(strokes), inf]
        for start, following in pairwise(starts):
            stop = max(stop, strokes[start])
            notes.append(GridNote(start, min(stop, following) - start, pitch))
    return sorted(notes)


def write_midi(
    path: str | Path, notes: Iterable[GridNote], quarters_per_minute: float = QUARTERS_PER_MINUTE
) -> None:
    """Write `GridNote`s to a MIDI file, which `read` reads back. Raises FileError."""
    from music21 import note, stream, tempo

    part = stream.Part([tempo.MetronomeMark(number=quarters_per_minute)])
    for one in notes:
        written = note.Note(one.pitch, quarterLength=one.length / STEPS_PER_QUARTER)
        part.insert(one.start / STEPS_PER_QUARTER, written)
    with replacing(path) as temporary:
        part.write("midi", fp=temporary)


def _midi_events(path):
    """What a MIDI file strikes, as `scores.Event`s. Raises ScoreError.

    Event by event: as a score, music21 would make chords of notes that end at different times.
    """
    from music21 import midi

    file, events = midi.MidiFile(), []
    try:
        file.readstr(path.read_bytes())
        for part, track in enumerate(file.tracks):
            now, down = 0.0, {}
            for event in track.events:
                key = event.channel, event.pitch
                if event.isDeltaTime():
                    now += event.time / file.ticksPerQuarterNote
                elif event.isNoteOn() and event.channel != _DRUMS:
                    down.setdefault(key, []).append(now)
                elif event.isNoteOff() and down.get(key):
                    start = down[key].pop(0)
                    events.append(Event(part, start, now - start, event.pitch, 1.0))
    except Exception as problem:  # a damaged file raises whatever the line of it raises
        raise ScoreError(
            f"{path} cannot be read as MIDI: is it whole? ({reason(problem)})"
        ) from problem
    return events


def as_score(notes: Sequence[GridNote], name: str = "notes") -> Score:
    """`GridNote`s → a `scores.Score` that `performing.perform` plays the way it plays Bach.

    The highest note that sounds is the first part, the next one the second, to the fourth. Accents
    are those of four quarters in a bar. name: decides what chance decides in the performance.
    """
    accents = {0: 1.0, 8: 0.5, 4: 0.25, 12: 0.25}
    events = []
    for one in notes:
        sounding = [n for n in notes if n.start <= one.start < n.start + n.length]
        above = sum(n.pitch > one.pitch for n in sounding)
        start, length = one.start / STEPS_PER_QUARTER, one.length / STEPS_PER_QUARTER
        accent = accents.get(one.start % 16, 0.125 if one.start % 2 == 0 else 0.0625)
        events.append(Event(min(above, 3), start, length, one.pitch, accent))
    return Score(name, events, [])
