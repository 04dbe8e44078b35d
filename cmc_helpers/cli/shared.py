"""What the commands share: options, checks before the work, and lines for people."""

import math
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from cmc_helpers.features import PRESETS, FeatureConfig
from cmc_helpers.files import FileError, replacing
from cmc_helpers.terminal import quiet_tensorflow

SOUND = (".wav", ".flac", ".ogg")
STOPPED = "stopped: no file is left half-written"


class Number(click.FloatRange):
    """A number in a range. NaN, which is in none, passes click's own check."""

    def convert(self, value: Any, parameter: Any, context: Any) -> float:
        number = super().convert(value, parameter, context)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", parameter, context)
        return number


class Grouped(click.Command):
    """A command whose help lists its options in groups, the first needed first."""

    groups: dict[str, tuple[str, ...]] = {}  # title → names; the others follow

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        options = {
            one.name: record
            for one in self.get_params(context)
            if (record := one.get_help_record(context))
        }
        named = {name for names in self.groups.values() for name in names}
        others = tuple(name for name in options if name not in named)
        for title, names in (self.groups | {"Other options": others}).items():
            with formatter.section(title):
                formatter.write_dl([options[name] for name in names])


def output_option(text: str) -> Callable:
    """Where the command writes, `-o`."""
    return click.option("-o", "--output", required=True, metavar="FILE", help=text)


def preset_option(text: str, **settings: Any) -> Callable:
    """How sound becomes numbers, `--preset`."""
    text += " paper: as published; original-2017: as its code did; default: what sounds best."
    return click.option("--preset", type=click.Choice(tuple(PRESETS)), help=text, **settings)


def jobs_option(text: str) -> Callable:
    """How many processes, `--jobs`."""
    jobs = click.IntRange(1, 1024)
    return click.option("--jobs", type=jobs, help=text, show_default="one a CPU")


def seed_option(text: str, **settings: Any) -> Callable:
    """Where random numbers begin, `--seed`."""
    return click.option("--seed", type=click.IntRange(0, 2**32 - 1), help=text, **settings)


def check_output(path: str, *suffixes: str) -> None:
    """Refuse a file that could not be written, before the work that leads to it."""
    if Path(path).suffix.lower() not in suffixes:
        raise FileError(f"{path} cannot be written: choose a name in {', '.join(suffixes)}")
    with suppress(click.Abort), replacing(path):
        raise click.Abort  # `replacing` has found out, and leaves everything as it was


def typed(*words: str) -> str:
    """A command as the shells of this system take it: those of Windows know no single quotes."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def start_tensorflow(first: Callable[[], Any] | None = None) -> Any:
    """Start it, and return what `first` does before its first operation."""
    made: list[Any] = []
    try:
        quiet_tensorflow(first and (lambda: made.append(first())))
        return made[0] if made else None
    except ModuleNotFoundError as problem:
        raise click.ClickException(
            f"TensorFlow is needed for this ({problem}): pip install 'cmc-helpers[tensorflow]'"
        ) from problem


def duration(frames: int, config: FeatureConfig | None) -> str:
    """Frames, and for sound seconds, in words."""
    if config is None:
        return f"{frames} vectors"
    seconds = frames / config.frames_per_second
    return f"{frames} frames, {seconds:.1f} s" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def say(line: str) -> None:
    """Write one line to standard output."""
    click.echo(line.encode("utf-8", "backslashreplace").decode())  # names that are no text


def complain(message: object) -> None:
    """Write one line to standard error, above the progress bar if there is one."""
    from tqdm import tqdm

    if sys.stderr:  # pythonw has none
        tqdm.write(f"cmc: {' '.join(str(message).splitlines())}", file=sys.stderr)
