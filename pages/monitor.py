"""A run, live or played back: who wins how much, who wins what, how good the answers are.

What moves is one fragment. It shows the run as it is now, as it was when somebody paused, or as it was at the snapshot
that the slider points to; the link carries the choice."""

from contextlib import suppress
from math import log2

import numpy as np
import streamlit as st
from jaxtyping import Num

from icm import figures
from icm.errors import ActionableError
from icm.history import History, Stretch
from icm.ownership import owners, win_entropy, win_share
from icm.store import Run, RunState
from pages.ui import clock, runs
from pages.ui.told import plain, telling, told

REST = 5.0  # seconds, while somebody may resume it elsewhere
PLAY = 0.8  # seconds a snapshot
CHART_HEIGHT = 340  # pixels
SMALL_CHART_HEIGHT = 250
PANEL_HEIGHT = 150
PANELS_IN_A_ROW = 5
PANEL_POINTS = 50
NEWEST = "newest"
SMOOTHING = (100, 200, 500, 1000, 2000, 5000)  # images
SMOOTHING_DEFAULT = 500


def pace_of(seen: runs.Glance) -> float | None:
    """Seconds until the next look, None for a page that stands still."""
    if st.session_state.get("playing"):
        return PLAY
    if seen.live:
        return runs.tick(seen) if st.session_state.get("live", True) else None
    return None if seen.state == "finished" else REST


def moving(run: Run, was_live: bool) -> None:
    """Everything that moves: one look at the run."""
    try:
        seen = runs.glance(run)
        pace = pace_of(seen)
    except ActionableError as error:
        with clock.looking("run", REST):
            unreadable(error)
        return
    with clock.looking("run", pace):
        try:
            look(seen, pace, was_live)
        except ActionableError as error:
            unreadable(error)


def unreadable(error: ActionableError) -> None:
    """What is wrong with the run, and nothing is played: that was the run before this one."""
    st.session_state["playing"] = False
    told(error)


def look(seen: runs.Glance, pace: float | None, was_live: bool) -> None:
    """One look at the run."""
    run = seen.run
    history = runs.history(seen)
    with_what = runs.computed_with(run)
    if was_live != seen.live:
        st.session_state["ended"] = run.id if was_live else None
        st.rerun()  # the whole page has the state in its title

    head(seen, with_what)
    steps = run.snapshot_steps()
    marked = moment(steps)
    seen_until = f"seen_until {run.id} {run.created}"  # another run may take the name
    if pace not in (None, PLAY) or not seen.live:
        st.session_state[seen_until] = history.last_step
    history = history.until(st.session_state.get(seen_until, history.last_step))
    then = history if marked is None else history.until(marked)
    mechanisms = [spec.replace("_", "-") for spec in seen.config.mechanisms]
    numbers(seen, then, mechanisms)
    if missing := then.missing_images(seen.config.training.batch):
        st.caption(
            f":material/info: The rows of {missing:,} images were lost, in a crash or a power cut. The networks learned "
            "from these images; the counts and lines leave them out."
        )

    if history.rows:
        shown = [step for step in steps if step <= (then.last_step if marked is None else marked)]
        race(run, shown, history, then, mechanisms, marked)
    elif seen.live:
        st.info(
            "The race has not begun: first the experts learn to copy their input, so that all start level.",
            icon=":material/hourglass_top:",
        )
    else:
        st.info(
            "This run ended before its first recorded step. Resume it on the Train page.",
            icon=":material/info:",
        )


