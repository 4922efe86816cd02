"""What pages know of runs: the store, the picker, the badge of a state, what a run is computed with, who owns what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from math import isfinite
from pathlib import Path

import numpy as np
import streamlit as st
from jaxtyping import Int

from icm.config import RunConfig
from icm.errors import ActionableError
from icm.figures import badge, colour
from icm.history import History, run_history
from icm.ownership import roles
from icm.store import SHIPPED, Phase, Run, RunState, RunStore, Status, store_root
from pages.ui import clock
from pages.ui.told import plain

PROJECT = Path(__file__).parents[2]
LARGEST = 2**53 - 1  # beyond it a browser's numbers have gaps

TICK = 1.0  # seconds between two looks while the run is being trained, at least
SLOWEST_TICK = 3.0  # where a row takes longer than a second: a look at nothing new only slows the trainer
WHILE_TRAINING = (
    "Wins and PSNR are counted while the networks learn and, with batch norm, with the statistics of each batch. Compare, "
    "cards and icm evaluate ask kept networks in evaluation mode, so their numbers differ a little."
)
METRIC_HELP = {
    "One-to-one": "Mechanisms with an expert that owns them and nothing else, over the newest 1,000 images.",
    "Restored": "PSNR of the winners' answers to the true originals, which no expert saw. Higher is better.",
    "Entropy of wins": "Of who wins, in bits: 0 when one expert wins all, the second number when all win equally.",
    "Speed": "Steps per second of the trainer.",
    "Time left": "Of the present phase, at the present speed.",
}
SOURCES = {"mnist": "MNIST", "builtin": "built-in digits"}
STATE_HELP = {
    "starting": "the trainer is on its way; it has not reported yet",
    "stalled": "no sign of life for 10 seconds; it may go on by itself",
}

# word -> colour and symbol: a state is told by both and by its word.
STATES: dict[RunState, tuple[str, str]] = {
    "starting": ("blue", ":material/pending:"),
    "preparing": ("blue", ":material/hourglass_top:"),
    "running": ("green", ":material/directions_run:"),
    "stalled": ("orange", ":material/warning:"),
    "stopped": ("gray", ":material/pause_circle:"),
    "finished": ("violet", ":material/check_circle:"),
    "crashed": ("red", ":material/error:"),
}
LIVE: tuple[RunState, ...] = ("starting", "preparing", "running", "stalled")


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


def tick(seen: Glance) -> float:
    """Whole seconds that the trainer takes for a row, within bounds; before the first one as often as can be."""
    if seen.status.phase != "competing" or seen.status.steps_per_second <= 0:
        return TICK
    row = seen.config.recording.every / seen.status.steps_per_second
    return min(max(float(round(row)), TICK), SLOWEST_TICK)


# Streamlit fades what is older than the script that runs now, after half a second. On a page that looks again and again that
# is a flicker whenever the machine is busy, and the trainer keeps it busy.
STEADY = (
    '<style>.stElementContainer[data-stale="true"],.stExpander details,.stExpander summary'
    "{opacity:1!important;transition:none!important}</style>"
)


def steady() -> None:
    """The page keeps its brightness while it looks at a run again, and its clocks take no place."""
    st.html(STEADY + clock.STYLE)


def store() -> RunStore:
    return RunStore(store_root())


def glance(run: Run) -> Glance:
    """Reads the run now; ActionableError when its folder cannot be read."""
    return Glance(run=run, config=run.config(), status=run.status(), state=run.state())


def latest() -> Glance | None:
    """The newest run that can be read."""
    for run in store().runs():
        try:
            return glance(run)
        except ActionableError:
            continue
    return None


def history(seen: Glance) -> History:
    """The run's rows so far; ActionableError when they are damaged."""
    return run_history(seen.run, seen.config.model.experts, len(seen.config.mechanisms))


def title(seen: Glance) -> str:
    """Markdown: what run it is."""
    source = SOURCES.get(seen.config.source, seen.config.source)
    name = f"{seen.run.label} · " if seen.run.label != seen.run.id else ""
    return plain(f"{name}{seen.config.preset} · seed {seen.config.seed} · {source}")


