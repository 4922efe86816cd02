"""A riddle of Guess who: fair, the same for the same seed, and what is said of it at the end."""

import numpy as np
import torch

from icm.method.competition import Contest
from icm.runs.store import shipped
from pages.ui import cached
from pages.ui.riddle import Riddle, owned, riddle, verdict

SPECS = ("right=6", "contrast", "noise")


def contest(winner: int) -> Contest:
    logits = torch.zeros(3, 1)
    logits[winner] = 1.0
    return Contest(torch.zeros(3, 1, 1, 32, 32), logits, torch.tensor([winner]))


def test_only_mechanisms_with_an_owner_make_riddles_and_each_of_them_does() -> None:
    run = shipped()
    assert run is not None
    networks = cached.networks_of(cached.snapshot_key(run, run.snapshots.steps()[-1]))
    digit = np.zeros((32, 32))
    digit[8:24, 14:18] = 1.0
    owner = [4, None, 7]
    assert owned(owner) == [0, 2]
    found = [riddle(networks, digit, SPECS, owner, [1, number]) for number in range(20)]
    assert {(each.mechanism, each.owner) for each in found} == {(0, 4), (2, 7)}
    shifted = next(each for each in found if each.mechanism == 0)
    assert torch.equal(shifted.changed[0, 0, :, 6:], shifted.original[0, 0, :, :-6])
    assert shifted.winner == int(shifted.contest.logits.argmax())
    again = riddle(networks, digit, SPECS, owner, [1, 7])
    assert torch.equal(again.changed, found[7].changed)


def test_what_is_said_at_the_end_tells_who_was_right() -> None:
    blank = torch.zeros(1, 1, 32, 32)
    fair = Riddle(blank, blank, contest(2), 1, owner=2)
    fooled = Riddle(blank, blank, contest(0), 1, owner=2)
    begins = "The mechanism was up, and E2 is its owner. "
    assert (
        verdict(fair, 2, "up") == begins + "You were right; the discriminator gave it to the right one too."
    )
    assert verdict(fair, 1, "up") == begins + "You bet on E1; the discriminator gave it to the right one."
    assert (
        verdict(fooled, 2, "up") == begins + "You were right; the discriminator was fooled and gave it to E0."
    )
