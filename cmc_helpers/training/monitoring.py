"""What a training shows while it runs: a line of text, and curves for TensorBoard."""

import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmc_helpers.training.checkpoints import State
from cmc_helpers.training.errors import TrainingError


class Monitor:
    """Follows a training batch by batch.

    config: TrainingConfig. batches: of an epoch. progress(done, total, message): called after every
    batch, or None. tensorboard: a folder to write logs for TensorBoard into, or None. Raises
    TrainingError if the folder cannot be written.
    """

    def __init__(
        self,
        config: Any,
        batches: int,
        progress: Callable[..., object] | None = None,
        tensorboard: str | Path | None = None,
    ) -> None:
        self.frames, self.batches = config.batch * config.steps, batches
        self.total = config.epochs * batches
        self.progress = progress
        self.logs = _Logs(tensorboard) if tensorboard else None
        self.begun, self.seen = None, 0

    def batch_ended(self, state: State, loss: float) -> None:
        """`state` after a batch, and the loss of that batch."""
        done = state.epoch * self.batches + state.number
        speed = self._speed()
        if self.progress:
            self.progress(done, self.total, _message(state, speed))
        if self.logs:
            self.logs.write(done, loss=loss, **{"frames per second": speed} if speed else {})

    def epoch_ended(self, state: State) -> None:
        """`state` after an epoch. How long it was validated does not count as slow training."""
        self.begun = None
        if self.logs:
            losses = {name: state.history[name][-1] for name in ("loss", "validation_loss")}
            names = {"loss": "mean loss of the epoch", "validation_loss": "held-out loss"}
            done = state.epoch * self.batches
            self.logs.write(done, **{names[name]: loss for name, loss in losses.items()})

    def close(self) -> None:
        """Write what is still to be written."""
        if self.logs:
            self.logs.close()

    def _speed(self):
        """Frames per second since the first batch, which compiles, or the epoch's first."""
        now = time.monotonic()
        if self.begun is None:
            self.begun, self.seen = now, 0
            return None
        self.seen += 1
        return self.frames * self.seen / max(now - self.begun, 1e-9)


def _message(state, speed):
    """Losses and speed in one line: what a user wants to know of a training while it runs."""
    parts = [f"loss {state.total / state.number:.2f}"]
    if state.history["validation_loss"]:
        parts.append(f"held-out {state.history['validation_loss'][-1]:.2f}")
    if speed:
        parts.append(f"{speed:,.0f} frames/s")
    return ", ".join(parts)


class _Logs:
    """Event files that TensorBoard reads. TensorFlow writes them; TensorBoard need not be there."""

    def __init__(self, folder):
        import tensorflow as tf

        self.folder = folder
        with self._in_a_sentence():
            self.writer = tf.summary.create_file_writer(os.fsencode(folder))
            self.writer.flush()
        plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        self.kind = tf.compat.v1.SummaryMetadata(plugin_data=plugin)

    def write(self, step, **values):
        """Add a point at `step`, counted in batches, to the curve of each name."""
        import tensorflow as tf

        # tf.summary.scalar is this call, but refuses to work without TensorBoard.
        with self._in_a_sentence(), self.writer.as_default(step):
            for name, value in values.items():
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=self.kind)

    def close(self):
        with self._in_a_sentence():
            self.writer.close()

    @contextmanager
    def _in_a_sentence(self):
        import tensorflow as tf

        try:
            yield
        except tf.errors.OpError as problem:
            raise TrainingError(
                f"{self.folder} cannot be written: choose another folder for `tensorboard`, or "
                "make room"
            ) from problem
