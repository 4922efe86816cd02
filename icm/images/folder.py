"""A person's own pictures, given as files or in a zip, as a set of images like the others.

A zip is trusted no more than a picture. It is read in memory and nothing of it is written to the disk; a name in it is only ever
shown. What its members may inflate to, how many they are and the seconds they may cost are bounded. Pixels: image 1 height width."""

import io
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
from jaxtyping import Float

from icm.errors import ActionableError
from icm.images import sketch
from icm.images.unseen import LOOKS, Look, Unseen
from icm.shapes import Pixels

MOST_PICTURES = 200
MOST_BYTES = sketch.MOST_BYTES  # of a zip, and of each picture in it
# Members of a zip. A zip of 200 pictures that was packed on a Mac has twice as many and some folders.
MOST_MEMBERS = 1000
# Bytes that the members of all zips may inflate to. Pictures are packed already, so an honest zip of 5 MB hardly exceeds them.
MOST_INFLATED = 50_000_000
# Seconds of one core, after which no further picture is opened. A small picture takes 0.03, a photo of 12 million pixels 0.09, the
# costliest PNG 0.35.
PATIENCE = 10.0

ZIP = b"PK"
ENTRY = b"PK\x01\x02"  # begins every member's entry in the table at the end of a zip
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")
HEAD = 16  # bytes that tell what a file is
UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others inflate without a bound in Python 3.11
ENCRYPTED = 1  # this bit of a member's flags
LONGEST_NAME = 40  # signs of a file's name that are shown

Grey = Float[np.ndarray, "height width"]
BRING: dict[Look, Callable[[Grey], Float[np.ndarray, "32 32"]]] = {
    "digits": sketch.canonical,
    "plain": sketch.as_drawn,
}

# Why a file is passed over, and what to do about it.
REMEDIES = {
    "no picture": "give PNG, JPEG or WEBP",
    "without ink": "give a picture with something that stands out from its ground",
    "too large": f"make it smaller, at most {MOST_BYTES // 1_000_000} MB",
    "encrypted": "pack it without a password",
    "too full": f"pack at most {MOST_PICTURES} pictures and nothing else",
    "a zip inside a zip": "give that zip by itself",
    "packed in an unusual way": "pack it with the usual method, deflate",
    "damaged": "pack it again",
    "unreadable": "save it again as PNG or JPEG",
    "too much to unpack": f"give at most {MOST_INFLATED // 1_000_000} MB in all",
    "beyond the limit": f"give at most {MOST_PICTURES} pictures",
    "not reached in time": "give fewer or smaller pictures",
}


class FolderError(ActionableError):
    """None of the files can be used; the message is one sentence with the value, the place and the remedy."""


@dataclass(frozen=True, eq=False)
class Folder:
    """The pictures that can be used, in each look. One without ink in a look is left out of that look."""

    looks: Mapping[Look, Pixels]
    digest: str  # of the pixels, by which results are cached
    passed_over: str  # a sentence on the files that cannot be used; empty when there are none

    def seen(self, look: Look) -> Unseen:
        """The pictures in that look. FolderError when none of them has ink in it."""
        if not len(self.looks[look]):
            count = max(map(len, self.looks.values()))
            raise FolderError(
                f"nothing stands out from its ground in any of your {count} images, brought in this way; choose the other way"
            )
        return Unseen(self.looks[look])


class _Passed(Exception):
    """A file is passed over: why, a key of REMEDIES, and what to do."""

    def __init__(self, why: str, remedy: str = "") -> None:
        self.why, self.remedy = why, remedy or REMEDIES[why]


def open_folder(files: Sequence[tuple[str, bytes]]) -> Folder:
    """The pictures among the files and in the zips among them. Each file is its name and its bytes.

    A file or a zip that cannot be used is passed over; FolderError when there is nothing that can be used."""
    begun = time.thread_time()
    looks: dict[Look, list[np.ndarray]] = {look: [] for look in LOOKS}
    passed: list[tuple[str, _Passed]] = []
    found = total = 0
    for name, read in _members(files):
        total += 1
        try:
            if found == MOST_PICTURES:
                raise _Passed("beyond the limit")
            if time.thread_time() - begun > PATIENCE:
                raise _Passed("not reached in time")
            seen = _in_each_look(read())
        except _Passed as reason:
            passed.append((name, reason))
            continue
        found += 1
        for look, image in seen.items():
            looks[look].append(image)
    if not found:
        raise FolderError(_none(passed))
    pixels: dict[Look, Pixels] = {look: _pixels(images) for look, images in looks.items()}
    digest = sha256(b"".join(look.encode() + each.numpy().tobytes() for look, each in pixels.items()))
    said = f"{len(passed)} of {total} files cannot be used: {_reasons(passed)}." if passed else ""
    return Folder(pixels, digest.hexdigest(), said)


