"""Notes to sound: an additive piano, whose strings are sums of damped sinusoids."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

PEAK = 10 ** (-3 / 20)  # -3 dBFS
MIDDLE_C = 261.626  # Hz


class Note(NamedTuple):
    """One note: start and duration in seconds, pitch as a MIDI number, velocity in (0, 1]."""

    start: float
    duration: float
    pitch: float
    velocity: float


def frequency(pitch: ArrayLike) -> float | np.ndarray:
    """Frequency in Hz of a MIDI number (69 is A4, 440 Hz), in equal temperament."""
    return 440.0 * 2.0 ** ((np.asarray(pitch) - 69.0) / 12.0)


def inharmonicity(pitch: float | np.ndarray) -> float | np.ndarray:
    """B of a piano string: how much its stiffness stretches the partials.

    A few times 1e-4 in the bass and at middle C, 1e-2 in the top octave.
    Source: Rigaud, David and Daudet, J. Acoust. Soc. Am. 133 (2013), 3107.
    """
    return np.exp(0.0926 * pitch - 13.64) + np.exp(-0.0847 * pitch - 5.82)


def partial_frequencies(pitch: float, highest: float) -> np.ndarray:
    """Partials in Hz, below `highest`, of a stiff string: f_n = n f_0 sqrt(1 + B n²), n = 1, 2, …

    Source: Fletcher and Rossing, The Physics of Musical Instruments, section 12.3.
    """
    n = np.arange(1, int(highest / frequency(pitch)) + 1)
    partials = n * frequency(pitch) * np.sqrt(1 + inharmonicity(pitch) * n**2)
    return partials[partials < highest]


def piano(
    notes: Sequence[Note],
    sample_rate: int = 22050,
    seed: int = 0,
    pedal: Sequence[tuple[float, float]] = (),
    gain: float | None = None,
) -> np.ndarray:
    """Play notes on an additive piano.

    Arguments:
        notes: pitches 21 to 108, in any order.
        sample_rate: in Hz, at least 8000.
        seed: decides what differs between two pianos: the small unevenness of each key, the
            hammers' noise and the room.
        pedal: (down, up) times in seconds; a note that ends in between sounds on until `up`.
        gain: None for a peak of -3 dBFS. Pieces that are to stay soft or loud beside each other
            need the same number: of 1 a single middle C, struck with all force, peaks near 1.

    Returns (samples,) float64 with a natural tail.
    Raises ValueError for notes that cannot be played.
    """
    check_notes(notes, sample_rate, lowest=21, highest=108)
    ends = [note.start + note.duration for note in notes]
    ends = [max([end, *(up for down, up in pedal if down <= end)]) for end in ends]
    sound = np.zeros(round((max(ends) + 1) * sample_rate))
    for index, (note, end) in enumerate(zip(notes, ends, strict=True)):
        tone = _struck_string(note, end - note.start, sample_rate, seed, index)
        first = round(note.start * sample_rate)
        sound[first : first + len(tone)] += tone[: len(sound) - first]
    return in_a_room(sound, sample_rate, seed, gain)


# ------------------------------------------------------------------------- what a piano is made of


def _struck_string(note, held, sample_rate, seed, index):
    """The tone of one key: its strings' damped sinusoids, from the hammer's knock to the damper."""
    register = frequency(note.pitch) / MIDDLE_C
    partials = partial_frequencies(note.pitch, min(0.46 * sample_rate, 10_000))
    n = np.arange(1, len(partials) + 1)
    key = np.random.default_rng([seed, round(note.pitch)])  # a key sounds alike every time
    level, *uneven = key.standard_normal((len(n), 7)).T
    phases = 2 * np.pi * key.random((len(n), 3))

    # A string struck at an eighth of its length has no 8th partial; a felt hammer is a low-pass
    # filter that opens as it strikes harder; the soundboard hardly radiates the lowest bass.
    # Fletcher and Rossing, chapter 12.
    cutoff = (250 + 650 * note.velocity) * register**0.5
    amplitudes = (
        (np.abs(np.sin(np.pi * n / 8.1)) + 0.03)
        / (1 + (partials / cutoff) ** 2) ** 1.4
        * partials**2 / (partials**2 + 90**2)
        * 10 ** (1.5 * level / 20)
    )  # fmt: skip
    amplitudes *= note.velocity**1.8 * register**-0.25 / np.linalg.norm(amplitudes)

    # Losses in string and air, in 1/s, as a power law of the register: after the strings of Bensa
    # et al., J. Acoust. Soc. Am. 114 (2003), 1095. A key's strings first move together and lose
    # their energy fast to the bridge, then, a little out of tune, against each other and slowly:
    # Weinreich, J. Acoust. Soc. Am. 62 (1977), 1474.
    losses = 1.1 * register + 0.2 * register**0.7 * (partials / 1000) ** 2
    losses = losses[:, None] * np.array([1.5, 0.5, 0.4])
    cents = np.array([0.0, 0.7, -0.9]) + 0.15 * np.transpose(uneven[:3])
    shares = np.array([0.8, 0.18, 0.11]) * 10 ** (2 * np.transpose(uneven[3:]) / 20)

    damped = note.pitch < 90  # the top keys have no damper
    samples = round((held + (0.45 if damped else 1.5)) * sample_rate)
    heard = amplitudes > 1e-4 * amplitudes.max()
    tone = _damped_sinusoids(
        (amplitudes[:, None] * shares * np.exp(1j * phases))[heard].ravel(),
        (partials[:, None] * 2 ** (cents / 1200))[heard].ravel(),
        losses[heard].ravel(),
        samples,
        sample_rate,
    )
    seconds = np.arange(samples) / sample_rate
    tone *= 1 - np.exp(-((seconds / (0.003 - 0.0015 * note.velocity)) ** 2))
    knock = band_noise(
        [seed, index, 1], 0.1, 2, (90, 900 + 900 * note.velocity), 0.008, sample_rate
    )
    tone[: len(knock)] += 0.2 * amplitudes[:4].sum() * knock
    tone *= np.exp(-np.maximum(seconds - held, 0) * (22 * register**0.3 if damped else 0))
    return tone * np.clip((seconds[-1] - seconds) / 0.02, 0, 1)  # ends without a click


def _damped_sinusoids(amplitudes, frequencies, rates, samples, sample_rate):
    """The imaginary part of the sum over m of a_m exp((2πi f_m - r_m) t), as a matrix product.

    With t = block start + offset, the exponential of the sum is a product: one (blocks × M) matrix
    times one (M × offsets) matrix does the work of samples × M exponentials.
    """
    block = 256
    poles = (2j * np.pi * frequencies - rates) / sample_rate
    starts = amplitudes * np.exp(np.outer(np.arange(0, samples, block), poles))
    offsets = np.exp(np.outer(poles, np.arange(block)))
    waveform = starts.real @ offsets.imag + starts.imag @ offsets.real
    return waveform.ravel()[:samples]


# ---------------------------------------------------------------- what other instruments need, too


def in_a_room(
    sound: np.ndarray, sample_rate: int, seed: int, gain: float | None = None
) -> np.ndarray:
    """Add what soundboard and room give back, noise that dies away; then a peak of -3 dBFS."""
    from scipy.signal import oaconvolve

    response = band_noise([seed, 1000], 0.9, 1, (150, 2500), 0.16, sample_rate)
    response[: round(0.006 * sample_rate) + 1] = 0
    response *= 0.35 / np.linalg.norm(response)
    response[0] = 1
    sound = oaconvolve(sound, response)[: len(sound)]
    return gain * sound if gain else PEAK * sound / np.abs(sound).max()


def band_noise(
    seed: int | Sequence[int],
    seconds: float,
    order: int,
    band: tuple[float, float],
    decay: float,
    sample_rate: int,
) -> np.ndarray:
    """Noise in a band of frequencies (low, high) that falls by a factor e every `decay` seconds."""
    from scipy.signal import butter, sosfilt

    samples = round(seconds * sample_rate)
    noise = np.random.default_rng(seed).standard_normal(samples)
    noise = sosfilt(butter(order, band, "bandpass", fs=sample_rate, output="sos"), noise)
    return noise * np.exp(-np.arange(samples) / (decay * sample_rate))


def check_rate(sample_rate: float) -> None:
    """Raise ValueError for a rate in Hz that the sound does not fit into."""
    if not sample_rate >= 8000:
        raise ValueError(f"sample_rate is {sample_rate} Hz: give at least 8000")


def check_notes(notes: Sequence[Note], sample_rate: float, lowest: float, highest: float) -> None:
    """Raise ValueError for notes that cannot be played, or lie outside of the pitches given."""
    check_rate(sample_rate)
    if len(notes) == 0:
        raise ValueError("there are no notes: give at least one Note")
    for index, note in enumerate(notes):
        limits = ((0, 36_000), (0.01, 36_000), (lowest, highest), (0.01, 1))
        for name, value, (low, high) in zip(Note._fields, note, limits, strict=True):
            if not low <= value <= high:  # NaN is not in between either
                raise ValueError(f"note {index} has {name} {value}: give {low} to {high}")
