"""Files are written whole or not at all, and what is read is what was written."""

import errno
import json
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from icm import files
from icm.files import FileError, hold, is_held, read_arrays, read_json, write_arrays, write_whole


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_the_old_file_leaves_no_other_and_says_where_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    write_whole(path, b"old")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(FileError, match=rf"{path} cannot be written \(No space left.*free some space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_gone_does_not_come_back(tmp_path: Path) -> None:
    for write in (write_whole, files.append):
        with pytest.raises(FileError, match="was removed or moved away"):
            write(tmp_path / "gone" / "file", b"content")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(Path, "unlink", full)
    with pytest.raises(FileError):
        write_whole(tmp_path / "state", b"half")
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 1
    files.sweep(tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_appended_to_a_file_that_somebody_removed(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"1\n")
    files.append(path, b"2\n")
    assert path.read_bytes() == b"1\n2\n"
    path.unlink()
    with pytest.raises(FileError, match="was removed"):
        files.append(path, b"3\n")
    assert not path.exists()


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"theirs")
    (tmp_path / "rows").symlink_to(tmp_path / "outside")
    with pytest.raises(FileError, match="a link lies where a file belongs"):
        files.append(tmp_path / "rows", b"ours")
    write_whole(tmp_path / "rows", b"ours")
    assert (tmp_path / "outside").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"a"', b"7", b'{"a": NaN}', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000],
)
def test_what_is_no_json_object_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(FileError, match=r"config\.json cannot be read"):
        read_json(tmp_path / "config.json")


ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "clock": np.array([4, 5]),
    "one": np.array([1.5]),
}


def relabelled(path: Path, change) -> None:
    """The file with another header over the same bytes."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def test_arrays_come_back_with_their_types_and_shapes(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a", ARRAYS)
    found = read_arrays(tmp_path / "a")
    assert found.keys() == ARRAYS.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, ARRAYS[name], strict=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["weight"].update(dtype="I32"),  # the same bytes, other numbers
        lambda header: header["weight"].update(shape=[3, 2]),
        lambda header: header["weight"].update(dtype="BF16", shape=[4, 3]),
        lambda header: header.update(other=header.pop("weight")),
        lambda header: header.pop("__metadata__"),
        lambda header: header["__metadata__"].update(digest="0" * 64),
        lambda header: header["weight"].update(dtype="F99"),
    ],
)
def test_arrays_under_another_name_type_or_shape_are_not_taken(tmp_path: Path, change) -> None:
    write_arrays(tmp_path / "a", ARRAYS)
    relabelled(tmp_path / "a", change)
    with pytest.raises(FileError, match=r"damaged|cannot be read"):
        read_arrays(tmp_path / "a")


def test_files_with_the_older_digest_are_still_read(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a", ARRAYS)
    relabelled(
        tmp_path / "a", lambda header: header.update(__metadata__={"sha256": files._old_digest(ARRAYS)})
    )
    assert read_arrays(tmp_path / "a").keys() == ARRAYS.keys()


def test_six_readers_never_take_one_another_for_a_holder(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    start, seen = threading.Barrier(6), []

    def look() -> None:
        start.wait()
        seen.extend(is_held(tmp_path / "lock") for _ in range(2000))

    readers = [threading.Thread(target=look) for _ in range(6)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert seen == [False] * 12_000
    with hold(tmp_path / "lock", timeout=0.0):
        assert is_held(tmp_path / "lock")


def test_a_look_at_a_lock_makes_no_file(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "gone" / "lock")
    assert not is_held(tmp_path / "lock")
    assert not list(tmp_path.iterdir())


def test_a_lock_is_not_held_twice_and_its_folder_is_not_made(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", timeout=0.0), pytest.raises(TimeoutError):
        hold(tmp_path / "lock", timeout=0.0).__enter__()
    with pytest.raises(FileError, match="was removed or moved away"):
        hold(tmp_path / "gone" / "lock", timeout=0.0).__enter__()
    assert not (tmp_path / "gone").exists()
