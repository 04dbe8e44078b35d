"""How long from the slider let go to new sound in the page? In a real browser, on the playground.

    .venv/bin/python benchmarks/slider.py [--moves 20] [--seconds 4]

Every move is a press of an arrow key on τ. The clock starts in the page with the key and stops when
its audio element has another source; then it goes on to the new picture.
"""

import argparse
import re
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

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
    given = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as folder,
        playground(Path(folder)) as address,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        page = browser.new_page()
        page.goto(address, timeout=120_000)
        page.wait_for_selector("audio", timeout=120_000)
        text, status = page.get_by_label("as text"), page.locator("[role=status]").first
        line = text.input_value().replace("--seconds 4", f"--seconds {given.seconds:g}")
        text.fill(line)
        text.press("Enter")
        page.wait_for_timeout(3000)
        page.evaluate(TIMES)
        for move in range(given.moves):
            page.locator(".widget-slider [role=slider]").first.focus()
            page.keyboard.press("ArrowLeft" if move % 2 else "ArrowRight")
            expect(status).to_contain_text(re.compile("Computing"), timeout=5000)
            expect(status).to_contain_text(re.compile("Here it is"), timeout=60_000)
            page.wait_for_timeout(200)
        times = page.evaluate("window.times")
    sound, picture = zip(*times, strict=True)
    for name, numbers in {"sound": sound, "picture": picture}.items():
        print(
            f"{name}: median {statistics.median(numbers):.0f} ms, "
            f"from {min(numbers):.0f} to {max(numbers):.0f} ms, {len(numbers)} moves"
        )


if __name__ == "__main__":
    main()
