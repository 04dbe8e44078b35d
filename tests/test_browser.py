"""What a visitor does, in a real browser: move the slider, hear it change, break it, mend it."""

import base64
import io
import re
import urllib.parse
from functools import partial

import nbformat
import numpy as np
import pytest
import servers
import soundfile
from browser import launch
from playwright.sync_api import expect, sync_playwright

from cmc_helpers import notebook

pytestmark = pytest.mark.timeout(600)
NOTEBOOK_10 = "10_sampling_strategies.ipynb"
ALLOWED = ("data:", "blob:")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright, launch(playwright) as browser:
        yield browser


class Visit:
    """A page, and all that it asked for and complained of."""

    def __init__(self, browser, address):
        self.page = browser.new_page(viewport={"width": 1100, "height": 1400})
        self.host = urllib.parse.urlsplit(address).netloc
        self.left, self.complaints = [], []
        self.page.on("request", self._asked)
        self.page.on("websocket", self._asked)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address, timeout=120_000)

    def _asked(self, request):
        url = request.url
        if not url.startswith(ALLOWED) and urllib.parse.urlsplit(url).netloc != self.host:
            self.left.append(url)

    def _said(self, message):
        if message.type == "error":
            self.complaints.append(message.text)

    def is_clean(self):
        assert self.left == [], "requests that leave the machine"
        assert self.complaints == [], "errors in the console"


class Knobs:
    """The player on a page, as seen and touched from outside."""

    def __init__(self, page, within="body"):
        self.page, self.box = page, page.locator(within)
        self.audio, self.image = self.box.locator("audio"), self.box.locator("img[alt*=components]")
        self.text = self.box.get_by_label("as text")
        self.status = self.box.locator("[role=status], [role=alert]").first

    def row(self, label):
        label = self.page.locator(".widget-label", has_text=re.compile(f"^{label}$"))
        return self.box.locator(".widget-slider").filter(has=label)

    def slider(self, label):
        return self.row(label).locator("[role=slider]")

    def value(self, label):
        return float(self.row(label).locator(".widget-readout").inner_text())

    def heard(self):
        """The samples in the page, decoded here, and the length that the browser finds."""
        source = self.audio.get_attribute("src")
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(source.partition(",")[2])))
        ready = "a => new Promise(r => a.readyState ? r(a.duration) : a.onloadedmetadata = () => "
        duration = self.audio.evaluate(ready + "r(a.duration))")
        assert duration == pytest.approx(len(samples) / rate, abs=0.05)
        return samples

    def shown(self):
        """Sound, picture and text, once it says that all of them are there."""
        expect(self.status).to_contain_text("Here it is", timeout=60_000)
        return (
            self.audio.get_attribute("src"),
            self.image.get_attribute("src"),
            self.text.input_value(),
        )

    def moves(self, action):
        """What is shown after `action`, which must change all of it."""
        before = self.shown()
        action()
        expect(self.audio).not_to_have_attribute("src", before[0], timeout=60_000)
        after = self.shown()
        assert all(new != old for new, old in zip(after, before, strict=True))
        return after


def press(knobs, label, key, times=1):
    def action():
        knobs.slider(label).focus()
        for _ in range(times):
            knobs.page.keyboard.press(key)

    return action


def drag(knobs, label, share):
    """By mouse: pull the handle to a share of the slider's length."""

    def action():
        handle = knobs.slider(label)
        handle.scroll_into_view_if_needed()
        track = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()
        place = handle.bounding_box()
        y = place["y"] + place["height"] / 2
        knobs.page.mouse.move(place["x"] + place["width"] / 2, y)
        knobs.page.mouse.down()
        knobs.page.mouse.move(track["x"] + share * track["width"], y, steps=8)
        knobs.page.mouse.up()

    return action


def typed(field, text):
    """Into a text field, with Enter at the end."""

    def action():
        field.fill(text)
        field.press("Enter")

    return action


