"""Every reader of a file against damaged ones: a little of what `make fuzz` does at length."""

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz"
DAMAGED = 40  # of each reader, by bytes and inside its container


@pytest.fixture(scope="module")
def fuzz():
    """The modules of tests/fuzz."""
    sys.path.insert(0, str(FUZZ))
    try:
        import mutations
        import targets

        yield mutations, targets
    finally:
        sys.path.remove(str(FUZZ))


@pytest.fixture(scope="module")
def known(fuzz, vectors_run, tmp_path_factory):
    """All targets, with the files of a trained run among them."""
    return fuzz[1].targets(tmp_path_factory.mktemp("fuzz"), vectors_run)


def test_every_reader_takes_its_own_good_files(fuzz, known):
    assert len(known) == 25
    for target in known.values():
        assert target.seeds
        for seed in target.seeds:
            assert fuzz[1].check(target, seed), target.name


def test_every_reader_takes_a_damaged_file_or_refuses_it_in_a_sentence(fuzz, known):
    mutations, targets = fuzz
    refused = 0
    for target in known.values():
        slow = target.name in ("musicxml", "mxl", "kern")
        for number in range(DAMAGED // 8 if slow else DAMAGED):
            rng = random.Random(number)
            change = mutations.inside if number % 2 else mutations.by_bytes
            data = change(rng.choice(target.seeds), rng)
            try:
                refused += not targets.check(target, data)
            except targets.Finding as finding:
                finding.add_note(f"{target.name}, damage number {number}")
                raise
    assert refused > 100  # or the damage would do nothing


@pytest.mark.parametrize(
    "use, finding",
    [
        (lambda path: {}["x"], "KeyError: .*x"),
        (lambda path: (_ for _ in ()).throw(ValueError("a\nb")), "ValueError"),
    ],
)
def test_what_a_reader_may_not_do_is_found(fuzz, known, use, finding):
    target = known["csv"]._replace(use=use)
    with pytest.raises(fuzz[1].Finding, match=finding):
        fuzz[1].check(target, b"1,2\n")


def test_memory_beyond_bounds_is_found(fuzz, known, monkeypatch):
    """With a peak that is said: this process may have held more long before."""
    targets = fuzz[1]
    for more, found in ((targets.MEGABYTES, False), (targets.MEGABYTES + 1, True)):
        peaks = iter([100, 100 + more])
        monkeypatch.setattr(targets, "_peak", lambda peaks=peaks: next(peaks))
        if found:
            with pytest.raises(targets.Finding, match="MB"):
                targets.check(known["csv"], b"1,2\n")
        else:
            assert targets.check(known["csv"], b"1,2\n")


def test_a_sentence_must_be_one_line_about_the_file(fuzz, known):
    from cmc_helpers.vectors import SequenceError

    def say(sentence):
        def use(path):
            error = SequenceError("")
            error.args = (sentence.format(path),)
            raise error

        return known["csv"]._replace(use=use)

    assert not fuzz[1].check(say("{} is bad"), b"1")
    for bad in ("something is bad", "{} is\nbad", "{} is " + "bad" * 999):
        with pytest.raises(fuzz[1].Finding, match="sentence"):
            fuzz[1].check(say(bad), b"1")


@pytest.mark.skipif(not importlib.util.find_spec("atheris"), reason="needs the extra fuzz")
def test_the_command_fuzzes_with_coverage_and_writes_its_table(vectors_run, tmp_path):
    command = [sys.executable, str(FUZZ / "fuzz.py"), "--run", str(vectors_run), "--runs", "300"]
    command += ["--only", "csv", "answers", "--seed", "3", "--output", str(tmp_path / "table.md")]
    command += ["--findings", str(tmp_path / "found")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if " 300 inputs " in line]
    assert [row.split()[0] for row in rows] == ["csv", "answers"]
    assert all(int(row.split("edges")[0].split()[-1]) > 10 for row in rows)
    table = Path(tmp_path / "table.md").read_text("utf-8")
    assert table.count("| 300 |") == 2 and not os.path.exists(tmp_path / "found")
    assert "atheris" in table and table.index("| answers |") < table.index("| csv |")
