"""The sets of images on disk: which are here, what is wrong with the others, and what must go before they are fetched again.

A set has parts, and a part may lie in one of several places, unpacked or packed. A place is *whole* when sizes and counts
are right; this is quick, and is checked each time a page looks. It is *sound* when its md5 is right or all its pictures
open; this takes seconds. A file found damaged while it is read counts as damaged until it changes or is fetched again."""

import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from PIL import Image

from icm.errors import ActionableError

State = Literal["here", "damaged", "incomplete", "absent"]
BEST_FIRST: tuple[State, ...] = get_args(State)  # of several places for a part, the best one counts


class DataError(ActionableError):
    """Images that are missing or cannot be used; the message is one sentence with the place and the remedy."""


@dataclass(frozen=True)
class Place:
    """Where a part of a set may lie, and how to tell that it is whole and sound."""

    path: str  # under the data root
    lack: Callable[[Path], str | None]  # what keeps it from being whole, in words; None when nothing does
    is_sound: Callable[[Path], bool]  # asked only of what is whole
    folder: bool = False


@dataclass(frozen=True)
class Drawings:
    """How many drawings Omniglot's evaluation set has."""

    alphabets: int = 20
    characters: int = 659
    each: int = 20  # drawings of a character

    @property
    def total(self) -> int:
        return self.characters * self.each


OMNIGLOT = Drawings()


def published(path: str, size: int, md5: str) -> Place:
    """The place of a file that is whole when it has the published size in bytes, and sound when it has the published md5."""

    def lack(file: Path) -> str | None:
        if not file.is_file():
            return "is no file"
        found = file.stat().st_size
        return None if found == size else f"has {found:,} bytes where {size:,} belong"

    def is_sound(file: Path) -> bool:
        with file.open("rb") as content:
            return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == md5

    return Place(path, lack, is_sound)


def _idx(path: str, unpacked: tuple[int, str], packed: tuple[int, str]) -> tuple[Place, ...]:
    return published(path, *unpacked), published(f"{path}.gz", *packed)


# Omniglot


def _folder_lack(folder: Path) -> str | None:
    """What the folder of drawings lacks to be whole, in words, or None.

    It counts anew only when a character's folder has changed: 4 ms instead of 25 each time a page looks."""
    if not folder.is_dir():
        return "is no folder"
    alphabets = [each for each in os.scandir(folder) if each.is_dir()]
    characters = [each for alphabet in alphabets for each in os.scandir(alphabet.path) if each.is_dir()]
    counts = _drawings(tuple((each.path, each.stat().st_mtime_ns) for each in characters))
    if len(alphabets) == OMNIGLOT.alphabets and counts == (OMNIGLOT.each,) * OMNIGLOT.characters:
        return None
    return (
        f"has {sum(counts):,} drawings of {len(counts)} characters "
        f"where {OMNIGLOT.total:,} of {OMNIGLOT.characters} belong"
    )


@lru_cache(maxsize=4)
def _drawings(characters: tuple[tuple[str, int], ...]) -> tuple[int, ...]:
    """How many drawings each character's folder has. The time when a folder last changed is there for the cache alone."""
    return tuple(sum(each.name.endswith(".png") for each in os.scandir(path)) for path, _ in characters)


def _zip_lack(file: Path) -> str | None:
    """What the zip of drawings lacks to be whole, in words, or None.

    Its directory tells, since a zip that somebody else packed again may have any size and md5."""
    found = file.stat()
    count = _packed_drawings(file, found.st_size, found.st_mtime_ns)
    if count is None:
        return "is no whole zip file"
    return None if count == OMNIGLOT.total else f"has {count:,} drawings where {OMNIGLOT.total:,} belong"


@lru_cache(maxsize=4)
def _packed_drawings(file: Path, size: int, changed: int) -> int | None:
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(name.endswith(".png") for name in archive.namelist())
    except Exception:  # on a damaged file the parser may raise almost anything
        return None


def _unpacked(folder: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in folder.rglob("*.png"))


