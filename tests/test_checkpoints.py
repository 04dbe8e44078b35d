"""Trainings that were stopped or killed leave whole files, and go on to the same bits."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from small_corpora import NETWORK, SHORT, bouncing, music, weights

from cmc_helpers import corpora, generation, networks, runs
from cmc_helpers.features import FeatureConfig
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.training import TrainingError, checkpoints, distribution, train

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.mark.keras
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path):
    whole = train(bouncing(), tmp_path / "whole", NETWORK, SHORT)

    def stop(done, total, message):
        if done == 50:  # in the middle of the third epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(bouncing(), tmp_path / "parts", NETWORK, SHORT, progress=stop)
    parts = train(bouncing(), tmp_path / "parts", resume=True)
    assert whole.history == parts.history and len(whole.history["epoch"]) == 4
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.keras
def test_a_checkpoint_inside_an_epoch_loses_nothing(tmp_path):
    whole = train(bouncing(), tmp_path / "whole", NETWORK, SHORT)
    seen = []

    def stop(done, total, message):
        seen.append(done)
        if done == 50:  # the checkpoint after batch 49 is written, the one after 50 not yet
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(bouncing(), tmp_path / "parts", NETWORK, SHORT, progress=stop, checkpoint_minutes=0)
    parts = train(
        bouncing(), tmp_path / "parts", resume=True, progress=lambda done, *_: seen.append(done)
    )
    assert seen == [*range(1, 51), *range(50, 81)]
    assert whole.history == parts.history
    with (
        np.load(tmp_path / "whole/checkpoint.npz") as a,
        np.load(tmp_path / "parts/checkpoint.npz") as b,
    ):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.keras
def test_two_trainings_in_one_folder_are_one_too_many(tmp_path):
    def meanwhile(done, total, message):
        if done == 30:
            with pytest.raises(runs.RunError, match="in use by another process"):
                train(bouncing(), tmp_path / "run", resume=True)

    train(bouncing(), tmp_path / "run", NETWORK, SHORT, progress=meanwhile)
    assert not (tmp_path / "run" / ".lock").exists()


KILLED = """
import sys
from cmc_helpers.terminal import quiet_tensorflow
quiet_tensorflow()
sys.path.insert(0, {tests!r})
from dataclasses import replace
from small_corpora import NETWORK, SHORT, bouncing
from cmc_helpers.training import train
train(bouncing(), {folder!r}, NETWORK, replace(SHORT, epochs=200))
"""


@pytest.mark.keras
def test_a_killed_training_leaves_whole_files_and_goes_on(tmp_path):
    folder = tmp_path / "run"
    script = KILLED.format(tests=os.path.dirname(__file__), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        while not (folder / "checkpoint.npz").exists():
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.3)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    runs.load(folder)  # the best network so far is usable as it is
    done = len(runs.read_history(folder / "history.csv")["epoch"])
    # The cosine of the learning rate is laid out for all epochs, so compare with one that goes
    # just as far under the same settings: one that is stopped instead of killed.
    resumed_to, reference = done + 2, tmp_path / "reference"

    def stop(bar_done, total, message):
        if bar_done > resumed_to * 20:
            raise KeyboardInterrupt

    for place, resume in ((folder, True), (reference, False)):
        with pytest.raises(KeyboardInterrupt):
            config = replace(SHORT, epochs=200)
            train(bouncing(), place, NETWORK, config, resume=resume, progress=stop)
    histories = [runs.read_history(place / "history.csv") for place in (folder, reference)]
    assert histories[0] == histories[1] and len(histories[0]["epoch"]) == resumed_to
    with np.load(folder / "checkpoint.npz") as a, np.load(reference / "checkpoint.npz") as b:
        assert set(a) == set(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.keras
def test_weights_that_are_not_finite_do_not_replace_a_checkpoint(tmp_path):
    train(bouncing(), tmp_path / "run", NETWORK, replace(SHORT, epochs=1))
    before = (tmp_path / "run" / "checkpoint.npz").read_bytes()
    trainer = distribution.Trainer(NETWORK, SHORT, 20)
    state = checkpoints.State(trainer.model.get_weights(), epoch=1)
    trainer.model.set_weights([np.full_like(w, np.nan) for w in trainer.model.get_weights()])
    with pytest.raises(TrainingError, match="the weights are not finite in epoch 2"):
        checkpoints.write(tmp_path / "run", state, trainer.model, trainer.optimizer)
    assert (tmp_path / "run" / "checkpoint.npz").read_bytes() == before


@pytest.mark.keras
@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "1"},
        {"epoch": -1},
        {"epoch": 10**400},
        {"number": 0.5},
        {"total": float("nan")},
        {"best_loss": float("nan")},
        {"history": {}},
        {"history": {"epoch": [1], "loss": [0.5], "validation_loss": ["x"]}},
        {"history": {"epoch": [1], "loss": [], "validation_loss": [0.5]}},
        {"counts": {"weights": 10**9, "optimizer": 0, "best": 0}},
        {"unheard": "of"},
    ],
    ids=str,
)
def test_a_checkpoint_that_was_not_written_here_is_refused(vectors_run, tmp_path, change):
    with np.load(vectors_run / "checkpoint.npz") as stored:
        arrays = dict(stored)
    described = json.loads(str(arrays["state"])) | change
    np.savez(tmp_path / "checkpoint.npz", **arrays | {"state": np.array(json.dumps(described))})
    model = networks.build(runs.load(vectors_run).network)
    with pytest.raises(TrainingError, match="checkpoint.npz cannot be resumed from") as caught:
        checkpoints.read(tmp_path, model, None)
    assert str(caught.value).isprintable()


@pytest.mark.keras
def test_a_full_disk_is_a_sentence_and_the_checkpoint_before_is_kept(tmp_path):
    import resource

    whole = train(bouncing(), tmp_path / "whole", NETWORK, SHORT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up(done, total, message):
        if done == 50:  # from here on no file may be longer than a kilobyte
            resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))

    try:
        with pytest.raises(TrainingError, match="checkpoint.npz cannot be written: .* make room"):
            train(
                bouncing(),
                tmp_path / "run",
                NETWORK,
                SHORT,
                progress=fill_up,
                checkpoint_minutes=0,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    resumed = train(bouncing(), tmp_path / "run", resume=True)
    for a, b in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.keras
def test_resuming_with_a_corpus_made_with_other_settings_is_refused(tmp_path):
    network = NetworkConfig(100, layers=1, units=8, components=2)
    train(music(), tmp_path / "run", network, replace(SHORT, epochs=1))
    other = music(config=FeatureConfig.preset("paper"))
    with pytest.raises(corpora.CorpusError, match="music is not what .* was trained on"):
        train(other, tmp_path / "run", resume=True)


@pytest.mark.keras
def test_resuming_with_other_data_or_a_damaged_checkpoint_is_refused(tmp_path):
    train(bouncing(), tmp_path / "run", NETWORK, replace(SHORT, epochs=1))
    with pytest.raises(corpora.CorpusError, match="not what"):
        train(bouncing(300), tmp_path / "run", resume=True)
    (tmp_path / "run" / "checkpoint.npz").write_bytes(b"PK broken")
    with pytest.raises(TrainingError, match="cannot be resumed"):
        train(bouncing(), tmp_path / "run", resume=True)
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    settings["training"]["patience"] = "long"
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(runs.RunError, match="its config.json is not a run's settings"):
        train(bouncing(), tmp_path / "run", resume=True)


@pytest.mark.keras
def test_a_training_killed_before_its_first_checkpoint_begins_again(tmp_path):
    once = train(bouncing(), tmp_path / "once", NETWORK, replace(SHORT, epochs=1))
    train(bouncing(), tmp_path / "run", NETWORK, replace(SHORT, epochs=1))
    (tmp_path / "run" / "checkpoint.npz").unlink()
    again = train(bouncing(), tmp_path / "run", resume=True)
    for first, second in zip(weights(once), weights(again), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.keras
def test_a_run_of_several_frames_is_trained_resumed_and_goes_on(tmp_path):
    network = replace(NETWORK, frames=4, feature_scales=True)
    config = replace(SHORT, epochs=2, steps=8)
    whole = train(bouncing(), tmp_path / "whole", network, config)
    assert whole.network == network and whole.normaliser.offset.shape == (32,)
    train(bouncing(), tmp_path / "half", network, replace(config, epochs=1))
    assert (
        train(bouncing(), tmp_path / "half", config=config, resume=True).settings["training"]
        == whole.settings["training"]
    )
    made = generation.generate(whole, 30)
    assert made.vectors.shape == (1, 30, 8)
    with pytest.raises(TrainingError, match="only 11 frames to train on"):
        train(bouncing(11, 0), tmp_path / "short", network, config)
