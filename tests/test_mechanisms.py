"""Each mechanism keeps shape and range, does what its name says, and its inverse gives the image back."""

from pathlib import Path

import pytest
import torch

from icm.config import ConfigError
from icm.images import mechanisms
from icm.images.batches import Batch
from icm.images.mechanisms import KINDS, apply_each, apply_one, invert, parse

# Where the ink of a single bright pixel at row 10, column 12 goes with a strength of 2 pixels.
MOVED = {
    "right": (10, 14),
    "left": (10, 10),
    "down": (12, 12),
    "up": (8, 12),
    "down_right": (12, 14),
    "down_left": (12, 10),
    "up_right": (8, 14),
    "up_left": (8, 10),
}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def interior_image() -> torch.Tensor:
    """Three images, not square, whose ink no shift of up to 6 pixels pushes out, nor a slant of one pixel a row."""
    images = torch.zeros(3, 1, 24, 28)
    images[..., 8:16, 9:19] = torch.rand(3, 1, 8, 10, generator=generator())
    return images


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("end", ["low", "default", "high"])
def test_shape_and_range_are_kept(name: str, end: str, batch: Batch) -> None:
    (mechanism,) = parse([f"{name}={getattr(KINDS[name], end)}"])
    changed = apply_one(batch.original, mechanism, generator())
    assert changed.shape == batch.original.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert not torch.equal(changed, batch.original)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.inverse])
