"""The paper's proposals (section 6.1), tried: transposed copies, more data, over-fitting, λ.

    python tools/experiments/beyond_the_paper.py --corpus CORPUS [--work FOLDER]

CORPUS is a folder made by `cmc corpus --bach`. One small network, trained with the same number of
updates each time, and only one thing differs at once; each of them from two seeds:

- copies: half an hour of music alone, or with copies of it up to two semitones lower and higher,
  made in five ways. `right` says how near each way comes to the score played in the other key.
- minutes: more and more music, each amount holding the smaller ones.
- overfitting: one minute, heard over and over; with nothing against it, with λ/2 ‖θ‖² of several λ,
  and with noise on the inputs.
- memory: how near the music of some of them, and of the run bach, comes to what they learned.

What is done stays in --work, so the same command goes on where it was stopped. --bach measures the
memory of the run bach alone, after it has been trained anew; its rows say when. Results:
tools/experiments/beyond_the_paper.json. --small does the same within a minute to four short pieces,
and means nothing.
"""

import argparse
import json
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soxr
from bach_corpus import CONFIG, SMALL_JUDGED, SMALL_PIECES, small_corpus, whole_corpus

from cmc_helpers import (
    analysis,
    corpora,
    generation,
    mixtures,
    networks,
    runs,
    scores,
    training,
    transposition,
)
from cmc_helpers.analysis import evaluation, likelihood
from cmc_helpers.corpora import Corpus, Piece, building
from cmc_helpers.features import extract_features, features_to_amplitudes
from cmc_helpers.files import replacing
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.provenance import Stages, provenance, write
from cmc_helpers.scores import bach, performing, soundfonts
from cmc_helpers.terminal import quiet_tensorflow, terminal_progress

COMMAND = "python tools/experiments/beyond_the_paper.py --corpus CORPUS"
RATE = 16_000  # Hz, twice that of the features: what is moved down leaves no gap at the top
SEMITONES = (-2, -1, 1, 2)
WAYS = ("score", "resampled", "phase vocoder", "stretched", "shifted")
REMEDIES = {  # against over-fitting: (λ, standard deviation of the noise on the inputs)
    "nothing": (0.0, 0.0),
    "λ = 0.01": (0.01, 0.0),
    "λ = 0.1": (0.1, 0.0),
    "λ = 1": (1.0, 0.0),
    "noise": (0.0, 0.1),
}
FULL = SimpleNamespace(
    network=dict(layers=2, units=128),
    updates=400,
    batch=32,
    steps=128,
    seeds=(0, 1),
    copied=30.0,  # minutes
    ways=WAYS,
    semitones=SEMITONES,
    remedies=REMEDIES,
    minutes=(5.0, 15.0, 30.0, 60.0, 120.0, 1e9),
    overfitted=1.0,
    epochs=15,
    epoch=40,  # updates, of half a batch
    watched=8,  # held-out pieces that are looked at after each of these epochs
    compared=12,  # held-out pieces that the ways of copying are compared by
    clips=24,
    seconds=30,
    judged=evaluation.JUDGED,
    workers=building.usable_cpus(),
)
SMALL = SimpleNamespace(
    **vars(FULL)
    | dict(network=dict(layers=1, units=4), updates=4, batch=32, steps=16, seeds=(0,), copied=0.2)
    | dict(ways=WAYS[:2], semitones=(-2, 2), remedies={"nothing": REMEDIES["nothing"]})
    | dict(minutes=(0.2, 1e9), overfitted=0.2, epochs=2, epoch=1, watched=1, compared=1)
    | dict(clips=2, seconds=SMALL_JUDGED + 1, judged=SMALL_JUDGED, workers=1)
)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", help="a folder made by cmc corpus --bach")
    parser.add_argument("--work", default="runs/beyond_the_paper", help="what is done so far")
    parser.add_argument("--bach", action="store_true", help="only the memory of the run bach")
    parser.add_argument("--small", action="store_true", help="a minute instead of hours")
    parser.add_argument("--output", default=Path(__file__).with_suffix(".json"), type=Path)
    given = parser.parse_args(arguments)
    if not (given.small or given.corpus):
        parser.error("give --corpus, or --small")
    if given.bach:
        found = json.loads(given.output.read_text("utf-8"))
        found["memory"] |= memory_of_bach(whole_corpus(given.corpus)[0], FULL)
        write(given.output, found)
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary if given.small else given.work)
        work.mkdir(parents=True, exist_ok=True)
        if given.small:
            small_corpus(work)
        data = work / "corpus" if given.small else given.corpus
        write(given.output, find(Material(str(data), given.small), work))


