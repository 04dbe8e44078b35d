"""Run every notebook again and store what it shows: `make notebooks`.

    .venv/bin/python tools/execute.py [NAME …]      all of them, or e.g. 07_preprocessing

Outputs are stored without timings, without widget state and with the set-up cell below, so that
a second run changes no byte. The first error stops the run, names notebook and cell, and leaves
that notebook as it was.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
CELL_SECONDS, NOTEBOOK_SECONDS = 300, 900
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# The one set-up cell, tagged `setup`. Its tag is also the one that the badges name.
SETUP_CELL = """\
# Set-up, the same in every notebook. It does nothing where cmc_helpers is installed.
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from subprocess import run

if not find_spec("cmc_helpers"):
    if above := [folder for folder in Path.cwd().parents if (folder / "cmc_helpers").is_dir()]:
        sys.path.insert(0, str(above[0]))
    elif "google.colab" in sys.modules:
        url = "git+https://github.com/cmc-notebooks/cmc-notebooks@v0.1.0"
        pip = [sys.executable, "-m", "pip", "install", "-qq"]
        run([*pip, os.getenv("CMC_REPO_URL", url)], check=True)
    else:
        raise ImportError("cmc_helpers is missing: clone its repository, run python start.py lab")\
"""


class NotebookError(RuntimeError):
    """One sentence: which notebook stopped, in which cell, and why."""


def notebooks(names=()):
    """The notebooks in reading order, then their solutions; with `names`, only those named so."""
    paths = sorted(FOLDER.glob("*.ipynb")) + sorted(FOLDER.glob("solutions/*.ipynb"))
    wanted = {Path(name).stem for name in names}
    if unknown := wanted - {path.stem for path in paths}:
        raise NotebookError(f"there is no notebook called {', '.join(sorted(unknown))}")
    return [path for path in paths if not wanted or path.stem in wanted]


def execute(path):
    """Run the notebook at `path` in a fresh kernel and store its outputs in normal form.

    Returns True if the file changed. Raises NotebookError, and leaves the file alone, when a cell
    fails or takes longer than five minutes.
    """
    notebook = nbformat.read(path, as_version=4)
    refresh_setup(notebook)
    current = []
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],
        coalesce_streams=True,
        on_cell_start=lambda cell, cell_index: current.append(cell_index),
    )
    try:
        # nbclient's own timeout does not cover a kernel that never answers.
        asyncio.run(asyncio.wait_for(client.async_execute(), NOTEBOOK_SECONDS))
    except (CellExecutionError, CellTimeoutError, DeadKernelError, TimeoutError) as problem:
        raise NotebookError(_sentence(path, notebook, current, problem)) from problem
    text = nbformat.writes(normalise(notebook)) + "\n"
    if text == path.read_text(encoding="utf-8"):
        return False
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return True


def refresh_setup(notebook):
    """Write SETUP_CELL into the cell tagged `setup`, or into a new one below the title."""
    for cell in notebook.cells:
        if "setup" in cell.metadata.get("tags", []):
            cell.source = SETUP_CELL
            return
    cell = nbformat.v4.new_code_cell(SETUP_CELL, id="setup", metadata={"tags": ["setup"]})
    notebook.cells.insert(1, cell)


def normalise(notebook):
    """Drop what differs from run to run or from machine to machine; returns the notebook.

    What stays: sources, tags, cell ids, execution counts and outputs, the latter without widget
    views, whose model ids are random and mean nothing without a kernel.
    """
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat_minor = 5
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
    nbformat.validate(notebook)
    return notebook


def _sentence(path, notebook, current, problem):
    """What NotebookError says: the cell's number, its first line, and the error in one line."""
    cell = notebook.cells[current[-1]] if current else None
    where = f"in cell {current[-1] + 1} ({cell.source.splitlines()[0]!r})" if current else "at once"
    if isinstance(problem, CellExecutionError):
        why = f"{problem.ename}: {problem.evalue}"
    elif isinstance(problem, TimeoutError):  # CellTimeoutError is one too
        why = f"it takes too long (at most {CELL_SECONDS} s a cell, {NOTEBOOK_SECONDS} s in all)"
    else:
        why = "the kernel died"
    return f"{path.name} stopped {where}: {' '.join(why.split())}"


def main(names):
    """Execute `names`, or all, one after the other, each with a line that says how long it took."""
    try:
        for path in notebooks(names):
            start = time.perf_counter()
            changed = execute(path)
            seconds = time.perf_counter() - start
            print(f"{path.name:32} {seconds:5.1f} s  {'stored' if changed else 'unchanged'}")
    except NotebookError as problem:
        sys.exit(f"{problem}")


if __name__ == "__main__":
    main(sys.argv[1:])
