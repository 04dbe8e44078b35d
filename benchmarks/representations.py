"""Which features and which stack learn music best? Held-out NLL on linear amplitudes.

    .venv/bin/python benchmarks/representations.py [--epochs 10]

Each row trains the same number of steps on the two piano clips of data_samples (the last tenth of
each is held out). The likelihoods are made comparable by the change of variables: every model's
density is that of the weighted amplitudes themselves. Lower is better. Silent frames do not count.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from cmc_helpers import corpora, mixtures, networks, training
from cmc_helpers.features import FeatureConfig
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.notebook import quiet_tensorflow, terminal_progress

CLIPS = ("bach_prelude.flac", "chopin_prelude.flac")
ROWS = (  # (label, compression, normalisation, stack)
    ("the paper: amplitudes / maximum, plain stack", 1.0, "maximum", "paper"),
    ("the same, residual stack", 1.0, "maximum", "residual"),
    ("square root / maximum, residual stack", 0.5, "maximum", "residual"),
    ("whitened innovations of amplitudes, residual stack", 1.0, "whitened innovations", "residual"),
    ("default: whitened square root, residual stack", 0.5, "whitened innovations", "residual"),
    ("whitened square root, plain stack", 0.5, "whitened innovations", "paper"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    epochs = parser.parse_args().epochs
    quiet_tensorflow()
    linear = _corpus(FeatureConfig.preset("paper"))
    print(f"{'copy the previous frame, one constant σ':52s} {_copying(linear):8.1f} nats per frame")
    for label, compression, normalisation, stack in ROWS:
        config = FeatureConfig("default", 1, compression, normalisation)
        corpus = _corpus(config)
        with tempfile.TemporaryDirectory() as folder, terminal_progress(label) as progress:
            run = training.train(
                corpus,
                Path(folder) / "run",
                NetworkConfig(corpus.width, stack=stack),
                # Noise of 0.1 is meant in whitened units; amplitudes over the maximum are small.
                training.TrainingConfig(
                    epochs=epochs, input_noise=0.1 if normalisation != "maximum" else 0.01
                ),
                progress=progress,
            )
            print(f"{label:52s} {held_out_nll(run, corpus):8.1f} nats per frame", flush=True)


def held_out_nll(run, corpus):
    """Mean −ln P of the held-out, sounding frames' weighted amplitudes, in nats."""
    losses = []
    p = corpus.config.compression
    for features in corpus.split("validation"):
        z = run.normaliser.transform(features)
        output = np.asarray(run.model(z[None, :-1]))[0].astype(float)
        mixture = networks.read_output(output, run.network)
        log_density = mixtures.log_density(z[1:].astype(float), mixture) + run.normaliser.log_volume
        amplitudes = np.maximum(features[1:].astype(float) ** (1 / p), 1e-9)
        log_density += np.sum(np.log(p) + (p - 1) * np.log(amplitudes), axis=1)
        losses.append(-log_density[~corpora.silent_frames(features, corpus.config)[1:]])
    return np.concatenate(losses).mean()


def _corpus(config):
    opened = [corpora.open_corpus(corpora.sample_path(name), config) for name in CLIPS]
    return corpora.Corpus("clips", tuple(piece for c in opened for piece in c.pieces), config)


def _copying(corpus):
    """x̂_{t+1} = x_t with the σ that fits the training part best."""
    steps = np.concatenate([np.diff(x, axis=0).ravel() for x in corpus.split("train")])
    sigma = np.sqrt(np.mean(np.square(steps, dtype=float)))
    mixture = mixtures.Mixture(np.zeros(1), np.zeros((1, corpus.width)), np.full(1, sigma))
    losses = [
        -mixtures.log_density(np.diff(x, axis=0), mixture)[
            ~corpora.silent_frames(x, corpus.config)[1:]
        ]
        for x in corpus.split("validation")
    ]
    return np.concatenate(losses).mean()


if __name__ == "__main__":
    main()
