"""Studies: named tables of configurations, each run over many seeds, measured and summed up in one file.

Every run is an ordinary run in the store: it can be watched, opened and resumed. A study that was interrupted goes on where it
was. What is finished is not run again, and not measured again unless it is to be measured otherwise than it was. On another machine,
with other seeds, it adds to the same file."""

import hashlib
import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from importlib.metadata import version
from math import ceil
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np

from icm import files
from icm.config import RunConfig, changed_fields
from icm.errors import ActionableError
from icm.images import sets
from icm.images.digits import NEEDS, named_source
from icm.images.unseen import SETS
from icm.jobs import launch
from icm.jobs.prepare import PACKAGES
from icm.jobs.process import begin, start_job
from icm.jobs.studies import configs_of
from icm.ownership import win_share
from icm.presets import command_line, preset
from icm.runs.history import run_history
from icm.runs.run import Run
from icm.runs.store import RunStore
from icm.show.results import RESULTS, Curves

IMAGES = 100  # held-out digits that a run is measured on, and as many letters, through every mechanism
OVER_STEPS = 32  # of each, that every snapshot is measured on
FIRST_STEPS = 10  # whose wins say who won what at the start
CONFIDENCE = 0.95  # of every interval
NUMBERS = re.compile(r"\[[-+.\deE,\s]+\]")  # a list of numbers as json writes it
RESAMPLES = 9999  # of a bootstrap; scipy's default
LOOK = 0.2  # seconds between two looks at a process
INTERRUPTED = "the study was interrupted; the same command goes on with it"
MEASURED = "measured.json"  # in a run's folder: what `icm evaluate` found, and the words it was `asked` with
WRITING = 60.0  # seconds to wait for another study that writes the same results


Shares = list[list[float]]  # mechanism, expert


class StudyError(ActionableError):
    """A study that cannot be run, or one of its runs."""


@dataclass(frozen=True)
class Finding:
    """What one run of a study came to."""

    variant: str
    run: str
    seed: int
    one_to_one: bool  # at the end, by evaluation on held-out images
    first_step: int | None  # from which one-to-one held for 100 steps
    routing: float
    psnr: float  # dB, mean over mechanisms, winners' answers
    seconds: float  # of competition
    threads: int
    surplus: int  # experts that play at the end beyond one for each mechanism
    date: str  # when it began
    machine: str
    dtype: str  # in which the networks were computed
    won_first: Shares | None = None  # share of each mechanism's images that each expert won at the start
    won: Shares | None = None  # and of held-out images at the end
    quality: list[float] | None = None  # dB, the winners' answers to each mechanism's images
    nothing: list[float] | None = None  # dB, these images themselves
    curves: Mapping[str, Curves] | None = None  # of each set: what every snapshot came to, by `step`
    diagnosed: Mapping[str, list[int]] | None = (
        None  # of each kind of fault how many were found without the truth, wrongly, not
    )


Submit = Callable[[str, int], "Future[Finding]"]  # has a run settled, by its variant and seed


@dataclass(frozen=True)
class Progress:
    """How far a study is."""

    done: int
    of: int
    seconds_left: float | None  # None before the first run has ended
    finding: Finding


