"""The samples that ship: short clips, small sequences, trained runs."""

from pathlib import Path

from cmc_helpers.corpora.building import CorpusError


def samples_folder() -> Path:
    """The folder data_samples: in a checkout, or inside an installed package."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "data_samples", package.parent / "data_samples"):
        if (folder / "registry.json").is_file():
            return folder
    raise CorpusError("the folder data_samples is missing: install the package again")


def sample_path(name: str) -> Path:
    """The path of a shipped sample, such as "bach_prelude.flac"; CorpusError for another name."""
    path = samples_folder() / name
    if not path.exists():
        names = sorted(p.name for p in samples_folder().iterdir() if p.suffix in (".csv", ".flac"))
        raise CorpusError(f"there is no sample {name}; the samples are {', '.join(names)}")
    return path
