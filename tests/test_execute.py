"""`make notebooks` stores the same bytes each time."""

import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_rules import ROOT, execute


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout whose only notebooks are those the test writes."""
    notebooks = tmp_path / "checkout" / "notebooks"
    (notebooks / "solutions").mkdir(parents=True)
    shutil.copytree(ROOT / "cmc_helpers", tmp_path / "checkout" / "cmc_helpers")
    monkeypatch.setattr(execute, "FOLDER", notebooks)
    return notebooks


def write(path, *sources):
    cells = [new_markdown_cell("# Title"), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.mark.slow
def test_a_second_run_changes_no_byte(folder):
    path = write(
        folder / "00_lesson.ipynb",
        "from cmc_helpers import notebook, plots",
        "plots.figure_with_alt(plots.waveform([0, 1], 'A rise'), 'A line that rises')",
        "with notebook.progress(3, 'Counting') as bar:\n"
        "    for i in range(3):\n        bar.update()\n        print(i, flush=True)",
    )
    assert execute.execute(path)
    first = path.read_bytes()
    assert not execute.execute(path)
    assert path.read_bytes() == first
    assert {file.name for file in folder.iterdir()} == {"00_lesson.ipynb", "solutions"}

    page = nbformat.reads(first.decode(), as_version=4)
    nbformat.validate(page)
    code = [cell for cell in page.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4]
    assert code[0].source == execute.SETUP_CELL
    assert code[0].outputs == []
    assert code[2].outputs[0].metadata["image/png"]["alt"] == "A line that rises"
    assert [output.get("text") for output in code[3].outputs] == [None, "0\n1\n2\n"]
    assert code[3].outputs[0].data == {"text/plain": "Counting"}
    assert all(set(cell.metadata) <= {"tags"} for cell in page.cells)


@pytest.mark.slow
def test_an_error_names_notebook_and_cell_and_leaves_the_file_alone(folder, capsys):
    write(folder / "00_fine.ipynb", "print(1)")
    path = write(folder / "01_broken.ipynb", "x = 1", "y = x / 0\nprint(y)")
    before = path.read_bytes()
    with pytest.raises(SystemExit) as stopped:
        execute.main([])
    assert stopped.value.code == (
        "01_broken.ipynb stopped in cell 4 ('y = x / 0'): ZeroDivisionError: division by zero"
    )
    assert path.read_bytes() == before
    assert "00_fine.ipynb" in capsys.readouterr().out
    assert not list(folder.glob(".*"))


@pytest.mark.slow
def test_an_expected_error_is_stored(folder):
    path = write(folder / "00_lesson.ipynb", "1 / 0")
    page = nbformat.read(path, as_version=4)
    page.cells[1].metadata["tags"] = ["raises-exception"]
    nbformat.write(page, path)
    execute.execute(path)
    cell = nbformat.read(path, as_version=4).cells[2]
    assert cell.outputs[0].ename == "ZeroDivisionError"
    assert cell.metadata == {"tags": ["raises-exception"]}


@pytest.mark.slow
def test_a_cell_that_never_ends_is_stopped_in_a_sentence(folder, monkeypatch):
    monkeypatch.setattr(execute, "CELL_SECONDS", 1)
    path = write(folder / "00_slow.ipynb", "import time\n\ntime.sleep(1000)")
    with pytest.raises(execute.NotebookError, match=r"cell 3 \('import time'\): it takes too long"):
        execute.execute(path)


def test_lessons_run_in_reading_order_before_their_solutions(folder):
    for name in ("solutions/00_a", "09_c", "00_a", "07_b"):
        write(folder / f"{name}.ipynb")
    stems = [path.relative_to(folder).as_posix() for path in execute.notebooks()]
    assert stems == ["00_a.ipynb", "07_b.ipynb", "09_c.ipynb", "solutions/00_a.ipynb"]
    (named,) = execute.notebooks(["07_b"])
    assert named == folder / "07_b.ipynb"
    assert execute.notebooks(["notebooks/07_b.ipynb"]) == [named]
    with pytest.raises(execute.NotebookError, match="no notebook called 08_x"):
        execute.notebooks(["08_x"])


def test_normal_form_keeps_what_a_reader_sees_and_drops_the_rest():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1f"}, "text/plain": "A bar"}
    cell = new_code_cell(
        "x",
        id="abc",
        execution_count=1,
        metadata={"tags": ["setup"], "execution": {"iopub.status.busy": "now"}, "scrolled": True},
        outputs=[new_output("display_data", data=view)],
    )
    page = new_notebook(
        cells=[cell],
        metadata={"widgets": {"x": {}}, "language_info": {"name": "python", "version": "3.11.4"}},
    )
    page = execute.normalise(page)
    assert page.metadata["language_info"] == {"name": "python"}
    assert set(page.metadata) == {"kernelspec", "language_info"}
    assert page.cells[0].metadata == {"tags": ["setup"]}
    assert page.cells[0].id == "abc"
    assert page.cells[0].outputs[0].data == {"text/plain": "A bar"}
    assert nbformat.writes(execute.normalise(page)) == nbformat.writes(page)


def test_the_set_up_cell_is_written_once_and_kept_up_to_date():
    page = new_notebook(cells=[new_markdown_cell("# Title"), new_code_cell("1 + 1")])
    for _ in range(2):
        execute.refresh_setup(page)
        assert [cell.source for cell in page.cells] == ["# Title", execute.SETUP_CELL, "1 + 1"]
    page.cells[1].source = "an older set-up"
    execute.refresh_setup(page)
    assert page.cells[1].source == execute.SETUP_CELL
