"""Safetensors files that are not what they should be, made from a sound one.

Changed arrays are written with a digest that fits, so that the reader has to look at the rest.
A file is eight bytes of header length, a JSON header (name -> dtype, shape, data_offsets; __metadata__), then the bytes."""

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from safetensors.numpy import load

from tests.torture.ground import written

Make = Callable[[bytes], bytes]
Header = dict[str, Any]
METADATA = "__metadata__"


def malformed_files() -> list[tuple[str, Make]]:
    """Ninety-two of them, by name."""
    made: list[tuple[str, Make]] = []
    made += [(f"header length {name}", _with_length(length)) for name, length in LENGTHS.items()]
    made += [(f"header {name}", _with_header(text)) for name, text in HEADERS.items()]
    made += [(f"entry {name}", _with_entry(change)) for name, change in ENTRIES.items()]
    made += [(f"metadata {name}", _with_metadata(value)) for name, value in METADATAS.items()]
    made += [(f"dtype {name}", _with_entry({"dtype": name})) for name in DTYPES]
    made += [(f"arrays {name}", _with_arrays(change)) for name, change in ARRAYS.items()]
    return made + list(WHOLE.items())


def split(content: bytes) -> tuple[Header, bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: Header | bytes, body: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def _first(header: Header) -> str:
    """The name of the largest array, where a wrong byte counts most."""
    names = [name for name in header if name != METADATA]
    return max(names, key=lambda name: header[name]["data_offsets"][1] - header[name]["data_offsets"][0])


LENGTHS = {  # negative: see `_with_length`
    "0": 0,
    "1": 1,
    "7": 7,
    "one too small": -1,
    "one too large": -2,
    "100 MB": 100_000_000,
    "4 GB": 1 << 32,
    "2^63": 1 << 63,
    "2^64 - 1": (1 << 64) - 1,
}


def _with_length(length: int) -> Make:
    def make(content: bytes) -> bytes:
        (now,) = struct.unpack("<Q", content[:8])
        wanted = {-1: now - 1, -2: now + 1}.get(length, length)
        return struct.pack("<Q", wanted) + content[8:]

    return make


HEADERS = {
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "a word": b'"weights"',
    "an empty object": b"{}",
    "not UTF-8": b'{"\xff\xfe": 1}',
    "deep lists": b"[" * 20_000 + b"]" * 20_000,
    "deep objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "NaN": b'{"a": NaN}',
    "zeros": bytes(64),
    "blanks": b" " * 64,
}


def _with_header(text: bytes) -> Make:
    return lambda content: joined(text, split(content)[1])


ENTRIES: dict[str, dict[str, Any]] = {
    "offsets past the end": {"data_offsets": [0, 1 << 40]},
    "offsets reversed": {"data_offsets": [64, 0]},
    "offsets negative": {"data_offsets": [-64, 0]},
    "offsets overlapping": {"data_offsets": [0, 4]},
    "offsets fractions": {"data_offsets": [0.5, 4.5]},
    "offsets words": {"data_offsets": ["0", "4"]},
    "offsets three": {"data_offsets": [0, 4, 8]},
    "offsets missing": {"data_offsets": None},
    "shape a number": {"shape": 4},
    "shape negative": {"shape": [-1, 4]},
    "shape huge": {"shape": [1 << 62, 1 << 62]},
    "shape of zeros": {"shape": [0]},
    "shape flat": {"shape": "flat"},
    "shape too large": {"shape": [3, 3]},
    "shape missing": {"shape": None},
    "shape words": {"shape": ["a"]},
    "dtype missing": {"dtype": None},
    "dtype a number": {"dtype": 32},
    "dtype unknown": {"dtype": "F33"},
    "dtype empty": {"dtype": ""},
}


def _with_entry(change: dict[str, Any]) -> Make:
    """One array's entry is changed; the bytes and the digest stay those of the sound file."""

    def make(content: bytes) -> bytes:
        header, body = split(content)
        entry = header[_first(header)]
        for key, value in change.items():
            if value is None:
                del entry[key]
            elif value == "flat":
                entry["shape"] = [int(np.prod(entry["shape"]))]
            else:
                entry[key] = value
        return joined(header, body)

    return make


DTYPES = ("I32", "U32", "BF16", "F16", "F8_E4M3", "F8_E5M2", "F64", "I64", "BOOL", "U8", "C64", "F4")

METADATAS: dict[str, Any] = {
    "missing": None,
    "empty": {},
    "a list": [],
    "a word": "sha256",
    "a number in it": {"sha256": 7},
    "a list in it": {"digest": ["a"]},
    "an empty digest": {"sha256": "", "digest": ""},
    "a wrong digest": {"sha256": "0" * 64, "digest": "0" * 64},
    "half a digest": {"sha256": "0" * 32},
}


def _with_metadata(value: Any) -> Make:
    def make(content: bytes) -> bytes:
        header, body = split(content)
        header.pop(METADATA, None)
        if value is not None:
            header[METADATA] = value
        return joined(header, body)

    return make


Arrays = dict[str, np.ndarray]


def _with_arrays(change: Callable[[Arrays, str], None]) -> Make:
    """A file that is whole by its digest and yet not what the run needs."""

    def make(content: bytes) -> bytes:
        arrays = load(content)
        change(arrays, _first(split(content)[0]))
        return written(arrays)

    return make


def _set(value: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays, str], None]:
    def change(arrays: Arrays, name: str) -> None:
        arrays[name] = value(arrays[name])

    return change


