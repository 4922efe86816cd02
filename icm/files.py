"""Files that survive crashes and damage: written whole or not at all, checked when they are read, and locked.

`on_disk` turns an OSError into a `FileError`, one sentence with the path and the remedy. Arrays are numpy's; no torch here."""

import errno
import hashlib
import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeGuard

import numpy as np
from filelock import lock_descriptor
from safetensors import safe_open
from safetensors.numpy import save

from icm.errors import ActionableError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

PROJECT = Path(__file__).parents[1]
POLL = 0.01  # seconds between two tries for a lock
LARGEST = 2**53  # a float64 counts up to here without gaps; a larger number in a file is none that we wrote
LARGEST_JSON = 10_000_000  # bytes; ours have some thousand, a card some 20,000
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # a link in place of a file could lead out of the store
BINARY = getattr(os, "O_BINARY", 0)  # else Windows changes line ends, in numbers too
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe in place of a file would keep its reader waiting

REMEDIES = {
    errno.ENOSPC: "free some space on that disk and try again",
    errno.EDQUOT: "free some space on that disk and try again",
    errno.EFBIG: "allow larger files there and try again",
    errno.EROFS: "make it writable or choose another folder",
    errno.EACCES: "make it accessible or choose another folder",
    errno.EPERM: "make it accessible or choose another folder",
    errno.ENOENT: "it was removed or moved away; put it back or start anew",
    errno.ENOTDIR: "a file lies where a folder belongs; move it away",
    errno.EISDIR: "a folder lies where a file belongs; move it away",
    errno.EEXIST: "something else has that name; move it away",
    errno.ELOOP: "a link lies where a file belongs; remove it",
}


class FileError(ActionableError):
    """A file that cannot be read or written."""


@contextmanager
def on_disk(path: Path, done: str) -> Iterator[None]:
    """Turns an OSError into a FileError that says which path could not be `done` (read, written, …), why, and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "look after that disk and try again")
        raise FileError(f"{path} cannot be {done} ({error.strerror or error}); {remedy}") from error


# Writing


def write_whole(path: Path, content: bytes) -> None:
    """Writes the whole file or nothing: nobody ever sees half of it, not even after a power cut. A failure leaves the old file.

    The content is on disk under a temporary name before the file gets its own name. The folder must exist."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    with on_disk(path, "written"):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)


def prepare_folder(folder: Path) -> None:
    """Makes the folder where it is missing and removes what a killed writer left in it; FileError when it is a link."""
    with on_disk(folder, "made"):
        if folder.is_symlink():
            raise OSError(errno.ELOOP, "it is a link")
        folder.mkdir(exist_ok=True)
    sweep(folder)


def is_temporary(name: str) -> bool:
    """Whether a killed writer leaves files of such a name: `.config.json.123-4.tmp`, in older versions `.config.json.123`."""
    return re.fullmatch(r"\..+\.(tmp|\d+)", name) is not None


def sweep(folder: Path, but: str | None = None) -> None:
    """Removes the temporary files of writers that were killed. Only for whoever is the only writer in the folder.

    Those of the file `but` stay: somebody else may be writing it now."""
    for left in folder.iterdir():
        if is_temporary(left.name) and (but is None or not left.name.startswith(f".{but}.")):
            with suppress(OSError):
                left.unlink()


def overwrite(path: Path, content: bytes) -> None:
    """Overwrites the file in place, for a disk that has no room for a second one. Spaces fill up the old length."""
    with on_disk(path, "written"):
        file = os.open(path, os.O_WRONLY | NO_LINK | BINARY)
        try:
            _write_all(file, content.ljust(os.fstat(file).st_size))
        finally:
            os.close(file)


