"""What every notebook promises, as rules that read the file and run nothing.

A rule is a function `(page) -> problems`, in the order in which a reader meets what it protects.
"""

import ast
import copy
import importlib.util
import json
import re
import warnings
from functools import cache, cached_property
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
SOLUTIONS = sorted(NOTEBOOKS.glob("solutions/*.ipynb"))


def load(name):
    """tools/{name}.py as a module: it is a script, not a part of the package."""
    specification = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


execute, links = load("execute"), load("links")
REPOSITORY, VERSION = links.project()
TAG = links.tag(VERSION)


class Page:
    """A notebook file, and the views of it that rules look at."""

    def __init__(self, path):
        self.path = path
        self.text = path.read_text("utf-8")
        self.raw = json.loads(self.text)
        with warnings.catch_warnings():  # what is invalid is for the rule `valid` to say
            warnings.simplefilter("ignore")
            self.notebook = nbformat.reads(self.text, as_version=4)
        self.cells = self.notebook.cells

    @cached_property
    def code(self):
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @cached_property
    def markdown(self):
        return [cell for cell in self.cells if cell.cell_type == "markdown"]

    @cached_property
    def prose(self):
        """All markdown without fenced code."""
        return FENCED.sub("", "\n\n".join(cell.source for cell in self.markdown))

    @property
    def number(self):
        return self.path.name[:2]


FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)|<img\b[^>]*>")
PICTURES = ("image/png", "image/jpeg")


def tags(cell):
    return cell.metadata.get("tags", [])


def html_of(cell):
    return "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)


def texts_of(cell):
    """What a cell says and shows as text, without pictures and sounds."""
    yield cell.source
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield "".join(output.get("traceback", []))
        for kind, data in output.get("data", {}).items():
            if kind not in PICTURES:
                yield re.sub(r"base64,[A-Za-z0-9+/=]+", "", str(data))


def parsed(cell):
    try:
        return ast.parse(cell.source)
    except SyntaxError:
        return ast.parse("")  # rule `plain_python` says so


def calls(cell):
    """The calls in a code cell: the name of what is called, and the call."""
    for node in ast.walk(parsed(cell)):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


EVERYWHERE, LESSONS_ONLY, SOLUTIONS_ONLY = {}, {}, {}


def rule(where):
    def register(function):
        where[function.__name__] = function
        return function

    return register


@rule(EVERYWHERE)
def valid(page):
    """Of the current format, which gives every cell an id."""
    with warnings.catch_warnings():  # a missing id is but a warning
        warnings.simplefilter("error")
        try:
            nbformat.validate(page.raw)
        except (nbformat.ValidationError, Warning) as problem:
            yield str(problem).splitlines()[0]
    if (page.raw["nbformat"], page.raw["nbformat_minor"]) < (4, 5):
        yield "older than nbformat 4.5"


@rule(EVERYWHERE)
def stored_by_make_notebooks(page):
    """No timings, no widget state, no version of Python: a second run would change nothing."""
    normal = execute.normalise(copy.deepcopy(page.notebook))
    if nbformat.writes(normal) + "\n" != page.text:
        yield "not in the form that `make notebooks` stores"


@rule(EVERYWHERE)
def no_widgets_without_state(page):
    """GitHub shows such a page as an invalid notebook."""
    for widgets in page.raw["metadata"].get("widgets", {}).values():
        if "state" not in widgets:
            yield "metadata.widgets has no state"


@rule(EVERYWHERE)
def one_title(page):
    titles = re.findall(r"^# .+", page.prose, re.MULTILINE)
    if len(titles) != 1 or not page.cells[0].source.startswith("# "):
        yield f"one H1 at the start of the first cell is wanted, found {titles}"


@rule(EVERYWHERE)
def the_same_set_up_first(page):
    if execute.SETUP_CELL not in [cell.source for cell in page.code[:2]]:
        yield "neither the first nor the second code cell is the set-up cell"


