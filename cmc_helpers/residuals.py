"""Noise in the shape of music: a bootstrap of what a network did not foresee (beyond the paper).

A component of the mixture is a Gaussian: full sampling (paper, section 2.1.2) adds noise of its σ,
equally loud in every direction, and new in every step. What a network does not foresee of real
music has another shape. Where a note begins, it is all the partials of that note, for a moment, and
nothing else; and the moment after knows of it. So a run keeps stretches of such moments from the
pieces that it has learnt from: residuals (x − μ_k) / σ_k of the component k that explains x best.
Drawn in place of the Gaussian noise, they bring whole notes. Statistics calls this a bootstrap of
residuals (Efron 1979), in blocks where they hang together in time (Künsch 1989).

Notebook: 10.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from cmc_helpers import mixtures, networks

COUNT = 24_000  # residuals that a run keeps: 4.3 MB for four frames at once
STRETCH = 16  # of them followed each other: half a second for four frames at once
UNIT = 0.5  # of σ, what they are rounded to: finer takes more room
NEAR = 32  # of the same component, those nearest in σ: one of them is drawn
LIKE = 4 / 3  # the next one follows while its σ and the network's differ by less than this factor
_WARM = 50  # steps after which a network is at home in a piece
_TOGETHER = 500  # places that it listens to at the same time


class Residuals:
    """A bank of N residuals, in the order in which they were met.

    components (N,), of 0 … K − 1; scales (N,), the σ_k > 0 of the moment each is from; vectors
    (N, m), the residuals as whole numbers (int8) of `UNIT`; places (N,), whole numbers: where two
    rows in a row have the same, the second came a step after the first.
    """

    def __init__(
        self,
        components: np.ndarray,
        scales: np.ndarray,
        vectors: np.ndarray,
        places: np.ndarray,
    ) -> None:
        self.components, self.scales = components, scales
        self.vectors, self.places = vectors, places
        self._goes_on = np.append(places[1:] == places[:-1], False)
        self._order = np.lexsort((scales, components))
        self._ranked = components[self._order]
        self._ranks = _ranks(self._ranked, scales[self._order])

    def __repr__(self):
        return f"<{len(self.scales):,} residuals of {self.vectors.shape[1]} numbers>"

    def draw(
        self, components: np.ndarray, scales: np.ndarray, uniform: np.ndarray, last: np.ndarray
    ) -> np.ndarray:
        """Residuals (..., m) for chosen components (...) of σ (...), by uniforms (...) in (0, 1].

        last (...) holds the rows that were drawn in the step before, −1 where there is none, and is
        overwritten with the new ones. The row after the last one is drawn if it came next in the
        music, too, and if its σ is like the σ that is asked for (`LIKE`). Otherwise it is one of
        the `NEAR` rows of the same component whose σ are nearest in rank, each as likely. A
        component that has none borrows from its neighbour.
        """
        first = np.searchsorted(self._ranked, components, "left")
        end = np.searchsorted(self._ranked, components, "right")
        first, end = np.where(first < end, first, 0), np.where(first < end, end, len(self.scales))
        here = np.searchsorted(self._ranks, _ranks(components, scales)) - NEAR // 2
        nearest = np.clip(here, first, np.maximum(first, end - NEAR))
        rank = nearest + np.ceil(uniform * np.minimum(NEAR, end - first)).astype(int) - 1
        follows = self._goes_on[last]  # never from −1, the end of the bank
        next_row = np.where(follows, last + 1, 0)
        change = self.scales[next_row] / scales
        follows &= (1 / LIKE < change) & (change < LIKE)
        last[...] = np.where(follows, next_row, self._order[rank])
        return self.vectors[last] * np.float32(UNIT)


def collect(run: Any, pieces: Sequence[Any], seed: int = 0) -> Residuals:
    """The `Residuals` of a run: what it does not foresee of `pieces`, features (T, m) each.

    It listens (teacher forcing) at places spread evenly over all of them, the first drawn by
    `seed`, and keeps a stretch of residuals from each, `COUNT` together. Raises ValueError for a
    network without a mixture, and where no piece lasts three steps.
    """
    if not run.network.components:
        raise ValueError("a network without a mixture has no σ, and so no residuals")
    together = run.network.frames
    steps = min(_WARM + STRETCH + 1, max(map(len, pieces), default=0) // together)
    if steps < 3:
        raise ValueError(f"no piece has {3 * together} frames: give longer ones")
    usable = [piece for piece in pieces if len(piece) >= steps * together]
    each = min(STRETCH, steps // 2)
    places = -(-COUNT // each)
    starts = np.cumsum([len(piece) - steps * together + 1 for piece in usable])
    shift = np.random.default_rng(seed).random()
    spread = ((np.arange(places) + shift) * starts[-1] / places).astype(int)
    parts = []
    for begun in range(0, places, _TOGETHER):
        some = spread[begun : begun + _TOGETHER]
        heard = np.empty((len(some), steps, run.network.width), np.float32)
        for place, number in enumerate(np.searchsorted(starts, some, "right")):
            start = len(usable[number]) - steps * together + 1 - (starts[number] - some[place])
            heard[place] = run.normaliser.transform(
                usable[number][start : start + steps * together].reshape(steps, -1)
            )
        parts.append(_met(run, heard, each))
    whole = (np.concatenate(arrays)[:COUNT] for arrays in zip(*parts, strict=True))
    components, scales, vectors = whole
    return Residuals(components, scales, vectors, np.arange(COUNT) // each)


def _met(run, heard, each):
    """The residuals of the last `each` steps of (places, steps, m), place by place: components,
    scales and vectors as `Residuals` keeps them."""
    found, states = [], networks.zero_states(run.network, len(heard))
    with threadpool_limits(1):  # the same sums on any number of cores
        for step in range(heard.shape[1] - 1):
            output, states = networks.step(run.layers, run.network, heard[:, step], states)
            if step >= heard.shape[1] - 1 - each:
                found.append(_of(run.network, output, heard[:, step + 1]))
    arrays = (np.stack(part, axis=1) for part in zip(*found, strict=True))
    components, scales, vectors = (array.reshape(-1, *array.shape[2:]) for array in arrays)
    return components, scales.astype(np.float32), vectors


def _of(network, output, came):
    """The component that explains best what came, its σ, and the residual in `UNIT`: (n,), (n,),
    (n, m)."""
    mixture = networks.read_output(output, network)
    came = came / networks.feature_scales(output, network)
    best = mixtures.component_log_densities(came, mixture).argmax(axis=-1)
    means = np.take_along_axis(mixture.means, best[:, None, None], axis=1)[:, 0]
    scales = np.take_along_axis(mixture.scales, best[:, None], axis=1)
    whole = np.clip(np.rint((came - means) / scales / UNIT), -127, 127)
    return best, scales[:, 0], whole.astype(np.int8)


def _ranks(components, scales):
    """Component and σ as one number that grows with both: k + σ / (1 + σ)."""
    scales = np.asarray(scales, float)
    return components + scales / (1 + scales)
