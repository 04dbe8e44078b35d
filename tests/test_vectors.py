"""Vectors as CSV files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cmc_helpers.sequences import cyclic
from cmc_helpers.vectors import SequenceError, read_csv, write_csv


def test_lines_are_read_however_they_end(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf1;0\r\n0;1\r\n")
    np.testing.assert_array_equal(read_csv(path), np.eye(2))


@settings(derandomize=True, deadline=None)
@given(
    st.sampled_from([np.float64, np.float32]).flatmap(
        lambda dtype: arrays(
            dtype,
            array_shapes(min_dims=2, max_dims=2),
            elements={"allow_nan": False, "allow_infinity": False},
        )
    )
)
def test_what_is_written_reads_back_the_same(tmp_path_factory, vectors):
    path = tmp_path_factory.mktemp("csv") / "vectors.csv"
    write_csv(path, vectors)
    np.testing.assert_array_equal(read_csv(path).astype(vectors.dtype), vectors)


def test_numbers_are_written_in_their_shortest_form(tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path, np.array([[0.1, 1, 0, -2.5]], np.float32))
    assert path.read_text() == "0.1,1,0,-2.5\n"
    write_csv(path, np.array([[0.1, 1 / 3, 1e20]]))
    assert path.read_text() == "0.1,0.3333333333333333,1e+20\n"
    write_csv(path, cyclic(2, width=3).astype(bool))
    assert path.read_text() == "1,0,0\n0,1,0\n"


@pytest.mark.parametrize(
    "vectors",
    [[1.0, 2.0], np.empty((0, 3)), np.empty((3, 0)), [[np.nan]], [[-np.inf]], np.ones((2, 2, 2))],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path, vectors):
    with pytest.raises(SequenceError, match="a.csv is not written: .*shape"):
        write_csv(tmp_path / "a.csv", vectors)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"1,2\n3,4.5\n",
        b"1, 2\n3 ,4.5\n",
        b"1\t2\n3\t4.5\n",
        b"1 2\n3   4.5\n",
        b"1;2\n3; 4.5\n",
        b"\xef\xbb\xbf1,2\n3,4.5\n",
        b"1,2\r\n3,4.5\r\n",
        b"1,2\n3,4.5",
        b"1,2\n3,4.5\n\n  \n",
        b"+1e0,.2e1\n3.,45E-1\n",
    ],
    ids="comma space tab spaces semicolon bom crlf no-end blank-end exponents".split(),
)
def test_every_usual_way_of_writing_numbers_is_read(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    vectors = read_csv(path, width=2)
    assert vectors.dtype == np.float64
    np.testing.assert_array_equal(vectors, [[1, 2], [3, 4.5]])


def test_one_line_and_one_column_stay_two_dimensional(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,2\n")
    assert read_csv(path).shape == (1, 2)
    path.write_text("1\n2\n")
    assert read_csv(path).shape == (2, 1)


REFUSED = {
    "blank": (b"\n  \n\n", "blank lines only"),
    "header": (b"time,note\n1,2\n", "line 1, holds 'time', .* without a header"),
    "word": (b"1,2\n1,two\n", "line 2, holds 'two'"),
    "missing number": (b"1,2\n1,\n", "line 2, holds ''"),
    "decimal comma": (b"0,5;1\n", "line 1, holds '0,5', .*decimal point"),
    "underscore": (b"1,1_0\n", "plain decimal numbers"),
    "ragged, short": (b"1,2\n\n1\n", "line 3, has 1 columns but the lines above have 2"),
    "ragged, long": (b"1 2\n1 2 3\n", "line 2, has 3 columns but the lines above have 2"),
    "nan": (b"1,2\n1,nan\n", "line 2, holds nan"),
    "infinite": (b"1,-inf\n", "line 1, holds -inf"),
    "too large": (b"1,1e400\n", "line 1, holds 1e400"),
    "binary": (b"RIFF\x24\x00\xff\xfe", "not UTF-8 text"),
    "utf-16": ("1,2\n".encode("utf-16"), "not UTF-8 text"),
    "binary far down": (b"1,2\n" * 9999 + b"1,\xff\n", "not UTF-8 text"),
    "long word": (b"1,2\n" + b"x" * 9999 + b",1\n", "line 2, holds 'x{20}'"),
    "wrong width": (b"1,2,3\n", "has 3 columns but the run was trained on 2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_is_refused_in_one_sentence_with_a_remedy(tmp_path, name):
    content, reason = REFUSED[name]
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(SequenceError, match=reason) as caught:
        read_csv(path, width=2)
    message = str(caught.value)
    assert message.startswith(str(path)) and ": " in message and "\n" not in message


@pytest.mark.parametrize("name", ["missing.csv", "folder", "empty.csv"])
def test_a_path_without_a_table_is_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.csv").touch()
    with pytest.raises(SequenceError, match=f"{name} .*: "):
        read_csv(tmp_path / name)
