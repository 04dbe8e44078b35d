"""Small trained runs that several test files share; and who may start TensorFlow.

A test that does is marked `keras`, so that `make check` can leave it out: one that forgot fails.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, settings

# For `make mutants`: the same examples every time, and no search for the simplest that fails.
settings.register_profile(
    "mutants",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=30,
    phases=(Phase.explicit, Phase.generate),
)


STARTED = pytest.StashKey()
MARKED = {  # by the fixture that a test asks for
    "small_runs": "slow",
    "whole": "keras",
    "stopped": "keras",
    "browser": "browser",
    "reader": "browser",
    "book": "slow",
    "checkout": "slow",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        for fixture in MARKED.keys() & getattr(item, "fixturenames", ()):
            item.add_marker(MARKED[fixture])


def pytest_runtest_setup(item):
    if item.get_closest_marker("keras") and not find_spec("keras"):
        pytest.skip("TensorFlow is not installed")


def started():
    return any(sys.modules.get(name) for name in ("keras", "tensorflow"))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    before = started()
    report = yield
    if started() and not before:
        report.outcome = "failed"
        report.longrepr = "it starts TensorFlow when it is imported: do that in the tests"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    result = yield
    if started() and not item.session.stash.get(STARTED, False):
        item.session.stash[STARTED] = True
        if not item.get_closest_marker("keras"):
            pytest.fail("it starts TensorFlow: mark it `keras`", pytrace=False)
    return result


@pytest.fixture(scope="session")
def small_runs(tmp_path_factory):
    """The folder that `small_runs.py` filled: once, whichever process of the tests asks first."""
    if not find_spec("keras"):
        pytest.skip("TensorFlow is not installed")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "small_runs"
    ready = folder / "ready"
    try:
        folder.mkdir()
    except FileExistsError:
        for _ in range(2400):
            if ready.exists():
                return folder
            time.sleep(0.1)
        pytest.fail(f"{folder} was begun by another process, and is not ready")
    script = Path(__file__).with_name("small_runs.py")
    made = subprocess.run([sys.executable, script, folder], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    ready.touch()
    return folder


@pytest.fixture(scope="session")
def vectors_run(small_runs, tmp_path_factory):
    """The folder of a run trained on bounce vectors; see `small_runs.py`."""
    return _own_copy(small_runs / "vectors", tmp_path_factory)


@pytest.fixture(scope="session")
def audio_run(small_runs, tmp_path_factory):
    """The folder of a run trained on a gliding tone; see `small_runs.py`."""
    return _own_copy(small_runs / "audio", tmp_path_factory)


def _own_copy(folder, tmp_path_factory):
    return shutil.copytree(folder, tmp_path_factory.mktemp(folder.name) / "copy") / "run"


@pytest.fixture(scope="module")
def compiled_once():
    """Who trains a network like one before is given its compiled steps: most of a small training.

    All else of a `Trainer` is new: the seed, the first weights, an optimizer that has seen nothing.
    """
    from cmc_helpers import networks, training

    make, kept = training.Trainer, {}
    does_not_matter = dict(seed=0, epochs=1, keep="best", patience=None, input_noise=0.0)
    does_not_matter |= dict(batches_per_epoch=None)

    def trainer(network, config, updates, strategy=None):
        key = network, replace(config, **does_not_matter), updates, strategy
        if key not in kept:
            new = make(network, config, updates, strategy)
            kept[key] = new, [np.asarray(x).copy() for x in new.optimizer.variables]
            return new
        import keras

        known, first = kept[key]
        keras.utils.set_random_seed(config.seed)
        known.config = config
        known.model.set_weights(networks.build(network, config.weight_penalty).get_weights())
        for variable, value in zip(known.optimizer.variables, first, strict=True):
            variable.assign(value)
        return known

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "Trainer", trainer)
        yield


@pytest.fixture
def shown(monkeypatch):
    """The bundles that a cell displays."""
    bundles = []

    def display(data, *, raw):
        assert raw
        bundles.append(data)

    monkeypatch.setattr("IPython.display.display", display)
    return bundles
