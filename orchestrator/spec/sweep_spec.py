"""A sweep as the rest of the program knows it."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.divergence import DivergenceRule
from orchestrator.spec.domains import Domain
from orchestrator.spec.form import Boundary, Metric, Pruner
from orchestrator.spec.source import Source
from orchestrator.stacking import Stacking
from orchestrator.trial import Outcome, Params
from orchestrator.trial_function import TrialFunction


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
    """What a launch that has ended is told to: a command with its arguments, or a URL."""

    command: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class SweepSpec:
    """A sweep, validated: every value is of its parameter's type and within its range."""

    name: str
    source: Source
    function: TrialFunction
    method: str
    metric: Metric
    domains: Mapping[str, Domain]
    zipped: tuple[Params, ...]
    configs: tuple[Params, ...]
    seeds: tuple[int, ...]
    run_cap: int | None
    seed: int
    reference: Reference | None
    boundary: Boundary
    early_terminate: Pruner | None
    divergence: DivergenceRule
    retries: int
    stall_seconds: float
    stacking: Stacking
    reuse: bool
    on_finish: OnFinish | None
    warnings: tuple[str, ...]
