"""What keeps a network from the steady state? The experiment that the paper could not make.

    python tools/experiments/steady_state.py --corpus CORPUS [--work FOLDER]

CORPUS is a folder made by `cmc corpus --bach`. Networks learn it that differ in one thing at a
time: squared error has one Gaussian of constant σ, K = 1 one whose σ the network predicts, K = 10
ten of them; two more learn with the dropout of the authors' code, 30 % of the inputs of every layer
(`mdnlstm.py` and `sample.py` in github.com/lucnat/cmc-rnn, `input_keep_prob=0.7`). Each is trained
from several seeds, with as many updates, and runs free for 20 s after 16 held-out primers, with the
same random numbers everywhere: see `ways`. What became of a clip is `analysis.life`, which a noise
painted on a dead network does not fool; two ways do just that, as a control. A network is one
witness, whatever the number of its clips: intervals come from the seeds.

The trained networks are kept in --work, and so is every finished cell of the table: a second start
goes on where the first was stopped. Results: tools/experiments/steady_state.json. --small does the
same within seconds to a clip that ships, and means nothing.
"""

import argparse
import json
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from cmc_helpers import analysis, corpora, mixtures, networks, runs, training
from cmc_helpers.analysis import evaluation
from cmc_helpers.corpora import building
from cmc_helpers.features import features_to_amplitudes
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.provenance import provenance, write
from cmc_helpers.sampling import Sampling
from cmc_helpers.terminal import quiet_tensorflow, terminal_progress
from cmc_helpers.training.windows import Windows

RESULTS = Path(__file__).with_suffix(".json")
DROPOUT = 0.3  # of the inputs of every layer
VALIDATED = 40  # batches of windows
WINDOW = 60  # frames that the authors' sampler hears, from a memory of zeros, for each new one
SAME = dict(layers=2, units=128)
NETWORKS = {
    "squared error": dict(components=0, **SAME),
    "K = 1": dict(components=1, **SAME),
    "K = 10": dict(components=10, **SAME),
    "squared error, dropout": dict(components=0, **SAME),
    "K = 10, dropout": dict(components=10, **SAME),
}
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.6, 1.0)  # of σ
PAINTED = (0.3, 1.0)  # what is painted on a network that never hears it
CHOICES = {
    "the mean": dict(strategy="greedy"),  # of one component: there is nothing to choose
    "greedy": dict(strategy="greedy"),
    "exact": dict(strategy="exact"),
    "τ = 0.5": dict(strategy="tempered", tau=0.5),
    "τ = 0.9": dict(strategy="tempered", tau=0.9),
    "τ = 0.5, by weight": dict(strategy="tempered", tau=0.5, form="weight"),
    "τ = 0.9, by weight": dict(strategy="tempered", tau=0.9, form="weight"),
    "by weight": dict(strategy="sample"),
    "by π/σ": dict(strategy="tempered", tau=1.0, form="paper"),  # "meanByProb" in the authors' code
}
FULL = SimpleNamespace(
    updates=400,
    batch=16,
    steps=128,
    clips=16,
    seconds=20,
    seeds=(0, 1, 2),
    shares=SHARES,
    window=WINDOW,
    window_seconds=10,  # of clips whose every frame costs as many steps
    shape={},  # of the networks, where they differ from `NETWORKS`
    workers=building.usable_cpus(),
)
SMALL = SimpleNamespace(
    **vars(FULL)
    | dict(updates=2, batch=2, steps=16, clips=1, seconds=6, seeds=(0,))
    | dict(shares=(0.0, 1.0), window=2, window_seconds=6, shape=dict(layers=1, units=8), workers=1)
)


class Way(NamedTuple):
    """choice: of `CHOICES`. sigma_scale: the share of σ that is added. dropout: left on while it
    plays. hears: "itself"; "means", so that the noise is painted on what it says and never heard;
    "window", its last frames alone, without a memory of what was before."""

    choice: str
    sigma_scale: float = 0.0
    dropout: bool = False
    hears: str = "itself"


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
    jobs = networks_of(size)
    cells = [(name, seed, way) for name, seed in jobs for way in ways(name, size.shares)]
    pool = ProcessPoolExecutor(size.workers, get_context("spawn"), one_thread)
    with pool:
        losses = together(pool, "Training", trained, data, size, work, jobs)
        found = together(pool, "Running free", cell, data, size, work, cells)
    corpus = corpora.open_corpus(data)
    described = {
        "updates": size.updates,
        "clips": size.clips,
        "seconds": size.seconds,
        "held_out": {
            name: [loss for (other, _), loss in zip(jobs, losses, strict=True) if other == name]
            for name in NETWORKS
        },
        "copying": copying(data, size),
        "real": of_real_music(corpus),
    }
    here = provenance("python tools/experiments/steady_state.py --corpus CORPUS")
    write(output, here | described | {"cells": found})


