"""A small disk that can be filled, and a root user whom permissions bind.

The disk needs root; where it cannot be had, trials limit the size of files or write to /dev/full."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LINUX_CAPABILITY_VERSION_3 = 0x20080522
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}  # the number of that system call


def give_up_rights() -> None:
    """Permissions bind this process from now on, as they bind anybody who is not root."""
    if os.geteuid() != 0:
        return
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, each in two words of 32 bits
    if ctypes.CDLL(None, use_errno=True).syscall(SYS_CAPSET[os.uname().machine], header, none) != 0:
        raise OSError(ctypes.get_errno(), "the rights of root could not be given up")


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """`folder` lies on a disk of its own; False where that cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "torture", str(folder)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Fills the disk under `folder` but for about `leave` bytes, with one file that can be deleted again."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while (free := _free(folder) - leave) > 0:
            try:
                file.write(bytes(min(free, 1 << 20)))
            except OSError:
                break
    return ballast


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
