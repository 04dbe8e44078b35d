"""What the steady-state experiment compares is what it says: one σ, and dropout of h alone."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from notebook_rules import ROOT

from cmc_helpers import experiments, generation, networks, runs
from cmc_helpers.networks import NetworkConfig


@pytest.fixture
def steady_state(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "experiments"))
    import steady_state

    yield steady_state
    sys.modules.pop("steady_state", None)


@pytest.fixture
def run(tmp_path):
    config = NetworkConfig(3, layers=2, units=4, components=0)
    primer = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    history = {"epoch": [1], "loss": [9.0], "validation_loss": [0.75]}
    runs.write_history(tmp_path, history)
    return replace(experiments.in_memory(config, networks.build(config), primer), folder=tmp_path)


@pytest.mark.keras
def test_a_network_of_squared_error_keeps_its_means_and_gets_the_sigma_of_its_error(
    steady_state, run
):
    one = steady_state.with_constant_sigma(run)
    mixture = generation.foresee(one, run.primer).mixture
    np.testing.assert_allclose(mixture.scales, 0.5, rtol=1e-5)  # √(0.75 / 3)
    same = generation.generate(one, 20, sigma_scale=0.0).vectors
    np.testing.assert_allclose(same, generation.generate(run, 20).vectors, atol=1e-5)
    noisy = generation.generate(one, 20, sigma_scale=1.0).vectors
    assert not np.allclose(noisy, same, atol=0.1)


@pytest.mark.keras
def test_dropout_leaves_out_a_share_of_h_and_none_of_the_memory(steady_state, run):
    layers = steady_state.Dropped(run.layers, np.random.default_rng(0))
    x, state = np.ones((5000, 4), np.float32), (np.ones((5000, 4), np.float32),) * 2
    h, kept = layers.get_layer("lstm_1").cell(x, state)
    whole, memory = run.layers.get_layer("lstm_1").cell(x, state)
    np.testing.assert_array_equal(kept, memory)
    dropped = h == 0
    assert abs(dropped.mean() - steady_state.DROPOUT) < 0.01
    np.testing.assert_allclose(h[~dropped], (whole / (1 - steady_state.DROPOUT))[~dropped])
    assert layers.get_layer("mean") is run.layers.get_layer("mean")


def test_every_network_meets_every_way_once(steady_state):
    cells = [
        (name, seed, *way)
        for seed, name in steady_state.networks_of(steady_state.FULL)
        for way in steady_state.ways(name)
    ]
    assert len(cells) == len(set(cells)) == 180
