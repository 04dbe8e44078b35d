"""Files that are read or written whole, or refused in one clear sentence."""

import errno
import glob
import hashlib
import io
import json
import math
import os
import secrets
import stat
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np

from cmc_helpers.stopping import held_back

_PATIENCE = 2.0  # seconds in which Windows' search or virus scanner is done with a file


class FileError(ValueError):
    """One sentence: what is wrong, with which file, and what to do.

    It may quote what a stranger wrote into a file: what is not printable, such as the end of a line
    or what moves a terminal's cursor, is spelled out.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(sentence)))


def readable_file(path: str | Path, error: type[FileError] = FileError) -> Path:
    """Return `path` as a Path if it is an ordinary file that opens and is not empty.

    Raises `error` when it is missing, a folder, not readable, or 0 bytes long.
    """
    path = Path(path)
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            path.open("rb").close()
    except FileNotFoundError:
        raise error(f"{path} does not exist: check its name and its folder") from None
    except PermissionError:
        raise error(f"{path} may not be read: change its permissions or copy it") from None
    except (OSError, ValueError) as problem:
        raise error(f"{path} cannot be opened: check its name ({_reason(problem)})") from problem
    if stat.S_ISDIR(status.st_mode):
        raise error(f"{path} is a folder: give the path of one file")
    if not stat.S_ISREG(status.st_mode):
        raise error(f"{path} is a device or a pipe: save what it gives to a file and give that")
    if status.st_size == 0:
        raise error(f"{path} is empty (0 bytes): make it or download it again")
    return path


def parse_json(text: str | bytes) -> Any:
    """What JSON text stands for; ValueError for what is none, or is nested too deep to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def unzip(path: str | Path, *names: str, times: float = 20) -> dict[str, bytes]:
    """{name: bytes} of the files in a ZIP file: those of `names`, or all.

    times: of its own size, the most that a ZIP file may hold; arrays stay below three. Raises
    ValueError before anything is unpacked if it would be more, and whatever `zipfile` raises for a
    damaged one.
    """
    import zipfile

    path = Path(path)
    with zipfile.ZipFile(path) as archive:
        members = [archive.getinfo(name) for name in names or archive.namelist()]
        known = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others cannot be unpacked bit by bit
        size = sum(member.file_size for member in members)
        if size > times * path.stat().st_size or not known >= {m.compress_type for m in members}:
            raise ValueError("it would unpack to much more than it is")
        found = {}
        for member in members:
            with archive.open(member) as file:  # without a size, `read` would not keep to it
                found[member.filename] = file.read(member.file_size)
        return found


def read_array(content: bytes) -> np.ndarray:
    """The array in the bytes of an .npy file, of which no object is unpickled.

    Raises ValueError, or whatever NumPy raises for a damaged header, and does so before there is
    any memory for what the header claims, if that is not what follows.
    """
    file, headers = io.BytesIO(content), np.lib.format
    read_header = {(1, 0): headers.read_array_header_1_0, (2, 0): headers.read_array_header_2_0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy's, of a header from Python 2: nothing of ours is
        shape, _, dtype = read_header[headers.read_magic(file)](file)
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError("it is longer or shorter than its header says")
    file.seek(0)
    return headers.read_array(file, allow_pickle=False)


@contextmanager
def replacing(path: str | Path, error: type[FileError] = FileError) -> Iterator[Path]:
    """Give a temporary Path beside `path`, with the same suffix, that becomes `path` at the end.

    When the body fails or is interrupted the temporary file is deleted and an older `path` stays
    as it was, so nobody ever meets a half-written file, not even after a power cut. What a killed
    process left is deleted when the same `path` is written again. Raises `error` when the folder is
    missing or read-only, when `path` is not an ordinary file, or when the disk is full.
    """
    path = Path(path)
    temporary, lock = None, nullcontext()
    try:
        if b"\0" in os.fsencode(path):
            raise ValueError
    except ValueError:  # UnicodeEncodeError, where the system's names are not UTF-8
        raise error(f"{path} cannot be the name of a file here: choose another one") from None
    try:
        if path.is_dir():
            raise error(f"{path} is a folder: give the name of the file to write")
        if path.exists() and not path.is_file():
            raise error(f"{path} is a device or a pipe: give the name of the file to write")
        if not path.parent.is_dir():
            raise error(f"{path} cannot be written: make the folder {path.parent} first")
        with held_back():  # once it is there, it is known
            temporary, lock = _beside(path)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # the renaming may reach the disk first
        if not _renamed(temporary, path):
            raise error(
                f"{path} cannot be replaced: close it in the program that has it open, or choose "
                "another name"
            )
    except OSError as problem:
        raise error(
            f"{path} cannot be written: choose another folder or make room ({_reason(problem)})"
        ) from problem
    finally:
        with lock, suppress(OSError):
            if temporary:
                temporary.unlink(missing_ok=True)


def _renamed(temporary, path):
    """Put `temporary` in the place of `path`; False if that stays open in another program.

    Where a file that is open cannot be replaced, as on Windows, it mostly is so for a moment only.
    """
    tries = range(40)
    for _ in tries:
        try:
            temporary.replace(path)
            return True
        except PermissionError:
            time.sleep(_PATIENCE / len(tries))
    return False


def _beside(path):
    """Make an empty temporary file for `path`, and delete those that nobody writes to any more.

    Returns its Path, and what holds the lock that tells the one from the other.
    """
    mine = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    if sys.platform == "win32":  # where a file that is open cannot be renamed
        temporary = path.parent / f".{mine}{secrets.token_hex(4)}{path.suffix}"
        temporary.touch(exist_ok=False)
        return temporary, nullcontext()
    for left in path.parent.glob(f".{mine}????????{glob.escape(path.suffix)}"):
        with suppress(OSError), left.open("ab") as file:
            if _lock(file):
                left.unlink()
    lock = None
    while lock is None:
        # Unlike tempfile, with the permissions the user chose.
        temporary = path.parent / f".{mine}{secrets.token_hex(4)}{path.suffix}"
        lock = _open_locked(temporary)
    return temporary, lock


@contextmanager
def locked(folder: str | Path, error: type[FileError] = FileError) -> Iterator[None]:
    """Keep every other process that asks for the same from writing into `folder` meanwhile.

    The system holds the lock, so a process that is killed leaves none behind. Raises `error` where
    another process holds it. Nothing is locked on a file system that knows no locks.
    """
    path, file = Path(folder) / ".lock", None
    try:
        try:
            with held_back():
                file = _open_locked(path)
        except OSError as problem:
            raise error(
                f"{path} cannot be written: choose another folder or make room ({_reason(problem)})"
            ) from problem
        if file is None:
            raise error(
                f"{folder} is in use by another process: wait until it ends, or choose another "
                "folder"
            )
        yield
    finally:
        with file or nullcontext(), suppress(OSError):
            if file:
                path.unlink()
        if file and sys.platform == "win32":  # which keeps a file as long as it is open
            with suppress(OSError):
                path.unlink()


def _open_locked(path):
    """Open `path` and lock it, or return None if another process has it locked."""
    while True:
        file = path.open("ab")
        if _lock(file) is False:
            file.close()
            return None
        # Who had it before may have deleted it between `open` and `_lock`: then begin again.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _lock(file):
    """Lock the open `file` for this process; False if another has, None if no locks are known."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # of fcntl, which a few systems lack
        return None
    except OSError as problem:
        return False if problem.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK) else None
    return True


def _reason(problem):
    """The system's own words for an OSError, without the path that the sentence already names."""
    return (getattr(problem, "strerror", None) or str(problem)).lower()
