"""How fast does a network train? Thousand frames per second, beside PyTorch and stock Keras.

    make bench
    .venv/bin/python tools/benchmarks/training.py [--stack residual --units 256 …]

Every row trains the same network with the same loss, in turn, a few steps in each round, so that
whatever else the machine does falls on all of them alike. Ours is all that `cmc train` does to a
batch: cut it out of a corpus on disk, whiten it, add noise, and make a step. The others are handed
a batch that is ready.

The last column is the share of the machine's own speed, which a large matrix multiplication shows
in the same rounds: it counts the operations of the matrix products alone (`flop_per_frame`). The
last row is these products and nothing else, NumPy's, of the sizes and in the order that a training
step needs: what lies between it and ours is what everything else takes.

PyTorch is measured if it is there: `pip install 'torch>=2.4'`, or --torch PYTHON names another
Python that has it. It gets what makes it fastest: nn.LSTM with time as the first axis (oneDNN runs
it), all cores, gradients set to None; in a second row its loss is compiled too (torch.compile).
"""

import argparse
import contextlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = 3  # of training, in a round


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stack", choices=("paper", "residual"), default="paper")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--mixtures", type=int, default=10)
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch", metavar="PYTHON", default=sys.executable)
    parser.add_argument("--as-torch", choices=("eager", "compiled"), help=argparse.SUPPRESS)
    size = parser.parse_args()
    if size.as_torch:
        return answer(torch_step(size))

    from cmc_helpers.terminal import quiet_tensorflow

    quiet_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            "PyTorch, nn.LSTM": Elsewhere(size, "eager"),
            "PyTorch, its loss compiled": Elsewhere(size, "compiled"),
            "Keras, fit without XLA": keras_rounds(size),
            "ours": our_rounds(size, Path(folder)),
            "its matrix products alone": product_rounds(size),
        }
        failed = {name: row.failed for name, row in rows.items() if getattr(row, "failed", None)}
        timed = {name: [] for name in rows if name not in failed}
        peaks = []
        for round_number in range(size.rounds + 1):
            peak = matrix_speed()
            seconds = {name: rows[name]() for name in timed}
            if round_number:  # the first one compiles
                peaks.append(peak)
                for name, value in seconds.items():
                    timed[name].append(size.batch * size.steps * STEPS / value)
        for row in rows.values():
            if isinstance(row, Elsewhere):
                row.close()
    show(size, timed, failed, peaks)


def show(size, timed, failed, peaks):
    """Print the table: the best round of each, the median, and what the best is of the peak."""
    flop, peak = flop_per_frame(size), max(peaks)
    print(
        f"{size.stack} stack of {size.layers} x {size.units}, K = {size.mixtures}, "
        f"m = {size.features}, batch {size.batch} x {size.steps}: {flop / 1e6:.2f} MFLOP per frame"
    )
    print(f"matrix multiplication: {peak / 1e9:.0f} GFLOP/s at best")
    print("                             thousand frames/s     of the machine's  times")
    print("                             best    median        own speed         PyTorch")
    reference = timed.get("PyTorch, nn.LSTM")
    for name, frames in timed.items():
        best, median = max(frames), statistics.median(frames)
        times = f"{best / max(reference):.2f}" if reference else ""
        print(
            f"{name:28s} {best / 1e3:5.1f}    {median / 1e3:5.1f}         "
            f"{100 * best * flop / peak:4.0f} %            {times}"
        )
    for name, reason in failed.items():
        print(f"{name:28s} {reason}")


def flop_per_frame(size):
    """Additions and multiplications of the matrix products in one training step, per frame.

    A matrix product of n weights costs 2n forward, 2n for the gradient of the weights and 2n for
    that of its input; nobody asks for the last one at the first layer.
    """
    m, u, k = size.features, size.units, size.mixtures
    inputs = [m] + [u] * (size.layers - 1)
    first = 4 * u * m
    if size.stack == "residual":
        inputs[0], first = u, m * u
    weights = sum(4 * u * (n + u) for n in inputs) + u * (2 * k + k * m)
    if size.stack == "residual":
        weights += m * u
    return 6 * weights - 2 * first


