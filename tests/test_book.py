"""The book: complete, in order, and whole without a network, read as files and in a browser."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from browser import launch
from house import DOORS, ROOMS, file_of
from notebook_rules import REPOSITORY, ROOT, Page, exercises_in, html_of

pytest.importorskip("myst_nb", reason="the book's tools are not installed: pip install -e .[book]")

SCRIPT = ROOT / "book" / "make_book.py"
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def load_make_book():
    """book/make_book.py as a module: it is a script, not a part of the package."""
    specification = importlib.util.spec_from_file_location("make_book", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


make_book = load_make_book()
SOURCES = make_book.sources()
MODULES = make_book.modules(SOURCES)
PAGES = ["index.html", *(str(path.with_suffix(".html")) for path in [*SOURCES, *MODULES])]
OFTEN = len(PAGES) - len(MODULES) + 3  # pages of modules are all made alike
by_page = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.weekly] * (n >= OFTEN)) for n, name in enumerate(PAGES)],
)
by_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)


def make(folder, hash_seed="0"):
    """Build the book into `folder` in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    made = subprocess.run(
        [sys.executable, SCRIPT, folder], env=environment, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """The folder of the whole book, made once."""
    return make(tmp_path_factory.mktemp("book") / "html")


class Elements(HTMLParser):
    """The elements of a page, in order, each with its attributes; its ids; its text."""

    def __init__(self, path):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(path.read_text("utf-8"))
        self.ids = {a.get("id") for _, a in self.found}

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, wanted):
        return [attributes for tag, attributes in self.found if tag == wanted]


def html_pages(book):
    return {path: Elements(path) for path in sorted(book.rglob("*.html"))}


def page_of(book, lesson):
    return book / "notebooks" / f"{lesson.stem}.html"


def targets(elements):
    """Everything that a page loads or leads to, as (tag, attribute, address)."""
    for tag, attributes in elements.found:
        for name in ("src", "href", "srcset", "poster", "data"):
            if attributes.get(name):
                yield tag, name, attributes[name]


# The files


def test_everything_a_page_names_lies_in_the_book(book):
    pages = html_pages(book)
    missing = []
    for path, elements in pages.items():
        for _, _, address in targets(elements):
            if re.match(r"[a-z]+:", address):
                continue
            name, _, anchor = unquote(address).partition("#")
            there = (path.parent / name.partition("?")[0]).resolve() if name else path
            if not there.is_file() or not there.is_relative_to(book.resolve()):
                missing.append((path.name, address))
            elif anchor and there in pages and anchor not in pages[there].ids:
                missing.append((path.name, address))
    assert not missing


def test_only_links_that_a_reader_follows_lead_out_of_the_book(book):
    leaving = []
    for path, elements in html_pages(book).items():
        for tag, name, address in targets(elements):
            if not (tag == "a" and name == "href") and re.match(r"(https?:)?//", address):
                leaving.append((path.name, tag, address))
    for path in (*book.rglob("*.css"), *book.rglob("*.html")):
        styles = re.sub(r"data:[^\"')]*", "", path.read_text("utf-8"))
        leaving += re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^\"')\s]*", styles)
    assert not leaving


def test_the_lessons_stand_in_reading_order_and_the_playground_is_none(book):
    text = (book / "index.html").read_text("utf-8")
    sidebar, page = text.split("<article", 1)
    expected = [path.stem for path in LESSONS]
    for part in (sidebar, page.partition("</article>")[0]):
        assert re.findall(r"<a [^>]*href=\"notebooks/([^\"#]+)\.html", part) == expected
    made = {path.stem for path in (book / "notebooks").iterdir()}
    assert made == set(expected)


@by_lesson
def test_every_picture_player_and_slider_of_the_notebook_is_on_its_page(book, lesson):
    notebook, elements = Page(lesson), Elements(page_of(book, lesson))
    words, sliders = [], 0
    for cell in notebook.code:
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                words.append(" ".join(output.metadata["image/png"]["alt"].split()))
            line = output.get("data", {}).get("text/plain", "")
            sliders += line.startswith(("Sliders:", "Player of "))
    pictures = [" ".join(image.get("alt", "").split()) for image in elements.all("img")]
    assert pictures == words
    said_twice = [p for p in elements.all("p") if "absolute" in p.get("style", "")]
    assert not said_twice
    players = [html for cell in notebook.code for html in re.findall("<audio", html_of(cell))]
    assert len(elements.all("audio")) == len(players)
    assert elements.text.count("The knobs move only in a running notebook") == sliders
    assert not any("solutions/" in a.get("href", "") for a in elements.all("a"))


@by_lesson
def test_every_exercise_has_its_solution_folded_up_below_it(book, lesson):
    text = page_of(book, lesson).read_text("utf-8")
    numbers = list(exercises_in(Page(lesson)))
    folds = re.findall(r"<details class=\"solution\"><summary>Solution to ([\d.]+)</summary>", text)
    assert folds == numbers
    for number in numbers:
        fold = text.index(f"Solution to {number}<")
        assert text.index(f"Exercise {number}") < text.index(f'"{number}"</span>') < fold
        assert f"{number} right" in text[fold : text.index("</details>", fold)]


