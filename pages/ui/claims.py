"""Who claims a drawing: the rounds it went through, and the HTML that shows them. Images inlined: one message, no second
request, so that an answer is on the page as soon as it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import torch
from jaxtyping import Float

from icm.classifier import top_digits
from icm.data import generator_for
from icm.evaluation import EVALUATION_SEED, Round, psnr
from icm.figures import badge, colour
from icm.mechanisms import apply_one, parse
from icm.shapes import Images
from pages.ui import pictures

Picture = Float[np.ndarray, "height width"]


@dataclass(frozen=True)
class Claim:
    """A drawing on its way: as the networks see it, changed, and the rounds."""

    seen: Images
    changed: Images
    rounds: list[Round]
    original_known: bool  # False when nothing was applied: the person may have drawn it changed

    @property
    def last(self) -> Round:
        """The round whose winner is believed: the newest that scored higher than what it was given, else the first."""
        return ([self.rounds[0]] + [each for each in self.rounds if each.better])[-1]

    @property
    def restored(self) -> Images:
        return self.last.contest.restored

    @property
    def winner(self) -> int:
        return int(self.last.contest.winner[0])


def claim(shown: pictures.Shown, seen: Float[np.ndarray, "32 32"], specs: Sequence[str], most: int) -> Claim:
    """The drawing through the mechanisms, one after the other, and at most `most` rounds."""
    image = torch.from_numpy(seen).float()[None, None]
    changed = image
    for mechanism in parse(specs):
        changed = apply_one(changed, mechanism, generator_for(EVALUATION_SEED, "evaluation"))
    return Claim(image, changed, pictures.rounds(shown, changed, most), bool(specs))


def path(given: Picture, seen: Picture, specs: Sequence[str], found: Claim, roles: Sequence[str]) -> str:
    """HTML, left to right: given, seen, changed, restored; with what the reader makes of the last three."""
    winner = found.winner
    stops = [
        _stop("You gave", given, ""),
        _stop("The networks see", seen, _read(found.seen)),
    ]
    if specs:
        names = ", ".join(mechanism.name.replace("_", "-") for mechanism in parse(specs))
        stops.append(_stop(f"Changed: {names}", _array(found.changed), _read(found.changed)))
    quality = (
        f"{float(psnr(found.restored, found.seen)):.1f} dB to the original"
        if found.original_known
        else "original unknown"
    )
    stops.append(
        _stop(
            f"{badge(winner)}, undoes {roles[winner]}",
            _array(found.restored),
            f"{_read(found.restored)}<br>{quality}",
            frame=colour(winner),
        )
    )
    if specs:
        stops.append(_stop("The original", _array(found.seen), ""))
    return f"<style>{STYLE}</style><div class='icm-path'>{'<b>→</b>'.join(stops)}</div>"


def everyone(found: Claim, roles: Sequence[str]) -> str:
    """HTML: every expert's answer of that round with its score above and what it undoes below; the winner's framed."""
    contest = found.last.contest
    stops = [
        _stop(
            f"{badge(expert)}\N{EN SPACE}{float(contest.logits[expert, 0]):+.1f}",
            contest.answers[expert, 0, 0].numpy(),
            escape(role),
            frame=colour(expert) if expert == found.winner else None,
        )
        for expert, role in enumerate(roles)
    ]
    return f"<style>{STYLE}</style><div class='icm-everyone'>{''.join(stops)}</div>"


def steps(found: Claim, roles: Sequence[str]) -> str:
    """HTML: the chain, round by round."""
    stops = [_stop("Start", _array(found.changed), f"score {found.rounds[0].score:+.1f}")]
    for number, each in enumerate(found.rounds, start=1):
        winner = int(each.contest.winner[0])
        score = f"score {float(each.contest.logits.max()):+.1f}"
        stops.append(
            _stop(
                f"{number}: {badge(winner)} {roles[winner]}",
                _array(each.contest.restored),
                score if each.better else f"{score}, no better: not taken",
                frame=colour(winner) if each.better else None,
            )
        )
    return f"<style>{STYLE}</style><div class='icm-path'>{'<b>→</b>'.join(stops)}</div>"


def verdict(found: Claim) -> str:
    last = found.rounds[-1]
    best, own = float(last.contest.logits.max()), last.score
    if last.better:
        return f"The winner's answer scores {best:+.1f}, the image itself {own:+.1f}."
    return (
        f"The chain ends here: no answer scores higher than the image itself ({best:+.1f} against {own:+.1f}), "
        "so nothing seems left to undo."
    )


def _read(image: Images) -> str:
    """The reader's top three."""
    with torch.no_grad():
        found = top_digits(pictures.reader()(image)[0])
    return "reads " + ", ".join(f"<b>{digit}</b>&nbsp;{share:.0%}" for digit, share in found)


def _array(image: Images) -> Picture:
    return image[0, 0].numpy()


def _stop(title: str, image: Picture, words: str, frame: str | None = None) -> str:
    """HTML from a title, which is text, and words, which are HTML."""
    title = escape(title)
    style = f" style='outline:4px solid {frame};outline-offset:1px'" if frame else ""
    return (
        f"<figure><figcaption>{title}</figcaption>"
        f"<img src='{pictures.data_url(image)}' alt='{title}'{style}><small>{words}</small></figure>"
    )


STYLE = """
.icm-path{display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start}
.icm-path>b{align-self:center;opacity:.5;font-size:1.2rem}
.icm-path figure{margin:0;width:132px}
.icm-everyone{display:grid;grid-template-columns:repeat(5,minmax(0,132px));gap:16px}
.icm-everyone figure{margin:0}
.icm-path img,.icm-everyone img{width:100%;image-rendering:pixelated;border-radius:4px;display:block;box-shadow:0 0 0 1px rgba(128,128,128,.4)}
.icm-path figcaption,.icm-everyone figcaption{font-size:.8rem;font-weight:600;margin-bottom:6px}
.icm-path small,.icm-everyone small{display:block;margin-top:6px;opacity:.75;font-size:.75rem;line-height:1.35}
"""
