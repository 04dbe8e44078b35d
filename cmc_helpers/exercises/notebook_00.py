"""Checks of notebook 00: frames, seconds and the numbers of a mixture."""

from cmc_helpers.exercises.checking import exercise, expect_equal


@exercise("00.1")
def _frames(answer):
    """Paper, section 2.4.1: windows of 256 samples, one every 64, none beyond the end."""
    for n in (256, 319, 320, 321, 8000, 80000):
        fitting = len(range(0, n - 256 + 1, 64))
        why = f"so many windows of 256 samples, 64 apart, fit into {n} samples"
        expect_equal(answer(n), fitting, f"for n = {n}", why)
    return "the first window costs 256 samples and every further one 64: T = ⌊(n − 256) / 64⌋ + 1."


@exercise("00.2")
def _seconds(answer):
    """The inverse of 00.1 at 8000 samples per second: 8 ms a frame, but 32 ms for the first."""
    for frames in (1, 2, 5, 1250):
        samples = 64 * (frames - 1) + 256
        why = f"window number {frames} ends after {samples} samples"
        expect_equal(answer(frames), samples / 8000, f"for frames = {frames}", why)
    return "a frame adds only its hop of 8 ms, so 125 make a second; the first one costs 32 ms."


@exercise("00.3")
def _outputs(answer):
    """Paper, section 2.1.2: one weight, one σ and m means for every component."""
    for K, m in ((1, 1), (1, 7), (10, 1), (3, 5), (10, 100)):
        why = "each component has one weight, one σ and one mean per feature"
        expect_equal(answer(K, m), K * (1 + 1 + m), f"for K = {K}, m = {m}", why)
    return "2K + K·m: 1020 for the paper's K = 10 and m = 100, of which only 20 are not means."
