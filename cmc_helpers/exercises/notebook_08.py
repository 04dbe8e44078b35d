"""Checks of notebook 08: from a spectrogram back to sound."""

import numpy as np

from cmc_helpers.exercises.checking import (
    CLOSE,
    exercise,
    expect,
    expect_equal,
    numbers,
    shown,
)


@exercise("08.1")
def _twin(answer):
    """No frame of 256 samples holds both sides of a gap that long: either may be turned over."""
    from cmc_helpers.features import FeatureConfig, magnitude_spectrogram

    config = FeatureConfig.preset("paper")
    for seed, gap in ((0, 640), (1, 1003)):
        waveform = np.random.default_rng(seed).standard_normal(64 * 30 + 256)
        waveform[gap : gap + 256] = 0
        asked = f"for {len(waveform)} samples, silent from {gap} to {gap + 255},"
        got = numbers(answer(waveform, gap), asked)
        expect(
            got.shape == waveform.shape,
            f"{asked} you return the shape {got.shape} instead of {waveform.shape}",
        )
        wanted = magnitude_spectrogram(waveform, config)
        made = magnitude_spectrogram(got, config)
        same = np.isclose(made, wanted, atol=1e-4).all(axis=1)  # float32: 1e-6 of some 10
        expect(same.all(), f"{asked} frame {same.argmin()} has another spectrum")
        for sign, name in ((1, "the waveform itself"), (-1, "its negative")):
            other = not np.allclose(got, sign * waveform, atol=1e-2)
            expect(other, f"{asked} you return {name}")
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
        expect_equal(answer(step, now, before, momentum), wanted, asked, why)
    return "momentum 0 is Griffin and Lim's own step, and all it costs is one waveform kept."


@exercise("08.3")
def _best_delay(answer):
    """Slaney, Naar and Lyon (1994): the cross-correlation, against NumPy's."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        pulse = rng.standard_normal(384)
        d = int(rng.integers(0, 193))
        summed = (-1) ** seed * 0.5 * pulse[d : d + 192] + 0.1 * rng.standard_normal(192)
        asked = f"for 384 samples of noise (seed {seed}) and 192 of a sum"
        why = "that delay has the largest sum of products, and a large negative one is no likeness"
        expect_equal(answer(pulse, summed), _delay(pulse, summed), asked, why)
    for seed in range(4):  # the sum is a copy of a soft place, and the loud one still wins
        rng = np.random.default_rng(seed)
        pulse = np.linspace(0.1, 3, 100) * rng.standard_normal(100) + 0.5
        summed = pulse[3:43] + 0.2
        asked = f"for 100 samples that grow louder (seed {seed}) and 40 of a sum"
        why = "no mean is taken off and no length divided out of the sum of products"
        expect_equal(answer(pulse, summed), _delay(pulse, summed), asked, why)
    return "this is what the first pass of the paper's method asks for every frame."


@exercise("08.4")
def _mend(answer):
    """A real signal's FFT, computed with NumPy's complex transform."""
    for seed in (0, 1):
        signal = np.random.default_rng(seed).standard_normal(512)
        whole = np.abs(np.fft.fft(signal))
        asked = f"for the FFT of 512 samples of noise (seed {seed}),"
        got = numbers(answer(whole[:257]), asked)
        expect(got.shape == (512,), f"{asked} you return the shape {got.shape} instead of (512,)")
        wrong = ~np.isclose(got, whole, rtol=CLOSE)
        point = int(wrong.argmax())
        yours, right = shown(got[point], whole[point])
        expect(
            not wrong.any(),
            f"{asked} point {point} is {yours}, but {right} is wanted: point 512 − k is the "
            "partner of point k, and points 0 and 256 have none",
        )
    return "bins 1 to 255 come twice, 0 and 256 once: 512 points. `irfft` does this for you."


def _delay(pulse, summed):
    return int(np.argmax(np.correlate(pulse, summed, mode="valid")))
