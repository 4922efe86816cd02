"""The idea in four screens: their text, their formula, and the picture of each, which the core makes while somebody looks.

Of the technical words, each is in [brackets] where it comes first, and explained there; tests/test_lessons.py holds the text to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import torch
from jaxtyping import Float

from icm.config import mechanism_name
from icm.images.batches import generator_for
from icm.images.mechanisms import apply_one, parse
from icm.measure.evaluation import EVALUATION_SEED, psnr
from icm.method.networks import ExpertBank
from icm.shapes import Images
from icm.show.experts import badge, colour
from pages.ui import html, words
from pages.ui.html import Picture


@dataclass(frozen=True)
class Lesson:
    """One screen. In `formula`, HTML, {0}, {1} and so on are the symbols, each with what it means."""

    title: str
    text: Sequence[str]  # paragraphs
    formula: str
    symbols: Sequence[tuple[str, str]]


LESSONS = (
    Lesson(
        "Causes are parts",
        (
            "Here is a [digit]. It can be moved, its bright and dark swapped, or noise be strewn over it. Each way to change a "
            "picture is a [mechanism]: a picture goes in, another comes out.",
            "A mechanism is **how a cause makes its effect**, and these are independent: to know how things are moved tells nothing about noise. Whoever has understood one of "
            "them apart from the others can use it again where everything else is new. People do that all the time.",
            "Can a machine find such parts by itself, if it sees only pictures that were changed, others that were not, and nobody says "
            "what was done to which?",
        ),
        "{0} = {1}({2})",
        (
            (
                "x′",
                "The picture that came out. The learner is given such pictures, and others that nobody changed, but never a pair.",
            ),
            ("M<sub>k</sub>", "Mechanism number k, one of ten. Nobody says which."),
            (
                "x",
                "A digit before it was changed. Nobody who learns is shown which one it was; we keep it, to measure.",
            ),
        ),
    ),
    Lesson(
        "Ten compete, one judges",
        (
            "We take ten small [networks|network]. We call them [experts|expert]. Each turns a picture into a picture; at the beginning all only copy.",
            "An eleventh network is the judge, the [discriminator]. It is shown digits that nobody changed, and gives every picture "
            "a [score]: how much it looks like one of those.",
            "A changed picture goes to all ten experts, and all ten answers go to the judge. The expert whose answer has the best score is the "
            "[winner]. Nobody ever says whether that was right.",
        ),
        "{0} = argmax<sub>j</sub> {1}({2}({3}))",
        (
            ("j*", "The number of the winner. argmax means: the j for which what follows is largest."),
            ("D", "The discriminator: from a picture it makes a score."),
            ("E<sub>j</sub>", "Expert number j: from a picture it makes a picture, its answer."),
            ("x′", "The changed picture, the same for all experts."),
        ),
    ),
    Lesson(
        "Only the winner learns",
        (
            "To learn is to adjust the numbers of a network so that its [loss] falls. Only the winner learns, and only "
            "from pictures that it won: it makes its answer look a little more like a digit that nobody changed.",
            "So whoever is slightly better at pictures moved left wins more of these, becomes better still, and leaves the rest to others. "
            "In the end each mechanism has its [owner], an expert that wins nearly all its pictures and undoes it.",
            "The judge learns too: high scores for unchanged digits, low ones for all the experts' answers, so that it is not content too soon.",
        ),
        "{0} = {1}(−D(E<sub>j*</sub>(x′)))<br>{2} = {1}(−D({3})) + {4} {1}(D(E<sub>j</sub>(x′)))",
        (
            ("L<sub>E</sub>", "The winner's loss. It falls when the score of its answer rises."),
            (
                "s",
                "softplus: s(z) = log(1 + e to the z), about 0 where z is far below 0, about z where it is far above.",
            ),
            (
                "L<sub>D</sub>",
                "The discriminator's loss. It falls when unchanged digits score higher and answers lower.",
            ),
            ("x", "A digit that nobody changed; another one than that which was changed."),
            ("1/N Σ<sub>j</sub>", "The mean over all N experts: the losers' answers count as well."),
        ),
    ),
    Lesson(
        "Learned apart, used apart",
        (
            "The experts have seen nothing but digits. Here they meet letters of alphabets that they never saw, changed in the same ways. "
            "What each knows is mostly its mechanism, not the digits: letters come back almost as well, other pictures, such as clothes, in part.",
            "**What has to be so.** There are enough experts. Unchanged pictures and changed ones are of the same kind. Where a [conscience] helps "
            "those who win little, each mechanism comes about equally often.",
            "**How it fails.** Two mechanisms can stay with one expert while another has nothing to do. And the judge knows digits alone: "
            "on pictures unlike them, such as clothes, it often chooses the wrong expert, also where the right one did well.",
        ),
        "{0}({1}({2})) ≈ {2}",
        (
            ("E<sub>j</sub>", "The owner of the mechanism. It was never told what to undo."),
            ("M<sub>k</sub>", "The mechanism that it owns."),
            ("x", "Any picture, a letter for instance; ≈ means: nearly the same."),
        ),
    ),
)


def text(lesson: Lesson) -> str:
    """HTML: the paragraphs, and the formula under them."""
    symbols = [words.explained(f"<em>{shown}</em>", meaning) for shown, meaning in lesson.symbols]
    formula = f"<p class='icm-formula'>{lesson.formula.format(*symbols)}</p>"
    return f"<style>{STYLE}</style><div class='icm-lesson'>{''.join(map(words.said, lesson.text))}{formula}</div>"


def path(screen: int) -> str:
    """HTML: how far somebody is, as four marks of which those up to the present one are filled."""
    marks = "".join(f"<i{' class=on' if each <= screen else ''}></i>" for each in range(len(LESSONS)))
    return f"<style>{STYLE}</style><div class='icm-screens' role='img' aria-label='Screen {screen + 1} of {len(LESSONS)}'>{marks}</div>"


def ten_ways(digit: Picture, changed: Mapping[str, Picture]) -> str:
    """HTML: the digit, and what every mechanism makes of it."""
    others = [html.figure(mechanism_name(name), picture, "") for name, picture in changed.items()]
    return html.grid_of_figures([html.figure("the digit", digit, "")]) + html.grid_of_figures(others)


def letters(experts: ExpertBank, images: Images, specs: Sequence[str], owner: Sequence[int | None]) -> str:
    """HTML: each image changed by a mechanism of its own, one that has an owner, and the owner's answer to it.

    Below each, how near the changed image and the answer are to the letter."""
    shown = []
    mechanisms = [(each, by) for each, by in zip(parse(specs), owner) if by is not None]
    for image, (mechanism, by) in zip(images.split(1), mechanisms):
        changed = apply_one(image, mechanism, generator_for(EVALUATION_SEED, "evaluation"))
        with torch.no_grad():
            answer = experts(changed, [by])[0]
        before, after = (float(psnr(each, image)) for each in (changed, answer))
        shown.append(
            f"<figure><figcaption>{escape(mechanism.title)}, {html.door(by)}</figcaption>{html.picture(_grey(changed), 'changed')}"
            f"{html.picture(_grey(answer), badge(by), f'margin-top:6px;outline:3px solid {colour(by)}')}"
            f"<small>{before:.0f} → {after:.0f} dB</small></figure>"
        )
    return html.grid_of_figures(shown)


def _grey(image: Images) -> Float[np.ndarray, "32 32"]:
    return image[0, 0].numpy()


STYLE = """
.icm-lesson{font-size:1.05rem}
.icm-lesson .icm-said{margin:0 0 .9rem}
.icm-formula{margin:1.4rem 0 .4rem;padding:.9rem 1rem;border-left:3px solid #3f90da;font:1.25rem/1.7 Georgia,'DejaVu Serif',serif}
.icm-formula sub{font-size:.65em}
.icm-everyone+style+.icm-everyone{margin-top:16px}
.st-key-lesson .icm-station .icm-path figure{width:128px}
.icm-screens{display:flex;gap:6px;margin:.2rem 0}
.icm-screens i{width:44px;height:6px;border-radius:3px;background:rgba(128,128,128,.45)}
.icm-screens .on{background:#1f6fb8}
"""
