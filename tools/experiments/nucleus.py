"""Who takes in the component that crosses τ? The paper's subset S and a nucleus, side by side.

    python tools/experiments/nucleus.py --corpus CORPUS [--work FOLDER]

CORPUS is a folder made by `cmc corpus --bach`. The run `bach` plays on for 20 s after 1.5 s of each
of 64 pieces that it has not learnt from, at several τ, by each of two rules: the paper leaves the
component out whose weight takes the sum beyond τ (section 2.1.2), a nucleus takes it in (top-p;
Holtzman et al., ICLR 2020). Everything else is as at the slider of notebook 10: components ranked
by weight, σ-scale 0.8, Gaussian noise, no π-temperature. Primers and random numbers are the same in
all cells. Counted are the clips that live: at their end `analysis.fate` says "alive", and they are
less than 40 dB softer than the primer; and the notes that begin in a second of these.

Every finished cell is kept in --work: a second start goes on where the first was stopped. Results:
tools/experiments/nucleus.json. --small does the same within seconds, with primers from the ten
seconds that ship with the run.
"""

import argparse
import math
import tempfile
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np

from cmc_helpers import analysis, corpora, generation, mixtures, runs
from cmc_helpers.analysis import evaluation
from cmc_helpers.features import features_to_amplitudes
from cmc_helpers.provenance import Stages, provenance, write
from cmc_helpers.terminal import terminal_progress

RESULTS = Path(__file__).with_suffix(".json")
PRIMER = 1.5  # seconds
TAUS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
FAINT = 0.01  # of the primer's level: -40 dB
KNOBS = dict(strategy="tempered", form="weight", sigma_scale=0.8)  # and Gaussian noise, T = 1
FULL = SimpleNamespace(clips=64, seconds=20, taus=TAUS)
SMALL = SimpleNamespace(clips=2, seconds=5, taus=(0.8, 1.0))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", help="a folder made by cmc corpus --bach")
    parser.add_argument("--work", default="runs/nucleus", help="where finished cells are kept")
    parser.add_argument("--small", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--output", default=RESULTS, type=Path)
    given = parser.parse_args(arguments)
    if not (given.small or given.corpus):
        parser.error("give --corpus, or --small")
    run = runs.load(runs.find("bach"))
    if given.small:
        held_out = np.load(run.folder / "held_out.npy")
        frames = run.features.frames(PRIMER)
        primers = np.stack([held_out[at : at + frames] for at in (0, 500)])
        with tempfile.TemporaryDirectory() as work:
            compare(run, primers, SMALL, Path(work), given.output)
    else:
        corpus = corpora.load_corpus(given.corpus)
        primers = evaluation.excerpts(corpus, corpus.unheard, PRIMER, FULL.clips)
        work = Path(given.work)
        work.mkdir(parents=True, exist_ok=True)
        compare(run, np.stack(primers), FULL, work, given.output)


def nucleus(log_weights, tau, xp=np):
    """`mixtures.tempered_log_weights` of a nucleus: the fewest top components that hold τ or more.

    A component is in while those ahead of it hold less than τ.
    """
    order = np.argsort(-log_weights, axis=-1, kind="stable")
    ranked = np.exp(np.take_along_axis(log_weights, order, axis=-1))
    ahead = np.cumsum(ranked, axis=-1) - ranked
    kept = (ahead < tau) | (np.arange(ranked.shape[-1]) == 0) | (tau >= 1)
    inside = np.empty_like(kept)
    np.put_along_axis(inside, order, kept, axis=-1)
    kept_weights = np.where(inside, log_weights, -math.inf)
    return kept_weights - np.logaddexp.reduce(kept_weights, axis=-1, keepdims=True)


RULES = {"paper": mixtures.tempered_log_weights, "nucleus": nucleus}


def compare(run, primers, size, work, output):
    """Let the run play on by each rule at each τ, and write what became of it to `output`."""
    done, cells = Stages(work / "cells.json"), []
    places = list(product(RULES, size.taus))
    with terminal_progress("Running free") as progress:
        for rule, tau in places:
            cell = done(f"{rule} {tau}", lambda: played(run, primers, size, rule, tau))  # noqa: B023
            cells.append({"rule": rule, "tau": tau} | cell)
            progress(len(cells), len(places), f"{rule}, τ = {tau}")
    here = provenance("python tools/experiments/nucleus.py --corpus CORPUS")
    settings = {"run": "bach", "clips": len(primers), "seconds": size.seconds, "knobs": KNOBS}
    write(output, here | settings | {"cells": cells})


def played(run, primers, size, rule, tau):
    """One clip after every primer: how many live, and their notes in a second."""
    # The fused loops know the paper's rule alone, so both rules take the steps in NumPy.
    with (
        patch.object(mixtures, "tempered_log_weights", RULES[rule]),
        patch.object(generation, "LONG", math.inf),
    ):
        frames = run.features.frames(size.seconds)
        made = generation.generate(
            run, frames, sequences=len(primers), primer=primers, seed=1, tau=tau, **KNOBS
        )
    rate = run.features.frames_per_second
    clips = [features_to_amplitudes(clip, run.features) for clip in made.vectors]
    heard = [features_to_amplitudes(primer, run.features) for primer in primers]
    living = [clip for clip, before in zip(clips, heard, strict=True) if lives(clip, before, rate)]
    notes = [analysis.onsets_per_second(clip, rate) for clip in living]
    return {"alive": len(living), "notes": round(float(np.mean(notes)), 2) if notes else None}


def lives(clip, before, rate):
    """Whether a clip, amplitudes (T, 100), is alive, and to be heard after what was played before.

    `analysis.fate` alone takes a clip for alive that was never louder than its own noise.
    """
    end, start = (np.sqrt(np.mean(np.square(x))) for x in (clip[-round(5 * rate) :], before))
    return analysis.fate(clip, rate) == "alive" and end > FAINT * start


if __name__ == "__main__":
    main()
