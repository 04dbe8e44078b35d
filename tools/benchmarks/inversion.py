"""How near does each inversion come to the spectrogram, and how fast, beside librosa?

    .venv/bin/python tools/benchmarks/inversion.py [FOLDER] [--seconds 10] [--output inversion.md]

Thirteen synthetic clips (`inversion_clips.py`), or the first seconds of every recording in FOLDER,
on one thread. All errors are spectral convergences in dB, lower is better, in the domain weighted
with the A-curve. "worst" is the worst clip; "features" the median error of the 100 features
themselves; "ms/s" milliseconds for a second of sound, the best of two, weighting again or mel
analysis included; "× librosa" its ratio to `librosa.griffinlim` with 32 iterations and momentum
0.99 (full magnitudes) or to `librosa.feature.inverse.mel_to_audio` with power 1 (100 features).
"""

import argparse
import datetime
import functools
import inspect
import itertools
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import librosa
import numpy as np
from inversion_clips import clips
from threadpoolctl import threadpool_limits

from cmc_helpers.audio import AudioError, read_audio
from cmc_helpers.features import (
    FeatureConfig,
    magnitude_spectrogram,
    reduce_magnitudes,
    weight,
)
from cmc_helpers.inversion import (
    METHODS,
    expand,
    griffin_lim,
    invert_features,
    invert_magnitudes,
    overlap_add,
    spectral_convergence,
    starts,
    stft,
)
from cmc_helpers.terminal import terminal_progress

CONFIG = FeatureConfig.preset("paper")
FRAMING = dict(n_fft=512, hop_length=64, win_length=256, window=np.hamming(256), center=False)


# What librosa 1.0 calls rng.
SEEDED = {"rng" if "rng" in inspect.signature(librosa.griffinlim).parameters else "random_state": 0}


def librosa_griffin_lim(momentum):
    def invert(waveform, magnitudes, features):
        settings = dict(n_iter=32, momentum=momentum, **SEEDED, **FRAMING)
        return librosa.griffinlim(magnitudes.T, **settings)[128:-128]

    return invert


def librosa_mel(power):
    def invert(waveform, magnitudes, features):
        settings = dict(sr=CONFIG.sample_rate, power=power, **FRAMING)
        mel = librosa.feature.melspectrogram(y=np.pad(waveform, 128), n_mels=100, **settings)
        return librosa.feature.inverse.mel_to_audio(mel, n_iter=32, **settings)[128:-128]

    return invert


def full(method, **changes):
    return lambda waveform, magnitudes, features: invert_magnitudes(
        magnitudes, CONFIG, method, **changes
    )


def with_published_gamma(waveform, magnitudes, features):
    with mock.patch.dict(starts.GAMMAS, hamming=0.29794):
        return invert_magnitudes(magnitudes, CONFIG)


def reduced(method, **changes):
    return lambda waveform, magnitudes, features: weight(
        invert_features(features, CONFIG, method, **changes), CONFIG
    )


def true_phase(waveform, magnitudes, features):
    spectra = stft(waveform, CONFIG)
    phases = spectra / np.maximum(np.abs(spectra), 1e-12)
    return overlap_add(expand(features) * phases, CONFIG)


def spline_itself(waveform, magnitudes, features):
    """No waveform, but the guess of the magnitudes that a search begins with."""
    return expand(features)


def another_sound(waveform, magnitudes, features):
    """No inversion, but its limit: is there another sound with these features?

    The original, its spectrum above 1.5 kHz mixed with as much noise, and then a search that is
    held to nothing but the features.
    """
    noise = np.fft.rfft(np.random.default_rng(0).normal(size=len(waveform)))
    high = np.fft.rfftfreq(len(waveform), 1 / CONFIG.sample_rate) > 1500
    noise *= high * np.linalg.norm(np.fft.rfft(waveform) * high) / np.linalg.norm(noise * high)
    start = waveform + np.fft.irfft(noise, len(waveform))
    return next(itertools.islice(griffin_lim(start, features, CONFIG, 0.99), 300, None))


