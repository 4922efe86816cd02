"""Who plays: an open roster finds the number of experts by itself, where the paper fixes it. No label is seen.

An expert that the others can do without is dismissed: one that hardly wins anything by its score, or a twin. On most of the images
that a twin wins some answer is much like its own, and the next best scores nearly as well; and so it is on many images of whom that is.
Two that undo one mechanism alike and others apart are both needed, and so is who takes one of two from an expert.
One more is hired from the identity when everybody has work of their own, or when nothing has changed for a while. Early, that is: the
longer others have learned, the farther ahead their scores are, and the less can a new one take a mechanism from them.
Axes: expert, player (an expert that plays, in the order of the experts), batch, channel, height, width."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from icm.config import RosterConfig
from icm.method.competition import Contest
from icm.method.networks import ExpertBank
from icm.shapes import Answers, Winner

NEWEST = 0.05  # weight of the newest step in the running means: about twenty steps count
LOWEST_ERROR = 1e-10
LEAST_SEEN = 5.0  # images, in the running sum, on which two experts are compared
NEARLY = 2.0  # logits, by which the next best score may lie behind where little is lost without the best
TWINNED = 0.5  # of a twin's images, on which little is lost without it
TOO = 0.33  # of the images of whom it is like, on which little is lost without that one
WORK = 0.5  # of an equal share, that an expert wins by its score if it has found work


@dataclass
class Roster:
    """Who plays, and the running sums over the newest steps by which that is decided."""

    config: RosterConfig
    experts: int
    players: list[int]  # on the host, where it is read at every step; the bank's `playing` follows it
    since: Int[Tensor, " expert"]  # on the host too: the step at which an expert that plays began to
    share: Float[Tensor, " expert"]  # of the images, that each would win by score alone; running mean
    twinned: Float[Tensor, "expert next"]  # on how many little is lost, by who is next best; running sum
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
            twinned=torch.zeros(experts, experts, device=device),
            seen=torch.zeros(experts, device=device),
            newcomer=one_expert(bank),
        )

    def look(self, contest: Contest) -> None:
        """Changes the running sums by one step, whose contest has a row for each player."""
        players = torch.tensor(self.players).to(self.share.device, non_blocking=True)
        won = one_hot(contest.winner_by_score, len(players)).to(self.share.dtype)
        self.share[players] = self.share[players].lerp(won.mean(dim=0), NEWEST)
        self.seen[players] = (1 - NEWEST) * self.seen[players] + won.sum(dim=0)
        if len(players) > 1:
            best, order = contest.logits.topk(2, dim=0)
            resembles = resemblance(contest.answers, contest.winner_by_score) > self.config.twins
            twinned = won * (resembles & (best[0] - best[1] < NEARLY))[:, None]
            pairs = (players[:, None], players)
            found = twinned.T @ one_hot(order[1], len(players)).to(twinned.dtype)
            self.twinned[pairs] = (1 - NEWEST) * self.twinned[pairs] + found

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
        share, twins = self.share.tolist(), self.twins().tolist()
        idle = self.config.idle / len(self.players)
        dispensable = [each for each in settled if twins[each] or share[each] < idle]
        if len(self.players) == 1:
            return None
        return min(dispensable, key=lambda each: (share[each], -each), default=None)

    def twins(self) -> Bool[Tensor, " expert"]:
        """Who could be dispensed with since another is alike, and would be lost without as little; nobody who won too few images."""
        twinned, other = self.twinned.sum(dim=1), self.twinned.argmax(dim=1)
        part = torch.where(self.seen >= LEAST_SEEN, twinned / self.seen, 0.0)
        return (part > TWINNED) & (part[other] > TOO)

    def _compare_anew(self) -> None:
        """Forgets who resembled whom: one of them plays no more, or somebody new does."""
        self.twinned[:], self.seen[:] = 0, 0

    def hire(self, step: int) -> int | None:
        """The expert that begins to play after step `step`; None where nobody shall.

        One is hired when all have work, or nothing has changed for `grace` steps."""
        free = [expert for expert in range(self.experts) if expert not in self.players]
        is_time = step - self.changed >= self.config.grace or self._all_have_work()
        if not free or self.in_vain >= self.config.vain or not is_time:
            return None
        if self._newest_is_a_hire():
            self.in_vain = 0  # nobody was dismissed since
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

    def _all_have_work(self) -> bool:
        """Whether everybody who plays wins about their part of the images, nobody as a twin."""
        share, seen, twins = self.share[self.players], self.seen[self.players], self.twins()[self.players]
        return bool(((share >= WORK / len(self.players)) & (seen >= LEAST_SEEN) & ~twins).all())

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
