"""A trainer session: what a trainer holds while it trains one run, from its start or resume to its end or stop.

Here what the learner did is compared with the truth (which mechanism, which original), and goes into the rows."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from icm.config import RunConfig
from icm.errors import ActionableError
from icm.images.batches import Batch
from icm.measure.evaluation import psnr
from icm.method.state import TrainState, to_arrays
from icm.method.training import StepOutput
from icm.method.weights import weights
from icm.runs.film import COPIES, film_due
from icm.runs.history import HistoryWriter
from icm.runs.records import StepRecord, Window
from icm.runs.run import Run
from icm.runs.status import Phase
from icm.shapes import Images, Logits, MechanismIndex, Winner

BEAT_EVERY = 0.5  # seconds between two writes of status.json
# Weight of the speed so far at each beat: the speed shown follows a change within some five beats.
OLD_SPEED = 0.8

Draw = Callable[[str, int, int], Batch]  # name of the stream of random numbers, step, number of images


@dataclass(frozen=True)
class Progress:
    """What a consumer of `trainer.train` sees: where the run is, and the row that was just written, if one was."""

    phase: Phase
    step: int
    of: int
    steps_per_second: float
    record: StepRecord | None = None
    notice: str = ""  # a sentence that a person should read, such as what was found damaged or lost


class Heartbeat:
    """Writes status.json while the run goes on, and measures its speed from one beat to the next."""

    def __init__(self, run: Run) -> None:
        self.run, self.speed = run, 0.0  # steps per second
        self.phase: Phase = "preparing"
        self.last, self.step = time.monotonic(), 0

    def beat(self, phase: Phase, step: int, of: int) -> None:
        """Writes at most every `BEAT_EVERY` seconds, and at once when the phase changes.

        StoreError ends a run whose folder, lock or configuration was removed or replaced."""
        self.run.trainer.check_place()
        now = time.monotonic()
        if phase != self.phase:
            self.phase, self.last, self.step, self.speed = phase, now, step, 0.0
        elif now - self.last >= BEAT_EVERY:
            latest = (step - self.step) / (now - self.last)
            self.speed = latest if self.speed == 0 else OLD_SPEED * self.speed + (1 - OLD_SPEED) * latest
            self.last, self.step = now, step
        else:
            return
        self.run.write_status(phase, step, of, steps_per_second=self.speed)


@dataclass(frozen=True)
class JudgedStep:
    """What a row needs of one step: the contest, and how good the winners' answers were."""

    winner: Winner
    mechanism: MechanismIndex
    logits: Logits
    psnr: Float[Tensor, " batch"]
    expert_loss: Float[Tensor, ""]
    discriminator_loss: Float[Tensor, ""]


def judge(batch: Batch, output: StepOutput) -> JudgedStep:
    """Compares the winners' answers with the true originals. Everything stays on the device."""
    return JudgedStep(
        winner=output.contest.winner,
        mechanism=batch.mechanism,
        logits=output.contest.logits,
        psnr=psnr(output.contest.restored, batch.original),
        expert_loss=output.expert_loss,
        discriminator_loss=output.discriminator_loss,
    )


@dataclass(frozen=True)
class Shown:
    """A held-out digit for each mechanism, which the film shows to the experts."""

    original: Images
    transformed: Images


class Diverged(ActionableError):
    """The networks hold numbers that are not finite: they give no answer and never learn again."""


@dataclass(frozen=True)
class TrainerSession:
    """A run made ready to be trained from where it is."""

    run: Run
    config: RunConfig
    state: TrainState
    window: Window
    history: HistoryWriter
    draw: Draw
    heartbeat: Heartbeat
    asked_to_stop: Callable[[], bool]
    notices: list[str]  # what was found when the run was made ready
    uncounted: list[JudgedStep]  # still on the device: reading each step at once would make the device wait
    shown: Shown

    def count(self) -> None:
        """Adds the steps that are not yet counted to the window."""
        for step in self.uncounted:
            losses = {"expert_loss": step.expert_loss, "discriminator_loss": step.discriminator_loss}
            self._refuse_divergence({name: loss.cpu().numpy() for name, loss in losses.items()})
            self.window.add(
                winner=step.winner.cpu().numpy(),
                mechanism=step.mechanism.cpu().numpy(),
                logits=step.logits.cpu().numpy(),
                psnr=step.psnr.cpu().numpy(),
                losses=(float(step.expert_loss), float(step.discriminator_loss)),
            )
        self.uncounted.clear()

    def write_row(self) -> StepRecord:
        """Appends the row of the steps since the last row to metrics.jsonl, and the running sums to history.f8."""
        self.run.trainer.check_place()
        has_bias = self.state.conscience.rule == "conscience"
        record = self.window.take(
            self.state.step,
            bias=self.state.bias.tolist() if has_bias else None,
            plays=self.state.roster.players if self.state.roster else None,
        )
        self.run.rows.append(record.to_json())
        self.history.append(record)
        return record

    def save_state(self) -> None:
        """Saves all that a resume needs. The rows are flushed first: otherwise a power cut could leave a state whose
        rows are lost."""
        self.count()
        arrays = to_arrays(self.state)
        self._refuse_divergence(arrays)
        self.run.trainer.check_place()
        self.run.rows.flush()
        self.run.states.save(self.state.step, {**arrays, **self.window.to_arrays()})

    def save_snapshot(self) -> None:
        """Saves the networks as they are now."""
        arrays = weights(self.state.experts, self.state.discriminator)
        self._refuse_divergence(arrays)
        self.run.snapshots.save(self.state.step, arrays)

    def _refuse_divergence(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Diverged where a number is not finite: once saved, it would push out the last sound state."""
        broken = [name for name, values in arrays.items() if not np.isfinite(values).all()]
        if broken:
            rate = self.config.training.learning_rate
            raise Diverged(
                f"diverged: after step {self.state.step} {broken[0]} is not finite, with training.learning_rate {rate:g}; "
                "what was saved before stays; start a run like it with a smaller one"
            )

    def save_film(self, last: int) -> None:
        """Adds a picture to the film, if one is due: after `last` steps of the competition, or in the identity phase."""
        state, film = self.state, self.run.film
        if not state.competing and state.identity_steps in COPIES:
            film.save_copy(state.identity_steps, self._answers())
        elif state.competing and film_due(state.step, last):
            film.save(state.step, self._answers())

    @torch.no_grad()
    def _answers(self) -> Float[np.ndarray, "expert mechanism height width"]:
        """What every expert makes of the film's digits now, in evaluation mode. Who does not play answers with a blank."""
        experts = self.state.experts
        players = self.state.roster.players if self.state.roster else list(range(experts.experts))
        found = torch.zeros(experts.experts, *self.shown.transformed.shape)
        experts.eval()
        found[players] = experts(self.shown.transformed.to(self.state.device), players).float().cpu()
        experts.train()
        return found[:, :, 0].numpy()

    def stop(self, phase: Phase, step: int, of: int) -> Progress:
        """Saves what a resume needs and writes that the run is stopped."""
        self.save_state()
        self.run.trainer.clear_stop()
        where = " of the identity initialisation, before the race" if phase == "identity" else ""
        self.run.write_status(
            "stopped", step, of, f"stopped after step {step}{where}; a resume goes on there"
        )
        return Progress("stopped", step, of, self.heartbeat.speed)