def together(pool, message, do, data, size, work, jobs):
    """What `do(data, size, work, *job)` returns for each job, in their order."""
    found = []
    with terminal_progress(message) as progress:
        for future in [pool.submit(do, data, size, work, *job) for job in jobs]:
            found.append(future.result())
            progress(len(found), len(jobs), "done")
    return found


def one_thread():
    """In a worker: as many workers as cores, so each has one."""
    os.environ |= {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    quiet_tensorflow()
    threadpool_limits(1)


def networks_of(size):
    """What is trained: (name, seed); the seeds one after the other."""
    return [(name, seed) for seed in size.seeds for name in NETWORKS]


def learns_with_dropout(name):
    return name.endswith("dropout")


def ways(name, shares=SHARES):
    """All `Way`s in which a network runs free."""
    mixture = name.startswith("K = 10")
    choices = ("greedy", "by weight") if mixture else ("the mean",)
    if learns_with_dropout(name):
        choices += ("by π/σ",) * mixture
        yield from (Way(choice, dropout=on) for choice in choices for on in (False, True))
        yield Way(choices[-1], dropout=True, hears="window")
        if mixture:
            yield Way(choices[-1], hears="window")
        return
    yield from (Way(choice, share) for choice in choices for share in shares)
    if mixture:
        yield from (Way(choice) for choice in CHOICES if choice not in (*choices, "the mean"))
    else:
        yield from (Way("the mean", share, hears="means") for share in PAINTED)


# ---------------------------------------------------------------------------- the networks


def folder_of(work, name, seed):
    """Where the network is kept."""
    return work / f"{name.replace(' ', '_').replace(',', '')}_{seed}"


def trained(data, size, work, name, seed):
    """Train the network, unless it is there already; its held-out loss in whitened units, nats per
    frame, or of squared error its square, per frame."""
    folder = folder_of(work, name, seed)
    if not (folder / runs.MODEL).exists():
        train(data, folder, name, seed, size)
    return round(runs.read_history(folder / runs.HISTORY)["validation_loss"][-1], 2)


def train(data, folder, name, seed, size):
    """As `training.train` does it, but for the dropout."""
    import keras

    corpus, normaliser = opened(data), whitening(data)
    config = training.TrainingConfig(
        epochs=1, batches_per_epoch=size.updates, batch=size.batch, steps=size.steps, seed=seed
    )
    network = NetworkConfig(corpus.width, **NETWORKS[name] | size.shape)
    keras.utils.set_random_seed(seed)
    windows = Windows(corpus, normaliser, config)
    model, cost = networks.build(network), networks.loss(network)
    learning = with_dropout(model, network, seed) if learns_with_dropout(name) else model
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, windows.batches, 0.02, warmup_target=config.learning_rate, warmup_steps=config.warmup
    )
    learning.compile(keras.optimizers.Adam(rate, global_clipnorm=config.clip), cost)
    batches = (windows.batch(0, number) for number in range(windows.batches))
    fitted = learning.fit(batches, steps_per_epoch=windows.batches, shuffle=False, verbose=0)
    losses = [np.asarray(cost(y, model(x))).mean(axis=1) for x, y in held_out(windows)]
    folder.mkdir(parents=True, exist_ok=True)
    runs.write_settings(
        folder,
        {
            "features": corpus.config.to_dict(),
            "network": network.to_dict(),
            "training": asdict(config),
            "sampling": Sampling().to_dict(),
        },
    )
    runs.write_normaliser(folder, normaliser)
    runs.write_primer(folder, windows.pieces[0][:64])
    history = {"loss": fitted.history["loss"], "validation_loss": [np.concatenate(losses).mean()]}
    runs.write_history(folder, {"epoch": [1], **history})
    runs.write_model(folder, model)


def with_dropout(model, network, seed):
    """The residual stack with the weights of `model`, and another part of the inputs of every LSTM
    layer left out at every step."""
    import keras

    frames = keras.Input((None, network.width))
    h = model.get_layer("project")(frames)
    for number in range(1, network.layers + 1):
        x = model.get_layer(f"norm_{number}")(h)
        x = keras.layers.Dropout(DROPOUT, seed=100 * seed + number)(x)
        h = h + model.get_layer(f"lstm_{number}")(x)
    head = model.get_layer("mixture" if network.components else "mean")
    return keras.Model(frames, head(model.get_layer("norm")(h)))


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
    """Layers whose LSTMs hear only some of their inputs, another part at each step; see
    `InNumPy`."""

    def __init__(self, layers, rng):
        self.layers, self.rng = layers, rng

    def get_layer(self, name):
        layer = self.layers.get_layer(name)
        if not name.startswith("lstm"):
            return layer

        def cell(x, state):
            kept = self.rng.random(x.shape, dtype=np.float32) >= DROPOUT
            return layer.cell(x * kept / np.float32(1 - DROPOUT), state)

        return SimpleNamespace(cell=cell)


