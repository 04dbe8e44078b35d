"""Steps and choices with their loops fused by numba, for long pieces: the same bits, sooner.

One frame is some two hundred NumPy calls on small arrays, and most of the time goes into calling.
Here all that stands between two matrix products, or two calls of tanh, exp and log, is one compiled
loop. Products and those functions stay NumPy's, and every sum is taken in NumPy's order: so
`networks.step` with its `InNumPy`, and `mixtures.next_vector`, say what is done here, and are the
oracle of every bit. To import numba takes longer than a short piece does, so `generation` comes
here only when it pays.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import njit

from cmc_helpers.networks import NetworkConfig
from cmc_helpers.sampling import Sampling

KNOBS = {"strategy", "tau", "sigma_scale", "pi_temperature", "form", "noise"}  # that are known here


def fits(config: NetworkConfig, sampling: Sampling) -> bool:
    """Whether such a network (a `NetworkConfig`) can run here, LSTMs below a plain mixture, and
    every knob of a `Sampling` is known."""
    plain = config.cell == "lstm" and config.components > 0 and not config.feature_scales
    return plain and vars(sampling).keys() <= KNOBS


class Steps:
    """`networks.step` of a network that keeps its states (h, c) itself.

    weights: as `networks.weights` returns them, in single precision. states: where it begins, as
    in `networks.step`; they stay as they are.
    """

    def __init__(
        self, weights: dict[str, list[np.ndarray]], config: NetworkConfig, states: Sequence[Any]
    ) -> None:
        batch, u = states[0][0].shape
        self._residual = config.stack == "residual"
        self._project: Any = weights.get("project")  # None in the paper's stack, like norms
        self._norm: Any = weights.get("norm")
        self._mixture = weights["mixture"]
        halves = np.full(4 * u, 0.5, np.float32)  # σ(x) = (tanh(x/2) + 1)/2: exact, and one tanh
        halves[2 * u : 3 * u] = 1  # Keras keeps the gates in the order input, forget, cell, output
        self._layers = []
        for number, (h, c) in enumerate(states, start=1):
            kernel, recurrent, bias = weights[f"lstm_{number}"]
            matrix = np.concatenate([kernel, recurrent]) * halves
            inputs = np.empty((batch, len(matrix)), np.float32)  # x_t and h_{t−1}, side by side
            inputs[:, -u:] = h
            norm: Any = weights.get(f"norm_{number}")
            self._layers.append((norm, matrix, bias * halves, inputs, c.copy()))
        self._sums = np.empty((batch, 4 * u), np.float32)
        self._x, self._tanh_c = (np.empty((batch, u), np.float32) for _ in range(2))
        self._output = np.empty((batch, config.outputs), np.float32)

    @property
    def states(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """A list of (h, c) per layer, as in `networks.step`; the next step changes both."""
        u = self._x.shape[1]
        return [(inputs[:, -u:], c) for _, _, _, inputs, c in self._layers]

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """One step: frame (batch, m) → output (batch, …), which the next step overwrites."""
        x, sums, tanh_c, residual = self._x, self._sums, self._tanh_c, self._residual
        if residual:
            np.matmul(frame, self._project[0], out=x)
            np.add(x, self._project[1], out=x)
        for number, (norm, matrix, bias, inputs, c) in enumerate(self._layers):
            if residual:
                _normalise(x, norm[0], norm[1], inputs)
            else:
                below = x if number else frame
                inputs[:, : below.shape[1]] = below
            np.matmul(inputs, matrix, out=sums)
            np.add(sums, bias, out=sums)
            np.tanh(sums, out=sums)
            _remember(sums, c)
            np.tanh(c, out=tanh_c)
            _hand_on(sums, tanh_c, inputs, x, residual)
        if residual:
            _normalise(x, self._norm[0], self._norm[1], tanh_c)
            x = tanh_c
        np.matmul(x, self._mixture[0], out=self._output)
        return np.add(self._output, self._mixture[1], out=self._output)


class Choices:
    """`mixtures.next_vector` of what `networks.read_output` reads, for one `Sampling`.

    batch: how many vectors at once.
    """

    def __init__(self, config: NetworkConfig, batch: int, sampling: Sampling) -> None:
        K, m = config.components, config.width
        strategy = sampling.strategy
        self._strategy, self._floor = strategy, np.float32(config.sigma_floor)
        self._tau = np.float32(0.0 if strategy == "greedy" else sampling.tau)
        self._sigma_scale = np.float32(sampling.sigma_scale)
        self._temperature = np.float32(sampling.pi_temperature)
        self._power = np.float32({"exact": m, "paper": 1, "weight": 0}[sampling.form])
        self._logs, self._scales, self._log_scales, self._work = (
            np.zeros((batch, K), np.float32) for _ in range(4)
        )
        self._room = _room(batch, K)
        self._components, self._spread = np.empty(batch, int), np.empty(batch, np.float32)
        self._vectors = np.empty((batch, m), np.float32)
        self._climb: Any = _Climb(batch, K, m) if strategy == "exact" else None

    def __call__(
        self, output: np.ndarray, uniforms: np.ndarray, noise: np.ndarray | Callable[..., Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vectors (batch, m) and their components (batch,), which the next call overwrites.

        output: of `Steps`. uniforms (batch,) and noise as in `mixtures.next_vector`.
        """
        logs, scales, work = self._logs, self._scales, self._work
        components, spread, vectors = self._components, self._spread, self._vectors
        K = logs.shape[1]
        np.logaddexp(output[:, K : 2 * K], np.float32(0), out=scales)
        _read(output, logs, scales, self._floor)
        _log_softmax(logs, self._room)
        if self._temperature != 1:
            np.divide(logs, self._temperature, out=logs)
        _log_softmax(logs, self._room)
        if self._strategy != "sample":
            np.log(scales, out=self._log_scales)
        if self._strategy in ("greedy", "tempered"):
            _lower(logs, self._log_scales, self._power)
            _log_softmax(logs, self._room)
            np.exp(logs, out=work)
            _keep(logs, work, self._tau)
            _log_softmax(logs, self._room)
        if self._strategy == "exact":
            self._climb(output, logs, scales, self._log_scales, components, vectors)
        else:
            np.exp(logs, out=work)
            _draw(work, uniforms, output, components, vectors)
        _spreads(scales, components, spread)
        if callable(noise):
            noise = noise(components, spread)
        _add(vectors, self._sigma_scale, spread, noise)
        return vectors, components


