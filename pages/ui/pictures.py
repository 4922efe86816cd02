"""Pictures that need the networks or the digits: computed once for what they show, then served from a cache.

All are inlined. A picture with an address of its own is gone when a busy browser asks for it after the next tick, and
Streamlit sends what has not changed once, however often the page looks. Caches serve the whole server for as long as it runs, so whatever a picture depends on is found out
before the cache is asked, and is part of its key."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
import torch
from PIL import Image

from icm.classifier import Reader, load_reader
from icm.config import RunConfig
from icm.data import Digits, Source, data_root, load_digits, resolve_source, source_at_hand
from icm.evaluation import (
    Examples,
    Round,
    chain,
    changed_digits,
    examples,
    examples_of_one,
    networks,
)
from icm.figures import badge, colour, picture_table
from icm.mechanisms import KINDS, parse
from icm.shapes import Images
from icm.store import Run
from icm.transfer import Transfer, transfer
from icm.unseen import Look, Unseen, load_unseen

DETAIL_DIGITS = 8
torch.set_num_threads(1)  # the other cores are the trainer's


@dataclass(frozen=True)
class Shown:
    """A snapshot, and the digits that its experts are shown on: all that the pictures of a run depend on."""

    folder: Path
    step: int
    digest: str  # of the snapshot: another run may take this one's name, and its folder
    config: RunConfig
    source: Source  # the run's own digits, or the built-in ones while MNIST is not here
    root: Path

    @property
    def held_out(self) -> bool:
        """Whether no expert learned from these digits: the built-in ones are some of MNIST's training digits."""
        return self.source == self.config.source

    def never_trained_on(self, name: str) -> bool:
        """Whether no expert learned from these digits, nor from the set of that name."""
        return self.held_out and not (self.config.source == "mnist" and name == "builtin")

    @property
    def kind_of_digit(self) -> str:
        """What the digits in the pictures are, in words that claim no more than is so."""
        if self.held_out:
            return "held-out digit"
        return "built-in digit (MNIST is not here, and the experts may have seen it)"


# How a cache tells two of them apart: by what is written in them, a tenth of the time that Streamlit takes to walk through.
BY: dict[str | type[Any], Callable[[Any], Any]] = {Shown: repr}


def shown(run: Run, step: int) -> Shown:
    """What a page shows now of a run; looked up each time, for MNIST may have arrived and the run may be another."""
    config, root = run.config(), data_root()
    return Shown(
        run.folder, step, run.snapshot_digest(step), config, source_at_hand(config.source, root), root
    )


@st.cache_resource(max_entries=2, show_spinner=False)
def digits(source: Source, root: Path) -> Digits:
    return load_digits(source, root)


def _any_digits() -> Digits:
    """The best digits that are here, for pictures that are about no run."""
    root = data_root()
    return digits(resolve_source("auto", root), root)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=BY)
def _networks(shown: Shown):
    return networks(shown.config, Run(shown.folder).snapshot(shown.step))


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=BY)
def _examples(shown: Shown) -> Examples:
    held_out = digits(shown.source, shown.root).test
    return examples(*_networks(shown), held_out, parse(shown.config.mechanisms))


@st.cache_resource(show_spinner=False)
def reader() -> Reader:
    return load_reader()


def a_digit(number: int) -> np.ndarray:
    """A real digit, of MNIST's test set where that is here, 32 x 32 in [0, 1]."""
    held_out = _any_digits().test
    return held_out[number % len(held_out), 0].numpy() / 255


def rounds(shown: Shown, image: Images, most: int) -> list[Round]:
    """The experts of a snapshot on one image, and on the winner's answer, and so on."""
    return chain(*_networks(shown), image, most)


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=BY)
def cards(shown: Shown) -> str:
    """HTML: a card a mechanism, what came in, what the winner made of it, and the true original."""
    found = _examples(shown)
    return _grid(
        [
            _card(
                KINDS[mechanism.name].symbol,
                mechanism.name.replace("_", "-"),
                [
                    ("changed", changed[0].numpy()),
                    ("restored", restored[0].numpy()),
                    ("original", truth[0].numpy()),
                ],
                winner=int(winner),
            )
            for mechanism, changed, restored, truth, winner in zip(
                parse(shown.config.mechanisms),
                found.transformed,
                found.contest.restored,
                found.original,
                found.contest.winner,
            )
        ]
    )


def mechanism_cards(specs: tuple[str, ...]) -> str:
    """HTML: a card a mechanism, a digit before and after."""
    mechanisms = parse(specs)
    original, changed = changed_digits(_any_digits().test, mechanisms)
    return _grid(
        [
            _card(
                KINDS[mechanism.name].symbol,
                mechanism.name.replace("_", "-"),
                [("original", before[0].numpy()), ("changed", after[0].numpy())],
            )
            for mechanism, before, after in zip(mechanisms, original, changed)
        ]
    )


def before_and_after(spec: str) -> str:
    """HTML: a digit, and what the mechanism makes of it."""
    (mechanism,) = parse([spec])
    original, changed = changed_digits(_any_digits().test, [mechanism])
    pictures = _picture(original[0, 0].numpy(), "a digit") + _picture(changed[0, 0].numpy(), spec)
    return f"<style>{STYLE}</style><div class='icm-pair'>{pictures}</div>"


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=BY)
def answers(shown: Shown) -> bytes:
    """PNG: a row a mechanism; what came in, every expert's answer with the winner's framed, the true original."""
    found = _examples(shown)
    experts = [badge(expert) for expert in range(len(found.contest.answers))]
    columns = torch.cat([found.transformed[None], found.contest.answers, found.original[None]])
    return _png(
        picture_table(
            columns[:, :, 0].transpose(0, 1).numpy(),
            [mechanism.name.replace("_", "-") for mechanism in parse(shown.config.mechanisms)],
            ["input", *experts, "original"],
            {(row, 1 + winner): colour(winner) for row, winner in enumerate(found.contest.winner.tolist())},
        )
    )


