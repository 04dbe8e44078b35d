"""Make the book, a static site that needs no network: `make book`.

    .venv/bin/python book/make_book.py [FOLDER]         into book/_build, or into FOLDER

A lesson in the book is its notebook as stored, with the solutions folded in below their exercises
and without what only makes sense elsewhere, such as the pictures of badges. Nothing is executed.
Lessons and pages are found by their names, so that a new one needs no word here.
"""

import ast
import html
import os
import re
import shutil
import sys
import tempfile
import tomllib
from importlib.resources import files
from pathlib import Path

import nbformat
from docutils import nodes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LESSONS = "notebooks/[0-9]*.ipynb"
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "tools/benchmarks/*.md",
    "data_samples/README.md",
)
PICTURES, SOUNDS = "docs/*.png", "docs/*.wav"  # what pages show and play
MATHJAX = "tex-svg-full.js"  # all of MathJax, its letters included, in one file

FENCED = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
BADGE = re.compile(r"\[!\[([^\]]*)\]\([^)]*\)\](\([^)]*\))\n?(?=(\[!\[)?)")
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[)#])")
WORD_JOINER = "\u2060"
CHECK = re.compile(r"\bcheck\(\s*\"(\d\d\.\d+)\"")
ORIGIN = re.compile(r"(?<=Notebook: )\d\d")


class BookError(Exception):
    """What a page lacks to be in the book, in one sentence."""


def mathjax():
    """The file of MathJax that the book carries along."""
    return files("sphinx-mathjax-offline") / "static" / "mathjax" / MATHJAX


def sources(root=ROOT):
    """The files of `root` that become pages, as relative paths: the lessons in order, the rest."""
    return [
        path.relative_to(root) for name in (LESSONS, *PAGES) for path in sorted(root.glob(name))
    ]


def repository(root=ROOT):
    """The address of the repository, for what is no page of the book."""
    about = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    return about["project"]["urls"]["Repository"]


def lay_out(folder, root=ROOT):
    """Write what Sphinx reads into `folder`, laid out as `root` is. Raises BookError."""
    pages = sources(root)
    lessons = {}
    for page in pages:
        target = folder / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix == ".ipynb":
            lessons[page] = lesson(page, pages, root)
            nbformat.write(lessons[page], target)
        else:
            text = (root / page).read_text("utf-8")
            if not re.search("^# ", FENCED.sub("", text), re.MULTILINE):
                text = f"# {page.stem.replace('_', ' ').capitalize()}\n\n{text}"
            target.write_text(markdown(text, page, pages, root), "utf-8")
    for picture in root.glob(PICTURES):
        shutil.copy(picture, folder / picture.relative_to(root))
    for page, text in modules(pages, root).items():
        (folder / page).parent.mkdir(exist_ok=True)
        (folder / page).write_text(text, "utf-8")
    index = (HERE / "index.md").read_text("utf-8")
    index = index.replace("<!-- the map of the lessons -->", lesson_map(lessons))
    (folder / "index.md").write_text(index, "utf-8")


def lesson(page, pages, root=ROOT):
    """The notebook at `page` as the book shows it. Raises BookError for a missing solution."""
    notebook = nbformat.read(root / page, as_version=4)
    solved = solutions(page, pages, root)
    cells = []
    for cell in notebook.cells:
        number = _shown(cell, page, pages, root)
        cells.append(cell)
        if number:
            if number not in solved:
                raise BookError(f"{page}: exercise {number} has no solution beside it")
            cells += _folded(f"Solution to {number}", solved.pop(number), cell.id)
    if solved:
        raise BookError(f"{page}: {', '.join(solved)} is solved but not asked")
    notebook.cells = cells
    title = notebook.cells[0]
    title.source = title.source.replace("# ", f"# {page.name[:2]} · ", 1)
    return notebook


def solutions(page, pages, root=ROOT):
    """Exercise number → the cells that solve it, from the notebook of the same name."""
    path = page.parent / "solutions" / page.name
    if not (root / path).exists():
        return {}
    solved, before = {}, []
    for cell in nbformat.read(root / path, as_version=4).cells[1:]:  # the first is the title
        if "setup" in cell.metadata.get("tags", []) or _imports_only(cell):
            continue
        number = _shown(cell, path, pages, root)
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"^\*\*\d\d\.\d+\.\*\* ", "", cell.source)
        before.append(cell)
        if number:
            solved[number] = solved.get(number, []) + before
            before = []
    return solved


def markdown(text, page, pages, root=ROOT):
    """`text` of the file `page` with links that lead on in the book, and badges as plain links.

    A link to a file that is no page of the book leads to the repository.
    """

    def target(match):
        there = Path(os.path.normpath(page.parent / match[1]))
        if there.parent.name == "solutions":  # they are folded up in their lesson
            there = there.parent.parent / there.name
        if "://" in match[1] or not (root / there).exists() or there.match(PICTURES):
            return match[1]
        if there in pages:
            return os.path.relpath(there, page.parent)
        return f"{repository(root)}/blob/HEAD/{there.as_posix()}"

    def badge(match):
        return f"[{match[1]}]{match[2]}" + (" · " if match[3] else "\n")

    parts = FENCED.split(text)
    for i in range(0, len(parts), 2):  # every second part is fenced code
        parts[i] = LINK.sub(target, BADGE.sub(badge, parts[i]))
    return "".join(parts)


