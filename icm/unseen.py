"""Image sets that no expert learned from, brought to the look of the digits: 32 x 32, ink bright on 0.

How drawings are brought there decides what the discriminator makes of them, so there are two looks: `digits` scales the
ink to a box of 20 pixels, widens Omniglot's thin strokes and centres by mass, as MNIST was made; `plain` shrinks the whole
picture to 28 pixels. docs/LOG.md has what each gives. Pixels: image 1 height width."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from icm import sketch
from icm.data import SIZE, DataError, has_mnist, load_digits
from icm.shapes import Labels, Pixels

Look = Literal["digits", "plain"]
LOOKS: tuple[Look, ...] = get_args(Look)
Ink = UInt8[np.ndarray, "height width"]  # bright on 0, any size

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
FIELD = 28  # pixels: what MNIST's pictures had before they were padded
BOX = 20  # pixels: the longer side of the ink
STROKE = 1.4  # pixels by which Omniglot's thin strokes are widened, at the size of the box
DRAW_SEED = 0  # which images of a large set are taken

# The letters of each alphabet, without those that are also Latin letters or digits to the eye.
ALPHABETS = {
    "Greek": "ΓΔΘΛΞΠΣΦΨΩαβγδεζηθλμξπσφψω",
    "Cyrillic": "БГДЖЗИЙЛПУФЦЧШЩЪЫЬЭЮЯбвгджзийлмнптфцчшщъыьэюя",
    "Armenian": "ԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՖաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքֆ",
    "Georgian": "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
}
FACES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold")


@dataclass(frozen=True)
class Unseen:
    """Some images of a set; labels where they are digits."""

    pixels: Pixels
    labels: Labels | None = None


@dataclass(frozen=True)
class Kind:
    """A set by name: what it is, whether it is here, how its images are had."""

    title: str
    here: Callable[[Path], bool]
    load: Callable[[Path, Look, int], Unseen]


def load_unseen(name: str, root: Path, look: Look, count: int) -> Unseen:
    """At most `count` images of the named set, or of the pictures under a folder of that name; always the same ones.

    DataError when the name is unknown, the set is not here or a file is damaged."""
    if name in SETS:
        kind = SETS[name]
        if not kind.here(root):
            raise DataError(f"no {name} under {root}; run `python -m icm data {name}`")
        try:
            return kind.load(root, look, count)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{name} under {root} cannot be read ({error}); fetch it anew") from error
    folder = Path(name)
    if not folder.is_dir():
        raise DataError(f"unknown set {name!r}; known: {', '.join(SETS)}, or a folder of pictures")
    return _load_folder(folder, look, count)


def to_look(ink: Ink, look: Look, widen: float = 0.0) -> UInt8[np.ndarray, "32 32"]:
    """The drawing as the networks shall see it; an empty one stays empty. `widen`: pixels, at the size of the box."""
    if look == "plain":
        return _paste(_resize(ink, FIELD / max(ink.shape), Image.Resampling.LANCZOS), centre=False)
    rows, columns = np.nonzero(ink > ink.max() // 4)
    if len(rows) == 0:
        return np.zeros((SIZE, SIZE), np.uint8)
    box = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    width = round(widen * max(box.shape) / BOX)
    if width > 1:
        reach = width // 2
        down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        box = ndimage.maximum_filter(
            np.pad(box, reach), footprint=down**2 + right**2 <= (width / 2 + 0.3) ** 2
        )
    return _paste(_resize(box, BOX / max(box.shape), Image.Resampling.BOX), centre=True)


def _resize(ink: Ink, scale: float, filter: Image.Resampling) -> UInt8[np.ndarray, "newheight newwidth"]:
    height, width = (max(1, round(size * scale)) for size in ink.shape)
    return np.asarray(Image.fromarray(ink).resize((width, height), filter))


def _paste(ink: Ink, centre: bool) -> UInt8[np.ndarray, "32 32"]:
    """On a background of 0, its centre of mass, or else its middle, in the middle."""
    height, width = ink.shape
    middle = ndimage.center_of_mass(ink) if centre and ink.any() else ((height - 1) / 2, (width - 1) / 2)
    top, left = (round((SIZE - 1) / 2 - float(at)) for at in np.asarray(middle))
    canvas = np.zeros((SIZE, SIZE), np.uint8)
    top, left = (min(max(at, 0), SIZE - size) for at, size in ((top, height), (left, width)))
    canvas[top : top + height, left : left + width] = ink
    return canvas


def _chosen(total: int, count: int) -> list[int]:
    """Places of at most `count` of `total` images, the same ones each time, a smaller count a part of a larger."""
    return np.random.default_rng(DRAW_SEED).permutation(total)[:count].tolist()


def _pixels(images: Iterator[UInt8[np.ndarray, "32 32"]]) -> Pixels:
    return torch.from_numpy(np.stack(list(images)))[:, None]


def _load_test_digits(root: Path, look: Look, count: int) -> Unseen:
    digits = load_digits("mnist", root)
    return Unseen(digits.test[:count], digits.test_labels[:count])


def _load_builtin_digits(root: Path, look: Look, count: int) -> Unseen:
    digits = load_digits("builtin", root)
    return Unseen(digits.test[:count], digits.test_labels[:count])


def _load_omniglot(root: Path, look: Look, count: int) -> Unseen:
    """The evaluation set, twenty alphabets; unpacked, or the packed file itself. Dark on light there."""
    folder, packed = (root / "omniglot-py" / name for name in ("images_evaluation", "images_evaluation.zip"))
    if folder.is_dir():
        paths = sorted(folder.rglob("*.png"))
        files = [paths[index].read_bytes() for index in _chosen(len(paths), count)]
    else:
        with zipfile.ZipFile(packed) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".png"))
            files = [archive.read(names[index]) for index in _chosen(len(names), count)]
    drawings = (np.asarray(Image.open(io.BytesIO(file)).convert("L")) for file in files)
    return Unseen(_pixels(to_look(255 - drawing, look, STROKE) for drawing in drawings))


def _load_alphabets(root: Path, look: Look, count: int) -> Unseen:
    """Letters of four alphabets in four faces of the DejaVu fonts, which ship with matplotlib."""
    import matplotlib

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    signs = [(face, letter) for letters in ALPHABETS.values() for letter in letters for face in FACES]
    faces = {face: ImageFont.truetype(fonts / f"{face}.ttf", size=80) for face in FACES}
    return Unseen(
        _pixels(
            to_look(_letter(faces[face], letter), look)
            for face, letter in (signs[index] for index in _chosen(len(signs), count))
        )
    )


def _letter(font: ImageFont.FreeTypeFont, letter: str) -> Ink:
    canvas = Image.new("L", (120, 120))
    ImageDraw.Draw(canvas).text((60, 60), letter, 255, font, anchor="mm")
    return np.asarray(canvas)


def _load_fashion(root: Path, look: Look, count: int) -> Unseen:
    """The test set. Clothes fill their picture, so both looks leave them as they are."""
    raw = root / "FashionMNIST" / "raw"
    packed, plain = raw / "t10k-images-idx3-ubyte.gz", raw / "t10k-images-idx3-ubyte"
    stored = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    images = np.frombuffer(stored, np.uint8, offset=16).reshape(-1, FIELD, FIELD)
    return Unseen(_pixels(_paste(images[index], centre=False) for index in _chosen(len(images), count)))


def _load_usps(root: Path, look: Look, count: int) -> Unseen:
    """The test digits, 16 x 16, from -1 to 1, label 1 to 10: lines of `label index:value …`."""
    lines = bz2.decompress((root / "USPS" / "usps.t.bz2").read_bytes()).decode().splitlines()
    chosen = [lines[index].split() for index in _chosen(len(lines), count)]
    values = np.array([[float(pair.partition(":")[2]) for pair in pairs] for _, *pairs in chosen])
    images = ((values.reshape(-1, 16, 16) + 1) * 127.5).round().astype(np.uint8)
    scale = (BOX if look == "digits" else FIELD) / 16
    looked = (
        _paste(_resize(image, scale, Image.Resampling.BICUBIC), centre=look == "digits") for image in images
    )
    return Unseen(_pixels(looked), torch.tensor([int(float(label)) - 1 for label, *_ in chosen]))


def _load_folder(folder: Path, look: Look, count: int) -> Unseen:
    """Pictures of any kind that `sketch` opens; those that it refuses are left out."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    bring = sketch.canonical if look == "digits" else sketch.as_drawn
    images: list[UInt8[np.ndarray, "32 32"]] = []
    for index in _chosen(len(paths), len(paths)):
        if len(images) == count:
            break
        try:
            image: Float[np.ndarray, "32 32"] = bring(sketch.open_picture(paths[index].read_bytes()))
        except sketch.PictureError:
            continue
        images.append((image * 255).round().astype(np.uint8))
    if not images:
        raise DataError(f"no PNG, JPEG or WEBP picture in {folder} can be read")
    return Unseen(_pixels(iter(images)))


def _exists(*names: str) -> Callable[[Path], bool]:
    return lambda root: any((root / name).exists() for name in names)


SETS: dict[str, Kind] = {
    "mnist": Kind("MNIST, test digits", has_mnist, _load_test_digits),
    "builtin": Kind("Built-in digits, held out", lambda root: True, _load_builtin_digits),
    "alphabets": Kind("Unseen alphabets, drawn with fonts", lambda root: True, _load_alphabets),
    "omniglot": Kind(
        "Omniglot, evaluation set",
        _exists("omniglot-py/images_evaluation", "omniglot-py/images_evaluation.zip"),
        _load_omniglot,
    ),
    "fashion": Kind(
        "Fashion-MNIST, test set",
        _exists(*(f"FashionMNIST/raw/t10k-images-idx3-ubyte{end}" for end in ("", ".gz"))),
        _load_fashion,
    ),
    "usps": Kind("USPS, test digits", _exists("USPS/usps.t.bz2"), _load_usps),
}
