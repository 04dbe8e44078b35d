"""Train the runs that ship, measure them, and write down what they are.

    python data_samples/make_runs.py singer                    train on the clip that ships
    python data_samples/make_runs.py bach --corpus CORPUS      train on a corpus
    python data_samples/make_runs.py bach --corpus CORPUS --measure    measure it anew

The corpora come from `cmc corpus --bach -o CORPUS`; `bach-paper` needs one that was made with
`--preset paper` as well, and `laughter` that of make_laughter.py. A training that was stopped goes
on where it was. With --measure the run is there already, and only its numbers are made again.

A run's folder gets what was measured, evaluation.json; a model card, README.md; that of `bach` ten
seconds of held-out music, held_out.npy; and registry.json gets an entry. The weights differ in
their last digits from processor to processor, so what was measured belongs to the files that ship
and to their checksums.
"""

import argparse
import io
import json
import os
import shlex
import sys
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import make_samples
import numpy as np

from cmc_helpers import cli, corpora, networks, runs
from cmc_helpers.analysis import evaluation
from cmc_helpers.files import replacing
from cmc_helpers.provenance import processor
from cmc_helpers.residuals import Residuals
from cmc_helpers.sampling import Sampling
from cmc_helpers.terminal import quiet_tensorflow, terminal_progress

FOLDER = Path(__file__).resolve().parent
BACH = "Johann Sebastian Bach (1685-1750); public domain; scores from music21 (BSD-3)."
EXCERPT = 10  # seconds
WITH_A_DOUBT = 2  # seed of an excerpt where a chord may ring on or be struck: see notebook 10


@dataclass(frozen=True)
class Recipe:
    """what: a sentence. composition: whose music. options: of `cmc train`. sampling: the
    recommended settings. clip: the file it is trained on, or None for a corpus. preset: of that
    corpus. excerpt: whether ten seconds of held-out music go with it. half: whether its weights are
    kept in half precision, for size."""

    what: str
    composition: str
    options: str
    sampling: Sampling
    clip: str | None = None
    preset: str = "default"
    excerpt: bool = False
    half: bool = False

    def command(self, name):
        """What to type to train it."""
        data = f"data_samples/{self.clip}" if self.clip else "CORPUS"
        return f"cmc train {data} --run data_samples/runs/{name} {self.options}"


