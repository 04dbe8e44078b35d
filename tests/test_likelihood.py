"""Nats per frame: the change of variables, against numbers a pencil knows."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from cmc_helpers import corpora, experiments, features, networks, runs
from cmc_helpers.analysis import likelihood
from cmc_helpers.features import FeatureConfig, Normaliser
from cmc_helpers.networks import NetworkConfig


def blind_run(network, normaliser, config=None):
    """A run whose network says the same whatever it sees: all weights are 0."""
    model = networks.build(network)
    model.set_weights([0 * w for w in model.get_weights()])
    run = experiments.in_memory(network, model, np.zeros((1, network.features)))
    return replace(run, normaliser=normaliser, features=config)


# Its one Gaussian has mean 0 and σ = floor + softplus(0) / (1 + softplus(0) / ceiling) = 1.
FLOOR = 1 - np.log(2) / (1 + np.log(2) / 100)
NOTHING = dict(layers=1, units=2, components=1, stack="paper", sigma_floor=FLOOR)


@pytest.mark.keras
def test_of_a_network_that_knows_nothing_it_is_scipys_normal():
    network = NetworkConfig(3, **NOTHING)
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    nats = likelihood.nats_per_frame(blind_run(network, Normaliser.identity(3)), x)
    wanted = -scipy.stats.norm.logpdf(x[1:]).sum(axis=1)
    np.testing.assert_allclose(nats, wanted, rtol=1e-5)


@pytest.mark.keras
@pytest.mark.parametrize("frames", [1, 2, 4])
def test_several_frames_at_once_are_as_likely_as_one_after_the_other(frames):
    network = NetworkConfig(3, **NOTHING, frames=frames)
    x = np.random.default_rng(0).normal(size=(41, 3)).astype(np.float32)
    nats = likelihood.nats_per_frame(blind_run(network, Normaliser.identity(3 * frames)), x)
    assert len(nats) == 41 // frames - 1
    wanted = -scipy.stats.norm.logpdf(x[frames : 41 // frames * frames]).sum() / 3 / frames
    np.testing.assert_allclose(nats.mean() * len(nats) / 3, wanted, rtol=1e-5)


@pytest.mark.keras
@pytest.mark.parametrize("frames", [1, 4])
def test_a_recording_of_many_hours_is_judged_by_parts(monkeypatch, frames):
    network = NetworkConfig(3, **NOTHING, frames=frames)
    run = blind_run(network, Normaliser.identity(3 * frames))
    x = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)
    whole = likelihood.nats_per_frame(run, x)
    corpus = corpora.Corpus(
        "x", (corpora.Piece("a", x, "train"), corpora.Piece("b", x, "validation")), None
    )
    copied = likelihood.copying(corpus)
    monkeypatch.setattr(features, "ROWS", 16)
    monkeypatch.setattr(likelihood, "_STEPS", 3)
    np.testing.assert_allclose(likelihood.nats_per_frame(run, x), whole, rtol=1e-6)
    assert likelihood.copying(corpus) == pytest.approx(copied)


@pytest.mark.keras
def test_the_normaliser_changes_the_unit_and_not_the_density():
    """y = x · matrix is standard normal: then x is normal with covariance (matrix matrixᵀ)⁻¹."""
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(3, 3)) + 3 * np.eye(3)
    normaliser = Normaliser(np.ones(3), matrix)
    x = (1 + 0.3 * rng.normal(size=(50, 3))).astype(np.float32)
    nats = likelihood.nats_per_frame(blind_run(NetworkConfig(3, **NOTHING), normaliser), x)
    covariance = np.linalg.inv(matrix @ matrix.T)
    wanted = -scipy.stats.multivariate_normal(np.ones(3), covariance).logpdf(x[1:])
    np.testing.assert_allclose(nats, wanted, rtol=1e-4)


@pytest.mark.keras
def test_features_that_are_roots_give_the_density_of_amplitudes():
    """If √a is standard normal, a ≥ 0 has the density N(√a) / (2 √a)."""
    network, config = NetworkConfig(3, **NOTHING), FeatureConfig.preset("default")
    roots = np.random.default_rng(2).uniform(0.5, 2, (50, 3)).astype(np.float32)
    nats = likelihood.nats_per_frame(blind_run(network, Normaliser.identity(3), config), roots)
    density = scipy.stats.norm.pdf(roots[1:]) / (2 * roots[1:])
    np.testing.assert_allclose(nats, -np.log(density).sum(axis=1), rtol=1e-4)


def test_copying_is_the_likelihood_of_the_differences():
    rng = np.random.default_rng(3)
    walks = [np.cumsum(rng.normal(0, 0.2, (2000, 5)), axis=0) for _ in range(3)]
    splits = ("train", "train", "validation")
    pieces = [corpora.Piece("walk", *part) for part in zip(walks, splits, strict=True)]
    nats = likelihood.copying(corpora.Corpus("walks", tuple(pieces), None))
    assert nats == pytest.approx(5 * scipy.stats.norm(0, 0.2).entropy(), abs=0.12)


@pytest.mark.keras
def test_a_trained_run_foresees_better_than_copying():
    run = runs.load(runs.find("passage"))
    corpus = corpora.open_corpus(corpora.sample_path("bach_prelude.flac"), run.features)
    assert likelihood.held_out(run, corpus) < likelihood.copying(corpus) - 50


@pytest.mark.keras
def test_a_piece_without_a_past_is_refused():
    run = blind_run(NetworkConfig(3, **NOTHING, frames=4), Normaliser.identity(12))
    with pytest.raises(ValueError, match="7 frames are too few"):
        likelihood.nats_per_frame(run, np.zeros((7, 3)))
