"""The mixture and the four strategies, against SciPy, closed forms and the paper's own words."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cmc_helpers.mixtures import (
    FORMS,
    STRATEGIES,
    DiagonalMixture,
    Mixture,
    choose,
    component_log_densities,
    diagonal_log_density,
    draw,
    exact_maximum,
    from_diagonal_output,
    from_network_output,
    log_density,
    next_vector,
    standardised_log_weights,
    tempered_log_weights,
    with_pi_temperature,
)
from cmc_helpers.sampling import Sampling

seeds = st.integers(0, 2**32 - 1)
taus = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
mathematics = settings(derandomize=True, deadline=None, max_examples=50)


def random_mixture(seed, components=4, m=3, batch=()):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(components), batch)
    means = rng.normal(size=(*batch, components, m))
    return Mixture(np.log(weights), means, np.exp(rng.normal(-0.5, 0.7, (*batch, components))))


def mixture_of(weights, means, scales):
    return Mixture(np.log(weights), np.array(means, float), np.array(scales, float))


def scipys_log_density(y, mixture):
    """ln Σ π_k N(y; μ_k, σ_k² I) for one y, with SciPy's multivariate normal."""
    identity = np.ones(len(y))
    logs = [
        log_weight
        + scipy.stats.multivariate_normal.logpdf(
            y, mean, scipy.stats.Covariance.from_diagonal(scale**2 * identity)
        )
        for log_weight, mean, scale in zip(*mixture, strict=True)
    ]
    return scipy.special.logsumexp(logs)


# The density


@mathematics
@given(seeds, st.integers(1, 6), st.integers(1, 6))
def test_the_density_is_scipys(seed, components, m):
    mixture = random_mixture(seed, components, m)
    y = 2 * np.random.default_rng(seed).normal(size=m)
    wanted = scipys_log_density(y, mixture)
    np.testing.assert_allclose(log_density(y, mixture), wanted, rtol=1e-6, atol=1e-9)


def scaled(mixture, factor, dtype):
    """The mixture in another unit and precision."""
    log_weights, means, scales = mixture
    return Mixture(
        log_weights.astype(dtype), (factor * means).astype(dtype), (factor * scales).astype(dtype)
    )


SIZES = dict(components=st.integers(1, 50), m=st.integers(1, 1000))
# Powers of ten in which the squares of all deviations below, up to a thousand σ, are numbers.
UNITS = st.one_of(
    st.tuples(st.just(np.float32), st.integers(-14, 12)),
    st.tuples(st.just(np.float64), st.integers(-145, 145)),
)


@mathematics
@given(seed=seeds, unit=UNITS, far=st.sampled_from([0, 1, 10, 1000]), **SIZES)
def test_the_density_is_scipys_at_every_size_unit_and_precision(seed, components, m, unit, far):
    dtype, power = unit
    mixture = scaled(random_mixture(seed, components, m), 10.0**power, dtype)
    noise = np.random.default_rng(seed).normal(size=m)
    y = (mixture.means[0] + far * mixture.scales[0] * noise).astype(dtype)
    found = log_density(y, mixture)
    assert found.dtype == dtype
    wanted = scipys_log_density(*(np.float64(y), Mixture(*map(np.float64, mixture))))
    # What is nearly 0 is the difference of terms that are not.
    rounding = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(found, wanted, rtol=rounding, atol=rounding * m * (1 + abs(power)))


@pytest.mark.parametrize("components", [1, 10, 50])
@pytest.mark.parametrize("m", [100, 1000])
@pytest.mark.parametrize("distance", [0, 1, 100])
def test_in_many_dimensions_the_density_neither_under_nor_overflows(components, m, distance):
    mixture = random_mixture(0, components, m)
    y = mixture.means[0] + distance
    wanted = scipys_log_density(y, mixture)
    assert np.isfinite(wanted)
    np.testing.assert_allclose(log_density(y, mixture), wanted, rtol=1e-6)


def test_the_nll_of_0_under_the_standard_normal_is_half_ln_2_pi():
    mixture = mixture_of([1.0], [[0.0]], [1.0])
    np.testing.assert_allclose(-log_density(np.zeros(1), mixture), np.log(2 * np.pi) / 2)


def test_a_narrow_enough_normal_has_a_negative_nll():
    mixture = mixture_of([1.0], np.zeros((1, 100)), [0.1])
    wanted = 100 * (np.log(2 * np.pi) / 2 + np.log(0.1))
    assert wanted < 0
    np.testing.assert_allclose(-log_density(np.zeros(100), mixture), wanted)


@mathematics
@given(seeds)
def test_the_density_integrates_to_1(seed):
    mixture = random_mixture(seed, components=3, m=1)
    y = np.linspace(-60, 60, 60001)
    np.testing.assert_allclose(np.exp(log_density(y[:, None], mixture)).sum() * 0.002, 1, rtol=1e-6)


