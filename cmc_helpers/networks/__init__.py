"""Keras networks with a mixture density head, and their loss (paper, sections 2.1.1 to 2.1.4).

The paper's network is a stack of LSTM layers. Plain recurrent and feed-forward layers, and a head
that predicts a mean alone, are there to be compared with it. All are stock Keras layers, so a saved
`.keras` file loads without custom objects. They are looked up by name, so the same weights run over
whole sequences (`build`) and one frame at a time with an explicit state (`step`), with Keras or,
where nothing is to be learnt, with NumPy alone (`InNumPy`).

For a model of one's own there are a layer and a loss, `MixtureHead` and `MixtureLoss`: see
`networks.head`.

Notebook: 02 (mixture head), 04 (LSTM), 05 (the four networks), 09 (both stacks).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from cmc_helpers import mixtures
from cmc_helpers.networks import head
from cmc_helpers.networks.in_numpy import InNumPy as InNumPy

STACKS = ("paper", "residual")
CELLS = {"lstm": 2, "rnn": 1, "dense": 0}  # vectors of state that a layer hands to the next step
_MOST = 100_000  # of anything that is counted: more comes from a slip, or from a hostile file
_LARGEST_SCALE = 2.0  # of a feature, as a logarithm, before the mean is taken off


@dataclass(frozen=True)
class NetworkConfig:
    """features: m, numbers per frame. layers: L. units: size of every h and c. components: K; with
    0 there is no mixture, and the network predicts a mean alone, by squared error.

    stack "paper": layers one upon the other. "residual": h ← h + LSTM(LayerNorm(h)), with a final
    LayerNorm; it learns music that the plain stack does not (see
    `tools/benchmarks/representations.py`). sigma_floor: the smallest σ, in normalised units. cell:
    what a layer is made of, "lstm", "rnn" (h_t = tanh(W x_t + U h_{t−1} + b)) or "dense" (tanh,
    feed-forward: no memory).

    Two ways beyond the paper. frames: so many frames are seen and predicted at once, as one vector
    of `width` numbers; whitened together, their noise hangs together in time. feature_scales: the
    network also says how much each feature is about to move, relative to the others, which makes
    what it foresees likelier, and piano music no better (see `feature_scales`, `mixture_loss` and
    tools/benchmarks/ingredients.md).
    """

    features: int
    layers: int = 5
    units: int = 100
    components: int = 10
    stack: str = "residual"
    sigma_floor: float = 0.01
    cell: str = "lstm"
    frames: int = 1
    feature_scales: bool = False

    def __post_init__(self):
        if self.stack not in STACKS:
            raise ValueError(f"there is no stack {self.stack!r}; choose one of {', '.join(STACKS)}")
        if self.cell not in CELLS:
            raise ValueError(f"there is no cell {self.cell!r}; choose one of {', '.join(CELLS)}")
        for name in ("features", "layers", "units", "frames", "components"):
            least, number = int(name != "components"), getattr(self, name)
            if not least <= number <= _MOST or number != int(number):
                raise ValueError(
                    f"{name} must be a whole number from {least} to {_MOST}, not {number!r:.20}"
                )
        if not 0 < self.sigma_floor < 100:
            raise ValueError(f"sigma_floor must be above 0 and below 100, not {self.sigma_floor}")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    @property
    def width(self) -> int:
        """Numbers that the network sees and predicts in one step: m, for every frame of it."""
        return self.frames * self.features

    @property
    def outputs(self) -> int:
        """2K + K·m numbers describe the mixture (paper, section 2.1.2); m numbers are a mean.

        With several frames in a step m is `width`; feature scales are `width` numbers more, and
        another σ for each component.
        """
        scaled = self.feature_scales and self.components > 0
        return self._mixture_outputs + (self.width + self.components) * scaled

    @property
    def _mixture_outputs(self):
        return 2 * self.components + max(self.components, 1) * self.width

    @property
    def loss_unit(self) -> str:
        """What `loss` counts."""
        return "nats per frame" if self.components else "squared error per frame"


def small(features: int) -> NetworkConfig:
    """The NetworkConfig that learns short patterns of plain vectors, and goes on with them.

    The wide σ floor keeps it stable when it runs free; see `tools/benchmarks/dummy_experiments.py`.
    """
    return NetworkConfig(features, layers=2, units=32, components=4, stack="paper", sigma_floor=0.2)


def in_words(config: NetworkConfig) -> str:
    """A line that says what network this is: "residual stack of 5 x 100 LSTM, 10 Gaussians"."""
    cell = {"lstm": "LSTM", "rnn": "plain recurrent", "dense": "feed-forward"}[config.cell]
    head = f"{config.components} Gaussians" if config.components else "a mean alone"
    if config.feature_scales:
        head += " with a scale for each feature"
    together = f", {config.frames} frames at once" if config.frames > 1 else ""
    return f"{config.stack} stack of {config.layers} x {config.units} {cell}, {head}{together}"


def build(config: NetworkConfig, weight_penalty: float = 0.0) -> Any:
    """A Keras model (batch, T, m) → raw mixture parameters (batch, T, 2K + K·m), or, without a
    mixture, means (batch, T, m); m is `config.width`.

    weight_penalty: λ of the paper's λ/2 ‖θ‖² (section 6.1), added to the loss for every weight
    and bias; the gains and shifts of LayerNorm stay free.
    """
    import keras

    decay = keras.regularizers.L2(weight_penalty / 2) if weight_penalty else None
    dense = dict(kernel_regularizer=decay, bias_regularizer=decay)
    recurrent = dict(return_sequences=True, recurrent_regularizer=decay, **dense)
    make, options = {
        "lstm": (keras.layers.LSTM, recurrent),
        "rnn": (keras.layers.SimpleRNN, recurrent),
        "dense": (keras.layers.Dense, dict(activation="tanh", **dense)),
    }[config.cell]
    layers = {_head(config): keras.layers.Dense(config.outputs, name=_head(config), **dense)}
    for number in range(1, config.layers + 1):
        name = f"{config.cell}_{number}"
        layers[name] = make(config.units, name=name, **options)
        layers[f"norm_{number}"] = keras.layers.LayerNormalization(name=f"norm_{number}")
    layers["norm"] = keras.layers.LayerNormalization(name="norm")
    layers["project"] = keras.layers.Dense(config.units, name="project", **dense)

    frames = keras.Input((None, config.width), name="frames")
    output = _stack(
        config, layers.get, lambda number, h: layers[f"{config.cell}_{number}"](h), frames
    )
    return keras.Model(frames, output, name=f"{config.stack}_stack")


def step(
    model: Any, config: NetworkConfig, frame: Any, states: Sequence[Sequence[Any]]
) -> tuple[Any, list[tuple[Any, ...]]]:
    """One step of the recursion [h_t, c_t] = A(x_t, h_{t−1}, c_{t−1}) (paper, section 2.1.4).

    model: what `build` returns, or its `InNumPy`. frame: (batch, m). states: a list of (h, c) per
    layer, each (batch, units); of (h,) for plain recurrent layers, of () for feed-forward ones.
    Returns the output (batch, …) of `build` and the new states.
    """
    new_states = []

    def recur(number, h):
        layer, state = model.get_layer(f"{config.cell}_{number}"), list(states[number - 1])
        h, state = layer.cell(h, state) if state else (layer(h), state)
        new_states.append(tuple(state))
        return h

    return _stack(config, model.get_layer, recur, frame), new_states


def zero_states(config: NetworkConfig, batch: int) -> list[tuple[np.ndarray, ...]]:
    """The initial state of every layer, (h₀, c₀) of an LSTM: zeros, (batch, units)."""
    zeros = np.zeros((batch, config.units), np.float32)
    return [(zeros,) * CELLS[config.cell] for _ in range(config.layers)]


def weights(model: Any) -> dict[str, list[np.ndarray]]:
    """{layer's name: its arrays} of every layer of `model` that has any."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def weight_shapes(config: NetworkConfig) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of `weights`, without a model: what a file must hold to be this network."""
    m, u = config.width, config.units
    gates = {"lstm": 4, "rnn": 1}.get(config.cell)
    shapes, inputs = {}, m
    if config.stack == "residual":
        shapes["project"], shapes["norm"], inputs = [(m, u), (u,)], [(u,), (u,)], u
    for number in range(1, config.layers + 1):
        if config.stack == "residual":
            shapes[f"norm_{number}"] = [(u,), (u,)]
        kernel, bias = (inputs, (gates or 1) * u), ((gates or 1) * u,)
        recurrent = [(u, gates * u)] if gates else []
        shapes[f"{config.cell}_{number}"] = [kernel, *recurrent, bias]
        inputs = u
    return shapes | {_head(config): [(u, config.outputs), (config.outputs,)]}


def keras_groups(config: NetworkConfig) -> dict[str, str]:
    """{name: layer's name} of the groups in a .keras file: Keras counts the layers of each class.

    Their own names are in the file too, but as text of a length that HDF5 believes whatever it is.
    """
    classes = {"lstm": "lstm", "rnn": "simple_rnn", "norm": "layer_normalization"}
    groups: dict[str, str] = {}
    counts: dict[str, int] = {}

    def count(name):
        kind = classes.get(name.split("_")[0], "dense")
        number = counts[kind] = counts.get(kind, -1) + 1
        groups[f"{kind}_{number}" if number else kind] = name
        return 0

    def recur(number, h):
        return count(f"{config.cell}_{number}")

    _stack(config, lambda name: lambda h: count(name), recur, 0)
    return groups


def read_output(output: Any, config: NetworkConfig, xp: Any = np) -> mixtures.Mixture:
    """The `mixtures.Mixture` that a network's output (..., 2K + K·m) describes.

    Squared error is the likelihood of a Gaussian of constant σ around the mean (paper, section
    2.1.2): a network without a mixture gets that one Gaussian, with σ = 1. With feature scales the
    mixture is that of the vectors divided by them.
    """
    K = config.components
    if not K:
        constant = xp.zeros_like(output[..., :1])
        return mixtures.Mixture(constant, output[..., None, :], constant + 1)
    raw = output[..., : config._mixture_outputs]
    if not config.feature_scales:
        return mixtures.from_network_output(raw, K, config.sigma_floor, xp=xp)
    raw = xp.concatenate([raw[..., :K], output[..., -K:], raw[..., 2 * K :]], axis=-1)
    mixture = mixtures.from_network_output(raw, K, config.sigma_floor, xp=xp)
    scales = feature_scales(output, config, xp)
    return mixture._replace(means=mixture.means / scales[..., None, :])


def feature_scales(output: Any, config: NetworkConfig, xp: Any = np) -> Any:
    """How much each feature is about to move, relative to the others: s (..., m), or 1.

    The paper's components are isotropic, but while one note sounds most features stand still. So
    the network may predict a scale for each feature, and the mixture, still isotropic, is one of
    y / s. Their product is 1, so densities of y / s and of y are the same number, and π/σ^m picks
    the same component; each lies between e⁻⁴ and e⁴.
    """
    if not (config.feature_scales and config.components):
        return 1.0
    raw = output[..., config._mixture_outputs : -config.components]
    logarithms = _LARGEST_SCALE * xp.tanh(raw / _LARGEST_SCALE)
    return xp.exp(logarithms - xp.mean(logarithms, axis=-1, keepdims=True))


def loss(config: NetworkConfig, fused: bool = True) -> "NetworkLoss":
    """The Keras loss that suits `config`, (batch, T, m) → (batch, T): `mixture_loss`, or without
    a mixture the squared error of paper section 2.1.1, ‖ŷ − y‖². A `NetworkLoss`."""
    return head.serialisable(NetworkLoss)(config, fused)


def mixture_loss(config: NetworkConfig, fused: bool = True) -> "NetworkLoss":
    """A Keras loss: the negative log-likelihood in nats per frame, (batch, T, m) → (batch, T).

    It is `mixtures.log_density` with `keras.ops`. fused: on TensorFlow the loss alone is compiled
    by XLA, which fuses its (batch, T, K, m) intermediates; False leaves that to a caller who
    compiles the whole training step.

    Feature scales have their gradient from this loss, but weights and means have theirs from the
    isotropic mixture beside it. Otherwise a feature that moves much would count little for the
    means (the pitfall of Seitzer et al., ICLR 2022), and a network that runs free would let such
    features grow without end; see `tools/benchmarks/ingredients.py`.
    """
    return loss(config, fused)


class NetworkLoss:
    """A function of targets (batch, T, m) and a network's outputs → (batch, T), made by `loss`.

    Keras saves it with a model that is compiled with it, and `keras.models.load_model` finds it
    again in a program that says `from cmc_helpers.networks import MixtureLoss` before.
    """

    def __init__(self, config: NetworkConfig, fused: bool = True) -> None:
        self.config, self.fused = config, fused
        losses = _negative_log_likelihood if config.components else _squared_error
        self._losses = lambda y_true, y_pred: losses(config, y_true, y_pred)
        if fused and config.components:
            self._losses = head.compiled(self._losses)

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return self._losses(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        """Plain numbers and strings, as Keras writes them into a model's file."""
        return {"network": self.config.to_dict(), "fused": self.fused}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The loss that `get_config` described."""
        return cls(NetworkConfig(**config["network"]), config["fused"])


def __getattr__(name: str) -> Any:
    """`MixtureHead` and `MixtureLoss`, made when first asked for, as they need Keras (PEP 562)."""
    if name not in ("MixtureHead", "MixtureLoss"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    head.serialisable(NetworkLoss)  # so that after one import Keras finds all three
    return head.classes()[name]


def _squared_error(config, y_true, y_pred):
    from keras import ops

    return ops.sum(ops.square(y_pred - y_true), axis=-1) / config.frames


def _negative_log_likelihood(config, y_true, y_pred):
    from keras import ops

    def density_loss(y, mixture):
        return -mixtures.log_density(y, mixture, ops) / config.frames

    if not config.feature_scales:
        return density_loss(y_true, read_output(y_pred, config, ops))
    raw, beside = ops.split(y_pred, [config._mixture_outputs], axis=-1)
    plain = mixtures.from_network_output(raw, config.components, config.sigma_floor, xp=ops)
    means_loss = density_loss(y_true, plain)
    output = ops.concatenate([ops.stop_gradient(raw), beside], axis=-1)
    scaled = y_true / feature_scales(output, config, ops)
    scales_loss = density_loss(scaled, read_output(output, config, ops))
    return scales_loss + means_loss - ops.stop_gradient(means_loss)


def _head(config):
    return "mixture" if config.components else "mean"


def _stack(config, layer, recur, h):
    """The wiring of both stacks; `recur(l, h)` runs layer l over a sequence or for one step."""
    residual = config.stack == "residual"
    if residual:
        h = layer("project")(h)
    for number in range(1, config.layers + 1):
        if residual:
            h = h + recur(number, layer(f"norm_{number}")(h))
        else:
            h = recur(number, h)
    if residual:
        h = layer("norm")(h)
    return layer(_head(config))(h)
