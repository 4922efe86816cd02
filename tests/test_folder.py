"""A person's pictures, as files or in a zip, become a set. A hostile zip costs little and gives one sentence."""

import io
import itertools
import json
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm.files import PROJECT
from icm.images import folder
from icm.images.folder import FolderError, open_folder
from tests.test_sketch import flat_png


def picture(top: int = 20, kind: str = "PNG") -> bytes:
    """A dark upright stroke on white paper."""
    sheet = np.full((90, 70), 255, np.uint8)
    sheet[top:70, 30:38] = 0
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, kind)
    return file.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def by_hand(
    name: bytes,
    packed: bytes,
    size: int,
    crc: int = 0,
    flags: int = 0,
    entries: int = 1,
    packed_size: int | None = None,
) -> bytes:
    """A zip whose entries claim what they like: all of them are the same member, deflated, of `size` bytes once inflated."""
    length = len(packed) if packed_size is None else packed_size
    fields = struct.pack("<HHHHHIIIHH", 20, flags, 8, 0, 0x21, crc, length, size, len(name), 0)
    member = b"PK\x03\x04" + fields + name + packed
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    table = entry * entries
    end = struct.pack("<HHHHIIH", 0, 0, entries & 0xFFFF, entries & 0xFFFF, len(table), len(member), 0)
    return member + table + b"PK\x05\x06" + end


def deflated(data: bytes, more: int = 0) -> bytes:
    """`data` and then `more` zeros, deflated without a header."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [packer.compress(data)]
    parts += [packer.compress(bytes(min(10_000_000, more - at))) for at in range(0, more, 10_000_000)]
    return b"".join(parts) + packer.flush()


PNG = picture()
BOMB = 400_000_000  # bytes, which pack into 0.4 MB


def method_bomb(method: int) -> bytes:
    return zipped({"a.png": PNG + bytes(4_000_000)}, method)


def many_large() -> bytes:
    """A hundred and fifty pictures of 4.9 MB each, which pack into a zip of less than a megabyte."""
    return zipped({f"{number}.png": PNG + bytes(4_900_000) for number in range(150)})


# Each zip, and what the sentence on it has. It is an error's, or it is said beside the pictures that can be used.
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "names that lead elsewhere": (
        lambda: zipped({"../../x.png": PNG, "/etc/y.png": PNG, "C:\\z.png": PNG}),
        "",
    ),
    "names of odd signs": (
        lambda: zipped({"\u202e\x07<b>`x`": b"no", "ü" * 9000 + ".png": b"no", "a\nb.png": PNG}),
        "and 1 more are no picture (give PNG, JPEG or WEBP)",
    ),
    "declares 5 GB": (lambda: by_hand(b"a.png", deflated(PNG), 2**32 - 2), "damaged"),
    "declares 400 MB and has them": (lambda: by_hand(b"a.png", deflated(PNG, BOMB), BOMB), "too large"),
    "declares 1 MB and has 400 MB": (lambda: by_hand(b"a.png", deflated(PNG, BOMB), 1_000_000), "damaged"),
    "400 MB of zeros": (lambda: by_hand(b"a.png", deflated(b"", BOMB), BOMB), "no picture"),
    "735 MB in pictures": (many_large, "too much to unpack"),
    "declares more than it has": (lambda: by_hand(b"a.png", deflated(PNG), 4_000_000), "damaged"),
    "packed in more than there is": (
        lambda: by_hand(b"a.png", deflated(PNG), len(PNG), zlib.crc32(PNG), packed_size=2**31),
        "",
    ),
    "a wrong sum": (lambda: by_hand(b"a.png", deflated(PNG), len(PNG), crc=1), "damaged"),
    "10,000 members": (lambda: zipped({f"{number}.png": b"" for number in range(10_000)}), "10000 members"),
    "65,000 entries of one member": (
        lambda: by_hand(b"a", deflated(PNG), len(PNG), zlib.crc32(PNG), entries=65_000),
        "65000 members",
    ),
    "a zip in a zip": (lambda: zipped({"inner.png": zipped({"a.png": PNG})}), "a zip inside a zip"),
    "zips in zips, ten deep": (lambda: nested(10), "a zip inside a zip"),
    "encrypted": (lambda: by_hand(b"a.png", deflated(PNG), len(PNG), flags=1), "without a password"),
    "truncated": (lambda: zipped({"a.png": PNG, "b.png": PNG})[:-30], "is cut short or changed"),
    "only its first bytes": (lambda: b"PK\x03\x04", "is cut short or changed"),
    "empty": (lambda: zipped({}), "there is no file"),
    "no picture in it": (lambda: zipped({"a.txt": b"hello", "b.png": b"hello"}), "none of the 2 files"),
    "bzip2": (lambda: method_bomb(zipfile.ZIP_BZIP2), "packed in an unusual way"),
    "lzma": (lambda: method_bomb(zipfile.ZIP_LZMA), "packed in an unusual way"),
    "a picture of 400 million pixels": (
        lambda: zipped({"a.png": flat_png(20_000, 20_000, 8, 0, row_bytes=9, rows=1)}),
        "too large",
    ),
    "6 MB": (lambda: zipped({"a.png": bytes(6_000_000)}, zipfile.ZIP_STORED), "use a zip of at most 5 MB"),
    "a name that is no text": (
        lambda: by_hand(b"\xff\xfe.png", deflated(PNG), len(PNG), zlib.crc32(PNG), flags=0x800),
        "is cut short or changed",
    ),
}


def nested(depth: int) -> bytes:
    data = zipped({"a.png": PNG})
    for _ in range(depth):
        data = zipped({"inner.zip": data})
    return data


MEASURE = """if True:
    import json, sys, time
    from pathlib import Path
    from icm.images.folder import FolderError, open_folder
    from tests.torture.hostile import _forget_peak, _kilobytes
    place = Path(sys.argv[1])
    open_folder([("warm.png", (place / "sound.png").read_bytes())])
    for path in sorted(place.glob("*.zip")):
        data, count = path.read_bytes(), 0
        before, begun = _forget_peak(), time.process_time()
        try:
            found = open_folder([("given.zip", data)])
            said, count = found.passed_over, len(found.looks["digits"])
        except FolderError as error:
            said = str(error)
        seconds, megabytes = time.process_time() - begun, (_kilobytes("VmHWM") - before) / 1024
        print(json.dumps([path.stem, seconds, megabytes, count, said]), flush=True)
