"""Three short scores, encoded here by hand, and how they are performed.

A voice is written as `pitches:beats`, a beat being a quarter note. Pitches that sound together are
joined by `+`, `r` is a rest, and `|` is a bar line. Tempo (quarter notes per minute) and loudness
(0 to 1) are curves: (beat, value) points with straight lines between them.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from cmc_helpers.scores.instruments import Note


class Event(NamedTuple):
    """A note of a score: start and length in beats, MIDI pitch, loudness relative to the curve."""

    beat: float
    beats: float
    pitch: int
    weight: float


class Score(NamedTuple):
    """What is played and how; the pedal is down from the first beat of each pair to the second."""

    events: list[Event]
    tempo: list[tuple[float, float]]
    loudness: list[tuple[float, float]]
    pedal: list[tuple[float, float]] = []
    vowels: str = ""


def midi(name):
    """MIDI number of a pitch: midi("C4") = 60, midi("F#4") = 66, midi("Bb3") = 58."""
    letter, accidental, octave = name[0], name[1:-1], int(name[-1])
    step = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[letter]
    return 12 * (octave + 1) + step + accidental.count("#") - accidental.count("b")


def voice(text, weight=1.0, start=0):
    """The events of one voice, whose first note is on beat `start`."""
    events, beat = [], Fraction(start)
    for token in text.replace("|", " ").split():
        pitches, _, length = token.partition(":")
        for name in pitches.split("+") if pitches != "r" else ():
            events.append(Event(float(beat), float(Fraction(length)), midi(name), weight))
        beat += Fraction(length)
    return events


def seconds(score, beat):
    """When a beat (or an array of beats) of the score is played: the integral of 60 / tempo."""
    grid = np.arange(0, 64, 1 / 64)
    steps = 60 / np.interp(grid, *zip(*score.tempo, strict=True)) / 64
    return 0.1 + np.interp(beat, grid, np.cumsum(steps) - steps)


def perform(score, seed, timing=0.008, touch=0.035):
    """The notes as a hand plays them, no two alike.

    `timing` (in seconds, at most 20 ms) and `touch` (of velocity) are standard deviations.
    """
    rng = np.random.default_rng(seed)
    notes = []
    for event in sorted(score.events):
        start = seconds(score, event.beat) + np.clip(timing * rng.standard_normal(), -0.02, 0.02)
        end = seconds(score, event.beat + event.beats)
        velocity = np.interp(event.beat, *zip(*score.loudness, strict=True)) * event.weight
        velocity = np.clip(velocity + touch * rng.standard_normal(), 0.1, 1)
        notes.append(Note(float(start), float(end - start), event.pitch, float(velocity)))
    return notes


# ---------------------------------------------------------------------------------- J.S. Bach
# Johann Sebastian Bach (1685-1750), prelude in C major BWV 846, The Well-Tempered Clavier I, 1722.
# Bars 1 to 7, each as its five pitches from the bass up. Where Bach goes on, the dominant of bar 7
# resolves here into the tonic of bar 4, so that the clip comes to rest.

BACH_BARS = (
    "C4 E4 G4 C5 E5",  #  1  C
    "C4 D4 A4 D5 F5",  #  2  Dm7 over C
    "B3 D4 G4 D5 F5",  #  3  G7 over B
    "C4 E4 G4 C5 E5",  #  4  C
    "C4 E4 A4 E5 A5",  #  5  Am over C
    "C4 D4 F#4 A4 D5",  # 6  D7 over C
    "B3 D4 G4 D5 G5",  #  7  G over B
    "C4 E4 G4 C5 E5",  #     C
)


def _bach_events():
    """Half a bar is 1 2 3 4 5 3 4 5 in sixteenths, 1 and 2 being held; the last chord stands."""
    events = []
    for bar, names in enumerate(BACH_BARS[:-1]):
        pitches = [midi(name) for name in names.split()]
        for half in (0, 2):
            for place, which in enumerate((0, 1, 2, 3, 4, 2, 3, 4)):
                length = 2 - place / 4 if which < 2 else 1 / 4
                weight = (1.12, 0.95, 0.9, 0.95, 1.08)[which] * (0.93 if half else 1)
                beat = 4 * bar + half + place / 4
                events.append(Event(beat, length, pitches[which], weight))
    last = 4 * (len(BACH_BARS) - 1)
    for place, name in enumerate(BACH_BARS[-1].split()):
        events.append(Event(last + place / 4, 3.5 - place / 4, midi(name), 1.0))
    return events


BACH = Score(
    _bach_events(),
    tempo=[(0, 67), (2, 72), (14, 73), (24, 73), (26, 70), (28, 54), (29.25, 46)],
    loudness=[(0, 0.52), (8, 0.6), (12, 0.53), (20, 0.64), (24, 0.63), (28, 0.52), (29, 0.55)],
    pedal=[*((half + 0.1, half + 2.05) for half in range(0, 28, 2)), (28.1, 31.5)],
)

# ---------------------------------------------------------------------------------- Frédéric Chopin
# Frédéric Chopin (1810-1849), prelude in A major op. 28 no. 7, Andantino, 1839: the upbeat and bars
# 1 to 8, the first of its two sentences. Two bars on a line. The pedal is as Chopin marks it.

CHOPIN_MELODY = """
    E4:1 |
    C#5:3/4 D5:1/4 B4:1 B4:1 | B4:2 F#5:1 |
    D#5:3/4 E5:1/4 A5:1 A5:1 | A5:2 C#5:1 |
    A#4:3/4 B4:1/4 D5:1 D5:1 | D5:2 G#4:1 |
    G#4:3/4 A4:1/4 C#5:1 C#5:1 | C#5:3
