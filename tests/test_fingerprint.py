"""An expert's fingerprint says where it looks: where its weights say so, and where the experts of the run in the box must."""

from pathlib import Path

import numpy as np
import pytest
import torch

from icm.images.batches import as_images, generator_for
from icm.images.digits import load_digits
from icm.images.mechanisms import apply_one, parse
from icm.measure.evaluation import networks, play
from icm.measure.fingerprint import REACH, fingerprint, look
from icm.method.networks import ExpertBank
from icm.runs.store import shipped

SHIFTS = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}  # down and to the right


@pytest.mark.parametrize("away", [(0, 0), (2, -4), (-5, 5)])
def test_it_is_where_the_weights_say_that_an_expert_looks(away: tuple[int, int]) -> None:
    """Each convolution of the second expert takes one pixel, so that all together look that far."""
    bank = ExpertBank(2, 3, "none", generator_for(0, "weights"))
    with torch.no_grad():
        for layer, weights in enumerate(bank.weights):
            down, right = (int(np.sign(side)) if layer < abs(side) else 0 for side in away)
            weights[1] = 0
            weights[1, :, :, 1 + down, 1 + right] = 1
    found = fingerprint(bank, 1, torch.rand(2, 1, 32, 32))
    assert look(found) == away
    assert found[REACH + away[0], REACH + away[1]] == 1
    assert (found > 0).sum() == 1


def test_experts_of_the_box_look_where_their_mechanism_moved_the_ink(tmp_path: Path) -> None:
    """Within one pixel: an expert that undoes a shift to the right looks to the right."""
    run = shipped()
    assert run is not None
    config = run.config()
    bank, discriminator = networks(config, run.snapshots.read(run.snapshots.steps()[-1]))
    digits = as_images(load_digits("builtin", tmp_path).test[:4])
    for index, mechanism in enumerate(parse(config.mechanisms)):
        parts = mechanism.name.split("_")
        if not set(parts) <= SHIFTS.keys():
            continue
        changed = apply_one(digits, mechanism, generator_for(0, "evaluation", index))
        (owner,) = set(play(bank, discriminator, changed).winner.tolist())
        found = look(fingerprint(bank, owner, changed))
        wanted = [mechanism.strength * sum(SHIFTS[part][side] for part in parts) for side in (0, 1)]
        assert all(abs(one - other) <= 1 for one, other in zip(found, wanted)), (mechanism.name, found)
