"""The second-use rule: what a lesson writes out and the package repeats is the same."""

import ast
import copy
import re

import nbformat
import pytest
from house import file_of, module_of
from nbformat.v4 import new_code_cell, new_notebook
from notebook_rules import LESSONS, ROOT, Page, tags

ORIGIN = re.compile(r"Notebook:? (\d\d)")


def definitions(source):
    """Name → top-level function or class."""
    kinds = ast.FunctionDef, ast.ClassDef
    return {node.name: node for node in ast.parse(source).body if isinstance(node, kinds)}


def meaning(definition):
    """The definition without docstrings, comments and the types of arguments, to be compared."""
    definition = copy.deepcopy(definition)
    for node in ast.walk(definition):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        if (
            isinstance(node, (ast.FunctionDef, ast.ClassDef))
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(definition)


def behind(helper, package):
    """The definition of `module.function`, in the module or in the room that it has it from."""
    module, _, name = helper.rpartition(".")
    path = file_of(module, package)
    if not path.exists():
        return None
    source = path.read_text("utf-8")
    room = has_from(source, name)
    return behind(f"{room}.{name}", package) if room else definitions(source).get(name)


def has_from(source, name):
    """The room, `door.room`, that a door has `name` from; None if it has it from no room."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return node.module.removeprefix("cmc_helpers.")
    return None


def drift(page, package=ROOT / "cmc_helpers"):
    """Where a cell tagged `helper:module.function` is not that function."""
    for cell in page.code:
        for tag in tags(cell):
            if not tag.startswith("helper:"):
                continue
            helper = behind(tag.removeprefix("helper:"), package)
            name = tag.rpartition(".")[2]
            lesson = definitions(cell.source).get(name)
            if helper is None:
                yield f"{tag}: the package has no such function"
            elif lesson is None:
                yield f"{tag}: the cell does not define {name}"
            elif meaning(lesson) != meaning(helper):
                yield f"{tag}: lesson and package differ"


def origins(package=ROOT / "cmc_helpers"):
    """The helpers that name the notebook they come from, as (module.function, number).

    What a door has from one of its rooms goes by the door's name.
    """
    for path in sorted(package.rglob("*.py")):
        module = module_of(path, package)
        door = path.parent / "__init__.py"
        shown = door.read_text("utf-8") if door.exists() and path != door else ""
        for name, node in definitions(path.read_text("utf-8")).items():
            for number in ORIGIN.findall(ast.get_docstring(node) or ""):
                if not name.startswith("_"):
                    there = module.rpartition(".")[0] if has_from(shown, name) == module else module
                    yield f"{there}.{name}", number


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_and_package_are_the_same(path):
    assert list(drift(Page(path))) == []


@pytest.mark.parametrize(("helper", "number"), list(origins()))
def test_a_helper_stands_in_the_notebook_it_names(helper, number):
    lessons = [Page(path) for path in LESSONS if path.name.startswith(number)]
    for page in lessons:
        assert any(f"helper:{helper}" in tags(cell) for cell in page.code)


HELPER = '''
def double(x):
    """Twice x, of any shape.

    Notebook: 07, section 1.
    """
    return 2 * x


def _private(x):
    """Notebook: 07."""


def silent(x):
    """No origin."""
'''


@pytest.fixture
def package(tmp_path):
    """`sums`, and `door` with a room behind it: the same function in both."""
    (tmp_path / "package" / "door").mkdir(parents=True)
    for name, source in {
        "sums": HELPER,
        "door/room": HELPER,
        "door/__init__": "from cmc_helpers.door.room import double as double",
    }.items():
        (tmp_path / "package" / f"{name}.py").write_text(source, "utf-8")
    return tmp_path / "package"


@pytest.mark.parametrize(
    ("source", "tag", "found"),
    [
        ("def double(x):\n    return 2 * x  # twice", "sums.double", None),
        ('def double(x):\n    """Other words."""\n    return 2 * x', "sums.double", None),
        ("def double(x: float) -> float:\n    return 2 * x", "sums.double", None),
        ("import math\n\n\ndef double(x):\n    return 2 * x\n\n\ndouble(1)", "sums.double", None),
        ("def double(x):\n    return x * 2", "sums.double", "differ"),
        ("def double(y):\n    return 2 * y", "sums.double", "differ"),
        ("def double(x, n=2):\n    return 2 * x", "sums.double", "differ"),
        ("def twice(x):\n    return 2 * x", "sums.double", "does not define"),
        ("def double(x):\n    return 2 * x", "door.double", None),
        ("def double(x):\n    return 2 * x", "door.room.double", None),
        ("def double(x):\n    return x * 2", "door.double", "differ"),
        ("def silent(x):\n    return x", "door.silent", "no such function"),
        ("def treble(x):\n    return 3 * x", "sums.treble", "no such function"),
        ("def double(x):\n    return 2 * x", "other.double", "no such function"),
    ],
)
def test_drift_is_found_and_words_are_free(tmp_path, package, source, tag, found):
    cell = new_code_cell(source, metadata={"tags": [f"helper:{tag}"]})
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "07_lesson.ipynb")
    said = list(drift(Page(tmp_path / "07_lesson.ipynb"), package))
    assert len(said) == (found is not None)
    assert not found or found in said[0]


def test_origins_are_read_from_public_docstrings(package):
    assert list(origins(package)) == [("door.double", "07"), ("sums.double", "07")]