def plays_and_moves(knobs):
    """Keyboard and mouse: sound, picture and text follow, and come back."""
    first = knobs.shown()
    tau = knobs.value("τ")
    assert tau < 1 and np.abs(knobs.heard()).max() > 0.05
    assert len(knobs.heard()) == 4 * 8000
    knobs.moves(press(knobs, "τ", "ArrowRight"))
    assert knobs.value("τ") == pytest.approx(tau + 0.05)
    assert f"--tau {tau + 0.05:g} " in knobs.text.input_value()
    assert np.abs(knobs.heard()).max() > 0.05
    assert knobs.moves(press(knobs, "τ", "ArrowLeft")) == first
    knobs.moves(drag(knobs, "τ", 1.0))
    assert knobs.value("τ") == 1 and np.abs(knobs.heard()).max() > 0.05
    knobs.moves(press(knobs, "σ scale", "ArrowLeft"))
    knobs.moves(typed(knobs.box.get_by_role("spinbutton", name="seed"), "7"))
    knobs.moves(typed(knobs.text, first[2]))
    assert knobs.shown() == first


def does_not_pile_up(knobs):
    """Twenty moves in a row: some are passed over, and the last one is what stays."""
    knobs.shown()
    count = """a => { window.sounds = 0; new MutationObserver(changes => changes.forEach(change =>
      change.addedNodes.forEach(node => { if (node.querySelector?.('audio')) window.sounds++; })))
      .observe(document.body, {subtree: true, childList: true}) }"""
    knobs.audio.evaluate(count)
    for key in ["ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight"] * 5:
        press(knobs, "τ", key)()
    press(knobs, "τ", "ArrowLeft")()
    expect(knobs.text).to_have_value(re.compile(f"--tau {knobs.value('τ'):g} "), timeout=60_000)
    knobs.page.wait_for_timeout(300)
    knobs.shown()
    assert 1 <= knobs.page.evaluate("window.sounds") < 15
    knobs.text.press("Enter")
    assert f"--tau {knobs.value('τ'):g} " in knobs.text.input_value()
    assert knobs.image.get_attribute("alt").count(f"τ {knobs.value('τ'):g} of") == 1


ORDER = ["τ", "σ scale", "π temperature", "strategy", "ranked by", "noise", "seconds", "seed"]


def tab_order(knobs, first, count):
    """The labels of the knobs that the tab key visits, one after the other."""
    name = """() => document.activeElement.closest('.jupyter-widgets')
      ?.querySelector('.widget-label')?.textContent"""
    knobs.slider(first).focus()
    names = []
    while len(names) < count:
        label = knobs.page.evaluate(name)
        names += [label] if label not in names else []  # a slider has a handle and a number
        knobs.page.keyboard.press("Tab")
    return names


def contrast(knobs):
    """Of a knob's label against what is behind it, as WCAG 2 has it."""
    colours = """e => { const colours = [getComputedStyle(e).color];
      for (; e; e = e.parentElement) colours.push(getComputedStyle(e).backgroundColor);
      return colours.filter(c => !/, 0\\)$/.test(c)).slice(0, 2) }"""
    label = knobs.box.locator(".widget-label").first
    pair = [re.findall(r"[\d.]+", colour)[:3] for colour in label.evaluate(colours)]

    def luminance(colour):
        parts = [float(part) / 255 for part in colour]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    dark, light = sorted(map(luminance, pair))
    return (light + 0.05) / (dark + 0.05)


# --- The notebook ---


@pytest.fixture
def lab(tmp_path):
    with servers.jupyterlab(tmp_path, "JupyterLab Dark") as address:
        yield address


def idle(page):
    """Wait until the notebook's kernel is there and has nothing to do."""
    page.wait_for_selector(".jp-CodeCell", timeout=120_000)
    state = """async () => {
      const token = new URLSearchParams(location.search).get('token') || window.token;
      const found = await fetch('/api/kernels', {headers: {Authorization: 'token ' + token}});
      const kernels = found.ok ? await found.json() : [];
      const shown = document.body.innerText;  // the toolbar and the status bar have heard of it
      return kernels.some(k => k.connections > 0) && kernels.every(k => k.execution_state == 'idle')
        && /Python 3 \\(ipykernel\\) \\| Idle/.test(shown) && !/No Kernel/.test(shown)
    }"""
    page.wait_for_function(state, timeout=120_000, polling=300)


def run(cell):
    cell.locator(".cm-content").click()
    cell.page.keyboard.press("ControlOrMeta+Enter")


