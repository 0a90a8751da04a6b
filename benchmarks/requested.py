"""What somebody asks of a sweep while it is killed again and again, and what that allows it to end as.

Trials are stopped, and run anew; trials that have completed are to have more epochs (`longer.py`), also as no launch
runs; the launch is stopped; there are more workers, fewer, or none for a while; and what is not there is to be deleted.
In about half of these, the launch or whoever asks is killed in the middle. Each call is to end within a minute, with an
answer, or refused in a line.
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

import longer
from comparison import PARENT, Clause, Left, Violation, store, told
from longer import Asked, is_by_longer, key_of_file
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

COMMAND = [sys.executable, "-m", "orchestrator"]
MORE = "more"
CALLS = {"stop": 0.2, "rerun": 0.2, MORE: 0.3, "workers": 0.1, "stop the launch": 0.1, "delete": 0.1}  # shares
LATER = "says which trials are to have"
BEST = 2  # trials that are to have more epochs, where these are asked for as the best
SHARE_OF_BEST = 0.3
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
        has_epochs: whether trials can have more of them.
        stopped: trial_keys of trials that were to be stopped.
        reruns: how often trials were to run anew, by the trial_key of the file's.
        more: what was asked for of more epochs.
        ends_launch: whether the launch of now was to be stopped.
    """

    folder: Path
    name: str
    has_epochs: bool = False
    stopped: set[str] = field(default_factory=set)
    reruns: Counter[str] = field(default_factory=Counter)
    more: Asked = field(default_factory=Asked)
    ends_launch: bool = False
    problems: list[str] = field(default_factory=list)

    def draw(self, rng: random.Random) -> tuple[str, list[list[str]]]:
        """The next call of a seeded series, and its commands, one after the other; none where there is no trial."""
        calls = {call: share for call, share in CALLS.items() if call != MORE or self.has_epochs}
        (call,) = rng.choices([*calls], [*calls.values()])
        self.more.calls += 1
        return call, [*self._commands(call, rng)]

    def _commands(self, call: str, rng: random.Random) -> Iterator[list[str]]:
        match call:
            case "stop":
                if keys := sorted(path.name for path in self._work.glob("*/") if len(path.name) > len("requests")):
                    self.stopped.add(key := rng.choice(keys).partition(".")[0])  # it may be unfinished
                    self.more.take_back(key)
                    yield ["stop", self.name, key[:12]]
            case "rerun":
                if ended := [run for run in self.runs() if run.data.tags.get("outcome") not in (None, "interrupted")]:
                    run = rng.choice(sorted(ended, key=lambda run: str(run.data.tags["trial_key"])))
                    self._note_rerun(run)
                    yield ["rerun", self.name, run.info.run_id]
            case "more":
                if completed := [run for run in self.runs() if run.data.tags.get("outcome") == "completed"]:
                    run = rng.choice(sorted(completed, key=lambda run: str(run.data.tags["trial_key"])))
                    of_best = rng.random() < SHARE_OF_BEST
                    self.more.unknown += BEST if of_best else 0
                    self.more.times[key_of_file(run)] += not of_best
                    which = ["--best", str(BEST)] if of_best else [run.info.run_id]
                    yield [MORE, self.name, "--epochs", str(longer.EPOCHS), *which]
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

    def wait_until_asked(
        self, process: subprocess.Popen[str], rng: random.Random, look: Callable[[], object], is_alone: bool = False
    ) -> None:
        """Wait for a moment about that in which a request is taken, or answered.

        Args:
            process: that asks.
            rng: draws the moment.
            look: is called meanwhile.
            is_alone: whether no launch runs; then a request is in the store alone.
        """
        seen = self._written if is_alone else self._there
        before, deadline = seen(), time.monotonic() + SECONDS_TO_BE_SEEN
        while process.poll() is None and time.monotonic() < deadline and seen() == before:
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
        if not was_killed and process.returncode == 0 and _call(process)[0] == MORE:
            self._take_promise(process, out)

    def _take_promise(self, process: subprocess.Popen[str], answer: str) -> None:
        """Take in which trials are to have more epochs; a launch whose store is slow says that later, and to nobody."""
        if LATER in answer:
            return
        keys = longer.told_of(answer, self.runs())
        if not keys:
            self.problems.append(f"{_named(process)} promised nothing: {answer[-200:]}")
        if "--best" in _call(process):
            self.more.unknown -= BEST
            self.more.times.update(keys)
        self.more.promise(keys)

    def runs(self) -> list[Run]:
        """The runs of trials that count by now."""
        return [run for run in self._found() if PARENT in run.data.tags and REPLACED not in run.data.tags]

    def _found(self) -> list[Run]:
        """All runs of the sweep."""
        if not store(self.folder).exists():
            return []
        client = MlflowClient(tracking_uri=f"sqlite:///{store(self.folder)}")
        with suppress(MlflowException):  # the store is being made
            if experiment := client.get_experiment_by_name(self.name):
                return [*client.search_runs([experiment.experiment_id])]
        return []

    def to_run_anew(self) -> list[str]:
        """The ids of the runs of trials that were stopped: only when these run anew, all is as if nobody had asked."""
        stopped = [run for run in self.runs() if run.data.tags.get("outcome") == "pruned"]
        for run in stopped:
            self._note_rerun(run)
        return [run.info.run_id for run in stopped]

    def _note_rerun(self, run: Run) -> None:
        """Know that a trial is to run anew, with the epochs of its file."""
        self.reruns[key_of_file(run)] += 1
        self.more.take_back(key_of_file(run))

    @property
    def waits_for_a_launch(self) -> bool:
        """Whether the next launch has something to run anew, or on: asked for as the one before was closing."""
        runs = self.runs()
        parents = [run.data.tags for run in self._found() if PARENT not in run.data.tags]
        is_to_go_on = any(longer.waiting(tags, runs) for tags in parents)
        return is_to_go_on or any(run.data.tags.get("outcome") == "interrupted" for run in runs)

    @property
    def _work(self) -> Path:
        return self.folder / "mlruns" / "work" / self.name

    def _there(self) -> list[str]:
        with suppress(OSError):
            return sorted(path.name for path in (self._work / "requests").iterdir())
        return []

    def _written(self) -> int:
        """When the store was last written to."""
        return store(self.folder).stat().st_mtime_ns


