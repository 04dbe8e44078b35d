"""The fused loops: the same bits as `networks.step` and `mixtures.next_vector`, whatever comes."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_generation import untrained
from threadpoolctl import threadpool_limits

from cmc_helpers import generation, mixtures, networks, residuals
from cmc_helpers.generation import fused
from cmc_helpers.mixtures import FORMS, NOISES, STRATEGIES
from cmc_helpers.networks import CELLS, STACKS, NetworkConfig
from cmc_helpers.sampling import Sampling, _knob

ROOT = Path(__file__).parent.parent
BATCHES = st.sampled_from([1, 2, 5])
SEEDS = st.integers(0, 2**32 - 1)
UNITS = st.sampled_from([1, 3, 8, 13, 100, 130, 300])  # of sums that are taken in other orders
OF_SOUND = Sampling("sample", sigma_scale=0.6)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(STACKS), st.integers(1, 3), UNITS, st.integers(1, 3), BATCHES, SEEDS)
def test_every_step_is_that_of_the_layers_in_numpy(stack, layers, units, frames, batch, seed):
    config = NetworkConfig(7, layers, units, components=3, stack=stack, frames=frames)
    run, rng = untrained(config), np.random.default_rng(seed)
    states = [
        tuple(part + rng.normal(size=part.shape).astype(np.float32) for part in state)
        for state in networks.zero_states(config, batch)
    ]
    before = [[part.copy() for part in state] for state in states]
    step, given_states = fused.Steps(run.weights, config, states), states
    with threadpool_limits(1):
        for _ in range(5):
            frame = rng.normal(size=(batch, config.width)).astype(np.float32)
            output, states = networks.step(run.layers, config, frame, states)
            np.testing.assert_array_equal(step(frame), output)
    for state, wanted in zip(step.states, states, strict=True):
        np.testing.assert_array_equal(state, wanted)
    for state, was in zip(given_states, before, strict=True):
        np.testing.assert_array_equal(state, was)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(STRATEGIES),
    st.sampled_from([*FORMS]),
    st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.5, 0.95, 1.0, 3.0]),
    st.integers(1, 20),
    st.sampled_from([1, 5, 100, 200]),
    BATCHES,
    st.sampled_from([0.01, 1.0, 5.0]),
    st.booleans(),
    SEEDS,
)
def test_every_choice_is_that_of_the_mixture(
    strategy, form, tau, sigma_scale, temperature, components, features, batch, size, ties, seed
):
    """Small outputs lie close together: mean-shift climbs far. Whole ones have equal weights."""
    config, rng = NetworkConfig(features, components=components), np.random.default_rng(seed)
    sampling = Sampling(strategy, tau, sigma_scale, temperature, form)
    choose = fused.Choices(config, batch, sampling)
    with threadpool_limits(1):
        for _ in range(2):
            output = size * rng.normal(size=(batch, config.outputs))
            output = np.float32(np.rint(output) if ties else output)
            uniforms = np.float32(rng.choice([1e-7, 0.5, 1.0, 1 - rng.random()], size=batch))
            noise = rng.normal(size=(batch, features)).astype(np.float32)
            vectors, chosen = choose(output, uniforms, noise)
            mixture = networks.read_output(output, config)
            wanted, component = mixtures.next_vector(mixture, sampling, uniforms, noise)
            np.testing.assert_array_equal(vectors, wanted)
            np.testing.assert_array_equal(chosen, component)


@pytest.mark.parametrize("size", [*range(1, 300), 1000, 5003])
def test_a_sum_is_taken_in_the_order_of_numpy(size):
    x = np.random.default_rng(size).normal(size=(20, size)).astype(np.float32)
    assert [fused._sum(row) for row in x] == np.add.reduce(x, axis=-1).tolist()


CONFIGS = [NetworkConfig(4, 2, 6, 3, stack=stack, cell=cell) for stack in STACKS for cell in CELLS]
CONFIGS += [
    NetworkConfig(4, 2, 6, 3, frames=3),
    NetworkConfig(4, 2, 6, 3, frames=3, feature_scales=True),
    NetworkConfig(4, 2, 6, components=0),
]


@pytest.fixture
def long(monkeypatch):
    """Say from which step on a generation is long."""
    return lambda steps: monkeypatch.setattr(generation, "LONG", steps)


@pytest.mark.parametrize("config", CONFIGS, ids=networks.in_words)
@pytest.mark.parametrize("sequences", [1, 3])
def test_a_long_piece_begins_like_a_short_one_bit_for_bit(config, sequences, long):
    run = untrained(config, OF_SOUND if config.components else Sampling())
    made = {}
    for steps in (np.inf, 0):
        long(steps)
        made[steps] = generation.generate(run, 50, sequences=sequences, seed=3)
    np.testing.assert_array_equal(made[0].vectors, made[np.inf].vectors)
    np.testing.assert_array_equal(made[0].components, made[np.inf].components)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_residuals_are_drawn_alike(strategy, long):
    run = untrained(NetworkConfig(5, layers=1, units=6, components=4), OF_SOUND)
    heard = np.random.default_rng(1).normal(size=(300, 5)).astype(np.float32)
    object.__setattr__(run, "residuals", residuals.collect(run, [heard]))
    made = []
    for steps in (np.inf, 0):
        long(steps)
        knobs = dict(strategy=strategy, sigma_scale=0.7, noise="residuals", sequences=2)
        made.append(generation.generate(run, 60, **knobs).vectors)
    np.testing.assert_array_equal(*made)


def test_it_is_taken_by_long_pieces_and_by_many_short_ones(monkeypatch):
    run = untrained(NetworkConfig(4, layers=1, units=3, components=2))
    monkeypatch.setattr(generation, "_taken", 0)
    monkeypatch.setattr(generation, "LONG", 100)
    assert generation._fused(run, run.sampling, 60) is None
    assert generation._fused(run, run.sampling, 60) is fused


@pytest.mark.parametrize("error", [ImportError, RuntimeError])
def test_where_nothing_can_be_compiled_the_steps_in_numpy_go_on(error, monkeypatch, long):
    """No numba, or nowhere to keep what it compiles: the import fails."""

    def fails(name, *rest):
        if name == "cmc_helpers.generation" and "fused" in (rest[2] or ()):
            raise error("cannot cache function: no locator available")
        return importing(name, *rest)

    importing = __import__
    long(0)
    run = untrained(NetworkConfig(4, layers=1, units=3, components=2))
    wanted = generation.generate(run, 10).vectors
    monkeypatch.setattr("builtins.__import__", fails)
    assert generation._fused(run, run.sampling, 10) is None
    np.testing.assert_array_equal(generation.generate(run, 10).vectors, wanted)


def test_a_knob_that_it_does_not_know_is_left_to_the_steps_in_numpy(long):
    @dataclass(frozen=True)
    class More(Sampling):
        gain: float = _knob(1.0, "How loud.", "gain", between=(0, 2))

    long(0)
    run = untrained(NetworkConfig(4, layers=1, units=3, components=2))
    assert generation._fused(run, run.sampling, 10) is fused
    assert generation._fused(run, More(), 10) is None


def test_a_network_in_double_precision_is_not_rounded(long):
    run = untrained(NetworkConfig(4, layers=1, units=3, components=2))
    for arrays in run.weights.values():
        arrays[:] = [array.astype(float) for array in arrays]
    long(0)
    assert generation._fused(run, run.sampling, 10) is None


def test_each_loop_is_compiled_for_one_kind_of_arguments(long):
    """Two processes may be the first, and keep what they compiled under the same name: then it has
    to be the same."""
    long(0)
    run = untrained(NetworkConfig(5, layers=2, units=6, components=4), OF_SOUND)
    heard = np.random.default_rng(1).normal(size=(300, 5)).astype(np.float32)
    run = replace(run, residuals=residuals.collect(run, [heard]))
    for strategy, noise in product(STRATEGIES, NOISES):
        sampling = Sampling(strategy, sigma_scale=0.5, noise=noise)
        generation.generate(run, 5, sampling=sampling, sequences=2)
    loops = [one for one in vars(fused).values() if hasattr(one, "signatures")]
    assert len(loops) > 10 and max(len(loop.signatures) for loop in loops) == 1


@pytest.mark.slow
def test_any_number_of_threads_gives_the_same_bytes():
    code = "import hashlib, sys; sys.path.insert(0, 'tests'); import test_fused;"
    code += "print(test_fused.digest())"
    found = set()
    for threads in "124":
        environment = os.environ | dict.fromkeys(
            ["OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"], threads
        )
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        found.add(result.stdout)
    assert len(found) == 1 and len(found.pop()) == 65


def digest():
    """Of what a network of the usual size makes, sixteen sequences at once, fused."""
    generation.LONG = 0
    made = generation.generate(untrained(NetworkConfig(100), OF_SOUND), 40, sequences=16)
    return hashlib.sha256(made.vectors.tobytes()).hexdigest()
