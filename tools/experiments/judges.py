"""Which judges may be believed? What each of `analysis.judges` detects of sounds known to be wrong.

    python tools/experiments/judges.py --corpus CORPUS [--work FOLDER]

CORPUS is a folder made by `cmc corpus --bach`. Twenty seconds of each test piece are put beside as
many clips of each control: scissors, shuffled seconds, music played backwards, no network at all
(`analysis.yardsticks`), Bach on another piano (the additive one), and another composer's voices
(Palestrina, from music21, on the same piano). A judge that detects none of them says nothing about
a network. `real` is what it says of other real music, the null, and `sizes` how wide that is with
fewer clips; `coverage`, in how many of 40 repetitions the interval holds the mean of all of them,
for real music and for scissors.

What is made is kept in --work, and so is every finished row: a second start goes on where the first
was stopped. Results: tools/experiments/judges.json. --small does the same within seconds to clips
that ship, and means nothing.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from cmc_helpers import corpora
from cmc_helpers.analysis import judges, yardsticks
from cmc_helpers.features import extract_features, features_to_amplitudes
from cmc_helpers.files import replacing
from cmc_helpers.provenance import Stages, provenance, write
from cmc_helpers.terminal import terminal_progress

RESULTS = Path(__file__).with_suffix(".json")
COMPOSER = "palestrina"
FULL = SimpleNamespace(clips=82, seconds=20, draws=40, fewer=(16, 32))
SMALL = SimpleNamespace(clips=4, seconds=10, draws=2, fewer=(2,))
TOGETHER = 4  # frames of a block of `yardsticks.WithoutANetwork`, as many as `bach` predicts


@dataclass(frozen=True)
class Material:
    """Features of pieces to cut from, and of the clips that stand for real music; frames of a
    clip; play(kind): features of clips on another piano, or of another composer's music."""

    learnt: list
    real: list[np.ndarray]
    pool: list[np.ndarray]
    frames: int
    config: corpora.FeatureConfig
    play: Callable[[str], list[np.ndarray]]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", help="a folder made by cmc corpus --bach")
    parser.add_argument("--work", default="runs/judges", help="what is made, and finished rows")
    parser.add_argument("--small", action="store_true", help="seconds instead of half an hour")
    parser.add_argument("--output", default=RESULTS, type=Path)
    given = parser.parse_args(arguments)
    if not (given.small or given.corpus):
        parser.error("give --corpus, or --small")
    if given.small:
        with tempfile.TemporaryDirectory() as work:
            judge_the_judges(small_material(), SMALL, Path(work), given.output)
    else:
        work = Path(given.work)
        work.mkdir(parents=True, exist_ok=True)
        material = material_of(corpora.open_corpus(given.corpus), FULL, work)
        judge_the_judges(material, FULL, work, given.output)


def judge_the_judges(material, size, work, output):
    """Ask every judge about every control, and write what it said to `output`."""
    done = Stages(work / "rows.json")
    with terminal_progress("Judging") as progress:
        names = [*CONTROLS, "real", "sizes", "coverage"]
        real = seen_by_all(material.real, material.config)
        pool = seen_by_all(material.pool, material.config)
        for number, name in enumerate(names):
            progress(number, len(names), name)
            if name in CONTROLS:
                done(name, lambda name=name: row(real, material, name, size))
            elif name == "real":
                done(name, lambda: nulls(pool, len(material.real)))
            elif name == "sizes":
                done(name, lambda: {count: nulls(pool, count) for count in size.fewer})
            else:
                done(name, lambda: coverage(pool, material, size))
    write(
        output,
        provenance("python tools/experiments/judges.py --corpus CORPUS")
        | {"clips": len(material.real), "seconds": size.seconds, "pieces": len(material.pool)}
        | {"hears": {name: judge.hears for name, judge in judges.JUDGES.items()}}
        | {"composer": COMPOSER, "real": done.found["real"], "sizes": done.found["sizes"]}
        | {"controls": {name: done.found[name] for name in CONTROLS}}
        | {"coverage": done.found["coverage"]},
    )


def cut_up(seconds):
    def make(material, rng, count):
        cut = material.config.frames(seconds)
        return [
            yardsticks.scissors(material.learnt, material.frames, cut, rng) for _ in range(count)
        ]

    return make


def changed(how):
    """A control that does something to real clips that are not the ones beside it."""

    def make(material, rng, count):
        order = rng.permutation(len(material.learnt))[:count]
        pieces = [material.learnt[number] for number in order]
        return [how(x, rng) for x in yardsticks.excerpts(pieces, material.frames, rng)]

    return make


def without_a_network(material, rng, count):
    made = yardsticks.WithoutANetwork(material.learnt, TOGETHER)
    return [made(material.frames, rng) for _ in range(count)]


