"""Image sets that no expert learned from, brought to the look of the digits: 32 x 32, ink bright on 0.

The discriminator's verdict depends on how drawings are brought there, so there are two looks; docs/LOG.md compares them.
`digits` is MNIST's own (look.py), with Omniglot's thin strokes widened. `plain` shrinks the whole picture: to MNIST's field
of 28 pixels, or to all 32 for a person's folder (`sketch.as_drawn`). Pixels: image 1 height width."""

import bz2
import io
import os
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

from icm.images import sets, sketch
from icm.images.digits import Source, has_mnist, load_digits
from icm.images.look import BOX, FIELD, SIZE, box_of, centred, in_the_middle
from icm.images.sets import DataError
from icm.shapes import Labels, Pixels

Look = Literal["digits", "plain"]
LOOKS: tuple[Look, ...] = get_args(Look)
Ink = UInt8[np.ndarray, "height width"]  # bright on 0, any size

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
# Pixels by which Omniglot's strokes are widened, at the size of the box. They were all drawn with one thin pen, so one
# number does for all. A person's strokes may be of any width, so `sketch` measures them and thickens only the thin ones.
WIDENED = 1.4
DRAW_SEED = 0  # decides which images of a large set are taken

# The letters of each alphabet, without those that look like Latin letters or digits.
ALPHABETS = {
    "Greek": "ΓΔΘΛΞΠΣΦΨΩαβγδεζηθλμξπσφψω",
    "Cyrillic": "БГДЖЗИЙЛПУФЦЧШЩЪЫЬЭЮЯбвгджзийлмнптфцчшщъыьэюя",
    "Armenian": "ԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՖաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքֆ",
    "Georgian": "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
}
FACES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold")


@dataclass(frozen=True)
class Unseen:
    """Some images of a set, with labels where they are digits."""

    pixels: Pixels
    labels: Labels | None = None


@dataclass(frozen=True)
class ImageSet:
    """A set: its title, whether all of it is under a data root, and how its images are loaded."""

    title: str
    here: Callable[[Path], bool]
    load: Callable[[Path, Look, int], Unseen]


def load_unseen(name: str, root: Path, look: Look, count: int) -> Unseen:
    """At most `count` images of the named set, or of the pictures under a folder of that name; always the same ones.

    DataError when the name is unknown, the set is missing or incomplete, a file is damaged, or a folder has no picture."""
    if name in SETS_OF_RUNS:
        return SETS_OF_RUNS[name].load(root, look, count)
    if not os.path.isdir(name):
        raise DataError(f"unknown set {name!r}; known: {', '.join(SETS)}, or a folder of pictures")
    return _load_folder(Path(name), look, count)


def to_look(ink: Ink, look: Look, widen: float = 0.0) -> UInt8[np.ndarray, "32 32"]:
    """The drawing as the networks shall see it; an empty one stays empty.

    `widen`: by how many pixels of the result its strokes are widened. The plain look ignores it."""
    if look == "plain":
        height, width = (max(1, round(side * FIELD / max(ink.shape))) for side in ink.shape)
        return in_the_middle(_resized(ink, height, width, Image.Resampling.LANCZOS))
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
    return centred(_resized(box, *box_of(*box.shape), Image.Resampling.BOX))


def _resized(
    ink: Ink, height: int, width: int, filter: Image.Resampling
) -> UInt8[np.ndarray, "newheight newwidth"]:
    return np.asarray(Image.fromarray(ink).resize((width, height), filter))


def _chosen(total: int, count: int) -> list[int]:
    """Indices of at most `count` of `total` images, the same ones each time. A larger count adds to those of a smaller."""
    return np.random.default_rng(DRAW_SEED).permutation(total)[:count].tolist()


def _pixels(images: Iterator[UInt8[np.ndarray, "32 32"]]) -> Pixels:
    return torch.from_numpy(np.stack(list(images)))[:, None]


def _held_out(source: Source) -> Callable[[Path, Look, int], Unseen]:
    """The images of a source that no run learns from. But the built-in ones are some of MNIST's training digits.

    They are as they are in every look: MNIST is what the looks go by, and clothes fill their picture."""

    def load(root: Path, look: Look, count: int) -> Unseen:
        found = load_digits(source, root)
        return Unseen(found.test[:count], found.test_labels[:count] if len(found.test_labels) else None)

    return load


def _load_omniglot(root: Path, look: Look, count: int) -> Unseen:
    """The evaluation set, twenty alphabets, from the unpacked folder or from the zip itself. The files are dark on light."""
    place = sets.place_of("omniglot", root)
    drawings = _unpacked(place, count) if place.is_dir() else _packed(place, count)
    return Unseen(_pixels(to_look(255 - drawing, look, WIDENED) for drawing in drawings))


