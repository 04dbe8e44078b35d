"""What keeps a network from the steady state? The experiment that the paper could not make.

    python tools/experiments/steady_state.py --corpus CORPUS [--work FOLDER]

CORPUS is a folder made by `cmc corpus --bach`. Four networks learn it from three seeds each, with
as many updates; each then runs free for 60 s after 32 held-out primers, in every way of choosing
and with several shares of its noise. They differ in one thing at a time: squared error has one
Gaussian of constant σ, K = 1 one whose σ the network predicts, K = 10 ten of them. The fourth, the
paper's plain stack, is sampled with and without the dropout that its 2017 code left on. Primers and
random numbers are the same for all. What is counted is defined in `cmc_helpers.analysis`.

The trained networks are kept in --work, and so is every finished cell of the table: a second start
goes on where the first was stopped. Results: tools/experiments/steady_state.json. --small does the
same within seconds to a clip that ships, and means nothing.
"""

import argparse
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from cmc_helpers import analysis, corpora, generation, networks, runs, training
from cmc_helpers.analysis import evaluation
from cmc_helpers.corpora import building
from cmc_helpers.features import features_to_amplitudes
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.provenance import provenance, write
from cmc_helpers.terminal import quiet_tensorflow, terminal_progress
from cmc_helpers.training.windows import Windows

RESULTS = Path(__file__).with_suffix(".json")
DROPOUT = 0.2  # of the paper's stack; what the 2017 code was run with is not known
SAME = dict(layers=2, units=128)
NETWORKS = {
    "squared error": dict(components=0, **SAME),
    "K = 1": dict(components=1, **SAME),
    "K = 10": dict(components=10, **SAME),
    "paper's stack": dict(components=10, layers=5, units=100, stack="paper"),
}
SHARES = (0.0, 0.3, 0.6, 1.0)  # of σ
ONE = {"the mean": dict(strategy="greedy")}  # of one component there is nothing to choose
CHOICES = {
    "greedy": dict(strategy="greedy"),
    "exact": dict(strategy="exact"),
    "τ = 0.5": dict(strategy="tempered", tau=0.5),
    "τ = 0.9": dict(strategy="tempered", tau=0.9),
    "τ = 0.5, by weight": dict(strategy="tempered", tau=0.5, form="weight"),
    "τ = 0.9, by weight": dict(strategy="tempered", tau=0.9, form="weight"),
    "by weight": dict(strategy="sample"),
}
FEW = {name: CHOICES[name] for name in ("greedy", "τ = 0.9, by weight", "by weight")}
FULL = SimpleNamespace(
    updates=500,
    batch=32,
    steps=256,
    clips=32,
    seconds=60,
    seeds=(0, 1, 2),
    shares=SHARES,
    shape={},  # of the networks, where they differ from `NETWORKS`
    workers=building.usable_cpus(),
)
SMALL = SimpleNamespace(
    **vars(FULL)
    | dict(updates=2, batch=2, steps=16, clips=1, seconds=6, seeds=(0,), shares=(0.0, 1.0))
    | dict(shape=dict(layers=1, units=8), workers=1)
)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", help="a folder made by cmc corpus --bach")
    parser.add_argument("--work", default="runs/steady_state", help="trained networks and cells")
    parser.add_argument("--small", action="store_true", help="seconds instead of hours")
    parser.add_argument("--output", default=RESULTS, type=Path)
    given = parser.parse_args(arguments)
    if not (given.small or given.corpus):
        parser.error("give --corpus, or --small")
    if given.small:
        with tempfile.TemporaryDirectory() as work:
            compare(corpora.sample_path("bach_prelude.flac"), SMALL, Path(work), given.output)
    else:
        compare(given.corpus, FULL, Path(given.work), given.output)