@dataclass(frozen=True)
class Material:
    """data: the corpus' folder. small: whether all is done in miniature."""

    data: str
    small: bool

    @property
    def size(self):
        return SMALL if self.small else FULL

    def open(self):
        """The corpus, and the instrument that plays like it."""
        if self.small:  # it is built already; many processes may read it, not one more build it
            return corpora.load_corpus(Path(self.data)), soundfonts.AdditivePiano()
        return whole_corpus(self.data)


@dataclass(frozen=True)
class Job:
    """A network to be trained. minutes: of music. way: of the copies it gets besides, or "". long:
    heard over and over. penalty: λ. noise: on the inputs."""

    minutes: float
    way: str = ""
    seed: int = 0
    long: bool = False
    penalty: float = 0.0
    noise: float = 0.1

    @property
    def name(self):
        words = [f"{self.minutes:g} minutes", self.way, f"seed {self.seed}"]
        words += ["long", f"penalty {self.penalty:g}", f"noise {self.noise:g}"] * self.long
        return ", ".join(filter(None, words)).replace(" ", "_")


def find(material, work):
    """Everything, in stages whose results stay in the folder `work`."""
    size, done = material.size, Stages(work / "stages.json")
    with Pool(material, work) as pool:
        right = done("right", lambda: compare_ways(pool))
        pool.map("Playing", render, [(w, s) for w in size.ways for s in size.semitones])
        copies = {
            way or "none": [Job(size.copied, way, s) for s in size.seeds]
            for way in ("", *size.ways)
        }
        minutes = {m: [Job(m, seed=s) for s in size.seeds] for m in size.minutes}
        over = {
            name: [Job(size.overfitted, "", s, True, *remedy) for s in size.seeds]
            for name, remedy in size.remedies.items()
        }
        rows = [row for plan in (copies, minutes, over) for row in plan.values()]
        jobs = {job for row in rows for job in row}
        jobs = sorted(jobs, key=lambda job: (job.seed, job.name))
        pool.map("Training", trained, [(job,) for job in jobs])
        found = pool.map("Measuring", measured, [(job,) for job in jobs])
    found = dict(zip(jobs, found, strict=True))
    corpus, _ = material.open()

    def results(plan):
        return {name: [found[job] for job in row] for name, row in plan.items()}

    amounts = {f"{length(corpus, m):.3g}": row for m, row in minutes.items()}
    whole = minutes[size.minutes[-1]][0]
    return provenance(COMMAND) | {
        "network": size.network,
        "updates": size.updates,
        "clips": size.clips,
        "seconds": size.seconds,
        "real": of_real_music(corpus, size),
        "right": right,
        "copies": results(copies),
        "minutes": results(amounts),
        "overfitting": {
            "minutes": size.overfitted,
            "updates_per_epoch": size.epoch,
            "remedies": results(over),
        },
        "memory": done("memory", lambda: memory(material, work, over["nothing"][0], whole)),
    }


class Pool:
    """As many processes as cores, of one thread each: small networks gain nothing from two."""

    def __init__(self, material, work):
        self.material, self.work = material, work

    def __enter__(self):
        context = get_context("spawn")
        workers = self.material.size.workers
        self.pool = ProcessPoolExecutor(workers, context, initializer=one_thread)
        self.pool.__enter__()
        return self

    def __exit__(self, *problem):
        return self.pool.__exit__(*problem)

    def map(self, label, function, tasks):
        """function(material, work, *task) for every task, in order."""
        waiting = [self.pool.submit(function, self.material, self.work, *task) for task in tasks]
        results = []
        with terminal_progress(label) as progress:
            for future in waiting:
                results.append(future.result())
                progress(len(results), len(tasks), "")
        return results


