"""Every engine plays the same round as the textbook loop, which takes nothing from the package but the networks' sizes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from torch._ops import _OpNamespace

from benchmarks.textbook import Sampled, Textbook, of_expert
from icm.config import ModelConfig, RunConfig, TrainingConfig
from icm.images.batches import Batch, generator_for
from icm.method import engine
from icm.method.engine import DeviceError, Engine, choose_engine
from icm.method.networks import ExpertBank
from icm.method.state import TrainState, init_state, load_arrays, to_arrays
from icm.method.training import start_competition, train_step

EXPERTS = 4
ENGINES = {"loop": Engine(experts="loop"), "stacked": Engine(experts="stacked")}
# Norm batch whose statistics have the gradient of a sample.
SAMPLE = "batch, sampled"
FORMS = ["none", "group", "batch", SAMPLE]
PAPERS = TrainingConfig()


def model_of(form: str) -> ModelConfig:
    """Small networks with that norm."""
    return ModelConfig(
        EXPERTS,
        filters=8,
        norm="batch" if form == SAMPLE else form,  # pyright: ignore[reportArgumentType]
        statistics="sample" if form == SAMPLE else "batch",
        others=2,
        discriminator_filters=2,
        discriminator_hidden=5,
    )


def make_state(
    form: str, engine: Engine, dtype: torch.dtype, training: TrainingConfig = PAPERS
) -> TrainState:
    config = RunConfig(model=model_of(form), training=training)
    state = init_state(config, generator_for(3, "weights"), torch.device("cpu"), engine)
    state.experts.to(dtype)
    state.discriminator.to(dtype)
    start_competition(state, replace(config.identity, start="independent"), generator_for(3, "perturbation"))
    return state


def textbook_with_the_weights_of(state: TrainState, dtype: torch.dtype) -> Textbook:
    bank = state.experts
    if bank.others is None:
        textbook = Textbook(model_of(bank.norm), 1e-3, torch.device("cpu"), bank.norm)
    else:
        textbook = Sampled(model_of(SAMPLE), 1e-3, torch.device("cpu"))
    textbook.experts.to(dtype)
    textbook.discriminator.to(dtype)
    textbook.take_weights(bank, state.discriminator)
    return textbook


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("form", "count"), [*((form, EXPERTS - 1) for form in FORMS), (SAMPLE, 1)])
def test_two_steps_in_float64_are_the_textbook_loops(
    engine: str, form: str, count: int, batch: Batch
) -> None:
    """`count` images a step, also a single one."""
    state = make_state(form, ENGINES[engine], torch.float64)
    textbook = textbook_with_the_weights_of(state, torch.float64)

    # Fewer images than experts: in each step one of them wins nothing.
    canonical, transformed = (images[:count].double() for images in (batch.canonical, batch.transformed))
    for _ in range(2):
        winner = textbook.step(canonical, transformed)
        output = train_step(state, canonical, transformed)
        assert output.contest.winner.tolist() == winner.tolist()

    compare_weights(state, textbook)


def compare_weights(state: TrainState, textbook: Textbook) -> None:
    for index, expert in enumerate(textbook.experts):
        for mine, theirs in zip(of_expert(state.experts, index), expert.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs.detach(), rtol=0, atol=1e-10)
    pairs = zip(state.discriminator.parameters(), textbook.discriminator.parameters(), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


def test_a_step_is_as_large_as_it_is_set_and_falls_with_the_cooldown(batch: Batch) -> None:
    training = TrainingConfig(steps=2, learning_rate=3e-3, cooldown=1.0)
    state = make_state("none", ENGINES["loop"], torch.float64, training)
    textbook = textbook_with_the_weights_of(state, torch.float64)
    for rate in (3e-3, 1.5e-3):
        for adam in (*textbook.expert_adams, textbook.discriminator_adam):
            adam.param_groups[0]["lr"] = rate
        canonical, transformed = batch.canonical.double(), batch.transformed.double()
        textbook.step(canonical, transformed)
        train_step(state, canonical, transformed)
    compare_weights(state, textbook)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
def test_winners_and_gradients_in_float32_are_the_textbook_loops(
    engine: str, form: str, batch: Batch
) -> None:
    """Gradients are compared, not weights: where a gradient is next to nothing, Adam makes a whole step of its rounding error."""
    state = make_state(form, ENGINES[engine], torch.float32)
    textbook = textbook_with_the_weights_of(state, torch.float32)

    winner = textbook.step(batch.canonical, batch.transformed)
    output = train_step(state, batch.canonical, batch.transformed)

    assert output.contest.winner.tolist() == winner.tolist()
    # After one step Adam's mean is 0.1 of the gradient, so 1e-6 in the mean is 1e-5 in the gradient.
    means = dict(zip(state.experts.parameters(), state.expert_adam.mean))
    for index, (expert, adam) in enumerate(zip(textbook.experts, textbook.expert_adams)):
        for mine, theirs in zip(of_expert(state.experts, index, means), expert.parameters(), strict=True):
            expected = adam.state[theirs]["exp_avg"] if index in winner else torch.zeros_like(theirs)
            torch.testing.assert_close(mine, expected, rtol=0, atol=1e-6)
    for mine, theirs in zip(
        state.discriminator_adam.mean, textbook.discriminator_adam.state.values(), strict=True
    ):
        torch.testing.assert_close(mine, theirs["exp_avg"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_stacked_experts_answer_as_one_after_the_other(norm: str, batch: Batch) -> None:
    banks = [ExpertBank(3, 8, norm, torch.Generator().manual_seed(2), engine=e) for e in ENGINES.values()]
    one, all_at_once = (bank.double()(batch.transformed.double()) for bank in banks)
    torch.testing.assert_close(all_at_once, one, rtol=0, atol=1e-12)
    some = banks[1](batch.transformed.double(), experts=[2, 0])
    torch.testing.assert_close(some, one[[2, 0]], rtol=0, atol=1e-12)
    for mine, theirs in zip(banks[1].buffers(), banks[0].buffers()):
        assert mine[0, 1].equal(theirs[0, 1]) or torch.allclose(mine[0, 1], theirs[0, 1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_an_image_alone_is_answered_as_among_others(norm: str, batch: Batch) -> None:
    bank = ExpertBank(3, 8, norm, torch.Generator().manual_seed(2)).double()
    images = batch.transformed.double()
    bank(images)  # running means that are not zero
    among_others, alone = bank.eval()(images)[:, :1], bank(images[:1])
    torch.testing.assert_close(alone, among_others, rtol=0, atol=1e-12)


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


def as_a_file_gives_them(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return load(save({name: np.ascontiguousarray(values) for name, values in arrays.items()}))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
def test_a_state_that_went_through_a_file_goes_on_to_the_last_bit(
    engine: str, form: str, batch: Batch
) -> None:
    never_stopped = make_state(form, ENGINES[engine], torch.float32)
    train_step(never_stopped, batch.canonical, batch.transformed)
    saved = as_a_file_gives_them(to_arrays(never_stopped))
    resumed = make_state(form, ENGINES[engine], torch.float32)
    load_arrays(resumed, saved)

    for state in (never_stopped, resumed):
        train_step(state, batch.canonical, batch.transformed)

    expected, found = to_arrays(never_stopped), to_arrays(resumed)
    assert found.keys() == expected.keys()
    assert not [name for name, values in expected.items() if values.tobytes() != found[name].tobytes()]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("form", FORMS)
def test_a_step_is_the_same_to_the_last_bit_with_any_number_of_threads(
    form: str, dtype: Literal["float32", "bfloat16"], batch: Batch, threads: Callable[[int], None]
) -> None:
    states = []
    for count in (1, 3):
        threads(count)
        states.append(make_state(form, Engine(dtype=dtype), torch.float32))
        for _ in range(2):
            train_step(states[-1], batch.canonical, batch.transformed)
    one, three = map(to_arrays, states)
    assert not [name for name, values in one.items() if values.tobytes() != three[name].tobytes()]


@pytest.mark.parametrize("engine", ENGINES)
def test_both_forms_of_adam_keep_the_same_arrays(engine: str, batch: Batch) -> None:
    state = make_state("none", ENGINES[engine], torch.float32)
    train_step(state, batch.canonical, batch.transformed)
    moments = [name for name in to_arrays(state) if name.startswith("discriminator_adam.")]
    parameters = len(list(state.discriminator.parameters()))
    kept = ("step", "exp_avg", "exp_avg_sq")
    assert sorted(moments) == sorted(
        f"discriminator_adam.{i}.{one}" for i in range(parameters) for one in kept
    )


@pytest.mark.parametrize(("wish", "dtype"), [("on", "bfloat16"), ("off", "float32")])
def test_bfloat16_on_a_cpu_can_be_forced_on_and_off(
    wish: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICM_BFLOAT16", wish)
    monkeypatch.setattr(engine, "_bfloat16_is_faster", lambda: pytest.fail("there was nothing to time"))
    assert choose_engine(torch.device("cpu"), "fast").dtype == dtype
    assert choose_engine(torch.device("cpu"), "exact").dtype == "float32"


@pytest.mark.parametrize("wish", [None, ""])
@pytest.mark.parametrize(("faster", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_without_a_wish_the_faster_of_the_two_is_taken(
    wish: str | None, faster: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ICM_BFLOAT16", raising=False)
    if wish is not None:
        monkeypatch.setenv("ICM_BFLOAT16", wish)
    monkeypatch.setattr(engine, "_bfloat16_is_faster", lambda: faster)
    assert choose_engine(torch.device("cpu"), "fast").dtype == dtype


@pytest.mark.parametrize(("deterministic", "precision"), [(True, "ieee"), (False, "tf32")])
def test_torch_is_told_what_an_engine_allows_on_a_gpu(
    deterministic: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is told; without a GPU nothing is computed with it."""
    told: dict[str, bool] = {}
    monkeypatch.setattr(
        torch, "use_deterministic_algorithms", lambda wanted: told.update(deterministic=wanted)
    )
    matmul, conv = SimpleNamespace(fp32_precision="none"), SimpleNamespace(fp32_precision="none")
    monkeypatch.setattr(torch.backends.cuda, "matmul", matmul)
    monkeypatch.setattr(torch.backends, "cudnn", SimpleNamespace(conv=conv, benchmark=deterministic))
    engine.set_arithmetic(Engine(experts="stacked", deterministic=deterministic), torch.device("cuda"))
    assert told == {"deterministic": deterministic}
    assert matmul == conv == SimpleNamespace(fp32_precision=precision)
    assert torch.backends.cudnn.benchmark is not deterministic


