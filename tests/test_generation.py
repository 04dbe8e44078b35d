"""Generation: the network runs free, step by step, exactly as it was taught."""

from dataclasses import replace

import numpy as np
import pytest

from cmc_helpers import experiments, generation, mixtures, networks, runs
from cmc_helpers.features import Normaliser
from cmc_helpers.generation import generate
from cmc_helpers.mixtures import STRATEGIES
from cmc_helpers.networks import NetworkConfig


@pytest.fixture(scope="module")
def run(audio_run):
    return runs.load(audio_run)


@pytest.fixture(scope="module")
def small(vectors_run):
    return runs.load(vectors_run)


def mixture_after(run, inputs):
    """The mixture for each frame after `inputs` (T, m), by the teacher-forced network."""
    output = np.asarray(run.model(inputs[None]))[0]
    return mixtures.from_network_output(output, run.network.components, run.network.sigma_floor)


def test_free_running_equals_the_teacher_forced_network_fed_with_what_it_made(run):
    # Feed the whole generated sequence back at once: each frame must be the greedy choice of the
    # mixture that the network gives there.
    made = run.normaliser.transform(generate(run, 200, strategy="greedy").vectors[0])
    heard = run.normaliser.transform(run.primer)
    inputs = np.concatenate([heard, made[:-1]])
    mixture = mixture_after(run, inputs)
    expected, _ = mixtures.next_vector(mixture, "greedy", np.ones(len(inputs)), np.zeros((1, 100)))
    np.testing.assert_allclose(made, expected[len(heard) - 1 :], atol=1e-4)


@pytest.mark.parametrize("cell", networks.CELLS)
def test_a_network_without_a_mixture_feeds_its_mean_back(cell):
    config = NetworkConfig(3, layers=2, units=4, components=0, stack="paper", cell=cell)
    primer = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    run = experiments.in_memory(config, networks.build(config), primer)
    made = generate(run, 20).vectors[0]
    means = np.asarray(run.model(np.concatenate([primer, made[:-1]])[None]))[0]
    np.testing.assert_allclose(made, means[4:], atol=1e-5)
    with pytest.raises(ValueError, match="no σ to add: leave sigma_scale at 0"):
        generate(run, 20, strategy="sample")


def test_a_primer_is_heard_frame_by_frame(run):
    primer = run.primer[:40]
    first = generate(run, 1, strategy="greedy", primer=primer).vectors[0, 0]
    mixture = mixture_after(run, run.normaliser.transform(primer))
    expected, _ = mixtures.next_vector(mixture, "greedy", np.ones(40), np.zeros((1, 100)))
    np.testing.assert_allclose(run.normaliser.transform(first[None])[0], expected[-1], atol=1e-4)


def test_an_empty_primer_begins_from_zeros(run):
    first = generate(run, 1, strategy="greedy", primer=np.empty((0, 100))).vectors[0, 0]
    mixture = mixture_after(run, np.zeros((1, 100), np.float32))
    expected, _ = mixtures.next_vector(mixture, "greedy", np.ones(1), np.zeros((1, 100)))
    np.testing.assert_allclose(run.normaliser.transform(first[None])[0], expected[0], atol=1e-4)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same_bytes(run, strategy):
    one, two = (generate(run, 30, strategy=strategy, seed=3) for _ in range(2))
    assert one.vectors.tobytes() == two.vectors.tobytes()
    assert one.components.tobytes() == two.components.tobytes()


def test_another_seed_gives_other_noise(run):
    one, two = (generate(run, 30, strategy="sample", seed=seed) for seed in (0, 1))
    assert not np.array_equal(one.vectors, two.vectors)


def test_a_longer_generation_begins_like_a_shorter_one(run):
    short = generate(run, 30, strategy="sample").vectors
    long = generate(run, 300, strategy="sample").vectors
    np.testing.assert_array_equal(short, long[:, :30])


def test_a_sequence_is_the_same_alone_and_among_others(run):
    alone = generate(run, 20, strategy="sample", sigma_scale=0.3)
    among = generate(run, 20, strategy="sample", sigma_scale=0.3, sequences=4)
    assert among.vectors.shape == (4, 20, 100) and among.components.shape == (4, 20)
    np.testing.assert_allclose(alone.vectors[0], among.vectors[0], atol=1e-3)
    assert not np.allclose(among.vectors[0], among.vectors[1], atol=1e-2)


def test_tau_0_is_greedy_and_sigma_scale_adds_noise(run):
    greedy = generate(run, 30, strategy="greedy").vectors
    np.testing.assert_array_equal(greedy, generate(run, 30, strategy="tempered", tau=0.0).vectors)
    noisy = generate(run, 1, strategy="greedy", sigma_scale=0.5).vectors
    assert np.abs(noisy[0, 0] - greedy[0, 0]).max() > 0