class _Climb:
    """`mixtures.exact_maximum`, for so many mixtures at once."""

    def __init__(self, batch, K, m):
        self._points = np.empty((2, batch, K, m), np.float32)  # where the climb ended, and began
        self._shares = np.empty((2, batch, K, K), np.float32)  # of each component in each of them
        self._higher = np.empty((batch, K, m), np.float32)
        self._pulls, self._rows = np.empty((batch * K, K), np.float32), (2 * batch * K, K)
        self._room, self._more_room = _room(batch * K, K), _room(2 * batch * K, K)

    def __call__(self, output, logs, scales, log_scales, components, vectors):
        (points, means), (shares, first_shares) = self._points, self._shares
        pulls, higher, mixture = self._pulls, self._higher, (logs, scales, log_scales)
        means[...] = output[:, 2 * logs.shape[1] :].reshape(means.shape)
        _log_densities(means, means, *mixture, first_shares)
        here, shares_here = means, first_shares
        for _ in range(100):
            _pull(shares_here, log_scales, pulls)
            _log_softmax(pulls, self._room)
            np.exp(pulls, out=pulls)
            np.matmul(pulls.reshape(shares.shape), means, out=higher)
            arrived = _move(here, higher, points)
            _log_densities(points, means, *mixture, shares)
            if arrived:
                break
            here, shares_here = points, shares
        heights = np.add(*_log_sum_exp(self._shares.reshape(self._rows), self._more_room))
        heights = heights.reshape(self._shares.shape[:3])
        _highest(heights, self._points, self._shares, vectors, components)


