"""Every notebook keeps every rule, and every rule is seen to fail."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_rules import (
    EVERYWHERE,
    LESSONS,
    LESSONS_ONLY,
    NOTEBOOKS,
    SOLUTIONS,
    SOLUTIONS_ONLY,
    badges_of,
    execute,
    problems,
    rules_for,
)


def label(value):
    if isinstance(value, Path):
        return value.relative_to(NOTEBOOKS).with_suffix("").as_posix()
    return value


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path in LESSONS + SOLUTIONS for name in rules_for(path)],
    ids=label,
)
def test_a_notebook_keeps_the_rule(path, name):
    assert problems(path, name) == []


def test_the_series_has_its_first_notebooks():
    present = {path.stem for path in LESSONS}
    assert {"00_start_here", "07_preprocessing", "09_training"} <= present


# --- The rules themselves, each seen to fail ---

OPENING = f"""\
# What is heard?

<!-- badges: `python start.py links` writes them here, once the address is public -->
{badges_of("07_a.ipynb")}<!-- to here -->

Section 2.4.1 of the paper.

**What you'll do.** Listen. **What you'll learn.** To hear. **What you need.** Ears.
"""


def code(source, *outputs, tags=()):
    return new_code_cell(
        source, outputs=list(outputs), metadata={"tags": list(tags)} if tags else {}
    )


def shown(metadata=None, **data):
    data = {name.replace("_", "/"): value for name, value in data.items()}
    return new_output("display_data", data=data, metadata=metadata or {})


def exercise(number, answer):
    verdict = new_output("execute_result", data={"text/plain": f"{number} {answer}: …"})
    return code(f'check("{number}", answer)', verdict)


def lesson():
    picture = shown({"image/png": {"alt": "A line"}}, image_png="iVBORw0KGgo=", text_plain="A line")
    player = shown(text_html='<audio controls aria-label="A tone" src="data:…"></audio>')
    return new_notebook(
        cells=[
            new_markdown_cell(OPENING),
            code(execute.SETUP_CELL, tags=["setup"]),
            new_markdown_cell("## A tone is one line\n\nListen, then look."),
            code(
                'notebook.listen(x, 8000, "A tone")', picture, player, tags=["nbval-ignore-output"]
            ),
            code('plots.figure_with_alt(ax, "A line")', picture),
            code("print(1)", new_output("stream", name="stdout", text="1\n")),
            new_markdown_cell("**Exercise 07.1.** First."),
            exercise("07.1", "not attempted yet"),
            new_markdown_cell("**Exercise 07.2.** Next, and **Exercise 07.3.** Last."),
            *[exercise(number, "not attempted yet") for number in ("07.2", "07.3")],
            new_markdown_cell("## Summary\n\nOne. Two. Three.\n\nNext: [more](09_b.ipynb)."),
        ]
    )


def solution():
    return new_notebook(
        cells=[
            new_markdown_cell("# Solutions"),
            code(execute.SETUP_CELL, tags=["setup"]),
            *[exercise(f"07.{i}", "right") for i in (1, 2, 3)],
        ]
    )


@pytest.fixture
def series(tmp_path):
    """Store a lesson and its solutions, changed by `change`, and return the changed one's path."""

    def store(change=lambda page: None, solved=False):
        for name, make in (("solutions/07_a", solution), ("09_b", lesson), ("07_a", lesson)):
            page = make()
            for count, cell in enumerate((c for c in page.cells if c.cell_type == "code"), start=1):
                cell.execution_count = count
                for output in cell.outputs:
                    if output.output_type == "execute_result":
                        output.execution_count = count
            page = execute.normalise(page)
            if name == ("solutions/07_a" if solved else "07_a"):
                change(page)
            path = tmp_path / f"{name}.ipynb"
            path.parent.mkdir(exist_ok=True)
            path.write_text(nbformat.v4.writes(page) + "\n", "utf-8")  # whatever it is worth
        return tmp_path / ("solutions/07_a.ipynb" if solved else "07_a.ipynb")

    return store


@pytest.mark.parametrize("solved", [False, True])
def test_a_good_page_breaks_no_rule(series, solved):
    path = series(solved=solved)
    assert {name: problems(path, name) for name in rules_for(path)} == dict.fromkeys(
        rules_for(path), []
    )


def first(page, text):
    return next(cell for cell in page.cells if text in cell.source)


def edit(text, old, new):
    """A change of the cell that holds `text`."""

    def change(page):
        cell = first(page, text)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return change


def append(source, *outputs, **settings):
    def change(page):
        page.cells.append(code(source, *outputs, **settings))

    return change


def write(source):
    return lambda page: page.cells.append(new_markdown_cell(source))


def set_output(text, **data):
    def change(page):
        first(page, text).outputs = [shown(**data)]

    return change


def set_count(page):
    first(page, "print(1)").execution_count = None


def swap_counts(page):
    a, b = first(page, "print(1)"), first(page, '"07.1"')
    a.execution_count, b.execution_count = b.execution_count, a.execution_count


