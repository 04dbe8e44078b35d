"""JupyterLab and Voilà as a user starts them, on a port and in folders of their own."""

import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


def _load_start():
    """start.py as a module: it stands above the package."""
    specification = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


start = _load_start()
NOTEBOOKS = ROOT / "notebooks"
QUIET = {  # what JupyterLab would ask the network for, and cells that it only draws when seen
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "apputils-extension/themes": {"theme": "JupyterLab Light"},
}


@contextmanager
def jupyterlab(folder, theme="JupyterLab Light"):
    """JupyterLab on a copy of the notebooks in `folder`; yields its address, with {} for a path."""
    shutil.copytree(NOTEBOOKS, folder / "notebooks")
    for name, settings in (QUIET | {"apputils-extension/themes": {"theme": theme}}).items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), "utf-8")
    port, token = free_port(), secrets.token_hex(16)
    command = ["jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder / 'notebooks'}"]
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with _running(command, folder, f"http://127.0.0.1:{port}/api/status?token={token}"):
        yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}"


@contextmanager
def playground(folder, *options):
    """The page that `make play` opens, with `options` instead of its own of the same name; yields
    its address."""
    others = {option.partition("=")[0] for option in options}
    command = [word for word in start.WORDS["play"][1:] if word.partition("=")[0] not in others]
    port = free_port()
    command += ["--no-browser", f"--port={port}", *options]
    environment = start.environment_of("play", {})
    with _running(command, folder, f"http://127.0.0.1:{port}/voila/static/voila.js", environment):
        yield f"http://127.0.0.1:{port}/"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def _running(command, folder, ready, environment=None):
    """`python -m command …` with all that it keeps in `folder`, until the body is done."""
    kept = {
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_DATA_DIR": folder / "data",
        "JUPYTER_RUNTIME_DIR": folder / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
        "IPYTHONDIR": folder / "ipython",
    }
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=os.environ | {name: str(path) for name, path in kept.items()} | (environment or {}),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _wait(ready, process, log)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _wait(address, process, log, seconds=120):
    """Return when the server answers at all."""
    for _ in range(seconds * 5):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.2)
    raise RuntimeError(f"the server does not answer:\n{log.read_text('utf-8')[-2000:]}")
