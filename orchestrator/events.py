"""What travels up from a trial: Started, then Progress for each epoch, and exactly one Finished.

In between may come Sampled, Points, Tagged, and Restarted where a program begins its curve again.

Heartbeats come in between, about once a second: they are for displays, and nothing records them.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from orchestrator.system.printable import in_a_line
from orchestrator.trial import Outcome, Trial

PLAIN_METRIC = re.compile(r"[\w\-.:]([\w\-.: ]|/(?=[\w\-.: ])){0,249}")
LONGEST_METRIC = 1000  # characters
BY_STEP = ".by_step"  # after the name of what is logged more often than by epoch
# metrics of a run that its trial does not report
ADDED = ("exploded", "explosion_margin", "best_epoch", "infeasible_margin")
SERIES = re.compile(r"\.by_step$|\.fold\d+$")


def metric_name(given: Any) -> str:
    """The name of a metric, as a trial reports it or a file gives it: in a line, with what does not print written out.

    Raises:
        TypeError: it is not a text.
        ValueError: it is empty, or far too long.
    """
    if not isinstance(given, str):
        raise TypeError(f"{given!r} is not the name of a metric: it is not a text")
    name = given if PLAIN_METRIC.fullmatch(given) else in_a_line(given)
    if not 0 < len(name) <= LONGEST_METRIC:
        raise ValueError(f"{name[:50]!r} is not the name of a metric: use up to {LONGEST_METRIC:,} characters")
    return name


@dataclass(frozen=True)
class Started:
    """A process has taken the trial up. `dataset` is what the function's `prepare` returned about its data."""

    pid: int
    threads: int
    dataset: Mapping[str, str | int] | None = None
    kind: Literal["started"] = "started"
    is_final: Literal[False] = False


@dataclass(frozen=True)
class Progress:
    """One whole epoch: its finite metrics, when it ended (seconds since 1970), and how many seconds it took.

    `step` is the last one, where the function reports steps; `not_finite` names the metrics that have no finite value.
    """

    epoch: int
    metrics: Mapping[str, float]
    at: float
    seconds: float = field(default=0.0, compare=False)
    step: int = field(default=0, compare=False)
    not_finite: Sequence[str] = field(default=(), compare=False)
    kind: Literal["progress"] = "progress"
    is_final: Literal[False] = False


@dataclass(frozen=True)
class Sampled:
    """What a trial's process takes of the machine at a time (seconds since 1970), by MLflow's names."""

    metrics: Mapping[str, float]
    at: float
    kind: Literal["sampled"] = "sampled"
    is_final: Literal[False] = False


def is_series(name: str) -> bool:
    """Whether a metric is one beside the curves by epoch: what comes more often, or a later curve of a script."""
    return SERIES.search(name) is not None


@dataclass(frozen=True)
class Points:
    """Values that are no epoch's own, by metric: of each its step, the value, and when it came (seconds since 1970).

    What is logged more often than by epoch has its own count as step. A name is a point set of its own: what came
    before under the same name and step is not written again.
    """

    values: Mapping[str, Sequence[tuple[int, float, float]]]
    kind: Literal["points"] = "points"
    is_final: Literal[False] = False


@dataclass(frozen=True)
class Tagged:
    """Facts about the run of the trial, by the name of the tag that they become."""

    tags: Mapping[str, str]
    kind: Literal["tagged"] = "tagged"
    is_final: Literal[False] = False


@dataclass(frozen=True)
class Restarted:
    """A program has begun again at an epoch that it had reported: what it reported before no longer counts."""

    after: int  # the last epoch that it had reported
    at: float  # seconds since 1970
    kind: Literal["restarted"] = "restarted"
    is_final: Literal[False] = False


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life: the step that a trial has made, and its loss, if that is finite."""

    step: int
    loss: float | None
    kind: Literal["beat"] = "beat"


@dataclass(frozen=True)
class Explosion:
    """Where and how a loss left its run's own history for good."""

    reason: str
    epoch: int
    step: int
    last_finite_loss: float | None


Cause = Literal["memory", "time", "configuration"]
CAUSES: tuple[Cause, ...] = ("memory", "time", "configuration")


@dataclass(frozen=True)
class Infeasibility:
    """Why a configuration cannot be trained: what it lacks.

    `margin` is how far it is beyond what there is, in powers of ten, above 0; None where nobody knows. `limit` is the
    trial timeout that ended it, in seconds.
    """

    cause: Cause
    margin: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Finished:
    """The end, so many seconds after the last whole epoch.

    `metrics` are the final ones that are finite, `not_finite` names the others; `reason` is why a trial failed, was
    pruned or is infeasible, in a line; `at` is in seconds since 1970; `margin` is how far beyond an explosion the trial
    was, as `divergence.margin` computes it; `number` counts the ends of the sweep, in all launches, from 1 on, and
    `broken` says in words which constraints of the file it has broken: the launch adds these two. `is_loss` says that
    what the trial ran in has died, so that it ended like one whose worker is lost: an executor may try it again.
    `may_fit_alone` says that the memory of a device has run out, which other trials may have had.
    """

    outcome: Outcome
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    explosion: Explosion | None = None
    infeasible: Infeasibility | None = None
    diagnosis: str | None = None
    margin: float | None = None
    is_loss: bool = field(default=False, compare=False)
    may_fit_alone: bool = field(default=False, compare=False)
    at: float = field(default_factory=time.time, compare=False)
    seconds: float = field(default=0.0, compare=False)
    not_finite: Sequence[str] = field(default=(), compare=False)
    number: int = field(default=0, compare=False)
    broken: Sequence[str] = field(default=(), compare=False)
    kind: Literal["finished"] = "finished"
    is_final: Literal[True] = True

    @property
    def why(self) -> str:
        """Why it came to that, in a line; empty where there is nothing to say."""
        return self.explosion.reason if self.explosion else self.reason or self.diagnosis or ""

    @property
    def may_go_on(self) -> bool:
        """Whether a later launch may go on with the trial from its checkpoint."""
        was_cut = self.infeasible is not None and self.infeasible.limit is not None
        return was_cut or not self.outcome.is_result


Event = Started | Progress | Sampled | Points | Tagged | Restarted | Finished
AnyEvent = Annotated[Event, Field(discriminator="kind")]


class Listener:
    """Receives the events of the trials of a launch. A listener overrides the methods that it needs."""

    def start(self, trial: Trial) -> None:
        """A trial is about to be given to the executor, or to end with a result that its journal has already."""

    def renew(self, trial: Trial, was: Outcome) -> None:
        """A trial that had ended so is to run anew: what it had reported counts no longer. It starts again later."""

    def recall(self, trial: Trial, event: Event) -> None:
        """An earlier attempt had reported this, never an end; its order is that of the journal. May come repeatedly."""

    def take(self, trial: Trial, event: Event) -> None:
        """The trial reports this now; after a final event nothing more follows.

        Raises:
            SweepError: the sweep cannot go on after that.
        """


_adapter: TypeAdapter[tuple[int, Event | Heartbeat]] = TypeAdapter(
    tuple[int, Annotated[Event | Heartbeat, Field(discriminator="kind")]],
    config=ConfigDict(defer_build=True),  # the command starts sooner, which needs no event
)


def encode(row: int, event: Event | Heartbeat) -> bytes:
    """An event or a heartbeat, and which of a worker's trials it belongs to, as JSON."""
    return _adapter.dump_json((row, event))


def decode(message: bytes) -> tuple[int, Event | Heartbeat]:
    """What `encode` wrote."""
    return _adapter.validate_json(message)
