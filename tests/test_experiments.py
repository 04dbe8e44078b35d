"""The dummy experiments: windows, one update, and whether a network counts on its own."""

from dataclasses import replace

import numpy as np
import pytest

from cmc_helpers import analysis, experiments, generation, networks, sequences

MEAN, LARGEST = 0.008, 0.035  # about what the paper's figures 4 and 5 show


@pytest.fixture(scope="module")
def bounce():
    return sequences.bounce(264)


def free_run(run, vectors, steps=200):
    """Mean and largest deviation of a free run from how `vectors` go on after the primer."""
    made = generation.generate(run, steps).vectors[0]
    return analysis.deviation(made, vectors[len(run.primer) : len(run.primer) + steps])


def weights(run):
    return b"".join(w.tobytes() for w in run.model.get_weights())


def test_four_networks_are_one_size_and_differ_in_cell_and_head():
    kinds = {
        name: (network.cell, network.components)
        for name, network in experiments.four_networks(8).items()
    }
    assert kinds == {
        "FFNN": ("dense", 0),
        "RNN": ("rnn", 0),
        "LSTM": ("lstm", 0),
        "LSTM + MDN": ("lstm", 4),
    }
    for network in experiments.four_networks(9).values():
        assert (network.features, network.layers, network.units) == (9, 2, 32)


def test_targets_are_the_inputs_moved_up_by_one_line():
    vectors = np.arange(132.0).reshape(66, 2)
    inputs, targets = experiments.windows(vectors)
    assert inputs.shape == targets.shape == (16, 50, 2)
    assert inputs.dtype == targets.dtype == np.float32
    for s in range(16):
        np.testing.assert_array_equal(inputs[s], vectors[s : s + 50])
        np.testing.assert_array_equal(targets[s], vectors[s + 1 : s + 51])


@pytest.mark.keras
@pytest.mark.parametrize("name", ["FFNN", pytest.param("LSTM + MDN", marks=pytest.mark.weekly)])
def test_a_compiled_step_is_keras_train_on_batch(name, bounce):
    network = experiments.four_networks(8)[name]
    cost, batch = networks.loss(network), [part[:2, :3] for part in experiments.windows(bounce)]
    ours, theirs = networks.build(network), networks.build(network)
    theirs.set_weights(ours.get_weights())
    theirs.compile(experiments.adam(theirs, 400), cost, run_eagerly=True)
    step = experiments.compiled_step(ours, cost, experiments.adam(ours, 400))
    for _ in range(2):
        assert float(step(*batch)) == pytest.approx(theirs.train_on_batch(*batch), rel=1e-4)
    for mine, keras_s in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, keras_s, atol=1e-4)


@pytest.mark.keras
def test_the_step_size_sinks_to_a_fiftieth_and_the_gradient_is_clipped():
    model = networks.build(experiments.four_networks(2)["FFNN"])
    optimizer = experiments.adam(model, 100)
    sizes = []
    for update in (0, 50, 100):
        optimizer.iterations.assign(update)
        sizes.append(float(optimizer.learning_rate))
    assert sizes == pytest.approx([0.01, 0.0051, 0.0002])
    assert optimizer.global_clipnorm == 1.0


@pytest.mark.keras
def test_learning_reduces_the_loss_and_tells_how_far_it_is(bounce):
    network, told = experiments.four_networks(8)["FFNN"], []
    cost, (inputs, targets) = networks.loss(network), experiments.windows(bounce)
    losses = []
    for updates in (1, 40):
        told.clear()
        run = experiments.learn(
            network, bounce, updates, progress=lambda *state: told.append(state)
        )
        losses.append(float(np.mean(cost(targets, run.model(inputs)))))
        assert told == [(n, updates) for n in range(1, updates + 1)]
    assert losses[1] < losses[0] / 2


@pytest.mark.keras
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(bounce):
    network = experiments.four_networks(8)["FFNN"]
    first, other, again = (experiments.learn(network, bounce, 3, seed=n) for n in (0, 1, 0))
    assert weights(first) == weights(again) != weights(other)


