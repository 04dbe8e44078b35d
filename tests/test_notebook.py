"""What a notebook starts with, plays and waits with: quiet, honest in level, the same each time."""

import base64
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cmc_helpers import notebook, terminal

ROOT = Path(__file__).parent.parent


def python(code, **variables):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.keras
@pytest.mark.parametrize("level", ["0", pytest.param("2", marks=pytest.mark.weekly)])
def test_tensorflow_starts_computes_and_compiles_without_a_word(level):
    pytest.importorskip("tensorflow")
    result = python(
        """if True:
        from cmc_helpers import notebook
        tf = notebook.quiet_tensorflow()
        compiled = tf.function(lambda x: x + 1, jit_compile=True, autograph=False)
        for _ in range(2):
            notebook.set_seed(7)
            print((compiled(tf.random.normal((3,))) > -9).numpy(), tf.random.normal(()).numpy())
        for number in range(9):  # nine networks: TensorFlow suspects one that is compiled anew
            tf.function(lambda x: x + number, jit_compile=True, autograph=False)(1.0)
    """,
        TF_CPP_MIN_LOG_LEVEL=level,
    )
    assert result.stderr == ""
    first, second = result.stdout.splitlines()
    assert first == second


def test_what_was_held_back_is_written_when_the_start_fails(capfd):
    with pytest.raises(ImportError), terminal._held_back_stderr():
        os.write(2, b"the library is missing\n")
        raise ImportError
    assert capfd.readouterr().err == "the library is missing\n"


@pytest.mark.parametrize("missing", ["sys.stderr", "descriptor"])
def test_without_standard_error_nothing_is_held_back_and_no_bar_is_drawn(monkeypatch, missing):
    """pythonw has neither; IDLE has a window in place of the file descriptor."""

    def closed(descriptor):
        raise OSError(9, "Bad file descriptor")

    if missing == "sys.stderr":
        monkeypatch.setattr("sys.stderr", None)
    else:
        monkeypatch.setattr("os.dup", closed)
    with terminal._held_back_stderr(), terminal.terminal_progress("Waiting") as progress:
        progress(1, 2)
        progress(2, 2)


def test_only_what_is_written_meanwhile_is_held_back(capfd):
    with terminal._held_back_stderr():
        os.write(2, b"chatter\n")
    os.write(2, b"news\n")
    assert capfd.readouterr().err == "news\n"


def tone(amplitude=0.5, seconds=0.5, sample_rate=8000):
    t = np.arange(int(seconds * sample_rate)) / sample_rate
    return amplitude * np.sin(2 * np.pi * 440 * t)


def played(sound):
    """What the browser decodes from the page."""
    (audio,) = re.findall(r"data:audio/wav;base64,([^\"]+)", sound._repr_html_())
    return soundfile.read(io.BytesIO(base64.b64decode(audio)))


@pytest.mark.slow
@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.01])
@pytest.mark.parametrize("sample_rate", [8000, 22050])
def test_a_sound_is_played_at_its_own_level(amplitude, sample_rate):
    waveform = tone(amplitude, sample_rate=sample_rate)
    sound = notebook.listen(waveform, sample_rate, "A tone")
    samples, rate = played(sound)
    assert rate == sample_rate
    assert np.abs(samples - waveform).max() <= 1 / 32767
    assert repr(sound) == "A tone, 0.5 s"


def test_a_sound_that_would_clip_is_turned_down_and_says_so():
    sound = notebook.listen(tone(4.0), 8000, "Loud")
    assert repr(sound) == "Loud, 0.5 s (-12.0 dB)"
    assert np.abs(played(sound)[0] - tone(1.0)).max() < 2e-4
    assert "(-12.0 dB)" in sound._repr_html_()


def test_a_sound_is_normalised_only_when_asked():
    sound = notebook.listen(tone(0.25), 8000, "Quiet", normalise=True)
    assert repr(sound) == "Quiet, 0.5 s (+12.0 dB)"
    assert np.abs(played(sound)[0]).max() > 0.999