def append(path: Path, content: bytes, expected: "FileIdentity | None" = None) -> None:
    """Adds to a file that is there. FileError when it is missing, and when `expected` is given and another file has the name.

    Whoever removed or replaced it would not expect us to write there."""
    with on_disk(path, "written"):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | NO_LINK | BINARY)
        try:
            if expected is not None and _identity(os.fstat(file)) != expected:
                raise FileError(
                    f"{path} was removed or replaced while it was being written; put it back as it was and try again"
                )
            _write_all(file, content)
        finally:
            os.close(file)


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def flush(path: Path) -> None:
    """What was appended so far now survives a power cut."""
    with on_disk(path, "written"):
        file = os.open(path, os.O_RDWR | NO_LINK)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def flush_folder(folder: Path) -> None:
    """A new name in the folder now survives a power cut. Does nothing on Windows, which has no such call."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


# Reading


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """The file, open to be read, and how many bytes it has. OSError where a link, a pipe or a folder lies in its place."""
    with os.fdopen(os.open(path, os.O_RDONLY | NO_LINK | NO_WAIT | BINARY), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL, "it is no file")
        yield file, status.st_size


def read_bytes(path: Path, first: int = 0, most: int = -1) -> bytes:
    """At most `most` bytes of the file (-1: all) from byte `first` on. A negative `first` counts from the end.

    OSError as from `opened`."""
    with opened(path) as (file, size):
        file.seek(first if first >= 0 else max(0, size + first))
        return file.read(most)


# JSON


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_whole(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path, remedy: str = "put back a copy of it, or delete that folder") -> dict[str, Any]:
    """The JSON object in the file; FileError, with the remedy, when there is none."""
    with on_disk(path, "read"):
        content = read_bytes(path, most=LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise FileError(f"{path} cannot be read: it has over {LARGEST_JSON:,} bytes; {remedy}")
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} cannot be read ({error}); {remedy}") from error
    if not isinstance(value, dict):
        raise FileError(f"{path} cannot be read: it holds no JSON object; {remedy}")
    return value


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number, not a bool, between -`LARGEST` and `LARGEST`: with larger ones arithmetic fails."""
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST  # pyright: ignore[reportOperatorIssue]


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


# Arrays


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes named arrays as safetensors, with a digest of names, types, shapes and content."""
    arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    write_whole(path, save(arrays, metadata={"digest": _digest(arrays)}))


def read_arrays(path: Path, remedy: str = "put back a copy of it") -> dict[str, np.ndarray]:
    """The arrays that `write_arrays` wrote; FileError, with the remedy, unless they are the same to the last bit."""
    with on_disk(path, "read"), path.open("rb"):
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            kept = file.metadata() or {}
    except Exception as error:  # on damaged files the parser raises nearly every type of error
        raise FileError(f"{path} cannot be read ({error}); {remedy}") from error
    whole = (
        kept["digest"] == _digest(arrays) if "digest" in kept else kept.get("sha256") == _old_digest(arrays)
    )
    if not whole:
        raise FileError(f"{path} is damaged: its digest does not fit; {remedy}")
    return arrays


def digest_of(path: Path, remedy: str = "put back a copy of it") -> str:
    """The digest that was written with the arrays; they are not read. It tells one file's content from another's."""
    with on_disk(path, "read"), path.open("rb"):
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            kept = file.metadata() or {}
    except Exception as error:  # as above
        raise FileError(f"{path} cannot be read ({error}); {remedy}") from error
    return kept.get("digest") or kept.get("sha256") or "none"


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {values.dtype.str} {arrays[name].shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _old_digest(arrays: dict[str, np.ndarray]) -> str:
    """The digest in files written before 25 November 2026. It does not cover types and shapes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


# Locks. The operating system lets go of them when the process ends, however it ends.

FileIdentity = tuple[int, int]
"""Which file has a name: device and inode."""


@contextmanager
def hold(path: Path, timeout: float) -> Iterator[FileIdentity]:
    """Holds the lock for as long as the block lasts; TimeoutError when somebody else has it for `timeout` seconds.

    The file is made where it is missing, its folder is not. A lock on a file that was moved away meanwhile does not count."""
    deadline = time.monotonic() + timeout
    while True:
        with on_disk(path, "locked"):
            file = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        try:
            with on_disk(path, "locked"):
                locked = lock_descriptor(file, blocking=False)
            if locked and identity(path) == _identity(os.fstat(file)):
                yield _identity(os.fstat(file))
                return
        finally:
            os.close(file)
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{path} is locked")
        time.sleep(POLL)


def is_held(path: Path | str) -> bool:
    """Whether somebody holds the lock. Makes no file, needs no right to write, and does not get in another reader's way."""
    try:
        file = os.open(path, os.O_RDONLY | NO_LINK | NO_WAIT)
    except OSError:
        return False  # nobody can hold what is not there
    try:
        if fcntl is None:  # Windows has no shared lock of this kind: for an instant we are in the way
            return not lock_descriptor(file, blocking=False)
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)


def identity(path: Path) -> FileIdentity | None:
    """Which file has this name now, None when there is none."""
    try:
        return _identity(path.stat(follow_symlinks=False))
    except OSError:
        return None


def _identity(status: os.stat_result) -> FileIdentity:
    return status.st_dev, status.st_ino