@pytest.mark.keras
def test_a_network_is_compiled_once_and_begins_anew(monkeypatch):
    made, plain = [], experiments.compiled_step
    monkeypatch.setattr(
        experiments, "compiled_step", lambda *given: made.append(given) or plain(*given)
    )
    network = replace(experiments.four_networks(8)["FFNN"], units=3)
    batch = [part[:2, :3] for part in experiments.windows(sequences.bounce(66))]
    first, step = experiments.begin(network, 5, seed=0)
    kept = [w.copy() for w in first.get_weights()]
    costs = [float(step(*batch)) for _ in range(3)]
    second, step = experiments.begin(network, 5, seed=0)
    for before, after in zip(kept, second.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [float(step(*batch)) for _ in range(3)] == costs
    experiments.begin(network, 6, seed=0)
    assert len(made) == 2


@pytest.fixture
def seen(monkeypatch):
    """The batches that a network is given to learn from; it learns nothing."""
    batches = []

    def begin(network, updates, seed):
        return networks.build(network), lambda *batch: batches.append(batch)

    monkeypatch.setattr(experiments, "begin", begin)
    return batches


@pytest.mark.keras
def test_noise_is_drawn_anew_for_every_update_on_inputs_only(bounce, seen):
    experiments.learn(experiments.four_networks(8)["FFNN"], bounce, 2, input_noise=0.05)
    inputs, targets = experiments.windows(bounce)
    (first, goal), (second, same_goal) = seen
    np.testing.assert_array_equal(goal, targets)
    np.testing.assert_array_equal(same_goal, targets)
    assert first.dtype == np.float32
    assert np.std(first - inputs) == pytest.approx(0.05, rel=0.05)
    assert np.std(first - second) == pytest.approx(0.05 * 2**0.5, rel=0.05)


@pytest.mark.keras
def test_without_noise_the_inputs_are_the_vectors(bounce, seen):
    experiments.learn(experiments.four_networks(8)["FFNN"], bounce, 1, input_noise=0)
    np.testing.assert_array_equal(seen[0][0], experiments.windows(bounce)[0])


@pytest.mark.keras
def test_a_run_in_memory_generates_what_the_weights_say(bounce):
    network = experiments.four_networks(8)["FFNN"]
    run = experiments.in_memory(network, networks.build(network), bounce[:5])
    assert run.primer.dtype == np.float32
    made = generation.generate(run, 2).vectors[0]
    answer = run.model(run.primer[None, -1:])
    np.testing.assert_allclose(made[:1], answer[0], atol=1e-6)
    np.testing.assert_allclose(made[1:], run.model(answer)[0], atol=1e-6)


@pytest.mark.keras
def test_the_primer_is_the_first_64_vectors(bounce):
    run = experiments.learn(experiments.four_networks(8)["FFNN"], bounce, 1)
    np.testing.assert_array_equal(run.primer, bounce[:64])


@pytest.mark.weekly
@pytest.mark.keras
def test_an_lstm_with_a_mixture_bounces_for_200_lines(bounce):
    run = experiments.learn(experiments.four_networks(8)["LSTM + MDN"], bounce)
    mean, largest = free_run(run, bounce)
    assert mean <= MEAN
    assert largest <= LARGEST


@pytest.mark.weekly
@pytest.mark.keras
def test_a_network_without_memory_does_not_bounce(bounce):
    run = experiments.learn(experiments.four_networks(8)["FFNN"], bounce)
    mean, largest = free_run(run, bounce)
    assert mean > 5 * MEAN
    assert largest > 5 * LARGEST


@pytest.mark.weekly
@pytest.mark.keras
def test_a_network_without_memory_walks_in_a_circle():
    cyclic = sequences.cyclic(264)
    run = experiments.learn(experiments.four_networks(7)["FFNN"], cyclic, input_noise=0)
    mean, largest = free_run(run, cyclic)
    assert mean <= MEAN
    assert largest <= LARGEST
