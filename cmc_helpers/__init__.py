"""Helpers for the notebook series on audio synthesis with LSTM and mixture density networks.

Data flows one way: `audio` → `features` → `corpora` → `training` → `runs` → `generation` →
`features` again → `inversion` → `audio`. Import the module you need; TensorFlow is loaded only by
the functions that build, train or run a network.

The paper itself:
    features        sound → 100 numbers per 8 ms, and back to magnitudes
    inversion       magnitudes → sound: the phase is found again
    mixtures        the Gaussian mixture, and the four strategies that choose from it
    sampling        every knob of that choice
    networks        stacks of LSTM cells with a mixture for a head
    training        recordings → a network that foresees the next frame
    generation      the network goes on with what it chose

What goes in and comes out:
    audio           files ↔ waveforms
    vectors         vectors ↔ CSV files
    transposition   recordings at another pitch
    corpora         what is learnt from, and what is held out
    scores          music by its notes: read, performed, played, and written by a network
    runs            the folder of a trained network
    performance     what it hears first, and the sound of what it made
    residuals       what a network did not foresee, as noise for its music

Measures and experiments:
    analysis        what became of generated music, without an ear
    listening_test  the paper's composer test, and its statistics
    sequences       the paper's dummy data
    experiments     cyclic and bounce, learnt in seconds

What people see and type:
    plots           pictures, each with its words
    notebook        players with pictures, progress bars
    player          where the knobs stand → sound and picture
    widgets         sliders, the tau player, the composer test
    exercises       `check`, which answers with a counter-example
    cli             `cmc …`

Beneath all of it: `files`, `provenance`, `stopping`, `terminal`.

Settings that a machine has for other work (KERAS_BACKEND, ~/.keras/keras.json, MPLBACKEND …) change
nothing here: importing the package puts its own in their place, before Keras can read them.
"""

import atexit
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

# They change what a network learns, end a process that imports Keras or TensorFlow, or fill pages
# with what happens inside.
_OTHER_WORK = "KERAS_MAX_EPOCHS KERAS_MAX_STEPS_PER_EPOCH KERAS_NNX_ENABLED TF_USE_LEGACY_KERAS"
_OTHER_WORK += " TF_XLA_FLAGS TF_CPP_MAX_VLOG_LEVEL TF_CPP_VMODULE"
_BACKENDS = ("jax", "torch")  # that Keras has besides TensorFlow, and that can train


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


def _choose_for_keras():
    """TensorFlow where it is installed, else the backend that KERAS_BACKEND names; 32 bits.

    Who wants another backend beside TensorFlow imports Keras first, by which it is chosen for good.
    """
    if keras := sys.modules.get("keras"):
        keras.config.set_floatx("float32")
        return
    for name in _OTHER_WORK.split():
        os.environ.pop(name, None)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    if "XLA_FLAGS" in os.environ:  # JAX knows others than TensorFlow; which processor stays
        flags = os.environ["XLA_FLAGS"].split()
        os.environ["XLA_FLAGS"] = " ".join(f for f in flags if f.startswith("--xla_cpu_"))
    # There lies our own keras.json, which Keras reads in place of the one in the home folder.
    os.environ["KERAS_HOME"] = str(Path(__file__).resolve().parent / ".keras")
    backend = os.environ.get("KERAS_BACKEND")
    if backend not in _BACKENDS or not find_spec(backend) or find_spec("tensorflow"):
        os.environ["KERAS_BACKEND"] = "tensorflow"


def _choose_for_matplotlib():
    """Figures go into the page of a notebook; elsewhere Matplotlib finds out what works."""
    if "matplotlib" in sys.modules:  # which has read its settings, or failed to
        return
    os.environ.pop("MPLBACKEND", None)
    ipython = sys.modules.get("IPython")
    if ipython and hasattr(ipython.get_ipython(), "kernel"):
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"


_let_numba_compile()
_choose_for_keras()
_choose_for_matplotlib()