def one_thread():
    """Before anything computes in this process."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"


# ------------------------------------------------------------------------------- which is right?


def compare_ways(pool):
    """way → semitones → ‖copy − played in that key‖ / ‖played in that key‖, over all pieces."""
    tasks = [(number,) for number in range(pool.material.size.compared)]
    pieces = pool.map("Comparing", compare_piece, tasks)
    return {
        way: {
            str(s): round(float(np.mean([piece[way][s] for piece in pieces])), 3)
            for s in pool.material.size.semitones
        }
        for way in ("nothing", *WAYS[1:])
    }


def compare_piece(material, work, number):
    corpus, instrument = material.open()
    name = [piece.name for piece in corpus.pieces if piece.split == "validation"][number]
    notes = notes_of(name)
    before = recording(material, name)
    plain, found = heard(before), {}
    for semitones in material.size.semitones:
        factor = transposition.ratio(semitones)
        right = heard(instrument.play(moved(notes, semitones), RATE))
        faster = heard(instrument.play(moved(notes, semitones, factor), RATE))
        made = {way: copy(way, before, plain, semitones) for way in WAYS[1:]} | {"nothing": plain}
        for way, one in made.items():
            truth = faster if way == "resampled" else right
            frames = min(len(one), len(truth))
            away = np.linalg.norm(one[:frames] - truth[:frames]) / np.linalg.norm(truth[:frames])
            found.setdefault(way, {})[semitones] = float(away)
    return found


@lru_cache(maxsize=SMALL_PIECES)  # in small all, which many tasks of one process ask for
def recording(material, name):
    """The waveform of a piece at `RATE`."""
    return material.open()[1].play(notes_of(name), RATE)


@lru_cache(maxsize=SMALL_PIECES)
def notes_of(name):
    """The notes of a piece as the corpus plays them."""
    return performing.perform(scores.read_score(paths()[name]))


@cache
def paths():
    return {source.name: source.path for source in bach.sources(None)}


def moved(notes, semitones, factor=1.0):
    """The same performance in another key, `factor` times as fast."""
    return [
        note._replace(
            pitch=note.pitch + semitones,
            start=note.start / factor,
            duration=note.duration / factor,
        )
        for note in notes
    ]


def heard(waveform):
    """The features of a waveform at `RATE`."""
    return extract_features(soxr.resample(waveform, RATE, CONFIG.sample_rate), CONFIG)


def copy(way, waveform, features, semitones):
    """A transposed copy of a recording: its features. Both forms of it are given."""
    if way == "resampled":
        return heard(transposition.resampled(waveform, semitones))
    if way == "phase vocoder":
        return heard(transposition.vocoded(waveform, semitones, RATE))
    if way == "stretched":
        return transposition.stretched(features, semitones, CONFIG)
    # Of the whole numbers of features, the one that middle C moves by.
    middle = 262 / (CONFIG.sample_rate / CONFIG.fft)
    return transposition.shifted(features, round(middle * (transposition.ratio(semitones) - 1)))


# ------------------------------------------------------------------------------------ the copies


def render(material, work, way, semitones):
    """Keep the copies of the first half hour; of the score, those of the held-out pieces too."""
    corpus, instrument = material.open()
    wanted = learned(corpus, material.size.copied)
    if way == "score":
        wanted += held_out(corpus, material.size.compared)
    for piece in wanted:
        path = copy_of(work, piece.name, way, semitones)
        if path.exists():
            continue
        features = np.asarray(piece.features)
        if way == "score":
            features = heard(instrument.play(moved(notes_of(piece.name), semitones), RATE))
        else:
            waveform = None
            if way in ("resampled", "phase vocoder"):
                waveform = recording(material, piece.name)
            features = copy(way, waveform, features, semitones)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            np.save(temporary, features.astype(np.float32))


def copy_of(work, name, way, semitones):
    return work / "copies" / way.replace(" ", "_") / f"{name}{semitones:+d}.npy"


def learned(corpus, minutes):
    """The first pieces to learn from, until there are so many minutes; the last is cut."""
    left, chosen = corpus.config.frames(60 * minutes), []
    for piece in (piece for piece in corpus.pieces if piece.split == "train"):
        if left > 0:
            chosen.append(piece._replace(features=piece.features[:left]))
            left -= len(piece.features)
    return chosen


def length(corpus, minutes):
    """Minutes that there really are."""
    frames = sum(len(piece.features) for piece in learned(corpus, minutes))
    return frames / corpus.config.frames_per_second / 60


def held_out(corpus, most=None):
    return [piece for piece in corpus.pieces if piece.split == "validation"][:most]


def another_key(corpus, work, count):
    """The corpus with nothing but `count` held-out pieces, played two semitones away."""
    pieces = [
        Piece(f"{piece.name}{s:+d}", np.load(copy_of(work, piece.name, "score", s)), "validation")
        for piece in held_out(corpus, count)
        for s in (min(SEMITONES), max(SEMITONES))
    ]
    return Corpus("in other keys", tuple(pieces), corpus.config)


# --------------------------------------------------------------------------------- the networks


def trained(material, work, job):
    """Train the network, unless that is done; of a long training keep the best one as well."""
    folder, size = work / "networks" / job.name, material.size
    if (folder / "done").exists():
        return
    corpus, _ = material.open()
    pieces = learned(corpus, job.minutes)
    names = [piece.name for piece in pieces if job.way]
    pieces += [
        Piece(f"{name}{s:+d}", np.load(copy_of(work, name, job.way, s)), "train")
        for name in names
        for s in size.semitones
    ]
    pieces += held_out(corpus, size.watched if job.long else None)
    config = training.TrainingConfig(
        epochs=size.epochs if job.long else 4,
        batches_per_epoch=size.epoch if job.long else size.updates // 4,
        batch=size.batch // 2 if job.long else size.batch,
        steps=size.steps,
        weight_penalty=job.penalty,
        input_noise=job.noise,
        keep="last" if job.long else "best",
        seed=job.seed,
    )
    quiet_tensorflow()
    folder.mkdir(parents=True, exist_ok=True)
    network = NetworkConfig(corpus.width, **size.network)
    data = Corpus(job.name, tuple(pieces), corpus.config)
    resume = (folder / runs.CONFIG).exists()
    training.train(data, folder, network, config, resume=resume)
    if job.long:
        keep_the_best(folder, network)
    (folder / "done").touch()


def keep_the_best(folder, network):
    """Beside the last network of a training, in best/, the one with the lowest held-out loss."""
    best = folder / "best"
    best.mkdir(exist_ok=True)
    model = networks.build(network)
    with np.load(folder / runs.CHECKPOINT) as kept:
        model.set_weights([kept[f"best_{i}"] for i in range(len(model.get_weights()))])
    for name in (runs.CONFIG, runs.NORMALISER, runs.PRIMER, runs.HISTORY):
        with replacing(best / name) as temporary:
            temporary.write_bytes((folder / name).read_bytes())
    runs.write_model(best, model)


def measured(material, work, job):
    """What a network foresees of held-out music, at its pitch and at others, and what it makes."""
    folder, size = work / "networks" / job.name, material.size
    done = Stages(folder / "measured.json")

    def measure():
        quiet_tensorflow()
        corpus, _ = material.open()
        moved_away = another_key(corpus, work, size.compared)
        run = runs.load(folder / "best" if job.long else folder)
        history = run.history["loss"], run.history["validation_loss"]
        found = {
            "nats": round(likelihood.held_out(run, corpus), 2),
            "nats_two_semitones_away": round(likelihood.held_out(run, moved_away), 2),
            "loss": [round(float(x), 2) for x in history[0]],
            "held_out_loss": [round(float(x), 2) for x in history[1]],
        } | music_of(run, corpus, size)
        if job.long:  # all of the above is of the network at its best; this is of the last one
            last = runs.load(folder)
            found["length_of_theta"] = round(length_of_theta(last), 1)
            found["at_the_end"] = music_of(last, corpus, size)
        return found

    return done("measured", measure)


def length_of_theta(run):
    """‖θ‖ of what the penalty counts: all but the gains and shifts of LayerNorm."""
    counted = [arrays for name, arrays in run.weights.items() if "norm" not in name]
    return float(np.sqrt(sum(np.square(x, dtype=float).sum() for one in counted for x in one)))


def music_of(run, corpus, size):
    """What it makes with all its σ after held-out primers: notes, level, and what gives it away."""
    music = evaluation.measure(list(free(run, corpus, size)), judges(corpus, size), CONFIG)
    told = evaluation.to_dict(music.judged)
    return {"onsets": round(music.onsets, 2), "level": round(music.level, 2), "told_by": told}


def free(run, corpus, size):
    """Features (clips, T, m) that a run makes after as many held-out primers, with all its σ."""
    primers = np.stack(evaluation.excerpts(corpus, corpus.unheard, 1.5, size.clips))
    sampling = dict(strategy="sample", sigma_scale=1.0, pi_temperature=1.0, noise="gaussian")
    frames, number = corpus.config.frames(size.seconds), len(primers)
    return generation.generate(run, frames, primer=primers, sequences=number, **sampling).vectors


def judges(corpus, size):
    return evaluation.excerpts(corpus, corpus.unheard, size.judged, 32)


def of_real_music(corpus, size):
    """The same measures of other real music, from the training pieces."""
    other = evaluation.excerpts(corpus, "train", size.judged, 32)
    music = evaluation.measure(other, judges(corpus, size), CONFIG)
    told = evaluation.to_dict(music.judged)
    copying = round(likelihood.copying(corpus), 2)
    return {"onsets": round(music.onsets, 2), "told_by": told, "copying": copying}


# ----------------------------------------------------------------------------------- the memory


def memory(material, work, overfitted, whole):
    """How near what a network makes comes to what it learned, beside held-out music's distance."""
    corpus, size = material.open()[0], material.size
    folder = work / "networks" / overfitted.name
    little, all_of_it = learned(corpus, overfitted.minutes), learned(corpus, 1e9)
    made = {
        "one minute, at its best": (free(runs.load(folder / "best"), corpus, size), little),
        "one minute, over-fitted": (free(runs.load(folder), corpus, size), little),
        "all": (free(runs.load(work / "networks" / whole.name), corpus, size), all_of_it),
    }
    rows = {name: distances(list(clips), known, corpus) for name, (clips, known) in made.items()}
    return rows | memory_of_bach(corpus, size)


