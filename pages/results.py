"""The paper's experiments, made again: a card for each, ours beside the paper's, over seeds, with intervals.

All figures come from docs/results/, which `icm study`, `chains`, `clothes` and `supervised` write. A point of a figure leads to its run, where that is here."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from icm.show import chained, clothes, diagnosed, results, supervised
from icm.show.chained import Chained
from icm.show.clothes import Clothes
from icm.show.results import Row, Variant
from icm.show.supervised import Supervised
from pages.ui import picker, words
from pages.ui.run_view import counted
from pages.ui.told import telling

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEGEND = (
    "Ten mechanisms, full MNIST, where a card says nothing else. `paper` is the paper's setting. `robust` adds a conscience and four "
    "other changes and takes fewer steps; the newest of these, a bound on gradients, only its own study has so far. `quick` is the small "
    "one, with four mechanisms."
)
BEYOND = "Beyond the paper"
# The cards of what is measured beside the studies.
MEASURED = {
    "taught": "What could be undone at all",
    "chains": "Mechanisms one after the other",
    "clothes": "Where it breaks: clothes",
}
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d"]}


def card(row: Row, found: Sequence[Variant]) -> None:
    """One experiment: what it asks, the paper's answer, ours, and the figure that ours stands on."""
    with st.container(border=True, key=f"row {row.number}"):
        st.subheader(row.title, anchor=f"row-{row.number}")
        if not found:
            if row.paper:
                st.markdown(f"**The paper**, as recalled: {row.paper}")
            not_yet("run", *row.commands())
            return
        left, right = st.columns([3, 2], gap="medium")
        with left:
            drawn(row, found)
        with right:
            st.markdown(f"**The paper**, as recalled  \n{row.paper}" if row.paper else BEYOND)
            lines = [f"- `{each.label}`: {row.ours(each)}." for each in found]
            st.markdown("\n".join(["**Ours**", *lines]))
            if row.together:
                st.markdown(row.together(found))
            with st.expander("How it was made", icon=":material/terminal:", key=f"made {row.number}"):
                for each in found:
                    st.caption(made_by(each))


def not_yet(done: str, *commands: str) -> None:
    """A card of which there are no figures: what it takes to have some."""
    st.markdown(f"**Ours**: not {done} yet. It takes")
    st.code("\n".join(commands), language=None, wrap_lines=True)


def of_chains(found: Sequence[Chained]) -> None:
    """Mechanisms one after the other, undone greedily: which pairs come back."""
    found = [each for each in found if 2 in each.chains]
    with st.container(border=True, key="row chains"):
        st.subheader(MEASURED["chains"], anchor="row-chains")
        if not found:
            not_yet("measured", "python -m icm chains RUN --depth 2 --out docs/results/chains/NAME.json")
            return
        from icm.show import measured  # it imports Plotly, which takes a second

        left, right = st.columns([3, 2], gap="medium")
        left.plotly_chart(
            measured.chains(found, st.context.theme.type or "light"),
            key="figure chains",
            config=CONFIG,
        )
        with right:
            st.markdown(BEYOND)
            st.caption(
                "The winner's answer goes back in for as long as an answer scores clearly better than what came in. "
                f"A digit has come back from {found[0].undone_from:g} dB to the original on."
            )
            st.markdown("\n".join(f"- `{each.name}`: {chained.in_words(each)}." for each in found))
            with st.expander("How it was made", icon=":material/terminal:", key="made chains"):
                for each in found:
                    commands = "".join(f"  \n`{command}`" for command in each.commands())
                    st.caption(
                        f"`{each.name}` · {counted(each.images, 'digit')} a chain · {each.date}{commands}"
                    )


def of_clothes(found: Sequence[Clothes]) -> None:
    """Where it breaks: clothes beside digits, and what makes the difference."""
    with st.container(border=True, key="row clothes"):
        st.subheader(MEASURED["clothes"], anchor="row-clothes")
        if not found:
            not_yet("measured", "python -m icm clothes RUN --out docs/results/clothes/NAME.json")
            return
        from icm.show import measured  # it imports Plotly, which takes a second

        left, right = st.columns([3, 2], gap="medium")
        left.plotly_chart(
            measured.clothes(found, st.context.theme.type or "light"), key="figure clothes", config=CONFIG
        )
        with right:
            st.markdown(BEYOND)
            st.caption(
                "Clothes (Fashion-MNIST) are larger than digits, darker, and have more ink. One property at a time is "
                "changed: clothes are made more like digits, and digits more like clothes. What is to blame makes the first better and the second worse. Size changes the ink too: the points tell how much."
            )
            st.markdown("\n".join(f"- `{each.name}`: {clothes.in_words(each)}." for each in found))
            with st.expander("How it was made", icon=":material/terminal:", key="made clothes"):
                for each in found:
                    st.caption(
                        f"`{each.name}` · {counted(each.images, 'image')} a set · {each.date}  \n"
                        f"`{results.trained_as(each.command, each.run)}`  \n"
                        f"`python -m icm clothes {each.run} --images {each.images} --out docs/results/clothes/{each.name}.json`"
                    )


