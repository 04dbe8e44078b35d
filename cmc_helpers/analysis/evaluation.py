"""How good is a run? What it foresees of music it never met, and what becomes of it running free.

A number alone says little, so each stands beside the same number for a lazy rival or for real
music, and each judge's beside its null. A lower likelihood does not always sound better: look at
all of them, and listen. What is reported on is the test part of a corpus, where it has one: the
validation part has chosen the epoch, and so is half known.

Notebook: 09.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cmc_helpers import analysis, generation
from cmc_helpers.analysis import judges, likelihood, yardsticks
from cmc_helpers.corpora import Corpus
from cmc_helpers.features import FeatureConfig, features_to_amplitudes
from cmc_helpers.runs import Run

CLIPS, SECONDS = 80, 60  # that run free
JUDGED = 20  # seconds at the end of a clip that are compared with real music
_PRIMER = 1.5  # seconds of held-out music that each clip listens to first
_POOL = 4  # times as many clips of real music as are compared: a null is drawn from them
CUTS = (0.5, 1, 2)  # seconds: stretches of real music that scissors leave


class Music(NamedTuple):
    """Measures of some clips. fates: name → how many clips, see `analysis.musical_fate`. onsets:
    notes that begin in a second. level: root mean square relative to real held-out music. judged:
    judge → how often it detects them beside held-out music, see `judges.Judged`; empty where there
    are not two clips of each."""

    fates: dict[str, int]
    onsets: float
    level: float
    judged: dict[str, judges.Judged]


class Evaluation(NamedTuple):
    """nats: `likelihood.held_out` of the run; copying: of a copy of the frame before. generated:
    the Music that it makes. real: that of other real music, from the training pieces. null: judge →
    what it says of real music beside real music. clips, pieces, part: how many clips of real music
    the judges know, from how many pieces, and of which part of the corpus."""

    nats: float
    copying: float
    generated: Music
    real: Music
    null: dict[str, judges.Null]
    clips: int
    pieces: int
    part: str


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
    with. progress(done, total, message) is called after every clip, and after every judge. Raises
    ValueError where the corpus is not what the run was made for, holds nothing held out, or only
    shorter pieces.
    """
    if corpus.config is None or corpus.config != run.features:
        raise ValueError(
            f"{corpus.name} is not made of the features of {run.folder}: evaluate a run of sound "
            "on a corpus made with the same `preset`"
        )
    if not corpus.split("validation"):
        raise ValueError(f"{corpus.name} has nothing held out: build it with cmc corpus")
    part, real = real_music(corpus, clips)
    free = running_free(run, corpus, clips, seconds, progress, **sampling)
    long_enough = [piece for piece in corpus.split(part) if len(piece) >= len(real[0])]
    return Evaluation(
        likelihood.held_out(run, corpus),
        likelihood.copying(corpus),
        measure(free, real, corpus.config),
        measure(excerpts(corpus, "train", JUDGED, clips, seed=1), real, corpus.config, ()),
        nulls(corpus, min(clips, len(real)), progress),
        len(real),
        min(len(real), len(long_enough)),
        part,
    )


def real_music(corpus: Corpus, clips: int) -> tuple[str, list[np.ndarray]]:
    """What clips are compared with: the part of the corpus it is from, and its features.

    At most so many clips of 20 s from what no network has learnt from, `Corpus.unheard`; from the
    training pieces where that holds none. Raises ValueError where no piece lasts so long.
    """
    for part in (corpus.unheard, "train"):
        if real := excerpts(corpus, part, JUDGED, clips):
            return part, real
    raise ValueError(f"no piece of {corpus.name} lasts {JUDGED} s: evaluate on longer recordings")


