"""docs/teachers_guide.md speaks of sections and exercises that are there, and of whole evenings."""

import re

import pytest
from notebook_rules import LESSONS, ROOT, Page, exercises_in

TEXT = (ROOT / "docs" / "teachers_guide.md").read_text("utf-8")
PAGES = {path.name[:2]: Page(path) for path in LESSONS}
EVENINGS = re.findall(r"^## (Evening \d).*?\n(.*?)(?=^## )", TEXT, re.MULTILINE | re.DOTALL)
RANGE = re.compile(r"(\d\d)\.(\d+)(?! minutes)(?: to (?:\d\d)\.(\d+))?")


def named_exercises(text):
    """The exercises that a text names: "01.1 to 01.4" are four."""
    return {
        f"{number}.{n}"
        for number, first, last in RANGE.findall(text)
        for n in range(int(first), int(last or first) + 1)
    } & {f"{number}.{n}" for number in PAGES for n in range(1, 10)}


def named_sections(text):
    """(notebook, section) of "02 §3, §4", "05 §1 to §3", "11 §7"."""
    for number, sections in re.findall(r"\b(\d\d)((?:(?:,| to| and)? §\d+)+)", text):
        yield from ((number, section) for section in re.findall(r"§(\d+)", sections))


def test_every_section_that_is_named_is_in_its_notebook():
    named = set(named_sections(" ".join(TEXT.split())))
    assert len(named) > 80
    there = {
        (number, section)
        for number, page in PAGES.items()
        for section in re.findall(r"^## (\d+)\. ", page.prose, re.MULTILINE)
    }
    assert named - there == set()


def test_every_exercise_that_is_named_exists_and_every_one_is_somewhere_in_the_course():
    there = {exercise for page in PAGES.values() for exercise in exercises_in(page)}
    assert named_exercises(TEXT) - there == set()
    course = named_exercises(" ".join(text for _, text in EVENINGS))
    taught = {
        number for number in PAGES if f"({'../notebooks/' + PAGES[number].path.name})" in TEXT
    }
    assert {exercise for exercise in there if exercise[:2] in taught} <= course


@pytest.mark.parametrize(("name", "text"), EVENINGS, ids=[name for name, _ in EVENINGS])
def test_an_evening_has_two_hours(name, text):
    assert sum(map(int, re.findall(r"^\| (\d+) \|", text, re.MULTILINE))) == 120


def test_there_are_six_evenings():
    assert [name for name, _ in EVENINGS] == [f"Evening {n}" for n in range(1, 7)]
