"""Kill sweeps with SIGKILL at random instants, again and again; each must end as one that was never touched.

What dies is the orchestrator, one of its workers, or all of them at once: after a random time, or a moment after
something has changed on disk (an epoch in a journal, a checkpoint, a result, the store). Of a sweep of programs, which
takes turns with one of functions, it may also be a program, a process that a program has started, or the guard that
ends both with their worker. Whenever the orchestrator is dead it is launched again at once. Once a sweep has ended, all
that it left is compared with what an untouched one left.

Beside the kills, somebody asks for something (`requested.py`): trials are stopped, and run anew, or are to have more
epochs, the launch is stopped, workers come and go, and what is not there is to be deleted; often the launch or whoever
asks is killed before it is answered. Trials that were stopped run anew in the end, so that all can be compared. Longer
trials are compared one by one with those of a second untouched sweep (`longer.py`); no table of a sweep is compared.

With `--faults` the store is behind a server, and that behind a proxy through which a quarter of all requests fail, come
late or are cut. There somebody deletes runs of trials in MLflow, too: these must stay as they are, alone. And once a
sweep somebody deletes the sweep's own run, and restores it when a launch says so, or has ended.

    python benchmarks/torture.py [--kills 200] [--seed 0] [--of functions] [--faults] [--executor ray|slurm]

With `--executor ray`, `ray_torture.py` does the same on a Ray cluster of hosts that are namespaces of this machine.
With `slurm`, `slurm_torture.py` does it to jobs of a Slurm cluster of one node.
"""

import argparse
import itertools
import math
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import comparison
import longer
import requested
from comparison import PARENT, Clause, Left, Note, Violation
from faulty import proxied, seeded
from mlflow import MlflowClient
from mlflow.entities import Run
from requested import Requested
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from serving import served

NAME = "torture"
FUNCTIONS = """
trial: witness:train
metric: {name: val_ssim, goal: maximize}
retries: 1000
keep_checkpoints: all
parameters: {dataset: digits, batch_size: 16, epochs: 8}
configs:
  - {architecture: fc, num_layers: 1, var: 0.5, lr: 2e-3}
  - {architecture: fc, num_layers: 2, var: 0.1, lr: 2e-3}
  - {architecture: conv, num_layers: 2, var: 0.25, lr: 2e-3}
  - {architecture: conv, num_layers: 3, var: 0.1, lr: 2e-3}
  - {architecture: conv, num_layers: 2, var: 0.05, lr: 4e-2}  # explodes with seed 0
  - {architecture: fc, num_layers: 2, var: 0.3, lr: 2e-3}  # does not fit, and is infeasible
seeds: [0, 1]
"""
PROGRAMS = """
program: witness_program.py
metric: {name: val_loss, goal: minimize}
retries: 1000
parameters:
  way: {values: [wandb, report, print]}
  goes_on: {values: [true, false]}
  rate: {values: [0.25, 2.5]}  # with the second, the loss explodes
"""
LAUNCH = [sys.executable, "-m", "orchestrator", "launch", f"{NAME}.yaml", "--workers", "2", "--quiet"]

STORE = "mlruns/mlflow.db"
WORK = Path("mlruns", "work", NAME)
SECONDS_OF_THE_STORE = 1.5  # that its making takes, about
SECONDS_OF_CLOSING = 0.3  # that a launch takes from its last trial to its end, about
LONGEST_WAIT, LONGEST_WAIT_BEHIND_FAULTS = 9.0, 20.0
SHARE_OF_MARKS = 0.5
SAID = "launches.txt"  # what launches said on stderr
MARK_OF_LAUNCH = "TORTURE_LAUNCH"  # in the environment of a launch, and so of all that descends from it
SECONDS_FOR_ORPHANS = 5.0
SECONDS_TO_END = 450.0
REFUSED = 2  # the status of a launch that does not begin
MOST_KILLS = 12  # of a sweep
MOST_VIOLATIONS = 100  # then it is known
MOST_DELETED = 2  # runs of a sweep
DELETION = "a run in MLflow"  # the target
PARENT_DELETION = "the sweep's run in MLflow"
SHARE_OF_PARENTS = 0.4  # of deletions, until there was one
SHARE_OF_DELETIONS = 0.15  # of what happens to a sweep behind a faulty server
REQUEST = "a request"  # the target
SHARE_OF_REQUESTS = 0.35  # of what happens to a sweep that is asked for something
KILLED_WHILE_ASKED = {"orchestrator": 0.35, "asker": 0.15, "": 0.5}
SHARE_BETWEEN_LAUNCHES = 0.5  # of requests for more epochs: asked while no launch runs
MOST_LAUNCHES = 5  # for what is still to be done once nothing is killed any more
LONGEST_OPENING = 60.0  # seconds
INTERRUPTED = 130  # the status of a launch that was stopped
MOST_FALSE_ENDS = 3  # launches in a row that end as they must not, after which a sweep is given up