"""
# Pictures that can be used.
USED = {
    "names that lead elsewhere": 3,
    "names of odd signs": 1,
    "735 MB in pictures": 10,
    "packed in more than there is": 1,
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, float, int, str]]:
    """Of each hostile zip, opened in a process of its own: seconds of the processor, MB, pictures, and what is said."""
    place = tmp_path_factory.mktemp("hostile")
    for name, (make, _) in HOSTILE.items():
        (place / f"{name}.zip").write_bytes(make())
    (place / "sound.png").write_bytes(PNG)
    there = sorted(place.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(place)], capture_output=True, text=True, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    assert sorted(place.rglob("*")) == there  # nothing was extracted
    return {name: tuple(figures) for name, *figures in map(json.loads, done.stdout.splitlines())}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_zip_gives_one_sentence_within_a_second_and_256_mb(
    name: str, opened: dict[str, tuple[float, float, int, str]]
) -> None:
    seconds, megabytes, count, said = opened[name]
    print(f"{seconds:.3f} s, {megabytes:.0f} MB, {count} pictures: {said}")
    assert seconds < 1
    assert megabytes < 256
    assert HOSTILE[name][1] in said
    assert "\n" not in said
    assert len(said) < 500
    assert count == USED.get(name, 0)


def test_files_and_the_pictures_of_a_zip_are_one_set_in_both_looks() -> None:
    found = open_folder(
        [
            ("one.png", picture(10)),
            ("two.jpg", picture(20, "JPEG")),
            ("more.zip", zipped({"b/three.webp": picture(30, "WEBP"), "b/": b""})),
        ]
    )
    digits, plain = found.seen("digits"), found.seen("plain")
    assert digits.pixels.shape == plain.pixels.shape == (3, 1, 32, 32)
    assert digits.labels is None
    assert digits.pixels[0, 0, 15, 16] > 200  # ink is bright in the middle
    assert plain.pixels[0, 0, 2, 2] > 200  # white paper stays white
    assert found.passed_over == ""


def test_what_cannot_be_used_is_told_with_its_name_and_the_rest_is_kept() -> None:
    found = open_folder([("notes.txt", b"hello"), ("one.png", PNG), ("white.png", blank()), ("a.txt", b"b")])
    assert len(found.seen("digits").pixels) == 1
    assert found.passed_over == (
        "3 of 4 files cannot be used: “notes.txt” and 1 more are no picture (the file of 5 bytes is no PNG, JPEG or WEBP; save it "
        "as one of these); “white.png” is without ink (give a picture with something that stands out from its ground)."
    )


def blank() -> bytes:
    file = io.BytesIO()
    Image.new("L", (50, 40), 255).save(file, "PNG")
    return file.getvalue()


def test_one_file_that_cannot_be_used_is_told_in_one_sentence() -> None:
    with pytest.raises(FolderError, match=r"“a.png” is unreadable: the picture is damaged .*; save it again"):
        open_folder([("a.png", PNG[:60])])
    with pytest.raises(FolderError, match="there is no file in what you gave; give PNG"):
        open_folder([])


def test_a_zip_that_cannot_be_read_takes_no_other_picture_with_it() -> None:
    found = open_folder([("one.png", PNG), ("cut.zip", zipped({"a.png": PNG})[:-30]), ("two.png", PNG)])
    assert len(found.seen("digits").pixels) == 2
    assert found.passed_over.startswith(
        "1 of 3 files cannot be used: “cut.zip” is damaged (the zip is cut short"
    )


def test_what_a_mac_puts_beside_the_pictures_is_not_spoken_of() -> None:
    found = open_folder([("mac.zip", zipped({"a.png": PNG, "__MACOSX/._a.png": b"x", ".DS_Store": b"x"}))])
    assert (len(found.seen("plain").pixels), found.passed_over) == (1, "")


def test_at_most_200_pictures_are_used_the_first_by_their_names() -> None:
    members = {f"{number:03}.png": picture(10 + number % 40) for number in reversed(range(203))}
    found = open_folder([("many.zip", zipped(members))])
    assert len(found.seen("digits").pixels) == folder.MOST_PICTURES
    assert "“200.png” and 2 more are beyond the limit (give at most 200 pictures)" in found.passed_over


def test_no_picture_is_opened_once_patience_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands at the limit for the first picture, and beyond it after that one."""
    clock = itertools.chain([0.0, folder.PATIENCE], itertools.repeat(folder.PATIENCE + 0.1))
    monkeypatch.setattr(folder.time, "thread_time", lambda: next(clock))
    found = open_folder([(f"{number}.png", picture(10)) for number in range(5)])
    assert len(found.seen("digits").pixels) == 1
    assert re.match(r"4 of 5 files .* “1.png” and 3 more are not reached in time .*fewer", found.passed_over)


def test_the_digest_is_of_what_is_seen_and_not_of_names() -> None:
    one, same, other = (
        open_folder([each])
        for each in (("a.png", picture(10)), ("b.png", picture(10)), ("a.png", picture(30)))
    )
    assert one.digest == same.digest != other.digest


def test_a_picture_without_ink_in_one_look_is_left_out_of_that_look_alone() -> None:
    x = np.tile(np.arange(64), (64, 1))
    file = io.BytesIO()
    Image.fromarray((x * 4).astype(np.uint8)).save(file, "PNG")  # a slope, as light on paper
    found = open_folder([("slope.png", file.getvalue())])
    assert len(found.seen("plain").pixels) == 1
    with pytest.raises(FolderError, match=r"nothing stands out .* in any of your 1 images"):
        found.seen("digits")
