"""Another Keras backend trains the same network, and what it saves comes back to TensorFlow."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from cmc_helpers import cli, corpora, networks, runs, sequences
from cmc_helpers.training import TrainingConfig, checkpoints, distribution, windows
from cmc_helpers.vectors import write_csv

ROOT = Path(__file__).parent.parent
SMALL = "--layers 1 --units 8 --mixtures 2 --batch 4 --steps 10 --batches-per-epoch 10".split()
PROCESS = """
import sys
sys.modules["tensorflow"] = None  # a machine that has none
from cmc_helpers import cli
sys.exit(cli.main({arguments}))
"""


@pytest.fixture(scope="module")
def jax(tmp_path_factory):
    """The data and the run of a training by JAX, of two epochs, the last of them after --resume."""
    if not find_spec("jax"):
        pytest.skip("JAX is not installed: pip install jax, and this test runs")
    folder = tmp_path_factory.mktemp("jax")
    write_csv(folder / "bounce.csv", sequences.bounce(160))
    train = ["train", str(folder / "bounce.csv"), "--run", str(folder / "run")]
    for arguments in ([*train, *SMALL, "--epochs", "1"], [*train, "--resume", "--epochs", "2"]):
        done = subprocess.run(
            [sys.executable, "-c", PROCESS.format(arguments=arguments)],
            env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.keras
def test_what_jax_has_trained_is_worth_the_same_on_tensorflow(jax):
    run = runs.load(jax / "run")
    assert "jax" in run.settings["versions"]
    losses = run.history["validation_loss"]
    assert losses[1] < losses[0]

    corpus = corpora.open_corpus(jax / "bounce.csv")
    config = TrainingConfig(**run.settings["training"])
    held_out = windows.Windows(corpus, run.normaliser, config).validation()
    loss = networks.loss(run.network)
    found = [np.asarray(loss(y, run.model(x))) for x, y in held_out]
    assert abs(np.concatenate(found).mean() - min(losses)) < 1e-4


@pytest.mark.keras
def test_a_training_begun_on_jax_goes_on_on_tensorflow(jax, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(jax / "run", folder)
    run = runs.load(folder)
    config = TrainingConfig(**run.settings["training"])
    trainer = distribution.Trainer(run.network, config, 20)
    state = checkpoints.read(folder, trainer.model, trainer.optimizer)
    assert (state.epoch, int(trainer.optimizer.iterations)) == (2, 20)
    command = ["train", jax / "bounce.csv", "--run", folder, "--resume", "--epochs", 3]
    assert cli.main([str(part) for part in command]) == 0
    assert runs.load(folder).history["epoch"] == [1, 2, 3]
