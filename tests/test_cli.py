"""`cmc …` as a user meets it: what it writes, what it says, how it refuses, how it is stopped."""

import contextlib
import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import click
import numpy as np
import pytest

from cmc_helpers import cli, corpora, runs, sequences, training
from cmc_helpers.analysis import evaluation, judges
from cmc_helpers.audio import read_audio, write_audio
from cmc_helpers.cli import shared
from cmc_helpers.corpora import building, samples
from cmc_helpers.features import PRESETS, FeatureConfig, extract_features
from cmc_helpers.inversion import invert_features
from cmc_helpers.scores import bach, soundfonts
from cmc_helpers.vectors import read_csv, write_csv

ROOT = Path(__file__).parent.parent
TINY = ["--layers", 1, "--units", 8, "--mixtures", 2, "--batch", 4, "--steps", 10]


GIVEN = [*TINY, "--epochs", 4, "--seed", 7, "--sigma-floor", 0.3, "--keep", "last"]


def cmc(*arguments):
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture
def done(capfd):
    """Run a command that succeeds in silence; return what it says it did."""

    def run(*arguments):
        status = cmc(*arguments)
        said, complaints = capfd.readouterr()
        assert (status, complaints) == (0, "")
        return said

    return run


@pytest.fixture
def warned(capfd):
    """Run a command that succeeds, and return the one line of warning."""

    def run(*arguments):
        assert cmc(*arguments) == 0
        return one_line(capfd.readouterr().err)

    return run


@pytest.fixture
def refused(capfd):
    """Run a command that fails; return its one line."""

    def run(*arguments):
        status = cmc(*arguments)
        said, complaint = capfd.readouterr()
        assert (status, said) == (2, "")
        return one_line(complaint)

    return run


def one_line(text):
    (line,) = text.splitlines()
    assert line.startswith("cmc: ")
    return line


@pytest.fixture
def load_once(monkeypatch):
    """Keep a run that was loaded, and with it what was compiled, for the commands that follow."""
    monkeypatch.setattr(runs, "load", functools.cache(runs.load))


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """What the commands are given, good and bad. Nobody writes here."""
    folder = tmp_path_factory.mktemp("material")
    t = np.arange(16000) / 8000
    noise = 0.001 * np.random.default_rng(0).standard_normal(len(t))
    sound = 0.04 * np.sin(2 * np.pi * (300 + 100 * t) * t) + noise
    write_audio(folder / "glide.wav", sound)
    write_csv(folder / "bounce.csv", sequences.bounce(160))
    write_csv(folder / "narrow.csv", sequences.cyclic(20))
    (folder / "ragged.csv").write_text("1,2\n3,4,5\n")
    (folder / "words.csv").write_text("time,level\n1,2\n")
    (folder / "empty.csv").touch()
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("not a sound")
    (folder / "cut.wav").write_bytes((folder / "glide.wav").read_bytes()[:9000])
    for name in ("recordings", "broken", "nothing"):
        (folder / name).mkdir()
    for name in ("one.wav", "two.flac"):
        write_audio(folder / "recordings" / name, sound)
    for name in ("recordings", "broken"):
        shutil.copy(folder / "cut.wav", folder / name / "cut.wav")
    return folder