def _packed(file: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(file) as archive:
        yield from (archive.read(name) for name in archive.namelist() if name.endswith(".png"))


def _all_open(drawings: Iterator[bytes]) -> bool:
    try:
        for drawing in drawings:
            Image.open(io.BytesIO(drawing)).verify()  # checks the checksums, in half the time of decoding
    except Exception:  # as above
        return False
    return True


# Every set that can be fetched. A published file has its size in bytes and its md5.
# Of Fashion-MNIST only the test images are used.
PARTS: dict[str, tuple[tuple[Place, ...], ...]] = {
    "mnist": (
        _idx(
            "MNIST/raw/train-images-idx3-ubyte",
            unpacked=(47_040_016, "6bbc9ace898e44ae57da46a324031adb"),
            packed=(9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ),
        _idx(
            "MNIST/raw/train-labels-idx1-ubyte",
            unpacked=(60_008, "a25bea736e30d166cdddb491f175f624"),
            packed=(28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
        ),
        _idx(
            "MNIST/raw/t10k-images-idx3-ubyte",
            unpacked=(7_840_016, "2646ac647ad5339dbf082846283269ea"),
            packed=(1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
        ),
        _idx(
            "MNIST/raw/t10k-labels-idx1-ubyte",
            unpacked=(10_008, "27ae3e4e09519cfbb04c329615203637"),
            packed=(4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
    ),
    "omniglot": (
        (
            Place(
                "omniglot-py/images_evaluation", _folder_lack, lambda path: _all_open(_unpacked(path)), True
            ),
            Place("omniglot-py/images_evaluation.zip", _zip_lack, lambda path: _all_open(_packed(path))),
        ),
    ),
    "fashion": (
        _idx(
            "FashionMNIST/raw/t10k-images-idx3-ubyte",
            unpacked=(7_840_016, "8181f5470baa50b63fa0f6fddb340f0a"),
            packed=(4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
        ),
    ),
    "usps": ((published("USPS/usps.t.bz2", 1_831_726, "8ea070ee2aca1ac39742fdd1ef5ed118"),),),
}


def state(name: str, root: Path) -> State:
    """The state of the set, by a quick look. It is here when it is whole and nothing of it is known to be damaged."""
    states: list[State] = [_part_state(part, root) for part in PARTS[name]]
    if "damaged" in states:
        return "damaged"
    return states[0] if len(set(states)) == 1 else "incomplete"


def looked_over(name: str, root: Path) -> State:
    """The state of the set after a second or two: it is also damaged when a place that would be read is not sound."""
    found = state(name, root)
    if found != "here":
        return found
    used = [_used(part, root) for part in PARTS[name]]
    return "here" if all(_is_sound(place, root / place.path) for place in used if place) else "damaged"


def in_words(name: str, root: Path) -> str:
    """The state of the set when looked over, in words, with the command that fetches it.

    A set that is not in `PARTS` is never fetched and always here."""
    found = looked_over(name, root) if name in PARTS else "here"
    command = f"python -m icm data {name}"
    words: dict[State, str] = {
        "here": "here",
        "damaged": f"damaged, to be fetched again: {command}",
        "incomplete": f"incomplete, to be fetched again: {command}",
        "absent": f"not downloaded: {command}",
    }
    return words[found]


def complaint(name: str, root: Path) -> str:
    """Why a set that is not here cannot be used, in a sentence with the remedy."""
    if state(name, root) == "absent":
        return f"no {name} under {root}; run `python -m icm data {name}`"
    again = f"run `python -m icm data {name}` to fetch it again"
    for part in PARTS[name]:
        found = _part_state(part, root)
        if found == "here":
            continue
        place = next(place for place in part if _place_state(place, root) == found)
        path = root / place.path
        if found == "damaged":
            return f"{path} is damaged; {again}"
        return f"{path} {'is missing' if found == 'absent' else _lack(place, path)}; {again}"
    return f"{name} under {root} has just changed; try again"


def place_of(name: str, root: Path, part: int = 0) -> Path:
    """The file or folder to read a part from; DataError when none is whole and free of known damage."""
    place = _used(PARTS[name][part], root)
    if place is None:
        raise DataError(complaint(name, root))
    return root / place.path


def remove_unsound(name: str, root: Path) -> None:
    """Removes every place of the set that is not sound, since torchvision may take it for the set and not fetch it again.

    DataError for a folder that lies where a file belongs: what is in it is not ours to remove."""
    for place in (place for part in PARTS[name] for place in part):
        path = root / place.path
        if not os.path.lexists(path) or _is_sound(place, path):
            continue
        if not path.is_dir() or path.is_symlink():
            path.unlink()
        elif place.folder:
            shutil.rmtree(path)
        else:
            raise DataError(f"{path} is a folder where a file belongs; move it away and try again")


# Files that were found to be damaged while they were read, each with its stamp at that time.
Stamp = tuple[int, int, int]  # inode, bytes, nanoseconds of the last change
_damaged: dict[Path, Stamp] = {}


def damaged(name: str, path: Path, why: object) -> DataError:
    """The error to raise for a file of the set that cannot be read. From then on its place counts as damaged.

    That ends when the file changes or `forget_damage` is called."""
    stamp = _stamp(path)
    if stamp is not None:
        _damaged[path] = stamp
    return DataError(f"{path} cannot be read ({why}); run `python -m icm data {name}` to fetch it again")


def forget_damage(name: str, root: Path) -> None:
    """Forgets all damage found in the set; called after it was fetched again.

    A fetch leaves sound files alone. They do not change, so they would go on counting as damaged."""
    for place in (root / place.path for part in PARTS[name] for place in part):
        for path in tuple(_damaged):
            if place in (path, *path.parents):
                _damaged.pop(path, None)


def _known_damaged(place: Path) -> bool:
    return any(
        place in (path, *path.parents) and _stamp(path) == stamp for path, stamp in tuple(_damaged.items())
    )


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


# Parts and places


def _part_state(part: tuple[Place, ...], root: Path) -> State:
    """The best state of its places: one good place is enough, whatever lies in the others."""
    states: list[State] = [_place_state(place, root) for place in part]
    return min(states, key=BEST_FIRST.index)


def _used(part: tuple[Place, ...], root: Path) -> Place | None:
    """The first good place, which is the one that is read; None when no place is good."""
    return next((place for place in part if _place_state(place, root) == "here"), None)


def _place_state(place: Place, root: Path) -> State:
    path = root / place.path
    if not os.path.lexists(path):
        return "absent"
    if _known_damaged(path):
        return "damaged"
    return "here" if _lack(place, path) is None else "incomplete"


def _lack(place: Place, path: Path) -> str | None:
    try:
        return place.lack(path)
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"


def _is_sound(place: Place, path: Path) -> bool:
    try:
        return _lack(place, path) is None and place.is_sound(path)
    except OSError:
        return False
