"""A run, live or played back: who wins how much, who wins what, how good the answers are.

All that changes by itself is one fragment. It shows the run as it is now, as it was when somebody switched Live off, or as it
was at the snapshot that the slider points to. The link carries the slider's choice."""

from contextlib import suppress

import numpy as np
import streamlit as st
from jaxtyping import Num

from icm.errors import ActionableError
from icm.ownership import owners, win_share
from icm.runs.history import History, Span
from icm.runs.run import Run
from icm.runs.status import RunState
from icm.show import charts
from icm.show.experts import badge
from pages.ui import clock, decisions, panels, picker, run_view
from pages.ui.decisions import NEWEST, PLAY, REST
from pages.ui.html import plain
from pages.ui.run_view import LIVE, WHILE_TRAINING, RunView
from pages.ui.told import nothing_yet, telling, told

CHART_HEIGHT = 340  # pixels
PANEL_HEIGHT = 150
PANELS_IN_A_ROW = 5
PANEL_POINTS = 50
SMOOTHING = (100, 200, 500, 1000, 2000, 5000)  # images
SMOOTHING_DEFAULT = 500
# These multiply the smoothing. A score is a mean over the images of one mechanism only, so its points need more images.
SCORES_SMOOTHING = 2
PANELS_SMOOTHING = 4  # in a small panel a rough line cannot be followed


def watch(run: Run, was_live: bool) -> None:
    """The fragment: it looks at the run once and has itself run again, at a pace that depends on the run.

    `was_live` is whether the run was live when the whole page last ran."""
    try:
        seen = run_view.view(run)
        pace = decisions.pace(
            seen, st.session_state.get("playing", False), st.session_state.get("live", True)
        )
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
    """Says what is wrong with the run, and stops playing, which may have been begun on another run."""
    st.session_state["playing"] = False
    told(error)


def look(seen: RunView, pace: float | None, was_live: bool) -> None:
    """Shows the run. The whole page runs again when the run has begun or ceased to be live."""
    run = seen.run
    history = seen.history()
    computed_with = run_view.computed_with(run)
    if was_live != seen.live:
        st.session_state["ended"] = run.id if was_live else None
        st.rerun()  # the whole page has the state in its title

    head(seen, computed_with)
    steps = run.snapshots.steps()
    marked = time_controls(steps)
    seen_until = f"seen_until {run.id} {run.created}"  # another run may take the same name later
    # While it plays or Live is off, the page keeps to the rows that it had shown before.
    if pace not in (None, PLAY) or not seen.live:
        st.session_state[seen_until] = history.last_step
    history = history.until(st.session_state.get(seen_until, history.last_step))
    then = history if marked is None else history.until(marked)
    panels.numbers(run_view.metrics(seen, then, of_trainer=True))
    st.caption(WHILE_TRAINING)
    if missing := then.missing_images(seen.config.training.batch):
        st.caption(
            f":material/info: The rows of {missing:,} images were lost, in a crash or a power cut. The networks learned "
            "from these images; the counts and lines leave them out."
        )

    if history.rows:
        shown = [step for step in steps if step <= (then.last_step if marked is None else marked)]
        charts_and_answers(run, shown, history, then, seen.mechanisms, marked)
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


def head(seen: RunView, computed_with: str) -> None:
    """Which run it is, its state, the switch that lets the page stand still, and how far the run is."""
    with st.container(horizontal=True, vertical_alignment="center"):
        panels.heading(seen)
        if seen.live:
            st.toggle(
                "Live", value=True, key="live", help="Off: the page stands still while the run goes on."
            )
    panels.progress(seen)
    st.caption(computed_with)
    panels.last_words(seen)


def toggle_play() -> None:
    st.session_state["playing"] = not st.session_state.get("playing", False)


