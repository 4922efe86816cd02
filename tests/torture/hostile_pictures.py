"""Pictures that are made to break or to occupy a decoder: headers that lie, blocks without end, bombs, other formats under a
picture's name, and sound pictures with bits flipped and ends cut off. Always the same ones."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
BOMB = 60_000_000  # bytes of zeros, which pack into some tens of thousands


def pictures(count: int) -> list[tuple[str, bytes]]:
    """`count` of them, each with its name: every crafted kind, then mutations. Fewer than 449 are an even choice of those."""
    crafted = [*_png_headers(), *_png_chunks(), *_jpegs(), *_webps(), *_others()]
    found = crafted + list(_mutations(max(449, count) - len(crafted)))
    return [found[index * len(found) // count] for index in range(count)]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    width: int, height: int, depth: int, colour: int, *others: int, extra: bytes = b"", data: bytes = b""
) -> bytes:
    """A PNG with a header of these claims, `extra` chunks, and packed `data` or a few kilobytes of zeros.

    `others` are the numbers of compression, filter and interlace."""
    ways = (*others, 0, 0, 0)[:3]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, *ways)
    packed = data or zlib.compress(bytes(5000))
    return PNG + chunk(b"IHDR", header) + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _png_headers() -> Iterator[tuple[str, bytes]]:
    for depth in (0, 1, 2, 4, 8, 16, 32):
        for colour in (0, 1, 2, 3, 4, 5, 6):
            yield f"PNG of depth {depth}, colour {colour}", png(13, 7, depth, colour)
    longest = 2**31 - 1
    for width, height in (
        (0, 5),
        (5, 0),
        (1, longest),
        (longest, 1),
        (longest, longest),
        (65_535, 65_535),
        (4000, 3000),
        (4000, 3001),
        (12_000_000, 1),
        (1, 12_000_000),
        (100_000, 120),
    ):
        yield f"PNG of {width} x {height}", png(width, height, 8, 0)
    for ways in ((1,), (0, 1), (0, 0, 1), (0, 0, 2), (9, 9, 9)):
        yield f"PNG with ways {ways}", png(13, 7, 8, 2, *ways)


def _png_chunks() -> Iterator[tuple[str, bytes]]:
    bomb = zlib.compress(bytes(BOMB), 9)
    extras = {
        "zTXt bomb": chunk(b"zTXt", b"a\0\0" + bomb),
        "iTXt bomb": chunk(b"iTXt", b"a\0\1\0\0\0" + bomb),
        "iCCP bomb": chunk(b"iCCP", b"a\0\0" + bomb),
        "eight zTXt bombs": chunk(b"zTXt", b"a\0\0" + bomb) * 8,
        "19,000 chunks": chunk(b"abCd", b"") * 19_000,
        "400,000 chunks": chunk(b"abCd", b"") * 400_000,
        "tRNS too long": chunk(b"tRNS", bytes(700)),
        "PLTE empty": chunk(b"PLTE", b""),
        "PLTE too long": chunk(b"PLTE", bytes(3 * 300)),
        "PLTE of 4 bytes": chunk(b"PLTE", bytes(4)),
        "gAMA 0": chunk(b"gAMA", bytes(4)),
        "pHYs short": chunk(b"pHYs", b"1"),
        "eXIf garbage": chunk(b"eXIf", b"MM\0*" + b"\xff" * 99),
        "eXIf loop": chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08"),
        "acTL of 2^31 frames": chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)),
        "fcTL out of bounds": chunk(b"acTL", struct.pack(">II", 2, 0))
        + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 99_999, 99_999, 9, 9, 1, 1, 0, 0)),
        "two headers": chunk(b"IHDR", struct.pack(">IIBBBBB", 3000, 3000, 8, 6, 0, 0, 0)),
        "end first": chunk(b"IEND", b""),
        "wrong sum": chunk(b"tEXt", b"a\0b")[:-1] + b"\0",
        "length 2^31": struct.pack(">I", 2**31) + b"tEXt",
    }
    for name, extra in extras.items():
        yield f"PNG, {name}", png(13, 7, 8, 3 if "PLTE" in name else 2, extra=extra)
    yield "PNG, more data than pixels", png(13, 7, 8, 2, data=bomb)
    yield "PNG, no data", PNG + png(13, 7, 8, 2)[8:33] + chunk(b"IEND", b"")
    yield "PNG, data no zlib", png(13, 7, 8, 2, data=b"hello")
    yield "PNG, all that is allowed", png(4000, 3000, 8, 6, data=zlib.compress(bytes(16_001 * 3000), 1))
    yield (
        "PNG, 16 bits, all that is allowed",
        png(4000, 3000, 16, 6, data=zlib.compress(bytes(32_001 * 3000), 1)),
    )
    yield "PNG, interlaced", png(4000, 3000, 8, 0, 0, 0, 1, data=zlib.compress(bytes(13_000_000), 1))
    pieces = b"".join(chunk(b"IDAT", bytes([each])) for each in zlib.compress(bytes(13 * 3 * 7 + 7)))
    yield "PNG, data byte by byte", PNG + png(13, 7, 8, 2)[8:33] + pieces + chunk(b"IEND", b"")


def _jpegs() -> Iterator[tuple[str, bytes]]:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8))
    plain, many = saved(noise, "JPEG"), saved(noise, "JPEG", progressive=True)
    start = plain.find(b"\xff\xc0") + 4  # precision, height, width, components
    for name, place, value in (
        ("0 x 0", 1, bytes(4)),
        ("65535 x 65535", 1, b"\xff" * 4),
        ("1 x 65535", 1, b"\xff\xff\0\1"),
        ("8000 x 8000", 1, b"\x1f\x40\x1f\x40"),
        ("no component", 5, b"\0"),
        ("1 component", 5, b"\1"),
        ("255 components", 5, b"\xff"),
        ("sampling 0", 7, b"\0"),
        ("sampling 15", 7, b"\xff"),
        ("sampling 4 x 1", 7, b"\x41"),
        ("precision 12", 0, b"\x0c"),
        ("precision 0", 0, b"\0"),
    ):
        at = start + place
        yield f"JPEG, {name}", plain[:at] + value + plain[at + len(value) :]
    for marker, name in ((b"\xff\xdb", "quantisation"), (b"\xff\xc4", "Huffman"), (b"\xff\xda", "scan")):
        at = plain.find(marker)
        yield f"JPEG without {name}", plain[:at] + b"\xff\xfe" + plain[at + 2 :]
        yield f"JPEG cut at {name}", plain[: at + 3]
    scan = many[many.rfind(b"\xff\xda") : -2]
    for scans in (10, 24, 100, 5000):
        yield f"JPEG of {scans} scans more", many[:-2] + scan * scans + EOI
    large = saved(Image.new("RGB", (4000, 4000)), "JPEG", progressive=True)
    yield "JPEG, large, progressive", large
    yield "JPEG, large, with scans", large[:-2] + large[large.rfind(b"\xff\xda") : -2] * 12 + EOI
    yield "JPEG, 1.2 million comments", SOI + b"\xff\xfe\x00\x02" * 1_200_000 + plain[2:]
    yield "JPEG, 4 MB of padding", SOI + b"\xff" * 4_000_000 + plain[2:]
    yield "JPEG, zeros for the picture", plain[: plain.find(b"\xff\xda") + 14] + bytes(1_000_000) + EOI
    yield "JPEG without end", plain[:-2]
    yield "JPEG twice", plain + plain
    for orientation in (0, 5, 8, 9, 65_535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"JPEG turned by {orientation}", saved(noise, "JPEG", exif=exif)
    loop = b"Exif\0\0MM\0*\0\0\0\x08\0\2\x01\x12\0\3\xff\xff\xff\xff\0\0\0\x08\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08"
    yield "JPEG, Exif loop", SOI + b"\xff\xe1" + struct.pack(">H", len(loop) + 2) + loop + plain[2:]


def _webps() -> Iterator[tuple[str, bytes]]:
    noise = Image.fromarray(np.random.default_rng(2).integers(0, 256, (40, 30, 4), dtype=np.uint8))
    lossy, lossless = saved(noise.convert("RGB"), "WEBP"), saved(noise, "WEBP", lossless=True)
    moving = saved(
        noise, "WEBP", save_all=True, append_images=[noise.rotate(90 * turn) for turn in (1, 2, 3)]
    )
    for name, size in (("0", 0), ("1", 1), ("2^32 - 1", 2**32 - 1), ("less", len(lossy) // 2)):
        yield f"WEBP of size {name}", lossy[:4] + struct.pack("<I", size) + lossy[8:]
    for name, value in (("16383 x 16383", b"\xff\x3f\xff\x3f"), ("0 x 0", bytes(4))):
        at = lossy.find(b"\x9d\x01\x2a") + 3
        yield f"WEBP, {name}", lossy[:at] + value + lossy[at + 4 :]
    yield "WEBP, lossless, 16384 x 16384", lossless.replace(lossless[21:25], b"\xff\xff\xff\x0f", 1)
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + b"\xff" * 6
    yield (
        "WEBP, canvas of 2^24 x 2^24",
        b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(lossy) - 12) + b"WEBP" + canvas + lossy[12:],
    )
    frame = moving[moving.find(b"ANMF") :]
    yield "WEBP, 3 animated pictures", moving
    yield "WEBP, 9,000 animated pictures", moving + frame * (4_000_000 // max(len(frame), 1))
    yield "WEBP, animated, cut", moving[: len(moving) // 2]
    yield "WEBP, large", saved(Image.new("RGBA", (3000, 3000), (9, 9, 9, 9)), "WEBP", method=0)
    yield "WEBP, garbage after the name", b"RIFF\x50\0\0\0WEBPVP8 " + bytes(range(256)) * 4


def _others() -> Iterator[tuple[str, bytes]]:
    grey = Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30))
    for kind in ("GIF", "BMP", "TIFF", "PPM", "ICO", "PDF", "EPS", "TGA", "PCX", "SGI", "DDS", "IM", "MPO"):
        yield f"a {kind}", saved(grey.convert("RGB") if kind in ("DDS", "EPS", "MPO") else grey, kind)
    texts = {
        "nothing": b"",
        "a byte": b"\x89",
        "text": b"hello\n" * 99,
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:9/x"/></svg>',
        "HTML": b"<html><script>alert(1)</script></html>",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "a zip file": b"PK\x03\x04" + bytes(99),
        "a gzip bomb": zlib.compress(bytes(BOMB), 9),
        "5 MB of zeros": bytes(5_000_000),
        "5 MB after PNG": PNG + bytes(4_900_000),
        "5 MB after JPEG": SOI + bytes(4_900_000),
        "6 MB": bytes(6_000_000),
        "only PNG": PNG,
        "only JPEG": b"\xff\xd8\xff",
        "only WEBP": b"RIFF\0\0\0\0WEBP",
        "AVIF": b"\0\0\0\x20ftypavif" + bytes(99),
        "PSD": b"8BPS\0\1" + bytes(99),
    }
    yield from texts.items()


def _mutations(count: int) -> Iterator[tuple[str, bytes]]:
    """Sound pictures of every kind with a few bits flipped, often in the first bytes, a third of them cut as well."""
    random = np.random.default_rng(16)
    colours = Image.fromarray(random.integers(0, 256, (23, 31, 4), dtype=np.uint8))
    sound = [saved(colours.convert("RGB"), kind) for kind in ("PNG", "JPEG", "WEBP")]
    sound += [saved(colours, "PNG"), saved(colours, "WEBP", lossless=True)]
    sound += [saved(colours.convert("RGB").convert(mode), "PNG") for mode in ("P", "1", "LA")]
    sound += [saved(colours.convert("CMYK"), "JPEG", progressive=True)]
    for turn in range(count):
        data = bytearray(sound[turn % len(sound)])
        for place in random.integers(0, len(data) if turn % 2 else 40, random.integers(1, 7)):
            data[place] ^= 1 << random.integers(8)
        if turn % 3 == 0:
            del data[random.integers(len(data)) :]
        yield f"mutation {turn}", bytes(data)
