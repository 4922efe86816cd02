"""Digits and other images side by side: the same experts, the same mechanism, two separate questions.

Does the mechanism transfer: how good is the owner's answer? Does the discriminator transfer: does the owner
win? The link carries run, set, look, step, mechanism, and whether the numbers and the curve of
sureness are open, but nothing of a person's own images."""

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import streamlit as st

from icm.config import mechanism_title
from icm.images.unseen import SETS, Look
from icm.runs.run import Run
from icm.show import charts, curves
from icm.show.experts import badge
from icm.show.legible import GROUND
from pages.ui import decisions, inside, panels, picker, words
from pages.ui.decisions import mean
from pages.ui.html import plain
from pages.ui.others import OWN, Others, offered, own_images, short_title, title_in_box
from pages.ui.run_view import counted, decibels
from pages.ui.told import nothing_yet, telling

if TYPE_CHECKING:  # the pictures need torch, which the title does not wait for
    from icm.measure.doubt import Reliability
    from icm.measure.evaluation import Evaluation
    from pages.ui.answers import Group
    from pages.ui.cached import SnapshotKey

MEASURED = 20  # images for each mechanism; they take some seconds on one core
CHART_HEIGHT = 330  # pixels
LOOK_WORDS: dict[Look, str] = {"digits": "as MNIST was made", "plain": "as they are"}
ASKED = "asked"  # what the page shows at the moment, in the session
# While others are asked about, what is still on the page is not about them. A wait of less than a blink dims nothing.
DIMMED = """<i hidden></i><style>.st-key-answered{opacity:.15;filter:grayscale(1);pointer-events:none;transition:opacity .2s .1s}
</style>"""


def choices(run: Run, labels: list[str]) -> tuple[str, Look, int, int]:
    """Shows the boxes for set, look, mechanism and step of the snapshot; returns what is chosen, the mechanism by its number."""
    from icm.images.digits import data_root, source_at_hand

    here = offered(source_at_hand(run.config().source, data_root()), data_root())
    first, second, third, fourth = st.columns([3, 3, 2, 3], vertical_alignment="bottom", gap="medium")
    preferred = "omniglot" if "omniglot" in here else "alphabets"
    name = first.selectbox(
        "Compared with",
        here,
        index=here.index(preferred),
        key="set",
        bind="query-params",
        format_func=title_in_box,
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
        help="As MNIST was made: ink in a box of 20 pixels, centred by mass; thin strokes are widened too. "
        "As they are: the whole picture shrunk. The look decides what the discriminator makes of it.",
    )
    mechanism = labels.index(
        third.selectbox("Mechanism in the pictures", labels, key="mechanism", bind="query-params")
    )
    steps = run.snapshots.steps()
    step = steps[-1]
    if len(steps) > 1:
        step = fourth.select_slider(
            "After step",
            steps,
            value=steps[-1],
            key="step",
            bind="query-params",
            help="Does it carry over while the experts specialise, or only later?",
        )
    return name, look or "digits", mechanism, step


def numbers_of(found: "Evaluation", title: str, referred: str) -> None:
    """Shows the figures of one set. `referred` is what the images are called that tell who owns what."""
    values = (
        ("Owners' answers", decibels(mean(found.psnr_owner)), "Mean PSNR to the true originals."),
        (
            "Routing",
            f"{found.routing_accuracy:.0%}",
            f"Images won by the expert that owns their mechanism on {referred}.",
        ),
        (
            "Doing nothing",
            decibels(mean(found.nothing_where_owned)),
            "PSNR of the changed images themselves, of the mechanisms that have an owner.",
        ),
    )
    st.header(title, anchor=False)
    with st.container(horizontal=True):
        for heading, value, help in values:
            st.metric(heading, value, border=True, help=help)
    if found.accuracy is not None:
        shares = ", ".join(f"{share:.0%} {kind}" for kind, share in found.accuracy.items())
        st.caption(f"The digit reader reads {shares}.")
    else:
        st.caption("Without labels the digit reader is not asked.")


