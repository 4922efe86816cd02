"""Who plays: an open roster finds the number of experts by itself, where the paper fixes it. No label is seen.

An expert that the others can do without is dismissed: one that hardly wins anything by its score, or a twin, whose answers to most
of the images that it wins are much like somebody else's. To most: two that undo one mechanism alike, and others apart, are both needed.
When nothing has changed for a while one more is hired from the identity; it stays if it finds work of its own.
Axes: expert, player (an expert that plays, in the order of the experts), batch, channel, height, width."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icm.config import RosterConfig
from icm.method.competition import Contest
from icm.method.networks import ExpertBank
from icm.shapes import Answers, Winner

NEWEST = 0.05  # weight of the newest step in the running means: about twenty steps count
LOWEST_ERROR = 1e-10
LEAST_SEEN = 5.0  # images, in the running sum, on which two experts are compared
TWINNED = 0.6  # of its images, that a twin answers like another


@dataclass
class Roster:
    """Who plays, and the running sums over the newest steps by which that is decided."""

    config: RosterConfig
    experts: int
    players: list[int]  # on the host, where it is read at every step; the bank's `playing` follows it
    since: Int[Tensor, " expert"]  # on the host too: the step at which an expert that plays began to
    share: Float[Tensor, " expert"]  # of the images, that each would win by score alone; running mean
    twinned: Float[
        Tensor, " expert"
    ]  # how many of these it answers like another, by their `resemblance`; running sum
    seen: Float[Tensor, " expert"]  # of how many; running sum
    newcomer: list[Tensor]  # one expert as it was when the competition began
    changed: int = 0  # the step of the last dismissal or hire
    hires: int = 0
    in_vain: int = 0  # hires after which somebody was dismissed before the next one, since the last after which nobody was

    @classmethod
    def of(cls, config: RosterConfig, bank: ExpertBank) -> "Roster":
        """The roster before the first step: the first experts play."""
        experts, device = bank.experts, bank.biases[0].device
        return cls(
            config=config,
            experts=experts,
            players=list(range(config.start)),
            since=torch.zeros(experts, dtype=torch.int64),
            share=torch.zeros(experts, device=device),
            twinned=torch.zeros(experts, device=device),
            seen=torch.zeros(experts, device=device),
            newcomer=one_expert(bank),
        )

    def look(self, contest: Contest) -> None:
        """Changes the running sums by one step, whose contest has a row for each player."""
        players = torch.tensor(self.players).to(self.share.device, non_blocking=True)
        won = contest.winner_by_score[:, None] == torch.arange(len(players), device=players.device)
        resembles = resemblance(contest.answers, contest.winner_by_score)[:, None] > self.config.twins
        self.share[players] = self.share[players].lerp(won.to(self.share.dtype).mean(dim=0), NEWEST)
        self.twinned[players] = (1 - NEWEST) * self.twinned[players] + (resembles & won).sum(dim=0)
        self.seen[players] = (1 - NEWEST) * self.seen[players] + won.sum(dim=0)

    def dismiss(self, step: int) -> int | None:
        """The expert that plays no more after step `step`; None where all are needed.

        One at a time: the others may part when it is gone."""
        found = self._dispensable(step)
        if found is not None:
            self.in_vain += self._newest_is_a_hire()
            self.players.remove(found)
            self.changed = step
            self._compare_anew()
        return found

    def _dispensable(self, step: int) -> int | None:
        """Of the experts that are idle or twins the one that wins least; None where there is none."""
        settled = [each for each in self.players if step - int(self.since[each]) >= self.config.grace]
        share, twins = self.share.tolist(), (self.likeness() > TWINNED).tolist()
        idle = self.config.idle / len(self.players)
        dispensable = [each for each in settled if twins[each] or share[each] < idle]
        if len(self.players) == 1:
            return None
        return min(dispensable, key=lambda each: (share[each], -each), default=None)

    def likeness(self) -> Float[Tensor, " expert"]:
        """Of the images that each expert would win by its score, the share that it answers like another; 0 for too few images."""
        return torch.where(self.seen >= LEAST_SEEN, self.twinned / self.seen, 0.0)

    def _compare_anew(self) -> None:
        """Forgets who resembled whom: one of them plays no more, or somebody new does."""
        self.twinned[:], self.seen[:] = 0, 0

    def hire(self, step: int) -> int | None:
        """The expert that begins to play after step `step`; None where nobody shall.

        One is hired when nothing has changed for `grace` steps: then the last one hired has found work, or was dismissed."""
        free = [expert for expert in range(self.experts) if expert not in self.players]
        if self._newest_is_a_hire():
            self.in_vain = 0  # nobody was dismissed since the last hire
        if not free or self.in_vain >= self.config.vain or step - self.changed < self.config.grace:
            return None
        hired = free[0]
        self.players = sorted([*self.players, hired])
        self.since[hired] = self.changed = step
        self.hires += 1
        self.share[hired] = 0
        self._compare_anew()
        return hired

    def _newest_is_a_hire(self) -> bool:
        """Whether nobody was dismissed since the last hire; False before the first one."""
        return self.hires > 0 and int(self.since.max()) == self.changed

    def counters(self) -> list[int]:
        return [self.changed, self.hires, self.in_vain]


def resemblance(answers: Answers, winner: Winner) -> Float[Tensor, " batch"]:
    """By how many dB the answer that is most like the winner's is nearer to it than the median one, for each image.

    Where a twin plays it is much nearer. While all are still alike, or all have parted, nobody is. 0 with fewer than four players."""
    players, batch = answers.shape[:2]
    winning = answers[winner, torch.arange(batch, device=winner.device)]
    error = (answers - winning).square().mean(dim=(2, 3, 4)).clamp(min=LOWEST_ERROR)
    alike = -10 * error.log10()
    alike[winner, torch.arange(batch, device=winner.device)] = -torch.inf
    others = alike.sort(dim=0, descending=True).values[: players - 1]
    if len(others) < 3:
        return torch.zeros(batch, device=winner.device)
    return others[0] - others[len(others) // 2]


def one_expert(bank: ExpertBank) -> list[Tensor]:
    """A copy of the first expert: its parameters, then its running statistics."""
    parameters = [parameter.detach()[0].clone() for parameter in bank.parameters()]
    return parameters + [statistic[:, 0].clone() for statistic in bank.statistics]