def names_and_words(node, prefix=""):
    """Every public function and class in a syntax tree, by its full name, and its docstring."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.ClassDef) and not part.name.startswith("_"):
            yield prefix + part.name, ast.get_docstring(part) or ""
            if isinstance(part, ast.ClassDef):
                yield from names_and_words(part, f"{prefix}{part.name}.")


@pytest.mark.parametrize("module", [name for name in DOORS + ROOMS if name != "exercises"])
def test_every_public_name_of_a_module_is_on_its_page_with_every_word_of_its_docstring(
    book, module
):
    elements = Elements(book / "modules" / f"{module}.html")
    path = file_of(module)
    shown = " ".join(elements.text.split())
    for name, words in names_and_words(ast.parse(path.read_text("utf-8"))):
        assert name.lower().replace(".", "-").replace("_", "-") in elements.ids
        for sentence in re.sub(r"`|^- ", "", words, flags=re.MULTILINE).split("\n\n"):
            assert " ".join(sentence.split()) in shown


@by_lesson
def test_a_full_stop_stays_with_its_equation(book, lesson):
    article, _, _ = page_of(book, lesson).read_text("utf-8").partition("</article>")
    assert not re.findall(r"\\\)</span>[.,;:!?)]", article)


@pytest.mark.weekly
def test_the_same_notebooks_give_the_same_bytes(book, tmp_path):
    again = make(tmp_path / "again", hash_seed="1")
    files = {path.relative_to(book) for path in book.rglob("*") if path.is_file()}
    assert files == {path.relative_to(again) for path in again.rglob("*") if path.is_file()}
    assert not [
        str(path) for path in files if (book / path).read_bytes() != (again / path).read_bytes()
    ]


# What is written for the book


def in_the_book(text, page="notebooks/02_mixture_density_networks.ipynb"):
    return make_book.markdown(text, Path(page), make_book.sources())


@pytest.mark.parametrize(
    "target, there",
    [
        ("01_feed_forward_networks.ipynb", "01_feed_forward_networks.ipynb"),
        ("solutions/02_mixture_density_networks.ipynb", "02_mixture_density_networks.ipynb"),
        ("../docs/distributed_training.md#start-it", "../docs/distributed_training.md#start-it"),
        (
            "../docs/slurm_train.sh",
            f"https://github.com/{REPOSITORY}/blob/HEAD/docs/slurm_train.sh",
        ),
        ("../tools/benchmarks/", f"https://github.com/{REPOSITORY}/blob/HEAD/tools/benchmarks"),
        ("https://example.org/x.ipynb", "https://example.org/x.ipynb"),
    ],
)
def test_a_link_leads_to_a_page_of_the_book_or_to_the_repository(target, there):
    assert in_the_book(f"see [this]({target})") == f"see [this]({there})"
    assert in_the_book(f"```\n[this]({target})\n```") == f"```\n[this]({target})\n```"


def test_a_badge_becomes_a_plain_link():
    badges = "[![Open A](https://a/a.svg)](https://a/?x)\n[![Open B](https://b/b.svg)](https://b)\n"
    assert in_the_book(badges) == "[Open A](https://a/?x) · [Open B](https://b)\n"


def test_an_exercise_without_a_solution_is_named(tmp_path):
    name = Path("notebooks", LESSONS[2].name)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / name).write_bytes(LESSONS[2].read_bytes())
    with pytest.raises(make_book.BookError, match=f"{name.name}: exercise 02.1 has no solution"):
        make_book.lesson(name, [name], tmp_path)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(make_book.BookError, match="holds something else"):
        make_book.build(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


# In a browser, from the disk and with the network cut

FACTS = """async () => {
  const unwanted = "code, pre, script, style, mjx-container";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const raw = [];
  for (let node; (node = walker.nextNode()); )
    if (/\\$|\\\\[(\\[]/.test(node.data) && !node.parentElement.closest(unwanted))
      raw.push(node.data.slice(0, 80));
  const players = await Promise.all([...document.querySelectorAll("audio")].map(
    (player) => new Promise((done) => {
      const tell = () => done({duration: player.duration, error: player.error?.message ?? ""});
      player.onloadedmetadata = player.onerror = tell;
      player.preload = "metadata";
      player.load();
    })));
  return {
    raw, players,
    equations: document.querySelectorAll(".math").length,
    typeset: document.querySelectorAll(".math > mjx-container").length,
    wrong: [...document.querySelectorAll("mjx-assistive-mml :is(merror, mtext)")].filter(
      (node) => node.localName == "merror" || node.textContent.startsWith("\\\\")).map(
      (node) => node.textContent),
    pictures: [...document.querySelectorAll("img")].map(
      (image) => ({width: image.naturalWidth, alt: image.alt})),
  };
}"""
# The theme lets the content scroll sideways, so that the page itself never does.
BEYOND = """[document.documentElement, document.querySelector(".content")].map(
  (element) => element.scrollWidth - element.clientWidth)"""
TYPESET = """() => !document.querySelector(".math") || (
  window.MathJax?.startup?.promise && document.querySelector("mjx-container"))"""


@pytest.fixture(scope="module")
def reader(book):
    """A browser without a network: `reader(address)` opens a page of the book in it."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_offline(True)

        def opened(address):
            page = context.new_page()
            page.asked, page.trouble = [], []
            page.on("request", lambda request: page.asked.append(request.url))
            page.on("requestfailed", lambda request: page.trouble.append(request.url))
            page.on("pageerror", lambda error: page.trouble.append(str(error)))
            page.on(
                "console",
                lambda line: line.type in ("error", "warning") and page.trouble.append(line.text),
            )
            page.goto(f"{book.as_uri()}/{address}", timeout=120_000)
            page.wait_for_function(TYPESET, timeout=120_000)
            page.evaluate("window.MathJax?.startup?.promise")
            return page

        yield opened
        browser.close()


@pytest.fixture(scope="module")
def facts(reader):
    """What there is to see on a page; each page is opened once."""
    known = {}

    def look(name):
        if name not in known:
            page = reader(name)
            known[name] = page.evaluate(FACTS)
            page.set_viewport_size({"width": 400, "height": 800})
            known[name] |= {"asked": page.asked, "trouble": page.trouble}
            known[name]["beyond"] = page.evaluate(BEYOND)
            page.close()
        return known[name]

    return look


@by_page
def test_a_page_opens_without_trouble_and_asks_nobody(facts, name):
    seen = facts(name)
    assert not seen["trouble"]
    assert not [url for url in seen["asked"] if not url.startswith(("file:", "data:"))]


@by_page
def test_mathematics_is_typeset(facts, name):
    seen = facts(name)
    assert not seen["wrong"] and not seen["raw"]
    assert seen["typeset"] == seen["equations"]
    path = ROOT / Path(name).with_suffix(".ipynb")
    if path.exists():
        assert (seen["equations"] > 0) == ("$" in Page(path).prose)


@by_page
def test_every_player_plays(facts, name):
    for player in facts(name)["players"]:
        assert not player["error"] and player["duration"] > 0


@by_page
def test_every_picture_is_seen_and_has_words(facts, name):
    assert [picture for picture in facts(name)["pictures"] if not picture["width"]] == []
    assert [picture for picture in facts(name)["pictures"] if not picture["alt"]] == []


@by_page
def test_a_page_fits_on_a_phone(facts, name):
    assert facts(name)["beyond"] == [0, 0]


def search(reader, word):
    """Search for `word` from the front page, as a reader does; the page with the answers."""
    page = reader("index.html")
    page.get_by_role("textbox", name="Search").fill(word)
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li")
    page.wait_for_function("document.querySelector('.search-summary').innerText.includes('found')")
    return page


def test_the_search_finds_a_word_and_its_result_opens(reader):
    page = search(reader, "likelihood")
    page.locator("#search-results li a").first.click()
    page.wait_for_selector("article .highlighted")
    assert page.locator("article .highlighted").first.inner_text().lower() == "likelihood"
    assert not page.trouble
    assert not [url for url in page.asked if not url.startswith(("file:", "data:"))]
    page.close()


def test_the_search_finds_what_only_a_solution_says_and_unfolds_it(reader):
    said = " ".join(path.read_text("utf-8").lower() for path in LESSONS)
    only = [
        (len(word), word, lesson.stem)
        for lesson in LESSONS
        for word in re.findall(r"\b[a-z]+\b", Page(lesson.parent / "solutions" / lesson.name).prose)
        if word not in said
    ]
    _, word, name = max(only)
    page = search(reader, word)
    page.locator(f"#search-results li a[href*='{name}']").first.click()
    page.wait_for_selector("details.solution[open] .highlighted")
    page.close()


def test_a_solution_unfolds_by_click_by_keyboard_and_without_scripts(reader, book):
    name = str(page_of(book, LESSONS[2]).relative_to(book))
    page = reader(name)
    fold = page.locator("details.solution").first
    code = fold.locator("pre").first
    assert not code.is_visible()
    fold.locator("summary").first.click()
    assert code.is_visible()
    fold.locator("summary").first.press("Enter")
    assert not code.is_visible()
    fold.locator("summary").first.press("Space")
    assert code.is_visible()
    plain = page.context.browser.new_context(java_script_enabled=False, offline=True)
    page.close()
    page = plain.new_page()
    page.goto(f"{book.as_uri()}/{name}")
    page.locator("details.solution summary").first.click()
    assert page.locator("details.solution pre").first.is_visible()
    plain.close()
