"""Checks of notebook 07: from a waveform to 100 features."""

import numpy as np

from cmc_helpers.exercises.checking import counted, exercise, expect, expect_equal, numbers


@exercise("07.1")
def _gain(answer):
    """Paper, section 2.4.1: A-weighting, flat below 100 Hz so that it can be undone."""
    import librosa

    def curve(*frequencies):
        return librosa.A_weighting(np.array(frequencies)).round(3) + 0.0  # no −0

    for f in (1000.0, 100.0, 200.0, 440.0, 2500.0, 4000.0):
        asked, wanted = f"at {f:.0f} Hz", curve(f)
        got = numbers(answer(np.array([f])), asked)
        power = np.all(np.abs(got - 2 * wanted) < 0.02)
        why = "yours is the curve of power, not of amplitude" if power else "so says librosa"
        _expect_decibels(got, wanted, asked, why)
    why = "below 100 Hz the curve stays what it is there, or undoing it would boost all rumble"
    for f in (0.0, 1.0, 50.0, 99.0):
        _expect_decibels(answer(np.array([f])), curve(100.0), f"at {f:.0f} Hz", why)
    many, why = [50.0, 100.0, 1000.0], "one gain per frequency"
    wanted = curve(100.0, 100.0, 1000.0)
    _expect_decibels(answer(np.array(many)), wanted, f"at {many} Hz", why)
    return "−19.1 dB at 100 Hz and below, 0 dB at 1 kHz, and librosa's curve in between."


@exercise("07.2")
def _feature_of_bin(answer):
    """Paper, section 2.4.1: 32 bins alone, then octaves of 32 groups; the test is a single bin."""
    from cmc_helpers.features import reduce_magnitudes

    lit = reduce_magnitudes(np.eye(256)).argmax(axis=1)  # row k: only bin k is not silent
    for k in (0, 31, 32, 33, 95, 96, 99, 223, 224, 255, *range(256)):
        why = f"a spectrum in which only bin {k} sounds lights up feature {lit[k]}"
        expect_equal(answer(k), lit[k], f"for bin k = {k}", why)
    return "the higher, the wider: a feature spans 16 Hz at the bottom and 125 Hz at the top."


@exercise("07.3")
def _drop_first_frame(answer):
    """A sound and what is left of it after one hop share all frames but the first."""
    for n in (320, 1000):
        waveform = np.random.default_rng(n).standard_normal(n)
        wanted = _spectrogram(waveform)[1:]
        asked = f"for a waveform of {n} samples,"
        got = numbers(answer(waveform), asked)
        expect(
            got.ndim == 1 and len(got) >= 256,
            f"{asked} you return the shape {got.shape}, which is no row of 256 samples or more",
        )
        made = _spectrogram(got)
        expect(
            made.shape == wanted.shape,
            f"{asked} the spectrogram of what you return has {counted(len(made), 'frame')} "
            f"instead of {len(wanted)}, one fewer than before",
        )
        same = np.isclose(made, wanted, atol=1e-4).all(axis=1)  # float32: 1e-6 of some 10
        expect(
            same.all(),
            f"{asked} frame {same.argmin()} of your spectrogram is not frame {same.argmin() + 1} "
            "of the original: a frame begins 64 samples after the one before",
        )
    return "a shift by one hop is a shift by one frame, so frames know nothing of absolute time."


def _expect_decibels(got, wanted, asked, why):
    """To a hundredth of a decibel, which is 0.1 % of an amplitude."""
    expect_equal(got, wanted, asked, why, 0.01 / np.maximum(1, np.abs(wanted)))


def _spectrogram(waveform):
    """|STFT| without weighting, as in the paper's section 2.4.1; (n,) → (T, 257)."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 256)[::64]
    return np.abs(np.fft.rfft(frames * np.hamming(256), 512))
