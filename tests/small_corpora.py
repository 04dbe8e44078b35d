"""Small things to train on, and a small network that does."""

import numpy as np

from cmc_helpers import sequences
from cmc_helpers.corpora import Corpus, Piece
from cmc_helpers.features import FeatureConfig
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.training import TrainingConfig

NETWORK = NetworkConfig(8, layers=1, units=8, components=2, stack="paper", sigma_floor=0.1)
SHORT = TrainingConfig(epochs=4, batch=4, steps=10, learning_rate=0.01, warmup=5, input_noise=0.05)


def bouncing(steps=200, hold_out=20):
    vectors = sequences.bounce(steps)
    cut = steps - hold_out
    pieces = (Piece("b", vectors[:cut], "train"), Piece("b", vectors[cut:], "validation"))
    return Corpus("bounce", pieces if hold_out else pieces[:1], None)


def music(pieces=2, frames=400, config=None, seed=0):
    rng = np.random.default_rng(seed)
    config = config or FeatureConfig.preset("default")
    made = []
    for number in range(pieces):
        features = np.abs(np.cumsum(0.1 * rng.standard_normal((frames, 100)), axis=0)) + 0.1
        split = "validation" if number and number + 1 == pieces else "train"
        made.append(Piece(f"piece {number}", features.astype(np.float32), split))
    return Corpus("music", tuple(made), config)


def weights(run):
    return run.model.get_weights()