def memory_of_bach(corpus, size):
    """The same of the run bach, with the noise that it borrows and with a bell's; and the distance
    that it would have if it recited: it hears what it learned from, and says only what comes next.
    """
    run, frames = runs.load(runs.find("bach")), corpus.config.frames(size.seconds)
    made = {
        name: [
            generation.generate(run, frames, seed=seed, noise=noise).vectors[0]
            for seed in range(size.clips)
        ]
        for name, noise in (("bach", "residuals"), ("bach, Gaussian noise", "gaussian"))
    }
    music = evaluation.excerpts(corpus, "train", size.seconds, size.clips)
    made["bach, if it recited"] = [recited(run, clip, seed) for seed, clip in enumerate(music)]
    date = provenance(COMMAND)["date"]
    known = learned(corpus, 1e9)
    return {name: distances(clips, known, corpus) | {"date": date} for name, clips in made.items()}


def recited(run, features, seed):
    """Each step of `features` (T, m) as the run would have it, after all true ones before it."""
    foreseen = generation.foresee(run, features)
    vectors, _ = mixtures.draw(foreseen.mixture, run.sampling.but(noise="gaussian"), seed)
    made = run.normaliser.invert(vectors[:-1] * foreseen.scales[:-1])
    return made.reshape(-1, run.network.features)


