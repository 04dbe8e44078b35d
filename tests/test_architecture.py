"""Who may import whom: the tables of docs/architecture.md are in order, and the package obeys."""

import ast
import re

import pytest
from notebook_rules import ROOT

PACKAGE = ROOT / "cmc_helpers"
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
MODULES = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)  # a row for each, from above downwards
VIEWS = ["controls", "player_view", "listening_view", "widgets"]
SHOWS = ["plots", "diagrams", "notebook", "player", *VIEWS, "exercises", "cli"]
WITHOUT_NETWORKS = ["audio", "features", "inversion", "mixtures", "sequences"]


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
    assert sorted(MODULES) == sorted(there)
    assert MODULES[-len(SHOWS) :] == SHOWS


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_rows_above_and_networks_only_when_needed(module):
    assert siblings(module) <= {*MODULES[: MODULES.index(module)], module}
    assert not networks_in(imported(module, top=True))


@pytest.mark.parametrize("module", WITHOUT_NETWORKS)
def test_what_is_not_about_networks_never_imports_tensorflow(module):
    reached = [module]
    for name in reached:  # which grows on the way
        reached += siblings(name) - set(reached)
    assert {name: found for name in reached if (found := networks_in(imported(name)))} == {}
