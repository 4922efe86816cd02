"""A run, live or played back: who wins how much, who wins what, how good the answers are.

All that changes by itself is one fragment. It shows the run as it is now, as it was when somebody switched Live off, or as it
was at the step that the playhead of the picture on top points to. The link carries that step."""

from contextlib import suppress

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from icm.errors import ActionableError
from icm.runs.history import History
from icm.runs.run import Run
from icm.runs.status import RunState
from icm.show.experts import badge
from pages.ui import (
    clock,
    decisions,
    inside,
    lines,
    panels,
    picker,
    run_view,
    tables,
    timeline,
    verdict,
    words,
)
from pages.ui.decisions import REST
from pages.ui.html import plain
from pages.ui.run_view import LIVE, WHILE_TRAINING, RunView
from pages.ui.timeline import Chosen
from pages.ui.told import nothing_yet, telling, told

MAP_HEIGHT = 400  # pixels


def watch(run: Run, was_live: bool) -> None:
    """The fragment: it looks at the run once and has itself run again, at a pace that depends on the run.

    `was_live` is whether the run was live when the whole page last ran."""
    try:
        seen = run_view.view(run)
        pace = decisions.pace(seen, st.session_state.get("live", True))
    except ActionableError as error:
        with clock.looking("run", REST):
            told(error)
        return
    with clock.looking("run", pace):
        try:
            look(seen, pace, was_live)
        except ActionableError as error:
            told(error)


def look(seen: RunView, pace: float | None, was_live: bool) -> None:
    """Shows the run. The whole page runs again when the run has begun or ceased to be live."""
    run = seen.run
    history = seen.history()
    computed_with = run_view.computed_with(run)
    if was_live != seen.live:
        st.session_state["ended"] = run.id if was_live else None
        st.rerun()  # the whole page has the state in its title

    head(seen)
    seen_until = f"seen_until {run.id} {run.created}"  # another run may take the same name later
    # While Live is off, the page keeps to the rows that it had shown before.
    if pace is not None or not seen.live:
        st.session_state[seen_until] = history.last_step
    history = history.until(st.session_state.get(seen_until, history.last_step))
    marked = picture(seen, history)
    then = history if marked is None else history.until(marked)
    panels.numbers(run_view.metrics(seen, then, of_trainer=True))
    if missing := then.missing_images(seen.config.training.batch):
        st.caption(
            f":material/info: The rows of {missing:,} images were lost, in a crash or a power cut. The networks learned "
            "from these images; the counts and lines leave them out."
        )
    if history.rows:
        about(seen, history, then, marked)
    elif not seen.live:
        st.info(
            "This run ended before its first recorded step. Resume it on the Train page.",
            icon=":material/info:",
        )
    st.caption("  \n".join(filter(None, (computed_with, WHILE_TRAINING))))


def head(seen: RunView) -> None:
    """Which run it is, its state, the switch that lets the page stand still, and how far the run is."""
    with st.container(horizontal=True, vertical_alignment="center"):
        panels.heading(seen)
        if seen.live:
            st.toggle(
                "Live", value=True, key="live", help="Off: the page stands still while the run goes on."
            )
    if seen.state != "finished":
        panels.progress(seen)
    panels.last_words(seen)


def picture(seen: RunView, history: History) -> int | None:
    """Who undoes what, over time. Returns the step that somebody points to, None for the newest. The link keeps it."""
    at = decisions.step_in_link(st.query_params.get("step"), history.last_step)
    chosen = Chosen(at, row_of(seen))
    timeline.timeline(
        "timeline", seen.run, seen.config, history, chosen, on_change=lambda: take(seen), door=inside.ALL_OVER
    )
    return at


def row_of(seen: RunView) -> int:
    """The row of the mechanism that the boxes further down are about; the first before somebody chose one."""
    chosen = st.session_state.get("mechanism", st.query_params.get("mechanism"))
    return seen.mechanisms.index(chosen) if chosen in seen.mechanisms else 0


def take(seen: RunView) -> None:
    """Somebody pointed to a step or a mechanism on the picture: the link and the boxes further down follow."""
    chosen = timeline.chosen_on("timeline", seen.run, seen.config)
    if chosen is None:
        return
    if chosen.at is None:
        st.query_params.pop("step", None)
    else:
        st.query_params["step"] = str(chosen.at)
    if chosen.row is not None and chosen.row != row_of(seen):
        st.session_state["mechanism"] = seen.mechanisms[chosen.row]
        follow_the_owner()


def follow_the_owner() -> None:
    """The expert that is shown is the owner of the mechanism again, until somebody chooses one: then the link names it."""
    st.query_params.pop("expert", None)


