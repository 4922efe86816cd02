"""A run in numbers: who owns what, who wins what, the points of its lines, the scores of everyone's answers."""

from contextlib import suppress

import numpy as np
import streamlit as st
from jaxtyping import Num

from icm.errors import ActionableError
from icm.ownership import owners, win_share
from icm.runs.history import History
from icm.runs.run import Run
from icm.show import charts
from icm.show.experts import badge

SMOOTHED = 500  # images of each point


def ownership(then: History, mechanisms: list[str]) -> None:
    """Who owns what and who wins what."""
    recent, overall = then.recent(), then.all().wins[0]
    share = win_share(recent.wins[0])
    st.dataframe(
        {
            "mechanism": mechanisms,
            "owner": ["none" if owner is None else badge(owner) for owner in owners(share)],
            "best share": [f"{100 * best:.0f} %" for best in share.max(axis=0)],
            **by_expert(overall.T, "", then.played()),
        },
        hide_index=True,
    )
    st.caption(
        f"Owner and best share: newest {int(recent.images[0]):,} images. "
        f"E0, E1, …: images won since the start, {int(overall.sum()):,} in all."
    )
    st.dataframe(
        {
            "mechanism": mechanisms,
            **by_expert(share.T.round(2), ", share", then.played()),
            **by_expert(recent.score[0].T.round(2), ", mean score", then.played()),
        },
        hide_index=True,
    )
    st.caption(f"Who wins what, and the mean scores, over the newest {int(recent.images[0]):,} images.")


def points(history: History) -> None:
    """The points of lines over the whole run."""
    lines = history.spans(charts.drawn_points(history), SMOOTHED)
    shares = 100 * lines.wins.sum(axis=2) / lines.images[:, None]
    st.dataframe(
        {
            "step": lines.step,
            **by_expert(shares.round(1), ", %", history.played()),
            "PSNR, dB": lines.psnr.round(2),
            "winners' loss": lines.losses[:, 0].round(3),
            "discriminator's loss": lines.losses[:, 1].round(3),
        },
        hide_index=True,
        height=240,
    )
    st.caption(
        f"Share of the images that each expert won, quality and losses, each over at least {SMOOTHED} images."
    )


def answers(run: Run, step: int, mechanisms: list[str]) -> None:
    from pages.ui import cached

    with suppress(ActionableError):  # told above, where the pictures would be
        scores = cached.scores(cached.snapshot_key(run, step)).round(2)
        players = [expert for expert in range(scores.shape[1]) if scores[0, expert] > -np.inf]
        table = {badge(expert): scores[:, expert] for expert in players}
        st.dataframe({"mechanism": mechanisms, **table}, hide_index=True)
        st.caption(f"Scores of everyone's answers to the images above, after step {step:,}.")


def by_expert(table: Num[np.ndarray, "row expert"], what: str, of: list[int]) -> dict[str, np.ndarray]:
    """The columns of a table that belong to these experts, by the expert's badge followed by `what`."""
    return {f"{badge(expert)}{what}": table[:, expert] for expert in of}
