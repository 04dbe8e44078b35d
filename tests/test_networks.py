"""The networks, against the equations written out in NumPy, and their loss against its gradient."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from cmc_helpers import mixtures, networks
from cmc_helpers.networks import (
    CELLS,
    STACKS,
    NetworkConfig,
    build,
    in_words,
    loss,
    mixture_loss,
    read_output,
    step,
    zero_states,
)

SMALL = dict(features=3, layers=2, units=5, components=4)


@pytest.fixture(scope="module", params=[(stack, cell) for stack in STACKS for cell in CELLS])
def network(request):
    """A small model of each stack and cell, with random weights: biases and gains too."""
    stack, cell = request.param
    config = NetworkConfig(**SMALL, stack=stack, cell=cell)
    model = build(config)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(scale=0.5, size=w.shape) for w in model.get_weights()])
    return config, model


def frames(batch=2, steps=50, features=3):
    return np.random.default_rng(1).normal(size=(batch, steps, features)).astype(np.float32)


# Both stacks in NumPy, as paper sections 2.1.1 to 2.1.4 and h ← h + LSTM(LayerNorm(h)) say it


def numpy_dense(x, kernel, bias):
    return np.tanh(x @ kernel + bias)


def numpy_rnn(x, kernel, recurrent, bias):
    h, outputs = np.zeros((len(x), len(recurrent))), []
    for x_t in x.swapaxes(0, 1):
        h = np.tanh(x_t @ kernel + h @ recurrent + bias)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def numpy_lstm(x, kernel, recurrent, bias):
    """Keras keeps the gates in the order input, forget, cell, output."""
    h = c = np.zeros((len(x), len(recurrent)))
    outputs = []
    for x_t in x.swapaxes(0, 1):
        i, f, g, o = np.split(x_t @ kernel + h @ recurrent + bias, 4, axis=-1)
        c = scipy.special.expit(f) * c + scipy.special.expit(i) * np.tanh(g)
        h = scipy.special.expit(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def numpy_norm(h, gain, shift):
    centred = h - h.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(h.var(axis=-1, keepdims=True) + 1e-3) * gain + shift


NUMPY_CELLS = {"lstm": numpy_lstm, "rnn": numpy_rnn, "dense": numpy_dense}


def numpy_stack(config, model, h):
    cell = NUMPY_CELLS[config.cell]
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    numbers = range(1, config.layers + 1)
    if config.stack == "paper":
        for number in numbers:
            h = cell(h, *weights[f"{config.cell}_{number}"])
    else:
        h = h @ weights["project"][0] + weights["project"][1]
        for number in numbers:
            normed = numpy_norm(h, *weights[f"norm_{number}"])
            h = h + cell(normed, *weights[f"{config.cell}_{number}"])
        h = numpy_norm(h, *weights["norm"])
    return h @ weights["mixture"][0] + weights["mixture"][1]


@pytest.mark.keras
def test_the_network_is_its_equations(network):
    config, model = network
    x = frames()
    output = model(x)
    assert output.shape == (2, 50, config.outputs)
    np.testing.assert_allclose(output, numpy_stack(config, model, x), atol=1e-5)


@pytest.mark.keras
def test_step_by_step_is_the_whole_sequence_at_once(network):
    config, model = network
    x = frames()
    states, outputs = zero_states(config, batch=2), []
    for t in range(50):
        output, states = step(model, config, x[:, t], states)
        outputs.append(output)
    np.testing.assert_allclose(np.stack(outputs, axis=1), model(x), atol=1e-5)
    shapes = [tuple(part.shape for part in state) for state in states]
    assert shapes == [((2, 5),) * CELLS[config.cell]] * 2


@pytest.mark.keras
def test_in_numpy_every_step_is_the_same(network):
    config, model = network
    layers, x = networks.InNumPy(networks.weights(model)), frames()
    states = numpy_states = zero_states(config, batch=2)
    for t in range(20):
        output, states = step(model, config, x[:, t], states)
        in_numpy, numpy_states = step(layers, config, x[:, t], numpy_states)
        assert in_numpy.dtype == np.float32
        np.testing.assert_allclose(in_numpy, output, atol=1e-5)
    for state, numpy_state in zip(states, numpy_states, strict=True):
        np.testing.assert_allclose(np.array(numpy_state), np.array(state), atol=1e-5)


@pytest.mark.keras
def test_the_weights_have_the_shapes_that_the_config_names(network):
    config, model = network
    shapes = {name: [w.shape for w in arrays] for name, arrays in networks.weights(model).items()}
    assert networks.weight_shapes(config) == shapes


@pytest.mark.keras
def test_the_state_given_to_step_stays_as_it_was(network):
    config, model = network
    states = zero_states(config, batch=2)
    step(model, config, frames()[:, 0], states)
    for state in states:
        for part in state:
            np.testing.assert_array_equal(part, np.zeros((2, 5)))


@pytest.mark.keras
def test_the_future_changes_nothing_before_it(network):
    config, model = network
    x, changed = frames(), frames()
    changed[:, 30] += 1
    before, now, after = np.split(np.abs(model(x) - model(changed)).max(axis=(0, 2)), [30, 31])
    np.testing.assert_array_equal(before, 0)
    assert now > 0
    remembered = config.cell != "dense"
    assert (after[:5] > 0).all() == (after > 0).any() == remembered


@pytest.mark.keras
def test_a_saved_network_loads_without_custom_objects(network, tmp_path):
    import keras

    _, model = network
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True, compile=False)
    np.testing.assert_array_equal(loaded(frames()), model(frames()))


def test_a_mixture_is_2k_plus_km_numbers():
    assert NetworkConfig(features=100, components=10).outputs == 1020
    assert NetworkConfig(features=7, components=1).outputs == 9


@pytest.mark.keras
def test_without_a_mixture_the_output_is_a_mean():
    config = NetworkConfig(features=7, components=0, layers=1, units=4)
    output = build(config)(frames(features=7))
    assert config.outputs == output.shape[-1] == 7
    mixture = read_output(output, config)
    np.testing.assert_array_equal(mixture.means[..., 0, :], output)
    np.testing.assert_array_equal(np.exp(mixture.log_weights), np.ones((2, 50, 1)))


@pytest.mark.keras
def test_squared_error_is_the_likelihood_of_one_gaussian_but_for_a_constant():
    config = NetworkConfig(features=3, components=0)
    y, output = np.random.default_rng(0).normal(size=(2, 4, 5, 3))
    errors = np.asarray(loss(config)(y, output))
    np.testing.assert_allclose(errors, ((y - output) ** 2).sum(axis=-1))
    nats = -mixtures.log_density(y, read_output(output, config))
    np.testing.assert_allclose(nats, errors / 2 + 1.5 * np.log(2 * np.pi))


@pytest.mark.keras
def test_the_loss_of_a_mixture_is_the_same_fused_or_not():
    config = NetworkConfig(**SMALL)
    y, output = np.zeros((1, 2, 3), np.float32), np.ones((1, 2, config.outputs), np.float32)
    expected = np.asarray(mixture_loss(config, fused=False)(y, output))
    np.testing.assert_allclose(np.asarray(loss(config)(y, output)), expected, rtol=1e-6)


@pytest.mark.keras
def test_the_papers_network_has_505020_parameters():
    model = build(NetworkConfig(features=100, stack="paper"))
    per_layer = 4 * ((100 + 100) * 100 + 100)
    assert model.count_params() == 5 * per_layer + (100 + 1) * 1020 == 505_020


@pytest.mark.keras
def test_the_residual_network_adds_a_projection_and_norms():
    n, u, layers, outputs = 3, 5, 2, 20
    model = build(NetworkConfig(**SMALL))
    lstm, projection, norms = 4 * ((u + u) * u + u), (n + 1) * u, 2 * u * (layers + 1)
    assert model.count_params() == layers * lstm + projection + norms + (u + 1) * outputs


@pytest.mark.keras
@pytest.mark.parametrize("stack", STACKS)
def test_the_penalty_is_half_lambda_times_the_sum_of_squares(stack):
    model = build(NetworkConfig(**SMALL, stack=stack), weight_penalty=0.3)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    theta = [w.numpy() for w in model.weights if "norm" not in w.path]  # the norms stay free
    wanted = 0.3 / 2 * sum(np.sum(w**2) for w in theta)
    np.testing.assert_allclose(sum(model.losses), wanted, rtol=1e-5)
    assert not build(NetworkConfig(**SMALL, stack=stack)).losses


def gradient_by_hand(y, output, components, floor):
    """∂(−ln P)/∂output: Bishop (1994), with the responsibilities r of the components."""
    mixture = mixtures.from_network_output(output, components, floor)
    logs = mixtures.component_log_densities(y, mixture)
    r = scipy.special.softmax(logs, axis=-1)
    difference, variance = mixture.means - y[..., None, :], mixture.scales**2
    by_logit = np.exp(mixture.log_weights) - r
    by_scale = r * (y.shape[-1] - np.sum(difference**2, axis=-1) / variance) / mixture.scales
    raw = output[..., components : 2 * components]
    by_raw = by_scale * scipy.special.expit(raw) / (1 + np.logaddexp(raw, 0) / 100) ** 2
    by_mean = (r / variance)[..., None] * difference
    return np.concatenate([by_logit, by_raw, by_mean.reshape(*r.shape[:-1], -1)], axis=-1)


def loss_and_gradient(config, y, output):
    import tensorflow as tf

    output = tf.convert_to_tensor(output)
    with tf.GradientTape() as tape:
        tape.watch(output)
        loss = mixture_loss(config)(y, output)
        total = tf.reduce_sum(loss)
    return loss.numpy(), tape.gradient(total, output).numpy()


@pytest.mark.keras
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("float64", 1e-10)])
def test_the_loss_and_its_gradient_are_those_on_paper(dtype, tolerance):
    config = NetworkConfig(**SMALL, sigma_floor=0.1)
    rng = np.random.default_rng(0)
    y, output = rng.normal(size=(2, 6, 3)), 2 * rng.normal(size=(2, 6, config.outputs))
    loss, gradient = loss_and_gradient(config, y.astype(dtype), output.astype(dtype))
    mixture = mixtures.from_network_output(output, 4, 0.1)
    np.testing.assert_allclose(loss, -mixtures.log_density(y, mixture), rtol=tolerance)
    wanted = gradient_by_hand(y, output, 4, 0.1)
    np.testing.assert_allclose(gradient, wanted, atol=tolerance * np.abs(wanted).max())


@pytest.mark.keras
def test_the_gradient_is_the_slope_of_the_loss():
    config = NetworkConfig(**SMALL)
    rng = np.random.default_rng(0)
    y, output = rng.normal(size=(1, 1, 3)), rng.normal(size=(1, 1, config.outputs))
    _, gradient = loss_and_gradient(config, y, output)
    nudges = 1e-6 * np.eye(config.outputs)[:, None]  # one frame for each of the outputs
    loss = mixture_loss(config)
    slopes = (loss(y, output + nudges) - loss(y, output - nudges))[:, 0] / 2e-6
    np.testing.assert_allclose(slopes, gradient[0, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.keras
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_no_output_makes_the_loss_or_its_gradient_infinite(size):
    config = NetworkConfig(features=100, components=10)
    y, output = np.zeros((1, 2, 100), np.float32), np.full((1, 2, 1020), size, np.float32)
    output[0, 1, ::3] *= -1
    loss, gradient = loss_and_gradient(config, y, output)
    assert np.isfinite(loss).all() and np.isfinite(gradient).all()


@pytest.mark.parametrize(
    "asked, sentence",
    [
        (dict(stack="transformer"), "no stack 'transformer'; choose one of paper, residual"),
        (dict(features=0), "features must be a whole number from 1 to 100000, not 0"),
        (dict(layers=0), "layers must be a whole number from 1 to 100000, not 0"),
        (dict(units=-5), "units must be a whole number from 1 to 100000, not -5"),
        (dict(components=-1), "components must be a whole number from 0 to 100000, not -1"),
        (dict(cell="gru"), "no cell 'gru'; choose one of lstm, rnn, dense"),
        (dict(sigma_floor=0.0), "sigma_floor must be above 0 and below 100, not 0.0"),
        (dict(sigma_floor=float("nan")), "sigma_floor must be above 0 and below 100, not nan"),
    ],
)
def test_a_network_that_cannot_be_is_refused(asked, sentence):
    with pytest.raises(ValueError, match=sentence):
        NetworkConfig(**(dict(features=3) | asked))


def test_a_config_survives_its_dictionary():
    config = NetworkConfig(features=7, layers=1, units=32, stack="paper", sigma_floor=0.1)
    assert NetworkConfig(**config.to_dict()) == config


# Several frames at once, and a scale for each feature


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (NetworkConfig(100), "residual stack of 5 x 100 LSTM, 10 Gaussians"),
        (
            NetworkConfig(3, cell="rnn", components=0),
            "residual stack of 5 x 100 plain recurrent, a mean alone",
        ),
        (
            NetworkConfig(9, layers=2, units=8, stack="paper", frames=4, feature_scales=True),
            "paper stack of 2 x 8 LSTM, "
            "10 Gaussians with a scale for each feature, 4 frames at once",
        ),
    ],
)
def test_a_network_is_told_in_words(config, words):
    assert in_words(config) == words


@pytest.mark.keras
def test_several_frames_are_one_wide_vector():
    config = NetworkConfig(features=3, layers=1, units=4, components=2, frames=4)
    assert config.width == 12 and config.outputs == 2 * 2 + 2 * 12
    model = build(config)
    assert model.input_shape == (None, None, 12) and model.output_shape == (None, None, 28)
    assert networks.weight_shapes(config)["mixture"] == [(4, 28), (28,)]
    assert networks.weight_shapes(config)["project"] == [(12, 4), (4,)]


@pytest.mark.keras
def test_the_loss_counts_for_one_frame():
    one = NetworkConfig(features=12, components=2)
    four = NetworkConfig(features=3, components=2, frames=4)
    y, output = np.random.default_rng(0).normal(size=(2, 5, 12)), np.ones((2, 5, one.outputs))
    np.testing.assert_allclose(4 * np.asarray(loss(four)(y, output)), loss(one)(y, output))


SCALED = NetworkConfig(features=3, components=4, feature_scales=True)


def test_feature_scales_are_numbers_whose_product_is_1():
    output = 10 * np.random.default_rng(0).normal(size=(7, SCALED.outputs))
    scales = networks.feature_scales(output, SCALED)
    assert scales.shape == (7, 3) and SCALED.outputs == 2 * 4 + 4 * 3 + 3 + 4
    np.testing.assert_allclose(scales.prod(axis=-1), 1)
    assert (scales > np.exp(-4)).all() and (scales < np.exp(4)).all()
    assert networks.feature_scales(output, NetworkConfig(features=3, components=4)) == 1.0


@pytest.mark.keras
def test_the_loss_with_feature_scales_is_the_density_of_ellipses():
    """Component k is a normal with the covariance σ_k² diag(s²): SciPy's, of y itself."""
    rng = np.random.default_rng(1)
    y, output = rng.normal(size=(5, 3)), rng.normal(size=(5, SCALED.outputs))
    scales = networks.feature_scales(output, SCALED)
    raw = np.concatenate([output[:, :4], output[:, -4:], output[:, 8:20]], axis=1)
    mixture = mixtures.from_network_output(raw, 4, SCALED.sigma_floor)
    for i in range(5):
        logs = [
            mixture.log_weights[i, k]
            + scipy.stats.multivariate_normal(
                mixture.means[i, k], np.diag((mixture.scales[i, k] * scales[i]) ** 2)
            ).logpdf(y[i])
            for k in range(4)
        ]
        nats = np.asarray(loss(SCALED)(y[i], output[i]))
        np.testing.assert_allclose(nats, -scipy.special.logsumexp(logs), rtol=1e-5)


@pytest.mark.keras
def test_scales_learn_from_the_ellipses_and_means_from_the_spheres():
    """The gradient: of weights, means and their own σ, the isotropic mixture's; of the rest, the
    loss's; and what the loss says is the density of the ellipses."""
    import keras
    import tensorflow as tf

    rng = np.random.default_rng(2)
    y, output = rng.normal(size=(6, 3)), rng.normal(size=(6, SCALED.outputs))

    def gradient(function):
        raw = tf.Variable(output)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(function(tf.constant(y), raw))
        return tape.gradient(total, raw).numpy()

    plain = NetworkConfig(features=3, components=4)
    found = gradient(loss(SCALED, fused=False))
    spheres = gradient(lambda y, raw: loss(plain, fused=False)(y, raw[:, :20]))

    def ellipses(y, raw):
        scaled = y / networks.feature_scales(raw, SCALED, keras.ops)
        return -mixtures.log_density(scaled, read_output(raw, SCALED, keras.ops), keras.ops)

    np.testing.assert_allclose(found[:, :20], spheres[:, :20], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found[:, 20:], gradient(ellipses)[:, 20:], rtol=1e-5, atol=1e-8)
    assert np.abs(found[:, 20:]).min() > 0
