"""A new run from a preset or from another run's settings; and the runs there are: stop, resume, name, lengthen, delete."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from icm.config import PRESET_SENTENCES, PRESETS, RunConfig, command_line, field_sentences
from icm.errors import ActionableError
from icm.store import SHIPPED, Run, RunStore
from pages.ui import clock, runs
from pages.ui.told import plain, telling, told

if TYPE_CHECKING:  # it needs torch, which takes seconds to import the first time
    from icm.launch import Job

TIMING_TICK = 1.0  # seconds, while the presets are being timed
RUNS_TICK = 2.0


@st.cache_resource(show_spinner=False)
def timings() -> "dict[Path, Job]":
    """For the whole server: the timing of the presets that was begun for a store."""
    return {}


def timing(store: RunStore) -> "Job":
    """Times the presets, once for the whole server."""
    from icm import launch
    from icm.data import data_root

    if store.root not in timings():
        timings()[store.root] = launch.start_timing(store, data_root())
    return timings()[store.root]


def timed_in_words(seconds: float | None, busy: bool, job: "Job | None") -> str:
    """How long a preset takes here, or why that is not known."""
    if seconds is not None:
        return f":material/timer: at most {runs.duration(seconds)} on this machine, timed"
    if job is not None and not job.running:
        return ":material/timer_off: could not be timed on this machine"
    if busy:
        return ":material/timer: not timed while a run is being trained"
    return ":material/timer: being timed on this machine…"


@st.fragment
def presets(chosen: str | None) -> None:
    """A card for each preset, as long as they are being timed looked at again and again."""
    with clock.looking("presets", pace_of_timing()):
        preset_cards(chosen)


def pace_of_timing() -> float | None:
    """Seconds between two looks at the cards, None when nothing is being timed."""
    job = timings().get(runs.store().root)
    ended = runs.store().durations() is not None or (job is not None and not job.running)
    return None if ended else TIMING_TICK


def preset_cards(chosen: str | None) -> None:
    """A card for each preset: what it shows, and how long it takes on this machine."""
    store = runs.store()
    durations = store.durations()
    busy = any(run.is_alive() for run in store.runs()[:20])
    job = timings().get(store.root)
    if durations is None and not busy:
        with telling():
            job = timing(store)
    for column, (name, config) in zip(st.columns(len(PRESETS)), PRESETS.items()):
        with column, st.container(border=True, height="stretch"):
            st.markdown(f"**{name}**  \n{PRESET_SENTENCES[name]}")
            st.caption(
                f"{config.model.experts} experts of {config.model.filters} filters · "
                f"{len(config.mechanisms)} mechanisms · {config.training.steps:,} steps"
            )
            st.caption(timed_in_words((durations or {}).get(name), busy, job))
            picked = name == chosen
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
    if durations is None and job is not None and not job.running:
        said = job.last_words() or "It ended without a word."
        st.warning(f"The presets could not be timed: {plain(said)}", icon=":material/timer_off:")
        if st.button("Time them again", icon=":material/refresh:"):
            del timings()[store.root]
            st.rerun()


runs.steady()
st.title("Train", anchor=False)


# Where the form starts from: another run's settings, or a preset. The link says which.
like = st.query_params.get("like")
base: RunConfig | None = None
if like is not None:
    from pages.ui import settings

    try:
        base = runs.store().open(like).config()
        settings.refuse_unshowable(base)
    except ActionableError as error:
        st.warning(plain(error), icon=":material/link_off:")
        like = base = None
preset = st.query_params.get("preset", "quick")
if preset not in PRESETS:
    st.warning(
        plain(f"There is no preset {preset!r}; known: {', '.join(PRESETS)}."), icon=":material/link_off:"
    )
    preset = "quick"
presets(None if like else preset)
if base is not None:
    st.info(
        f"The settings below are those of run {plain(like)}. Choosing a preset leaves them.",
        icon=":material/content_copy:",
    )
else:
    base = PRESETS[preset]
prefix = f"like {like}" if like else preset

# Everything below needs torch, which takes seconds to import the first time: the cards are on the page by then.
from icm import launch  # noqa: E402
from icm.data import data_root, has_mnist  # noqa: E402
from pages.ui import settings  # noqa: E402

help_of = field_sentences(RunConfig)
root = data_root()
sources = {"MNIST, 60,000 digits": "mnist", "Built-in digits, 5,000": "builtin"}
if not has_mnist(root):
    del sources["MNIST, 60,000 digits"]
devices = launch.devices()

first, second, between, third, fourth = st.columns([2, 2, 2, 3, 4])
seed = first.number_input(
    "Seed",
    min_value=0,
    max_value=settings.MOST["seed"],
    value=base.seed,
    step=1,
    help=help_of["seed"],
    key=f"{prefix}:seed",
)
experts = second.number_input(
    "Experts", min_value=1, max_value=settings.MOST["model.experts"], value=base.model.experts, step=1, key=f"{prefix}:experts",
    help=field_sentences(type(base.model))["experts"],
)  # fmt: skip
steps = between.number_input(
    "Steps", min_value=1, max_value=settings.MOST["training.steps"], value=base.training.steps, step=50, key=f"{prefix}:steps",
    help=field_sentences(type(base.training))["steps"],
)  # fmt: skip
wished = next((name for name, each in sources.items() if each == base.source), None)
source = third.selectbox(
    "Digits",
    list(sources),
    index=0 if wished is None else list(sources).index(wished),
    help=help_of["source"],
    key=f"{prefix}:source",
)
device = fourth.selectbox(
    "Device",
    list(devices),
    index=list(devices).index(base.device) if base.device in devices else len(devices) - 1,
    format_func=devices.__getitem__,
    help=help_of["device"],
    key=f"{prefix}:device",
)
if like and base.source == "mnist" and wished is None:
    st.warning(
        f"Run {plain(like)} learned from MNIST, which is not here; a new run would learn from the built-in digits.",
        icon=":material/database_off:",
    )
if like and base.device != "auto" and base.device not in devices:
    st.warning(
        f"Run {plain(like)} was trained on {base.device}, which is not here; a new run would be trained on {device}.",
        icon=":material/memory:",
    )
if not has_mnist(root):
    st.caption(
        f"MNIST is not under {plain(root)}, so the 5,000 built-in digits are used; "
        "`python -m icm data mnist` downloads all 60,000."
    )
action = st.container()

with st.expander("Mechanisms", expanded=True, icon=":material/transform:", key="mechanisms"):
    specs = settings.mechanisms_form(base, prefix)
with st.expander("All settings", icon=":material/tune:", key="settings"):
    problem: ActionableError | None = None
    config = base
    try:
        elsewhere = {"model.experts": int(experts), "training.steps": int(steps)}
        config = settings.all_settings(base, elsewhere, prefix)
        config = replace(
            config,
            seed=int(seed),
            source=sources[source],
            device=device,
            mechanisms=specs,
        )
    except ActionableError as error:
        problem = error
        told(problem)

with action:
    note = settings.about_experts(config)
    if note and not problem:
        st.caption(f":material/info: {note}")
    if problem:
        told(problem)
    if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=bool(problem)):
        with telling():
            with st.spinner("Starting the trainer…"):
                run = launch.create(
                    runs.store(), launch.new_run_id(config), config, root, command="the Train page"
                )
                launch.start(run, root)
            st.switch_page("monitor.py", query_params={"run": run.id})
    st.caption("The same from a terminal")
    st.code(command_line(config), language="bash", wrap_lines=True)


@st.fragment
def present() -> None:
    """The table of runs, and what can be done with one of them, as they are now."""
    with clock.looking("runs", RUNS_TICK):
        table_and_actions()


def table_and_actions() -> None:
    runs.table()
    run = runs.pick()
    if run is None:
        st.markdown("No run yet. The one you start appears here.")
        return
    try:
        seen = runs.glance(run)
    except ActionableError as error:
        told(error)
        mend(run)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{runs.title(seen)}**")
        runs.state_badge(seen.state)
    runs.progress(seen)
    actions(seen)
    if seen.live and run.stop_requested():
        st.caption("Stopping after the present step; nothing is lost.")
    runs.last_words(seen)
    verb = "stop" if seen.live else "evaluate" if seen.state == "finished" else "resume"
    st.code(f"python -m icm {verb} {run.id}", language="bash", wrap_lines=True)


def mend(run: Run) -> None:
    """What can be done with a run that cannot be read: a resume writes a damaged status.json anew."""
    if run.id == SHIPPED:
        return
    with st.container(horizontal=True):
        if run.state_steps() and st.button("Resume", icon=":material/resume:"):
            with acting(run, "resume"):
                resume(run)
        if st.button("Delete this folder", icon=":material/delete:"):
            with acting(run, "delete"):
                run.delete()
                st.rerun()
    tell_refused(run, "resume", "delete")


def actions(seen: runs.Glance) -> None:
    """The buttons under a run."""
    own = seen.run.id != SHIPPED  # the run in the box stays as it is
    with st.container(horizontal=True):
        stop = seen.live and st.button("Stop", icon=":material/stop:", disabled=seen.run.stop_requested())
        resumable = own and not seen.live and seen.state != "finished"
        again = resumable and st.button("Resume", icon=":material/resume:")
        if st.button("Open in Monitor", icon=":material/monitoring:"):
            st.switch_page("monitor.py", query_params={"run": seen.run.id})
        if st.button("New run like this", icon=":material/content_copy:"):
            st.switch_page("train.py", query_params={"like": seen.run.id})
        if own and not seen.live:
            more_steps(seen)
        if own:
            rename(seen)
        if own and not seen.live:
            delete(seen)
    if stop:
        with acting(seen.run, "stop"):
            seen.run.request_stop()
            st.rerun()
    if again:
        with acting(seen.run, "resume"):
            resume(seen.run)
    tell_refused(seen.run, "stop", "resume")


@contextmanager
def acting(run: Run, action: str) -> Iterator[None]:
    """An action on a run. Why it was refused stays on the page, which ticks, until the next one."""
    st.session_state.pop("refused", None)
    try:
        yield
    except ActionableError as error:
        st.session_state["refused"] = (run.id, action, error)


def tell_refused(run: Run, *actions: str) -> None:
    """Why the last action was refused, if it was one of these."""
    run_id, action, error = st.session_state.get("refused", (None, None, None))
    if run_id == run.id and action in actions:
        told(error)


def resume(run: Run) -> None:
    with st.spinner("Starting the trainer…"):
        launch.start(run, root)
    st.switch_page("monitor.py", query_params={"run": run.id})


def more_steps(seen: runs.Glance) -> None:
    with st.popover("More steps", icon=":material/add:"):
        had = min(seen.config.training.steps, runs.LARGEST // 2)
        steps = st.number_input(
            "Steps in all", min_value=had + 1, value=had + max(had // 2, 1), key=f"more-{seen.run.id}"
        )
        if st.button("Resume to there", type="primary", key=f"extend-{seen.run.id}"):
            with acting(seen.run, "extend"):
                seen.run.extend(int(steps))
                resume(seen.run)
        tell_refused(seen.run, "extend")


def rename(seen: runs.Glance) -> None:
    with st.popover("Rename", icon=":material/edit:"):
        label = st.text_input("Label", value=seen.run.label, max_chars=60, key=f"label-{seen.run.id}")
        if st.button("Save", type="primary", key=f"rename-{seen.run.id}"):
            with acting(seen.run, "rename"):
                seen.run.rename(label)
                st.rerun()
        tell_refused(seen.run, "rename")


def delete(seen: runs.Glance) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        st.markdown(
            f"Delete **{plain(seen.run.label)}** with its {len(seen.run.snapshot_steps())} snapshots? This cannot be undone."
        )
        if st.button("Delete it", type="primary", key=f"delete-{seen.run.id}"):
            with acting(seen.run, "delete"):
                seen.run.delete()
                st.query_params.pop("run", None)
                st.rerun()
        tell_refused(seen.run, "delete")


st.subheader("Your runs", anchor=False)
present()
