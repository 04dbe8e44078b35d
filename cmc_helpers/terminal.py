"""What long work shows on a terminal: a bar, and nothing of TensorFlow's own talk.

Long functions take a callable `progress(done, total, message="")` and know nothing of bars; a
command hands in `terminal_progress(label)`, a notebook `notebook.widget_progress(label)`.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, Self

from cmc_helpers.stopping import held_back


def quiet_tensorflow(first: Callable[[], object] | None = None) -> Any:
    """Import TensorFlow without the lines it writes while it starts; returns the module.

    first: called before TensorFlow's first operation, for what cannot be done later.

    TF_CPP_MIN_LOG_LEVEL alone does not silence TensorFlow 2.21, which writes to file descriptor 2
    before it reads the variable, at the first operation, and at the first compilation by XLA. All
    three happen here. If one fails, what was written is written after all. Its Python warnings go
    too: they suspect a mistake where several networks, each compiled once, stand in one notebook.
    Raises ValueError where Keras runs on another backend already.
    """
    with held_back(), _held_back_stderr():
        import keras
        import tensorflow

        if (backend := keras.config.backend()) != "tensorflow":
            raise ValueError(
                f"Keras runs on {backend} here, and this needs TensorFlow: start Python again, and "
                "import cmc_helpers before keras"
            )
        if first:
            first()
        tensorflow.function(tensorflow.abs, jit_compile=True, autograph=False)(-1.0)
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


class Progress:
    """Long work that tells nobody how far it is; the subclasses do.

    Call it as the pipeline does, `progress(done, total, message="")`, or count with
    `progress.update(n, message="")`. As a context manager it closes itself.
    """

    def __init__(self, label: str, total: int = 0) -> None:
        self.label, self.done, self.total = label, 0, total

    def __call__(self, done: int, total: int, message: str = "") -> None:
        self.done, self.total = done, total
        self.show(message)

    def update(self, n: int = 1, message: str = "") -> None:
        """Count `n` more of the total that was given at the start."""
        self(self.done + n, self.total, message)

    def show(self, message: str) -> None:
        """Draw the state of things."""

    def close(self) -> None:
        """Leave the last state standing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class TerminalProgress(Progress):
    """A bar on standard error if that is a terminal, and nothing otherwise."""

    bar: Any = None

    def show(self, message: str) -> None:
        if self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(
                desc=self.label,
                total=self.total,
                # What was done before, by a training that is resumed, tells nothing of its speed.
                initial=max(self.done - 1, 0),
                file=sys.stderr,
                disable=None if sys.stderr else True,  # pythonw has none
                dynamic_ncols=True,
            )
        self.bar.total = self.total
        self.bar.set_postfix_str(message, refresh=False)
        self.bar.update(self.done - self.bar.n)
        if self.done >= self.total:
            self.close()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def terminal_progress(label: str) -> TerminalProgress:
    """A callable `progress(done, total, message="")` that moves a bar on a terminal."""
    return TerminalProgress(label)


@contextmanager
def _held_back_stderr():
    """Hold back what is written to file descriptor 2, and write it if the body fails."""
    if sys.stderr is None:  # as under pythonw: it does not exist, or is some file's
        yield
        return
    sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # as in IDLE, which has a window in its place
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:  # Ctrl-C is no failure
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