class Study:
    """One study in a store: its runs, one for each variant and seed."""

    def __init__(
        self,
        name: str,
        seeds: Sequence[int],
        store: RunStore,
        root: Path,
        only: Sequence[str] = (),
        asked_to_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """`only` names the variants to run, all of them when it is empty. `asked_to_stop` is asked again and again.

        UnknownStudy for a name that there is not."""
        self.configs = configs_of(name, only)
        if not seeds:
            raise StudyError("no seed is named; use --seeds 0:20, or 3,7,11")
        self.name, self.store, self.root = name, store, root
        self.plan = [(variant, seed) for seed in seeds for variant in self.configs]
        self.asked_to_stop = asked_to_stop
        self.over = threading.Event()  # nobody waits for its runs any more: those that go on stop

    def run(self, submit: Submit, workers: int) -> Iterator[Progress]:
        """Trains and measures what is missing, and yields as each run ends. The time left is told as for `workers` at a time.

        StudyError when the study was asked to stop; the runs are then stopped, and nothing is lost."""
        started, before = time.monotonic(), self._finished()
        waiting = [submit(variant, seed) for variant, seed in self.plan]
        for done, future in enumerate(as_completed(waiting), start=1):
            finding = future.result()
            left = seconds_left(time.monotonic() - started, done - before, len(self.plan) - done, workers)
            yield Progress(done, len(self.plan), left, finding)

    def is_stopping(self) -> bool:
        """Whether its runs are to be stopped: somebody asked for it, or one of them has failed."""
        return self.over.is_set() or self.asked_to_stop()

    def _run_id(self, variant: str, seed: int) -> str:
        return f"{self.name}-{variant}-s{seed}"

    def _finished(self) -> int:
        """How many of the runs are trained and measured already."""
        runs = [Run(self.store.root / self._run_id(*each)) for each in self.plan]
        return sum(self._measured(run) is not None for run in runs)

    def settle(self, variant: str, seed: int) -> Finding:
        """Trains one run to its end, if it is not there yet, and measures it, if it is not measured yet."""
        run = self._open(self._run_id(variant, seed), replace(self.configs[variant], seed=seed))
        while run.trainer.is_alive() and not self.is_stopping():
            time.sleep(LOOK)  # somebody else trains it, such as a study that was killed
        if run.status().phase != "finished":
            self._train(run)
            if run.status().phase != "finished":
                raise StudyError(f"run {run.id} was stopped by somebody; the same command goes on with it")
        measured = self._measured(run)
        return finding_of(variant, run, self._measure(run) if measured is None else measured)

    def _asked(self) -> list[str]:
        """The words that measure a run, on digits and on letters: Omniglot's where they are at hand."""
        letters = "omniglot" if SETS["omniglot"].here(self.root) else "alphabets"
        return ["--json", "--on", letters, "--images", str(IMAGES), "--over-steps", str(OVER_STEPS)]

    def _measured(self, run: Run) -> dict[str, Any] | None:
        """What was found when the run was measured with these words; None where it was not."""
        path = run.folder / MEASURED
        if not path.exists():
            return None
        found = files.read_json(path, "delete it, and the same command measures the run again")
        return found if found.get("asked") == self._asked() else None

    def _measure(self, run: Run) -> dict[str, Any]:
        """Measures the run with one thread, and keeps what was found in its folder."""
        words = self._asked()
        job = start_job(["evaluate", run.id, *words], self.store.root, self.root, threads=1)
        self._wait(run, job.process, job.last_words)
        found = {"asked": words, **json.loads(job.printed())}
        files.write_json(run.folder / MEASURED, found)
        return found

    def _open(self, run_id: str, config: RunConfig) -> Run:
        """The run of that name, made if it is not there. StudyError when it is there with other settings."""
        if self.is_stopping():
            raise StudyError(INTERRUPTED)
        if not (self.store.root / run_id).exists():
            for name in NEEDS[named_source(config.source)]:
                if sets.state(name, self.root) != "here":
                    raise StudyError(f"study {self.name}: {sets.complaint(name, self.root)}")
            command = f"{command_line(config)} (study {self.name})"
            return launch.create(self.store, run_id, config, self.root, command)
        run = self.store.open(run_id)
        if (mine := config_hash(run.config())) != (wanted := config_hash(config)):
            raise StudyError(
                f"run {run_id} in {self.store.root} has other settings ({mine}) than the study ({wanted}); "
                "delete it, or choose another --store"
            )
        return run

    def _train(self, run: Run) -> None:
        """Trains the run to its end, or to a stop, with one thread. What the trainer prints is added to the run's log."""
        with launch.log_of(run) as log:
            process = begin(["resume", run.id], self.store.root, self.root, log, threads=1)
        self._wait(run, process, lambda: run.log_tail(1).removeprefix("icm: "))

    def _wait(self, run: Run, process: Popen[bytes], last_words: Callable[[], str]) -> None:
        """Waits for a process that works on the run. When the study is stopped the run is stopped too.

        StudyError when the study was stopped, and when the process failed or was ended by a signal."""
        while process.poll() is None:
            if self.is_stopping() and run.trainer.is_alive() and not run.trainer.stop_requested():
                run.trainer.request_stop()
            time.sleep(LOOK)
        code = process.returncode
        if self.is_stopping():
            raise StudyError(INTERRUPTED)
        if code < 0:
            ended = f"its process was ended by signal {-code} ({signal.strsignal(-code)})"
            raise StudyError(f"run {run.id}: {ended}; the same command goes on with it")
        if code > 0:
            raise StudyError(f"run {run.id}: {last_words() or f'its process ended with code {code}'}")


@contextmanager
def threads(study: Study, workers: int) -> Iterator[Submit]:
    """What settles runs of the study here, `workers` at a time, each a process with one thread."""
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield partial(pool.submit, study.settle)
        finally:
            study.over.set()
            pool.shutdown(cancel_futures=True)


def config_hash(config: RunConfig) -> str:
    """Twelve hex digits of all that decides what a run computes, seed and device apart.

    Only of what differs from the defaults, so that a setting of a later version does not change those of before."""
    said = json.dumps(changed_fields(replace(config, seed=0, device="auto"), RunConfig()), sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def finding_of(variant: str, run: Run, measured: Mapping[str, Any]) -> Finding:
    """What a finished run came to, from its rows and what `icm evaluate --json` said of it."""
    config, environment = run.config(), run.environment()
    history, measured_over = run_history(run, config), measured.get("over_steps")
    first = win_share(history.until(FIRST_STEPS).recent().wins[0]).T
    digits = measured.get("digits", measured)
    return Finding(
        variant=variant,
        run=run.id,
        seed=config.seed,
        one_to_one=bool(digits["one_to_one"]),
        first_step=history.one_to_one_from(),
        routing=float(digits["routing_accuracy"]),
        psnr=round(float(np.mean(list(digits["psnr"].values()))), 2),
        seconds=round(history.seconds, 1),
        threads=int(environment["threads"]),
        surplus=len(history.plays()) - len(config.mechanisms),
        date=date.fromtimestamp(run.created).isoformat(),
        machine=str(environment["machine"]),
        dtype=str(environment["engine"]["dtype"]),
        won_first=np.round(first, 3).tolist(),
        won=np.round(digits["win_share"], 3).tolist(),
        quality=np.round(list(digits["psnr"].values()), 2).tolist(),
        nothing=np.round(list(digits["psnr_nothing"].values()), 2).tolist(),
        curves=curves_of(measured_over) if measured_over else None,
        diagnosed=measured.get("diagnosed"),
    )


def curves_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[float | int]]]:
    """Of each set the columns of its rows: `step`, and what was measured after it."""
    found: dict[str, dict[str, list[float | int]]] = {}
    for row in rows:
        of_set = found.setdefault(row["set"], {})
        for name, value in row.items():
            if name != "set":
                of_set.setdefault(name, []).append(value)
    return found