def of_taught(found: Sequence[Supervised], known: Mapping[str, Mapping[str, Any]]) -> None:
    """What the networks could undo if they were taught with pairs, beside what the experts came to undo."""
    with st.container(border=True, key="row taught"):
        st.subheader(MEASURED["taught"], anchor="row-taught")
        if not found:
            not_yet("measured", "python -m icm supervised --out docs/results/supervised/NAME.json")
            return
        from icm.show import measured  # it imports Plotly, which takes a second

        experts = supervised.of_experts(known)
        for each in found:
            left, right = st.columns([3, 2], gap="medium")
            left.plotly_chart(
                measured.supervised(each, experts, st.context.theme.type or "light"),
                key=f"figure taught {each.name}",
                config=CONFIG,
            )
            with right:
                st.markdown(BEYOND)
                st.caption(
                    "A network like an expert's, alone, is taught one mechanism with pairs of changed and original digit, which no "
                    "expert ever sees: about the most that can be asked of one. Where it far exceeds the experts, the competition "
                    "does not get there; where it too hardly exceeds doing nothing, the network sees too little, what it would need is lost, or it was taught too shortly. "
                    f"An image is brought back here from {results.LEAST_GAIN:g} dB over doing nothing on, in the mean."
                )
                st.markdown("\n".join(f"- {said}." for said in supervised.in_words(each, experts)))
                with st.expander(
                    "How it was made", icon=":material/terminal:", key=f"made taught {each.name}"
                ):
                    st.caption(
                        f"One network for each mechanism, {each.steps:,} steps of {each.batch} pairs · {counted(each.images, 'digit')} "
                        f"a mechanism · {each.date}  \n`{each.command} --out docs/results/supervised/{each.name}.json`"
                    )


def made_by(each: Variant) -> str:
    """Markdown: how many runs, when and on what, and what makes them again."""
    seeds = sorted(run["seed"] for run in each.runs)
    dates = sorted({run["date"] for run in each.runs})
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    types = {
        run["machine"]: {its["dtype"] for its in each.runs if its["machine"] == run["machine"]}
        for run in each.runs
    }
    machines = "; ".join(f"{machine}, {' and '.join(sorted(types[machine]))}" for machine in sorted(types))
    only = "" if each.name == each.study else f" --only {each.name}"
    command = f"python -m icm study {each.study} --seeds {seeds_of(seeds)}{only}"
    return f"`{each.label}` · {counted(len(seeds), 'seed')} · {days} · {machines}  \n`{command}`"


def seeds_of(seeds: Sequence[int]) -> str:
    """The seeds as the command takes them."""
    whole = len(seeds) > 1 and seeds[-1] - seeds[0] == len(seeds) - 1
    return f"{seeds[0]}:{seeds[-1] + 1}" if whole else ",".join(map(str, seeds))


def drawn(row: Row, found: Sequence[Variant]) -> None:
    """The figure, what a click on a point leads to, and the downloads."""
    from icm.show import figures  # it imports Plotly, which takes a second

    figure = figures.figure(row.number, found, st.context.theme.type or "light")
    chosen = st.plotly_chart(
        figure, key=f"figure {row.number}", on_select="rerun", selection_mode="points", config=CONFIG
    )
    points = chosen["selection"]["points"] if chosen else []
    with st.container(horizontal=True, vertical_alignment="center"):
        if points and isinstance(points[0].get("customdata"), str):
            to_run(points[0]["customdata"])
        st.download_button(
            "CSV",
            lambda: in_csv(found),
            f"row-{row.number}.csv",
            "text/csv",
            icon=":material/table:",
            on_click="ignore",
            key=f"csv {row.number}",
        )
        st.download_button(
            "HTML",
            lambda: in_html(figure),
            f"row-{row.number}.html",
            "text/html",
            icon=":material/language:",
            on_click="ignore",
            key=f"html {row.number}",
        )
        st.caption("PNG by the camera above the figure", width="content")


def to_run(name: str) -> None:
    """A way to the run of a point, where it is here."""
    here = {run.id for run in picker.store().runs()}
    if name in here:
        if st.button(f"Watch {name}", icon=":material/monitoring:", key=f"to {name}"):
            st.switch_page("monitor.py", query_params={"run": name})
    else:
        st.caption(f"{name} was run elsewhere; it is not among the runs here.", width="content")


def in_html(figure: "go.Figure") -> str:
    """The figure as a page of its own, which needs no network."""
    return figure.to_html(include_plotlyjs=True)


def in_csv(found: Sequence[Variant]) -> str:
    """A line for each run: all that is one value, and what the diagnosis found. The curves are in docs/results/."""
    every = [{"study": each.study} | run | diagnosed.columns(run) for each in found for run in each.runs]
    names = dict.fromkeys(
        name for run in every for name, value in run.items() if not isinstance(value, list | Mapping)
    )
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(every)
    return text.getvalue()


def at_a_glance(all_found: Mapping[int, list[Variant]]) -> None:
    """The rows, one line each, with how many runs each has; below them what is measured beside the studies."""
    lines = []
    for row in results.ROWS:
        found = all_found[row.number]
        runs = sum(len(each.runs) for each in found)
        said = counted(runs, "run") if runs else "not run yet"
        lines.append(f"- [{row.title}](#row-{row.number}) · {said}")
    lines += [f"- [{title}](#row-{name})" for name, title in MEASURED.items()]
    st.markdown("\n".join(lines))


st.title("Results", anchor=False)
st.html(
    words.said(
        "Is it always so, with every seed? What if there are six [experts|expert], or sixteen, or one large [network]? "
        "The paper's experiments, made again as far as they have been run, and what came of them."
    )
)
with telling():
    known: dict[str, dict[str, Any]] = results.read()
    every = {row.number: row.found(known) for row in results.ROWS}
    at_a_glance(every)
    st.caption(LEGEND)
    for row in results.ROWS:
        card(row, every[row.number])
    of_taught(supervised.read(), known)
    of_chains(chained.read())
    of_clothes(clothes.read())
