"""What goes with every number that a long experiment wrote."""

import json
import platform

import pytest

from cmc_helpers import provenance


def read(path):
    return json.loads(path.read_text("utf-8"))


def test_provenance_comes_first_and_names_no_machine_s_owner(tmp_path):
    results = provenance.provenance("python tools/experiments/x.py") | {"found": "π"}
    assert list(results) == ["command", "date", "machine", "versions", "found"]
    assert platform.node() not in json.dumps(results) or not platform.node()
    provenance.write(tmp_path / "x.json", results)
    assert read(tmp_path / "x.json") == results
    assert "π" in (tmp_path / "x.json").read_text("utf-8")


def test_in_a_line_nothing_of_it_is_missing():
    about = provenance.provenance("make x")
    line = provenance.in_words(about)
    assert "\n" not in line and "`make x`" in line
    for word in (about["date"], about["machine"], f"python {platform.python_version()}", "numpy "):
        assert word in line


def test_a_result_that_cannot_be_written_whole_leaves_the_older_one(tmp_path):
    provenance.write(tmp_path / "x.json", {"a": 1})
    with pytest.raises(TypeError):
        provenance.write(tmp_path / "x.json", {"a": object()})
    assert read(tmp_path / "x.json") == {"a": 1}


def test_a_stage_that_is_done_is_not_done_again(tmp_path):
    done = provenance.Stages(tmp_path / "stages.json")
    assert done("one", lambda: 1) == 1

    def again():
        raise AssertionError("it was done already")

    assert provenance.Stages(tmp_path / "stages.json")("one", again) == 1
