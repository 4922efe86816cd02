"""The learner's optimiser, its start, and what it may not see."""

import inspect

import pytest
import torch

from icm import training
from icm.config import IdentityConfig, ModelConfig, RunConfig
from icm.data import Batch, generator_for
from icm.models import Discriminator, ExpertBank, elu
from icm.training import ExpertAdam, identity_step, identity_steps, init_state, start_competition, train_step


def tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small_state(start: str = "independent", experts: int = 3) -> training.TrainState:
    config = RunConfig(
        model=ModelConfig(experts=experts, filters=6, discriminator_filters=2, discriminator_hidden=5),
        identity=IdentityConfig(start=start),  # pyright: ignore[reportArgumentType]
    )
    return init_state(config, generator_for(1, "weights"), torch.device("cpu"))


def test_the_learner_is_shown_two_piles_of_images_and_nothing_else() -> None:
    assert list(inspect.signature(train_step).parameters) == ["state", "canonical", "transformed"]
    source = inspect.getsource(training)
    assert ".original" not in source
    assert ".mechanism" not in source


def test_expert_adam_is_torchs_adam_for_each_expert_that_was_active() -> None:
    stacked = torch.nn.Parameter(tensor(3, 2, 5))
    separate = [torch.nn.Parameter(stacked[expert].detach().clone()) for expert in range(3)]
    adam = ExpertAdam([stacked], learning_rate=0.01)
    adams = [torch.optim.Adam([parameter], lr=0.01) for parameter in separate]

    for step, active in enumerate(
        [[True, False, True], [True, False, False], [False, False, True], [True] * 3]
    ):
        gradient = tensor(3, 2, 5, seed=step + 1)
        adam.step((gradient,), torch.tensor(active))
        for expert in range(3):
            if active[expert]:
                separate[expert].grad = gradient[expert]
                adams[expert].step()

    for expert in range(3):
        torch.testing.assert_close(stacked[expert], separate[expert], rtol=1e-6, atol=1e-7)


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

    assert state.copies.tolist() == [expert == best for expert in range(3)]
    for parameter, old in zip(state.experts.parameters(), before):
        assert torch.equal(parameter[best], old[best])
        assert not torch.equal(parameter[best - 1], old[best - 1])
    assert len(identity_step(state, batch.transformed, target_error=between)) == 2


def test_identity_initialisation_makes_copyists(batch: Batch) -> None:
    state = small_state()
    errors = [
        error.max().item()
        for error in identity_steps(state, lambda step: batch.transformed, IdentityConfig(steps=150))
    ]
    assert errors[-1] < errors[0] / 4


def test_a_shared_start_hands_out_perturbed_copies_of_the_first_expert(batch: Batch) -> None:
    state = small_state("shared", experts=5)
    assert len(identity_step(state, batch.transformed, target_error=1e-9)) == 1
    first = [parameter[0].detach().clone() for parameter in state.experts.parameters()]

    start_competition(state, IdentityConfig(start="shared", perturbation=0.05), generator_for(1, "copies"))

    relative = torch.cat(
        [(parameter / old - 1).flatten() for parameter, old in zip(state.experts.parameters(), first)]
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
