"""Adds CMC_SEED_OFFSET to every seed that is set, wherever it is set: `make guard` shows with it
what a notebook says when chance falls another way.

Python runs a module of this name when it starts; PYTHONPATH has to name this folder.
"""

import importlib.abc
import importlib.util
import os
import sys
from functools import wraps

OFFSET = int(os.environ.get("CMC_SEED_OFFSET", "0"))


def other(seed):
    """`seed` with the offset: of a number, of the first of several; anything else as it is."""
    if isinstance(seed, (list, tuple)) and seed:
        return [other(seed[0]), *seed[1:]]
    whole = hasattr(seed, "__index__") and not isinstance(seed, bool)
    return (int(seed) + OFFSET) % 2**32 if whole else seed


def shifted(function, argument="seed"):
    """`function` with its first argument, a seed, or the one of that name moved on."""

    @wraps(function)
    def call(*given, **named):
        if argument in named:
            named[argument] = other(named[argument])
        elif given:
            given = (other(given[0]), *given[1:])
        return function(*given, **named)

    return call


def patch_numpy(module):
    module.default_rng = shifted(module.default_rng)


def patch_keras(module):
    module.set_random_seed = shifted(module.set_random_seed)


def patch_optuna(module):
    def init(self, *given, plain=module.TPESampler.__init__, **named):
        plain(self, *given, **{k: other(v) if k == "seed" else v for k, v in named.items()})

    module.TPESampler.__init__ = init


PATCHES = {
    "numpy.random": patch_numpy,
    "keras.src.utils.rng_utils": patch_keras,
    "optuna.samplers": patch_optuna,
}


class Patcher(importlib.abc.MetaPathFinder):
    """Finds a module of PATCHES as everybody else does, and patches it once it is loaded."""

    def find_spec(self, name, path=None, target=None):
        if name not in PATCHES:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        spec.loader = Then(spec.loader, PATCHES[name])
        return spec


class Then(importlib.abc.Loader):
    """A module's own loader, and what is done to the module after it."""

    def __init__(self, loader, patch):
        self.loader, self.patch = loader, patch

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        self.patch(module)


if OFFSET:
    sys.meta_path.insert(0, Patcher())