def test_a_wish_that_is_neither_on_nor_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICM_BFLOAT16", "yes")
    with pytest.raises(DeviceError, match="ICM_BFLOAT16='yes' says neither on nor off: set it"):
        choose_engine(torch.device("cpu"), "fast")


def test_a_build_without_onednn_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ICM_BFLOAT16", raising=False)
    monkeypatch.setattr(torch.ops, "mkldnn", _OpNamespace("taken_away"))
    with pytest.raises(AttributeError):
        torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert choose_engine(torch.device("cpu"), "fast") == Engine(experts="loop", dtype="float32")


@pytest.fixture
def without_onednn() -> Iterator[None]:
    torch._C._set_mkldnn_enabled(False)
    yield
    torch._C._set_mkldnn_enabled(True)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_step_without_onednn_is_played(dtype: str, batch: Batch, without_onednn: None) -> None:
    plain, state = (make_state("none", Engine(dtype=each), torch.float32) for each in ("float32", dtype))  # pyright: ignore[reportArgumentType]
    textbook = textbook_with_the_weights_of(plain, torch.float32)
    expected = torch.stack([expert(batch.transformed) for expert in textbook.experts])
    found = train_step(state, batch.canonical, batch.transformed).contest.answers
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 if dtype == "float32" else 0.01)