def test_every_leading_axis_is_a_mixture_of_its_own():
    mixture = random_mixture(0, batch=(2, 5))
    y = np.random.default_rng(1).normal(size=(2, 5, 3))
    logs = component_log_densities(y, mixture)
    assert logs.shape == (2, 5, 4) and log_density(y, mixture).shape == (2, 5)
    one = Mixture(*(part[1, 3] for part in mixture))
    np.testing.assert_allclose(log_density(y, mixture)[1, 3], scipys_log_density(y[1, 3], one))
    np.testing.assert_allclose(scipy.special.logsumexp(logs, axis=-1), log_density(y, mixture))


# From a network's output


def test_the_output_is_weights_then_scales_then_means():
    output = np.arange(10.0)  # K = 2, m = 3
    mixture = from_network_output(output, components=2, floor=0.5)
    np.testing.assert_allclose(np.exp(mixture.log_weights), scipy.special.softmax([0, 1]))
    np.testing.assert_allclose(mixture.means, [[4, 5, 6], [7, 8, 9]])
    softplus = np.log1p(np.exp([2, 3]))
    np.testing.assert_allclose(mixture.scales, 0.5 + softplus / (1 + softplus / 100))


@mathematics
@given(st.lists(st.floats(-1e4, 1e4), min_size=15, max_size=15))
def test_any_output_is_a_mixture_with_bounded_scales(numbers):
    mixture = from_network_output(np.array(numbers), components=3, floor=0.01, ceiling=100.0)
    assert mixture.means.shape == (3, 3)
    np.testing.assert_allclose(np.exp(mixture.log_weights).sum(), 1)
    assert (0.01 <= mixture.scales).all() and (mixture.scales < 100.01).all()
    assert np.isfinite(log_density(mixture.means[0] + 1, mixture))


@mathematics
@given(
    seed=seeds,
    dtype=st.sampled_from([np.float32, np.float64]),
    size=st.sampled_from([1, 1e4, 1e30]),
    **SIZES,
)
def test_no_output_of_any_size_makes_a_mixture_that_is_none(seed, components, m, dtype, size):
    rng = np.random.default_rng(seed)
    output = rng.uniform(-1, 1, 2 * components + components * m)
    output[: 2 * components] *= size
    output[2 * components :] *= min(size, 1e4)
    mixture = from_network_output(output.astype(dtype), components, floor=0.01, ceiling=100.0)
    assert {part.dtype for part in mixture} == {np.dtype(dtype)}
    rounding = 8 * np.finfo(dtype).eps * min(size, 1e4)  # of the logits; larger ones never tie
    np.testing.assert_allclose(np.exp(mixture.log_weights).sum(), 1, atol=max(rounding, 1e-5))
    assert (0.01 * 0.999 <= mixture.scales).all() and (mixture.scales < 100.02).all()
    for y in (mixture.means[0], mixture.means[-1] + 1, np.zeros(m, dtype)):
        assert np.isfinite(log_density(y, mixture))


def test_the_scale_rises_with_its_output_from_the_floor_to_the_ceiling():
    raw = np.linspace(-30, 1e4, 10001)
    output = np.stack([np.zeros_like(raw), raw, np.zeros_like(raw)], axis=-1)
    scales = from_network_output(output, 1, floor=0.01, ceiling=100.0).scales[:, 0]
    assert (np.diff(scales) > 0).all()
    np.testing.assert_allclose(scales[[0, -1]], [0.01, 0.01 + 1e4 / 101])
    raw = np.linspace(-30, -2, 50)  # near the floor: floor + softplus, within a thousandth or so
    output = np.stack([np.zeros_like(raw), raw, np.zeros_like(raw)], axis=-1)
    scales = from_network_output(output, 1, floor=0.01, ceiling=100.0).scales[:, 0]
    np.testing.assert_allclose(scales - 0.01, np.log1p(np.exp(raw)), rtol=2e-3, atol=1e-16)


def test_unless_told_the_scale_runs_from_0_01_to_100():
    output = np.array([[0, -50.0, 0], [0, 1.0, 0], [0, 1e9, 0]])
    scales = from_network_output(output, 1).scales
    np.testing.assert_array_equal(scales, from_network_output(output, 1, 0.01, 100.0).scales)
    np.testing.assert_allclose(scales[[0, 2], 0], [0.01, 100.01], rtol=1e-6)


# Standardised weights and the subset S


@mathematics
@given(seeds, st.integers(1, 8), st.integers(1, 4))
def test_standardised_weights_are_the_formulas(seed, components, m):
    mixture = random_mixture(seed, components, m)
    for form, power in [("paper", 1), ("exact", m), ("weight", 0)]:
        naive = np.exp(mixture.log_weights) / mixture.scales**power
        standardised = np.exp(standardised_log_weights(mixture, form))
        np.testing.assert_allclose(standardised, naive / naive.sum(), rtol=1e-9)


