"""What to hold a network against: sounds that no network made, each wrong in a way that is known.

A judge that cannot detect them has nothing to say about networks, and a network that is not better
than they are has learnt nothing that a pair of scissors does not know. All take and give features
(T, m), and pieces in a file (`corpora.StoredFeatures`) as well.

Notebook: 12.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from cmc_helpers.corpora import StoredFeatures

Pieces: TypeAlias = Sequence[np.ndarray | StoredFeatures]

_BURNED = 400  # blocks: after so many, where `without_a_network` began no longer matters
_PIECES = 64  # from which it learns its linear prediction, and borrows


def excerpts(
    pieces: Pieces, frames: int, rng: np.random.Generator, count: int | None = None
) -> list[np.ndarray]:
    """Stretches of so many frames from random places of random pieces: a list of (frames, m).

    One from each piece that is long enough, and `count` of them at most; where `count` is more than
    the pieces are, further ones from each, none of which overlap.
    """
    places = []
    for turn, number in enumerate(rng.permutation(len(pieces))):
        length = len(pieces[number])
        first = rng.integers(length % frames + 1)
        for more, room in enumerate(rng.permutation(length // frames)):
            places.append((more, turn, int(number), int(first + room * frames)))
    places.sort()
    if count is None:
        count = sum(more == 0 for more, *_ in places)
    return [np.asarray(pieces[n][at : at + frames]) for *_, n, at in places[:count]]


def scissors(pieces: Pieces, frames: int, cut: int, rng: np.random.Generator) -> np.ndarray:
    """Real music cut into stretches of `cut` frames and pasted in any order: (frames, m).

    Every moment of all pieces is drawn equally often; pieces shorter than a stretch are left out.
    The first stretch is one's end, so that the seams stand anywhere in the windows of a judge.
    """
    starts = np.array([max(len(piece) - cut + 1, 0) for piece in pieces])
    pasted = []
    for _ in range(-(-frames // cut) + 1):
        piece = pieces[rng.choice(len(pieces), p=starts / starts.sum())]
        at = rng.integers(len(piece) - cut + 1)
        pasted.append(np.asarray(piece[at : at + cut]))
    first = rng.integers(cut)
    return np.concatenate(pasted)[first : first + frames]


def shuffled(clip: np.ndarray, cut: int, rng: np.random.Generator) -> np.ndarray:
    """One clip, cut into stretches of `cut` frames, in another order; the first may be shorter."""
    seams = np.arange(rng.integers(1, cut + 1), len(clip), cut)
    stretches = np.split(clip, seams)
    return np.concatenate([stretches[number] for number in rng.permutation(len(stretches))])


def backwards(clip: np.ndarray) -> np.ndarray:
    """The clip from its end to its beginning: notes that swell and break off."""
    return clip[::-1]


class WithoutANetwork:
    """What a network would make if it had learnt nothing: linear prediction, and real chance.

    Each block of `together` frames is the best linear prediction from the block before, plus what
    such a prediction missed in a real moment of `pieces`, drawn at random. So a block is as coarse,
    as rough and as lively as real ones, and no block knows what was played before the last.
    """

    def __init__(self, pieces: Pieces, together: int) -> None:
        chosen = pieces[:: -(-len(pieces) // _PIECES)]
        blocks = [_blocks(piece, together) for piece in chosen if len(piece) >= 2 * together]
        self.together = together
        self._mean = np.mean(np.concatenate(blocks), axis=0)
        before = np.concatenate([x[:-1] for x in blocks]) - self._mean
        after = np.concatenate([x[1:] for x in blocks]) - self._mean
        ridge = 1e-4 * np.square(before).sum() / before.shape[1]
        known = before.T @ before + ridge * np.eye(before.shape[1])
        self._step = np.linalg.solve(known, before.T @ after)
        self._missed = after - before @ self._step

    def __call__(self, frames: int, rng: np.random.Generator) -> np.ndarray:
        """Features (frames, m)."""
        count = -(-frames // self.together) + _BURNED
        x, made = np.zeros_like(self._mean), []
        for missed in self._missed[rng.integers(len(self._missed), size=count)]:
            x = x @ self._step + missed
            made.append(x)
        blocks = np.stack(made[_BURNED:]) + self._mean
        return blocks.reshape(-1, len(self._mean) // self.together)[:frames]


def _blocks(piece, together):
    """(T, m) → (T // together, together · m)."""
    whole = len(piece) // together * together
    return np.asarray(piece[:whole], float).reshape(whole // together, -1)