def run_all(visit, path):
    """Forget what is stored, and run every cell; return when all code cells have a number."""
    page, cells = visit.page, nbformat.read(path, as_version=4).cells
    count = sum(cell.cell_type == "code" for cell in cells)

    def choose(menu, command):
        page.get_by_role("menuitem", name=menu, exact=True).click()
        page.locator(f'.lm-Menu-item[data-command="{command}"]').click()

    idle(page)
    choose("Edit", "editmenu:clear-all")
    first = page.locator(".jp-CodeCell").first
    number = first.locator(".jp-InputPrompt")
    expect(number).to_have_text("[ ]:")
    # Once one cell has run, the kernel has also answered what JupyterLab asks a new one about its
    # widgets; a view that is drawn before that may be lost.
    again(lambda: run(first), number.filter(has_text="[1]:"))
    idle(page)
    choose("Run", "runmenu:run-all")
    done = """count => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
      .filter(prompt => /\\[\\d+\\]/.test(prompt.textContent)).length == count"""
    page.wait_for_function(done, arg=count, timeout=400_000, polling=500)


def keep_only(folder, name, *needed):
    """Leave in a copy of a notebook the first two code cells, and those with a word of `needed`."""
    path = folder / "notebooks" / name
    lesson = nbformat.read(path, as_version=4)
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    kept = code[:2] + [cell for cell in code[2:] if any(word in cell.source for word in needed)]
    assert len(kept) == 2 + len(needed)
    lesson.cells = [cell for cell in lesson.cells if cell not in code or cell in kept]
    nbformat.write(lesson, path)


def opened(browser, lab, name):
    token = lab.rpartition("token=")[2]
    visit = Visit(browser, lab.format(name))
    visit.page.evaluate("token => { window.token = token }", token)
    return visit


def test_the_slider_of_notebook_10_is_heard(browser, lab, tmp_path):
    keep_only(tmp_path, NOTEBOOK_10, "widgets.mixture_explorer(", "widgets.player(")
    visit = opened(browser, lab, NOTEBOOK_10)
    run_all(visit, tmp_path / "notebooks" / NOTEBOOK_10)
    assert visit.page.locator(".jp-RenderedText[data-mime-type*=error]").count() == 0
    live = ".jp-CodeCell:has(.widget-slider):has(audio)"
    knobs = Knobs(visit.page, live)
    knobs.audio.scroll_into_view_if_needed()
    plays_and_moves(knobs)
    does_not_pile_up(knobs)
    assert contrast(knobs) > 4.5  # on the dark theme; the playground has the light one
    explorer = visit.page.locator(".jp-CodeCell:has(.widget-slider):not(:has(audio))").first
    picture = explorer.locator("img")
    before = picture.get_attribute("src")
    explorer.locator("[role=slider]").nth(1).focus()
    visit.page.keyboard.press("ArrowLeft")
    expect(picture).not_to_have_attribute("src", before, timeout=30_000)
    visit.is_clean()


def test_notebook_12_runs_and_its_composer_test_is_taken(browser, lab):
    visit = opened(browser, lab, "12_composer_test.ipynb")
    run_all(visit, servers.NOTEBOOKS / "12_composer_test.ipynb")
    view = visit.page.locator(".jp-CodeCell:has(.widget-slider)")
    view.get_by_label("your name").fill("anna")
    view.get_by_role("button", name="begin").click()
    for trial in range(1, 5):
        expect(view.locator("[role=status]")).to_contain_text(f"Trial {trial} of 4")
        expect(view.locator("audio")).to_have_count(2)
        view.get_by_role("button", name="the second is the machine's").click()
    expect(view.locator("[role=status]")).to_contain_text("All 4 answers are kept")
    expect(view.locator("audio")).to_have_count(0)
    visit.is_clean()


WRONG, RIGHT = (
    "from cmc_helpers.exercises import check\nimport numpy as np\n"
    f"def one_bell(weights, means, scales): m = weights @ means; return m, {spread}\n"
    'check("02.1", one_bell)'
    for spread in (
        "np.sqrt(weights @ scales**2)",
        "np.sqrt(weights @ (scales**2 + (means - m) ** 2))",
    )
)


def type_and_run(page, cell, source):
    cell.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text(source)
    page.keyboard.press("ControlOrMeta+Enter")


