"""The layers of a network as plain functions of arrays, to generate with (paper, section 2.1.4).

Keras is the oracle of their tests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class InNumPy:
    """The layers of a network as plain functions of arrays, for `step`.

    weights: as `weights` returns them. A network that only plays is a few matrices: without
    TensorFlow it starts at once, in a tenth of the memory. Keras is the oracle of its tests.
    """

    def __init__(self, weights: Mapping[str, Sequence[np.ndarray]]) -> None:
        self._layers = {name: _LAYERS[name.split("_")[0]](*w) for name, w in weights.items()}

    def get_layer(self, name: str) -> Any:
        """The layer as a function x (batch, n) → (batch, units); `.cell(x, state)` steps it."""
        return self._layers[name]


class _Affine:
    def __init__(self, kernel, bias):
        self.kernel, self.bias = kernel, bias

    def __call__(self, x):
        return x @ self.kernel + self.bias


class _Dense(_Affine):
    def __call__(self, x):
        return np.tanh(super().__call__(x))


class _LayerNorm:
    def __init__(self, gain, shift):
        self.gain, self.shift = gain, shift

    def __call__(self, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + np.float32(1e-3)) * self.gain + self.shift  # Keras' ε


class _Recurrent:
    """W x_t + U h_{t−1} + b, as one product: both matrices lie upon each other."""

    def __init__(self, kernel, recurrent_kernel, bias):
        self.kernel, self.bias = np.concatenate([kernel, recurrent_kernel]), bias

    def sums(self, x, h):
        return np.concatenate([x, h], axis=-1) @ self.kernel + self.bias


class _RNN(_Recurrent):
    def cell(self, x, state):
        h = np.tanh(self.sums(x, *state))
        return h, (h,)


class _LSTM(_Recurrent):
    def cell(self, x, state):
        h, c = state
        i, f, j, o = np.split(self.sums(x, h), 4, axis=-1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(j)
        h = _sigmoid(o) * np.tanh(c)
        return h, (h, c)


def _sigmoid(x):
    return (np.tanh(x / 2) + 1) / 2  # 1 / (1 + e⁻ˣ), without overflow


_LAYERS = {
    "lstm": _LSTM,
    "rnn": _RNN,
    "dense": _Dense,
    "norm": _LayerNorm,
    "project": _Affine,
    "mixture": _Affine,
    "mean": _Affine,
}
