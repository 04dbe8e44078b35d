"""Answers to the exercises of notebook 03: right ones, and plausible mistakes."""

import math

import numpy as np


def step(x, h, layers):
    new, below = [], x
    for own, (Wx, Wh, b) in zip(h, layers, strict=True):
        below = np.tanh(below @ Wx + own @ Wh + b)
        new.append(below)
    return new


def step_reading(below_of):
    """A step whose layer l reads below_of(x, h, new, l)."""

    def wrong(x, h, layers):
        new = []
        for number, (own, (Wx, Wh, b)) in enumerate(zip(h, layers, strict=True)):
            new.append(np.tanh(below_of(x, h, new, number) @ Wx + own @ Wh + b))
        return new

    return wrong


def step_no_own(x, h, layers):
    new, below = [], x
    for Wx, _, b in layers:
        below = np.tanh(below @ Wx + b)
        new.append(below)
    return new


def step_linear(x, h, layers):
    new, below = [], x
    for own, (Wx, Wh, b) in zip(h, layers, strict=True):
        below = below @ Wx + own @ Wh + b
        new.append(below)
    return new


def memory(w):
    k = 1
    while abs(w) ** k >= 0.01:
        k += 1
    return k


def norm_of(gradients):
    return np.sqrt(sum(np.sum(g**2) for g in gradients))


def clip(gradients, c):
    norm = norm_of(gradients)
    return [g * (c / norm) if norm > c else g for g in gradients]


def step_in_place(x, h, layers):
    for number, (Wx, Wh, b) in enumerate(layers):
        h[number] = np.tanh((h[number - 1] if number else x) @ Wx + h[number] @ Wh + b)
    return h


def step_yielding(x, h, layers):
    for own, (Wx, Wh, b) in zip(h, layers, strict=True):
        x = np.tanh(x @ Wx + own @ Wh + b)
        yield x


def as_pytorch(gradients, c):
    """clip_grad_norm_ of PyTorch, which never divides by zero."""
    return [g * min(1.0, c / (norm_of(gradients) + 1e-6)) for g in gradients]


def turned(gradients, c):
    """One number a little longer, all together of norm c."""
    new = [np.array(g) for g in gradients]
    new[0].flat[0] *= 1.001
    return clip(new, c) if norm_of(gradients) > c else gradients


