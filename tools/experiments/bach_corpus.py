"""The Bach corpus, large and small: what the experiments that play from scores learn from."""

import sys
from pathlib import Path

import numpy as np

from cmc_helpers import corpora
from cmc_helpers.corpora import building
from cmc_helpers.features import FeatureConfig
from cmc_helpers.scores import bach, soundfonts, symbolic

CONFIG = FeatureConfig.preset("default")
SMALL_PIECES = 4
SMALL_JUDGED = 6  # seconds, in small, instead of `evaluation.JUDGED`


def whole_corpus(folder):
    """The corpus, and the instrument that plays like it; exits where this machine has another."""
    instrument = soundfonts.grand_piano()
    if building.read_manifest(Path(folder))["origin"] != bach.origin(instrument):
        sys.exit(f"{folder} was played by another piano than this machine has: build it again")
    return corpora.load_corpus(folder), instrument


def small_corpus(work):
    """A few short pieces, half of them held out, on the piano that needs nothing installed."""
    instrument = soundfonts.AdditivePiano()
    sources = {source.name: source for source in bach.sources(instrument)}
    least = SMALL_JUDGED * symbolic.QUARTERS_PER_MINUTE * symbolic.STEPS_PER_QUARTER / 20
    names = []
    for texts in symbolic.load_chorales():  # learnt from, and held out, by the network of notes
        enough = [name for name in texts if np.sum(texts[name] == symbolic.STEP) > least]
        names += sorted(enough, key=lambda name, of=texts: len(of[name]))[: SMALL_PIECES // 2]
    folder = work / "corpus"
    chosen = [sources[name] for name in names]
    building.build_from_sources(chosen, folder, CONFIG, bach.origin(instrument), hold_out=0.5)
    return corpora.load_corpus(folder), instrument
