"""Which features and which stack learn music best? Held-out NLL on linear amplitudes.

    .venv/bin/python tools/benchmarks/representations.py [--epochs 10]

Each row trains the same number of steps on the two piano clips of data_samples (the last tenth of
each is held out). The likelihoods are made comparable by the change of variables: every model's
density is that of the weighted amplitudes themselves. Lower is better. Silent frames do not count.
"""

import argparse
import tempfile
from pathlib import Path

from cmc_helpers import corpora, training
from cmc_helpers.analysis import likelihood
from cmc_helpers.features import FeatureConfig
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.terminal import quiet_tensorflow, terminal_progress

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
    copying = likelihood.copying(linear)
    print(f"{'copy the previous frame, one constant σ':52s} {copying:8.1f} nats per frame")
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
            print(f"{label:52s} {likelihood.held_out(run, corpus):8.1f} nats per frame", flush=True)


def _corpus(config):
    opened = [corpora.open_corpus(corpora.sample_path(name), config) for name in CLIPS]
    return corpora.Corpus("clips", tuple(piece for c in opened for piece in c.pieces), config)


if __name__ == "__main__":
    main()
