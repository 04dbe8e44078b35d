"""Checks of notebook 11: how long the power method takes, spectral radius, and what 0 of n says."""

import numpy as np

from cmc_helpers.exercises.checking import exercise, expect, numbers


@exercise("11.1")
def _steps_until(answer):
    """The oracle is the power method itself, in exact proportions."""
    cases = ((0.1, 1, 0.5), (0.01, 1, 0.9), (0.01, 3, -2.7), (0.5, 1, 0.5), (0.9, 2, 0.1))
    for share, first, second in cases:
        asked = f"for share {share} and eigenvalues {first}, {second}"
        steps = numbers(answer(share, first, second), asked)
        expect(
            steps.shape == () and steps == np.round(steps),
            f"{asked} your answer is {answer(share, first, second)}, but steps are a whole number",
        )
        left = abs(second / first) ** np.arange(2000)
        wanted = int(np.argmax(left <= share * (1 + 1e-9)))
        expect(
            int(steps) == wanted,
            f"{asked} your answer is {int(steps)}, and after so many steps "
            f"{left[max(int(steps), 0)]:.3g} is left; after {wanted} it is {left[wanted]:.3g}, "
            "for the first time no more than asked",
        )
    return "⌈ln share / ln |λ₂/λ₁|⌉: the sign of an eigenvalue does not matter, its size does."


@exercise("11.2")
def _spectral_radius(answer):
    """Scaling, rotation, and random matrices; the oracle is NumPy's eigenvalues."""
    rng = np.random.default_rng(0)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    cases = {
        "for 0.5 times the identity": 0.5 * np.eye(3),
        "for a rotation by 90°, whose eigenvalues are ±i": turn,
        "for a rotation scaled by 0.9": 0.9 * turn,
        "for a random matrix (20, 20)": rng.standard_normal((20, 20)) / np.sqrt(20),
        "for a matrix that first grows and then shrinks": np.array([[0.5, 100.0], [0.0, 0.4]]),
        "for 7 times the identity": 7.0 * np.eye(2),
    }
    for asked, J in cases.items():
        radius = numbers(answer(J.copy()), asked)
        expect(radius.shape == (), f"{asked} your answer has the shape {radius.shape}, not ()")
        expect(
            np.isfinite(radius),
            f"{asked} your answer is {radius}: J^n over- or underflows; divide by its norm on the "
            "way, and add up the logarithms",
        )
        wanted = np.abs(np.linalg.eigvals(J)).max()
        expect(
            abs(radius - wanted) < 0.02 * wanted,
            f"{asked} your answer is {radius:.4g}; its eigenvalues have magnitudes of at most "
            f"{wanted:.4g}",
        )
    return "the growth of ‖Jⁿ‖ per step; one norm ‖J‖ says little, what comes back again decides."


@exercise("11.3")
def _largest_share(answer):
    """The exact binomial bound; the oracle is SciPy's."""
    from scipy.stats import binomtest

    for clips in (1, 6, 32, 96, 1000):
        asked = f"for {clips} clips"
        share = numbers(answer(clips), asked)
        expect(share.shape == (), f"{asked} your answer has the shape {share.shape}, not ()")
        expect(0 <= share <= 1, f"{asked} your answer is {share:.4g}, but a share lies in [0, 1]")
        wanted = binomtest(0, clips, alternative="less").proportion_ci(0.95).high
        expect(
            abs(share - wanted) < 1e-3 * wanted,
            f"{asked} your answer is {share:.4g}; if each died with that probability, none would "
            f"die with probability {(1 - share) ** clips:.3g}, and not 0.05",
        )
    return "1 − 0.05^(1/n), about 3/n: the rule of three. 0 of 32 leaves room for 9 %."
