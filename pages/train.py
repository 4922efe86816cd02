"""A new run from a preset or from another run's settings; and the runs there are: stop, resume, name, lengthen, delete."""

from dataclasses import replace

import streamlit as st

from icm.config import PRESET_SENTENCES, PRESETS, ConfigError, RunConfig, command_line, field_sentences
from icm.store import SHIPPED, Run, StoreError
from pages.ui import runs

TIMING_TICK = 1.0  # seconds, while the presets are being timed
RUNS_TICK = 2.0


@st.cache_resource(show_spinner=False)
def timing_started() -> list[bool]:
    """One note for the whole server: the presets are timed once."""
    return [False]


def preset_cards(chosen: str | None) -> None:
    """A card for each preset: what it shows, and how long it takes on this machine."""
    store = runs.store()
    durations = store.durations()
    busy = any(run.is_alive() for run in store.runs()[:20])
    if durations is None and not busy and not timing_started()[0]:
        from icm import launch
        from icm.data import data_root

        launch.start_timing(store, data_root())
        timing_started()[0] = True
    for column, (name, config) in zip(st.columns(len(PRESETS)), PRESETS.items()):
        with column, st.container(border=True, height="stretch"):
            st.markdown(f"**{name}**  \n{PRESET_SENTENCES[name]}")
            st.caption(
                f"{config.model.experts} experts of {config.model.filters} filters · "
                f"{len(config.mechanisms)} mechanisms · {config.training.steps:,} steps"
            )
            if durations is not None and name in durations:
                st.caption(
                    f":material/timer: at most {runs.duration(durations[name])} on this machine, timed"
                )
            elif busy:
                st.caption(":material/timer: not timed while a run is being trained")
            else:
                st.caption(":material/timer: being timed on this machine…")
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
    if durations is not None and pace is not None:
        st.rerun()  # timed: stand still


st.title("Train", anchor=False)

# Where the form starts from: another run's settings, or a preset. The link says which.
like = st.query_params.get("like")
base: RunConfig | None = None
if like is not None:
    try:
        base = runs.store().open(like).config()
    except StoreError as error:
        st.warning(str(error), icon=":material/link_off:")
        like = None
preset = st.query_params.get("preset", "quick")
if preset not in PRESETS:
    st.warning(f"There is no preset {preset!r}; known: {', '.join(PRESETS)}.", icon=":material/link_off:")
    preset = "quick"
pace = TIMING_TICK if runs.store().durations() is None else None
st.fragment(preset_cards, run_every=pace)(None if like else preset)
if base is not None:
    st.info(
        f"The settings below are those of run {like}. Choosing a preset leaves them.",
        icon=":material/content_copy:",
    )
else:
    base = PRESETS[preset]
prefix = like or preset

# Everything below needs torch, which takes seconds to import the first time: the cards are on the page by then.
from icm import launch  # noqa: E402
from icm.data import DataError, data_root, has_mnist  # noqa: E402
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
    max_value=2**31 - 1,
    value=base.seed,
    step=1,
    help=help_of["seed"],
    key=f"{prefix}:seed",
)
experts = second.number_input(
    "Experts", min_value=1, max_value=100, value=base.model.experts, step=1, key=f"{prefix}:experts",
    help=field_sentences(type(base.model))["experts"],
)  # fmt: skip
steps = between.number_input(
    "Steps", min_value=1, max_value=1_000_000, value=base.training.steps, step=50, key=f"{prefix}:steps",
    help=field_sentences(type(base.training))["steps"],
)  # fmt: skip
source = third.selectbox("Digits", list(sources), help=help_of["source"])
device = fourth.selectbox(
    "Device", list(devices), index=len(devices) - 1, format_func=devices.__getitem__, help=help_of["device"]
)
if not has_mnist(root):
    st.caption(
        f"MNIST is not under `{root}`, so the 5,000 built-in digits are used; "
        "`python -m icm data mnist` downloads all 60,000."
    )
action = st.container()

with st.expander("Mechanisms", expanded=True, icon=":material/transform:", key="mechanisms"):
    specs = settings.mechanisms_form(base, prefix)
with st.expander("All settings", icon=":material/tune:", key="settings"):
    problem = ""
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
    except ConfigError as error:
        problem = str(error)
        st.error(problem, icon=":material/error:")

