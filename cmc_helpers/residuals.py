"""Noise in the shape of music: a bootstrap of what a network did not foresee (beyond the paper).

A component of the mixture is a Gaussian: full sampling (paper, section 2.1.2) adds noise of its σ,
equally loud in every direction. What a network does not foresee of real music has another shape.
Where a note begins, it is all the partials of that note, for a moment, and nothing else. So a run
keeps such moments of the pieces that it has learnt from: residuals (x − μ_k) / σ_k of the component
k that explains x best. Drawn in place of the Gaussian noise, they bring whole notes. Statistics
calls this a bootstrap of residuals (Efron 1979), finance filtered historical simulation.

Notebook: 10.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from cmc_helpers import mixtures, networks

COUNT = 8000  # residuals that a run keeps: 1.4 MB for four frames at once
UNIT = 0.5  # of σ, what they are rounded to: finer takes more room
NEAR = 16  # of the same component, those nearest in σ: one of them is drawn
_LISTENED, _WARM = 250, 50  # steps at a place, and after how many of them it is at home there
_OF_A_PLACE = 25  # residuals: many from one place would be too much alike


class Residuals:
    """A bank of N residuals, sorted by component, then σ.

    components (N,), of 0 … K − 1; scales (N,), the σ_k > 0 of the moment each is from; vectors
    (N, m), the residuals as whole numbers (int8) of `UNIT`.
    """

    def __init__(self, components, scales, vectors):
        order = np.lexsort((scales, components))
        self.components, self.scales = components[order], scales[order]
        self.vectors = vectors[order]
        self._places = _places(self.components, self.scales)

    def draw(self, components, scales, uniform):
        """Residuals (..., m) for chosen components (...) of σ (...), by uniforms (...) in (0, 1].

        Of the `NEAR` residuals of that component whose σ are nearest in rank, each is as likely. A
        component that has none borrows from its neighbour.
        """
        first = np.searchsorted(self.components, components, "left")
        end = np.searchsorted(self.components, components, "right")
        first, end = np.where(first < end, first, 0), np.where(first < end, end, len(self.scales))
        here = np.searchsorted(self._places, _places(components, scales)) - NEAR // 2
        nearest = np.clip(here, first, np.maximum(first, end - NEAR))
        row = nearest + np.ceil(uniform * np.minimum(NEAR, end - first)).astype(int) - 1
        return self.vectors[row] * np.float32(UNIT)


def collect(run, pieces, seed=0):
    """The `Residuals` of a run: what it does not foresee of `pieces`, features (T, m) each.

    It listens (teacher forcing) at places that `seed` draws, and keeps `COUNT` residuals. Raises
    ValueError for a network without a mixture, and where no piece lasts three steps.
    """
    if not run.network.components:
        raise ValueError("a network without a mixture has no σ, and so no residuals")
    rng = np.random.default_rng(seed)
    together = run.network.frames
    steps = min(_LISTENED, max(map(len, pieces), default=0) // together)
    if steps < 3:
        raise ValueError(f"no piece has {3 * together} frames: give longer ones")
    usable = [piece for piece in pieces if len(piece) >= steps * together]
    known = np.arange(min(_WARM, steps // 2), steps - 1)  # steps after which something came
    each = min(_OF_A_PLACE, len(known))
    places = -(-COUNT // each)
    heard = np.empty((places, steps, run.network.width), np.float32)
    kept = np.zeros((places, steps), bool)
    for place in range(places):
        piece = usable[rng.integers(len(usable))]
        start = rng.integers(len(piece) - steps * together + 1)
        heard[place] = run.normaliser.transform(
            piece[start : start + steps * together].reshape(steps, -1)
        )
        kept[place, rng.permutation(known)[:each]] = True
    found = []
    with threadpool_limits(1):  # the same sums on any number of cores
        states = networks.zero_states(run.network, places)
        for step in range(steps - 1):
            output, states = networks.step(run.layers, run.network, heard[:, step], states)
            here = kept[:, step]
            found.append(_of(run.network, output[here], heard[here, step + 1]))
    components, scales, vectors = (
        np.concatenate(parts)[:COUNT] for parts in zip(*found, strict=True)
    )
    whole = np.clip(np.rint(vectors / UNIT), -127, 127).astype(np.int8)
    return Residuals(components, scales.astype(np.float32), whole)


def _of(network, output, came):
    """The component that explains best what came, its σ, and the residual: (n,), (n,), (n, m)."""
    mixture = networks.read_output(output, network)
    came = came / networks.feature_scales(output, network)
    best = mixtures.component_log_densities(came, mixture).argmax(axis=-1)
    means = np.take_along_axis(mixture.means, best[:, None, None], axis=1)[:, 0]
    scales = np.take_along_axis(mixture.scales, best[:, None], axis=1)
    return best, scales[:, 0], (came - means) / scales


def _places(components, scales):
    """Component and σ as one number that grows with both: k + σ / (1 + σ)."""
    scales = np.asarray(scales, float)
    return components + scales / (1 + scales)
