"""Start, stop and resume runs; the command that does the same."""

from dataclasses import replace

import streamlit as st
import torch

from icm import launch
from icm.config import PRESET_SENTENCES, PRESETS, ConfigError, RunConfig, command_line, field_sentences
from icm.data import DataError, data_root, has_mnist
from icm.store import StoreError
from pages.ui import runs

help_of = field_sentences(RunConfig)
root = data_root()

st.title("Train", anchor=False)
form, present = st.columns([3, 2], gap="large")

with form:
    name = st.radio(
        "Preset",
        list(PRESETS),
        index=list(PRESETS).index("quick"),
        captions=[PRESET_SENTENCES[each] for each in PRESETS],
        key="preset",
        bind="query-params",
    )
    base = PRESETS[name or "quick"]
    st.caption(
        f"{base.model.experts} experts of {base.model.filters} filters · {len(base.mechanisms)} mechanisms: "
        + ", ".join(each.replace("_", "-") for each in base.mechanisms)
    )

    first, second = st.columns(2)
    seed = first.number_input("Seed", min_value=0, max_value=2**31 - 1, value=0, step=1, help=help_of["seed"])
    steps = second.number_input(
        "Steps", min_value=1, max_value=1_000_000, value=base.training.steps, step=50, key=f"steps_{base.preset}",
        help="Steps of the competition.",
    )  # fmt: skip
    sources = {
        "MNIST, 60,000 digits": "mnist",
        "Built-in digits, 5,000": "builtin",
    }
    if not has_mnist(root):
        del sources["MNIST, 60,000 digits"]
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    first, second = st.columns(2)
    source = first.selectbox("Digits", list(sources), help=help_of["source"])
    device = second.selectbox("Device", devices, index=len(devices) - 1, help=help_of["device"])
    if not has_mnist(root):
        st.caption(
            f"MNIST is not under `{root}`, so the 5,000 built-in digits are used; "
            "`python -m icm data mnist` downloads all 60,000."
        )

    config = replace(
        base,
        seed=int(seed),
        source=sources[source],
        device=device,
        training=replace(base.training, steps=int(steps)),
    )
    if st.button("Start training", type="primary", icon=":material/play_arrow:"):
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


@st.fragment(run_every=2)
def controls() -> None:
    run = runs.pick()
    if run is None:
        st.markdown("No run yet. The one you start appears here.")
        return
    try:
        seen = runs.glance(run)
    except StoreError as error:
        st.error(str(error), icon=":material/error:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{runs.title(seen)}**")
        runs.state_badge(seen.state)
    runs.progress(seen)
    with st.container(horizontal=True):
        if seen.live:
            if st.button("Stop", icon=":material/stop:", disabled=run.stop_requested()):
                run.request_stop()
                st.rerun(scope="fragment")
        elif seen.state != "finished" and st.button("Resume", icon=":material/resume:"):
            try:
                with st.spinner("Starting the trainer…"):
                    launch.start(run, root)
            except (StoreError, DataError, RuntimeError) as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.switch_page("monitor.py", query_params={"run": run.id})
        if st.button("Open in Monitor", icon=":material/monitoring:"):
            st.switch_page("monitor.py", query_params={"run": run.id})
    if seen.live and run.stop_requested():
        st.caption("Stopping after the present step; nothing is lost.")
    if seen.state == "crashed":
        runs.crash_report(seen)
    st.caption("From a terminal")
    verb = "stop" if seen.live else "evaluate" if seen.state == "finished" else "resume"
    st.code(f"python -m icm {verb} {run.id}", language="bash", wrap_lines=True)


with present, st.container(border=True):
    st.subheader("Your runs", anchor=False)
    controls()
