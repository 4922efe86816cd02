"""Text and pictures as a page can show them, escaped. Pure: no Streamlit.

Streamlit takes nearly every text for markdown: a label could show a picture from anywhere, or be a link. `plain` is for such
texts. In HTML that we write ourselves, the functions here escape their text; only `below` of `figure` is HTML already."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float
from PIL import Image

from icm.show.experts import badge, colour

Picture = Float[np.ndarray, "height width"]  # in [0, 1]

PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")

# Streamlit finds these even in escaped text: addresses and mail addresses become links, `:name:` a symbol, `:red[…]` a colour,
# `->` an arrow. The word joiner, an invisible sign, is put between their signs so that they are not found.
JOINED = re.compile(
    r"(?<=:)(?=[\w+/-])|(?<=www)(?=\.)|(?<=@)|(?<=[-<])(?=[-=>])|(?<=[>~])(?==)", re.IGNORECASE
)
WORD_JOINER = "\u2060"


def plain(text: object) -> str:
    """Markdown that shows the text as it is, in one line, whatever is in it."""
    signs = "".join(sign if sign.isprintable() else " " for sign in str(text))
    return PUNCTUATION.sub(r"\\\1", JOINED.sub(WORD_JOINER, " ".join(signs.split())))


# Pictures. All are inlined. A picture with an address of its own may be gone when a busy browser asks for it after the next look.
# Inlined pictures cost little: Streamlit sends what has not changed once, however often the page looks.


def png(pixels: np.ndarray) -> bytes:
    """The pixels, from 0 to 255, as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def inlined(file: bytes) -> str:
    """An address that holds the PNG itself."""
    return "data:image/png;base64," + base64.b64encode(file).decode()


def grey(image: Picture) -> str:
    """The image for a component of ours: base64 of one byte for each pixel."""
    return base64.b64encode((image.clip(0, 1) * 255).round().astype(np.uint8).tobytes()).decode()


def emblem(fingerprint: Float[np.ndarray, "11 11"], expert: int) -> str:
    """The address of a picture: an expert's fingerprint in its colour on black."""
    ink = np.array([int(colour(expert)[at : at + 2], 16) for at in (1, 3, 5)])
    return inlined(png((fingerprint[..., None] * ink).round().astype(np.uint8)))


def picture(image: Picture, words: str, style: str = "") -> str:
    """An <img> of the image; `words` are its alt text and its tooltip, `style` is CSS."""
    source = inlined(png((image.clip(0, 1) * 255).round().astype(np.uint8)))
    words = escape(words)
    styled = f" style='{style}'" if style else ""
    return f"<img src='{source}' alt='{words}' title='{words}'{styled}>"


def door(expert: int, words: str = "", shield: str = "", name: str = "") -> str:
    """An expert's badge, and what it is known for: a button that opens its inside, on a page that has `inside.doors` of that name.

    `shield` is HTML before the badge."""
    known = f", {escape(words, quote=True)}" if words else ""
    said = f"<small>{escape(words)}</small>" if words else ""
    return (
        f"<button type='button' class='icm-door' data-inside='{expert}' data-door='{name}' aria-haspopup='dialog' style='--colour:{colour(expert)}' "
        f"title='What is inside {badge(expert)}' aria-label='{badge(expert)}{known}'>{shield}<b>{badge(expert)}</b>{said}</button>"
    )


def figure(
    title: str,
    image: Picture,
    below: str,
    frame: str | None = None,
    part: tuple[float, float, float, float] | None = None,
    by: int | None = None,
) -> str:
    """A <figure>: the title, the image in a frame of that colour, and words below. The title is text, `below` is HTML already.

    Of the image all is darkened but a `part`: left, right, top and bottom in shares of the image. Where it is `by` an expert,
    the expert's badge stands before the title."""
    style = f"outline:4px solid {frame};outline-offset:1px" if frame else ""
    shown = picture(image, title if by is None else badge(by) + title, style)
    if part:
        left, right, top, bottom = (100 * each for each in part)
        place = f"left:{left:.1f}%;width:{right - left:.1f}%;top:{top:.1f}%;height:{bottom - top:.1f}%"
        shown = f"<div class='icm-part'>{shown}<i style='{place}'></i></div>"
    head = "" if by is None else door(by)
    return f"<figure><figcaption><span>{head}{escape(title)}</span></figcaption>{shown}<small>{below}</small></figure>"


def row_of_figures(figures: Sequence[str]) -> str:
    """Figures with an arrow from each to the next."""
    return f"<style>{FIGURES_STYLE}</style><div class='icm-path'>{'<b>→</b>'.join(figures)}</div>"


def grid_of_figures(figures: Sequence[str]) -> str:
    """Figures in rows of five."""
    return f"<style>{FIGURES_STYLE}</style><div class='icm-everyone'>{''.join(figures)}</div>"


def undoes(role: str) -> str:
    """What an expert is known for, from its role as `run_view.role_words` says it."""
    return role if role in ("idle", "undecided") else f"undoes {role}"


@dataclass(frozen=True)
class Bar:
    """An expert's answer and its score."""

    expert: int
    answer: Picture
    score: float  # logit
    wins: bool
    words: str = ""  # what the expert is known for
    emblem: str = ""  # the address of a picture


