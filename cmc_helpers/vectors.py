"""Vectors as CSV files: line t is the vector at time t."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from cmc_helpers.files import FileError, readable_file, replacing


class SequenceError(FileError):
    """A CSV file that cannot be read or written as vectors."""


def read_csv(path: str | Path, width: int | None = None) -> np.ndarray:
    """Return the (T, n) float64 vectors of a CSV file: line t is the vector at time t.

    Columns are separated by commas, semicolons, tabs or spaces; blank lines are skipped. Raises
    SequenceError for a file that holds no numbers, is ragged, not numeric, NaN or infinite, or
    whose number of columns is not `width`, what the run was trained on.
    """
    path = readable_file(path, SequenceError)
    _, first = next(_lines(path), (0, ""))
    if not first:
        raise SequenceError(f"{path} holds blank lines only: write one vector per line")
    separator = next((mark for mark in ";," if mark in first), None)  # None: tabs and spaces
    try:
        vectors = np.loadtxt(
            (line for _, line in _lines(path)), delimiter=separator, comments=None, ndmin=2
        )
    except SequenceError:
        raise
    except ValueError as problem:
        fault = f"{path} cannot be read: write plain decimal numbers only ({problem})"
        raise SequenceError(_first_fault(path, separator) or fault) from None
    if not np.isfinite([vectors.min(), vectors.max()]).all():
        raise SequenceError(_first_fault(path, separator))
    if width is not None and vectors.shape[1] != width:
        raise SequenceError(
            f"{path} has {vectors.shape[1]} columns but the run was trained on {width}: "
            f"give it vectors of {width} numbers"
        )
    return vectors


def write_csv(path: str | Path, vectors: ArrayLike) -> None:
    """Write (T, n) finite vectors, one per line, in the shortest form that reads back the same.

    float32 is written with its own few digits, and whole numbers without a point.
    Raises SequenceError for anything else, or when the file cannot be written.
    """
    vectors = np.asarray(vectors)
    if vectors.dtype.kind != "f":
        vectors = vectors.astype(float)
    if vectors.ndim != 2 or vectors.size == 0 or not np.isfinite(vectors).all():
        raise SequenceError(
            f"{path} is not written: the vectors must be finite numbers of shape (steps, width), "
            f"these have shape {vectors.shape}"
        )
    with replacing(path, SequenceError) as temporary, _text(temporary) as file:
        for vector in vectors:
            file.write(",".join(str(value).removesuffix(".0") for value in vector) + "\n")


def _text(path):
    return path.open("w", encoding="ascii", newline="\n")  # the same bytes on every system


def _lines(path):
    """Yield the number (from 1) and the text of every line that is not blank."""
    with path.open(encoding="utf-8-sig") as file:
        try:
            yield from ((n, line) for n, line in enumerate(file, 1) if not line.isspace())
        except UnicodeDecodeError:
            raise SequenceError(f"{path} is not UTF-8 text: give a CSV file of numbers") from None


def _first_fault(path, separator):
    """Say what is wrong where. Slow, so only asked when the fast reader has stumbled."""
    columns = None
    for number, line in _lines(path):
        where = f"{path}, line {number},"
        cells = [cell.strip() for cell in line.split(separator)]
        for cell in cells:
            try:
                if not np.isfinite(float(cell)):
                    return f"{where} holds {cell[:20]}: replace it by a finite number"
            except ValueError:
                return (
                    f"{where} holds {cell[:20]!r}, which is not a number: keep numbers only, "
                    "with a decimal point and without a header line"
                )
        columns = columns or len(cells)
        if len(cells) != columns:
            return (
                f"{where} has {len(cells)} columns but the lines above have {columns}: "
                f"give every line {columns} numbers"
            )
    return None