def distances(clips, known, corpus):
    """What `analysis.nearest` finds, in short; and the three seconds that are nearest of all."""
    pieces = [amplitudes(piece.features) for piece in known]
    ours = analysis.nearest([amplitudes(clip) for clip in clips], pieces)
    real = analysis.nearest([amplitudes(piece.features) for piece in held_out(corpus)], pieces)
    second, per_clip = corpus.config.frames_per_second, len(ours.distances) // len(clips)
    closest = [
        {
            "seed": int(n // per_clip),
            "second": int(n % per_clip),
            "distance": round(float(ours.distances[n]), 3),
            "piece": known[ours.pieces[n]].name,
            "at": round(float(ours.starts[n] / second), 2),
        }
        for n in np.argsort(ours.distances)[:3]
    ]
    return {
        "generated": quantiles(ours.distances),
        "held_out": quantiles(real.distances),
        "nearer_than_all_but_5_percent": round(
            float(np.mean(ours.distances < np.quantile(real.distances, 0.05))), 3
        ),
        "closest": closest,
    }


def amplitudes(features):
    return features_to_amplitudes(np.asarray(features, np.float32), CONFIG)


def quantiles(distances):
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    return {f"{share:g}": round(float(np.quantile(distances, share)), 3) for share in shares}


if __name__ == "__main__":
    main()