def bars(shown: Sequence[Bar]) -> str:
    """A row for each answer: the expert's badge, the answer, and its score as a bar. All bars share one axis with its zero marked."""
    low, high = min(0.0, *(each.score for each in shown)), max(0.0, *(each.score for each in shown))
    wide = max(high - low, 1e-6)
    zero = -100 * low / wide
    rows = []
    for each in shown:
        begin, width = 100 * (min(each.score, 0) - low) / wide, 100 * abs(each.score) / wide
        shield = f"<img src='{each.emblem}' alt=''>" if each.emblem else ""
        rows.append(
            f"<li{' class=wins' if each.wins else ''}>{door(each.expert, each.words, shield)}"
            f"{picture(each.answer, f'{badge(each.expert)}, {each.words}')}"
            f"<span style='--zero:{zero:.1f}%'><i style='left:{begin:.1f}%;width:{width:.1f}%;background:{colour(each.expert)}'></i>"
            f"</span><em>{each.score:+.1f}</em></li>"
        )
    return f"<style>{BARS_STYLE}</style><ol class='icm-bars'>{''.join(rows)}</ol>"


def pair(before: Picture, after: Picture, words: tuple[str, str]) -> str:
    """Two small pictures side by side."""
    shown = picture(before, words[0]) + picture(after, words[1])
    return f"<style>{PAIR_STYLE}</style><div class='icm-pair'>{shown}</div>"


def pair_figure(before: Picture, after: Picture, words: tuple[str, str], below: str) -> str:
    """A <figure>: two small pictures one above the other, and words below."""
    return f"<figure>{picture(before, words[0])}{picture(after, words[1], 'margin-top:4px')}<small>{escape(below)}</small></figure>"


def chips(by_expert: Mapping[int, str], unowned: Sequence[str], name: str = "") -> str:
    """For each of these experts a chip in its colour with these words, a door of that name; then the mechanisms that nobody owns."""
    found = [door(expert, words, name=name) for expert, words in by_expert.items()]
    if unowned:
        found.append(f"<i>owned by nobody: {escape(', '.join(unowned))}</i>")
    return f"<style>{CHIPS_STYLE}</style><div class='icm-chips'>{''.join(found)}</div>"


PAIR_STYLE = """
.icm-pair{display:flex;gap:6px}
.icm-pair img{width:44%;max-width:72px;image-rendering:pixelated;border-radius:4px;outline:1px solid rgba(128,128,128,.4)}
"""
BARS_STYLE = """
.icm-bars{list-style:none;margin:0!important;padding:0!important;max-width:800px}
.icm-bars li{display:grid;grid-template-columns:168px 44px 1fr 48px;gap:10px;align-items:center;margin:0 0 4px!important;padding:3px 6px!important;border-radius:6px}
.icm-bars li.wins{outline:2px solid #808080;font-weight:600}
.icm-bars .icm-door{text-align:left;font-weight:inherit}
.icm-bars small{display:block;line-height:1.2;font-size:.8rem}
.icm-bars img{width:44px;image-rendering:pixelated;display:block;border-radius:3px}
.icm-bars .icm-door img{float:left;width:32px;margin:2px 8px 0 0}
.icm-bars span{position:relative;height:14px;background:linear-gradient(#808080,#808080) var(--zero) 0/1px 100% no-repeat}
.icm-bars i{position:absolute;top:1px;height:12px;border-radius:2px}
.icm-bars em{font-style:normal;text-align:right;font-variant-numeric:tabular-nums}
"""
CHIPS_STYLE = """
.icm-chips{display:flex;flex-wrap:wrap;gap:8px;align-items:center;font-size:.875rem}
.icm-chips .icm-door{border:2px solid var(--colour);border-radius:999px;padding:1px 10px;white-space:nowrap}
.icm-chips .icm-door small{font-size:1em;margin-left:.35em}
.icm-chips i{opacity:.7}
"""
DOOR_STYLE = """
.icm-door{padding:0;border:0;background:none;color:inherit;font:inherit;cursor:pointer}
.icm-door b{white-space:nowrap;border-bottom:3px solid var(--colour)}
.icm-chips .icm-door b{border:0}
.icm-door:hover{text-decoration:underline;text-underline-offset:2px}
.icm-door:focus-visible{outline:2px solid #3f90da;outline-offset:2px}
"""
FIGURES_STYLE = """
.icm-path{display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start}
.icm-path>b{align-self:center;opacity:.5;font-size:1.2rem}
.icm-path figure{margin:0;width:132px}
.icm-everyone{display:grid;grid-template-columns:repeat(5,minmax(0,132px));gap:16px}
.icm-everyone figure{margin:0}
.icm-path img,.icm-everyone img{width:100%;image-rendering:pixelated;border-radius:4px;display:block;box-shadow:0 0 0 1px rgba(128,128,128,.4)}
.icm-part{position:relative;overflow:hidden;border-radius:4px}
.icm-part i{position:absolute;box-sizing:border-box;border:2px solid #f46b00;box-shadow:0 0 0 999px rgba(0,0,0,.55)}
.icm-path figcaption,.icm-everyone figcaption{font-size:.8rem;font-weight:600;margin-bottom:6px}
.icm-path small,.icm-everyone small{display:block;margin-top:6px;opacity:.75;font-size:.75rem;line-height:1.35}
@media(max-width:640px){.icm-path{flex-wrap:nowrap;gap:6px}.icm-path>b{display:none}.icm-path figure{width:auto;flex:1;min-width:0;max-width:132px}
.icm-path figcaption,.icm-path small{font-size:.7rem;overflow-wrap:anywhere}
.icm-path figcaption{display:flex;align-items:flex-end;min-height:2.4em;line-height:1.2}
.icm-path .icm-door b{border:0;background:linear-gradient(var(--colour) 0 0) 0 100%/100% 2px no-repeat}
.icm-bars li{grid-template-columns:132px 36px 1fr 44px;gap:8px}}
"""
