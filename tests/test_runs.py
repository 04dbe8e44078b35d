"""Runs: a folder is all it takes to generate again, and a bad folder is refused in a sentence."""

import io
import json
import os
import pickle
import shutil
import tracemalloc
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest

from cmc_helpers import networks, residuals, runs
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.runs import RunError
from cmc_helpers.sampling import Sampling
from cmc_helpers.training import TrainingError, checkpoints


@pytest.fixture
def copied(vectors_run, tmp_path):
    return shutil.copytree(vectors_run, tmp_path / "run")


def change_settings(folder, **changes):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | changes))


def test_a_name_that_is_no_text_comes_back_from_the_settings(tmp_path):
    settings = {"data": {"name": "b\udcff ♭"}}
    runs.write_settings(tmp_path, settings)
    assert runs.read_settings(tmp_path)["data"] == settings["data"]


def test_a_run_carries_everything(audio_run, vectors_run):
    run = runs.load(audio_run)
    assert run.features.name == "default" and run.network.features == 100
    assert run.sampling == Sampling("sample", 0.6, 1.0, 1.0, "exact", "residuals")
    assert run.primer.shape == (188, 100)  # 1.5 s
    assert run.settings["data"]["name"] == "glide"
    assert {"python", "numpy", "keras", "tensorflow"} == set(run.settings["versions"])
    assert set(run.history) == {"epoch", "loss", "validation_loss"}
    vectors = runs.load(vectors_run)
    assert vectors.features is None and vectors.sampling.strategy == "greedy"


def test_a_trained_run_keeps_residuals_and_one_that_has_none_plays_without(audio_run, tmp_path):
    run = runs.load(audio_run)
    assert run.residuals.vectors.shape == (residuals.COUNT, run.network.width)
    older = shutil.copytree(audio_run, tmp_path / "older")
    (older / runs.RESIDUALS).unlink()  # as of a training that was stopped
    gaussian = replace(run.sampling, noise="gaussian")
    assert runs.load(older).sampling == gaussian and runs.load(older).residuals is None
    sampling = dict(runs.read_settings(older)["sampling"])
    del sampling["noise"]  # as of one from before there were any
    change_settings(older, sampling=sampling)
    assert runs.load(older).sampling == gaussian


def test_no_file_names_a_place_of_this_machine_or_is_a_pickle(audio_run):
    for path in audio_run.iterdir():
        content = path.read_bytes()
        assert str(audio_run.parent).encode() not in content, path
        assert not content.startswith(b"\x80"), path
    with zipfile.ZipFile(audio_run / "model.keras") as archive:
        config = archive.read("config.json")
    assert b"Lambda" not in config and b"cmc_helpers" not in config


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.keras
def test_a_loaded_model_takes_a_plain_array(audio_run):
    run = runs.load(audio_run)
    assert run.model(np.zeros((1, 2, 100))).shape == (1, 2, run.network.outputs)


@pytest.mark.keras
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


@pytest.mark.keras
def test_another_network_of_the_same_name_is_refused(copied):
    stored = json.loads((copied / "config.json").read_text())["network"]
    other = networks.build(NetworkConfig(**(stored | {"units": 16})))
    runs.write_model(copied, other)
    with pytest.raises(RunError, match="not the network"):
        runs.load(copied)


@pytest.mark.keras
def test_weights_that_are_not_numbers_are_refused(copied):
    run = runs.load(copied)
    run.model.set_weights([np.full_like(w, np.nan) for w in run.model.get_weights()])
    runs.write_model(copied, run.model)
    with pytest.raises(RunError, match="model.keras holds NaN"):
        runs.load(copied)


@pytest.mark.keras
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


# --- A stranger's run: no code of theirs, no other file, no more memory than it is worth ---


