"""Checks of notebook 11: how long the power method takes, spectral radius, and what 0 of n says."""

import numpy as np

from cmc_helpers.exercises.checking import counted, exercise, expect, number, numbers, shown, whole


@exercise("11.1")
def _steps_until(answer):
    """The oracle is the power method itself, in exact proportions."""
    cases = (
        (0.1, 1, 0.5),
        (0.01, 1, 0.9),
        (0.01, 3, -2.7),
        (0.1, -2, 1),
        (0.5, 1, 0.5),
        (0.9, 2, 0.1),
    )
    for share, first, second in cases:
        asked = f"for share {share} and eigenvalues {first}, {second}"
        steps = whole(answer(share, first, second), asked)
        expect(steps >= 0, f"{asked} your answer is {steps}, but steps are counted from 0 on")
        ratio = abs(second / first)
        wanted = int(np.argmax(ratio ** np.arange(2000) <= share * (1 + 1e-9)))
        left, enough = shown(ratio ** float(steps), ratio**wanted)
        expect(
            steps == wanted,
            f"{asked} your answer is {steps}, and after {counted(steps, 'step')} {left} is left; "
            f"after {wanted} it is {enough}, for the first time no more than asked",
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
        got = numbers(answer(J), asked)
        expect(
            got.size != 1 or np.isfinite(got.item()),
            f"{asked} your answer is {got.ravel()[:1].sum()}: J^n over- or underflows; divide by "
            "its norm on the way, and add up the logarithms",
        )
        radius = number(got, asked)
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
        asked = f"for {counted(clips, 'clip')}"
        share = number(answer(clips), asked)
        expect(0 <= share <= 1, f"{asked} your answer is {share:.4g}, but a share lies in [0, 1]")
        wanted = binomtest(0, clips, alternative="less").proportion_ci(0.95).high
        expect(
            abs(share - wanted) < 1e-3 * wanted,
            f"{asked} your answer is {share:.4g}; if each died with that probability, none would "
            f"die with probability {(1 - share) ** clips:.3g}, and not 0.05",
        )
    return "1 − 0.05^(1/n), about 3/n: the rule of three. 0 of 32 leaves room for 9 %."
