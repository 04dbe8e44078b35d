"""Where a training stands: all that is needed to go on as if it had never stopped.

A checkpoint holds the place between two batches, so that a kill at any moment costs minutes, not an
epoch. Every batch is a function of (seed, epoch, number) alone: with the weights, the state of the
optimizer and the losses summed so far, the rest follows bit by bit.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cmc_helpers import runs
from cmc_helpers.files import parse_json, read_array, readable_file, replacing, unzip
from cmc_helpers.training.errors import TrainingError

_COLUMNS = ("epoch", "loss", "validation_loss")


@dataclass
class State:
    """epoch: epochs done. number: batches done of the next one. total: the sum of their losses.
    best_loss, best_weights: of the epoch with the lowest held-out loss so far."""

    best_weights: list[np.ndarray]
    epoch: int = 0
    number: int = 0
    total: float = 0.0
    history: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})
    best_loss: float = float("inf")

    def end_epoch(self, loss: float, held_out: float, model: Any) -> None:
        """Enter an epoch's losses, and the weights of `model` if they are the best so far."""
        self.epoch, self.number, self.total = self.epoch + 1, 0, 0.0
        for name, value in zip(_COLUMNS, (self.epoch, loss, held_out), strict=True):
            self.history[name].append(value)
        if held_out < self.best_loss:
            self.best_loss, self.best_weights = held_out, model.get_weights()


def read(folder: Path, model: Any, optimizer: Any) -> State:
    """Restore model and optimizer from checkpoint.npz; a fresh State if there is none yet."""
    if not (folder / runs.CHECKPOINT).exists():
        return State(model.get_weights())
    path = readable_file(folder / runs.CHECKPOINT, TrainingError)
    try:
        arrays = {name: read_array(content) for name, content in unzip(path).items()}
        described = parse_json(str(arrays["state.npy"]))
        counts = described.pop("counts")
        weights, moments, best = (
            [arrays[f"{kind}_{i}.npy"] for i in range(counts[kind])]
            for kind in ("weights", "optimizer", "best")
        )
        state = State(best, **described)
        _check(state, weights)
        model.set_weights(weights)
        for variable, value in zip(optimizer.variables, moments, strict=True):
            variable.assign(value)
        return state
    except Exception as problem:  # a damaged zip raises a dozen kinds of exception
        raise TrainingError(
            f"{path} cannot be resumed from, it is damaged or of other settings: train into a "
            "new folder"
        ) from problem


def _check(state, weights):
    """Raise an exception for what `write` would not have written."""
    epochs = [len(column) for column in state.history.values()]
    if (
        not all(type(count) is int and 0 <= count < 2**53 for count in (state.epoch, state.number))
        or not math.isfinite(state.total)
        or math.isnan(state.best_loss)
        or tuple(state.history) != _COLUMNS
        or epochs != [state.epoch] * len(_COLUMNS)
        or not all(isinstance(x, int | float) for column in state.history.values() for x in column)
        or [array.shape for array in state.best_weights] != [array.shape for array in weights]
        or not all(np.isfinite(array).all() for array in [*state.best_weights, *weights])
    ):
        raise ValueError("it does not describe a training")


def write(folder: Path, state: State, model: Any, optimizer: Any) -> None:
    """One file, renamed into place: a kill leaves the old checkpoint or the new one.

    Raises TrainingError, and leaves the old one, where a weight is no longer a number.
    """
    stored = {
        "weights": model.get_weights(),
        "optimizer": [np.asarray(variable) for variable in optimizer.variables],
        "best": state.best_weights,
    }
    if not all(np.isfinite(weight).all() for weight in stored["weights"]):
        raise TrainingError(
            f"the weights are not finite in epoch {state.epoch + 1}: lower `learning_rate` and "
            "train into another folder"
        )
    described = {name: value for name, value in vars(state).items() if name != "best_weights"}
    described["counts"] = {kind: len(arrays) for kind, arrays in stored.items()}
    arrays = {
        f"{kind}_{i}": array for kind, items in stored.items() for i, array in enumerate(items)
    }
    with replacing(folder / runs.CHECKPOINT, TrainingError) as temporary:
        np.savez(temporary, state=np.array(json.dumps(described)), **arrays)
