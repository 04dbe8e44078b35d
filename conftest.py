"""Every notebook that is run fits into Binder's memory: a peak above the limit is an error.

And in the processes that the tests start, kernels among them, our code calls nothing that is
about to go: a DeprecationWarning is an error.

Where the tests run side by side (`--numprocesses`), the longest files come first, each process has
its share of the cores, and one that has grown is replaced after its file: TensorFlow gives back
nothing of what it compiled. Every run ends with where its time went.

It stands here, above `tests` and `notebooks`, because pytest asks a conftest.py only about the
files below it.
"""

import contextlib
import ctypes
import gc
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PEAK = "peak memory in MB"
HELD = "memory now, in MB"
COST = "processor seconds, memory in MB"
GIGABYTES = 3  # of a worker with a notebook's kernel, or with a training in a process of its own
WRITTEN = "CONTRIBUTING.md"  # holds the table of costs by which files are ordered
CELL_SECONDS = 300

# Whoever reads notebooks imports jsonschema, which compiles 38 grammars of addresses if it can: two
# seconds for every process of `make check`, and no notebook holds such an address. Elsewhere nbval
# comes first, and it is too late.
sys.modules.setdefault("rfc3987_syntax", None)


def pytest_addoption(parser):
    # Of Binder's 2 GB, JupyterLab and the system take their part.
    # Lower it to see it fail: make test ARGS="-o notebook_megabytes=300"
    parser.addini("notebook_megabytes", "the most a notebook may hold at once", default="1400")
    parser.addini("worker_megabytes", "the most a process of pytest may hold", default="2000")
    parser.addini("worker_retires", "above so many it gets no further file", default="1050")
    parser.addoption("--keep-costs", action="store_true", help=f"write the costs into {WRITTEN}")


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
    config.costs = {}
    if getattr(config.option, "dist", "no") != "no":  # in the process that leads the workers
        config.option.loadscopereorder = False  # else by the number of tests, not by their length
        threads = str(max(1, _cores() // max(1, len(config.option.tx))))
        for name in "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS":
            os.environ.setdefault(name, threads)
        # What librosa's import compiles and keeps on disk is spoilt for good, so that it crashes,
        # when two processes are the first.
        found = importlib.util.find_spec("librosa")
        if found and not list(Path(found.origin).parent.rglob("*.nbi")):
            subprocess.run([sys.executable, "-c", "import librosa.onset"])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """How many processes `--numprocesses auto` means: as cores and memory allow, at least one."""
    import psutil  # comes with Jupyter's kernel

    return max(1, min(_cores(), psutil.virtual_memory().available // (GIGABYTES * 10**9)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """As `--dist loadfile` has it, but that the next file goes to a process that is small.

    One that has grown is shut down, which lets it finish what it has, and at once another begins.
    """
    from xdist.scheduler import LoadFileScheduling

    class Relay(LoadFileScheduling):
        def _reschedule(self, node):
            if node not in self.registered_collections:
                return  # it has only just begun
            held = config.costs.get("held", {}).get(node.gateway.id, 0)
            grown = held > int(config.getini("worker_retires"))
            if not grown or node.shutting_down or not self.workqueue:
                return super()._reschedule(node)
            node.shutdown()
            # As xdist does for one that crashed; it offers no other way.
            config.pluginmanager.getplugin("dsession")._clone_node(node)

        def add_node_collection(self, node, collection):
            super().add_node_collection(node, collection)
            if node not in self.registered_collections:  # and would wait for ever
                raise pytest.UsageError("the tests were changed while they ran: run them again")

        def schedule(self):
            super().schedule()
            for node in self.nodes:  # a later one, too, waits for a second file before the first
                self._reschedule(node)

    return Relay(config, log) if config.option.dist == "loadfile" else None


def pytest_runtest_logreport(report):
    """The process that leads the others learns what each holds."""
    config = getattr(getattr(report, "node", None), "config", None)
    for key, value in report.user_properties if config else ():
        if key == HELD:
            config.costs.setdefault("held", {})[report.node.gateway.id] = value


def _cores():
    """How many this process may use, which is less than the machine has in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """For workers, the longest file first: at the end nobody waits long for the last one.

    But before all others those that start TensorFlow, so that later processes do without it.
    """
    if hasattr(config, "workerinput"):
        costs = _written_costs(config.rootpath)
        large = {item.path for item in items if item.get_closest_marker("keras")}

        def place(item):
            return item.path not in large, -costs.get(item.nodeid.partition("::")[0], 1)

        items.sort(key=place)


def _compare_as_promised(option):
    """nbval's settings, for whoever calls it: a bare `pytest --nbval notebooks/NAME.ipynb` too."""
    if not (getattr(option, "nbval", False) or getattr(option, "nbval_lax", False)):
        return
    option.nbval_current_env = not option.nbval_kernel_name
    option.nbval_cell_timeout = min(option.nbval_cell_timeout, CELL_SECONDS)
    if option.nbval_sanitize_with is None:
        option.nbval_sanitize_with = str(Path(__file__).parent / "tests" / "sanitize.cfg")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """Note where a file begins."""
    if item.config.costs.get("file") != item.path:
        item.config.costs.update(file=item.path, begun=sum(os.times()[:4]))
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Read the peak of a notebook's kernel after the last cell, just before nbval ends it.

    And after the last test of a file what it cost; then all goes that nobody will ask for again.
    """
    kernel = getattr(item.parent, "kernel", None)
    ends = nextitem is None or nextitem.parent is not item.parent
    peak = _peak(getattr(kernel.km.provisioner, "pid", None)) if kernel and ends else None
    result = yield
    held = _memory(os.getpid(), "VmRSS") or 0
    if nextitem is None or nextitem.path != item.path:
        _forget()
        held = _memory(os.getpid(), "VmRSS") or 0
        cost = sum(os.times()[:4]) - item.config.costs["begun"]
        item.user_properties.append((COST, (round(cost, 1), held)))
    item.user_properties.append((HELD, held))
    if peak:
        item.user_properties.append((PEAK, peak))
        limit = int(item.config.getini("notebook_megabytes"))
        if peak > limit:
            pytest.fail(f"the notebook took {peak} MB, {limit} are the most", pytrace=False)
    return result


def _forget():
    """Give back what a file leaves behind: graphs, compiled steps, figures."""
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    if "keras" not in sys.modules:
        return
    sys.modules["keras"].backend.clear_session()
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library keeps what it has
            ctypes.CDLL("libc.so.6").malloc_trim(0)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """A worker tells its peak; the process that leads them holds all against the limit."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput[PEAK] = _peak(os.getpid())
        config.workeroutput[COST] = round(sum(os.times()[:4]), 1)
    elif _too_large(config) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Keep what a worker told; one that crashed told nothing."""
    told = getattr(node, "workeroutput", {})
    if told.get(PEAK):
        node.config.costs.setdefault("workers", {})[node.gateway.id] = told[PEAK], told[COST]
        node.gateway.exit()  # else the process stays, and what it holds, until all are done


def _too_large(config):
    """The workers that held more than they may."""
    limit = int(config.getini("worker_megabytes"))
    return [n for n, (peak, _) in config.costs.get("workers", {}).items() if peak > limit]


def pytest_terminal_summary(terminalreporter, config):
    """Tables, the largest first: the notebooks' peaks, and what each file cost."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    peaks, costs, seconds = set(), {}, {}
    for report in reports:
        name = report.nodeid.partition("::")[0] if hasattr(report, "nodeid") else ""
        seconds[name] = seconds.get(name, 0) + getattr(report, "duration", 0)
        for key, value in getattr(report, "user_properties", []):
            if key == PEAK:
                peaks.add((value, name))
            elif key == COST:
                costs[name] = value
    if peaks:
        terminalreporter.section(PEAK)
        for peak, notebook in sorted(peaks, reverse=True):
            terminalreporter.line(f"{peak:6} {notebook}")
    if len(costs) > 1:
        _say_costs(terminalreporter, config, costs, seconds)
    if config.option.keep_costs and not hasattr(config, "workerinput"):
        _write_costs(config.rootpath / WRITTEN, costs)


def _say_costs(terminalreporter, config, costs, seconds, most=12):
    """Where the time went, and what the process held after each file."""
    terminalreporter.section("where the time goes")
    terminalreporter.line("processor s  clock s  MB then")
    largest = sorted(costs.items(), key=lambda item: -item[1][0])
    for name, (cost, memory) in largest[:most]:
        terminalreporter.line(f"{cost:11.0f} {seconds[name]:8.0f} {memory:8}  {name}")
    rest = [name for name, _ in largest[most:]]
    if rest:
        parts = sum(costs[name][0] for name in rest), sum(seconds[name] for name in rest)
        terminalreporter.line(f"{parts[0]:11.0f} {parts[1]:8.0f} {'':8}  {len(rest)} other files")
    for worker, (peak, cost) in sorted(config.costs.get("workers", {}).items()):
        terminalreporter.line(f"{cost:11.0f} {'':8} {peak:8}  {worker} together, and its peak")
    limit = config.getini("worker_megabytes")
    for worker in _too_large(config):
        terminalreporter.line(f"ERROR {worker} held more than {limit} MB", red=True)


MARKS = "<!-- make test ARGS=--keep-costs writes from here -->", "<!-- to here, the costs -->"


def _write_costs(path, costs, least=5):
    """The table that `_written_costs` reads; files that cost less stand in one row."""
    before, _, rest = path.read_text("utf-8").partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    largest = sorted(costs.items(), key=lambda item: -item[1][0])
    rows = [f"| {name} | {cost:.0f} |" for name, (cost, _) in largest if cost >= least]
    small = [cost for _, (cost, _) in largest if cost < least]
    rows += [f"| {len(small)} others | {sum(small):.0f} |"]
    rows += [f"| together | {sum(cost for cost, _ in costs.values()):.0f} |"]
    table = "\n".join(["", "", "| file | processor seconds |", "|---|---:|", *rows, ""])
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(before + MARKS[0] + table + MARKS[1] + after)


def _written_costs(root):
    """File → processor seconds, as far as they are written down."""
    try:
        text = (root / WRITTEN).read_text("utf-8")
    except OSError:
        return {}
    table = text.partition(MARKS[0])[2].partition(MARKS[1])[0]
    return {name: int(cost) for name, cost in re.findall(r"^\| (\S+) \| (\d+) \|$", table, re.M)}


def _peak(pid):
    """The most that a process has held in memory, in MB; None where the system has no /proc.

    This is not ru_maxrss, which a process inherits from the one that started it.
    """
    return _memory(pid, "VmHWM")


def _memory(pid, name):
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return found and round(int(found[1]) * 1024 / 1e6)
