"""How well does a run foresee what comes? Nats per frame, in a unit that all runs share.

A network's own loss counts in normalised units: two runs with other normalisers, or with features
that are amplitudes in one and their roots in the other, cannot be compared by it. By the change of
variables each density becomes one of the weighted amplitudes themselves (for plain vectors, of the
vectors). Lower is better, and because it is a density, below 0 is nothing strange; twice as loud a
recording has 69 nats more, so compare runs on the same recordings only.

Notebook: 09.
"""

import numpy as np

from cmc_helpers import mixtures, networks
from cmc_helpers.corpora import silent_frames
from cmc_helpers.features import features_to_amplitudes

_SOFTEST = 1e-9  # amplitude: its logarithm is finite


def nats_per_frame(run, features):
    """−ln P of what each step predicts, given all that came before, divided by its frames: (n,).

    run: `runs.Run`. features: (T, m) of one piece, T at least two steps' frames; of a run that
    predicts several frames at once the last few may be left out. The first step, which nothing came
    before, is not counted. Raises ValueError for a piece that is too short.
    """
    network = run.network
    steps = len(features) // network.frames
    if steps < 2:
        raise ValueError(f"{len(features)} frames are too few to foresee any of them: give more")
    x = np.asarray(features[: steps * network.frames], float).reshape(steps, network.width)
    z = run.normaliser.transform(x).astype(float)
    # Called directly, the model would take its steps one by one in Python.
    output = run.model.predict_on_batch(z[None, :-1].astype(np.float32))[0].astype(float)
    mixture = networks.read_output(output, network)
    y = z[1:] / networks.feature_scales(output, network)
    log_density = mixtures.log_density(y, mixture) + run.normaliser.log_volume
    if run.features:
        power = run.features.compression  # of the amplitude a: d aᵖ / da = p aᵖ⁻¹
        amplitudes = np.maximum(features_to_amplitudes(x[1:], run.features), _SOFTEST)
        log_density += np.sum(np.log(power) + (power - 1) * np.log(amplitudes), axis=1)
    return -log_density / network.frames


def held_out(run, corpus):
    """The mean of `nats_per_frame` over the corpus' held-out pieces; silent frames do not count."""
    together, losses = run.network.frames, []
    for features in corpus.split("validation"):
        losses.append(nats_per_frame(run, features)[~_silent(features, corpus.config, together)])
    return float(np.concatenate(losses).mean())


def copying(corpus):
    """What `held_out` gives for x̂_{t+1} = x_t with one constant σ, that of the training pieces.

    A network that does worse has learned nothing that a copy does not know.
    """

    def steps(features):
        if corpus.config:
            features = features_to_amplitudes(np.asarray(features[:], float), corpus.config)
        return np.diff(np.asarray(features[:], float), axis=0)

    squares = [np.mean(np.square(steps(features))) for features in corpus.split("train")]
    lengths = [len(features) - 1 for features in corpus.split("train")]
    sigma = np.sqrt(np.average(squares, weights=lengths))
    one = mixtures.Mixture(np.zeros(1), np.zeros((1, corpus.width)), np.full(1, sigma))
    losses = [
        -mixtures.log_density(steps(features), one)[~_silent(features, corpus.config, 1)]
        for features in corpus.split("validation")
    ]
    return float(np.concatenate(losses).mean())


def _silent(features, config, together):
    """True for each step but the first, where one of its frames is silent."""
    silent = silent_frames(features, config)
    return silent[: len(silent) // together * together].reshape(-1, together).any(axis=1)[1:]