with action:
    note = settings.about_experts(config)
    if note and not problem:
        st.caption(f":material/info: {note}")
    if problem:
        st.error(problem, icon=":material/error:")
    if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=bool(problem)):
        try:
            with st.spinner("Starting the trainer…"):
                run = launch.create(
                    runs.store(), launch.new_run_id(config), config, root, command="the Train page"
                )
                launch.start(run, root)
        except (ConfigError, DataError, StoreError, RuntimeError) as error:
            st.error(str(error), icon=":material/error:")
        else:
            st.switch_page("monitor.py", query_params={"run": run.id})
    st.caption("The same from a terminal")
    st.code(command_line(config), language="bash", wrap_lines=True)


@st.fragment(run_every=RUNS_TICK)
def present() -> None:
    """The table of runs, and what can be done with one of them."""
    runs.table()
    run = runs.pick()
    if run is None:
        st.markdown("No run yet. The one you start appears here.")
        return
    try:
        seen = runs.glance(run)
    except StoreError as error:
        st.error(str(error), icon=":material/error:")
        if run.id != SHIPPED and st.button("Delete this folder", icon=":material/delete:"):
            remove(run)
            st.rerun()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{runs.title(seen)}**")
        runs.state_badge(seen.state)
    runs.progress(seen)
    with st.container(horizontal=True):
        if seen.live:
            if st.button("Stop", icon=":material/stop:", disabled=run.stop_requested()):
                run.request_stop()
                st.rerun()
        elif seen.state != "finished" and st.button("Resume", icon=":material/resume:"):
            resume(seen)
        if st.button("Open in Monitor", icon=":material/monitoring:"):
            st.switch_page("monitor.py", query_params={"run": run.id})
        if st.button("New run like this", icon=":material/content_copy:"):
            st.switch_page("train.py", query_params={"like": run.id})
        own = run.id != SHIPPED  # the run in the box stays as it is
        if own and not seen.live:
            more_steps(seen)
        if own:
            rename(seen)
        if own and not seen.live:
            delete(seen)
    if seen.live and run.stop_requested():
        st.caption("Stopping after the present step; nothing is lost.")
    if seen.state == "crashed":
        runs.crash_report(seen)
    verb = "stop" if seen.live else "evaluate" if seen.state == "finished" else "resume"
    st.code(f"python -m icm {verb} {run.id}", language="bash", wrap_lines=True)


def resume(seen: runs.Glance) -> None:
    try:
        with st.spinner("Starting the trainer…"):
            launch.start(seen.run, root)
    except (StoreError, DataError, RuntimeError) as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.switch_page("monitor.py", query_params={"run": seen.run.id})


def more_steps(seen: runs.Glance) -> None:
    with st.popover("More steps", icon=":material/add:"):
        had = seen.config.training.steps
        steps = st.number_input(
            "Steps in all", min_value=had + 1, value=had + max(had // 2, 1), key=f"more-{seen.run.id}"
        )
        if st.button("Resume to there", type="primary", key=f"extend-{seen.run.id}"):
            try:
                seen.run.extend(int(steps))
            except StoreError as error:
                st.error(str(error), icon=":material/error:")
            else:
                resume(seen)


def rename(seen: runs.Glance) -> None:
    with st.popover("Rename", icon=":material/edit:"):
        label = st.text_input("Label", value=seen.run.label, max_chars=60, key=f"label-{seen.run.id}")
        if st.button("Save", type="primary", key=f"rename-{seen.run.id}"):
            try:
                seen.run.rename(label)
            except StoreError as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.rerun()


def delete(seen: runs.Glance) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        st.markdown(
            f"Delete **{seen.run.label}** with its {len(seen.run.snapshot_steps())} snapshots? This cannot be undone."
        )
        if st.button("Delete it", type="primary", key=f"delete-{seen.run.id}"):
            try:
                remove(seen.run)
            except StoreError as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.query_params.pop("run", None)
                st.rerun()


def remove(run: Run) -> None:
    """Deletes the run and the pictures of it that are kept: another may take its name."""
    run.delete()
    st.cache_data.clear()
    st.cache_resource.clear()


st.subheader("Your runs", anchor=False)
present()