def again(action, wanted, times=4):
    """Act, and wait for what is wanted: JupyterLab drops what comes while a kernel connects."""
    for _ in range(times):
        action()
        try:
            return expect(wanted).to_have_count(1, timeout=20_000)
        except AssertionError:  # or it asks which kernel is meant
            for button in wanted.page.locator(".jp-Dialog .jp-mod-accept").all():
                button.click()
    expect(wanted).to_have_count(1)


def test_an_exercise_of_notebook_02_answers_wrong_then_right(browser, lab):
    visit = opened(browser, lab, "02_mixture_density_networks.ipynb")
    page = visit.page
    idle(page)
    cell = page.locator(".jp-CodeCell").filter(has_text="def one_bell").first
    for source, word in ((WRONG, "wrong"), (RIGHT, "right")):
        said = re.compile(f"02.1 {word}")
        verdict = cell.locator("[role=status]").filter(has_text=said)
        again(partial(type_and_run, page, cell, source), verdict)
    assert "mean" in verdict.inner_text()
    visit.is_clean()


# --- The playground ---


@pytest.fixture(scope="module")
def playground(tmp_path_factory):
    with servers.playground(tmp_path_factory.mktemp("playground")) as address:
        yield address


def play(browser, address):
    visit = Visit(browser, address)
    visit.page.wait_for_selector("audio", timeout=120_000)
    return visit, Knobs(visit.page)


def test_the_playground_plays_moves_and_keeps_up(browser, playground):
    visit, knobs = play(browser, playground)
    assert visit.page.get_by_text("import").count() == 0  # a page without code
    plays_and_moves(knobs)
    does_not_pile_up(knobs)
    assert contrast(knobs) > 4.5
    assert tab_order(knobs, "τ", len(ORDER)) == ORDER
    for name in ("τ", "σ scale", "π temperature", "seconds"):  # for a screen reader
        assert visit.page.get_by_role("slider", name=name, exact=True).count() == 1
    visit.is_clean()


@pytest.mark.weekly
def test_two_visitors_do_not_hear_each_other(browser, playground):
    (one, here), (other, there) = play(browser, playground), play(browser, playground)
    assert here.shown() == there.shown()
    before, tau, scale = there.shown(), there.value("τ"), here.value("σ scale")
    here.moves(press(here, "τ", "ArrowRight", 2))
    assert there.shown() == before
    there.moves(press(there, "σ scale", "ArrowLeft"))
    assert here.value("σ scale") == scale and there.value("τ") == tau
    for visit in (one, other):
        visit.is_clean()


@pytest.mark.weekly
def test_a_clip_of_ones_own_goes_in_and_wav_and_csv_come_out(browser, playground, tmp_path):
    visit, knobs = play(browser, playground)
    page, before = visit.page, knobs.shown()

    def give(name, content):
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="a clip of your own").click()
        chooser.value.set_files({"name": name, "mimeType": "audio/wav", "buffer": content})

    give("words.wav", b"not a sound")
    expect(knobs.status).to_contain_text("words.wav", timeout=30_000)
    give("big.wav", bytes(12_000_000))  # more than a socket takes as it comes
    expect(knobs.status).to_contain_text("big.wav has 12.0 MB, 5 are the most", timeout=30_000)
    assert knobs.audio.get_attribute("src") == before[0]
    t = np.arange(16000) / 8000
    give("tone.wav", notebook.wav(0.3 * np.sin(2 * np.pi * 262 * t), 8000))
    expect(knobs.audio).not_to_have_attribute("src", before[0], timeout=60_000)
    assert knobs.shown()[2].endswith("--prime tone.wav -o music.wav")
    page.get_by_role("button", name="make files of this").click()
    for kind, start in ((".wav", b"RIFF"), (".csv", b"")):
        with page.expect_download(timeout=60_000) as download:
            page.locator(f'a[download$="{kind}"]').click(timeout=60_000)
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        assert path.suffix == kind and path.read_bytes().startswith(start)
        if kind == ".wav":
            assert np.abs(soundfile.read(path)[0]).max() > 0.02
        else:
            assert np.loadtxt(path, delimiter=",").shape == (500, 100)
    visit.is_clean()