def test_what_is_not_given_comes_from_the_run(run, small):
    assert generation.settings(run) == ("sample", 0.6, 0.6, 1.0, "exact")
    assert generation.settings(run, strategy="greedy") == ("greedy", 0.6, 0.0, 1.0, "exact")
    assert generation.settings(run, tau=0.2, sigma_scale=0.1) == ("sample", 0.2, 0.1, 1.0, "exact")
    assert generation.settings(small) == ("greedy", 0.6, 0.0, 1.0, "exact")
    assert generation.settings(small, strategy="sample") == ("sample", 0.6, 1.0, 1.0, "exact")
    sharp = replace(run, sampling=run.sampling | {"pi_temperature": 0.5})
    assert generation.settings(sharp)[3] == generation.settings(sharp, "sample")[3] == 0.5
    assert generation.settings(sharp, "tempered")[3] == 1.0
    assert generation.settings(sharp, pi_temperature=2.0)[3] == 2.0
    by_weight = replace(run, sampling=run.sampling | {"form": "weight"})
    assert generation.settings(by_weight)[4] == "weight"
    assert generation.settings(by_weight, "tempered")[4] == "exact"
    assert generation.settings(by_weight, "tempered", form="paper")[4] == "paper"


def test_progress_reaches_its_end(run):
    seen = []
    generate(run, 300, progress=lambda done, total, message: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] and len(seen) > 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"steps": 0}, "steps"),
        ({"sequences": 0}, "sequences"),
        ({"strategy": "loud"}, "loud"),
        ({"tau": 1.5}, "τ"),
        ({"tau": float("nan")}, "τ"),
        ({"sigma_scale": -1.0}, "sigma_scale"),
        ({"pi_temperature": 0.0}, "pi_temperature"),
        ({"form": "peak"}, "no form 'peak'"),
        ({"primer": np.zeros((5, 7))}, "primer"),
        ({"primer": np.full((5, 100), np.nan)}, "primer"),
        ({"form": "other"}, "form"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_named(run, wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        generate(run, **({"steps": 5, "strategy": "greedy"} | wrong))


def test_features_that_no_number_can_hold_are_refused(small):
    huge = Normaliser(np.zeros(8), 1e-45 * np.eye(8))
    with pytest.raises(ValueError, match="without bounds"):
        generate(replace(small, normaliser=huge), 3)


def test_output_that_grows_without_bounds_is_refused(small):
    with pytest.raises(ValueError, match="without bounds"):
        generate(small, 50, strategy="sample", sigma_scale=3e38)


@pytest.fixture(scope="module")
def several():
    """A run that predicts three frames of four numbers at once, each feature with its own scale."""
    config = NetworkConfig(4, layers=2, units=6, components=3, frames=3, feature_scales=True)
    model = networks.build(config)
    rng = np.random.default_rng(0)
    model.set_weights([0.5 * rng.normal(size=w.shape) for w in model.get_weights()])
    primer = rng.normal(size=(20, 4)).astype(np.float32)
    return experiments.in_memory(config, model, primer)


@pytest.mark.parametrize("sigma_scale", [0.0, 1.0])
def test_frames_predicted_together_equal_the_teacher_forced_network(several, sigma_scale):
    """The noise of a step, recovered, is that of its mixture, stretched by the feature scales."""
    made, components = generate(several, 50, strategy="greedy", sigma_scale=sigma_scale, seed=5)
    assert made.shape == (1, 50, 4) and components.shape == (1, 50)
    heard = several.primer[2:]  # 20 frames are six steps of three, and two too many
    rows = np.concatenate([heard, made[0, :48]]).reshape(-1, 12)
    output = np.asarray(several.model(rows[None, :-1]))[0, 5:]
    mixture = networks.read_output(output, several.network)
    scales = networks.feature_scales(output, several.network)
    peaks = mixtures.standardised_log_weights(mixture)
    np.testing.assert_array_equal(np.argmax(peaks, axis=-1), components[0, :48:3])
    means = np.take_along_axis(mixture.means, components[0, :48:3, None, None], axis=1)[:, 0]
    sigma = np.take_along_axis(mixture.scales, components[0, :48:3, None], axis=1)
    noise = (rows[6:] / scales - means) / sigma
    if sigma_scale:
        assert 0.8 < noise.std() < 1.2 and np.abs(noise).max() < 4
    else:
        np.testing.assert_allclose(noise * sigma, 0, atol=1e-4)


def test_of_frames_predicted_together_any_number_can_be_asked_for(several):
    long = generate(several, 50, strategy="sample", seed=2).vectors[0]
    for steps in (1, 2, 3, 4, 49):
        made = generate(several, steps, strategy="sample", seed=2).vectors[0]
        np.testing.assert_array_equal(made, long[:steps])


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_a_primer_too_short_for_a_step_counts_as_none(several, frames):
    nothing = generate(several, 9, primer=np.empty((0, 4))).vectors
    made = generate(several, 9, primer=np.ones((frames, 4), np.float32)).vectors
    np.testing.assert_array_equal(made, nothing)


def test_every_sequence_may_have_a_primer_of_its_own(run):
    primers = np.stack([run.primer[:40], run.primer[-40:], run.primer[20:60]])
    made = generate(run, 30, strategy="greedy", sequences=3, primer=primers).vectors
    for primer, one in zip(primers, made, strict=True):
        alone = generate(run, 30, strategy="greedy", primer=primer).vectors[0]
        np.testing.assert_allclose(one, alone, atol=1e-4)
    with pytest.raises(ValueError, match="give one primer, or one for each of 2 sequences"):
        generate(run, 30, sequences=2, primer=primers)
