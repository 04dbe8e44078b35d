"""The benchmark of inversion, at a tenth of its size: its clips, its measure, its table."""

import importlib.util
from itertools import combinations

import numpy as np
import pytest
from notebook_rules import ROOT


@pytest.fixture
def inversion(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location(
        "benchmark_of_inversion", ROOT / "benchmarks" / "inversion.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    reduced = means["**spline, feature-consistent (default)**"]
    assert reduced < means["the paper: slaney on a staircase"] - 1


def test_a_folder_without_recordings_is_named(inversion, tmp_path):
    (tmp_path / "notes.txt").write_text("no sound", "utf-8")
    with pytest.raises(SystemExit, match="holds no recording that can be read"):
        inversion.main([str(tmp_path)])
