"""Notes to the sound of a grand piano: a soundfont played by FluidSynth, or our own piano.

FluidSynth plays recorded piano tones. Where it is not installed, or no soundfont is found, the
additive piano of `instruments` plays instead, so that the same command works everywhere. Whoever
keeps what was played also keeps `describe()`, which tells one from the other.

All pieces are played at the same gain: a soft piece stays soft beside a loud one.
"""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import threadpoolctl

from cmc_helpers.files import FileError, readable_file
from cmc_helpers.scores import instruments

# Where Debian, Fedora, Arch, conda and Homebrew put soundfonts; and the names, best first, of those
# with a grand piano as program 0.
_PREFIXES: tuple[str, ...] = (
    sys.prefix,
    os.environ.get("CONDA_PREFIX", "/usr"),
    "/usr",
    "/usr/local",
)
_PREFIXES += ("/opt/homebrew", "/home/linuxbrew/.linuxbrew")
_FOLDERS = ("sounds/sf2", "soundfonts", "sounds/sf3", "fluid-synth/sf2", "fluidsynth/sf2")
_NAMES: tuple[str, ...] = ("FluidR3_GM.sf2", "FluidR3_GM2-2.sf2", "default-GM.sf2", "default.sf2")
_NAMES += (
    "GeneralUser.sf2",
    "MuseScore_General.sf2",
    "default-GM.sf3",
    "MuseScore_General.sf3",
    "TimGM6mb.sf2",
)

_RATE = 32_000  # Hz: four times 8 kHz; what lies above 16 kHz cannot be mirrored below 4 kHz
_TAIL = 2.0  # seconds after the last key goes up: strings and room die away
_INAUDIBLE = 10 ** (-80 / 20)  # of full scale; the end of the tail below it is cut off
_ADDITIVE_GAIN = 0.18  # as loud as the soundfont at its gain
_PROGRAM = 0  # acoustic grand piano in General MIDI
_REVERB_SEND, _CHORUS_SEND = 91, 93  # controller numbers of General MIDI

# Every setting that shapes the sound is given, so that a user's own configuration changes nothing.
_SETTINGS = {
    "synth.gain": 1.5,
    "synth.reverb.active": 1,
    "synth.reverb.room-size": 0.3,
    "synth.reverb.damp": 0.3,
    "synth.reverb.width": 0.5,
    "synth.reverb.level": 0.4,
    "synth.chorus.active": 0,
    "synth.polyphony": 512,
    "synth.cpu-cores": 1,
    "synth.dynamic-sample-loading": 1,  # of the 140 MB only the piano
}


class SoundfontError(FileError):
    """A soundfont or a FluidSynth that cannot play, in one sentence."""


def grand_piano(soundfont: str | Path | None = None) -> "SoundfontPiano | AdditivePiano":
    """The best instrument of this machine: a `SoundfontPiano`, else an `AdditivePiano`.

    soundfont: a file of one's own; None looks in the usual places. Raises SoundfontError for a
    file that is no soundfont, or when there is one but no FluidSynth to play it.
    """
    program = shutil.which("fluidsynth")
    if soundfont is not None:
        path = _checked(soundfont)
        if program is None:
            raise SoundfontError(
                f"{soundfont} needs FluidSynth, which is not installed: install it (apt install "
                "fluidsynth, or conda install -c conda-forge fluidsynth) or leave out the soundfont"
            )
        return SoundfontPiano(program, str(path))
    path = _usual_soundfont()
    return SoundfontPiano(program, str(path)) if program and path else AdditivePiano()


@dataclass(frozen=True)
class SoundfontPiano:
    """The program `fluidsynth` with a soundfont, both as paths."""

    program: str
    soundfont: str

    def describe(self) -> dict[str, Any]:
        """Everything that decides how it sounds, ready for JSON; no path of this machine."""
        return {
            "name": "fluidsynth",
            "version": _version(self.program),
            "soundfont": Path(self.soundfont).name,
            "soundfont_sha256": _sha256(self.soundfont),
            "sample_rate": _RATE,
            "settings": _SETTINGS,
        }

    def __str__(self):
        return f"FluidSynth {_version(self.program)} with {Path(self.soundfont).name}"

    def play(self, notes: Sequence[instruments.Note], sample_rate: int = 8000) -> np.ndarray:
        """Notes (instruments.Note) → (samples,) float64, mono, with a natural tail.

        Raises SoundfontError when FluidSynth fails.
        """
        with tempfile.TemporaryDirectory() as folder:
            midi, sound = Path(folder, "notes.mid"), Path(folder, "sound.wav")
            midi.write_bytes(midi_bytes(notes))
            done = subprocess.run(
                [*self._command(sound), self.soundfont, midi],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
            )
            try:
                waveform, rate = soundfile.read(sound, always_2d=True)
            except (OSError, soundfile.SoundFileError):
                waveform, rate = np.zeros((0, 1)), _RATE
        # FluidSynth counts it as success when a soundfont does not load, or when the disk is full.
        whole = len(waveform) > rate * max(note.start + note.duration for note in notes)
        if done.returncode or not whole or np.abs(waveform).max() < _INAUDIBLE:
            said = next((line for line in done.stderr.splitlines() if line), "no sound came")
            raise SoundfontError(
                f"{self.soundfont} could not be played with {self.program}: make room for a "
                f"temporary file, or choose another soundfont ({said})"
            )
        return _without_the_end(soxr.resample(waveform.mean(axis=1), rate, sample_rate))

    def _command(self, sound):
        settings = [f"{name}={value}" for name, value in _SETTINGS.items()]
        return [
            *(self.program, "-n", "-i", "-q", "-f", os.devnull, "-r", str(_RATE)),
            *("-F", sound, "-T", "wav", "-O", "float"),
            *("-o", "synth.default-soundfont="),  # or it would stand in for one that does not load
            *(part for setting in settings for part in ("-o", setting)),
        ]