@mathematics
@given(seeds, st.integers(1, 6), st.integers(1, 4))
def test_the_exact_form_ranks_components_by_their_peaks(seed, components, m):
    mixture = random_mixture(seed, components, m)
    peaks = np.diagonal(component_log_densities(mixture.means, _each(mixture)))
    standardised = standardised_log_weights(mixture)
    np.testing.assert_allclose(standardised - standardised[0], peaks - peaks[0], atol=1e-9)


def _each(mixture):
    """The mixture, once for every one of its means."""
    components = len(mixture.scales)
    return Mixture(*(np.broadcast_to(part, (components, *part.shape)) for part in mixture))


def test_in_two_dimensions_the_two_forms_may_choose_differently():
    mixture = mixture_of([0.8, 0.2], np.eye(2), [1.0, 0.4])  # π/σ: 0.8, 0.5; π/σ²: 0.8, 1.25
    chosen = [next_vector(mixture, Sampling(form=f), np.ones(()), 0)[1] for f in ("paper", "exact")]
    assert chosen == [0, 1]
    with pytest.raises(ValueError, match="no form 'softmax'; choose one of exact, paper, weight"):
        standardised_log_weights(mixture, "softmax")


def subset_of_the_paper(weights, tau):
    """S as section 2.1.2 says it: the top one; then in order, while the sum stays ≤ τ."""
    order = sorted(range(len(weights)), key=lambda k: -weights[k])  # stable: ties keep their order
    kept, total = {order[0]}, 0.0
    for k in order:
        total += weights[k]
        if total > tau:
            break
        kept.add(k)
    return kept


def random_shares(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 7, size=rng.integers(1, 20))  # small integers: ties abound
    return counts / counts.sum()


shares = seeds.map(random_shares)


def subset(log_weights):
    return set(np.flatnonzero(np.isfinite(log_weights)))


@settings(mathematics, max_examples=200)
@given(shares, taus)
def test_s_is_the_subset_of_the_paper(weights, tau):
    sums = np.cumsum(sorted(weights, reverse=True))
    assume(np.abs(sums - tau).min() > 1e-9)  # where rounding would decide
    tempered = tempered_log_weights(np.log(weights), tau)
    kept = subset_of_the_paper(weights, tau)
    assert subset(tempered) == kept
    inside = sorted(kept)
    wanted = weights[inside] / weights[inside].sum()  # τ is no temperature
    np.testing.assert_allclose(np.exp(tempered[inside]), wanted)


def test_the_component_that_reaches_tau_is_in_and_the_one_that_crosses_it_is_out():
    log_weights = np.log([0.25, 0.5, 0.125, 0.125])
    for tau, kept in [(0.74, {1}), (0.75, {0, 1}), (0.87, {0, 1}), (0.875, {0, 1, 2})]:
        assert subset(tempered_log_weights(log_weights, tau)) == kept


@settings(mathematics, max_examples=200)
@given(shares, taus, taus)
def test_s_grows_with_tau(weights, tau, other):
    smaller, larger = (tempered_log_weights(np.log(weights), t) for t in sorted([tau, other]))
    assert subset(smaller) <= subset(larger)


@mathematics
@given(seeds, st.integers(1, 50))
def test_tau_0_is_greedy_and_tau_1_is_all(seed, components):
    log_weights = random_mixture(seed, components).log_weights
    assert subset(tempered_log_weights(log_weights, 0.0)) == {np.argmax(log_weights)}
    np.testing.assert_allclose(tempered_log_weights(log_weights, 1.0), log_weights, atol=1e-12)


@mathematics
@given(
    seed=seeds,
    components=st.integers(1, 50),
    dtype=st.sampled_from([np.float32, np.float64]),
    size=st.sampled_from([1e-30, 1, 1e4]),
)
def test_at_both_ends_of_tau_any_weights_will_do(seed, components, dtype, size):
    logits = (size * np.random.default_rng(seed).normal(size=components)).astype(dtype)
    log_weights = from_network_output(np.r_[logits, np.zeros(2 * components, dtype)], components)[0]
    smallest = tempered_log_weights(log_weights, 0.0)
    assert subset(smallest) == {np.argmax(log_weights)}
    assert smallest.max() == 0 and smallest.dtype == dtype
    rounding = 8 * np.finfo(dtype).eps * size
    np.testing.assert_allclose(
        tempered_log_weights(log_weights, 1.0), log_weights, rtol=1e-5, atol=max(rounding, 1e-5)
    )


# Drawing a component


def test_components_are_drawn_as_often_as_they_weigh():
    weights = np.array([0.5, 0.0, 0.2, 0.05, 0.25])
    uniform = 1 - np.random.default_rng(0).random(20000)
    with np.errstate(divide="ignore"):
        drawn = choose(np.log(weights), uniform)
    counts = np.bincount(drawn, minlength=5)
    assert counts[1] == 0
    positive = weights > 0
    assert scipy.stats.chisquare(counts[positive], 20000 * weights[positive]).pvalue > 0.01


