"""What the steady-state experiment compares is what it says: one thing at a time."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from notebook_rules import ROOT

from cmc_helpers import experiments, generation, networks, runs
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.sampling import Sampling


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
def test_dropout_leaves_out_a_share_of_what_a_layer_hears_and_none_of_its_memory(steady_state, run):
    layers = steady_state.Dropped(run.layers, np.random.default_rng(0))
    lstm, heard = run.layers.get_layer("lstm_1"), []
    spy = SimpleNamespace(cell=lambda x, state: heard.append((x, state)) or lstm.cell(x, state))
    layers.layers = SimpleNamespace(get_layer=lambda name: spy)
    x, state = np.ones((5000, 4), np.float32), (np.ones((5000, 4), np.float32),) * 2
    layers.get_layer("lstm_1").cell(x, state)
    ((left, memory),) = heard
    assert memory is state
    assert abs((left == 0).mean() - steady_state.DROPOUT) < 0.01
    np.testing.assert_allclose(left[left != 0], 1 / (1 - steady_state.DROPOUT), rtol=1e-6)
    assert layers.get_layer("mean") is spy


@pytest.mark.keras
@pytest.mark.parametrize("components", [0, 2])
def test_a_network_that_learns_with_dropout_is_the_same_network(steady_state, components):
    config = NetworkConfig(3, layers=2, units=8, components=components)
    model, x = networks.build(config), np.random.default_rng(0).normal(size=(2, 5, 3))
    learning = steady_state.with_dropout(model, config, seed=0)
    np.testing.assert_allclose(learning(x), model(x), rtol=1e-5, atol=1e-6)
    noisy = [np.asarray(learning(x, training=True)) for _ in range(2)]
    assert not np.allclose(noisy[0], model(x), atol=1e-3) and not np.allclose(*noisy, atol=1e-3)
    assert len(learning.trainable_variables) == len(model.trainable_variables)


@pytest.mark.keras
def test_a_clip_runs_free_as_the_package_lets_it(steady_state, run):
    primers = np.stack([run.primer, 2 * run.primer])
    made = steady_state.run_free(run, primers, 20, steady_state.Way("the mean"))
    wanted = generation.generate(run, 20, primer=primers, sequences=2, sampling=Sampling())
    np.testing.assert_allclose(made, wanted.vectors, atol=1e-5)


@pytest.mark.keras
def test_painted_noise_is_never_heard_and_other_noise_is(steady_state, run):
    one, primers = steady_state.with_constant_sigma(run), run.primer[None]

    def play(**way):
        return steady_state.run_free(one, primers, 40, steady_state.Way("the mean", **way))

    quiet, painted = play(), play(sigma_scale=1.0, hears="means")
    heard, louder = play(sigma_scale=1.0), play(sigma_scale=2.0, hears="means")
    np.testing.assert_allclose(louder - quiet, 2 * (painted - quiet), atol=1e-5)
    np.testing.assert_allclose(heard[:, 0], painted[:, 0], atol=1e-6)
    assert not np.allclose(heard[:, 1:], painted[:, 1:], atol=0.01)


@pytest.mark.keras
def test_in_a_window_what_was_before_is_forgotten(steady_state, run):
    way = steady_state.Way("the mean", hears="window")
    primers = np.stack([run.primer, run.primer])
    primers[1, :2] += 5
    one, other = steady_state.run_free(run, primers, 1, way, window=3)
    np.testing.assert_array_equal(one, other)
    one, other = steady_state.run_free(run, primers, 1, way, window=4)
    assert not np.array_equal(one, other)
    states = networks.zero_states(run.network, 1)
    for frame in run.primer[-3:]:
        output, states = networks.step(run.layers, run.network, frame[None], states)
    made = steady_state.run_free(run, primers[:1], 1, way, window=3)
    np.testing.assert_allclose(made[0], output, atol=1e-6)


def test_every_network_meets_every_way_once(steady_state):
    cells = [
        (name, seed, way)
        for name, seed in steady_state.networks_of(steady_state.FULL)
        for way in steady_state.ways(name)
    ]
    assert len(cells) == len(set(cells)) == 147
    dropped = {name for name, _, way in cells if way.dropout}
    assert dropped == {"squared error, dropout", "K = 10, dropout"}
