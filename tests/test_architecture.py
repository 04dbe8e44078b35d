"""Who may import whom: the tables of docs/architecture.md are in order, and the package obeys."""

import ast
import re
from graphlib import TopologicalSorter

import pytest
from house import DOORS, PACKAGE, ROOMS, ROWS, file_of

SHOWS = ["plots", "notebook", "player", "widgets", "exercises", "cli"]
WITHOUT_NETWORKS = ["audio", "features", "inversion", "mixtures", "sequences", "vectors"]


def imports(nodes):
    """The full dotted names imported in `nodes`: of `from a import b` both a and a.b, for b may be
    a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join(filter(None, ["cmc_helpers" * bool(node.level), node.module]))
            yield from (origin, *(f"{origin}.{alias.name}" for alias in node.names))


def imported(module, top=False):
    """What the files of a module import: anywhere, or only when they are loaded themselves."""
    files = [*(PACKAGE / module).rglob("*.py")] or [PACKAGE / f"{module}.py"]
    trees = [ast.parse(path.read_text("utf-8")) for path in files]
    return set(imports(node for tree in trees for node in (tree.body if top else ast.walk(tree))))


def siblings(module):
    return {name.split(".")[1] for name in imported(module) if name.startswith("cmc_helpers.")}


def networks_in(names):
    return {name for name in names if re.match(r"(tensorflow|keras)\b", name)}


def test_every_module_has_its_row_and_those_that_show_things_come_last():
    there = {path.stem for path in PACKAGE.iterdir() if re.match(r"[a-z]\w+(\.py)?$", path.name)}
    assert sorted(DOORS) == sorted(there)
    assert DOORS[-len(SHOWS) :] == SHOWS


@pytest.mark.parametrize("module", DOORS)
def test_a_module_imports_only_from_rows_above_and_networks_only_when_needed(module):
    assert siblings(module) <= {*DOORS[: DOORS.index(module)], module}
    assert not networks_in(imported(module, top=True))


def test_every_room_has_its_row_below_its_door_s():
    there = {
        f"{path.parent.name}.{path.stem}"
        for path in PACKAGE.glob("*/[a-z]*.py")
        if path.parent.name not in ("exercises", "__pycache__")  # one of which is like the other
    }
    assert sorted(ROOMS) == sorted(there)
    for above, row in zip(ROWS, ROWS[1:], strict=False):
        assert "." not in row or above.partition(".")[0] == row.partition(".")[0]


def needed(path, files):
    """Which of the modules `files` a file imports, or imports something from."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            yield from {f"{node.module}.{alias.name}", node.module} & files.keys()


@pytest.mark.parametrize("door", sorted({room.partition(".")[0] for room in ROOMS}))
def test_behind_a_door_no_imports_go_round_in_a_circle(door):
    name = f"cmc_helpers.{door}"
    files = {f"{name}.{path.stem}": path for path in (PACKAGE / door).glob("*.py")}
    files[name] = files.pop(f"{name}.__init__")
    needs = {module: set(needed(path, files)) for module, path in files.items()}
    for rooms in needs.values():  # `from door import room` asks for the room alone
        rooms -= {name} if len(rooms) > 1 else set()
    list(TopologicalSorter(needs).static_order())  # CycleError, with the names, if there is one


def public_functions(node, within=""):
    """(name, function) of the public functions in a syntax tree, and of those of public classes."""
    for part in node.body:
        if isinstance(part, ast.ClassDef) and not part.name.startswith("_"):
            yield from public_functions(part, f"{part.name}.")
        elif isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
            yield within + part.name, part


@pytest.mark.parametrize("module", DOORS + ROOMS)
def test_every_public_function_says_its_types(module):
    untyped = []
    for name, function in public_functions(ast.parse(file_of(module).read_text("utf-8"))):
        given = function.args
        everything = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        arguments = [one for one in everything if one and one.arg not in ("self", "cls")]
        if not function.returns or not all(one.annotation for one in arguments):
            untyped.append(name)
    assert untyped == []


@pytest.mark.parametrize("module", WITHOUT_NETWORKS)
def test_what_is_not_about_networks_never_imports_tensorflow(module):
    reached = [module]
    for name in reached:  # which grows on the way
        reached += siblings(name) - set(reached)
    assert {name: found for name in reached if (found := networks_in(imported(name)))} == {}


def test_the_package_s_first_page_names_every_door():
    page = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text("utf-8")))
    listed = re.findall(r"^    ((?:\w+, )*\w+)\s", page, re.MULTILINE)
    beneath = re.findall(r"`(\w+)`", page.rpartition("Beneath")[2].partition("\n\n")[0])
    named = [name for names in listed for name in names.split(", ")] + beneath
    assert sorted(named) == sorted(DOORS)
