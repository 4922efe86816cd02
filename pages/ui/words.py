"""The words of this laboratory, each explained in one tap where it stands. Pure: no Streamlit.

In a text, [expert] or [experts|expert] is a word of the glossary, shown as it stands before the bar."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

from pages.ui import html

DECIBELS = Path(__file__).with_name(
    "decibels.png"
)  # one digit with noise, at 10, 15 and 20 dB; tests/test_words.py measures it

GLOSSARY = {
    "mechanism": "One way to change a picture, such as moving it or swapping bright and dark. It is how a cause makes its effect, and tells nothing of the others.",
    "expert": "A small network that turns a picture into a picture. It is to undo one mechanism, and nobody tells it which.",
    "discriminator": "A network that judges: it has seen digits that nobody changed, and gives every answer a score.",
    "score": "How much a picture looks, to the discriminator, like a digit that nobody changed. Above 0: rather such a digit; below: rather not.",
    "winner": "The expert whose answer to a picture has the best score. Only the winner learns from that picture.",
    "owner": "The expert that wins more than half of the pictures that a mechanism has changed. Not always does it undo the change: see Results.",
    "dB": "Decibels: how near a picture is to the true original, its PSNR. Ten more is a tenth of the squared error.",
    "digit": "A handwritten number from 0 to 9, as a small grey picture of 32 by 32 pixels.",
    "network": "A formula with thousands of numbers that can be adjusted until it does what it should.",
    "loss": "A number that says how bad an answer is. To learn is to adjust a network's numbers so that the loss falls.",
    "conscience": "For a while it adds to the score of an expert that wins less than its share, and takes from one that wins more.",
}
LINE = "Words: [expert] · [mechanism] · [winner] · [owner] · [discriminator] · [score] · [dB]"
MARKED = re.compile(r"\[([^\]|]+)(?:\|([^\]]+))?\]")


def said(text: str, glossary: Mapping[str, str] = GLOSSARY) -> str:
    """HTML: the text as a paragraph, its marked words explained. KeyError for a word that the glossary has not.

    Of the text itself only **bold** is markup."""

    def word(found: re.Match[str]) -> str:
        shown, name = found[1], found[2] or found[1]
        return explained(shown, glossary[name], inlined_decibels() if name == "dB" else "")

    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(text, quote=False))
    return f"<style>{STYLE}</style><p class='icm-said'>{MARKED.sub(word, bold)}</p>"


def line() -> str:
    """HTML: the words that stand all over a page, for its end; what they mean opens above them."""
    return f"<div class='icm-words'>{said(LINE)}</div>"


def explained(shown: str, meaning: str, picture: str = "") -> str:
    """HTML: a word, or a symbol, with its meaning under it for who points to it, taps it or comes to it by keyboard."""
    return f"<button type='button' class='icm-word'>{shown}<span role='tooltip'>{escape(meaning)}{picture}</span></button>"


def inlined_decibels() -> str:
    """HTML: a digit with noise at 10, 15 and 20 dB."""
    return f"<img src='{html.inlined(DECIBELS.read_bytes())}' alt='One digit at 10, 15 and 20 dB'><i>10 dB, 15 dB, 20 dB</i>"


def plain(text: str) -> str:
    """The text as it is read aloud."""
    return MARKED.sub(r"\1", text).replace("**", "")


STYLE = """
.icm-said{margin:0;line-height:1.6}
.icm-word{position:relative;display:inline;padding:0;border:0;border-bottom:2px dotted #3f90da;background:none;color:inherit;font:inherit;
  cursor:help;text-align:inherit}
.icm-word>span{position:absolute;z-index:20;left:0;top:calc(100% + 6px);display:none;width:max-content;max-width:min(300px,80vw);padding:8px 12px;
  border-radius:8px;background:#262730;color:#fafafa;font:400 .875rem/1.45 sans-serif;text-align:left;white-space:normal;
  box-shadow:0 4px 16px rgba(0,0,0,.35)}
.icm-words .icm-word>span{top:auto;bottom:calc(100% + 6px)}
.icm-word:hover>span,.icm-word:focus>span{display:block}
.icm-word:focus-visible{outline:2px solid #3f90da;outline-offset:2px}
.icm-word img{display:block;width:100%;margin-top:8px;image-rendering:pixelated;border-radius:4px}
.icm-word i{display:block;font-style:normal;text-align:center;word-spacing:1.6em}
@media(max-width:640px){.icm-word>span{position:fixed;left:16px;right:16px;top:auto;bottom:16px;width:auto;max-width:none}}
"""
