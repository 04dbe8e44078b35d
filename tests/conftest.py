"""Small trained runs that several test files share; and who may start TensorFlow.

A test that does is marked `keras`, so that `make check` can leave it out: one that forgot fails.
"""

import sys
from dataclasses import replace
from importlib.util import find_spec

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
MARKED = {  # by the fixture that a test asks for: a trained run starts TensorFlow, if none is there
    "vectors_run": "keras",
    "audio_run": "keras",
    "whole": "keras",
    "stopped": "keras",
    "browser": "browser",
    "reader": "browser",
    "book": "slow",
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
def vectors_run(tmp_path_factory):
    """The folder of a run trained on bounce vectors, width 8; barely trained, quick to make."""
    from cmc_helpers import corpora, sequences, training
    from cmc_helpers.networks import NetworkConfig

    folder = tmp_path_factory.mktemp("vectors")
    sequences.write_csv(folder / "bounce.csv", sequences.bounce(160))
    network = NetworkConfig(8, layers=2, units=8, components=3, stack="paper", sigma_floor=0.1)
    config = training.TrainingConfig(epochs=1, batch=4, steps=10, warmup=5)
    training.train(corpora.open_corpus(folder / "bounce.csv"), folder / "run", network, config)
    return folder / "run"


@pytest.fixture(scope="session")
def audio_run(tmp_path_factory):
    """The folder of a run trained on two seconds of a gliding tone; barely trained."""
    from cmc_helpers import corpora, training
    from cmc_helpers.audio import write_audio
    from cmc_helpers.networks import NetworkConfig

    folder = tmp_path_factory.mktemp("audio")
    t = np.arange(24000) / 8000
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(t))
    write_audio(folder / "glide.wav", 0.4 * np.sin(2 * np.pi * (300 + 100 * t) * t) + noise)
    network = NetworkConfig(100, layers=2, units=8, components=3)
    config = training.TrainingConfig(epochs=1, batch=4, steps=20, warmup=5)
    training.train(corpora.open_corpus(folder / "glide.wav"), folder / "run", network, config)
    return folder / "run"


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
