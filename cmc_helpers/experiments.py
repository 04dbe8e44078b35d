"""The dummy experiments (paper, sections 4.1 and 5.1): small networks learn a short pattern in
seconds, and then run free.

Four networks are compared. Only the last two solve `sequences.bounce`, and only a network with a
memory can.

Notebook: 05.
"""

import numpy as np

from cmc_helpers import networks, runs
from cmc_helpers.features import Normaliser
from cmc_helpers.networks import NetworkConfig

_WINDOWS, _STEPS = 16, 50  # every phase of bounce once; T̂ of the paper's 2017 code
_PRIMER = 64


def four_networks(width):
    """{name: NetworkConfig}: two layers of 32 units each, for vectors of `width` numbers."""
    common = dict(features=width, layers=2, units=32, stack="paper")
    return {
        "FFNN": NetworkConfig(**common, cell="dense", components=0),
        "RNN": NetworkConfig(**common, cell="rnn", components=0),
        "LSTM": NetworkConfig(**common, components=0),
        "LSTM + MDN": NetworkConfig(**common, components=4, sigma_floor=0.1),
    }


def compiled_step(model, cost, optimizer):
    """A function (inputs, targets) → mean cost, which changes the weights of `model` once.

    Paper, section 2.3: θ_new = θ_old − α ∇E, with what the optimizer makes of it. XLA compiles all
    of it into one program; a small network spends its time between operations, not in them.

    Notebook: 05, section 3.
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


def learn(network, vectors, updates=400, input_noise=0.05, seed=0, progress=None):
    """Train on `vectors` (T, m), T ≥ 66, and return a `runs.Run` that lives in memory only.

    Every update sees 16 windows of 50 steps, one beginning at each of the first 16 vectors, with
    new Gaussian noise of standard deviation `input_noise` on the inputs: a network that runs free
    has to live with its own small errors. progress(done, total) is called after every update.

    Notebook: 05, section 3.
    """
    import keras

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = networks.build(network)
    pace = keras.optimizers.schedules.CosineDecay(0.01, updates, alpha=0.02)
    adam = keras.optimizers.Adam(pace, global_clipnorm=1.0)
    adam.build(model.trainable_variables)
    step = compiled_step(model, networks.loss(network, fused=False), adam)
    windows = np.stack([vectors[s : s + _STEPS + 1] for s in range(_WINDOWS)]).astype(np.float32)
    inputs, targets = windows[:, :-1], windows[:, 1:]
    for update in range(updates):
        noise = rng.standard_normal(inputs.shape, np.float32)
        step(inputs + np.float32(input_noise) * noise, targets)
        if progress:
            progress(update + 1, updates)
    return in_memory(network, model, vectors[:_PRIMER])


def in_memory(network, model, primer):
    """A `runs.Run` of plain vectors without a folder: what `generation.generate` needs."""
    sampling = {"strategy": "greedy", "tau": 0.6, "sigma_scale": 0.0}
    primer = np.asarray(primer, np.float32)
    identity = Normaliser.identity(network.features)
    return runs.Run(None, {}, None, network, identity, primer, sampling, model)
