"""Where a number comes from: the date, the versions, the machine and the command.

Every script in tools/experiments/ writes one JSON file that carries its own name, with these four
first:

    write(path, provenance("python tools/experiments/NAME.py …") | results)

`command` is what makes the file again, from the top of the checkout; the same script with
`--small --output FILE` writes the same keys within seconds. A test tries that for every JSON here.
"""

import datetime
import json
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from cmc_helpers.files import replacing

PACKAGES: tuple[str, ...] = ("numpy", "scipy", "scikit-learn", "librosa", "music21", "optuna")
PACKAGES += ("keras", "tensorflow", "tensorflow-cpu")  # the last two are one, by two names


def provenance(command: str) -> dict[str, Any]:
    """A dict with the keys command, date, machine and versions, in this order.

    command: what to type to get the results again. Only packages that are installed are named, and
    nothing says whose machine it was.
    """
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores ({processor()})",
        "versions": versions(),
    }


def in_words(about: dict[str, Any]) -> str:
    """What `provenance` gives, in one line of Markdown for the head of a table."""
    named = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{about['date']}, `{about['command']}`, {about['machine']}; {named}"


def versions() -> dict[str, str]:
    """Python and those of `PACKAGES` that are installed: name → version."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def processor() -> str:
    """The processor's name, or the kind of machine where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write(path: str | Path, results: dict[str, Any]) -> None:
    """Write `results`, a dict, as JSON to `path`: whole, or not at all. Raises FileError."""
    with replacing(path) as temporary:
        text = json.dumps(results, indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", "utf-8", newline="\n")


class Stages:
    """Results by name, in a JSON file; what is there is not computed again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def __call__(self, name: str, compute: Callable[[], Any]) -> Any:
        if name not in self.found:
            self.found[name] = compute()
            write(self.path, self.found)
        return self.found[name]
