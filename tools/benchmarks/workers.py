"""How fast do several workers train, beside one? Thousand frames per second.

    .venv/bin/python tools/benchmarks/workers.py [--workers 1 2] [--updates 20]

All workers run on this machine and meet on 127.0.0.1, as `cmc train --workers` does over a network
(docs/distributed_training.md). The whole batch stays the same, so that all rows do the same work:
a row with more workers gives each of them fewer windows. Each worker gets its share of the cores.
On one machine this shows what meeting costs; more speed takes more machines.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time

STACK = dict(layers=5, units=100, components=10, stack="paper")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker:
        return work(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"5 x 100, K = 10, m = 100, whole batch {given.batch} x {given.steps}, {cores} cores")
    print("workers   cores each   thousand frames/s   of the first row")
    first = None
    for count in given.workers:
        each = max(1, cores // count)
        speed = frames_per_second(given, count, each)
        first = first or speed
        print(f"{count:7d}   {each:10d}   {speed / 1e3:17.1f}   {speed / first:16.2f}", flush=True)


def frames_per_second(given, count, cores):
    """Start `count` workers, wait for them, and return the speed of all together."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    options = [f"--{name}={getattr(given, name)}" for name in ("updates", "batch", "steps")]
    processes = []
    try:
        for index in range(count):
            cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            threads = {"TF_NUM_INTRAOP_THREADS": str(cores), "OMP_NUM_THREADS": str(cores)}
            environment = os.environ | {"TF_CONFIG": json.dumps(cluster)} | threads
            command = [sys.executable, __file__, "--worker", *options]
            processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE))
        answers = [process.communicate(timeout=900)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return given.updates * given.batch * given.steps / max(map(float, answers))


def work(given):
    """One worker: prints the seconds that `updates` training steps took."""
    import numpy as np

    from cmc_helpers import networks, training
    from cmc_helpers.terminal import quiet_tensorflow
    from cmc_helpers.training import distribution

    joined = []
    quiet_tensorflow(lambda: joined.append(distribution.join_workers()))
    config = training.TrainingConfig(batch=given.batch, steps=given.steps)
    trainer = distribution.Trainer(networks.NetworkConfig(100, **STACK), config, 1000, *joined)
    shape = (2, given.batch, given.steps, 100)
    inputs, targets = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    trainer.train(inputs, targets)  # the first one compiles
    begun = time.perf_counter()
    for _ in range(given.updates):
        trainer.train(inputs, targets)
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    main()
