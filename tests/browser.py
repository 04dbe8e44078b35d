"""A real browser for the tests: the machine's own Chromium, led by Playwright."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium():
    """The path of the first Chromium in PATH, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright):
    """Chromium, which asks the network for nothing of its own accord.

    Without one the test is skipped; it fails where the variable CI is set.
    """
    path = find_chromium()
    if not path:
        message = f"no browser: none of {', '.join(NAMES)} is in PATH (apt install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return playwright.chromium.launch(executable_path=path, args=list(QUIET))
