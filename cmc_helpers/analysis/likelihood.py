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
from cmc_helpers.corpora import Corpus, StoredFeatures
from cmc_helpers.features import features_to_amplitudes, parts, silent_frames
from cmc_helpers.runs import Run

_SOFTEST = 1e-9  # amplitude: its logarithm is finite
_STEPS = 1024  # whose mixtures are looked at together


def nats_per_frame(run: Run, features: np.ndarray | StoredFeatures) -> np.ndarray:
    """−ln P of what each step predicts, given all that came before, divided by its frames: (n,).

    run: `runs.Run`. features: (T, m) of one piece, T at least two steps' frames; of a run that
    predicts several frames at once the last few may be left out. The first step, which nothing came
    before, is not counted. What lasts longer is heard in parts of nine minutes, with nothing
    before each but its last step, so that memory does not grow with it. Raises ValueError for a
    piece that is too short.
    """
    if len(features) < 2 * run.network.frames:
        raise ValueError(f"{len(features)} frames are too few to foresee any of them: give more")
    heard = parts(features, run.network.frames)
    return np.concatenate([_nats(run, x) for x in heard if len(x) >= 2 * run.network.frames])


def _nats(run, features):
    """`nats_per_frame` of features that are heard at once."""
    network = run.network
    steps = len(features) // network.frames
    x = np.asarray(features[: steps * network.frames], float).reshape(steps, network.width)
    z = run.normaliser.transform(x).astype(float)
    # Called directly, the model would take its steps one by one in Python.
    outputs = run.model.predict_on_batch(z[None, :-1].astype(np.float32))[0]
    log_density = np.empty(steps - 1)
    for start in range(0, steps - 1, _STEPS):
        some = slice(start, start + _STEPS)
        output = outputs[some].astype(float)
        mixture = networks.read_output(output, network)
        y = z[1:][some] / networks.feature_scales(output, network)
        log_density[some] = mixtures.log_density(y, mixture) + run.normaliser.log_volume
    if run.features:
        power = run.features.compression  # of the amplitude a: d aᵖ / da = p aᵖ⁻¹
        amplitudes = np.maximum(features_to_amplitudes(x[1:], run.features), _SOFTEST)
        log_density += np.sum(np.log(power) + (power - 1) * np.log(amplitudes), axis=1)
    return -log_density / network.frames


def held_out(run: Run, corpus: Corpus) -> float:
    """The mean of `nats_per_frame` over what no network has met; silent frames do not count.

    That is the test part of the corpus, or the validation part where there is no other.
    """
    together, losses = run.network.frames, []
    for features in corpus.split(corpus.unheard):
        losses.append(nats_per_frame(run, features)[~_silent(features, corpus.config, together)])
    return float(np.concatenate(losses).mean())


def copying(corpus: Corpus) -> float:
    """What `held_out` gives for x̂_{t+1} = x_t with one constant σ, that of the training pieces.

    A network that does worse has learned nothing that a copy does not know.
    """

    def steps(features):
        for part in parts(features, 1):
            if corpus.config:
                part = features_to_amplitudes(part.astype(float), corpus.config)
            yield np.diff(np.asarray(part, float), axis=0)

    learned = [
        (np.mean(np.square(change)), len(change))
        for features in corpus.split("train")
        for change in steps(features)
    ]
    squares, lengths = zip(*learned, strict=True)
    sigma = np.sqrt(np.average(squares, weights=lengths))
    one = mixtures.Mixture(np.zeros(1), np.zeros((1, corpus.width)), np.full(1, sigma))
    losses = []
    for features in corpus.split(corpus.unheard):
        nats = [-mixtures.log_density(change, one) for change in steps(features)]
        losses.append(np.concatenate(nats)[~_silent(features, corpus.config, 1)])
    return float(np.concatenate(losses).mean())


def _silent(features, config, together):
    """True for each step but the first, where one of its frames is silent."""
    silent = silent_frames(features, config)
    return silent[: len(silent) // together * together].reshape(-1, together).any(axis=1)[1:]