def _call(process: subprocess.Popen[str]) -> list[str]:
    return [*map(str, process.args[len(COMMAND) :])]  # type: ignore[index,arg-type]


def _named(process: subprocess.Popen[str]) -> str:
    return " ".join(["sweep", *_call(process)])


def counting(left: Left) -> Left:
    """The same without runs that others have replaced."""
    return replace(left, runs=[run for run in left.runs if REPLACED not in run.data.tags])


def violations(file: Left, more: Left | None, left: Left, requested: Requested) -> list[Violation]:
    """What was done beside what was asked, or done twice; and what of it is not kept as it was.

    Args:
        file: what an untouched sweep has left.
        more: the same with more epochs; None where nobody asks for these.
        left: what a sweep has left of which somebody has asked for something.
        requested: what that was.
    """
    found = [Violation(Clause.ASKED, problem) for problem in requested.problems]
    found += longer.violations(file, more, left, requested.more)
    untouched, runs = longer.both(file, more), {run.info.run_id: run for run in left.runs}
    replaced = [run for run in left.runs if REPLACED in run.data.tags]
    anew = Counter(key_of_file(run) for run in replaced if not is_by_longer(run, runs))
    for key, count in anew.items():
        if count > requested.reruns[key]:
            found.append(Violation(Clause.ASKED, f"{key} ran anew {count} times, asked for {requested.reruns[key]}"))
    for run in replaced:
        tags = run.data.tags
        (wanted,) = untouched.of(tags["trial_key"])
        if run.info.status == "RUNNING":
            found.append(Violation(Clause.NONE_RUNNING, f"{run.info.run_name}, which was replaced, is RUNNING"))
        if tags[REPLACED] not in runs:
            found.append(Violation(Clause.ASKED, f"{run.info.run_name} was replaced by a run that is not there"))
        if tags.get("outcome") == "pruned":
            found += _pruned(wanted, run, untouched, left, requested)
        elif told(run, left.curves[run.info.run_id]) != told(wanted, untouched.curves[wanted.info.run_id]):
            found.append(Violation(Clause.ASKED, f"{run.info.run_name}, which was replaced, is not kept as it was"))
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