def time_controls(steps: list[int]) -> int | None:
    """Play, the time slider and the smoothing. Returns the snapshot that the slider points to, None for the run as it is now.

    While playing, each look moves the slider to the next snapshot."""
    if len(steps) < 2:
        st.session_state["playing"] = False  # the run before this one may have been played
        return None
    options = [*map(str, steps), NEWEST]
    if st.session_state.get("playing"):
        st.session_state["step"] = decisions.next_frame(st.session_state.get("step", NEWEST), options)
        st.session_state["playing"] = st.session_state["step"] != NEWEST

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


def charts_and_answers(
    run: Run, shown: list[int], history: History, then: History, mechanisms: list[str], marked: int | None
) -> None:
    """Charts, pictures and tables.

    Lines cover the whole `history`, pictures are of the last snapshot in `shown`, all else is as of `then`."""
    panels.ownership_chips(then, mechanisms)
    smoothing = st.session_state.get("smoothing", SMOOTHING_DEFAULT)
    lines = history.spans(charts.drawn_points(history), smoothing)
    main_charts(lines, then, mechanisms, marked)
    small_charts(lines, then, marked)
    panels.learner(run.config(), lines, then, marked)
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


def main_charts(lines: Span, then: History, mechanisms: list[str], marked: int | None) -> None:
    wide, narrow = st.columns([3, 2], gap="medium")
    with wide:
        panels.chart(
            panels.RACE,
            charts.race(lines, marked),
            CHART_HEIGHT,
            key="race",
            alt="Lines: share of images won by each expert, over steps",
        )
    with narrow:
        panels.chart(
            "**Who wins what** · % of its newest images; click a cell to open it below",
            panels.wins_chart(then, mechanisms),
            CHART_HEIGHT,
            key="table",
            on_select=lambda: choose_cell(then.plays(), mechanisms),
            alt="Heat map: share of each mechanism's images won by each expert",
        )


def small_charts(lines: Span, then: History, marked: int | None) -> None:
    shown = (
        (
            "**Wins per expert** · images, since the start",
            charts.totals(then.all()),
            "Bars: images won by each expert",
        ),
        (panels.RESTORED, charts.quality(lines, marked), "Line: PSNR over steps"),
        ("**Losses**", charts.losses(lines, marked), "Lines: both losses over steps"),
    )
    for column, (title, option, alt) in zip(st.columns(3, gap="medium"), shown):
        with column:
            panels.chart(title, option, panels.SMALL, key=alt, alt=alt)


def choose_cell(experts: list[int], mechanisms: list[str]) -> None:
    """A click on the heat map, whose columns are `experts`, moves both boxes below it."""
    selected = st.session_state["table"].selection.selected
    if selected and selected[0]["data_indices"]:
        mechanism, column = divmod(selected[0]["data_indices"][0], len(experts))
        if mechanism < len(mechanisms):
            st.session_state["mechanism"] = mechanisms[mechanism]
            st.session_state["expert"] = badge(experts[column])


def everyones_answers(run: Run, step: int) -> None:
    # The pictures need torch, which takes seconds to import the first time: all the above is on the page by then.
    from pages.ui import cached, pictures

    st.subheader("Everyone's answers", anchor=False)
    key = cached.snapshot_key(run, step)
    st.caption(
        f"One {key.kind_of_digit} for each mechanism, after step {step:,}. The winner's answer is framed. No expert ever saw "
        "the originals on the right."
    )
    pictures.show(
        cached.answers(key),
        f"Answers of every expert to one digit of each mechanism, after step {step}",
        "answers",
        least=640,
    )


