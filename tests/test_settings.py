"""What a machine is set to for other work changes nothing here, and ends nothing here."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEEDS_TENSORFLOW = pytest.mark.skipif(
    not find_spec("tensorflow"), reason="TensorFlow is not installed"
)
FOREIGN = {"floatx": "float64", "backend": "torch", "image_data_format": "channels_first"}
SEEN = """
import json, os
import cmc_helpers
names = ("KERAS_BACKEND", "KERAS_HOME", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH",
         "KERAS_NNX_ENABLED", "TF_USE_LEGACY_KERAS", "TF_XLA_FLAGS", "XLA_FLAGS", "MPLBACKEND")
print(json.dumps({name: os.environ.get(name) for name in names}))
"""
LEARNS = """
import sys
from cmc_helpers import cli, corpora
small = "--layers 1 --units 4 --mixtures 2 --batch 2 --steps 8 --batches-per-epoch 2 --epochs 1"
data = str(corpora.sample_path("bounce.csv"))
status = cli.main(["train", data, "--run", "run", *small.split()])
import keras
assert keras.config.backend() == "tensorflow", keras.config.backend()
assert keras.config.floatx() == "float32", keras.config.floatx()
assert keras.config.epsilon() == 1e-7
assert keras.config.image_data_format() == "channels_last"
sys.exit(status)
"""


def python(code, folder, stand_ins=(), **settings):
    """Run `code` in a fresh process, where packages of the names `stand_ins` seem installed."""
    for name in stand_ins:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise ImportError('a stand-in')", "utf-8")
    paths = os.pathsep.join([str(ROOT), str(folder)])
    home = {"HOME": str(folder), "USERPROFILE": str(folder), "PYTHONPATH": paths}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | home | settings,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


def seen(folder, code=SEEN, **settings):
    result = python(code, folder, **settings)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


WITHOUT_TENSORFLOW = "import sys; sys.modules['tensorflow'] = None\n" + SEEN
WITH_ONE = "import sys, types\nsys.modules['tensorflow'] = t = types.ModuleType('tensorflow')\n"
WITH_ONE += (
    "from importlib.machinery import ModuleSpec; t.__spec__ = ModuleSpec('t', None)\n" + SEEN
)


@pytest.mark.parametrize("wanted", ["jax", "torch", "nonsense", ""])
def test_where_tensorflow_is_installed_the_backend_is_tensorflow(wanted, tmp_path):
    stand_ins = {wanted} & {"jax", "torch"}
    found = seen(tmp_path, WITH_ONE, stand_ins=stand_ins, KERAS_BACKEND=wanted)
    assert found["KERAS_BACKEND"] == "tensorflow"


@pytest.mark.parametrize("wanted", ["jax", "torch"])
def test_without_tensorflow_it_is_the_one_that_the_machine_names_and_has(wanted, tmp_path):
    options = {"stand_ins": [wanted], "KERAS_BACKEND": wanted}
    assert seen(tmp_path, WITHOUT_TENSORFLOW, **options)["KERAS_BACKEND"] == wanted


@pytest.mark.parametrize("wanted", ["nonsense", "numpy", "sys", ""])
def test_without_either_it_is_tensorflow_that_is_missed(wanted, tmp_path):
    found = seen(tmp_path, WITHOUT_TENSORFLOW, KERAS_BACKEND=wanted)
    assert found["KERAS_BACKEND"] == "tensorflow"


def test_keras_reads_the_settings_of_the_package_which_a_wheel_carries(tmp_path):
    home = Path(seen(tmp_path, KERAS_HOME=str(tmp_path))["KERAS_HOME"])
    assert home == ROOT / "cmc_helpers" / ".keras"
    settings = json.loads((home / "keras.json").read_text("utf-8"))
    assert settings["floatx"] == "float32" and settings["backend"] == "tensorflow"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packed = project["tool"]["setuptools"]["package-data"]["cmc_helpers"]
    assert ".keras/keras.json" in packed


def test_what_cuts_trainings_short_or_ends_the_process_is_not_handed_on(tmp_path):
    found = seen(
        tmp_path,
        KERAS_MAX_EPOCHS="1",
        KERAS_MAX_STEPS_PER_EPOCH="nonsense",
        KERAS_NNX_ENABLED="true",
        TF_USE_LEGACY_KERAS="1",
        TF_XLA_FLAGS="--nonsense",
        XLA_FLAGS="--xla_of_another_version=1 --xla_cpu_max_isa=AVX2",
    )
    names = "KERAS_MAX_EPOCHS KERAS_MAX_STEPS_PER_EPOCH KERAS_NNX_ENABLED TF_USE_LEGACY_KERAS"
    assert {found[name] for name in [*names.split(), "TF_XLA_FLAGS"]} == {None}
    assert found["XLA_FLAGS"] == "--xla_cpu_max_isa=AVX2"  # make guard asks for processors so


@pytest.mark.slow
@pytest.mark.parametrize("wanted", ["nonsense", "TkAgg", "module://nowhere"])
def test_figures_are_drawn_whatever_backend_the_machine_prefers(wanted, tmp_path):
    code = """
