"""Digits and other images side by side: the same experts, the same mechanism, two separate questions.

Does the mechanism transfer (how good is the owner's answer), and does the referee (does the owner win)? The link carries
run, set, look, step and mechanism."""

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import streamlit as st
from jaxtyping import Float

from icm import figures
from icm.evaluation import Evaluation
from icm.store import Run
from icm.unseen import SETS, Look
from pages.ui import runs
from pages.ui.told import plain, telling

if TYPE_CHECKING:  # the pictures need torch, which the title does not wait for
    from icm.transfer import Transfer
    from pages.ui.pictures import Shown

MEASURED = 20  # images a mechanism: some seconds on one core
SHOWN = 6  # images in a picture
CHART_HEIGHT = 330  # pixels
LOOK_WORDS: dict[Look, str] = {"digits": "as MNIST was made", "plain": "as they are"}
REFERRED = "the digits"


def in_words(here: Evaluation, there: Evaluation, name: str) -> str:
    """The two answers, and the gap between the columns."""
    on_digits, elsewhere, nothing = (
        mean(each) for each in (here.psnr_owner, there.psnr_owner, there.psnr_nothing)
    )
    if on_digits is None or elsewhere is None or nothing is None:
        return (
            f"**No expert owns a mechanism yet**: none wins most of a mechanism's images among {REFERRED}, so there is no "
            f"owner to ask about {name}, and the referee has nothing to carry over."
        )
    gap = on_digits - elsewhere
    carried = (
        "carry over"
        if elsewhere > nothing + 3
        else "barely help"
        if elsewhere > nothing
        else "do not carry over"
    )
    owned = sum(owner is not None for owner in here.owner)
    of_those = "" if owned == len(here.owner) else f" Only {owned} of {len(here.owner)} mechanisms have one."
    return (
        f"**The experts {carried}.** On {name} the owners' answers reach {elsewhere:.1f} dB, "
        f"{abs(gap):.1f} dB {'less' if gap > 0 else 'more'} than on {REFERRED}; doing nothing gives {nothing:.1f} dB.{of_those}  \n"
        f"**The referee** sends {there.routing_accuracy:.0%} of {name} to the expert that owns the mechanism; "
        f"of {REFERRED} {here.routing_accuracy:.0%}."
    )


def mean(values: list[float] | list[float | None]) -> float | None:
    """None when nobody owns a mechanism."""
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None


def choices(run: Run) -> tuple[str, Look, int]:
    """The set, its look and the snapshot."""
    from icm.data import data_root

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
    steps = run.snapshot_steps()
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
    seen: "Shown",
    name: str,
    look: Look,
    found: Evaluation,
    mechanism: int,
    labels: list[str],
    side: str,
) -> None:
    from pages.ui import pictures

    owner = found.owner[mechanism]
    with st.container(horizontal=True):
        st.metric(
            "Owners' answers",
            runs.decibels(mean(found.psnr_owner)),
            border=True,
            help="Mean PSNR to the true originals.",
        )
        st.metric(
            "Routing",
            f"{found.routing_accuracy:.0%}",
            border=True,
            help="Images won by the expert that owns their mechanism on the digits.",
        )
        st.metric(
            "Doing nothing",
            runs.decibels(mean(found.psnr_nothing)),
            border=True,
            help="PSNR of the changed images themselves.",
        )
    if found.accuracy is not None:
        words = ", ".join(f"{share:.0%} {kind}" for kind, share in found.accuracy.items())
        st.caption(f"The digit reader reads {words}.")
    else:
        st.caption("No digits, so nothing for the digit reader.")
    pictures.show(
        pictures.everyone_on(seen, name, look, mechanism, owner, SHOWN),
        f"Six images of {SETS[name].title} changed by {labels[mechanism]}, and every expert's answer",
        f"answers-{side}",
        least=560,
    )
    with st.container(border=True):
        st.markdown("**Who wins what** · % of the images")
        st.echarts_chart(
            figures.wins_table((found.win_share * 1000).round().astype(int).T, labels),
            height=CHART_HEIGHT,
            key=f"wins {side}",
            alt=f"Heat map: share of each mechanism's images of {SETS[name].title} won by each expert",
        )


