"""A run: one folder that holds everything needed to generate again.

| file            | what it is                                                                 |
|-----------------|----------------------------------------------------------------------------|
| config.json     | settings of features, network, training and sampling; data; versions       |
| model.keras     | the network: of the lowest held-out loss, or the last if so asked (`keep`) |
| normaliser.npz  | the corpus statistics: offset and matrix                                   |
| primer.npy      | features (T, m) to begin from when the user gives none                     |
| residuals.npz   | of a network with a mixture: what it did not foresee, see `residuals`      |
| history.csv     | one line an epoch: epoch, loss, validation loss                            |
| checkpoint.npz  | a place between two batches, to go on from; not needed to generate         |

Nothing in it is a pickle. Of model.keras only the weights are read, as arrays of the shapes that
config.json asks for, so loading a run from a stranger runs no code of theirs, and no TensorFlow;
Keras can open the file too.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cmc_helpers import networks
from cmc_helpers.corpora import samples
from cmc_helpers.features import GROUP_WIDTHS, FeatureConfig, Normaliser
from cmc_helpers.files import (
    FileError,
    parse_json,
    read_array,
    readable_file,
    replacing,
    unzip,
)
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.residuals import COUNT, Residuals
from cmc_helpers.sampling import Sampling

FORMAT = 1
CONFIG, MODEL, NORMALISER, PRIMER, RESIDUALS, HISTORY, CHECKPOINT = (
    "config.json",
    "model.keras",
    "normaliser.npz",
    "primer.npy",
    "residuals.npz",
    "history.csv",
    "checkpoint.npz",
)
EVALUATION = "evaluation.json"

_OF_RESIDUALS = ("components", "scales", "vectors", "places")


class RunError(FileError):
    """A run folder that cannot be used, in one sentence."""


@dataclass(frozen=True, eq=False)
class Run:
    """A trained network with all it needs.

    settings: the whole config.json. features: FeatureConfig, or None for plain vectors. network:
    NetworkConfig. normaliser: Normaliser. primer: (T, m). sampling: the recommended
    `sampling.Sampling`. weights: see `networks.weights`. residuals: a `residuals.Residuals`, or
    None in a run that keeps none, whose noise is Gaussian then.
    """

    folder: Path | None
    settings: dict[str, Any]
    features: FeatureConfig | None
    network: NetworkConfig
    normaliser: Normaliser
    primer: np.ndarray
    sampling: Sampling
    weights: dict[str, list[np.ndarray]]
    residuals: Residuals | None = None

    def __repr__(self):
        network = networks.in_words(self.network)
        return f"<run {self.folder or 'in memory'}: {network}, {self.parameters:,} numbers>"

    @property
    def parameters(self) -> int:
        """How many numbers training has set."""
        return sum(w.size for arrays in self.weights.values() for w in arrays)

    @cached_property
    def layers(self) -> networks.InNumPy:
        """The network in NumPy, to generate with: see `networks.InNumPy`."""
        return networks.InNumPy(self.weights)

    @cached_property
    def model(self) -> Any:
        """The network as a keras.Model, to train on, to judge and to take apart."""
        model = networks.build(self.network)
        for name, arrays in self.weights.items():
            model.get_layer(name).set_weights(arrays)
        return model

    @property
    def history(self) -> dict[str, list[float]]:
        """Columns of history.csv: {"epoch": [...], "loss": [...], "validation_loss": [...]}."""
        if not self.folder:
            raise RunError(
                "a run that lives in memory alone keeps no history: train it into a folder"
            )
        return read_history(self.folder / HISTORY)


def load(folder: str | Path) -> Run:
    """Open a run: a folder, or the name of one that ships, as in load("bach").

    RunError: missing, incomplete, of another format, or inconsistent.
    """
    folder = find(folder)
    settings = read_settings(folder)
    features = read_feature_config(folder)
    for name in (MODEL, NORMALISER, PRIMER):
        if not (folder / name).is_file():
            raise RunError(
                f"{folder} is incomplete, {name} is missing: finish its training with `resume=True`"
            )
    try:
        network = NetworkConfig(**settings["network"])
        sampling = Sampling.from_dict(settings["sampling"])
        if features and network.features != len(GROUP_WIDTHS):
            raise ValueError(f"sound has {len(GROUP_WIDTHS)} features, not {network.features}")
    except (ValueError, KeyError, TypeError) as problem:
        raise _not_a_run(folder, problem) from problem
    residuals = read_residuals(folder, network) if (folder / RESIDUALS).exists() else None
    if not residuals:  # an older run, or one whose training was stopped
        sampling = replace(sampling, noise="gaussian")
    normaliser = read_normaliser(folder, network.width)
    primer = _load_array(folder / PRIMER, (None, network.features))
    return Run(
        folder,
        settings,
        features,
        network,
        normaliser,
        primer,
        sampling,
        _read_weights(folder / MODEL, network),
        residuals,
    )


def read_settings(folder: str | Path) -> dict[str, Any]:
    """The settings of a run as a dictionary, without loading its model. Raises RunError."""
    folder = Path(folder)
    if not folder.is_dir():
        close = get_close_matches(str(folder), shipped(), 1)
        meant = f" (did you mean {close[0]}?)" if close else " (cmc runs lists those that ship)"
        raise RunError(f"{folder} is not a run folder: give one made by cmc train{meant}")
    path = folder / CONFIG
    if not path.is_file():
        raise RunError(
            f"{folder} is not a run, it has no {CONFIG}: give a folder made by cmc train"
        )
    try:
        settings = parse_json(readable_file(path, RunError).read_text(encoding="utf-8"))
        version = settings["format"]
    except RunError:
        raise
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{path} is damaged: train the run again") from None
    if version != FORMAT:
        raise RunError(
            f"{folder} is a run of format {version!r:.20}, this version reads format {FORMAT}: "
            "train it again"
        )
    return settings


def read_feature_config(folder: str | Path) -> FeatureConfig | None:
    """The FeatureConfig of a run, or None for plain vectors, without its model. RunError."""
    settings = read_settings(folder)
    try:
        stored = settings["features"]
        return None if stored is None else FeatureConfig.from_dict(stored)
    except (ValueError, KeyError) as problem:
        raise _not_a_run(folder, problem) from problem


def write_settings(folder: str | Path, settings: dict[str, Any]) -> None:
    """Write config.json, whole or not at all."""
    with replacing(Path(folder) / CONFIG, RunError) as temporary:
        text = json.dumps({"format": FORMAT, **settings}, indent=1, ensure_ascii=False)
        # What is no character, as in the name of a file from elsewhere, is JSON's own escape then.
        temporary.write_text(text + "\n", "utf-8", errors="backslashreplace", newline="\n")


def write_normaliser(folder: str | Path, normaliser: Normaliser) -> None:
    """Write normaliser.npz."""
    with replacing(Path(folder) / NORMALISER, RunError) as temporary:
        np.savez(temporary, offset=normaliser.offset, matrix=normaliser.matrix)


def read_normaliser(folder: str | Path, m: int) -> Normaliser:
    """The inverse of `write_normaliser`, for features of width m. RunError: damaged, or of another
    width."""
    path = Path(folder) / NORMALISER
    try:
        files = unzip(readable_file(path, RunError), "offset.npy", "matrix.npy")
        normaliser = Normaliser(*map(read_array, files.values()))
        fits = normaliser.offset.shape == (m,) and normaliser.matrix.shape == (m, m)
        fits = fits and normaliser.offset.dtype.kind == normaliser.matrix.dtype.kind == "f"
        with np.errstate(all="ignore"):  # NaN and what overflows is not close to 1
            fits = fits and np.isfinite(normaliser.offset).all()
            product = fits and normaliser.matrix @ normaliser.inverse
        fits = fits and np.allclose(product, np.eye(m), atol=1e-6)
    except RunError:
        raise
    except Exception:  # a damaged ZIP file or header raises a dozen kinds
        fits = False
    if not fits:
        raise RunError(f"{path} is damaged or belongs to another run: train the run again")
    return normaliser


def write_residuals(folder: str | Path, residuals: Residuals) -> None:
    """Write residuals.npz."""
    with replacing(Path(folder) / RESIDUALS, RunError) as temporary:
        np.savez_compressed(temporary, **{name: getattr(residuals, name) for name in _OF_RESIDUALS})


def read_residuals(folder: str | Path, network: NetworkConfig) -> Residuals:
    """The inverse of `write_residuals`, for a network of this shape. RunError: damaged, or of
    another network."""
    path = Path(folder) / RESIDUALS
    try:
        names = [f"{name}.npy" for name in _OF_RESIDUALS]
        size = readable_file(path, RunError).stat().st_size
        times = 20 + COUNT * (network.width + 28) / size  # many zeros take hardly any room
        arrays = [*map(read_array, unzip(path, *names, times=times).values())]
        components, scales, vectors, places = arrays
        fits = [array.dtype.kind for array in arrays] == ["i", "f", "i", "i"]
        fits = fits and vectors.shape == (len(vectors), network.width) and len(vectors) > 0
        fits = fits and {a.shape for a in (components, scales, places)} == {vectors.shape[:1]}
        fits = fits and 0 <= components.min() and components.max() < network.components
        fits = fits and np.isfinite(scales).all() and scales.min() > 0
    except RunError:
        raise
    except Exception:  # a damaged ZIP file or header raises a dozen kinds
        fits = False
    if not fits:
        raise RunError(f"{path} is damaged or belongs to another run: train the run again")
    return Residuals(*arrays)


def write_primer(folder: str | Path, features: ArrayLike) -> None:
    """Write primer.npy: features (T, m), not normalised."""
    with replacing(Path(folder) / PRIMER, RunError) as temporary:
        np.save(temporary, np.asarray(features, np.float32), allow_pickle=False)


def write_model(folder: str | Path, model: Any) -> None:
    """Write model.keras: layers and weights, without the optimizer that trained them."""
    import keras

    with replacing(Path(folder) / MODEL, RunError) as temporary:
        keras.Model(model.inputs[0], model.outputs[0], name=model.name).save(temporary)


def write_history(folder: str | Path, history: Mapping[str, Sequence[float]]) -> None:
    """Write history.csv from {"epoch": [...], "loss": [...], "validation_loss": [...]}."""
    with replacing(Path(folder) / HISTORY, RunError) as temporary:
        lines = [",".join(history)]
        lines += [
            ",".join(f"{value:.6g}" for value in row) for row in zip(*history.values(), strict=True)
        ]
        temporary.write_text("\n".join(lines) + "\n", "utf-8", newline="\n")


def read_history(path: str | Path) -> dict[str, list[float]]:
    """The inverse of `write_history`: column name → list of numbers. RunError: damaged."""
    path = readable_file(path, RunError)
    try:
        names, *rows = (line.split(",") for line in path.read_text(encoding="utf-8").splitlines())
        columns = zip(*rows, strict=True) if rows else [()] * len(names)
        found = {n: [*map(float, column)] for n, column in zip(names, columns, strict=True)}
    except ValueError as problem:
        raise RunError(f"{path} is damaged: train the run again ({problem!s:.99})") from problem
    return found


def shipped() -> dict[str, Path]:
    """{name: folder} of the trained runs in data_samples/runs."""
    return {
        path.parent.name: path.parent
        for path in sorted((samples.samples_folder() / "runs").glob(f"*/{CONFIG}"))
    }


def find(name: str | Path) -> Path:
    """A path, or the name of a shipped run → the run's folder."""
    path = Path(name)
    return path if path.exists() else shipped().get(str(name), path)


