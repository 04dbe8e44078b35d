"""Measure again all that is measured on the music of Bach, and store it: every table and card.

    .venv/bin/python tools/remake.py --work FOLDER [--only NAME …] [--list]

For a change of a judge, of a yardstick, or of a run that ships: after it no number of the old one
may stand beside one of the new. Each step is a command that can be typed alone, and writes what the
notebooks, the model cards and the tables in tools/ print from; the notebooks are run last. FOLDER
keeps the corpora, what the steps have half done, and which of them are finished: the same command
goes on where it was stopped. All of it takes most of a day on two cores; --list says what is left.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from cmc_helpers.files import FileError
from cmc_helpers.provenance import Stages

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENT = "tools/experiments/{0}.py --corpus {{work}}/bach --work {{work}}/{0}"
RUN = "data_samples/make_runs.py {0} --measure"
STEPS = {  # name → what this Python is called with; a later one may read what an earlier one wrote
    "corpus": "-m cmc_helpers corpus --bach -o {work}/bach",
    "corpus of the paper": "-m cmc_helpers corpus --bach --preset paper -o {work}/bach-paper",
    "chorales": "data_samples/make_chorales.py",
    "judges": EXPERIMENT.format("judges"),
    "bach": RUN.format("bach") + " --corpus {work}/bach",
    "bach-mse": RUN.format("bach-mse") + " --corpus {work}/bach",
    "bach-paper": RUN.format("bach-paper") + " --corpus {work}/bach-paper",
    "passage": RUN.format("passage"),
    "singer": RUN.format("singer"),
    "ingredients": "tools/benchmarks/ingredients.py {work}/bach "
    "--output tools/benchmarks/ingredients.md",
    "hops": "tools/benchmarks/ingredients.py {work}/bach --hops --output tools/benchmarks/hops.md",
    "nucleus": EXPERIMENT.format("nucleus"),
    "steady state": EXPERIMENT.format("steady_state"),
    "beyond the paper": EXPERIMENT.format("beyond_the_paper"),
    "symbolic music": EXPERIMENT.format("symbolic_music"),
    "samples": "data_samples/make_samples.py",
    "notebooks": "tools/execute.py",
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=Path, help="a folder for what is half done")
    parser.add_argument("--only", nargs="+", choices=STEPS, metavar="NAME", help="these, again")
    parser.add_argument("--list", action="store_true", help="say what is left, and do nothing")
    given = parser.parse_args(arguments)
    try:
        remake(given.work, given.only or list(STEPS), bool(given.only), given.list)
    except (FileError, subprocess.CalledProcessError) as problem:
        sys.exit(f"Error: {problem}")
    except KeyboardInterrupt:
        sys.exit("stopped: the same command goes on from here")


def remake(work, names, again=False, only_say=False):
    """Do the steps `names` that are not finished yet, or all of them `again`."""
    if not only_say:
        work.mkdir(parents=True, exist_ok=True)
    done = Stages(work / "finished.json")
    for number, name in enumerate(names, 1):
        words = command(name, work)
        left = again or name not in done.found
        if only_say:
            print(f"{'to do' if left else 'done ':5}  {name}: {' '.join(['python', *words])}")
        elif left:
            print(f"{number} of {len(names)}: {name}", flush=True)
            done.found.pop(name, None)
            subprocess.run([sys.executable, *words], cwd=ROOT, check=True)
            done(name, lambda words=words: " ".join(["python", *words]))


def command(name, work):
    """The words of a step, after `python`."""
    return [word.format(work=work.resolve()) for word in STEPS[name].split()]


if __name__ == "__main__":
    main()
