"""Runs: a folder is all it takes to generate again, and a bad folder is refused in a sentence."""

import json
import shutil
import zipfile

import numpy as np
import pytest

from cmc_helpers import networks, runs
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.runs import RunError


@pytest.fixture
def copied(vectors_run, tmp_path):
    return shutil.copytree(vectors_run, tmp_path / "run")


def change_settings(folder, **changes):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | changes))


def test_a_run_carries_everything(audio_run, vectors_run):
    run = runs.load(audio_run)
    assert run.features.name == "default" and run.network.features == 100
    assert run.sampling == {
        "strategy": "sample",
        "tau": 0.6,
        "sigma_scale": 0.6,
        "pi_temperature": 1.0,
        "form": "exact",
    }
    assert run.primer.shape == (188, 100)  # 1.5 s
    assert run.settings["data"]["name"] == "glide"
    assert {"python", "numpy", "keras", "tensorflow"} == set(run.settings["versions"])
    assert set(run.history) == {"epoch", "loss", "validation_loss"}
    vectors = runs.load(vectors_run)
    assert vectors.features is None and vectors.sampling["strategy"] == "greedy"


def test_no_file_names_a_place_of_this_machine_or_is_a_pickle(audio_run):
    for path in audio_run.iterdir():
        content = path.read_bytes()
        assert str(audio_run.parent).encode() not in content, path
        assert not content.startswith(b"\x80"), path
    with zipfile.ZipFile(audio_run / "model.keras") as archive:
        config = archive.read("config.json")
    assert b"Lambda" not in config and b"cmc_helpers" not in config


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_loaded_model_takes_a_plain_array(audio_run):
    run = runs.load(audio_run)
    assert run.model(np.zeros((1, 2, 100))).shape == (1, 2, run.network.outputs)


def test_the_model_is_stock_keras(audio_run):
    import keras

    model = keras.saving.load_model(audio_run / "model.keras", compile=False, safe_mode=True)
    modules = {type(layer).__module__.split(".")[0] for layer in model.layers}
    assert modules == {"keras"}
    frames = np.random.default_rng(0).normal(size=(1, 5, 100)).astype(np.float32)
    np.testing.assert_allclose(model(frames), runs.load(audio_run).model(frames), atol=1e-6)


@pytest.mark.parametrize("name", ["model.keras", "normaliser.npz", "primer.npy", "config.json"])
def test_an_incomplete_run_is_refused_with_the_missing_name(copied, name):
    (copied / name).unlink()
    with pytest.raises(RunError, match=name) as caught:
        runs.load(copied)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.keras", "normaliser.npz", "primer.npy", "config.json"])
@pytest.mark.parametrize("content", [b"", b"not what it should be", None])
def test_a_damaged_file_is_refused_with_its_name(copied, name, content):
    whole = (copied / name).read_bytes()
    (copied / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(RunError, match=name) as caught:
        runs.load(copied)
    assert "\n" not in str(caught.value)


def test_a_run_of_another_format_is_refused(copied):
    change_settings(copied, format=0)
    with pytest.raises(RunError, match="format 0"):
        runs.load(copied)


@pytest.mark.parametrize(
    "network",
    [
        {"layers": 3},
        {"units": 9},
        {"components": 4},
        {"stack": "residual"},
        {"features": 9},
        {"stack": "unheard of"},
        {"unheard": "of"},
    ],
)
def test_a_model_that_is_not_what_the_config_says_is_refused(copied, network):
    stored = json.loads((copied / "config.json").read_text())["network"]
    change_settings(copied, network=stored | network)
    with pytest.raises(RunError):
        runs.load(copied)


def test_another_network_of_the_same_name_is_refused(copied):
    stored = json.loads((copied / "config.json").read_text())["network"]
    other = networks.build(NetworkConfig(**(stored | {"units": 16})))
    runs.write_model(copied, other)
    with pytest.raises(RunError, match="not the network"):
        runs.load(copied)


def test_weights_that_are_not_numbers_are_refused(copied):
    run = runs.load(copied)
    run.model.set_weights([np.full_like(w, np.nan) for w in run.model.get_weights()])
    runs.write_model(copied, run.model)
    with pytest.raises(RunError, match="model.keras holds NaN"):
        runs.load(copied)


def test_what_a_stranger_wrote_beside_the_weights_is_not_even_read(copied):
    """A .keras file's config.json may name any class and hold a pickled lambda."""
    before = runs.load(copied).weights
    with zipfile.ZipFile(copied / "model.keras") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(copied / "model.keras", "w") as archive:
        for name, content in (files | {"config.json": b"hostile"}).items():
            archive.writestr(name, content)
    after = runs.load(copied)
    assert before.keys() == after.weights.keys()
    assert after.parameters == after.model.count_params()


@pytest.mark.parametrize(
    "sampling",
    [{}, {"strategy": "loud", "tau": 0.5, "sigma_scale": 0.0}, {"strategy": "greedy", "tau": 2}],
)
def test_impossible_sampling_settings_are_refused(copied, sampling):
    change_settings(copied, sampling=sampling)
    with pytest.raises(RunError, match="config.json"):
        runs.load(copied)


def test_a_normaliser_of_another_width_is_refused(copied):
    from cmc_helpers.features import Normaliser

    runs.write_normaliser(copied, Normaliser.identity(9))
    with pytest.raises(RunError, match="normaliser"):
        runs.load(copied)


def test_a_pickled_primer_is_refused_unopened(copied):
    np.save(copied / "primer.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(RunError, match="primer"):
        runs.load(copied)


def test_a_missing_folder_and_a_folder_that_is_no_run_are_told_apart(tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        runs.load(tmp_path / "missing")
    with pytest.raises(RunError, match="is not a run, it has no config.json"):
        runs.load(tmp_path)


def test_history_reads_back_as_it_was_written(tmp_path):
    history = {"epoch": [1, 2], "loss": [0.5, -12.25], "validation_loss": [1e-3, 1e4]}
    runs.write_history(tmp_path, history)
    assert runs.read_history(tmp_path / "history.csv") == history


def test_a_shipped_run_is_found_by_its_name_and_a_path_stays_a_path(tmp_path):
    for name, folder in runs.shipped().items():
        assert runs.find(name) == folder
    assert runs.find(tmp_path) == tmp_path
    assert str(runs.find("no such run")) == "no such run"
