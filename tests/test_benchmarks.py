"""The benchmarks, at a tenth of their size: what they measure, and their tables."""

import argparse
import importlib.util
import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from notebook_rules import ROOT, Page

from cmc_helpers import mixtures
from cmc_helpers.audio import write_audio
from cmc_helpers.corpora import build_corpus, load_corpus
from cmc_helpers.features import FeatureConfig
from cmc_helpers.scores.instruments import Note


@pytest.fixture
def benchmark(monkeypatch):
    """name → the module tools/benchmarks/name.py."""
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "benchmarks"))

    def load(name):
        path = ROOT / "tools" / "benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"benchmark_of_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def inversion(benchmark):
    return benchmark("inversion")


@pytest.mark.slow
def test_clips_are_different_instruments_and_always_the_same(inversion):
    first, second = inversion.clips(1), inversion.clips(1)
    assert len(first) >= 12
    spectra = {}
    for name, x in first.items():
        np.testing.assert_array_equal(x, second[name])
        assert (len(x) - 256) % 64 == 0 and np.abs(x).max() == pytest.approx(0.7)
        spectrum = inversion.magnitude_spectrogram(x, inversion.CONFIG).mean(axis=0)
        spectra[name] = spectrum / np.linalg.norm(spectrum)
    for a, b in combinations(spectra, 2):
        assert spectra[a] @ spectra[b] < 0.995, (a, b)


@pytest.mark.weekly
@pytest.mark.slow
def test_a_small_run_writes_the_tables_and_ours_beats_the_papers(inversion, tmp_path, capsys):
    output = tmp_path / "table.md"
    inversion.main(["--seconds", "1", "--clips", "organ", "guitar", "--output", str(output)])
    text = output.read_text("utf-8")
    assert text in capsys.readouterr().out + "\n"
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    means = {row[0]: float(row[2]) for row in rows if len(row) == 7}
    assert len(means) == len({**inversion.FULL, **inversion.REDUCED})
    assert means["**pghi-fast-griffin-lim**"] < means["librosa.griffinlim, momentum 0.99"] - 6
    reduced = means["**spline, insistence 0.1 (default)**"]
    assert reduced < means["the paper: slaney on a staircase"] - 1
    features = {row[0]: float(row[4]) for row in rows if len(row) == 7}
    limit = "another sound with these features"
    assert features[limit] < features["**spline, insistence 0.1 (default)**"] < -28
    assert means[limit] > -30  # and is another sound all the same


@pytest.mark.weekly
@pytest.mark.slow
def test_at_higher_rates_ours_is_nearer_than_librosa(benchmark, tmp_path, capsys):
    any_spectrogram = benchmark("any_spectrogram")
    output = tmp_path / "table.md"
    any_spectrogram.main(["--seconds", "1", "--clips", "flute", "--output", str(output)])
    text = output.read_text("utf-8")
    assert text in capsys.readouterr().out + "\n"
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if " kHz, " in line]
    means = {row[0]: float(row[2]) for row in rows if len(row) == 7}
    assert len(means) == 2 * (3 + 2 + 2)
    for title, margin in {"magnitudes": 5, "mel 128": 1, "mel 80": 0}.items():
        for rate in ("22.05", "44.1"):
            start = f"{rate} kHz, {title}: librosa"
            theirs = next(error for label, error in means.items() if label.startswith(start))
            assert means[f"**{rate} kHz, {title}: ours**"] < theirs - margin


@pytest.mark.slow
def test_speed_is_told_beside_what_the_matrices_allow(benchmark, capsys):
    benchmark("speed").main(["--seconds", "0.2"])
    lines = capsys.readouterr().out.splitlines()
    for name in ("matrix products alone", "sample", "tempered", "exact"):
        one, many = (line for line in lines if line.startswith(name))
        assert " 1 at once: " in one and " 16 at once: " in many
        assert one.endswith("% of the limit") and many.endswith("% of the limit")


@pytest.mark.slow
def test_a_folder_without_recordings_is_named(inversion, tmp_path):
    (tmp_path / "notes.txt").write_text("no sound", "utf-8")
    with pytest.raises(SystemExit, match="holds no recording that can be read"):
        inversion.main([str(tmp_path)])


