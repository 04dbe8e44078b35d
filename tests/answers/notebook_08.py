"""Answers to the exercises of notebook 08: right ones, and plausible mistakes."""

import numpy as np


def turned_over(waveform, gap):
    return np.concatenate([waveform[:gap], -waveform[gap:]])


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
    ],
    "08.4": [
        lambda half: np.concatenate([half, half[-2:0:-1]]),
        lambda half: half[np.minimum(np.arange(512), 512 - np.arange(512))],
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
    ],
    "08.4": [
        ("the code of 2017", lambda half: np.concatenate([half[:256], half[255::-1]]), "point 256"),
        ("doubles both ends", lambda half: np.concatenate([half, half[::-1]]), "(514,)"),
        ("not turned round", lambda half: np.concatenate([half, half[1:256]]), "point 257"),
    ],
}