def tree(folder):
    """The names of all files and folders below `folder`, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# help


def test_cmc_alone_shows_its_help_with_the_commands_in_the_order_of_the_work(done):
    assert done() == done("--help")
    names = [line.split()[0] for line in done().partition("Commands:\n")[2].splitlines()]
    assert names == ["features", "invert", "corpus", "train", "generate", "evaluate", "runs"]


def test_every_command_explains_each_option(done):
    for name, command in cli.commands.commands.items():
        text = done(name, "--help")
        assert text.startswith(f"Usage: cmc {name}") and command.help.splitlines()[0] in text
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help and option.opts[0] in text


def test_the_help_of_train_names_the_defaults_that_training_takes(done):
    text = " ".join(done("train", "--help").split())
    for flag, usual in {
        "--units": "32 for vectors, 100 for recordings); 1<=x<=4096",
        "--stack": "paper for vectors, residual for recordings",
        "--epochs": "(30)",
        "--patience": "(never)",
        "--sigma-floor": "(0.2 for vectors, 0.01 for recordings); 0<x<=10",
    }.items():
        assert usual in text.partition(f"{flag} ")[2].partition(" --")[0]


def test_only_training_and_judging_start_tensorflow(material, vectors_run, audio_run, tmp_path):
    commands = [
        ["train", "--help"],
        ["features", str(material / "glide.wav"), "-o", "f.csv"],
        ["invert", "f.csv", "-o", "f.wav", "--iterations", "1"],
        ["runs"],
        ["generate", str(vectors_run), "-o", "v.csv"],
        ["generate", str(audio_run), "-o", "g.wav", "--seconds", "0.5"],
    ]
    script = (
        f"import sys; from cmc_helpers.cli import main; print([main(c) for c in {commands}]);"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    result = python(script, cwd=tmp_path)
    assert result.stderr == ""
    assert result.stdout.splitlines()[-2:] == [str([0] * len(commands)), "set()"]


# from sound to features and back


@pytest.mark.parametrize("preset", PRESETS)
def test_features_are_written_to_the_last_bit(done, material, tmp_path, preset):
    said = done("features", material / "glide.wav", "-o", tmp_path / "f.csv", "--preset", preset)
    assert said == f"{tmp_path}/f.csv: 247 frames, 2.0 s\n"
    config = FeatureConfig.preset(preset)
    features = extract_features(read_audio(material / "glide.wav"), config)
    np.testing.assert_array_equal(read_csv(tmp_path / "f.csv").astype("f"), features)


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--method", "slaney"], ["--preset", "paper"]])
def test_features_become_sound_again(done, material, tmp_path, options):
    config = FeatureConfig.preset("paper" if "paper" in options else "default")
    method = "slaney" if "slaney" in options else "pghi-fast-griffin-lim"
    features = extract_features(read_audio(material / "glide.wav"), config)
    write_csv(tmp_path / "f.csv", features)
    command = ["invert", tmp_path / "f.csv", "-o", tmp_path / "f.wav", "--iterations", 3]
    assert done(*command, *options) == f"{tmp_path}/f.wav: 247 frames, 2.0 s\n"
    expected = invert_features(features, config, method, iterations=3)
    np.testing.assert_allclose(read_audio(tmp_path / "f.wav"), expected, atol=1e-4)


def test_sound_above_full_scale_is_scaled_down_with_a_warning(warned, tmp_path):
    write_csv(tmp_path / "loud.csv", np.full((5, 100), 20.0))
    command = ["invert", tmp_path / "loud.csv", "--method", "slaney", "-o", tmp_path / "loud.wav"]
    line = warned(*command)
    assert line.startswith(f"cmc: warning: {tmp_path}/loud.wav is scaled down")


def test_channels_that_cancel_each_other_are_a_warning(warned, material, tmp_path):
    import soundfile

    left = read_audio(material / "glide.wav")
    soundfile.write(tmp_path / "s.wav", np.stack([left, -left], axis=1), 8000)
    line = warned("features", tmp_path / "s.wav", "-o", tmp_path / "f.csv")
    assert line.startswith("cmc: warning: ") and "s.wav" in line
    assert (tmp_path / "f.csv").exists()


# corpora


@pytest.mark.slow
def test_a_corpus_with_copies_says_how_many_it_added(material, tmp_path, capfd):
    folder = tmp_path / "corpus"
    assert cmc("corpus", material / "recordings", "-o", folder, "--transpose", 1) == 0
    said, _ = capfd.readouterr()
    line, following = said.splitlines()
    assert line == f"{folder}: 2 recordings, 494 frames, 4.0 s, and 2 copies in other keys"
    assert following == f"next: cmc train {folder} --run FOLDER"
    assert len(corpora.load_corpus(folder).pieces) == 4


def test_a_corpus_lists_what_could_not_be_read(material, tmp_path, capfd):
    folder = tmp_path / "corpus"
    assert cmc("corpus", material / "recordings", "-o", folder, "--preset", "paper") == 0
    said, complaint = capfd.readouterr()
    assert said.splitlines()[0] == f"{folder}: 2 recordings, 494 frames, 4.0 s"
    line = one_line(complaint)
    assert line.startswith("cmc: warning: left out: ") and "cut.wav" in line
    corpus = corpora.load_corpus(folder)
    assert corpus.config == FeatureConfig.preset("paper")


def test_a_terminal_sees_how_far_the_work_is(material, tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert cmc("corpus", material / "recordings", "-o", tmp_path / "corpus") == 0
    shown = sys.stderr.getvalue()
    assert "Reading: 100%" in shown and "3/3" in shown
    assert one_line(shown.splitlines()[-1])  # and the warning stands on a line of its own


@pytest.fixture
def no_fluidsynth(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.slow
def test_bach_is_played_by_the_additive_piano_where_there_is_no_other(
    done, refused, no_fluidsynth, tmp_path, monkeypatch
):
    folder = tmp_path / "bach"
    said = done("corpus", "--bach", "--hours", 0.005, "-o", folder)
    (piece,) = {piece.name for piece in corpora.load_corpus(folder).pieces}
    assert said.startswith(f"{folder}: 1 piece of Bach, ")
    assert said.splitlines()[0].endswith(" s, played by the additive piano of cmc_helpers")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["origin"]["kind"] == "bach" and manifest["origin"]["music21"]
    assert manifest["origin"]["instrument"]["name"] == "additive piano"
    (entry,) = manifest["pieces"]
    assert entry.keys() == {"name", "file", "frames", "seconds", "sha256", "split"}

    class Flute(soundfonts.AdditivePiano):
        def describe(self):
            return {"name": "flute"}

    monkeypatch.setattr(soundfonts, "grand_piano", lambda soundfont: Flute())
    line = refused("corpus", "--bach", "--hours", 0.005, "-o", folder)
    assert f"{folder} holds a corpus made with another instrument: choose another folder" in line


@pytest.mark.slow
@pytest.mark.skipif(
    isinstance(soundfonts.grand_piano(), soundfonts.AdditivePiano),
    reason="FluidSynth and a soundfont are not installed (apt install fluidsynth)",
)
def test_bach_is_played_by_fluidsynth_where_it_is_installed(done, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    said = done("corpus", "--bach", "--hours", 0.005, "-o", one)
    assert ", played by FluidSynth " in said and said.splitlines()[0].endswith(".sf2")
    own = soundfonts.grand_piano().soundfont
    done("corpus", "--bach", "--hours", 0.005, "-o", two, "--soundfont", own, "--jobs", 1)
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }


@pytest.mark.slow
def test_more_hours_than_there_are_is_a_warning(warned, no_fluidsynth, tmp_path, monkeypatch):
    one = [source for source in bach.sources(soundfonts.AdditivePiano()) if source.name == "bwv286"]
    monkeypatch.setattr(bach, "sources", lambda instrument, seed: one)
    line = warned("corpus", "--bach", "--hours", 6, "-o", tmp_path / "bach")
    assert "there is no more of Bach than these 0.0 hours" in line


def test_the_help_of_corpus_says_how_much_bach_there_is(done):
    pieces = len(bach.sources(soundfonts.AdditivePiano()))
    assert f"Bach: {pieces} pieces" in done("corpus", "--help")


# training


@pytest.fixture(scope="session")
def whole(material, tmp_path_factory):
    """The run of a training that nothing interrupted, and what the command said in the end."""
    run = tmp_path_factory.mktemp("whole") / "run"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert cmc("train", material / "bounce.csv", "--run", run, *GIVEN) == 0
    return run, said.getvalue()


def test_a_csv_file_is_trained_on_with_the_settings_given(whole, material):
    run, said = whole
    losses = runs.load(run).history["validation_loss"]
    assert said == (
        f"{run}: 4 epochs on 144 vectors; best loss {min(losses):.4g} nats per frame, "
        f"in epoch {losses.index(min(losses)) + 1}\n"
        f"next: cmc generate {run} -o new.csv\n"
    )
    network, config, _ = training.defaults(corpora.open_corpus(material / "bounce.csv"))
    changes = {"layers": 1, "units": 8, "components": 2, "sigma_floor": 0.3}
    assert runs.read_settings(run)["network"] == asdict(network) | changes
    changes = {"batch": 4, "steps": 10, "epochs": 4, "seed": 7, "keep": "last"}
    assert runs.read_settings(run)["training"] == asdict(config) | changes


@pytest.mark.keras
def test_a_network_without_memory_and_mixture_is_trained_and_goes_on(done, refused, material):
    run, out = material / "means", material / "means.csv"
    kind = ["--cell", "dense", "--mixtures", 0]
    said = done("train", material / "bounce.csv", "--run", run, *TINY, "--epochs", 1, *kind)
    assert "squared error per frame, in epoch 1" in said
    assert runs.read_settings(run)["sampling"]["sigma_scale"] == 0
    done("generate", run, "-o", out)
    assert "no σ to add" in refused("generate", run, "-o", out, "--strategy", "sample")


def test_fewer_epochs_than_are_done_are_refused(refused, whole, material):
    run, _ = whole
    settings = runs.read_settings(run)
    resume = ["train", material / "bounce.csv", "--run", run, "--resume"]
    assert f"{run} has 4 epochs already" in refused(*resume, "--epochs", 3)
    assert runs.read_settings(run) == settings


@pytest.mark.keras
def test_a_folder_of_recordings_is_trained_on_and_resumed_as_it_began(
    warned, refused, material, tmp_path
):
    run = tmp_path / "r"
    start = ["train", material / "recordings", "--run", run]
    line = warned(*start, *TINY, "--epochs", 1, "--preset", "paper")
    assert line.startswith("cmc: warning: left out: ") and "cut.wav" in line
    assert runs.read_feature_config(run) == FeatureConfig.preset("paper")

    before = tree(tmp_path), (run / "config.json").read_bytes()
    assert f"{run} exists: go on with --resume" in refused(*start)
    assert "leave out --layers, --units," in refused(*start, "--resume", *TINY)
    assert "leave out --preset" in refused(*start, "--resume", "--preset", "paper")
    assert before == (tree(tmp_path), (run / "config.json").read_bytes())

    warned(*start, "--resume")
    assert runs.read_feature_config(run) == FeatureConfig.preset("paper")


def test_another_preset_than_the_data_was_made_with_is_refused(refused, material, tmp_path):
    corpora.build_corpus(material / "recordings", tmp_path / "c", FeatureConfig.preset("paper"))
    run = ["--run", tmp_path / "r", "--preset", "original-2017"]
    assert "bounce.csv holds vectors" in refused("train", material / "bounce.csv", *run)
    assert "made with --preset paper" in refused("train", tmp_path / "c", *run)
    assert not (tmp_path / "r").exists()


# generating


def test_a_run_of_vectors_goes_on(done, load_once, vectors_run, material, tmp_path):
    out = tmp_path / "out.csv"
    assert done("generate", vectors_run, "-o", out) == f"{out}: 200 vectors\n"
    assert read_csv(out, 8).shape == (200, 8)
    own = out.read_bytes()
    for prime in ("none", material / "bounce.csv"):
        done("generate", vectors_run, "-o", out, "--prime", prime)
        assert out.read_bytes() != own
        assert len(read_csv(out)) == 200  # without the primer
    done("generate", vectors_run, "-o", out)
    assert out.read_bytes() == own


def test_a_seed_gives_the_same_bytes_and_another_seed_others(done, load_once, audio_run, tmp_path):
    def wav(*options):
        done("generate", audio_run, "-o", tmp_path / "out.wav", "--seconds", 0.5, *options)
        assert len(read_audio(tmp_path / "out.wav")) == 4000
        return (tmp_path / "out.wav").read_bytes()

    assert wav("--seed", 3) == wav("--seed", 3)
    assert wav() == wav("--seed", 1)
    assert wav("--seed", 3) != wav("--seed", 4)
    assert wav("--sigma-scale", 0.1) != wav()


def test_a_run_of_sound_is_primed_by_sound_or_by_features(
    done, load_once, audio_run, material, tmp_path
):
    done("features", material / "glide.wav", "-o", tmp_path / "f.csv")
    made = []
    for prime in (material / "glide.wav", tmp_path / "f.csv", "none"):
        done("generate", audio_run, "-o", tmp_path / "o.csv", "--steps", 5, "--prime", prime)
        made.append(read_csv(tmp_path / "o.csv", 100))
    np.testing.assert_array_equal(made[0], made[1])
    assert made[0].shape == (5, 100) and (made[0] != made[2]).any()


def test_what_the_library_says_of_arguments_is_said_of_options(capsys, monkeypatch):
    def fail(*_):
        raise ValueError("lower `learning_rate`, go on with `resume=True` and fewer `components`")

    monkeypatch.setattr(runs, "find", fail)
    assert cli.main(["generate", "bach", "-o", "a.wav"]) == 2
    told = capsys.readouterr().err
    assert told == "cmc: lower --learning-rate, go on with --resume and fewer --mixtures\n"


def test_the_runs_that_ship_are_listed_and_found_by_name(
    done, load_once, vectors_run, audio_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(samples, "samples_folder", lambda: tmp_path)
    assert done("runs") == "No run ships with this version: cmc train makes one.\n"
    for name, run in {"walk": vectors_run, "a_glide": audio_run}.items():
        shutil.copytree(run, tmp_path / "runs" / name)
    (tmp_path / "registry.json").write_text(
        json.dumps([{"path": "runs/walk", "what": "A one that walks" + " to and fro" * 9}])
    )
    glide, *walk = done("runs").splitlines()
    assert glide == "a_glide  Learnt from glide."
    assert walk[0].startswith("walk     A one that walks to") and walk[1].startswith(9 * " ")
    lines = done("runs", "--verbose").splitlines()
    assert max(map(len, lines)) <= 79
    assert lines[1].startswith("         glide, ") and "         bounce, 144 vectors" in lines
    assert lines[2].strip() == "residual stack of 2 x 8 LSTM, 3 Gaussians"
    assert " ".join(map(str.strip, lines[3:5])) == (
        "sample, tau 0.6, sigma-scale 1.0, pi-temperature 1.0, form exact, noise residuals"
    )
    monkeypatch.chdir(tmp_path)
    done("generate", "walk", "-o", tmp_path / "o.csv", "--steps", 3)
    assert len(read_csv(tmp_path / "o.csv")) == 3


def test_the_version_is_said_of_an_installed_package_and_of_a_checkout(done, monkeypatch):
    assert done("--version") == f"cmc {metadata.version('cmc-helpers')}\n"

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(cli, "version", missing)
    assert done("--version") == "cmc, in a checkout that is not installed\n"


def test_a_run_whose_name_is_mistyped_is_guessed(refused, tmp_path):
    assert "(did you mean bach?)" in refused("generate", "bahc", "-o", tmp_path / "o.csv")
    assert "(cmc runs lists" in refused("generate", "nothing like it", "-o", tmp_path / "o.csv")


@pytest.mark.keras
def test_evaluate_says_every_number_beside_that_of_real_music(done, load_once):
    clip = corpora.sample_path("bach_prelude.flac")
    lines = done("evaluate", "passage", clip, "--clips", 2, "--seconds", 20).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "held out",
        "2 clips of 20 s",
        "notes per second",
        "level",
        "no judge",
    ]
    assert lines[4].endswith("it needs two clips of 20 s, and there are 1 piece of the train part")
    assert lines[1] == "2 clips of 20 s: 2 alive" and "(real music 1.0" in lines[3]
    short = done("evaluate", "passage", clip, "--clips", 2, "--seconds", 20, "--sigma-scale", 0)
    assert short.splitlines()[0] == lines[0] and short.splitlines()[2] != lines[2]


@pytest.mark.keras
def test_evaluate_says_what_each_judge_says_beside_its_null_and_keeps_it(
    done, load_once, monkeypatch, tmp_path
):
    """A verdict is in words: a run that plays noise is detected, real music is not."""
    said = {"spectrum": judges.Judged(0.93, 0.9, 0.96), "rhythm": judges.Judged(0.53, 0.47, 0.59)}
    music = evaluation.Music({"alive": 4}, 2.0, 1.0, said)
    null = {name: judges.Null(0.5, 0.03, 20, 4) for name in said}
    found = evaluation.Evaluation(-200.0, -80.0, music, music, null, 4, 3, "test")
    monkeypatch.setattr(evaluation, "evaluate", lambda *given, **more: found)
    clip, kept = corpora.sample_path("bach_prelude.flac"), tmp_path / "e.json"
    lines = done("evaluate", "passage", clip, "-o", kept).splitlines()
    assert lines[4:] == [
        "judge        right  interval      real music   verdict",
        "spectrum      0.93  0.90 to 0.96  0.50 ± 0.03  detected",
        "rhythm        0.53  0.47 to 0.59  0.50 ± 0.03  not distinguishable at this size",
        "judged beside 4 clips of 20 s from 3 pieces of the test part",
        "with so few pieces the intervals are too narrow: stretches of one piece are alike",
    ]
    numbers = json.loads(kept.read_text("utf-8"))
    assert numbers["command"].startswith("cmc evaluate passage ") and numbers["part"] == "test"
    assert numbers["generated"]["judged"]["rhythm"] == {"accuracy": 0.53, "low": 0.47, "high": 0.59}
    assert numbers["null"]["spectrum"]["mean"] == 0.5


# what is refused

# The command; and what its one line says. IN is the folder of material, OUT an empty one.
REFUSALS = {
    "features IN/no.wav -o OUT/f.csv": "no.wav does not exist",
    "features IN/nothing -o OUT/f.csv": "nothing is a folder",
    "features IN/empty.wav -o OUT/f.csv": "empty.wav is empty",
    "features IN/text.wav -o OUT/f.csv": "text.wav is not WAV",
    "features IN/cut.wav -o OUT/f.csv": "cut.wav is cut short",
    "features IN/glide.wav -o OUT/f.txt": "f.txt cannot be written: choose a name in .csv",
    "features IN/glide.wav -o OUT/no/f.csv": "make the folder OUT/no first",
    "features IN/glide.wav -o IN/empty.wav/f.csv": "empty.wav/f.csv cannot be written",
    "features IN/glide.wav -o OUT/f.csv --preset old": "'old' is not one of 'paper'",
    "features IN/glide.wav": "missing option '-o'",
    "features": "missing argument 'AUDIO' (cmc features --help explains)",
    "features IN/glide.wav IN/glide.wav -o OUT/f.csv": "unexpected extra argument",
    "frobnicate": "no such command 'frobnicate'",
    "--frobnicate": "no such option",
    "invert IN/no.csv -o OUT/f.wav": "no.csv does not exist",
    "invert IN/empty.csv -o OUT/f.wav": "empty.csv is empty",
    "invert IN/narrow.csv -o OUT/f.wav": "narrow.csv has 7 columns but a frame has 100",
    "invert IN/ragged.csv -o OUT/f.wav": "line 2, has 3 columns",
    "invert IN/words.csv -o OUT/f.wav": "'time', which is not a number",
    "invert IN/glide.wav -o OUT/f.wav": "glide.wav is not UTF-8 text",
    "invert IN/narrow.csv -o OUT/f.mp3": "choose a name in .wav, .flac, .ogg",
    "invert IN/narrow.csv -o OUT/f.wav --iterations -1": "-1 is not in the range",
    "corpus IN/no -o OUT/c": "no is not a folder of recordings",
    "corpus IN/glide.wav -o OUT/c": "glide.wav is not a folder of recordings",
    "corpus IN/nothing -o OUT/c": "nothing holds no recordings",
    "corpus IN/broken -o OUT/c": "nothing could be read; the first: IN/broken/cut.wav is cut",
    "corpus IN/recordings -o IN/empty.csv": "empty.csv cannot be made",
    "corpus IN/recordings -o IN/recordings": "choose another folder for the corpus",
    "corpus IN/recordings -o OUT/c --seed -1": "-1 is not in the range",
    "corpus IN/recordings -o OUT/c --jobs 0": "0 is not in the range",
    "corpus -o OUT/c": "give a folder of recordings or --bach, one of the two",
    "corpus IN/recordings --bach -o OUT/c": "give a folder of recordings or --bach",
    "corpus IN/recordings --hours 1 -o OUT/c": "--hours is for --bach",
    "corpus IN/recordings --soundfont IN/text.wav -o OUT/c": "--soundfont is for --bach",
    "corpus --bach --hours 0 -o OUT/c": "0.0 is not in the range",
    "corpus --bach --hours nan -o OUT/c": "nan is not a number",
    "corpus --bach --soundfont IN/no.sf2 -o OUT/c": "no.sf2 does not exist",
    "corpus --bach --soundfont IN/text.wav -o OUT/c": "text.wav is not a soundfont",
    "corpus --bach --hours 0.001 -o IN/empty.csv": "empty.csv cannot be made",
    "train IN/no.csv --run OUT/r": "no.csv does not exist",
    "train IN/text.wav --run OUT/r": "text.wav is not WAV",
    "train IN/ragged.csv --run OUT/r": "line 2, has 3 columns",
    "train IN/nothing --run OUT/r": "nothing holds no recordings",
    "train IN/broken --run OUT/r": "nothing could be read; the first: IN/broken/cut.wav is cut",
    "train IN/bounce.csv --run IN": "IN exists: go on with --resume",
    "train IN/recordings --run IN": "IN exists: go on with --resume",
    "train IN/bounce.csv --run IN/empty.csv": "empty.csv exists",
    "train IN/bounce.csv --run OUT/r --resume": "OUT/r is not a run folder",
    "train IN/bounce.csv --run IN --resume": "IN is not a run, it has no config.json",
    "train IN/bounce.csv": "missing option '--run'",
    "train IN/bounce.csv --run OUT/r --epochs 0": "'--epochs': 0 is not in the range",
    "train IN/bounce.csv --run OUT/r --epochs 1e3": "'1e3' is not a valid integer",
    "train IN/bounce.csv --run OUT/r --layers 999999999999": "is not in the range",
    "train IN/bounce.csv --run OUT/r --learning-rate nan": "nan is not a number",
    "train IN/bounce.csv --run OUT/r --learning-rate 0": "0.0 is not in the range",
    "train IN/bounce.csv --run OUT/r --input-noise inf": "inf is not in the range",
    "train IN/bounce.csv --run OUT/r --seed 99999999999": "is not in the range",
    "evaluate IN/nothing IN/glide.wav": "nothing is not a run",
    "generate IN/no -o OUT/o.csv": "no is not a run folder",
    "generate IN/bounce.csv -o OUT/o.csv": "bounce.csv is not a run folder",
    "generate IN -o OUT/o.csv": "IN is not a run, it has no config.json",
    "generate RUN -o OUT/o.wav": "o.wav cannot be written: choose a name in .csv",
    "generate RUN -o OUT/no/o.csv": "make the folder OUT/no first",
    "generate RUN -o OUT/o.csv --seconds 1": "RUN makes vectors: give --steps",
    "generate RUN -o OUT/o.csv --steps 1 --seconds 1": "give --steps or --seconds, not both",
    "generate RUN -o OUT/o.csv --steps 0": "0 is not in the range",
    "generate RUN -o OUT/o.csv --tau 1.5": "1.5 is not in the range",
    "generate RUN -o OUT/o.csv --tau nan": "nan is not a number",
    "generate RUN -o OUT/o.csv --sigma-scale -1": "-1.0 is not in the range",
    "generate RUN -o OUT/o.csv --seed -1": "-1 is not in the range",
    "generate RUN -o OUT/o.csv --strategy best": "'best' is not one of 'greedy'",
    "generate RUN -o OUT/o.csv --prime IN/narrow.csv": "narrow.csv has 7 columns",
    "generate RUN -o OUT/o.csv --prime IN/no.csv": "no.csv does not exist",
    "generate RUN -o OUT/o.csv --prime IN/glide.wav": "glide.wav is not UTF-8 text",
}


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=[pytest.mark.keras] * c.startswith("evaluate")) for c in REFUSALS],
)
def test_bad_input_is_refused_in_one_line_and_leaves_nothing(
    refused, load_once, material, vectors_run, tmp_path, command
):
    folders = {"IN": material, "OUT": tmp_path, "RUN": vectors_run}

    def named(text):
        for name, folder in folders.items():
            text = text.replace(name, str(folder))
        return text

    before = tree(material)
    assert named(REFUSALS[command]) in refused(*named(command).split())
    assert tree(tmp_path) == [] and tree(material) == before


def damage(folder, **changes):
    settings = json.loads((folder / "config.json").read_text())
    for part, change in changes.items():
        settings[part] = settings[part] | change if isinstance(change, dict) else change
    (folder / "config.json").write_text(json.dumps(settings))


DAMAGES = {
    "model.keras is missing": lambda run: (run / "model.keras").unlink(),
    "normaliser.npz is missing": lambda run: (run / "normaliser.npz").unlink(),
    "it has no config.json": lambda run: (run / "config.json").unlink(),
    "config.json is damaged": lambda run: (run / "config.json").write_text("{"),
    "is a run of format 0": lambda run: damage(run, format=0),
    "config.json does not describe a run": lambda run: damage(run, features=[8000]),
    "is not the network that config.json describes": lambda run: damage(run, network={"units": 9}),
    "cannot be loaded as a Keras model": lambda run: (run / "model.keras").write_bytes(b"PK"),
}


@pytest.mark.parametrize("fault", DAMAGES)
def test_a_damaged_run_is_refused(refused, vectors_run, tmp_path, fault):
    shutil.copytree(vectors_run, tmp_path / "run")
    DAMAGES[fault](tmp_path / "run")
    line = refused("generate", tmp_path / "run", "-o", tmp_path / "o.csv")
    assert fault in line and str(tmp_path / "run") in line
    assert not (tmp_path / "o.csv").exists()


def test_a_failed_command_leaves_an_older_output_as_it_was(refused, material, tmp_path):
    (tmp_path / "f.csv").write_text("1,2\n")
    refused("features", material / "cut.wav", "-o", tmp_path / "f.csv")
    assert (tmp_path / "f.csv").read_text() == "1,2\n" and tree(tmp_path) == ["f.csv"]


def test_a_name_of_two_lines_is_complained_about_in_one(refused, tmp_path):
    assert r"a\nb.wav does not exist" in refused("features", "a\nb.wav", "-o", tmp_path / "f.csv")


def test_a_name_in_another_encoding_is_complained_about_in_one_line(
    warned, refused, material, tmp_path
):
    (tmp_path / "in").mkdir()
    write_audio(tmp_path / "in" / "good.wav", read_audio(material / "glide.wav"))
    name = tmp_path / "in" / os.fsdecode(b"caf\xe9.wav")
    try:
        shutil.copy(material / "glide.wav", name)
    except OSError:
        pytest.skip("this file system knows Unicode names only")
    assert "rename it" in refused("features", name, "-o", tmp_path / "f.csv")
    assert "rename it" in warned("corpus", tmp_path / "in", "-o", tmp_path / "c")


def test_a_name_too_long_for_the_system_is_refused(refused, tmp_path):
    assert "file name too long" in refused("generate", "a" * 300, "-o", tmp_path / "o.csv").lower()


def test_without_tensorflow_the_remedy_is_named(refused, material, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    line = refused("train", material / "glide.wav", "--run", tmp_path / "run")
    assert "pip install 'cmc-helpers[tensorflow]'" in line


def test_too_little_memory_is_a_sentence_but_a_mistake_of_ours_is_a_traceback(
    refused, material, tmp_path, monkeypatch
):
    def fail_with(error):
        def extract(*_):
            raise error

        monkeypatch.setattr(cli.sound, "extract_features", extract)
        return "features", material / "glide.wav", "-o", tmp_path / "f.csv"

    assert "not enough memory" in refused(*fail_with(MemoryError))
    with pytest.raises(TypeError):
        cmc(*fail_with(TypeError))


# what is said

COMMANDS = [[], *([name] for name in cli.commands.commands)]
RUN = "import sys; from cmc_helpers.__main__ import main; sys.exit(main())"


def said(*arguments, **options):
    """A command in a process of its own: (status, bytes said, bytes complained)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    command = [sys.executable, "-c", options.pop("code", RUN), *map(str, arguments)]
    result = subprocess.run(command, env=environment, capture_output=True, timeout=300, **options)
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "cmc")
def test_every_help_is_of_letters_that_every_code_page_has(command, done):
    assert done(*command, "--help").isascii()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "ascii", "utf-8"])
