"""What the first page shows and plays is what its command makes, and is as its words say; it and
the pages behind it leave nothing out."""

import importlib.util
import io
import re

import nbformat
import numpy as np
import pytest
from notebook_rules import LESSONS, ROOT
from servers import start

from cmc_helpers import inversion
from cmc_helpers.audio import read_audio


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with what docs/hear_it.py makes now."""
    spec = importlib.util.spec_from_file_location("hear_it", ROOT / "docs" / "hear_it.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("heard")
    module.main(folder)
    return folder


def alike(one, other):
    """Do they begin with the same sound? Its sign is free: nothing in a spectrogram tells it, and
    what comes later may turn it."""
    return abs(np.corrcoef(one[:20000], other[:20000])[0, 1]) > 0.97


@pytest.mark.slow
def test_the_command_makes_what_lies_there(made):
    """The beginning alone: later, another processor's last digit may lead elsewhere."""
    names = {path.name for path in made.iterdir()}
    assert names == {"hear_it.png", "with_chance.wav", "without_chance.wav"}
    for name in names - {"hear_it.png"}:
        now, stored = read_audio(made / name), read_audio(ROOT / "docs" / name)
        assert len(now) == len(stored)
        assert alike(now, stored)


@pytest.mark.slow
def test_it_sounds_as_the_first_page_says(made):
    for folder in (made, ROOT / "docs"):
        with_chance, without = (
            read_audio(folder / f"{name}.wav") for name in ("with_chance", "without_chance")
        )
        assert alike(with_chance, without) and not alike(with_chance[24000:], without[:20000])
        assert np.abs(without[5 * 8000 :]).max() < 1e-3 < 0.1 < np.abs(with_chance[24000:]).max()


@pytest.mark.slow
def test_the_picture_is_one(made):
    from PIL import Image

    sizes = {
        Image.open(io.BytesIO((folder / "hear_it.png").read_bytes())).size
        for folder in (made, ROOT / "docs")
    }
    assert len(sizes) == 1


def test_every_lesson_has_a_row_in_order():
    names = [path.stem for path in LESSONS]
    first = nbformat.read(LESSONS[0], as_version=4)
    for text, rows in {
        (ROOT / "README.md").read_text("utf-8"): names,
        "\n".join(cell.source for cell in first.cells): names[1:],  # itself it need not name
    }.items():
        assert re.findall(r"(?m)^\|[^|\n]*\[\w+\]\((?:notebooks/)?(\w+)\.ipynb\)", text) == rows


def test_every_measurement_has_a_row():
    text = (ROOT / "docs" / "measurements.md").read_text("utf-8")
    folders = ROOT / "tools" / "benchmarks", ROOT / "tools" / "experiments"
    scripts = [path for folder in folders for path in _scripts(folder)]
    assert len(scripts) > 10
    for path in scripts:
        named = path.relative_to(ROOT).as_posix()
        starts = [f"`make {name}`" for name, words in start.WORDS.items() if words[0] == named]
        assert named in text or any(command in text for command in starts), named


def _scripts(folder):
    """The scripts of a folder that a user calls: those that have a command line."""
    return [path for path in sorted(folder.glob("*.py")) if "__main__" in path.read_text("utf-8")]


def program(number):
    """One of the three programs on the first page."""
    text = (ROOT / "README.md").read_text("utf-8")
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(programs) == 3
    return programs[number]


@pytest.mark.slow
def test_the_programs_on_it_make_music_and_spectrograms_sound_again(tmp_path, monkeypatch):
    music, again = program(0), program(1)
    assert len(again.split("\n\n")[1].splitlines()) <= 6
    assert len(music.split("\n\n")[1].splitlines()) <= 6 and "frames(10)" in music
    monkeypatch.chdir(tmp_path)
    exec(music.replace("frames(10)", "frames(1)"), {})
    music = read_audio("music.wav")
    assert len(music) == pytest.approx(8000, abs=300) and np.abs(music).max() > 0.01
    names = {}
    exec(again, names)
    for made, nearer in {"again.wav": -25, "from_mel.wav": -15}.items():
        spectra = abs(inversion.stft(read_audio(made, 22050), names["stft"]))
        assert inversion.spectral_convergence(names["magnitudes"], spectra) < nearer


@pytest.mark.keras
def test_the_model_on_it_is_trained_saved_and_drawn_from(tmp_path, monkeypatch):
    model = program(2)
    assert len(model.replace("\n\n", "\n").splitlines()) <= 10 and "epochs=200" in model
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(model.replace("epochs=200", "epochs=1, verbose=0"), names)
    assert names["answers"].shape == names["y"].shape and names["chosen"].shape == (1000,)
    loaded = names["keras"].models.load_model("model.keras")
    assert type(loaded.loss) is names["networks"].MixtureLoss
    np.testing.assert_array_equal(loaded(names["x"]), names["model"](names["x"]))