def one_mechanism(
    run: Run, step: int, history: History, smoothing: int, mechanisms: list[str], marked: int | None
) -> None:
    """One mechanism in detail: every expert's score over steps, and one expert's answers at a snapshot."""
    from pages.ui import cached, pictures

    lines = history.spans(charts.drawn_points(history), SCORES_SMOOTHING * smoothing)
    players = history.plays()
    badges = [badge(expert) for expert in players]
    owner = owners(win_share(lines.wins[-1]))[0]
    st.subheader("One mechanism, one expert", anchor=False)
    first, second = st.columns(2)
    mechanism = first.selectbox("Mechanism", mechanisms, key="mechanism", bind="query-params")
    expert = second.selectbox(
        "Expert",
        badges,
        index=players.index(owner) if owner in players else 0,
        key="expert",
        bind="query-params",
    )
    index = mechanisms.index(mechanism)
    panels.chart(
        f"**Scores on {plain(mechanism)}** · what the discriminator gives each expert's answers, on average",
        charts.scores(lines, index, marked),
        CHART_HEIGHT,
        key="scores",
        alt=f"Lines: mean score of each expert on {mechanism}, over steps",
    )
    with st.expander(
        "Scores on every mechanism", key="panels", on_change="rerun", bind="query-params"
    ) as scores:
        if scores.open:
            score_panels(history, smoothing, mechanisms, marked)

    st.markdown(f"**{expert} on {plain(mechanism)}** after step {step:,} · its score, and who won")
    pictures.show(
        cached.detail(cached.snapshot_key(run, step), players[badges.index(expert)], index),
        f"{cached.DETAIL_DIGITS} digits changed by {mechanism}, {expert}'s answers and the originals, after step {step}",
        "one-expert",
        least=560,
    )


def score_panels(history: History, smoothing: int, mechanisms: list[str], marked: int | None) -> None:
    """A small chart of scores for each mechanism; the expert that is ahead at the end is named."""
    lines = history.spans(charts.drawn_points(history, PANEL_POINTS), PANELS_SMOOTHING * smoothing)
    for first in range(0, len(mechanisms), PANELS_IN_A_ROW):
        for index, column in enumerate(st.columns(PANELS_IN_A_ROW, gap="small"), first):
            if index < len(mechanisms):
                with column:
                    st.caption(plain(mechanisms[index]))
                    st.echarts_chart(
                        charts.score_panel(lines, index, marked),
                        height=PANEL_HEIGHT,
                        key=f"panel {index}",
                        alt=f"Lines: mean score of each expert on {mechanisms[index]}, over steps",
                    )


def ownership_tables(then: History, mechanisms: list[str]) -> None:
    """Who owns what and who wins what."""
    recent, overall = then.recent(), then.all().wins[0]
    share = win_share(recent.wins[0])
    st.dataframe(
        {
            "mechanism": mechanisms,
            "owner": ["none" if owner is None else badge(owner) for owner in owners(share)],
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


def lines_table(lines: Span) -> None:
    """The points of the lines, in numbers."""
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
    from pages.ui import cached

    with suppress(ActionableError):  # told above, where the pictures would be
        scores = cached.scores(cached.snapshot_key(run, step)).round(2)
        players = [expert for expert in range(scores.shape[1]) if scores[0, expert] > -np.inf]
        table = {badge(expert): scores[:, expert] for expert in players}
        st.dataframe({"mechanism": mechanisms, **table}, hide_index=True)
        st.caption(f"Scores of everyone's answers to the digits above, after step {step:,}.")


def by_expert(table: Num[np.ndarray, "row expert"], what: str = "") -> dict[str, np.ndarray]:
    """The columns of a table, one for each expert, by the expert's badge followed by `what`."""
    return {f"{badge(expert)}{what}": column for expert, column in enumerate(table.T)}


panels.steady()
heading, place = st.columns([3, 2], vertical_alignment="bottom")
heading.title("Monitor", anchor=False)
with place:
    run = picker.pick(picker.runs())
if run is None:
    nothing_yet("There is no run to watch yet.")
else:
    state: RunState | None = None  # for a run that cannot be read; the fragment says why
    with suppress(ActionableError):
        state = run_view.view(run).state
    if st.session_state.pop("ended", None) == run.id and state is not None and state not in LIVE:
        st.toast(
            plain(f"{run.id} has {'finished' if state == 'finished' else f'ended: {state}'}."),
            icon=":material/flag:",
        )
    if state not in LIVE:
        st.set_page_config(page_title=f"{state or 'unreadable'} · {run.id}")
    st.fragment(watch)(run, was_live=state in LIVE)
