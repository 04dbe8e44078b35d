"""Training on several devices, in this process and in several: what one device learns, they learn.

The workers are processes of their own that meet on 127.0.0.1, as they would over a network.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cmc_helpers import cli, networks, runs, sequences, training
from cmc_helpers.training import distribution
from cmc_helpers.vectors import write_csv

ROOT = Path(__file__).parent.parent
NETWORK = networks.NetworkConfig(8, layers=2, units=8, components=2, sigma_floor=0.1)
CONFIG = training.TrainingConfig(batch=8, steps=10, warmup=2, weight_penalty=0.01)
SMALL = (
    "--layers 1 --units 8 --mixtures 2 --batch 8 --steps 10 --epochs 2 --batches-per-epoch 10"
).split()

# `cmc` in a process that shows its signal "here" as soon as it has made a number of steps, then
# kills itself: `kill -9` on the dot, at a moment when the others wait for it.
WORKER = """
import os, signal, sys
from cmc_helpers import cli
from cmc_helpers.training import distribution
train, steps = distribution.Trainer.train, []

def train_or_die(self, *batch):
    steps.append(None)
    if len(steps) == {dies_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return train(self, *batch)

distribution.Trainer.train = train_or_die
sys.exit(cli.main({arguments}))
"""


def free_ports(count):
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def together(count, *arguments, one_dies_at=None, timeout=150):
    """Run `cmc` in `count` workers; returns for each its exit status, what it said, complained."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(count)]
    processes = []
    try:
        for index in range(count):
            described = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            kept = {name: os.environ[name] for name in os.environ if not name.startswith("TF_")}
            script = WORKER.format(
                dies_at=one_dies_at if index == count - 1 else None,
                arguments=[str(argument) for argument in arguments],
            )
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", script],
                    env=kept | {"TF_CONFIG": json.dumps(described), "PYTHONPATH": str(ROOT)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        said = [process.communicate(timeout=timeout) for process in processes]
        return [(process.returncode, *s) for process, s in zip(processes, said, strict=True)]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "bounce.csv"
    write_csv(path, sequences.bounce(160))
    return path


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert cli.main(["train", str(data), "--run", str(folder), *SMALL]) == 0
    return folder


@pytest.fixture(scope="module")
def two(data, tmp_path_factory):
    """The run of two workers, and what each said."""
    folder = tmp_path_factory.mktemp("two") / "run"
    return folder, together(2, "train", data, "--run", folder, *SMALL, "--workers")


def assert_learned_the_same(folder, other):
    one, two = (runs.read_history(path / runs.HISTORY) for path in (folder, other))
    assert one.keys() == two.keys() and len(one["epoch"]) == len(two["epoch"]) == 2
    for name in one:
        np.testing.assert_allclose(one[name], two[name], atol=1e-4)
    with np.load(folder / runs.CHECKPOINT) as a, np.load(other / runs.CHECKPOINT) as b:
        for name in set(a) - {"state"}:
            np.testing.assert_allclose(a[name], b[name], atol=1e-4)


@pytest.mark.keras
def test_two_workers_learn_what_one_process_learns(alone, two):
    folder, ended = two
    assert [status for status, _, _ in ended] == [0, 0], ended
    assert_learned_the_same(folder, alone)
    assert json.loads((folder / runs.CONFIG).read_text()) == json.loads(
        (alone / runs.CONFIG).read_text()
    )


@pytest.mark.keras
def test_the_chief_alone_writes_and_speaks(alone, two):
    folder, ((_, said, _), (_, nothing, _)) = two
    assert said.startswith(f"{folder}: 2 epochs on 144 vectors; best loss ")
    assert nothing == ""
    assert [complaint for _, _, complaint in two[1]] == ["", ""]
    assert sorted(os.listdir(folder)) == sorted(os.listdir(alone))
    runs.load(folder)


@pytest.mark.keras
@pytest.mark.weekly
def test_four_workers_learn_what_one_process_learns(alone, data, tmp_path):
    folder = tmp_path / "run"
    ended = together(4, "train", data, "--run", folder, *SMALL, "--workers")
    assert [status for status, _, _ in ended] == [0] * 4, ended
    assert_learned_the_same(folder, alone)


@pytest.mark.keras
@pytest.mark.weekly
def test_a_worker_that_is_killed_stops_all_and_resumed_they_end_as_if_nothing_had_been(
    two, data, tmp_path
):
    folder = tmp_path / "run"
    command = ["train", data, "--run", folder, "--workers", "--checkpoint-minutes", 0]
    (status, said, complaint), (killed, _, _) = together(2, *command, *SMALL, one_dies_at=15)
    assert killed == -signal.SIGKILL and (status, said) == (2, "")
    assert complaint.startswith("cmc: another worker is gone") and "--resume" in complaint
    assert len(complaint.splitlines()) == 1

    ended = together(2, *command, "--resume")
    assert [status for status, _, _ in ended] == [0, 0], ended
    for name in (runs.CHECKPOINT, runs.HISTORY, runs.CONFIG):
        assert (folder / name).read_bytes() == (two[0] / name).read_bytes()


@pytest.mark.keras
def test_what_tensorflow_says_when_a_worker_is_gone_becomes_a_sentence():
    from tensorflow.errors import UnavailableError

    def gone():
        raise UnavailableError(None, None, "connection reset by peer")

    trainer = distribution.Trainer.__new__(distribution.Trainer)
    trainer._several_workers = True
    with pytest.raises(training.TrainingError, match="another worker is gone.*`resume=True`"):
        trainer._together(gone)


@pytest.mark.keras
@pytest.mark.parametrize("described", [None, "host:2222", '{"cluster": {"worker": ["a:1"]}}'])
def test_workers_that_nobody_named_are_refused(described, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if described:
        monkeypatch.setenv("TF_CONFIG", described)
    with pytest.raises(training.TrainingError, match="TF_CONFIG does not name the workers"):
        distribution.join_workers()


# Several devices of one machine, here processors that TensorFlow takes for two


@pytest.fixture(scope="module")
def devices():
    """Two devices for MirroredStrategy, in a process of their own: how many is set only once."""
    script = (
        "import sys, json, numpy as np, tensorflow as tf;"
        "sys.path.insert(0, {tests!r}); from test_distribution import *;"
        "(cpu,) = tf.config.list_physical_devices('CPU');"
        "half = tf.config.LogicalDeviceConfiguration;"
        "tf.config.set_logical_device_configuration(cpu, [half(), half()]);"
        "print(json.dumps(learned(tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1']))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script.format(tests=str(Path(__file__).parent))],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def learned(strategy=None):
    """Losses of five training steps, of six windows held out, and a sum for each weight."""
    trainer = distribution.Trainer(NETWORK, CONFIG, 100, strategy)
    frames = np.random.default_rng(0).random((5, 8, 11, 8)).astype(np.float32)
    losses = [trainer.train(x[:, :-1], x[:, 1:]) for x in frames]
    held_out = trainer.evaluate(frames[0, :6, :-1], frames[0, :6, 1:])
    weights = [float(np.abs(weight).sum()) for weight in trainer.model.get_weights()]
    return [*losses, *map(float, held_out), *weights]


@pytest.mark.weekly
@pytest.mark.keras
def test_two_devices_of_a_machine_learn_what_one_learns(devices):
    np.testing.assert_allclose(devices, learned(), rtol=1e-5, atol=1e-5)


@pytest.mark.keras
def test_a_step_is_that_of_keras():
    import keras

    ours = learned()
    keras.utils.set_random_seed(CONFIG.seed)
    model = networks.build(NETWORK, CONFIG.weight_penalty)
    trainer = distribution.Trainer(NETWORK, CONFIG, 100)
    schedule = trainer.optimizer._learning_rate
    model.compile(
        keras.optimizers.Adam(schedule, global_clipnorm=CONFIG.clip), networks.loss(NETWORK)
    )
    frames = np.random.default_rng(0).random((5, 8, 11, 8)).astype(np.float32)
    for x in frames:
        model.train_on_batch(x[:, :-1], x[:, 1:])
    weights = [np.abs(weight).sum() for weight in model.get_weights()]
    np.testing.assert_allclose(ours[-len(weights) :], weights, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("begun", [False, True])
def test_the_slurm_script_tells_every_node_who_it_is(tmp_path, begun):
    """With stand-ins for Slurm's programs and for cmc, which says what it was told."""
    tools = {
        "scontrol": 'echo "node1"; echo "node2"',
        "srun": 'shift; for i in 0 1; do SLURM_PROCID=$i "$@"; done',
        "cmc": 'echo "$TF_CONFIG" | tr "\\n" " "; echo "; $@"',
    }
    for name, script in tools.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    run = tmp_path / "my run"
    if begun:
        run.mkdir()
        (run / "config.json").write_text("{}")
    ended = subprocess.run(
        ["bash", str(ROOT / "docs" / "slurm_train.sh"), "bach", str(run)],
        env=os.environ
        | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "node[1-2]"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) == 2
    for index, line in enumerate(lines):
        described, told = line.split("; ")
        assert json.loads(described) == {
            "cluster": {"worker": ["node1:2222", "node2:2222"]},
            "task": {"type": "worker", "index": index},
        }
        assert told == f"train bach --run {run}{' --resume' if begun else ''} --workers"