@rule(EVERYWHERE)
def executed_in_order(page):
    """nbval compares nothing in a cell whose execution count is null."""
    counts = [cell.execution_count for cell in page.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"
    if not all(cell.source.strip() for cell in page.code):
        yield "there is an empty code cell"


@rule(EVERYWHERE)
def no_unexpected_errors(page):
    for cell in page.code:
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                yield f"{cell.id}: {output.ename}"
            if output.get("name") == "stderr":
                yield f"{cell.id} writes to stderr: {output.text[:80]!r}"


MACHINE = re.compile(
    r"(?<![\w.~/-])/(?:home|root|Users|tmp|work|mnt|opt|usr|var|private|content)/|\b[A-Z]:\\\w"
)
REGISTRY = re.compile(r"pypi\.|pythonhosted|anaconda\.(?:org|com)|artifactory|devpi|--index-url")


@rule(EVERYWHERE)
def nothing_of_the_machine_it_ran_on(page):
    for cell in page.cells:
        for text in texts_of(cell):
            if found := MACHINE.search(text) or REGISTRY.search(text):
                yield f"{cell.id} names {text[found.start() : found.start() + 40]!r}"


@rule(EVERYWHERE)
def short_code_cells(page):
    for cell in page.code:
        lines = sum(map(bool, map(str.strip, cell.source.splitlines())))
        if lines > 15:
            yield f"{cell.id} has {lines} lines, 15 are the most"


@rule(EVERYWHERE)
def plain_python(page):
    for cell in page.code:
        try:
            ast.parse(cell.source)
        except SyntaxError as problem:
            yield f"{cell.id}: {problem}"


@rule(EVERYWHERE)
def words_for_every_picture(page):
    for text in [page.prose, *map(html_of, page.code)]:
        for image in IMAGE.findall(text):
            if not re.match(r"!\[\s*[^\]\s]|<img\b[^>]*\balt=\"[^\"]", image):
                yield f"no alternative text: {image[:60]}"
    for cell in page.code:
        for output in cell.outputs:
            for kind in set(PICTURES) & set(output.get("data", {})):
                if not output.metadata.get(kind, {}).get("alt"):
                    yield f"{cell.id} shows a picture without words: use plots.figure_with_alt"


@rule(EVERYWHERE)
def a_label_and_a_picture_for_every_sound(page):
    for cell in page.code:
        players = re.findall(r"<audio\b[^>]*>", html_of(cell))
        if not all('aria-label="' in player for player in players):
            yield f"{cell.id} has a player without aria-label: use notebook.listen"
        pictures = sum(kind in o.get("data", {}) for o in cell.outputs for kind in PICTURES)
        if len(players) > pictures:
            yield f"{cell.id} plays {len(players)} sounds beside {pictures} pictures"


@rule(EVERYWHERE)
def sliders_wait_for_the_hand(page):
    for cell in page.code:
        for name, call in calls(cell):
            settings = {keyword.arg: keyword.value for keyword in call.keywords}
            waits = getattr(settings.get("continuous_update"), "value", True) is False
            if name.endswith("Slider") and not waits:
                yield f"{cell.id}: {name} without continuous_update=False"
            if name.startswith("interact") and any(
                isinstance(value, (ast.Tuple, ast.Constant)) for value in settings.values()
            ):
                yield f"{cell.id}: {name} makes a slider that follows every movement"


@rule(EVERYWHERE)
def small_enough_to_open(page):
    if (size := page.path.stat().st_size) > 3_000_000:
        yield f"{size / 1e6:.1f} MB, 3 are the most"


@rule(EVERYWHERE)
def little_is_exempt_from_comparison(page):
    """Only sound and training differ in the last bits; what they are worth is printed elsewhere."""
    known = re.compile(r"setup|helper:\w+(\.\w+)+|nbval-ignore-output|raises-exception")
    for cell in page.cells:
        for tag in tags(cell):
            if not known.fullmatch(tag):
                yield f"{cell.id} has the tag {tag!r}"
    exempt = [cell for cell in page.code if "nbval-ignore-output" in tags(cell)]
    for cell in exempt:
        if "<audio" not in html_of(cell) and not re.search(
            r"\b(listen|fit|train\w*|interact\w*|\w+Slider)\(", cell.source
        ):
            yield f"{cell.id} neither plays, trains nor slides, so its output can be compared"
    if len(exempt) * 4 > len(page.code):
        yield f"{len(exempt)} of {len(page.code)} code cells are exempt, a quarter is the most"


@rule(EVERYWHERE)
def links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.prose):
        if "://" not in target and not (page.path.parent / target.partition("#")[0]).exists():
            yield f"{target} does not exist"


