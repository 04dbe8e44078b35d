"""Keras networks: LSTM stacks with a mixture density head, and their loss (paper, 2.1.2 to 2.1.4).

Both stacks are made of stock Keras layers, so a saved `.keras` file loads without custom objects.
The layers are looked up by name, so the same weights run over whole sequences (`build`) and one
frame at a time with an explicit state (`step`).

Notebook: 02 (mixture head), 04 (LSTM), 09 (both stacks).
"""

from dataclasses import asdict, dataclass

from cmc_helpers import mixtures

STACKS = ("paper", "residual")


@dataclass(frozen=True)
class NetworkConfig:
    """features: m. layers: L. units: size of every h and c. components: K.

    stack "paper": LSTM layers one upon the other. "residual": h ← h + LSTM(LayerNorm(h)), with a
    final LayerNorm; it learns music that the plain stack does not (see
    `benchmarks/representations.py`). sigma_floor: the smallest σ, in normalised units.
    """

    features: int
    layers: int = 5
    units: int = 100
    components: int = 10
    stack: str = "residual"
    sigma_floor: float = 0.01

    def __post_init__(self):
        if self.stack not in STACKS:
            raise ValueError(f"there is no stack {self.stack!r}; choose one of {', '.join(STACKS)}")
        for name in ("features", "layers", "units", "components"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.sigma_floor > 0:
            raise ValueError(f"sigma_floor must be above 0, not {self.sigma_floor}")

    def to_dict(self):
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    @property
    def outputs(self):
        """2K + K·m numbers describe the mixture (paper, section 2.1.2)."""
        return 2 * self.components + self.components * self.features


def build(config, weight_penalty=0.0):
    """A Keras model (batch, T, m) → raw mixture parameters (batch, T, 2K + K·m).

    weight_penalty: λ of the paper's λ/2 ‖θ‖² (section 6.1), added to the loss for every weight
    and bias; the gains and shifts of LayerNorm stay free.
    """
    import keras

    decay = keras.regularizers.L2(weight_penalty / 2) if weight_penalty else None
    dense = dict(kernel_regularizer=decay, bias_regularizer=decay)
    layers = {"mixture": keras.layers.Dense(config.outputs, name="mixture", **dense)}
    for number in range(1, config.layers + 1):
        layers[f"lstm_{number}"] = keras.layers.LSTM(
            config.units,
            return_sequences=True,
            recurrent_regularizer=decay,
            name=f"lstm_{number}",
            **dense,
        )
        layers[f"norm_{number}"] = keras.layers.LayerNormalization(name=f"norm_{number}")
    layers["norm"] = keras.layers.LayerNormalization(name="norm")
    layers["project"] = keras.layers.Dense(config.units, name="project", **dense)

    frames = keras.Input((None, config.features), name="frames")
    output = _stack(config, layers.get, lambda number, h: layers[f"lstm_{number}"](h), frames)
    return keras.Model(frames, output, name=f"{config.stack}_stack")


def step(model, config, frame, states):
    """One step of the recursion [h_t, c_t] = A(x_t, h_{t−1}, c_{t−1}) (paper, section 2.1.4).

    frame: (batch, m). states: a list of (h, c) per layer, each (batch, units). Returns the raw
    mixture parameters (batch, 2K + K·m) and the new states. The weights are those of `model`.
    """
    new_states = []

    def recur(number, h):
        state = list(states[number - 1])
        h, state = model.get_layer(f"lstm_{number}").cell(h, state)
        new_states.append(tuple(state))
        return h

    return _stack(config, model.get_layer, recur, frame), new_states


def zero_states(config, batch):
    """The initial (h₀, c₀) of every layer: zeros, (batch, units)."""
    from keras import ops

    zeros = ops.zeros((batch, config.units))
    return [(zeros, zeros) for _ in range(config.layers)]


def mixture_loss(config):
    """A Keras loss: the negative log-likelihood in nats per frame, (batch, T, m) → (batch, T).

    It is `mixtures.log_density` with `keras.ops`. On TensorFlow the loss alone is compiled by XLA,
    which fuses its (batch, T, K, m) intermediates; compiling the LSTM as well is slower on CPUs.
    """
    import keras

    def negative_log_likelihood(y_true, y_pred):
        mixture = mixtures.from_network_output(
            y_pred, config.components, config.sigma_floor, xp=keras.ops
        )
        return -mixtures.log_density(y_true, mixture, keras.ops)

    if keras.backend.backend() != "tensorflow":
        return negative_log_likelihood
    import tensorflow as tf

    return tf.function(negative_log_likelihood, jit_compile=True, autograph=False)


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
    return layer("mixture")(h)
