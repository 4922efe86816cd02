"""Who claims a drawing: the rounds that it went through, and the HTML that shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from numpy import ndarray

from icm.images.batches import generator_for
from icm.images.mechanisms import apply_one, parse
from icm.images.sketch import WHOLE, Part
from icm.measure.chain import Round, chain
from icm.measure.doubt import SURE, confidence
from icm.measure.evaluation import EVALUATION_SEED, psnr
from icm.measure.reader import Reader, top_digits
from icm.method.competition import Contest
from icm.method.networks import Discriminator, ExpertBank
from icm.shapes import Images
from icm.show.experts import badge, colour
from pages.ui import html
from pages.ui.html import Picture

SAID = 0.01  # a digit that the reader gives less than this is not worth a word


@dataclass(frozen=True)
class Claim:
    """A drawing as the networks see it, the same changed by the mechanisms, and the rounds that followed."""

    seen: Images
    changed: Images
    rounds: list[Round]
    original_known: bool  # False when nothing was applied: the person may have drawn it changed

    @property
    def last(self) -> Round:
        """The round that counts: the newest whose winner scored higher than the image that it was given, else the first."""
        return ([self.rounds[0]] + [each for each in self.rounds if each.better])[-1]

    @property
    def restored(self) -> Images:
        return self.last.contest.restored

    @property
    def winner(self) -> int:
        return int(self.last.contest.winner[0])


def claim(
    networks: tuple[ExpertBank, Discriminator],
    seen: Float[ndarray, "32 32"],
    specs: Sequence[str],
    most: int,
) -> Claim:
    """Changes the drawing by the mechanisms, one after the other, and plays at most `most` rounds on the result."""
    image = torch.from_numpy(seen).float()[None, None]
    changed = image
    for place, mechanism in enumerate(parse(specs)):
        changed = apply_one(changed, mechanism, generator_for(EVALUATION_SEED, "evaluation", place))
    return Claim(image, changed, chain(*networks, changed, most), bool(specs))


def changed_by(seen: Float[ndarray, "32 32"], names: Sequence[str]) -> dict[str, Picture]:
    """The drawing as each of these mechanisms alone would change it, at the strength that it has by itself."""
    image = torch.from_numpy(seen).float()[None, None]
    return {
        mechanism.name: _array(apply_one(image, mechanism, generator_for(EVALUATION_SEED, "evaluation")))
        for mechanism in parse(names)
    }


def path(
    given: Picture, part: Part, specs: Sequence[str], found: Claim, roles: list[str], reader: Reader
) -> str:
    """HTML, left to right: the drawing as given, seen, changed and restored, with what the reader makes of the last three.

    `part` of what was given is used. Where mechanisms changed it, the original comes last."""
    used = None if part == WHOLE else (part.left, part.right, part.top, part.bottom)
    stops = [
        html.figure("You gave", given, "", part=used),
        html.figure("The networks see", _array(found.seen), _read(reader, found.seen)),
    ]
    if specs:
        names = ", ".join(mechanism.title for mechanism in parse(specs))
        stops.append(html.figure(f"Changed: {names}", _array(found.changed), _read(reader, found.changed)))
    quality = (
        f"{float(psnr(found.restored, found.seen)):.1f} dB to the original"
        if found.original_known
        else "original unknown"
    )
    stops.append(
        html.figure(
            f", {html.undoes(roles[found.winner])}",
            _array(found.restored),
            f"{_read(reader, found.restored)}<br>{quality}",
            frame=colour(found.winner),
            by=found.winner,
        )
    )
    if specs:
        stops.append(html.figure("The original", _array(found.seen), ""))
    return html.row_of_figures(stops)


def everyone(found: Claim, roles: list[str], emblems: list[str]) -> str:
    """HTML: every expert's answer in the round that counts, the best score first, as bars on one axis. The winner's is framed."""
    contest = found.last.contest
    scores = contest.logits[:, 0]
    return html.bars(
        [
            html.Bar(
                expert,
                contest.answers[expert, 0, 0].numpy(),
                float(scores[expert]),
                expert == found.winner,
                html.undoes(roles[expert]),
                emblems[expert],
            )
            for expert in scores.argsort(descending=True).tolist()
            if scores[expert] > -torch.inf
        ]
    )


def steps(found: Claim, roles: Sequence[str]) -> str:
    """HTML: the winner's answer of every round, from left to right."""
    stops = [html.figure("Start", _array(found.changed), f"score {found.rounds[0].score:+.1f}")]
    for each in found.rounds:
        winner = int(each.contest.winner[0])
        score = f"score {float(each.contest.logits.max()):+.1f}"
        stops.append(
            html.figure(
                f", {roles[winner]}",
                _array(each.contest.restored),
                score if each.better else f"{score}, no better: not taken",
                frame=colour(winner) if each.better else None,
                by=winner,
            )
        )
    return html.row_of_figures(stops)


def verdict(found: Claim) -> str:
    """Whether the newest round made the image better, in a sentence with both scores."""
    last = found.rounds[-1]
    best, own = float(last.contest.logits.max()), last.score
    if not found.rounds[0].better and own > 0:
        return (
            f"This already looks like a digit: it scores {own:+.1f} itself, and the best answer {best:+.1f}. "
            f"{badge(found.winner)} only polishes it."
        )
    if not found.rounds[0].better:
        return (
            f"Nobody makes a digit of this: it scores {own:+.1f} itself, and the best answer, of {badge(found.winner)}, "
            f"{best:+.1f}."
        )
    if last.better:
        return (
            f"The winner's answer scores {best:+.1f}, the image itself {own:+.1f}. {how_sure(last.contest)}"
        )
    return (
        f"The chain ends here: no answer scores clearly higher than the image itself ({best:+.1f} against {own:+.1f})"
        + (", so nothing seems left to undo." if own > 0 else ", though it does not look like a digit.")
    )


def how_sure(contest: Contest) -> str:
    """How sure the competition is of the winner, in a sentence."""
    sure = float(confidence(contest.logits.numpy())[0])
    if sure >= SURE:
        return "By its scores it is sure."
    share = contest.logits[:, 0].softmax(dim=0)
    first, second = share.argsort(descending=True)[:2].tolist()
    return f"It is unsure: {sure:.0%} for {badge(first)}, {share[second]:.0%} for {badge(second)}."


def _read(reader: Reader, image: Images) -> str:
    """The reader's top three, without what it hardly believes."""
    with torch.no_grad():
        found = top_digits(reader(image)[0])
    return "reads " + ", ".join(f"<b>{digit}</b>&nbsp;{share:.0%}" for digit, share in found if share >= SAID)


def _array(image: Images) -> Picture:
    return image[0, 0].numpy()
