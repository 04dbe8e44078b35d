"""What does each ingredient of a network buy, in likelihood and when it runs free?

    .venv/bin/python tools/benchmarks/ingredients.py CORPUS [--updates 500] [--only NAME]

CORPUS is a folder made by `cmc corpus`. Every network trains so many updates, on as many frames in
each of them, and differs from the default in what its name says. "nats" is the held-out likelihood
per frame on linear amplitudes, lower is better. Then 24 clips of 30 s run free, primed with
held-out music, in three ways: full sampling as in the paper; sampling with less of σ and sharper
weights (T: `mixtures.with_pi_temperature`); and full sampling with residuals of real music in place
of Gaussian noise (`residuals`). Counted are how many ended frozen, cycling or silent;
notes per second; loudness relative to real music; and how often a linear judge tells their last
20 s from real ones, by each of `analysis.judges` (0.5: never). The row
"real music" judges other real music, from the training part.

A hop of 128 samples: the network hears and makes every other frame, and those between are
interpolated; "every other frame" does so to real music. Its nats would be those of half as many
frames, and are left out. These rows stand in hops.md:

    .venv/bin/python tools/benchmarks/ingredients.py CORPUS --hops --output tools/benchmarks/hops.md
"""

import argparse
import datetime
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmc_helpers import corpora, training
from cmc_helpers.analysis import evaluation, judges, likelihood
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.terminal import quiet_tensorflow, terminal_progress

CLIPS, SECONDS = 24, 30
FRAMES = 32 * 256  # of an update
DEFAULT = dict(layers=2, units=128, components=8)
ROWS = {  # name → what differs in the network, and in its training
    "default": ({}, {}),
    "plain stack": (dict(stack="paper"), {}),
    "K = 1": (dict(components=1), {}),
    "squared error": (dict(components=0), {}),
    "feature scales": (dict(feature_scales=True), {}),
    "2 frames": (dict(frames=2), {}),
    "4 frames": (dict(frames=4), {}),
    "8 frames": (dict(frames=8), {}),
    "4 frames, feature scales": (dict(frames=4, feature_scales=True), {}),
    "4 frames, K = 1": (dict(frames=4, components=1), {}),
    "4 frames, K = 16": (dict(frames=4, components=16), {}),
    "4 frames, input noise 0.3": (dict(frames=4), dict(input_noise=0.3)),
    "4 frames, 3 x 256": (dict(frames=4, layers=3, units=256), {}),
}
HOPS = {  # the same, of every other frame
    "hop 128": ({}, {}),
    "hop 128, 2 frames": (dict(frames=2), {}),
}
SETTINGS = {  # name → how a mixture is sampled
    "σ, T = 1": dict(strategy="sample", sigma_scale=1.0, pi_temperature=1.0, noise="gaussian"),
    "0.7 σ, T = 0.7": dict(
        strategy="sample", sigma_scale=0.7, pi_temperature=0.7, noise="gaussian"
    ),
    "residuals": dict(strategy="sample", sigma_scale=1.0, pi_temperature=1.0, noise="residuals"),
}
MEANS = {"means": dict(strategy="greedy", sigma_scale=0.0)}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS), metavar="NAME")
    parser.add_argument("--hops", action="store_true", help="the rows of a longer hop instead")
    parser.add_argument("--output", help="a Markdown file for the table")
    given = parser.parse_args(arguments)
    quiet_tensorflow()
    corpus, scales = corpora.open_corpus(given.corpus), judges.JUDGES
    lines = [
        f"{datetime.date.today()}, {corpus.name}, {given.updates} updates of {FRAMES} frames\n",
        "| network | nats | sampled | died | notes/s | level | " + " | ".join(scales) + " |",
        "|---|---:|---|---:|---:|---:|" + "---:|" * len(scales),
        f"| copying | {likelihood.copying(corpus):.1f} |" + " |" * (4 + len(scales)),
    ]
    real = evaluation.excerpts(corpus, corpus.unheard, evaluation.JUDGED, CLIPS)
    other = evaluation.excerpts(corpus, "train", evaluation.JUDGED, CLIPS)
    lines.append(row("real music", None, "", evaluation.measure(other, real, corpus.config)))
    heard, seconds = corpus, SECONDS
    if given.hops:
        heard, seconds = thinned(corpus), SECONDS / 2
        between = [filled(piece[::2]) for piece in other]
        music = evaluation.measure(between, real, corpus.config)
        lines.append(row("every other frame", None, "", music))
    for name in HOPS if given.hops else given.only:
        with tempfile.TemporaryDirectory() as folder, terminal_progress(name) as progress:
            run = trained(heard, name, given.updates, Path(folder) / "run", progress)
            mixture = run.network.components > 0
            nats = likelihood.held_out(run, corpus) if mixture and not given.hops else None
            for setting, sampling in (SETTINGS if mixture else MEANS).items():
                free = evaluation.running_free(run, heard, CLIPS, seconds, **sampling)
                if given.hops:
                    free = [filled(clip) for clip in free]
                music = evaluation.measure(free, real, corpus.config)
                lines.append(row(name, nats, setting, music))
                print(lines[-1], flush=True)
    text = "\n".join(lines)
    print(text)
    if given.output:
        Path(given.output).write_text(text + "\n", "utf-8")


def thinned(corpus):
    """The corpus with twice the hop: the window is the same, so it is every other frame.

    Its config, whose hop is the paper's, does not know: what lasts a second lasts half of one here.
    """
    pieces = tuple(piece._replace(features=piece.features[::2]) for piece in corpus.pieces)
    return replace(corpus, pieces=pieces)


def filled(features):
    """Features (T, m) → (2 T, m): between two frames their mean, and the last one twice."""
    after = np.concatenate([features[1:], features[-1:]])
    return np.stack([features, (features + after) / 2], axis=1).reshape(-1, features.shape[1])


def trained(corpus, name, updates, folder, progress):
    """The run that the row `name` describes."""
    network_changes, training_changes = (ROWS | HOPS)[name]
    network = NetworkConfig(corpus.width, **DEFAULT | network_changes)
    config = training.TrainingConfig(
        epochs=1,
        batches_per_epoch=updates,
        batch=32,
        steps=FRAMES // 32 // network.frames,
        keep="last",
        **training_changes,
    )
    return training.train(corpus, folder, network, config, progress=progress)


def row(name, nats, sampled, music):
    """A line of the table: two names, nats per frame or None, and an `evaluation.Music`."""
    count = sum(music.fates.values())
    parts = [
        name,
        "" if nats is None else f"{nats:.1f}",
        sampled,
        f"{count - music.fates.get('alive', 0)} of {count}",
        f"{music.onsets:.1f}",
        f"{music.level:.1f}",
        *(f"{x.accuracy:.2f} ({x.low:.2f} to {x.high:.2f})" for x in music.judged.values()),
    ]
    return "| " + " | ".join(parts) + " |"


if __name__ == "__main__":
    main()
