"""Make the picture and the two sounds at the top of the README.

    .venv/bin/python docs/hear_it.py [FOLDER]      into docs/, or into FOLDER

Three seconds of Bach that the run `bach` never heard, and nine that it adds: once with chance, as
it is recommended, with noise borrowed from its training music, and once with none. The same command
makes the same bytes.
"""

import sys
from pathlib import Path

import numpy as np

from cmc_helpers import generation, inversion, plots, runs
from cmc_helpers.audio import write_audio
from cmc_helpers.files import replacing

HEARD, ADDED = 3, 9  # seconds
WAYS = {
    "with_chance": ("With chance: music goes on", {}),
    "without_chance": (
        "Without: it runs into a steady state",
        dict(strategy="greedy", sigma_scale=0.0),
    ),
}
TITLE = f"{HEARD} seconds of Bach, and then what the network adds"


def main(folder):
    run = runs.load(runs.find("bach"))
    config = run.features
    heard = np.load(run.folder / "held_out.npy")[: config.frames(HEARD)]
    sounds = {}
    for name, (title, sampling) in WAYS.items():
        steps = config.frames(ADDED)
        made = generation.generate(run, steps, primer=heard, seed=1, **sampling).vectors[0]
        sounds[title] = inversion.invert_features(np.concatenate([heard, made]), config)
        write_audio(folder / f"{name}.wav", sounds[title], config.sample_rate)
    figure = plots.compare(sounds, TITLE)
    for ax in figure.axes[: len(WAYS)]:
        ax.axvline(HEARD, color="white", linestyle="--")
    with replacing(folder / "hear_it.png") as temporary:
        temporary.write_bytes(plots.figure_with_alt(figure, TITLE).png)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent))
