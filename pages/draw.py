"""Draw a digit and see which expert claims it.

The page shows what you gave, what the networks see, what the mechanisms make of it, every expert's answer, and the winner's
answer beside the original. The link carries run, input, stage, and mechanisms with their strengths."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import streamlit as st
from jaxtyping import Float
from streamlit.delta_generator import DeltaGenerator

from icm.config import mechanism_title
from icm.images import sketch
from icm.runs.run import Run
from pages.ui import decisions, inside, link, picker, words
from pages.ui.given import Grey, Picture, what_is_given
from pages.ui.pad import DRAWN
from pages.ui.run_view import roles_of
from pages.ui.tiles import tiles
from pages.ui.told import nothing_yet, telling

Stage = Literal["centred", "drawn"]
STAGE_WORDS: dict[Stage, str] = {"centred": "Centred as MNIST", "drawn": "Exactly as drawn"}
STAGE_SAID: dict[Stage, str] = {
    "centred": "We centred it like MNIST: cropped, scaled to a box of 20 pixels, put in the middle by its mass, ink made bright.",
    "drawn": "We left it as you drew it: a shift, or a swap of bright and dark, is still there.",
}
MOST_ROUNDS = 6  # after the first: how often Again can be pressed

# On a phone the pad, then who claims it, then the settings, which on a wide page stand under the pad.
SETTINGS_LAST = """<style>@media(max-width:640px){
.st-key-laboratory [data-testid=stColumn]:first-child,.st-key-laboratory [data-testid=stColumn]:first-child>[data-testid=stVerticalBlock]{display:contents}
.st-key-laboratory [data-testid=stHorizontalBlock]:has([data-testid=stColumn]){gap:.75rem}
.st-key-laboratory :has(>.st-key-settings){order:9;width:100%}
.st-key-said{display:none}
}</style>"""


MORE = "Mechanisms beside the paper's ten, such as a rotation. No expert of the run in the box has met them."


@dataclass(frozen=True)
class Choices:
    """What is to be done with a drawing."""

    stage: Stage
    specs: list[str]  # of the mechanisms in the order in which they are applied
    offered: list[str]  # mechanisms
    tiles: DeltaGenerator  # the place for a tile of each; they come last, for nobody waits for them


def choices(run: Run, step: int) -> Choices:
    """The widgets that say what is to be done."""
    from icm.images.mechanisms import kinds

    stage: Stage = (
        st.segmented_control(
            "What the networks see",
            get_args(Stage),
            default="centred",
            required=True,
            key="stage",
            bind="query-params",
            format_func=STAGE_WORDS.__getitem__,
            help="Centring would undo a shift that you drew, and making ink bright would undo a swap of bright and dark: "
            "choose 'Exactly as drawn' to have the experts undo them.",
        )
        or "centred"
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            "Then change it by · tap one, + adds another",
            help="Applied one after the other. Tap the chosen one again for none.",
        )
        more = st.toggle("More", key="more", bind="query-params", width="content", help=MORE)
    place = st.container()
    chosen = in_link()
    for name, strength in chosen.items():
        strength_of(name, strength)
        how_far(run, step, name, strength)
    specs = [f"{name}={strength:g}" for name, strength in chosen.items()]
    return Choices(
        stage, specs, decisions.offered(kinds(), run.config().mechanisms, list(chosen), more), place
    )


def in_link() -> dict[str, float]:
    """The mechanisms that the link names, with their strengths; `right` while it names none."""
    from icm.images.mechanisms import kinds

    return link.read(st.query_params.get("mechanisms", "right"), kinds())


def choose(names: list[str]) -> None:
    """The link names these mechanisms. Those that it named before keep their strengths."""
    from icm.images.mechanisms import kinds

    before = in_link()
    chosen = {name: before.get(name, kinds()[name].default) for name in names}
    st.query_params["mechanisms"] = link.written(chosen, kinds())


def strength_of(name: str, strength: float) -> None:
    """The slider of a mechanism's strength, which the link keeps."""
    from icm.images.mechanisms import kinds

    kind, key = kinds()[name], f"strength {name}"

    def keep() -> None:
        changed = {**in_link(), name: st.session_state[key]}
        st.query_params["mechanisms"] = link.written(changed, kinds())

    st.session_state[key] = strength
    st.slider(
        f"{kind.symbol} {mechanism_title(name)}, {kind.unit}",
        kind.low,
        kind.high,
        step=kind.step,
        format="%g",
        key=key,
        on_change=keep,
        help="The experts know the strength that they were trained on.",
    )


