"""What does each ingredient of a network buy, in likelihood and when it runs free?

    .venv/bin/python benchmarks/ingredients.py CORPUS [--updates 500] [--only NAME]

CORPUS is a folder made by `cmc corpus`. Every row trains so many updates, on as many frames in each
of them, and differs from the default in what its name says. "nats" is the held-out likelihood per
frame on linear amplitudes, lower is better. Then 24 clips of 30 s run free, primed with held-out
music: how many ended frozen, cycling or silent; notes per second; and how often a linear judge
tells their last 20 s from real ones, at five scales (0.5: never; `analysis.two_sample_accuracy`).
The row "real music" judges other real music, from the training part.
"""

import argparse
import datetime
import tempfile
from pathlib import Path

import numpy as np

from cmc_helpers import analysis, corpora, generation, likelihood, training
from cmc_helpers.features import features_to_amplitudes
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.notebook import quiet_tensorflow, terminal_progress

CLIPS, SECONDS, JUDGED = 24, 30, 20  # judged: seconds at the end
FRAMES = 32 * 256  # of an update
DEFAULT = dict(layers=2, units=128, components=8)
ROWS = {  # name → what differs in the network
    "default": {},
    "plain stack": dict(stack="paper"),
    "K = 1": dict(components=1),
    "squared error": dict(components=0),
    "feature scales": dict(feature_scales=True),
    "2 frames": dict(frames=2),
    "4 frames": dict(frames=4),
    "4 frames, feature scales": dict(frames=4, feature_scales=True),
    "8 frames": dict(frames=8),
    "3 x 256, K = 16": dict(layers=3, units=256, components=16),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS), metavar="NAME")
    parser.add_argument("--output", help="a Markdown file for the table")
    given = parser.parse_args(arguments)
    quiet_tensorflow()
    corpus = corpora.open_corpus(given.corpus)
    lines = [
        f"{datetime.date.today()}, {corpus.name}, {given.updates} updates of {FRAMES} frames\n",
        "| | nats | died | notes/s | " + " | ".join(analysis.SCALES) + " |",
        "|---|---:|---:|---:|" + "---:|" * len(analysis.SCALES),
        f"| copying | {likelihood.copying(corpus):.1f} |" + " |" * (2 + len(analysis.SCALES)),
    ]
    real = excerpts(corpus, "validation", JUDGED)
    lines.append(row("real music", None, excerpts(corpus, "train", JUDGED), real, corpus))
    for name in given.only:
        network = NetworkConfig(corpus.width, **DEFAULT | ROWS[name])
        with tempfile.TemporaryDirectory() as folder, terminal_progress(name) as progress:
            run = trained(corpus, network, given.updates, Path(folder) / "run", progress)
            nats = likelihood.held_out(run, corpus) if network.components else None
            lines.append(row(name, nats, running_free(run, corpus), real, corpus))
        print(lines[-1], flush=True)
    text = "\n".join(lines)
    print(text)
    if given.output:
        Path(given.output).write_text(text + "\n", "utf-8")


def trained(corpus, network, updates, folder, progress):
    config = training.TrainingConfig(
        epochs=1,
        batches_per_epoch=updates,
        batch=32,
        steps=FRAMES // 32 // network.frames,
        keep="last",
    )
    return training.train(corpus, folder, network, config, progress=progress)


def running_free(run, corpus):
    """Features of the clips that a run makes, each from its own held-out primer."""
    free = []
    for number, primer in enumerate(excerpts(corpus, "validation", 1.5)):
        made = generation.generate(
            run, corpus.config.frames(SECONDS), primer=primer, seed=number, sigma_scale=None
        )
        free.append(made.vectors[0])
    return free


def excerpts(corpus, split, seconds):
    """Features of so many seconds from the middle of the longest pieces, as many as CLIPS."""
    frames = corpus.config.frames(seconds)
    pieces = sorted(corpus.split(split), key=len)[-CLIPS:]
    starts = [max(len(piece) - frames, 0) // 2 for piece in pieces]
    return [piece[start : start + frames] for piece, start in zip(pieces, starts, strict=True)]


def row(name, nats, clips, real, corpus):
    """A line of the table about `clips`, lists of features."""
    clips, real = (
        [features_to_amplitudes(np.asarray(x, float), corpus.config) for x in kind]
        for kind in (clips, real)
    )
    died = sum(analysis.fate(clip) != "alive" for clip in clips)
    notes = np.mean([analysis.onsets_per_second(clip) for clip in clips])
    judged = [clip[-corpus.config.frames(JUDGED) :] for clip in clips]
    accuracies = [analysis.two_sample_accuracy(real, judged, scale) for scale in analysis.SCALES]
    nats = "" if nats is None else f"{nats:.1f}"
    parts = [
        name,
        nats,
        f"{died} of {len(clips)}",
        f"{notes:.1f}",
        *(f"{a:.2f}" for a in accuracies),
    ]
    return "| " + " | ".join(parts) + " |"


if __name__ == "__main__":
    main()