def test_a_command_whose_words_the_output_cannot_encode_ends_well(encoding, material, tmp_path):
    environment, name = {"PYTHONIOENCODING": encoding}, "♭ é.csv"
    command = "features", material / "glide.wav", "-o"
    status, line, complaint = said(*command, tmp_path / name, env=environment)
    assert (status, complaint) == (0, b"")
    assert b".csv: " in line and b" frames, " in line
    assert (tmp_path / name).exists()
    status, _, complaint = said(*command, tmp_path / "♭" / name, env=environment)
    assert status == 2 and complaint.startswith(b"cmc: ") and complaint.count(b"\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("settings", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=["UTF-8", "C"])
def test_a_name_that_is_no_text_is_spelled_out(settings, material, tmp_path):
    settings |= {"PYTHONCOERCECLOCALE": "0"} if settings else {}
    output = os.fsencode(tmp_path) + b"/b\xff \xe2\x99\xad.csv"
    command = ["features", material / "glide.wav", "-o", output]
    arguments = [sys.executable, "-c", RUN, *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    try:
        result = subprocess.run(arguments, env=environment, capture_output=True, timeout=300)
    except OSError:
        pytest.skip("this file system knows Unicode names only")
    if not os.path.exists(output):
        assert result.returncode == 2 and b"Traceback" not in result.stderr
        pytest.skip("this file system knows Unicode names only")
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"frames" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_where_there_is_no_output_the_work_is_done_and_the_status_tells(closed, material, tmp_path):
    """As under pythonw; and a file descriptor that is closed is not given to a file of ours."""
    numbers = {"stdin": 0, "stdout": 1, "stderr": 2}
    closes = "import os, sys\n"
    for name in list(numbers)[numbers[closed] :]:
        closes += f"os.close({numbers[name]}); sys.{name} = None\n"
    output = tmp_path / "f.csv"
    assert said("features", material / "glide.wav", "-o", output, code=closes + RUN)[0] == 0
    assert len(read_csv(output)) > 9
    assert said("features", tmp_path / "none.wav", "-o", output, code=closes + RUN)[0] == 2
    opens = "from cmc_helpers.__main__ import _let_everything_be_said; _let_everything_be_said()\n"
    opens += "with open(sys.argv[1]) as file: os._exit(file.fileno())"
    assert said(output, code=closes + opens)[0] > 2


def test_a_warning_or_a_mistake_without_standard_error_is_no_mistake_of_ours(
    material, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(sys, "stderr", None)
    assert cmc("features", tmp_path / "none.wav", "-o", tmp_path / "f.csv") == 2
    assert capfd.readouterr() == ("", "")  # what is said of a mistake is no result
    assert cmc("corpus", material / "recordings", "-o", tmp_path / "c", "--jobs", 1) == 0


def test_whoever_trains_on_a_folder_may_say_how_many_processes_read_it(
    material, tmp_path, monkeypatch
):
    asked = []
    monkeypatch.setattr(building, "usable_cpus", lambda: 7)
    monkeypatch.setattr(corpora, "build_corpus", lambda *_, jobs, **__: asked.append(jobs) or 1 / 0)
    command = "train", material / "recordings", "--run", tmp_path / "run"
    for more in ((), ("--jobs", 2)):
        with pytest.raises(ZeroDivisionError):
            cmc(*command, *more)
    assert asked == [7, 2]


def test_every_option_that_a_sentence_advises_is_one_of_some_command():
    flags = {flag for c in cli.commands.commands.values() for p in c.params for flag in p.opts}
    sources = [*(ROOT / "cmc_helpers").glob("*.py")]
    advised = set()
    for path in sources:
        advised |= set(re.findall(r"(?<![-\w])--[a-z]+(?:-[a-z]+)*", path.read_text("utf-8")))
    of_other_programs = {"--help", "--version", "--small", "--xla"}
    assert advised - of_other_programs <= flags


@pytest.mark.parametrize(
    ("system", "typed"),
    [("linux", "cmc train 'my music' --resume"), ("win32", 'cmc train "my music" --resume')],
)
def test_a_command_to_go_on_with_is_typed_as_the_system_wants_it(system, typed, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    assert shared.typed("cmc", "train", "my music", "--resume") == typed


# what is stopped


def test_ctrl_c_ends_in_a_sentence_and_leaves_nothing(refused, material, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.sound, "extract_features", interrupt)
    line = refused("features", material / "glide.wav", "-o", tmp_path / "f.csv")
    assert line == "cmc: stopped: no file is left half-written"
    monkeypatch.setattr(corpora, "build_corpus", interrupt)
    line = refused("corpus", material / "recordings", "-o", tmp_path / "c")
    assert line == "cmc: stopped: the same command goes on from here"
    line = refused("train", material / "recordings", "--run", tmp_path / "r")
    assert line.startswith("cmc: stopped: the training had not begun")
    assert tree(tmp_path) == []


# A process of its own, that sends itself a signal after a number of batches: `kill` on the dot.
PROCESS = """
import os, signal, sys
from cmc_helpers import cli, notebook

def show(self, message):
    if self.label == "Training" and self.done == {batch}:
        os.kill(os.getpid(), signal.{signal})

notebook.TerminalProgress.show = show
# A shell starts what runs in the background deaf to Ctrl-C, and these tests with it.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(max(cli.main(arguments) for arguments in {commands}))
"""


def python(script, **options):
    # Without what keeps TensorFlow quiet in the process of the tests.
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("TF_")}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


@pytest.fixture(scope="session")
def stopped(tmp_path_factory, vectors_run, material):
    """A process that generates, and is then stopped by Ctrl-C in its second epoch of training."""
    folder = tmp_path_factory.mktemp("stopped")
    generate = ["generate", vectors_run, "-o", folder / "out.csv", "--strategy", "sample"]
    train = ["train", material / "bounce.csv", "--run", folder / "run", *GIVEN]
    commands = [list(map(str, command)) for command in (generate, train)]
    result = python(PROCESS.format(batch=30, signal="SIGINT", commands=commands))
    return folder, result


def test_another_process_generates_the_same_bytes(done, stopped, vectors_run, tmp_path):
    folder, result = stopped
    assert result.stdout == f"{folder}/out.csv: 200 vectors\n"
    done("generate", vectors_run, "-o", tmp_path / "out.csv", "--strategy", "sample")
    assert (tmp_path / "out.csv").read_bytes() == (folder / "out.csv").read_bytes()


@pytest.mark.weekly
def test_a_training_that_was_stopped_and_killed_ends_like_an_uninterrupted_one(
    done, stopped, whole, material
):
    folder, result = stopped
    run = folder / "run"
    resume = ["train", str(material / "bounce.csv"), "--run", str(run), "--resume"]
    assert result.returncode == 2
    assert one_line(result.stderr) == (
        f"cmc: stopped: {run} keeps its last checkpoint; go on with cmc {' '.join(resume)}"
    )

    killed = python(PROCESS.format(batch=50, signal="SIGKILL", commands=[resume]))
    assert (killed.returncode, killed.stdout, killed.stderr) == (-9, "", "")
    assert len(runs.read_history(run / "history.csv")["epoch"]) == 2
    done(*resume, "--epochs", 4)

    assert tree(run) == tree(whole[0])
    for name in ("history.csv", "config.json", "checkpoint.npz"):
        assert (run / name).read_bytes() == (whole[0] / name).read_bytes()
    weights = (runs.load(path).model.get_weights() for path in (run, whole[0]))
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
