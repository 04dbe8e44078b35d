"""The paper's other road (section 5.3), measured: an LSTM over notes, beside the runs of sound.

    python tools/experiments/symbolic_music.py --corpus CORPUS     train, measure, write everything
    …                                          --corpus CORPUS --measure   measure what ships anew
    python tools/experiments/symbolic_music.py --small --output F  the same in miniature, in seconds

CORPUS comes from `cmc corpus --bach -o CORPUS`. The network of notes learns from the chorales that
data_samples/chorales.npz does not hold out; what it writes is played on the same piano by the same
hand as the corpus, and judged beside recordings of those that are held out. `replayed` are the
notes of real pieces, laid on the same grid and played so; `real`, the same pieces as recorded. What
is done stays in --work, so the same command goes on where it was stopped. The weights, with a model
card, go to data_samples/symbolic, the measures to symbolic_music.json. The weights' last digits
differ from processor to processor.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from bach_corpus import CONFIG, SMALL_JUDGED, small_corpus, whole_corpus

FOLDER = Path(__file__).resolve().parent
SAMPLES = FOLDER.parents[1] / "data_samples"
sys.path.insert(0, str(SAMPLES))

import make_chorales  # noqa: E402
import make_samples  # noqa: E402

from cmc_helpers import (  # noqa: E402
    experiments,
    generation,
    inversion,
    networks,
    runs,
)
from cmc_helpers.analysis import evaluation, yardsticks  # noqa: E402
from cmc_helpers.features import extract_features  # noqa: E402
from cmc_helpers.files import replacing  # noqa: E402
from cmc_helpers.provenance import Stages, provenance, write  # noqa: E402
from cmc_helpers.scores import performing, symbolic  # noqa: E402
from cmc_helpers.terminal import quiet_tensorflow, terminal_progress  # noqa: E402

COMMAND = "python tools/experiments/symbolic_music.py --corpus CORPUS"
LARGE = dict(layers=1, units=384, embedding=32, epochs=24, batch=16, steps=64, semitones=5)
LARGE |= dict(clips=160, real=80, seconds=evaluation.SECONDS, timed=30)
LARGE |= dict(temperatures=(0.7, 0.85, 1.0), judged=evaluation.JUDGED)
SMALL = dict(layers=1, units=8, embedding=4, epochs=20, batch=4, steps=16, semitones=1)
SMALL |= dict(clips=2, real=2, seconds=SMALL_JUDGED + 1, timed=2, temperatures=(0.5,))
SMALL |= dict(judged=SMALL_JUDGED)
STRETCH = 32  # tokens, about two seconds


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", help="a folder made by cmc corpus --bach")
    parser.add_argument("--small", action="store_true", help="a few pieces, a tiny network")
    parser.add_argument("--measure", action="store_true", help="it is trained already")
    parser.add_argument("--work", help="where a training that was stopped lies")
    parser.add_argument("--output", default=FOLDER / "symbolic_music.json", type=Path)
    given = parser.parse_args(arguments)
    if not (given.small or given.corpus):
        parser.error("give --corpus CORPUS, or --small")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(given.work or (temporary if given.small else FOLDER / ".work"))
        work.mkdir(parents=True, exist_ok=True)
        settings = SMALL if given.small else LARGE
        corpus, instrument = small_corpus(work) if given.small else whole_corpus(given.corpus)
        if given.measure:
            told = json.loads(given.output.read_text("utf-8"))["training"]
            write(work / "training.json", told)
            (work / "weights.npz").write_bytes((SAMPLES / "symbolic" / "weights.npz").read_bytes())
        results = measure(settings, corpus, instrument, work)
        if not given.small:
            ship(work / "weights.npz", results)
        write(given.output, results)


def measure(settings, corpus, instrument, work):
    """Everything, in stages whose results stay in the folder `work`."""
    done = Stages(work / "stages.json")
    recorded = {piece.name: piece.features for piece in corpus.pieces}
    split = {
        part: {name: text for name, text in texts.items() if name in recorded}
        for part, texts in zip(("train", "validation"), symbolic.load_chorales(), strict=True)
    }
    seconds = sum(len(recorded[name]) for name in split["validation"]) / CONFIG.frames_per_second
    training = train(settings, split, work)
    network = symbolic.load(work / "weights.npz")
    known, rng = stretches(split["train"].values()), np.random.default_rng(0)
    frames = CONFIG.frames(settings["judged"])
    held_out = [recorded[name] for name in split["validation"]]
    real = yardsticks.excerpts(held_out, frames, rng, settings["real"])
    long_enough = [name for name in split["train"] if len(recorded[name]) >= frames]
    others = [str(name) for name in rng.permutation(long_enough)[: settings["real"]]]

    def write_all(temperature):
        steps, seeds = sixteenths(settings["seconds"]), range(settings["clips"])
        return [symbolic.generate(network, steps, temperature, seed) for seed in seeds]

    def generated(temperature):
        written = write_all(temperature)
        found = judged(
            [
                played(text, f"seed {n}", instrument, settings["seconds"])
                for n, text in enumerate(written)
            ]
        )
        own = {"nats_per_token": nats(network, dict(enumerate(written)))}
        return found | own | {"copied": copied(written, known)}

    def told_by_surprise():
        bach_s = [network.surprises(text).mean() for text in split["validation"].values()]
        return {
            str(t): more_often([network.surprises(x).mean() for x in write_all(t)], bach_s)
            for t in settings["temperatures"]
        }

    def judged(clips):
        return evaluation.to_dict(evaluation.measure(clips, real, CONFIG))

    def replayed():
        seconds = settings["judged"] + 2
        clips = [played(middle(split["train"][n]), n, instrument, seconds) for n in others]
        return judged([clip[-frames:] for clip in clips])

    def as_recorded():
        pieces = [recorded[name] for name in others]
        return judged(yardsticks.excerpts(pieces, frames, np.random.default_rng(1)))

    measured = {
        "nats_per_token": done("nats_per_token", lambda: likelihoods(network, split)),
        "tokens_per_second": round(sum(map(len, split["validation"].values())) / seconds, 2),
        "temperatures": {
            str(t): done(f"temperature {t}", lambda t=t: generated(t))
            for t in settings["temperatures"]
        },
        "less_surprising_than_bach": done("less_surprising_than_bach", told_by_surprise),
        "replayed": done("replayed", replayed),
        "real": done("real", as_recorded),
        "null": done("null", lambda: evaluation.to_dict(evaluation.nulls(corpus, len(real)))),
        "copied_by_bach": copied(split["validation"].values(), known),
        "times_real_time": done(
            "times_real_time", lambda: speeds(network, instrument, settings["timed"])
        ),
    }
    shape = {name: settings[name] for name in ("layers", "units", "embedding")}
    return (
        provenance(COMMAND)
        | {"network": shape | {"parameters": network.parameters}, "training": training}
        | {"clips": settings["clips"], "seconds": settings["seconds"]}
        | measured
    )


def train(settings, split, work):
    """Train, or go on with it; write weights.npz, the best on held-out music, into `work`."""
    state, checkpoint, best = work / "training.json", work / "training.keras", work / "weights.npz"
    told = json.loads(state.read_text("utf-8")) if state.exists() else {"history": []}
    if len(told["history"]) == settings["epochs"]:
        return told
    quiet_tensorflow()
    import keras

    texts, steps, batch = list(split["train"].values()), settings["steps"], settings["batch"]
    updates = sum(map(len, texts)) // steps // batch
    if told["history"]:
        model = keras.models.load_model(checkpoint)
    else:
        chosen = ("epochs", "batch", "steps", "semitones")
        told = {name: settings[name] for name in chosen} | {"minutes": 0.0, "history": []}
        keras.utils.set_random_seed(0)
        model = symbolic.build(settings["layers"], settings["units"], settings["embedding"])
        model.compile(experiments.adam(model, updates * settings["epochs"]))
    step = experiments.compiled_step(model, symbolic.cost, model.optimizer)
    with terminal_progress("Training") as progress:
        for epoch in range(len(told["history"]), settings["epochs"]):
            begun, rng = time.monotonic(), np.random.default_rng([0, epoch])
            inputs, targets = symbolic.windows(texts, steps, rng, settings["semitones"])
            order = rng.permutation(len(inputs))[: updates * batch].reshape(-1, batch)
            losses = [float(step(inputs[rows], targets[rows])) for rows in order]
            network = symbolic.InNumPy(networks.weights(model))
            held_out = nats(network, split["validation"])
            if held_out < min([row[1] for row in told["history"]], default=math.inf):
                symbolic.save(best, networks.weights(model))
            told["history"].append([round(float(np.mean(losses)), 4), held_out])
            told["minutes"] = round(told["minutes"] + (time.monotonic() - begun) / 60, 2)
            with replacing(checkpoint) as temporary:
                model.save(temporary)
            write(state, told)
            progress(epoch + 1, settings["epochs"], f"held out {held_out:.4f}")
    return told


def nats(network, texts):
    """The mean surprise of a token, END included, over texts by name."""
    surprises = np.concatenate([network.surprises(text) for text in texts.values()])
    return round(float(surprises.mean()), 4)


def likelihoods(network, split):
    """Nats per token of held-out music, an END after each piece included, beside three guesses."""
    train, judge = (
        [np.append(text, symbolic.END).astype(int) for text in split[part].values()]
        for part in ("train", "validation")
    )
    pairs = np.ones((symbolic.VOCABULARY, symbolic.VOCABULARY))
    for text in train:
        np.add.at(pairs, (np.append(symbolic.END, text[:-1]), text), 1)
    single = np.bincount(np.concatenate(train), minlength=symbolic.VOCABULARY) + 1
    single, pairs = single / single.sum(), pairs / pairs.sum(axis=1, keepdims=True)
    before = np.concatenate([np.append(symbolic.END, text[:-1]) for text in judge])
    row = np.concatenate(judge)
    return rounded(
        {
            "any of them": math.log(symbolic.VOCABULARY),
            "how often each occurs": -np.log(single[row]).mean(),
            "which follows which": -np.log(pairs[before, row]).mean(),
            "network": nats(network, split["validation"]),
        },
        4,
    )


def played(text, name, instrument, seconds):
    """The features of so many seconds of a text of tokens, played as `cmc corpus --bach` plays;
    where it has ended, of silence."""
    notes = performing.perform(symbolic.as_score(symbolic.decode(text), name))
    waveform = instrument.play(notes, CONFIG.sample_rate)
    waveform = np.pad(waveform, (0, max(0, round(seconds * CONFIG.sample_rate) - len(waveform))))
    return extract_features(waveform, CONFIG)[: CONFIG.frames(seconds)]


def middle(text):
    """The notes that begin in half a minute in the middle of a piece, as a text of its own."""
    notes, half = symbolic.decode(text), sixteenths(30) // 2
    begin = max(0, np.sum(text == symbolic.STEP) // 2 - half)
    inside = [note for note in notes if begin <= note.start < begin + 2 * half]
    return symbolic.encode([replace(note, start=note.start - begin) for note in inside])


def sixteenths(seconds):
    """How many are sure to last so long, though each piece has a tempo of its own."""
    minutes = seconds / 60
    return math.ceil(1.3 * minutes * symbolic.QUARTERS_PER_MINUTE * symbolic.STEPS_PER_QUARTER)


def stretches(texts):
    """All stretches of STRETCH tokens, told apart by their intervals, not by their keys: a set."""
    return {stretch for text in texts for stretch in stretches_of(text)}


def stretches_of(text):
    """Every stretch of a text as bytes, moved so that its first key is the lowest token."""
    text = np.asarray(text, int)
    for start in range(len(text) - STRETCH + 1):
        part = text[start : start + STRETCH]
        moves = part >= symbolic.STRIKE
        if moves.any():
            first = (part[moves][0] - symbolic.STRIKE) % symbolic.KEYS
            yield np.where(moves, part - first, part).astype(np.int16).tobytes()


def copied(texts, known):
    """The share of stretches in `texts` that stand in `known`, in whatever key."""
    found = [stretch in known for text in texts for stretch in stretches_of(text)]
    return round(float(np.mean(found)), 4)


def more_often(ours, theirs):
    """How often one of ours is below one of theirs, 0.5 if nobody can tell them by this number; and
    a 95 % interval, from 2000 draws of ours and of theirs with replacement."""
    below, rng = np.less.outer(ours, theirs), np.random.default_rng(0)
    rows, columns = (rng.integers(n, size=(2000, n)) for n in below.shape)
    draws = [below[np.ix_(*one)].mean() for one in zip(rows, columns, strict=True)]
    low, high = np.quantile(draws, (0.025, 0.975))
    return rounded({"share": below.mean(), "low": low, "high": high})


def speeds(network, instrument, seconds):
    """Seconds of music that each road makes in a second of one core: written, and heard as well."""
    run = runs.load(runs.find("bach"))
    steps = round(seconds / 60 * symbolic.QUARTERS_PER_MINUTE * symbolic.STEPS_PER_QUARTER)

    def notes():
        return symbolic.generate(network, steps)

    def frames():
        return generation.generate(run, run.features.frames(seconds)).vectors[0]

    def heard():
        text = notes()
        instrument.play(performing.perform(symbolic.as_score(symbolic.decode(text), "speed")), 8000)

    def inverted():
        inversion.invert_features(frames(), run.features)

    jobs = {"notes": notes, "notes, heard": heard, "sound": frames, "sound, heard": inverted}
    return {name: round(seconds / best_of_three(job), 1) for name, job in jobs.items()}


def best_of_three(job):
    """Seconds of processor time, our children's included: what else the machine does counts not."""
    times = []
    for _ in range(3):
        begun = sum(os.times()[:4])
        job()
        times.append(sum(os.times()[:4]) - begun)
    return max(min(times), 1e-3)