BAD = [
    ("valid", lambda page: page.cells[2].pop("id")),
    ("valid", lambda page: page.cells[1].update(cell_type="other")),
    ("valid", lambda page: page.update(nbformat_minor=4)),
    ("stored_by_make_notebooks", lambda page: page.cells[1].metadata.update(execution={"a": "b"})),
    ("stored_by_make_notebooks", lambda page: page.metadata.language_info.update(version="3.1")),
    ("no_widgets_without_state", lambda page: page.metadata.update(widgets={"a/b": {"x": 1}})),
    ("one_title", write("# Another title")),
    ("one_title", edit("# What is heard?", "# What", "What")),
    ("the_same_set_up_first", edit("find_spec", "import os", "import os ")),
    ("the_same_set_up_first", lambda page: page.cells.insert(5, page.cells.pop(1))),
    ("executed_in_order", set_count),
    ("executed_in_order", swap_counts),
    ("executed_in_order", append(" ")),
    ("no_unexpected_errors", append("x", new_output("error", ename="E", evalue="", traceback=[]))),
    ("no_unexpected_errors", append("x", new_output("stream", name="stderr", text="careful"))),
    ("nothing_of_the_machine_it_ran_on", append("open('/home/me/x')")),
    ("nothing_of_the_machine_it_ran_on", write("It lies in `C:\\Users`.")),
    ("nothing_of_the_machine_it_ran_on", set_output("print(1)", text_plain="Path('/tmp/x')")),
    ("nothing_of_the_machine_it_ran_on", append("x", new_output(
        "error", ename="E", evalue="", traceback=["File /opt/x.py"]))),
    ("nothing_of_the_machine_it_ran_on", write("Get it from https://files.pythonhosted.org/x.")),
    ("short_code_cells", append("x = 1\n" * 16)),
    ("plain_python", append("%matplotlib inline")),
    ("words_for_every_picture", write("![](a.png)")),
    ("words_for_every_picture", write('<img src="a.png">')),
    ("words_for_every_picture", write('<img src="a.png" alt="">')),
    ("words_for_every_picture", set_output("figure_with_alt", image_png="iVBORw0KGgo=")),
    ("words_for_every_picture", set_output("figure_with_alt", text_html="<img src='x'>")),
    ("a_label_and_a_picture_for_every_sound", set_output("listen", text_html="<audio>")),
    ("a_label_and_a_picture_for_every_sound", set_output(
        "listen", text_html='<audio aria-label="x">')),
    ("sliders_wait_for_the_hand", append("widgets.FloatSlider(value=1)")),
    ("sliders_wait_for_the_hand", append("IntSlider(continuous_update=True)")),
    ("sliders_wait_for_the_hand", append("interact(draw, tau=(0, 1))")),
    ("small_enough_to_open", set_output("print(1)", text_plain="x" * 3_000_000)),
    ("little_is_exempt_from_comparison", append("1", tags=["nbval-skip"])),
    ("little_is_exempt_from_comparison", append("1", tags=["nbval-ignore-output"])),
    ("little_is_exempt_from_comparison", lambda page: [
        append("listen(x)", tags=["nbval-ignore-output"])(page) for _ in range(2)]),
    ("links_lead_somewhere", write("See [there](nowhere.md).")),
    ("badges", edit("# What is heard?", "<!-- to", "[![A](a)](b)\n<!-- to")),
    ("badges", edit("# What is heard?", "<!-- badges", "<!-- buttons")),
    ("an_opening_that_says_what_is_ahead", edit("# What is heard?", "of the paper", "")),
    ("an_opening_that_says_what_is_ahead", edit("# What is heard?", "What you need", "Bring")),
    ("no_long_stretches_of_prose", write("word " * 131)),
    ("no_long_stretches_of_prose", edit("A tone is one line", "Listen", "word $x^2$ " * 66)),
    ("three_open_exercises", edit('"07.3"', "check", "try_out")),
    ("three_open_exercises", edit('"07.3"', "07.3", "08.3")),
    ("three_open_exercises", set_output('"07.3"', text_plain="07.3 right: …")),
    ("exercises_are_announced", edit("Exercise 07.3", "07.3", "07.4")),
    ("exercises_are_announced", edit("First.", "07.1", "07.2")),
    ("exercises_are_announced", append('check("07.4", answer)')),
    ("solved_beside_it", append('check("07.4", answer)')),
    ("a_summary_and_the_way_on", edit("## Summary", "Summary", "The end")),
    ("a_summary_and_the_way_on", edit("## Summary", "09_b", "07_a")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), BAD, ids=[f"{n}-{i}" for i, (n, _) in enumerate(BAD)])
def test_a_bad_page_breaks_the_rule(series, name, change):
    assert problems(series(change), name)


def test_a_solution_that_is_wrong_is_found(series):
    path = series(set_output("07.2", text_plain="07.2 wrong: …"), solved=True)
    assert problems(path, "right_solutions")


def test_an_exercise_without_a_solution_is_found(series):
    path = series(edit("07.2", "07.2", "07.1"), solved=True)
    assert problems(path.parent.parent / path.name, "solved_beside_it")


def test_every_rule_is_seen_to_fail():
    assert {name for name, _ in BAD} | {"right_solutions"} == {
        *EVERYWHERE, *LESSONS_ONLY, *SOLUTIONS_ONLY}  # fmt: skip


GOOD = [
    ("no_unexpected_errors", append(
        "x", new_output("error", ename="E", evalue="", traceback=[]), tags=["raises-exception"])),
    ("nothing_of_the_machine_it_ran_on", write("https://example.org/home/me and ../tmp/x, and/or")),
    ("sliders_wait_for_the_hand", append("FloatSlider(continuous_update=False)")),
    ("no_long_stretches_of_prose", write("word " * 100 + "\n```python\nx\n```\n" + "word " * 100)),
    ("no_long_stretches_of_prose", write("| word |\n" * 200 + "\n\n$$" + "x " * 200 + "$$")),
    ("words_for_every_picture", write('![A line](a.png) <img src="a.png" alt="A line">')),
    ("links_lead_somewhere", write("[on](09_b.ipynb#summary)")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), GOOD)
def test_a_rule_lets_pass_what_is_fine(series, name, change):
    assert problems(series(change), name) == []
