"""What a network makes: `cmc generate`, `cmc evaluate` and `cmc runs`."""

import json
import textwrap
from pathlib import Path
from typing import Any

import click

from cmc_helpers import corpora, generation, mixtures, networks, performance, runs
from cmc_helpers.analysis import evaluation, judges
from cmc_helpers.audio import write_audio
from cmc_helpers.cli.shared import (
    SOUND,
    Number,
    check_output,
    duration,
    output_option,
    say,
    seed_option,
    start_tensorflow,
    typed,
)
from cmc_helpers.corpora import samples
from cmc_helpers.provenance import provenance, write
from cmc_helpers.sampling import KNOBS
from cmc_helpers.terminal import terminal_progress
from cmc_helpers.vectors import write_csv


def _sampling(command):
    """The options that say how the next vector is chosen: one for each field of `Sampling`."""
    for name, knob in reversed(KNOBS.items()):
        about, choices = knob.metadata, knob.metadata["choices"]
        some = about["of"] != mixtures.STRATEGIES
        words = f"For {' and '.join(about['of'])}: " * some + about["words"]
        default = "the run's" + f"; with another --strategy {about['own']}" * bool(about["own"])
        kind = click.Choice(list(choices)) if choices else Number(*about["between"])
        option = "--" + name.replace("_", "-")
        command = click.option(option, type=kind, help=words, show_default=default)(command)
    return command


@click.command("generate")
@click.argument("run")
@output_option(
    "The file to write: .csv, or for sound .wav, .flac, .ogg (or .csv for its features)."
)
@click.option(
    "--steps",
    type=click.IntRange(1, 1_000_000),
    help="How many vectors or frames.",
    show_default="200 vectors",
)
@click.option(
    "--seconds", type=Number(0.01, 3600), help="How much sound to make.", show_default="10"
)
@_sampling
@seed_option(
    "The same seed gives the same bytes, but in Ogg: that is never twice the same.", default=1
)
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
    check_output(output, *(SOUND if config else ()), ".csv")
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
    say(f"{output}: {duration(steps, config)}")


@click.command("evaluate")
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
    type=Number(20, 3600),
    default=evaluation.SECONDS,
    help="How long each of them runs.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="A JSON file for the numbers.",
    show_default="evaluation.json in the folder of a run of your own",
)
@_sampling
def evaluate_command(
    run: str, data: str, clips: int, seconds: float, output: str | None, **sampling: Any
) -> None:
    """Measure what RUN foresees of DATA, and what it makes alone.

    Foreseen is music that it has not learnt from; alone it goes on from the beginnings of such
    music. RUN is a folder made by cmc train, or the name of a run that ships (see cmc runs); DATA a
    corpus made by cmc corpus, or a single recording.

    Every number stands beside that of real music. A judge learns to detect what the run made: how
    often it is right, where 0.5 is chance; an interval (95 %, from the clips); and what it says of
    real music beside other real music.
    """
    folder = runs.find(run)
    if output is None and folder.resolve() not in [x.resolve() for x in runs.shipped().values()]:
        output = str(folder / runs.EVALUATION)
    if output:
        check_output(output, ".json")
    start_tensorflow()
    loaded = runs.load(folder)
    corpus = corpora.open_corpus(data, loaded.features)
    with terminal_progress("Running free") as progress:
        found = evaluation.evaluate(loaded, corpus, clips, seconds, progress, **sampling)
    if output:
        about = provenance(typed("cmc", "evaluate", run, data))
        write(output, about | evaluation.to_dict(found))
    made, real = found.generated, found.real
    fates = ", ".join(f"{count} {fate}" for fate, count in made.fates.items())
    say(f"held out: {found.nats:.1f} nats per frame (copying {found.copying:.1f})")
    say(f"{clips} clips of {seconds:g} s: {fates}")
    say(f"notes per second: {made.onsets:.2f} (real music {real.onsets:.2f})")
    say(f"level: {made.level:.2f} (real music {real.level:.2f})")
    if made.judged:
        say(f"{'judge':13}{'right':>5}  {'interval':14}{'real music':13}verdict")
    for name, judged in made.judged.items():
        say(f"{name:13}{judged.accuracy:5.2f}  {_beside_the_null(judged, found.null.get(name))}")
    pieces = f"{found.pieces} piece{'s' * (found.pieces > 1)} of the {found.part} part"
    if not made.judged:
        say(f"no judge: it needs two clips of {evaluation.JUDGED} s, and there are {pieces}")
        return
    say(f"judged beside {found.clips} clips of {evaluation.JUDGED} s from {pieces}")
    if found.pieces < found.clips:
        say("with so few pieces the intervals are too narrow: stretches of one piece are alike")


def _beside_the_null(judged, null):
    """The rest of a judge's line: interval, null, and what follows from them."""
    interval = f"{judged.low:.2f} to {judged.high:.2f}"
    if null is None:
        return f"{interval:14}unknown"
    found = judges.detected(judged, null)
    verdict = "detected" if found else "not distinguishable at this size"
    return f"{interval:14}{f'{null.mean:.2f} ± {null.deviation:.2f}':13}{verdict}"


@click.command("runs")
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
        say(f"{name:{margin}}" + textwrap.indent(text, " " * margin).strip())
    if not shipped:
        say("No run ships with this version: cmc train makes one.")


def _details(folder, settings):
    """Three lines on a run: what it learnt from, its network, and how it chooses."""
    data = settings["data"]
    yield f"{data['name']}, {duration(data['train_frames'], runs.read_feature_config(folder))}"
    yield networks.in_words(networks.NetworkConfig(**settings["network"]))
    strategy, *knobs = (f"{knob} {value}" for knob, value in settings["sampling"].items())
    yield ", ".join([strategy.split()[1], *knobs]).replace("_", "-")
