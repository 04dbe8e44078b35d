"""Helpers for the notebook series on audio synthesis with LSTM and mixture density networks.

Data flows one way: `audio` → `features` → `corpora` → `training` → `runs` → `generation` →
`features` again → `inversion` → `audio`. Import the module you need; TensorFlow is loaded only by
the functions that build, train or run a network.
"""

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def _let_numba_compile():
    """numba, and librosa with it, refuses to work where it cannot keep what it compiled: give it a
    folder for as long as this process lasts, where the home folder may not be written."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    while not os.path.exists(place) and place != place.parent:
        place = place.parent
    if "NUMBA_CACHE_DIR" in os.environ or os.access(place, os.W_OK):
        return
    with suppress(OSError):  # nothing may be written at all
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)


_let_numba_compile()
