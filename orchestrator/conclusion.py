"""What a sweep leaves in its store when its trials have ended: the result table, pictures, and the best model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.comparison.boundary import Boundary
from orchestrator.comparison.table import Table
from orchestrator.errors import StoreError
from orchestrator.spec import SweepSpec
from orchestrator.system.scratch import scratch
from orchestrator.trackers import Tracker, retry
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.asked import further_seeds
from orchestrator.trials.labels import label, texts_of
from orchestrator.trials.record import Record
from orchestrator.worker.export import export


@dataclass(frozen=True)
class Launched:
    """What a launch came to: the result table of the file's trials, and whether it was cut short."""

    table: Table
    interrupted: bool
    boundary: Boundary | None = None
    spent: float | None = None  # seconds of training, where `time_cap` has ended it
    reached: str = ""  # by which trial the metric's target, in a line

    @property
    def exit_status(self) -> int:
        """What the command ends with."""
        return 130 if self.interrupted else 1 if self.table.count(Outcome.FAILED) else 0


@dataclass(frozen=True)
class Conclusion:
    """What the sweep's trials came to."""

    table: Table
    boundary: Boundary | None

    @classmethod
    def of(cls, spec: SweepSpec, trials: Sequence[Trial], records: Iterable[Record]) -> "Conclusion":
        by_key = {record.trial_key: record for record in records}
        trials = [*trials, *further_seeds(spec, trials, (record for record in by_key.values() if record.end))]
        boundary = Boundary.of(spec, trials, by_key) if spec.method.finds_boundary else None
        return cls(Table.of(spec, trials, by_key), boundary)

    def write(self, tracker: Tracker) -> None:
        """Put it into the parent run."""
        if self.boundary and (picture := _boundary(self.boundary)):
            _conclude(tracker, self.boundary.metrics(), "boundary.png", picture)
        if self.table.front:
            _conclude(tracker, {}, "front.png", _front(self.table))
        heading = f"{self.boundary.markdown()}\n" if self.boundary else ""
        retry(lambda: tracker.describe(self.table, heading))


def keep_table(tracker: Tracker, table: Table, log: Callable[[str], None]) -> None:
    """Put the result table beside the sweep's run, for which no launch fails: the next one tries again."""
    try:
        retry(lambda: tracker.keep_table(table))
    except (StoreError, OSError) as error:
        log(f"the table of results could not be put into the store: {error}")


def keep_model(tracker: Tracker, best: Record, log_file: Path, log: Callable[[str], None]) -> None:
    """Log the best trial's model as an MLflow model, where the trial function can write that.

    A convenience, for which no launch fails or waits: the next one tries again.
    """
    if not tracker.spec.function.declaration.export:
        return
    try:
        if not tracker.has_model(best):
            log(f"exporting the model of {best.label}")
            with scratch() as folder:
                artifacts, model = folder / "artifacts", folder / "model"
                artifacts.mkdir()
                tracker.fetch(best, artifacts)
                if not export(tracker.spec.function, artifacts, model, log_file):
                    log(f"the model of {best.label} could not be exported; see {log_file}")
                    return
                tracker.keep_model(best, model)
        tracker.clear_models(best)
    except (StoreError, OSError) as error:
        log(f"the model of {best.label} could not be logged: {error}")


def _boundary(boundary: Boundary) -> bytes | None:
    from orchestrator.reports import still  # altair takes a while to import
    from orchestrator.reports.boundary_charts import boundary_chart

    drawn = boundary_chart(boundary, still=True)
    return still.png([drawn]) if drawn else None


def _front(table: Table) -> bytes:
    from orchestrator.reports import still
    from orchestrator.reports.front_charts import fronts

    varied = [name for name in table.varying if name != "seed"]
    texts = texts_of([one.params for one in table.configurations], varied)
    names = {one.config_key: label(table.spec, one.params, varied, texts) for one in table.configurations}
    drawn = fronts(table.configurations, table.spec.objectives, names, still=True, survivors=table.spec.survivors)
    return still.png([replace(chart, title=f"{table.spec.name}: {chart.title}") for chart in drawn])


def _conclude(tracker: Tracker, metrics: Mapping[str, float], name: str, content: bytes) -> None:
    with scratch() as folder:
        picture = folder / name
        picture.write_bytes(content)
        retry(lambda: tracker.conclude(metrics, picture))
