"""Pictures that need the networks or the digits: computed once per snapshot, then served from a cache.

Small images are inlined, so that a table of a hundred comes in one piece and none is missing."""

import base64
import io
from pathlib import Path

import numpy as np
import streamlit as st
import torch
from PIL import Image

from icm.data import data_root, load_digits, named_source, resolve_source
from icm.evaluation import Examples, changed_digits, examples, examples_of_one, networks
from icm.figures import answer_table, badge, colour, mosaic
from icm.mechanisms import KINDS, parse
from icm.store import Run

DETAIL_DIGITS = 8
torch.set_num_threads(1)  # the other cores are the trainer's


@st.cache_resource(max_entries=2, show_spinner=False)
def digits(source: str, root: Path):
    return load_digits(named_source(source), root)


@st.cache_resource(max_entries=4, show_spinner=False)
def _networks(folder: Path, step: int):
    run = Run(folder)
    return networks(run.config(), run.snapshot(step))


@st.cache_resource(max_entries=16, show_spinner=False)
def _examples(folder: Path, step: int) -> Examples:
    config = Run(folder).config()
    held_out = digits(config.source, data_root()).test
    return examples(*_networks(folder, step), held_out, parse(config.mechanisms))


@st.cache_data(max_entries=16, show_spinner=False)
def cards(folder: Path, step: int) -> str:
    """HTML: a card a mechanism, what came in, what the winner made of it, and the true original."""
    shown = _examples(folder, step)
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
                parse(Run(folder).config().mechanisms),
                shown.transformed,
                shown.restored,
                shown.original,
                shown.contest.winner,
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


@st.cache_data(max_entries=64, show_spinner=False)
def before_and_after(spec: str) -> str:
    """HTML: a digit, and what the mechanism makes of it."""
    (mechanism,) = parse([spec])
    original, changed = changed_digits(
        digits(resolve_source("auto", data_root()), data_root()).test, [mechanism]
    )
    pictures = _picture(original[0, 0].numpy(), "a digit") + _picture(changed[0, 0].numpy(), spec)
    return f"<style>{STYLE}</style><div class='icm-pair'>{pictures}</div>"


@st.cache_data(max_entries=16, show_spinner=False)
def answers(folder: Path, step: int) -> str:
    """HTML: a row a mechanism; what came in, every expert's answer with the winner's framed, the true original."""
    shown = _examples(folder, step)
    mechanisms = parse(Run(folder).config().mechanisms)
    experts = len(shown.contest.answers)
    heads = ["", "input", *map(badge, range(experts)), "original"]
    cells = [f"<div class='icm-head'>{word}</div>" for word in heads]
    for row, mechanism in enumerate(mechanisms):
        name = mechanism.name.replace("_", "-")
        cells.append(f"<div class='icm-label'>{KINDS[mechanism.name].symbol} {name}</div>")
        cells.append(_picture(shown.transformed[row, 0].numpy(), f"input, {name}"))
        winner = int(shown.contest.winner[row])
        for expert in range(experts):
            score = float(shown.contest.logits[expert, row])
            cells.append(
                _picture(
                    shown.contest.answers[expert, row, 0].numpy(),
                    f"{badge(expert)} on {name}, score {score:.1f}" + ", the winner" * (expert == winner),
                    frame=colour(expert) if expert == winner else None,
                )
            )
        cells.append(_picture(shown.original[row, 0].numpy(), f"original of {name}"))
    columns = f"minmax(88px,1.6fr) repeat({experts + 2},minmax(34px,1fr))"
    return (
        f"<style>{STYLE}</style><div class='icm-scroll'><div class='icm-answers' role='img' "
        f"aria-label='Answers of every expert to one digit of each mechanism' "
        f"style='grid-template-columns:{columns};min-width:{100 + 38 * (experts + 2)}px'>{''.join(cells)}</div></div>"
    )


@st.cache_data(max_entries=8, show_spinner=False)
def answers_png(folder: Path, step: int) -> bytes:
    """The same table as a picture to keep."""
    shown = _examples(folder, step)
    pixels = answer_table(
        shown.transformed[:, 0].numpy(),
        shown.contest.answers[:, :, 0].numpy(),
        shown.contest.winner.numpy(),
        shown.original[:, 0].numpy(),
    )
    return _png(pixels)


@st.cache_data(max_entries=32, show_spinner=False)
def detail(folder: Path, step: int, expert: int, mechanism: int) -> str:
    """HTML: some digits of one mechanism as they came in, one expert's answers with their scores, and the originals."""
    config = Run(folder).config()
    shown = examples_of_one(
        *_networks(folder, step),
        digits(config.source, data_root()).test,
        parse(config.mechanisms)[mechanism],
        DETAIL_DIGITS,
    )
    parts = []
    for index in range(DETAIL_DIGITS):
        winner = int(shown.contest.winner[index])
        score = float(shown.contest.logits[expert, index])
        verdict = "won" if winner == expert else f"{badge(winner)} won"
        parts.append(
            _card(
                f"{score:+.1f}",
                verdict,
                [
                    ("input", shown.transformed[index, 0].numpy()),
                    (badge(expert), shown.contest.answers[expert, index, 0].numpy()),
                    ("original", shown.original[index, 0].numpy()),
                ],
            )
        )
    return _grid(parts)


def _card(symbol: str, name: str, images: list[tuple[str, np.ndarray]], winner: int | None = None) -> str:
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


def _picture(image: np.ndarray, words: str, frame: str | None = None) -> str:
    style = f" style='outline:3px solid {frame};outline-offset:1px'" if frame else ""
    return f"<img src='{_data_url(image)}' alt='{words}' title='{words}'{style}>"


def _data_url(image: np.ndarray) -> str:
    return "data:image/png;base64," + base64.b64encode(_png(mosaic(image[None, None], scale=1))).decode()


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
.icm-scroll{overflow-x:auto}
.icm-answers{display:grid;gap:6px;align-items:center;max-width:1000px;padding:4px}
.icm-answers img{width:100%;image-rendering:pixelated;border-radius:3px;display:block}
.icm-head{font-size:.75rem;opacity:.75;text-align:center}
.icm-label{font-size:.85rem;white-space:nowrap}
"""
