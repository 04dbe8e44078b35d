"""How long from the slider let go to new sound in the page? In a real browser, on the playground.

    .venv/bin/python tools/benchmarks/slider.py [--moves 20] [--seconds 4] [--visitors 1]

Every move is a press of an arrow key on τ, by all visitors at once. The clock starts in the page
with the key and stops when its audio element has another source; then it goes on to the new
picture. The memory is what a visitor's own process adds, shared pages counted in shares (PSS).
"""

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from browser import launch
from playwright.sync_api import expect, sync_playwright
from servers import playground

TIMES = """() => { const found = selector => document.querySelector(selector)?.src;
  window.times = [];
  let sound = found('audio'), picture = found('img'), begin = 0;
  addEventListener('keydown', () => { begin = performance.now(); }, true);
  new MutationObserver(() => {
    const now = performance.now() - begin;
    if (found('audio') != sound) { sound = found('audio'); window.times.push([now]); }
    if (found('img') != picture) { picture = found('img'); window.times.at(-1)?.push(now); }
  }).observe(document.body, {subtree: true, childList: true, attributes: true}) }"""


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--visitors", type=int, default=1)
    given = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as folder,
        playground(Path(folder)) as address,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        pages = [visit(browser, address, given.seconds) for _ in range(given.visitors)]
        for move in range(given.moves):
            for page in pages:
                page.locator(".widget-slider [role=slider]").first.focus()
                page.keyboard.press("ArrowLeft" if move % 2 else "ArrowRight")
            for page in pages:
                count = f"window.times.length == {move + 1} && window.times.at(-1).length == 2"
                page.wait_for_function(count, timeout=60_000)
                settled(page)
        times = [time for page in pages for time in page.evaluate("window.times")]
        memory = [pss for pss in map(megabytes, Path("/proc").glob("[0-9]*")) if pss]
    sound, picture = zip(*times, strict=True)
    for name, numbers in {"sound": sound, "picture": picture}.items():
        print(
            f"{name}: median {statistics.median(numbers):.0f} ms, "
            f"from {min(numbers):.0f} to {max(numbers):.0f} ms, {len(numbers)} moves"
        )
    if memory:
        print(f"memory: {statistics.median(memory):.0f} MB a visitor")


def visit(browser, address, seconds):
    """A page of its own, with clips of so many seconds, that writes down its times."""
    page = browser.new_page()
    page.goto(address, timeout=120_000)
    page.wait_for_selector("audio", timeout=120_000)
    text = page.get_by_label("as text")
    text.fill(text.input_value().replace("--seconds 4", f"--seconds {seconds:g}"))
    text.press("Enter")
    settled(page)
    page.evaluate(TIMES)
    return page


def settled(page):
    """Return when the page shows all that was asked for."""
    page.wait_for_timeout(200)
    status = page.locator("[role=status]").first
    expect(status).to_contain_text(re.compile("Here it is"), timeout=60_000)


def megabytes(process):
    """What a visitor's kernel adds to the memory in use; None for any other process."""
    try:
        if b"ipykernel_launcher" in (process / "cmdline").read_bytes():
            shares = (process / "smaps_rollup").read_text("utf-8")
            return int(re.search(r"^Pss: +(\d+)", shares, re.MULTILINE)[1]) / 1000
    except OSError:
        pass
    return None


if __name__ == "__main__":
    main()
