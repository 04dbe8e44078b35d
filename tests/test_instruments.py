"""The piano, the singer and the laughing crowd: measured on their sound, not on their code."""

import librosa
import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d
from voices import FORMANTS, _glide, laughter, singer

from cmc_helpers.scores.instruments import (
    PEAK,
    Note,
    _damped_sinusoids,
    frequency,
    inharmonicity,
    partial_frequencies,
    piano,
)

RATE = 22050


def peaks(waveform, near, width=0.02):
    """The frequency of the strongest line of the spectrum within `width` of each of `near`."""
    size = 16 * len(waveform)
    spectrum = np.abs(np.fft.rfft(waveform * np.blackman(len(waveform)), size))
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    close = [np.abs(hertz / line - 1) < width for line in near]
    return np.array([hertz[band][spectrum[band].argmax()] for band in close])


def loudness(waveform, start, stop):
    """Mean power in dB between two times in seconds."""
    return 10 * np.log10(np.mean(waveform[int(start * RATE) : int(stop * RATE)] ** 2) + 1e-20)


def partial(waveform, hertz, start, stop):
    """Level in dB of one frequency between two times in seconds."""
    piece = waveform[int(start * RATE) : int(stop * RATE)]
    turn = np.exp(-2j * np.pi * hertz * np.arange(len(piece)) / RATE)
    return 20 * np.log10(np.abs(np.hanning(len(piece)) * piece @ turn))


def test_pitches_are_in_equal_temperament():
    np.testing.assert_allclose(frequency([69, 81, 60, 48]), [440, 880, 261.6256, 130.8128], 1e-6)


def test_strings_are_as_stiff_as_the_literature_says():
    a0, c4, c8 = inharmonicity(21), inharmonicity(60), inharmonicity(108)
    assert 1e-4 < a0 < 1e-3 and 2e-4 < c4 < 6e-4 and 1e-2 < c8 < 5e-2  # Fletcher and Rossing


@pytest.mark.parametrize("pitch", [36, 48, 60, 72, 81])
def test_measured_partials_are_those_of_a_stiff_string(pitch):
    tone = piano([Note(0, 3, pitch, 0.8)])[: 3 * RATE]
    n = np.array([1, 2, 3, 4, 5, 6])
    f0 = 440 * 2 ** ((pitch - 69) / 12)
    expected = n * f0 * np.sqrt(1 + inharmonicity(pitch) * n**2)
    np.testing.assert_allclose(partial_frequencies(pitch, 1e4)[:6], expected, rtol=1e-12)
    cents = 1200 * np.log2(peaks(tone, expected) / expected)
    assert np.abs(cents).max() < 2.5  # the strings of a key are up to 1 or 2 cents apart


def test_partials_stop_below_the_limit():
    partials = partial_frequencies(60, 2000)
    assert partials[-1] < 2000 and len(partials) == 7
    tone = piano([Note(0, 1, 81, 1)], sample_rate=8000)[:8000]
    spectrum = np.abs(np.fft.rfft(tone * np.blackman(8000)))  # a line per Hz
    folded = 8000 - round(partial_frequencies(81, 8000)[4])  # where the fifth would be heard
    assert spectrum[folded - 20 : folded + 20].max() < 1e-3 * spectrum.max()


def test_a_harder_stroke_is_louder_and_brighter():
    sound = piano([Note(0, 2, 60, 0.3), Note(4, 2, 60, 0.9)])
    soft, hard = sound[: 2 * RATE], sound[4 * RATE : 6 * RATE]
    assert loudness(hard, 0, 2) > loudness(soft, 0, 2) + 12
    power = [np.abs(np.fft.rfft(part)) ** 2 for part in (soft, hard)]
    centroid = [p @ np.arange(len(p)) / p.sum() for p in power]
    assert centroid[1] > 1.15 * centroid[0]