@pytest.mark.weekly
@pytest.mark.slow
def test_what_a_regression_learned_fits_what_it_learned_from(benchmark, tmp_path, capsys):
    learned_expansion = benchmark("learned_expansion")
    output = tmp_path / "table.md"
    arguments = ["--seconds", "1", "--clips", "organ", "guitar", "--output", str(output)]
    learned_expansion.main(arguments)
    assert output.read_text("utf-8") == capsys.readouterr().out
    assert output.read_text("utf-8").count("\n| ") == 4
    config, clip = learned_expansion.CONFIG, learned_expansion.clips(1)["guitar"]
    magnitudes = learned_expansion.magnitude_spectrogram(clip, config)
    features = learned_expansion.reduce_magnitudes(magnitudes)
    own = learned_expansion.learn([magnitudes])
    guess = learned_expansion.expand_as_learned(features, own)
    repeated = learned_expansion.expand(features, "repetition")
    error = learned_expansion.spectral_convergence
    assert error(magnitudes, guess) < error(magnitudes, repeated) - 1
    np.testing.assert_allclose(learned_expansion.reduce_magnitudes(guess), features, atol=1e-9)


@pytest.fixture
def tiny(benchmark, monkeypatch, capsys):
    """Run the benchmark of training on a tiny network; returns its lines."""

    def run(*options):
        sizes = ["--layers=1", "--units=65", "--features=8", "--mixtures=2", "--batch=2"]
        arguments = ["training.py", *sizes, "--steps=4", "--rounds=1", *options]
        monkeypatch.setattr(sys, "argv", arguments)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        benchmark("training").main()
        return capsys.readouterr().out.splitlines()

    return run


@pytest.mark.keras
@pytest.mark.weekly
def test_training_is_timed_with_and_without_pytorch_and_measured_by_the_machines_own_speed(tiny):
    (line,) = [line for line in tiny("--torch", "/nonexistent") if line.startswith("PyTorch, nn")]
    assert line.split("  ")[-1].strip() == "cannot be started"
    lines = tiny("--stack=residual")
    assert "residual stack of 1 x 65" in lines[0] and "GFLOP/s at best" in lines[1]
    rows = {line[:28].strip(): line[28:].split() for line in lines[4:]}
    assert set(rows) == {
        "PyTorch, nn.LSTM",
        "PyTorch, its loss compiled",
        "Keras, fit without XLA",
        "ours",
        "its matrix products alone",
    }
    best, median, share, percent, *_ = rows["ours"]
    assert float(best) >= float(median) > 0 and percent == "%"
    assert importlib.util.find_spec("torch") or rows["PyTorch, nn.LSTM"] == ["not", "installed"]


def test_a_frame_costs_what_its_matrix_products_cost(benchmark):
    training = benchmark("training")
    size = dict(stack="paper", layers=5, units=100, mixtures=10, features=100)
    weights = 5 * (100 + 100) * 400 + 100 * 1020
    flop = training.flop_per_frame(argparse.Namespace(**size))
    assert flop == 6 * weights - 2 * 100 * 400 == 2_932_000
    size |= dict(stack="residual", features=60)
    weights = 60 * 100 + 5 * (100 + 100) * 400 + 100 * 620
    flop = training.flop_per_frame(argparse.Namespace(**size))
    assert flop == 6 * weights - 2 * 60 * 100


@pytest.mark.keras
@pytest.mark.weekly
def test_ingredients_are_compared_in_a_table(benchmark, monkeypatch, tmp_path, capsys):
    (tmp_path / "sounds").mkdir()
    for number in range(4):
        noise = 0.1 * np.random.default_rng(number).normal(size=8 * 8000)
        write_audio(tmp_path / "sounds" / f"{number}.wav", noise)
    folder = tmp_path / "corpus"
    build_corpus(tmp_path / "sounds", folder, FeatureConfig(), hold_out=0.5)
    ingredients = benchmark("ingredients")
    for name, value in (("CLIPS", 2), ("SECONDS", 6), ("FRAMES", 32 * 16)):
        monkeypatch.setattr(ingredients, name, value)
    monkeypatch.setattr(ingredients.evaluation, "JUDGED", 5)
    monkeypatch.setattr(ingredients, "DEFAULT", dict(layers=1, units=8, components=2))
    names = ["squared error", "4 frames, feature scales"]

    def table(*options):
        ingredients.main([str(folder), "--updates", "2", *options])
        lines = capsys.readouterr().out.splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return {row[0]: row[1:] for row in rows if len(row) == 11}

    rows = table("--only", *names)
    assert {"copying", "real music", *names} <= set(rows)
    assert rows["squared error"][0] == "" and np.isfinite(float(rows[names[1]][0]))
    assert all(0 <= float(judged) <= 1 for judged in rows[names[1]][5:])
    hops = table("--hops")
    assert {"every other frame", *ingredients.HOPS} <= set(hops) and names[0] not in hops
    assert all(hops[name][0] == "" for name in ingredients.HOPS)
    judged = [float(cell) for cell in hops["every other frame"][5:]]
    assert judged != [float(cell) for cell in hops["real music"][5:]]


