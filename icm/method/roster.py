"""Who plays: an open roster finds the number of experts by itself, where the paper fixes it. No label is seen.

An expert that the others can do without is dismissed: one that hardly wins anything by its score, or a twin. On most of the images
that a twin wins it answers much like somebody else, and somebody else scores nearly as well: two that undo one mechanism alike, and
others apart, are both needed, and so are two whose answers are alike where the discriminator knows whose is right.
One more is hired from the identity once the last one hired has work of its own, or when nothing has changed for a while. The sooner
all mechanisms have somebody the better: while experts are too few a conscience that wants equal shares makes them share.
Axes: expert, player (an expert that plays, in the order of the experts), batch, channel, height, width."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icm.config import RosterConfig
from icm.method.competition import Contest
from icm.method.networks import ExpertBank
from icm.shapes import Answers, Logits, Winner

NEWEST = 0.05  # weight of the newest step in the running means: about twenty steps count
LOWEST_ERROR = 1e-10
LEAST_SEEN = 5.0  # images, in the running sum, on which two experts are compared
TWINNED = 0.5  # of its images, that a twin answers like another
NEARLY = (
    2.0  # logits, by which the next best score lies behind the best where nothing is lost without the best
)
WORK = 0.5  # of an equal share, that an expert wins by its score if it has found work


@dataclass
class Roster:
    """Who plays, and the running sums over the newest steps by which that is decided."""

    config: RosterConfig
    experts: int
    players: list[int]  # on the host, where it is read at every step; the bank's `playing` follows it
    since: Int[Tensor, " expert"]  # on the host too: the step at which an expert that plays began to
    share: Float[Tensor, " expert"]  # of the images, that each would win by score alone; running mean
    twinned: Float[Tensor, " expert"]  # how many of these another answers alike, nearly as well; running sum
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
        resembles = resemblance(contest.answers, contest.winner_by_score) > self.config.twins
        twinned = (resembles & (lead(contest.logits) < NEARLY))[:, None] & won
        self.share[players] = self.share[players].lerp(won.to(self.share.dtype).mean(dim=0), NEWEST)
        self.twinned[players] = (1 - NEWEST) * self.twinned[players] + twinned.sum(dim=0)
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
        """Of the images that each expert would win by its score, the share that another answers alike and nearly as well; 0 for too few."""
        return torch.where(self.seen >= LEAST_SEEN, self.twinned / self.seen, 0.0)

    def _compare_anew(self) -> None:
        """Forgets who resembled whom: one of them plays no more, or somebody new does."""
        self.twinned[:], self.seen[:] = 0, 0

    def hire(self, step: int) -> int | None:
        """The expert that begins to play after step `step`; None where nobody shall.

        One is hired when the last one hired has found work, or nothing has changed for `grace` steps."""
        free = [expert for expert in range(self.experts) if expert not in self.players]
        is_time = step - self.changed >= self.config.grace or self._newest_has_work()
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

    def _newest_has_work(self) -> bool:
        """Whether the last one hired, with nobody dismissed since, wins its part of the images, and not as a twin."""
        newest = int(self.since.argmax())
        alone = bool(self.seen[newest] >= LEAST_SEEN) and float(self.likeness()[newest]) <= TWINNED
        return self._newest_is_a_hire() and alone and float(self.share[newest]) >= WORK / len(self.players)

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


def lead(logits: Logits) -> Float[Tensor, " batch"]:
    """By how much the best score of each image is above the next best; infinite for one player."""
    if len(logits) < 2:
        return torch.full(logits.shape[1:], torch.inf, device=logits.device)
    best = logits.topk(2, dim=0).values
    return best[0] - best[1]


def one_expert(bank: ExpertBank) -> list[Tensor]:
    """A copy of the first expert: its parameters, then its running statistics."""
    parameters = [parameter.detach()[0].clone() for parameter in bank.parameters()]
    return parameters + [statistic[:, 0].clone() for statistic in bank.statistics]