def test_a_note_falls_fast_and_then_slowly():
    fast, slow = [], []
    for pitch in range(55, 67):
        tone = piano([Note(0, 6, pitch, 0.7)])
        fast.append((loudness(tone, 0, 0.2) - loudness(tone, 0.4, 0.6)) / 0.4)
        slow.append((loudness(tone, 3, 4) - loudness(tone, 5, 6)) / 2)
    assert 10 < np.median(fast) < 25  # dB per second
    assert 3 < np.median(slow) < 0.6 * np.median(fast)


def test_high_partials_and_high_notes_die_first():
    def fall(tone, partials):
        start, later = (
            10 * np.log10(sum(10 ** (partial(tone, f, t, t + 0.5) / 10) for f in partials))
            for t in (0, 2)
        )
        return start - later

    low, high = piano([Note(0, 3, 48, 0.9)]), piano([Note(0, 3, 84, 0.9)])
    lines = partial_frequencies(48, 1e4)
    assert fall(low, lines[19:25]) > fall(low, lines[:5]) + 8
    assert fall(high, partial_frequencies(84, 1e4)[:2]) > fall(low, lines[:5]) + 20


def test_the_damper_ends_a_note_unless_the_pedal_is_down():
    short, long = Note(0, 0.5, 60, 0.8), Note(0, 3, 60, 0.8)
    dry = piano([short, Note(2.5, 0.5, 60, 0.2)])
    wet = piano([short, Note(2.5, 0.5, 60, 0.2)], pedal=[(0.2, 2)])
    assert loudness(dry, 1.2, 2) < loudness(dry, 0, 0.5) - 40
    assert loudness(wet, 1.2, 2) > loudness(wet, 0, 0.5) - 20
    assert loudness(wet, 2.3, 2.5) < loudness(wet, 0, 0.5) - 35
    # A pedal that comes down too late, or is up again before, changes nothing.
    np.testing.assert_array_equal(piano([long], pedal=[(0, 2), (3.2, 4)]), piano([long]))


def test_the_top_keys_have_no_damper():
    def released(pitch):
        early, late = piano([Note(0, 0.2, pitch, 0.9)]), piano([Note(0, 1, pitch, 0.9)])
        return np.abs(early - late[: len(early)]).max()

    assert released(91) < 1e-9 and released(88) > 1e-3


def test_a_piano_ends_quietly_at_minus_3_dbfs():
    sound = piano([Note(1, 2, 60, 0.7), Note(0.5, 1, 67, 0.7)])
    assert sound.shape == (4 * RATE,)  # a second after the last note ends
    assert np.abs(sound).max() == pytest.approx(PEAK) == pytest.approx(10 ** (-3 / 20))
    assert np.abs(sound[: RATE // 2 - 10]).max() < 1e-9  # nothing before the first note
    assert loudness(sound, 3.9, 4) < -70


@pytest.mark.slow
def test_the_same_seed_gives_the_same_sound():
    notes = [Note(0, 0.5, 60, 0.7), Note(0.5, 0.5, 64, 0.7)]
    for play in (piano, lambda notes, **options: singer(notes, "ao", **options)):
        np.testing.assert_array_equal(play(notes, seed=3), play(notes, seed=3))
        assert np.abs(play(notes, seed=3) - play(notes, seed=4)).max() > 0.01
    np.testing.assert_array_equal(laughter(8, seed=3, people=2), laughter(8, seed=3, people=2))
    assert np.abs(laughter(8, seed=3, people=2) - laughter(8, seed=4, people=2)).max() > 0.01


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 1000])
def test_the_matrix_product_is_the_sum_of_damped_sinusoids(samples):
    amplitudes, frequencies, rates = [1, 0.5j], np.array([440, 1234.5]), np.array([3, 40])
    t = np.arange(samples) / RATE
    expected = np.exp(-3 * t) * np.sin(2 * np.pi * 440 * t)
    expected += 0.5 * np.exp(-40 * t) * np.cos(2 * np.pi * 1234.5 * t)
    tone = _damped_sinusoids(np.array(amplitudes), frequencies, rates, samples, RATE)
    np.testing.assert_allclose(tone, expected, atol=1e-9)