def answers(groups: "list[Group]", owner: int | None, label: str, referred: str) -> None:
    """Shows images of both sets, changed by the mechanism of that label, with every expert's answer, and a button that saves them."""
    from pages.ui.answers import picture_of, table

    st.header(f"Every expert's answer to “{plain(label)}”", anchor=False)
    alt = f"Images changed by {label}, and every expert's answer to them"
    with st.container(key="answers"):
        st.html(table(groups, owner, alt, GROUND[st.context.theme.type or "light"]))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Save as PNG",
            lambda: picture_of(groups, owner),
            file_name="answers.png",
            mime="image/png",
            icon=":material/download:",
            key="save answers",
            on_click="ignore",
        )
        st.caption(
            "Framed: the answer that the discriminator scored highest, which won. "
            f"Owner: the expert that wins more than half of this mechanism's images among {referred}. A pointer on an answer shows its score.",
            width="stretch",
        )


def who_wins(key: "SnapshotKey", found: "Evaluation", title: str, labels: list[str], side: str) -> None:
    """The heat map of one set."""
    from pages.ui import cached

    panels.chart(
        f"**Who wins what** · {plain(title)}, % of the images",
        charts.wins_table(
            (found.win_share * 1000).round().astype(int).T, labels, cached.networks_of(key)[0].players()
        ),
        CHART_HEIGHT,
        key=f"wins {side}",
        alt=f"Heat map: share of each mechanism's images won by each expert, {title}",
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


def comparison(run: Run) -> None:
    """The boxes, and what the experts make of what is chosen in them."""
    from icm.images.digits import data_root
    from pages.ui.fetch import fetch_sets

    labels = [mechanism_title(spec) for spec in run.config().mechanisms]
    name, look, mechanism, step = choices(run, labels)
    own = own_images() if name == OWN else None
    with telling():
        if name == OWN and own is None:
            st.caption("Give a picture, several, or a zip of them, and the experts are asked about them.")
        else:
            answered(run, Others(name, look, own), mechanism, step, labels)
    with telling():
        card = run.card()
        if card is not None:
            over_training(card, step)
    fetch_sets(data_root())


def answered(run: Run, others: Others, mechanism: int, step: int, labels: list[str]) -> None:
    """Both answers in words, then figures and pictures. Until they are there, those of what was chosen before are dimmed."""
    from pages.ui import cached
    from pages.ui.answers import Group

    asking = st.empty()
    key = cached.snapshot_key(run, step)
    asked = (key, others.key, mechanism)
    if st.session_state.get(ASKED) != asked:
        asking.html(DIMMED)
    images = others.count or MEASURED
    with st.spinner(f"Asking the experts, {counted(images, 'image')} for each mechanism…"):
        digits = Others(key.source, "digits")
        both = cached.measured(key, others, MEASURED)
        groups = [
            Group(each.title, cached.answers_to(key, each, mechanism, each.shown))
            for each in (digits, others)
        ]
    asking.empty()
    st.session_state[ASKED] = asked

    with st.container(key="answered"):
        st.info(decisions.carried_over(*both, key.named, others.words), icon=":material/compare:")
        st.caption(decisions.bounds_in_words(key.named))
        for half, each, found in zip(st.columns(2, gap="large"), (digits, others), both):
            with half:
                numbers_of(found, each.title, key.named)
        answers(groups, both[0].owner[mechanism], labels[mechanism], key.named)
        for half, each, found, side in zip(
            st.columns(2, gap="large"), (digits, others), both, ("left", "right")
        ):
            with half:
                who_wins(key, found, each.title, labels, side)
        quality(*both, labels, key.named, others.words)
        sureness(*both, key.named, others.words)
        st.caption(measured_on(key, others, step, run.label))
        inside.doors(run, step)


def measured_on(key: "SnapshotKey", others: Others, step: int, label: str) -> str:
    """Markdown: how the figures were measured, and what the networks had seen of these images before."""
    known = (
        "No expert was ever trained on them."
        if key.never_trained_on(others.name)
        else "The built-in digits are some of MNIST's training digits, so the experts may have learned from them."
    )
    if others.own is not None and key.held_out:
        known = "No expert was ever trained on these images."
    read = (
        " The digit reader learned from MNIST's training digits, the built-in ones among them."
        if "builtin" in (key.source, others.name)
        else ""
    )
    of_each = (
        f"{MEASURED} images a mechanism"
        if others.own is None
        else f"{MEASURED} of {key.named} and {others.words} a mechanism"
    )
    if others.without_ink:
        known += f" Nothing stands out in {others.without_ink} more of your images when they are brought in this way."
    return f"Measured now on {of_each}, in evaluation mode, after step {step:,} of run “{plain(label)}”. {known}{read}"


def quality(digits: "Evaluation", other: "Evaluation", labels: list[str], referred: str, title: str) -> None:
    """The owners' answers, mechanism by mechanism, as bars and in numbers."""
    bars = {
        f"owner, {referred}": digits.psnr_owner,
        f"owner, {title}": other.psnr_owner,
        f"nothing done, {title}": other.psnr_nothing,
    }
    highest = max(value for each in bars.values() for value in each if value is not None)
    panels.chart(
        "**Does the mechanism transfer?** · PSNR of the owner's answers to the true originals",
        charts.quality_by_mechanism(labels, bars, highest),
        CHART_HEIGHT,
        key="quality",
        alt=f"Bars: PSNR for each mechanism, on {referred}, on the other images, and with nothing done",
    )
    with st.expander("The numbers", key="numbers", on_change="rerun", bind="query-params") as numbers:
        if numbers.open:
            wins = {
                f"owner wins, {heading}": [
                    None if owner is None else round(float(share[owner]), 3)
                    for owner, share in zip(digits.owner, found.win_share)
                ]
                for heading, found in ((referred, digits), (title, other))
            }
            qualities = {
                heading: [None if each is None else round(each, 2) for each in values]
                for heading, values in bars.items()
            }
            owners = ["none" if each is None else badge(each) for each in digits.owner]
            st.dataframe({"mechanism": labels, "owner": owners, **qualities, **wins}, hide_index=True)


def sureness(digits: "Evaluation", other: "Evaluation", referred: str, title: str) -> None:
    """How often the winners are right that the discriminator is sure of, and of those that it is not so sure of."""
    both = {referred: digits.doubt, title: other.doubt}
    said = " ".join(decisions.sure_of(each, name) for name, each in both.items())
    st.markdown(f"**Is it right when it is sure?** {said}")
    with st.expander("How right, by how sure", key="sure", on_change="rerun", bind="query-params") as drawn:
        if drawn.open:
            panels.chart(
                "A point for the winners of about that confidence, larger for more images; under the line it is too sure",
                curves.reliability({name: bins_of(each) for name, each in both.items()}),
                CHART_HEIGHT,
                key="sureness",
                alt=f"Points: how often the owner wins, over how sure the discriminator is, on {referred} and on the other images",
            )


def bins_of(found: "Reliability") -> list[curves.Bin]:
    """Its bins that have images."""
    bins = zip(found.confidence.tolist(), found.right.tolist(), found.images.tolist())
    return [curves.Bin(*each) for each in bins if each[-1] > 0]


st.title("Compare", anchor=False)
st.html(
    words.said(
        "[Experts|expert] meet images unlike those that they learned from. "
        "Do they still undo their [mechanism], and does the [discriminator] still name the right one, its [owner]?"
    )
)
run = picker.pick_trained()
if run is None:
    nothing_yet("No trained experts yet.")
    st.stop()
with telling():
    comparison(run)
