"""Half an hour of laughter to train on: thirty crowds, a minute each, none of which is shipped.

    python data_samples/make_laughter.py FOLDER      then: cmc corpus FOLDER -o CORPUS

They are made as laughter.flac is, each from a seed of its own. What is there already is kept.
"""

import argparse
from pathlib import Path

from voices import laughter

from cmc_helpers.audio import write_audio
from cmc_helpers.terminal import terminal_progress

SAMPLE_RATE = 22050  # Hz
CROWDS = 30


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    with terminal_progress("Laughing") as progress:
        for seed in range(CROWDS):
            path = folder / f"crowd_{seed:02}.flac"
            if not path.exists():
                write_audio(path, laughter(60, SAMPLE_RATE, seed), SAMPLE_RATE)
            progress(seed + 1, CROWDS, path.name)


if __name__ == "__main__":
    main()
