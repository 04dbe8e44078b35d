"""Answers to the exercises of notebook 08: right ones, and plausible mistakes."""

import numpy as np


def turned_over(waveform, gap):
    return np.concatenate([waveform[:gap], -waveform[gap:]])


def by_fft(pulse, summed):
    size = len(pulse) + len(summed)
    likeness = np.fft.irfft(np.fft.rfft(pulse, size) * np.fft.rfft(summed, size).conj(), size)
    return likeness[: len(pulse) - len(summed) + 1].argmax()


def by_cosine(pulse, summed):
    places = np.lib.stride_tricks.sliding_window_view(pulse, len(summed))
    return np.argmax(places @ summed / np.linalg.norm(places, axis=1))


def by_distance(pulse, summed):
    places = np.lib.stride_tricks.sliding_window_view(pulse, len(summed))
    return np.argmin(np.sum((places - summed) ** 2, axis=1))


def doubled(half):
    half *= 2
    return np.concatenate([half, half[-2:0:-1]])


RIGHT = {
    "08.1": [turned_over, lambda x, gap: np.where(np.arange(len(x)) < gap + 200, -x, x)],
    "08.2": [
        lambda step, now, before, momentum: step(now + momentum * (now - before)),
        lambda step, now, before, momentum: step((1 + momentum) * now - momentum * before),
    ],
    "08.3": [
        lambda pulse, summed: np.argmax(np.correlate(pulse, summed, mode="valid")),
        lambda pulse, summed: max(
            range(len(pulse) - len(summed) + 1),
            key=lambda d: pulse[d : d + len(summed)] @ summed,
        ),
        by_fft,
    ],
    "08.4": [
        lambda half: np.concatenate([half, half[-2:0:-1]]),
        lambda half: half[np.minimum(np.arange(512), 512 - np.arange(512))],
        lambda half: np.fft.fft(np.fft.irfft(half)),
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "08.1": [
        ("itself", lambda x, gap: x, "the waveform itself"),
        ("its negative", lambda x, gap: -x, "its negative"),
        ("turned in time", lambda x, gap: x[::-1], "has another spectrum"),
        ("cut at the wrong place", lambda x, gap: turned_over(x, 200), "has another spectrum"),
        ("cut off", lambda x, gap: x[:gap], "instead of"),
        ("hardly another", lambda x, gap: x + 1e-7, "the waveform itself"),
        ("a quiet hiss", lambda x, gap: x + 0.02 * np.cos(np.arange(len(x))), "another spectrum"),
    ],
    "08.2": [
        ("no momentum", lambda step, now, before, m: step(now), "with momentum 0.5"),
        ("runs back", lambda step, now, before, m: step(now - m * (now - before)), "0.5"),
        (
            "runs after the step",
            lambda step, now, before, m: step(now) + m * (now - before),
            "with momentum 0.5",
        ),
        ("forgets to project", lambda step, now, before, m: now + m * (now - before), "0.0"),
    ],
    "08.3": [
        ("always in place", lambda pulse, summed: 96, "seed"),
        (
            "the largest magnitude",
            lambda pulse, summed: np.argmax(np.abs(np.correlate(pulse, summed, mode="valid"))),
            "no likeness",
        ),
        (
            "the likeness itself",
            lambda pulse, summed: np.correlate(pulse, summed, mode="valid").max(),
            "largest sum of products",
        ),
        ("normalised", by_cosine, "no length divided out"),
        ("the nearest", by_distance, "seed 1"),
        (
            "means taken off",
            lambda p, s: np.argmax(np.correlate(p - p.mean(), s - s.mean(), mode="valid")),
            "no mean is taken off",
        ),
        (
            "windows of the lesson",
            lambda p, s: max(range(193), key=lambda d: p[d : d + 192] @ s[: len(p[d : d + 192])]),
            "",
        ),
        (
            "backwards",
            lambda p, s: len(p) - len(s) - np.argmax(np.correlate(p, s, mode="valid")),
            "seed 0",
        ),
    ],
    "08.4": [
        ("the code of 2017", lambda half: np.concatenate([half[:256], half[255::-1]]), "point 256"),
        ("doubles both ends", lambda half: np.concatenate([half, half[::-1]]), "(514,)"),
        ("not turned round", lambda half: np.concatenate([half, half[1:256]]), "point 257"),
        ("complex", lambda half: np.concatenate([half, half[-2:0:-1]]) * 1j, "complex, but real"),
        ("changed on the way", doubled, "point 0 is"),
    ],
}
