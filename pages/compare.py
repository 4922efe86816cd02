"""Digits and other images side by side: the same experts, the same mechanism, two separate questions.

Does the mechanism transfer: how good is the owner's answer? Does the discriminator transfer: does the owner
win? The link carries run, set, look, step, mechanism, and whether the numbers are open."""

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import streamlit as st

from icm.config import mechanism_title
from icm.images.unseen import SETS, Look
from icm.runs.run import Run
from icm.show import charts
from icm.show.experts import badge
from pages.ui import decisions, panels, picker
from pages.ui.decisions import mean
from pages.ui.html import plain
from pages.ui.run_view import counted, decibels
from pages.ui.told import nothing_yet, telling

if TYPE_CHECKING:  # the pictures need torch, which the title does not wait for
    from icm.measure.evaluation import Evaluation
    from pages.ui.cached import SnapshotKey

MEASURED = 20  # images for each mechanism; they take some seconds on one core
SHOWN = 6  # images in a picture
CHART_HEIGHT = 330  # pixels
LOOK_WORDS: dict[Look, str] = {"digits": "as MNIST was made", "plain": "as they are"}
REFERRED = "the digits"


def choices(run: Run) -> tuple[str, Look, int]:
    """Shows the boxes for the set, its look and the step of the snapshot, and returns what is chosen."""
    from icm.images.digits import data_root

    here = [name for name, kind in SETS.items() if kind.here(data_root())]
    first, second, third = st.columns([3, 3, 4], vertical_alignment="bottom")
    preferred = "omniglot" if "omniglot" in here else "alphabets"
    name = first.selectbox(
        "Compared with",
        here,
        index=here.index(preferred),
        key="set",
        bind="query-params",
        format_func=lambda each: SETS[each].title,
        help="Sets that were not downloaded are not listed; `python -m icm data` names them.",
    )
    look = second.segmented_control(
        "Drawings are brought in",
        get_args(Look),
        default="digits",
        required=True,
        key="look",
        bind="query-params",
        format_func=LOOK_WORDS.__getitem__,
        help="As MNIST was made: ink in a box of 20 pixels, centred by mass, Omniglot's thin strokes widened. "
        "As they are: the whole picture shrunk. The look decides what the discriminator makes of it.",
    )
    steps = run.snapshots.steps()
    step = steps[-1]
    if len(steps) > 1:
        step = third.select_slider(
            "After step",
            steps,
            value=steps[-1],
            key="step",
            bind="query-params",
            help="Does it carry over while the experts specialise, or only later?",
        )
    return name, look or "digits", step


def column(
    key: "SnapshotKey",
    name: str,
    look: Look,
    found: "Evaluation",
    mechanism: int,
    labels: list[str],
    side: str,
) -> None:
    """Shows one set: its figures, some of its images with every expert's answer, and who wins what."""
    from pages.ui import cached, pictures

    values = (
        ("Owners' answers", decibels(mean(found.psnr_owner)), "Mean PSNR to the true originals."),
        (
            "Routing",
            f"{found.routing_accuracy:.0%}",
            "Images won by the expert that owns their mechanism on the digits.",
        ),
        ("Doing nothing", decibels(mean(found.psnr_nothing)), "PSNR of the changed images themselves."),
    )
    with st.container(horizontal=True):
        for heading, value, help in values:
            st.metric(heading, value, border=True, help=help)
    if found.accuracy is not None:
        words = ", ".join(f"{share:.0%} {kind}" for kind, share in found.accuracy.items())
        st.caption(f"The digit reader reads {words}.")
    else:
        st.caption("No digits, so nothing for the digit reader.")
    pictures.show(
        cached.everyone_on(key, name, look, mechanism, found.owner[mechanism], SHOWN),
        f"{SHOWN} images of {SETS[name].title} changed by {labels[mechanism]}, and every expert's answer",
        f"answers-{side}",
        least=560,
    )
    players = cached.networks_of(key)[0].players()
    panels.chart(
        "**Who wins what** · % of the images",
        charts.wins_table((found.win_share * 1000).round().astype(int).T, labels, players),
        CHART_HEIGHT,
        key=f"wins {side}",
        alt=f"Heat map: share of each mechanism's images of {SETS[name].title} won by each expert",
    )


