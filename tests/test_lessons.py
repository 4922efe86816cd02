"""The idea in four screens: short enough to be read aloud, no technical word before it is explained, its pictures are the core's."""

import re

import numpy as np
import torch

from icm.method.networks import ExpertBank
from icm.presets import preset
from pages.ui import lessons, words
from tests.markup import texts

PER_MINUTE = 150  # words, read aloud
# What somebody who has never heard of the paper cannot know. Each must be explained where it comes first.
TECHNICAL = (
    "digit|mechanism|network|expert|discriminator|score|winner|owner|loss|conscience|logit|gradient|batch|softplus|psnr|routing|epoch|"
    "generator|adversarial|inverse|optimi|decibel|dB"
)


def test_the_four_screens_take_less_than_three_minutes_to_read_aloud() -> None:
    aloud = " ".join(f"{each.title}. {words.plain(' '.join(each.text))}" for each in lessons.LESSONS)
    assert len(lessons.LESSONS) == 4
    assert 300 < len(aloud.split()) < 3 * PER_MINUTE


def test_no_technical_word_comes_before_it_is_explained() -> None:
    explained: set[str] = set()
    for lesson in lessons.LESSONS:
        for part in re.split(r"(\[[^\]]+\])", " ".join(lesson.text)):
            if part.startswith("["):
                explained.add(part.strip("[]").rpartition("|")[2])
                continue
            for word in re.findall(rf"\b(?:{TECHNICAL})", part, re.IGNORECASE):
                assert word.lower() in explained, f"{word} in: {part}"
        # Of what a formula says by hovering, too.
        for _, meaning in lesson.symbols:
            for word in re.findall(
                r"\b(?:digit|mechanism|network|expert|discriminator|score|winner|owner|loss)", meaning.lower()
            ):
                assert word in explained, f"{word} in: {meaning}"
    assert explained <= words.GLOSSARY.keys()
    assert {
        "digit",
        "mechanism",
        "network",
        "expert",
        "discriminator",
        "score",
        "winner",
        "loss",
        "owner",
    } <= explained


def test_every_symbol_of_a_formula_means_something() -> None:
    for lesson in lessons.LESSONS:
        places = set(re.findall(r"\{(\d)\}", lesson.formula))
        assert places == {str(at) for at in range(len(lesson.symbols))}, lesson.title
        drawn = lessons.text(lesson)
        assert all(f"<em>{shown}</em><span role='tooltip'>" in drawn for shown, _ in lesson.symbols)


def test_letters_are_answered_by_the_owner_of_their_mechanism_and_measured() -> None:
    """A bank whose experts copy: an owner's answer is then the changed letter, and as near to the letter as that."""
    model = preset("tiny").model

    class Copies(ExpertBank):
        def forward(self, images: torch.Tensor, experts: list[int] | None = None) -> torch.Tensor:
            assert experts == [2]
            return images[None]

    bank = Copies(model.experts, model.filters, model.norm, torch.Generator().manual_seed(0))
    images = torch.zeros(2, 1, 32, 32)
    images[:, :, 12:20, 14:18] = 1.0  # 32 bright pixels; moved by 6, none of them stays
    drawn = lessons.letters(bank, images, ("right=6", "left=6", "up=6"), [2, None, None])
    # 64 of 1,024 pixels differ by 1: 12.04 dB.
    assert re.findall(r"<small>(.*?)</small>", drawn) == ["12 → 12 dB"]
    assert texts(drawn, "figcaption") == ["right, E2"]


def test_the_ten_ways_are_named_after_the_digit() -> None:
    blank = np.zeros((32, 32))
    drawn = lessons.ten_ways(blank, {"down_right": blank, "noise": blank})
    assert texts(drawn, "figcaption") == ["the digit", "down-right", "noise"]
