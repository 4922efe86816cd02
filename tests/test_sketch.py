"""A person's picture becomes one image. Whatever is no usable picture is refused in one sentence."""

import struct
import subprocess
import sys
import time
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from icm.images import sketch
from icm.images.digits import load_digits
from icm.images.sketch import WHOLE, Part, PictureError, as_drawn, canonical, cut, is_blank, open_picture

PNG = b"\x89PNG\r\n\x1a\n"


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(mode: str = "L") -> Image.Image:
    """30 pixels high, 40 wide, the left half dark and the right half bright."""
    return Image.fromarray(np.array([[0] * 20 + [255] * 20] * 30, dtype=np.uint8)).convert(mode)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def flat_png(width: int, height: int, depth: int, colours: int, row_bytes: int, rows: int) -> bytes:
    """A PNG whose header claims `width` x `height`, with `rows` empty rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    packed = zlib.compress(bytes((1 + row_bytes) * rows), 1)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def line(*points: tuple[int, int], size: tuple[int, int], width: int) -> np.ndarray:
    """Points are (x, y), the size is (height, width); bright on 0."""
    image = Image.new("L", (size[1], size[0]))
    ImageDraw.Draw(image).line(points, fill=255, width=width, joint="curve")
    return np.asarray(image, dtype=np.float32) / 255


def enlarged(image: np.ndarray, times: int = 10) -> np.ndarray:
    return np.kron(image, np.ones((times, times), dtype=np.float32))


@pytest.fixture(scope="module")
def digits(root: Path) -> np.ndarray:
    """Forty real digits, four of each: 40 x 32 x 32."""
    built_in = load_digits("builtin", root)
    chosen = [i for digit in range(10) for i in np.flatnonzero(built_in.test_labels.numpy() == digit)[:4]]
    return built_in.test[chosen, 0].numpy().astype(np.float32) / 255


def test_what_is_drawn_block_by_block_comes_back_exactly() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.float32) / 255
    assert np.abs(as_drawn(enlarged(image)) - image).max() < 1e-6
    assert np.abs(as_drawn(enlarged(image, 3)) - image).max() < 1e-6
    assert np.abs(as_drawn(image) - image).max() < 1e-6
    opened = open_picture(saved(Image.fromarray((enlarged(image) * 255).round().astype(np.uint8)), "PNG"))
    assert np.abs(as_drawn(opened) - image).max() < 1 / 255


def test_as_drawn_pads_with_the_background_and_neither_inverts_nor_centres() -> None:
    grey = np.ones((16, 64), dtype=np.float32)
    grey[4:12, 20:44] = 0
    # 24 rows of white above make it 64 x 64; then two pixels become one.
    expected = np.ones((32, 32))
    expected[14:18, 10:22] = 0
    assert np.array_equal(as_drawn(grey), expected)


def test_a_part_of_a_picture_is_cut_out_and_is_never_empty() -> None:
    grey = np.arange(200, dtype=np.float32).reshape(10, 20)
    # Rows 2 to 5 of 10; columns 10 to 14 of 20.
    assert np.array_equal(cut(grey, Part(left=0.5, right=0.75, top=0.2, bottom=0.6)), grey[2:6, 10:15])
    assert np.array_equal(cut(grey, WHOLE), grey)
    assert cut(grey, Part(left=1.0, right=1.0, top=0.5, bottom=0.5)).tolist() == [[119]]


def test_canonical_gives_digits_back_nearly_unchanged(digits: np.ndarray) -> None:
    errors = [np.abs(canonical(enlarged(digit)) - digit).mean() for digit in digits]
    assert np.mean(errors) < 0.002
    assert max(errors) < 0.01


def test_canonical_does_not_depend_on_polarity(digits: np.ndarray) -> None:
    for digit in digits[::5]:
        assert np.abs(canonical(1 - enlarged(digit, 4)) - canonical(enlarged(digit, 4))).mean() < 0.001


def test_canonical_scales_to_20_pixels_and_centres() -> None:
    grey = np.zeros((90, 200), dtype=np.float32)
    grey[10:70, 140:155] = 0.7
    # 60 x 15 becomes 20 x 5. Its middle, row 9.5 and column 2, comes to row 15.5 and column 16.
    expected = np.zeros((32, 32))
    expected[6:26, 14:19] = 1
    assert np.abs(canonical(grey) - expected).max() < 1e-5


def test_canonical_stays_in_the_field_of_28() -> None:
    heavy = np.zeros((100, 100), dtype=np.float32)
    heavy[80:96, 20:45] = 1  # nearly all ink at one end of a long thin stroke
    heavy[16:80, 20:24] = 1
    image = canonical(heavy)
    assert image[:2].max() == image[-2:].max() == image[:, :2].max() == image[:, -2:].max() == 0
    assert np.flatnonzero(image.any(axis=1))[[0, -1]].tolist() == [2, 21]


def test_a_photo_of_pen_on_paper_under_uneven_light_is_as_clear_as_a_drawing() -> None:
    pen = line((400, 200), (160, 450), (560, 450), (560, 250), (540, 600), size=(768, 1024), width=12)
    y, x = np.mgrid[:768, :1024]
    light = 0.8 * (1 - 0.5 * x / 1024) * (1 - 0.2 * (y / 768) ** 2)
    noise = 0.02 * np.random.default_rng(0).standard_normal(pen.shape)
    photo = (light * (1 - 0.5 * ndimage.gaussian_filter(pen, 2)) + noise).clip(0, 1).astype(np.float32)
    # The two may lie a pixel apart.
    moved = [np.roll(canonical(photo), (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    assert min(np.abs(image - canonical(pen)).mean() for image in moved) < 0.02


@pytest.mark.parametrize("width", [1, 3, 8])
def test_thin_strokes_get_the_weight_of_mnist(width: int) -> None:
    pen = line((300, 50), (100, 200), (330, 210), (330, 120), (330, 350), size=(400, 500), width=width)
    assert 0.07 < canonical(pen).mean() < 0.17  # MNIST: 0.10 on average, 0.05 to 0.16 for nine in ten
    assert canonical(pen).max() > 0.9


def test_specks_are_no_ink(digits: np.ndarray) -> None:
    clean = enlarged(digits[0])
    dusty = clean.copy()
    dusty[8, 5] = dusty[300, 310] = 0.4
    assert np.array_equal(canonical(dusty), canonical(clean))


def test_every_size_of_noise_gives_an_image_between_0_and_1() -> None:
    random = np.random.default_rng(0)
    for height, width in [
        (1, 1),
        (1, 2),
        (2, 1),
        (3, 2),
        (1, 900),
        (900, 1),
        (2, 70),
        (65, 33),
        (32, 32),
        (130, 7),
    ]:
        for _ in range(4):
            grey = random.random((height, width), dtype=np.float32)
            for image in (canonical(grey), as_drawn(grey), canonical(grey.round()), canonical(grey / 20)):
                assert image.dtype == np.float32
                assert 0 <= image.min() <= image.max() <= 1


def test_empty_paper_and_dots_are_blank() -> None:
    paper = np.full((300, 400), 0.8, dtype=np.float32)
    noise = 0.03 * np.random.default_rng(0).standard_normal(paper.shape).astype(np.float32)
    shade = paper * np.linspace(1, 0.6, 400, dtype=np.float32)
    y, x = np.mgrid[:320, :320]
    dot = ((y - 100) ** 2 + (x - 50) ** 2 < 14**2).astype(np.float32)  # a touch of a brush 28 pixels wide
    assert is_blank(dot)
    for empty in (np.zeros_like(paper), np.ones_like(paper), paper, paper + noise, shade):
        assert not canonical(empty).any()
        assert is_blank(canonical(empty))


def test_no_digit_is_blank(digits: np.ndarray) -> None:
    for digit in digits:
        for ink in (digit, enlarged(digit, 4), canonical(digit), canonical(1 - digit)):
            assert not is_blank(ink)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    + [(mode, "JPEG") for mode in ("L", "RGB", "CMYK")]
    + [(mode, "WEBP") for mode in ("RGB", "RGBA")],
)
def test_every_kind_of_pixel_becomes_grey(mode: str, kind: str) -> None:
    image = halves().convert("I").point(lambda value: value * 257).convert(mode) if mode == "I;16" else None
    grey = open_picture(saved(image or halves().convert("RGB").convert(mode), kind))
    assert grey.shape == (30, 40)
    assert grey[:, :16].max() < 0.05
    assert grey[:, 24:].min() > 0.95


def test_sixteen_bits_keep_their_middle() -> None:
    grey = open_picture(saved(Image.fromarray(np.full((3, 5), 0x8000, dtype=np.uint16)), "PNG"))
    assert grey.shape == (3, 5)
    assert np.allclose(grey, 128 / 255)


def test_one_pixel_is_a_picture() -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        grey = open_picture(saved(Image.new("RGB", (1, 1), "white"), kind))
        assert grey.shape == (1, 1)
        assert is_blank(canonical(grey))
        assert as_drawn(grey).min() > 0.99


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_camera_says(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees clockwise: left becomes top
    grey = open_picture(saved(halves("RGB"), kind, exif=exif))
    assert grey.shape == (40, 30)
    assert grey[:16].max() < 0.05
    assert grey[24:].min() > 0.95


def test_transparent_ground_is_the_opposite_of_the_ink() -> None:
    def drawn(light: int, opaque: slice) -> np.ndarray:
        pixels = np.zeros((12, 20, 4), dtype=np.uint8)
        pixels[..., :3] = 99  # what hides under full transparency
        pixels[opaque, 3:17] = (light, light, light, 255)
        return open_picture(saved(Image.fromarray(pixels), "PNG"))

    stroke, paper = slice(4, 7), slice(1, 11)
    assert drawn(30, stroke)[0, 0] == 1
    assert drawn(220, stroke)[0, 0] == 0
    assert drawn(220, paper)[0, 0] == 1  # bright paper with rounded corners
    assert drawn(30, paper)[0, 0] == 0
    assert open_picture(saved(Image.new("RGBA", (5, 3)), "PNG")).min() == 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_gives_its_first_picture(kind: str) -> None:
    frames = [halves("RGB"), Image.new("RGB", (40, 30), "red"), Image.new("RGB", (40, 30), "blue")]
    moving = saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert getattr(Image.open(BytesIO(moving)), "n_frames") == 3  # noqa: B009
    assert np.array_equal(open_picture(moving), np.asarray(halves(), dtype=np.float32) / 255)


def test_a_large_picture_is_made_smaller() -> None:
    for kind in ("JPEG", "PNG"):
        # No eighth, quarter or half of 2000 is over 1024, so the third is taken: 3000 / 3 and 2000 / 3, rounded up.
        assert open_picture(saved(Image.new("L", (3000, 2000)), kind)).shape == (667, 1000)
    assert open_picture(saved(Image.new("L", (1, 5000)), "PNG")).shape == (1000, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"%PDF-1.7\n%",
        b"PK\x03\x04" + bytes(99),
        PNG,
        b"\xff\xd8\xff",
        b"RIFF\x00\x00\x00\x00WEBP",
    ]
    + [saved(halves("L"), kind) for kind in ("GIF", "BMP", "TIFF", "PPM", "ICO")],
)
def test_other_files_are_refused_whatever_they_are_called(data: bytes) -> None:
    with pytest.raises(
        PictureError, match=r"damaged .*save it again|is no PNG, JPEG or WEBP; save it as one"
    ):
        open_picture(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(PictureError, match="save it"):
        open_picture(data[: int(len(data) * share)])


def test_what_would_take_too_long_is_refused_with_the_number() -> None:
    small_png, small_jpeg = saved(halves(), "PNG"), saved(halves(), "JPEG", progressive=True)
    scan = small_jpeg[small_jpeg.rfind(b"\xff\xda") : -2]
    refused = {
        "6.0 MB; use one of at most 5 MB": bytes(6_000_000),
        "400000000 pixels.*make it smaller": flat_png(20_000, 20_000, 8, 0, row_bytes=9, rows=1),
        "100000000 pixels.*make it smaller": flat_png(10_000, 10_000, 8, 0, row_bytes=9, rows=1),
        "PNG has 4000 x 3001 pixels; .* at most 12 million": flat_png(4000, 3001, 8, 0, row_bytes=9, rows=1),
        "over 20000 blocks": small_png[:33] + chunk(b"abCd", b"") * 400_000 + small_png[33:],
        "picture has over 20000 blocks": small_jpeg[:2] + b"\xff\xfe\x00\x02" * 1_200_000 + small_jpeg[2:],
        "JPEG has [0-9]+ scans": small_jpeg[:-2] + scan * 500 + small_jpeg[-2:],
    }
    for sentence, data in refused.items():
        before = time.process_time()
        with pytest.raises(PictureError, match=sentence):
            open_picture(data)
        assert time.process_time() - before < 1


@pytest.mark.filterwarnings("ignore")  # as outside of tests: what Pillow warns of is no error
def test_a_damaged_picture_gives_a_picture_or_a_sentence() -> None:
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (23, 31, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 3
    whole = [saved(Image.fromarray(colours[..., :3]), kind, exif=exif) for kind in ("PNG", "JPEG", "WEBP")]
    whole += [saved(Image.fromarray(colours), kind) for kind in ("PNG", "WEBP")]
    whole += [saved(halves(mode), "PNG") for mode in ("P", "1")]
    whole += [saved(halves("CMYK"), "JPEG", progressive=True), saved(halves("RGB"), "WEBP", lossless=True)]
    outcomes = {"picture": 0, "sentence": 0}

    for turn in range(300):
        data = bytearray(whole[turn % len(whole)])
        for place in random.integers(0, len(data) if turn % 2 else 40, random.integers(1, 6)):
            data[place] ^= 1 << random.integers(8)
        if turn % 3 == 0:
            del data[random.integers(len(data)) :]
        before = time.process_time()
        try:
            grey = open_picture(bytes(data))
            assert 0 <= grey.min() <= grey.max() <= 1
            assert max(grey.shape) <= sketch.LONGEST
            canonical(grey)
            outcomes["picture"] += 1
        except PictureError:
            outcomes["sentence"] += 1
        assert time.process_time() - before < 1, turn

    assert min(outcomes.values()) > 30, outcomes


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
def test_the_largest_pictures_take_less_than_256_mb(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    worst = {
        "rgba.webp": saved(Image.new("RGBA", (3000, 3000), (9, 9, 9, 9)), "WEBP", method=0, exif=turned),
        "rgba.png": saved(
            Image.new("RGBA", (4000, 3000), (9, 9, 9, 9)), "PNG", compress_level=1, exif=turned
        ),
        "deep.png": flat_png(4000, 3000, 16, 6, row_bytes=32_000, rows=3000),
        "progressive.jpg": saved(
            Image.new("RGB", (4000, 4000)), "JPEG", progressive=True, subsampling=0, exif=turned
        ),
    }
    code = """if True:
        import re, sys
        from pathlib import Path
        from icm.images.sketch import open_picture, canonical
        peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
        data = Path(sys.argv[1]).read_bytes()
        before = peak()
        canonical(open_picture(data))
        print((peak() - before) // 1024)
    """
    for name, data in worst.items():
        (tmp_path / name).write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / name)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        )
        assert 0 < int(done.stdout) < 256, name  # MB