def test_silence_can_be_played():
    sound = notebook.listen(np.zeros(800), 8000, "Nothing", normalise=True)
    assert not played(sound)[0].any()


def test_the_same_sound_gives_the_same_page():
    first, second = (notebook.listen(tone(), 8000, "A tone") for _ in range(2))
    assert first._repr_html_() == second._repr_html_()
    assert first.picture.png == second.picture.png


@pytest.mark.parametrize("waveform", [[], np.zeros((2, 800)), [0.0, np.nan], [np.inf], 3.0])
def test_sound_that_cannot_be_played_is_refused(waveform):
    with pytest.raises(ValueError, match="give one channel of finite numbers"):
        notebook.listen(waveform, 8000, "Broken")


@pytest.fixture
def shown(monkeypatch):
    """What reaches the page, in order."""
    objects = []
    monkeypatch.setattr(
        "IPython.display.display", lambda shown, *_, raw=False, **__: objects.append(shown)
    )
    return objects


def test_a_player_is_labelled_and_follows_its_spectrogram(shown):
    sound = notebook.listen(tone(), 8000, 'A "<tone>"')
    sound._ipython_display_()
    picture, player = shown
    assert picture is sound.picture
    assert "Spectrogram" in picture.alt
    assert 'aria-label="A &quot;&lt;tone&gt;&quot;, 0.5 s"' in player["text/html"]
    assert player["text/plain"] == 'A "<tone>", 0.5 s'


def test_a_bar_in_a_notebook_moves_and_stores_nothing_but_its_label(shown):
    progress = notebook.widget_progress("Training")
    assert not shown
    progress(0, 10, "begins")
    for step in range(1, 5):
        progress(step, 10, f"loss {1 / step}")
    progress.close()
    (page,) = shown
    assert page["text/plain"] == "Training"
    assert page["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert (progress.bar.value, progress.bar.max) == (4, 10)
    assert progress.text.value == "4 of 10  loss 0.25"
    progress(10, 10, "done")
    assert (progress.bar.value, progress.text.value) == (10, "10 of 10  done")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_on_a_terminal_shows_label_count_and_message(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with terminal.terminal_progress("Training") as progress:
        progress(1, 3, "loss 0.5")
        progress(3, 3, "loss 0.4")
    *_, last = sys.stderr.getvalue().strip().split("\r")
    assert last.startswith("Training: 100%")
    assert "3/3" in last
    assert "loss 0.4" in last


def test_a_bar_leaves_the_line_when_work_is_cut_short(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(KeyboardInterrupt), terminal.terminal_progress("Training") as progress:
        progress(1, 3)
        raise KeyboardInterrupt
    assert sys.stderr.getvalue().endswith("\n")


def test_nothing_is_written_where_nobody_watches(capsys):
    with notebook.progress(3, "Training") as bar:
        for _ in range(3):
            bar.update()
    assert (bar.done, bar.total) == (3, 3)
    assert capsys.readouterr() == ("", "")


def test_a_loop_counts_on_the_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with notebook.progress(4, "Training") as bar:
        bar.update(3, "nearly")
        bar.update()
    assert "4/4" in sys.stderr.getvalue()


def test_a_kernel_gets_the_bar_of_a_notebook(monkeypatch):
    import IPython

    class Shell:
        kernel = object()

    monkeypatch.setattr(IPython, "get_ipython", Shell)
    assert isinstance(notebook.progress(3, "Training"), notebook.WidgetProgress)


def test_importing_the_module_is_light():
    heavy = "{'IPython', 'ipywidgets', 'keras', 'matplotlib', 'scipy', 'tensorflow', 'tqdm'}"
    result = python(f"import sys, cmc_helpers.notebook; print({heavy} & sys.modules.keys())")
    assert result.stdout == "set()\n", result.stderr
