"""A listener is asked, hears every trial and is told nothing."""

import base64
import re

import numpy as np
import pytest

from cmc_helpers import listening_test as lt
from cmc_helpers import widgets
from cmc_helpers.widgets import listening_view


@pytest.fixture(params=["pair", "single"])
def held(request, tmp_path):
    real, made = ["r1", "r2"], ["g1", "g2"]
    rng = np.random.default_rng(0)
    clips = {name: 0.1 * rng.standard_normal(4000) for name in real + made}
    lt.prepare(tmp_path / "test", lt.plan(real, made, 0, request.param), clips)
    return tmp_path / "test"


def test_a_listener_is_asked_hears_every_trial_and_is_told_nothing(held):
    view = listening_view.ListeningTest(held)
    places = 2 if view._pair else 1
    assert view.trials == (2 if view._pair else 4) and all(b.disabled for b in view.answers)
    view.name.value, view.familiarity.value = "../x", 20
    view.begin.click()
    assert 'role="alert"' in view.status.value and view.sound.value == ""
    view.name.value = "anna"
    view.begin.click()
    for trial in range(view.trials):
        assert f"Trial {trial + 1} of {view.trials}" in view.status.value
        wanted = [lt.clip_path(held, trial, place).read_bytes() for place in range(places)]
        found = re.findall(r'src="data:audio/wav;base64,([^"]*)"', view.sound.value)
        assert [base64.b64decode(one) for one in found] == wanted
        view.answers[trial % 2].click()
    assert "All" in view.status.value and "<audio" not in view.sound.value
    assert all(button.disabled for button in view.answers)
    view._answered(0)  # the second half of a double click
    kept = lt.Answers(held, "anna")
    assert kept.given == [trial % 2 for trial in range(view.trials)] and kept.familiarity == 0.2


def test_who_was_interrupted_goes_on(held, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    first = listening_view.ListeningTest(held)
    first.name.value = "anna"
    first.begin.click()
    first.answers[1].click()
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        first.answers[0].click()
    assert 'role="alert"' in first.status.value and "make room" in first.status.value
    again = listening_view.ListeningTest(held)
    again.name.value = "anna"
    again.begin.click()
    assert "Trial 2 of" in again.status.value


def test_a_page_without_widgets_says_how_many_trials_there_are(shown, held):
    widgets.listening_test(held)
    assert re.fullmatch("Listening test of [24] trials", shown[-1]["text/plain"])