def nulls(
    corpus: Corpus, clips: int, progress: Callable[..., object] | None = None
) -> dict[str, judges.Null]:
    """Judge → its `judges.Null` at so many clips on each side, from all pieces of the corpus.

    Empty where the corpus holds less than four clips of 20 s.
    """
    config, pieces = _of_sound(corpus), [piece.features for piece in corpus.pieces]
    frames, rng = config.frames(JUDGED), np.random.default_rng(2)
    seen: dict[str, list[np.ndarray]] = {name: [] for name in judges.JUDGES}
    for clip in yardsticks.excerpts(pieces, frames, rng, _POOL * clips):
        for name, views in seen.items():  # of one clip at a time: what is seen of it is small
            views += judges.views(_amplitudes([clip], config), name, config.frames_per_second)
    found = {}
    for name, views in seen.items():
        if len(views) >= 4:
            found[name] = judges.null(views, name, clips)
        if progress:
            progress(len(found), len(seen), "judges")
    return found


def cut_up(corpus: Corpus, clips: int = CLIPS) -> dict[float, Music]:
    """What scissors make of the training pieces, as `Music`: seconds of a stretch → what is made.

    Whoever borrows half a second at a time is compared with scissors of half a second.
    """
    config, pieces, rng = _of_sound(corpus), corpus.split("train"), np.random.default_rng(3)
    _, real = real_music(corpus, clips)
    frames = config.frames(JUDGED)
    return {
        cut: measure(
            [yardsticks.scissors(pieces, frames, config.frames(cut), rng) for _ in range(clips)],
            real,
            config,
        )
        for cut in CUTS
    }


def excerpts(
    corpus: Corpus, split: str, seconds: float, count: int, seed: int = 0
) -> list[np.ndarray]:
    """Features of so many seconds from random pieces of a part: at most `count` arrays.

    One from each piece first; where these are too few, further ones from each.
    """
    frames, rng = _of_sound(corpus).frames(seconds), np.random.default_rng(seed)
    return yardsticks.excerpts(corpus.split(split), frames, rng, count)


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
    primers = excerpts(corpus, corpus.unheard, _PRIMER, clips)
    made = []
    for seed in range(clips):
        primer = primers[seed % len(primers)]
        one = generation.generate(run, frames, primer=primer, seed=seed, **sampling)
        made.append(one.vectors[0])
        if progress:
            progress(seed + 1, clips, "clips")
    return made


def measure(
    clips: Sequence[np.ndarray],
    real: Sequence[np.ndarray],
    config: FeatureConfig,
    asked: Sequence[str] = tuple(judges.JUDGES),
) -> Music:
    """The `Music` of clips, judged by their last 20 s against `real`; lists of features (T, m).

    asked: the judges' names; those who listen for longer than a clip lasts are not asked.
    """
    clips, real = (_amplitudes(kind, config) for kind in (clips, real))
    fates = [analysis.musical_fate(clip, config.frames_per_second) for clip in clips]
    ends = [clip[-config.frames(JUDGED) :] for clip in clips]
    shortest = min(map(len, [*real, *ends])) / config.frames_per_second
    able = [name for name in asked if judges.JUDGES[name].seconds <= shortest]
    return Music(
        {name: fates.count(name) for name in sorted(set(fates))},
        float(np.mean([analysis.onsets_per_second(x, config.frames_per_second) for x in clips])),
        _rms(ends) / _rms(real),
        {
            name: judges.two_sample_test(real, ends, name, config.frames_per_second)
            for name in (able if min(len(clips), len(real)) > 1 else ())
        },
    )


def to_dict(value: Any) -> Any:
    """An `Evaluation`, or a part of one, ready for JSON: numbers as one reads them aloud."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(name): to_dict(part) for name, part in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def _amplitudes(clips, config):
    return [features_to_amplitudes(np.asarray(x, np.float32), config) for x in clips]


def _rms(clips):
    return float(np.sqrt(np.mean(np.square(np.concatenate(clips), dtype=float))))


def _of_sound(corpus):
    if not corpus.config:
        raise ValueError(f"{corpus.name} holds vectors, and this is for sound: give recordings")
    return corpus.config
