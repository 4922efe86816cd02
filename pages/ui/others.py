"""The images that Compare puts beside the digits: one of the sets that are here, or a person's own pictures."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from icm.errors import ActionableError
from icm.images.digits import Source
from icm.images.folder import MOST_PICTURES, Folder, open_folder
from icm.images.unseen import SETS, SETS_OF_RUNS, SUFFIXES, Look
from pages.ui.html import plain
from pages.ui.told import told

OWN = "own"
OWN_TITLE = "Your own images"
KEPT = "own images"  # what was made of them, kept through the session: the box for files forgets when it is not shown
SHOWN = 4  # images in the pictures
MOST_SHOWN = 12  # of a person's own


@dataclass(frozen=True)
class Others:
    """A set by its name and look; of a person's own images what was opened."""

    name: str
    look: Look
    own: Folder | None = None

    @property
    def shown(self) -> int:
        """How many of them stand in the pictures."""
        return SHOWN if self.own is None else min(MOST_SHOWN, self.count)

    @property
    def count(self) -> int:
        """How many images of a person's own there are."""
        return 0 if self.own is None else len(self.own.seen(self.look).pixels)

    @property
    def without_ink(self) -> int:
        """How many of a person's own images are left out, because nothing stands out in them when they are brought in this way."""
        return 0 if self.own is None else max(map(len, self.own.looks.values())) - self.count

    @property
    def title(self) -> str:
        """Over a column."""
        words = self.words
        return words[0].upper() + words[1:] if self.own else SETS_OF_RUNS[self.name].title

    @property
    def words(self) -> str:
        """In a sentence."""
        if self.own is None:
            return short_title(self.name)
        return "your image" if self.count == 1 else f"your {self.count} images"

    @property
    def key(self) -> tuple[str, Look, str]:
        """All that tells them apart from others."""
        return self.name, self.look, self.own.digest if self.own else ""


def short_title(name: str) -> str:
    """What the set is called in a sentence."""
    return SETS_OF_RUNS[name].title.partition(",")[0]


def title_in_box(name: str) -> str:
    return OWN_TITLE if name == OWN else SETS[name].title


def offered(source: Source, root: Path) -> list[str]:
    """The sets that are here, without the digits that they are compared with, and a person's own at the end."""
    return [name for name, kind in SETS.items() if name != source and kind.here(root)] + [OWN]


def own_images() -> Folder | None:
    """Shows the box for a person's pictures and returns what can be used; None while there is nothing. The page says what cannot."""
    files = st.file_uploader(
        "Your pictures, or a zip of them",
        type=[*(suffix.removeprefix(".") for suffix in SUFFIXES), "zip"],
        accept_multiple_files=True,
        key="own files",
        on_change=lambda: st.session_state.pop(KEPT, None),
        help=f"PNG, JPEG or WEBP, at most {MOST_PICTURES}, each file of at most 5 MB. They stay on this machine, and nothing of them "
        "is written to its disk.",
    )
    if files and KEPT not in st.session_state:
        with st.spinner("Opening your pictures…"):
            try:
                st.session_state[KEPT] = open_folder([(file.name, file.getvalue()) for file in files])
            except ActionableError as error:
                st.session_state[KEPT] = error
    kept: Folder | ActionableError | None = st.session_state.get(KEPT)
    if isinstance(kept, ActionableError):
        told(kept)
    if not isinstance(kept, Folder):
        return None
    if kept.passed_over:
        st.warning(plain(kept.passed_over), icon=":material/rule:")
    if not files:
        st.caption("These are the images that you gave before; new files replace them.")
    return kept
