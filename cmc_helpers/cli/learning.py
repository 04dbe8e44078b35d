"""From recordings to a network: `cmc corpus` and `cmc train`."""

import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from cmc_helpers import corpora, networks, runs, training
from cmc_helpers.cli.shared import (
    Grouped,
    Number,
    complain,
    duration,
    jobs_option,
    preset_option,
    say,
    seed_option,
    start_tensorflow,
    typed,
)
from cmc_helpers.corpora import building
from cmc_helpers.features import FeatureConfig
from cmc_helpers.files import FileError
from cmc_helpers.terminal import terminal_progress
from cmc_helpers.training import distribution


@click.command("corpus")
@click.argument("folder", required=False)
@click.option("-o", "--output", required=True, metavar="CORPUS", help="The folder to write.")
@preset_option("How sound becomes numbers.", default="default")
@seed_option("Which pieces are held out, and Bach's order.", default=0)
@jobs_option("Processes; on Windows at most 61.")
@click.option(
    "--transpose",
    type=click.IntRange(0, 12),
    default=0,
    help="Add copies of what is learned from, up to so many semitones lower and higher.",
)
@click.option("--bach", is_flag=True, help="Render Bach from the scores in music21; no FOLDER.")
@click.option("--hours", type=Number(0, min_open=True), help="How much Bach.", show_default="all")
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

    A tenth of the pieces is held out to validate the training with, and a tenth to test what came
    of it; of Bach 42 pieces and 82. What cannot be read is listed at the end. The same command
    again goes on where it was stopped, and makes only what is new.

    \b
    Bach: 396 pieces, most of them chorales, 5.5 hours. The scores are part of music21.
    FluidSynth plays them on a recorded piano, if both it and a soundfont are installed:
      Debian, Ubuntu: apt install fluidsynth fluid-soundfont-gm
      conda: conda install -c conda-forge fluidsynth; and a .sf2 file for --soundfont
    Otherwise a simpler piano of our own plays. At the end it says which it was.

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
        complain(f"warning: left out: {reason}")
    pieces = building.read_manifest(Path(output))["pieces"]
    originals = [piece for piece in pieces if not piece.get("copy")]
    frames = sum(piece["frames"] for piece in originals)
    length = duration(frames, config)
    if copies := len(pieces) - len(originals):
        length += f", and {copies} copies in other keys"
    if bach:
        there_is = frames / config.frames_per_second / 3600
        if hours and there_is < hours:
            complain(f"warning: there is no more of Bach than these {there_is:.1f} hours")
        pieces_of = "piece" if len(originals) == 1 else "pieces"
        say(f"{output}: {len(originals)} {pieces_of} of Bach, {length}, played by {played}")
    else:
        recordings = "recording" if len(originals) == 1 else "recordings"
        say(f"{output}: {len(originals)} {recordings}, {length}")
    say(f"next: {typed('cmc', 'train', output, '--run')} FOLDER")


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
            hold_out=bach.HOLD_OUT,
            test=bach.TEST,
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


@click.command("train", cls=Grouped)
@click.argument("data")
@click.option("--run", required=True, metavar="FOLDER", help="The folder to keep the run in; new.")
@preset_option("How recordings become numbers.", show_default=False)
@_setting("layers", click.IntRange(1, 50), "Layers.")
@_setting("units", click.IntRange(1, 4096), "Units in each layer.")
@_setting("cell", click.Choice(tuple(networks.CELLS)), "What a layer is made of.")
@_setting(
    "mixtures", click.IntRange(0, 1000), "Gaussians; 0: a mean by least squares.", "components"
)
@_setting("stack", click.Choice(networks.STACKS), "How the layers are wired.")
@_setting("sigma-floor", Number(0, 10, min_open=True), "The smallest sigma of a Gaussian.")
@_setting("frames", click.IntRange(1, 1000), "Frames seen and predicted at once.")
@_setting("feature-scales", click.BOOL, "Predict for each feature how much it moves.")
@_setting("epochs", click.IntRange(1, 100_000), "How long to train.")
@_setting("batch", click.IntRange(1, 4096), "Windows per training step.")
@_setting("steps", click.IntRange(1, 10_000), "Steps per window: how far back learning reaches.")
@_setting("learning-rate", Number(0, 10, min_open=True), "The size of a step at its largest.")
@_setting("input-noise", Number(0, 100), "Standard deviation of the noise on the inputs.")
@_setting("weight-penalty", Number(0, 100), "Lambda of lambda/2 |weights|^2, added to the loss.")
@_setting("patience", click.IntRange(1, 100_000), "Epochs without gain after which to stop.")
@_setting(
    "batches-per-epoch",
    click.IntRange(1, 10_000_000),
    "Training steps in an epoch, after which it is validated.",
    none="every frame once, in at least 20",
)
@_setting("keep", click.Choice(("best", "last")), "Of which epoch: lowest held-out loss, or last.")
@seed_option("Of the first weights, windows and noise.", show_default="0")
@jobs_option("Processes that read a folder of recordings; on Windows at most 61.")
@click.option(
    "--checkpoint-minutes",
    type=Number(0),
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
            again = typed("cmc", "train", data, "--run", run, *together, "--resume")
            kept = f"{run} keeps its last checkpoint; go on with {again}"
        else:
            kept = "the training had not begun; the same command begins again"
        raise click.ClickException(f"stopped: {kept}") from None
    if trained is None:  # of several workers, the chief speaks
        return
    losses = trained.history["validation_loss"]
    length = duration(trained.settings["data"]["train_frames"], trained.features)
    say(
        f"{run}: {len(losses)} {'epoch' if len(losses) == 1 else 'epochs'} on {length}; "
        f"best loss {min(losses):.4g} {trained.network.loss_unit}, "
        f"in epoch {1 + int(np.argmin(losses))}"
    )
    heard = "new.wav" if trained.features else "new.csv"
    say(f"next: {typed('cmc', 'generate', run, '-o', heard)}")


train_command.groups = {
    "First needed": ("run", "epochs", "resume"),
    "The network": (
        *("layers", "units", "components", "stack", "cell", "frames"),
        *("sigma_floor", "feature_scales"),
    ),
    "The training": (
        *("preset", "steps", "batch", "batches_per_epoch", "learning_rate", "input_noise"),
        *("weight_penalty", "patience", "keep", "seed"),
    ),
    "Rarely needed": ("jobs", "checkpoint_minutes", "tensorboard", "workers"),
}


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
        strategy = start_tensorflow(distribution.join_workers)
    elif os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        start_tensorflow()
    with terminal_progress("Training") as progress:
        return training.train(corpus, run, progress=progress, strategy=strategy, **options, **given)