# -------------------------------------------------------------------------- one cell of the table


def cell(data, size, work, name, seed, way):
    """Let a network run free in one way, after every primer; count what became of the clips."""
    kept = work / "cells" / f"{name}_{seed}_{'_'.join(map(str, way))}.json".replace("/", "_")
    if kept.exists():
        return json.loads(kept.read_text("utf-8"))
    corpus = opened(data)
    primers, real = heard(corpus, size.clips)
    run = runs.load(folder_of(work, name, seed))
    if not run.network.components:
        run = with_constant_sigma(run)
    seconds = size.window_seconds if way.hears == "window" else size.seconds
    made = run_free(run, primers, corpus.config.frames(seconds), way, size.window)
    found = {"network": name, "seed": seed, **way._asdict()}
    found |= counted(list(made), real, run.features)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write(kept, found)
    return found


def run_free(run, primers, steps, way, window=WINDOW):
    """Features (n, steps, m) after primers (n, T, m); random numbers are the same in each way."""
    rng, n = np.random.default_rng(0), len(primers)
    layers = Dropped(run.layers, np.random.default_rng(1)) if way.dropout else run.layers
    sampling = Sampling(**CHOICES[way.choice]).but(sigma_scale=way.sigma_scale)
    said, frames = [], list(run.normaliser.transform(primers).swapaxes(0, 1))
    states = networks.zero_states(run.network, n)
    for frame in frames[:-1]:
        _, states = networks.step(layers, run.network, frame, states)
    for _ in range(steps):
        if way.hears == "window":
            states = networks.zero_states(run.network, n)
            for frame in frames[-window:-1]:
                _, states = networks.step(layers, run.network, frame, states)
        output, states = networks.step(layers, run.network, frames[-1], states)
        mixture = networks.read_output(output, run.network)
        uniform = 1 - rng.random(n, np.float32)
        drawn = uniform, rng.standard_normal((n, run.network.width), np.float32)
        said.append(mixtures.next_vector(mixture, sampling, *drawn)[0])
        quiet = sampling.but(sigma_scale=0.0)
        frames.append(
            mixtures.next_vector(mixture, quiet, *drawn)[0] if way.hears == "means" else said[-1]
        )
        del frames[:-window]
    return run.normaliser.invert(np.stack(said, axis=1))


@cache
def opened(data):
    """The corpus, once for all that a process does."""
    return corpora.open_corpus(data)


@cache
def whitening(data):
    """The normaliser of all networks."""
    return training.fit_normaliser(opened(data))


def held_out(windows):
    """Batches of the validation part, (x, y): enough to say who beats whom."""
    return islice(windows.validation(), VALIDATED)


def heard(corpus, clips):
    """Primers (n, frames, m), n ≤ clips, and real music to compare with, a list of (T, m)."""
    primers = evaluation.excerpts(corpus, corpus.unheard, 1.5, clips)
    real = evaluation.excerpts(corpus, corpus.unheard, evaluation.JUDGED, clips)
    return np.stack(primers), real


def copying(data, size):
    """What the copy of the frame before costs on the same windows, in whitened units: the square of
    its error per frame, and nats per frame with the constant σ that suits it best."""
    corpus, config = opened(data), training.TrainingConfig(batch=size.batch, steps=size.steps)
    windows = Windows(corpus, whitening(data), config)
    square = np.mean([np.square(y - x).sum(axis=-1).mean() for x, y in held_out(windows)])
    nats = corpus.width / 2 * np.log(2 * np.pi * np.e * square / corpus.width)
    return {"squared error": round(float(square), 2), "nats": round(float(nats), 2)}


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


def counted(clips, real, config):
    """What became of clips, features (T, m) each. died: the second of each; "-" if it never did.
    change: how much a second differs from the one before, the median of all."""
    music = evaluation.measure(clips, real, config, ()) if real else None
    clips = [features_to_amplitudes(x.astype(float), config) for x in clips]
    lives = [analysis.life(clip, config.frames_per_second) for clip in clips]
    ends = [life.fates[-1] for life in lives]
    changes = [analysis.seconds_change(clip, config.frames_per_second) for clip in clips]
    found = {
        "ends": {name: ends.count(name) for name in sorted(set(ends))},
        "died": " ".join("-" if life.died is None else f"{life.died:.0f}" for life in lives),
        "escaped": sum(life.escapes > 0 for life in lives),
        "change": round(float(np.median(np.concatenate(changes))), 3),
    }
    if music:
        found |= {"onsets": round(music.onsets, 2), "level": round(music.level, 2)}
    return found


if __name__ == "__main__":
    main()
