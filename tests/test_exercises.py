"""Each check accepts the right answer, rejects the usual wrong ones, and says why."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from cmc_helpers.exercises import check
from cmc_helpers.exercises.checking import CHECKS

# What is tried on each exercise stands in answers/, one file per notebook.
RIGHT, WRONG = {}, {}
for path in sorted((Path(__file__).parent / "answers").glob("notebook_*.py")):
    answers = runpy.run_path(str(path))
    RIGHT |= answers["RIGHT"]
    WRONG |= answers["WRONG"]


@pytest.mark.parametrize("number", CHECKS)
def test_the_right_answer_is_right(number):
    for answer in RIGHT[number]:
        verdict = check(number, answer)
        assert verdict.state == "right", verdict
        assert verdict.message.endswith(".")


@pytest.mark.parametrize(
    ("number", "mistake"), [(n, mistake) for n, mistakes in WRONG.items() for mistake in mistakes]
)
def test_a_plausible_mistake_is_answered_with_a_counter_example(number, mistake):
    _, answer, words = mistake
    verdict = check(number, answer)
    assert verdict.state == "wrong", verdict
    assert words in verdict.message


def test_every_exercise_is_tried_with_several_mistakes():
    assert set(RIGHT) == set(WRONG) == set(CHECKS)
    assert min(len(mistakes) for mistakes in WRONG.values()) >= 3


def stub(*arguments):
    """As the notebook leaves it."""


def unfinished(*arguments):
    raise NotImplementedError


@pytest.mark.parametrize("number", CHECKS)
@pytest.mark.parametrize("empty", [stub, unfinished, lambda *arguments: ...])
def test_an_empty_function_is_not_attempted_yet(number, empty):
    verdict = check(number, empty)
    assert verdict.state == "not attempted yet"
    assert not verdict


@pytest.mark.parametrize("number", CHECKS)
@pytest.mark.parametrize(
    "junk", ["four", [1, [2, 3]], {"a": 1}, object(), np.nan, np.zeros((0, 3))]
)
def test_an_answer_that_makes_no_sense_is_wrong_and_no_crash(number, junk):
    assert check(number, lambda *arguments: junk).state == "wrong"


def test_an_error_in_the_answer_is_told_with_its_line():
    def frames(n):
        hops = n - 256
        return hops / (hops - hops)

    verdict = check("00.1", frames)
    assert verdict.state == "wrong"
    assert "for 256 your function stops at `return hops / (hops - hops)`" in verdict.message
    assert "ZeroDivisionError: division by zero" in verdict.message


def test_an_answer_that_cannot_be_called_as_asked_is_told_so():
    verdict = check("00.3", lambda K: 2 * K)
    assert "for 1, 1 your function cannot be called (TypeError" in verdict.message


def test_a_return_that_is_missing_later_is_wrong():
    verdict = check("00.1", lambda n: 1 if n == 256 else None)
    assert verdict.state == "wrong"
    assert "for 319 your function returns nothing" in verdict.message


def test_the_same_answer_gets_the_same_text_without_addresses():
    def frames(n):
        raise ValueError(f"not with {object()}")

    first, second = check("00.1", frames), check("00.1", frames)
    assert repr(first) == repr(second)
    assert " at 0x" not in repr(first)


def test_text_and_html_say_the_same():
    verdict = check("00.1", lambda n: n < 0)
    assert verdict.message.startswith("for n = 256 your answer is 0, but 1 is wanted")
    assert repr(verdict) == f"00.1 wrong: {verdict.message}"
    assert "✗ 00.1 wrong:" in verdict._repr_html_()


def test_an_error_that_holds_markup_does_not_become_html():
    def frames(n):
        raise ValueError("<b>")

    assert "&lt;b&gt;" in check("00.1", frames)._repr_html_()


def test_only_a_right_answer_is_true():
    assert check("00.1", RIGHT["00.1"][0])
    assert not check("00.1", lambda n: 0)


def test_warnings_of_the_answer_stay_out_of_the_notebook(recwarn):
    check("09.2", lambda y, mean: np.log(-1.0 - y.sum() ** 2))
    assert not recwarn.list


def test_the_answer_cannot_change_what_it_is_compared_with():
    def tail(waveform):
        waveform[:] = 0
        return waveform[64:]

    assert check("07.3", tail).state == "wrong"


def test_an_unknown_exercise_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no exercise '03.9'; choose one of 03.1, 03.2, 03.3"):
        check("03.9", stub)
    with pytest.raises(ValueError, match="no exercise '99.9'; choose one of 00.1 to 14.3"):
        check("99.9", stub)
