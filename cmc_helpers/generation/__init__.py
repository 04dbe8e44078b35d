"""Let a trained network go on by itself: step, choose, feed back (paper, section 2.2).

The state (h, c) of every layer is carried from frame to frame, so each frame costs one step. A
network that only plays needs no TensorFlow: the steps are NumPy's, and in long pieces their loops
are compiled (`fused`), to the same bits. The random numbers are drawn whether a strategy uses them
or not, so the same seed means the same ones at every position of τ.

Notebook: 10.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from cmc_helpers import mixtures, networks
from cmc_helpers.runs import Run
from cmc_helpers.sampling import Sampling

LONG = 2000  # steps that a process has taken when it is worth while to import numba
_REPORT = 25  # steps between two reports of progress
_taken = 0


class Generated(NamedTuple):
    """vectors (sequences, steps, m), in the units of the run's corpus, and the component that each
    came from, (sequences, steps): of frames that were predicted together, the same."""

    vectors: np.ndarray
    components: np.ndarray


class Foreseen(NamedTuple):
    """What a network expects after each of its steps: mixture, a `mixtures.Mixture` with leading
    axis (steps,), and the scale of every number it speaks of, (steps, width)."""

    mixture: mixtures.Mixture
    scales: np.ndarray

    def candidates(self, run: Run, step: int) -> np.ndarray:
        """The K means after `step` as features (K, frames, m), in the units of the run's corpus."""
        means = self.mixture.means[step] * self.scales[step]
        return run.normaliser.invert(means).reshape(len(means), -1, run.network.features)


