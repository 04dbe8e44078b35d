"""Lay Bach's chorales on a grid and write them as tokens: chorales.npz, for notebook 14.

    python data_samples/make_chorales.py

The pieces and their order are those of the corpus of sound that `cmc corpus --bach` builds; every
tenth is held out. music21 carries the scores, and reads them in a minute.
"""

from pathlib import Path

import make_samples
import numpy as np

from cmc_helpers import scores
from cmc_helpers.corpora import building
from cmc_helpers.files import replacing
from cmc_helpers.scores import bach, symbolic
from cmc_helpers.terminal import terminal_progress

FOLDER = Path(__file__).resolve().parent
ENTRY = {
    "path": "chorales.npz",
    "what": "The notes of Bach's chorales, on a grid of sixteenths, as the tokens of notebook 14.",
    "composition": "Johann Sebastian Bach (1685-1750); public domain; scores from music21 (BSD-3).",
    "made_by": "python data_samples/make_chorales.py",
    "licence": "CC0-1.0",
}
HOLD_OUT = 0.1


def main():
    sources, texts = bach.sources(None), []
    written = moved = 0
    with terminal_progress("Reading scores") as progress:
        for number, source in enumerate(sources, 1):
            events = scores.read_score(source.path).events
            written, moved = written + len(events), moved + sum(map(off_the_grid, events))
            texts.append(symbolic.encode(symbolic.on_the_grid(events)))
            progress(number, len(sources), source.name)
    parts = building.split_pieces(len(sources), HOLD_OUT)
    with replacing(FOLDER / ENTRY["path"]) as temporary:
        np.savez_compressed(
            temporary,
            names=np.array([source.name for source in sources]),
            lengths=np.array([len(text) for text in texts]),
            held_out=np.array([part == "validation" for part in parts], np.uint8),
            tokens=np.concatenate(texts),
        )
    facts = {"pieces": len(sources), "written_notes": written, "off_the_grid": moved}
    make_samples.register(ENTRY | facts)


def off_the_grid(event):
    """Does rounding to sixteenths move the beginning or the end of this note?"""
    return any(4 * time % 1 for time in (event.start, event.length))


if __name__ == "__main__":
    main()
