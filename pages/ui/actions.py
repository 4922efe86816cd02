"""What can be done with a run: stop, resume, look at it, copy its settings, more steps, rename, delete."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from icm.errors import ActionableError
from icm.images.digits import data_root
from icm.jobs import launch
from icm.runs.run import LABEL_LENGTH, SHIPPED, Run
from pages.ui.html import plain
from pages.ui.run_view import LARGEST, RunView, counted
from pages.ui.told import told


def for_unreadable(run: Run) -> None:
    """The buttons for a run that cannot be read. Resume helps when status.json is damaged, since it is then written anew."""
    with st.container(horizontal=True):
        if run.states.steps() and st.button("Resume", icon=":material/resume:"):
            with _acting(run, "resume"):
                _resume(run)
        if st.button("Delete this folder", icon=":material/delete:"):
            with _acting(run, "delete"):
                run.delete()
                st.rerun()
    _tell_refused(run, "resume", "delete")


def for_run(seen: RunView) -> None:
    """The buttons under a run."""
    own = seen.run.id != SHIPPED  # the run that ships with the project stays as it is
    with st.container(horizontal=True):
        asked = seen.live and seen.run.trainer.stop_requested()
        stop = seen.live and st.button("Stop", icon=":material/stop:", disabled=asked)
        resumable = own and not seen.live and seen.state != "finished"
        again = resumable and st.button("Resume", icon=":material/resume:")
        if st.button("Open in Monitor", icon=":material/monitoring:"):
            st.switch_page("monitor.py", query_params={"run": seen.run.id})
        if st.button("New run like this", icon=":material/content_copy:"):
            st.switch_page("train.py", query_params={"like": seen.run.id})
        if own and not seen.live:
            _more_steps(seen)
        if own:
            _rename(seen)
        if own and not seen.live:
            _delete(seen)
    if stop:
        with _acting(seen.run, "stop"):
            seen.run.trainer.request_stop()
            st.rerun()
    if again:
        with _acting(seen.run, "resume"):
            _resume(seen.run)
    _tell_refused(seen.run, "stop", "resume")


@contextmanager
def _acting(run: Run, action: str) -> Iterator[None]:
    """Runs an action on a run. When it is refused, the error is kept, so that later looks of the page show it too.

    The next action forgets it."""
    st.session_state.pop("refused", None)
    try:
        yield
    except ActionableError as error:
        st.session_state["refused"] = (run.id, action, error)


def _tell_refused(run: Run, *actions: str) -> None:
    """Shows why the last action on this run was refused, if it was one of these."""
    run_id, action, error = st.session_state.get("refused", (None, None, None))
    if run_id == run.id and action in actions:
        told(error)


def _resume(run: Run) -> None:
    with st.spinner("Starting the trainer…"):
        launch.start(run, data_root())
    st.switch_page("monitor.py", query_params={"run": run.id})


def _more_steps(seen: RunView) -> None:
    with st.popover("More steps", icon=":material/add:"):
        had = min(seen.config.training.steps, LARGEST // 2)
        steps = st.number_input(
            "Steps in all", min_value=had + 1, value=had + max(had // 2, 1), key=f"more-{seen.run.id}"
        )
        if st.button("Resume to there", type="primary", key=f"extend-{seen.run.id}"):
            with _acting(seen.run, "extend"):
                seen.run.extend(int(steps))
                _resume(seen.run)
        _tell_refused(seen.run, "extend")


def _rename(seen: RunView) -> None:
    with st.popover("Rename", icon=":material/edit:"):
        label = st.text_input(
            "Label", value=seen.run.label, max_chars=LABEL_LENGTH, key=f"label-{seen.run.id}"
        )
        if st.button("Save", type="primary", key=f"rename-{seen.run.id}"):
            with _acting(seen.run, "rename"):
                seen.run.rename(label)
                st.rerun()
        _tell_refused(seen.run, "rename")


def _delete(seen: RunView) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        st.markdown(
            f"Delete **{plain(seen.run.label)}** with its {counted(len(seen.run.snapshots.steps()), 'snapshot')}? This cannot be undone."
        )
        if st.button("Delete it", type="primary", key=f"delete-{seen.run.id}"):
            with _acting(seen.run, "delete"):
                seen.run.delete()
                st.query_params.pop("run", None)
                st.rerun()
        _tell_refused(seen.run, "delete")
