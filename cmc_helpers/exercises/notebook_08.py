"""Checks of notebook 08: from a spectrogram back to sound."""

import numpy as np

from cmc_helpers.exercises.checking import exercise, expect, expect_equal, numbers


@exercise("08.1")
def _twin(answer):
    """No frame of 256 samples holds both sides of a gap that long: either may be turned over."""
    from cmc_helpers.features import FeatureConfig, magnitude_spectrogram

    config = FeatureConfig.preset("paper")
    for seed, gap in ((0, 640), (1, 1003)):
        waveform = np.random.default_rng(seed).standard_normal(64 * 30 + 256)
        waveform[gap : gap + 256] = 0
        asked = f"for a waveform of {len(waveform)} samples with a gap from sample {gap} on"
        got = numbers(answer(waveform.copy(), gap), asked)
        expect(
            got.shape == waveform.shape,
            f"{asked} you return the shape {got.shape} instead of {waveform.shape}",
        )
        wanted = magnitude_spectrogram(waveform, config)
        same = np.isclose(magnitude_spectrogram(got, config), wanted, atol=1e-6).all(axis=1)
        expect(same.all(), f"{asked} frame {same.argmin()} has another spectrum")
        for sign, name in ((1, "the waveform itself"), (-1, "its negative")):
            expect(not np.allclose(got, sign * waveform), f"{asked} you return {name}")
    return "what no frame holds together, no frame can tell apart."


@exercise("08.2")
def _fast_step(answer):
    """Perraudin, Balazs and Søndergaard (2013): run ahead, then project. `step` may be anything."""
    rng = np.random.default_rng(0)

    def step(waveform):
        return np.tanh(waveform) + waveform[::-1]

    for momentum in (0.0, 0.5, 0.99):
        now, before = rng.standard_normal((2, 9))
        asked = f"with momentum {momentum}"
        why = "project the point ahead of `now`, as far as the last step led, times the momentum"
        wanted = step(now + momentum * (now - before))
        expect_equal(answer(step, now, before, momentum), wanted, asked, why, tolerance=1e-9)
    return "momentum 0 is Griffin and Lim's own step, and all it costs is one waveform kept."


@exercise("08.3")
def _best_delay(answer):
    """Slaney, Naar and Lyon (1994): the cross-correlation, against NumPy's."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        pulse = rng.standard_normal(384)
        d = int(rng.integers(0, 193))
        summed = (-1) ** seed * 0.5 * pulse[d : d + 192] + 0.1 * rng.standard_normal(192)
        likeness = np.correlate(pulse, summed, mode="valid")
        wanted = int(np.argmax(likeness))
        asked = f"for 384 samples of noise (seed {seed}) and 192 of a sum"
        why = "that delay has the largest sum of products, and a large negative one is no likeness"
        expect_equal(answer(pulse, summed), wanted, asked, why)
    return "this is what the first pass of the paper's method asks for every frame."


@exercise("08.4")
def _mend(answer):
    """A real signal's FFT, computed with NumPy's complex transform."""
    for seed in (0, 1):
        signal = np.random.default_rng(seed).standard_normal(512)
        whole = np.abs(np.fft.fft(signal))
        asked = f"for the FFT of 512 samples of noise (seed {seed})"
        got = numbers(answer(whole[:257]), asked)
        expect(got.shape == (512,), f"{asked} you return the shape {got.shape} instead of (512,)")
        wrong = np.flatnonzero(~np.isclose(got, whole))
        expect(
            not len(wrong),
            f"{asked} point {wrong[0] if len(wrong) else 0} is wrong: point 512 − k is the "
            "partner of point k, and points 0 and 256 have none",
        )
    return "bins 1 to 255 come twice, 0 and 256 once: 512 points. `irfft` does this for you."