def when(run: Run) -> str:
    """When the run was made."""
    try:
        return datetime.fromtimestamp(run.created).strftime("%d %b %H:%M")
    except (ValueError, OverflowError, OSError):  # a time that no calendar has
        return "some day"


def state_badge(state: RunState) -> None:
    colour, icon = STATES[state]
    st.badge(state, icon=icon, color=colour, help=STATE_HELP.get(state))  # pyright: ignore[reportArgumentType]


def table() -> None:
    """Every run in a line, newest first; nothing when there is none."""
    seen: list[dict[str, object]] = []
    for run in store().runs():
        row: dict[str, object] = {"run": run.label}
        try:
            now = glance(run)
            rows = history(now)
            row |= {
                "state": now.state,
                "preset": now.config.preset,
                "seed": now.config.seed,
                "digits": SOURCES.get(now.config.source, now.config.source),
                "step": rows.last_step,
                "of": min(now.config.training.steps, LARGEST),
                "one-to-one": f"{rows.one_to_one_count()} of {len(now.config.mechanisms)}"
                if rows.rows
                else "–",
                "trained for": duration(rows.seconds),
            }
        except ActionableError:
            row["state"] = "unreadable"
        seen.append({**row, "started": when(run)})
    if seen:
        st.dataframe(seen, hide_index=True, height=min(38 + 35 * len(seen), 320), key="runs", placeholder="–")


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def pick(name: str = "run", default: int = 0) -> Run | None:
    """The run that the page is about, chosen in a box and kept in the link under `name`; None when there is no run.

    Without a link it is the newest, or the one `default` places before it."""
    found = store().runs()
    start = found[min(default, len(found) - 1)] if found else None
    return _pick(name, found, start, lambda run: f"{run.label}   ({when(run)})")


def pick_trained(name: str = "run") -> Run | None:
    """The run whose experts the page asks: any with a snapshot; without a link it is the one that ships with the project."""
    trained = [run for run in [*store().runs(), shipped()] if run is not None and run.snapshot_steps()]
    start = next((run for run in trained if run.id == SHIPPED), trained[0] if trained else None)
    return _pick(name, trained, start, lambda run: run.label)


def _pick(name: str, choice: Sequence[Run], start: Run | None, words: Callable[[Run], str]) -> Run | None:
    """One of the runs, `start` when the link names none; None when there is none to choose from."""
    if start is None:
        return None
    runs = {run.id: run for run in choice}
    wanted = st.query_params.get(name)
    if wanted is not None and wanted not in runs:
        st.warning(
            plain(f"There is no run {wanted!r} to show here; {start.label} is shown."),
            icon=":material/link_off:",
        )
    said = apart({run_id: words(run) for run_id, run in runs.items()})
    names = list(runs)
    chosen = st.selectbox(
        name.capitalize(),
        names,
        index=names.index(wanted if wanted in runs else start.id),
        format_func=said.__getitem__,
    )
    st.query_params[name] = chosen
    return runs[chosen]


def apart(said: Mapping[str, str]) -> dict[str, str]:
    """What is said of each run, by run id; the id is added where the same is said of two."""
    found = list(said.values())
    return {
        run_id: words if found.count(words) == 1 else f"{words} · {run_id}" for run_id, words in said.items()
    }


def shipped() -> Run | None:
    """The trained run that comes with the project, wherever the store is."""
    run = Run(PROJECT / "checkpoints" / SHIPPED)
    return run if (run.folder / "config.json").is_file() else None


def computed_with(run: Run) -> str:
    """Markdown: what the trainer chose at its start, in words; empty before that."""
    environment = run.environment()
    engine = environment.get("engine")
    if not isinstance(engine, dict):
        return ""
    device, experts = environment.get("device", "an unknown device"), str(engine.get("experts"))
    words = [
        environment.get("card") or device,
        counted(environment.get("threads", "?"), "thread") if device == "cpu" else "",
        {"loop": "one expert after the other", "stacked": "all experts at once"}.get(experts, experts),
        engine.get("dtype", "unknown numbers"),
        "the same bits each time" if engine.get("deterministic") else "rounding may differ between runs",
    ]
    return "Computed on " + ", ".join(plain(word) for word in words if word)


