"""Every notebook that is run fits into Binder's memory: a peak above the limit is an error.

And in the processes that the tests start, kernels among them, our code calls nothing that is
about to go: a DeprecationWarning is an error.

It stands here, above `tests` and `notebooks`, because pytest asks a conftest.py only about the
files below it.
"""

import os
import re
from pathlib import Path

import pytest

PEAK = "peak memory in MB"
CELL_SECONDS = 300


def pytest_addoption(parser):
    # Of Binder's 2 GB, JupyterLab and the system take their part.
    # Lower it to see it fail: make test ARGS="-o notebook_megabytes=300"
    parser.addini("notebook_megabytes", "the most a notebook may hold at once", default="1400")


def pytest_configure(config):
    """What filterwarnings in pyproject.toml is for pytest's process, for kernels and commands.

    PYTHONWARNINGS takes no patterns, so each of our modules is named; cells and scripts are
    `__main__`. An error is only what will change or go: other warnings may be meant for a reader.
    """
    root = Path(__file__).parent
    names = [path.relative_to(root).with_suffix("") for path in root.glob("cmc_helpers/**/*.py")]
    modules = sorted(".".join(name.parts).removesuffix(".__init__") for name in names)
    modules.append("__main__")
    kinds = "DeprecationWarning", "PendingDeprecationWarning", "FutureWarning"
    filters = [f"error::{kind}:{module}" for module in modules for kind in kinds]
    given = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(([given] if given else []) + filters)
    _compare_as_promised(config.option)


def _compare_as_promised(option):
    """nbval's settings, for whoever calls it: a bare `pytest --nbval notebooks/NAME.ipynb` too."""
    if not (getattr(option, "nbval", False) or getattr(option, "nbval_lax", False)):
        return
    option.nbval_current_env = not option.nbval_kernel_name
    option.nbval_cell_timeout = min(option.nbval_cell_timeout, CELL_SECONDS)
    if option.nbval_sanitize_with is None:
        option.nbval_sanitize_with = str(Path(__file__).parent / "tests" / "sanitize.cfg")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Read the peak of a notebook's kernel after the last cell, just before nbval ends it."""
    kernel = getattr(item.parent, "kernel", None)
    ends = nextitem is None or nextitem.parent is not item.parent
    peak = _peak(getattr(kernel.km.provisioner, "pid", None)) if kernel and ends else None
    result = yield
    if peak:
        item.user_properties.append((PEAK, peak))
        limit = int(item.config.getini("notebook_megabytes"))
        if peak > limit:
            pytest.fail(f"the notebook took {peak} MB, {limit} are the most", pytrace=False)
    return result


def pytest_terminal_summary(terminalreporter):
    """A table, the largest first."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    peaks = {
        (value, report.nodeid.partition("::")[0])
        for report in reports
        for name, value in getattr(report, "user_properties", [])
        if name == PEAK
    }
    if peaks:
        terminalreporter.section(PEAK)
        for peak, notebook in sorted(peaks, reverse=True):
            terminalreporter.line(f"{peak:6} {notebook}")


def _peak(pid):
    """The most that a process has held in memory, in MB; None where the system has no /proc.

    This is not ru_maxrss, which a process inherits from the one that started it.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return found and round(int(found[1]) * 1024 / 1e6)