@pytest.mark.parametrize("end", ["low", "default", "high"])
def test_the_inverse_gives_the_image_back(name: str, end: str) -> None:
    (mechanism,) = parse([f"{name}={getattr(KINDS[name], end)}"])
    images = interior_image()
    back = invert(apply_one(images, mechanism, generator()), mechanism)
    torch.testing.assert_close(back, images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", MOVED)
def test_a_translation_moves_ink_where_its_name_says(name: str) -> None:
    image = torch.zeros(1, 1, 24, 28)
    image[0, 0, 10, 12] = 1
    (mechanism,) = parse([f"{name}=2"])
    moved = apply_one(image, mechanism, generator())
    assert moved.sum() == 1
    assert moved[0, 0][MOVED[name]] == 1


def test_ink_that_is_pushed_out_is_lost_and_background_comes_in() -> None:
    (mechanism,) = parse(["left=4"])
    moved = apply_one(torch.ones(1, 1, 8, 9), mechanism, generator())
    assert moved[..., 5:].sum() == 0
    assert moved[..., :5].min() == 1


def test_noise_has_the_variance_it_is_given_and_comes_from_the_generator() -> None:
    (mechanism,) = parse(["noise=0.01"])
    grey = torch.full((64, 1, 32, 32), 0.5)  # five standard deviations from either clamp
    noisy = apply_one(grey, mechanism, generator())
    assert noisy.var().item() == pytest.approx(0.01, rel=0.03)
    assert torch.equal(noisy, apply_one(grey, mechanism, generator()))


def test_noise_has_no_inverse() -> None:
    with pytest.raises(ValueError, match="no exact inverse"):
        invert(interior_image(), parse(["noise"])[0])


def test_each_image_gets_its_own_mechanism() -> None:
    mechanisms = parse(["right", "contrast", "up=1"])
    images = interior_image()
    changed = apply_each(images, torch.tensor([2, 0, 1]), mechanisms, generator())
    for image, index in enumerate([2, 0, 1]):
        assert torch.equal(changed[image], apply_one(images, mechanisms[index], generator())[image])


def test_the_papers_ten_are_the_table_at_its_default_strengths() -> None:
    from icm.config import PAPER_MECHANISMS

    assert [mechanism.name for mechanism in parse(PAPER_MECHANISMS)] == list(KINDS)[:10]
    strengths = {mechanism.name: mechanism.strength for mechanism in parse(PAPER_MECHANISMS)}
    assert strengths["noise"] == 0.25  # a variance
    assert all(strengths[name] == 4 for name in MOVED)  # pixels


def at(*places: tuple[int, int], size: int = 25) -> torch.Tensor:
    """One image, bright at these rows and columns from its centre."""
    image = torch.zeros(1, 1, size, size)
    for row, column in places:
        image[0, 0, size // 2 + row, size // 2 + column] = 1
    return image


@pytest.mark.parametrize(
    ("spec", "before", "after"),
    [
        ("rotation=90", (0, 5), (5, 0)),  # clockwise, rows count downwards
        ("rotation=180", (2, 5), (-2, -5)),
        ("flip", (3, 5), (3, -5)),
        ("shear=0.5", (4, 1), (4, 3)),
        ("shear=0.5", (-4, 1), (-4, -1)),
        ("wave=3", (4, 0), (4, 3)),  # a quarter of sixteen rows below the centre
        ("wave=3", (-4, 0), (-4, -3)),
        ("wave=3", (0, 2), (0, 2)),
    ],
)
def test_ink_goes_where_the_name_says(spec: str, before: tuple[int, int], after: tuple[int, int]) -> None:
    (mechanism,) = parse([spec])
    moved = apply_one(at(before), mechanism, generator())
    torch.testing.assert_close(moved, at(after), rtol=0, atol=1e-4)


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_a_scaled_square_has_the_area_that_its_factor_says(factor: float) -> None:
    square = torch.zeros(1, 1, 32, 32)
    square[..., 10:22, 10:22] = 1
    (mechanism,) = parse([f"scale={factor}"])
    scaled = apply_one(square, mechanism, generator())
    assert scaled.sum().item() == pytest.approx(144 * factor**2, rel=0.01)
    torch.testing.assert_close(scaled, scaled.flip(-1).flip(-2), rtol=0, atol=1e-5)  # about the centre


def test_blur_keeps_the_ink_and_spreads_it_by_its_deviation() -> None:
    (mechanism,) = parse(["blur=2"])
    blurred = apply_one(at((0, 0), size=31), mechanism, generator())
    far = torch.arange(31) - 15
    assert blurred.sum().item() == pytest.approx(1, abs=1e-4)
    assert (blurred[0, 0].sum(dim=0) * far**2).sum().item() == pytest.approx(4, rel=0.05)


def test_an_occlusion_is_one_grey_square_of_its_size_in_another_place_of_each_image() -> None:
    (mechanism,) = parse(["occlusion=7"])
    hidden = apply_one(torch.zeros(500, 1, 20, 24), mechanism, generator())
    assert set(hidden.unique().tolist()) == {0.0, 0.5}
    corners = set()
    for image in hidden[:, 0]:
        rows, columns = (image.sum(dim=axis).nonzero() for axis in (1, 0))
        assert (len(rows), len(columns), int((image > 0).sum())) == (7, 7, 49)
        corners.add((int(rows[0]), int(columns[0])))
    assert len(corners) > 150
    assert {row for row, _ in corners} == set(range(14))  # also at the borders


def test_speckle_makes_its_share_of_the_pixels_black_or_white() -> None:
    (mechanism,) = parse(["speckle=0.3"])
    speckled = apply_one(torch.full((64, 1, 32, 32), 0.5), mechanism, generator())
    for value in (0.0, 1.0):
        assert (speckled == value).float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert (speckled == 0.5).float().mean().item() == pytest.approx(0.7, abs=0.01)


def test_an_elastic_deformation_is_smooth_moves_by_its_strength_and_is_another_for_each_image() -> None:
    """Two slopes as images: what is read off them is where each pixel was taken from."""
    size = 64
    slope = (torch.arange(size) + 0.5).expand(200, 1, size, size) / size
    (mechanism,) = parse(["elastic=2"])
    for images, axis in ((slope, 3), (slope.transpose(2, 3), 2)):
        moved = (apply_one(images, mechanism, generator()) - images)[..., 12:-12, 12:-12] * size
        assert moved.std().item() == pytest.approx(2, rel=0.1)
        assert moved.diff(dim=axis).abs().max() < 2.5  # neighbours stay neighbours
        assert (moved[0] - moved[1]).abs().max() > 1
        assert moved.mean(dim=0).abs().max() < 0.6


def test_gamma_darkens_greys_and_leaves_black_and_white() -> None:
    (mechanism,) = parse(["gamma=2"])
    assert apply_one(
        torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3), mechanism, generator()
    ).flatten().tolist() == [0, 0.25, 1]


def test_what_is_random_comes_from_the_generator(batch: Batch) -> None:
    for name in ("noise", "elastic", "occlusion", "speckle"):
        (mechanism,) = parse([name])
        once, again = (apply_one(batch.original, mechanism, generator()) for _ in range(2))
        other = apply_one(batch.original, mechanism, torch.Generator().manual_seed(6))
        assert torch.equal(once, again)
        assert not torch.equal(once, other)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("rot45", r"unknown mechanism 'rot45'; known: right, left, down"),
        ("right=9", r"strength of 'right' is 9; use 1 to 6 \(pixels\)"),
        ("right=1.5", r"strength of 'right' is 1.5; use whole pixels"),
        ("noise=x", r"strength of 'noise' is 'x'; use 0.01 to 1 \(variance\)"),
        ("noise=nan", r"strength of 'noise' is nan; use 0.01 to 1"),
    ],
)
def test_what_cannot_be_applied_is_refused_with_what_is_known(spec: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse([spec])


def test_a_mechanism_is_named_once() -> None:
    with pytest.raises(ConfigError, match="named 2 times"):
        parse(["right", "right=3"])


def test_a_spec_is_the_shortest_text_for_its_mechanism() -> None:
    assert [mechanism.spec for mechanism in parse(["right=4", "noise=0.1"])] == ["right", "noise=0.1"]


OWN = """
from icm.images.mechanisms import MechanismKind

twist = MechanismKind(
    sentence="Top and bottom swapped", symbol="T", unit="share", default=1.0, low=0.6, high=1.0, step=0.1,
    function=lambda images, share, generator: share * images.flip(-2) + (1 - share) * images, inverse=None,
)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a mechanism of somebody's own; afterwards nobody knows it any more."""
    monkeypatch.setattr(mechanisms, "KINDS", dict(KINDS))
    monkeypatch.setenv(mechanisms.OWN_FILES, "")  # what is named here is forgotten afterwards
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    return file


def test_a_mechanism_of_ones_own_is_a_row_once_its_file_is_named(own: Path) -> None:
    specs = mechanisms.named_here(["right", f"{own}:twist=0.8"])
    assert specs == ("right", "mine.py:twist=0.8")
    _, twist = parse(specs)
    assert (twist.title, twist.strength, twist.spec) == ("twist", 0.8, "mine.py:twist=0.8")
    images = interior_image()
    torch.testing.assert_close(apply_one(images, twist, generator()), 0.8 * images.flip(-2) + 0.2 * images)


def test_a_file_that_nobody_named_does_not_run(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.write_text("raise AssertionError('it ran')")
    monkeypatch.chdir(own.parent)
    for spec in ("mine.py:twist", f"{own}:twist"):  # as a run's config.json may say
        with pytest.raises(ConfigError, match="name its file: ICM_MECHANISMS="):
            parse([spec])


def test_two_files_of_one_name_are_refused_as_a_run_could_not_tell_them_apart(own: Path) -> None:
    other = own.parent / "elsewhere" / own.name
    other.parent.mkdir()
    other.write_text(OWN.replace("flip(-2)", "flip(-1)"))
    parse(mechanisms.named_here([f"{own}:twist"]))
    with pytest.raises(ConfigError, match=f"{own} and {other} have one name.*; rename one"):
        parse(mechanisms.named_here([f"{other}:twist"]))


@pytest.mark.parametrize(
    ("says", "wrong"),
    [
        (None, "FileNotFoundError"),
        ("1 / 0", "ZeroDivisionError"),
        ("twist = 3", "makes no mechanism"),
        (OWN.replace("images.flip(-2)", "images[:, 0]"), "twist makes"),
        (OWN.replace("low=0.6", "low=1.0"), "twist should have low <= default <= high, low below high"),
        (OWN.replace("step=0.1", "step=0.0"), "a step above 0"),
        (OWN.replace("step=0.1", "step=0.5"), "a step above 0 that is no more than lies between them"),
        (OWN.replace("images.flip(-2)", "images.mul_(0.5)"), "twist changes the images that it is given"),
        (OWN.replace('"share"', '""'), "twist has no unit"),
        (OWN.replace("twist =", "noise ="), "there is another mechanism noise; rename it"),
        (OWN.replace("images.flip(-2)", "float('nan')"), "no numbers"),
    ],
)
def test_a_file_that_does_not_work_is_one_sentence(own: Path, says: str | None, wrong: str) -> None:
    own.unlink() if says is None else own.write_text(says)
    with pytest.raises(ConfigError, match=wrong) as found:
        parse(mechanisms.named_here([f"{own}:twist"]))
    assert "\n" not in str(found.value)
    assert str(own) in str(found.value)
