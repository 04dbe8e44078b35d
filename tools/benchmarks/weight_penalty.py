"""What does the penalty λ/2 ‖θ‖² do to the training of notebook 09? Its table, in nats per frame.

.venv/bin/python tools/benchmarks/weight_penalty.py
"""

import tempfile
from pathlib import Path

import numpy as np

from cmc_helpers import corpora, networks, training
from cmc_helpers.features import FeatureConfig
from cmc_helpers.terminal import quiet_tensorflow


def main():
    quiet_tensorflow()
    config = FeatureConfig.preset("default")
    prelude = corpora.open_corpus(corpora.sample_path("bach_prelude.flac"), config, hold_out=0)
    (features,) = prelude.split("train")
    begins = [config.frames(seconds) for seconds in (0.1, 10.11, 13.40)]  # bars 1, 4 and 5
    pieces = (
        corpora.Piece("bars 1 to 3", features[begins[0] : begins[1]], "train"),
        corpora.Piece("bar 4", features[begins[1] : begins[2]], "validation"),
    )
    passage = corpora.Corpus("three bars of Bach", pieces, config)
    network = networks.NetworkConfig(features=100, layers=2, units=128)
    print("    λ  bars 1 to 3 at the end  bar 4, best (epoch)  bar 4 at the end")
    for weight_penalty in (0.0, 0.01, 0.1, 1.0, 5.0):
        settings = training.TrainingConfig(
            epochs=20,
            batch=8,
            steps=32,
            learning_rate=6e-3,
            warmup=20,
            weight_penalty=weight_penalty,
            keep="last",
        )
        with tempfile.TemporaryDirectory() as folder:
            history = training.train(passage, Path(folder) / "run", network, settings).history
        loss, exam = history["loss"], history["validation_loss"]
        best = int(np.argmin(exam))
        print(
            f"{weight_penalty:5g}  {loss[-1]:22.0f}  {exam[best]:13.0f} ({best + 1:2d})  "
            f"{exam[-1]:18.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
