"""One round as five stations on a path, as HTML: a digit comes in, everyone answers, the discriminator scores, one wins and learns,
and the discriminator has a lesson of its own. Every number and picture comes from a `Replay`. Pure: no Streamlit."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from icm.measure.replay import Replay
from icm.shapes import Images
from icm.show.experts import badge, colour
from pages.ui import html

NAMES = (
    "A digit comes in",
    "Everyone answers",
    "The discriminator scores",
    "One wins, and only it learns",
    "The discriminator learns",
)
SENTENCES = (
    "Somebody has changed a digit by one of several [mechanisms|mechanism], and tells nobody by which. The experts see only what came out.",
    "Every [expert] gets the same image and returns the image that it would rather see. They are small networks; at the start they all "
    "copy, so that each answer is a digit, and small differences decide who goes where.",
    "The [discriminator] has been shown digits that nobody changed, and says by a [score] how much each answer looks like one of them. "
    "It does not know what the image was before, and nobody else here does.",
    "The best score takes the image, and only the [winner] learns from it. Red pixels should get brighter, blue ones darker: that way "
    "the discriminator would like the answer better. If all learned from all, all would become one average expert. So who is "
    "a little ahead on one kind of image gets its lessons, pulls further ahead, and leaves the rest to others.",
    "Real are digits that nobody changed; fake are the answers to this image. Those of the losers too, unless the rules leave them out: a "
    "loser's answer teaches the discriminator what a digit does not look like, and its expert nothing. Without the losers it would know "
    "only good answers. In a step this comes before the winner's lesson; here it is shown last.",
)
WINS = 3  # the station of the winner
REAL_SHOWN = 5


@dataclass(frozen=True)
class Shown:
    """A replay, which image of it is looked at, and what each expert undoes, in words."""

    replay: Replay
    image: int
    roles: Sequence[str]
    mechanism: str  # in words; the truth, for the reader alone
    emblems: Sequence[str] = ()  # of each expert, the address of a picture
    losers: bool = True  # whether the discriminator learns from their answers too

    @property
    def winner(self) -> int:
        return int(self.replay.contest.winner[self.image])

    @property
    def by_score(self) -> int:
        return int(self.replay.contest.winner_by_score[self.image])

    @property
    def scores(self) -> dict[int, float]:
        """Of the experts that play, by their scores."""
        column = self.replay.contest.logits[:, self.image].tolist()
        return {expert: column[expert] for expert in self.replay.contest.players()}


def path(station: int) -> str:
    """The stations on one line, the present one filled."""
    stops = [
        f"<li{' aria-current=step' if number == station else ''}><i>{number + 1}</i><span>{name}</span></li>"
        for number, name in enumerate(NAMES)
    ]
    return f"<style>{STYLE}</style><ol class='icm-stations'>{''.join(stops)}</ol>"


def content(shown: Shown, station: int) -> str:
    """What is to be seen at the station."""
    return f"<style>{STYLE}</style><div class='icm-station'>{(_comes_in, _answers, _scores, _wins, _lesson)[station](shown)}</div>"


def _comes_in(shown: Shown) -> str:
    batch = shown.replay.batch
    return html.row_of_figures(
        [
            html.figure("A digit", _grey(batch.original[shown.image]), "nobody is shown this one"),
            html.figure(
                "Changed",
                _grey(batch.transformed[shown.image]),
                f"by {escape(shown.mechanism)}; nobody is told",
            ),
        ]
    )


def _answers(shown: Shown) -> str:
    return html.grid_of_figures(
        [
            html.figure("", _answer(shown, expert), escape(html.undoes(shown.roles[expert])), by=expert)
            for expert in shown.scores
        ]
    )


def _scores(shown: Shown) -> str:
    return html.bars(
        [
            html.Bar(
                expert,
                _answer(shown, expert),
                score,
                expert == shown.winner,
                html.undoes(shown.roles[expert]),
                shown.emblems[expert] if shown.emblems else "",
            )
            for expert, score in sorted(shown.scores.items(), key=lambda each: -each[1])
        ]
    )


def _wins(shown: Shown) -> str:
    figures = [
        html.figure("Changed", _grey(shown.replay.batch.transformed[shown.image]), ""),
        html.figure(
            " wins",
            _answer(shown, shown.winner),
            f"score {shown.scores[shown.winner]:+.1f}",
            frame=colour(shown.winner),
            by=shown.winner,
        ),
        html.figure("The push", pushed(shown.replay, shown.image), "red: brighter, blue: darker"),
        html.figure("The digit", _grey(shown.replay.batch.original[shown.image]), "nobody is shown this one"),
    ]
    said = html.row_of_figures(figures)
    if shown.by_score != shown.winner:
        said += (
            f"<p>By its score alone {badge(shown.by_score)} would have won; the conscience, which helps who won too little and "
            f"holds back who won too much, gave the image to {badge(shown.winner)}.</p>"
        )
    return said


def _lesson(shown: Shown) -> str:
    replay = shown.replay
    real = [
        html.figure("real", _grey(replay.batch.canonical[each]), f"score {float(replay.real[each]):+.1f}")
        for each in range(min(REAL_SHOWN, len(replay.real)))
    ]
    fake = [
        html.figure(
            ": fake",
            _answer(shown, expert),
            f"score {score:+.1f}",
            frame=colour(expert) if expert == shown.winner else None,
            by=expert,
        )
        for expert, score in shown.scores.items()
        if shown.losers or expert == shown.winner
    ]
    return (
        f"<h4>These should score higher</h4>{html.grid_of_figures(real)}"
        f"<h4>These should score lower</h4>{html.grid_of_figures(fake)}"
        f"<p>Its loss over all {len(replay.real)} images of the batch, before it learned: {replay.discriminator_loss:.3f}.</p>"
    )


def pushed(replay: Replay, image: int) -> np.ndarray:
    """The winning answer of the image, and over it in red where the push makes it brighter, in blue where darker. Height, width, 3."""
    answer = _grey(replay.contest.restored[image])[..., None].clip(0, 1)
    push = _grey(replay.push[image])
    strength = (push / max(float(np.abs(push).max()), 1e-12))[..., None]
    red, blue = np.array([1.0, 0.25, 0.2]), np.array([0.25, 0.55, 1.0])
    much = np.abs(strength) ** 0.5  # the largest few would hide the rest
    return answer * (1 - much) * 0.6 + much * np.where(strength > 0, red, blue)


def _answer(shown: Shown, expert: int) -> np.ndarray:
    return _grey(shown.replay.contest.answers[expert, shown.image])


def _grey(image: Images) -> np.ndarray:
    return image.detach().squeeze().numpy()


STYLE = """
.icm-stations{display:flex;list-style:none;margin:0 0 8px!important;padding:0!important;gap:4px}
.icm-stations li{flex:1;margin:0!important;padding:0!important;position:relative;text-align:center;font-size:.85rem;opacity:.75}
.icm-stations li::before{content:"";position:absolute;top:14px;left:calc(-50% + 19px);width:calc(100% - 38px);height:2px;background:rgba(128,128,128,.5)}
.icm-stations li:first-child::before{display:none}
.icm-stations i{position:relative;display:inline-block;width:30px;height:30px;line-height:27px;border-radius:50%;border:2px solid #808080;
  font-style:normal}
.icm-stations span{display:block;margin-top:4px}
.icm-stations [aria-current]{opacity:1;font-weight:600}
.icm-stations [aria-current] i{background:#1f6fb8;border-color:#1f6fb8;color:#fff}
.icm-station .icm-path figure{width:200px;max-width:200px}
.icm-station .icm-everyone{grid-template-columns:repeat(10,minmax(0,132px));gap:12px}
.icm-station h4{font-size:1rem;margin:12px 0 8px;padding:0}
.icm-station p{margin:12px 0 0}
@media(max-width:900px){.icm-station .icm-everyone{grid-template-columns:repeat(5,minmax(0,1fr));gap:8px}}
@media(max-width:640px){.icm-stations span{display:none}}
"""
