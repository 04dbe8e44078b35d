"""Files are read or written whole, or refused in one sentence."""

import ast
import io
import os
import pickle
import sys
import tracemalloc
import types
import zipfile

import numpy as np
import pytest
from notebook_rules import ROOT

from cmc_helpers import files
from cmc_helpers.files import (
    FileError,
    locked,
    parse_json,
    read_array,
    readable_file,
    replacing,
    unzip,
)

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")


class ShelfError(FileError):
    """Stands for the error of some module."""


def test_a_readable_file_comes_back_as_a_path(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a")
    assert readable_file(str(path)) == path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.txt", "does not exist"),
        ("folder", "is a folder"),
        ("empty.txt", "is empty"),
        pytest.param("pipe", "is a device or a pipe", marks=needs_pipes),
        # Windows counts it as missing.
        ("a.txt/b.txt", "does not exist" if os.name == "nt" else "cannot be opened"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_sentence_of_the_callers_error(tmp_path, name, reason):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.txt").touch()
    if name == "pipe":
        os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ShelfError) as caught:
        readable_file(tmp_path / name, ShelfError)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name} {reason}")
    assert ": " in message and "\n" not in message


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.txt").write_text("a")
    monkeypatch.setattr("pathlib.Path.open", refuse)  # root may read everything
    with pytest.raises(FileError, match="a.txt may not be read: "):
        readable_file(tmp_path / "a.txt")


def test_a_finished_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".txt")
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "other").touch()
    with replacing(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(failure), replacing(path) as temporary:
        temporary.write_text("half")
        raise failure
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_in_one_sentence(tmp_path):
    with pytest.raises(ShelfError) as caught, replacing(tmp_path / "a.txt", ShelfError):
        raise OSError(28, "No space left on device")
    assert "a.txt cannot be written: " in str(caught.value)
    assert "no space left on device" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/a.txt", "cannot be written: make the folder"),
        ("file/a.txt", "cannot be written: make the folder"),
        ("folder", "is a folder: "),
        pytest.param("pipe", "is a device or a pipe: ", marks=needs_pipes),
        ("a" * 300, "cannot be written: choose another folder"),
    ],
)
def test_where_nothing_can_be_written_is_named(tmp_path, name, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    if name == "pipe":
        os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ShelfError) as caught, replacing(tmp_path / name, ShelfError):
        pytest.fail("the body ran")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name} {reason}") and "\n" not in message
    assert sorted(tmp_path.rglob("*")) == before


def test_a_read_only_folder_is_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)  # root may write everywhere
    with pytest.raises(FileError, match="a.txt cannot be written: .*permission denied"):
        with replacing(tmp_path / "a.txt"):
            pytest.fail("the body ran")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_can_be_no_name_is_refused(tmp_path, name):
    if os.name == "nt" and "\0" not in name:
        pytest.skip("Windows takes half a character for a name")
    with pytest.raises(ShelfError, match="cannot be the name of a file here: choose another"):
        with replacing(tmp_path / name, ShelfError):
            pytest.fail("the body ran")
    assert not list(tmp_path.iterdir())


# --- Where a file that is open cannot be replaced or deleted, as on Windows ---


@pytest.fixture
def open_elsewhere(monkeypatch):
    """Let so many renamings fail, as they do on Windows; no time passes between two tries."""

    def fail(times):
        replace, left = os.replace, iter(range(times))

        def refuse(*names):
            if next(left, None) is not None:
                raise PermissionError(13, "Permission denied")
            replace(*names)

        monkeypatch.setattr(os, "replace", refuse)

    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    return fail


def test_a_file_that_is_open_for_a_moment_is_replaced_after_it(tmp_path, open_elsewhere):
    (tmp_path / "a.txt").write_text("old")
    open_elsewhere(5)
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "new")]


def test_a_file_that_stays_open_is_named_and_stays_as_it_was(tmp_path, open_elsewhere):
    (tmp_path / "a.txt").write_text("old")
    open_elsewhere(10**6)
    with pytest.raises(ShelfError, match="a.txt cannot be replaced: close it in the program that"):
        with replacing(tmp_path / "a.txt", ShelfError) as temporary:
            temporary.write_text("new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


@pytest.fixture
def windows(monkeypatch):
    """Locks as Windows has them, and files that cannot be deleted while they are locked."""
    held, unlink = {}, os.unlink

    def locking(descriptor, mode, count):
        place = os.fstat(descriptor).st_ino
        if place in held.values():
            raise PermissionError(13, "Permission denied")
        held[descriptor] = place

    def delete(path, **_):
        for descriptor, place in list(held.items()):
            try:
                still = os.fstat(descriptor).st_ino == place
            except OSError:
                still = False
            if not still:
                del held[descriptor]
        if os.stat(path).st_ino in held.values():
            raise PermissionError(13, "Permission denied")
        unlink(path)

    monkeypatch.setitem(sys.modules, "fcntl", None)
    locks = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
    monkeypatch.setitem(sys.modules, "msvcrt", locks)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "unlink", delete)


