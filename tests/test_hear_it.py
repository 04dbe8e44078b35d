"""What the first page shows and plays is what its command makes, and is as its words say."""

import importlib.util
import io

import numpy as np
import pytest
from notebook_rules import ROOT

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


def test_the_command_makes_what_lies_there(made):
    """The beginning to the sample; later, another processor's last digit may lead elsewhere."""
    names = {path.name for path in made.iterdir()}
    assert names == {"hear_it.png", "with_chance.wav", "without_chance.wav"}
    for name in names - {"hear_it.png"}:
        now, stored = read_audio(made / name), read_audio(ROOT / "docs" / name)
        assert len(now) == len(stored)
        np.testing.assert_allclose(now[:20000], stored[:20000], atol=2e-3)


def test_it_sounds_as_the_first_page_says(made):
    for folder in (made, ROOT / "docs"):
        with_chance, without = (
            read_audio(folder / f"{name}.wav") for name in ("with_chance", "without_chance")
        )
        np.testing.assert_allclose(with_chance[:20000], without[:20000], atol=2e-3)
        assert np.abs(without[5 * 8000 :]).max() < 1e-3 < 0.1 < np.abs(with_chance[24000:]).max()


def test_the_picture_is_one(made):
    from PIL import Image

    sizes = {
        Image.open(io.BytesIO((folder / "hear_it.png").read_bytes())).size
        for folder in (made, ROOT / "docs")
    }
    assert len(sizes) == 1