def _unpacked(folder: Path, count: int) -> Iterator[Ink]:
    paths = sorted(folder.rglob("*.png"))
    for path in (paths[index] for index in _chosen(len(paths), count)):
        try:
            drawing = _decoded(path.read_bytes())
        except Exception as error:  # on a damaged file a decoder may raise almost anything
            raise sets.damaged("omniglot", path, error) from error
        yield drawing


def _packed(file: Path, count: int) -> Iterator[Ink]:
    with zipfile.ZipFile(file) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        for name in (names[index] for index in _chosen(len(names), count)):
            try:
                drawing = _decoded(archive.read(name))
            except Exception as error:  # as above
                raise sets.damaged("omniglot", file, f"{name}: {error}") from error
            yield drawing


def _decoded(drawing: bytes) -> Ink:
    return np.asarray(Image.open(io.BytesIO(drawing)).convert("L"))


def _load_alphabets(root: Path, look: Look, count: int) -> Unseen:
    """Letters of four alphabets in four faces of the DejaVu fonts, which ship with matplotlib."""
    import matplotlib

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    signs = [(face, letter) for letters in ALPHABETS.values() for letter in letters for face in FACES]
    try:
        faces = {face: ImageFont.truetype(fonts / f"{face}.ttf", size=80) for face in FACES}
    except OSError as error:
        raise DataError(
            f"the DejaVu fonts under {fonts} cannot be read ({error}); install matplotlib anew"
        ) from error
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


def _load_usps(root: Path, look: Look, count: int) -> Unseen:
    """The test digits. A line of the file is one digit, `label index:value …`: label 1 to 10, 16 x 16 values from -1 to 1."""
    file = sets.place_of("usps", root)
    try:
        lines = bz2.decompress(file.read_bytes()).decode().splitlines()
        chosen = [lines[index].split() for index in _chosen(len(lines), count)]
        values = np.array([[float(pair.partition(":")[2]) for pair in pairs] for _, *pairs in chosen])
        labels = np.array([float(label) - 1 for label, *_ in chosen])
    except (OSError, ValueError) as error:
        raise sets.damaged("usps", file, error) from error
    if values.shape != (len(chosen), 256) or not (abs(values) <= 1).all():
        raise sets.damaged("usps", file, "a line is no digit of 256 numbers from -1 to 1")
    if not np.isin(labels, range(10)).all():
        raise sets.damaged("usps", file, "a line has no label from 1 to 10")

    images = ((values.reshape(-1, 16, 16) + 1) * 127.5).round().astype(np.uint8)
    side, placed = (BOX, centred) if look == "digits" else (FIELD, in_the_middle)
    looked = (placed(_resized(image, side, side, Image.Resampling.BICUBIC)) for image in images)
    return Unseen(_pixels(looked), torch.from_numpy(labels).long())


def _load_folder(folder: Path, look: Look, count: int) -> Unseen:
    """The pictures under the folder; those that `sketch` cannot open are left out, and those without ink."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    bring = sketch.canonical if look == "digits" else sketch.as_drawn
    images: list[UInt8[np.ndarray, "32 32"]] = []
    for index in _chosen(len(paths), len(paths)):
        if len(images) == count:
            break
        try:
            image: Float[np.ndarray, "32 32"] = bring(sketch.open_picture(paths[index].read_bytes()))
        except (OSError, sketch.PictureError):
            continue
        if sketch.has_ink(image, bright_on_0=look == "digits"):
            images.append((image * 255).round().astype(np.uint8))
    if not images:
        raise DataError(f"no PNG, JPEG or WEBP picture in {folder} can be read and has ink")
    return Unseen(_pixels(iter(images)))


def _whole(name: str) -> Callable[[Path], bool]:
    return lambda root: sets.state(name, root) == "here"


SETS: dict[str, ImageSet] = {
    "mnist": ImageSet("MNIST, test digits", has_mnist, _held_out("mnist")),
    "builtin": ImageSet("Built-in digits", lambda root: True, _held_out("builtin")),
    "alphabets": ImageSet("Unseen alphabets, drawn with fonts", lambda root: True, _load_alphabets),
    "omniglot": ImageSet("Omniglot, evaluation set", _whole("omniglot"), _load_omniglot),
    "fashion": ImageSet("Fashion-MNIST, test set", _whole("fashion"), _held_out("fashion")),
    "usps": ImageSet("USPS, test digits", _whole("usps"), _load_usps),
}

# What runs are measured on that learn from several of them.
SETS_OF_RUNS = SETS | {
    "mixture": ImageSet(
        "MNIST and Fashion-MNIST, test images",
        lambda root: has_mnist(root) and sets.state("fashion", root) == "here",
        _held_out("mixture"),
    )
}