class Hostile:
    """What ends the tests when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('code of a stranger ran')",)


def refusal(folder, megabytes=20):
    """The one sentence with which a run is refused, after no more memory than that."""
    tracemalloc.start()
    try:
        with pytest.raises(RunError) as caught:
            runs.load(folder)
        assert tracemalloc.get_traced_memory()[1] < 1e6 * megabytes
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600
    return str(caught.value)


@pytest.mark.keras
def test_a_lambda_in_a_model_does_not_run(copied):
    import keras

    ran = copied / "ran"
    hostile = keras.Sequential(
        [
            keras.Input((None, 8)),
            keras.layers.Lambda(lambda x, path=str(ran): [open(path, "w").close(), x][1]),
        ]
    )
    hostile.save(copied / "model.keras")
    ran.unlink()  # it ran here, where it was made
    assert "model.keras" in refusal(copied)
    with pytest.raises(ValueError, match="[Ll]ambda"):  # nor does Keras' own safe mode run it
        keras.saving.load_model(copied / "model.keras", safe_mode=True)
    assert not ran.exists()


@pytest.mark.parametrize("name", ["normaliser.npz", "model.keras", "primer.npy", "config.json"])
def test_a_pickle_in_the_place_of_a_file_is_not_opened(copied, name):
    (copied / name).write_bytes(pickle.dumps(Hostile()))
    assert name in refusal(copied)


@pytest.mark.keras
def test_a_pickle_in_an_archive_is_not_opened(copied):
    hostile = np.array([Hostile()])
    np.savez(copied / "normaliser.npz", offset=hostile, matrix=hostile)
    assert "normaliser.npz" in refusal(copied)
    np.savez(copied / "checkpoint.npz", state=hostile)
    model = networks.build(NetworkConfig(8, layers=1, units=2, components=1))
    with pytest.raises(TrainingError, match="checkpoint.npz cannot be resumed from"):
        checkpoints.read(copied, model, None)


def with_weights(folder, change):
    """Change the HDF5 file in model.keras; change(its group of the first arrays)."""
    with zipfile.ZipFile(folder / "model.keras") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO(files["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        change(file["layers/lstm/cell/vars"])
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        for name, written in (files | {"model.weights.h5": content.getvalue()}).items():
            archive.writestr(name, written)


def replaced(make):
    """A change that puts something else in the place of the array 0."""

    def change(group):
        shape = group["0"].shape
        del group["0"]
        make(group, shape)

    return change


def virtual(group, shape):
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("other.h5", "0", shape)
    group.create_virtual_dataset("0", layout)


HOSTILE_WEIGHTS = {
    "link to another file": lambda group, shape: group.update(
        {"0": h5py.ExternalLink("x.h5", "0")}
    ),
    "link to itself": lambda group, shape: group.update({"0": h5py.SoftLink(group.name + "/0")}),
    "link to a group": lambda group, shape: group.update({"0": h5py.SoftLink("/")}),
    "numbers of another file": lambda group, shape: group.create_dataset(
        "0", shape, "f4", external=[("/etc/passwd", 0, 10**6)]
    ),
    "virtual": virtual,
    "packed": lambda group, shape: group.create_dataset("0", shape, "f4", compression="gzip"),
    "never written": lambda group, shape: group.create_dataset("0", shape, "f4"),
    "no numbers": lambda group, shape: group.create_dataset("0", shape, "S99999"),
    "huge": lambda group, shape: group.create_dataset("0", (10**6, 10**6), "f4"),
}


@pytest.mark.parametrize("name", HOSTILE_WEIGHTS)
def test_weights_that_are_not_plain_numbers_of_this_file_are_refused(copied, name):
    with_weights(copied, replaced(HOSTILE_WEIGHTS[name]))
    assert "model.keras" in refusal(copied)


@pytest.mark.parametrize("link", [h5py.ExternalLink, lambda path, name: h5py.SoftLink("1")])
def test_no_link_is_followed_even_to_weights_that_would_fit(copied, link):
    other = copied.parent / "other.h5"

    def change(group):
        with h5py.File(other, "w") as file:
            file["0"] = group["0"][()]
        del group["0"]
        group["0"] = link(str(other), "0")

    with_weights(copied, change)
    assert "model.keras" in refusal(copied)


def test_a_config_cannot_ask_for_weights_that_are_not_there(copied):
    """Config and model agree on 3.6 billion numbers, of which none is in the file."""

    def claim(group):
        for number, shape in enumerate([(8, 120_000), (30_000, 120_000), (120_000,)]):
            del group[str(number)]
            group.create_dataset(str(number), shape, "f4")

    with_weights(copied, claim)
    stored = json.loads((copied / "config.json").read_text())["network"]
    change_settings(copied, network=stored | {"layers": 1, "units": 30_000})
    assert "model.keras" in refusal(copied)


def test_a_bomb_in_a_model_or_a_normaliser_does_not_go_off(copied):
    for name, member in (("normaliser.npz", "offset.npy"), ("model.keras", "model.weights.h5")):
        whole = (copied / name).read_bytes()
        with zipfile.ZipFile(copied / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("matrix.npy", b"")
            archive.writestr(member, bytes(100_000_000))
        assert name in refusal(copied)
        (copied / name).write_bytes(whole)


def test_an_archive_unpacks_to_nowhere(copied):
    before = sorted(copied.parent.rglob("*"))
    for name in ("model.keras", "normaliser.npz"):
        with zipfile.ZipFile(copied / name, "a") as archive:
            archive.writestr("../outside", "x")
            archive.writestr(f"{copied.parent}/outside", "x")
    runs.load(copied)
    assert sorted(copied.parent.rglob("*")) == before


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="this system has no /dev/zero")
@pytest.mark.parametrize("name", ["normaliser.npz", "model.keras", "primer.npy", "config.json"])
def test_a_link_to_what_never_ends_is_not_followed(copied, name):
    (copied / name).unlink()
    (copied / name).symlink_to("/dev/zero")
    assert name in refusal(copied)


@pytest.mark.parametrize(
    "change",
    [
        {"network": {"units": 10**9}},
        {"network": {"layers": 10**9}},
        {"network": {"features": 10**400}},
        {"network": {"units": 8.5}},
        {"network": {"sigma_floor": 1e308}},
        {"network": {"one\nthing": 1}},
        {"network": {"stack": "x" * 10**6}},
        {"sampling": {"sigma_scale": 10**400}},
        {"sampling": {"form": "\x1b[2J"}},
        {"features": 0},
        {"features": []},
        {"features": {"name": "default", "compression": 0.5}},
        {"format": "1\n2"},
        {"format": "x" * 10**6},
    ],
    ids=lambda change: f"{change!r:.40}",
)
def test_a_config_that_asks_for_the_impossible_is_refused(copied, change):
    settings = json.loads((copied / "config.json").read_text())
    for name, value in change.items():
        nested = isinstance(value, dict) and isinstance(settings[name], dict)
        settings[name] = settings[name] | value if nested else value
    (copied / "config.json").write_text(json.dumps(settings))
    assert str(copied) in refusal(copied)


@pytest.mark.parametrize("text", ["[" * 10**5, '{"format":' * 10**5, "\ufeff{}"])
def test_a_config_that_is_nested_without_end_is_refused(copied, text):
    (copied / "config.json").write_text(text, encoding="utf-8")
    assert "config.json" in refusal(copied)


def test_features_of_sound_are_a_hundred(copied):
    from cmc_helpers.features import FeatureConfig

    change_settings(copied, features=FeatureConfig().to_dict())
    assert "sound has 100 features, not 8" in refusal(copied)


@pytest.mark.parametrize(
    "arrays",
    [
        {"offset": np.zeros(8, complex), "matrix": np.eye(8)},
        {"offset": np.full(8, np.nan), "matrix": np.eye(8)},
        {"offset": np.zeros(8), "matrix": np.eye(8) * 1j},
        {"offset": np.zeros(8), "matrix": np.zeros((8, 8))},
        {"offset": np.zeros(8), "matrix": np.eye(8, dtype=int)},
    ],
)
def test_a_normaliser_that_does_not_normalise_is_refused(copied, arrays):
    np.savez(copied / "normaliser.npz", **arrays)
    assert "normaliser.npz" in refusal(copied)


@pytest.mark.parametrize(
    "content",
    [
        "epoch,loss\n1\n",
        "epoch,loss\n1,x\n",
        "epoch,epoch\n1,2,3\n",
        "\xff\n1\n2,3",
        "a\n" + "x" * 10**6,
    ],
)
def test_a_damaged_history_is_refused(tmp_path, content):
    (tmp_path / "history.csv").write_text(content, encoding="latin-1")
    with pytest.raises(RunError, match="history.csv is damaged") as caught:
        runs.read_history(tmp_path / "history.csv")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_history_reads_back_as_it_was_written(tmp_path):
    history = {"epoch": [1, 2], "loss": [0.5, -12.25], "validation_loss": [1e-3, 1e4]}
    runs.write_history(tmp_path, history)
    assert runs.read_history(tmp_path / "history.csv") == history


def test_a_shipped_run_is_found_by_its_name_and_a_path_stays_a_path(tmp_path):
    for name, folder in runs.shipped().items():
        assert runs.find(name) == folder
    assert runs.find(tmp_path) == tmp_path
    assert str(runs.find("no such run")) == "no such run"


def test_a_shipped_run_is_opened_by_its_name_and_shown_in_a_line():
    run = runs.load("singer")
    assert run.folder == runs.shipped()["singer"]
    line = repr(run)
    assert line.startswith(f"<run {run.folder}: ") and f"{run.parameters:,} numbers>" in line
    assert repr(replace(run, folder=None)).startswith("<run in memory: ")
    assert repr(run.normaliser) == f"<normaliser of {run.network.width} numbers>"
    residuals = run.residuals
    count, width = residuals.vectors.shape
    assert repr(residuals) == f"<{count:,} residuals of {width} numbers>"


def test_a_run_in_memory_says_that_it_keeps_no_history(vectors_run):
    with pytest.raises(RunError, match="keeps no history: train it into a folder$"):
        _ = replace(runs.load(vectors_run), folder=None).history
