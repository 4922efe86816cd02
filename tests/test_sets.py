"""Sets of images on disk: only a whole set counts as here. A damaged one is told in one sentence and can be fetched again."""

import bz2
import gzip
import io
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from streamlit.testing.v1 import AppTest

from icm.images import sets
from icm.images.digits import load_digits
from icm.images.look import CENTRE
from icm.images.sets import DataError, Drawings, published
from icm.images.unseen import SETS, load_unseen
from icm.shapes import Pixels

# Small sets that count as whole


@pytest.fixture(autouse=True)
def small_omniglot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "OMNIGLOT", Drawings(alphabets=2, characters=4, each=3))


def drawings() -> Iterator[tuple[str, bytes]]:
    """Name and file of twelve strokes, dark on light, each a pixel further to the right."""
    for index in range(12):
        sheet = np.full((105, 105), 255, np.uint8)
        sheet[20:80, 30 + index : 33 + index] = 0
        file = io.BytesIO()
        Image.fromarray(sheet).convert("1").save(file, "PNG")
        character = f"{'Greek' if index < 6 else 'Ojibwe'}/character{index // 3:02}"
        yield f"images_evaluation/{character}/{index:02}.png", file.getvalue()


def packed_omniglot(root: Path, count: int = 12) -> Path:
    (root / "omniglot-py").mkdir(parents=True)
    packed = root / "omniglot-py" / "images_evaluation.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in list(drawings())[:count]:
            archive.writestr(name, content)
    return packed


def unpacked_omniglot(root: Path) -> Path:
    for name, content in drawings():
        file = root / "omniglot-py" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root / "omniglot-py" / "images_evaluation"


def usps_line(label: int, values: np.ndarray) -> str:
    return f"{label} " + " ".join(f"{place}:{value:.3f}" for place, value in enumerate(values, 1))


USPS_LINES = [
    usps_line(label, values) for label, values in zip([5, 10, 1, 3], np.linspace(-1, 1, 1024).reshape(4, 256))
]


