"""How fast does a run generate, and how near is that to the fastest that its matrices allow?

    .venv/bin/python tools/benchmarks/speed.py [RUN] [--seconds 60]

The limit is a step's matrix products and nothing else, with NumPy on one thread as in `generation`.
Beside them the stack as torch.nn.LSTMCell, where PyTorch is installed. All take turns; of five
turns the best counts.
"""

import argparse
import time
from itertools import product

import numpy as np
from threadpoolctl import threadpool_limits

from cmc_helpers import generation, networks, runs

TURNS = 5
STRATEGIES = ("sample", "tempered", "exact")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="passage")
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args(arguments)
    run = runs.load(runs.find(given.run))
    frames = run.features.frames(given.seconds)
    steps = -(-frames // run.network.frames)
    print(f"{given.run}: {networks.in_words(run.network)}")
    ways, times = {}, {}
    for sequences in (1, 16):
        ways["matrix products alone", sequences] = products(run, sequences, steps)
        if cells := torch_cells(run, sequences, steps):
            ways["torch.nn.LSTMCell", sequences] = cells
        for strategy in STRATEGIES:
            ways[strategy, sequences] = generated(run, strategy, sequences, frames)
    for _, (way, work) in product(range(TURNS), ways.items()):
        begun = time.perf_counter()
        work()
        times.setdefault(way, []).append(time.perf_counter() - begun)
    for (name, sequences), taken in times.items():
        best, limit = min(taken), min(times["matrix products alone", sequences])
        print(
            f"{name:21s} {sequences:3d} at once: {1e6 * best / steps:6.0f} µs a step, "
            f"{sequences * given.seconds / best:6.0f} × real time, {limit / best:4.0%} of the limit"
        )
    if ("torch.nn.LSTMCell", 1) not in times:
        print("torch.nn.LSTMCell: PyTorch is not installed")


def products(run, sequences, steps):
    """A function that multiplies by the matrices of every step, and does no more."""
    matrices = [
        np.concatenate([w for w in arrays if w.ndim == 2])
        for arrays in run.weights.values()
        if arrays[0].ndim == 2
    ]
    inputs = [np.ones((sequences, len(matrix)), np.float32) for matrix in matrices]
    outputs = [x @ matrix for x, matrix in zip(inputs, matrices, strict=True)]
    each = list(zip(inputs, matrices, outputs, strict=True))

    def multiply():
        with threadpool_limits(1):
            for _ in range(steps):
                for x, matrix, output in each:
                    np.matmul(x, matrix, out=output)

    return multiply


def torch_cells(run, sequences, steps):
    """A function that takes the steps of the layers alone with PyTorch; None without it."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    units, width = run.network.units, run.network.width
    first = units if run.network.stack == "residual" else width
    sizes = [first] + [units] * (run.network.layers - 1)
    cells = [torch.nn.LSTMCell(size, units) for size in sizes]
    head = torch.nn.Linear(units, run.network.outputs)

    @torch.inference_mode()
    def step():
        states = [(torch.zeros(sequences, units),) * 2 for _ in cells]
        for _ in range(steps):
            h = torch.zeros(sequences, first)
            for number, cell in enumerate(cells):
                states[number] = cell(h, states[number])
                h = states[number][0]
            head(h)

    return step


def generated(run, strategy, sequences, frames):
    return lambda: generation.generate(run, frames, strategy=strategy, sequences=sequences)


if __name__ == "__main__":
    main()