@mathematics
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=50).filter(any),
    st.sampled_from([np.float32, np.float64]),
)
def test_a_component_of_weight_0_is_never_drawn(counts, dtype):
    weights = np.array(counts, dtype) / sum(counts)
    uniform = np.array([np.finfo(dtype).smallest_subnormal, 2**-24, 0.3, 0.5, 1.0], dtype)
    with np.errstate(divide="ignore"):
        drawn = choose(np.log(weights), uniform)
    assert (weights[drawn] > 0).all()
    possible = np.flatnonzero(weights)
    assert (drawn[0], drawn[-1]) == (possible[0], possible[-1])
    assert (np.diff(drawn) >= 0).all()  # a larger number never draws an earlier component


def test_weights_need_not_sum_to_1_to_be_drawn_from():
    log_weights = np.log([1.0, 3.0])
    assert choose(log_weights, np.array([0.2, 0.25, 0.26, 1.0])).tolist() == [0, 0, 1, 1]


# The exact maximum


@mathematics
@given(seeds, st.integers(1, 8), st.integers(1, 5))
def test_the_exact_maximum_is_never_below_greedys(seed, components, m):
    mixture = random_mixture(seed, components, m)
    point, component = exact_maximum(mixture)
    assert component == component_log_densities(point, mixture).argmax()
    best = log_density(point, mixture)
    for form in FORMS:
        greedy, _ = next_vector(mixture, Sampling(form=form), np.ones(()), 0)
        assert best >= log_density(greedy, mixture) - 1e-12
    assert best >= max(log_density(mean, mixture) for mean in mixture.means) - 1e-12


def test_the_maximum_of_two_close_equal_components_is_their_midpoint():
    for m in (1, 3):
        means = np.array([[-0.8] * m, [0.8] * m]) / np.sqrt(m)  # 1.6 σ apart: one mode
        mixture = mixture_of([0.5, 0.5], means, [1.0, 1.0])
        y, _ = exact_maximum(mixture)
        np.testing.assert_allclose(y, np.zeros(m), atol=1e-6)
        greedy, _ = next_vector(mixture, Sampling(), np.ones(()), 0)
        assert log_density(greedy, mixture) < log_density(y, mixture) - 0.05


@mathematics
@given(seeds, st.integers(1, 5))
def test_in_one_dimension_the_maximum_is_the_best_of_a_fine_grid(seed, components):
    mixture = random_mixture(seed, components, m=1)
    ends = mixture.means.min(), mixture.means.max()
    grid = log_density(np.linspace(*ends, 20001)[:, None], mixture)
    best = log_density(exact_maximum(mixture)[0], mixture)
    np.testing.assert_allclose(best, grid.max(), atol=1e-4)


@settings(mathematics, max_examples=20)
@given(seeds, st.integers(1, 5), st.integers(1, 4))
def test_at_the_maximum_the_density_is_level_and_no_climb_goes_higher(seed, components, m):
    mixture = random_mixture(seed, components, m)
    y, _ = exact_maximum(mixture, iterations=1000)
    responsibility = scipy.special.softmax(component_log_densities(y, mixture))
    gradient = (responsibility / mixture.scales**2) @ (mixture.means - y)
    np.testing.assert_allclose(gradient, 0, atol=1e-3)
    climb = scipy.optimize.minimize(lambda x: -log_density(x, mixture), y)
    assert -climb.fun < log_density(y, mixture) + 1e-5


@pytest.mark.parametrize("level", [1e-9, 1e9])
def test_the_unit_of_a_mixture_does_not_matter_to_its_maximum(level):
    mixture = random_mixture(5, components=4, m=2)
    other = Mixture(mixture.log_weights, level * mixture.means, level * mixture.scales)
    wanted, component = exact_maximum(mixture)
    found, same = exact_maximum(other)
    np.testing.assert_allclose(found / level, wanted, atol=1e-5)
    assert same == component


def test_the_maximum_names_the_component_it_was_reached_from():
    mixture = mixture_of([0.3, 0.7], [[-5.0], [5.0]], [1.0, 1.0])
    y, component = exact_maximum(mixture)
    assert component == 1
    np.testing.assert_allclose(y, [5], atol=1e-6)


# The next vector


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_only_full_sampling_adds_noise_unless_told(strategy):
    mixture, noise = random_mixture(3), np.array([1.0, -2.0, 0.5])
    uniform = np.array(0.7)
    still = Sampling(strategy, sigma_scale=0)
    centre, component = next_vector(mixture, still, uniform, noise)
    for scale, factor in [(None, float(strategy == "sample")), (0.6, 0.6), (2, 2)]:
        moved = Sampling(strategy, sigma_scale=scale)
        y, same = next_vector(mixture, moved, uniform, noise)
        np.testing.assert_allclose(y - centre, factor * mixture.scales[component] * noise)
        assert same == component


