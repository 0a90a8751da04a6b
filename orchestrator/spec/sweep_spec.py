"""A sweep as the rest of the program knows it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from orchestrator.divergence import DivergenceRule
from orchestrator.functions import TrialFunction
from orchestrator.spec.block_forms import BoundaryForm, Replicates
from orchestrator.spec.conditions import Conditions
from orchestrator.spec.constraint import Constraint
from orchestrator.spec.domains import Domain
from orchestrator.spec.event import BoundaryEvent
from orchestrator.spec.executor_forms import ExecutorForm
from orchestrator.spec.methods import Method
from orchestrator.spec.objective import Objective, objectives
from orchestrator.spec.pruner_forms import PrunerForm
from orchestrator.spec.source import Source
from orchestrator.stacking import Stacking
from orchestrator.system.interrupt import GRACE_SECONDS
from orchestrator.system.machine import Resources
from orchestrator.trial import Outcome, Params

SECONDS_TO_CLOSE = 1.0  # from the end of a program to the news of it


@dataclass(frozen=True)
class ReferenceRow:
    """A published row: the parameters that name it, and its figures or outcome."""

    params: Params
    metrics: Mapping[str, float]
    outcome: Outcome | None


@dataclass(frozen=True)
class Reference:
    """Published figures."""

    source: str
    rows: tuple[ReferenceRow, ...]


@dataclass(frozen=True)
class OnFinish:
    """What is notified when a launch has ended: a command with its arguments, or a URL."""

    command: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class PriorSource:
    """Where a search finds trials to learn from: another sweep of the store, or a CSV file."""

    text: str  # as the file has it
    number: int  # in the file's list
    sweep: str = ""
    file: Path | None = None


@dataclass(frozen=True)
class SweepSpec:
    """A sweep, validated: every value is of its parameter's type and within its range."""

    name: str
    is_named: bool  # whether by its file; else it has the file's own name
    description: str
    source: Source
    function: TrialFunction
    given: frozenset[str]  # the parameters that the file gives
    method: Method
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    domains: Mapping[str, Domain]
    conditions: Conditions
    zipped: tuple[Params, ...]
    configs: tuple[Params, ...]
    varying: frozenset[str]  # the parameters that may differ between configurations
    seeds: tuple[int, ...]
    replicates: Replicates | None
    survivors: bool  # whether seeds that exploded or were infeasible do not count where configurations are ranked
    start_with: tuple[Params, ...]  # configurations that are tried first, or parts of them
    prior: tuple[PriorSource, ...]
    run_cap: int | None
    time_cap: float | None  # seconds
    seed: int
    reference: Reference | None
    boundary: BoundaryForm
    event: BoundaryEvent  # whose boundary is looked for
    early_terminate: PrunerForm | None
    divergence: DivergenceRule
    retries: int
    stall_seconds: float
    stacking: Stacking
    executor: ExecutorForm | None  # where trials run, if not on this machine
    resources: Resources  # that a trial, or a stack of them, takes
    warm: bool  # whether a trial may find what those before it have changed in its process
    reuse: bool
    report: bool  # whether a launch keeps a report current
    record_code: bool
    overrides: tuple[str, ...]  # of the call, as NAME=VALUE
    on_finish: OnFinish | None
    keep: tuple[str, ...]  # patterns of files that are kept as artifacts
    keep_checkpoints: int | None  # of so many of the best trials; None: of all
    warnings: tuple[str, ...]

    def distinguishing(self, names: Iterable[str], params: Params) -> list[str]:
        """Those of some parameters that distinguish a configuration from others: all that vary in it.

        But of what only other rows of `configs` give, those alone that do not have their defaults.
        """
        if not (self._rows or self.conditions.wanted):  # as of most sweeps, some of ten thousand trials
            return [*names]
        fitting = [keys for keys, rows in self._rows.items() if _values(keys, params) in rows]
        given = max(fitting, key=len) if fitting else ()
        silent = {name for keys in self._rows for name in keys if name not in given}
        defaults = self.function.defaults
        active = self.conditions.active(names, params)
        return [name for name in active if name not in silent or params[name] != defaults.get(name)]

    @cached_property
    def _rows(self) -> Mapping[tuple[str, ...], set[str]]:
        """The rows of `configs`, by what they give: there may be thousands, and each trial looks for its own."""
        found: dict[tuple[str, ...], set[str]] = {}
        for row in self.configs:
            found.setdefault(tuple(row), set()).add(_values(row, row))
        return found

    @property
    def grace(self) -> float:
        """How many seconds trials may take to end when the sweep is interrupted: a program as its file gives it."""
        program = self.function.program
        return max(GRACE_SECONDS, 0.0 if program is None else program.grace + SECONDS_TO_CLOSE)

    @property
    def epochs(self) -> int | None:
        """How many epochs each trial has; None where that is no parameter, or varies."""
        if "epochs" in self.varying or "epochs" in self.conditions.wanted:
            return None
        domain = self.domains.get("epochs")
        known = domain.examples()[0] if domain else self.function.defaults.get("epochs")
        return known if type(known) is int else None

    @property
    def ranks(self) -> bool:
        """Whether there is anything by which trials are ranked."""
        return bool(self.objectives) and not self.method.finds_boundary

    @property
    def pruned_by(self) -> Objective:
        """What early termination compares: a metric of its own, or the only objective."""
        own = self.early_terminate and self.early_terminate.metric
        return objectives([own])[0] if own else self.objectives[0]

    @property
    def is_listed(self) -> bool:
        """Whether all of its trials are known in advance."""
        return self.method.is_listed and not self.is_open_ended

    @property
    def is_open_ended(self) -> bool:
        """Whether it runs until it is stopped, or has nothing more to try."""
        return self.run_cap is None and not self.method.is_exhaustive

    @property
    def proposal_cap(self) -> int | None:
        """How many trials may be proposed: half of run_cap where the rest is for replicates; a grid's are given."""
        if self.run_cap is None or self.replicates is None or self.method.is_exhaustive:
            return self.run_cap
        return -(-self.run_cap // 2)


def _values(names: Iterable[str], params: Params) -> str:
    return repr([params.get(name) for name in names])