def _room(rows, n):
    """What `_log_sum_exp` works in."""
    return np.empty((rows, n), np.float32), *np.empty((2, rows), np.float32)


def _log_softmax(x, room):
    """x − ln Σ eˣ of every row (rows, n), in the place of x."""
    _subtract(x, *_log_sum_exp(x, room))


def _log_sum_exp(x, room):
    """ln Σ eˣ of every row (rows, n), as two numbers to add: the highest x, and what is more."""
    below, highest, more = room
    _below_the_highest(x, below, highest)
    np.exp(below, out=below)
    _sums(below, more)
    return highest, np.log(more, out=more)


# ------------------------------------------------------------------------ loops of a step


@njit(cache=True)
def _normalise(x, gain, shift, y):
    """LayerNorm of every row of x, into the first columns of y."""
    n = x.shape[1]
    squares = np.empty(n, x.dtype)
    for row in range(len(x)):
        mean = _sum(x[row]) / np.float32(n)
        for i in range(n):
            y[row, i] = x[row, i] - mean
            squares[i] = y[row, i] * y[row, i]
        deviation = np.sqrt(_sum(squares) / np.float32(n) + np.float32(1e-3))  # Keras' ε
        for i in range(n):
            y[row, i] = y[row, i] / deviation * gain[i] + shift[i]


@njit(cache=True)
def _remember(tanhs, c):
    """c ← σ(f) c + σ(i) tanh(j), of all four tanhs (batch, 4u)."""
    u, one, half = c.shape[1], np.float32(1), np.float32(0.5)
    for row in range(len(c)):
        for n in range(u):
            i, f, j = tanhs[row, n], tanhs[row, u + n], tanhs[row, 2 * u + n]
            c[row, n] = (f + one) * half * c[row, n] + (i + one) * half * j


@njit(cache=True)
def _hand_on(tanhs, tanh_c, inputs, x, residual):
    """h ← σ(o) tanh(c), in the last columns of inputs; and x ← h, or x + h."""
    u, one, half = x.shape[1], np.float32(1), np.float32(0.5)
    before = inputs.shape[1] - u
    for row in range(len(x)):
        for n in range(u):
            h = (tanhs[row, 3 * u + n] + one) * half * tanh_c[row, n]
            inputs[row, before + n] = h
            x[row, n] = x[row, n] + h if residual else h


@njit(cache=True)
def _sum(x):
    """The sum of x (n,) in the order of `np.add.reduce`: eight at a time, halves of long ones."""
    n = len(x)
    if n > 128:
        half = n // 2 - n // 2 % 8
        return _sum(x[:half]) + _sum(x[half:])
    if n < 8:
        first, total = 0, np.float32(0)
    else:
        first = n - n % 8
        a, b, c, d, e, f, g, h = x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
        for i in range(8, first, 8):
            a, b, c, d = a + x[i], b + x[i + 1], c + x[i + 2], d + x[i + 3]
            e, f, g, h = e + x[i + 4], f + x[i + 5], g + x[i + 6], h + x[i + 7]
        total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(first, n):
        total += x[i]
    return total


# ------------------------------------------------------------------------ loops of a choice


@njit(cache=True)
def _read(output, logits, scales, floor):
    """See `mixtures.from_network_output`; σ takes the place of its softplus."""
    one, ceiling = np.float32(1), np.float32(100)
    for row in range(len(logits)):
        for k in range(logits.shape[1]):
            logits[row, k], softplus = output[row, k], scales[row, k]
            scales[row, k] = floor + softplus / (one + softplus / ceiling)


@njit(cache=True)
def _below_the_highest(x, below, highest):
    for row in range(len(x)):
        highest[row] = x[row].max()
        for k in range(x.shape[1]):
            below[row, k] = x[row, k] - highest[row]


@njit(cache=True)
def _sums(x, sums):
    for row in range(len(x)):
        sums[row] = _sum(x[row])


@njit(cache=True)
def _subtract(x, highest, more):
    for row in range(len(x)):
        log_sum_exp = highest[row] + more[row]
        for k in range(x.shape[1]):
            x[row, k] -= log_sum_exp


