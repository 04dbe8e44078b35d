"""Make every link name the one repository and release: `make links [REPOSITORY=owner/name]`.

    .venv/bin/python notebooks/links.py [OWNER/NAME]

The address stands in pyproject.toml, under project.urls, and the release follows from the version
beside it. With a name, that address is changed first. Then badges, set-up cells, CITATION.cff and
whatever else named the old address are made to agree. A second run changes nothing.
"""

import os
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GITHUB = "https://github.com/"
KINDS = {".cff", ".ipynb", ".md", ".py", ".toml", ".yml"}
# What GitHub allows
NAME = re.compile(r"[A-Za-z\d](?:-?[A-Za-z\d]){0,38}/(?!\.{1,2}$)[\w.-]{1,100}(?<!\.git)", re.ASCII)
PLACE = r"[\w-]+/[\w.-]*\w"  # a name inside a text


class LinksError(ValueError):
    """One sentence: which name is wrong."""


def project():
    """The repository's owner/name and the version of the package, both from pyproject.toml."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return stated["urls"]["Repository"].removeprefix(GITHUB), stated["version"]


def tag(version):
    """The release that the links name: what is in the works, `.dev`, will be released as that."""
    return "v" + re.sub(r"\.dev\d*$", "", version)


def rewrite(name=None):
    """Make all files follow pyproject.toml; with a `name`, "owner/name", that is written there.

    Returns the paths of the files that changed. Raises LinksError for a name that GitHub would not
    take, and then touches nothing.
    """
    stated, version = project()
    name = stated if name is None else name
    if not NAME.fullmatch(name):
        raise LinksError(f"{name!r} is not of the form owner/name, as GitHub has them")
    first, last = ROOT / "pyproject.toml", ROOT / "CITATION.cff"
    cited = re.findall(rf"(?m)^repository-code: {GITHUB}(.+)$", last.read_text("utf-8"))
    # The citation comes last: it keeps the old name for a run that was interrupted.
    paths = [first, *(path for path in _files() if path not in (first, last)), last]
    return [path for path in paths if _edit(path, {stated, *cited}, name, version)]


def _edit(path, old, name, version):
    """Write `name` and `version` into one file, where it has links; returns whether it changed."""
    before = path.read_bytes().decode("utf-8")
    olds = "|".join(map(re.escape, old))
    patterns = [
        (rf"(mybinder\.org/v2/gh/){PLACE}/[\w.-]+", f"{name}/{tag(version)}"),
        (
            rf"(colab\.research\.google\.com/github/){PLACE}/blob/[\w.-]+",
            f"{name}/blob/{tag(version)}",
        ),
        (rf"(git\+{GITHUB}){PLACE}@[\w.-]+", f"{name}@{tag(version)}"),
        (rf"({GITHUB})(?:{olds})(?![\w-])", name),
    ]
    if path.name == "CITATION.cff":
        patterns.append((r"(?m)^(version: ).*$", version))
    after = before
    for pattern, link in patterns:
        after = re.sub(pattern, rf"\g<1>{link}", after)
    if after == before:
        return False
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(after.encode("utf-8"))
    temporary.chmod(path.stat().st_mode)
    os.replace(temporary, path)
    return True


def _files():
    """Every file here that may hold a link. Hidden folders, such as .venv, are somebody else's."""
    tops = [top for top in ROOT.iterdir() if not top.name.startswith(".") or top.name == ".github"]
    paths = [path for top in tops for path in (top.rglob("*") if top.is_dir() else [top])]
    return sorted(path for path in paths if path.suffix in KINDS and path.is_file())


def main(arguments):
    """Rewrite the links, and say which files changed and what they name now."""
    if len(arguments) > 1:
        sys.exit("give one name, as in: make links REPOSITORY=owner/name")
    try:
        changed = rewrite(*arguments)
    except LinksError as problem:
        sys.exit(f"{problem}")
    for path in changed:
        print(path.relative_to(ROOT))
    name, version = project()
    print(f"every link names {name} at {tag(version)}; files changed: {len(changed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
