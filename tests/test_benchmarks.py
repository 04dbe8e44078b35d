"""The benchmarks of inversion, at a tenth of their size: their clips, measures, tables."""

import importlib.util
from itertools import combinations

import numpy as np
import pytest
from notebook_rules import ROOT


@pytest.fixture
def benchmark(monkeypatch):
    """name → the module benchmarks/name.py."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def load(name):
        path = ROOT / "benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"benchmark_of_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def inversion(benchmark):
    return benchmark("inversion")


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


def test_a_folder_without_recordings_is_named(inversion, tmp_path):
    (tmp_path / "notes.txt").write_text("no sound", "utf-8")
    with pytest.raises(SystemExit, match="holds no recording that can be read"):
        inversion.main([str(tmp_path)])


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
