"""Windows cut out of a corpus: what a training step sees (paper, sections 2.3 and 2.4.2).

Of a corpus of 200 hours neither the features nor a list of all windows fits into memory. So the
features stay on disk until a window is cut, and the windows that may be drawn are kept as runs of
neighbouring starts: a few numbers for each piece.

Notebook: 09.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from cmc_helpers.corpora import Corpus
from cmc_helpers.features import Normaliser, silent_frames
from cmc_helpers.training.errors import TrainingError

_Made = TypeVar("_Made")

_LEAST_BATCHES = 20  # an epoch of a short passage still has something to show
_MOST_SILENCE = 0.2  # windows with more teach the network to end and to stay silent
_MOST_HELD_OUT = 2048  # windows: 35 minutes of sound at 128 steps, seconds to evaluate


def window_starts(lengths: Iterable[int], steps: int) -> np.ndarray:
    """Where windows of `steps` inputs and their targets, one frame later, may begin.

    lengths: frames of each piece. Returns (count, 2) integers, (piece, start): every window of
    steps + 1 frames that lies inside one piece; its last `steps` frames are the targets of its
    first. Paper, section 2.3. Notebook: 09, section 1.
    """
    pairs = [
        np.stack([np.full(max(n - steps, 0), piece), np.arange(max(n - steps, 0))], axis=1)
        for piece, n in enumerate(lengths)
    ]
    return np.concatenate(pairs)


class Windows:
    """Batches of teacher-forced windows: inputs with noise, and the frames that follow them.

    together: frames that the network sees and predicts in one step, as one vector of m numbers.
    length: frames of a window, one step more than the inputs. count: windows to draw from, those of
    the training pieces that are not mostly silence. batches: `config.batches_per_epoch`, or as many
    as see every frame once on average, and at least 20. held_out: the pieces for
    validation. held_out_count: windows of them that are evaluated, at most 2048.
    Raises TrainingError if there is nothing to draw from.
    """

    def __init__(
        self, corpus: Corpus, normaliser: Normaliser, config: Any, together: int = 1
    ) -> None:
        self.config, self.normaliser = config, normaliser
        self.length = (config.steps + 1) * together
        self.pieces = corpus.split("train")
        self.held_out = corpus.split("validation")
        self._sounding = _Places(
            _runs(_sounding(piece, self.length, corpus.config)) for piece in self.pieces
        )
        self.count = self._sounding.count
        if self.count == 0:
            raise TrainingError(
                f"{corpus.name} has no window of {self.length} frames that is not mostly "
                "silence: give longer recordings or fewer `steps`"
            )
        frames = sum(len(piece) for piece in self.pieces)
        whole = max(_LEAST_BATCHES, -(-frames // (config.batch * config.steps * together)))
        self.batches = config.batches_per_epoch or whole
        # Held-out windows stand one after the other: their starts, counted in windows.
        self._hop = config.steps * together
        counts = [max(len(piece) - together, 0) // self._hop for piece in self.held_out]
        self._one_after_the_other = _Places(np.array([[0, n]]) for n in counts)
        self.held_out_count = min(sum(counts), _MOST_HELD_OUT)

    def batch(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets (batch, T̂, m), the same for the same seed, epoch and number."""
        rng = np.random.default_rng([self.config.seed, epoch, number])
        chosen = rng.integers(self.count, size=self.config.batch)
        inputs, targets = self._cut(self.pieces, *self._sounding.find(chosen))
        noise = rng.standard_normal(inputs.shape, dtype=np.float32)
        noise *= np.float32(self.config.input_noise)
        noise += inputs
        return noise, targets

    def validation(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of held-out inputs and targets, without noise, to be iterated over.

        The windows stand one after the other in each piece. Where there are more than 2048, as
        many are taken, the same in every epoch, spread evenly over all held-out pieces: an epoch
        must not wait for an hour of validation.
        """
        every = self._one_after_the_other.count
        chosen = np.arange(self.held_out_count) * every // max(self.held_out_count, 1)
        for begin in range(0, len(chosen), self.config.batch):
            some = chosen[begin : begin + self.config.batch]
            pieces, places = self._one_after_the_other.find(some)
            yield self._cut(self.held_out, pieces, places * self._hop)

    def _cut(self, pieces, numbers, starts):
        frames = np.stack(
            [
                pieces[number][start : start + self.length]
                for number, start in zip(numbers, starts, strict=True)
            ]
        )
        frames = frames.reshape(len(frames), self.config.steps + 1, -1)
        frames = self.normaliser.transform(frames)
        return frames[:, :-1], frames[:, 1:]


class _Places:
    """Numbers 0 … count − 1 ↔ places in pieces, without a list of all places.

    runs: for each piece, (R, 2): R runs of neighbouring places, each its first and how many.
    """

    def __init__(self, runs):
        runs = list(runs)
        pieces = np.repeat(np.arange(len(runs)), [len(piece) for piece in runs])
        first, counts = np.concatenate([np.empty((0, 2), int), *runs]).T
        self.pieces, self.ends = pieces, np.cumsum(counts)
        self.shifts = first - (self.ends - counts)
        self.count = int(self.ends[-1]) if len(runs) and len(pieces) else 0

    def find(self, numbers):
        """Numbers (n,) → the piece (n,) each lies in, and its place there (n,)."""
        run = np.searchsorted(self.ends, numbers, side="right")
        return self.pieces[run], numbers + self.shifts[run]


def ahead(make: Callable[[int], _Made], numbers: Iterable[int]) -> Iterator[_Made]:
    """make(number) for each of `numbers`, in order; a thread makes the next one meanwhile.

    The thread reads a batch from disk and prepares it while the last one trains. What `make` raises
    is raised here, at its turn.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        upcoming: Future[_Made] | None = None
        for number in numbers:
            made, upcoming = upcoming, thread.submit(make, number)
            if made is not None:
                yield made.result()
        if upcoming is not None:
            yield upcoming.result()


def _sounding(piece, length, config):
    """The starts (n,) of the windows of `length` frames that are not mostly silence."""
    starts = window_starts([len(piece)], length - 1)[:, 1]
    silent = np.concatenate([[0], np.cumsum(silent_frames(piece, config))])
    kept = silent[starts + length] - silent[starts] <= _MOST_SILENCE * length
    return starts[kept]


def _runs(numbers):
    """Rising integers (n,) → (R, 2): the first of each run of neighbours, and its length."""
    breaks = np.flatnonzero(np.diff(numbers, prepend=-2) != 1)
    lengths = np.diff(breaks, append=len(numbers))
    return np.stack([numbers[breaks], lengths], axis=1)
