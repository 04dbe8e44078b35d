"""Let a trained network go on by itself: step, choose, feed back (paper, section 2.2).

The state (h, c) of every layer is carried from frame to frame, so each frame costs one step. The
loop runs in compiled blocks of one second; the random numbers are drawn outside, by NumPy, so the
same seed means the same numbers at every position of τ.

Notebook: 10.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from cmc_helpers import mixtures, networks

_BLOCK = 125  # steps per compiled call: one second of sound


class Generated(NamedTuple):
    """vectors (sequences, steps, m), in the units of the run's corpus, and the component that each
    came from, (sequences, steps): of frames that were predicted together, the same."""

    vectors: np.ndarray
    components: np.ndarray


def generate(
    run,
    steps,
    *,
    strategy=None,
    tau=None,
    sigma_scale=None,
    pi_temperature=None,
    seed=0,
    sequences=1,
    primer=None,
    form="exact",
    progress=None,
):
    """Generate `steps` frames after a primer: x̂_{t+1} chosen from P(· | M(x̂_t, h_t, c_t)).

    run: `runs.Run`. strategy, tau, sigma_scale, pi_temperature: see `mixtures.next_vector`; None
    takes the run's recommended setting (but for another strategy than the run's, that strategy's
    own sigma_scale, and 1 as pi_temperature).
    seed: an integer ≥ 0; sequence i of many equals sequence i of fewer. primer: features (T, m) to
    listen to first; None takes the run's own, an empty array starts from x₀ = 0, h₀ = c₀ = 0.
    form: "exact" or "paper" standardised weights. progress(done, total, message) is called every
    block. Returns `Generated`. Raises ValueError in one sentence for bad arguments.
    """
    strategy, tau, sigma_scale, pi_temperature = settings(
        run, strategy, tau, sigma_scale, pi_temperature
    )
    if steps < 1 or sequences < 1:
        raise ValueError(f"steps and sequences must be at least 1, not {steps} and {sequences}")
    if seed < 0:
        raise ValueError(f"a seed is an integer from 0 upwards, not {seed}")
    inputs = _primed(run, primer)
    begin = len(inputs) - 1  # outputs before the primer's end are replaced by the primer itself
    together = run.network.frames
    total = begin + -(-steps // together)
    blocks = -(-total // _BLOCK)
    forced = np.zeros((blocks * _BLOCK, run.network.width), np.float32)
    forced[:begin] = inputs[1:]
    block = _compiled(run, strategy, form)
    streams = [np.random.default_rng([seed, number]) for number in range(sequences)]

    frame = np.repeat(inputs[:1], sequences, axis=0)
    states = networks.zero_states(run.network, sequences)
    vectors, components = [], []
    for number in range(blocks):
        here = np.arange(number * _BLOCK, (number + 1) * _BLOCK)
        is_forced = here < begin
        draws = [_random_numbers(rng, is_forced, run.network.width) for rng in streams]
        uniforms, noises = (np.stack(numbers, axis=1) for numbers in zip(*draws, strict=True))
        frame, states, made, chosen = block(
            frame,
            states,
            forced[here],
            is_forced,
            uniforms,
            noises,
            np.float32(tau),
            np.float32(sigma_scale),
            np.float32(pi_temperature),
        )
        vectors.append(np.asarray(made)[~is_forced])
        components.append(np.asarray(chosen)[~is_forced])
        if progress:
            progress(min(here[-1] + 1, total), total, "frames")
    normalised = np.concatenate(vectors)[: total - begin].swapaxes(0, 1)
    if not np.isfinite(normalised).all():
        raise ValueError(
            "the network's output grew without bounds: lower sigma_scale or τ, or train it longer"
        )
    made = run.normaliser.invert(normalised).reshape(sequences, -1, run.network.features)
    chosen = np.concatenate(components)[: total - begin].swapaxes(0, 1)
    return Generated(made[:, :steps], np.repeat(chosen, together, axis=1)[:, :steps])


def settings(run, strategy=None, tau=None, sigma_scale=None, pi_temperature=None):
    """The sampling settings in force: what is given, else what the run recommends; checked."""
    recommended = strategy in (None, run.sampling["strategy"])
    strategy = run.sampling["strategy"] if strategy is None else strategy
    tau = run.sampling["tau"] if tau is None else tau
    if sigma_scale is None:
        sigma_scale = (
            run.sampling["sigma_scale"] if recommended else mixtures.default_sigma_scale(strategy)
        )
    if pi_temperature is None:
        pi_temperature = run.sampling["pi_temperature"] if recommended else 1.0
    mixtures.check_sampling(strategy, tau, sigma_scale, pi_temperature)
    if sigma_scale and not run.network.components:
        raise ValueError("a network without a mixture has no σ to add: leave sigma_scale at 0")
    return strategy, tau, sigma_scale, pi_temperature


def _primed(run, primer):
    """The network's inputs before it is on its own: (≥ 1, width), normalised."""
    primer = run.primer if primer is None else np.asarray(primer, np.float32)
    nothing = np.zeros((1, run.network.width), np.float32)
    if primer.size == 0:
        return nothing
    if primer.ndim != 2 or primer.shape[1] != run.network.features:
        raise ValueError(
            f"a primer for this run has the shape (frames, {run.network.features}), "
            f"not {primer.shape}"
        )
    if not np.isfinite(primer).all():
        raise ValueError("the primer holds NaN or infinite values: give it finite features")
    together = run.network.frames
    whole = primer[len(primer) % together :].reshape(-1, run.network.width)
    return run.normaliser.transform(whole) if len(whole) else nothing


def _random_numbers(rng, is_forced, m):
    """Uniforms (steps,) in (0, 1] and noise (steps, m); none are spent on forced steps."""
    uniforms = np.zeros(len(is_forced), np.float32)
    noises = np.zeros((len(is_forced), m), np.float32)
    for i in np.flatnonzero(~is_forced):
        uniforms[i] = 1.0 - rng.random(dtype=np.float32)
        noises[i] = rng.standard_normal(m, dtype=np.float32)
    return uniforms, noises


@lru_cache(maxsize=16)
def _compiled(run, strategy, form):
    """A function that runs `_BLOCK` steps; compiled once per run, strategy and form."""
    import keras
    from keras import ops

    config = run.network

    def block(frame, states, forced, is_forced, uniforms, noises, tau, sigma_scale, pi_temperature):
        def advance(t, frame, states, vectors, components):
            output, states = networks.step(run.model, config, frame, states)
            mixture = networks.read_output(output, config, ops)
            vector, component = mixtures.next_vector(
                mixture,
                strategy,
                uniforms[t],
                noises[t],
                tau,
                sigma_scale,
                form,
                ops,
                pi_temperature,
            )
            vector = vector * networks.feature_scales(output, config, ops)
            vectors = ops.slice_update(vectors, (t, 0, 0), vector[None])
            components = ops.slice_update(components, (t, 0), component[None])
            frame = ops.where(is_forced[t], ops.broadcast_to(forced[t], ops.shape(vector)), vector)
            return t + 1, frame, states, vectors, components

        begin = (0, frame, states, ops.zeros_like(noises), ops.zeros_like(uniforms, "int32"))
        return ops.while_loop(lambda t, *_: t < is_forced.shape[0], advance, begin)[1:]

    if keras.backend.backend() != "tensorflow":
        return block
    import tensorflow as tf

    return tf.function(block, jit_compile=True, autograph=False)
