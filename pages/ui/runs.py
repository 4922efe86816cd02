"""What pages know of runs: the store, the picker, the badge of a state, readers that read a file only when it changed."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import streamlit as st

from icm.config import RunConfig
from icm.records import StepRecord
from icm.store import Run, RunState, RunStore, Status, StoreError, store_root

STATE_HELP = {"stalled": "no sign of life for 10 seconds; it may go on by itself"}

# word -> colour and symbol: a state is told by both and by its word.
STATES: dict[RunState, tuple[str, str]] = {
    "preparing": ("blue", ":material/hourglass_top:"),
    "running": ("green", ":material/directions_run:"),
    "stalled": ("orange", ":material/warning:"),
    "stopped": ("gray", ":material/pause_circle:"),
    "finished": ("violet", ":material/check_circle:"),
    "crashed": ("red", ":material/error:"),
}
LIVE: tuple[RunState, ...] = ("preparing", "running", "stalled")


@dataclass(frozen=True)
class Glance:
    """A run as a page sees it at one moment."""

    run: Run
    config: RunConfig
    status: Status
    state: RunState

    @property
    def live(self) -> bool:
        return self.state in LIVE


def store() -> RunStore:
    return RunStore(store_root())


def glance(run: Run) -> Glance:
    """Reads the run now; StoreError when its folder cannot be read."""
    return Glance(run=run, config=run.config(), status=run.status(), state=run.state())


def latest() -> Glance | None:
    """The newest run that can be read."""
    for run in store().runs():
        try:
            return glance(run)
        except StoreError:
            continue
    return None


def records(run: Run) -> list[StepRecord]:
    """The run's rows, read again only when there are new ones."""
    path = run.folder / "metrics.jsonl"
    if not path.is_file():
        return []
    written = path.stat()
    return _records(run.folder, written.st_mtime_ns, written.st_size)


@st.cache_data(max_entries=8, show_spinner=False)
def _records(folder: Path, written_ns: int, size: int) -> list[StepRecord]:
    return [StepRecord.from_json(row) for row in Run(folder).metrics()]


def title(seen: Glance) -> str:
    source = {"mnist": "MNIST", "builtin": "built-in digits"}.get(seen.config.source, seen.config.source)
    return f"{seen.config.preset} · seed {seen.config.seed} · {source}"


def when(run: Run) -> str:
    return datetime.fromtimestamp(run.created).strftime("%d %b %H:%M")


def state_badge(state: RunState) -> None:
    colour, icon = STATES[state]
    st.badge(state, icon=icon, color=colour, help=STATE_HELP.get(state))  # pyright: ignore[reportArgumentType]


def pick() -> Run | None:
    """The run that the page is about, chosen in a box and kept in the link; None when there is no run."""
    runs = {run.id: run for run in store().runs()}
    if not runs:
        return None
    wanted = st.query_params.get("run")
    if wanted is not None and wanted not in runs:
        st.warning(f"There is no run {wanted!r} here; the newest is shown.", icon=":material/link_off:")
    names = list(runs)
    chosen = st.selectbox(
        "Run",
        names,
        index=names.index(wanted) if wanted in runs else 0,
        format_func=lambda run_id: f"{run_id}   ({when(runs[run_id])})",
    )
    st.query_params["run"] = chosen
    return runs[chosen]


def computed_with(run: Run) -> str:
    """What the trainer chose at its start, in words; empty before that."""
    environment = run.environment()
    engine = environment.get("engine")
    if engine is None:
        return ""
    forms = {"loop": "one expert after the other", "stacked": "all experts at once"}
    words = [
        environment.get("card") or environment["device"],
        f"{environment['threads']} threads" if environment["device"] == "cpu" else "",
        forms[engine["experts"]],
        engine["dtype"],
        "the same bits each time" if engine["deterministic"] else "rounding may differ between runs",
    ]
    return "Computed on " + ", ".join(word for word in words if word)


def progress(seen: Glance) -> None:
    """The bar of the present phase."""
    status = seen.status
    words = {
        "preparing": "Preparing: reading the images",
        "identity": f"Identity initialisation: step {status.step} of at most {status.of}",
        "competing": f"Competition: step {status.step:,} of {status.of:,}",
        "stopped": f"Stopped at step {status.step:,} of {status.of:,}",
        "finished": f"Finished: {status.of:,} steps",
        "failed": f"Failed at step {status.step:,} of {status.of:,}",
    }
    st.progress(min(status.step / max(status.of, 1), 1.0), text=words[status.phase])


def time_left(seen: Glance) -> str:
    """Of the present phase, at the present speed."""
    status = seen.status
    if not seen.live or status.steps_per_second <= 0:
        return "–"
    seconds = (status.of - status.step) / status.steps_per_second
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def crash_report(seen: Glance) -> None:
    """What the trainer last said, and what to do."""
    st.error(
        f"{seen.status.message or 'The trainer ended without a word.'} "
        "Resume goes on from the last saved state.",
        icon=":material/error:",
    )
    st.code(seen.run.log_tail(12) or "The log is empty.", language=None, wrap_lines=True)
