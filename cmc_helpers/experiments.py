"""The dummy experiments (paper, sections 4.1 and 5.1): small networks learn a short pattern in
seconds, and then run free.

Four networks are compared. `sequences.cyclic` needs no memory; only a network with a memory can
learn `sequences.bounce`.

Notebook: 05.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cmc_helpers import networks, runs
from cmc_helpers.features import Normaliser
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.sampling import Sampling

WINDOWS = 16  # in a batch: every phase of bounce once
STEPS = 50  # T̂, as in the paper's 2017 code
PRIMER = 64  # vectors to listen to before running free


def inverse_sine(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One x, up to three answers y: returns x and y, each (count, 1) float32, y in [0, 1).

    x = y + 0.3 sin(2πy) + noise, uniform in ±0.1. To find x from y is easy; here y is asked for
    (Bishop 1994, section 5; the paper's 2017 code has the same toy).

    Notebook: 01.
    """
    rng = np.random.default_rng(seed)
    y = rng.uniform(0.0, 1.0, (count, 1))
    x = y + 0.3 * np.sin(2 * np.pi * y) + rng.uniform(-0.1, 0.1, (count, 1))
    return x.astype(np.float32), y.astype(np.float32)


def four_networks(width: int) -> dict[str, NetworkConfig]:
    """{name: NetworkConfig}: two layers of 32 units each, for vectors of `width` numbers."""
    mixture = networks.small(width)
    return {
        "FFNN": replace(mixture, cell="dense", components=0),
        "RNN": replace(mixture, cell="rnn", components=0),
        "LSTM": replace(mixture, components=0),
        "LSTM + MDN": mixture,
    }


def windows(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets, each (16, 50, m) float32: T̂ = 50 steps from each of the first 16 vectors.

    The targets are the inputs moved up by one step, so T ≥ 66 vectors (T, m) are needed. Paper,
    section 2.3: the decomposition into T − T̂ + 1 batches, one fewer because each needs a target.

    Notebook: 05, section 4.
    """
    every = np.stack([vectors[s : s + STEPS + 1] for s in range(WINDOWS)]).astype(np.float32)
    return every[:, :-1], every[:, 1:]


def compiled_step(
    model: Any, cost: Callable[[Any, Any], Any], optimizer: Any
) -> Callable[[np.ndarray, np.ndarray], Any]:
    """A function (inputs, targets) → mean cost, which changes the weights of `model` once.

    Paper, section 2.3: θ_new = θ_old − α ∇E, with what the optimizer makes of it. XLA compiles all
    of it into one program; a small network spends its time between operations, not in them.

    Notebook: 05, section 4.
    """
    import tensorflow as tf

    @tf.function(jit_compile=True, autograph=False)
    def step(inputs, targets):
        with tf.GradientTape() as tape:
            error = tf.reduce_mean(cost(targets, model(inputs, training=True)))
        gradients = tape.gradient(error, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return error

    return step


def adam(model: Any, updates: int) -> Any:
    """The optimizer for so many updates of `model`: Adam, step size α from 0.01 down to 0.0002
    along half a cosine, gradients clipped to length 1.

    Notebook: 05, section 4.
    """
    import keras

    alpha = keras.optimizers.schedules.CosineDecay(0.01, updates, alpha=0.02)
    optimizer = keras.optimizers.Adam(alpha, global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    return optimizer


def begin(
    network: NetworkConfig, updates: int, seed: int
) -> tuple[Any, Callable[[np.ndarray, np.ndarray], Any]]:
    """A model with the random weights of this seed, and its `compiled_step` for so many updates.

    XLA takes longer to compile a step than so small a network takes to learn. What is compiled is
    kept, and the next run of the same network is given the same model, as good as new.
    """
    import keras

    model, optimizer, step = _program(network, updates)
    keras.utils.set_random_seed(seed)
    model.set_weights(networks.build(network).get_weights())
    for variable in optimizer.variables:  # moments, and how many updates there were
        variable.assign(np.zeros(variable.shape, variable.dtype))
    return model, step


@lru_cache(maxsize=4)
def _program(network, updates):
    model = networks.build(network)
    optimizer = adam(model, updates)
    cost = networks.loss(network, fused=False)
    return model, optimizer, compiled_step(model, cost, optimizer)


def learn(
    network: NetworkConfig,
    vectors: np.ndarray,
    updates: int = 400,
    input_noise: float = 0.05,
    seed: int = 0,
    progress: Callable[..., object] | None = None,
) -> runs.Run:
    """Train on `vectors` (T, m), T ≥ 66, and return a `runs.Run` that lives in memory only.

    Every update sees the 16 `windows`, with new Gaussian noise of standard deviation `input_noise`
    on the inputs: a network that runs free has to live with its own small errors.
    progress(done, total) is called after every update.

    Notebook: 05, section 4.
    """
    model, step = begin(network, updates, seed)
    inputs, targets = windows(vectors)
    rng = np.random.default_rng(seed)
    for update in range(updates):
        noise = rng.standard_normal(inputs.shape, np.float32)
        step(inputs + np.float32(input_noise) * noise, targets)
        if progress:
            progress(update + 1, updates)
    return in_memory(network, model, vectors[:PRIMER])


def in_memory(network: NetworkConfig, model: Any, primer: ArrayLike) -> runs.Run:
    """A `runs.Run` of plain vectors without a folder: what `generation.generate` needs."""
    primer = np.asarray(primer, np.float32)
    identity = Normaliser.identity(network.width)
    weights = networks.weights(model)
    return runs.Run(None, {}, None, network, identity, primer, Sampling(), weights)