@dataclass(frozen=True)
class Kind:
    """What a sweep runs, what of it is killed, and when.

    Args:
        text: of the sweep file.
        witness: the files that the text needs, which note what is trained.
        targets: what is killed, and the shares of that.
        marks: what is waited for, as files under the sweep's folder, and how long it lasts at most until the kill
            after that.
    """

    text: str
    witness: Sequence[str]
    targets: Mapping[str, float]
    marks: Mapping[str, float]


MARKS = {
    "notes.txt": 4.0,  # of the witness: training goes on
    f"{WORK}/*/journal.jsonl": 0.1,
    f"{WORK}/*": 0.2,  # a trial's folder, made or removed
    f"{STORE}*": 0.1,
}
OF_FUNCTIONS = {
    f"{WORK}/*/checkpoint.*": 0.1,
    f"{WORK}/*/artifacts/*": 0.2,
    "mlruns/artifacts/*/*/artifacts/*": 0.1,
}
OF_PROGRAMS = {f"{WORK}/*/checkpoint/*": 0.1, f"{WORK}/*/epochs.json": 0.1}
KINDS = {
    "functions": Kind(
        FUNCTIONS,
        ("witness.py", "witness_declaration.py"),
        {"orchestrator": 0.35, "worker": 0.4, "all": 0.25},
        {**MARKS, **OF_FUNCTIONS},
    ),
    "programs": Kind(
        PROGRAMS,
        ("witness_program.py",),
        {"orchestrator": 0.2, "worker": 0.2, "program": 0.25, "child": 0.1, "guard": 0.1, "all": 0.15},
        {**MARKS, **OF_PROGRAMS},
    ),
}
WORDS = {  # of the command lines of what is killed
    "worker": b"--multiprocessing-fork",
    "program": b"witness_program.py",
    "child": b"sleep",
    "guard": b"guard.serve",
}


