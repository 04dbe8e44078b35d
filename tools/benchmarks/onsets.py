"""Does the counter of notes count notes? `analysis.onsets` beside the scores.

    .venv/bin/python tools/benchmarks/onsets.py CORPUS

CORPUS is a folder made by `cmc corpus --bach`. In its held-out pieces the moments are known at
which a hand strikes: those of the score as `performing.perform` plays it, chords (50 ms) counted
once. A moment is found if the detector names one within 50 ms of it that no other moment has taken,
as in MIREX.
"""

import sys
from itertools import pairwise

import numpy as np

from cmc_helpers import analysis, corpora
from cmc_helpers.features import features_to_amplitudes
from cmc_helpers.scores import performing

NEAR = 0.05  # seconds


def main(folder):
    from music21 import corpus as scores

    corpus = corpora.load_corpus(folder)
    paths = {path.stem: path for path in scores.getComposer("bach")}
    truth = found = both = 0
    for piece in corpus.pieces:
        if piece.split == "validation":
            struck = strikes(performing.perform(scores.read_score(paths[piece.name])))
            features = np.asarray(piece.features, float)
            heard = analysis.onsets(features_to_amplitudes(features, corpus.config))
            truth, found = truth + len(struck), found + len(heard)
            both += matched(struck, heard)
    print(f"{truth} strikes in the scores, {found} found")
    for name, share in ("precision", found), ("recall", truth), ("F", (found + truth) / 2):
        print(f"{name} {both / share:.3f}")


def strikes(notes):
    """When notes begin, in seconds, chords once: each is more than `NEAR` after the one before."""
    times = sorted(note.start for note in notes)
    return [times[0], *(b for a, b in pairwise(times) if b - a > NEAR)]


def matched(struck, heard):
    """How many of `struck` have one of `heard` within `NEAR`, each taken once."""
    free, count = np.ones(len(heard), bool), 0
    for time in struck:
        distances = np.where(free, np.abs(heard - time), np.inf)
        if len(heard) and distances.min() <= NEAR:
            free[distances.argmin()] = False
            count += 1
    return count


if __name__ == "__main__":
    main(sys.argv[1])
