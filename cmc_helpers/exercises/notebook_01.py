"""Checks of notebook 01: parameters, likelihood, gradients and the weight penalty."""

import numpy as np

from cmc_helpers.exercises.checking import exercise, expect, expect_equal, listed, number, shown


@exercise("01.1")
def _parameters(answer):
    """Paper, section 2.1.1 (the parameter vector θ): built and counted."""
    for sizes in ((1, 1), (3, 1), (1, 4), (2, 4, 4, 2), (100, 200, 50), (5, 1, 1, 1, 5)):
        built = [np.zeros((n + 1, m)) for n, m in zip(sizes[:-1], sizes[1:], strict=True)]
        why = "every neuron but the inputs has a weight for each neuron before it, and one bias"
        wanted = sum(part.size for part in built)
        expect_equal(answer(list(sizes)), wanted, f"for layers of {list(sizes)} neurons", why)
    return "weights grow with the product of two neighbouring layers, biases with one layer only."


@exercise("01.2")
def _best_variance(answer):
    """Paper, section 2.1.2: mean and variance maximise the likelihood; the judge is SciPy."""
    from scipy.stats import norm

    for shape in ((1, 1), (5, 1), (1, 4), (20, 3)):
        random = np.random.default_rng(sum(shape))
        y = random.normal(size=shape)
        y_hat = y + random.uniform(0.2, 2.0, shape)  # a bias, too: nobody says its mean is 0
        asked = f"for predictions and data of the shape {shape}"
        got = number(answer(y_hat, y), asked)
        expect(got > 0, f"{asked} your σ² is {got:.6g}, but a variance is above 0")

        def log_likelihood(variance, y_hat=y_hat, y=y):
            return norm(y_hat, np.sqrt(variance)).logpdf(y).sum()

        for factor in (0.5, 2.0, 0.98, 1.02, 0.9999, 1.0001):
            mine, better = log_likelihood(got), log_likelihood(factor * got)
            yours, other = shown(got, factor * got, digits=6)
            P, more = shown(mine, better, digits=6)
            expect(
                mine > better,
                f"{asked} your σ² is {yours} with ln P = {P}, but SciPy finds the data more "
                f"probable at σ² = {other}: ln P = {more}",
            )
    return "the mean squared error per number: how sure a network may be is how wrong it has been."


@exercise("01.3")
def _neuron_gradient(answer):
    """Paper, section 2.3 (the chain rule); the oracle is a small step to both sides."""

    def error(w, b, x, y):
        return (np.tanh(w * x + b) - y) ** 2

    step = 1e-5
    for w, b, x, y in (
        (1.0, 0.0, 1.0, 0.0),
        (0.5, -0.3, 2.0, 1.0),
        (0.0, 0.0, 3.0, -1.0),
        (-2.0, 1.0, 0.0, 0.2),
        (1.0, 9.0, 1.0, -1.0),
    ):
        by_w = (error(w + step, b, x, y) - error(w - step, b, x, y)) / (2 * step)
        by_b = (error(w, b + step, x, y) - error(w, b - step, x, y)) / (2 * step)
        asked = f"for w = {w:g}, b = {b:g}, x = {x:g}, y = {y:g}"
        why = f"a small step to both sides changes e by {by_w:.6g} per w and by {by_b:.6g} per b"
        expect_equal(answer(w, b, x, y), [by_w, by_b], asked, why)
    return "a neuron bent to its end (wx + b = ±10) learns nothing, however wrong it is."


@exercise("01.4")
def _penalised_step(answer):
    """Paper, sections 2.3 and 6.1: a step down E + λ/2 ‖θ‖², E having the gradient g at θ."""
    cases = (
        ([1.0, -2.0], [0.0, 0.0], 0.1, 0.5, "with no gradient at all, only the pull is left"),
        ([1.0, -2.0], [3.0, 1.0], 0.1, 0.0, "with λ = 0 this is equation (8)"),
        ([0.0, 0.0, 0.0], [1.0, 2.0, -1.0], 0.5, 9.0, "at θ = 0 nothing pulls"),
        ([2.0, -1.0, 0.5], [0.3, -0.2, 4.0], 0.01, 0.2, "so say small steps to both sides"),
    )
    for theta, g, alpha, penalty, why in cases:
        theta, g = np.array(theta), np.array(g)

        def error(moved, theta=theta, g=g, penalty=penalty):
            return g @ (moved - theta) + penalty / 2 * np.sum(moved**2)

        sides = [(theta + d, theta - d) for d in 1e-4 * np.eye(len(theta))]
        gradient = np.array([(error(right) - error(left)) / 2e-4 for right, left in sides])
        asked = f"for θ = {listed(theta)}, g = {listed(g)}, α = {alpha:g}, λ = {penalty:g}"
        expect_equal(answer(theta, g, alpha, penalty), theta - alpha * gradient, asked, why)
    return "each step keeps the share 1 − αλ of every weight: the penalty is also called decay."
