"""Answers to the exercises of notebook 04: right ones, and plausible mistakes."""

import numpy as np
from scipy.special import expit, logit


def step(x, h, c, W, U, b, order="ifgo", squash=np.tanh):
    """The LSTM step, and by its options the ways to get it wrong."""
    z = dict(zip(order, np.split(x @ W + h @ U + b, 4, axis=-1), strict=True))
    c = expit(z["f"]) * c + expit(z["i"]) * np.tanh(z["g"])
    return expit(z["o"]) * squash(c), c


def by_halves(x, h, c, W, U, b):
    u = h.shape[-1]
    z = x @ W + h @ U + b
    i, f, o = (expit(z[..., k * u : (k + 1) * u]) for k in (0, 1, 3))
    c = f * c + i * np.tanh(z[..., 2 * u : 3 * u])
    return [o * np.tanh(c), c]


def late(x, h, c, W, U, b):
    """Shows the old cell state."""
    new_h, new_c = step(x, h, c, W, U, b)
    return step(x, h, c, W, U, b)[0] / np.tanh(new_c) * np.tanh(c), new_c


def candidate_by_sigmoid(x, h, c, W, U, b):
    i, f, g, o = np.split(expit(x @ W + h @ U + b), 4, axis=-1)
    c = f * c + i * g
    return o * np.tanh(c), c


def one_gate(x, h, c, W, U, b):
    """Writes with 1 − f, as a GRU does."""
    _, f, g, o = np.split(x @ W + h @ U + b, 4, axis=-1)
    c = expit(f) * c + (1 - expit(f)) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def first_row_only(x, h, c, W, U, b):
    return step(x[0], h[0], c[0], W, U, b)


def size(n, u, layers, outputs):
    return sum(4 * ((u if k else n) + u + 1) * u for k in range(layers)) + (u + 1) * outputs


def free(step, x0, state, n):
    made, x = [], x0
    for _ in range(n):
        x, state = step(x, state)
        made.append(x)
    return made


def state_dropped(step, x0, state, n):
    made, x = [], x0
    for _ in range(n):
        x, _ = step(x, state)
        made.append(x)
    return made


def not_fed_back(step, x0, state, n):
    made = []
    for _ in range(n):
        x, state = step(x0, state)
        made.append(x)
    return made


def with_the_start(step, x0, state, n):
    return [x0, *free(step, x0, state, n - 1)]


def recomputed(step, x0, state, n):
    """Begins anew for every sample, like the program of 2017."""
    return [free(step, x0, state, k)[-1] for k in range(1, n + 1)]


def by_columns(x, h, c, W, U, b):
    """With two axes, as the docstring has it."""
    u = h.shape[1]
    z = np.dot(x, W) + np.dot(h, U) + b
    c = expit(z[:, u : 2 * u]) * c + expit(z[:, :u]) * np.tanh(z[:, 2 * u : 3 * u])
    return expit(z[:, 3 * u :]) * np.tanh(c), c


def yielded(step, x, state, n):
    for _ in range(n):
        x, state = step(x, state)
        yield x


