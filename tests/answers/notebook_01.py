"""Answers to the exercises of notebook 01: right ones, and plausible mistakes."""

from itertools import pairwise

import numpy as np


def neuron(w, b, x, y, factor=2, inner=lambda x: x, bent=lambda h: 1 - h**2):
    """The gradient of one neuron's squared error, and by its options the ways to get it wrong."""
    h = np.tanh(w * x + b)
    common = factor * (h - y) * bent(h)
    return common * inner(x), common


def step(theta, gradient, alpha, penalty, power=1, share=1.0):
    return theta - alpha * (gradient + share * penalty * theta**power)


def by_small_steps(w, b, x, y, d=1e-5):
    def e(w, b):
        return (np.tanh(w * x + b) - y) ** 2

    return (e(w + d, b) - e(w - d, b)) / (2 * d), (e(w, b + d) - e(w, b - d)) / (2 * d)


def in_place(theta, gradient, alpha, penalty):
    theta -= alpha * (gradient + penalty * theta)
    return theta


RIGHT = {
    "01.1": [
        lambda sizes: sum((n + 1) * m for n, m in pairwise(sizes)),
        lambda sizes: int(np.dot(sizes[:-1], sizes[1:]) + np.sum(sizes[1:])),
    ],
    "01.2": [
        lambda y_hat, y: np.mean((y_hat - y) ** 2),
        lambda y_hat, y: ((y - y_hat) ** 2).sum() / y.size,
        lambda y_hat, y: np.linalg.norm(y_hat - y) ** 2 / y.size,
        lambda y_hat, y: np.array([[np.mean((y_hat - y) ** 2)]]),
    ],
    "01.3": [
        neuron,
        lambda *given: np.array(neuron(*given)),
        lambda *given: list(neuron(*given)),
        by_small_steps,
    ],
    "01.4": [
        step,
        lambda theta, gradient, alpha, penalty: (1 - alpha * penalty) * theta - alpha * gradient,
        in_place,
    ],
}

# number: (the mistake, the answer that makes it, words of the counter-example)
WRONG = {
    "01.1": [
        ("no bias", lambda sizes: sum(n * m for n, m in pairwise(sizes)), "but 2 is wanted"),
        (
            "a bias for the inputs",
            lambda sizes: sum(n * m for n, m in pairwise(sizes)) + sum(sizes),
            "but 2 is wanted: every neuron but the inputs",
        ),
        (
            "one bias per layer",
            lambda sizes: sum(n * m + 1 for n, m in pairwise(sizes)),
            "for layers of [1, 4] neurons",
        ),
        (
            "the bias on the wrong side",
            lambda sizes: sum(n * (m + 1) for n, m in pairwise(sizes)),
            "for layers of [3, 1] neurons",
        ),
        ("neurons", lambda sizes: sum(sizes[1:]), "but 2 is wanted"),
        ("a product of all", lambda sizes: int(np.prod(sizes)) + sum(sizes[1:]), "[2, 4, 4, 2]"),
    ],
    "01.2": [
        ("summed", lambda y_hat, y: np.sum((y_hat - y) ** 2), "more probable"),
        ("over samples only", lambda y_hat, y: np.sum((y_hat - y) ** 2) / len(y), "(1, 4)"),
        ("σ, not σ²", lambda y_hat, y: np.sqrt(np.mean((y_hat - y) ** 2)), "more probable"),
        ("half of it", lambda y_hat, y: np.mean((y_hat - y) ** 2) / 2, "more probable"),
        ("absolute", lambda y_hat, y: np.mean(np.abs(y_hat - y)), "more probable"),
        ("about their own mean", lambda y_hat, y: np.var(y_hat - y), "above 0"),
        (
            "one for each output",
            lambda y_hat, y: np.mean((y_hat - y) ** 2, axis=0),
            "(4,), but one number is wanted",
        ),
        (
            "unbiased, as in a textbook",
            lambda y_hat, y: np.sum((y_hat - y) ** 2) / max(y.size - 1, 1),
            "more probable",
        ),
        ("rounded", lambda y_hat, y: round(np.mean((y_hat - y) ** 2), 2), "more probable"),
        (
            "divided by nothing",
            lambda y_hat, y: np.sum((y_hat - y) ** 2) / (y.size - 1),
            "is inf, but a finite number",
        ),
    ],
    "01.3": [
        (
            "no inner derivative",
            lambda *given: neuron(*given, inner=lambda x: 1),
            "for w = 0.5, b = -0.3, x = 2, y = 1",
        ),
        (
            "no derivative of tanh",
            lambda *given: neuron(*given, bent=lambda h: 1),
            "a small step to both sides",
        ),
        ("no factor 2", lambda *given: neuron(*given, factor=1), "a small step"),
        ("uphill and downhill", lambda *given: neuron(*given, factor=-2), "a small step"),
        (
            "the sigmoid's derivative",
            lambda *given: neuron(*given, bent=lambda h: h * (1 - h)),
            "a small step",
        ),
        ("the wrong way round", lambda *given: neuron(*given)[::-1], "for w = 0.5"),
        ("one number", lambda *given: neuron(*given)[0], "is one number, but the shape (2,)"),
        ("a set", lambda *given: set(neuron(*given)), "a set, which has no order"),
    ],
    "01.4": [
        ("no penalty", lambda *given: step(*given, share=0), "only the pull is left"),
        ("λ/2 θ", lambda *given: step(*given, share=0.5), "only the pull is left"),
        ("2λθ", lambda *given: step(*given, share=2), "only the pull is left"),
        ("θ squared", lambda *given: step(*given, power=2), "only the pull is left"),
        (
            "the pull without α",
            lambda theta, g, alpha, penalty: theta - alpha * g - penalty * theta,
            "only the pull is left",
        ),
        ("uphill", lambda theta, g, alpha, penalty: theta + alpha * (g + penalty * theta), "0.1"),
        (
            "the penalty itself",
            lambda theta, g, alpha, penalty: theta - alpha * (g + penalty / 2 * theta @ theta),
            "only the pull is left",
        ),
        ("the sign only", lambda *given: step(*given, power=0), "only the pull is left"),
        ("a column", lambda *given: step(*given)[:, None], "(2, 1), but the shape (2,)"),
    ],
}