def test_exact_is_the_maximum_of_the_density_whatever_the_random_number():
    mixture = random_mixture(5)
    point, component = exact_maximum(mixture)
    for uniform in (0.01, 1.0):
        y, same = next_vector(mixture, Sampling("exact"), np.array(uniform), np.ones(3))
        np.testing.assert_array_equal(y, point)
        assert same == component


def test_unless_told_tau_is_0_6():
    mixture = mixture_of([0.5, 0.3, 0.2], np.eye(3), [1.0, 1.0, 1.0])
    uniform = np.linspace(0.01, 1, 100)
    batch = Mixture(*(np.repeat(part[None], 100, axis=0) for part in mixture))
    _, component = next_vector(batch, Sampling("tempered"), uniform, 0)
    assert set(component) == {0}  # 0.5 + 0.3 crosses 0.6


@mathematics
@given(seeds, st.floats(0, 1, exclude_min=True))
def test_greedy_is_the_mean_with_the_largest_standardised_weight(seed, uniform):
    mixture = random_mixture(seed)
    for form in FORMS:
        top = np.argmax(standardised_log_weights(mixture, form))
        for strategy, tau in [("greedy", 1.0), ("tempered", 0.0)]:  # τ is nothing to greedy
            sampling = Sampling(strategy, tau, form=form)
            y, component = next_vector(mixture, sampling, np.array(uniform), 0)
            assert component == top
            np.testing.assert_array_equal(y, mixture.means[top])


@mathematics
@given(seeds, st.integers(1, 6), st.floats(0, 1, exclude_min=True))
def test_ranked_by_weight_with_all_of_it_and_all_of_sigma_tempered_is_full_sampling(seed, K, u):
    mixture = random_mixture(seed, K)
    noise = np.random.default_rng(seed).standard_normal(mixture.means.shape[-1])
    sampled = next_vector(mixture, Sampling("sample"), np.array(u), noise)
    everything = Sampling("tempered", 1.0, 1.0, form="weight")
    corner = next_vector(mixture, everything, np.array(u), noise)
    assert sampled[1] == corner[1]
    np.testing.assert_array_equal(sampled[0], corner[0])


def test_tempered_draws_means_of_s_in_proportion_to_the_standardised_weights():
    mixture = mixture_of([0.1, 0.4, 0.3, 0.2], np.arange(8).reshape(4, 2), [1, 2, 1, 0.5])
    weights = np.array([0.1, 0.1, 0.3, 0.8]) / 1.3  # π/σ²; S at τ = 0.9 is the last two
    rng = np.random.default_rng(0)
    batch = Mixture(*(np.repeat(part[None], 20000, axis=0) for part in mixture))
    uniform, noise = 1 - rng.random(20000), rng.normal(size=(20000, 2))
    y, component = next_vector(batch, Sampling("tempered", 0.9), uniform, noise)
    np.testing.assert_array_equal(y, mixture.means[component])
    counts = np.bincount(component, minlength=4)
    assert counts[:2].sum() == 0
    expected = 20000 * weights[2:] / weights[2:].sum()
    assert scipy.stats.chisquare(counts[2:], expected).pvalue > 0.01


@mathematics
@given(seeds, st.floats(0.05, 20))
def test_a_temperature_raises_the_weights_to_its_inverse(seed, temperature):
    mixture = random_mixture(seed)
    sharper = with_pi_temperature(mixture, temperature)
    powers = np.exp(mixture.log_weights / temperature - np.max(mixture.log_weights / temperature))
    np.testing.assert_allclose(np.exp(sharper.log_weights), powers / powers.sum(), rtol=1e-9)
    assert sharper.means is mixture.means and sharper.scales is mixture.scales
    same = with_pi_temperature(mixture, 1.0)
    np.testing.assert_allclose(same.log_weights, mixture.log_weights, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 1, 3])
def test_sampling_draws_by_the_weights_at_their_temperature(temperature):
    mixture = mixture_of([0.1, 0.4, 0.3, 0.2], np.arange(8).reshape(4, 2), [1, 2, 1, 0.5])
    batch = Mixture(*(np.repeat(part[None], 20000, axis=0) for part in mixture))
    uniform = 1 - np.random.default_rng(1).random(20000)
    sampling = Sampling("sample", pi_temperature=temperature)
    _, component = next_vector(batch, sampling, uniform, 0)
    weights = np.array([0.1, 0.4, 0.3, 0.2]) ** (1 / temperature)
    expected = 20000 * weights / weights.sum()
    assert scipy.stats.chisquare(np.bincount(component, minlength=4), expected).pvalue > 0.01


