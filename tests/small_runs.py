"""Two small trained runs that many tests share: python tests/small_runs.py FOLDER

They are made by a process of their own, so that a test which only reads or plays one of them need
not hold TensorFlow.
"""

import sys
from pathlib import Path

import numpy as np

from cmc_helpers import corpora, sequences, training
from cmc_helpers.audio import write_audio
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.vectors import write_csv


def vectors(folder):
    """A run trained on bounce vectors, width 8; barely trained, quick to make."""
    write_csv(folder / "bounce.csv", sequences.bounce(160))
    network = NetworkConfig(8, layers=2, units=8, components=3, stack="paper", sigma_floor=0.1)
    config = training.TrainingConfig(epochs=1, batch=4, steps=10, warmup=5)
    training.train(corpora.open_corpus(folder / "bounce.csv"), folder / "run", network, config)


def audio(folder):
    """A run trained on two seconds of a gliding tone; barely trained."""
    t = np.arange(24000) / 8000
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(t))
    write_audio(folder / "glide.wav", 0.4 * np.sin(2 * np.pi * (300 + 100 * t) * t) + noise)
    network = NetworkConfig(100, layers=2, units=8, components=3)
    config = training.TrainingConfig(epochs=1, batch=4, steps=20, warmup=5)
    training.train(corpora.open_corpus(folder / "glide.wav"), folder / "run", network, config)


if __name__ == "__main__":
    for make in vectors, audio:
        made = Path(sys.argv[1], make.__name__)
        made.mkdir(parents=True)
        make(made)
