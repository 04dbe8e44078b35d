"""Bach's chorales, and the prelude BWV 846, from scores to sound: music to train on, made locally.

The package music21 brings the scores. They are performed the way a hand would play them, with a
tempo that breathes, phrases that rise and fall, and no two strokes alike; `soundfonts` gives the
piano. Everything that chance decides in a piece follows from the piece's name, so that a piece is
the same whatever else is built.

    sources(instrument) ──► read_score ──► perform ──► instrument.play ──► waveform
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmc_helpers.files import readable_file
from cmc_helpers.scores import ScoreError, read_score
from cmc_helpers.scores.performing import perform

# The encoders of these three reserve all rights; no other piece of Bach in music21 carries such a
# note (`!!!YEN` and `!!!EMD` in the .krn files).
RESERVED = ("bwv277", "bwv281", "bwv366")
# Note for note, or nearly, another piece of the list under a second number: held out, they would
# not test anything. In each pair the other one stays.
REPEATED: tuple[str, ...] = ("bwv117.4", "bwv120.8-a", "bwv18.5-w", "bwv197.7-a", "bwv20.11")
REPEATED += ("bwv227.11", "bwv244.17", "bwv274", "bwv279", "bwv280", "bwv414")

# Of the 396 pieces 42 validate and 82 test: a judge of sound needs many (notebook 12).
HOLD_OUT, TEST = 0.105, 0.21

_PERFORMANCE = 1  # counted up when `perform` changes what is played


@dataclass(frozen=True)
class ScoreSource:
    """One score as a source of sound for `corpora.build_from_sources`."""

    name: str
    path: Path
    instrument: Any
    unreadable = ScoreError

    def checksum(self) -> str:
        """SHA-256 of the score's file."""
        with readable_file(self.path, ScoreError).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def waveform(self, sample_rate: int) -> np.ndarray:
        """The piece performed: (samples,) float64. Raises ScoreError."""
        return self.instrument.play(perform(read_score(self.path)), sample_rate)


def sources(instrument: Any, seed: int = 0) -> list[ScoreSource]:
    """All pieces as a list of `ScoreSource`, in an order that only `seed` decides.

    instrument: of `soundfonts`.
    """
    from music21 import corpus

    paths = {
        path.stem: path
        for path in corpus.getComposer("bach")
        if path.suffix in (".mxl", ".xml") and path.stem not in RESERVED + REPEATED
    }
    names = sorted(paths)
    order = np.random.default_rng(seed).permutation(len(names))
    return [ScoreSource(names[i], paths[names[i]], instrument) for i in order]


def origin(instrument: Any) -> dict[str, Any]:
    """How the pieces are made, for the corpus' manifest: what must agree when a build goes on."""
    import music21

    return {
        "kind": "bach",
        "music21": music21.__version__,
        "performance": _PERFORMANCE,
        "instrument": instrument.describe(),
    }
