"""A run at the two ends of a performance: what it hears first, and the sound of what it made.

Notebook: 10.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from cmc_helpers import inversion
from cmc_helpers.audio import read_audio, set_level
from cmc_helpers.corpora import samples
from cmc_helpers.features import extract_features
from cmc_helpers.runs import Run
from cmc_helpers.vectors import read_csv

PRIMER_SECONDS = 10  # of a primer, its end: longer than any training window, soon listened to


def sound(run: Run, features: np.ndarray, seconds: float, **changes: Any) -> np.ndarray:
    """Generated features (T, 100) → waveform of so many seconds, in [−1, 1].

    Every clip of a run by the gain that the run's own primer needs: what is soft stays soft.
    changes: see `inversion.invert_features`.
    """
    if not run.features:
        raise ValueError("this run makes vectors, which have no sound: write them to a CSV file")
    rate = run.features.sample_rate
    with threadpool_limits(1):  # the matrices are small: threads would only wait for each other
        waveform = inversion.invert_features(features, run.features, **changes)
    waveform = set_level(waveform, _heard_first(run), sample_rate=rate)
    return waveform[: round(seconds * rate)]


@lru_cache(maxsize=16)
def _heard_first(run):
    return inversion.invert_features(run.primer, run.features, iterations=0)


def read_primer(run: Run, prime: str | Path | None) -> np.ndarray | None:
    """What a run hears first: features (T, m), or None for the run's own primer.

    prime: None; "none" for nothing at all; a CSV file; for sound a recording; of both also the name
    of one that ships. Of a recording the last 10 s count. Raises FileError for what cannot be read.
    """
    if prime is None:
        return None
    if prime == "none":
        return np.empty(0)
    prime = _sample(prime)
    if run.features is None or Path(prime).suffix.lower() == ".csv":
        return read_csv(prime, run.network.features)
    rate = run.features.sample_rate
    waveform = read_audio(prime, rate)
    return extract_features(waveform[-PRIMER_SECONDS * rate :], run.features)


def _sample(name):
    """The file of this name or, if there is none, the one that ships under it."""
    shipped = samples.samples_folder() / name
    bare = Path(name).name == str(name)
    return shipped if bare and shipped.is_file() and not Path(name).exists() else name
