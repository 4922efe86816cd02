"""Every engine plays the same round as the textbook loop, which shares no code with the package."""

from dataclasses import replace

import pytest
import torch

from benchmarks.textbook import Textbook
from icm.config import ModelConfig, RunConfig
from icm.data import Batch, generator_for
from icm.models import Engine, ExpertBank, choose_engine
from icm.training import TrainState, init_state, start_competition, train_step

EXPERTS = 4
BIASES_BEFORE_NORM = [f"layers.{3 * layer}.bias" for layer in range(4)]
ENGINES = {"loop": Engine(experts="loop"), "stacked": Engine(experts="stacked")}


def make_state(norm: str, engine: Engine, dtype: torch.dtype) -> TrainState:
    model = ModelConfig(EXPERTS, filters=8, norm=norm, discriminator_filters=2, discriminator_hidden=5)  # pyright: ignore[reportArgumentType]
    config = RunConfig(model=model)
    state = init_state(config, generator_for(3, "weights"), torch.device("cpu"), engine)
    state.experts.to(dtype)
    state.discriminator.to(dtype)
    start_competition(state, replace(config.identity, start="independent"), generator_for(3, "copies"))
    return state


def expert_parameters(bank: ExpertBank, expert: int) -> list[torch.Tensor]:
    """In the order in which the textbook's expert has them: layer by layer, the norm behind the convolution."""
    layers = [[weight, bias] for weight, bias in zip(bank.weights, bank.biases)]
    for layer, scale, shift in zip(layers, bank.scales, bank.shifts):
        layer += [scale, shift]
    return [parameter[expert] for layer in layers for parameter in layer]


@torch.no_grad()
def textbook_with_the_weights_of(state: TrainState, dtype: torch.dtype) -> Textbook:
    bank = state.experts
    model = ModelConfig(EXPERTS, filters=8, discriminator_filters=2, discriminator_hidden=5)
    textbook = Textbook(model, 1e-3, torch.device("cpu"), batch_norm=bank.norm == "batch")
    textbook.experts.to(dtype)
    textbook.discriminator.to(dtype)
    for index, expert in enumerate(textbook.experts):
        for mine, theirs in zip(expert.parameters(), expert_parameters(bank, index), strict=True):
            mine.copy_(theirs)
    pairs = zip(textbook.discriminator.parameters(), state.discriminator.parameters(), strict=True)
    for mine, theirs in pairs:
        mine.copy_(theirs)
    return textbook


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_a_step_is_the_textbook_loops_step(
    engine: str, norm: str, dtype: torch.dtype, close: float, batch: Batch
) -> None:
    state = make_state(norm, ENGINES[engine], dtype)
    textbook = textbook_with_the_weights_of(state, dtype)
    canonical, transformed = batch.canonical.to(dtype), batch.transformed.to(dtype)

    # Adam makes a whole step of rounding once gradients are small, so float32 is compared after one.
    for _ in range(2 if dtype == torch.float64 else 1):
        winner = textbook.step(canonical, transformed)
        output = train_step(state, canonical, transformed)
        assert output.contest.winner.tolist() == winner.tolist()

    assert len(winner.unique()) < EXPERTS, "the situation needs an expert without a win"
    for index, expert in enumerate(textbook.experts):
        pairs = zip(expert_parameters(state.experts, index), expert.named_parameters(), strict=True)
        for mine, (name, theirs) in pairs:
            # Batch norm takes a bias before it away again: its gradient is rounding, and Adam makes a whole step of it.
            without_effect = norm == "batch" and name in BIASES_BEFORE_NORM
            if dtype == torch.float64 or not without_effect:
                torch.testing.assert_close(mine, theirs.detach(), rtol=0, atol=close)
    pairs = zip(state.discriminator.parameters(), textbook.discriminator.parameters(), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=0, atol=close)


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_stacked_experts_answer_as_one_after_the_other(norm: str, batch: Batch) -> None:
    banks = [ExpertBank(3, 8, norm, torch.Generator().manual_seed(2), engine=e) for e in ENGINES.values()]
    one, all_at_once = (bank.double()(batch.transformed.double()) for bank in banks)
    torch.testing.assert_close(all_at_once, one, rtol=0, atol=1e-12)
    some = banks[1](batch.transformed.double(), experts=[2, 0])
    torch.testing.assert_close(some, one[[2, 0]], rtol=0, atol=1e-12)
    for mine, theirs in zip(banks[1].buffers(), banks[0].buffers()):
        assert mine[0, 1].equal(theirs[0, 1]) or torch.allclose(mine[0, 1], theirs[0, 1], rtol=0, atol=1e-12)


def test_bfloat16_answers_are_float32_and_nearly_the_same(batch: Batch) -> None:
    plain = ExpertBank(3, 8, "none", torch.Generator().manual_seed(2))
    low = ExpertBank(3, 8, "none", torch.Generator().manual_seed(2), engine=Engine(dtype="bfloat16"))
    answers = low(batch.transformed)
    assert answers.dtype == torch.float32
    difference = (answers - plain(batch.transformed)).abs().max()
    assert 0 < difference < 0.01  # eight bits of mantissa


def test_a_gpu_gets_stacked_experts_and_exact_arithmetic_when_asked() -> None:
    cuda = torch.device("cuda")
    assert choose_engine(cuda, "exact") == Engine(experts="stacked", deterministic=True)
    assert choose_engine(cuda, "fast") == Engine(experts="stacked", deterministic=False)
    assert choose_engine(torch.device("cpu"), "exact") == Engine(experts="loop", dtype="float32")
