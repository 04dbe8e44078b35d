"""One command measures everything again, goes on where it was stopped, and names what failed."""

import json
import subprocess
import sys

import pytest
import remake
from notebook_rules import ROOT


@pytest.fixture
def steps(monkeypatch, tmp_path):
    """Three steps that write a line each; the second fails as long as there is no file `go`."""
    script, lines = tmp_path / "step.py", tmp_path / "lines"
    script.write_text(
        "import sys; from pathlib import Path\n"
        "name, log, go = sys.argv[1:]\n"
        "if name == 'b' and not Path(go).exists(): sys.exit(3)\n"
        "with open(log, 'a') as file: print(name, file=file)\n"
    )
    said = f"{script} {{}} {lines} {tmp_path / 'go'}"
    monkeypatch.setattr(remake, "STEPS", {name: said.format(name) for name in "abc"})
    return lines


def test_it_stops_at_what_fails_and_goes_on_from_there(steps, tmp_path):
    with pytest.raises(SystemExit, match="Error: Command .* exit status 3"):
        remake.main(["--work", str(tmp_path / "w")])
    assert steps.read_text() == "a\n"
    (tmp_path / "go").touch()
    remake.main(["--work", str(tmp_path / "w")])
    assert steps.read_text() == "a\nb\nc\n"
    remake.main(["--work", str(tmp_path / "w")])  # nothing is left
    assert steps.read_text() == "a\nb\nc\n"
    remake.main(["--work", str(tmp_path / "w"), "--only", "a"])  # what is named is done again
    assert steps.read_text() == "a\nb\nc\na\n"
    assert list(json.loads((tmp_path / "w" / "finished.json").read_text())) == ["b", "c", "a"]


def test_it_says_what_is_left_and_does_nothing(steps, tmp_path, capsys):
    remake.main(["--work", str(tmp_path / "w"), "--list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines] == ["to do  a:", "to do  b:", "to do  c:"]
    assert not steps.exists() and not (tmp_path / "w").exists()


@pytest.mark.parametrize("name", remake.STEPS)
def test_each_step_is_a_command_of_this_checkout(name, tmp_path):
    first, *rest = remake.command(name, tmp_path)
    if first == "-m":
        assert rest[:2] == ["cmc_helpers", "corpus"]
    else:
        assert (ROOT / first).is_file()
        written = (ROOT / first).read_text("utf-8")
        for option in (word for word in rest if word.startswith("--")):
            assert f'"{option}"' in written


def test_every_experiment_on_the_corpus_is_made_again():
    """Except the search of hyper-parameters, whose verdict the training has used."""
    there = {path.stem for path in (ROOT / "tools" / "experiments").glob("*.json")}
    done = {word for words in remake.STEPS.values() for word in words.split()}
    made = {name for name in there if f"tools/experiments/{name}.py" in done}
    assert there - made <= {"hyperparameter_search"}


def test_it_runs_with_the_python_that_calls_it():
    said = [sys.executable, ROOT / "tools" / "remake.py", "--work", "nowhere", "--list"]
    done = subprocess.run(said, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == len(remake.STEPS)
