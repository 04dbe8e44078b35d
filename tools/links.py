"""Make every link name the one repository and release: `make links [REPOSITORY=owner/name]`.

    .venv/bin/python tools/links.py [OWNER/NAME]

The address stands in pyproject.toml, under project.urls, and the release follows from the version
beside it. With a name, or where git's origin is at GitHub, that address is changed first, and the
README and the lessons get their badges: before, nobody knows whether they would lead anywhere.
Then set-up cells, CITATION.cff and whatever else named the old address are made to agree. A second
run changes nothing.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GITHUB = "https://github.com/"
KINDS = {".cff", ".ipynb", ".md", ".py", ".toml", ".yml"}
# What GitHub allows
NAME = re.compile(r"[A-Za-z\d](?:-?[A-Za-z\d]){0,38}/(?!\.{1,2}$)[\w.-]{1,100}(?<!\.git)", re.ASCII)
PLACE = r"[\w-]+/[\w.-]*\w"  # a name inside a text
REMOTE = re.compile(
    r"(?:https?://(?:[^@/]+@)?(?:www\.)?github\.com/|(?:ssh://)?git@(?:ssh\.)?github\.com(?::\d+)?[:/])"
    r"(.+?)(?:\.git)?/?"
)

# Badges stand between two marks, in the README and in the first cell of a lesson.
MARKED = re.compile(r"(<!-- badges: .*? -->\n)(.*?)(<!-- to here -->)", re.DOTALL)
README = """
[![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/{name}/{tag}?urlpath=lab/tree/notebooks/00_start_here.ipynb)
[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/{name}/blob/{tag}/notebooks/00_start_here.ipynb)

Without code, in the browser:
[![Open the playground in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/{name}/{tag}?urlpath=voila/render/notebooks/playground.ipynb)

"""
LESSON = """\
[![Open in Binder](badges/binder.svg)](https://mybinder.org/v2/gh/{name}/{tag}?urlpath=lab/tree/notebooks/{page})
[![Open in Colab](badges/colab.svg)](https://colab.research.google.com/github/{name}/blob/{tag}/notebooks/{page})
"""


class LinksError(ValueError):
    """One sentence: which name is wrong."""


def project():
    """The repository's owner/name and the version of the package, both from pyproject.toml."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return stated["urls"]["Repository"].removeprefix(GITHUB), stated["version"]


def tag(version):
    """The release that the links name: what is in the works, `.dev`, will be released as that."""
    return "v" + re.sub(r"\.dev\d*$", "", version)


def origin():
    """owner/name of git's remote `origin`; None where this is no clone of something at GitHub."""
    if not (ROOT / ".git").exists():  # or it would be that of a repository around this one
        return None
    command = ["git", "-C", ROOT, "remote", "get-url", "origin"]
    try:
        said = subprocess.run(command, capture_output=True, text=True).stdout
    except FileNotFoundError:
        return None
    address = REMOTE.fullmatch(said.strip())
    return address[1] if address and NAME.fullmatch(address[1]) else None


def rewrite(name=None):
    """Make all files follow pyproject.toml; with a `name`, "owner/name", that is written there, and
    badges into the README and the lessons.

    Returns the paths of the files that changed. Raises LinksError for a name that GitHub would not
    take, and then touches nothing.
    """
    (stated, version), given = project(), name is not None
    name = name if given else stated
    if not NAME.fullmatch(name):
        raise LinksError(f"{name!r} is not of the form owner/name, as GitHub has them")
    readme, last = ROOT / "README.md", ROOT / "CITATION.cff"
    first = [ROOT / "pyproject.toml", readme]
    cited = re.findall(rf"(?m)^repository-code: {GITHUB}(.+)$", last.read_text("utf-8"))
    # The citation comes last: it keeps the old name for a run that was interrupted.
    paths = [*first, *(path for path in _files() if path not in (*first, last)), last]
    return [path for path in paths if _edit(path, {stated, *cited}, name, version, given)]


def badges(text):
    """The badges in the text of the README or of a lesson's first cell, "" if it shows none."""
    return MARKED.search(text)[2].strip()


def badged(path, text, name, version):
    """The `text` of the README or of a lesson with its badges; of any other file as it is."""
    words = {"name": name, "tag": tag(version), "page": path.name}
    if path == ROOT / "README.md":
        return MARKED.sub(rf"\g<1>{README.format(**words)}\g<3>", text)
    if path.suffix != ".ipynb" or path.parent != ROOT / "notebooks":
        return text
    page = json.loads(text)
    first = page["cells"][0]
    source = MARKED.sub(rf"\g<1>{LESSON.format(**words)}\g<3>", "".join(first["source"]))
    first["source"] = source.splitlines(keepends=True)
    return json.dumps(page, indent=1, ensure_ascii=False, sort_keys=True) + "\n"  # as nbformat does


def _edit(path, old, name, version, with_badges):
    """Write `name` and `version` into one file, where it has links, and badges if it is to have
    them; returns whether it changed."""
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
    after = badged(path, before, name, version) if with_badges else before
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
        changed = rewrite(arguments[0] if arguments else origin())
    except LinksError as problem:
        sys.exit(f"{problem}")
    for path in changed:
        print(path.relative_to(ROOT))
    name, version = project()
    print(f"every link names {name} at {tag(version)}; files changed: {len(changed)}")
    if not badges((ROOT / "README.md").read_text("utf-8")):
        print("there are no badges until the address is public: links REPOSITORY=owner/name")


if __name__ == "__main__":
    main(sys.argv[1:])
