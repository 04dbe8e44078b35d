"""The isotropic Gaussian mixture of paper section 2.1.2, and a diagonal one, in log space.

A mixture of K components in m dimensions has weights π (summing to 1), means μ and one standard
deviation σ per component: 2K + K·m numbers. The leading axes (...) are free: a single frame, a
batch, a batch of sequences.

Every function takes `xp`, the namespace it computes with: NumPy by default, `keras.ops` inside a
compiled loss, or where a gradient is wanted. So the equations stand here once, and what SciPy
confirms in NumPy is what the network is trained with. Deviations and σ may have any size whose
square is a number: up to about 10¹⁸ in single precision, 10¹⁵⁰ in double, and as far below 1.

Notebook: 02.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

STRATEGIES = ("greedy", "exact", "tempered", "sample")
FORMS = {"exact": "π/σ^m", "paper": "π/σ", "weight": "π"}  # what each ranks components by
NOISES = ("gaussian", "residuals")  # what is added, times σ, to a mean


class Mixture(NamedTuple):
    """log_weights: ln π (..., K). means: μ (..., K, m). scales: σ > 0 (..., K).

    Notebook: 02, section 2.
    """

    log_weights: Any
    means: Any
    scales: Any


class DiagonalMixture(NamedTuple):
    """log_weights: ln π (..., K). means: μ (..., K, m). sigmas: σ > 0 (..., K, m).

    Beyond the paper: every dimension of a component has a σ of its own. Not a `Mixture`, whose σ is
    one number, so that neither is taken for the other.
    """

    log_weights: Any
    means: Any
    sigmas: Any


def from_network_output(
    output: Any, components: int, floor: float = 0.01, ceiling: float = 100.0, xp: Any = np
) -> Mixture:
    """Split a network's raw output (..., 2K + K·m) into a `Mixture`.

    ln π is a log-softmax. σ runs smoothly from floor to ceiling, both in the units of the
    normalised data: near the floor it is floor + softplus, and no output can make the
    log-likelihood infinite (paper section 2.1.2; Bishop 1994). Notebook: 02, section 5.
    """
    logits, raw = output[..., :components], output[..., components : 2 * components]
    m = output.shape[-1] // components - 2
    shape = (*xp.shape(output)[:-1], components, m)
    means = xp.reshape(output[..., 2 * components :], shape)
    log_weights = logits - _logsumexp(logits, xp)
    softplus = xp.logaddexp(raw, 0.0)
    scales = floor + softplus / (1.0 + softplus / ceiling)
    return Mixture(log_weights, means, scales)


def from_diagonal_output(
    output: Any, components: int, floor: float = 0.01, ceiling: float = 100.0, xp: Any = np
) -> DiagonalMixture:
    """Split a network's raw output (..., K + 2·K·m) into a `DiagonalMixture`.

    K logits, K·m numbers for σ and K·m means, read as `from_network_output` reads them.
    """
    m = (output.shape[-1] // components - 1) // 2
    shape = (*xp.shape(output)[:-1], components, m)
    logits, raw = output[..., :components], output[..., components : (1 + m) * components]
    softplus = xp.logaddexp(raw, 0.0)  # (..., K·m)
    sigmas = xp.reshape(floor + softplus / (1.0 + softplus / ceiling), shape)
    means = xp.reshape(output[..., (1 + m) * components :], shape)
    return DiagonalMixture(logits - _logsumexp(logits, xp), means, sigmas)


def component_log_densities(y: Any, mixture: Mixture, xp: Any = np) -> Any:
    """ln π_k + ln N(y; μ_k, σ_k² I) for every component: y (..., m) → (..., K).

    Paper section 2.1.2: 1/√(2πσ²)^m · exp(−‖μ − y‖² / 2σ²), with σ to the power m.
    Notebook: 02, section 3.
    """
    m = mixture.means.shape[-1]
    squared = xp.sum(xp.square(y[..., None, :] - mixture.means), axis=-1)  # (..., K)
    normaliser = 0.5 * m * math.log(2 * math.pi) + m * xp.log(mixture.scales)
    return mixture.log_weights - normaliser - 0.5 * squared / xp.square(mixture.scales)


def log_density(y: Any, mixture: Mixture, xp: Any = np) -> Any:
    """ln P(y | M), in nats: y (..., m) → (...). Paper section 2.1.2.

    Summed over components by log-sum-exp: at m = 100 the densities themselves under- or overflow.
    Notebook: 02, section 3.
    """
    return _logsumexp(component_log_densities(y, mixture, xp), xp)[..., 0]


def diagonal_log_density(y: Any, mixture: DiagonalMixture, xp: Any = np) -> Any:
    """ln P(y | M) of a `DiagonalMixture`, in nats: y (..., m) → (...).

    With σ_j = σ̄ s_j, where Π_j s_j = 1, a component is an isotropic one of y / s:
    N(y; μ, diag σ²) = N(0; (μ − y)/s, σ̄² I). The determinant of s is 1, so nothing else changes.
    """
    level, proportions = _level_and_proportions(mixture.sigmas, xp)  # σ̄ (..., K), s (..., K, m)
    deviations = (mixture.means - y[..., None, :]) / proportions  # (μ − y)/s, (..., K, m)
    around_y = Mixture(mixture.log_weights, deviations, level)
    return log_density(xp.zeros_like(y), around_y, xp)


def standardised_log_weights(mixture: Mixture, form: str = "exact", xp: Any = np) -> Any:
    """ln π̂ (..., K): how high each component's peak stands, normalised to sum to 1.

    form "exact": π/σ^m, the peak density of an m-dimensional component. form "paper": π/σ, as
    printed in section 2.1.2, which is the same only for m = 1. form "weight": π as it is, what
    nucleus sampling ranks by (Holtzman et al., ICLR 2020). Notebook: 02, section 8.
    """
    powers = {"exact": mixture.means.shape[-1], "paper": 1, "weight": 0}
    if form not in powers:
        raise ValueError(f"there is no form {form!r}; choose one of {', '.join(powers)}")
    peaks = mixture.log_weights - powers[form] * xp.log(mixture.scales)
    return peaks - _logsumexp(peaks, xp)


def tempered_log_weights(log_weights: Any, tau: float, xp: Any = np) -> Any:
    """Keep the subset S of section 2.1.2 and renormalise: (..., K) → (..., K), −inf outside S.

    S is the top component, and those in order of weight while their cumulative sum stays ≤ τ: the
    one that crosses τ is out, where a nucleus (top-p; Holtzman et al., ICLR 2020) takes it in. τ in
    [0, 1]: 0 keeps only the top one, 1 keeps all. τ is not a temperature: inside S the proportions
    stay as they are. Notebook: 02, section 8.
    """
    this, other = log_weights[..., :, None], log_weights[..., None, :]
    earlier = np.tri(this.shape[-2], dtype=bool)  # of equal weights, the first comes first
    ahead = xp.logical_or(other > this, xp.logical_and(other == this, earlier))  # itself included
    cumulative = xp.sum(xp.where(ahead, xp.exp(other), 0.0), axis=-1)
    top = xp.count_nonzero(ahead, axis=-1) == 1
    # Rounding may leave the full sum a little above 1; τ = 1 means all components all the same.
    kept = xp.logical_or(xp.logical_or(top, cumulative <= tau), tau >= 1.0)
    kept_weights = xp.where(kept, log_weights, -math.inf)
    return kept_weights - _logsumexp(kept_weights, xp)


def with_pi_temperature(mixture: Mixture, temperature: float, xp: Any = np) -> Mixture:
    """The mixture with weights ∝ π^(1/T); means and scales stay.

    T in (0, ∞): below 1 the likely components gain, above 1 the rare ones. What the field calls a
    temperature (of sketch-rnn's, Ha and Eck 2017, it is the half that acts on π); not the paper's
    τ, for no component is left out.
    """
    log_weights = mixture.log_weights / temperature
    return mixture._replace(log_weights=log_weights - _logsumexp(log_weights, xp))


def choose(log_weights: Any, uniform: Any, xp: Any = np) -> Any:
    """Draw component indices (...) from ln weights (..., K) and uniform numbers (...) in (0, 1].

    By the inverse cumulative distribution: the same `uniform` serves any τ, so that only τ changes.
    A component of weight 0 is never drawn. Notebook: 02, section 6.
    """
    cumulative = xp.cumsum(xp.exp(log_weights), axis=-1)
    threshold = uniform[..., None] * cumulative[..., -1:]
    return xp.count_nonzero(cumulative < threshold, axis=-1)


def exact_maximum(mixture: Mixture, iterations: int = 100, xp: Any = np) -> tuple[Any, Any]:
    """arg max_y P(y | M), strategy 2 of section 2.1.2: (..., m), and the component that has the
    largest share in the density there (...).

    Mean-shift climbs from every mean; the highest of the points reached, and of the means
    themselves, wins, so the density is never below greedy's. Each step moves y to the mean of the
    μ_k weighted by r_k/σ_k², r the responsibilities at y (Carreira-Perpiñán 2000).
    """
    log_weights, means, scales = mixture
    seen_by_each = Mixture(log_weights[..., None, :], means[..., None, :, :], scales[..., None, :])

    def climb(_, y):
        pull = component_log_densities(y, seen_by_each, xp) - 2.0 * xp.log(scales[..., None, :])
        return xp.matmul(xp.exp(pull - _logsumexp(pull, xp)), means)

    points = xp.concatenate([_repeat(iterations, climb, means, xp), means], axis=-2)
    shares = component_log_densities(points, seen_by_each, xp)
    best = xp.argmax(_logsumexp(shares, xp)[..., 0], axis=-1)
    return _pick(points, best, xp), xp.argmax(_pick(shares, best, xp), axis=-1)


def next_vector(
    mixture: Mixture,
    sampling: Any,
    uniform: Any,
    deviation: Any | Callable[[Any, Any], Any],
    xp: Any = np,
) -> tuple[Any, Any]:
    """One vector by one of the paper's four strategies (section 2.1.2), and its component.

    sampling: a `sampling.Sampling`. Its strategy is "greedy" (the top mean of π̂), "exact" (the
    maximum of the density), "tempered" (a mean from the subset S of τ, drawn by π̂), or "sample" (a
    component drawn by π); sigma_scale is how much of the component's σ times a deviation is added.
    pi_temperature comes before all else, see `with_pi_temperature`; form is what greedy and
    tempered rank by, see `standardised_log_weights`: with "weight", τ = sigma_scale = 1 is full
    sampling. uniform (...) in (0, 1] and deviation (..., m) ~ N(0, 1) are the random numbers to
    use; deviation may also be a function of the chosen components and their σ that draws it, for
    what is no Gaussian. Returns y (..., m) and the component's index (...).
    """
    mixture = with_pi_temperature(mixture, sampling.pi_temperature, xp)
    if sampling.strategy == "exact":
        centre, component = exact_maximum(mixture, xp=xp)
    else:
        log_weights = mixture.log_weights
        if sampling.strategy != "sample":
            tau = 0.0 if sampling.strategy == "greedy" else sampling.tau
            log_weights = standardised_log_weights(mixture, sampling.form, xp)
            log_weights = tempered_log_weights(log_weights, tau, xp)
        component = choose(log_weights, uniform, xp)
        centre = _pick(mixture.means, component, xp)
    spread = xp.take_along_axis(mixture.scales, component[..., None], axis=-1)
    if callable(deviation):
        deviation = deviation(component, spread[..., 0])
    return centre + sampling.sigma_scale * spread * deviation, component


def draw(
    mixture: Mixture | DiagonalMixture, sampling: Any, rng: int | np.random.Generator
) -> tuple[np.ndarray, np.ndarray | np.integer]:
    """`next_vector` for those who bring no random numbers: y (..., m), its component (...).

    mixture: in NumPy, a `Mixture`, or a `DiagonalMixture` for all strategies but "exact"; there a
    peak stands as high as π / Π_j σ_j. rng: a seed, or a numpy.random.Generator, which goes on from
    where it is; as many numbers are drawn whatever the strategy. Raises ValueError for the exact
    maximum of a diagonal mixture.
    """
    rng, shape = np.random.default_rng(rng), mixture.means.shape
    uniform = 1.0 - rng.random(shape[:-2])  # (...), in (0, 1]
    gaussian = rng.standard_normal((*shape[:-2], shape[-1])).astype(mixture.means.dtype)
    if isinstance(mixture, Mixture):
        return next_vector(mixture, sampling, uniform, gaussian)
    if sampling.strategy == "exact":
        raise ValueError(
            "the exact maximum is searched with one σ for each component: choose another strategy "
            "for a diagonal mixture, or an isotropic one"
        )
    level, proportions = _level_and_proportions(mixture.sigmas, np)
    around = Mixture(mixture.log_weights, mixture.means, level)  # σ̄^m = Π_j σ_j

    def stretched(component, _):
        return _pick(proportions, component, np) * gaussian

    return next_vector(around, sampling, uniform, stretched)


def _logsumexp(x, xp):
    highest = xp.max(x, axis=-1, keepdims=True)
    return highest + xp.log(xp.sum(xp.exp(x - highest), axis=-1, keepdims=True))


def _level_and_proportions(sigmas, xp):
    """σ (..., K, m) = σ̄ s: the geometric mean σ̄ (..., K), and s (..., K, m), whose product is 1."""
    level = xp.exp(xp.mean(xp.log(sigmas), axis=-1))
    return level, sigmas / level[..., None]


def _pick(vectors, index, xp):
    return xp.take_along_axis(vectors, index[..., None, None], axis=-2)[..., 0, :]


def _repeat(times, body, start, xp):
    if xp is not np:
        return xp.fori_loop(0, times, body, start)  # stays a loop in a compiled graph
    rounding = 8 * np.finfo(start.dtype).eps
    for i in range(times):
        before, start = start, body(i, start)
        if np.allclose(before, start, rounding, rounding):  # and so would all that follow
            break
    return start