def decibels(value: float | None) -> str:
    return f"{value:.1f} dB" if value is not None and isfinite(value) else "–"


def counted(number: object, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def role_words(wins: Int[np.ndarray, "expert mechanism"], specs: Sequence[str]) -> list[str]:
    """What each expert undoes, in words."""
    names = [spec.partition("=")[0].replace("_", "-") for spec in specs]
    found = roles(wins)
    words = {expert: names[mechanism] for expert, mechanism in found.single.items()}
    words |= {
        expert: " + ".join(names[each] for each in mine) + " (overloaded)"
        for expert, mine in found.overloaded.items()
    }
    words |= dict.fromkeys(found.idle, "idle")
    return [words.get(expert, "undecided") for expert in range(len(wins))]


def roles_of(run: Run) -> list[str]:
    """What each expert of the run undoes, over its newest images."""
    config = run.config()
    rows = run_history(run, config.model.experts, len(config.mechanisms))
    return role_words(rows.recent().wins[0], config.mechanisms)


def ownership_chips(wins: Int[np.ndarray, "expert mechanism"], specs: Sequence[str]) -> None:
    """Who owns what, an expert a chip, in its colour and in words."""
    chips = [
        f"<span style='border-color:{colour(expert)}'><b>{badge(expert)}</b> {escape(words)}</span>"
        for expert, words in enumerate(role_words(wins, specs))
    ]
    unowned = [specs[each].partition("=")[0].replace("_", "-") for each in roles(wins).unowned]
    if unowned:
        chips.append(f"<i>owned by nobody: {escape(', '.join(unowned))}</i>")
    st.html(f"<style>{CHIP_STYLE}</style><div class='icm-chips'>{''.join(chips)}</div>")


CHIP_STYLE = """
.icm-chips{display:flex;flex-wrap:wrap;gap:8px;align-items:center;font-size:.875rem}
.icm-chips span{border:2px solid;border-radius:999px;padding:1px 10px;white-space:nowrap}
.icm-chips i{opacity:.7}
"""


def progress(seen: Glance) -> None:
    """The bar of the present phase."""
    status = seen.status
    words: dict[Phase, str] = {
        "created": "Starting: the trainer has not reported yet",
        "preparing": "Preparing: reading the images",
        "identity": f"Identity initialisation: step {status.step} of at most {status.of}",
        "competing": f"Competition: step {status.step:,} of {status.of:,}",
        "stopped": f"Stopped at step {status.step:,} of {status.of:,}",
        "finished": f"Finished: {status.of:,} steps",
        "failed": f"Failed at step {status.step:,} of {status.of:,}",
    }
    if not seen.live and status.phase == "created":
        words["created"] = "Never started: Resume begins it"
    st.progress(min(status.step, status.of) / max(status.of, 1), text=words[status.phase])


def time_left(seen: Glance) -> str:
    """Of the present phase, at the present speed."""
    status = seen.status
    if not seen.live or status.steps_per_second <= 0:
        return "–"
    seconds = (status.of - status.step) / status.steps_per_second
    return duration(seconds)


def last_words(seen: Glance) -> None:
    """What the trainer of a run that has ended said last, and what to do."""
    said = seen.status.message
    if seen.state == "stopped" and said:
        st.caption(f":material/info: {plain(said[0].upper() + said[1:])}.")
    if seen.state != "crashed":
        return
    going_on = " Resume goes on from the last saved state." if seen.run.state_steps() else ""
    st.error(
        f"{plain(said or 'The trainer ended without a word.')}{going_on}",
        icon=":material/error:",
    )
    st.code(seen.run.log_tail(12) or "The log is empty.", language=None, wrap_lines=True)
