"""What is stored of mutation testing is whole, explained and enough; and its sums are right."""

import json

import mutants
import pytest

STORED = json.loads(mutants.RESULTS.read_text("utf-8"))


def results(killed, alive, timeout=0):
    found = {"mutants": killed + timeout + len(alive), "killed": killed, "timeout": timeout}
    return {"modules": {"mixtures": found | {"alive": alive}}}


def test_at_least_85_percent_of_the_mutants_of_every_module_were_noticed_and_the_rest_explained():
    assert list(STORED["modules"]) == list(mutants.MODULES)
    assert mutants.judge(STORED, mutants.explanations()) == 0


def test_the_page_shows_what_is_stored():
    page = mutants.report(STORED, mutants.explanations())
    assert page == mutants.REPORT.read_text("utf-8")
    assert "Not explained yet" not in page


def test_no_explanation_speaks_of_a_mutant_that_does_not_live():
    alive = {(name, *one) for name, found in STORED["modules"].items() for one in found["alive"]}
    assert set(mutants.explanations()) == alive


def test_too_few_and_the_unexplained_are_refused():
    one = ["f", "a + b", "a - b"]
    why = {("mixtures", *one): "because"}
    assert mutants.judge(results(9, [one]), why) == 0
    assert mutants.judge(results(9, [one]), {}) == 1
    assert mutants.judge(results(4, [one]), why) == 1
    assert mutants.judge(results(4, [one], timeout=5), why) == 0


def test_only_a_test_that_fails_or_never_ends_has_noticed():
    pytest.importorskip("mutmut")
    codes = {"failed": 1, "error": 3, "passed": 0, "no test": 33, "too long": 36, "cpu": -24}
    assert mutants.summary(codes, lambda key: [key, "", ""]) == {
        "mutants": 6,
        "killed": 2,
        "timeout": 2,
        "alive": [["no test", "", ""], ["passed", "", ""]],
    }


def test_a_package_is_tried_with_the_rooms_that_have_no_tests_of_their_own():
    assert mutants.paths_of("features") == ["cmc_helpers/features.py"]
    assert mutants.paths_of("analysis") == ["cmc_helpers/analysis/__init__.py"]
    rooms = ["__init__", "expansion", "filterbank", "search", "starts", "transform"]
    assert mutants.paths_of("inversion") == [f"cmc_helpers/inversion/{r}.py" for r in rooms]
