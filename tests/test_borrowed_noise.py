"""Where the sound of `bach` is played or judged, the page says what the network did not make."""

import json
from functools import cache

import numpy as np
import pytest
from notebook_rules import ROOT, Page
from scipy.stats import chi2

from cmc_helpers import runs

NOTEBOOKS = ROOT / "notebooks"
PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("closing_reflection", "playground")),
    ROOT / "docs" / "teachers_guide.md",
    *(path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.name[:2] in "00 11 12 14".split()),
]
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


@cache
def bach():
    """The run, and how many of its steps make a second."""
    run = runs.load(runs.find("bach"))
    return run, run.features.frames_per_second / run.network.frames


def words(page):
    text = Page(page).prose if page.suffix == ".ipynb" else page.read_text("utf-8")
    return " ".join(text.split())


@EACH
def test_a_page_says_how_much_is_borrowed_and_how_much_the_network_holds(page):
    (run, steps_per_second), text = bach(), words(page)
    bank = run.residuals
    minutes = len(bank.vectors) / steps_per_second / 60
    assert f"{bank.vectors.size / 1e6:.1f} million numbers" in text
    assert f"{minutes:.1f} minutes" in text
    assert f"{run.parameters / 1e6:.1f} million" in text
    assert "borrowed" in text and "mean and" in text


@EACH
def test_it_calls_a_stretch_as_long_as_the_longest_is(page):
    run, steps_per_second = bach()
    longest = np.bincount(run.residuals.places).max() / steps_per_second
    assert longest == pytest.approx(0.5, abs=0.02)
    assert "half a second" in words(page)


def test_the_first_notebook_counts_the_notes_as_they_were_measured():
    measured = json.loads((runs.find("bach") / "evaluation.json").read_text("utf-8"))
    gaussian, borrowed, real = (
        measured[music]["onsets"] for music in ("with_gaussian_noise", "generated", "real")
    )
    sentence = (
        f"{gaussian:.1f} notes begin in a second; with the borrowed noise {borrowed:.1f}, "
        f"in Bach {real:.1f}."
    )
    assert sentence in words(NOTEBOOKS / "00_start_here.ipynb")


def test_one_fatality_leaves_room_for_what_the_seminar_is_told():
    """The oracle: the exact interval of a Poisson mean is one of chi-squared quantiles."""
    low, high = chi2.ppf(0.025, 2 * 1) / 2, chi2.ppf(0.975, 2 * 1 + 2) / 2
    text = words(ROOT / "docs" / "closing_reflection.md")
    assert f"one in {130 / high:.0f} million miles" in text
    assert f"one in {round(130 / low, -2):,.0f} million" in text
