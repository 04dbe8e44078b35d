"""Notes instead of sound: the paper's other road (section 5.3).

A score is laid on a grid of sixteenths and written as a text of tokens: strike a key, release a
key, let a sixteenth pass. An LSTM reads the text and goes on with it, one token after the other, in
the tradition of char-rnn (Karpathy 2015) and Performance RNN (Simon and Oore 2017). What it writes
can be printed as MIDI, and any instrument plays it.

    score ──► read ──► notes ──► encode ──► tokens ──► network ──► tokens ──► decode ──► notes ──►
    write_midi, or as_score ──► performing.perform ──► instrument.play ──► waveform

Notebook: 14.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from cmc_helpers import networks
from cmc_helpers.corpora import sample_path
from cmc_helpers.files import FileError, read_array, readable_file, replacing, unzip
from cmc_helpers.scores.grid import KEYS as KEYS
from cmc_helpers.scores.grid import LOWEST as LOWEST
from cmc_helpers.scores.grid import QUARTERS_PER_MINUTE as QUARTERS_PER_MINUTE
from cmc_helpers.scores.grid import STEPS_PER_QUARTER as STEPS_PER_QUARTER
from cmc_helpers.scores.grid import GridNote as GridNote
from cmc_helpers.scores.grid import as_score as as_score
from cmc_helpers.scores.grid import on_the_grid as on_the_grid
from cmc_helpers.scores.grid import read as read
from cmc_helpers.scores.grid import write_midi as write_midi

END, STEP, STRIKE, RELEASE = 0, 1, 2, 2 + KEYS  # the last two: of the lowest key
VOCABULARY = 2 + 2 * KEYS
_CROWD = 64  # tokens without a step, after which time passes whatever the network says


class SymbolicError(FileError):
    """A file of tokens or weights that cannot be used, in one sentence."""


# --------------------------------------------------------------------------- notes ↔ tokens


def encode(notes: Sequence[GridNote]) -> np.ndarray:
    """`GridNote`s, no two of them on one key at once → tokens (n,), integers below VOCABULARY.

    At each moment the keys that are let go come first, then those that are struck, from the highest
    to the lowest; a STEP is a sixteenth. The text ends when the last key is up.

    Notebook: 14, section 2.
    """
    moves = [(n.start, 1, -n.pitch, STRIKE + n.pitch - LOWEST) for n in notes]
    moves += [(n.start + n.length, 0, -n.pitch, RELEASE + n.pitch - LOWEST) for n in notes]
    tokens, now = [], 0
    for time, _, _, token in sorted(moves):
        tokens += [STEP] * (time - now) + [token]
        now = time
    return np.array(tokens, np.uint8)


def decode(tokens: Iterable[int]) -> list[GridNote]:
    """Tokens → `GridNote`s in order: `encode` backwards, and an answer to any other text as well.

    A key that is struck while it is down goes up first; one that is let go while it is up stays up;
    at an END, and after the last token, all keys go up. What is let go at once was not heard.
    Raises ValueError for a number that is no token.

    Notebook: 14, section 2.
    """
    notes, down, now = [], {}, 0  # type: ignore[var-annotated]  # as in lesson 14
    for token in [*map(int, tokens), END]:
        if not 0 <= token < VOCABULARY:
            raise ValueError(f"{token} is no token: they are 0 to {VOCABULARY - 1}")
        now += token == STEP
        pitch = LOWEST + (token - STRIKE) % KEYS
        for key in {END: list(down), STEP: []}.get(token, [pitch]):
            start = down.pop(key, now)
            notes += [GridNote(start, now - start, key)] if start < now else []
        if STRIKE <= token < RELEASE:
            down[pitch] = now
    return sorted(notes)


def spell(tokens: Iterable[int]) -> str:
    """Tokens as words: "↓C5" strikes, "↑C5" releases, "·" is a sixteenth, "|" an end."""
    names = "C C♯ D E♭ E F F♯ G A♭ A B♭ B".split()
    words = {END: "|", STEP: "·"}
    for key in range(KEYS):
        octave, tone = divmod(LOWEST + key, 12)
        words[STRIKE + key] = f"↓{names[tone]}{octave - 1}"
        words[RELEASE + key] = f"↑{names[tone]}{octave - 1}"
    return " ".join(words[int(token)] for token in tokens)


def transpose(tokens: ArrayLike, semitones: int | np.integer) -> np.ndarray:
    """The same text on other keys, so many semitones higher. Raises ValueError off the piano."""
    tokens = np.asarray(tokens, np.uint8)
    keys = (tokens[tokens >= STRIKE].astype(int) - STRIKE) % KEYS + semitones
    if keys.size and not (0 <= keys.min() and keys.max() < KEYS):
        raise ValueError(f"{semitones} semitones move a note off the piano: choose fewer")
    return np.where(tokens >= STRIKE, tokens.astype(int) + semitones, tokens).astype(np.uint8)


# --------------------------------------------------------------------------- what is learnt from


def load_chorales() -> list[dict[str, np.ndarray]]:
    """The pieces of `bach.sources` as tokens: two dicts {name: (n,)}, to learn from and held out.

    Every tenth piece of the order in which `cmc corpus --bach` builds is held out. Raises
    SymbolicError.
    """
    stored = _load(sample_path("chorales.npz"), {"names", "lengths", "held_out", "tokens"})
    texts = np.split(stored["tokens"], np.cumsum(stored["lengths"])[:-1])
    pieces = list(zip(stored["names"].tolist(), texts, stored["held_out"].tolist(), strict=True))
    return [{name: text for name, text, held in pieces if held == wanted} for wanted in (0, 1)]


def windows(
    texts: Sequence[np.ndarray],
    steps: int,
    rng: np.random.Generator | None = None,
    semitones: int = 0,
) -> list[np.ndarray]:
    """Inputs and targets, each (n, steps): all texts in one row, cut; a target is the next token.

    texts: a list of tokens (n,); an END stands between two. rng: a `numpy.random.Generator` that
    shuffles them, moves each by −semitones … semitones, and begins the first window anywhere.

    Notebook: 14, section 4.
    """
    # Lesson 14 writes it so, and a type checker has to bear it: whoever gives `semitones` gives
    # `rng`, too, and `row` is first a list, then an array.
    row = [np.array([END], np.uint8)]
    for index in range(len(texts)) if rng is None else rng.permutation(len(texts)):
        move = rng.integers(-semitones, semitones, endpoint=True) if semitones else 0  # type: ignore[union-attr]
        row += [transpose(texts[index], move), row[0]]
    row = np.concatenate(row)  # type: ignore[assignment]
    row = row[0 if rng is None else rng.integers(steps) :]
    count = (len(row) - 1) // steps
    return [row[shift : shift + count * steps].reshape(count, steps) for shift in (0, 1)]  # type: ignore[attr-defined]


# --------------------------------------------------------------------------- the network


def build(layers: int = 1, units: int = 128, embedding: int = 32) -> Any:
    """A Keras model: tokens (batch, T) → logits of the next one (batch, T, VOCABULARY).

    Notebook: 14, section 4.
    """
    import keras

    model = keras.Sequential(name="notes")
    model.add(keras.layers.Embedding(VOCABULARY, embedding, name="embedding"))
    for number in range(1, layers + 1):
        model.add(keras.layers.LSTM(units, return_sequences=True, name=f"lstm_{number}"))
    model.add(keras.layers.Dense(VOCABULARY, name="project"))
    model.build((None, None))
    return model


def cost(targets: Any, logits: Any) -> Any:
    """−ln P of each target, in nats: integers (batch, T), logits (batch, T, V) → (batch, T).

    Notebook: 14, section 4.
    """
    import keras

    return keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)


class InNumPy:
    """A network that `build` made, ready to write, one token after the other, without TensorFlow.

    weights: {layer's name: its arrays}, see `networks.weights`.
    """

    def __init__(self, weights: Mapping[str, Sequence[np.ndarray]]) -> None:
        self._embedding = weights["embedding"][0]
        stack = {name: arrays for name, arrays in weights.items() if name != "embedding"}
        layers = networks.InNumPy(stack)
        self._lstms = [layers.get_layer(name) for name in sorted(stack) if name != "project"]
        self._project, self._weights = layers.get_layer("project"), weights

    @property
    def parameters(self) -> int:
        """How many numbers it has learnt."""
        return sum(array.size for arrays in self._weights.values() for array in arrays)

    def zero_states(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(h₀, c₀) of every layer: zeros, (1, units)."""
        units = [lstm.bias.size // 4 for lstm in self._lstms]
        return [(np.zeros((1, n), np.float32), np.zeros((1, n), np.float32)) for n in units]

    def step(
        self, token: int, states: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
        """One token and the states → logits of the next one (VOCABULARY,), and the new states."""
        h, new = self._embedding[[token]], []
        for lstm, state in zip(self._lstms, states, strict=True):
            h, state = lstm.cell(h, state)
            new.append(state)
        return self._project(h)[0], new

    def surprises(self, tokens: Iterable[int]) -> np.ndarray:
        """−ln P of each token of a text, and of the END after it, in nats: (n + 1,)."""
        states, row = self.zero_states(), [END, *map(int, tokens), END]
        found = np.empty(len(row) - 1)
        with threadpool_limits(1):
            for i, (token, following) in enumerate(pairwise(row)):
                logits, states = self.step(token, states)
                found[i] = np.logaddexp.reduce(logits.astype(float)) - logits[following]
        return found


def save(path: str | Path, weights: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write weights to an .npz file, as 16-bit numbers: half the size, and as good to write with.

    Raises FileError.
    """
    arrays: dict[str, Any] = {
        f"{name}.{number}": array.astype(np.float16)
        for name, parts in weights.items()
        for number, array in enumerate(parts)
    }
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def load(path: str | Path | None = None) -> InNumPy:
    """The `InNumPy` in a file that `save` wrote; None loads the one that ships.

    Raises SymbolicError.
    """
    path = path or sample_path("symbolic") / "weights.npz"
    stored = _load(path, {"embedding.0", "project.0", "project.1"})
    if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in stored.values()):
        raise SymbolicError(f"{path} holds weights that are not finite numbers: get it again")
    weights: dict[str, list[np.ndarray]] = {}
    for key in sorted(stored):
        weights.setdefault(key.split(".")[0], []).append(stored[key].astype(np.float32))
    if not _fit_together(weights):
        raise SymbolicError(f"{path} holds no network that `build` made: is it another file?")
    return InNumPy(weights)


def _fit_together(weights):
    """Are these arrays, {layer's name: its arrays}, a network that `build` may have made?"""
    width = (0, *weights["embedding"][0].shape)[-1]
    wanted = {"embedding": [(VOCABULARY, width)]}
    for number in range(1, len(weights) - 1):
        units = np.size(weights.get(f"lstm_{number}", [()])[-1]) // 4
        wanted[f"lstm_{number}"] = [(width, 4 * units), (units, 4 * units), (4 * units,)]
        width = units
    wanted["project"] = [(width, VOCABULARY), (VOCABULARY,)]
    return {name: [array.shape for array in parts] for name, parts in weights.items()} == wanted


def choose(logits: ArrayLike, temperature: float, uniform: float) -> int:
    """The next token: drawn by softmax(logits / temperature), or the likeliest at 0.

    logits: (VOCABULARY,). uniform: in (0, 1], the random number that decides.

    Notebook: 14, section 6.
    """
    if temperature == 0:
        return int(np.argmax(logits))
    logits = np.asarray(logits, float)
    shares = np.cumsum(np.exp((logits - logits.max()) / temperature))
    return int(np.searchsorted(shares, uniform * shares[-1]))


def generate(
    network: InNumPy,
    steps: int,
    temperature: float = 1.0,
    seed: int = 0,
    primer: Iterable[int] = (),
) -> np.ndarray:
    """Tokens that go on for so many sixteenths after a primer: (n,), the primer not included.

    network: `InNumPy`. temperature: from 0; the same seed means the same random numbers at every
    one. primer: tokens to read first. After an END a new piece begins. Raises ValueError.
    """
    if not (0 <= temperature < inf and steps >= 1 and seed >= 0):
        raise ValueError(
            f"temperature {temperature}, steps {steps} and seed {seed} will not do: give a "
            "temperature and a seed from 0 upwards, and at least 1 step"
        )
    rng, states, written, crowd = np.random.default_rng(seed), network.zero_states(), [], 0
    with threadpool_limits(1):
        for token in [END, *map(int, primer)]:
            logits, states = network.step(token, states)
        while steps:
            token = choose(logits, temperature, 1 - rng.random())
            token = STEP if crowd == _CROWD else token
            steps, crowd = (steps - 1, 0) if token == STEP else (steps, crowd + 1)
            written.append(token)
            logits, states = network.step(token, states)
    return np.array(written, np.uint8)


def _load(path, needed):
    """The arrays of an .npz file that holds at least those `needed`; raises SymbolicError."""
    path = readable_file(Path(path), SymbolicError)
    try:
        files = unzip(path)
        arrays = {name.removesuffix(".npy"): read_array(files[name]) for name in files}
    except Exception as problem:  # a damaged archive raises whatever the damaged part raises
        raise SymbolicError(f"{path} is damaged: get it again ({problem!s:.200})") from problem
    if missing := needed - set(arrays):
        raise SymbolicError(f"{path} lacks {', '.join(sorted(missing))}: is it another file?")
    return arrays