"""
CHOPIN_INNER = """
    r:1 |
    r:1 D4+G#4:1 D4+G#4:1 | D4+G#4:2 D5:1 |
    B#4:3/4 C#5:1/4 C#5:1 C#5:1 | C#5:2 E4:1 |
    r:1 F#4:1 F#4:1 | F#4:2 D4:1 |
    D4:3/4 C#4:1/4 C#4:1 C#4:1 | C#4:3
"""
CHOPIN_HELD = "C#4:3/4 D4:17/4"  # a third voice of the right hand in bars 5 and 6, its D tied
CHOPIN_LEFT = """
    r:1 |
    E2:1 E3+E4:1 E3+E4:1 | E3+E4:2 r:1 |
    A2:1 A3+E4:1 A3+E4:1 | A3+E4:2 r:1 |
    E2:1 E3+B3:1 E3+B3:1 | E3+B3:2 r:1 |
    A1:1 E3+A3+E4:1 E3+A3+E4:1 | E3+A3+E4:3
"""

CHOPIN = Score(
    voice(CHOPIN_MELODY)
    + voice(CHOPIN_INNER, weight=0.75)
    + voice(CHOPIN_HELD, weight=0.7, start=13)
    + voice(CHOPIN_LEFT, weight=0.78),
    tempo=[
        *((0, 60), (1, 69), (5, 70), (6, 58), (7, 72), (11, 70), (12, 58), (13, 72), (17, 68)),
        *((18, 58), (19, 66), (21, 60), (22, 52), (25, 50)),
    ],
    loudness=[
        *((0, 0.4), (1, 0.5), (5, 0.4), (6, 0.44), (7, 0.56), (9, 0.58), (11, 0.46), (12, 0.44)),
        *((13, 0.54), (17, 0.44), (18, 0.42), (19, 0.46), (22, 0.4), (25, 0.38)),
    ],
    pedal=[(1.05, 6), (7.05, 12), (13.05, 18), (19.05, 25)],
)

# ---------------------------------------------------------------------------------- Johann Crüger
# Johann Crüger (1598-1662), tune of the chorale "Nun danket alle Gott", 1647, in Bach's form of it:
# the first two lines and their repeat, on the vowels of Martin Rinckart's (1586-1649) words.

CHORALE = Score(
    voice("""
        C4:1 | C4:1 C4:1 D4:1 D4:1 | C4:5/2 r:1/2
        A3:1 | Bb3:1 A3:1 G3:1 A3:1/2 Bb3:1/2 | G3:2 F3:3/4 r:1/4
        C4:1 | C4:1 C4:1 D4:1 D4:1 | C4:5/2 r:1/2
        A3:1 | Bb3:1 A3:1 G3:1 A3:1/2 Bb3:1/2 | G3:2 F3:2
    """),
    tempo=[(0, 86), (12, 90), (14, 82), (16, 88), (28, 88), (30, 74), (33, 66)],
    loudness=[(0, 0.6), (6, 0.8), (14, 0.65), (16, 0.7), (22, 0.9), (30, 0.65), (33, 0.55)],
    vowels=(
        "u  a e a e  o "  #     Nun dan-ket al-le Gott
        "i  e e u u u  e e "  # mit Her-zen, Mund und Hän-den,
        "e  o e i e  u "  #     der gro-ße Din-ge tut
        "a  u u a e e  e e"  #  an uns und al-len En-den
    ),
)