def write_usps(root: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> Path:
    file = root / "USPS" / "usps.t.bz2"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    monkeypatch.setitem(sets.PARTS, "usps", ((published("USPS/usps.t.bz2", len(content), "unknown"),),))
    return file


@pytest.fixture
def usps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with four digits of USPS's kind."""
    write_usps(tmp_path, monkeypatch, bz2.compress("\n".join(USPS_LINES).encode()))
    return tmp_path


def write_fashion(root: Path, content: bytes) -> Path:
    file = root / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


def fashion_content() -> bytes:
    return struct.pack(">4I", 0x803, 10_000, 28, 28) + bytes(10_000 * 784)


@pytest.mark.parametrize("put", [packed_omniglot, unpacked_omniglot])
def test_omniglot_is_read_packed_or_not_and_turned_bright_on_dark(
    tmp_path: Path, put: Callable[[Path], Path]
) -> None:
    put(tmp_path)
    assert SETS["omniglot"].here(tmp_path)
    pixels = load_unseen("omniglot", tmp_path, "digits", 3).pixels
    assert pixels.shape == (3, 1, 32, 32)
    assert pixels[:, 0, 0, 0].tolist() == [0, 0, 0]
    assert (pixels[:, 0, 15, 14:18].amax(dim=1) == 255).all()  # the stroke, centred


def test_usps_has_its_labels_from_nought_to_nine(usps: Path) -> None:
    found = load_unseen("usps", usps, "digits", 4)
    assert found.pixels.shape == (4, 1, 32, 32)
    assert found.labels is not None
    assert sorted(found.labels.tolist()) == [0, 2, 4, 9]


def test_usps_is_centred_as_mnist_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    lines = [usps_line(1, random.random(256) ** 4 * 2 - 1) for _ in range(200)]  # specks, anywhere
    write_usps(tmp_path, monkeypatch, bz2.compress("\n".join(lines).encode()))
    pixels = load_unseen("usps", tmp_path, "digits", 200).pixels[:, 0].numpy()
    found = np.mean([ndimage.center_of_mass(image.astype(np.float64)) for image in pixels], axis=0)
    assert np.abs(found - CENTRE).max() < 0.1


def test_fashion_is_read_as_it_is_padded_to_32(tmp_path: Path) -> None:
    content = bytearray(fashion_content())
    content[16 + 784 * 7] = 99  # the first pixel of image 7
    write_fashion(tmp_path, bytes(content))
    clothes = load_digits("fashion", tmp_path)
    pixels: Pixels = torch.cat([clothes.train, clothes.test])
    assert pixels[:, 0, 2, 2].sum() == pixels.sum() == 99


def test_no_piece_of_clothing_is_both_trained_on_and_held_out_and_only_those_held_out_are_measured(
    tmp_path: Path,
) -> None:
    numbered = bytearray(fashion_content())
    for image in range(10_000):
        numbered[16 + 784 * image : 18 + 784 * image] = divmod(image, 256)
    write_fashion(tmp_path, bytes(numbered))
    clothes = load_digits("fashion", tmp_path)
    train, test = (
        set((each[:, 0, 2, 2].int() * 256 + each[:, 0, 2, 3]).tolist())
        for each in (clothes.train, clothes.test)
    )
    assert (len(train), len(test), len(train | test)) == (8000, 2000, 10_000)
    assert torch.equal(load_unseen("fashion", tmp_path, "digits", 10_000).pixels, clothes.test)
    assert load_unseen("fashion", tmp_path, "plain", 3).labels is None


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def without_one(folder: Path) -> None:
    next(folder.rglob("*.png")).unlink()


def without_a_character(folder: Path) -> None:
    shutil.rmtree(folder / "Greek" / "character01")


@pytest.mark.parametrize(
    ("put", "harm", "why"),
    [
        (packed_omniglot, cut_short, "images_evaluation.zip is no whole zip file"),
        (packed_omniglot, lambda file: file.write_bytes(b"PK no more"), "is no whole zip file"),
        (lambda root: packed_omniglot(root, 11), lambda file: None, "has 11 drawings where 12 belong"),
        (unpacked_omniglot, without_one, "images_evaluation has 11 drawings of 4 characters where 12 of 4 belong"),
        (unpacked_omniglot, without_a_character, "has 9 drawings of 3 characters where 12 of 4 belong"),
        (lambda root: write_fashion(root, fashion_content()), cut_short, "7,840,015 bytes where 7,840,016 belong"),
    ],
)  # fmt: skip
def test_a_set_of_which_only_a_part_is_here_is_not_here(
    tmp_path: Path, put: Callable[[Path], Path], harm: Callable[[Path], object], why: str
) -> None:
    place = put(tmp_path)
    harm(place)
    name = "fashion" if "Fashion" in str(place) else "omniglot"
    assert not SETS[name].here(tmp_path)
    assert sets.in_words(name, tmp_path) == f"incomplete, to be fetched again: python -m icm data {name}"
    with pytest.raises(DataError, match=rf"{why}; run `python -m icm data {name}` to fetch it again"):
        load_unseen(name, tmp_path, "digits", 3)


def test_a_whole_zip_does_where_its_folder_is_only_half_unpacked(tmp_path: Path) -> None:
    packed_omniglot(tmp_path)
    without_one(unpacked_omniglot(tmp_path))
    assert len(load_unseen("omniglot", tmp_path, "digits", 12).pixels) == 12


def test_a_drawing_added_or_removed_is_noticed_at_the_next_look(tmp_path: Path) -> None:
    folder = unpacked_omniglot(tmp_path)
    assert SETS["omniglot"].here(tmp_path)
    one = next(folder.rglob("*.png"))
    content = one.read_bytes()
    one.unlink()
    assert not SETS["omniglot"].here(tmp_path)
    one.write_bytes(content)
    assert SETS["omniglot"].here(tmp_path)


def spoilt_drawings(folder: Path) -> None:
    for file in folder.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:60])


def spoilt_zip(packed: Path) -> None:
    """As many files as before, and each is text."""
    names = [name for name, _ in drawings()]
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, "no picture")


def flipped_zip(packed: Path) -> None:
    content = bytearray(packed.read_bytes())
    for start in range(len(content) - 3):
        if content[start : start + 4] == b"IDAT":
            content[start + 6] ^= 255
    packed.write_bytes(content)


@pytest.mark.parametrize(
    ("put", "harm", "file"),
    [
        (unpacked_omniglot, spoilt_drawings, r"\d\d.png"),
        (packed_omniglot, spoilt_zip, r"images_evaluation.zip"),
        (packed_omniglot, flipped_zip, r"images_evaluation.zip"),
    ],
)
def test_drawings_that_do_not_open_are_one_sentence_and_looked_over_they_are_told(
    tmp_path: Path, put: Callable[[Path], Path], harm: Callable[[Path], None], file: str
) -> None:
    harm(put(tmp_path))
    assert SETS["omniglot"].here(tmp_path)  # by what is cheap to see
    assert sets.in_words("omniglot", tmp_path).startswith("damaged, to be fetched again: python -m icm data")
    with pytest.raises(DataError, match=rf"{file} cannot be read \(.*\); run `python -m icm data omniglot`"):
        load_unseen("omniglot", tmp_path, "digits", 3)
    assert not SETS["omniglot"].here(tmp_path)