def head(seen: runs.Glance, with_what: str) -> None:
    """What run it is, its state, the switch that lets the page stand still, and how far it is."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(runs.title(seen), anchor=False, width="content")
        runs.state_badge(seen.state)
        if seen.live:
            st.toggle(
                "Live", value=True, key="live", help="Off: the page stands still while the run goes on."
            )
    runs.progress(seen)
    st.caption(with_what)
    runs.last_words(seen)


def toggle_play() -> None:
    st.session_state["playing"] = not st.session_state.get("playing", False)


def moment(steps: list[int]) -> int | None:
    """The snapshot that the slider points to, None for the newest state of the run; while playing, the next one."""
    if len(steps) < 2:
        st.session_state["playing"] = False  # the run before this one may have been played
        return None
    options = [*map(str, steps), NEWEST]
    if st.session_state.get("playing"):
        now = st.session_state.get("step", NEWEST)
        following = 0 if now == NEWEST or now not in options else options.index(now) + 1
        st.session_state["step"] = options[following]
        st.session_state["playing"] = options[following] != NEWEST

    play, time, smoothing = st.columns([1, 7, 3], vertical_alignment="bottom", gap="medium")
    playing = st.session_state.get("playing")
    label, icon = ("Stop", ":material/stop:") if playing else ("Play", ":material/play_arrow:")
    play.button(
        label, icon=icon, help="Plays the race, snapshot by snapshot.", width="stretch", on_click=toggle_play
    )
    chosen = time.select_slider(
        "Time: everything below as it was after this step",
        options,
        value=NEWEST,
        key="step",
        bind="query-params",
        help="The steps at which the networks were kept.",
    )
    smoothing.select_slider(
        "Smoothing, images",
        SMOOTHING,
        value=SMOOTHING_DEFAULT,
        key="smoothing",
        bind="query-params",
        help="Each point of a line is an average over at least so many images before it, so points never move.",
    )
    return None if chosen == NEWEST else int(chosen)


def race(
    run: Run, shown: list[int], history: History, then: History, mechanisms: list[str], marked: int | None
) -> None:
    """Charts, pictures and tables: lines over the whole `history`, pictures of the newest snapshot `shown`, all else as of `then`."""
    runs.ownership_chips(then.recent().wins[0], mechanisms)
    smoothing = st.session_state.get("smoothing", SMOOTHING_DEFAULT)
    lines = history.stretches(figures.drawn_points(history), smoothing)
    charts(lines, then, mechanisms, marked)
    if shown:
        with telling():
            everyones_answers(run, shown[-1])
            one_mechanism(run, shown[-1], history, smoothing, mechanisms, marked)
    with st.expander("The numbers", key="numbers", on_change="rerun", bind="query-params") as numbers:
        if numbers.open:  # the tables are made only while somebody looks at them
            ownership_tables(then, mechanisms)
            lines_table(lines)
            if shown:
                answers_table(run, shown[-1], mechanisms)


def numbers(seen: runs.Glance, then: History, mechanisms: list[str]) -> None:
    recent = then.recent()
    values = {
        "One-to-one": f"{then.one_to_one_count()} of {len(mechanisms)}",
        "Restored": runs.decibels(recent.psnr[0]) if then.rows else "–",
        "Entropy of wins": f"{win_entropy(recent.wins[0]):.2f} of {log2(then.experts):.2f}"
        if then.rows
        else "–",
    }
    if seen.live:
        values["Speed"] = f"{seen.status.steps_per_second:.1f} steps/s"
        values["Time left"] = runs.time_left(seen)
    with st.container(horizontal=True):
        for name, value in values.items():
            st.metric(name, value, help=runs.METRIC_HELP[name], border=True, width="stretch")
    st.caption(runs.WHILE_TRAINING)


def charts(lines: Stretch, then: History, mechanisms: list[str], marked: int | None) -> None:
    wide, narrow = st.columns([3, 2], gap="medium")
    with wide, st.container(border=True):
        st.markdown("**The race** · share of the images that each expert wins")
        st.echarts_chart(
            figures.race(lines, marked),
            height=CHART_HEIGHT,
            key="race",
            alt="Lines: share of images won by each expert, over steps",
        )
    with narrow, st.container(border=True):
        st.markdown("**Who wins what** · % of its newest images; click a cell to open it below")
        st.echarts_chart(
            figures.wins_table(then.recent().wins[0], mechanisms),
            height=CHART_HEIGHT,
            key="table",
            on_select=lambda: choose_cell(then.experts, mechanisms),
            alt="Heat map: share of each mechanism's images won by each expert",
        )
    small = (
        (
            "**Wins per expert** · images, since the start",
            figures.totals(then.all().wins[0]),
            "Bars: images won by each expert",
        ),
        (
            "**Restored** · PSNR to the true originals, while learning",
            figures.quality(lines, marked),
            "Line: PSNR over steps",
        ),
        ("**Losses**", figures.losses(lines, marked), "Lines: both losses over steps"),
    )
    for column, (title, option, alt) in zip(st.columns(3, gap="medium"), small):
        with column, st.container(border=True):
            st.markdown(title)
            st.echarts_chart(option, height=SMALL_CHART_HEIGHT, key=alt, alt=alt)


def choose_cell(experts: int, mechanisms: list[str]) -> None:
    """A click on the heat map moves both boxes below it."""
    selected = st.session_state["table"].selection.selected
    if selected and selected[0]["data_indices"]:
        mechanism, expert = divmod(selected[0]["data_indices"][0], experts)
        if mechanism < len(mechanisms):
            st.session_state["mechanism"] = mechanisms[mechanism]
            st.session_state["expert"] = figures.badge(expert)


def one_mechanism(
    run: Run, step: int, history: History, smoothing: int, mechanisms: list[str], marked: int | None
) -> None:
    """One mechanism under the glass: every expert's score over steps, one expert's answers at a snapshot."""
    lines = history.stretches(figures.drawn_points(history), 2 * smoothing)
    newest = lines.wins[-1]
    badges = [figures.badge(expert) for expert in range(len(newest))]
    owner = owners(win_share(newest))[0] or 0
    st.subheader("One mechanism, one expert", anchor=False)
    first, second = st.columns(2)
    mechanism = first.selectbox("Mechanism", mechanisms, key="mechanism", bind="query-params")
    expert = second.selectbox("Expert", badges, index=owner, key="expert", bind="query-params")
    index = mechanisms.index(mechanism)
    with st.container(border=True):
        st.markdown(
            f"**Scores on {plain(mechanism)}** · what the discriminator gives each expert's answers, on average"
        )
        st.echarts_chart(
            figures.scores(lines, index, marked),
            height=CHART_HEIGHT,
            key="scores",
            alt=f"Lines: mean score of each expert on {mechanism}, over steps",
        )
    with st.expander(
        "Scores on every mechanism", key="panels", on_change="rerun", bind="query-params"
    ) as panels:
        if panels.open:
            score_panels(history, smoothing, mechanisms, marked)
    # The pictures need torch, which takes seconds to import the first time: all the above is on the page by then.
    from pages.ui import pictures

    st.markdown(f"**{expert} on {plain(mechanism)}** after step {step:,} · its score, and who won")
    pictures.show(
        pictures.detail(pictures.shown(run, step), badges.index(expert), index),
        f"Eight digits changed by {mechanism}, {expert}'s answers and the originals, after step {step}",
        "one-expert",
        least=560,
    )


def score_panels(history: History, smoothing: int, mechanisms: list[str], marked: int | None) -> None:
    """A small chart of scores for each mechanism; the expert that is ahead at the end is named."""
    lines = history.stretches(figures.drawn_points(history, PANEL_POINTS), 4 * smoothing)
    for first in range(0, len(mechanisms), PANELS_IN_A_ROW):
        for index, column in enumerate(st.columns(PANELS_IN_A_ROW, gap="small"), first):
            if index < len(mechanisms):
                with column:
                    st.caption(plain(mechanisms[index]))
                    st.echarts_chart(
                        figures.score_panel(lines, index, marked),
                        height=PANEL_HEIGHT,
                        key=f"panel {index}",
                        alt=f"Lines: mean score of each expert on {mechanisms[index]}, over steps",
                    )


def everyones_answers(run: Run, step: int) -> None:
    from pages.ui import pictures

    st.subheader("Everyone's answers", anchor=False)
    shown = pictures.shown(run, step)
    st.caption(
        f"One {shown.kind_of_digit} for each mechanism, after step {step:,}. The winner's answer is framed. No expert ever saw "
        "the originals on the right."
    )
    pictures.show(
        pictures.answers(shown),
        f"Answers of every expert to one digit of each mechanism, after step {step}",
        "answers",
        least=640,
    )


def ownership_tables(then: History, mechanisms: list[str]) -> None:
    """Who owns what and who wins what."""
    recent, overall = then.recent(), then.all().wins[0]
    share = win_share(recent.wins[0])
    st.dataframe(
        {
            "mechanism": mechanisms,
            "owner": ["none" if owner is None else figures.badge(owner) for owner in owners(share)],
            "best share": [f"{100 * best:.0f} %" for best in share.max(axis=0)],
            **by_expert(overall.T),
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
            **by_expert(share.T.round(2), ", share"),
            **by_expert(recent.score[0].T.round(2), ", mean score"),
        },
        hide_index=True,
    )
    st.caption(f"Who wins what, and the mean scores, over the newest {int(recent.images[0]):,} images.")


def lines_table(lines: Stretch) -> None:
    shares = 100 * lines.wins.sum(axis=2) / lines.images[:, None]
    st.dataframe(
        {
            "step": lines.step,
            **by_expert(shares.round(1), ", %"),
            "PSNR, dB": lines.psnr.round(2),
            "winners' loss": lines.losses[:, 0].round(3),
            "discriminator's loss": lines.losses[:, 1].round(3),
        },
        hide_index=True,
        height=240,
    )
    st.caption("Share of the images that each expert won, quality and losses: the points of the lines above.")


def answers_table(run: Run, step: int, mechanisms: list[str]) -> None:
    from pages.ui import pictures

    with suppress(ActionableError):  # told above, where the pictures would be
        scores = pictures.scores(pictures.shown(run, step))
        st.dataframe({"mechanism": mechanisms, **by_expert(scores.round(2))}, hide_index=True)
        st.caption(f"Scores of everyone's answers to the digits above, after step {step:,}.")


def by_expert(table: Num[np.ndarray, "row expert"], what: str = "") -> dict[str, np.ndarray]:
    """The columns of a table, an expert each."""
    return {f"{figures.badge(expert)}{what}": column for expert, column in enumerate(table.T)}


runs.steady()
heading, picker = st.columns([3, 2], vertical_alignment="bottom")
heading.title("Monitor", anchor=False)
with picker:
    run = runs.pick()
if run is None:
    st.markdown("There is no run to watch yet.")
    if st.button("Train your first experts", type="primary", icon=":material/play_arrow:"):
        st.switch_page("train.py")
else:
    state: RunState | None = None  # of a run that cannot be read: told below, once
    with suppress(ActionableError):
        state = runs.glance(run).state
    if st.session_state.pop("ended", None) == run.id and state is not None and state not in runs.LIVE:
        st.toast(
            plain(f"{run.id} has {'finished' if state == 'finished' else f'ended: {state}'}."),
            icon=":material/flag:",
        )
    if state not in runs.LIVE:
        st.set_page_config(page_title=f"{state or 'unreadable'} · {run.id}")
    st.fragment(moving)(run, was_live=state in runs.LIVE)