import numpy as np
from cmc_helpers import plots
print(plots.figure_with_alt(plots.waveform(np.zeros(9), "nothing"), "a line"))
import matplotlib.pyplot as plt
plt.figure()
"""
    result = python(code, tmp_path, MPLBACKEND=wanted, DISPLAY="", WAYLAND_DISPLAY="")
    assert (result.returncode, result.stdout) == (0, "a line\n"), result.stderr


def test_in_a_notebook_figures_go_into_its_page(tmp_path):
    kernel = """
import sys, types
shell = types.SimpleNamespace(kernel=None)
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
"""
    found = seen(tmp_path, kernel + SEEN, MPLBACKEND="Agg")
    assert found["MPLBACKEND"] == "module://matplotlib_inline.backend_inline"
    outside = kernel.replace("kernel=None", "") + SEEN  # IPython on a terminal
    assert seen(tmp_path, outside, MPLBACKEND="Agg")["MPLBACKEND"] is None


@pytest.mark.keras
@NEEDS_TENSORFLOW
@pytest.mark.parametrize(
    "text",
    [json.dumps(FOREIGN), pytest.param('["float16"]', marks=pytest.mark.weekly)],
    ids=["another", "impossible"],
)
def test_a_training_starts_whatever_stands_in_keras_json(text, tmp_path):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(text, "utf-8")
    noise = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_MAX_VLOG_LEVEL": "1", "XLA_FLAGS": "--nonsense"}
    result = python(LEARNS, tmp_path, KERAS_BACKEND="torch", **noise)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / ".keras" / "keras.json").read_text("utf-8") == text


@pytest.mark.keras
@NEEDS_TENSORFLOW
def test_keras_that_came_first_keeps_its_backend_but_computes_in_32_bits(tmp_path):
    (tmp_path / ".keras").mkdir()
    settings = '{"floatx": "float64", "backend": "tensorflow"}'
    (tmp_path / ".keras" / "keras.json").write_text(settings, "utf-8")
    code = "import keras\nassert keras.config.floatx() == 'float64'\nimport cmc_helpers\n"
    code += "assert keras.config.floatx() == 'float32'"
    environment = {"KERAS_HOME": str(tmp_path / ".keras"), "KERAS_BACKEND": "tensorflow"}
    assert python(code, tmp_path, **environment).returncode == 0


@pytest.mark.keras
@NEEDS_TENSORFLOW
def test_what_needs_tensorflow_says_so_where_keras_runs_on_another(tmp_path):
    code = """
import types, sys
keras = types.ModuleType("keras")
keras.config = types.SimpleNamespace(backend=lambda: "jax", set_floatx=lambda name: None)
sys.modules["keras"] = keras
from cmc_helpers import notebook
try:
    notebook.quiet_tensorflow()
except ValueError as problem:
    print(problem)
"""
    said = python(code, tmp_path).stdout
    assert said.startswith("Keras runs on jax here") and "import cmc_helpers before keras" in said