def over_training(card: dict[str, Any], step: int) -> None:
    """Shows what the card says of every set: how both questions were answered at each of its steps."""
    shown = (
        ("psnr_owner", 1.0, "PSNR, dB", "**Owners' answers over training**"),
        ("routing_accuracy", 100.0, "routing, %", "**Routing over training**"),
    )
    found = {field: decisions.lines_of_card(card, tuple(SETS), field) for field, *_ in shown}
    if not any(lines for _, lines in found.values()):
        return
    st.header("With specialisation, or after it?", anchor=False)
    for half, (field, scale, unit, heading) in zip(st.columns(2, gap="large"), shown):
        steps, lines = found[field]
        named = {short_title(name): values * scale for name, values in lines.items()}
        with half:
            panels.chart(
                heading,
                charts.named_lines(unit, np.array(steps), named, step),
                CHART_HEIGHT,
                key=field,
                alt=f"Lines: {unit} of every set over training",
            )
    st.caption(
        f"Kept with the run, measured in evaluation mode on {plain(card['date'])}: {card['over_steps_images']} images a mechanism at each "
        f"step shown. The run: {plain(card['command'])}, {counted(card['threads'], 'thread')}. "
        f"Seeds tried: {plain(card['seeds_tried'])}"
    )


def short_title(name: str) -> str:
    """What the set is called in a sentence."""
    return SETS[name].title.partition(",")[0]


def comparison(run: Run) -> None:
    """Both answers in words, then the two columns."""
    config = run.config()
    name, look, step = choices(run)

    from icm.images.digits import data_root
    from pages.ui import cached
    from pages.ui.fetch import fetch_sets

    labels = [mechanism_title(spec) for spec in config.mechanisms]
    mechanism = labels.index(
        st.selectbox("Mechanism in the pictures", labels, key="mechanism", bind="query-params")
    )
    with telling():
        key = cached.snapshot_key(run, step)
        with st.spinner(f"Asking the experts, {MEASURED} images for each mechanism…"):
            both = cached.measured(key, name, look, MEASURED)
        st.info(decisions.carried_over(*both, REFERRED, short_title(name)), icon=":material/compare:")
        for side, half, shown, found in zip(
            ("left", "right"), st.columns(2, gap="large"), (key.source, name), both
        ):
            with half:
                st.header(SETS[shown].title, anchor=False)
                column(key, shown, look, found, mechanism, labels, side)
        quality(*both, labels, short_title(name))
        st.caption(measured_on(key, name, step, run.label))
    with telling():
        card = run.card()
        if card is not None:
            over_training(card, step)
    fetch_sets(data_root())


def measured_on(key: "SnapshotKey", name: str, step: int, label: str) -> str:
    """Markdown: how the figures were measured, and what the networks had seen of these images before."""
    known = (
        "No expert was ever trained on them."
        if key.never_trained_on(name)
        else "The built-in digits are some of MNIST's training digits, so the experts may have learned from them."
    )
    read = (
        " The digit reader learned from MNIST's training digits, the built-in ones among them."
        if "builtin" in (key.source, name)
        else ""
    )
    return (
        f"Measured now on {MEASURED} images a mechanism, in evaluation mode, after step {step:,} of run “{plain(label)}”. "
        f"{known}{read}"
    )


def quality(digits: "Evaluation", other: "Evaluation", labels: list[str], title: str) -> None:
    """The owners' answers, mechanism by mechanism, as bars and in numbers."""
    bars = {
        f"owner, {REFERRED}": digits.psnr_owner,
        f"owner, {title}": other.psnr_owner,
        f"nothing done, {title}": other.psnr_nothing,
    }
    highest = max(value for each in bars.values() for value in each if value is not None)
    panels.chart(
        "**Does the mechanism transfer?** · PSNR of the owner's answers to the true originals",
        charts.quality_by_mechanism(labels, bars, highest),
        CHART_HEIGHT,
        key="quality",
        alt="Bars: PSNR for each mechanism, on the digits, on the other images, and with nothing done",
    )
    with st.expander("The numbers", key="numbers", on_change="rerun", bind="query-params") as numbers:
        if numbers.open:
            wins = {
                f"owner wins, {heading}": [
                    None if owner is None else round(float(share[owner]), 3)
                    for owner, share in zip(digits.owner, found.win_share)
                ]
                for heading, found in ((REFERRED, digits), (title, other))
            }
            qualities = {
                heading: [None if each is None else round(each, 2) for each in values]
                for heading, values in bars.items()
            }
            owners = ["none" if each is None else badge(each) for each in digits.owner]
            st.dataframe({"mechanism": labels, "owner": owners, **qualities, **wins}, hide_index=True)


st.title("Compare", anchor=False)
st.markdown(
    "Experts that learned from digits alone meet images they never saw. "
    "Do they still undo their mechanism, and does the discriminator still name the right one?"
)
run = picker.pick_trained()
if run is None:
    nothing_yet("No trained experts yet.")
    st.stop()
with telling():
    comparison(run)
