"""`cmc …`: the command line, a thin face over the modules of this package.

The exit status is 0, or 2 with one line on standard error that says what is wrong with which file
and what to do; Ctrl-C, a `kill` and a terminal that is closed count as 2 as well (see `stopping`).
TensorFlow starts only for `train` and `evaluate`.
"""

import json
import math
import os
import re
import shlex
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import numpy as np

from cmc_helpers import (
    corpora,
    generation,
    inversion,
    mixtures,
    networks,
    performance,
    runs,
    training,
)
from cmc_helpers.analysis import evaluation
from cmc_helpers.audio import read_audio, write_audio
from cmc_helpers.corpora import building, samples
from cmc_helpers.features import PRESETS, FeatureConfig, extract_features
from cmc_helpers.files import FileError, replacing
from cmc_helpers.sampling import KNOBS
from cmc_helpers.terminal import quiet_tensorflow, terminal_progress
from cmc_helpers.training import distribution
from cmc_helpers.vectors import read_csv, write_csv

SOUND = (".wav", ".flac", ".ogg")
STOPPED = "stopped: no file is left half-written"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `cmc` with a list of arguments (the process's own if None); return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own are for programmers
        warnings.filterwarnings("always", category=UserWarning, module="cmc_helpers")
        warnings.showwarning = lambda message, *_: _complain(f"warning: {message}")
        try:
            return commands.main(arguments or ["--help"], "cmc", standalone_mode=False) or 0
        except click.UsageError as problem:
            command = problem.ctx.command_path if problem.ctx else "cmc"
            message = problem.format_message().rstrip(".")
            _complain(f"{message[0].lower()}{message[1:]} ({command} --help explains)")
        except click.ClickException as problem:
            _complain(problem.format_message())
        except (KeyboardInterrupt, click.Abort):  # between two commands' own answers
            _complain(STOPPED)
        except MemoryError:
            _complain("there is not enough memory: ask for less, or close other programs")
        except OSError as problem:  # the disk's or the system's, not foreseen by the pipeline
            where = f"{problem.filename}: " if problem.filename else ""
            _complain(f"{where}{problem.strerror or problem}")
        except ValueError as problem:
            _complain(_in_options(str(problem)))
    return 2


def _in_options(sentence):
    """What the library says of an argument, `steps` or `resume=True`, said of its option."""
    options = {
        option.name: option.opts[0] for one in commands.commands.values() for option in one.params
    }
    return re.sub(r"`(\w+)(?:=True)?`", lambda m: options.get(m[1], m[0]), sentence)


class _Commands(click.Group):
    """Commands in the order of the work, where Ctrl-C ends in a sentence."""

    def list_commands(self, context):
        return list(self.commands)

    def invoke(self, context):
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            raise click.ClickException(STOPPED) from None


class _Number(click.FloatRange):
    """A number in a range. NaN, which is in none, passes click's own check."""

    def convert(self, value, parameter, context):
        number = super().convert(value, parameter, context)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", parameter, context)
        return number


def _say_version(context, parameter, wanted):
    """Say which version this is. A checkout that is not installed has none."""
    if wanted and not context.resilient_parsing:
        try:
            _say(f"cmc {version('cmc-helpers')}")
        except PackageNotFoundError:
            _say("cmc, in a checkout that is not installed")
        context.exit()


@click.group(cls=_Commands, context_settings={"show_default": True, "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_say_version)
def commands() -> None:
    """From a recording to new sound: features, a network trained on them, what it makes of them.

    \b
    cmc train data_samples/bounce.csv --run r    vectors: a line of numbers per step
    cmc generate r -o out.csv --steps 200
    \b
    cmc train my_recordings/ --run r             sound: a folder of recordings
    cmc generate r -o out.wav --seconds 10

    What each command does and takes: cmc COMMAND --help.
    """


def _output(text):
    return click.option("-o", "--output", required=True, metavar="FILE", help=text)


def _preset(text, **settings):
    text += " paper: as published; original-2017: as its code did; default: what sounds best."
    return click.option("--preset", type=click.Choice(tuple(PRESETS)), help=text, **settings)


def _jobs(text):
    jobs = click.IntRange(1, 1024)
    return click.option("--jobs", type=jobs, help=text, show_default="one a CPU")


def _seed(text, **settings):
    return click.option("--seed", type=click.IntRange(0, 2**32 - 1), help=text, **settings)


@commands.command("features")
@click.argument("audio")
@_output("The CSV file to write.")
@_preset("How sound becomes numbers.", default="default")
def features_command(audio: str, output: str, preset: str) -> None:
    """Turn the recording AUDIO into features.

    The CSV file gets a line of 100 numbers for every frame, 125 frames per second. AUDIO may be
    WAV, FLAC, Ogg, MP3, AIFF, AU, CAF or W64, at any sample rate, with any number of channels.
    """
    config = FeatureConfig.preset(preset)
    _check_output(output, ".csv")
    features = extract_features(read_audio(audio, config.sample_rate), config)
    write_csv(output, features)
    _say(f"{output}: {_length(len(features), config)}")


_ITERATIONS = ", ".join(
    f"{method.iterations} for {name}" for name, method in inversion.METHODS.items()
)


@commands.command("invert")
@click.argument("features", metavar="F.csv")
@_output("The sound file to write: .wav, .flac or .ogg, 8 kHz, mono.")
@_preset("How the features were made.", default="default")
@click.option(
    "--method",
    type=click.Choice(tuple(inversion.METHODS)),
    default="pghi-fast-griffin-lim",
    help="How the phase is found; slaney is the paper's way.",
)
@click.option(
    "--iterations",
    type=click.IntRange(0, 10_000),
    help="How often the phase is refined.",
    show_default=_ITERATIONS,
)
def invert_command(
    features: str, output: str, preset: str, method: str, iterations: int | None
) -> None:
    """Turn features back into sound.

    F.csv holds a line of 100 numbers for every frame, as cmc features writes it.
    """
    config = FeatureConfig.preset(preset)
    _check_output(output, *SOUND)
    vectors = read_csv(features)
    if vectors.shape[1] != 100:
        raise FileError(
            f"{features} has {vectors.shape[1]} columns but a frame has 100 features: give a file "
            "made by cmc features or cmc generate"
        )
    options = {} if iterations is None else {"iterations": iterations}
    waveform = inversion.invert_features(vectors, config, method, **options)
    write_audio(output, waveform, config.sample_rate)
    _say(f"{output}: {_length(len(vectors), config)}")


@commands.command("corpus")
@click.argument("folder", required=False)
@click.option("-o", "--output", required=True, metavar="CORPUS", help="The folder to write.")
@_preset("How sound becomes numbers.", default="default")
@_seed("Which tenth of the pieces is held out, and Bach's order.", default=0)
@_jobs("Processes; on Windows at most 61.")
@click.option(
    "--transpose",
    type=click.IntRange(0, 12),
    default=0,
    help="Add copies of what is learned from, up to so many semitones lower and higher.",
)
@click.option("--bach", is_flag=True, help="Render Bach from the scores in music21; no FOLDER.")
@click.option("--hours", type=_Number(0, min_open=True), help="How much Bach.", show_default="all")
@click.option(
    "--soundfont",
    metavar="FILE",
    help="The piano for Bach, a .sf2 file; needs FluidSynth.",
    show_default="the system's, else an additive piano",
)
def corpus_command(
    folder: str | None,
    output: str,
    preset: str,
    seed: int,
    jobs: int | None,
    transpose: int,
    bach: bool,
    hours: float | None,
    soundfont: str | None,
) -> None:
    """Turn a folder of recordings, or Bach's scores, into a corpus to train on.

    \b
    cmc corpus my_recordings -o corpus           every recording in it and its subfolders
    cmc corpus --bach --hours 4 -o bach          Bach, performed from scores and rendered
    cmc corpus maestro-v3.0.0 -o maestro         200 hours of real piano
    cmc corpus my_recordings -o more --transpose 2   with four copies in other keys

    A tenth of the pieces is held out to validate the training with. What cannot be read is listed
    at the end. The same command again goes on where it was stopped, and makes only what is new.

    \b
    Bach: 396 pieces, most of them chorales, 5.5 hours. The scores are part of music21.
    FluidSynth plays them on a recorded piano, if both it and a soundfont are installed:
      Debian, Ubuntu: apt install fluidsynth fluid-soundfont-gm
      conda: conda install -c conda-forge fluidsynth; and a .sf2 file for --soundfont
    Otherwise a simpler piano of our own plays. The last line says which it was.

    \b
    MAESTRO: download the WAV files of version 3 yourself, 100 GB, for use that is not commercial
    (CC BY-NC-SA 4.0), from magenta.tensorflow.org/datasets/maestro; the corpus takes 36 GB.
    """
    if bool(folder) == bach:
        raise click.UsageError("give a folder of recordings or --bach, one of the two")
    if not bach and (hours or soundfont):
        raise click.UsageError(f"{'--hours' if hours else '--soundfont'} is for --bach")
    config, jobs = FeatureConfig.preset(preset), jobs or building.usable_cpus()
    try:
        if not folder:  # then --bach, one of the two
            unreadable, played = _build_bach(
                output, config, seed, jobs, hours, soundfont, transpose
            )
        else:
            with terminal_progress("Reading") as progress:
                unreadable = corpora.build_corpus(
                    folder,
                    output,
                    config,
                    seed=seed,
                    jobs=jobs,
                    progress=progress,
                    transpose=transpose,
                )
    except KeyboardInterrupt:
        raise click.ClickException("stopped: the same command goes on from here") from None
    for _, reason in unreadable:
        _complain(f"warning: left out: {reason}")
    pieces = building.read_manifest(Path(output))["pieces"]
    originals = [piece for piece in pieces if not piece.get("copy")]
    frames = sum(piece["frames"] for piece in originals)
    length = _length(frames, config)
    if copies := len(pieces) - len(originals):
        length += f", and {copies} copies in other keys"
    if bach:
        there_is = frames / config.frames_per_second / 3600
        if hours and there_is < hours:
            _complain(f"warning: there is no more of Bach than these {there_is:.1f} hours")
        _say(f"{output}: {len(originals)} pieces of Bach, {length}, played by {played}")
    else:
        _say(f"{output}: {len(originals)} recordings, {length}")


def _build_bach(output, config, seed, jobs, hours, soundfont, transpose):
    """Build the corpus from scores; return what could not be read, and what plays."""
    from cmc_helpers.scores import bach, soundfonts

    instrument = soundfonts.grand_piano(soundfont)
    with terminal_progress("Playing") as progress:
        unreadable = corpora.build_from_sources(
            bach.sources(instrument, seed),
            output,
            config,
            bach.origin(instrument),
            seconds=3600 * hours if hours else math.inf,
            jobs=jobs,
            progress=progress,
            transpose=transpose,
        )
    return unreadable, instrument


def _usual_settings(config):
    """What `training.defaults` finds usual, by name, for data with this FeatureConfig."""
    piece = corpora.Piece("", np.zeros((1, 1)), "train")
    network, usual, _ = training.defaults(corpora.Corpus("", (piece,), config))
    return asdict(network) | asdict(usual)


_FOR_VECTORS, _FOR_SOUND = _usual_settings(None), _usual_settings(FeatureConfig())


def _setting(flag, kind, text, name=None, none="never"):
    """An option that stays None unless it is given: its default depends on the data.

    none: what a default of None means, in words.
    """
    name = name or flag.replace("-", "_")
    vectors, sound = _FOR_VECTORS[name], _FOR_SOUND[name]
    usual = vectors if vectors == sound else f"{vectors} for vectors, {sound} for recordings"
    usual = none if usual is None else str(usual)
    return click.option(f"--{flag}", name, type=kind, help=text, show_default=usual)


@commands.command("train")
@click.argument("data")
@click.option("--run", required=True, metavar="FOLDER", help="The folder to keep the run in; new.")
@_preset("How recordings become numbers.", show_default="default")
@_setting("layers", click.IntRange(1, 50), "Layers.")
@_setting("units", click.IntRange(1, 4096), "Units in each layer.")
@_setting("cell", click.Choice(tuple(networks.CELLS)), "What a layer is made of.")
@_setting(
    "mixtures", click.IntRange(0, 1000), "Gaussians; 0: a mean by least squares.", "components"
)
@_setting("stack", click.Choice(networks.STACKS), "How the layers are wired.")
@_setting("sigma-floor", _Number(0, 10, min_open=True), "The smallest sigma of a Gaussian.")
@_setting("frames", click.IntRange(1, 1000), "Frames seen and predicted at once.")
@_setting("feature-scales", click.BOOL, "Predict for each feature how much it moves.")
@_setting("epochs", click.IntRange(1, 100_000), "How long to train.")
@_setting("batch", click.IntRange(1, 4096), "Windows per training step.")
@_setting("steps", click.IntRange(1, 10_000), "Steps per window: how far back learning reaches.")
@_setting("learning-rate", _Number(0, 10, min_open=True), "The size of a step at its largest.")
@_setting("input-noise", _Number(0, 100), "Standard deviation of the noise on the inputs.")
@_setting("weight-penalty", _Number(0, 100), "Lambda of lambda/2 |weights|^2, added to the loss.")
@_setting("patience", click.IntRange(1, 100_000), "Epochs without gain after which to stop.")
@_setting(
    "batches-per-epoch",
    click.IntRange(1, 10_000_000),
    "Training steps in an epoch, after which it is validated.",
    none="every frame once",
)
@_setting("keep", click.Choice(("best", "last")), "Of which epoch: lowest held-out loss, or last.")
@_seed("Of the first weights, windows and noise.", show_default="0")
@_jobs("Processes that read a folder of recordings; on Windows at most 61.")
@click.option(
    "--checkpoint-minutes",
    type=_Number(0),
    default=5,
    show_default=True,
    help="How much work a power cut may cost.",
)
@click.option(
    "--tensorboard", metavar="FOLDER", help="Write curves for TensorBoard into this folder."
)
@click.option(
    "--workers",
    is_flag=True,
    help="Train together with the processes that TF_CONFIG names; started alike, on the same data.",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the run, as it began; only --epochs may be changed."
)
@click.pass_context
def train_command(
    context: click.Context,
    data: str,
    run: str,
    preset: str | None,
    jobs: int | None,
    checkpoint_minutes: float,
    tensorboard: str | None,
    workers: bool,
    resume: bool,
    **settings: Any,
) -> None:
    """Train a network on DATA and keep it as a run.

    A run is a folder with all that is needed to generate. DATA is a CSV file (a line is the vector
    at one time step), a recording, a folder of recordings, or a corpus made by cmc corpus. After
    Ctrl-C, or a power cut, --resume goes on from the last checkpoint.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if resume:
        fixed = given.keys() - {"epochs"} | ({"preset"} if preset else set())
        flags = [option.opts[0] for option in context.command.params if option.name in fixed]
        if flags:
            raise click.UsageError(f"--resume goes on as {run} began: leave out {', '.join(flags)}")
        features = runs.read_feature_config(run)
    else:
        if not workers:  # of several, another one may have made it by now
            training.check_new(run)
        features = FeatureConfig.preset(preset or "default")
    try:
        trained = _train(
            data,
            Path(run),
            preset,
            features,
            given,
            jobs or building.usable_cpus(),
            workers,
            resume=resume,
            checkpoint_minutes=checkpoint_minutes,
            tensorboard=tensorboard,
        )
    except KeyboardInterrupt:
        if (Path(run) / runs.CONFIG).exists():
            together = ["--workers"] if workers else []
            again = _typed("cmc", "train", data, "--run", run, *together, "--resume")
            kept = f"{run} keeps its last checkpoint; go on with {again}"
        else:
            kept = "the training had not begun; the same command begins again"
        raise click.ClickException(f"stopped: {kept}") from None
    if trained is None:  # of several workers, the chief speaks
        return
    losses = trained.history["validation_loss"]
    length = _length(trained.settings["data"]["train_frames"], trained.features)
    _say(
        f"{run}: {len(losses)} {'epoch' if len(losses) == 1 else 'epochs'} on {length}; "
        f"best loss {min(losses):.4g} {trained.network.loss_unit}, "
        f"in epoch {1 + int(np.argmin(losses))}"
    )


def _train(data, run, preset, features, given, jobs, workers, **options):
    """Open `data`, start TensorFlow, train; return the run."""
    workspace = None if workers else run / "corpus"
    with terminal_progress("Reading") as progress:
        corpus = corpora.open_corpus(
            data, features, workspace=workspace, jobs=jobs, progress=progress
        )
    if preset and corpus.config != features:
        made = f"was made with --preset {corpus.config.name}" if corpus.config else "holds vectors"
        raise FileError(f"{data} {made}: leave out --preset {preset}")
    strategy = None
    if workers:  # what TensorFlow has to say of a lost one, we say in a sentence
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        strategy = _start_tensorflow(distribution.join_workers)
    elif os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        _start_tensorflow()
    with terminal_progress("Training") as progress:
        return training.train(corpus, run, progress=progress, strategy=strategy, **options, **given)


def _sampling(command):
    """The options that say how the next vector is chosen: one for each field of `Sampling`."""
    for name, knob in reversed(KNOBS.items()):
        about, choices = knob.metadata, knob.metadata["choices"]
        some = about["of"] != mixtures.STRATEGIES
        words = f"For {' and '.join(about['of'])}: " * some + about["words"]
        default = "the run's" + f"; with another --strategy {about['own']}" * bool(about["own"])
        kind = click.Choice(list(choices)) if choices else _Number(*about["between"])
        option = "--" + name.replace("_", "-")
        command = click.option(option, type=kind, help=words, show_default=default)(command)
    return command


@commands.command("generate")
@click.argument("run")
@_output("The file to write: .csv, or for sound .wav, .flac, .ogg (or .csv for its features).")
@click.option(
    "--steps",
    type=click.IntRange(1, 1_000_000),
    help="How many vectors or frames.",
    show_default="200 vectors",
)
@click.option(
    "--seconds", type=_Number(0.01, 3600), help="How much sound to make.", show_default="10"
)
@_sampling
@_seed("The same seed gives the same bytes, but in Ogg: that is never twice the same.", default=1)
@click.option(
    "--prime",
    metavar="FILE",
    help="What the network hears first: a CSV file or, for sound, a recording (its last 10 s), or "
    "the name of one that ships; none begins from nothing.",
    show_default="the run's own",
)
def generate_command(
    run: str,
    output: str,
    steps: int | None,
    seconds: float | None,
    seed: int,
    prime: str | None,
    **sampling: Any,
) -> None:
    """Let the network of RUN go on by itself.

    RUN is a folder made by cmc train, or the name of a run that ships (see cmc runs).
    """
    folder = runs.find(run)
    config = runs.read_feature_config(folder)
    if steps and seconds:
        raise click.UsageError("give --steps or --seconds, not both")
    if seconds and not config:
        raise click.UsageError(f"--seconds is for sound, and {run} makes vectors: give --steps")
    _check_output(output, *(SOUND if config else ()), ".csv")
    if config:
        seconds = seconds or (steps / config.frames_per_second if steps else 10)
        steps = config.frames(seconds)
    else:
        steps = steps or 200
    loaded = runs.load(folder)
    with terminal_progress("Generating") as progress:
        (vectors,), _ = generation.generate(
            loaded,
            steps,
            seed=seed,
            primer=performance.read_primer(loaded, prime),
            progress=progress,
            **sampling,
        )
    if config and seconds and Path(output).suffix.lower() != ".csv":
        write_audio(output, performance.sound(loaded, vectors, seconds), config.sample_rate)
    else:
        write_csv(output, vectors)
    _say(f"{output}: {_length(steps, config)}")


@commands.command("evaluate")
@click.argument("run")
@click.argument("data")
@click.option(
    "--clips",
    type=click.IntRange(2, 10_000),
    default=evaluation.CLIPS,
    help="How many run free, each from another primer.",
)
@click.option(
    "--seconds",
    type=_Number(20, 3600),
    default=evaluation.SECONDS,
    help="How long each of them runs.",
)
@_sampling
def evaluate_command(run: str, data: str, clips: int, seconds: float, **sampling: Any) -> None:
    """Measure what RUN foresees of DATA, and what it makes alone.

    Foreseen is the held-out part; alone it goes on from primers that it has not learnt from. RUN is
    a folder made by cmc train, or the name of a run that ships (see cmc runs); DATA a corpus made
    by cmc corpus, or a single recording. Every number stands beside that of real music.
    """
    _start_tensorflow()
    loaded = runs.load(runs.find(run))
    corpus = corpora.open_corpus(data, loaded.features)
    with terminal_progress("Running free") as progress:
        found = evaluation.evaluate(loaded, corpus, clips, seconds, progress, **sampling)
    made, real = found.generated, found.real
    fates = ", ".join(f"{count} {fate}" for fate, count in made.fates.items())
    _say(f"held out: {found.nats:.1f} nats per frame (copying {found.copying:.1f})")
    _say(f"{clips} clips of {seconds:g} s: {fates}")
    _say(f"notes per second: {made.onsets:.2f} (real music {real.onsets:.2f})")
    _say(f"level: {made.level:.2f} (real music {real.level:.2f})")
    for scale, accuracy in made.two_sample.items():
        _say(f"told from real music by its {scale}: {accuracy:.2f} ({real.two_sample[scale]:.2f})")


@commands.command("runs")
@click.option("--verbose", is_flag=True, help="Say, too, what each learnt from, is, and plays by.")
def runs_command(verbose: bool) -> None:
    """List the trained runs that ship, and what each is."""
    shipped = runs.shipped()
    margin = max(map(len, shipped), default=0) + 2
    registry = samples.samples_folder() / "registry.json"
    entries = json.loads(registry.read_text("utf-8")) if registry.exists() else []
    what = {entry["path"]: entry["what"] for entry in entries}
    for name, folder in shipped.items():
        settings = runs.read_settings(folder)
        said = what.get(f"runs/{name}", f"Learnt from {settings['data']['name']}.")
        lines = [said, *(_details(folder, settings) if verbose else ())]
        text = "\n".join(textwrap.fill(line, 79 - margin) for line in lines)
        _say(f"{name:{margin}}" + textwrap.indent(text, " " * margin).strip())
    if not shipped:
        _say("No run ships with this version: cmc train makes one.")


def _details(folder, settings):
    """Three lines on a run: what it learnt from, its network, and how it chooses."""
    data = settings["data"]
    yield f"{data['name']}, {_length(data['train_frames'], runs.read_feature_config(folder))}"
    yield networks.in_words(networks.NetworkConfig(**settings["network"]))
    strategy, *knobs = (f"{knob} {value}" for knob, value in settings["sampling"].items())
    yield ", ".join([strategy.split()[1], *knobs]).replace("_", "-")


def _check_output(path, *suffixes):
    """Refuse a file that could not be written, before the work that leads to it."""
    if Path(path).suffix.lower() not in suffixes:
        raise FileError(f"{path} cannot be written: choose a name in {', '.join(suffixes)}")
    with suppress(click.Abort), replacing(path):
        raise click.Abort  # `replacing` has found out, and leaves everything as it was


def _typed(*words):
    """A command as the shells of this system take it: those of Windows know no single quotes."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def _start_tensorflow(first=None):
    """Start it, and return what `first` does before its first operation."""
    made = []
    try:
        quiet_tensorflow(first and (lambda: made.append(first())))
        return made[0] if made else None
    except ModuleNotFoundError as problem:
        raise click.ClickException(
            f"TensorFlow is needed for this ({problem}): pip install 'cmc-helpers[tensorflow]'"
        ) from problem


def _length(frames, config):
    """Frames, and for sound seconds, in words."""
    if config is None:
        return f"{frames} vectors"
    seconds = frames / config.frames_per_second
    return f"{frames} frames, {seconds:.1f} s" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _say(line):
    click.echo(line.encode("utf-8", "backslashreplace").decode())  # names that are no text


def _complain(message):
    """Write one line to standard error, above the progress bar if there is one."""
    from tqdm import tqdm

    if sys.stderr:  # pythonw has none
        tqdm.write(f"cmc: {' '.join(str(message).splitlines())}", file=sys.stderr)
