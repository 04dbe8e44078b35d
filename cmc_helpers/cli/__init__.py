"""`cmc …`: the command line, a thin face over the modules of this package.

The exit status is 0, or 2 with one line on standard error that says what is wrong with which file
and what to do; Ctrl-C, a `kill` and a terminal that is closed count as 2 as well (see `stopping`).
TensorFlow starts only for `train` and `evaluate`.
"""

import re
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import click

from cmc_helpers.cli import learning, playing, sound
from cmc_helpers.cli.shared import STOPPED, complain, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `cmc` with a list of arguments (the process's own if None); return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own are for programmers
        warnings.filterwarnings("always", category=UserWarning, module="cmc_helpers")
        warnings.showwarning = lambda message, *_: complain(f"warning: {message}")
        try:
            return commands.main(arguments or ["--help"], "cmc", standalone_mode=False) or 0
        except click.UsageError as problem:
            command = problem.ctx.command_path if problem.ctx else "cmc"
            message = problem.format_message().rstrip(".")
            complain(f"{message[0].lower()}{message[1:]} ({command} --help explains)")
        except click.ClickException as problem:
            complain(problem.format_message())
        except (KeyboardInterrupt, click.Abort):  # between two commands' own answers
            complain(STOPPED)
        except MemoryError:
            complain("there is not enough memory: ask for less, or close other programs")
        except OSError as problem:  # the disk's or the system's, not foreseen by the pipeline
            where = f"{problem.filename}: " if problem.filename else ""
            complain(f"{where}{problem.strerror or problem}")
        except ValueError as problem:
            complain(_in_options(str(problem)))
    return 2


def _in_options(sentence):
    """What the library says of an argument, `steps` or `resume=True`, said of its option."""
    options = {
        option.name: option.opts[0] for one in commands.commands.values() for option in one.params
    }
    return re.sub(r"`(\w+)(?:=True)?`", lambda m: options.get(m[1], m[0]), sentence)


class _Commands(click.Group):
    """Commands in the order of the work, where Ctrl-C ends in a sentence."""

    def list_commands(self, context):
        return list(self.commands)

    def invoke(self, context):
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise click.ClickException(STOPPED) from None


def _say_version(context, parameter, wanted):
    """Say which version this is. A checkout that is not installed has none."""
    if wanted and not context.resilient_parsing:
        try:
            say(f"cmc {version('cmc-helpers')}")
        except PackageNotFoundError:
            say("cmc, in a checkout that is not installed")
        context.exit()


@click.group(cls=_Commands, context_settings={"show_default": True, "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_say_version)
def commands() -> None:
    """From a recording to new sound: features, a network trained on them, what it makes of them.

    \b
    cmc train data_samples/bounce.csv --run r    vectors: a line of numbers per step
    cmc generate r -o out.csv --steps 200
    \b
    cmc train my_recordings/ --run r             sound: a folder of recordings
    cmc generate r -o out.wav --seconds 10

    What each command does and takes: cmc COMMAND --help.
    """


for _command in (
    sound.features_command,
    sound.invert_command,
    learning.corpus_command,
    learning.train_command,
    playing.generate_command,
    playing.evaluate_command,
    playing.runs_command,
):
    commands.add_command(_command)
