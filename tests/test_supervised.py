"""A network that is taught with pairs undoes what it can see, and no taught network undoes what it cannot."""

from dataclasses import replace
from pathlib import Path

import pytest

from icm.config import ModelConfig
from icm.images.digits import Digits, load_digits
from icm.images.mechanisms import parse
from icm.measure.supervised import Taught, taught
from icm.presets import preset
from icm.show.results import LEAST_GAIN

BATCH, SEED = 16, 3


@pytest.fixture(scope="module")
def digits(root: Path) -> Digits:
    return load_digits("builtin", root)


@pytest.fixture(scope="module")
def model() -> ModelConfig:
    return replace(preset("robust").model, filters=8)


def after(steps: int, name: str, digits: Digits, model: ModelConfig) -> Taught:
    (mechanism,) = parse([name])
    return taught(model, mechanism, digits.train, digits.test[:64], steps, BATCH, SEED)


@pytest.mark.parametrize("name", ["contrast", "down_right"])
def test_what_lies_within_its_field_comes_back(name: str, digits: Digits, model: ModelConfig) -> None:
    found = after(200, name, digits, model)
    assert found.psnr >= found.psnr_nothing + LEAST_GAIN, found


def test_a_mirror_image_lies_outside_of_it(digits: Digits, model: ModelConfig) -> None:
    """The field reaches 5 pixels each way, and a flip moves ink by more. To hedge by a blur is worth some dB."""
    found = after(200, "flip", digits, model)
    assert found.psnr < found.psnr_nothing + LEAST_GAIN, found


def test_the_same_words_give_the_same_figures_and_more_steps_others(
    digits: Digits, model: ModelConfig
) -> None:
    found = after(2, "noise", digits, model)
    assert after(2, "noise", digits, model) == found
    assert after(8, "noise", digits, model).psnr != found.psnr


def test_a_single_step_is_enough_to_be_measured(digits: Digits, model: ModelConfig) -> None:
    assert after(1, "up", digits, model).psnr > 0