@dataclass(frozen=True)
class AdditivePiano:
    """`instruments.piano`, which needs nothing installed."""

    def describe(self) -> dict[str, Any]:
        """Everything that decides how it sounds, ready for JSON."""
        return {
            "name": "additive piano",
            "sample_rate": _RATE // 2,
            "gain": _ADDITIVE_GAIN,
        }

    def __str__(self):
        return "the additive piano of cmc_helpers"

    def play(self, notes: Sequence[instruments.Note], sample_rate: int = 8000) -> np.ndarray:
        """Notes (instruments.Note) → (samples,) float64, mono, with a natural tail."""
        # Several processes with several threads each would wait for one another.
        with threadpoolctl.threadpool_limits(1):
            waveform = instruments.piano(notes, _RATE // 2, gain=_ADDITIVE_GAIN)
        return _without_the_end(soxr.resample(waveform, _RATE // 2, sample_rate))


def midi_bytes(notes: Iterable[instruments.Note]) -> bytes:
    """A standard MIDI file of the notes on one channel, one tick a millisecond.

    It ends `_TAIL` seconds after the last key goes up, for FluidSynth stops where the file does.
    """
    from music21 import midi

    track = midi.MidiTrack(1)
    kinds, now = midi.ChannelVoiceMessages, 0

    def event(milliseconds, kind, **values):
        nonlocal now
        wait = midi.DeltaTime(track, time=milliseconds - now, channel=1)
        happening = midi.MidiEvent(track, type=kind, channel=1)
        for name, value in values.items():
            setattr(happening, name, value)
        track.events += [wait, happening]
        now = milliseconds

    event(0, kinds.PROGRAM_CHANGE, data=_PROGRAM)
    event(0, kinds.CONTROLLER_CHANGE, parameter1=_REVERB_SEND, parameter2=40)
    event(0, kinds.CONTROLLER_CHANGE, parameter1=_CHORUS_SEND, parameter2=0)
    strokes = []
    for note in notes:
        down = round(1000 * note.start)
        up = max(down + 1, round(1000 * (note.start + note.duration)))
        velocity = min(127, max(1, round(127 * note.velocity)))
        strokes += [(down, 1, int(note.pitch), velocity), (up, 0, int(note.pitch), 0)]
    for milliseconds, down, pitch, velocity in sorted(strokes):  # at one moment, up before down
        kind = kinds.NOTE_ON if down else kinds.NOTE_OFF
        event(milliseconds, kind, pitch=pitch, velocity=velocity)
    event(now + round(1000 * _TAIL), midi.MetaEvents.END_OF_TRACK, data=b"")
    file = midi.MidiFile()
    file.ticksPerQuarterNote = 500  # at the 120 quarters a minute of a file without a tempo
    file.tracks = [track]
    return file.writestr()


def _without_the_end(waveform):
    """Cut off what nobody hears after the tail."""
    heard = np.flatnonzero(np.abs(waveform) > _INAUDIBLE)
    return waveform[: heard[-1] + 1] if len(heard) else waveform


def _usual_soundfont():
    folders = [Path(prefix, "share", folder) for folder in _FOLDERS for prefix in _PREFIXES]
    paths = (folder / name for name in _NAMES for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def _checked(soundfont):
    path = readable_file(soundfont, SoundfontError)
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise SoundfontError(f"{path} is not a soundfont: give a file whose name ends in .sf2")
    return path


@functools.cache
def _version(program):
    said = subprocess.run(
        [program, "--version"], capture_output=True, encoding="utf-8", errors="replace"
    )
    found = re.search(r"version\s+(\d[\w.]*)", said.stdout)
    return found[1] if found else "unknown"


@functools.cache
def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
