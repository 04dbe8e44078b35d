"""Checks of notebook 13: where a tone lies among the features, the prior in λ, and a distance."""

import numpy as np

from cmc_helpers.exercises.checking import (
    CLOSE,
    exercise,
    expect,
    listed,
    number,
    numbers,
    shown,
    whole,
)
from cmc_helpers.features import FeatureConfig, extract_features


@exercise("13.1")
def _feature_of(answer):
    """The oracle is the pipeline: which feature of a pure tone is the largest?"""
    config = FeatureConfig.preset("default")
    seconds = np.arange(config.sample_rate) / config.sample_rate
    # A bin is nearest, not below and not above: 440 Hz is 28.16 bins, and 466.16 Hz is 29.83.
    for hertz in (
        *(250, 440, 466.16, 484.375, 507.8125, 1000, 1476.5625),
        *(2000, 3015.625, 3398.4375, 3600, 3850, 3990),
    ):
        asked = f"for {hertz} Hz"
        feature = whole(answer(hertz), asked)
        expect(
            0 <= feature <= 99,
            f"{asked} your answer is {feature}; the features are numbered from 0 to 99",
        )
        heard = extract_features(np.sin(2 * np.pi * hertz * seconds), config).mean(axis=0)
        expect(
            feature == heard.argmax(),
            f"{asked} your answer is {feature}, and there a tone of that frequency has "
            f"{heard[feature] / heard.max():.0%} of what it has in feature {heard.argmax()}",
        )
    return (
        "up to 500 Hz a feature is 15.6 Hz wide, then 31, 62 and 125: a step of one feature is "
        "no interval."
    )


@exercise("13.2")
def _most_probable(answer):
    """Properties of the posterior's peak; the oracle is scikit-learn's Ridge."""
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    for sigma, s in ((1.0, 1.0), (0.5, 2.0), (3.0, 0.2), (1e-4, 1.0)):
        X, w = rng.standard_normal((30, 4)), rng.standard_normal(4)
        y = X @ w + sigma * rng.standard_normal(30)
        asked = f"for 30 samples of 4 numbers, σ = {sigma:g} and s = {s:g}"
        found = numbers(answer(X, y, sigma, s), asked)
        expect(found.shape == (4,), f"{asked} your answer has the shape {found.shape}, not (4,)")
        wanted = Ridge(alpha=sigma**2 / s**2, fit_intercept=False).fit(X, y).coef_

        def cost(w, X=X, y=y, sigma=sigma, s=s):
            return np.sum((y - X @ w) ** 2) / (2 * sigma**2) + np.sum(w**2) / (2 * s**2)

        yours, least = shown(cost(found), cost(wanted), digits=6)
        expect(
            np.allclose(found, wanted, rtol=1e-4, atol=CLOSE),  # float32 solves to about 1e-6
            f"{asked}, −ln of the posterior is {yours} at your weights {listed(found)} and {least} "
            f"at {listed(wanted)}",
        )
    return "(XᵀX + σ²/s² · 1)⁻¹ Xᵀy: λ is the noise in units of what you believe about the weights."


@exercise("13.3")
def _distance(answer):
    """Invariances, and SciPy's minimum over the gain as the oracle."""
    from scipy.optimize import minimize_scalar

    rng = np.random.default_rng(0)
    q = rng.random(20)
    cases = {
        "for a vector and itself": (q, q),
        "for a vector and its half": (q, q / 2),
        "for a vector and twice itself": (q, 2 * q),
        "for two vectors that share nothing": (np.array([1.0, 0.0]), np.array([0.0, 3.0])),
        "for two random vectors": (q, rng.random(20)),
        "for a vector and silence": (q, np.zeros(20)),
        "for two quiet vectors": (1e-3 * q, 1e-3 * rng.random(20)),
    }
    for asked, (one, other) in cases.items():
        found = number(answer(one, other), asked)
        best = minimize_scalar(lambda g, a=one, b=other: np.sum((a - g * b) ** 2)).x
        wanted = np.linalg.norm(one - best * other) / np.linalg.norm(one)
        yours, least = shown(found, round(wanted, 6))
        # √(1 − cos²) is as right as (3), and in float32 its root makes 3e-4 of a rounding of 1e-7.
        expect(
            abs(found - wanted) < 1e-3,
            f"{asked} your answer is {yours}, but with the best gain, {round(best, 3):g}, what is "
            f"left is {least} of the first",
        )
    return "√(1 − cos²), the sine of the angle between them: 0 for the same sound, however loud."
