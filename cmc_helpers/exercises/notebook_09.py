"""Checks of notebook 09: windows, early stopping and the loss."""

import numpy as np

from cmc_helpers.exercises.checking import counted, exercise, expect, expect_equal, listed, numbers


@exercise("09.1")
def _window_starts(answer):
    """Paper, section 2.3 (T̂ steps of back-propagation): inputs and targets inside one piece."""
    for lengths, steps in (
        ([5], 3),
        ([5, 4], 3),
        ([3, 9, 4], 3),
        ([2, 5], 3),
        ([2, 2], 1),
        ([4, 2], 5),
    ):
        piece = np.repeat(np.arange(len(lengths)), lengths)
        asked = f"for pieces of {lengths} frames and windows of {counted(steps, 'step')}"
        starts = np.sort(numbers(answer(lengths, steps), asked, ordered=False).ravel())
        said = listed(starts)
        expect(np.all(starts % 1 == 0), f"{asked} your starts {said} are not whole numbers")
        for start in starts.astype(int):
            frames = np.arange(start, start + steps + 1)  # the inputs, and the last target
            expect(
                0 <= start and frames[-1] < len(piece),
                f"{asked} you allow the start {start}: its last target would be frame "
                f"{frames[-1]}, but the last frame there is has number {len(piece) - 1}",
            )
            expect(
                len(set(piece[frames])) == 1,
                f"{asked} you allow the start {start}: its frames {start} to {frames[-1]}, "
                "inputs and last target, belong to two pieces",
            )
        wanted = [s for s in range(len(piece) - steps) if piece[s] == piece[s + steps]]
        missing = sorted(set(wanted) - set(starts))
        expect(
            not missing,
            f"{asked} these starts are missing, though they cross nothing: {listed(missing)}",
        )
        expect(len(starts) == len(wanted), f"{asked} some starts come twice: {said}")
    return "a window takes steps + 1 frames of one piece; a jump to the next would be learnt too."


@exercise("09.2")
def _nll(answer):
    """Paper, section 2.1.2: the density of one isotropic Gaussian; the oracle is SciPy."""
    from scipy.stats import multivariate_normal

    half_log_2pi = 0.5 * np.log(2 * np.pi)
    for m in (1, 2, 100):
        why = "the peak of the density is (2π)^(−m/2)"
        asked = f"for y = mean and m = {m}"
        expect_equal(answer(np.zeros(m), np.zeros(m)), m * half_log_2pi, asked, why)
    for m in (1, 2, 100):
        random = np.random.default_rng(m)
        y, mean = random.normal(size=(2, m))
        wanted = -multivariate_normal(mean, np.eye(m)).logpdf(y)
        asked = f"for random y and mean with m = {m}"
        expect_equal(answer(y, mean), wanted, asked, "so says SciPy")
    why = "so far out the density is 0 to a computer, its logarithm is not"
    for m, far in ((100, 4.0), (1, -40.0)):
        asked = f"for y − mean = {far:g} in each of m = {m}" if m > 1 else f"for y − mean = {far:g}"
        wanted = m * (half_log_2pi + far**2 / 2)
        expect_equal(answer(np.full(m, far + 1), np.ones(m)), wanted, asked, why)
    return "½‖y − μ‖² + m/2 · ln 2π: but for a constant, this is the squared error of the paper."


@exercise("09.3")
def _best_epoch(answer):
    """Early stopping (paper, section 6.1): what training keeps, as one reads it epoch by epoch."""
    cases = [
        ([3.0, 2.0, 1.0], 2, "the loss never rose"),
        ([3.0, 2.0, 2.5, 2.6, 1.0], 2, "after two epochs without a lower loss nobody ran the last"),
        ([3.0, 2.0, 2.5, 1.0, 1.5], 2, "one bad epoch is still within the patience of two"),
        ([3.0, 2.0, 2.5, 1.9, 2.5, 1.0, 1.5], 2, "patience begins anew with every lower loss"),
        ([2.0, 1.0, 1.0, 1.0, 0.5], 2, "an equal loss is not a lower one"),
        ([3.0, 1.0, 2.0, 1.5, 1.8, 0.5], 2, "lower than the best so far, not than the last one"),
        ([3.0, 1.0, 2.0, 1.8, 1.5, 0.5], 3, "lower than the best so far, not than the last one"),
        ([3.0, 1.0, 2.0, 0.9, 2.0, 1.8, 1.5, 0.5], 3, "it is counted from the best epoch on"),
        ([2.0, -1.0, -3.0, -2.0, -2.5, -9.0], 1, "lower is better, also below zero"),
    ]
    for losses, patience, why in cases:
        best, waited = 0, 0
        for epoch, loss in enumerate(losses[1:], start=1):
            best, waited = (epoch, 0) if loss < losses[best] else (best, waited + 1)
            if waited == patience:
                break
        expect_equal(answer(losses, patience), best, f"for {losses} and patience {patience}", why)
    return "the network that is kept is the one that knew the unseen pieces best, not the last one."
