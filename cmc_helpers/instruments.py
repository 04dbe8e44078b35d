"""Notes to sound: an additive piano and a source-filter singer; and people who laugh.

They render the clips in `data_samples/`, so that nothing there is anybody's recording and all of
it can be made again. A piano string is a sum of damped sinusoids; a voice is a train of glottal
pulses that passes through resonances, whether it sings or laughs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PEAK = 10 ** (-3 / 20)  # -3 dBFS
MIDDLE_C = 261.626  # Hz

# Formants of a man's sung vowels in Hz, in round numbers: the first two after Peterson and Barney,
# J. Acoust. Soc. Am. 24 (1952), 175; the upper three gathered near 2.8 kHz, the singer's formant of
# Sundberg, J. Acoust. Soc. Am. 55 (1974), 838.
FORMANTS = {
    "a": (700, 1100, 2450, 2850, 3300),
    "e": (450, 1800, 2500, 2900, 3300),
    "i": (300, 2050, 2650, 3000, 3400),
    "o": (450, 800, 2450, 2800, 3200),
    "u": (320, 700, 2350, 2750, 3200),
}
BANDWIDTHS = (70, 90, 110, 140, 200)  # Hz
LAUGH = np.array([600, 1300, 2500, 3500])  # Hz; between "a" and a neutral tube's 500, 1500, …


class Note(NamedTuple):
    """One note: start and duration in seconds, pitch as a MIDI number, velocity in (0, 1]."""

    start: float
    duration: float
    pitch: float
    velocity: float


def frequency(pitch):
    """Frequency in Hz of a MIDI number (69 is A4, 440 Hz), in equal temperament."""
    return 440.0 * 2.0 ** ((np.asarray(pitch) - 69.0) / 12.0)


def inharmonicity(pitch):
    """B of a piano string: how much its stiffness stretches the partials.

    A few times 1e-4 in the bass and at middle C, 1e-2 in the top octave.
    Source: Rigaud, David and Daudet, J. Acoust. Soc. Am. 133 (2013), 3107.
    """
    return np.exp(0.0926 * pitch - 13.64) + np.exp(-0.0847 * pitch - 5.82)


def partial_frequencies(pitch, highest):
    """Partials in Hz, below `highest`, of a stiff string: f_n = n f_0 sqrt(1 + B n²), n = 1, 2, …

    Source: Fletcher and Rossing, The Physics of Musical Instruments, section 12.3.
    """
    n = np.arange(1, int(highest / frequency(pitch)) + 1)
    partials = n * frequency(pitch) * np.sqrt(1 + inharmonicity(pitch) * n**2)
    return partials[partials < highest]


def piano(notes: Sequence[Note], sample_rate=22050, seed=0, pedal=(), gain=None):
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
    _check(notes, sample_rate, lowest=21, highest=108)
    ends = [note.start + note.duration for note in notes]
    ends = [max([end, *(up for down, up in pedal if down <= end)]) for end in ends]
    sound = np.zeros(round((max(ends) + 1) * sample_rate))
    for index, (note, end) in enumerate(zip(notes, ends, strict=True)):
        tone = _struck_string(note, end - note.start, sample_rate, seed, index)
        first = round(note.start * sample_rate)
        sound[first : first + len(tone)] += tone[: len(sound) - first]
    return _in_a_room(sound, sample_rate, seed, gain)


def singer(notes: Sequence[Note], vowels: Sequence[str], sample_rate=22050, seed=0):
    """Sing one note after another: glottal pulses through five gliding resonances.

    Arguments:
        notes: pitches 36 to 84, none starting before the one before it ends. Where they touch, the
            voice glides from one to the next; where they do not, it breathes.
        vowels: "a", "e", "i", "o" or "u" for each note.
        sample_rate: in Hz, at least 8000.
        seed: decides the small unsteadiness of pitch and loudness, the breath and the room.

    Returns (samples,) float64 with a peak of -3 dBFS and a natural tail.
    Raises ValueError for notes and vowels that cannot be sung.
    Source: Fant, Acoustic Theory of Speech Production (1960), the source-filter model.
    """
    _check(notes, sample_rate, lowest=36, highest=84)
    _check_line(notes, vowels)
    rng = np.random.default_rng(seed)
    end = notes[-1].start + notes[-1].duration
    seconds = np.arange(round((end + 1) * sample_rate)) / sample_rate

    loudness = _loudness(notes, seconds) * (1 + _wander(rng, seconds, 8, 0.04))
    source = loudness * _glottis(_sung_pitch(notes, seconds, rng), loudness, sample_rate, rng)
    formants = _glide(notes, [FORMANTS[vowel] for vowel in vowels], seconds, 0.14)
    return _in_a_room(_resonances(source, formants, sample_rate), sample_rate, seed)


def laughter(seconds, sample_rate=22050, seed=0, people=24):
    """A crowd that laughs at a joke every eight seconds or so, and is all but quiet in between.

    Arguments:
        seconds: 8 to 3600; the last laugh dies away before.
        sample_rate: in Hz, at least 8000.
        seed: decides who is there, who laughs when and how, and the room.
        people: 1 to 1000, every other one a woman.

    Returns (samples,) float64 with a peak of -3 dBFS.
    Raises ValueError for a crowd that cannot be.
    Source: Bachorowski, Smoski and Owren, J. Acoust. Soc. Am. 110 (2001), 1581: people laugh in
    bouts of calls of about 0.17 s, four to five in a second, some of them unvoiced, on a central
    vowel at about 270 Hz (men) and 400 Hz (women), and differ widely.
    """
    _check_crowd(seconds, sample_rate, people)
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * sample_rate))
    crowd = [_laugher(rng, woman=index % 2) for index in range(people)]
    jokes = round(seconds / 8)
    for joke in (np.arange(jokes) + rng.uniform(0.05, 0.4, jokes)) * seconds / jokes:
        fun = rng.uniform(0.6, 1)
        for laugher in crowd:
            late = 4 * (rng.random() < 0.02 and laugher != crowd[0])  # now and then, one is slow
            start = joke + late + min(rng.gamma(2, 0.2), 1)
            end = start + fun * rng.uniform(0.2, 1 if late else 4)
            while start < end:
                bout = fun * _bout(laugher, rng.spawn(1)[0], sample_rate)
                first, last = round(start * sample_rate), round(start * sample_rate) + len(bout)
                if last > len(sound) - sample_rate / 2:
                    break
                sound[first:last] += bout * np.exp(-(((start - joke) / 3) ** 2))
                start = last / sample_rate + rng.uniform(0.2, 0.6)  # after breathing in
    hush = _noise([seed, 1], seconds, 1, (100, 1500), np.inf, sample_rate)  # they still breathe
    sound += 0.002 * np.abs(sound).max() * hush / hush.std()
    return _in_a_room(sound, sample_rate, seed)


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
    knock = _noise([seed, index, 1], 0.1, 2, (90, 900 + 900 * note.velocity), 0.008, sample_rate)
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


# -------------------------------------------------------------------------- what a voice is made of


def _sung_pitch(notes, seconds, rng):
    """Fundamental in Hz: portamento, vibrato that grows during a note, drift and jitter."""
    pitch = _glide(notes, [note.pitch for note in notes], seconds, 0.11)
    starts = np.array([note.start for note in notes])
    current = np.maximum(np.searchsorted(starts, seconds, side="right") - 1, 0)
    depth = 0.5 * np.clip((seconds - starts[current] - 0.15) / 0.4, 0, 1)  # semitones
    rate = 5.6 + _wander(rng, seconds, 1, 0.3)  # Hz
    pitch += depth * np.sin(2 * np.pi * np.cumsum(rate) * seconds[1])
    return frequency(pitch + _wander(rng, seconds, 2, 0.06) + _wander(rng, seconds, 30, 0.04))


def _loudness(notes, seconds):
    """Every note swells and ebbs; the voice falls silent only where notes do not touch."""
    touch = [b.start - a.start - a.duration < 0.02 for a, b in zip(notes, notes[1:], strict=False)]
    edges = [0, *(0.7 if touching else 0 for touching in touch), 0]
    times, values = [], []
    for note, left, right in zip(notes, edges, edges[1:], strict=False):
        rise, fall = min(0.09, note.duration / 4), min(0.16, note.duration / 4)
        end = note.start + note.duration
        times += [note.start, note.start + rise, note.start + note.duration / 2, end - fall, end]
        values += [left, 0.85, 1, 0.85, right]
    velocity = _glide(notes, [note.velocity for note in notes], seconds, 0.11)
    return velocity * np.interp(seconds, times, values)


def _glide(notes, values, seconds, width):
    """A curve that holds each note's value, and moves to the next around the next note's start."""
    values = np.array(values, dtype=float)
    curve = np.zeros((len(seconds), *values.shape[1:])) + values[0]
    for note, step in zip(notes[1:], np.diff(values, axis=0), strict=True):
        rise = np.clip((seconds - note.start) / width + 0.5, 0, 1)
        curve += np.multiply.outer(rise**2 * (3 - 2 * rise), step)
    return curve


def _wander(rng, seconds, rate, deviation):
    """A continuous random curve with `rate` independent values per second."""
    knots = np.arange(0, seconds[-1] + 2 / rate, 1 / rate)
    return deviation * np.interp(seconds, knots, rng.standard_normal(len(knots)))


def _glottis(fundamental, loudness, sample_rate, rng):
    """Derivative of the air flow between the vocal folds, and the breath that goes with it.

    In each period the folds open slowly and close fast, abruptly at the end: the louder, the
    shorter. The derivative stands for the radiation from the mouth.
    Source: Rosenberg, J. Acoust. Soc. Am. 49 (1971), 583, pulse C.
    """
    from scipy.signal import resample_poly

    finer = 4  # computed at four times the rate, so that the corners do not alias
    phase = np.cumsum(np.repeat(fundamental, finer)) / (finer * sample_rate) % 1
    opening, closing = 0.48 - 0.12 * np.repeat(loudness, finer), 0.16  # parts of the period
    flow = np.where(
        phase < opening,
        0.5 - 0.5 * np.cos(np.pi * phase / opening),
        np.cos(0.5 * np.pi * np.clip((phase - opening) / closing, 0, 1)),
    )
    flow = resample_poly(flow, 1, finer)
    breath = 0.004 * rng.standard_normal(len(flow)) * (0.2 + flow)
    return np.diff(flow, prepend=0) + breath


def _resonances(source, formants, sample_rate, widths=BANDWIDTHS, upper=4200):
    """The vocal tract: resonances at the gliding `formants` (samples, K), fixed ones from `upper`.

    Every 10 ms a windowed piece of the source goes through the tract as it stands then. The windows
    add up to 1 and the pieces ring on over each other, so a glide makes no clicks.
    Source of the resonator: Klatt, J. Acoust. Soc. Am. 67 (1980), 971, equations 1 and 2.
    """
    hop = sample_rate // 100
    centres = np.arange(0, len(source) + hop, hop)
    glide = formants[np.minimum(centres, len(source) - 1)].T
    upper = np.arange(upper, 0.45 * sample_rate, 1000)
    length = 2 ** int(np.ceil(np.log2(0.09 * sample_rate)))  # a piece of 20 ms, and 70 to ring
    hertz = np.fft.rfftfreq(length, 1 / sample_rate)
    delay = np.exp(-2j * np.pi * hertz / sample_rate)  # z to the power -1

    tract = 1 / (1 + 1j * hertz / 1500)  # a voice that does not shout is dull above 1.5 kHz
    for centre, width in zip([*upper, *glide], [*0.08 * upper, *widths], strict=True):
        radius = np.exp(-np.pi * width / sample_rate)
        b = 2 * radius * np.cos(2 * np.pi * np.reshape(centre, (-1, 1)) / sample_rate)
        tract = tract * (1 - b + radius**2) / (1 - b * delay + radius**2 * delay**2)

    padded = np.pad(source, (hop, 3 * hop))  # piece i is centred on centres[i]
    pieces = padded[centres[:, None] + np.arange(2 * hop)] * np.hanning(2 * hop + 1)[:-1]
    pieces = np.fft.irfft(np.fft.rfft(pieces, length) * tract, length)
    sound = np.zeros(centres[-1] + length)
    for start, piece in zip(centres, pieces, strict=True):
        sound[start : start + length] += piece
    return sound[hop : hop + len(source)]


# -------------------------------------------------------------------------- what a laugh is made of


def _laugher(rng, woman):
    """Mean pitch in Hz, factor of the formants, calls per second, level and the share of calls
    without voice; a woman's voice is higher, and her vocal tract shorter, than most men's."""
    middle = [400, 1.17, 4.6, 1] if woman else [270, 1, 4.6, 1]
    return *(middle * 2 ** rng.normal(0, [0.25, 0.06, 0.12, 0.3])), rng.beta(1, 3)


def _bout(laugher, rng, sample_rate):
    """The calls of one breath, ha-ha-ha: as the air runs out, pitch and loudness fall."""
    pitch, tract, rate, level, unvoiced = laugher
    calls = rng.integers(3, 10)
    spent = np.linspace(0, 1, calls)  # of the air
    starts = (np.arange(calls) + rng.uniform(0, 0.15, calls)) / rate
    seconds = np.arange(round((starts[-1] + 0.3) * sample_rate)) / sample_rate

    def curve(times, values):
        """Through `values` (calls, points) at `times` in seconds (points,) after each start."""
        return np.interp(seconds, np.add.outer(starts, times).ravel(), values.ravel())

    loudness = level * 10 ** ((-8 * spent + rng.normal(0, 2, calls)) / 20)
    voiced = rng.random(calls) > unvoiced
    voice = curve([0.02, 0.06, 0.1, 0.17], np.outer(loudness * voiced, [0, 1, 0.8, 0]))
    breath = np.outer(loudness * (1 + 2 * ~voiced), [0, 1, 0.4, 0.2, 0])  # the h comes first
    breath = curve([0, 0.03, 0.07, 0.14, 0.18], breath)
    semitones = 4 - 8 * spent + rng.normal(0, 1, calls)  # from the mean
    semitones = curve([0.02, 0.06, 0.17], np.add.outer(semitones, [0, 1, -1]))
    pitch = pitch * 2 ** ((semitones + _wander(rng, seconds, 40, 0.2)) / 12)

    source = voice * _glottis(pitch, voice.clip(0, 1), sample_rate, rng)
    source += 1.5 * breath * rng.standard_normal(len(seconds)) / sample_rate**0.5
    *tube, upper = tract * LAUGH
    tube, widths = np.tile(tube, (len(seconds), 1)), 2 * np.array(BANDWIDTHS[:3])  # breath damps
    return _resonances(source, tube, sample_rate, widths, upper)


# ---------------------------------------------------------------------------------- what they share


def _in_a_room(sound, sample_rate, seed, gain=None):
    """Add what soundboard and room give back, noise that dies away; then a peak of -3 dBFS."""
    from scipy.signal import oaconvolve

    response = _noise([seed, 1000], 0.9, 1, (150, 2500), 0.16, sample_rate)
    response[: round(0.006 * sample_rate) + 1] = 0
    response *= 0.35 / np.linalg.norm(response)
    response[0] = 1
    sound = oaconvolve(sound, response)[: len(sound)]
    return gain * sound if gain else PEAK * sound / np.abs(sound).max()


def _noise(seed, seconds, order, band, decay, sample_rate):
    """Noise in a band of frequencies (low, high) that falls by a factor e every `decay` seconds."""
    from scipy.signal import butter, sosfilt

    samples = round(seconds * sample_rate)
    noise = np.random.default_rng(seed).standard_normal(samples)
    noise = sosfilt(butter(order, band, "bandpass", fs=sample_rate, output="sos"), noise)
    return noise * np.exp(-np.arange(samples) / (decay * sample_rate))


def _check_crowd(seconds, sample_rate, people):
    _check_rate(sample_rate)
    if not 8 <= seconds <= 3600:
        raise ValueError(f"seconds is {seconds}: give 8 to 3600")
    if people not in range(1, 1001):
        raise ValueError(f"people is {people}: give 1 to 1000")


def _check_rate(sample_rate):
    if not sample_rate >= 8000:
        raise ValueError(f"sample_rate is {sample_rate} Hz: give at least 8000")


def _check(notes, sample_rate, lowest, highest):
    _check_rate(sample_rate)
    if len(notes) == 0:
        raise ValueError("there are no notes: give at least one Note")
    for index, note in enumerate(notes):
        limits = ((0, 36_000), (0.01, 36_000), (lowest, highest), (0.01, 1))
        for name, value, (low, high) in zip(Note._fields, note, limits, strict=True):
            if not low <= value <= high:  # NaN is not in between either
                raise ValueError(f"note {index} has {name} {value}: give {low} to {high}")


def _check_line(notes, vowels):
    if len(vowels) != len(notes):
        raise ValueError(f"{len(notes)} notes come with {len(vowels)} vowels: give one for each")
    for vowel in vowels:
        if vowel not in FORMANTS:
            raise ValueError(f"{vowel!r} is not a vowel: choose from {', '.join(FORMANTS)}")
    for index, (before, note) in enumerate(zip(notes, notes[1:], strict=False), 1):
        if note.start < before.start + before.duration - 1e-6:
            raise ValueError(f"note {index} starts before note {index - 1} ends: sing one at once")