def how_far(run: Run, step: int, name: str, strength: float) -> None:
    """How the owner of the mechanism answers over its strength; computed only while somebody looks at it."""
    with st.expander(
        "How far from what it was trained on?",
        icon=":material/show_chart:",
        key=f"far {name}",
        on_change="rerun",
    ) as folded:
        if not folded.open:
            return
        from pages.ui import cached, response

        with telling():
            key = cached.snapshot_key(run, step)
            known = [spec.partition("=")[0] for spec in key.config.mechanisms]
            if name not in known:
                st.caption(f"No expert of this run was trained on {mechanism_title(name)}.")
                return
            with st.spinner("Asking who undoes it…"):
                owner = cached.owners_of(key)[known.index(name)]
            if owner is None:
                st.caption(f"No expert of this run owns {mechanism_title(name)}.")
                return
            response.show(key, owner, known.index(name), side_by_side=False, chosen=strength)


def seen_as(given: Grey, stage: Stage) -> Float[np.ndarray, "32 32"]:
    """What was given as the networks see it."""
    return sketch.canonical(given) if stage == "centred" else sketch.as_drawn(given)


def one_more() -> None:
    st.session_state["again"] = st.session_state.get("again", 0) + 1


@telling()
def laboratory(run: Run, step: int) -> None:
    """Everything on the page that a stroke changes. It is a fragment, so a stroke runs nothing else."""
    st.html(SETTINGS_LAST)
    left, right = st.columns([2, 5], gap="large")
    with left:
        given = what_is_given()
        settings = st.container(key="settings")
    if isinstance(given, str):
        st.session_state["again"] = 0
        right.info(given, icon=":material/draw:")
    with settings:
        wanted = choices(run, step)
    pictures = {}
    if not isinstance(given, str):
        from pages.ui import (
            claims,  # torch takes seconds to import the first time: the pad is on the page by then
        )

        seen = st.session_state[DRAWN] = seen_as(given.used, wanted.stage)
        with right, telling():
            answer(run, step, given, seen, wanted)
        pictures = claims.changed_by(seen, wanted.offered)
    with wanted.tiles:
        tiles("mechanisms", wanted.offered, pictures, list(in_link()), on_choose=choose)


def answer(run: Run, step: int, given: Picture, seen: Float[np.ndarray, "32 32"], wanted: Choices) -> None:
    """Who claims what was given, and everyone's answers."""
    from pages.ui import cached, claims

    roles = roles_of(run)
    most = 1 + st.session_state.get("again", 0)
    key = cached.snapshot_key(run, step)
    found = claims.claim(cached.networks_of(key), seen, wanted.specs, most)
    st.html(claims.path(given.whole, given.part, wanted.specs, found, roles, cached.reader()))
    st.caption(STAGE_SAID[wanted.stage])
    st.markdown("**Every expert's answer** · with the discriminator's score; the best wins")
    st.html(claims.everyone(found, roles, cached.emblems(key)))
    again = len(found.rounds) <= MOST_ROUNDS and found.rounds[-1].better
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Again",
            icon=":material/replay:",
            on_click=one_more,
            disabled=not again,
            help="Feeds the winner's answer back in: undoes mechanisms applied one after the other.",
        )
        inside.door(found.winner)
        st.caption(claims.verdict(found), width="content")
    inside.doors(run, step)
    if len(found.rounds) > 1:
        st.html(claims.steps(found, roles))
        st.button("Back to one round", on_click=lambda: st.session_state.update(again=0))


heading, place = st.columns([3, 2], vertical_alignment="bottom")
heading.title("Draw", anchor=False)
with place:
    run = picker.pick_trained()
with st.container(key="said"):
    st.html(
        words.said(
            "Draw a digit, let a [mechanism] change it, and see which [expert] claims it. Every expert answers; the [discriminator] "
            "picks the [winner]."
        )
    )
if run is None:
    nothing_yet("No trained experts yet.")
else:
    with telling():
        run.config()
        with st.container(key="laboratory"):
            st.fragment(laboratory)(run, run.snapshots.steps()[-1])
