"""Scores, played the way a hand would: a tempo that breathes, phrases that rise and fall, and no
two strokes alike.

Everything that chance decides in a piece follows from its name, so that a piece is the same
whatever else is played.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

from cmc_helpers.scores import Score
from cmc_helpers.scores.instruments import Note

_QUARTERS_PER_MINUTE = 76
_LEAD_IN = 0.15  # seconds of silence before the first note
_LONGEST_PHRASE = 24  # quarters; a longer stretch without a fermata is phrased in bars of its own


def perform(score: Score) -> list[Note]:
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
    together: dict[float, float] = {}  # a chord is a little early or late as a whole
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


def one_key_one_string(notes: Iterable[Note]) -> list[Note]:
    """Let no note of a pitch begin while another of it sounds: a key must go up to be struck again.

    Notes of one pitch that begin within 30 ms are one stroke, the louder, which lasts as long as
    the longer. An earlier note is let go of 10 ms before the key is struck again; if it was to last
    longer than the new one, the new one lasts as long instead.
    """
    keys: dict[float, list[Note]] = {}
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