def rounded(value, digits=2):
    if isinstance(value, dict):
        return {name: rounded(part, digits) for name, part in value.items()}
    return value if isinstance(value, int) else round(float(value), digits)


def ship(weights, results):
    """Bring data_samples/symbolic, its model card and its entry in the registry up to date."""
    folder = SAMPLES / "symbolic"
    folder.mkdir(exist_ok=True)
    with replacing(folder / "weights.npz") as temporary:
        temporary.write_bytes(weights.read_bytes())
    entry = {
        "path": "symbolic",
        "what": "The network of notebook 14: an LSTM that writes notes, learnt from the chorales.",
        "composition": make_chorales.ENTRY["composition"],
        "made_by": COMMAND,
        "licence": "CC0-1.0",
    }
    digest = make_samples.checksums(folder / "weights.npz")
    (folder / "README.md").write_text(card(entry, results, digest), "utf-8")
    make_samples.register(entry)


def card(entry, results, digest):
    """The model card, in Markdown."""
    network, training, nats = (results[k] for k in ("network", "training", "nats_per_token"))
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    lowest = min(held_out for _, held_out in training["history"])
    facts = {
        "network": f"embedding of {network['embedding']}, {network['layers']} x {network['units']} "
        f"LSTM, softmax over {symbolic.VOCABULARY} tokens; {network['parameters']:,} parameters, "
        "stored with 16 bits",
        "data": "chorales.npz: the pieces of `cmc corpus --bach`, a tenth held out by piece",
        "music": entry["composition"],
        "trained by": f"`{entry['made_by']}`",
        "took": f"{training['minutes']} minutes on {results['machine']}; {versions}",
        "history": f"{len(training['history'])} epochs, each piece moved by up to "
        f"{training['semitones']} semitones, anew each time; kept is the best, {lowest} nats per "
        "token of held-out music",
        "licence": entry["licence"],
        "SHA-256 of weights.npz": f"`{digest}`",
    }
    return "\n".join(
        [
            f"# symbolic\n\n{entry['what']}\n",
            *(f"- {fact}: {text}" for fact, text in facts.items()),
            "\nHeld-out pieces, nats per token:\n",
            "| guess | nats |\n|---|---:|",
            *(f"| {name} | {value} |" for name, value in nats.items()),
            "\nThe composer test stands in tools/experiments/symbolic_music.json.\n",
        ]
    )


if __name__ == "__main__":
    main()
