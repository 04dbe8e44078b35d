"""Can a machine tell? Judges that learn to detect what was generated, and how sure of them one is.

A classifier two-sample test (Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR
2017): a classifier learns from some clips which are real, and is asked about others. An accuracy of
0.5 is chance, and 1 is certainty. Three things belong to such a number. The interval: how far it
would wander with other clips. The null: what real music gets against other real music, at the same
size. And the judge's power: what it detects at all, see `yardsticks`.

    clips ──► windows of 1 to 10 s ──► what a judge looks at ──► learns from 4 of 5 clips
                                                                 is asked about the fifth

Clips are amplitudes (T, 100), the group means of `features.features_to_amplitudes`, 125 frames a
second; every clip comes from another piece, or from another seed.

Notebook: 12.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

_FOLDS = 5
_LEVEL = 0.95


@dataclass(frozen=True)
class Judge:
    """hears: what it looks at, in words. look: windows of square roots of amplitudes (n, frames, m)
    → what it sees of them (n, d). seconds: how long a window is. learner: a classifier of
    scikit-learn, made anew for each question."""

    hears: str
    look: Callable[[np.ndarray], np.ndarray]
    seconds: float
    learner: Callable[[], Any]


class Judged(NamedTuple):
    """accuracy: how often a judge is right, over both kinds alike. low, high: where it would lie
    in 95 of 100 repetitions with other clips."""

    accuracy: float
    low: float
    high: float


class Null(NamedTuple):
    """What real music gets against other real music: mean and standard deviation over so many
    draws of `clips` clips on each side."""

    mean: float
    deviation: float
    draws: int
    clips: int


def two_sample_test(
    real: Sequence[np.ndarray],
    generated: Sequence[np.ndarray],
    judge: str,
    frames_per_second: float = 125.0,
    seed: int = 0,
) -> Judged:
    """How often a judge tells real clips from generated ones, as `Judged`.

    real, generated: lists of amplitudes (T, m), at least two clips each, every one as long as the
    judge's window. judge: a name in `JUDGES`. seed: decides which clips are asked about together.
    Clip n of one kind and of the other are asked about together, since both may go on from one
    piece. The interval counts clips, not windows, as witnesses; and because any two of the
    classifiers have learnt from the same clips in part, its variance is widened as Nadeau and
    Bengio ("Inference for the Generalization Error", Machine Learning 52, 2003) propose. Raises
    ValueError for an unknown judge, too few clips or too short ones.
    """
    seen, made = (views(clips, judge, frames_per_second) for clips in (real, generated))
    return judge_views(seen, made, judge, seed)


def null(seen: list[np.ndarray], judge: str, count: int, draws: int = 20, seed: int = 0) -> Null:
    """What the judge says of real clips against other real clips, as `Null`.

    seen: `views` of clips, one from each piece that there is. count: how many of them stand on each
    side, at most half; which, is drawn anew each time. Raises ValueError for fewer than four clips.
    """
    count, rng = min(count, len(seen) // 2), np.random.default_rng(seed)
    found = []
    for draw in range(draws):
        one, other = np.split(rng.permutation(len(seen))[: 2 * count], 2)
        sides = [seen[number] for number in one], [seen[number] for number in other]
        found.append(judge_views(*sides, judge, draw).accuracy)
    return Null(float(np.mean(found)), float(np.std(found, ddof=1)), draws, count)


def detected(judged: Judged, real: Null) -> bool:
    """Is it told apart better than real music is, in all but one of 40 repetitions?

    False says that it cannot be distinguished at this size, not that there is no difference.
    """
    return judged.accuracy > real.mean + float(stats.norm.ppf(0.975)) * real.deviation


def views(
    clips: Sequence[np.ndarray], judge: str, frames_per_second: float = 125.0
) -> list[np.ndarray]:
    """What a judge sees of each clip (T, m): a list of (windows, d); a rest fills no window."""
    if judge not in JUDGES:
        raise ValueError(f"there is no judge {judge!r}; choose one of {', '.join(JUDGES)}")
    length, seen = round(JUDGES[judge].seconds * frames_per_second), []
    for clip in clips:
        windows = len(clip) // length
        if not windows:
            raise ValueError(
                f"the judge of {judge} listens for {JUDGES[judge].seconds:g} s, and a clip has "
                f"{len(clip) / frames_per_second:.3g} s: give longer ones"
            )
        roots = np.sqrt(np.maximum(clip[: windows * length], 0.0))
        seen.append(JUDGES[judge].look(roots.reshape(windows, length, -1)))
    return seen


def judge_views(
    real: list[np.ndarray], generated: list[np.ndarray], judge: str, seed: int = 0
) -> Judged:
    """`two_sample_test` of `views`, which need not be computed again for every question."""
    fewest = min(len(real), len(generated))
    if fewest < 2:
        raise ValueError("a judge needs two clips of each kind: one to learn from, one to judge")
    folds = min(_FOLDS, fewest)
    kinds = [
        (seen, np.random.default_rng(seed).permutation(len(seen)) % folds)
        for seen in (real, generated)
    ]
    right = [np.empty(len(seen)) for seen, _ in kinds]
    for fold in range(folds):
        learnt = [
            np.concatenate([seen[number] for number in np.flatnonzero(places != fold)])
            for seen, places in kinds
        ]
        answers = np.repeat([0, 1], [len(kind) for kind in learnt])
        model = JUDGES[judge].learner().fit(np.concatenate(learnt), answers)
        for answer, (seen, places) in enumerate(kinds):
            asked = np.flatnonzero(places == fold)
            said = model.predict(np.concatenate([seen[number] for number in asked])) == answer
            ends = np.cumsum([len(seen[number]) for number in asked])[:-1]
            right[answer][asked] = [part.mean() for part in np.split(said, ends)]
    accuracy = np.mean([share.mean() for share in right])
    variance = sum(share.var(ddof=1) / len(share) for share in right) / 4
    widened = variance * (1 + folds / (folds - 1))
    half = stats.t.ppf((1 + _LEVEL) / 2, fewest - 1) * np.sqrt(widened)
    return Judged(float(accuracy), *(float(np.clip(accuracy + x, 0, 1)) for x in (-half, half)))


# ------------------------------------------------------------------- who listens, and to what


def _linear():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
    return make_pipeline(StandardScaler(), regression)


def _forest():
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(
        150, min_samples_leaf=3, class_weight="balanced", random_state=0, n_jobs=1
    )


def _spectrum(x):
    return x.mean(axis=1)


def _movement(x):
    return _means(x, 16).std(axis=1)


def _roughness(x):
    return np.abs(np.diff(x, 2, axis=2)).mean(axis=1)


def _texture(x):
    d = np.diff(x, axis=1)
    power = np.square(d).mean(axis=1) + 1e-8
    lags = [(d[:, lag:] * d[:, :-lag]).mean(axis=1) / power for lag in range(1, 5)]
    return np.concatenate(lags, axis=1)


def _persistence(x):
    bands = x[..., : x.shape[2] // _BANDS * _BANDS].reshape(*x.shape[:2], _BANDS, -1).mean(axis=3)
    bands = bands - bands.mean(axis=1, keepdims=True)
    power = np.square(bands).mean(axis=1)
    skewness = (bands**3).mean(axis=1) / (power + 1e-8) ** 1.5
    return np.concatenate([_autocorrelation(bands, (8, 16, 32, 64, 125, 250)), skewness], axis=1)


def _rhythm(x):
    rises = np.maximum(np.diff(x, axis=1), 0).sum(axis=2, keepdims=True)
    strength = np.log(4 * _means(rises, 4) + 1e-3)
    levels = np.quantile(strength[..., 0], (0.5, 0.05, 0.25, 0.75, 0.95, 0.99), axis=1)
    centred = strength - strength.mean(axis=1, keepdims=True)
    return np.concatenate(
        [_autocorrelation(centred, range(1, 79)), (levels[1:] - levels[0]).T], axis=1
    )


def _harmony(x):
    halves = _means(x, 62)
    lengths = np.linalg.norm(halves, axis=2, keepdims=True)
    directions = halves / (lengths + 1e-6)
    alike = [(directions[:, n:] * directions[:, :-n]).sum(axis=2) for n in (1, 2, 3, 4, 6, 8)]
    return np.stack([f(cosine, axis=1) for cosine in alike for f in (np.mean, np.std)], axis=1)


def _everything(x):
    looks = _spectrum, _movement, _roughness, _persistence, _rhythm, _harmony
    return np.concatenate([look(x) for look in looks], axis=1)


_BANDS = 20


def _means(x, frames):
    """Means over so many neighbouring frames: (n, T, m) → (n, T // frames, m)."""
    whole = x.shape[1] // frames * frames
    return x[:, :whole].reshape(len(x), -1, frames, x.shape[2]).mean(axis=2)


def _autocorrelation(x, lags):
    """Of each number over time, whose mean is 0: (n, T, m) → (n, lags · m)."""
    power = np.square(x).mean(axis=1) + 1e-8
    return np.concatenate([(x[:, n:] * x[:, :-n]).mean(axis=1) / power for n in lags], axis=1)


JUDGES = {
    "spectrum": Judge("which pitches sound, over a second", _spectrum, 1, _linear),
    "roughness": Judge("how ragged the spectrum of a second is", _roughness, 1, _linear),
    "texture": Judge("how the steps of 8 to 32 ms hang together", _texture, 1, _linear),
    "persistence": Judge("how long each band goes on, from 64 ms to 2 s", _persistence, 5, _linear),
    "rhythm": Judge("when notes begin, and how regularly, up to 2.5 s", _rhythm, 10, _linear),
    "harmony": Judge("how alike half seconds are, ½ to 4 s apart", _harmony, 10, _linear),
    "forest": Judge("all of that at once, by 150 decision trees", _everything, 10, _forest),
}
