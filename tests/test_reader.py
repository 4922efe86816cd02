"""The digit reader: what the shipped one reads, how one is trained, and what the command leaves behind."""

import json
import resource
from pathlib import Path

import pytest
import torch

from icm.cli.main import main
from icm.files import FileError
from icm.images.batches import as_images, generator_for
from icm.images.digits import load_digits
from icm.images.mechanisms import apply_one, parse
from icm.measure.reader import (
    SHIPPED,
    Reader,
    ReaderError,
    accuracy,
    load_reader,
    new_reader,
    save_reader,
    top_digits,
    train_reader,
)


def trained(root: Path, seed: int, epochs: int) -> Reader:
    """A reader after so many rounds of 500 digits."""
    digits, reader = load_digits("builtin", root), new_reader(seed)
    steps = list(train_reader(reader, digits.train[:500], digits.train_labels[:500], seed, epochs))
    of = 4 * epochs  # three batches of 128 and one of 116
    assert [(each.step, each.of) for each in steps] == [(number, of) for number in range(1, of + 1)]
    return reader


def test_the_shipped_reader_reads_untouched_digits_and_few_inverted_ones(root: Path) -> None:
    # The built-in digits come from MNIST's training set, so this reader has seen them: the test says that the right
    # weights are shipped, not how well they generalise. That is test_accuracy in the card, on MNIST's test digits.
    digits, reader = load_digits("builtin", root), load_reader()
    images = as_images(digits.test)
    assert accuracy(reader, images, digits.test_labels) >= 0.985

    (contrast,) = parse(["contrast"])
    inverted = apply_one(images, contrast, generator_for(0, "evaluation"))
    assert accuracy(reader, inverted, digits.test_labels) < 0.5


def test_the_card_tells_the_test_accuracy_and_how_to_have_it_again() -> None:
    card = json.loads((SHIPPED / "card.json").read_text())
    assert card["test"] == "10,000 held-out mnist digits, untouched"
    assert card["test_accuracy"] >= 0.989
    assert card["command"] == f"python -m icm reader --seed {card['seed']} --epochs {card['epochs']}"


def test_five_hundred_digits_teach_a_new_reader(root: Path) -> None:
    digits = load_digits("builtin", root)
    images, labels = as_images(digits.test[:300]), digits.test_labels[:300]
    assert accuracy(new_reader(seed=3), images, labels) < 0.3
    assert accuracy(trained(root, seed=3, epochs=8), images, labels) > 0.7


def test_a_seed_decides_the_training(root: Path) -> None:
    image = as_images(load_digits("builtin", root).test[:1])
    first, again, other = (trained(root, seed, epochs=1)(image) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_accuracy_is_the_share_read_right() -> None:
    images = torch.rand(7, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    reader = new_reader(seed=0)
    labels = reader(images).argmax(1)
    labels[2:4] = (labels[2:4] + 1) % 10
    assert accuracy(reader, images, labels) == pytest.approx(5 / 7)


def test_top_digits_are_the_likeliest_with_their_probabilities() -> None:
    # Digit 4 weighs 6, digit 9 weighs 3, digit 0 weighs 2, the seven others nearly 0: 6 + 3 + 2 = 11.
    logits = torch.full((10,), -30.0)
    logits[[4, 9, 0]] = torch.tensor([6.0, 3.0, 2.0]).log()
    digits, probabilities = zip(*top_digits(logits))
    assert digits == (4, 9, 0)
    assert probabilities == pytest.approx((6 / 11, 3 / 11, 2 / 11))
    assert [digit for digit, _ in top_digits(logits, count=1)] == [4]


def test_a_saved_reader_comes_back_to_half_precision(tmp_path: Path) -> None:
    reader = new_reader(seed=5)
    save_reader(reader, tmp_path)
    loaded = load_reader(tmp_path).state_dict()
    assert set(loaded) == set(reader.state_dict())
    for name, value in reader.state_dict().items():
        assert torch.equal(loaded[name], value.half().float()), name
    assert [path.name for path in tmp_path.iterdir()] == ["reader.safetensors"]


def test_a_reader_is_saved_into_a_folder_that_was_not_there(tmp_path: Path) -> None:
    save_reader(new_reader(seed=5), tmp_path / "of" / "mine")
    assert [path.name for path in (tmp_path / "of" / "mine").iterdir()] == ["reader.safetensors"]


def test_a_reader_that_cannot_be_saved_is_one_sentence_and_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    with pytest.raises(FileError, match=r"file cannot be made \(.*\); .*move it away"):
        save_reader(new_reader(seed=5), tmp_path / "file")

    save_reader(new_reader(seed=5), tmp_path / "mine")
    before = (tmp_path / "mine" / "reader.safetensors").read_bytes()
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, allowed[1]))  # as a disk with so much room
    try:
        with pytest.raises(FileError, match=r"reader.safetensors cannot be written"):
            save_reader(new_reader(seed=6), tmp_path / "mine")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["reader.safetensors"]
    assert (tmp_path / "mine" / "reader.safetensors").read_bytes() == before


@pytest.mark.parametrize("content", [None, b"torn"])
def test_a_reader_that_cannot_be_loaded_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "reader.safetensors").write_bytes(content)
    with pytest.raises(ReaderError, match=r"cannot be read .*`python -m icm reader` trains one"):
        load_reader(tmp_path)


def test_the_command_writes_weights_and_card(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reader", "--source", "builtin", "--seed", "1", "--epochs", "1", "--out", str(tmp_path / "mine")]
    assert main(words) == 0
    assert "reader 32 of 32" in capsys.readouterr().out  # 4,000 digits in batches of 128

    card = json.loads((tmp_path / "mine" / "card.json").read_text())
    digits, reader = load_digits("builtin", root), load_reader(tmp_path / "mine")
    read = accuracy(reader, as_images(digits.test), digits.test_labels)
    assert card["test_accuracy"] == round(read, 4) > 0.7
    assert card["command"] == "python -m icm reader --seed 1 --epochs 1 --source builtin"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--epochs", "0"], 2, "--epochs is 0; use 1 or more"),
        (["--seed", "-1"], 2, "--seed is -1; use 0 or more"),
        ([], 1, "run `python -m icm data mnist`"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    out = tmp_path / "mine"
    assert main(["reader", "--data-root", str(root), "--out", str(out), *words]) == code
    complaint = capsys.readouterr().err
    assert sentence in complaint
    assert complaint.count("\n") == 1
    assert not out.exists()


def test_the_projects_reader_is_not_replaced_by_one_that_learned_from_other_digits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["reader", "--source", "builtin"]) == 2
    assert "--source is builtin: give --out a folder" in capsys.readouterr().err
