"""Thirteen clips of different instruments for `inversion.py`, made from nothing but random seeds.

Ten seconds each at 8 kHz, or at a higher rate: our piano and singer, nine instruments that are sums
of 79 partials, drums that are bursts of noise, and a quick voice with consonants, for speech.
Partials and noise reach up to half the rate; our piano ends at 10 kHz.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "data_samples"))

from voices import FORMANTS, singer  # noqa: E402

from cmc_helpers.scores.instruments import Note, frequency, piano

RATE = 8000


class Timbre(NamedTuple):
    """What tells one sum of partials from another."""

    lowest: int  # MIDI number of the scale's first note
    together: int  # notes at once
    slope: float  # partial n has the amplitude n ** -slope
    even: float  # share of the even partials' amplitude
    stretch: float  # partial n lies at n ** stretch times the fundamental: 1 is harmonic
    decay: float  # of the first partial, in 1/s; higher ones decay faster
    attack: float  # seconds
    vibrato: float  # semitones
    breath: float  # share of noise


TIMBRES = {
    "organ": Timbre(48, 3, 1.0, 1.0, 1.0, 0.0, 0.03, 0.0, 0.01),
    "harpsichord": Timbre(50, 2, 0.6, 1.0, 1.0005, 2.0, 0.002, 0.0, 0.0),
    "guitar": Timbre(45, 3, 1.2, 0.8, 1.0003, 1.2, 0.004, 0.0, 0.0),
    "violin": Timbre(62, 1, 1.0, 0.9, 1.0, 0.0, 0.06, 0.3, 0.02),
    "cello": Timbre(40, 1, 1.1, 0.9, 1.0, 0.0, 0.08, 0.2, 0.02),
    "flute": Timbre(70, 1, 2.2, 0.6, 1.0, 0.0, 0.05, 0.15, 0.05),
    "clarinet": Timbre(55, 1, 1.0, 0.1, 1.0, 0.0, 0.03, 0.0, 0.01),
    "trumpet": Timbre(58, 1, 0.5, 1.0, 1.0, 0.0, 0.03, 0.1, 0.01),
    "bell": Timbre(60, 2, 0.8, 1.0, 1.35, 1.0, 0.001, 0.0, 0.0),
}
SCALE = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])


def clips(seconds=10, rate=RATE):
    """Name → waveform (64·k + 256,), peak 0.7; the same ones every time."""
    made = {
        "piano": _on_strings(seconds, rate),
        "singer": _sung(seconds, rate, quickest=0.4, consonants=0.0),
        "speech": _sung(seconds, rate, quickest=0.12, consonants=0.3),
        "drums": _drums(seconds, rate),
    }
    for seed, (name, timbre) in enumerate(TIMBRES.items()):
        made[name] = _play(timbre, seconds, rate, np.random.default_rng(seed))
    samples = (round(seconds * rate) - 256) // 64 * 64 + 256
    return {name: 0.7 * x[:samples] / np.abs(x[:samples]).max() for name, x in made.items()}


def _melody(seconds, rng, quickest):
    """Starts, durations and degrees of the scale: a random walk."""
    start, degree = 0.0, 4
    while start < seconds:
        duration = quickest * rng.choice([1, 1, 2, 3])
        yield start, duration, degree
        start, degree = start + duration, int(np.clip(degree + rng.integers(-3, 4), 0, 9))


def _play(timbre, seconds, rate, rng):
    sound = np.zeros(round((seconds + 2) * rate))
    for start, duration, degree in _melody(seconds, rng, 0.25):
        for third in range(timbre.together):
            pitch = timbre.lowest + SCALE[(degree + 2 * third) % 10]
            tone = rng.uniform(0.3, 1) * _tone(timbre, pitch, duration, rate, rng)
            first = round(start * rate)
            sound[first : first + len(tone)] += tone[: len(sound) - first]
    return sound


def _tone(timbre, pitch, duration, rate, rng):
    t = np.arange(round((duration + 0.1) * rate)) / rate
    bend = timbre.vibrato * np.sin(2 * np.pi * 5.5 * t) * np.minimum(t / 0.3, 1)
    turns = np.cumsum(frequency(pitch + bend)) / rate
    n = np.arange(1, 80)
    ratios = n**timbre.stretch
    n, ratios = (v[ratios * frequency(pitch + timbre.vibrato) < 0.4875 * rate] for v in (n, ratios))
    amplitudes = n**-timbre.slope * np.where(n % 2, 1, timbre.even)
    phases = rng.random(len(n))
    tone = sum(
        a * np.exp(-timbre.decay * t * np.sqrt(k)) * np.sin(2 * np.pi * (r * turns + p))
        for k, a, r, p in zip(n, amplitudes, ratios, phases, strict=True)
    )
    tone = tone / np.linalg.norm(amplitudes) + timbre.breath * rng.normal(size=len(t))
    return tone * np.minimum(t / timbre.attack, 1) * np.clip((t[-1] - t) / 0.08, 0, 1)


def _on_strings(seconds, rate):
    rng = np.random.default_rng(100)
    notes = [
        Note(start, duration, 48 + SCALE[(degree + step) % 10], rng.uniform(0.3, 0.9))
        for start, duration, degree in _melody(seconds, rng, 0.25)
        for step in (0, 4)
    ]
    return piano(notes, rate)


def _sung(seconds, rate, quickest, consonants):
    rng = np.random.default_rng(200)
    notes, vowels = [], []
    for start, duration, degree in _melody(seconds, rng, quickest):
        notes.append(Note(start, 0.8 * duration, 48 + SCALE[degree] / 2, rng.uniform(0.5, 1)))
        vowels.append(rng.choice([*FORMANTS]))
    voice = singer(notes, vowels, rate)
    for note in notes:
        hiss = np.diff(rng.normal(size=round(0.06 * rate))) * np.hanning(round(0.06 * rate) - 1)
        first = max(0, round(note.start * rate) - len(hiss))
        voice[first : first + len(hiss)] += consonants * rng.uniform(0, 0.5) * hiss
    return voice


def _drums(seconds, rate):
    """A kick that falls in pitch, a snare, a hi-hat."""
    rng = np.random.default_rng(300)
    sound = np.zeros(round((seconds + 1) * rate))
    t = np.arange(round(0.3 * rate)) / rate
    for beat, start in enumerate(np.arange(0, seconds, 0.125)):
        noise = rng.normal(size=len(t))
        hat = 0.15 * np.diff(noise, prepend=0) * np.exp(-60 * t)
        kick = np.sin(2 * np.pi * (50 * t + 4 * (1 - np.exp(-25 * t)))) * np.exp(-12 * t)
        snare = 0.4 * noise * np.exp(-20 * t) + 0.3 * np.sin(2 * np.pi * 190 * t) * np.exp(-25 * t)
        hit = hat + (beat % 4 == 0) * kick + (beat % 8 == 4) * snare
        first = round(start * rate)
        sound[first : first + len(t)] += rng.uniform(0.5, 1) * hit
    return sound