def badges_of(name):
    """What stands between the marks of a lesson: nothing, as long as the README shows none."""
    shown = links.badges((ROOT / "README.md").read_text("utf-8"))
    return links.LESSON.format(name=REPOSITORY, tag=TAG, page=name) if shown else ""


@rule(LESSONS_ONLY)
def badges(page):
    """Both open this very file, at the tag whose package the set-up cell installs."""
    found = links.MARKED.search(page.cells[0].source)
    if not found:
        yield "the first cell has no place for badges"
    elif found[2] != badges_of(page.path.name):
        yield f"its badges are {found[2]!r}"


@rule(LESSONS_ONLY)
def an_opening_that_says_what_is_ahead(page):
    opening = page.cells[0].source.replace("’", "'")
    for words in ("paper", "What you'll do", "What you'll learn", "What you need"):
        if words not in opening:
            yield f"the first cell does not say: {words}"


@rule(LESSONS_ONLY)
def no_long_stretches_of_prose(page):
    """About 120 words, then code, a picture or a table; equations are not counted as words."""
    text = "\n\n".join(
        FENCED.sub("\0", cell.source) if cell.cell_type == "markdown" else "\0"
        for cell in page.cells
    )
    text = re.sub(r"^\|.*$", "\0", IMAGE.sub("\0", text), flags=re.MULTILINE)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    text = re.sub(r"\$[^$\n]+\$", "x", text)
    text = re.sub(r"\]\([^)]*\)|<[^>]+>", " ", text)
    for stretch in text.split("\0"):
        words = re.findall(r"\w[\w'’.-]*", stretch)
        if len(words) > 130:
            yield f"{len(words)} words in a row from {' '.join(words[:6])!r}"


def exercises_in(page):
    """Exercise number → the text below its call of `check`."""
    found = {}
    for cell in page.code:
        for name, call in calls(cell):
            if name == "check" and call.args and isinstance(call.args[0], ast.Constant):
                texts = [str(o.get("data", {}).get("text/plain", "")) for o in cell.outputs]
                found[call.args[0].value] = "\n".join(texts)
    return found


@rule(LESSONS_ONLY)
def three_open_exercises(page):
    found = exercises_in(page)
    if len(found) < 3:
        yield f"three exercises are wanted, found {sorted(found)}"
    for number, answer in found.items():
        if not number.startswith(f"{page.number}."):
            yield f"exercise {number} belongs to another notebook"
        if not answer.startswith(f"{number} not attempted yet"):
            yield f"exercise {number} is not left open: {answer[:60]}"


@rule(LESSONS_ONLY)
def exercises_are_announced(page):
    """The text says "Exercise 07.2" where the code asks for 07.2, in ascending order."""
    announced = re.findall(r"Exercise (\d\d\.\d+)", page.prose)
    if announced != list(exercises_in(page)) or announced != sorted(announced):
        yield f"the text announces {announced}, the checks are {list(exercises_in(page))}"


@rule(LESSONS_ONLY)
def solved_beside_it(page):
    path = page.path.parent / "solutions" / page.path.name
    solved = exercises_in(Page(path)) if path.exists() else {}
    if missing := exercises_in(page).keys() - solved.keys():
        yield f"solutions/{page.path.name} lacks {sorted(missing)}"


@rule(SOLUTIONS_ONLY)
def right_solutions(page):
    found = exercises_in(page)
    if not found:
        yield "no exercise is solved"
    for number, answer in found.items():
        if not answer.startswith(f"{number} right"):
            yield f"exercise {number} is not solved: {answer[:60]}"


@rule(LESSONS_ONLY)
def a_summary_and_the_way_on(page):
    """The next notebook; from the last one back to the first."""
    series = sorted(page.path.parent.glob("[0-9]*.ipynb"))
    following = series[(series.index(page.path) + 1) % len(series)].name
    _, summary, ending = page.prose.rpartition("## Summary")
    if not summary:
        yield "no heading 'Summary'"
    if f"]({following})" not in ending:
        yield f"the summary does not end with a link to {following}"


def rules_for(path):
    return EVERYWHERE | (SOLUTIONS_ONLY if path.parent.name == "solutions" else LESSONS_ONLY)


@cache
def page_as_of(path, changed):
    return Page(path)


def problems(path, name):
    return list(rules_for(path)[name](page_as_of(path, path.stat().st_mtime_ns)))
