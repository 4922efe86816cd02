"""Starts a new run from a preset or from another run's settings.

Below that are all runs of the store: to watch, stop, resume, copy, rename, lengthen and delete."""

from dataclasses import replace

import streamlit as st

from icm.config import RunConfig
from icm.errors import ActionableError
from icm.presets import PRESET_SENTENCES, PRESETS, command_line
from icm.runs.run import SHIPPED
from icm.runs.status import RunState
from icm.runs.store import shipped
from pages.ui import clock, decisions, panels, picker, run_view
from pages.ui.begun import timing, timings
from pages.ui.html import plain
from pages.ui.told import telling, told

TIMING_LOOK = 1.0  # seconds between two looks while the presets are being timed
RUNS_LOOK = 2.0  # seconds between two looks at the table of runs
TRAINING: tuple[RunState, ...] = ("preparing", "running", "stalled")  # a trainer takes up the cores


# The presets


@st.fragment
def presets(chosen: str | None) -> None:
    """A card for each preset. While the presets are being timed, the cards are looked at again and again."""
    with clock.looking("presets", pace_of_timing()):
        preset_cards(chosen)


def pace_of_timing() -> float | None:
    """Seconds between two looks at the cards, None when nothing is being timed."""
    store = picker.store()
    job = timings().get(store.root)
    ended = store.durations() is not None or (job is not None and not job.running)
    return None if ended else TIMING_LOOK


def preset_cards(chosen: str | None) -> None:
    """What each preset shows, and how long it takes on this machine."""
    store = picker.store()
    durations = store.durations()
    runs = picker.runs()
    training = any(each.state in TRAINING for each in runs)
    job = timings().get(store.root)
    if durations is None and not training:
        with telling():
            job = timing(store)
    for column, (name, config) in zip(st.columns(len(PRESETS)), PRESETS.items()):
        # The words at the top and the button at the bottom: cards of one height have their buttons in one line.
        with column, st.container(border=True, height="stretch", vertical_alignment="distribute"):
            with st.container():
                st.markdown(f"**{name}**  \n{PRESET_SENTENCES[name]}")
                st.caption(
                    f"{config.model.experts} experts of {config.model.filters} filters · "
                    f"{len(config.mechanisms)} mechanisms · {config.training.steps:,} steps"
                )
                seconds = (durations or {}).get(name)
                tried = job is None or job.running
                like = decisions.run_like(config, runs)
                st.caption(decisions.timed_in_words(seconds, training, timing=tried, like=like))
            choose_button(name, picked=name == chosen)
    if durations is None and job is not None and not job.running:
        said = job.last_words() or "It ended without a word."
        st.warning(f"The presets could not be timed: {plain(said)}", icon=":material/timer_off:")
        if st.button("Time them again", icon=":material/refresh:"):
            del timings()[store.root]
            st.rerun()


def choose_button(name: str, picked: bool) -> None:
    if st.button(
        "Chosen" if picked else f"Choose {name}",
        type="primary" if picked else "secondary",
        icon=":material/check:" if picked else None,
        key=f"choose-{name}",
        width="stretch",
    ):
        st.query_params["preset"] = name
        st.query_params.pop("like", None)
        st.rerun()


# The form of a new run


def config_of(run_id: str) -> RunConfig | None:
    """The settings of that run; None, with a sentence on the page, where the form cannot start from them."""
    from pages.ui import settings

    try:
        box = shipped() if run_id == SHIPPED else None
        config = (box or picker.store().open(run_id)).config()
        settings.refuse_unshowable(config)
    except ActionableError as error:
        st.warning(plain(error), icon=":material/link_off:")
        return None
    return config


def start_of_the_form() -> tuple[RunConfig, str | None]:
    """Shows the presets. Returns the settings that the form starts from, and the id of the run that has them; None for a preset.

    The link says which preset or run it is."""
    like = st.query_params.get("like")
    base = None if like is None else config_of(like)
    preset = st.query_params.get("preset", "quick")
    if preset not in PRESETS:
        st.warning(
            plain(f"There is no preset {preset!r}; known: {', '.join(PRESETS)}."), icon=":material/link_off:"
        )
        preset = "quick"
    presets(None if base else preset)
    if base is None:
        return PRESETS[preset], None
    try:
        base = decisions.changed_by_link(base, st.query_params)
    except ActionableError as error:
        st.warning(plain(error), icon=":material/link_off:")
    st.info(
        f"The settings below are those of run {plain(like)}. Choosing a preset leaves them.",
        icon=":material/content_copy:",
    )
    return base, like


def new_run(base: RunConfig, like: str | None) -> None:
    """The form, the button that starts a run, and the command that does the same."""
    # torch takes seconds to import the first time: the cards are on the page by then.
    from icm.images.digits import data_root
    from icm.jobs import launch
    from pages.ui import settings

    root = data_root()
    prefix = f"like {like} {base.model.experts} {base.seed}" if like else base.preset
    above = settings.boxes_above(base, like, root, prefix)
    action = st.container()
    with st.expander("Mechanisms", expanded=True, icon=":material/transform:", key="mechanisms"):
        specs = settings.mechanisms_form(base, prefix)
    problem: ActionableError | None = None
    config = base
    with st.expander("All settings", icon=":material/tune:", key="settings"):
        try:
            config = settings.all_settings(base, above.in_sections, prefix)
            config = replace(
                config,
                seed=above.seed,
                source=above.source,
                device=above.device,
                mechanisms=specs,
                frequencies=decisions.frequencies_for(base, specs),
            )
        except ActionableError as error:
            problem = error
            told(problem)

    with action:
        for note in (settings.about_experts(config), settings.about_conscience(config)):
            if note and not problem:
                st.caption(f":material/info: {note}")
        if problem:
            told(problem)
        if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=bool(problem)):
            with telling():
                with st.spinner("Starting the trainer…"):
                    run = launch.create(
                        picker.store(), launch.new_run_id(config), config, root, command="the Train page"
                    )
                    launch.start(run, root)
                st.switch_page("monitor.py", query_params={"run": run.id})
        if not problem:
            st.caption("The same from a terminal")
            st.code(command_line(config), language=None, wrap_lines=True)


# The runs there are


@st.fragment
def present() -> None:
    """The table of runs, and what can be done with one of them, as they are now."""
    with clock.looking("runs", RUNS_LOOK):
        table_and_actions()


def table_and_actions() -> None:
    from pages.ui import actions

    runs = picker.runs()
    if runs:
        rows = [run_view.table_row(each) for each in runs]
        # Pixels of the head and of each row as Streamlit draws them; a longer table scrolls.
        height = min(38 + 35 * len(rows), 320)
        st.dataframe(rows, hide_index=True, height=height, key="runs", placeholder="–")
    run = picker.pick(runs)
    if run is None:
        st.markdown("No run yet. The one you start appears here.")
        return
    try:
        seen = run_view.view(run)
    except ActionableError as error:
        told(error)
        if run.id != SHIPPED:
            actions.for_unreadable(run)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{run_view.title(seen)}**")
        panels.state_badge(seen.state)
    panels.progress(seen)
    actions.for_run(seen)
    if seen.live and run.trainer.stop_requested():
        st.caption("Stopping after the present step; nothing is lost.")
    panels.last_words(seen)
    verb = "stop" if seen.live else "evaluate" if seen.state == "finished" else "resume"
    st.code(f"python -m icm {verb} {run.id}", language=None, wrap_lines=True)


panels.steady()
st.title("Train", anchor=False)
new_run(*start_of_the_form())
st.header("Your runs", anchor=False)
present()
