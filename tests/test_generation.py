"""Generation: the network runs free, step by step, exactly as it was taught."""

from dataclasses import replace

import numpy as np
import pytest

from cmc_helpers import generation, mixtures, networks, runs
from cmc_helpers.features import Normaliser
from cmc_helpers.generation import generate
from cmc_helpers.mixtures import STRATEGIES
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.sampling import Sampling

KERAS = pytest.param("Keras", marks=pytest.mark.keras)
PIECE = [np.random.default_rng(1).normal(size=(300, 100)).astype(np.float32)]
MEANS_ALONE, OF_SOUND = Sampling(), Sampling("sample", sigma_scale=0.6)


def untrained(network, sampling=MEANS_ALONE, primer=60):
    """A run with weights drawn at random, and a normaliser that is not the identity."""
    rng = np.random.default_rng(0)
    weights = {
        name: [
            (0.5 * rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32) for shape in of
        ]
        for name, of in networks.weight_shapes(network).items()
    }
    matrix = np.diag(rng.uniform(0.5, 2, network.width))
    normaliser = Normaliser(rng.normal(size=network.width), matrix)
    heard = rng.normal(size=(primer, network.features)).astype(np.float32)
    return runs.Run(None, {}, None, network, normaliser, heard, sampling, weights)


@pytest.fixture(scope="module")
def run():
    return untrained(NetworkConfig(100, layers=2, units=8, components=3), OF_SOUND)


@pytest.fixture(scope="module")
def small():
    network = NetworkConfig(8, layers=2, units=8, components=3, stack="paper", sigma_floor=0.1)
    return untrained(network)


@pytest.fixture(params=["NumPy", KERAS])
def teacher(request):
    """The teacher-forced network: run, inputs (T, width) → outputs (T, ·), in two ways."""

    def stepped(run, inputs):
        states, outputs = networks.zero_states(run.network, 1), []
        for row in inputs:
            output, states = networks.step(run.layers, run.network, row[None], states)
            outputs.append(output[0])
        return np.array(outputs)

    def at_once(run, inputs):
        return np.asarray(run.model(inputs[None]))[0]

    return stepped if request.param == "NumPy" else at_once


def mixture_after(teacher, run, inputs):
    """The mixture for each frame after `inputs` (T, m), by the teacher-forced network."""
    output = teacher(run, inputs)
    return mixtures.from_network_output(output, run.network.components, run.network.sigma_floor)


@pytest.mark.keras
def test_a_trained_network_runs_free_as_it_was_taught(audio_run):
    run = runs.load(audio_run)
    made = run.normaliser.transform(generate(run, 200, strategy="greedy").vectors[0])
    inputs = np.concatenate([run.normaliser.transform(run.primer), made[:-1]])
    output = np.asarray(run.model(inputs[None]))[0, len(run.primer) - 1 :]
    mixture = networks.read_output(output, run.network)
    expected, _ = mixtures.next_vector(mixture, MEANS_ALONE, np.ones(200), np.zeros((1, 100)))
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_free_running_equals_the_teacher_forced_network_fed_with_what_it_made(run, teacher):
    # Feed the whole generated sequence back at once: each frame must be the greedy choice of the
    # mixture that the network gives there.
    made = run.normaliser.transform(generate(run, 200, strategy="greedy").vectors[0])
    heard = run.normaliser.transform(run.primer)
    inputs = np.concatenate([heard, made[:-1]])
    mixture = mixture_after(teacher, run, inputs)
    expected, _ = mixtures.next_vector(
        mixture, Sampling(), np.ones(len(inputs)), np.zeros((1, 100))
    )
    np.testing.assert_allclose(made, expected[len(heard) - 1 :], atol=1e-4)


@pytest.mark.parametrize("cell", networks.CELLS)
def test_a_network_without_a_mixture_feeds_its_mean_back(cell, teacher):
    config = NetworkConfig(3, layers=2, units=4, components=0, stack="paper", cell=cell)
    run = untrained(config, primer=5)
    made = generate(run, 20).vectors[0]
    inputs = run.normaliser.transform(np.concatenate([run.primer, made[:-1]]))
    means = run.normaliser.invert(teacher(run, inputs))
    np.testing.assert_allclose(made, means[4:], atol=1e-5)
    with pytest.raises(
        ValueError, match="^a network without a mixture has no σ to add: leave sigma_scale at 0$"
    ):
        generate(run, 20, strategy="sample")


