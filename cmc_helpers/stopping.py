"""Ctrl-C, `kill` and a terminal that is closed: all three stop a command alike, and cleanly."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Not every system has the last two: a closed terminal is the third, or on Windows the fourth.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
_PATIENCE = 2.0  # seconds in which a second Ctrl-C is still the first one
_came: list[float] = []


def answer() -> None:
    """From here on each of the signals raises KeyboardInterrupt in the main thread.

    To answer one takes a moment, and meanwhile others change nothing. What was ignored before, by
    nohup or by a shell that started this in the background, stays ignored.
    """
    for each in _SIGNALS:
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, _stop)


def ignore() -> None:
    """From here on there is nothing to be stopped any more: the process ends by itself."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


@contextmanager
def held_back() -> Iterator[None]:
    """What comes meanwhile arrives at the end. Processes that are started here never get it.

    For what must not be torn apart: an exception in the middle of an import is lost in C, or is the
    end of the process.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(number, frame):
    if not _came or time.monotonic() - _came[-1] > _PATIENCE:
        _came.append(time.monotonic())
        raise KeyboardInterrupt