def test_full_sampling_recovers_the_moments_of_the_mixture():
    mixture = mixture_of([0.2, 0.5, 0.3], [[0, 3], [-2, 0], [1, -1]], [0.5, 1.0, 2.0])
    count, rng = 200_000, np.random.default_rng(0)
    batch = Mixture(*(np.repeat(part[None], count, axis=0) for part in mixture))
    y, _ = next_vector(
        batch, Sampling("sample"), 1 - rng.random(count), rng.normal(size=(count, 2))
    )
    weights = np.exp(mixture.log_weights)
    mean = weights @ mixture.means
    within = (weights @ mixture.scales**2) * np.eye(2)
    between = (mixture.means - mean).T @ ((mixture.means - mean) * weights[:, None])
    np.testing.assert_allclose(y.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(y.T), within + between, atol=0.05)


@settings(mathematics, max_examples=100)
@given(
    seed=seeds,
    strategy=st.sampled_from(STRATEGIES),
    form=st.sampled_from(list(FORMS)),
    tau=st.sampled_from([0.0, 0.3, 1.0]),
    temperature=st.sampled_from([0.01, 1.0, 100.0]),
    unit=UNITS,
    **SIZES,
)
def test_every_strategy_gives_a_vector_at_every_size_unit_and_precision(
    seed, strategy, form, tau, temperature, unit, components, m
):
    dtype, power = unit
    if strategy == "exact":  # climbs from every mean
        components, m = components % 8 + 1, m % 100 + 1
    mixture = scaled(random_mixture(seed, components, m), 10.0**power, dtype)
    rng = np.random.default_rng(seed)
    uniform, noise = np.array(1 - rng.random(), dtype), rng.normal(size=m).astype(dtype)
    sampling = Sampling(strategy, tau, 0.5, temperature, form)
    y, component = next_vector(mixture, sampling, uniform, noise)
    assert y.shape == (m,) and 0 <= component < components
    assert y.dtype == dtype and np.isfinite(y).all()
    reach = np.abs(mixture.means).max() + 10 * mixture.scales.max()
    assert np.abs(y).max() <= reach


# A mixture whose components have a σ in every dimension


def random_diagonal(seed, components=4, m=3, batch=()):
    log_weights, means, _ = random_mixture(seed, components, m, batch)
    sigmas = np.exp(np.random.default_rng([seed, 1]).normal(-0.5, 0.7, means.shape))
    return DiagonalMixture(log_weights, means, sigmas)


def spheres(mixture):
    """The diagonal mixture whose components are those of `mixture`."""
    sigmas = np.broadcast_to(mixture.scales[..., None], mixture.means.shape)
    return DiagonalMixture(mixture.log_weights, mixture.means, sigmas)


@mathematics
@given(seeds, st.integers(1, 6), st.integers(1, 6))
def test_the_diagonal_density_is_scipys(seed, components, m):
    mixture = random_diagonal(seed, components, m)
    y = 2 * np.random.default_rng(seed).normal(size=m)
    logs = [
        log_weight + scipy.stats.multivariate_normal(mean, np.diag(sigma**2)).logpdf(y)
        for log_weight, mean, sigma in zip(*mixture, strict=True)
    ]
    wanted = scipy.special.logsumexp(logs)
    np.testing.assert_allclose(diagonal_log_density(y, mixture), wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("m", [1, 100, 1000])
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-4), (np.float64, 1e-12)])
def test_with_one_sigma_for_all_dimensions_the_diagonal_density_is_the_papers(m, dtype, tolerance):
    mixture = scaled(random_mixture(0, 5, m, batch=(2, 3)), 1.0, dtype)
    y = np.random.default_rng(1).normal(size=(2, 3, m)).astype(dtype)
    found = diagonal_log_density(y, spheres(mixture))
    assert found.dtype == dtype and found.shape == (2, 3)
    np.testing.assert_allclose(found, log_density(y, mixture), rtol=tolerance, atol=tolerance)


def test_a_diagonal_output_is_weights_then_sigmas_then_means():
    output = np.arange(14.0)  # K = 2, m = 3
    mixture = from_diagonal_output(output, components=2, floor=0.5, ceiling=50.0)
    np.testing.assert_allclose(np.exp(mixture.log_weights), scipy.special.softmax([0, 1]))
    np.testing.assert_allclose(mixture.means, [[8, 9, 10], [11, 12, 13]])
    softplus = np.log1p(np.exp([[2, 3, 4], [5, 6, 7]]))
    np.testing.assert_allclose(mixture.sigmas, 0.5 + softplus / (1 + softplus / 50))
    unless_told = from_diagonal_output(output, components=2)
    told = from_diagonal_output(output, components=2, floor=0.01, ceiling=100.0)
    np.testing.assert_array_equal(unless_told.sigmas, told.sigmas)