def compare(data, size, work, output):
    """Train every network, let it run free in every way, and write what was found to `output`."""
    corpus = corpora.open_corpus(data)
    quiet_tensorflow()
    jobs = list(networks_of(size))
    with terminal_progress("Training") as progress:
        for number, (seed, name) in enumerate(jobs):
            trained(corpus, name, seed, size, work)
            progress(number + 1, len(jobs), name)
    cells = [(name, seed, *way) for seed, name in jobs for way in ways(name, size.shares)]
    found = []
    pool = ProcessPoolExecutor(size.workers, mp_context=get_context("spawn"))
    with pool, terminal_progress("Running free") as progress:
        waiting = [pool.submit(cell, data, size, work, *one) for one in cells]
        for future in waiting:
            found.append(future.result())
            progress(len(found), len(cells), "cells")
    described = {
        "updates": size.updates,
        "clips": size.clips,
        "seconds": size.seconds,
        "held_out": {
            name: [loss(folder_of(work, name, s)) for s, other in jobs if other == name]
            for name in NETWORKS
        },
    }
    described["real"] = of_real_music(corpus)
    here = provenance("python tools/experiments/steady_state.py --corpus CORPUS")
    write(output, here | described | {"cells": found})


def networks_of(size):
    """What is trained: (seed, name); the seeds one after the other."""
    return product(size.seeds, NETWORKS)


def ways(name, shares=SHARES):
    """All that is done with a network: (name of the choice, share of σ, dropout)."""
    if name in ("squared error", "K = 1"):
        return product(ONE, shares, [False])
    if name == "paper's stack":
        return product(FEW, shares, [False, True])
    return product(CHOICES, shares, [False])


def folder_of(work, name, seed):
    """Where the network is kept."""
    return work / f"{name.replace(' ', '_')}_{seed}"


def loss(folder):
    """Its held-out loss: nats per frame, or the squared error, in whitened units."""
    return round(runs.read_history(folder / runs.HISTORY)["validation_loss"][-1], 2)


# ---------------------------------------------------------------------------- the networks


def trained(corpus, name, seed, size, work):
    """Train the network, unless it is there already."""
    folder = folder_of(work, name, seed)
    if (folder / runs.MODEL).exists():
        return
    network = NetworkConfig(corpus.width, **NETWORKS[name] | size.shape)
    config = training.TrainingConfig(
        epochs=1,
        batches_per_epoch=size.updates,
        batch=size.batch,
        steps=size.steps,
        keep="last",
        seed=seed,
    )
    if network.stack == "residual":
        resume = (folder / runs.CONFIG).exists()
        training.train(corpus, folder, network, config, resume=resume)
    else:
        train_with_dropout(corpus, folder, network, config)


def train_with_dropout(corpus, folder, network, config):
    """As `training.train` does it, with dropout on what each LSTM layer hands on."""
    import keras

    keras.utils.set_random_seed(config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    normaliser = training.fit_normaliser(corpus)
    windows = Windows(corpus, normaliser, config)
    model = networks.build(network)
    h = frames = keras.Input((None, network.width))
    for number in range(1, network.layers + 1):
        h = model.get_layer(f"lstm_{number}")(h)
        h = keras.layers.Dropout(DROPOUT, seed=config.seed + number)(h)
    dropped = keras.Model(frames, model.get_layer("mixture")(h))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, windows.batches, 0.02, warmup_target=config.learning_rate, warmup_steps=config.warmup
    )
    cost = networks.loss(network)
    dropped.compile(keras.optimizers.Adam(rate, global_clipnorm=config.clip), cost)
    batches = (windows.batch(0, number) for number in range(windows.batches))
    fitted = dropped.fit(batches, steps_per_epoch=windows.batches, verbose=0)
    held_out = [np.asarray(cost(y, model(x))).mean(axis=1) for x, y in windows.validation()]
    history = {
        "epoch": [1],
        "loss": fitted.history["loss"],
        "validation_loss": [float(np.concatenate(held_out).mean())],
    }
    runs.write_settings(
        folder,
        {
            "features": corpus.config.to_dict(),
            "network": network.to_dict(),
            "training": asdict(config) | {"dropout": DROPOUT},
            "sampling": training.defaults(corpus)[2].to_dict(),
        },
    )
    runs.write_normaliser(folder, normaliser)
    runs.write_primer(folder, windows.pieces[0][:64])
    runs.write_history(folder, history)
    runs.write_model(folder, model)


def with_constant_sigma(run):
    """A network trained by squared error, with the one σ of its held-out error said in its head.

    It is a Gaussian around the mean (paper, 2.1.2), so it may be sampled like any other.
    """
    sigma = np.sqrt(run.history["validation_loss"][-1] / run.network.width)
    above = sigma - run.network.sigma_floor
    raw = np.log(np.expm1(above / (1 - above / 100)))  # `mixtures.from_network_output` backwards
    kernel, bias = run.weights["mean"]
    head = [
        np.pad(kernel, ((0, 0), (2, 0))),
        np.concatenate([[0.0, raw], bias]).astype(np.float32),
    ]
    weights = {name: arrays for name, arrays in run.weights.items() if name != "mean"}
    return replace(
        run,
        network=replace(run.network, components=1),
        weights=weights | {"mixture": head},
    )