def modules(pages, root=ROOT):
    """{path: Markdown} of a page for each module of the package, and of one that lists them, in the
    order in which the package's own first page names them.

    On it stand the constants as they are written, and every public name in the words of its
    docstring, which is plain text and, as a test makes sure, Markdown that loses none of them. The
    files are read, not imported: nothing that a module needs has to be installed. `pages`: what
    "Notebook: NN" in a docstring may lead to.
    """
    notebooks = {page.name[:2]: page.as_posix() for page in pages if page.suffix == ".ipynb"}

    def origin(match):
        there = notebooks.get(match[0])
        return f"[{match[0]}](../{there})" if there else match[0]

    made, lines = {}, []
    for module, path in _in_reading_order(root / "cmc_helpers"):
        source = path.read_text("utf-8")
        tree = ast.parse(source)
        words = ast.get_docstring(tree) or ""
        job = " ".join(words.partition("\n\n")[0].split())
        lines.append(f"{'  ' * module.count('.')}- [{module}]({module}.md): {job}")
        parts = [f"# {module}", words, *_behind_it(tree, module), *_constants(tree, source)]
        for node in _public(tree):
            inside = _public(node) if isinstance(node, ast.ClassDef) else []
            parts += [f"## {node.name}", _signature(node), ast.get_docstring(node) or ""]
            for method in inside:
                parts += [f"### {node.name}.{method.name}", _signature(method)]
                parts.append(ast.get_docstring(method) or "")
        made[Path("modules", module + ".md")] = ORIGIN.sub(origin, "\n\n".join(parts)) + "\n"
    names = "\n".join(path.stem for path in made)
    text = "# The package, module by module\n\nFirst the paper itself, then what goes in and comes "
    text += "out, and so on; who may import whom: [how it is built](../docs/architecture.md).\n\n"
    text += "\n".join(lines) + f"\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    return {Path("modules", "index.md"): text, **made}


def lesson_map(lessons):
    """A list of all lessons, each with its own words on what the reader will do in it."""
    lines = []
    for page, notebook in lessons.items():
        opening = notebook.cells[0].source
        title = opening.splitlines()[0].removeprefix("# ")
        do = re.search(r"\*\*What you.ll do\.\*\* (.*?)(?=\n\n|\Z)", opening, re.DOTALL)
        words = " ".join(do[1].split()) if do else ""
        lines.append(f"- **[{title}]({page.as_posix()})**\\\n  {words}")
    return "\n".join(lines)


def finish(app, doctree):
    """Sphinx's event `doctree-read`: what a page still lacks.

    A stored picture gets its alternative text, which lies beside it. An equation in a line keeps
    the full stop behind it and the bracket before it, from which a browser would part it.
    """
    for equation in doctree.findall(nodes.math):
        line, place = equation.parent, equation.parent.index(equation)
        after = line[place + 1] if place + 1 < len(line) else None
        if isinstance(after, nodes.Text) and re.match(r"[^\s\w(\[]", after):
            line[place + 1] = nodes.Text(WORD_JOINER + after)
        before = line[place - 1] if place else None
        if isinstance(before, nodes.Text) and before[-1:] in tuple("([“‘"):
            line[place - 1] = nodes.Text(before + WORD_JOINER)
    for bundle in doctree.findall(nodes.container):
        if bundle.get("nb_element") == "mime_bundle":
            kinds = {part.get("mime_type"): part for part in bundle.children}
            for picture in bundle.findall(nodes.image):
                picture["alt"] = kinds["text/plain"].astext()


def build(out):
    """Make the book in the folder `out`, in the place of what was there if all went well.

    Raises BookError if a page is not as it should be, or if Sphinx has anything to warn of.
    """
    from sphinx.cmd.build import build_main

    out = Path(out).resolve()
    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").exists():
        raise BookError(f"{out} holds something else than a book: name another folder")
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "source"), Path(folder, "book")
        lay_out(source)
        quiet = ["-q", "-W", "--keep-going"]
        doctrees = ["-d", f"{folder}/doctrees"]
        if build_main([*quiet, *doctrees, "-c", str(HERE), str(source), str(made)]):
            raise BookError("Sphinx could not make the book: its messages stand above")
        for sound in ROOT.glob(SOUNDS):  # a player names it, and Sphinx does not look there
            shutil.copy(sound, made / sound.relative_to(ROOT))
        (made / ".buildinfo").unlink(missing_ok=True)
        shutil.rmtree(out, ignore_errors=True)
        shutil.move(made, out)