@mathematics
@given(seeds, st.integers(1, 5), st.integers(1, 5))
def test_a_diagonal_output_is_read_as_the_papers_is(seed, components, m):
    rng = np.random.default_rng(seed)
    logits, raw, means = (
        3 * rng.normal(size=(7, n)) for n in (components, components, components * m)
    )
    isotropic = from_network_output(np.concatenate([logits, raw, means], -1), components, 0.2)
    raws = np.repeat(raw, m, axis=-1)
    diagonal = from_diagonal_output(np.concatenate([logits, raws, means], -1), components, 0.2)
    for found, wanted in zip(diagonal, spheres(isotropic), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_diagonal_mixture_is_not_taken_for_an_isotropic_one():
    with pytest.raises(AttributeError, match="no attribute 'scales'"):
        log_density(np.zeros(3), random_diagonal(0))


# Random numbers of its own


def repeated(mixture, count):
    return type(mixture)(*(np.repeat(part[None], count, axis=0) for part in mixture))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_draws_the_same_and_a_generator_goes_on(strategy):
    mixture = random_mixture(0, batch=(2, 50))
    sampling = Sampling(strategy, 0.9, 0.5, 2.0, "paper")
    y, component = draw(mixture, sampling, rng=7)
    assert y.shape == (2, 50, 3) and component.shape == (2, 50)
    rng = np.random.default_rng(7)
    np.testing.assert_array_equal(draw(mixture, sampling, rng)[0], y)
    assert (draw(mixture, sampling, rng)[0] != y).any()
    rng = np.random.default_rng(7)
    uniform, noise = 1 - rng.random((2, 50)), rng.standard_normal((2, 50, 3))
    wanted, chosen = next_vector(mixture, sampling, uniform, noise)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(component, chosen)


def test_one_mixture_is_drawn_from_in_its_own_precision():
    for mixture in (random_mixture(3), random_diagonal(3)):
        single = type(mixture)(*(part.astype(np.float32) for part in mixture))
        y, component = draw(single, Sampling("sample"), rng=0)
        assert y.shape == (3,) and y.dtype == np.float32 and component.shape == ()


def test_drawn_vectors_have_the_moments_of_a_diagonal_mixture():
    sigmas = np.array([[0.5, 2.0], [1.0, 0.1], [0.3, 0.3]])
    means = np.array([[0.0, 3.0], [-2.0, 0.0], [1.0, -1.0]])
    weights = np.array([0.2, 0.5, 0.3])
    mixture = DiagonalMixture(np.log(weights), means, sigmas)
    y, component = draw(repeated(mixture, 200_000), Sampling("sample"), rng=0)
    mean = weights @ means
    within = np.diag(weights @ sigmas**2)
    between = (means - mean).T @ ((means - mean) * weights[:, None])
    np.testing.assert_allclose(y.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(y.T), within + between, atol=0.05)
    for k in range(3):
        np.testing.assert_allclose(y[component == k].std(axis=0), sigmas[k], rtol=0.02)


@mathematics
@given(seeds, st.integers(1, 6), st.integers(1, 4))
def test_greedy_takes_the_highest_peak_of_a_diagonal_mixture(seed, components, m):
    mixture = random_diagonal(seed, components, m)
    peaks = mixture.log_weights - np.log(mixture.sigmas).sum(axis=-1)
    y, component = draw(mixture, Sampling("greedy"), rng=seed)
    assert component == np.argmax(peaks)
    np.testing.assert_array_equal(y, mixture.means[component])


def test_what_cannot_be_drawn_is_refused_in_a_sentence():
    sentence = (
        "^the exact maximum is searched with one σ for each component: choose another strategy "
        "for a diagonal mixture, or an isotropic one$"
    )
    with pytest.raises(ValueError, match=sentence):
        draw(random_diagonal(0), Sampling("exact"), rng=0)
    with pytest.raises(TypeError, match="rng"):  # never from a global
        draw(random_mixture(0), Sampling("sample"))


# The same equations in another namespace, and with keras.ops


OPERATORS = {"add", "subtract", "multiply", "divide", "negative"}
OPERATORS |= {"less", "less_equal", "equal", "greater", "greater_equal"}


class Foreign(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that has operators, and that no function of NumPy takes."""

    def __init__(self, array):
        self.array = np.asarray(array)
        self.shape = self.array.shape

    def __getitem__(self, index):
        return Foreign(self.array[index])

    def __array_ufunc__(self, ufunc, method, *inputs):
        assert ufunc.__name__ in OPERATORS, f"np.{ufunc.__name__} of an array that is not NumPy's"
        return Foreign(ufunc(*map(native, inputs)))

    def __array_function__(self, function, *_):
        raise AssertionError(f"np.{function.__name__} of an array that is not NumPy's")


class ForeignNamespace:
    """What `xp` may be: NumPy's functions for `Foreign` arrays, with the defaults of keras.ops."""

    def __getattr__(self, name):
        def function(*arguments, **options):
            return Foreign(getattr(np, name)(*map(native, arguments), **options))

        return function

    def shape(self, array):
        return array.shape

    def take_along_axis(self, array, index, axis=None):
        return Foreign(np.take_along_axis(native(array), native(index), axis))

    def concatenate(self, arrays, axis=0):
        return Foreign(np.concatenate([native(array) for array in arrays], axis))

    def fori_loop(self, lower, upper, body, start):
        for i in range(lower, upper):
            start = body(i, start)
        return start


def native(array):
    return array.array if isinstance(array, Foreign) else array


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("form", FORMS)
def test_a_batch_in_another_namespace_gives_what_each_gives_alone_in_numpy(strategy, form):
    rng, xp = np.random.default_rng(0), ForeignNamespace()
    output, uniform = 2 * rng.normal(size=(12, 2 * 4 + 4 * 3)), 1 - rng.random(12)
    noise, sampling = rng.normal(size=(12, 3)), Sampling(strategy, 0.7, 0.5, 1.5, form)
    mixture = from_network_output(Foreign(output), 4, xp=xp)
    y, component = next_vector(mixture, sampling, Foreign(uniform), Foreign(noise), xp)
    density = log_density(y, mixture, xp)
    for i in range(12):
        alone = from_network_output(output[i], 4)
        wanted, chosen = next_vector(alone, sampling, uniform[i], noise[i])
        assert component.array[i] == chosen
        np.testing.assert_allclose(y.array[i], wanted, atol=1e-9)
        np.testing.assert_allclose(density.array[i], log_density(wanted, alone))


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_in_another_namespace_the_climb_has_as_many_steps(iterations):
    mixture = random_mixture(1, components=5, m=2, batch=(3,))
    foreign = Mixture(*map(Foreign, mixture))
    y, component = exact_maximum(foreign, iterations, xp=ForeignNamespace())
    wanted, chosen = exact_maximum(mixture, iterations)
    np.testing.assert_allclose(y.array, wanted, atol=1e-12)
    np.testing.assert_array_equal(component.array, chosen)


@pytest.fixture(scope="module")
def ops():
    return pytest.importorskip("keras").ops


def tensors(ops, mixture, dtype):
    return Mixture(*(ops.convert_to_tensor(part, dtype) for part in mixture))


@pytest.mark.keras
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("components, m", [(1, 1), (10, 100), (50, 1000)])
def test_keras_and_numpy_give_the_same_density(ops, dtype, tolerance, components, m):
    rng = np.random.default_rng(0)
    output = rng.normal(size=(2, 3, 2 * components + components * m))
    y = rng.normal(size=(2, 3, m))
    wanted = log_density(y, from_network_output(output, components))
    output, y = ops.convert_to_tensor(output, dtype), ops.convert_to_tensor(y, dtype)
    found = log_density(y, from_network_output(output, components, xp=ops), ops)
    assert found.shape == (2, 3) and found.dtype == dtype
    np.testing.assert_allclose(ops.convert_to_numpy(found), wanted, rtol=tolerance)


def test_a_diagonal_density_in_another_namespace_is_numpys():
    rng, xp = np.random.default_rng(0), ForeignNamespace()
    output, y = rng.normal(size=(12, 4 + 2 * 4 * 3)), rng.normal(size=(12, 3))
    mixture = from_diagonal_output(Foreign(output), 4, xp=xp)
    found = diagonal_log_density(Foreign(y), mixture, xp)
    wanted = diagonal_log_density(y, from_diagonal_output(output, 4))
    np.testing.assert_allclose(found.array, wanted)


@pytest.mark.keras
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("form", ["exact", "paper"])
@pytest.mark.parametrize("tau", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("float64", 1e-9)])
def test_keras_and_numpy_take_the_same_next_vector(ops, strategy, form, tau, dtype, tolerance):
    mixture, rng = random_mixture(0, components=5, m=3, batch=(20,)), np.random.default_rng(1)
    uniform, noise = 1 - rng.random(20), rng.normal(size=(20, 3))
    sampling = Sampling(strategy, tau, 0.5, form=form)
    wanted, chosen = next_vector(mixture, sampling, uniform, noise)
    uniform, noise = (ops.convert_to_tensor(numbers, dtype) for numbers in (uniform, noise))
    y, component = next_vector(tensors(ops, mixture, dtype), sampling, uniform, noise, ops)
    np.testing.assert_array_equal(ops.convert_to_numpy(component), chosen)
    np.testing.assert_allclose(ops.convert_to_numpy(y), wanted, atol=tolerance)


@pytest.mark.keras
def test_keras_never_draws_a_component_of_weight_0_either(ops):
    with np.errstate(divide="ignore"):
        log_weights = np.log(np.array([0, 0.3, 0, 0.7, 0], np.float32))
    uniform = np.array([2**-24, 0.29, 0.31, 1.0], np.float32)
    assert ops.convert_to_numpy(choose(log_weights, uniform, ops)).tolist() == [1, 1, 3, 3]
