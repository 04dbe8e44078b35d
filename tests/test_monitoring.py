"""What a training shows: one line with all that is asked for, and curves that can be read again."""

import os
import sys

import pytest

from cmc_helpers.training import TrainingConfig, TrainingError, monitoring
from cmc_helpers.training.checkpoints import State
from cmc_helpers.training.monitoring import Monitor

CONFIG = TrainingConfig(epochs=3, batch=4, steps=10)


class Clock:
    """Each look at it is two seconds later."""

    now = 0

    def monotonic(self):
        self.now += 2
        return self.now


def follow(monitor):
    """Two epochs of five batches with losses 0 … 4, then held-out losses of 10 and 20."""
    state = State([])
    for held_out in (10.0, 20.0):
        for loss in range(5):
            state.number, state.total = state.number + 1, state.total + loss
            monitor.batch_ended(state, float(loss))
        state.epoch, state.number, state.total = state.epoch + 1, 0, 0.0
        for name, value in (("epoch", 1), ("loss", 2.0), ("validation_loss", held_out)):
            state.history[name].append(value)
        monitor.epoch_ended(state)
    monitor.close()


def test_the_line_tells_loss_held_out_loss_and_speed(monkeypatch):
    monkeypatch.setattr(monitoring, "time", Clock())
    seen = []
    follow(Monitor(CONFIG, 5, lambda *call: seen.append(call)))
    assert seen[0] == (1, 15, "loss 0.00")
    # 40 frames in two seconds; the first batch of an epoch, which may compile, does not count.
    assert seen[4] == (5, 15, "loss 2.00, 20 frames/s")
    assert seen[5] == (6, 15, "loss 0.00, held-out 10.00")
    assert seen[9] == (10, 15, "loss 2.00, held-out 10.00, 20 frames/s")


@pytest.mark.keras
def test_curves_for_tensorboard_can_be_read_again(tmp_path):
    tf = pytest.importorskip("tensorflow")
    follow(Monitor(CONFIG, 5, tensorboard=tmp_path / "logs"))
    points = {}
    (path,) = (tmp_path / "logs").iterdir()
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            points.setdefault(value.tag, []).append(
                (event.step, float(tf.make_ndarray(value.tensor)))
            )
    assert points.pop("frames per second")
    assert points == {
        "loss": [(step + 1, float(step % 5)) for step in range(10)],
        "mean loss of the epoch": [(5, 2.0), (10, 2.0)],
        "held-out loss": [(5, 10.0), (10, 20.0)],
    }


@pytest.mark.keras
@pytest.mark.skipif(sys.platform != "linux", reason="every name is text there")
def test_curves_go_into_a_folder_whose_name_is_no_text(tmp_path):
    pytest.importorskip("tensorflow")
    folder = tmp_path / os.fsdecode(b"lo\xffgs")
    Monitor(CONFIG, 5, tensorboard=folder).close()
    assert len(list(folder.iterdir())) == 1


@pytest.mark.keras
def test_a_folder_that_cannot_hold_the_curves_is_refused(tmp_path):
    pytest.importorskip("tensorflow")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrainingError, match="choose another folder for `tensorboard`"):
        Monitor(CONFIG, 5, tensorboard=tmp_path / "file" / "logs")
