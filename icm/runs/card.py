"""The card of an exported run: card.json holds what was measured at the export, for pages to show."""

from pathlib import Path
from typing import Any

from icm import files
from icm.files import is_number
from icm.runs.errors import StoreError

# What pages read from a card, and of which type.
FIELDS = {
    "command": str,
    "seeds_tried": str,
    "date": str,
    "threads": int,
    "over_steps_images": int,
    "over_steps": list,
}
ROW_NUMBERS = ("step", "psnr_owner", "psnr_nothing", "routing_accuracy")  # in each row of `over_steps`


def read_card(path: Path) -> dict[str, Any]:
    """The card in that file; FileError when it cannot be read, StoreError when a page could not show it."""
    card, run_id = files.read_json(path), path.parent.name
    for name, kind in FIELDS.items():
        if not isinstance(card.get(name), kind):
            raise StoreError(f"run {run_id}: card.json does not say {name!r}; export the run anew")
    for row in card["over_steps"]:
        if not isinstance(row, dict) or not all(is_number(row.get(name)) for name in ROW_NUMBERS):
            raise StoreError(f"run {run_id}: card.json has a row that is none; export the run anew")
    return card
