"""Each check accepts the right answer, rejects the usual wrong ones, and says why."""

import re
import runpy
from pathlib import Path

import nbformat
import numpy as np
import pytest

import cmc_helpers.exercises
from cmc_helpers.exercises import check
from cmc_helpers.exercises.checking import CHECKS, LONGEST, listed, shown

ROOT = Path(__file__).parents[1]

# What is tried on each exercise stands in answers/, one file per notebook.
RIGHT, WRONG = {}, {}
for path in sorted((ROOT / "tests/answers").glob("notebook_*.py")):
    answers = runpy.run_path(str(path))
    RIGHT |= answers["RIGHT"]
    WRONG |= answers["WRONG"]


def solutions():
    """What the notebooks of solutions hand to `check`, the first for each exercise."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cmc_helpers.exercises, "check", found.setdefault)
        for path in sorted((ROOT / "notebooks/solutions").glob("*.ipynb")):
            names = {}
            for cell in nbformat.read(path, as_version=4).cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, path.name, "exec"), names)
    return found


SOLUTIONS = solutions()


def told(number, answer):
    """The verdict, whose message is a sentence or two that anybody can read."""
    verdict = check(number, answer)
    said = verdict.message
    assert len(said) <= LONGEST
    assert said.endswith(".")
    assert "\n" not in said
    assert not re.search("0x|<locals>|gufunc", said)
    own = re.sub(r"\(\w+: .*\)\.$|`.*?`", "", said)  # the message but for the learner's words
    assert not re.search(r"<function|array\(|dtype|np\.", own)
    twice = r" (\S+?)(?: (?:at|after) [\w, ]+?)?, (?:but|not) (?:c = )?(\S+)(?= is |\.$)"
    for got, wanted in re.findall(twice, said):
        assert got != wanted
    assert not re.search(r"[^+.] 1 (frame|step|weight|layer|sample|output|trial|clip)s", own)
    return verdict


@pytest.mark.parametrize("number", CHECKS)
def test_the_right_answer_is_right(number):
    for answer in RIGHT[number]:
        verdict = told(number, answer)
        assert verdict.state == "right", verdict


@pytest.mark.parametrize(
    ("number", "mistake"), [(n, mistake) for n, mistakes in WRONG.items() for mistake in mistakes]
)
def test_a_plausible_mistake_is_answered_with_a_counter_example(number, mistake):
    _, answer, words = mistake
    verdict = told(number, answer)
    assert verdict.state == "wrong", verdict
    assert words in verdict.message


def test_every_exercise_is_tried_with_several_mistakes():
    assert set(RIGHT) == set(WRONG) == set(CHECKS) == set(SOLUTIONS)
    assert min(len(mistakes) for mistakes in WRONG.values()) >= 3


# --------------------------------------------------------------------------- how it is written


def each(write):
    """A form of answers: `write` is given every number and every array of an answer."""

    def form(answer):
        if isinstance(answer, list | tuple):
            return type(answer)(form(part) for part in answer)
        return write(answer)

    return form


def in_lists(answer):
    if isinstance(answer, list | tuple):
        return [in_lists(part) for part in answer]
    return np.asarray(answer).tolist()


def in_tuples(answer):
    answer = in_lists(answer)
    return tuple(map(in_tuples, answer)) if isinstance(answer, list) else answer


def boxed(value):
    return np.array([value]) if np.ndim(value) == 0 else value


FORMS = {
    "in float32": each(np.float32),
    "as arrays, for one number of shape ()": each(np.array),
    "as arrays of Python's objects": each(lambda value: np.array(value, dtype=object)),
    "as lists": in_lists,
    "as tuples": in_tuples,
    "one number in an array of its own": each(boxed),
    "one number in a list of its own": lambda answer: [answer] if np.isscalar(answer) else answer,
}


@pytest.mark.parametrize("number", CHECKS)
@pytest.mark.parametrize("form", FORMS)
def test_a_right_answer_is_right_however_it_is_written(number, form):
    verdict = told(number, lambda *given: FORMS[form](SOLUTIONS[number](*given)))
    assert verdict.state == "right", verdict


@pytest.mark.parametrize("number", CHECKS)
def test_a_right_answer_is_right_if_all_of_it_is_computed_in_float32(number):
    def single(value):
        wide = isinstance(value, np.ndarray) and value.dtype == np.float64
        return value.astype(np.float32) if wide else value

    def answer(*given):
        return each(single)(SOLUTIONS[number](*each(single)(given)))

    verdict = told(number, answer)
    assert verdict.state == "right", verdict


@pytest.mark.parametrize("number", CHECKS)
@pytest.mark.parametrize("factor", [1 + 1e-7, 1 + 3e-6, 1 + 3e-5, 1 - 2e-4, 1.01])
def test_an_answer_that_is_a_little_off_is_told_what_differs(number, factor):
    def answer(*given):
        return each(lambda value: np.asarray(value) * factor)(SOLUTIONS[number](*given))

    told(number, answer)


@pytest.mark.parametrize("number", CHECKS)
def test_an_answer_in_which_every_number_is_one_larger_is_wrong(number):
    def answer(*given):
        return each(lambda value: np.asarray(value) + 1)(SOLUTIONS[number](*given))

    assert told(number, answer).state == "wrong"


@pytest.mark.parametrize("number", CHECKS)
def test_an_answer_in_words_is_wrong(number):
    def answer(*given):
        return each(str)(in_lists(SOLUTIONS[number](*given)))

    assert told(number, answer).state == "wrong"


@pytest.mark.parametrize("number", CHECKS)
def test_a_set_is_an_answer_only_where_order_does_not_count(number):
    verdict = told(number, lambda *given: set(np.ravel(SOLUTIONS[number](*given)).tolist()))
    assert (verdict.state == "right") == (number in ("02.4", "09.1"))


# --------------------------------------------------------------------------- what is no answer


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


JUNK = {
    "text": "four",
    "long text": "four " * 200,
    "ragged": [1, [2, 3]],
    "nothing in it": [None, None],
    "empty": [],
    "a dict": {"a": 1},
    "an object": object(),
    "a function": stub,
    "NaN": np.nan,
    "infinity": np.inf,
    "huge": 1e300,
    "below zero": -7.5,
    "complex": 2 + 1j,
    "no column": np.zeros((0, 3)),
    "many numbers": np.random.default_rng(0).normal(size=(50, 60)),
    "nested lists": np.random.default_rng(0).normal(size=(50, 60)).tolist(),
    "two things": (np.ones((4, 4)), "b"),
}


@pytest.mark.parametrize("number", CHECKS)
@pytest.mark.parametrize("junk", JUNK)
def test_an_answer_that_makes_no_sense_is_wrong_and_no_crash(number, junk):
    assert told(number, lambda *arguments: JUNK[junk]).state == "wrong"


@pytest.mark.parametrize("number", CHECKS)
def test_an_error_is_told_shortly_whatever_was_given_and_whatever_it_says(number):
    def wordy(*arguments):
        raise ValueError(f"{arguments} {object()} {stub} " * 9)

    def wrongly_called(*arguments):
        return np.zeros((2, 3)) @ np.zeros((2, 3)), "and a line that is too long to be read" * 3

    for answer in (wordy, wrongly_called, lambda: 0, lambda *given: given[-1] + object(), 5, next):
        assert told(number, answer).state == "wrong"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.3, np.float64(np.float32(0.3))), ("0.3", "0.30000001")),
        ((0.5, 0.5), ("0.5", "0.5")),
        ((505020.0, 505021.0), ("505020", "505021")),
        ((-0.0, 1e300), ("0", "1e+300")),
        ((float("nan"), float("inf")), ("nan", "inf")),
    ],
)
def test_values_that_differ_look_different(values, words):
    assert shown(*values) == words


def test_a_long_list_is_cut():
    assert listed(np.arange(20)) == "[0, 1, 2, 3, 4, 5, …]"
    assert listed([0.5]) == "[0.5]"


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
