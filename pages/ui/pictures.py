"""Pictures that need the networks or the digits: computed once per snapshot, then served from a cache."""

import base64
import io
from pathlib import Path

import streamlit as st
from PIL import Image

from icm.data import data_root, load_digits, named_source, resolve_source
from icm.evaluation import changed_digits, examples, networks
from icm.figures import badge, colour, mosaic
from icm.mechanisms import KINDS, parse
from icm.store import Run


@st.cache_resource(max_entries=2, show_spinner=False)
def digits(source: str, root: Path):
    return load_digits(named_source(source), root)


@st.cache_data(max_entries=16, show_spinner=False)
def cards(folder: Path, step: int) -> str:
    """HTML: a card a mechanism, what came in, what the winner made of it, and the true original."""
    run = Run(folder)
    config = run.config()
    mechanisms = parse(config.mechanisms)
    held_out = digits(config.source, data_root()).test
    shown = examples(*networks(config, run.snapshot(step)), held_out, mechanisms)
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
                mechanisms, shown.transformed, shown.restored, shown.original, shown.winner
            )
        ]
    )


@st.cache_data(max_entries=4, show_spinner=False)
def mechanism_cards(specs: tuple[str, ...]) -> str:
    """HTML: a card a mechanism, a digit before and after."""
    mechanisms = parse(specs)
    original, changed = changed_digits(
        digits(resolve_source("auto", data_root()), data_root()).test, mechanisms
    )
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


def _card(symbol: str, name: str, images: list[tuple[str, object]], winner: int | None = None) -> str:
    chip = (
        ""
        if winner is None
        else f'<span class="icm-chip" style="border-color:{colour(winner)}">{badge(winner)}</span>'
    )
    pictures = "".join(
        f'<figure><img src="{_data_url(image)}" alt="{word}"><figcaption>{word}</figcaption></figure>'
        for word, image in images
    )
    return f'<div class="icm-card"><div class="icm-name"><span>{symbol} {name}</span>{chip}</div><div class="icm-row">{pictures}</div></div>'


def _grid(parts: list[str]) -> str:
    return f"<style>{STYLE}</style><div class='icm-grid'>{''.join(parts)}</div>"


def _data_url(image) -> str:
    buffer = io.BytesIO()
    Image.fromarray(mosaic(image[None, None], scale=2)).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


STYLE = """
.icm-grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:12px}
.icm-card{border:1px solid rgba(128,128,128,.3);border-radius:10px;padding:10px 12px}
.icm-name{display:flex;justify-content:space-between;align-items:center;font-weight:600;margin-bottom:8px;font-size:.95rem}
.icm-chip{border:2px solid;border-radius:999px;padding:0 8px;font-size:.8rem;line-height:1.4}
.icm-row{display:flex;gap:8px}
.icm-row figure{margin:0;flex:1;min-width:0;max-width:96px}
.icm-row img{width:100%;image-rendering:pixelated;border-radius:4px;display:block}
.icm-row figcaption{font-size:.75rem;opacity:.7;margin-top:3px;text-align:center}
"""
