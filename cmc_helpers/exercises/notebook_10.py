"""Checks of notebook 10: how high a narrow peak stands, entropy, and a temperature on weights."""

import numpy as np

from cmc_helpers.exercises.checking import (
    CLOSE,
    counted,
    exercise,
    expect,
    expect_equal,
    number,
    numbers,
    shown,
)


@exercise("10.1")
def _narrow_enough(answer):
    """The peaks π/σ^m of two components are equally high; the oracle is SciPy's density."""
    from scipy.stats import multivariate_normal

    for r, m in ((2, 1), (4, 2), (1, 7), (1000, 400)):
        asked = f"for {r} times the weight in {counted(m, 'dimension')}"
        ratio = number(answer(r, m), asked)
        expect(
            0 < ratio <= 1 + CLOSE,
            f"{asked} your answer is {ratio:.6g}: the light component must be the narrower one, so "
            "the ratio lies above 0, and at most at 1",
        )
        light = multivariate_normal(np.zeros(m), ratio**2 * np.eye(m)).logpdf(np.zeros(m))
        heavy = np.log(r) + multivariate_normal(np.zeros(m), np.eye(m)).logpdf(np.zeros(m))
        expect(
            abs(light - heavy) < 1e-4,  # m times what float32 makes of a ratio near 1
            f"{asked} your answer is {ratio:.6g}, and by SciPy the light peak then stands "
            f"{'higher' if light > heavy else 'lower'} by {abs(light - heavy):.3g} nats: "
            "the peak of N(μ, σ² I) falls with σ to the power m",
        )
    return "r^(−1/m): the more dimensions, the less a weight counts against a width."


@exercise("10.2")
def _entropy(answer):
    """Shannon's entropy in nats: uniform, certain, and of two independent choices the sum."""
    for count in (1, 2, 8):
        asked = f"for {counted(count, 'equal weight')}"
        why = f"e^H is the number of equally likely options, so H = ln {count}"
        expect_equal(answer(np.full(count, 1 / count)), np.log(count), asked, why)
    asked = "for the weights 0.5, 0, 0.5"
    why = "a weight of 0 adds nothing, but 0 · ln 0 is NaN on a computer"
    expect_equal(answer(np.array([0.5, 0.0, 0.5])), np.log(2), asked, why)
    rng = np.random.default_rng(0)
    one, other = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4))
    together = answer(np.outer(one, other).ravel())
    apart = sum(number(answer(some), f"for {len(some)} random weights") for some in (one, other))
    why = "the entropy of two independent choices is the sum of theirs"
    expect_equal(together, apart, "for 12 weights, products of 3 and 4", why)
    weights = [0.1, 0.7, 0.2]  # what −ln Σπ² and −ln max π do, which pass all of the above
    surprises = [-np.log(0.1), -np.log(0.7), -np.log(0.2)]
    why = "it is the mean of the surprises −ln π, each as often as it comes"
    wanted = np.average(surprises, weights=weights)
    expect_equal(answer(np.array(weights)), wanted, f"for the weights {weights}", why)
    return "−Σ π ln π: 0 where the network is sure, ln K where it knows nothing."


@exercise("10.3")
def _at_temperature(answer):
    """π^(1/T), normalised: proportions are bent, the order stays, and T = 1 changes nothing."""
    weights = np.array([0.3, 0.1, 0.6])
    for T in (1, 0.5, 2.0, 0.05):
        asked = f"for the weights 0.3, 0.1, 0.6 and T = {T}"
        bent = numbers(answer(weights, T), asked)
        expect(bent.shape == (3,), f"{asked} your answer has the shape {bent.shape}, not (3,)")
        total, one = shown(bent.sum(), 1, digits=6)
        expect(abs(bent.sum() - 1) <= CLOSE, f"{asked} your weights sum to {total}, not to {one}")
        if T == 1:
            expect_equal(bent, weights, asked, "T = 1 changes nothing")
        for place, other in (("first", 0), ("second", 1)):
            times = weights[2] / weights[other]
            power = np.log(bent[2] / bent[other]) / np.log(times)
            yours, right = shown(power, 1 / T)
            expect(
                abs(power - 1 / T) <= CLOSE / T,
                f"{asked} the third is to the {place} as {times:.0f} to the power {yours}; before "
                f"it was {times:.0f} times as large, so a temperature makes it {times:.0f} to the "
                f"power 1/T = {right}",
            )
    asked = "for weights (0.5, 0.5, 0) and T = 2"
    got = numbers(answer(np.array([0.5, 0.5, 0.0]), 2.0), asked)
    expect_equal(got, [0.5, 0.5, 0.0], asked, "a weight of 0 stays 0")
    expect(abs(got[2]) < 1e-12, f"{asked} your last weight is {got[2]:.3g}, but 0 stays 0")
    return "small T sharpens, large T levels, and nothing is ever cut off: that is τ's work."