@njit(cache=True)
def _lower(logs, log_scales, power):
    """ln π/σ^power, not yet normalised: see `mixtures.standardised_log_weights`."""
    for row in range(len(logs)):
        for k in range(logs.shape[1]):
            logs[row, k] -= power * log_scales[row, k]


@njit(cache=True)
def _keep(logs, weights, tau):
    """−inf outside the subset S of τ: see `mixtures.tempered_log_weights`."""
    K = logs.shape[1]
    ahead, out = np.empty(K, logs.dtype), np.empty(K, np.bool_)
    for row in range(len(logs)):
        for k in range(K):
            this, count = logs[row, k], 0
            for n in range(K):
                other = logs[row, n]
                first = other > this or (other == this and n <= k)
                ahead[n] = weights[row, n] if first else 0
                count += first
            out[k] = not (count == 1 or _sum(ahead) <= tau or tau >= 1)
        for k in range(K):
            if out[k]:
                logs[row, k] = -np.inf


@njit(cache=True)
def _draw(weights, uniforms, output, components, means):
    """See `mixtures.choose`; the weights become their cumulative sums."""
    K, m = weights.shape[1], means.shape[1]
    for row in range(len(weights)):
        for k in range(1, K):
            weights[row, k] += weights[row, k - 1]
        threshold = uniforms[row] * weights[row, -1]
        chosen = (weights[row] < threshold).sum()
        components[row] = chosen
        for n in range(m):
            means[row, n] = output[row, 2 * K + chosen * m + n]


@njit(cache=True)
def _spreads(scales, components, spreads):
    for row, k in enumerate(components):
        spreads[row] = scales[row, k]


@njit(cache=True)
def _add(vectors, sigma_scale, spreads, noise):
    for row in range(len(vectors)):
        for n in range(vectors.shape[1]):
            vectors[row, n] += sigma_scale * spreads[row] * noise[row, n]


# ------------------------------------------------------------------------ loops of a climb


@njit(cache=True)
def _log_densities(points, means, logs, scales, log_scales, densities):
    """See `mixtures.component_log_densities`: points (batch, K, m) → densities (batch, K, K)."""
    m, half = means.shape[2], np.float32(0.5)
    constant = np.float32(0.5 * m * math.log(2 * math.pi))
    squares = np.empty(m, points.dtype)
    for row in range(len(points)):
        for k in range(means.shape[1]):
            normaliser = constant + np.float32(m) * log_scales[row, k]
            for p in range(points.shape[1]):
                for n in range(m):
                    difference = points[row, p, n] - means[row, k, n]
                    squares[n] = difference * difference
                far = half * _sum(squares) / (scales[row, k] * scales[row, k])
                densities[row, p, k] = logs[row, k] - normaliser - far


@njit(cache=True)
def _pull(shares, log_scales, pulls):
    """ln r_k/σ_k², not yet normalised, in rows (batch · K, K)."""
    K = log_scales.shape[1]
    for row in range(len(pulls)):
        for k in range(K):
            share = shares[row // K, row % K, k]
            pulls[row, k] = share - np.float32(2) * log_scales[row // K, k]


@njit(cache=True)
def _move(here, higher, points):
    """points ← higher; whether they are as near, by `np.allclose`, as `mixtures` asks for."""
    rounding = np.float32(8) * np.finfo(np.float32).eps
    arrived = True
    for row in range(here.shape[0]):
        for p in range(here.shape[1]):
            for n in range(here.shape[2]):
                x, y = here[row, p, n], higher[row, p, n]
                near = np.isfinite(y) and abs(x - y) <= rounding + rounding * abs(y)
                arrived = arrived and (x == y or near)
                points[row, p, n] = y
    return arrived


@njit(cache=True)
def _highest(heights, points, shares, vectors, components):
    """The point (2, batch, K, m) of the greatest height, and its component of the largest share."""
    for row in range(len(vectors)):
        which = heights[:, row].copy().argmax()
        end, p = which // heights.shape[2], which % heights.shape[2]
        vectors[row], components[row] = points[end, row, p], shares[end, row, p].argmax()