RIGHT = {
    "03.1": [
        step,
        lambda x, h, layers: tuple(step(x, h, layers)),
        step_in_place,
        step_yielding,
    ],
    "03.2": [
        lambda i, T, T_hat: sum(s <= i < s + T_hat for s in range(1, T - T_hat + 2)),
        lambda i, T, T_hat: min(i, T_hat, T - T_hat + 1, T - i + 1),
    ],
    "03.3": [
        memory,
        lambda w: int(np.floor(np.log(0.01) / np.log(abs(w)))) + 1,
        lambda w: math.floor(math.log(0.01, abs(w))) + 1,
    ],
    "03.4": [
        clip,
        lambda g, c: [a * min(1.0, c / (norm_of(g) or 1.0)) for a in g],
        as_pytorch,
        lambda gradients, c: (g for g in clip(gradients, c)),
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "03.1": [
        (
            "the old state of the layer below",
            step_reading(lambda x, h, new, i: h[i - 1] if i else x),
            "the new state of the layer below",
        ),
        ("no state of its own", step_no_own, "layer 1: your answer is"),
        ("no tanh", step_linear, "it reads x and its own state of before"),
        (
            "the topmost only",
            lambda x, h, layers: step(x, h, layers)[-1:],
            "a list of 2 states is wanted, but 1 came",
        ),
        (
            "upside down",
            lambda x, h, layers: step(x, h, layers)[::-1],
            "layer 1: your answer is",
        ),
        (
            "x for every layer",
            step_reading(lambda x, h, new, i: x),
            "your function stops at",
        ),
        (
            "layers by the letter of the paper",
            step_reading(lambda x, h, new, i: new[i - 2] if i > 1 else (new[0] if i else x)),
            "for 3 layers of 3, 3, 3 units, layer 3:",
        ),
        ("one array", lambda x, h, layers: step(x, h, layers)[0][0, 0], "a single thing came"),
        (
            "a row for a batch",
            lambda x, h, layers: [new[0] for new in step(x, h, layers)],
            "shape (2,), but the shape (1, 2)",
        ),
    ],
    "03.2": [
        ("always T̂", lambda i, T, T_hat: T_hat, "for i = 1, T = 6, T̂ = 3"),
        ("every window", lambda i, T, T_hat: T - T_hat + 1, "for i = 1"),
        ("the end forgotten", lambda i, T, T_hat: min(i, T_hat), "for i = 5, T = 6, T̂ = 3"),
        (
            "few windows forgotten",
            lambda i, T, T_hat: min(i, T_hat, T - i + 1),
            "[1, 2, 3, 4, 5] is all there is",
        ),
        (
            "counted from 0",
            lambda i, T, T_hat: sum(i in range(s, s + T_hat) for s in range(T - T_hat + 1)),
            "the windows are [1, 2, 3] to [4, 5, 6]",
        ),
        (
            "no window for the last sample",
            lambda i, T, T_hat: sum(s <= i < s + T_hat for s in range(1, T - T_hat + 1)),
            "for i = 4, T = 6",
        ),
        ("side by side", lambda i, T, T_hat: 1, "for i = 2"),
    ],
    "03.3": [
        ("the last that is above", lambda w: memory(w) - 1, "for w = 0.5"),
        ("not rounded", lambda w: np.log(0.01) / np.log(abs(w)), "but 7 is wanted"),
        ("the sign forgotten", lambda w: memory(w) if w > 0 else 1, "for w = -0.9"),
        (
            "the logarithm of a negative number",
            lambda w: np.floor(np.log(0.01) / np.log(w)) + 1,
            "your answer is nan",
        ),
        ("what is left", lambda w: abs(w) ** memory(w), "but 7 is wanted"),
        (
            "10 % instead of 1 %",
            lambda w: int(np.log(0.1) / np.log(abs(w))) + 1,
            "are 0.0078 apart",
        ),
        ("a straight line", lambda w: int(0.99 / (1 - abs(w))) + 1, "for w = 0.5"),
        ("rounded", lambda w: max(1, round(np.log(0.01) / np.log(abs(w)))), "for w = 0.6"),
        ("at least two", lambda w: max(2, memory(w)), "for w = 0.004"),
    ],
    "03.4": [
        (
            "each on its own",
            lambda gradients, c: [clip([g], c)[0] for g in gradients],
            "two arrays of norms 3 and 4, c = 1, the norm of all your numbers together is 1.414",
        ),
        (
            "every number",
            lambda gradients, c: [np.clip(g, -c, c) for g in gradients],
            "together is 1.414",
        ),
        (
            "short ones made longer",
            lambda gradients, c: [g * c / (norm_of(gradients) or 1.0) for g in gradients],
            "nothing is to be changed",
        ),
        (
            "zeros divided by zero",
            lambda gradients, c: [
                g / norm_of(gradients) * min(norm_of(gradients), c) for g in gradients
            ],
            "not finite",
        ),
        (
            "the root forgotten",
            lambda gradients, c: [
                g * min(1.0, c / (norm_of(gradients) ** 2 or 1)) for g in gradients
            ],
            "together is 0.2",
        ),
        (
            "the other way",
            lambda gradients, c: [-g for g in clip(gradients, c)],
            "its cosine with the old one is -1",
        ),
        (
            "one long vector",
            lambda gradients, c: [np.concatenate([g.ravel() for g in clip(gradients, c)])],
            "a list of 2 arrays is wanted, but 1 came",
        ),
        ("the norm", lambda gradients, c: float(norm_of(gradients)), "a single thing came"),
        (
            "a little too long",
            lambda gradients, c: [1.0001 * g for g in clip(gradients, c)],
            "together is 1.0001, but c = 1 is",
        ),
        ("a little turned", turned, "cosine with the old one is 0.9999999, not 1"),
        (
            "the sum of the norms",
            lambda gradients, c: [
                g * min(1, c / (sum(map(np.linalg.norm, gradients)) or 1)) for g in gradients
            ],
            "together is 0.7143, but c = 1 is wanted",
        ),
    ],
}
