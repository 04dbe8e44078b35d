"""Checks of notebook 02: mixtures, their log-density, their widths and the tempered subset."""

import numpy as np

from cmc_helpers.exercises.checking import exercise, expect, expect_equal, listed, numbers


@exercise("02.1")
def _one_bell(answer):
    """Paper, section 2.1.2: what a single Gaussian makes of a mixture; the oracle integrates."""
    cases = [
        ([1.0], [2.0], [0.5], "one bell is best fitted by itself"),
        ([0.5, 0.5], [0.0, 0.0], [1.0, 3.0], "variances are averaged, (1 + 9) / 2, not widths"),
        ([0.5, 0.5], [-1.0, 1.0], [0.1, 0.1], "it must reach from one mean to the other"),
        ([0.2, 0.8], [0.0, 10.0], [1.0, 1.0], "the heavier component pulls harder"),
        ([0.2, 0.5, 0.3], [5.0, 6.0, 8.0], [0.5, 0.2, 1.0], "so says the integral of the density"),
    ]
    for weights, means, scales, why in cases:
        asked = f"for weights {weights}, means {means} and widths {scales}"
        got = answer(*map(np.array, (weights, means, scales)))
        expect_equal(got, _mean_and_width(weights, means, scales), asked, why)
    return "its variance is that inside the components plus that between their means."


@exercise("02.2")
def _own_log_density(answer):
    """Paper, section 2.1.2: a mixture per dimension, 3·K·m numbers; the oracle is SciPy."""
    from scipy.special import logsumexp
    from scipy.stats import norm

    each = "sum over components inside each logarithm, then over dimensions"
    product = "a product of 1000 densities is too small for a computer, their logarithms are not"
    narrow = "so far out a single narrow bell is 0 to a computer, its logarithm is not"
    for K, m, shrink, why in (
        (1, 1, 1, "a single bell, as SciPy's norm"),
        (1, 3, 1, "logarithms of densities add up over dimensions"),
        (2, 1, 1, each),
        (2, 3, 1, each),
        (5, 1000, 1, product),
        (5, 100, 50, narrow),
    ):
        random = np.random.default_rng([K, m])
        weights = random.dirichlet(np.ones(K), m).T
        means, y = random.normal(size=(K, m)), random.normal(size=m)
        scales = random.uniform(0.5, 2.0, (K, m)) / shrink
        wanted = logsumexp(norm(means, scales).logpdf(y), b=weights, axis=0).sum()
        asked = f"for K = {K}, m = {m} and widths around {1 / shrink:g}"
        expect_equal(answer(y, weights, means, scales), wanted, asked, why)
    return "every dimension makes its own choice, so their logarithms add up."


@exercise("02.3")
def _fitted_sigma(answer):
    """Paper, section 2.1.2, with σ to the power m; the oracle is a numerical minimum."""
    from scipy.optimize import minimize_scalar

    random = np.random.default_rng(3)
    cases = [
        (np.array([[3.0, 4.0]]), "one residual of length 5 in two dimensions"),
        (np.array([[2.0], [-2.0]]), "residuals are measured from 0, the known mean"),
        (np.array([[1.0, 1.0], [3.0, 3.0]]), "squares are averaged, (1 + 9) / 2"),
        (random.normal(1.0, 0.1, (3, 2)), "a residual has its mean subtracted already"),
        (random.normal(0.0, 0.1, (200, 100)), "so says a search for the smallest E"),
    ]
    for residuals, why in cases:
        N, m = residuals.shape
        total = np.sum(residuals**2)

        def E(log_sigma, total=total, n=N * m):
            return n * log_sigma + total / (2 * np.exp(2 * log_sigma))

        wanted = np.exp(minimize_scalar(E, bracket=(-3.0, 1.0)).x)
        shown = residuals.tolist() if residuals.size < 5 else f"of shape {residuals.shape}"
        expect_equal(answer(residuals), wanted, f"for residuals {shown}", why)
    return "the root of the mean square over all N·m numbers; without the mean over m, √m too much."


@exercise("02.4")
def _tempered_subset(answer):
    """Paper, section 2.1.2: S, the largest π̂ with a sum up to τ, and always the first."""
    above_1 = [0.4, 0.2, 0.15, 0.15, 0.1]
    cases = [
        ([0.5, 0.3, 0.2], 0.9, "0.5 + 0.3 is within 0.9, with 0.2 more it would not be"),
        ([0.5, 0.3, 0.2], 0.6, "the component that crosses τ stays out"),
        ([0.5, 0.3, 0.2], 0.2, "the first always belongs to S"),
        ([0.5, 0.3, 0.2], 0.0, "τ = 0 is greedy"),
        ([0.2, 0.5, 0.3], 0.85, "the order is that of π̂, not that of the list"),
        ([0.1, 0.2, 0.7], 0.35, "it is the sorted weights that are added up"),
        ([0.25, 0.5, 0.125, 0.125], 0.75, "a sum equal to τ is still allowed"),
        ([0.5, 0.3, 0.2], 0.7, "0.2 alone would fit, but 0.3 comes before it"),
        (above_1, 1.0, f"τ = 1 keeps all, though the computer's sum is {np.cumsum(above_1)[-1]}"),
    ]
    for pi_hat, tau, why in cases:
        asked = f"for π̂ = {pi_hat} and τ = {tau}"
        order = sorted(range(len(pi_hat)), key=lambda k: -pi_hat[k])
        sums = np.cumsum([pi_hat[k] for k in order])
        size = len(order) if tau == 1 else max(1, np.count_nonzero(sums <= tau))
        got = numbers(answer(np.array(pi_hat), tau), asked, ordered=False)
        expect(
            got.ndim == 1,
            f"{asked} your answer is no list of indices: it has the shape {got.shape}",
        )
        wanted = sorted(order[:size])
        same = got.shape == (size,) and sorted(got) == wanted
        expect(same, f"{asked} your S is {listed(got)}, but {wanted} is wanted: {why}")
    return "τ is a cut through the sorted weights, and the one that would cross it stays out."


def _mean_and_width(weights, means, scales):
    """Mean and standard deviation of a mixture by a sum over a fine grid."""
    y = np.linspace(-60, 60, 120_001)
    P = sum(
        w / s * np.exp(-((y - mu) ** 2) / (2 * s**2))
        for w, mu, s in zip(weights, means, scales, strict=True)
    )
    P /= P.sum()
    mean = P @ y
    return np.array([mean, np.sqrt(P @ (y - mean) ** 2)])