def _not_a_run(folder, problem):
    return RunError(
        f"{Path(folder) / CONFIG} does not describe a run ({problem!s:.200}): train it again"
    )


def _load_array(path, shape):
    try:
        array = read_array(readable_file(path, RunError).read_bytes())
    except RunError:
        raise
    except Exception:  # a damaged header raises a dozen kinds
        array = np.empty(0)
    fits = array.ndim == len(shape) and all(
        wanted in (None, got) for wanted, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind != "f" or len(array) == 0 or not np.isfinite(array).all():
        raise RunError(f"{path} is damaged or belongs to another run: train the run again")
    return array


def _read_weights(path, network):
    """The weights in a .keras file: a ZIP file with an HDF5 file in it, a group for each layer."""
    import h5py

    stored, weights = {}, None
    try:
        content = unzip(readable_file(path, RunError), "model.weights.h5")["model.weights.h5"]
        with h5py.File(io.BytesIO(content)) as file:
            layers, groups = _inside(file, "layers"), networks.keras_groups(network)
            for name in [*layers] if len(layers) <= 3 * network.layers + 5 else ():
                layer = _inside(layers, name)
                arrays = _inside(layer, *(("cell", "vars") if "cell" in layer else ("vars",)))
                arrays = [_inside(arrays, str(number)) for number in range(len(arrays))]
                stored |= {groups[name]: arrays} if arrays else {}
            shapes = {name: [array.shape for array in arrays] for name, arrays in stored.items()}
            if shapes == networks.weight_shapes(network):  # before anything large is read
                everything = [array for arrays in stored.values() for array in arrays]
                if not _are_plain(everything) or sum(a.nbytes for a in everything) > len(content):
                    raise ValueError("it holds less than it says")
                weights = {
                    name: [np.asarray(array[()], np.float32) for array in arrays]
                    for name, arrays in stored.items()
                }
    except RunError:
        raise
    except Exception as problem:  # HDF5 raises a dozen kinds for a damaged file
        raise RunError(
            f"{path} cannot be loaded as a Keras model: train the run again"
        ) from problem
    if weights is None:
        raise RunError(f"{path} is not the network that {CONFIG} describes: train the run again")
    if not all(np.isfinite(w).all() for arrays in weights.values() for w in arrays):
        raise RunError(f"{path} holds NaN or infinite weights: train the run again")
    return weights


def _inside(group, *names):
    """What lies in an HDF5 group under these names, one in the other; never in another file."""
    import h5py

    for name in names:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is elsewhere")
        group = group[name]
    return group


def _are_plain(arrays):
    """Do the numbers of these HDF5 datasets all lie in their file as they are, as Keras writes?

    HDF5 could also take them from other files, unpack them, or make them up.
    """
    return all(
        array.dtype.kind == "f"
        and array.chunks is None
        and array.external is None
        and not array.is_virtual
        and array.nbytes == array.id.get_storage_size()
        for array in arrays
    )