def test_what_is_unsound_of_omniglot_goes_before_it_is_fetched_and_what_is_sound_stays(
    tmp_path: Path,
) -> None:
    packed, folder = packed_omniglot(tmp_path), unpacked_omniglot(tmp_path)
    spoilt_drawings(folder)
    sets.remove_unsound("omniglot", tmp_path)
    assert not folder.exists()
    assert sets.in_words("omniglot", tmp_path) == "here"

    spoilt_zip(packed)
    sets.remove_unsound("omniglot", tmp_path)
    assert list(tmp_path.rglob("*")) == [tmp_path / "omniglot-py"]


def test_fashion_that_is_damaged_inside_is_one_sentence(tmp_path: Path, monkeypatch) -> None:
    file = write_fashion(tmp_path, b"g" * (16 + 10_000 * 784))
    with pytest.raises(
        DataError, match=r"t10k-images-idx3-ubyte cannot be read .*run `python -m icm data fash"
    ):
        load_unseen("fashion", tmp_path, "digits", 3)

    packed = gzip.compress(fashion_content())[:-9] + b"no check!"
    file.with_name(f"{file.name}.gz").write_bytes(packed)
    place = published(f"FashionMNIST/raw/{file.name}.gz", len(packed), "unknown")
    monkeypatch.setitem(sets.PARTS, "fashion", ((place,),))
    with pytest.raises(DataError, match=r"ubyte.gz cannot be read \(.*run `python -m icm data fashion`"):
        load_unseen("fashion", tmp_path, "digits", 3)


@pytest.mark.parametrize(
    "lines",
    [
        None,
        [],
        [""],
        ["5 no:numbers"],
        [USPS_LINES[0].replace("1:", "1:x")],
        [USPS_LINES[0] + " 257:0.5"],
        [USPS_LINES[0], "5 1:0.5"],
        [USPS_LINES[0].replace("1:-1.000", "1:nan")],
        [USPS_LINES[0].replace("1:-1.000", "1:-1.5")],
        ["11" + USPS_LINES[0][1:]],
        ["inf" + USPS_LINES[0][1:]],
        ["1.5" + USPS_LINES[0][1:]],
    ],
)
def test_usps_that_is_damaged_inside_is_one_sentence(
    tmp_path: Path, monkeypatch, lines: list[str] | None
) -> None:
    content = b"not packed" if lines is None else bz2.compress("\n".join(lines).encode())
    write_usps(tmp_path, monkeypatch, content)
    assert SETS["usps"].here(tmp_path)
    with pytest.raises(DataError, match=r"usps.t.bz2 cannot be read \(.*\); run `python -m icm data usps`"):
        load_unseen("usps", tmp_path, "digits", 3)
    assert not SETS["usps"].here(tmp_path)


def fetch_page() -> None:
    from icm.images.digits import data_root
    from pages.ui.fetch import fetch_sets

    fetch_sets(data_root())


def test_what_is_incomplete_or_damaged_is_offered_to_be_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICM_DATA_ROOT", str(tmp_path))
    packed_omniglot(tmp_path)
    usps = write_usps(tmp_path, monkeypatch, b"not packed")
    cut_short(write_fashion(tmp_path, fashion_content()))

    page = AppTest.from_function(fetch_page, default_timeout=30).run()
    offered = {button.key: button.label for button in page.button}
    assert offered == {"fetch mnist": "Fetch", "fetch fashion": "Fetch again"}

    with pytest.raises(DataError):
        load_unseen("usps", tmp_path, "digits", 3)
    offered = {button.key: button.label for button in page.run().button}
    assert offered == {
        "fetch mnist": "Fetch",
        "fetch fashion": "Fetch again",
        "fetch usps": "Fetch again",
    }
    told = [caption.value for caption in page.caption]
    assert told == ["only a part of it is here", "what is here is damaged"]

    usps.write_bytes(usps.read_bytes().upper())  # whatever replaces it is looked at anew
    assert "fetch usps" not in {button.key for button in page.run().button}


def test_damage_is_forgotten_once_the_set_was_fetched_again(tmp_path: Path, monkeypatch) -> None:
    write_usps(tmp_path, monkeypatch, b"not packed")
    with pytest.raises(DataError):
        load_unseen("usps", tmp_path, "digits", 3)
    assert not SETS["usps"].here(tmp_path)
    sets.forget_damage("usps", tmp_path)
    assert SETS["usps"].here(tmp_path)
