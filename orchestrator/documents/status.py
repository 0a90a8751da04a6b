"""How far sweeps are."""

from collections.abc import Iterable
from typing import Literal, Self

from orchestrator.documents.base import Document, DocumentPart, Number, Params
from orchestrator.documents.trial import MetricPart
from orchestrator.progress.status import Best, Running, Status
from orchestrator.trial import Outcome


class RunningPart(DocumentPart):
    """A trial that runs."""

    trial: str
    """Its label: what varies."""
    epoch: int
    """The last whole one."""
    epochs: int | None
    """That it will have, where that is known."""
    step: int
    """Of the current epoch; 0 where steps are not reported."""
    steps: int | None
    """Of an epoch."""
    metric: str
    """Which `value` is of."""
    value: Number | None
    rate: Number | None
    """Per second, as the function declares it."""
    seconds_left: Number | None

    @classmethod
    def of(cls, running: Running) -> Self:
        """A running trial."""
        return cls(
            trial=running.label,
            epoch=running.epoch,
            epochs=running.epochs,
            step=running.step,
            steps=running.steps,
            metric=running.metric,
            value=running.value,
            rate=running.rate,
            seconds_left=running.seconds_left,
        )


class BestTrialPart(DocumentPart):
    """The best trial so far, by the first metric that trials are compared by."""

    trial: str
    """Its label: what varies."""
    params: Params
    metric: MetricPart
    value: Number
    has_reached_target: bool

    @classmethod
    def of(cls, best: Best) -> Self:
        """The best trial of a status."""
        return cls(
            trial=best.label,
            params=dict(best.params),
            metric=MetricPart.of(best.objective),
            value=best.value,
            has_reached_target=best.has_reached_target,
        )


class SweepStatusPart(DocumentPart):
    """How far a sweep is."""

    sweep: str
    asked: int | None
    """How many trials its last launch was to bring to a result; null: until it is stopped."""
    results: int
    """How many have theirs."""
    outcomes: dict[Outcome, int]
    running: list[RunningPart]
    best: BestTrialPart | None
    seconds_left: Number | None
    """Until the last trial has its result; null if unknown."""
    workers: int | None
    """At once, where somebody has asked for so many; 0: it is paused."""
    is_live: bool
    """Whether a launch may be at work; always so where the store is a server, since only its own machine knows."""

    @classmethod
    def of(cls, status: Status, *, is_live: bool) -> Self:
        """The status of a sweep."""
        return cls(
            sweep=status.name,
            asked=status.asked,
            results=status.results,
            outcomes={outcome: status.outcomes.get(outcome, 0) for outcome in Outcome},
            running=[RunningPart.of(running) for running in status.running],
            best=None if status.best is None else BestTrialPart.of(status.best),
            seconds_left=status.seconds_left,
            workers=status.workers,
            is_live=is_live,
        )


class StatusDocument(Document):
    """How far sweeps are."""

    kind: Literal["status"] = "status"
    sweeps: list[SweepStatusPart]

    @classmethod
    def of(cls, statuses: Iterable[tuple[Status, bool]]) -> Self:
        """The status of each sweep, with whether a launch of it is at work."""
        return cls(sweeps=[SweepStatusPart.of(status, is_live=is_live) for status, is_live in statuses])