def track(waveform):
    """The fundamental every 10 ms, in MIDI numbers."""
    where = {"frame_length": 1024, "hop_length": RATE // 100}
    return librosa.hz_to_midi(librosa.yin(waveform, fmin=80, fmax=600, sr=RATE, **where))


def test_a_singer_sings_the_notes_with_a_vibrato_that_comes_later():
    pitch = track(singer([Note(0, 2, 57, 0.7), Note(2, 2, 62, 0.7)], "aa"))
    assert np.median(pitch[30:190]) == pytest.approx(57, abs=0.2)
    assert np.median(pitch[220:390]) == pytest.approx(62, abs=0.2)
    steady = pitch[80:180] - pitch[80:180].mean()
    assert 0.5 < np.ptp(steady) < 1.6  # about half a semitone up and down
    rate = np.fft.rfftfreq(1000, 0.01)[np.abs(np.fft.rfft(steady, 1000)).argmax()]
    assert 4.8 < rate < 6.4  # Hz
    assert np.ptp(pitch[5:14]) < 0.35  # a note begins without vibrato


def test_a_glide_is_halfway_where_the_next_note_starts():
    notes, seconds = [Note(0, 1, 57, 1), Note(1, 1, 62, 1)], np.arange(2000) / 1000
    curve = _glide(notes, [[57, 1], [62, 0]], seconds, 0.1)
    np.testing.assert_allclose(curve[[0, 949, 1000, 1051, 1999], 0], [57, 57, 59.5, 62, 62])
    np.testing.assert_allclose(curve[:, 1], (62 - curve[:, 0]) / 5, atol=1e-12)
    assert np.diff(curve[:, 0]).min() >= 0 and np.diff(curve[:, 0]).max() < 0.08  # without a jump


def formants(waveform, sample_rate):
    """The first two resonances below half the sample rate, by linear prediction."""
    emphasised = np.diff(waveform * np.hanning(len(waveform)))
    roots = np.roots(librosa.lpc(emphasised, order=12))
    roots = roots[(roots.imag > 0) & (np.abs(roots) > 0.9)]  # narrow ones
    return np.sort(np.angle(roots) * sample_rate / (2 * np.pi))[:2]


@pytest.mark.slow
@pytest.mark.parametrize("vowel", FORMANTS)
def test_vowels_have_their_formants(vowel):
    sung = singer([Note(0, 1.5, 43, 0.7)], [vowel])
    sung = librosa.resample(sung, orig_sr=RATE, target_sr=8000)[4000:8000]
    np.testing.assert_allclose(formants(sung, 8000), FORMANTS[vowel][:2], rtol=0.15)


def test_the_vowels_form_the_vowel_triangle():
    first, second = ({vowel: FORMANTS[vowel][k] for vowel in FORMANTS} for k in (0, 1))
    assert sorted(first, key=first.get, reverse=True)[0] == "a"  # the open mouth
    assert sorted(second, key=second.get, reverse=True) == list("ieaou")  # from front to back
    assert all(2300 < frequency < 3500 for f in FORMANTS.values() for frequency in f[2:])


@pytest.mark.parametrize("vowels", ["ai", "ua", "oe"])
def test_one_vowel_glides_into_the_next_without_a_click(vowels):
    sung = singer([Note(0, 1, 48, 0.7), Note(1, 1, 48, 0.7)], vowels)
    spectrum = np.abs(librosa.stft(sung, n_fft=512, hop_length=128))
    high = spectrum[librosa.fft_frequencies(sr=RATE, n_fft=512) > 8000].mean(axis=0)
    assert 20 * np.log10(high.max() / spectrum.max()) < -90  # a click would be heard up there


def test_a_singer_breathes_only_where_notes_do_not_touch():
    joined = singer([Note(0, 1, 57, 0.7), Note(1, 1, 57, 0.7)], "oo")
    apart = singer([Note(0, 1, 57, 0.7), Note(1.6, 1, 57, 0.7)], "oo")
    assert loudness(joined, 0.98, 1.02) > loudness(joined, 0.4, 0.6) - 8
    assert loudness(apart, 1.4, 1.5) < loudness(apart, 0.4, 0.6) - 30


def test_a_louder_voice_is_louder():
    sung = singer([Note(0, 1, 57, 0.3), Note(1.5, 1, 57, 0.9)], "aa")
    assert loudness(sung, 1.8, 2.2) > loudness(sung, 0.3, 0.7) + 7


def levels(sound, rate=RATE, seconds=0.04):
    """Level in dB every 10 ms."""
    power = uniform_filter1d(sound**2, int(seconds * rate), mode="constant")[:: rate // 100]
    return 10 * np.log10(power + 1e-18)


def outburst(sound):
    """The second that begins where somebody laughs first."""
    start = RATE // 100 * np.argmax(levels(sound) > levels(sound).max() - 20)
    return sound[start : start + RATE]


@pytest.fixture(scope="module")
def laughs():
    """The first second of each of twenty people who laugh alone."""
    return [outburst(laughter(8, seed=seed, people=1)) for seed in range(20)]


@pytest.mark.slow
def test_people_laugh_four_to_five_times_a_second(laughs):
    level = np.array([levels(laugh) for laugh in laughs])
    assert np.ptp(level, axis=1).min() > 15  # calls apart, not one that trembles
    level = (level - level.mean(axis=1, keepdims=True)) * np.hanning(level.shape[1])
    spectrum = (np.abs(np.fft.rfft(level, 1000)) ** 2).mean(axis=0)  # of how loudness changes
    hertz = np.fft.rfftfreq(1000, 0.01)
    calls = hertz > 2.5  # below is the laugh as a whole
    assert 4 < hertz[calls][spectrum[calls].argmax()] < 5
    assert spectrum[calls].max() > 3 * spectrum[hertz > 6].max()


@pytest.mark.slow
def test_pitch_and_loudness_fall_while_one_laughs(laughs):
    pitch, level = np.array([track(x) for x in laughs]), np.array([levels(x) for x in laughs])
    assert librosa.midi_to_hz(np.median(pitch)) == pytest.approx(270, rel=0.2)  # all are men
    assert np.ptp(np.percentile(np.median(pitch, axis=1), [15, 85])) > 5  # semitones apart
    fall = np.median(pitch[:, :35], axis=1) - np.median(pitch[:, 65:], axis=1)
    assert 3 < np.median(fall) < 9
    assert 3 < np.median(level[:, :35].max(axis=1) - level[:, 65:].max(axis=1)) < 15


def test_some_calls_have_no_voice(laughs):
    flatness = []  # near 0 for a voice, the more the more it is noise
    for laugh in laughs:
        flat = librosa.feature.spectral_flatness(y=laugh, n_fft=1024, hop_length=RATE // 100)[0]
        flatness.extend(flat[levels(laugh) > levels(laugh).max() - 15])
    assert np.percentile(flatness, 95) > 10 * np.median(flatness)


@pytest.mark.slow
def test_a_crowd_laughs_in_waves_that_rise_at_once_and_die_away():
    crowd = laughter(24, seed=1)
    level = levels(crowd, seconds=2)
    quiet, loud = np.percentile(level, [10, 90])
    assert loud - quiet > 25
    steps = np.diff((level > (quiet + loud) / 2).astype(int))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    assert len(starts) == len(ends) == 3
    assert 450 < np.diff(starts).min() < np.diff(starts).max() < 1050
    assert 300 < (ends - starts).min() < (ends - starts).max() < 700
    change = levels(crowd, seconds=0.2)
    change = change[50:] - change[:-50]  # in half a second
    assert change.max() > 30 and change.max() > 1.6 * -change.min()


@pytest.mark.slow
def test_a_crowd_is_never_silent_and_ends_quietly_at_minus_3_dbfs():
    for seed in range(3):
        crowd = laughter(8.5, seed=seed, people=12)
        assert crowd.shape == (8.5 * RATE,) and np.abs(crowd).max() == pytest.approx(PEAK)
        assert -65 < levels(crowd)[5:].min() < -50
        assert loudness(crowd, 8.4, 8.5) < -50


@pytest.mark.slow
def test_many_laugh_into_each_others_pauses(laughs):
    crowds = [outburst(laughter(8, seed=seed)) for seed in range(3)]
    dips = [np.median([np.ptp(levels(x)[25:90]) for x in each]) for each in (laughs, crowds)]
    assert dips[1] < 0.6 * dips[0]


@pytest.mark.slow
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_other_sample_rates_give_the_same_sound(rate):
    sung = singer([Note(0, 1, 57, 0.7)], "a", sample_rate=rate)
    played = piano([Note(0, 1, 57, 0.7)], sample_rate=rate)
    crowds = levels(laughter(8, rate, people=3), rate), levels(laughter(8, people=3))
    assert np.corrcoef(*(level[:800] for level in crowds))[0, 1] > 0.98
    assert sung.shape == played.shape == (2 * rate,)
    for sound in (sung, played):
        assert np.abs(sound).max() == pytest.approx(PEAK)
        pitch = librosa.yin(sound[rate // 4 : rate // 2], fmin=100, fmax=400, sr=rate)
        assert np.median(pitch) == pytest.approx(220, rel=0.02)


BAD_NOTES = {
    "note 0 has pitch 20: give 21 to 108": Note(0, 1, 20, 0.5),
    "note 0 has pitch nan: give 21 to 108": Note(0, 1, np.nan, 0.5),
    "note 0 has velocity 0: give 0.01 to 1": Note(0, 1, 60, 0),
    "note 0 has velocity 64: give 0.01 to 1": Note(0, 1, 60, 64),
    "note 0 has start -1: give 0 to 36000": Note(-1, 1, 60, 0.5),
    "note 0 has duration 0: give 0.01 to 36000": Note(0, 0, 60, 0.5),
    "note 0 has duration inf: give 0.01 to 36000": Note(0, np.inf, 60, 0.5),
}


@pytest.mark.parametrize("sentence", BAD_NOTES)
def test_a_note_that_cannot_be_played_is_named(sentence):
    with pytest.raises(ValueError) as error:
        piano([BAD_NOTES[sentence]])
    assert str(error.value) == sentence


def test_what_cannot_be_played_or_sung_is_said_in_one_sentence():
    a, b = Note(0, 1, 60, 0.5), Note(0.5, 1, 60, 0.5)
    for call, sentence in {
        lambda: piano([]): "there are no notes: give at least one Note",
        lambda: piano([a], sample_rate=100): "sample_rate is 100 Hz: give at least 8000",
        lambda: singer([], []): "there are no notes: give at least one Note",
        lambda: singer([a], "ae"): "1 notes come with 2 vowels: give one for each",
        lambda: singer([a], "x"): "'x' is not a vowel: choose from a, e, i, o, u",
        lambda: singer([Note(0, 1, 90, 0.5)], "a"): "note 0 has pitch 90: give 36 to 84",
        lambda: laughter(7.9): "seconds is 7.9: give 8 to 3600",
        lambda: laughter(np.nan): "seconds is nan: give 8 to 3600",
        lambda: laughter(9, people=0): "people is 0: give 1 to 1000",
        lambda: laughter(9, people=2.5): "people is 2.5: give 1 to 1000",
        lambda: laughter(9, sample_rate=100): "sample_rate is 100 Hz: give at least 8000",
        lambda: singer([a, b], "aa"): "note 1 starts before note 0 ends: sing one at once",
    }.items():
        with pytest.raises(ValueError) as error:
            call()
        assert str(error.value) == sentence