def over_training(card: dict[str, Any], step: int) -> None:
    """What the card says: how both questions were answered at each kept snapshot, for every set."""
    rows = [
        row
        for row in card["over_steps"]
        if row.get("set") in tuple(SETS) and 0 <= row["step"] <= runs.LARGEST
    ]
    names = list(dict.fromkeys(row["set"] for row in rows))
    steps = sorted({int(row["step"]) for row in rows})
    if not rows:
        return
    shown = (
        ("psnr_owner", 1.0, "PSNR, dB", "**Owners' answers over training**"),
        ("routing_accuracy", 100.0, "routing, %", "**Routing over training**"),
    )
    st.subheader("With specialisation, or after it?", anchor=False)
    for half, (field, scale, unit, heading) in zip(st.columns(2, gap="large"), shown):
        lines = {
            SETS[name].title.partition(",")[0]: values_at(steps, rows, name, field) * scale for name in names
        }
        with half, st.container(border=True):
            st.markdown(heading)
            st.echarts_chart(
                figures.named_lines(unit, np.array(steps), lines, step),
                height=CHART_HEIGHT,
                key=field,
                alt=f"Lines: {unit} of every set at each kept snapshot",
            )
    st.caption(
        f"Kept with the run, measured in evaluation mode on {plain(card['date'])}: {card['over_steps_images']} images a mechanism at each kept "
        f"step. The run: {plain(card['command'])}, {runs.counted(card['threads'], 'thread')}. "
        f"Seeds tried: {plain(card['seeds_tried'])}"
    )


def values_at(
    steps: list[int], rows: list[dict[str, Any]], name: str, field: str
) -> Float[np.ndarray, " step"]:
    """What the rows of the set say, step by step; nan where they say nothing."""
    said = {row["step"]: row[field] for row in rows if row["set"] == name}
    return np.array([said.get(step, np.nan) for step in steps], dtype=float)


def comparison(run: Run) -> None:
    """Both answers in words, then the two columns."""
    config = run.config()
    name, look, step = choices(run)

    from icm.data import data_root
    from pages.ui import pictures
    from pages.ui.fetch import fetch_sets

    labels = [spec.replace("_", "-") for spec in config.mechanisms]
    mechanism = labels.index(
        st.selectbox("Mechanism in the pictures", labels, key="mechanism", bind="query-params")
    )
    with telling():
        seen = pictures.shown(run, step)
        with st.spinner(f"Asking the experts, {MEASURED} images for each mechanism…"):
            both = pictures.measured(seen, name, look, MEASURED)
        title = SETS[name].title.partition(",")[0]
        st.info(in_words(both.digits, both.other, title), icon=":material/compare:")
        for side, half, shown, found in zip(
            ("left", "right"), st.columns(2, gap="large"), (seen.source, name), (both.digits, both.other)
        ):
            with half:
                st.subheader(SETS[shown].title, anchor=False)
                column(seen, shown, look, found, mechanism, labels, side)
        quality(both, labels, title)
        st.caption(
            f"Measured now on {MEASURED} images a mechanism, in evaluation mode, after step {step:,} of run “{plain(run.label)}”. "
            + (
                "No expert was ever trained on them."
                if seen.never_trained_on(name)
                else "The built-in digits are some of MNIST's training digits, so the experts may have learned from them."
            )
            + (
                " The digit reader learned from MNIST's training digits, the built-in ones among them."
                if "builtin" in (seen.source, name)
                else ""
            )
        )
    with telling():
        card = run.card()
        if card is not None:
            over_training(card, step)
    fetch_sets(data_root())


def quality(both: "Transfer", labels: list[str], title: str) -> None:
    """The owners' answers, mechanism by mechanism, as bars and in numbers."""
    bars = {
        f"owner, {REFERRED}": both.digits.psnr_owner,
        f"owner, {title}": both.other.psnr_owner,
        f"nothing done, {title}": both.other.psnr_nothing,
    }
    with st.container(border=True):
        st.markdown("**Does the mechanism transfer?** · PSNR of the owner's answers to the true originals")
        st.echarts_chart(
            figures.quality_by_mechanism(
                labels, bars, max(value for each in bars.values() for value in each if value is not None)
            ),
            height=CHART_HEIGHT,
            key="quality",
            alt="Bars: PSNR for each mechanism, on the digits, on the other images, and with nothing done",
        )
    with st.expander("The numbers", key="numbers", on_change="rerun", bind="query-params") as numbers:
        if numbers.open:
            st.dataframe(
                {
                    "mechanism": labels,
                    "owner": ["none" if each is None else figures.badge(each) for each in both.digits.owner],
                    **{
                        heading: [None if each is None else round(each, 2) for each in values]
                        for heading, values in bars.items()
                    },
                    **{
                        f"owner wins, {heading}": [
                            None if owner is None else round(float(share[owner]), 3)
                            for owner, share in zip(both.digits.owner, found.win_share)
                        ]
                        for heading, found in ((REFERRED, both.digits), (title, both.other))
                    },
                },
                hide_index=True,
            )


st.title("Compare", anchor=False)
st.markdown(
    "Experts that learned from digits alone meet images they never saw. "
    "Do they still undo their mechanism, and does the discriminator still name the right one?"
)
run = runs.pick_trained()
if run is None:
    st.markdown("No trained experts yet.")
    if st.button("Train your first experts", type="primary", icon=":material/play_arrow:"):
        st.switch_page("train.py")
    st.stop()
with telling():
    comparison(run)