CONTROLS = {  # name → features of clips, from the material, a Generator and how many
    "scissors, ½ s": cut_up(0.5),
    "scissors, 1 s": cut_up(1),
    "scissors, 2 s": cut_up(2),
    "seconds shuffled": changed(lambda clip, rng: yardsticks.shuffled(clip, 125, rng)),
    "backwards": changed(lambda clip, rng: yardsticks.backwards(clip)),
    "no network": without_a_network,
    "another piano": lambda material, rng, count: material.play("piano")[:count],
    "another composer": lambda material, rng, count: material.play("composer")[:count],
}


def row(real, material, name, size):
    """What every judge says of one control: {judge: [accuracy, low, high]}."""
    clips = CONTROLS[name](material, np.random.default_rng(1), len(material.real))
    made = seen_by_all(clips, material.config)
    return {
        judge: [round(x, 3) for x in judges.judge_views(real[judge], made[judge], judge)]
        for judge in judges.JUDGES
    }


def nulls(pool, count):
    """{judge: [mean, deviation]} of real music against other real music."""
    return {
        judge: [round(x, 3) for x in judges.null(views, judge, count)[:2]]
        for judge, views in pool.items()
    }


def coverage(pool, material, size):
    """{judge: {what: share}} of repetitions whose interval holds the mean of all repetitions."""
    rng = np.random.default_rng(2)
    found = {judge: {"real": [], "scissors, ½ s": []} for judge in judges.JUDGES}
    for draw in range(size.draws):
        order = rng.permutation(len(material.pool))
        count = min(len(material.real), len(order) // 2)
        one, other = order[:count], order[count : 2 * count]
        made = seen_by_all(CONTROLS["scissors, ½ s"](material, rng, count), material.config)
        for judge, views in pool.items():
            here = [views[number] for number in one]
            beside = {"real": [views[number] for number in other], "scissors, ½ s": made[judge]}
            for what, there in beside.items():
                found[judge][what].append(judges.judge_views(here, there, judge, draw))
    return {
        judge: {what: held(answers) for what, answers in kinds.items()}
        for judge, kinds in found.items()
    }


def held(answers):
    mean = np.mean([one.accuracy for one in answers])
    return round(float(np.mean([one.low <= mean <= one.high for one in answers])), 3)


def seen_by_all(clips, config):
    """{judge: what it sees of clips of features}."""
    amplitudes = [features_to_amplitudes(np.asarray(x, np.float32), config) for x in clips]
    return {judge: judges.views(amplitudes, judge) for judge in judges.JUDGES}


# ---------------------------------------------------------------------------- what is compared


def material_of(corpus, size, work):
    frames, rng = corpus.config.frames(size.seconds), np.random.default_rng(0)
    parts = {part: yardsticks.excerpts(corpus.split(part), frames, rng) for part in SPLITS}
    return Material(
        corpus.split("train"),
        parts["test"][: size.clips],
        [clip for clips in parts.values() for clip in clips],
        frames,
        corpus.config,
        lambda kind: rendered(kind, size.clips, frames, corpus.config, work),
    )


SPLITS = ("train", "validation", "test")


def rendered(kind, count, frames, config, work):
    """Features of so many clips: Bach on the additive piano, or another composer on the usual."""
    path = work / f"{kind}.npy"
    if not path.exists():
        made, rng = [], np.random.default_rng(0)
        for source in sources(kind):
            features = extract_features(source.waveform(config.sample_rate), config)
            made += yardsticks.excerpts([features], frames, rng)
            if len(made) == count:
                break
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, np.stack(made))
    return list(np.load(path))


def sources(kind):
    """Scores, each with an instrument, in an order that depends on nothing else."""
    from music21 import corpus

    from cmc_helpers.scores import bach, soundfonts

    if kind == "piano":
        return bach.sources(soundfonts.AdditivePiano(), seed=1)
    piano, rng = soundfonts.grand_piano(), np.random.default_rng(1)
    paths = sorted(corpus.getComposer(COMPOSER))
    return [bach.ScoreSource(paths[i].stem, paths[i], piano) for i in rng.permutation(len(paths))]


def small_material():
    """Ten seconds each of clips that ship; means nothing."""
    config = corpora.FeatureConfig.preset("default")
    frames = config.frames(SMALL.seconds)
    names = ("bach_prelude", "chopin_prelude", "singer")
    cuts = {}
    for name in names:
        x = corpora.open_corpus(corpora.sample_path(f"{name}.flac"), config, hold_out=0)
        whole = np.asarray(x.pieces[0].features)
        cuts[name] = [whole[at : at + frames] for at in range(0, len(whole) - frames + 1, frames)]
    pieces = [clip for name in names for clip in cuts[name]]
    return Material(
        pieces, pieces[: SMALL.clips], pieces, frames, config, lambda kind: pieces[-SMALL.clips :]
    )


if __name__ == "__main__":
    main()