def _lost(arrays: Arrays, name: str) -> None:
    del arrays[name]


def _renamed(arrays: Arrays, name: str) -> None:
    arrays[name + "x"] = arrays.pop(name)


def _added(arrays: Arrays, name: str) -> None:
    arrays["stranger"] = np.zeros(3, np.float32)


def _nothing(arrays: Arrays, name: str) -> None:
    arrays.clear()


def _all_flat(arrays: Arrays, name: str) -> None:
    for each in arrays:
        arrays[each] = arrays[each].reshape(-1)


def _half_lost(arrays: Arrays, name: str) -> None:
    for each in sorted(arrays)[::2]:
        del arrays[each]


def _one_alone(arrays: Arrays, name: str) -> None:
    for each in set(arrays) - {name}:
        del arrays[each]


def _exchanged(arrays: Arrays, name: str) -> None:
    other = next(each for each in sorted(arrays) if arrays[each].shape != arrays[name].shape)
    arrays[name], arrays[other] = arrays[other], arrays[name]


def _counters_alone(arrays: Arrays, name: str) -> None:
    for each in list(arrays):
        if arrays[each].dtype.kind == "f":
            del arrays[each]


ARRAYS: dict[str, Callable[[Arrays, str], None]] = {
    "one missing": _lost,
    "one renamed": _renamed,
    "a strange one": _added,
    "none": _nothing,
    "half of them": _half_lost,
    "one alone": _one_alone,
    "no networks": _counters_alone,
    "all flat": _all_flat,
    "one flat": _set(lambda values: values.reshape(-1)),
    "one turned": _set(lambda values: np.ascontiguousarray(values.T)),
    "one cut": _set(lambda values: values[:1]),
    "one doubled": _set(lambda values: np.concatenate([values, values])),
    "one empty": _set(lambda values: values[:0]),
    "one a number": _set(lambda values: np.array(1.0, np.float32)),
    "one float64": _set(lambda values: values.astype(np.float64)),
    "one int32": _set(lambda values: values.view(np.int32)),
    "one uint8": _set(lambda values: values.view(np.uint8)),
    "one boolean": _set(lambda values: values > 0),
    "one int64": _set(lambda values: values.astype(np.int64)),
    "one with one more axis": _set(lambda values: values[None]),
    "one complex": _set(lambda values: values.astype(np.complex64)),
    "two exchanged": _exchanged,
}


def _twice(content: bytes) -> bytes:
    """The largest array's entry stands twice in the header, the second time with another type."""
    header, body = split(content)
    name = _first(header)
    other = json.dumps({**header[name], "dtype": "I32"})
    text = json.dumps(header)[:-1] + f", {json.dumps(name)}: {other}" + "}"
    return joined(text.encode(), body)


def _hole(content: bytes) -> bytes:
    header, body = split(content)
    return joined(header, body + bytes(16))


def _zip(content: bytes) -> bytes:
    return b"PK\x03\x04" + content


WHOLE: dict[str, Make] = {
    "one name twice": _twice,
    "bytes after the end": _hole,
    "a zip file": _zip,
    "nothing": lambda content: b"",
    "seven bytes": lambda content: content[:7],
    "text": lambda content: b"weights, honestly\n" * 99,
    "two files in one": lambda content: content + content,
}
