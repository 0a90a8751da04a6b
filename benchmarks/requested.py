"""What somebody asks of a sweep while it is killed again and again, and what that allows it to end as.

Trials are stopped, and run anew; the launch is stopped; there are more workers, fewer, or none for a while; and what is
not there is to be deleted. In about half of these, the launch or whoever asks is killed in the middle. Each call is to
end within a minute, with an answer, or refused in a line.
"""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from comparison import PARENT, Clause, Left, Violation, store, told
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

COMMAND = [sys.executable, "-m", "orchestrator"]
CALLS = {"stop": 0.3, "rerun": 0.3, "workers": 0.2, "stop the launch": 0.1, "delete": 0.1}  # and their shares
REPLACED = "replaced_by"
SECONDS_TO_ANSWER = 60.0
SECONDS_TO_BE_SEEN = 15.0  # until a request is on disk
BEFORE_THE_ANSWER = 0.5  # seconds after that, in which an answer is given, or has not been given yet


@dataclass
class Requested:
    """What was asked of a sweep in a folder.

    Args:
        folder: where it runs.
        name: of the sweep.
        stopped: trial_keys of trials that were to be stopped.
        reruns: how often trials were to run anew, by trial_key.
        ends_launch: whether the launch of now was to be stopped.
    """

    folder: Path
    name: str
    stopped: set[str] = field(default_factory=set)
    reruns: Counter[str] = field(default_factory=Counter)
    ends_launch: bool = False
    problems: list[str] = field(default_factory=list)

    def draw(self, rng: random.Random) -> tuple[str, list[list[str]]]:
        """The next call of a seeded series, and its commands, one after the other; none where there is no trial."""
        (call,) = rng.choices([*CALLS], [*CALLS.values()])
        return call, [*self._commands(call, rng)]

    def _commands(self, call: str, rng: random.Random) -> Iterator[list[str]]:
        match call:
            case "stop":
                if keys := sorted(path.name for path in self._work.glob("*/") if len(path.name) > len("requests")):
                    self.stopped.add(key := rng.choice(keys))
                    yield ["stop", self.name, key[:12]]
            case "rerun":
                if ended := [run for run in self.runs() if run.data.tags.get("outcome") not in (None, "interrupted")]:
                    run = rng.choice(sorted(ended, key=lambda run: str(run.data.tags["trial_key"])))
                    self.reruns[run.data.tags["trial_key"]] += 1
                    yield ["rerun", self.name, run.info.run_id]
            case "workers":
                yield ["workers", self.name, str(rng.choice([0, 1, 3]))]
                yield ["workers", self.name, "2"]
            case "stop the launch":
                self.ends_launch = True
                yield ["stop", self.name]
            case _:
                yield rng.choice([["delete", self.name], ["delete", "nothing", "--yes"]])

    def begun(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """A call that is being made."""
        return subprocess.Popen(
            [*COMMAND, *command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_asked(self, process: subprocess.Popen[str], rng: random.Random, look: Callable[[], object]) -> None:
        """Wait for a moment about that in which a request is taken, or answered; `look` is called meanwhile."""
        before, deadline = self._there, time.monotonic() + SECONDS_TO_BE_SEEN
        while process.poll() is None and time.monotonic() < deadline and self._there == before:
            look()
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, BEFORE_THE_ANSWER))

    def end(self, process: subprocess.Popen[str], was_killed: bool, look: Callable[[], object]) -> None:
        """See that a call ends, and says how in words; `look` is called meanwhile."""
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while process.poll() is None and time.monotonic() < deadline:
            look()
            time.sleep(0.02)
        try:
            out, err = process.communicate(timeout=1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            self.problems.append(f"{_named(process)} had no end after {SECONDS_TO_ANSWER:.0f} seconds")
            return
        has_said = bool(out.strip()) if process.returncode == 0 else err.startswith("sweep: ")
        if not was_killed and (process.returncode not in (0, 2) or not has_said):
            self.problems.append(f"{_named(process)} ended with status {process.returncode}: {out[-200:]}{err[-200:]}")

    def runs(self) -> list[Run]:
        """The runs of trials that count by now."""
        if not store(self.folder).exists():
            return []
        client = MlflowClient(tracking_uri=f"sqlite:///{store(self.folder)}")
        with suppress(MlflowException):  # the store is being made
            if experiment := client.get_experiment_by_name(self.name):
                found = client.search_runs([experiment.experiment_id])
                return [run for run in found if PARENT in run.data.tags and REPLACED not in run.data.tags]
        return []

    def to_run_anew(self) -> list[str]:
        """The ids of the runs of trials that were stopped: only when these run anew, all is as if nobody had asked."""
        stopped = [run for run in self.runs() if run.data.tags.get("outcome") == "pruned"]
        self.reruns.update(run.data.tags["trial_key"] for run in stopped)
        return [run.info.run_id for run in stopped]

    @property
    def waits_for_a_launch(self) -> bool:
        """Whether a trial is to run anew with the next launch: it was asked for as the one before was closing."""
        return any(run.data.tags.get("outcome") == "interrupted" for run in self.runs())

    @property
    def _work(self) -> Path:
        return self.folder / "mlruns" / "work" / self.name

    @property
    def _there(self) -> list[str]:
        with suppress(OSError):
            return sorted(path.name for path in (self._work / "requests").iterdir())
        return []


def _named(process: subprocess.Popen[str]) -> str:
    return " ".join(["sweep", *map(str, process.args[len(COMMAND) :])])  # type: ignore[index,arg-type]


def counting(left: Left) -> Left:
    """The same without runs that others have replaced."""
    return replace(left, runs=[run for run in left.runs if REPLACED not in run.data.tags])


def violations(untouched: Left, left: Left, requested: Requested) -> list[Violation]:
    """What was done beside what was asked, or done twice; and what of it is not kept as it was."""
    found = [Violation(Clause.ASKED, problem) for problem in requested.problems]
    replaced = [run for run in left.runs if REPLACED in run.data.tags]
    ids = {run.info.run_id for run in left.runs}
    for key, count in Counter(run.data.tags["trial_key"] for run in replaced).items():
        if count > requested.reruns[key]:
            found.append(Violation(Clause.ASKED, f"{key} ran anew {count} times, asked for {requested.reruns[key]}"))
    for run in replaced:
        tags = run.data.tags
        (wanted,) = untouched.of(tags["trial_key"])
        if run.info.status == "RUNNING":
            found.append(Violation(Clause.NONE_RUNNING, f"{run.info.run_name}, which was replaced, is RUNNING"))
        if tags[REPLACED] not in ids:
            found.append(Violation(Clause.ASKED, f"{run.info.run_name} was replaced by a run that is not there"))
        if tags.get("outcome") == "pruned":
            found += _pruned(wanted, run, untouched, left, requested)
        elif told(run, left.curves[run.info.run_id]) != told(wanted, untouched.curves[wanted.info.run_id]):
            found.append(Violation(Clause.ASKED, f"{run.info.run_name}, which ran anew, is not kept as it was"))
    return found


def _pruned(wanted: Run, run: Run, untouched: Left, left: Left, requested: Requested) -> Iterator[Violation]:
    """What is wrong with a trial that was stopped: it is to have the beginning of what it would have had."""
    if run.data.tags["trial_key"] not in requested.stopped or run.data.tags["pruned.reason"] != "stopped by hand":
        yield Violation(Clause.ASKED, f"{run.info.run_name} is pruned, and nobody has asked for it")
    whole = untouched.curves[wanted.info.run_id]
    for name, curve in left.curves[run.info.run_id].items():
        points = [(step, value) for step, value in curve if step > 0]
        meant = [(step, value) for step, value in whole.get(name, []) if step > 0]
        if name != "images_per_second" and points != meant[: len(points)]:
            yield Violation(Clause.ASKED, f"{run.info.run_name}, which was stopped, has another {name}")