DEFAULT = "pghi-fast-griffin-lim"
FULL = {
    "librosa.griffinlim, momentum 0": librosa_griffin_lim(0),
    "librosa.griffinlim, momentum 0.99": librosa_griffin_lim(0.99),
    "the paper: slaney": full("slaney"),
    **{name: full(name) for name in METHODS if name not in ("slaney", DEFAULT)},
    f"**{DEFAULT}**": full(DEFAULT),
    "the same, 256 iterations": full(DEFAULT, iterations=256),
    "the same, no reflections": full(DEFAULT, reflections=0),
    "the same, γ = 0.29794": with_published_gamma,
}
REDUCED = {
    "librosa mel_to_audio, power 2": librosa_mel(2.0),
    "librosa mel_to_audio, power 1": librosa_mel(1.0),
    "the paper: slaney on a staircase": reduced("slaney"),
    "repetition, whole insistence": reduced(DEFAULT, expansion="repetition", insistence=1),
    "repetition, insistence 0.1": reduced(DEFAULT, expansion="repetition"),
    "linear, insistence 0.1": reduced(DEFAULT, expansion="linear"),
    "spline, whole insistence": reduced(DEFAULT, insistence=1),
    "spline, insistence 0.3": reduced(DEFAULT, insistence=0.3),
    "**spline, insistence 0.1 (default)**": reduced(DEFAULT),
    "spline, no insistence": reduced(DEFAULT, insistence=0),
    "the default, 256 iterations": reduced(DEFAULT, iterations=256),
    "the spline itself, no sound": spline_itself,
    "spline with the true phases": true_phase,
    "another sound with these features": another_sound,
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="recordings to use instead of the clips")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clips", nargs="*", help="only these")
    parser.add_argument("--output", help="a Markdown file for the tables")
    given = parser.parse_args(arguments)
    sounds = recordings(given.folder, given.seconds) if given.folder else clips(given.seconds)
    sounds = {name: sounds[name] for name in given.clips or sounds}
    command = " ".join(["python tools/benchmarks/inversion.py", *(arguments or sys.argv[1:])])
    with threadpool_limits(1):
        text = report(sounds, command)
    print(text)
    if given.output:
        Path(given.output).write_text(text + "\n", "utf-8")


def recordings(folder, seconds):
    """Name → the first seconds of every file that can be read; says which cannot."""
    found = {}
    for path in sorted(Path(folder).iterdir()):
        try:
            waveform = read_audio(path, CONFIG.sample_rate)
        except AudioError as problem:
            print(problem, file=sys.stderr)
            continue
        samples = (min(len(waveform), round(seconds * CONFIG.sample_rate)) - 256) // 64 * 64 + 256
        found[path.stem] = waveform[:samples]
    if not found:
        sys.exit(f"{folder} holds no recording that can be read: give another folder")
    return found


def report(sounds, command):
    """Measure everything; returns Markdown."""
    parts = [origin(command)]
    names = ("librosa.griffinlim, momentum 0.99", "librosa mel_to_audio, power 1")
    titles = "From the full magnitudes", "From the 100 features"
    for title, methods, yardstick in zip(titles, (FULL, REDUCED), names, strict=True):
        results = {}
        with terminal_progress(title) as progress:
            for i, (label, method) in enumerate(methods.items()):
                results[label] = [measure(method, sound) for sound in sounds.values()]
                progress(i + 1, len(methods), label)
        parts += [f"## {title}", table(results, yardstick)]
        best = next(label for label in methods if label.startswith("**"))
        each = [f"{n} {r[0]:.1f}" for n, r in zip(sounds, results[best], strict=True)]
        parts.append("Each clip by the default: " + ", ".join(each) + " dB.")
    return "\n\n".join(parts)


def measure(method, sound):
    """Error in dB, error of the features in dB, milliseconds for a second of sound."""
    waveform = weight(sound, CONFIG)
    magnitudes = magnitude_spectrogram(waveform, CONFIG)
    features = reduce_magnitudes(magnitudes)
    compiled(method)
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        found = method(waveform, magnitudes, features)
        seconds.append(time.perf_counter() - begun)
    again = found if found.ndim == 2 else magnitude_spectrogram(found.astype(float), CONFIG)
    return (
        spectral_convergence(magnitudes, again),
        spectral_convergence(features, reduce_magnitudes(again)),
        1000 * min(seconds) / (len(sound) / CONFIG.sample_rate),
    )


@functools.cache
def compiled(method):
    noise = np.random.default_rng(0).normal(size=4096)
    magnitudes = magnitude_spectrogram(noise, CONFIG)
    method(noise, magnitudes, reduce_magnitudes(magnitudes))


def table(results, yardstick, reduced="features"):
    lines = [
        f"| | median | mean | worst | {reduced} | ms/s | × librosa |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    reference = np.mean([milliseconds for _, _, milliseconds in results[yardstick]])
    for label, measured in results.items():
        errors, features, milliseconds = np.transpose(measured)
        lines.append(
            f"| {label} | {np.median(errors):.1f} | {errors.mean():.1f} | {errors.max():.1f} "
            f"| {np.median(features):.1f} | {milliseconds.mean():.0f} "
            f"| {milliseconds.mean() / reference:.2f} |"
        )
    return "\n".join(lines)


def origin(command):
    """What goes above the tables: the date, the command, the machine, the libraries."""
    versions = ", ".join(f"{p} {version(p)}" for p in ("numpy", "scipy", "librosa"))
    return f"{datetime.date.today()}, `{command}`, one thread of {processor()}; {versions}"


def processor():
    """The name of this machine's processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