def about(seen: RunView, history: History, then: History, marked: int | None) -> None:
    """All below the picture. It is as of `then`, the answers are those of the last snapshot before, and lines cover the whole
    `history`. What is folded away is made only while somebody looks at it."""
    snapshots = [
        step for step in seen.run.snapshots.steps() if step <= (then.last_step if marked is None else marked)
    ]
    place: DeltaGenerator | None = None
    with telling():
        place = verdict.panel(seen, then, snapshots) if snapshots else None
    panels.rules(seen.config, then)
    row = who_wins_what(seen, then, snapshots)
    with st.expander(
        "Everyone's answers, large",
        icon=":material/grid_on:",
        key="large",
        on_change="rerun",
        bind="query-params",
    ) as folded:
        if folded.open and snapshots:
            with telling():
                everyones_answers(seen.run, snapshots[-1])
    with st.expander(
        "As lines", icon=":material/show_chart:", key="lines", on_change="rerun", bind="query-params"
    ) as folded:
        if folded.open:
            lines.as_lines(seen, history, then, row, marked)
    with st.expander(
        "The numbers", icon=":material/table:", key="numbers", on_change="rerun", bind="query-params"
    ) as folded:
        if folded.open:
            tables.ownership(then, seen.mechanisms)
            tables.points(history)
            if snapshots:
                tables.answers(seen.run, snapshots[-1], seen.mechanisms)
    if place is not None:
        with telling():
            verdict.finish(place, seen, then, snapshots)


def who_wins_what(seen: RunView, then: History, snapshots: list[int]) -> int:
    """The map of wins, and beside it the mechanism and the expert of one of its cells. Returns the mechanism's row."""
    left, right = st.columns([2, 3], gap="medium")
    players = who_answers(then, snapshots)
    with right:
        first, second = st.columns(2)
        mechanism = first.selectbox(
            "Mechanism", seen.mechanisms, key="mechanism", bind="query-params", on_change=follow_the_owner
        )
        row = seen.mechanisms.index(mechanism)
        expert = shown_expert(then, players, row)
        st.session_state["expert"] = badge(expert)
        second.selectbox("Expert", [badge(each) for each in players], key="expert", on_change=choose_expert)
    with left:
        panels.chart(
            "**Who wins what** · % of the newest images; click a cell to see some of them",
            panels.wins_chart(then, seen.mechanisms, outlined=(row, expert)),
            MAP_HEIGHT,
            key="table",
            on_select=lambda: choose_cell(then.plays(), seen.mechanisms),
            alt="Heat map: share of each mechanism's images won by each expert",
        )
    if snapshots:
        with right, telling():
            one_expert(seen.run, snapshots[-1], row, expert, mechanism)
            inside.doors(seen.run, snapshots[-1], then)
    return row


def who_answers(then: History, snapshots: list[int]) -> list[int]:
    """Who plays now and did when the networks were last kept, whose answers can be shown; who plays now where nobody did."""
    kept = set(then.until(snapshots[-1]).plays()) if snapshots else set()
    return [each for each in then.plays() if each in kept] or then.plays()


def shown_expert(then: History, players: list[int], row: int) -> int:
    """The one of `players` that the link names, else the one that wins most of the mechanism."""
    named = {badge(each): each for each in players}.get(st.query_params.get("expert", ""))
    wins = then.recent().wins[0]
    return named if named is not None else max(players, key=lambda each: wins[each, row])


def choose_expert() -> None:
    st.query_params["expert"] = st.session_state["expert"]


def choose_cell(experts: list[int], mechanisms: list[str]) -> None:
    """A click on the map, whose columns are `experts`, moves both boxes beside it."""
    selected = st.session_state["table"].selection.selected
    if selected and selected[0]["data_indices"]:
        mechanism, column = divmod(selected[0]["data_indices"][0], len(experts))
        if mechanism < len(mechanisms):
            st.session_state["mechanism"] = mechanisms[mechanism]
            st.query_params["expert"] = badge(experts[column])


def one_expert(run: Run, step: int, row: int, expert: int, mechanism: str) -> None:
    """What one expert makes of some images that one mechanism changed."""
    # The pictures need torch, which takes seconds to import the first time: all the above is on the page by then.
    from pages.ui import cached, pictures

    st.markdown(f"**{badge(expert)} on {plain(mechanism)}** after step {step:,} · its score, and who won")
    below = pictures.show(
        cached.detail(cached.snapshot_key(run, step), expert, row),
        f"{cached.DETAIL_DIGITS} images changed by {mechanism}, {badge(expert)}'s answers and the originals, after step {step}",
        "one-expert",
        least=560,
    )
    with below:
        inside.door(expert)


def everyones_answers(run: Run, step: int) -> None:
    from pages.ui import cached, pictures

    key = cached.snapshot_key(run, step)
    st.caption(
        f"One {key.kind_of_digit} for each mechanism, after step {step:,}. The winner's answer is framed. No expert ever saw "
        "the originals on the right."
    )
    pictures.show(
        cached.answers(key),
        f"Answers of every expert to one image of each mechanism, after step {step}",
        "answers",
        least=640,
    )


panels.steady()
heading, place = st.columns([3, 2], vertical_alignment="bottom")
heading.title("Monitor", anchor=False)
with place:
    run = picker.pick(picker.watchable())
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
    st.html(words.line())