@pytest.mark.parametrize("count", [6, 7])
def test_between_two_frames_that_are_heard_stands_their_mean(benchmark, count):
    ingredients, slope = benchmark("ingredients"), np.arange(count, dtype=float)[:, None]
    filled = ingredients.filled(slope[::2])
    assert np.array_equal(filled[: count - 1], slope[: count - 1])
    assert len(filled) == 2 * len(slope[::2]) and filled[-1] == filled[-2]


def test_a_strike_is_found_once_and_a_chord_is_one(benchmark):
    onsets = benchmark("onsets")
    struck = onsets.strikes([Note(t, 1, 60, 0.5) for t in (1.0, 0.0, 0.03, 1.04, 1.2)])
    assert struck == [0.0, 1.0, 1.2]
    assert onsets.matched(struck, np.array([0.04, 0.06, 1.01, 1.3])) == 2
    assert onsets.matched([0.0, 0.06], np.array([0.03])) == 1  # one cannot be two
    assert onsets.matched(struck, np.array([])) == 0


@pytest.mark.weekly
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read from")
def test_what_a_command_takes_is_watched_and_told_in_tables(benchmark, tmp_path, capsys):
    load = benchmark("load")
    output = tmp_path / "load.json"
    arguments = ["--only", "hour", "--minutes", "0.02", "--work", str(tmp_path)]
    load.main([*arguments, "--output", str(output)])
    found = json.loads(output.read_text("utf-8"))["hour"]
    assert found["command"] == "make load ARGS='--only hour --minutes 0.02'"
    sound = found["0.02 min, .wav"]
    assert 50 < sound["megabytes"] < 1000 and sound["said"].endswith("150 frames, 1.2 s")
    table = output.with_suffix(".md").read_text("utf-8")
    assert table in capsys.readouterr().out
    assert table.count("\n| 0.02 min") == 2 + len(mixtures.STRATEGIES)
    assert {path.name for path in tmp_path.iterdir()} == {"load.md", "load.json"}
    with pytest.raises(SystemExit, match="nobody is not a run folder"):
        load.watch("generate", "nobody", "-o", tmp_path / "x.wav")


def test_a_large_corpus_fits_on_a_small_disk_by_sharing_files(benchmark, monkeypatch, tmp_path):
    load = benchmark("load")
    monkeypatch.setattr(load, "PIECE", 500)
    gigabytes = 400 * 500 * 4.5 / 1e9
    assert load.synthetic_corpus(tmp_path / "corpus", 3, gigabytes) == pytest.approx(4 / 6)
    corpus = load_corpus(tmp_path / "corpus")
    assert [len(corpus.split(name)) for name in ("train", "validation")] == [15, 3]
    assert len(list((tmp_path / "corpus").glob("*.npy"))) == 4
    assert np.isfinite(corpus.pieces[-1].features[:]).all()


def rows_of(text):
    """Every row of the tables in `text`, a list of cells each."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


@pytest.fixture
def ingredients_of_notebook_09():
    """The rows of its two tables."""
    prose = Page(ROOT / "notebooks" / "09_training.ipynb").prose
    first, second = prose.partition("## 12.")[2].split("| nats gained |")
    table = {name: cells for name, *cells in rows_of(first) if len(cells) == 7}
    return table, [float(cells[1]) for cells in rows_of(second) if len(cells) == 2]


def test_the_ingredients_of_notebook_09_are_as_they_were_measured(ingredients_of_notebook_09):
    measured = {}
    for name in ("ingredients.md", "hops.md"):
        for row in rows_of((ROOT / "tools" / "benchmarks" / name).read_text("utf-8")):
            measured[row[0], row[2]] = [row[1], row[4], row[6], row[10]]
    table, _ = ingredients_of_notebook_09
    del table["network"]
    assert len(table) == 11
    for name, cells in table.items():
        assert cells[:4] == measured[name, "" if name == "real music" else "σ, T = 1"]
        assert cells[4:] == measured.get((name, "residuals"), ["", "", "", ""])[1:]


def test_what_notebook_09_says_a_change_gains_is_the_difference_of_its_rows(
    ingredients_of_notebook_09,
):
    table, gained = ingredients_of_notebook_09
    wanted = [
        float(table[before][0]) - float(table[after][0])
        for before, after in (
            ("plain stack", "default"),
            ("default", "8 frames"),
            ("default", "4 frames"),
            ("default", "feature scales"),
            ("default", "2 frames"),
            ("K = 1", "default"),
            ("4 frames, K = 1", "4 frames"),
        )
    ]
    assert gained == pytest.approx(wanted, abs=0.01)
