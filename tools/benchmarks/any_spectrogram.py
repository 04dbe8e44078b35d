"""How near does the inversion come at 22.05 and 44.1 kHz, and from mel, beside librosa?

    .venv/bin/python tools/benchmarks/any_spectrogram.py [--seconds 2] [--output any_spectrogram.md]

The thirteen synthetic clips of `inversion_clips.py`, made at these rates: from magnitudes, and from
power mel spectrograms of 128 and 80 bands. librosa has 80 iterations with momentum 0.99 on the same
frames, for mel after `librosa.feature.inverse.mel_to_stft`, non-negative least squares. All errors
are spectral convergences of the magnitudes in dB, lower is better; "bands" is the median error of
what was given, "ms/s" milliseconds for a second of sound, each timed once, librosa's and ours in
turn, on one thread.
"""

import argparse
import functools
import sys
import time
from pathlib import Path
from unittest import mock

import librosa
import numpy as np
from inversion import SEEDED, origin, table
from inversion_clips import clips
from threadpoolctl import threadpool_limits

from cmc_helpers.features import STFT
from cmc_helpers.inversion import (
    invert_bands,
    invert_magnitudes,
    spectral_convergence,
    starts,
    stft,
)
from cmc_helpers.notebook import terminal_progress

CONFIGS = [  # librosa's window, and a quarter of it as hop
    STFT(22050, window=1024, hop=256, fft=2048, shape="hann", periodic=True),
    STFT(44100, window=2048, hop=512, fft=2048, shape="hann", periodic=True),
]
BANDS = (None, 128, 80)  # None: the magnitudes themselves


def from_magnitudes(config):
    """Label → magnitudes → waveform; the first is the yardstick."""

    def published(magnitudes):
        with mock.patch.dict(starts.GAMMAS, hann=0.25645):
            return invert_magnitudes(magnitudes, config)

    return {
        "librosa.griffinlim": lambda magnitudes: by_librosa(magnitudes, config),
        "ours": lambda magnitudes: invert_magnitudes(magnitudes, config),
        "ours, γ = 0.25645": published,
    }


def from_mel(config, matrix):
    """Label → power mel → waveform; the first is the yardstick."""

    def solved(mel):
        settings = dict(sr=config.sample_rate, n_fft=config.fft, power=2.0)
        return by_librosa(librosa.feature.inverse.mel_to_stft(mel.T, **settings).T, config)

    return {
        "librosa, mel_to_stft and griffinlim": solved,
        "ours": lambda mel: invert_bands(mel, matrix, config),
    }


def by_librosa(magnitudes, config):
    """A frame of librosa's is as long as the transform, with the window in its middle."""
    settings = dict(n_iter=80, momentum=0.99, n_fft=config.fft, hop_length=config.hop)
    settings |= dict(win_length=config.window, window=config.taper, center=False)
    found = librosa.griffinlim(magnitudes.T, **settings, **SEEDED)
    samples = config.hop * (len(magnitudes) - 1) + config.window
    return found[(config.fft - config.window) // 2 :][:samples]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--clips", nargs="*", help="only these")
    parser.add_argument("--output", help="a Markdown file for the table")
    given = parser.parse_args(arguments)
    command = " ".join(["python tools/benchmarks/any_spectrogram.py", *(arguments or sys.argv[1:])])
    with threadpool_limits(1):
        text = report(given.seconds, given.clips, command)
    print(text)
    if given.output:
        Path(given.output).write_text(text + "\n", "utf-8")


def report(seconds, names, command):
    """Measure everything; returns Markdown."""
    lines, each = [], []
    for config in CONFIGS:
        sounds = clips(seconds, config.sample_rate)
        sounds = {name: sounds[name] for name in names or sounds}
        for bands in BANDS:
            given = f"mel {bands}" if bands else "magnitudes"
            title = f"{config.sample_rate / 1000:g} kHz, {given}"
            results = compared(title, sounds, bands, config)
            lines += table(results, next(iter(results)), "bands").splitlines()[2 * bool(lines) :]
            if not bands:
                theirs, ours, *_ = results.values()
                pairs = zip(sounds, theirs, ours, strict=True)
                errors = "; ".join(f"{name} {a[0]:.1f}, {b[0]:.1f}" for name, a, b in pairs)
                each.append(f"Each clip, {title}, by librosa and by ours: {errors} dB.")
    framings = "; ".join(
        f"{c.shape.capitalize()} windows of {c.window} samples, hops of {c.hop} and transforms of "
        f"{c.fft} points at {c.sample_rate / 1000:g} kHz"
        for c in CONFIGS
    )
    return "\n\n".join([origin(command), f"{framings}.", "\n".join(lines), *each])


def compared(title, sounds, bands, config):
    """Label → what `measure` finds of every sound."""
    matrix = None
    if bands:
        matrix = librosa.filters.mel(sr=config.sample_rate, n_fft=config.fft, n_mels=bands)
    methods = from_mel(config, matrix) if bands else from_magnitudes(config)
    found = {label: [] for label in methods}
    with terminal_progress(title) as progress:
        for i, sound in enumerate(sounds.values()):
            for label, method in methods.items():
                found[label].append(measure(method, sound, matrix, config))
            progress(i + 1, len(sounds), title)
    bold = {label: "**" if label == "ours" else "" for label in methods}
    return {f"{bold[label]}{title}: {label}{bold[label]}": found[label] for label in methods}


def measure(method, sound, matrix, config):
    """Error in dB, error of what was given in dB, milliseconds for a second of sound."""

    def reduced(magnitudes):
        return magnitudes if matrix is None else np.square(magnitudes) @ matrix.T

    magnitudes = np.abs(stft(sound, config))
    given = reduced(magnitudes)
    compiled(method, given.shape[1])
    begun = time.perf_counter()
    found = method(given)
    seconds = time.perf_counter() - begun
    again = np.abs(stft(found.astype(float), config))
    as_magnitudes = 1 if matrix is None else 0.5
    return (
        spectral_convergence(magnitudes, again),
        spectral_convergence(given**as_magnitudes, reduced(again) ** as_magnitudes),
        1000 * seconds / (len(sound) / config.sample_rate),
    )


@functools.cache
def compiled(method, width):
    method(np.random.default_rng(0).exponential(size=(20, width)))


if __name__ == "__main__":
    main()
