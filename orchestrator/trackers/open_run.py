"""A run that is being written: what of its trial stands in the store already, and what is new."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlflow.entities import Metric as Point
from mlflow.entities import RunTag

from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.record import MARGIN, best_name
from orchestrator.spec import Objective
from orchestrator.trial import Outcome

LONGEST_TAG = 8000  # characters; MLflow cuts the rest


@dataclass
class OpenRun:
    """What of a run is recorded, so that an epoch that is told twice stands once."""

    run_id: str
    objectives: Sequence[Objective]
    recorded: dict[str, int] = field(default_factory=dict)  # the last step of each metric
    best: dict[str, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)  # by epoch; of a run taken up again the journal tells them
    last_epoch: int = 0
    has_params: bool = False
    has_data: bool = False

    def copy(self) -> "OpenRun":
        """One of its own, to try what may fail."""
        taken = dict(self.recorded), dict(self.best), dict(self.seconds)
        return OpenRun(self.run_id, self.objectives, *taken, self.last_epoch, self.has_params, self.has_data)

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
                case Finished():
                    points += self._last_points(event)
                    tags |= self._last_tags(event)
        return points, {name: value[:LONGEST_TAG] for name, value in tags.items()}

    def take_in(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Know these as recorded, and keep the best epoch of a metric that counts with its best value.

        The best is for the store's tables, which show a metric's last value.
        """
        for objective in self.objectives:
            value, name = metrics.get(objective.name), best_name(objective.name)
            if objective.counts_best and value is not None and epoch > self.recorded.get(objective.name, -1):
                best = self.best.get(name)
                if best is None or (value != best and objective.best((value, best)) == value):
                    self.best = {name: value, "best_epoch": float(epoch)}
        for key in metrics:
            self.recorded[key] = max(epoch, self.recorded.get(key, -1))
        self.last_epoch = max(epoch, self.last_epoch)

    def _points_of(self, event: Progress) -> list[Point]:
        new = {name: value for name, value in event.metrics.items() if event.epoch > self.recorded.get(name, -1)}
        self.take_in(event.epoch, event.metrics)
        self.seconds[event.epoch] = event.seconds
        return _points(new, event.epoch, event.at)

    def _last_points(self, end: Finished) -> list[Point]:
        """The final metrics: at step 0, where the UI draws bars, unless epochs had a metric of the same name."""
        if not end.outcome.is_result:
            return []
        metrics = {**end.metrics, **self.best, "exploded": float(end.outcome is Outcome.EXPLODED)}
        if end.margin is not None:
            metrics[MARGIN] = end.margin
        by_epoch = {name: value for name, value in metrics.items() if self.recorded.get(name, 0) > 0}
        alone = {name: value for name, value in metrics.items() if name not in self.recorded}
        # always with the same time: MLflow takes a point that it is told twice for one
        return _points(alone, 0, end.at) + _points(by_epoch, self.last_epoch, end.at)

    def _last_tags(self, end: Finished) -> dict[str, str]:
        seconds = sum(self.seconds.values()) + end.seconds
        tags = {"outcome": end.outcome.value, "wall_seconds": f"{seconds:.3f}", "epochs_run": str(self.last_epoch)}
        if end.reason:
            tags["pruned.reason" if end.outcome is Outcome.PRUNED else "failure.reason"] = end.reason
        if end.diagnosis:
            tags["diagnosis"] = end.diagnosis
        if end.explosion:
            tags |= {f"explosion.{k}": str(v) for k, v in vars(end.explosion).items() if v is not None}
        return tags


def tags_of(tags: Mapping[str, str]) -> list[RunTag]:
    """Tags as MLflow takes them."""
    return [RunTag(name, value) for name, value in tags.items()]


def _points(metrics: Mapping[str, float], step: int, at: float) -> list[Point]:
    return [Point(name, value, int(at * 1000), step) for name, value in metrics.items()]