def foresee(run: Run, features: ArrayLike) -> Foreseen:
    """Let a run hear features (T, m), and tell what it expects after every step of its own.

    It hears what was played, not what it would have chosen (teacher forcing). A step is
    `run.network.frames` frames; a rest of T that fills none stays unheard. Returns `Foreseen`:
    at `step` it has heard the frames before frames · (step + 1). Raises ValueError for features of
    another width, or too few.
    """
    states, found = networks.zero_states(run.network, 1), []
    features = np.asarray(features)
    whole = features[: len(features) // run.network.frames * run.network.frames]
    if not whole.size:
        raise ValueError(f"{run.network.frames} frames are the least to hear, not {len(features)}")
    with threadpool_limits(1):
        for frame in _normalised(run, whole).swapaxes(0, 1):
            output, states = networks.step(run.layers, run.network, frame, states)
            found.append(output[0])
    outputs = np.array(found)
    scales = np.broadcast_to(
        networks.feature_scales(outputs, run.network), (len(outputs), run.network.width)
    )
    return Foreseen(networks.read_output(outputs, run.network), scales)


def generate(
    run: Run,
    steps: int,
    *,
    sampling: Sampling | None = None,
    seed: int = 0,
    sequences: int = 1,
    primer: ArrayLike | None = None,
    progress: Callable[..., object] | None = None,
    **knobs: Any,
) -> Generated:
    """Generate `steps` frames after a primer: x̂_{t+1} chosen from P(· | M(x̂_t, h_t, c_t)).

    run: `runs.Run`. sampling: a `sampling.Sampling`; None takes what the run recommends. knobs:
    what is to be other than there, as in strategy="tempered", tau=0.3 (see `Sampling.but`); noise
    "residuals" is what the network did not foresee of music (`residuals.Residuals`). seed: an
    integer ≥ 0; sequence i of many equals sequence i of fewer. primer: features (T, m) to listen to
    first, or one for each sequence (sequences, T, m); None takes the run's own, an empty array
    starts from x₀ = 0, h₀ = c₀ = 0.
    progress(done, total, message) is called now and then. Returns `Generated`. Raises ValueError in
    one sentence for bad arguments.
    """
    sampling = settings(run, sampling, **knobs)
    if steps < 1 or sequences < 1:
        raise ValueError(f"steps and sequences must be at least 1, not {steps} and {sequences}")
    if seed < 0:
        raise ValueError(f"a seed is an integer from 0 upwards, not {seed}")
    together = run.network.frames
    total = -(-steps // together)
    streams = [np.random.default_rng([seed, number]) for number in range(sequences)]
    others = [np.random.default_rng([seed, number, 1]) for number in range(sequences)]
    random_numbers = _random_numbers(streams, run.network.width)
    other_uniforms = _uniforms(others)
    vectors = np.empty((total, sequences, run.network.width), np.float32)
    components = np.empty((total, sequences), int)
    drawn = np.full(sequences, -1)  # rows of the residuals
    # One thread: the matrices are small, and the sums are the same on any number of cores.
    with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"):
        fused = _fused(run, sampling, total)
        frame, states = _listen(run, primer, sequences, fused)
        if fused:
            step = fused.Steps(run.weights, run.network, states)
            choose = fused.Choices(run.network, sequences, sampling)
        for t in range(total):
            uniforms, noises = next(random_numbers)
            if sampling.noise == "residuals":
                assert run.residuals  # as `settings` has seen
                noises = partial(run.residuals.draw, uniform=next(other_uniforms), last=drawn)
            if fused:
                vectors[t], components[t] = choose(step(frame), uniforms, noises)
            else:
                output, states = networks.step(run.layers, run.network, frame, states)
                mixture = networks.read_output(output, run.network)
                vector, components[t] = mixtures.next_vector(mixture, sampling, uniforms, noises)
                vectors[t] = vector * networks.feature_scales(output, run.network)
            frame = vectors[t]
            if progress and (t + 1) % _REPORT == 0:
                progress(t + 1, total, "frames")
        made = run.normaliser.invert(vectors.swapaxes(0, 1))
        if not np.isfinite(made).all():
            raise ValueError(
                "the network's output grew without bounds: lower sigma_scale or τ, or train it "
                "longer"
            )
        made = made.reshape(sequences, -1, run.network.features)
    if progress:
        progress(total, total, "frames")
    chosen = np.repeat(components.T, together, axis=1)
    return Generated(made[:, :steps], chosen[:, :steps])


def settings(run: Run, sampling: Sampling | None = None, **knobs: Any) -> Sampling:
    """The `sampling.Sampling` in force: as given, else as the run recommends, but for the knobs;
    checked. ValueError: see `Sampling.but`; or the run has no σ, or no residuals, to add."""
    chosen = (sampling or run.sampling).but(**knobs)
    if chosen.sigma_scale and not run.network.components:
        raise ValueError("a network without a mixture has no σ to add: leave sigma_scale at 0")
    if chosen.noise == "residuals" and not run.residuals:
        more = ", or finish its training with `resume=True`" if run.network.components else ""
        raise ValueError(f"this run keeps no residuals to draw from: choose gaussian noise{more}")
    return chosen


def _fused(run, sampling, steps):
    """The module `fused`, if it has been made for such a network and pays; else None.

    To import it takes about as long as some 2000 steps in it save. They count from the start of
    the process: a slider that is moved asks for short pieces, but for many.
    """
    global _taken
    _taken += steps
    single = all(w.dtype == np.float32 for arrays in run.weights.values() for w in arrays)
    if _taken < LONG or not single:
        return None
    try:
        from cmc_helpers.generation import fused
    except (ImportError, RuntimeError):  # no numba, or no folder for what it compiles
        return None
    return fused if fused.fits(run.network, sampling) else None


def _listen(run, primer, sequences, fused):
    """The first input on its own, and the states after all that came before: both of so many rows.

    What is heard depends on no knob and on no random number, so of one primer one row listens for
    all.
    """
    frames = _normalised(run, primer)
    if len(frames) not in (1, sequences):
        raise ValueError(f"give one primer, or one for each of {sequences} sequences")
    *heard, last = frames.swapaxes(0, 1)
    states = networks.zero_states(run.network, len(frames))
    if fused:
        step = fused.Steps(run.weights, run.network, states)
        for frame in heard:
            step(frame)
        states = step.states
    else:
        for frame in heard:
            _, states = networks.step(run.layers, run.network, frame, states)
    each = sequences // len(frames)
    rows = [tuple(np.repeat(part, each, axis=0) for part in state) for state in states]
    return np.repeat(last, each, axis=0), rows


def _normalised(run, primer):
    """Primers (T, m) or (rows, T, m) as the network sees them: (rows, ≥ 1, width)."""
    primer = run.primer if primer is None else np.asarray(primer, np.float32)
    nothing = np.zeros((1, 1, run.network.width), np.float32)
    if primer.size == 0:
        return nothing
    if primer.ndim not in (2, 3) or primer.shape[-1] != run.network.features:
        raise ValueError(
            f"a primer for this run has the shape (frames, {run.network.features}), "
            f"not {primer.shape}"
        )
    if not np.isfinite(primer).all():
        raise ValueError("the primer holds NaN or infinite values: give it finite features")
    primers = primer.reshape(-1, *primer.shape[-2:])
    too_many = primers.shape[1] % run.network.frames
    whole = primers[:, too_many:].reshape(len(primers), -1, run.network.width)
    return run.normaliser.transform(whole) if whole.size else nothing


def _random_numbers(streams, m):
    """For frame after frame: uniforms (sequences,) in (0, 1] and noise (sequences, m), from a
    stream for each sequence. They are drawn for some frames at once, which is quicker."""
    while True:
        uniforms = np.empty((_REPORT, len(streams)), np.float32)
        noise = np.empty((_REPORT, len(streams), m), np.float32)
        for number, rng in enumerate(streams):
            for t in range(_REPORT):
                uniforms[t, number] = rng.random(dtype=np.float32)
                rng.standard_normal(out=noise[t, number], dtype=np.float32)
        yield from zip(1 - uniforms, noise, strict=True)


def _uniforms(streams):
    """For frame after frame: uniforms (sequences,) in (0, 1], from a stream for each sequence."""
    while True:
        drawn = [rng.random(_REPORT, dtype=np.float32) for rng in streams]
        yield from 1 - np.stack(drawn, axis=-1)