RUNS = {
    "bach": Recipe(
        "The best of them: nearly four hours of Bach, four frames at once, and residuals of music "
        "for noise.",
        BACH,
        "--layers 3 --units 224 --mixtures 8 --frames 4 --steps 96 --batches-per-epoch 200 "
        "--epochs 26",
        Sampling("sample", pi_temperature=0.95, noise="residuals"),
        excerpt=True,
        half=True,
    ),
    "bach-paper": Recipe(
        "The paper's network as it stands: a plain stack, linear amplitudes, full sampling.",
        BACH,
        "--stack paper --sigma-floor 0.0001 --input-noise 0.01 --batches-per-epoch 400 --epochs 14",
        Sampling("sample"),
        preset="paper",
    ),
    "bach-mse": Recipe(
        "The layers of bach with a mean alone, trained by squared error for 10 epochs and fed its "
        "own means without any noise. It ends in the paper's steady state (section 4.2).",
        BACH,
        "--layers 3 --units 224 --mixtures 0 --frames 4 --steps 96 --batches-per-epoch 200 "
        "--epochs 10",
        Sampling(),
    ),
    "passage": Recipe(
        "Over-fitted on purpose on bach_prelude.flac (its last tenth held out), as the paper did "
        "with one passage (section 4.2).",
        make_samples.CLIPS["bach_prelude"][1],
        "--epochs 80 --steps 256 --batch 16 --input-noise 0.2 --keep last",
        Sampling("sample", sigma_scale=0.6),
        clip="bach_prelude.flac",
    ),
    "singer": Recipe(
        "Over-fitted on purpose on singer.flac, the paper's other experiment (figure 6).",
        make_samples.CLIPS["singer"][1],
        "--epochs 80 --steps 256 --batch 16 --input-noise 0.2 --keep last",
        Sampling("sample", sigma_scale=0.6),
        clip="singer.flac",
    ),
    "laughter": Recipe(
        "Not music: half an hour of laughing crowds, the paper's example of any other sound "
        "(section 5.3), made by make_laughter.py.",
        make_samples.CLIPS["laughter"][1],
        "--layers 2 --units 128 --mixtures 8 --frames 4 --feature-scales true --steps 64 "
        "--batch 16 --batches-per-epoch 100 --epochs 15",
        Sampling("sample", noise="residuals"),
    ),
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RUNS)
    parser.add_argument("--corpus", help="a folder made by cmc corpus")
    parser.add_argument("--measure", action="store_true", help="it is trained already")
    given = parser.parse_args(arguments)
    recipe, folder = RUNS[given.name], FOLDER / "runs" / given.name
    data = FOLDER / recipe.clip if recipe.clip else given.corpus
    if data is None:
        parser.error(f"{given.name} needs --corpus")
    kept = folder / runs.EVALUATION
    if given.measure:
        before = json.loads(kept.read_text("utf-8"))
        took = {name: before[name] for name in ("minutes", "machine")}
    else:
        minutes = round(train(data, folder, recipe))
        took = {"minutes": minutes, "machine": f"{os.cpu_count()} cores ({processor()})"}
    settings = runs.read_settings(folder)
    runs.write_settings(folder, settings | {"sampling": recipe.sampling.to_dict()})
    for leftover in (runs.CHECKPOINT, ".lock"):
        with suppress(FileNotFoundError):
            (folder / leftover).unlink()
    if recipe.half:
        halve(folder / runs.MODEL)
    quiet_tensorflow()
    run = runs.load(folder)
    corpus = corpora.open_corpus(data)
    with terminal_progress(f"Measuring {given.name}") as progress:
        length = evaluation.CLIPS, evaluation.SECONDS
        found = evaluation.evaluate(run, corpus, *length, progress)
        (_, real), others = evaluation.real_music(corpus, evaluation.CLIPS), {}
        if recipe.sampling.noise == "residuals":  # what each of their traits buys
            bank = run.residuals
            single = Residuals(
                bank.components, bank.scales, bank.vectors, np.arange(len(bank.places))
            )
            for name, one, noise in (
                ("with_single_residuals", replace(run, residuals=single), "residuals"),
                ("with_gaussian_noise", run, "gaussian"),
            ):
                clips = evaluation.running_free(one, corpus, *length, progress, noise=noise)
                others[name] = evaluation.to_dict(evaluation.measure(clips, real, corpus.config))
        cuts = evaluation.cut_up(corpus)
    if recipe.excerpt:  # real music that the run has not heard, to look and listen beside it
        (excerpt,) = evaluation.excerpts(corpus, corpus.unheard, EXCERPT, 1, WITH_A_DOUBT)
        np.save(folder / "held_out.npy", excerpt)
    measured = {
        **took,
        "seconds": evaluation.SECONDS,
        **evaluation.to_dict(found),
        **others,
        "scissors": evaluation.to_dict(cuts),
    }
    text = json.dumps(measured, indent=1) + "\n"
    kept.write_text(text, "utf-8")
    (folder / "README.md").write_text(card(given.name, recipe, run, measured), "utf-8")
    register(given.name, recipe)


def train(data, folder, recipe):
    """Train, or go on with a training that was stopped; return the minutes it took."""
    begin = time.monotonic()
    again = ["--resume"] if (folder / runs.CONFIG).exists() else shlex.split(recipe.options)
    if status := cli.main(["train", str(data), "--run", str(folder), *again]):
        sys.exit(status)
    return (time.monotonic() - begin) / 60


def halve(path):
    """Keep the weights in a .keras file in half precision: half of its size.

    What is measured afterwards is measured with them.
    """
    with zipfile.ZipFile(path) as archive:
        members = {entry: archive.read(entry) for entry in archive.infolist()}
    with (
        replacing(path, runs.RunError) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
    ):
        for entry, content in members.items():
            archive.writestr(entry, _halved(content) if entry.filename.endswith(".h5") else content)


