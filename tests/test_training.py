"""The learner's optimiser, its start, and what it may not see."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from icm.config import IdentityConfig, ModelConfig, RunConfig, TrainingConfig
from icm.images.batches import Batch, generator_for
from icm.method.adam import ExpertAdam, shortened
from icm.method.networks import Discriminator, ExpertBank, elu
from icm.method.state import MOMENTS, TrainState, UnfitState, check_arrays, init_state, load_arrays, to_arrays
from icm.method.training import (
    identity_phase,
    identity_step,
    learning_rate_at,
    start_competition,
    train_step,
)
from icm.method.weights import UnfitWeights, load_weights, weights


def tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small_state(
    start: str = "independent", experts: int = 3, norm: Literal["none", "batch"] = "none"
) -> TrainState:
    config = RunConfig(
        model=ModelConfig(
            experts=experts, filters=6, norm=norm, discriminator_filters=2, discriminator_hidden=5
        ),
        identity=IdentityConfig(start=start),  # pyright: ignore[reportArgumentType]
    )
    return init_state(config, generator_for(1, "weights"), torch.device("cpu"))


def test_the_learner_is_shown_two_piles_of_images_and_nothing_else() -> None:
    assert list(inspect.signature(train_step).parameters) == ["state", "canonical", "transformed"]
    source = Path(inspect.getfile(train_step)).read_text()
    assert ".original" not in source
    assert ".mechanism" not in source


def test_expert_adam_is_torchs_adam_for_each_expert_that_was_active() -> None:
    stacked = torch.nn.Parameter(tensor(3, 2, 5))
    separate = [torch.nn.Parameter(stacked[expert].detach().clone()) for expert in range(3)]
    adam = ExpertAdam([stacked])
    adams = [torch.optim.Adam([parameter], lr=0.01) for parameter in separate]

    for step, active in enumerate(
        [[True, False, True], [True, False, False], [False, False, True], [True] * 3]
    ):
        gradient = tensor(3, 2, 5, seed=step + 1)
        adam.step((gradient,), torch.tensor(active), learning_rate=0.01)
        for expert in range(3):
            if active[expert]:
                separate[expert].grad = gradient[expert]
                adams[expert].step()

    for expert in range(3):
        torch.testing.assert_close(stacked[expert], separate[expert], rtol=1e-6, atol=1e-7)


def test_the_gradient_of_each_expert_is_shortened_by_itself_as_torch_does_it() -> None:
    gradients = (tensor(3, 2, 5), tensor(3, 4, seed=1))
    sizes = torch.tensor([0.1, 1.0, 50.0])
    gradients = tuple(each * sizes.view(-1, *[1] * (each.dim() - 1)) for each in gradients)
    kept, of_torch = shortened(gradients, most=2.0), []
    for expert in range(3):
        parameters = [torch.nn.Parameter(torch.zeros_like(each[expert])) for each in gradients]
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient[expert].clone()
        of_torch.append(torch.nn.utils.clip_grad_norm_(parameters, 2.0))
        for parameter, mine in zip(parameters, kept):
            torch.testing.assert_close(mine[expert], parameter.grad)
    assert of_torch[0] < 2 < of_torch[1] < of_torch[2]  # one is left as it is, two are shortened


def test_one_odd_gradient_moves_an_expert_far_unless_it_is_shortened() -> None:
    """Seeds 110 and 117 of `robust` each lost an expert to one batch whose gradient was some forty times the usual one."""
    odd, moved = 300, {}
    for most in (2.0, 1000.0):
        parameter = torch.nn.Parameter(torch.zeros(1, 100))
        adam, steps = ExpertAdam([parameter]), []
        for step in range(odd + 1):
            before = parameter.detach().clone()
            gradient = tensor(1, 100, seed=step) / 10 * (40 if step == odd else 1)
            adam.step(shortened((gradient,), most), torch.tensor([True]), learning_rate=0.01)
            steps.append(float((parameter.detach() - before).norm()))
        moved[most] = steps[odd] / np.median(steps[odd - 100 : odd])
    assert moved[2.0] < 1.5
    assert moved[1000.0] > 5


@pytest.mark.parametrize("clip", [0.0, 1e-5])
def test_experts_learn_from_shortened_gradients_where_that_is_set(clip: float, batch: Batch) -> None:
    state = small_state()
    state.training = replace(state.training, clip=clip)
    norms, step = [], state.expert_adam.step

    def look(gradients: tuple[torch.Tensor, ...], active: torch.Tensor, learning_rate: float) -> None:
        norms.append(torch.cat([each.flatten(1) for each in gradients], dim=1).norm(dim=1).max().item())
        step(gradients, active, learning_rate)

    state.expert_adam.step = look
    train_step(state, batch.canonical, batch.transformed)
    assert (norms[0] < 1.001e-5) == bool(clip)


def test_the_step_size_falls_to_zero_over_the_last_steps() -> None:
    training = TrainingConfig(steps=10, learning_rate=0.5, cooldown=0.4)
    rates = [learning_rate_at(step, training) for step in (0, 6, 7, 8, 9, 10, 99)]
    assert rates == [0.5, 0.5, 0.375, 0.25, 0.125, 0.0, 0.0]
    assert learning_rate_at(9, replace(training, cooldown=0.0)) == 0.5


def test_elu_is_torchs_elu_with_its_gradient() -> None:
    x = tensor(4, 7).double().requires_grad_()
    torch.testing.assert_close(elu(x), torch.nn.functional.elu(x))
    assert torch.autograd.gradcheck(elu, (x,))


def test_the_papers_networks_have_the_papers_sizes() -> None:
    bank = ExpertBank(2, 32, "batch", torch.Generator())
    discriminator = Discriminator(16, 1024, torch.Generator())
    # conv 1->32, three of 32->32, 32->1, each with biases, and four batch norms of 2 x 32
    assert sum(parameter.numel() for parameter in bank.parameters()) == 2 * 28_609
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 1_124_737


@pytest.mark.parametrize("norm", ["none", "group"])
def test_running_only_the_winner_gives_the_winners_answer(norm: str, batch: Batch) -> None:
    bank = ExpertBank(3, 8, norm, torch.Generator().manual_seed(2)).double()
    images, winner = batch.transformed.double(), torch.tensor([2, 0, 2, 2, 0, 2])
    dense = bank(images)[winner, torch.arange(6)]
    torch.testing.assert_close(bank.answer_as_winner(images, winner), dense, rtol=0, atol=1e-12)


def test_a_bank_that_mixes_images_refuses_to_run_winners_alone(batch: Batch) -> None:
    bank = ExpertBank(3, 8, "batch", torch.Generator())
    with pytest.raises(ValueError, match="mixes the images"):
        bank.answer_as_winner(batch.transformed, torch.zeros(6, dtype=torch.long))


def test_an_expert_that_copies_well_enough_stops_and_the_others_go_on(batch: Batch) -> None:
    state = small_state()
    first = identity_step(state, batch.transformed, target_error=0.0)
    between = float((first.min() + first.max()) / 2)
    best = int(first.argmin())
    state.copy_error.copy_(first)  # the running mean, as if it had run for long
    before = [parameter.detach().clone() for parameter in state.experts.parameters()]

    identity_step(state, batch.transformed, target_error=between)

    assert state.can_copy.tolist() == [expert == best for expert in range(3)]
    for parameter, old in zip(state.experts.parameters(), before):
        assert torch.equal(parameter[best], old[best])
        assert not torch.equal(parameter[best - 1], old[best - 1])
    assert len(identity_step(state, batch.transformed, target_error=between)) == 2


def test_identity_initialisation_makes_copyists(batch: Batch) -> None:
    state = small_state()
    errors = [
        error.max().item()
        for error in identity_phase(state, lambda step: batch.transformed, IdentityConfig(steps=150))
    ]
    assert errors[-1] < errors[0] / 4


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_shared_start_hands_out_perturbed_copies_of_the_first_expert(
    norm: Literal["none", "batch"], batch: Batch
) -> None:
    state = small_state("shared", experts=5, norm=norm)
    assert len(identity_step(state, batch.transformed, target_error=1e-9)) == 1
    first = [parameter[0].detach().clone() for parameter in state.experts.parameters()]
    statistics = [statistic[:, :1].clone() for statistic in state.experts.statistics]
    assert len(statistics) == (2 if norm == "batch" else 0)

    start_competition(
        state, IdentityConfig(start="shared", perturbation=0.05), generator_for(1, "perturbation")
    )

    for statistic, old in zip(state.experts.statistics, statistics, strict=True):
        assert not torch.equal(old, torch.zeros_like(old)), "the identity phase has left its mark"
        assert torch.equal(statistic, old.expand_as(statistic))
    relative = torch.cat(
        [
            (parameter / old - 1)[:, old != 0].flatten()
            for parameter, old in zip(state.experts.parameters(), first)
        ]
    )
    assert relative.std().item() == pytest.approx(0.05, rel=0.05)
    assert not any(mean.any() for mean in state.expert_adam.mean)
    assert state.expert_adam.clock.tolist() == [0] * 5


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    config = RunConfig(model=ModelConfig(2, 4, discriminator_filters=2, discriminator_hidden=3))
    make = lambda seed: init_state(config, generator_for(seed, "weights"), torch.device("cpu"))  # noqa: E731
    first, again, other = make(0), make(0), make(1)
    assert torch.equal(first.experts.weights[1], again.experts.weights[1])
    assert torch.equal(first.discriminator.dense.weight, again.discriminator.dense.weight)
    assert not torch.equal(first.experts.weights[1], other.experts.weights[1])


Arrays = dict[str, np.ndarray]
WEIGHT, BIAS = "experts.weights.0", "discriminator.dense.bias"  # of shapes 3 6 1 3 3 and 5


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {**arrays, name: change(arrays[name])}


def without(*names: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {name: values for name, values in arrays.items() if name not in names}


def with_a_nan(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flat[1] = np.nan
    return values


# What both a state and a snapshot refuse, and the reason given.
MISFITS = {
    "missing": (without(WEIGHT), f"{WEIGHT} is missing"),
    "extra": (lambda arrays: {**arrays, "experts.weights.7": arrays[WEIGHT]}, "experts.weights.7 belongs"),
    "shape": (
        changed(WEIGHT, lambda values: values.reshape(3, 54)),
        rf"{WEIGHT} has shape \(3, 54\) where \(3, 6, 1, 3, 3\) belongs",
    ),
    "a stranger": (lambda arrays: {**arrays, "stranger": arrays[WEIGHT]}, "stranger belongs nowhere"),
    "swapped axes": (changed(WEIGHT, lambda values: values.swapaxes(0, 1)), f"{WEIGHT} has shape"),
    "relabelled": (changed(WEIGHT, lambda values: values.view(np.int32)), f"{WEIGHT} is of int32"),
    "bool": (changed(BIAS, lambda values: values > 0), f"{BIAS} is of bool where float32 belongs"),
    "double": (
        changed(BIAS, lambda values: values.astype(np.float64)),
        f"{BIAS} is of float64 where float32 belongs",
    ),
    "nan": (changed(BIAS, with_a_nan), f"{BIAS} has numbers that are not finite"),
    "infinite": (
        changed(BIAS, lambda values: np.full_like(values, np.inf)),
        f"{BIAS} has numbers that are not",
    ),
}
# What only a state refuses.
UNFIT = {
    **MISFITS,
    "empty": (lambda arrays: {}, f"{WEIGHT} is missing"),
    "half precision": (
        changed(WEIGHT, lambda values: values.astype(np.float16)),
        f"{WEIGHT} is of float16 where float32 belongs",
    ),
    "unknown": (lambda arrays: {**arrays, "colour": arrays["copies"]}, "colour belongs nowhere"),
    "no copies": (without("copies"), "copies is missing"),
    "clock": (changed("expert_adam.clock", lambda values: values.astype(float)), "clock is of float64"),
    "moment of an expert": (changed("expert_adam.mean.1", lambda values: values[1:]), "mean.1 has shape"),
    "nan in a moment": (changed("expert_adam.square.2", with_a_nan), "square.2 has numbers that are not"),
    "one moment missing": (without("discriminator_adam.3.exp_avg_sq"), "3.exp_avg_sq is missing"),
    "shape of a moment": (
        changed("discriminator_adam.0.exp_avg", lambda values: values[:1]),
        "0.exp_avg has shape",
    ),
    "two clocks": (
        changed("discriminator_adam.0.step", lambda values: np.stack([values, values])),
        r"0.step has shape \(2,\) where \(\) belongs",
    ),
    "moment of nothing": (
        lambda arrays: {**arrays, "discriminator_adam.99.step": arrays["discriminator_adam.0.step"]},
        "discriminator_adam.99.step belongs nowhere",
    ),
    "odd name": (
        lambda arrays: {**arrays, "discriminator_adam.a.b.c": arrays["copies"]},
        "discriminator_adam.a.b.c belongs nowhere",
    ),
    "no moments": (
        lambda arrays: {
            name: values for name, values in arrays.items() if not name.startswith("discriminator_adam.")
        },
        "discriminator_adam.0.exp_avg is missing though the competition has begun",
    ),
    "counters": (changed("counters", lambda values: values[:2]), "counters has shape"),
    "steps undone": (changed("counters", lambda values: -values), "counters are"),
    "phase": (changed("counters", lambda values: values + 7), "counters are"),
}


def stepped_state(batch: Batch) -> TrainState:
    state = small_state()
    start_competition(state, IdentityConfig(), generator_for(1, "perturbation"))
    train_step(state, batch.canonical, batch.transformed)
    return state


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)


@pytest.mark.parametrize("case", UNFIT)
def test_a_state_that_does_not_fit_is_refused_before_anything_is_changed(case: str, batch: Batch) -> None:
    spoil, reason = UNFIT[case]
    state = stepped_state(batch)
    before = to_arrays(state)
    train_step(state, batch.canonical, batch.transformed)
    unfit = spoil(to_arrays(state))
    load_arrays(state, before)

    with pytest.raises(UnfitState, match=reason):
        check_arrays(state, unfit)
    with pytest.raises(UnfitState, match=reason):
        load_arrays(state, unfit)
    assert_same(to_arrays(state), before)


@pytest.mark.parametrize("case", MISFITS)
def test_weights_that_do_not_fit_are_refused_before_anything_is_changed(case: str, batch: Batch) -> None:
    spoil, reason = MISFITS[case]
    state, other = stepped_state(batch), small_state()
    before = weights(other.experts, other.discriminator)
    with pytest.raises(UnfitWeights, match=f"do not fit these networks: {reason}"):
        load_weights(other.experts, other.discriminator, spoil(weights(state.experts, state.discriminator)))
    assert_same(weights(other.experts, other.discriminator), before)


def test_a_state_fits_before_and_after_the_first_step_and_beside_a_window(batch: Batch) -> None:
    fresh, stepped, other = small_state(), stepped_state(batch), small_state()
    window = {"window.wins": np.zeros((2, 2)), "window.seconds": np.array([np.nan])}
    for state in (fresh, stepped, fresh):
        check_arrays(other, {**to_arrays(state), **window})
        load_arrays(other, {**to_arrays(state), **window})
        assert_same(to_arrays(other), to_arrays(state))


def test_a_state_of_before_the_first_step_may_lack_the_moments_of_the_discriminators_adam(
    batch: Batch,
) -> None:
    """Earlier versions wrote none then."""
    fresh, other = small_state(), stepped_state(batch)
    load_arrays(
        other, {name: each for name, each in to_arrays(fresh).items() if not name.startswith(MOMENTS)}
    )
    assert_same(to_arrays(other), to_arrays(fresh))


def test_arrays_are_no_views_of_the_state(batch: Batch) -> None:
    state = stepped_state(batch)
    arrays = to_arrays(state)
    kept = {name: values.copy() for name, values in arrays.items()}
    train_step(state, batch.canonical, batch.transformed)
    assert_same(arrays, kept)


@pytest.mark.parametrize("width", [np.float16, np.float32])
def test_weights_in_half_precision_are_taken_too(width: type, batch: Batch) -> None:
    state, other = stepped_state(batch), small_state()
    arrays = {name: each.astype(width) for name, each in weights(state.experts, state.discriminator).items()}
    load_weights(other.experts, other.discriminator, arrays)
    expected = {name: each.astype(np.float32) for name, each in arrays.items()}
    assert_same(weights(other.experts, other.discriminator), expected)
