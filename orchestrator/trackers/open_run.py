"""A run that is being written: what the store has of its trial already, and what is new."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlflow.entities import Metric as Point
from mlflow.entities import RunTag

from orchestrator.events import ADDED, Event, Finished, Points, Progress, Restarted, Sampled, Started, Tagged, is_series
from orchestrator.spec import Objective
from orchestrator.spec.objective import ObjectiveSoFar
from orchestrator.system.printable import storable
from orchestrator.trackers.faults import Faults
from orchestrator.trial import Outcome
from orchestrator.trials.metric_names import MetricNames
from orchestrator.trials.record import (
    BEST_EPOCH,
    BROKEN,
    END_NUMBER,
    EXPLODED,
    INFEASIBLE,
    INFEASIBLE_MARGIN,
    MARGIN,
    PICTURE,
    PICTURES,
    PROBLEM,
    REPORTED,
    SYSTEM,
    best_name,
)

STATUS = {
    Outcome.COMPLETED: "FINISHED",
    Outcome.EXPLODED: "FAILED",
    Outcome.INFEASIBLE: "FAILED",
    Outcome.FAILED: "FAILED",
    Outcome.PRUNED: "KILLED",
    Outcome.INTERRUPTED: "KILLED",
}
REASONS = {Outcome.PRUNED: "pruned.reason", Outcome.INFEASIBLE: f"{INFEASIBLE}reason"}  # the tags that have them
LONGEST_TAG = 8000  # characters; MLflow cuts the rest
TAG = "tag."  # prefix of tags: the name of a tag whose own MLflow does not take
LONGEST_RUN_NAME = 250  # that every database takes

Pictures = frozenset[tuple[str, int]]  # by name and epoch


@dataclass
class OpenRun:
    """What of a run is recorded, so that an epoch that is reported twice is recorded once."""

    run_id: str
    objectives: Sequence[ObjectiveSoFar]
    recorded: dict[str, int] = field(default_factory=dict)  # the last step of each metric
    seconds: dict[tuple[int, float], float] = field(default_factory=dict)  # by epoch and time, of all in the journal
    last_epoch: int = 0
    samples: int = 0
    sampled_at: int = 0  # milliseconds since 1970
    has_params: bool = False
    has_data: bool = False
    not_finite: frozenset[str] = frozenset()  # metrics that had no finite value in some epoch
    names: MetricNames = field(default_factory=MetricNames)
    pictures: Pictures | None = frozenset()  # that it has; None where only the store knows
    tag_names: MetricNames = field(default_factory=MetricNames)  # of what trials note themselves
    titles: dict[str, str] = field(default_factory=dict)  # of pictures whose name MLflow does not take, by its own
    refused: tuple[str, ...] = ()  # what the store did not take, a line each
    problems: Mapping[str, str] = field(default_factory=dict)  # of files of the trial that are not logged, by name
    faults: Faults = field(default_factory=Faults)  # of the server, of all attempts together

    @classmethod
    def of(cls, run_id: str, objectives: Iterable[Objective], pictures: Pictures | None = frozenset()) -> "OpenRun":
        """A run of which nothing is recorded yet, apart from its pictures."""
        return cls(run_id, [ObjectiveSoFar(objective) for objective in objectives], pictures=pictures)

    def copy(self) -> "OpenRun":
        """A separate copy, for attempts that may fail."""
        objectives = [replace(so_far) for so_far in self.objectives]
        recorded, seconds, titles = dict(self.recorded), dict(self.seconds), dict(self.titles)
        names, tag_names = self.names.copy(), self.tag_names.copy()
        return replace(
            self,
            objectives=objectives,
            recorded=recorded,
            seconds=seconds,
            names=names,
            tag_names=tag_names,
            titles=titles,
        )

    @property
    def last(self) -> dict[str, float]:
        """The last values of the objectives."""
        return {so_far.objective.name: so_far.last for so_far in self.objectives if so_far.last is not None}

    def best(self, end: Outcome) -> dict[str, float]:
        """The best value of an objective that counts with it, and its epoch; none of a trial that is not compared.

        For the store's tables, which show a metric's last value, and sort by what is there.
        """
        for so_far in self.objectives if end.is_compared else ():
            if so_far.objective.counts_best and so_far.best is not None:
                return {best_name(so_far.objective.name): so_far.best, BEST_EPOCH: float(so_far.best_epoch)}
        return {}

    @property
    def picture_tags(self) -> dict[str, str]:
        """A tag with the names of the pictures by epoch, where it is not too long; and the names that MLflow lacks."""
        names = json.dumps(sorted({name for name, _ in self.pictures or ()}))
        there = {PICTURES: names} if self.pictures and len(names) <= LONGEST_TAG else {}
        return there | {f"{PICTURE}{stored}": name for stored, name in self.titles.items()}

    def news(self, events: Sequence[Event]) -> tuple[list[Point], dict[str, str]]:
        """The points and tags that these events add; they count as recorded from now on."""
        points: list[Point] = []
        tags: dict[str, str] = {}
        for event in events:
            match event:
                case Started():
                    tags["threads"] = str(event.threads)
                case Progress():
                    points += self._points_of(event)
                case Sampled():
                    points += self._points_of_sample(event)
                case Points():
                    points += self._points_of_series(event)
                case Tagged():
                    if PROBLEM in event.tags:
                        self.problems = {**self.problems, PROBLEM: event.tags[PROBLEM]}
                    tags |= {self.tag_names.stored(name): value for name, value in event.tags.items()}
                    tags |= {f"{TAG}{stored}": name for stored, name in self.tag_names.renamed(event.tags).items()}
                case Finished():
                    points += self._last_points(event)
                    tags |= self._last_tags(event)
        return points, {name: value[:LONGEST_TAG] for name, value in tags.items()}

    def mark_recorded(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Know these metrics of an epoch as recorded."""
        for so_far in self.objectives:
            if epoch > self.recorded.get(so_far.objective.name, -1):
                so_far.take(metrics.get(so_far.objective.name), epoch)
        for key in metrics:
            self.recorded[key] = max(epoch, self.recorded.get(key, -1))
        self.last_epoch = max(epoch, self.last_epoch)

    def read_back(self, name: str, step: int, at: int, value: float) -> None:
        """Know a point as recorded that the store has, of so many milliseconds after 1970.

        Not what only the end of a trial brings, and that of a trial which goes on brings again.
        """
        if name.startswith(SYSTEM):
            self.mark_sample_recorded(step, at)
        elif is_series(name):
            self.mark_series_recorded(name, step)
        elif name not in {*ADDED, *(best_name(so_far.objective.name) for so_far in self.objectives)}:
            self.mark_recorded(step, {name: value})

    def _points_of(self, event: Progress) -> list[Point]:
        new = {name: value for name, value in event.metrics.items() if event.epoch > self.recorded.get(name, -1)}
        self.mark_recorded(event.epoch, event.metrics)
        self.not_finite = self.not_finite.union(event.not_finite)
        self.seconds[event.epoch, event.at] = event.seconds
        return self._points(new, event.epoch, event.at)

    def _points_of_sample(self, event: Sampled) -> list[Point]:
        if int(event.at * 1000) <= self.sampled_at:
            return []
        points = self._points(event.metrics, self.samples, event.at)
        self.mark_sample_recorded(self.samples, points[0].timestamp)
        return points

    def _points_of_series(self, event: Points) -> list[Point]:
        points = []
        for name, series in event.values.items():
            for step, value, at in series:
                if step > self.recorded.get(name, -1):
                    self.mark_series_recorded(name, step)
                    points += self._points({name: value}, step, at)
        return points

    def mark_series_recorded(self, name: str, step: int) -> None:
        """Know a point of a metric as recorded that no epoch is of."""
        self.recorded[name] = max(step, self.recorded.get(name, -1))

    def mark_sample_recorded(self, step: int, at: int) -> None:
        """Know a sample of the machine as recorded, which was taken so many milliseconds after 1970."""
        self.samples, self.sampled_at = max(self.samples, step + 1), max(self.sampled_at, at)

    def _last_points(self, end: Finished) -> list[Point]:
        """The final metrics: at step 0, where the UI draws bars, unless epochs had a metric of the same name."""
        if not end.outcome.is_result:
            return []
        metrics = {**end.metrics, **self.best(end.outcome), EXPLODED: float(end.outcome is Outcome.EXPLODED)}
        if end.margin is not None:
            metrics[MARGIN] = end.margin
        if end.infeasible is not None and end.infeasible.margin is not None:
            metrics[INFEASIBLE_MARGIN] = end.infeasible.margin
        by_epoch = {name: value for name, value in metrics.items() if self.recorded.get(name, 0) > 0}
        alone = {name: value for name, value in metrics.items() if name not in self.recorded}
        # always with the same time: MLflow keeps a point once that is logged twice
        return self._points(alone, 0, end.at) + self._points(by_epoch, self.last_epoch, end.at)

    def _points(self, metrics: Mapping[str, float], step: int, at: float) -> list[Point]:
        return [Point(self.names.stored(name), value, int(at * 1000), step) for name, value in metrics.items()]

    def _last_tags(self, end: Finished) -> dict[str, str]:
        seconds = sum(self.seconds.values()) + end.seconds
        tags = {"outcome": end.outcome.value, "wall_seconds": f"{seconds:.3f}", "epochs_run": str(self.last_epoch)}
        if end.number:
            tags[END_NUMBER] = str(end.number)
        best = self.best(end.outcome)
        ours = {*ADDED, *best}
        known = ((name, step) for name, step in self.recorded.items() if name not in ours and not is_series(name))
        by_epoch = [name for name, step in known if step or name not in end.metrics]
        names: dict[str, Any] = {"final": [*end.metrics], "by_epoch": by_epoch}
        if without := self.not_finite.union(end.not_finite) - {*by_epoch, *end.metrics}:
            names["not_finite"] = sorted(without)
        if counted := [so_far.objective for so_far in self.objectives if best_name(so_far.objective.name) in best]:
            names["best"] = {objective.name: objective.goal for objective in counted}
        if len(reported := json.dumps(names)) <= LONGEST_TAG:
            tags[REPORTED] = reported
        if end.reason:
            tags[REASONS.get(end.outcome, "failure.reason")] = end.reason
        if end.infeasible is not None:
            tags[f"{INFEASIBLE}cause"] = end.infeasible.cause
            tags |= {} if end.infeasible.limit is None else {f"{INFEASIBLE}limit": repr(end.infeasible.limit)}
        if end.broken:
            tags[BROKEN] = "; ".join(end.broken)
        if end.diagnosis:
            tags["diagnosis"] = end.diagnosis
        if end.explosion:
            tags |= {f"explosion.{k}": str(v) for k, v in vars(end.explosion).items() if v is not None}
        return tags


def tags_of(tags: Mapping[str, str]) -> list[RunTag]:
    """Tags as MLflow takes them."""
    return [RunTag(name, storable(value)) for name, value in tags.items()]


def since_restart(events: Sequence[Event]) -> tuple[Restarted | None, Sequence[Event]]:
    """The last beginning anew among events, if there is one, and what counts since; of before, what is no curve's."""
    for place, event in reversed([*enumerate(events)]):
        if isinstance(event, Restarted):
            kept = [before for before in events[:place] if isinstance(before, Started | Tagged)]
            return event, [*kept, *events[place + 1 :]]
    return None, events