def seconds_left(elapsed: float, ended: int, remaining: int, workers: int) -> float | None:
    """Seconds until `remaining` runs have ended, after `ended` took `elapsed`; they run in rounds of `workers`. None before one has."""
    return elapsed / ceil(ended / workers) * ceil(remaining / workers) if ended > 0 else None


def interval(values: Sequence[float], statistic: Callable[..., Any]) -> list[float] | None:
    """A bootstrap interval (percentile) of a statistic; None for fewer than two values."""
    from scipy import stats  # two seconds, which whoever only waits for runs does without

    if len(values) < 2:
        return None
    found = stats.bootstrap(
        (np.array(values, dtype=float),),
        statistic,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return [round(float(found.confidence_interval.low), 3), round(float(found.confidence_interval.high), 3)]


def summary(findings: Sequence[Finding]) -> dict[str, Any]:
    """Sums up the runs of one variant, with 95 % intervals: Wilson's for the share, bootstrapped ones for the rest.

    A run that never became one-to-one counts as infinitely late in the median, which is None where half of them never did."""
    from scipy import stats

    hits, n = sum(each.one_to_one for each in findings), len(findings)
    share = stats.binomtest(hits, n).proportion_ci(CONFIDENCE, method="wilson")
    first = [np.inf if each.first_step is None else float(each.first_step) for each in findings]
    middle = float(np.median(first))
    routing, psnr = [each.routing for each in findings], [each.psnr for each in findings]
    return {
        "runs": n,
        "one_to_one": hits,
        "one_to_one_without_surplus": sum(each.one_to_one and each.surplus == 0 for each in findings),
        "one_to_one_interval": [round(float(share.low), 3), round(float(share.high), 3)],
        "first_step_median": middle if np.isfinite(middle) else None,
        "first_step_median_interval": interval(first, np.median) if np.isfinite(first).all() else None,
        "routing_mean": round(float(np.mean(routing)), 4),
        "routing_mean_interval": interval(routing, np.mean),
        "psnr_mean": round(float(np.mean(psnr)), 2),
        "psnr_mean_interval": interval(psnr, np.mean),
        "psnr_least": min(psnr),
    }


def write_results(name: str, findings: Sequence[Finding], folder: Path = RESULTS) -> dict[str, Any]:
    """Writes NAME.json, and returns it: for each variant its settings, its summary and its runs.

    Runs of other seeds that the file has already are kept, where their settings are these: a study can be gone on with on
    another machine, and one that ends at the same time waits. An ActionableError when there is such a file and it cannot be read."""
    path = folder / f"{name}.json"
    with files.on_disk(folder, "written"):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with files.hold(folder / f".{name}.lock", WRITING):
            others = _other_seeds(path, configs_of(name), findings) if path.exists() else []
            result = _result(name, [*findings, *others])
            files.write_whole(path, (on_lines(result) + "\n").encode())
    except TimeoutError:
        raise StudyError(f"{path} is being written by another study; try the same command again") from None
    return result


def _result(name: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """What NAME.json says of these runs."""
    variants = {}
    for variant, config in configs_of(name).items():
        found = sorted((each for each in findings if each.variant == variant), key=lambda each: each.seed)
        if not found:
            continue
        variants[variant] = {
            "command": command_line(config),
            "changed": changed_fields(config, preset(config.preset)),
            "config_hash": config_hash(config),
            "summary": summary(found),
            "runs": [
                {
                    name: value
                    for name, value in asdict(each).items()
                    if value is not None or name == "first_step"
                }
                for each in found
            ],
        }
    return {
        "study": name,
        "date": date.today().isoformat(),
        "packages": {each: version(each) for each in PACKAGES},
        "variants": variants,
    }


def on_lines(result: Mapping[str, Any]) -> str:
    """JSON for people: indented, with each list of numbers on one line."""
    return NUMBERS.sub(
        lambda found: "[" + " ".join(found[0][1:-1].split()) + "]", json.dumps(result, indent=2)
    )


def _other_seeds(path: Path, configs: Mapping[str, RunConfig], findings: Sequence[Finding]) -> list[Finding]:
    """The runs in a file of results that have the settings of `configs` and are not among `findings`."""
    remedy = "move it away, and the same command writes a new one"
    result, mine = files.read_json(path, remedy), {(each.variant, each.seed) for each in findings}
    try:
        return [
            Finding(**run)
            for variant, config in configs.items()
            if (said := result["variants"].get(variant)) and said["config_hash"] == config_hash(config)
            for run in said["runs"]
            if (variant, run["seed"]) not in mine
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise StudyError(f"{path} holds no results of a study ({error}); {remedy}") from error