def matrix_speed(n=3072):
    """Operations per second of one large product of float32 matrices, TensorFlow's or NumPy's,
    whichever is faster."""
    import numpy as np
    import tensorflow as tf

    square = np.ones((n, n), np.float32)
    tensor = tf.constant(square)
    return max(
        2 * n**3 / timed_call(call)
        for call in (lambda: square @ square, lambda: tf.matmul(tensor, tensor).numpy())
    )


def timed_call(function):
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def our_rounds(size, folder):
    """Seconds of a round of `distribution.Trainer` on batches cut from a file, made ahead."""
    import numpy as np

    from cmc_helpers import corpora, training
    from cmc_helpers.training import distribution, windows

    rng = np.random.default_rng(0)
    frames = rng.random((50_000, size.features), dtype=np.float32) + 0.1
    np.save(folder / "piece.npy", frames)
    piece = corpora.Piece("p", np.load(folder / "piece.npy", mmap_mode="r"), "train")
    corpus = corpora.Corpus("noise", (piece,), corpora.FeatureConfig())
    config = training.TrainingConfig(batch=size.batch, steps=size.steps)
    cut = windows.Windows(corpus, training.fit_normaliser(corpus), config)
    trainer = distribution.Trainer(_network(size), config, 1000)
    batches = windows.ahead(lambda number: cut.batch(0, number), range(10**9))

    def round_of_steps():
        for _ in range(STEPS):
            trainer.train(*next(batches))

    return lambda: timed_call(round_of_steps)


def keras_rounds(size):
    """Seconds of a round of `model.fit`, as one writes it first."""
    import keras
    import numpy as np

    from cmc_helpers import networks

    model = networks.build(_network(size))
    adam = keras.optimizers.Adam(2e-3, global_clipnorm=1.0)
    model.compile(adam, networks.loss(_network(size), fused=False), jit_compile=False)
    shape = (size.batch * STEPS, size.steps, size.features)
    inputs, targets = np.random.default_rng(0).standard_normal((2, *shape), dtype=np.float32)
    return lambda: timed_call(
        lambda: model.fit(inputs, targets, size.batch, verbose=0, shuffle=False)
    )


def product_rounds(size):
    """Seconds of a round of a training step's matrix products: layer by layer, what is recurrent
    step by step, the gradients of weights over all steps at once."""
    import numpy as np

    rng = np.random.default_rng(0)
    rows, u = size.batch * size.steps, size.units
    outputs = 2 * size.mixtures + size.mixtures * size.features
    inputs = [size.features] + [u] * (size.layers - 1)
    shapes = [(n, 4 * u) for n in inputs] + [(u, outputs)]
    if size.stack == "residual":
        shapes[0] = (u, 4 * u)
        shapes.insert(0, (size.features, u))
    wide = [tuple(rng.random((rows, n), np.float32) for n in shape) for shape in shapes]
    weights = [rng.random(shape, np.float32) for shape in shapes]
    h, gates = (rng.random((size.batch, n), np.float32) for n in (u, 4 * u))
    hs, all_gates = (rng.random((rows, n), np.float32) for n in (u, 4 * u))
    recurrent = rng.random((u, 4 * u), np.float32)

    def step():
        for number, ((x, y), w) in enumerate(zip(wide, weights, strict=True)):
            x @ w
            x.T @ y
            if number:  # nobody asks for the gradient of the first input
                y @ w.T
        for _ in range(size.layers):
            for _ in range(size.steps):
                h @ recurrent
            for _ in range(size.steps):
                gates @ recurrent.T
            hs.T @ all_gates

    return lambda: timed_call(lambda: [step() for _ in range(STEPS)])


