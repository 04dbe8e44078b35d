"""Answers to the exercises of notebook 07: right ones, and plausible mistakes."""

import librosa
import numpy as np

from cmc_helpers.features import GROUP_WIDTHS, a_weighting


def octaves(k):
    if k < 32:
        return k
    if k < 96:
        return 32 + (k - 32) // 2
    return 64 + (k - 96) // 4 if k < 224 else 96 + (k - 224) // 8


RIGHT = {
    "07.1": [
        lambda f: 20 * np.log10(a_weighting(f)),
        lambda f: librosa.A_weighting(np.maximum(f, 100)),
        lambda f: [20 * np.log10(a_weighting(np.array([one])).item()) for one in f],
    ],
    "07.2": [
        octaves,
        lambda k: np.repeat(np.arange(100), GROUP_WIDTHS)[k],
    ],
    "07.3": [
        lambda x: x[64:],
        lambda x: x[64 : 64 + (len(x) - 64) // 64 * 64],
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "07.1": [
        ("power, not amplitude", lambda f: 40 * np.log10(a_weighting(f)), "curve of power"),
        ("10 log₁₀", lambda f: 10 * np.log10(a_weighting(f)), "at 100 Hz"),
        ("amplitude, not decibels", a_weighting, "at 1000 Hz"),
        ("falls below 100 Hz", lambda f: librosa.A_weighting(f, min_db=None), "at 0 Hz"),
        ("0 dB below 100 Hz", lambda f: np.where(f < 100, 0, librosa.A_weighting(f)), "at 0 Hz"),
        ("one number for all", lambda f: librosa.A_weighting(np.maximum(f, 100))[:1], "shape (1,)"),
        (
            "the wrong way round",
            lambda f: librosa.A_weighting(np.maximum(f, 100))[::-1],
            "one gain",
        ),
        ("flat below 90 Hz", lambda f: librosa.A_weighting(np.maximum(f, 90)), "at 0 Hz"),
    ],
    "07.2": [
        ("all of one width", lambda k: k * 100 // 256, "for bin k = 31"),
        ("octaves one bin late", lambda k: k if k < 33 else 33 + (k - 33) // 2, "k = 33"),
        (
            "widths of 4 to the end",
            lambda k: octaves(min(k, 223)) + max(0, k - 220) // 4,
            "for bin k = 255",
        ),
        (
            "rounded",
            lambda k: octaves(k + 1) if k > 223 and k % 8 > 5 else octaves(k),
            "for bin k = 255",
        ),
    ],
    "07.3": [
        ("one sample", lambda x: x[1:], "frame 0 of your spectrogram is not frame 1"),
        ("one window", lambda x: x[256:], "(64,), which is no row of 256"),
        ("silenced, not dropped", lambda x: np.r_[np.zeros(64), x[64:]], "2 frames instead of 1"),
        ("the last frame", lambda x: x[:-64], "frame 0 of your spectrogram is not frame 1"),
        ("a column", lambda x: x[64:, None], "which is no row of 256"),
        ("a little louder", lambda x: 1.001 * x[64:], "frame 0 of your"),
    ],
}
