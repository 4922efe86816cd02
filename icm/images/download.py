"""Fetches a set of images by name, through torchvision. Nothing else in the project downloads."""

import zipfile
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from icm.images import sets
from icm.images.sets import DataError


def download(name: str, root: Path) -> None:
    """The set is under `root` afterwards, whole and sound; torchvision fetches it where it was not.

    DataError when the name is unknown, the network or the disk fails, or what was fetched is not the set."""
    from torchvision import datasets

    fetchers: dict[str, Callable[[], object]] = {
        "mnist": lambda: datasets.MNIST(str(root), download=True),
        "omniglot": lambda: datasets.Omniglot(str(root), background=False, download=True),
        "fashion": lambda: datasets.FashionMNIST(str(root), train=False, download=True),
        "usps": lambda: datasets.USPS(str(root / "USPS"), train=False, download=True),
    }
    if name not in fetchers:
        raise DataError(f"unknown set {name!r}; known: {', '.join(fetchers)}")
    try:
        sets.remove_unsound(name, root)
        if sets.state(name, root) == "here":
            return
        fetchers[name]()
    except (OSError, RuntimeError, HTTPException, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"{name} could not be fetched into {root} ({error}); check the network and the disk, and try again"
        ) from error
    if sets.state(name, root) != "here":
        raise DataError(f"{name} was fetched, but {sets.complaint(name, root)}")
