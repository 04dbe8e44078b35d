"""Files are read or written whole, or refused in one sentence."""

import os

import pytest

from cmc_helpers.files import FileError, readable_file, replacing


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
        ("pipe", "is a device or a pipe"),
        ("a.txt/b.txt", "cannot be opened"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_sentence_of_the_callers_error(tmp_path, name, reason):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.txt").touch()
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
        ("pipe", "is a device or a pipe: "),
        ("a" * 300, "cannot be written: choose another folder"),
    ],
)
def test_where_nothing_can_be_written_is_named(tmp_path, name, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
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