RIGHT = {
    "04.1": [
        lambda half_life: logit(0.5 ** (1 / half_life)),
        lambda half_life: -np.log(2 ** (1 / half_life) - 1),
        lambda n: -np.log(np.expm1(np.log(2) / n)),
    ],
    "04.2": [
        step,
        by_halves,
        by_columns,
        lambda *given: np.stack(step(*given)),
    ],
    "04.3": [
        size,
        lambda n, u, L, m: 4 * u * (n + u + 1) + (L - 1) * 4 * u * (2 * u + 1) + u * m + m,
    ],
    "04.4": [
        free,
        lambda *given: np.array(free(*given)),
        yielded,
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "04.1": [
        ("the gate, not the bias", lambda n: 0.5 ** (1 / n), "for a half-life of 1"),
        ("the sign", lambda n: np.log(2 ** (1 / n) - 1), "for a half-life of 2"),
        ("the logarithm of n", lambda n: np.log(n), "for a half-life of 2 your bias 0.6931"),
        ("time constant instead of half-life", lambda n: -np.log(np.exp(1 / n) - 1), "not 0.5"),
        ("Keras' own", lambda n: 1.0, "σ(b) = 0.7311"),
        ("wide open", lambda n: 50.0, "is 1, not 0.5"),
        ("the large n of the book", lambda n: np.log(n / np.log(2)), "for a half-life of 1"),
        ("two digits", lambda n: round(-np.log(2 ** (1 / n) - 1), 2), "for a half-life of"),
        ("nothing", lambda n: np.nan, "is nan, but a finite number"),
    ],
    "04.2": [
        ("TensorFlow 1", lambda *given: step(*given, order="igfo"), "the order of the four blocks"),
        ("forget first", lambda *given: step(*given, order="figo"), "the order of the four blocks"),
        ("PyTorch's names, wrong end", lambda *given: step(*given, order="ofgi"), "b_i = 2"),
        (
            "no tanh of c",
            lambda *given: step(*given, squash=lambda c: c),
            "for the new h",
        ),
        ("a candidate between 0 and 1", candidate_by_sigmoid, "g = 0 adds nothing"),
        ("the old c shown", late, "for the new h"),
        ("a GRU's gate", one_gate, "b_i = 2, b_f = 0"),
        ("c before h", lambda *given: step(*given)[::-1], "for the new h"),
        ("h alone", lambda *given: step(*given)[0], "not a pair h, c"),
        ("one of the batch", first_row_only, "shape (2,), but the shape (1, 2)"),
        (
            "the bias left out",
            lambda x, h, c, W, U, b: step(x, h, c, W, U, 0 * b),
            "b_i = 2",
        ),
        (
            "the recurrent weights left out",
            lambda x, h, c, W, U, b: step(x, h, c, W, 0 * U, b),
            "so say equations",
        ),
        (
            "three things",
            lambda *given: (step(*given)[0], *step(*given)),
            "returns a tuple, not a pair",
        ),
    ],
    "04.3": [
        ("no bias", lambda n, u, L, m: size(n, u, L, m) - 4 * u * L - m, "but 14 is wanted"),
        (
            "one cell in every layer",
            lambda n, u, L, m: 4 * (n + u + 1) * u + (u + 1) * m,
            "2 layers of u = 2",
        ),
        (
            "n inputs in every layer",
            lambda n, u, L, m: L * 4 * (n + u + 1) * u + (u + 1) * m,
            "2 layers of u = 2",
        ),
        (
            "a plain RNN",
            lambda n, u, L, m: sum(((u if k else n) + u + 1) * u for k in range(L)) + (u + 1) * m,
            "but 14 is wanted",
        ),
        ("three gates", lambda n, u, L, m: 3 * (n + u + 1) * u + (u + 1) * m, "your answer is 11"),
        (
            "the last layer forgotten",
            lambda n, u, L, m: size(n, u, L, m) - (u + 1) * m,
            "your answer is 12",
        ),
    ],
    "04.4": [
        ("the state dropped", state_dropped, "carry it on"),
        ("x0 again and again", not_fed_back, "feed it back"),
        ("the start among the results", with_the_start, "not x0"),
        ("begun anew for every sample", recomputed, "second call has the state 10"),
        ("the last one only", lambda *given: free(*given)[-1], "is one number, but the shape (4,)"),
        ("one too many", lambda s, x0, h, n: free(s, x0, h, n + 1), "shape (5,)"),
        ("one too many, hidden", lambda s, x0, h, n: free(s, x0, h, n + 1)[:n], "5 times"),
        ("without step", lambda s, x0, h, n: [x0] * n, "never call step"),
        (
            "the state among the results",
            lambda s, x0, h, n: [(x, h) for x in free(s, x0, h, n)],
            "shape (4, 2)",
        ),
        ("the wrong way round", lambda *given: free(*given)[::-1], "at position 0"),
        ("called without a state", lambda step, x0, state, n: [step(x0)], "missing 1 required"),
        (
            "begun with the state",
            lambda step, x0, state, n: free(step, state, x0, n),
            "your first call is step(10, 1)",
        ),
        (
            "in columns",
            lambda *given: [[x] for x in free(*given)],
            "shape (4, 1), but the shape (4,)",
        ),
    ],
}