class Launch:
    """A process of `sweep launch`, and all that descends from it."""

    def __init__(self, folder: Path, uri: str | None = None) -> None:
        self._folder = folder
        name, value = MARK_OF_LAUNCH, uuid.uuid4().hex
        store = {"MLFLOW_TRACKING_URI": uri or ""}  # that of its folder, whatever the caller's is
        self._mark = f"{name}={value}".encode()
        self.since = time.time()
        with (folder / SAID).open("ab") as log:
            self.process = subprocess.Popen(
                LAUNCH, cwd=folder, env={**os.environ, **store, name: value}, stdout=subprocess.DEVNULL, stderr=log
            )

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def pids(self) -> list[int]:
        """All its living processes, whoever their parents are by now."""
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if self._mark in _strings(path / "environ")]

    def victims(self, target: str, rng: random.Random) -> list[int]:
        """The processes to kill, in a random order; none where there is no worker yet."""
        match target:
            case "orchestrator":
                return [self.process.pid]
            case "all":
                return rng.sample(pids := self.pids(), len(pids))
            case _:
                found = [pid for pid in self.pids() if WORDS[target] in _names(pid)]
                return rng.sample(found, min(1, len(found)))

    def strike(self, target: str, rng: random.Random) -> bool:
        """Kill what a plan is for; returns whether it was there."""
        victims = self.victims(target, rng)
        _kill(victims)
        if self.process.pid in victims:
            self.process.wait()
        return bool(victims)

    def pause(self, seconds: float) -> None:
        """Wait, and have the store keep its history as soon as it is there."""
        deadline, is_kept = time.monotonic() + seconds, False
        while (left := deadline - time.monotonic()) > 0:
            is_kept = is_kept or comparison.keep_history(self._folder)
            time.sleep(min(0.02, left))

    def orphans(self) -> list[int]:
        """What still lives some seconds after its end."""
        deadline = time.monotonic() + SECONDS_FOR_ORPHANS
        while (alive := self.pids()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return alive


@dataclass(frozen=True)
class Plan:
    """Whom to kill next, and when."""

    target: str
    mark: str | None  # what is waited for; None waits for nothing but the time
    wait: float  # seconds; at most, where there is a mark
    moment: float  # seconds after that

    @classmethod
    def draw(
        cls, rng: random.Random, kind: Kind, has_store: bool, behind_faults: bool, is_asked: bool = False
    ) -> "Plan":
        """The next of a seeded series. The first is for the making of the store, of which there is only one."""
        if not has_store:
            return cls("orchestrator", STORE, LONGEST_WAIT, rng.uniform(0.0, SECONDS_OF_THE_STORE))
        longest = LONGEST_WAIT_BEHIND_FAULTS if behind_faults else LONGEST_WAIT
        if behind_faults and rng.random() < SHARE_OF_DELETIONS:
            return cls(DELETION, None, rng.uniform(0.0, longest), 0.0)
        if is_asked and rng.random() < SHARE_OF_REQUESTS:
            return cls(REQUEST, None, rng.uniform(0.0, longest), 0.0)
        (target,) = rng.choices([*kind.targets], [*kind.targets.values()])
        if rng.random() < SHARE_OF_MARKS:
            mark, longest_after = rng.choice([*kind.marks.items()])
            return cls(target, mark, longest, rng.uniform(0.0, longest_after))
        return cls(target, None, rng.uniform(0.0, longest), rng.uniform(0.0, SECONDS_OF_CLOSING))


@dataclass(frozen=True)
class Kill:
    """A kill that was made."""

    target: str
    phase: str
    at: float  # seconds since 1970


@dataclass
class Sweep:
    """A sweep in a folder of its own, which is launched, and killed, until it has ended.

    Args:
        folder: where it runs.
        kind: what it runs.
        faults: the seed of the faults between it and the server of its store; None: it has a store without a server.
        requested: what somebody asks of it; None: nobody does.
    """

    folder: Path
    kind: Kind = KINDS["functions"]
    faults: int | None = None
    requested: Requested | None = None
    kills: list[Kill] = field(default_factory=list)
    launches: int = 0
    seconds: float = 0.0
    violations: list[tuple[int, Violation]] = field(default_factory=list)  # seen while it ran, after so many kills
    deleted: dict[str, str] = field(default_factory=dict)  # runs that somebody has deleted in MLflow, by trial_key
    lost_parent: str | None = None  # the sweep's own run, while it is in MLflow's trash
    _server: str | None = None  # its own URL
    _uri: str | None = None  # the one that launches are given
    _keeps_history: bool = False

    def run(
        self, rng: random.Random | None = None, kills: int = 0, tell: Callable[[Kill], None] = lambda kill: None
    ) -> Left | None:
        """Kill it at most so many times, and launch it until it has ended; returns what it left, if it could end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{NAME}.yaml").write_text(f"name: {NAME}\n{self.kind.text}")
        for file in self.kind.witness:
            shutil.copy(Path(__file__).with_name(file), self.folder)
        with self._behind_faults():
            status = self._run(rng or random.Random(), kills, tell)
            if status == 0 and self.requested is not None:
                status = self._run_anew(self.requested)
            left = comparison.read(self.folder, NAME, self._server) if status == 0 else None
        if left is None:
            return None
        for violation in comparison.replaced(left, self.deleted):
            self._blame(*violation)
        return left.without(self.deleted)

    @contextmanager
    def _behind_faults(self) -> Iterator[None]:
        """Have a server of the store, and a faulty proxy before it, where it is to have these."""
        if self.faults is None:
            yield
            return
        comparison.store(self.folder).parent.mkdir()
        with (
            served(f"sqlite:///{comparison.store(self.folder)}", self.folder / "mlruns" / "artifacts") as self._server,
            proxied(self._server, seeded(self.faults)) as proxy,
        ):
            self._uri = proxy.url
            yield

    def _run(self, rng: random.Random, kills: int, tell: Callable[[Kill], None]) -> int:
        """The status of its last launch."""
        started, launch, status, false_ends = time.perf_counter(), None, -signal.SIGKILL, 0
        while status != 0 and false_ends < MOST_FALSE_ENDS:
            launch, last = self._launched(), launch
            self.launches += 1
            self._look_for_orphans(last)
            blamed = len(self.violations)
            if self.requested is not None:
                self.requested.ends_launch = False
            status = self._accompany(launch, rng, kills, tell)
            if self.lost_parent is not None and status in (0, REFUSED):
                status = self._restore(status)
            was_asked_to = self.requested is not None and self.requested.ends_launch and status == INTERRUPTED
            if status not in (0, -signal.SIGKILL) and not was_asked_to:
                said = (self.folder / SAID).read_text().splitlines()[-1:]
                self._blame(Clause.LAUNCHES, f"one ended with status {status}: {' '.join(said)}")
            false_ends = false_ends + 1 if len(self.violations) > blamed else 0
        self._look_for_orphans(launch)
        self.seconds = time.perf_counter() - started
        return status

    def _launched(self) -> Launch:
        return Launch(self.folder, self._uri)

    def _accompany(self, launch: Launch, rng: random.Random, kills: int, tell: Callable[[Kill], None]) -> int:
        """Stay with a launch until it has ended; returns its status."""
        while launch.runs and len(self.kills) < kills:
            has_store = bool(self.kills) or (self.folder / STORE).exists()
            plan = Plan.draw(rng, self.kind, has_store, self._server is not None, self.requested is not None)
            if plan.target == REQUEST:  # of what does not train, nothing can be asked
                self._wait(launch, LONGEST_OPENING, lambda: self._phase(launch) not in ("importing", "opening"))
            self._await(launch, plan)
            phase = self._phase(launch)
            if launch.runs and plan.target == REQUEST and self.requested is not None:
                call = self._ask(launch, self.requested, rng)
                self.kills += [Kill(f"asked: {call}", phase, time.time())] if call else []
                if call:
                    tell(self.kills[-1])
                continue
            if launch.runs and (target := self._struck(launch, plan.target, rng)):
                self.kills.append(Kill(target, phase, time.time()))
                tell(self.kills[-1])
        self._wait(launch, SECONDS_TO_END)
        if launch.runs:
            self._blame(Clause.LAUNCHES, f"one was not done after {SECONDS_TO_END:.0f} seconds")
            _kill(launch.pids())
        return launch.process.wait()

    def _struck(self, launch: Launch, target: str, rng: random.Random) -> str:
        """Do what a plan is for; returns what it was done to, or nothing where that was not there."""
        if target != DELETION:
            return target if launch.strike(target, rng) else ""
        has_been = any(kill.target == PARENT_DELETION for kill in self.kills)
        if not has_been and rng.random() < SHARE_OF_PARENTS:
            return PARENT_DELETION if self._delete_parent() else ""
        return DELETION if self._delete(rng) else ""

    def _delete_parent(self) -> bool:
        """Delete the sweep's own run, as somebody may in MLflow's UI; returns whether there was one."""
        parents = [run for run in self._runs() if PARENT not in run.data.tags]
        if parents:
            self.lost_parent = parents[0].info.run_id
            MlflowClient(self._server).delete_run(self.lost_parent)
        return bool(parents)

    def _restore(self, status: int) -> int:
        """Restore that run as a refused launch says; the status with which launches then go on."""
        said = (self.folder / SAID).read_text().splitlines()[-1:]
        if status == REFUSED and f"mlflow runs restore --run-id {self.lost_parent}" not in " ".join(said):
            self._blame(Clause.LAUNCHES, f"one was refused with other words: {' '.join(said)}")
        MlflowClient(self._server).restore_run(self.lost_parent)
        self.lost_parent = None
        return -signal.SIGKILL

    def _delete(self, rng: random.Random) -> bool:
        """Delete the run of a trial, as somebody may in MLflow's UI; returns whether there was any."""
        trials = [run for run in self._runs() if PARENT in run.data.tags]
        if not trials or len(self.deleted) >= MOST_DELETED:
            return False
        run = rng.choice(sorted(trials, key=lambda run: str(run.data.tags["trial_key"])))
        MlflowClient(self._server).delete_run(run.info.run_id)
        self.deleted[run.data.tags["trial_key"]] = run.info.run_id
        return True

    def _runs(self) -> list[Run]:
        client = MlflowClient(self._server)
        experiment = client.get_experiment_by_name(NAME)
        return [*client.search_runs([experiment.experiment_id])] if experiment else []

    def _ask(self, launch: Launch, asked: Requested, rng: random.Random) -> str:
        """Ask for something, and perhaps kill the launch or whoever asks; returns what happened."""
        call, commands = asked.draw(rng)
        if not commands:
            return ""
        (victim,) = rng.choices([*KILLED_WHILE_ASKED], [*KILLED_WHILE_ASKED.values()])
        is_alone = call == requested.MORE and rng.random() < SHARE_BETWEEN_LAUNCHES
        if is_alone:
            launch.strike("orchestrator", rng)
        for command in commands:
            process = asked.begun(command)
            if command is commands[0] and victim:
                asked.wait_until_asked(process, rng, self._keep_history, is_alone)
                if victim == "asker":
                    process.kill()
                elif not is_alone:
                    launch.strike(victim, rng)
            asked.end(process, was_killed=victim == "asker" and command is commands[0], look=self._keep_history)
        killed = ["orchestrator"] * is_alone + [victim] * bool(victim and not (is_alone and victim == "orchestrator"))
        return ", ".join([call, *(f"{one} killed" for one in killed)])

    def _run_anew(self, asked: Requested) -> int:
        """Have trials run anew that were stopped, and go on that are to, once nothing is killed any more.

        Returns:
            The last status.
        """
        status = 0
        for launches in itertools.count():
            run_ids = asked.to_run_anew()
            if status != 0 or not (run_ids or asked.waits_for_a_launch):
                break
            if launches == MOST_LAUNCHES:
                self._blame(Clause.LAUNCHES, f"{launches} have not done what was still to be done")
                break
            if run_ids:
                asked.end(asked.begun(["rerun", NAME, *run_ids]), was_killed=False, look=self._keep_history)
            launch = self._launched()
            self._wait(launch, SECONDS_TO_END)
            if launch.runs:
                _kill(launch.pids())
            status = launch.process.wait()
            if status != 0:
                self._blame(Clause.LAUNCHES, f"one that ran anew what was stopped ended with status {status}")
        return status

    def _await(self, launch: Launch, plan: Plan) -> None:
        """Wait for the instant of a plan; or for the closing of the launch, which is short and comes but once."""
        before = self._state(plan.mark)
        self._wait(launch, plan.wait, lambda: self._state(plan.mark) != before or self._phase(launch) == "closing")
        self._wait(launch, plan.moment)

    def _wait(self, launch: Launch, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        deadline = time.monotonic() + seconds
        while launch.runs and time.monotonic() < deadline and not until():
            self._keep_history()
            time.sleep(max(0.0, min(0.02, deadline - time.monotonic())))

    def _keep_history(self) -> None:
        """Have the store keep its history, as soon as it is there."""
        self._keeps_history = self._keeps_history or comparison.keep_history(self.folder)

    def _state(self, mark: str | None) -> list[tuple[Path, float]]:
        return [(path, _changed_at(path)) for path in self._find(mark)] if mark else []

    def _phase(self, launch: Launch) -> str:
        """What the launch is doing, by what lies on disk."""
        if _changed_at(self.folder / "notes.txt") < launch.since:
            return "opening" if _changed_at(self.folder / WORK / "launch.json") > launch.since else "importing"
        if not self._find(f"{WORK}/*/"):
            return "closing"
        return "ending a trial" if self._find(f"{WORK}/*/artifacts/model") else "training"

    def _find(self, pattern: str) -> list[Path]:
        try:
            return list(self.folder.glob(pattern))
        except FileNotFoundError:  # a folder has gone meanwhile
            return []

    def _look_for_orphans(self, launch: Launch | None) -> None:
        if launch and (alive := launch.orphans()):
            lines = "; ".join(
                b" ".join(_strings(Path(f"/proc/{pid}/cmdline"))).decode(errors="replace") for pid in alive
            )
            self._blame(Clause.ORPHANS, f"{len(alive)} lived on after it: {lines}")
            _kill(alive)

    def _blame(self, clause: Clause, what: str) -> None:
        self.violations.append((len(self.kills), Violation(clause, what)))


def seconds_lost(notes: Sequence[Note], kills: Sequence[float]) -> list[float]:
    """Seconds of training that each kill undid, over all trials: those since the last step that stayed."""
    attempts: dict[str, list[list[Note]]] = {}
    for note in notes:
        of_trial = attempts.setdefault(note.trial_key, [])
        if note.step == 0:
            of_trial.append([])
        of_trial[-1].append(note)
    lost = [0.0] * len(kills)
    for *cut, last in attempts.values() if kills else ():
        repeated_from = min((note.step for note in last[1:]), default=math.inf)
        for attempt in reversed(cut):
            kept = [note for note in attempt if note.step < repeated_from][-1]
            repeated_from = min([repeated_from, *(note.step for note in attempt[1:])])
            by = min(bisect_left(kills, attempt[-1].at), len(kills) - 1)
            lost[by] += kills[by] - kept.at
    return lost


@dataclass
class Report:
    """What the kills of sweeps of one kind have come to so far."""

    name: str
    untouched: Left
    seconds_untouched: float
    longer: Left | None = None  # the same with as many epochs as somebody asks for; None where nobody does
    sweeps: list[Sweep] = field(default_factory=list)
    ended: list[Sweep] = field(default_factory=list)  # those of them that came to an end
    lost: list[float] = field(default_factory=list)  # seconds of training, by kill
    steps: int = 0  # that were trained, over all sweeps
    violations: list[Violation] = field(default_factory=list)

    @property
    def kills(self) -> list[Kill]:
        return [kill for sweep in self.sweeps for kill in sweep.kills]

    def take(self, sweep: Sweep, left: Left | None) -> list[str]:
        """Take a sweep in that has ended, or could not; returns its violations, each in a line."""
        before, found = len(self.kills), sweep.violations
        self.sweeps.append(sweep)
        if left is not None:
            self.ended.append(sweep)
            self.lost += seconds_lost(left.notes, [kill.at for kill in sweep.kills])
            self.steps += _steps(left)
            untouched = self.untouched.without(sweep.deleted)
            if sweep.requested is not None:
                told = requested.violations(untouched, self.longer, left, sweep.requested)
                found = [*found, *((len(sweep.kills), v) for v in told)]
                left = requested.counting(longer.with_all_pictures(left))
                untouched = longer.expected(untouched, self.longer, left)
            found = [*found, *((len(sweep.kills), v) for v in comparison.violations(untouched, left))]
        self.violations += [violation for _, violation in found]
        return [f"kill {before + kills}: {clause}: {what}" for kills, (clause, what) in found]

    def table(self) -> Table:
        """The figures."""
        kills, ended = self.kills, len(self.ended)
        needed = ended * _steps(self.untouched)
        more = sum(sweep.seconds - self.seconds_untouched for sweep in self.ended)
        cost = more / max(1, sum(len(sweep.kills) for sweep in self.ended))
        table = Table(title=f"{self.name} killed, and what it came to", title_justify="left")
        table.add_column("what")
        table.add_column("figure", justify="right")
        for (target, phase), count in sorted(Counter((kill.target, kill.phase) for kill in kills).items()):
            table.add_row(f"kills: {target}, {phase}", str(count))
        per_epoch = _steps_of_an_epoch(self.untouched)
        rows = {
            "kills": len(kills),
            "launches": sum(sweep.launches for sweep in self.sweeps),
            "sweeps": len(self.sweeps),
            "sweeps that ended": ended,
            "trials": ended * len(self.untouched.keys),
            "epochs trained": f"{self.steps / per_epoch:.1f}",
            "epochs needed": f"{needed / per_epoch:.1f}",
            "work repeated": f"{self.steps / max(1, needed) - 1:.1%}",
            "training undone by a kill: median": f"{statistics.median(self.lost or [0.0]):.2f} s",
            "training undone by a kill: most": f"{max(self.lost, default=0.0):.2f} s",
            "cost of a kill in all, start-up included: mean": f"{cost:.1f} s",
        }
        for what, figure in rows.items():
            table.add_row(what, str(figure))
        counts = Counter(violation.clause for violation in self.violations)
        for clause in Clause:
            table.add_row(f"violated: {clause}", str(counts[clause]))
        return table


def torture(
    folder: Path, names: Sequence[str], kills: int, seed: int, console: Console, faults: bool = False
) -> list[Report]:
    """Kill sweeps, one after the other, until so many kills have been made; keeps the folders of violations alone.

    Args:
        folder: where they run.
        names: of their kinds, which take turns.
        kills: how many.
        seed: of what is killed, and when.
        console: where it is told.
        faults: whether their stores are behind faulty servers.
    """
    rng = random.Random(seed)
    reports = [untouched(folder / f"untouched-{name}", name, console) for name in names]
    for report in () if faults else reports:
        report.longer = _longer(folder / f"untouched-{report.name}-longer", report.name, console)
    console.print(f"now {kills} kills, with seed {seed}")
    for number in itertools.count(1):
        before = sum(len(report.kills) for report in reports)
        if before >= kills or sum(len(report.violations) for report in reports) >= MOST_VIOLATIONS:
            return reports
        report = reports[(number - 1) % len(reports)]
        place = folder / f"sweep-{number}"
        asked = None if faults else Requested(place, NAME, has_epochs=report.longer is not None)
        sweep = Sweep(place, KINDS[report.name], rng.randrange(2**32) if faults else None, asked)

        def tell(kill: Kill, before: int = before, sweep: Sweep = sweep, number: int = number) -> None:
            made = before + len(sweep.kills)
            console.print(f"{time.strftime('%H:%M:%S')} {made}/{kills} sweep {number}: {kill.target}, {kill.phase}")

        lines = report.take(sweep, sweep.run(rng, min(MOST_KILLS, kills - before), tell))
        console.print(f"sweep {number} has ended after {len(sweep.kills)} kills: {len(lines)} violations")
        for line in lines:
            console.print(f"[red]seed {seed}, sweep {number}, {escape(line)}")
        if not lines:
            shutil.rmtree(sweep.folder)
    return reports


def untouched(folder: Path, name: str, console: Console, kind: Kind | None = None) -> Report:
    """Run a sweep that nobody touches; of a kind that has a name, or of another one."""
    console.print(f"an untouched sweep of {name} first")
    calm = Sweep(folder, kind or KINDS[name])
    left = calm.run()
    wrong = [violation for _, violation in calm.violations] + (comparison.violations(left, left) if left else [])
    if left is None or wrong:
        said = "".join(f"\n{clause}: {what}" for clause, what in wrong)
        sys.exit(f"a sweep that nobody touches does not end as it must: see {calm.folder}{said}")
    console.print(f"it took {calm.seconds:.0f} s")
    return Report(name, left, calm.seconds)


def _longer(folder: Path, name: str, console: Console) -> Left | None:
    """What an untouched sweep leaves that has more epochs; None of a kind that has no epochs."""
    text = longer.with_more(KINDS[name].text)
    if text is None:
        return None
    return untouched(folder, f"{name} with more epochs", console, replace(KINDS[name], text=text)).untouched


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill sweeps again and again, and look whether it shows.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", choices=[*KINDS], help="one kind of sweeps; without it, they take turns")
    parser.add_argument(
        "--faults", action="store_true", help="into a server, by a proxy through which a quarter of all requests fail"
    )
    parser.add_argument("--executor", choices=["process", "ray", "slurm"], default="process", help="where trials run")
    asked = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    if asked.executor == "ray":
        import ray_torture

        sys.exit(ray_torture.run(asked.kills, asked.seed, console))
    if asked.executor == "slurm":
        import slurm_torture

        sys.exit(slurm_torture.run(asked.kills, asked.seed, console))
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    reports = torture(folder, [asked.of] if asked.of else [*KINDS], asked.kills, asked.seed, console, asked.faults)
    for report in reports:
        console.print(report.table())
    if any(report.violations for report in reports):
        console.print(f"what the sweeps with violations have left is under {folder}")
        sys.exit(1)
    shutil.rmtree(folder)


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _names(pid: int) -> set[bytes]:
    """The last parts of the words of a process's command line."""
    return {word.rsplit(b"/", 1)[-1] for word in _strings(Path(f"/proc/{pid}/cmdline"))}


def _strings(path: Path) -> list[bytes]:
    """The parts of a process's environment or command line; of one that is gone, or another user's, none."""
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        return []


def _changed_at(path: Path) -> float:
    """When a file was last written, in seconds since 1970; 0 for none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _steps(left: Left) -> int:
    return sum(note.step > 0 for note in left.notes)


def _steps_of_an_epoch(left: Left) -> int:
    epochs = max(len(curves.get("train_loss", [])) for curves in left.curves.values())
    return max(note.step for note in left.notes) // max(1, epochs)


if __name__ == "__main__":
    main()
