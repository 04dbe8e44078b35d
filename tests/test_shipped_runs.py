"""The runs that ship: each is what its recipe says, and its model card says the truth."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from cmc_helpers import analysis, cli, corpora, generation, runs
from cmc_helpers.analysis import evaluation, likelihood
from cmc_helpers.analysis.judges import Judged, Null, detected
from cmc_helpers.features import features_to_amplitudes
from cmc_helpers.sampling import Sampling

SAMPLES = Path(__file__).resolve().parents[1] / "data_samples"
NAMES = sorted(path.name for path in (SAMPLES / "runs").iterdir())
ALIVE = "bach", "passage", "singer", "laughter"
SHIPPED = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def make_runs():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SAMPLES)
        import make_runs

        yield make_runs
    for name in ("make_runs", "make_samples", "scores"):
        sys.modules.pop(name, None)


def measured(name):
    return json.loads((SAMPLES / "runs" / name / "evaluation.json").read_text("utf-8"))


def test_every_recipe_ships_and_every_run_has_a_recipe(make_runs):
    assert NAMES == sorted(make_runs.RUNS) == sorted(runs.shipped())


@SHIPPED
def test_a_run_is_what_its_recipe_trains(name, make_runs):
    """Every option of the recipe is in config.json, and all else is as `cmc train` has it."""
    recipe, settings = make_runs.RUNS[name], runs.read_settings(SAMPLES / "runs" / name)
    arguments = ["DATA", "--run", "R", *recipe.options.split()]
    given = cli.commands.commands["train"].make_context("train", arguments).params
    given = {name: value for name, value in given.items() if value is not None}
    given |= {"components": given.pop("mixtures")} if "mixtures" in given else {}
    stored = settings["network"] | settings["training"]
    asked = {option: value for option, value in given.items() if option in stored}
    assert len(asked) == recipe.options.count("--")
    assert {option: stored[option] for option in asked} == asked
    assert settings["features"]["name"] == recipe.preset
    assert settings["sampling"] == recipe.sampling.to_dict()
    assert len(runs.load(SAMPLES / "runs" / name).history["loss"]) <= stored["epochs"]


@SHIPPED
def test_a_model_card_is_what_was_measured(name, make_runs):
    folder = SAMPLES / "runs" / name
    card = make_runs.card(name, make_runs.RUNS[name], runs.load(folder), measured(name))
    assert (folder / "README.md").read_text("utf-8") == card


@SHIPPED
def test_a_run_is_about_10_megabytes_at_most(name):
    assert sum(path.stat().st_size for path in (SAMPLES / "runs" / name).iterdir()) < 10e6


@pytest.mark.keras
@pytest.mark.parametrize("name", [pytest.param("passage", marks=pytest.mark.weekly), "singer"])
def test_what_a_run_of_a_clip_foresees_is_as_measured(name, make_runs):
    run = runs.load(SAMPLES / "runs" / name)
    corpus = corpora.open_corpus(SAMPLES / make_runs.RUNS[name].clip, run.features)
    assert likelihood.held_out(run, corpus) == pytest.approx(measured(name)["nats"], abs=1)
    assert likelihood.copying(corpus) == pytest.approx(measured(name)["copying"], abs=0.1)


def fates(name, seconds=30, sequences=4):
    run = runs.load(SAMPLES / "runs" / name)
    made = generation.generate(run, run.features.frames(seconds), sequences=sequences, seed=9)
    return [analysis.fate(features_to_amplitudes(x, run.features)) for x in made.vectors]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.weekly] * (name != "bach")) for name in ALIVE],
)
def test_what_ships_stays_alive(name):
    assert fates(name) == 4 * ["alive"]
    assert measured(name)["generated"]["fates"] == {"alive": measured(name)["clips"]}


@pytest.mark.slow
def test_squared_error_ends_in_the_steady_state():
    assert "alive" not in fates("bach-mse", sequences=1)
    assert measured("bach-mse")["generated"]["fates"].get("alive", 0) == 0


def test_bach_is_nearer_to_music_than_the_paper_and_far_better_than_copying():
    bach, paper = measured("bach"), measured("bach-paper")
    assert bach["nats"] < paper["nats"] and bach["nats"] < bach["copying"] - 150
    assert paper["nats"] > paper["copying"]
    assert 0.75 < bach["generated"]["onsets"] / bach["real"]["onsets"] < 1.25
    for judge, said in bach["generated"]["judged"].items():
        gaussian = bach["with_gaussian_noise"]["judged"][judge]
        assert said["accuracy"] < gaussian["accuracy"]
        assert said["high"] < paper["generated"]["judged"][judge]["low"]


def test_bach_lasts_longer_than_half_seconds_of_bach_and_is_rougher():
    """What notebook 09 says of it and of scissors: the intervals do not touch."""
    bach = measured("bach")
    said, cuts = bach["generated"]["judged"], bach["scissors"]["0.5"]["judged"]
    for judge in ("persistence", "harmony", "forest"):
        assert said[judge]["high"] < cuts[judge]["low"]
    assert cuts["roughness"]["high"] < said["roughness"]["low"]
    real = {name: Null(**null) for name, null in bach["null"].items()}
    found = {name for name in said if detected(Judged(**said[name]), real[name])}
    assert found == said.keys() - {"spectrum"}


def test_held_out_music_ships_beside_bach():
    excerpt = np.load(SAMPLES / "runs" / "bach" / "held_out.npy", allow_pickle=False)
    assert excerpt.shape == (1250, 100) and excerpt.dtype == np.float32
    assert analysis.fate(excerpt.astype(float) ** 2) == "alive"


@pytest.mark.keras
@pytest.mark.weekly
def test_one_command_trains_measures_and_registers(make_runs, monkeypatch, tmp_path):
    for name in ("registry.json", "README.md", "singer.flac"):
        shutil.copy(SAMPLES / name, tmp_path)
    registered = json.loads((tmp_path / "registry.json").read_text("utf-8"))
    kept = [entry for entry in registered if entry["path"] != "runs/tiny"]
    tiny = "--layers 1 --units 8 --mixtures 2 --epochs 1 --steps 10 --batch 4"
    sampling = Sampling("sample", sigma_scale=0.5, noise="residuals")
    recipe = make_runs.Recipe(
        "A tiny one.", "Nobody.", tiny, sampling, clip="singer.flac", half=True
    )
    monkeypatch.setitem(make_runs.RUNS, "tiny", recipe)
    monkeypatch.setattr(make_runs, "FOLDER", tmp_path)
    monkeypatch.setattr(make_runs.make_samples, "FOLDER", tmp_path)
    monkeypatch.setattr(make_runs.make_samples, "describe", lambda folder: [])
    monkeypatch.setattr(evaluation, "CLIPS", 2)
    monkeypatch.setattr(evaluation, "SECONDS", 20)
    make_runs.main(["tiny"])
    folder = tmp_path / "runs" / "tiny"
    assert not list(folder.glob("checkpoint*")) and runs.load(folder).sampling == sampling
    card = (folder / "README.md").read_text("utf-8")
    assert "| notes per second |" in card
    columns = "this run | with single residuals | with Gaussian noise | scissors, 0.5 s"
    assert f"| {columns} | scissors, 1 s | scissors, 2 s | real music |" in card
    for arrays in runs.load(folder).weights.values():  # in half precision
        for array in arrays:
            np.testing.assert_array_equal(array, array.astype(np.float16))
    *others, entry = json.loads((tmp_path / "registry.json").read_text("utf-8"))
    assert others == kept
    assert entry["path"] == "runs/tiny" and entry["what"] == "A tiny one."
    assert entry["sha256"] == make_runs.make_samples.checksums(folder)

    before = (folder / "model.keras").read_bytes()
    numbers = json.loads((folder / "evaluation.json").read_text("utf-8")) | {"minutes": 7}
    (folder / "evaluation.json").write_text(json.dumps(numbers), "utf-8")
    make_runs.main(["tiny", "--measure"])  # not trained again
    assert (folder / "model.keras").read_bytes() == before
    assert "- took: 7 minutes" in (folder / "README.md").read_text("utf-8")
