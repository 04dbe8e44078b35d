"""Checks of notebook 04: the forget bias, the LSTM step, its size, and the generative loop."""

import numpy as np

from cmc_helpers.exercises.checking import (
    counted,
    exercise,
    expect,
    expect_equal,
    kind,
    number,
    numbers,
)

_GATES = "ifgo"  # Keras' order: input, forget, candidate, output


@exercise("04.1")
def _bias_for(answer):
    """σ(b)^n = ½: what is asked for is put back into the equation."""
    for n in (1, 2, 10, 100, 1000):
        asked = f"for a half-life of {n}"
        b = number(answer(n), asked)
        f = 1 / (1 + np.exp(-b))
        expect(
            abs(f**n - 0.5) < 1e-4,  # float32 is off by a third of that for n = 1000
            f"{asked} your bias {b:.4g} opens the gate to σ(b) = {f:.4g}, and σ(b)^{n} is "
            f"{f**n:.4g}, not 0.5",
        )
    return "b = −ln(2^(1/n) − 1), 0 for n = 1 and 4.97 for n = 100: the gate must start wide open."


@exercise("04.2")
def _step(answer):
    """Equations (3), (5), (6), cell by cell and gate by gate in loops; Keras' order of gates."""
    given = np.zeros((1, 3)), np.zeros((1, 2)), np.ones((1, 2))
    weights = np.zeros((3, 8)), np.zeros((2, 8)), np.zeros(8)
    why = "all gates are half open, so half of c = 1 is kept and g = 0 adds nothing"
    _compare(answer, given, weights, "with all weights 0 and c = 1", why)

    for block in range(4):
        W, U, b = np.zeros((1, 4)), np.zeros((1, 4)), np.array([0.0, 0.0, 1.0, 0.0])
        b[block] += 2
        biases = ", ".join(f"b_{gate} = {value:g}" for gate, value in zip(_GATES, b, strict=True))
        given = np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1))
        asked = f"for c = 1, W = U = 0, {biases}"
        _compare(answer, given, (W, U, b), asked, "the order of the four blocks is i, f, g, o")

    random = np.random.default_rng(4)
    for batch, n, u in ((1, 3, 2), (4, 3, 5), (2, 1, 3)):
        shapes = (batch, n), (batch, u), (batch, u)
        given = [random.normal(size=shape) for shape in shapes]
        weights = [random.normal(size=shape) for shape in ((n, 4 * u), (u, 4 * u), (4 * u,))]
        asked = f"for random x of shape {shapes[0]} and u = {u}"
        _compare(answer, given, weights, asked, "so say equations (3), (5) and (6)")
    return "this is all of keras.layers.LSTM: one product, three σ, two tanh, one conveyor belt."


@exercise("04.3")
def _parameters(answer):
    """The sizes of the matrices, laid out one by one."""
    for n, u, layers, outputs in (
        (1, 1, 1, 1),
        (3, 2, 1, 1),
        (3, 2, 2, 1),
        (1, 16, 1, 1),
        (4, 5, 3, 7),
        (100, 100, 5, 1020),
    ):
        shapes = [(u, outputs), (outputs,)]
        for layer in range(layers):
            below = u if layer else n
            shapes += 4 * [(below, u), (u, u), (u,)]
        wanted = sum(int(np.prod(shape)) for shape in shapes)
        size = f"{counted(layers, 'layer')} of u = {u} with {counted(outputs, 'output')}"
        asked = f"for n = {n} and {size}"
        why = (
            "layer 1 reads n numbers, every other one u; each of its four blocks has W, U and b, "
            "and the last layer has (u + 1) × outputs"
        )
        expect_equal(answer(n, u, layers, outputs), wanted, asked, why)
    return "505,020 for the paper's network: four blocks of 20,100 in each layer, and 103,020."


@exercise("04.4")
def _run_free(answer):
    """Paper, section 2.2: outputs are fed back and the state is carried on; toy steps, counted."""
    for x0, state, n in ((1, 10, 4), (0, 0, 3), (2, -1, 1)):
        met = []

        def add(x, state, met=met):
            met.append((x, state))
            return x + state, state + 1

        asked = f"with add, x0 = {x0}, state {state} and n = {n}"
        got = numbers(answer(add, x0, state, n), asked)
        wanted, x, s = [], x0, state
        for _ in range(n):
            x, s = x + s, s + 1
            wanted.append(x)
        expect(len(met) > 0, f"{asked} you never call step")
        begins = numbers(met[0], asked).tolist() == [x0, state]
        expect(
            begins,
            f"{asked} your first call is step({met[0][0]}, {met[0][1]}), but it begins with "
            f"step({x0}, {state})",
        )
        if n > 1 and len(met) > 1:
            second = met[1]
            expect(
                second[1] == state + 1,
                f"{asked} your second call has the state {second[1]}, but the first one returned "
                f"{state + 1}: carry it on",
            )
            expect(
                second[0] == x0 + state,
                f"{asked} your second call has x = {second[0]}, but the first one returned "
                f"{x0 + state}: feed it back",
            )
        expect_equal(got, wanted, asked, "x̂_1 is the first output, not x0, and x̂_n is the last")
        calls = f"you call step {counted(len(met), 'time')}"
        expect(len(met) == n, f"{asked} {calls}: {counted(n, 'sample')} cost {counted(n, 'step')}")
    return "one step per sample, x̂ fed back and the state carried on: nothing has to be recomputed."


def _compare(answer, given, weights, asked, why):
    """The learner's step against loops over cells."""
    got = _state(answer(*given, *weights), asked)
    for name, value, wanted in zip("hc", got, _by_loops(*given, *weights), strict=True):
        expect_equal(value, wanted, f"{asked}, for the new {name}", why)


def _state(answer, asked):
    """The answer as a pair (h, c), or a counter-example that says it is none."""
    try:
        h, c = answer
    except (TypeError, ValueError):
        pair = None
    else:
        pair = h, c
    expect(pair is not None, f"{asked} your step returns {kind(answer)}, not a pair h, c")
    return pair


def _by_loops(x, h, c, W, U, b):
    """One LSTM step, a cell and a gate at a time."""
    new_h, new_c = np.empty(np.shape(c)), np.empty(np.shape(c))
    u = np.shape(c)[-1]
    for where in np.ndindex(np.shape(c)):
        row, cell = where[:-1], where[-1]
        z = {
            gate: x[row] @ W[:, k * u + cell] + h[row] @ U[:, k * u + cell] + b[k * u + cell]
            for k, gate in enumerate(_GATES)
        }
        i, f, o = (1 / (1 + np.exp(-z[gate])) for gate in "ifo")
        new_c[where] = f * c[where] + i * np.tanh(z["g"])
        new_h[where] = o * np.tanh(new_c[where])
    return new_h, new_c
