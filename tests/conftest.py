"""Small trained runs that several test files share."""

import numpy as np
import pytest
from hypothesis import Phase, settings

# For `make mutants`: the same examples every time, and no search for the simplest that fails.
settings.register_profile(
    "mutants",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=30,
    phases=(Phase.explicit, Phase.generate),
)


@pytest.fixture(scope="session")
def vectors_run(tmp_path_factory):
    """The folder of a run trained on bounce vectors, width 8; barely trained, quick to make."""
    from cmc_helpers import corpora, sequences, training
    from cmc_helpers.networks import NetworkConfig

    folder = tmp_path_factory.mktemp("vectors")
    sequences.write_csv(folder / "bounce.csv", sequences.bounce(160))
    network = NetworkConfig(8, layers=2, units=8, components=3, stack="paper", sigma_floor=0.1)
    config = training.TrainingConfig(epochs=1, batch=4, steps=10, warmup=5)
    training.train(corpora.open_corpus(folder / "bounce.csv"), folder / "run", network, config)
    return folder / "run"


@pytest.fixture(scope="session")
def audio_run(tmp_path_factory):
    """The folder of a run trained on two seconds of a gliding tone; barely trained."""
    from cmc_helpers import corpora, training
    from cmc_helpers.audio import write_audio
    from cmc_helpers.networks import NetworkConfig

    folder = tmp_path_factory.mktemp("audio")
    t = np.arange(24000) / 8000
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(t))
    write_audio(folder / "glide.wav", 0.4 * np.sin(2 * np.pi * (300 + 100 * t) * t) + noise)
    network = NetworkConfig(100, layers=2, units=8, components=3)
    config = training.TrainingConfig(epochs=1, batch=4, steps=20, warmup=5)
    training.train(corpora.open_corpus(folder / "glide.wav"), folder / "run", network, config)
    return folder / "run"


@pytest.fixture
def shown(monkeypatch):
    """The bundles that a cell displays."""
    bundles = []

    def display(data, *, raw):
        assert raw
        bundles.append(data)

    monkeypatch.setattr("IPython.display.display", display)
    return bundles