def _pixels(images: Sequence[np.ndarray]) -> Pixels:
    stacked = np.stack(images) if images else np.zeros((0, 32, 32), np.float32)
    return torch.from_numpy((stacked * 255).round().astype(np.uint8))[:, None]


def _in_each_look(data: bytes) -> dict[Look, Float[np.ndarray, "32 32"]]:
    """The picture in each look in which it has ink."""
    try:
        grey = sketch.open_picture(data)
    except sketch.PictureError as error:
        kind = "unreadable" if data.startswith(SIGNATURES) else "no picture"
        raise _Passed(kind, str(error)) from error
    seen: dict[Look, Float[np.ndarray, "32 32"]] = {}
    for look, bring in BRING.items():
        image = bring(grey)
        if sketch.has_ink(image, bright_on_0=look == "digits"):
            seen[look] = image
    if not seen:
        raise _Passed("without ink")
    return seen


# What is in a zip


def _members(files: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The name of every file that may be a picture, and a function that reads it or raises _Passed."""
    left = [MOST_INFLATED]
    for name, data in files:
        if not data.startswith(ZIP):
            yield name, lambda data=data: data
            continue
        try:
            archive = _archive(data)
        except _Passed as reason:
            yield name, lambda reason=reason: _refused(reason)
            continue
        for member in sorted(archive.infolist(), key=lambda each: each.filename):
            last = member.filename.rpartition("/")[2]
            # Folders, and what systems put beside the pictures: ._one.png, .DS_Store.
            if not member.is_dir() and not last.startswith("."):
                yield member.filename, lambda member=member, archive=archive: _read(archive, member, left)


def _archive(data: bytes) -> zipfile.ZipFile:
    """The zip, once its table was read. _Passed when it is too large or cannot be read."""
    if len(data) > MOST_BYTES:
        raise _Passed("too large", f"it has {len(data) / 1e6:.1f} MB; use a zip of at most 5 MB")
    # Counted before the table is read, and not believed: a million entries would take seconds.
    if (members := data.count(ENTRY)) > MOST_MEMBERS:
        raise _Passed(
            "too full", f"it has {members} members; pack at most {MOST_PICTURES} pictures and nothing else"
        )
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except Exception as error:  # on a damaged table almost anything may be raised
        raise _Passed("damaged", f"the zip is cut short or changed ({error}); pack it again") from error


def _refused(reason: _Passed) -> bytes:
    raise reason


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: list[int]) -> bytes:
    """The bytes of a member that begins as a picture does. `left` is what all members may still inflate to; it is lowered."""
    if member.flag_bits & ENCRYPTED:
        raise _Passed("encrypted")
    if member.compress_type not in UNPACKED:
        raise _Passed("packed in an unusual way")
    try:
        with archive.open(member) as file:
            head = file.read(HEAD)
            if head.startswith(ZIP):
                raise _Passed("a zip inside a zip")
            if not head.startswith(SIGNATURES):
                raise _Passed("no picture")
            if member.file_size > MOST_BYTES:
                raise _Passed("too large")
            if member.file_size > left[0]:
                raise _Passed("too much to unpack")
            left[0] -= member.file_size
            # Without a number, read() would inflate all that is packed before it cuts it to the size that the entry claims.
            return head + file.read(member.file_size)
    except _Passed:
        raise
    except Exception as error:  # as above
        raise _Passed("damaged") from error


# What is said of files that cannot be used


def _none(passed: Sequence[tuple[str, _Passed]]) -> str:
    if not passed:
        return "there is no file in what you gave; give PNG, JPEG or WEBP pictures, or a zip of them"
    if len(passed) == 1:
        name, reason = passed[0]
        return f"{_short(name)} is {reason.why}: {reason.remedy}"
    return f"none of the {len(passed)} files can be used: {_reasons(passed)}"


def _reasons(passed: Sequence[tuple[str, _Passed]]) -> str:
    """Every reason with the first file that it was met with, how many more there are, and what to do."""
    by_reason: dict[str, list[tuple[str, _Passed]]] = {}
    for name, reason in passed:
        by_reason.setdefault(reason.why, []).append((name, reason))
    said = []
    for why, ((name, reason), *more) in by_reason.items():
        which = f"{_short(name)} and {len(more)} more are" if more else f"{_short(name)} is"
        said.append(f"{which} {why} ({reason.remedy})")
    return "; ".join(said)


def _short(name: str) -> str:
    shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return f"“{shown}”"
