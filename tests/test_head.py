"""The mixture head and its loss in a Keras model of one's own: SciPy is the oracle, and what is
saved comes back."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from cmc_helpers import experiments, mixtures, networks
from cmc_helpers.networks.head import COVARIANCES, Layout
from cmc_helpers.sampling import Sampling

ROOT = Path(__file__).parent.parent
both = pytest.mark.parametrize("covariance", COVARIANCES)


@pytest.mark.keras
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("float64", 1e-9)])
@both
@settings(derandomize=True, deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), components=st.integers(1, 5), m=st.integers(1, 5))
def test_the_loss_is_scipys(covariance, dtype, tolerance, seed, components, m):
    rng, layout = np.random.default_rng(seed), Layout(components, m, covariance, 0.1)
    y, output = rng.normal(size=(3, m)), rng.normal(size=(3, layout.outputs))
    loss = networks.MixtureLoss(
        components, m, covariance, 0.1, fused=False, reduction="none", dtype=dtype
    )
    log_weights = scipy.special.log_softmax(output[:, :components], axis=-1)
    softplus = np.log1p(np.exp(output[:, components : -components * m])).reshape(3, components, -1)
    sigma = (0.1 + softplus / (1 + softplus / 100)) * np.ones(m)
    mean = output[:, -components * m :].reshape(3, components, m)
    for i, nats in enumerate(np.asarray(loss(y, output))):
        logs = [
            log_weights[i, k]
            + scipy.stats.multivariate_normal(mean[i, k], np.diag(sigma[i, k] ** 2)).logpdf(y[i])
            for k in range(components)
        ]
        wanted = -scipy.special.logsumexp(logs)
        np.testing.assert_allclose(nats, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.keras
@both
def test_the_loss_is_the_same_fused_or_not(covariance):
    rng, layout = np.random.default_rng(0), Layout(4, 3, covariance)
    y, output = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5, layout.outputs))
    fused, plain = (networks.MixtureLoss(4, 3, covariance, fused=f) for f in (True, False))
    np.testing.assert_allclose(fused(y, output), plain(y, output), rtol=1e-6)
    assert (fused.get_config()["fused"], plain.get_config()["fused"]) == (True, False)


@pytest.mark.keras
@both
def test_the_nll_of_0_under_the_standard_normal_is_half_ln_2_pi(covariance):
    bounded = 0.99 / (1 - 0.99 / 100)  # softplus of what makes σ = 0.01 + 0.99
    output = np.array([[0.0, np.log(np.expm1(bounded)), 0.0]])  # ln π, σ, μ
    nats = networks.MixtureLoss(1, 1, covariance, dtype="float64")(np.zeros((1, 1)), output)
    np.testing.assert_allclose(nats, np.log(2 * np.pi) / 2, rtol=1e-12)


@pytest.mark.keras
@both
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_no_output_makes_the_loss_or_its_gradient_infinite(covariance, size):
    import tensorflow as tf

    loss, layout = networks.MixtureLoss(10, 100, covariance), Layout(10, 100, covariance)
    output = np.full((2, layout.outputs), size, np.float32)
    output[1, ::3] *= -1
    output = tf.Variable(output)
    with tf.GradientTape() as tape:
        nats = loss(np.zeros((2, 100), np.float32), output)
    assert np.isfinite(nats) and np.isfinite(tape.gradient(nats, output)).all()


@pytest.mark.keras
@both
def test_any_leading_shape_will_do(covariance):
    head = networks.MixtureHead(3, 2, covariance, kernel_regularizer="l2")
    outputs = {"isotropic": 2 * 3 + 3 * 2, "diagonal": 3 + 2 * 3 * 2}[covariance]
    loss = networks.MixtureLoss(3, 2, covariance, fused=False, reduction=None)
    for leading in [(4,), (4, 5), (2, 1, 3)]:
        output = head(np.ones((*leading, 7), np.float32))
        assert output.shape == head.compute_output_shape((*leading, 7)) == (*leading, outputs)
        assert loss(np.ones((*leading, 2)), output).shape == leading
        mixture = head.mixture(output)
        assert all(isinstance(part, np.ndarray) for part in mixture)
        assert mixture.means.shape == (*leading, 3, 2)
        assert mixtures.draw(mixture, Sampling("sample"), rng=0)[0].shape == (*leading, 2)


@pytest.mark.keras
@both
def test_head_and_loss_are_made_again_from_their_configs(covariance):
    import keras

    head = networks.MixtureHead(3, 2, covariance, 0.2, name="last", kernel_regularizer="l2")
    loss = networks.MixtureLoss(3, 2, covariance, 0.2, False, "nats", "sum", "float64")
    for one in (head, loss):
        other = type(one).from_config(one.get_config())
        assert other.get_config() == one.get_config() and other.layout == one.layout
        described = keras.saving.serialize_keras_object(one)
        assert described["registered_name"] == f"cmc_helpers>{type(one).__name__}"
    assert other.dtype == "float64"


@pytest.mark.keras
def test_a_vector_that_weighs_nothing_is_not_learnt():
    loss, rng = networks.MixtureLoss(2, 3, fused=False), np.random.default_rng(0)
    y, output = rng.normal(size=(4, 5, 3)), rng.normal(size=(4, 5, 10))
    weights = np.zeros((4, 5))
    weights[1, 2] = 20
    np.testing.assert_allclose(loss(y, output, weights), loss(y[1, 2:3], output[1, 2:3]), rtol=1e-5)


def model_of_ones_own(covariance="isotropic", fused=False):
    import keras

    head = networks.MixtureHead(4, 2, covariance, 0.1)
    model = keras.Sequential([keras.layers.Dense(8, activation="tanh"), head])
    loss = networks.MixtureLoss(4, 2, covariance, 0.1, fused)
    model.compile("sgd", loss, jit_compile=False)
    return model


def model_of_ours(fused=False, **changes):
    config = networks.NetworkConfig(2, layers=1, units=4, cell="dense", **changes)
    model = networks.build(config)
    model.compile("sgd", networks.loss(config, fused), jit_compile=False)
    return model


MODELS = {
    "isotropic": model_of_ones_own,
    "diagonal": lambda: model_of_ones_own("diagonal", fused=True),
    "our mixture": lambda: model_of_ours(fused=True, components=3, sigma_floor=0.1),
    "our feature scales": lambda: model_of_ours(components=3, feature_scales=True),
    "our mean": lambda: model_of_ours(components=0),
}
FRESH = """
import sys
from cmc_helpers.networks import MixtureHead
import keras, numpy as np
x = np.load("x.npy")
for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    np.savez(path + ".npz", output=model(x), nats=model.loss(x, model(x)))
"""


@pytest.mark.keras
def test_a_saved_model_comes_back_with_its_loss_here_and_in_a_process_of_its_own(tmp_path):
    import keras

    x = np.random.default_rng(0).normal(size=(8, 5, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    wanted = {}
    for name, make in MODELS.items():
        model, path = make(), str(tmp_path / f"{name}.keras")
        model.train_on_batch(x, x)
        model.save(path)
        loaded = keras.models.load_model(path)
        output, nats = wanted[path] = [np.asarray(a) for a in (model(x), model.loss(x, model(x)))]
        np.testing.assert_array_equal(loaded(x), output)
        np.testing.assert_array_equal(loaded.loss(x, loaded(x)), nats)
        assert loaded.loss.get_config() == model.loss.get_config()
    assert loaded.train_on_batch(x, x) == pytest.approx(nats.mean(), rel=1e-5)  # and learns on
    result = subprocess.run(
        [sys.executable, "-c", FRESH, *wanted],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    for path, (output, nats) in wanted.items():
        with np.load(f"{path}.npz") as there:
            np.testing.assert_allclose(there["output"], output, rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(there["nats"], nats, rtol=1e-5)


@pytest.mark.keras
def test_the_loss_of_a_network_is_made_again_from_its_config():
    config = networks.NetworkConfig(3, components=2, frames=2, sigma_floor=0.3)
    for loss in (networks.mixture_loss(config), networks.loss(config, fused=False)):
        other = networks.NetworkLoss.from_config(loss.get_config())
        assert (other.config, other.fused) == (config, loss.fused)
        y, output = np.ones((2, 5, 6)), np.zeros((2, 5, config.outputs))
        np.testing.assert_array_equal(other(y, output), loss(y, output))


@pytest.mark.keras
def test_a_mixture_learns_the_inverse_sine_better_than_one_gaussian():
    """By half a nat: where there are three answers, one bell covers all, and one in three is it."""
    import keras

    x, y = (np.tile(part, (150, 1)) for part in experiments.inverse_sine(1000, seed=0))
    nats = {}
    for components in (1, 5):
        keras.utils.set_random_seed(0)
        head = networks.MixtureHead(components, dimensions=1)
        model = keras.Sequential([keras.layers.Dense(32, activation="tanh"), head])
        loss = networks.MixtureLoss(components, 1)
        model.compile(keras.optimizers.Adam(0.03), loss, jit_compile=False)
        model.fit(x, y, batch_size=1000, shuffle=False, verbose=0)
        held_out, answers = experiments.inverse_sine(1000, seed=1)
        nats[components] = loss(answers, model(held_out))
    assert nats[5] < nats[1] - 0.5


def test_what_no_mixture_has_is_refused_in_a_sentence():
    for asked, sentence in [
        ((0, 2), "components must be a whole number from 1 upwards, not 0"),
        ((5, 0), "dimensions must be a whole number from 1 upwards, not 0"),
        ((2.5, 2), "components must be a whole number from 1 upwards, not 2.5"),
        ((5, 2, "full"), "there is no covariance 'full'; choose one of isotropic, diagonal"),
        ((5, 2, "diagonal", 0.0), "sigma_floor must be above 0 and below 100, not 0.0"),
        ((5, 2, "diagonal", np.nan), "sigma_floor must be above 0 and below 100, not nan"),
    ]:
        with pytest.raises(ValueError, match=f"^{sentence}$"):
            Layout(*asked)


@pytest.mark.keras
def test_the_head_and_the_loss_refuse_it_too():
    for make in (networks.MixtureHead, networks.MixtureLoss):
        with pytest.raises(ValueError, match="components must be a whole number"):
            make(components=0, dimensions=2)


@pytest.mark.keras
@pytest.mark.parametrize(
    "targets, sentence",
    [
        ((4, 3), r"of the shape \(4, 3\) .* vectors of 2 numbers: bring .* shape \(4, 2\)"),
        ((4,), r"of the shape \(4,\) .* shape \(4, 2\)"),
        ((4, 1, 2), r"of the shape \(4, 1, 2\) .* shape \(4, 2\)"),
    ],
)
def test_targets_of_another_shape_are_refused(targets, sentence):
    loss = networks.MixtureLoss(5, 2)
    with pytest.raises(ValueError, match=sentence):
        loss(np.zeros(targets), np.zeros((4, 20)))


@pytest.mark.keras
def test_in_the_midst_of_fit_they_are_refused_in_the_same_sentence():
    x = np.zeros((8, 5, 2), np.float32)
    with pytest.raises(ValueError, match="targets of the shape .*3.* do not fit an output"):
        model_of_ones_own().fit(x, np.zeros((8, 5, 3)), verbose=0)


@pytest.mark.keras
def test_an_output_of_another_width_is_refused():
    sentence = "5 diagonal components in 2 dimensions are 25 numbers, and not 20: give head and"
    with pytest.raises(ValueError, match=sentence):
        networks.MixtureLoss(5, 2, "diagonal")(np.zeros((4, 2)), np.zeros((4, 20)))


def test_the_package_is_loaded_without_keras_and_has_no_other_names():
    code = "import sys; from cmc_helpers.networks import head; assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    with pytest.raises(AttributeError, match="'cmc_helpers.networks' has no attribute 'Mixture'"):
        networks.Mixture  # noqa: B018