def scores(shown: Shown) -> np.ndarray:
    """The discriminator's scores of those answers; a row a mechanism, a column an expert."""
    return _examples(shown).contest.logits.T.numpy()


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=BY)
def detail(shown: Shown, expert: int, mechanism: int) -> bytes:
    """PNG: some digits of one mechanism, a column each: as it came in, the expert's answer, the original; its score."""
    found = examples_of_one(
        *_networks(shown),
        digits(shown.source, shown.root).test,
        parse(shown.config.mechanisms)[mechanism],
        DETAIL_DIGITS,
    )
    rows = torch.stack([found.transformed, found.contest.answers[expert], found.original])
    winners = found.contest.winner.tolist()
    scores = found.contest.logits[expert].tolist()
    return _png(
        picture_table(
            rows[:, :, 0].numpy(),
            ["input", badge(expert), "original"],
            [
                f"{score:+.1f}\n" + ("won" if winner == expert else f"{badge(winner)} won")
                for score, winner in zip(scores, winners)
            ],
            {(1, column): colour(expert) for column, winner in enumerate(winners) if winner == expert},
        )
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def unseen(name: str, root: Path, look: Look, count: int) -> Unseen:
    return load_unseen(name, root, look, count)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY)
def measured(shown: Shown, name: str, look: Look, count: int) -> Transfer:
    """The experts of a snapshot on the digits and on another set."""
    digits = unseen(shown.source, shown.root, look, count)
    other = unseen(name, shown.root, look, count)
    return transfer(*_networks(shown), parse(shown.config.mechanisms), digits, other)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY)
def everyone_on(shown: Shown, name: str, look: Look, mechanism: int, owner: int | None, count: int) -> bytes:
    """PNG: a row an image of the set; changed by the mechanism, every expert's answer, original. The owner's column framed."""
    found = examples_of_one(
        *_networks(shown),
        unseen(name, shown.root, look, count).pixels,
        parse(shown.config.mechanisms)[mechanism],
        count,
    )
    experts = [badge(expert) for expert in range(len(found.contest.answers))]
    columns = torch.cat([found.transformed[None], found.contest.answers, found.original[None]])
    winners = found.contest.winner.tolist()
    frames = {} if owner is None else {(row, 1 + owner): colour(owner) for row in range(count)}
    return _png(
        picture_table(
            columns[:, :, 0].transpose(0, 1).numpy(),
            [f"{badge(winner)} won" for winner in winners],
            ["input", *experts, "original"],
            frames,
        )
    )


def show(png: bytes, alt: str, name: str, least: int) -> None:
    """The picture, never narrower than `least` pixels: a phone scrolls it sideways; and a button that saves it."""
    with st.container(key=name, gap="small"):
        st.html(f"<style>.st-key-{name}{{overflow-x:auto}}.st-key-{name} img{{min-width:{least}px}}</style>")
        st.image(inlined(png), alt=alt)
    st.download_button(
        "Save as PNG",
        lambda: png,
        file_name=f"{name}.png",
        mime="image/png",
        icon=":material/download:",
        key=f"save {name}",
        on_click="ignore",
    )


def _card(symbol: str, name: str, images: list[tuple[str, np.ndarray]], winner: int | None = None) -> str:
    chip = (
        ""
        if winner is None
        else f'<span class="icm-chip" style="border-color:{colour(winner)}">{badge(winner)}</span>'
    )
    pictures = "".join(
        f'<figure><img src="{data_url(image)}" alt="{escape(word)}"><figcaption>{escape(word)}</figcaption></figure>'
        for word, image in images
    )
    return f'<div class="icm-card"><div class="icm-name"><span>{escape(symbol)} {escape(name)}</span>{chip}</div><div class="icm-row">{pictures}</div></div>'


def _grid(parts: list[str]) -> str:
    return f"<style>{STYLE}</style><div class='icm-grid'>{''.join(parts)}</div>"


def _picture(image: np.ndarray, words: str) -> str:
    words = escape(words)
    return f"<img src='{data_url(image)}' alt='{words}' title='{words}'>"


def data_url(image: np.ndarray) -> str:
    """An image in [0, 1] as a PNG that needs no second request."""
    pixels = (image.clip(0, 1) * 255).round().astype(np.uint8)
    return inlined(_png(pixels))


def inlined(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


STYLE = """
.icm-grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(180px,1fr));gap:12px}
.icm-card{border:1px solid rgba(128,128,128,.3);border-radius:10px;padding:10px 12px}
.icm-name{display:flex;justify-content:space-between;align-items:center;font-weight:600;margin-bottom:8px;font-size:.95rem}
.icm-chip{border:2px solid;border-radius:999px;padding:0 8px;font-size:.8rem;line-height:1.4}
.icm-row{display:flex;gap:8px}
.icm-row figure{margin:0;flex:1;min-width:0;max-width:96px}
.icm-row img{width:100%;image-rendering:pixelated;border-radius:4px;display:block}
.icm-row figcaption{font-size:.75rem;opacity:.7;margin-top:3px;text-align:center}
.icm-pair{display:flex;gap:6px}
.icm-pair img{width:44%;max-width:72px;image-rendering:pixelated;border-radius:4px;outline:1px solid rgba(128,128,128,.4)}
"""