def _shown(cell, page, pages, root):
    """Change `cell` to what the book shows; the number of the exercise it checks, or None."""
    if cell.cell_type == "markdown":
        cell.source = markdown(cell.source, page, pages, root)
        return None
    if cell.cell_type != "code":
        return None
    if "setup" in cell.metadata.get("tags", []):
        cell.metadata.tags.append("hide-input")
        cell.metadata["mystnb"] = {"code_prompt_show": "Set-up", "code_prompt_hide": "Set-up"}
    cell.outputs = [kept for output in cell.outputs if (kept := _output(output))]
    found = CHECK.search(cell.source)
    return found and found[1]


def _output(output):
    """An output as the book shows it, or None if it is of no use there."""
    data = output.get("data", {})
    for kind in data:
        if kind.startswith("image/"):
            alt = output.metadata.get(kind, {}).get("alt", data.get("text/plain", ""))
            data["text/plain"] = alt  # where `finish` finds it
            return output
    if data.get("text/html", "").startswith('<p style="position:absolute'):
        return None  # a picture's words for JupyterLab, which shows no alternative text
    if data.get("text/plain", "").startswith(("Sliders:", "Player of ")):
        line = html.escape(data["text/plain"].rstrip("."))
        data["text/html"] = (
            f'<p class="sliders">{line}. The knobs move only in a running notebook; the pictures '
            "beside this cell show the same for several values.</p>"
        )
    return output


def _folded(title, cells, identifier):
    """`cells` between two that fold them up under `title`."""
    first = f'<details class="solution"><summary>{title}</summary>\n<div>'
    ends = [nbformat.v4.new_markdown_cell(text) for text in (first, "</div></details>")]
    for end, name in zip(ends, ("opens", "closes"), strict=True):
        end.id = f"{identifier}-{name}"
    return [ends[0], *cells, ends[1]]


def _public(node):
    """The functions and classes right in `node` whose names begin with no underscore."""
    kinds = ast.FunctionDef | ast.ClassDef
    return [part for part in node.body if isinstance(part, kinds) and part.name[0] != "_"]


def _in_reading_order(package):
    """(name, file) of every module, as the package's own first page orders the doors; behind each
    door its rooms. Of `exercises` a lesson calls no more than `check`."""
    page = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
    beneath = page.rpartition("Beneath")[2].partition("\n\n")[0]
    named = re.findall(r"^    (\w+) ", page, re.MULTILINE) + re.findall(r"`(\w+)`", beneath)
    doors = sorted({path.stem for path in package.glob("[a-z]*") if path.name != "py.typed"})
    for door in sorted(doors, key=lambda name: (named + doors).index(name)):
        if (package / f"{door}.py").is_file():
            yield door, package / f"{door}.py"
        elif door != "exercises":
            for path in sorted((package / door).glob("*.py")):
                yield f"{door}.{path.stem}".removesuffix(".__init__"), path


def _behind_it(tree, module):
    """A line on the names that a door has from its rooms, as `from room import name as name`."""
    had = [
        f"`{alias.name}` of [{room}]({room}.md)"
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module.startswith(f"cmc_helpers.{module}.")
        for room in [node.module.removeprefix("cmc_helpers.")]
        for alias in node.names
        if alias.asname == alias.name
    ]
    return [f"It also hands on {', '.join(had)}."] if had else []


def _constants(tree, source):
    """The public constants of a module as they are written, with the comments above and beside."""
    lines, shown = source.splitlines(), []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        names = {part.id for target in targets for part in ast.walk(target) if hasattr(part, "id")}
        if names and all(re.fullmatch(r"[A-Z][A-Z_\d]*", name) for name in names):
            start = node.lineno - 1
            while start and lines[start - 1].startswith("#"):
                start -= 1
            shown += lines[start : node.end_lineno]
    return ["## Constants and choices", "\n".join(["```python", *shown, "```"])] if shown else []


def _signature(node):
    """How a function is called, or what a class is made from, as a block of code."""
    lines = [f"@{ast.unparse(decorator)}" for decorator in node.decorator_list]
    if isinstance(node, ast.FunctionDef):
        result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        lines.append(f"def {node.name}({ast.unparse(node.args)}){result}")
    else:
        lines.append(f"class {node.name}({', '.join(map(ast.unparse, node.bases))})")
        for part in node.body:
            if isinstance(part, ast.AnnAssign):
                lines.append(f"    {ast.unparse(part)}")
            elif getattr(part, "name", "") == "__init__":
                lines.append(f"    def __init__({ast.unparse(part.args)})")
    return "\n".join(["```python", *lines, "```"])


def _imports_only(cell):
    return cell.cell_type == "code" and all(
        isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(cell.source).body
    )


if __name__ == "__main__":
    try:
        out = Path(*sys.argv[1:2] or [HERE / "_build"])
        build(out)
        print(f"The book is made: open {out / 'index.html'} in a browser")
    except BookError as problem:
        sys.exit(f"{problem}")
