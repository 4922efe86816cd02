"""Every expert's answers to images of the digits and of another set, in one table: the pictures of Compare. Pure: no Streamlit.

The columns of both sets stand one below the other. A frame means the winner, as everywhere; the owner is named in the head of its
column."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from icm.measure.evaluation import Examples
from icm.show.experts import badge, colour
from icm.show.mosaics import picture_table
from pages.ui.html import door, picture, png


@dataclass(frozen=True)
class Group:
    """Some images of a set, changed by one mechanism, and what the experts make of them."""

    title: str
    found: Examples

    def winners(self) -> list[int]:
        return self.found.contest.winner.tolist()


def table(groups: Sequence[Group], owner: int | None, words: str, ground: str) -> str:
    """A <table>: for each image the changed image, the answer of everyone who plays and the original.

    `words` say what it is to whoever cannot see it; `ground` is the page's colour, over which a phone scrolls the columns."""
    players = groups[0].found.contest.players()
    heads = "".join(_head(expert, expert == owner) for expert in players)
    rows = [
        f"<thead><tr><td></td><th scope=col>input</th>{heads}<th scope=col>original</th></tr></thead>",
        *(_rows(group, players) for group in groups),
    ]
    return (
        f"<style>{STYLE}</style><div class='icm-answers' tabindex=0 role=region aria-label='{escape(words, quote=True)}' "
        f"style='--ground:{ground}'><table>{''.join(rows)}</table></div>"
    )


def _head(expert: int, owns: bool) -> str:
    if not owns:
        return f"<th scope=col>{door(expert)}</th>"
    return f"<th scope=col><span style='border-color:{colour(expert)}'>{door(expert)} owner</span></th>"


def _rows(group: Group, players: Sequence[int]) -> str:
    """The images of a set under its title. The winner's answer is framed in its colour."""
    found, contest = group.found, group.found.contest
    rows = [
        f"<tr class=set><th colspan={len(players) + 3} scope=rowgroup><span>{escape(group.title)}</span></th></tr>"
    ]
    for image, winner in enumerate(group.winners()):
        cells = [picture(found.transformed[image, 0].numpy(), "the changed image")]
        for expert in players:
            wins = expert == winner
            words = (
                f"{badge(expert)}, score {float(contest.logits[expert, image]):+.1f}{', won' if wins else ''}"
            )
            frame = f"outline:4px solid {colour(expert)};outline-offset:1px" if wins else ""
            cells.append(picture(contest.answers[expert, image, 0].numpy(), words, frame))
        cells.append(picture(found.original[image, 0].numpy(), "the original"))
        rows.append(f"<tr><th scope=row>{door(winner)} won</th><td>{'</td><td>'.join(cells)}</td></tr>")
    return f"<tbody>{''.join(rows)}</tbody>"


def picture_of(groups: Sequence[Group], owner: int | None) -> bytes:
    """PNG: the same table, to be saved."""
    players = groups[0].found.contest.players()
    images, rows, frames = [], [], {}
    for group in groups:
        contest = group.found.contest
        for image, winner in enumerate(group.winners()):
            frames[len(rows), 1 + players.index(winner)] = colour(winner)
            rows.append(f"{group.title} · {badge(winner)} won")
            answers = contest.answers[players, image, 0].numpy()
            ends = (group.found.transformed[image], group.found.original[image])
            images.append(np.concatenate([ends[0].numpy(), answers, ends[1].numpy()]))
    names = [badge(expert) + ("\nowner" if expert == owner else "") for expert in players]
    return png(picture_table(np.stack(images), rows, ["input", *names, "original"], frames))


STYLE = """
.icm-answers{overflow-x:auto;padding:0 6px 6px 0}
.icm-answers table{width:100%;min-width:860px;table-layout:fixed;border-collapse:collapse;font-size:.875rem;margin:0}
.icm-answers th,.icm-answers td{border:0!important;padding:7px 5px!important;text-align:center;font-weight:400;line-height:1.2}
.icm-answers thead td,.icm-answers th[scope=row]{width:68px;position:sticky;left:0;background:var(--ground);text-align:left;padding-left:0!important;white-space:nowrap;z-index:1}
.icm-answers thead th{vertical-align:bottom}
.icm-answers thead span .icm-door b{border:0}
.icm-answers thead span{display:inline-block;border:2px solid;border-radius:12px;padding:1px 8px;font-weight:600}
.icm-answers tr.set th{text-align:left;font-weight:600;padding:14px 0 2px!important}
.icm-answers tr.set span{position:sticky;left:0}
.icm-answers img{width:100%;display:block;image-rendering:pixelated;border-radius:3px;box-shadow:0 0 0 1px rgba(128,128,128,.4)}
"""
