"""Checks of notebook 03: a step of several layers, windows, what is left, and clipping."""

import numpy as np

from cmc_helpers.exercises.checking import (
    CLOSE,
    counted,
    exercise,
    expect,
    expect_equal,
    numbers,
    shown,
)


@exercise("03.1")
def _step(answer):
    """Paper, section 2.1.3, the multi-layer rule with its index put right; one sum at a time."""
    for units, batch in (([2], 1), ([3, 3], 2), ([3, 3, 3], 2), ([4, 2, 3], 2)):
        random = np.random.default_rng(len(units) + units[0])
        x = random.normal(size=(batch, 2))
        h = [random.normal(size=(batch, u)) for u in units]
        layers = [
            tuple(random.normal(size=shape) for shape in ((n, u), (u, u), (u,)))
            for n, u in zip([2, *units], units, strict=False)
        ]
        asked = f"for {counted(len(units), 'layer')} of {', '.join(map(str, units))} units"
        got = _arrays(answer(x, h, layers), len(units), asked, "state")
        below, why = x, "it reads x and its own state of before"
        for number, (new, own, layer) in enumerate(zip(got, h, layers, strict=True), start=1):
            below = np.array([_cell(a, b, layer) for a, b in zip(below, own, strict=True)])
            expect_equal(new, below, f"{asked}, layer {number}:", why)
            why = "it reads the new state of the layer below and its own state of before"
    return "every layer reads what the one below has just said; only its own state is a step old."


@exercise("03.2")
def _times_read(answer):
    """Paper, section 2.3: the union of T − T̂ + 1 windows, searched sample by sample."""
    for T, T_hat in ((6, 3), (6, 1), (5, 5), (10, 7), (40, 4)):
        windows = [range(s, s + T_hat) for s in range(1, T - T_hat + 2)]
        first, last = list(windows[0]), list(windows[-1])
        why = f"the windows are {first} to {last}" if first != last else f"{first} is all there is"
        for i in range(1, T + 1):
            asked = f"for i = {i}, T = {T}, T̂ = {T_hat}"
            expect_equal(answer(i, T, T_hat), sum(i in w for w in windows), asked, why)
    return "both ends of a piece count less than its middle, the first and last sample only once."


@exercise("03.3")
def _memory(answer):
    """The recursion h_t = w h_{t−1} + x_t itself, started twice, a change of 1 apart."""
    for w in (0.5, 0.9, 0.05, -0.9, 0.999, -0.3, 0.6, 0.004):
        random = np.random.default_rng(0)
        h, changed, k = 0.0, 1.0, 0
        while abs(changed - h) >= 0.01:
            x = random.normal()
            h, changed, k = w * h + x, w * changed + x, k + 1
        why = f"two states 1 apart are {abs(changed - h):.2g} apart after {counted(k, 'step')}"
        expect_equal(answer(w), k, f"for w = {w}", why)
    return "w^k: exponential forgetting, and even w = 0.999 has lost all but 1 % in 37 s of frames."


@exercise("03.4")
def _clip(answer):
    """Clipping by the global norm (Pascanu et al. 2013): length, direction, and short ones."""
    random = np.random.default_rng(0)
    drawn = [random.normal(size=shape) for shape in ((3, 4), (4,), (4, 2))]
    cases = [
        ([np.array([3.0, 4.0])], 1.0, "one array of norm 5"),
        ([np.array([3.0]), np.array([4.0])], 1.0, "two arrays of norms 3 and 4"),
        ([np.array([0.6]), np.array([0.8]), np.array([0.8])], 1.0, "three arrays, each below c"),
        (drawn, 0.5, "three random arrays"),
        (drawn, 100.0, "three random arrays, all short"),
        ([np.array([0.3, 0.4])], 1.0, "one array of norm 0.5"),
        ([np.zeros((2, 2)), np.zeros(3)], 1.0, "zeros"),
    ]
    for gradients, c, name in cases:
        asked = f"for {name}, c = {c:g},"
        got = _arrays(answer(gradients, c), len(gradients), asked, "array")
        for one, g in zip(got, gradients, strict=True):
            expect(
                one.shape == g.shape,
                f"{asked} an array of shape {g.shape} comes back with the shape {one.shape}",
            )
        before, after = (np.concatenate([g.ravel() for g in gs]) for gs in (gradients, got))
        norm = float(np.linalg.norm(before))
        expect(np.isfinite(after).all(), f"{asked} your answer holds numbers that are not finite")
        if norm <= c:
            why = f"the norm is {norm:.3g} already, so nothing is to be changed"
            expect_equal(after, before, asked, why)
            continue
        # PyTorch divides by norm + 1e-6, which is as good: relative to c that is within CLOSE.
        length = float(np.linalg.norm(after))
        yours, right = shown(length, c)
        expect(
            abs(length - c) <= CLOSE * c,
            f"{asked} the norm of all your numbers together is {yours}, but c = {right} is wanted; "
            f"it was {norm:.4g}",
        )
        cosine = float(after @ before) / (norm * length)
        turned, straight = shown(cosine, 1)
        expect(
            cosine > 1 - 1e-9,  # an angle of 4e-5, much more than float32 turns a vector
            f"{asked} the direction has changed: its cosine with the old one is {turned}, "
            f"not {straight}",
        )
    return "one factor for all arrays: the step is shorter, and still goes straight downhill."


def _cell(below, own, layer):
    """One unit of one sequence at a time, tanh(x W_x + h W_h + b), in plain sums."""
    Wx, Wh, b = layer
    return [
        np.tanh(
            sum(a * w for a, w in zip(below, Wx[:, j], strict=True))
            + sum(a * w for a, w in zip(own, Wh[:, j], strict=True))
            + b[j]
        )
        for j in range(len(b))
    ]


def _arrays(got, count, asked, what):
    """The learner's list as `count` arrays of numbers, or a counter-example."""
    try:
        got = list(got)
    except TypeError:
        got = None
    many = counted(count, what)
    expect(got is not None, f"{asked} a list of {many} is wanted, but a single thing came")
    expect(len(got) == count, f"{asked} a list of {many} is wanted, but {len(got)} came")
    return [numbers(one, asked) for one in got]