def test_a_primer_is_heard_frame_by_frame(run, teacher):
    primer = run.primer[:40]
    first = generate(run, 1, strategy="greedy", primer=primer).vectors[0, 0]
    mixture = mixture_after(teacher, run, run.normaliser.transform(primer))
    expected, _ = mixtures.next_vector(mixture, MEANS_ALONE, np.ones(40), np.zeros((1, 100)))
    np.testing.assert_allclose(run.normaliser.transform(first[None])[0], expected[-1], atol=1e-4)


def test_an_empty_primer_begins_from_zeros(run, teacher):
    first = generate(run, 1, strategy="greedy", primer=np.empty((0, 100))).vectors[0, 0]
    mixture = mixture_after(teacher, run, np.zeros((1, 100), np.float32))
    expected, _ = mixtures.next_vector(mixture, MEANS_ALONE, np.ones(1), np.zeros((1, 100)))
    np.testing.assert_allclose(run.normaliser.transform(first[None])[0], expected[0], atol=1e-4)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("primer", [np.empty((0, 100)), None])
def test_every_step_is_the_recursion_of_the_paper_with_a_stream_for_each_sequence(
    run, strategy, primer
):
    """By hand: two sequences at once, each with random numbers of its own, in this order."""
    sampling = Sampling(strategy, 0.7, 0.4, 1.5, "paper")
    made = generate(run, 12, sampling=sampling, sequences=2, primer=primer, seed=7)
    streams = [np.random.default_rng([7, number]) for number in (0, 1)]
    zero = np.zeros((1, 100), np.float32)
    *heard, x = run.normaliser.transform(run.primer) if primer is None else zero
    states, x = networks.zero_states(run.network, 2), np.stack([x, x])
    for frame in heard:
        _, states = networks.step(run.layers, run.network, np.stack([frame, frame]), states)
    for t in range(12):
        output, states = networks.step(run.layers, run.network, x, states)
        mixture, uniform, noise = networks.read_output(output, run.network), [], []
        for stream in streams:
            uniform.append(1 - stream.random(dtype=np.float32))
            noise.append(stream.standard_normal(100, dtype=np.float32))
        x, component = mixtures.next_vector(mixture, sampling, np.array(uniform), np.array(noise))
        x = x.astype(np.float32)
        np.testing.assert_allclose(made.vectors[:, t], run.normaliser.invert(x), atol=1e-5)
        np.testing.assert_array_equal(made.components[:, t], component)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same_bytes(run, strategy):
    one, two = (generate(run, 30, strategy=strategy, seed=3) for _ in range(2))
    assert one.vectors.tobytes() == two.vectors.tobytes()
    assert one.components.tobytes() == two.components.tobytes()


def test_another_seed_gives_other_noise_and_none_is_0(run):
    one, two = (generate(run, 30, strategy="sample", seed=seed) for seed in (0, 1))
    assert not np.array_equal(one.vectors, two.vectors)
    np.testing.assert_array_equal(generate(run, 30, strategy="sample").vectors, one.vectors)


def test_a_primer_in_double_precision_is_rounded_first(run):
    primer = run.primer.astype(float) + 1e-9
    rounded = primer.astype(np.float32)
    for hear in (
        lambda x: generate(run, 5, primer=x),
        lambda x: generation.foresee(run, x).mixture,
    ):
        np.testing.assert_array_equal(hear(primer)[0], hear(rounded)[0])
        np.testing.assert_array_equal(hear(primer.tolist())[0], hear(rounded)[0])


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
    assert generation.settings(run) == run.sampling == OF_SOUND
    assert generation.settings(run, strategy="greedy") == Sampling()
    assert generation.settings(run, sigma_scale=0.1) == replace(OF_SOUND, sigma_scale=0.1)
    assert generation.settings(small, strategy="sample") == Sampling("sample")
    assert generation.settings(run, Sampling("exact"), sigma_scale=1) == Sampling("exact", 0.6, 1)


def test_a_knob_that_changes_nothing_is_refused_by_its_name(run):
    with pytest.raises(ValueError, match="^tau has nothing to do with the strategy sample: "):
        generate(run, 5, tau=0.3)
    with pytest.raises(ValueError, match="^form has nothing to do with the strategy exact: "):
        generate(run, 5, strategy="exact", form="paper")


