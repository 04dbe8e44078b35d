"""The package's doors and rooms, as the tables of docs/architecture.md list them."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cmc_helpers"
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
TABLES = "".join(re.findall(r"^\| door \|.+?\n\n", TEXT, re.MULTILINE | re.DOTALL))
ROWS = re.findall(r"^\| `([\w.]+)` \|", TABLES, re.MULTILINE)  # from above downwards
DOORS, ROOMS = ([row for row in ROWS if ("." in row) == room] for room in (False, True))


def file_of(module, package=PACKAGE):
    """The file of `training.windows`; of a package its `__init__.py`."""
    path = package.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def module_of(path, package=PACKAGE):
    """`training.windows`, of a file in the package."""
    return ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
