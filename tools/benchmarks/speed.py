"""How fast does a run generate? Times faster than real time (8 ms a frame), sampling included.

    .venv/bin/python tools/benchmarks/speed.py [RUN] [--seconds 60]

The best of three counts.
"""

import argparse
import time

from cmc_helpers import generation, runs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="passage")
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    run = runs.load(runs.find(arguments.run))
    steps = run.features.frames(arguments.seconds)
    for strategy, sequences in (("sample", 1), ("tempered", 1), ("exact", 1), ("sample", 16)):
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            generation.generate(run, steps, strategy=strategy, sequences=sequences)
            times.append(time.perf_counter() - begun)
        factor = sequences * arguments.seconds / min(times)
        print(f"{strategy:9s} {sequences:3d} at once: {factor:6.0f} × real time")


if __name__ == "__main__":
    main()