def test_progress_is_told_every_25_steps_and_at_the_end(run, several):
    for who, steps, last in ((run, 60, 60), (several, 180, 60)):
        seen = []
        generate(who, steps, progress=lambda *told: seen.append(told))  # noqa: B023
        assert seen == [(done, last, "frames") for done in (25, 50, last)]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"steps": 0}, "steps"),
        ({"sequences": 0}, "sequences"),
        ({"strategy": "loud"}, "loud"),
        ({"tau": 1.5}, "tau"),
        ({"tau": float("nan")}, "tau"),
        ({"sigma_scale": -1.0}, "sigma_scale"),
        ({"pi_temperature": 0.0}, "pi_temperature"),
        ({"form": "peak"}, "no form 'peak'"),
        ({"primer": np.zeros((5, 7))}, "primer"),
        ({"primer": np.full((5, 100), np.nan)}, "^the primer holds NaN or infinite values"),
        ({"form": "other", "strategy": "sample"}, "form"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_named(run, wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        generate(run, **({"steps": 5, "strategy": "greedy"} | wrong))


def test_features_that_no_number_can_hold_are_refused(small):
    huge = Normaliser(np.zeros(8), 1e-60 * np.eye(8))
    sentence = "^the network's output grew without bounds: .* or train it longer$"
    with pytest.raises(ValueError, match=sentence):
        generate(replace(small, normaliser=huge), 3)


@pytest.fixture(scope="module")
def several():
    """A run that predicts three frames of four numbers at once, each feature with its own scale."""
    config = NetworkConfig(4, layers=2, units=6, components=3, frames=3, feature_scales=True)
    return untrained(config, primer=20)


@pytest.mark.parametrize("sigma_scale", [0.0, 1.0])
def test_frames_predicted_together_equal_the_teacher_forced_network(several, sigma_scale, teacher):
    """The noise of a step, recovered, is that of its mixture, stretched by the feature scales."""
    made, components = generate(several, 50, strategy="greedy", sigma_scale=sigma_scale, seed=5)
    assert made.shape == (1, 50, 4) and components.shape == (1, 50)
    heard = several.primer[2:]  # 20 frames are six steps of three, and two too many
    rows = np.concatenate([heard, made[0, :48]]).reshape(-1, 12)
    rows = several.normaliser.transform(rows)
    output = teacher(several, rows[:-1])[5:]
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


# What it expects of music that it hears


def test_a_network_that_listens_foresees_what_the_teacher_forced_one_does(run, several, teacher):
    for who, frames in ((run, 1), (several, 3)):
        features = who.primer[:20]
        rows = features[: 20 // frames * frames].reshape(-1, who.network.width)
        output = teacher(who, who.normaliser.transform(rows))
        foreseen = generation.foresee(who, features)
        for part, wanted in zip(
            foreseen.mixture, networks.read_output(output, who.network), strict=True
        ):
            np.testing.assert_allclose(part, wanted, atol=1e-5)
        assert foreseen.scales.shape == rows.shape
        wanted = networks.feature_scales(output, who.network) * np.ones(rows.shape)
        np.testing.assert_allclose(foreseen.scales, wanted, atol=1e-5)


def test_candidates_are_the_means_in_the_units_of_the_corpus(several):
    foreseen = generation.foresee(several, several.primer)
    candidates = foreseen.candidates(several, 2)
    assert candidates.shape == (3, 3, 4)  # components, frames, features
    for means, one in zip(foreseen.mixture.means[2], candidates, strict=True):
        stretched = means * foreseen.scales[2]
        np.testing.assert_array_equal(one.ravel(), several.normaliser.invert(stretched))


def test_a_rest_that_fills_no_step_stays_unheard_and_too_little_is_refused(several):
    long, short = (generation.foresee(several, several.primer[:n]) for n in (11, 9))
    np.testing.assert_array_equal(long.mixture.means, short.mixture.means)
    assert len(short.mixture.means) == 3
    with pytest.raises(ValueError, match="^3 frames are the least to hear, not 2$"):
        generation.foresee(several, several.primer[:2])
    with pytest.raises(ValueError, match="has the shape"):
        generation.foresee(several, np.zeros((9, 5)))
