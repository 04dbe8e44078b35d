"""How well do the four networks run free on the dummy data? Ten seeds each (paper, section 4.1).

    .venv/bin/python tools/benchmarks/dummy_experiments.py [--seeds 10] [--data bounce …]
        [--networks LSTM …] [--updates 400] [--input-noise 0.05] [--sigma-floor 0.2]

After a primer of 64 vectors, 200 steps on their own output. A run holds if its mean absolute
deviation from the true continuation is at most 0.008 and its largest at most 0.035, about what the
paper's figures 4 and 5 show (0.0076 and 0.0079; 0.032).
"""

import argparse
import time
from dataclasses import replace

import numpy as np

from cmc_helpers import analysis, experiments, generation, sequences
from cmc_helpers.terminal import quiet_tensorflow

NETWORKS = tuple(experiments.four_networks(7))
DATA = ("cyclic", "bounce", "double_cyclic", "double_bounce")
STEPS, MEAN, LARGEST = 200, 0.008, 0.035


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--updates", type=int, default=400)
    parser.add_argument("--input-noise", type=float, default=0.05)
    parser.add_argument("--sigma-floor", type=float, help="the smallest σ of a mixture")
    arguments = parser.parse_args()
    quiet_tensorflow()
    print("data           network     held   mean deviation     largest deviation  seconds each")
    print("                                  median    worst    median    worst")
    for name in arguments.data:
        vectors = getattr(sequences, name)(400)
        for label, network in experiments.four_networks(vectors.shape[1]).items():
            if label not in arguments.networks:
                continue
            if arguments.sigma_floor:
                network = replace(network, sigma_floor=arguments.sigma_floor)
            begin = time.perf_counter()
            found = [
                deviation(network, vectors, arguments.updates, arguments.input_noise, seed)
                for seed in range(arguments.seeds)
            ]
            seconds = (time.perf_counter() - begin) / arguments.seeds
            means, largest = np.array(found).T
            held = np.count_nonzero((means <= MEAN) & (largest <= LARGEST))
            print(
                f"{name:14} {label:10} {held:3}/{arguments.seeds:<3} "
                f"{np.median(means):8.4f} {means.max():8.4f}  "
                f"{np.median(largest):8.4f} {largest.max():8.4f}  {seconds:8.1f}",
                flush=True,
            )


def deviation(network, vectors, updates, input_noise, seed):
    """Train with this seed, run free, and compare with how the vectors go on."""
    run = experiments.learn(network, vectors, updates, input_noise, seed)
    made = generation.generate(run, STEPS).vectors[0]
    begin = len(run.primer)
    return analysis.deviation(made, vectors[begin : begin + STEPS])


if __name__ == "__main__":
    main()
