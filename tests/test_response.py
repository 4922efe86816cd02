"""The response curve of an expert is what a plain loop over strengths and images finds."""

from dataclasses import replace

import pytest
import torch

from icm.images.batches import generator_for
from icm.images.mechanisms import KINDS, Mechanism, apply_one, parse
from icm.measure.response import POINTS, response, strengths
from icm.method.networks import Discriminator, ExpertBank


def networks() -> tuple[ExpertBank, Discriminator]:
    generator = generator_for(0, "weights")
    return ExpertBank(3, 4, "batch", generator).eval(), Discriminator(2, 5, generator).eval()


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("right=3", [1, 2, 3, 4, 5, 6]),
        # Steps of 0.05 from 0.6 to 1; 0.83 is no step, so it takes the place of 0.85.
        ("contrast=0.83", [0.6, 0.65, 0.7, 0.75, 0.8, 0.83, 0.9, 0.95, 1]),
        # 99 steps of 0.01, of which every ninth: 0.01, 0.1, 0.19, 0.28, … ; the trained 0.25 is nearest to 0.28.
        ("noise", [0.01, 0.1, 0.19, 0.25, 0.37, 0.46, 0.55, 0.64, 0.73, 0.82, 0.91, 1]),
    ],
)
def test_strengths_cover_what_is_allowed_and_hold_the_trained_one(spec: str, found: list[float]) -> None:
    (trained,) = parse([spec])
    assert strengths(trained) == pytest.approx(found)
    assert trained.strength in strengths(trained)
    assert len(found) <= POINTS


@pytest.mark.parametrize(("step", "found"), [(0.35, [0, 0.35, 0.7]), (1.0, [0, 1])])
def test_no_strength_is_beyond_what_is_allowed(
    step: float, found: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "noise", replace(KINDS["noise"], low=0.0, high=1.0, step=step))
    assert strengths(Mechanism("noise", 0.0)) == pytest.approx(found)


@pytest.mark.parametrize("spec", ["down_left=2", "noise=0.4"])
def test_it_is_what_a_plain_loop_finds(spec: str) -> None:
    experts, discriminator = networks()
    originals = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    (trained,) = parse([spec])
    found = response(experts, discriminator, 2, trained, originals)
    assert (found.mechanism, found.trained) == (trained.name, trained.strength)
    for at, strength in enumerate(found.strength):
        (mechanism,) = parse([f"{trained.name}={strength:g}"])
        changed = apply_one(originals, mechanism, generator_for(0, "evaluation"))
        scores, decibels, alone = [], [], []
        with torch.no_grad():
            for image, original in zip(changed, originals):
                answer = experts(image[None], [2])[0, 0]
                scores.append(float(discriminator(answer[None])))
                decibels.append(-10 * float((answer - original).square().mean().log10()))
                alone.append(-10 * float((image - original).square().mean().log10()))
        assert found.score[at] == pytest.approx(sum(scores) / 5, abs=1e-4)
        assert found.psnr[at] == pytest.approx(sum(decibels) / 5, abs=1e-3)
        assert found.psnr_nothing[at] == pytest.approx(sum(alone) / 5, abs=1e-3)
