"""How good is a run? What it foresees of held-out music, and what becomes of it when it runs free.

A number alone says little, so each stands beside the same number for a lazy rival or for real
music. A lower likelihood does not always sound better: look at all of them, and listen.

Notebook: 09.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmc_helpers import analysis, generation
from cmc_helpers.analysis import likelihood
from cmc_helpers.corpora import Corpus
from cmc_helpers.features import FeatureConfig, features_to_amplitudes
from cmc_helpers.runs import Run

CLIPS, SECONDS = 32, 60  # that run free
JUDGED = 20  # seconds at the end of a clip that are compared with real music
_PRIMER = 1.5  # seconds of held-out music that each clip listens to first


class Music(NamedTuple):
    """Measures of some clips. fates: name → how many clips, see `analysis.fate`. onsets: notes that
    begin in a second. level: root mean square relative to real held-out music. two_sample: scale →
    how often a linear judge tells them from held-out music, see `analysis.two_sample_accuracy`;
    empty where there are not two clips of each."""

    fates: dict[str, int]
    onsets: float
    level: float
    two_sample: dict[str, float]


class Evaluation(NamedTuple):
    """nats: `likelihood.held_out` of the run; copying: of a copy of the frame before. generated:
    the Music that it makes. real: that of other real music, from the training pieces, to compare
    with."""

    nats: float
    copying: float
    generated: Music
    real: Music


def evaluate(
    run: Run,
    corpus: Corpus,
    clips: int = CLIPS,
    seconds: float = SECONDS,
    progress: Callable[..., object] | None = None,
    **sampling: Any,
) -> Evaluation:
    """The `Evaluation` of a run of sound on a corpus with held-out pieces.

    clips, seconds: how many run free, and for how long; each begins after another held-out primer.
    sampling: see `generation.generate`; the run's recommended settings otherwise. Where no held-out
    piece lasts 20 s, as of a single passage, the training pieces are what the clips are compared
    with. progress(done, total, message) is called after every clip. Raises ValueError where the
    corpus is not what the run was made for, holds nothing held out, or only shorter pieces.
    """
    if corpus.config is None or corpus.config != run.features:
        raise ValueError(
            f"{corpus.name} is not made of the features of {run.folder}: evaluate a run of sound "
            "on a corpus made with the same `preset`"
        )
    if not corpus.split("validation"):
        raise ValueError(f"{corpus.name} has nothing held out: build it with cmc corpus")
    other = excerpts(corpus, "train", JUDGED, clips)
    real = excerpts(corpus, "validation", JUDGED, clips) or other
    if not real:
        raise ValueError(
            f"no piece of {corpus.name} lasts {JUDGED} s: evaluate on longer recordings"
        )
    free = running_free(run, corpus, clips, seconds, progress, **sampling)
    return Evaluation(
        likelihood.held_out(run, corpus),
        likelihood.copying(corpus),
        measure(free, real, corpus.config),
        measure(other, real, corpus.config),
    )


def excerpts(corpus: Corpus, split: str, seconds: float, count: int) -> list[np.ndarray]:
    """Features of so many seconds from the middle of the longest pieces: at most `count` arrays."""
    frames = _of_sound(corpus).frames(seconds)
    pieces = sorted(corpus.split(split), key=len)[-count:]
    middles = [(len(piece) - frames) // 2 for piece in pieces]
    return [piece[at : at + frames] for piece, at in zip(pieces, middles, strict=True) if at >= 0]


def running_free(
    run: Run,
    corpus: Corpus,
    clips: int = CLIPS,
    seconds: float = SECONDS,
    progress: Callable[..., object] | None = None,
    **sampling: Any,
) -> list[np.ndarray]:
    """Features of clips that a run makes, each from another held-out primer and another seed."""
    frames = _of_sound(corpus).frames(seconds)
    primers = excerpts(corpus, "validation", _PRIMER, clips)
    made = []
    for seed in range(clips):
        primer = primers[seed % len(primers)]
        one = generation.generate(run, frames, primer=primer, seed=seed, **sampling)
        made.append(one.vectors[0])
        if progress:
            progress(seed + 1, clips, "clips")
    return made


def measure(
    clips: Sequence[np.ndarray], real: Sequence[np.ndarray], config: FeatureConfig
) -> Music:
    """The `Music` of clips, judged by their last 20 s against `real`; lists of features (T, m)."""
    scales = analysis.SCALES if min(len(clips), len(real)) > 1 else ()
    clips, real = (
        [features_to_amplitudes(np.asarray(x, float), config) for x in kind]
        for kind in (clips, real)
    )
    fates = [analysis.fate(clip, config.frames_per_second) for clip in clips]
    ends = [clip[-config.frames(JUDGED) :] for clip in clips]
    return Music(
        {name: fates.count(name) for name in sorted(set(fates))},
        float(np.mean([analysis.onsets_per_second(x, config.frames_per_second) for x in clips])),
        _rms(ends) / _rms(real),
        {
            scale: analysis.two_sample_accuracy(real, ends, scale, config.frames_per_second)
            for scale in scales
        },
    )


def _rms(clips):
    return float(np.sqrt(np.mean(np.square(np.concatenate(clips)))))


def _of_sound(corpus):
    if not corpus.config:
        raise ValueError(f"{corpus.name} holds vectors, and this is for sound: give recordings")
    return corpus.config