class Dropped:
    """Layers whose LSTMs hand on only some of h, another part at each step; see `InNumPy`."""

    def __init__(self, layers, rng):
        self.layers, self.rng = layers, rng

    def get_layer(self, name):
        layer = self.layers.get_layer(name)
        if not name.startswith("lstm"):
            return layer

        def cell(x, state):
            h, state = layer.cell(x, state)
            kept = self.rng.random(h.shape, dtype=np.float32) >= DROPOUT
            return h * kept / np.float32(1 - DROPOUT), state

        return SimpleNamespace(cell=cell)


# -------------------------------------------------------------------------- one cell of the table


def cell(data, size, work, name, seed, choice, share, dropout):
    """Let a network run free in one way, after every primer; count what became of the clips."""
    kept = work / "cells" / f"{name}_{seed}_{choice}_{share}_{dropout}.json".replace(" ", "_")
    if kept.exists():
        return json.loads(kept.read_text("utf-8"))
    corpus = opened(data)
    primers, real = heard(corpus, size.clips)
    run = runs.load(folder_of(work, name, seed))
    if not run.network.components:
        run = with_constant_sigma(run)
    if dropout:
        layers = Dropped(run.layers, np.random.default_rng(0))
        run = SimpleNamespace(**vars(run) | {"layers": layers})
    made = generation.generate(
        run,
        corpus.config.frames(size.seconds),
        primer=primers,
        sequences=len(primers),
        sigma_scale=share,
        noise="gaussian",
        **(ONE | CHOICES)[choice],
    )
    found = {"network": name, "seed": seed, "choice": choice, "sigma_scale": share}
    found |= {"dropout": dropout} | counted(list(made.vectors), real, run.features)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write(kept, found)
    return found


@cache
def opened(data):
    """The corpus, once for all cells of a process."""
    return corpora.open_corpus(data)


def of_real_music(corpus):
    """The same counts of the held-out pieces: what is called dead there is a false alarm."""
    pieces = [np.asarray(x[:], float) for x in corpus.split("validation")]
    least = corpus.config.frames(5)  # seconds that `analysis.fate` looks at
    pieces = [features_to_amplitudes(x, corpus.config) for x in pieces if len(x) >= least]
    fates = sum([analysis.life(x).fates for x in pieces], [])
    others = evaluation.excerpts(corpus, "train", evaluation.JUDGED, len(pieces))
    return {
        "pieces": len(pieces),
        "seconds": len(fates),
        "dead": len(fates) - fates.count("alive"),
        **(counted(others, heard(corpus, len(pieces))[1], corpus.config) if others else {}),
    }


def heard(corpus, clips):
    """Primers (n, frames, m), n ≤ clips, and real music to compare with, a list of (T, m)."""
    primers = evaluation.excerpts(corpus, corpus.unheard, 1.5, clips)
    real = evaluation.excerpts(corpus, corpus.unheard, evaluation.JUDGED, clips)
    return np.stack(primers), real


def counted(clips, real, config):
    """What became of clips, features (T, m) each. died: the second of each; "-" if it never did."""
    music = evaluation.measure(clips, real, config) if real else None
    clips = [features_to_amplitudes(x.astype(float), config) for x in clips]
    lives = [analysis.life(clip, config.frames_per_second) for clip in clips]
    ends = [life.fates[-1] for life in lives]
    found = {
        "ends": {name: ends.count(name) for name in sorted(set(ends))},
        "died": " ".join("-" if life.died is None else f"{life.died:.0f}" for life in lives),
        "escaped": sum(life.escapes > 0 for life in lives),
        "flux": round(float(np.median([np.median(analysis.flux(clip)) for clip in clips])), 3),
    }
    if music:
        found |= {"onsets": round(music.onsets, 2), "level": round(music.level, 2)}
        found["judged"] = evaluation.to_dict(music.judged)
    return found


if __name__ == "__main__":
    main()