def _network(size):
    from cmc_helpers.networks import NetworkConfig

    return NetworkConfig(size.features, size.layers, size.units, size.mixtures, size.stack)


# PyTorch, in a process of its own: two libraries with threads of their own disturb each other.


class Elsewhere:
    """A process that trains for a round whenever it is called, and answers with the seconds.

    failed: why it cannot, in a few words, or None.
    """

    def __init__(self, size, kind):
        options = [f"--{name}={value}" for name, value in vars(size).items() if name != "as_torch"]
        self.process, self.failed = None, "cannot be started"
        with contextlib.suppress(OSError):
            self.process = subprocess.Popen(
                [size.torch, __file__, f"--as-torch={kind}", *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            if answer := self.process.stdout.readline():
                self.failed = json.loads(answer)["failed"]

    def __call__(self):
        print("go", file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())["seconds"]

    def close(self):
        if self.process:
            self.process.kill()
            self.process.communicate()


def answer(step):
    """The other side of `Elsewhere`."""
    failed = step if isinstance(step, str) else None
    print(json.dumps({"failed": failed}), flush=True)
    for _ in sys.stdin:
        seconds = timed_call(lambda: [step() for _ in range(STEPS)])
        print(json.dumps({"seconds": seconds}), flush=True)


def torch_step(size):
    """A function that trains nn.LSTM once; a string that says why not if there is no PyTorch."""
    try:
        import torch
    except ImportError:
        return "not installed"
    import os

    k, m = size.mixtures, size.features
    known = hasattr(os, "sched_getaffinity")  # not on every system
    torch.set_num_threads(len(os.sched_getaffinity(0)) if known else os.cpu_count())
    torch.manual_seed(0)

    class Network(torch.nn.Module):
        """The same wiring as `networks.build`."""

        def __init__(self):
            super().__init__()
            u, residual = size.units, size.stack == "residual"
            self.project = torch.nn.Linear(m, u) if residual else None
            if residual:
                self.lstms = torch.nn.ModuleList(torch.nn.LSTM(u, u) for _ in range(size.layers))
                self.norms = torch.nn.ModuleList(
                    torch.nn.LayerNorm(u, eps=1e-3) for _ in range(size.layers + 1)
                )
            else:
                self.lstm = torch.nn.LSTM(m, u, size.layers)
            self.head = torch.nn.Linear(u, 2 * k + k * m)

        def forward(self, h):
            if self.project is None:
                return self.head(self.lstm(h)[0])
            h = self.project(h)
            for norm, lstm in zip(self.norms, self.lstms, strict=False):
                h = h + lstm(norm(h))[0]
            return self.head(self.norms[-1](h))

    def loss(output, y):
        """`mixtures.log_density`, line by line."""
        log_weights = torch.log_softmax(output[..., :k], -1)
        softplus = torch.nn.functional.softplus(output[..., k : 2 * k])
        sigma = 0.01 + softplus / (1 + softplus / 100)
        means = output[..., 2 * k :].unflatten(-1, (k, m))
        squared = (means - y[..., None, :]).square().sum(-1)
        normaliser = 0.5 * m * math.log(2 * math.pi) + m * sigma.log()
        logs = log_weights - normaliser - 0.5 * squared / sigma.square()
        return -torch.logsumexp(logs, -1).mean()

    network = Network()
    adam = torch.optim.Adam(network.parameters(), 2e-3)
    shape = (size.steps, size.batch, m)
    inputs, targets = torch.randn(shape), torch.randn(shape)
    if size.as_torch == "compiled":
        loss = torch.compile(loss)

    def step():
        adam.zero_grad(set_to_none=True)
        cost = loss(network(inputs), targets)
        cost.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        return cost.item()

    try:
        step()
    except Exception as problem:  # torch.compile needs a C++ compiler
        return f"cannot be compiled here ({type(problem).__name__})"
    return step


if __name__ == "__main__":
    main()