def _halved(content):
    halved = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as whole, h5py.File(halved, "w") as file:

        def copy(name, item):
            if isinstance(item, h5py.Dataset):
                file[name] = item[()].astype(np.float16)
            else:
                file.require_group(name).attrs.update(item.attrs)

        whole.visititems(copy)
    return halved.getvalue()


def card(name, recipe, run, measured):
    """The model card of a run, in Markdown; measured: the contents of evaluation.json."""
    data, losses = run.settings["data"], run.history["validation_loss"]
    hours = {
        split: data[f"{split}_frames"] / run.features.frames_per_second / 3600
        for split in ("train", "validation")
    }
    versions = ", ".join(f"{name} {number}" for name, number in run.settings["versions"].items())
    columns = {"this run": measured["generated"]}
    for noise in ("with single residuals", "with Gaussian noise"):
        if (key := noise.lower().replace(" ", "_")) in measured:
            columns[noise] = measured[key]
    for cut, music in measured.get("scissors", {}).items():
        columns[f"scissors, {float(cut):g} s"] = music
    columns["real music"] = measured["real"]
    facts = {
        "network": f"{networks.in_words(run.network)}; {run.parameters:,} parameters",
        "data": f"{data['name']} (preset {run.features.name}): {data['train_pieces']} pieces, "
        f"{hours['train']:.2f} h, to learn from; {data['validation_pieces']} pieces, "
        f"{hours['validation']:.2f} h, held out",
        "music": recipe.composition,
        "trained by": f"`{recipe.command(name)}`",
        "took": f"{measured['minutes']} minutes on {measured['machine']}; {versions}",
        "history": f"{len(losses)} epochs, see history.csv; lowest held-out loss "
        f"{min(losses):.5g} in normalised units ({run.network.loss_unit}), "
        f"in epoch {1 + losses.index(min(losses))}; kept is the {run.settings['training']['keep']}",
        "recommended sampling": ", ".join(
            f"{knob} {value}" for knob, value in recipe.sampling.to_dict().items()
        ),
        "licence": "CC0-1.0",
    }
    nothing = [""] * (len(columns) - 1)
    rows = {
        "held out, nats per frame on amplitudes": [measured["nats"], *nothing],
        "the same of copying the frame before": [*nothing, measured["copying"]],
        f"what became of {measured['clips']} clips of {measured['seconds']} s": [
            ", ".join(f"{count} {fate}" for fate, count in music["fates"].items())
            for music in columns.values()
        ],
        "notes per second": [music["onsets"] for music in columns.values()],
        "level": [music["level"] for music in columns.values()],
    } | dict(judged(columns, measured))
    data = f"data_samples/{recipe.clip}" if recipe.clip else "CORPUS"
    return "\n".join(
        [
            f"# {name}\n\n{recipe.what}\n",
            *(f"- {fact}: {text}" for fact, text in facts.items()),
            f"\nMeasured by `cmc evaluate {name} {data}`:\n",
            "| | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns),
            *(f"| {what} | " + " | ".join(map(str, row)) + " |" for what, row in rows.items()),
            "",
        ]
    )


def judged(columns, measured):
    """Rows of the card: what each judge said of each column, with its interval."""
    for judge, null in measured.get("null", {}).items():
        said = [music["judged"].get(judge) for music in columns.values()]
        cells = [f"{x['accuracy']:.2f} ({x['low']:.2f} to {x['high']:.2f})" for x in said if x]
        real = f"{null['mean']:.2f} ± {null['deviation']:.2f}"
        yield f"detected beside held-out music by its {judge}", [*cells, real]
    for scale in measured["generated"].get("two_sample", ()):  # measured before judges had a null
        rates = [music["two_sample"][scale] for music in columns.values()]
        yield f"told from held-out music by its {scale}", rates


def register(name, recipe):
    """Bring the run's entry in registry.json, and the list in README.md, up to date."""
    corpus = "" if recipe.clip else " --corpus CORPUS"
    entry = {
        "path": f"runs/{name}",
        "what": recipe.what,
        "composition": recipe.composition,
        "made_by": f"python data_samples/make_runs.py {name}{corpus}",
        "licence": "CC0-1.0",
    }
    make_samples.register(entry)


if __name__ == "__main__":
    main()