def test_windows_locks_a_folder_and_leaves_no_lock_behind(tmp_path, windows):
    with locked(tmp_path, ShelfError):
        with pytest.raises(ShelfError, match="is in use by another process: wait until it ends"):
            with locked(tmp_path, ShelfError):
                pytest.fail("the body ran")
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_where_nothing_can_be_locked_files_are_written_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(sys, "platform", "another")
    with locked(tmp_path), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


# --- The same bytes on every system ---


def test_text_is_written_with_its_encoding_and_its_line_ends_named():
    """Windows would take others. What a test on Linux cannot see, the source says."""
    writes = []
    for path in (ROOT / "cmc_helpers").rglob("*.py"):
        calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
        for call in calls:
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            given = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
            if name == "write_text" or (name == "open" and "w" in given):
                named = {keyword.arg for keyword in call.keywords}
                writes.append("newline" in named and ("encoding" in named or "utf-8" in given))
    assert len(writes) >= 6 and all(writes)


# --- What others wrote ---


def test_a_sentence_stays_one_line_whatever_it_quotes():
    sentence = str(FileError("x.csv holds a\nb\x1b[2J\ud800 é τ"))
    assert sentence == "x.csv holds a\\nb\\x1b[2J\\ud800 é τ"
    assert str(pickle.loads(pickle.dumps(FileError(sentence)))) == sentence


def test_json_that_is_nested_too_deep_is_a_value_error_like_any_that_is_damaged():
    assert parse_json('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    for text in ("", "{", "[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ValueError):
            parse_json(text)


def zipped(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_zip_file_gives_its_files_or_those_that_are_asked_for(tmp_path):
    files = {"a": b"1" * 99, "b/c": bytes(range(256)), "../d": b""}
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = zipped(tmp_path / "x.zip", files, compression)
        assert unzip(path) == files
        assert unzip(path, "b/c") == {"b/c": files["b/c"]}
    with pytest.raises(KeyError):
        unzip(path, "e")
    assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]  # nothing was unpacked anywhere


def declared(content, size):
    """A ZIP file of one file that says, at both places, that it has so many bytes."""
    data = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.find(mark) + place
        data[start : start + 4] = size.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("honest", [True, False])
def test_a_zip_bomb_does_not_go_off(tmp_path, compression, honest):
    path = zipped(tmp_path / "x.zip", {"a": bytes(50_000_000)}, compression)
    if not honest:
        path.write_bytes(declared(path.read_bytes(), 100))
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, zipfile.BadZipFile)):
            unzip(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [np.float64, np.float32, ">f4", np.uint8, "<U9"])
def test_an_array_is_read_back(kind):
    for array in (np.arange(6).reshape(2, 3).astype(kind), np.array(1).astype(kind)):
        file = io.BytesIO()
        np.save(file, array)
        read = read_array(file.getvalue())
        np.testing.assert_array_equal(read, array)
        assert read.dtype == array.dtype


def saying(descr="'<f8'", shape="(2, 3)"):
    """An .npy file whose header says that of its 48 bytes."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(48)


@pytest.mark.parametrize(
    "header",
    [
        {"shape": "(2, 4)"},
        {"shape": "(2, 2)"},
        {"shape": "(-2, -3)"},
        {"shape": f"({2**32}, {2**32})"},
        {"shape": f"({10**9},)"},
        {"shape": "(True, 6)", "descr": "'<U999999999'"},
        {"descr": "'<U999999999'"},
        {"descr": "'|O'"},
        {"descr": "'|V0'"},
        {"descr": "[('a', '|O')]"},
        {"descr": "__import__('os')._exit(1)"},
        {"shape": "(" + "-" * 9000 + "1,)"},
        {"shape": "(" * 199 + ")" * 199},
        {"shape": "(1L, 6L)"},
    ],
    ids=lambda header: " ".join(header.values())[:30],
)
def test_a_header_that_does_not_tell_the_truth_is_refused_before_it_costs_memory(header):
    assert read_array(saying()).shape == (2, 3)
    tracemalloc.start()
    try:
        with pytest.raises(Exception):  # noqa: B017 - whatever NumPy raises
            read_array(saying(**header))
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_no_object_is_unpickled():
    file = io.BytesIO()
    np.save(file, np.array([Hostile()]), allow_pickle=True)
    for content in (file.getvalue(), pickle.dumps(Hostile())):
        with pytest.raises(ValueError):
            read_array(content)


class Hostile:
    """What ends the tests when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('code of a stranger ran')",)


def test_what_a_killed_process_left_goes_and_what_another_one_writes_stays(tmp_path):
    path, other = tmp_path / "a.txt", tmp_path / "b.txt"
    names = []
    for each in (path, other):
        with replacing(each) as temporary:
            names.append(tmp_path / temporary.name)
    for name in names:
        name.write_text("half")  # as a kill leaves it: with nobody who holds its lock
    with replacing(path) as temporary:
        temporary.write_text("mine")
        assert not names[0].exists() and names[1].exists()
        with replacing(path) as meanwhile:
            meanwhile.write_text("another's")
        assert (temporary.read_text(), path.read_text()) == ("mine", "another's")
    assert path.read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == sorted([path, other, names[1]])


def test_a_file_reaches_the_disk_before_it_takes_the_place_of_the_old_one(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FileError, match="make room"), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "old"
