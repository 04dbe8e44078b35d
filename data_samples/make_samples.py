"""Make every CSV file and every clip in this folder, and write down what they are.

    python data_samples/make_samples.py           make them all, and registry.json and README.md
    python data_samples/make_samples.py --check   make them elsewhere and compare: 0 if all agree

The same bytes come out each time. On another processor a sample of sound may differ in its last
bit, which is why --check compares sound to within one step of 16 bits.

An entry of registry.json that is not made here stays as it is; one without `sha256` gets it. So a
folder is registered by adding an entry with `path`, `what`, `made_by` and `licence`.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import scores
import soundfile
from voices import laughter, singer

from cmc_helpers import sequences
from cmc_helpers.audio import write_audio
from cmc_helpers.scores.instruments import piano
from cmc_helpers.vectors import write_csv

FOLDER = Path(__file__).resolve().parent
COMMAND = "python data_samples/make_samples.py"
SAMPLE_RATE = 22050  # Hz
STEP = 2.0**-15  # of 16 bits

SEQUENCES = {  # 50 periods of each
    "cyclic": (350, "A 1 that walks right and starts over (paper, section 4.1)."),
    "bounce": (800, "A 1 that walks to and fro (paper, section 4.1)."),
    "double_cyclic": (450, "Two ones, two columns apart, that walk right and start over."),
    "double_bounce": (500, "Two ones that walk to and fro in opposite phase."),
}
CLIPS = {
    "bach_prelude": (
        "Prelude in C major, BWV 846, bars 1 to 7 and a closing chord, on an additive piano.",
        "Johann Sebastian Bach (1685-1750); public domain; encoded by hand in scores.py.",
    ),
    "chopin_prelude": (
        "Prelude in A major, op. 28 no. 7, bars 1 to 8, on an additive piano.",
        "Frédéric Chopin (1810-1849); public domain; encoded by hand in scores.py.",
    ),
    "singer": (
        'The chorale tune "Nun danket alle Gott", two lines and their repeat, sung on vowels '
        "by glottal pulses through resonances.",
        "Johann Crüger (1598-1662), words by Martin Rinckart (1586-1649); public domain; "
        "encoded by hand in scores.py.",
    ),
    "laughter": (
        "A crowd of 24 that laughs, in waves: no music, but glottal pulses and breath through "
        "resonances, every laugh drawn at random.",
        "Nobody's: nothing is composed here, and nobody was recorded.",
    ),
}


def make(folder):
    """Write the four sequences and the four clips into `folder`."""
    for name, (steps, _) in SEQUENCES.items():
        write_csv(folder / f"{name}.csv", getattr(sequences, name)(steps))
    for name, waveform in {
        "bach_prelude": play(scores.BACH, seed=846),
        "chopin_prelude": play(scores.CHOPIN, seed=28),
        "singer": sing(scores.CHORALE, seed=1647),
        "laughter": laughter(60, SAMPLE_RATE, seed=2001),
    }.items():
        write_audio(folder / f"{name}.flac", waveform, SAMPLE_RATE)


def play(score, seed):
    """The waveform of a score for piano."""
    pedal = [(scores.seconds(score, down), scores.seconds(score, up)) for down, up in score.pedal]
    return piano(scores.perform(score, seed), SAMPLE_RATE, pedal=pedal)


def sing(score, seed):
    """The waveform of a score for one voice: legato, so no note is early or late."""
    return singer(scores.perform(score, seed, timing=0), score.vowels.split(), SAMPLE_RATE)


def describe(folder):
    """The entries of the registry for what `make` wrote into `folder`."""
    made = {"made_by": COMMAND, "licence": "CC0-1.0"}
    for name, (steps, what) in SEQUENCES.items():
        path = folder / f"{name}.csv"
        width = len(path.read_text().split("\n", 1)[0].split(","))
        yield {"path": path.name, "what": what, **made, "steps": steps, "width": width}
    for name, (what, composition) in CLIPS.items():
        path = folder / f"{name}.flac"
        info = soundfile.info(path)
        length = {"seconds": round(info.duration, 3), "sample_rate": info.samplerate}
        yield {"path": path.name, "what": what, "composition": composition, **made, **length}


def checksums(path):
    """SHA-256 of a file, or {name: SHA-256} of the files in a folder, for the registry."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        return {p.relative_to(path).as_posix(): checksums(p) for p in files}
    return hashlib.sha256(path.read_bytes()).hexdigest()


def register(*others):
    """Write registry.json, and the list of files in README.md.

    others: entries made elsewhere; each takes the place of the one for the same path, at the end.
    """
    registry, readme = FOLDER / "registry.json", FOLDER / "README.md"
    ours, stored = list(describe(FOLDER)), []
    if registry.exists():
        stored = json.loads(registry.read_text("utf-8"))
    new = {entry["path"] for entry in (*ours, *others)}
    entries = [*ours, *(entry for entry in stored if entry["path"] not in new), *others]
    entries = [{**e, "sha256": e.get("sha256") or checksums(FOLDER / e["path"])} for e in entries]
    registry.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", "utf-8")

    mark = "<!-- from here on written by make_samples.py -->\n"
    text = readme.read_text("utf-8").partition(mark)[0]
    readme.write_text(text + mark + "".join(map(paragraph, entries)), "utf-8")


def paragraph(entry):
    """An entry of the registry in Markdown."""
    facts = {key: value for key, value in entry.items() if key not in ("path", "what", "sha256")}
    sums = entry["sha256"]
    lines = [f"- {key.replace('_', ' ')}: {value}" for key, value in facts.items()]
    for name, digest in sums.items() if isinstance(sums, dict) else [("", sums)]:
        lines.append(f"- SHA-256 {name}: `{digest}`".replace(" :", ":"))
    return f"\n## {entry['path']}\n\n{entry['what']}\n\n" + "\n".join(lines) + "\n"


def differences(folder):
    """Yield a sentence for each file in FOLDER that differs from the one in `folder`."""
    for made in sorted(folder.iterdir()):
        stored = FOLDER / made.name
        if not stored.exists():
            yield f"{made.name} is missing"
        elif made.suffix == ".csv":
            if made.read_bytes() != stored.read_bytes():
                yield f"{made.name} differs"
        else:
            ours, theirs = soundfile.read(made)[0], soundfile.read(stored)[0]
            if ours.shape != theirs.shape:
                yield f"{made.name} lasts {len(theirs)} samples instead of {len(ours)}"
            elif (steps := np.abs(ours - theirs).max() / STEP) > 1:
                yield f"{made.name} differs by up to {steps:.0f} steps of 16 bits"


def main(arguments):
    if arguments == ["--check"]:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder))
            found = list(differences(Path(folder)))
        print("\n".join(found) or "all samples are as they are made")
        return int(bool(found))
    if arguments:
        print(f"usage: {COMMAND} [--check]", file=sys.stderr)
        return 2
    make(FOLDER)
    register()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
