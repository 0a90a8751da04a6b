"""What happens while a launch runs, a document each."""

import time
from typing import Literal, Self

from pydantic import Field

from orchestrator import events
from orchestrator.documents.base import Document, Metrics, Number, Params
from orchestrator.places import Places
from orchestrator.trial import Outcome, Trial


class EventDocument(Document):
    """Something that happened in a launch."""

    sweep: str
    at: float = Field(default_factory=time.time)
    """Seconds since 1970."""


class BegunEvent(EventDocument):
    """A launch has read the store, and begins."""

    kind: Literal["begun"] = "begun"
    trials: int | None
    """That the file asks for; null: until it is stopped."""
    results: int
    """How many of them have their result already."""


class MessageEvent(EventDocument):
    """What the launch does, in words."""

    kind: Literal["message"] = "message"
    text: str


class WarningEvent(EventDocument):
    """What a person has to know."""

    kind: Literal["warning"] = "warning"
    text: str


class PlacesEvent(EventDocument):
    """Places for trials have come or gone, on other machines."""

    kind: Literal["places"] = "places"
    ready: int
    awaited: int

    @classmethod
    def of(cls, sweep: str, places: Places) -> Self:
        """The places that there are now."""
        return cls(sweep=sweep, ready=places.ready, awaited=places.awaited)


class WorkersEvent(EventDocument):
    """Somebody has asked for so many trials at once; 0 pauses the sweep."""

    kind: Literal["workers"] = "workers"
    workers: int


class TrialEvent(EventDocument):
    """Something that happened to a trial."""

    trial: str
    """Its label: what varies."""
    trial_key: str


class TrialStartedEvent(TrialEvent):
    """A process has taken a trial up; once for each attempt."""

    kind: Literal["trial_started"] = "trial_started"
    params: Params
    pid: int
    """On the machine where it runs."""

    @classmethod
    def of(cls, sweep: str, trial: Trial, event: events.Started) -> Self:
        """An attempt at a trial."""
        return cls(sweep=sweep, trial=trial.label, trial_key=trial.trial_key, params=dict(trial.params), pid=event.pid)


class TrialEpochEvent(TrialEvent):
    """A trial has ended an epoch."""

    kind: Literal["trial_epoch"] = "trial_epoch"
    epoch: int
    metrics: Metrics
    not_finite: list[str]
    """Metrics that have no finite value there."""
    seconds: Number

    @classmethod
    def of(cls, sweep: str, trial: Trial, event: events.Progress) -> Self:
        """An epoch of a trial."""
        return cls(
            sweep=sweep,
            at=event.at,
            trial=trial.label,
            trial_key=trial.trial_key,
            epoch=event.epoch,
            metrics=dict(event.metrics),
            not_finite=[*event.not_finite],
            seconds=event.seconds,
        )


class TrialEndedEvent(TrialEvent):
    """A trial has ended."""

    kind: Literal["trial_ended"] = "trial_ended"
    outcome: Outcome
    remark: str
    """Why it came to that; empty where there is nothing to say."""
    metrics: Metrics
    """Those that it reports at its end."""
    not_finite: list[str]
    """Of these, those that have no finite value."""
    broken: list[str]
    """The constraints of the file that it breaks, in words."""

    @classmethod
    def of(cls, sweep: str, trial: Trial, event: events.Finished) -> Self:
        """The end of a trial."""
        return cls(
            sweep=sweep,
            at=event.at,
            trial=trial.label,
            trial_key=trial.trial_key,
            outcome=event.outcome,
            remark=event.why,
            metrics=dict(event.metrics),
            not_finite=[*event.not_finite],
            broken=[*event.broken],
        )


class TrialRenewedEvent(TrialEvent):
    """A trial that had ended is to run anew."""

    kind: Literal["trial_renewed"] = "trial_renewed"
    was: Outcome

    @classmethod
    def of(cls, sweep: str, trial: Trial, was: Outcome) -> Self:
        """A trial that had ended so."""
        return cls(sweep=sweep, trial=trial.label, trial_key=trial.trial_key, was=was)
