"""A source-filter singer, and people who laugh.

They and the piano render the clips in this folder, so that nothing here is anybody's recording and
all of it can be made again. A voice is a train of glottal pulses that passes through resonances,
whether it sings or laughs.
"""

from collections.abc import Sequence

import numpy as np

from cmc_helpers.scores.instruments import (
    Note,
    band_noise,
    check_notes,
    check_rate,
    frequency,
    in_a_room,
)

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
    check_notes(notes, sample_rate, lowest=36, highest=84)
    _check_line(notes, vowels)
    rng = np.random.default_rng(seed)
    end = notes[-1].start + notes[-1].duration
    seconds = np.arange(round((end + 1) * sample_rate)) / sample_rate

    loudness = _loudness(notes, seconds) * (1 + _wander(rng, seconds, 8, 0.04))
    source = loudness * _glottis(_sung_pitch(notes, seconds, rng), loudness, sample_rate, rng)
    formants = _glide(notes, [FORMANTS[vowel] for vowel in vowels], seconds, 0.14)
    return in_a_room(_resonances(source, formants, sample_rate), sample_rate, seed)


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
    hush = band_noise([seed, 1], seconds, 1, (100, 1500), np.inf, sample_rate)  # they still breathe
    sound += 0.002 * np.abs(sound).max() * hush / hush.std()
    return in_a_room(sound, sample_rate, seed)


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


def _check_crowd(seconds, sample_rate, people):
    check_rate(sample_rate)
    if not 8 <= seconds <= 3600:
        raise ValueError(f"seconds is {seconds}: give 8 to 3600")
    if people not in range(1, 1001):
        raise ValueError(f"people is {people}: give 1 to 1000")


def _check_line(notes, vowels):
    if len(vowels) != len(notes):
        raise ValueError(f"{len(notes)} notes come with {len(vowels)} vowels: give one for each")
    for vowel in vowels:
        if vowel not in FORMANTS:
            raise ValueError(f"{vowel!r} is not a vowel: choose from {', '.join(FORMANTS)}")
    for index, (before, note) in enumerate(zip(notes, notes[1:], strict=False), 1):
        if note.start < before.start + before.duration - 1e-6:
            raise ValueError(f"note {index} starts before note {index - 1} ends: sing one at once")
