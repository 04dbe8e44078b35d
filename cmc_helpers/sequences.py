"""The paper's dummy data (section 4.1) and vectors as CSV files: line t is the vector at time t."""

import numpy as np

from cmc_helpers.files import FileError, readable_file, replacing


class SequenceError(FileError):
    """A CSV file that cannot be read or written as vectors."""


def cyclic(steps, width=7):
    """Return (steps, width) vectors whose single 1 walks right and starts over: no memory needed.

    Paper: section 4.1, figure 4.
    """
    t = np.arange(steps)
    return _ones_at(width, t % width)


def bounce(steps, width=8):
    """Return (steps, width) vectors whose single 1 walks to a border, rests there two steps and
    walks back: the same vector is followed by different ones, so memory is needed.

    The period is 2·width. Paper: section 4.1, figure 5.
    """
    t = np.arange(steps) % (2 * width)
    return _ones_at(width, np.minimum(t, 2 * width - 1 - t))


def double_cyclic(steps, width=9):
    """Return (steps, width) vectors with two ones, two columns apart, that walk right in a cycle.

    The paper's 2017 code trained on them too.
    """
    t = np.arange(steps)
    return _ones_at(width, t % width, (t + 2) % width)


def double_bounce(steps, width=10):
    """Return (steps, width) vectors with two ones that bounce in opposite phase, each in its half.

    Row 0 holds the two borders; rows width/2 − 1 and width/2 the two middle columns. The period is
    the (even) width. The paper's 2017 code trained on them too.
    """
    t = np.arange(steps) % width
    return _ones_at(width, t, width - 1 - t)


def read_csv(path, width=None):
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


def write_csv(path, vectors):
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


def _ones_at(width, *columns):
    """Vectors (steps, width) of zeros with a 1 in each of `columns`, arrays of (steps,)."""
    vectors = np.zeros((len(columns[0]), width))
    for column in columns:
        np.put_along_axis(vectors, column[:, None], 1.0, axis=1)
    return vectors


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
