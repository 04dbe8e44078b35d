"""Exercises that answer back: `check("03.1", answer)`.

`checking` says how a check speaks; the checks of notebook NN stand in `notebook_NN`, and are found
there by themselves.
"""

from importlib import import_module
from pkgutil import iter_modules

from cmc_helpers.exercises.checking import check

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["check"]
