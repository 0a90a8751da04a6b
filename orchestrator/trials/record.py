"""A trial, as the store has it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import ConfigDict, TypeAdapter

from orchestrator.functions import TrialFunction
from orchestrator.spec import Objective, Values
from orchestrator.spec.objective import complete
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Outcome, Params, Proposal
from orchestrator.trials.metric_names import MetricNames

PROPOSALS = TypeAdapter[Proposal | None](Proposal | None, config=ConfigDict(defer_build=True))
REUSED = "reused_from"  # the tag of a run that was copied from another sweep
MARGIN = "explosion_margin"  # the metric: how far beyond an explosion a trial was
EXPLODED = "exploded"  # the metric: whether a trial exploded, 0 or 1
BEST_EPOCH = "best_epoch"
BEST = "best_"  # prefix of the best value by epoch of a metric
REPORTED = "reported"  # the tag: names of the metrics that a trial has reported
PICTURES = "pictures"  # the tag: names of its pictures by epoch
DIGEST = "program.digest"  # the tag: of the file of a trial's program
METRICS_FROM = "metrics_from"  # the tag: which of its ways of logging a program's curves come from
SYSTEM = "system/"  # prefix of MLflow's system metrics


@dataclass(frozen=True)
class Record:
    """A trial as the store has it."""

    run_id: str
    trial_key: str
    label: str
    outcome: Outcome | None  # None while it runs, or if its process died
    status: str  # MLflow's: RUNNING, FINISHED, FAILED, KILLED
    params: Params
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    began: float = 0.0  # seconds since 1970
    ended: float | None = None

    @property
    def seconds(self) -> float | None:
        """Time spent training, in seconds, over all launches."""
        return float(self.tags["wall_seconds"]) if "wall_seconds" in self.tags else None

    @property
    def digest(self) -> str | None:
        """Of the program's file when the trial was begun; None for a function."""
        return self.tags.get(DIGEST)

    @property
    def is_reused(self) -> bool:
        """Whether it was copied from another sweep."""
        return REUSED in self.tags

    @property
    def threads(self) -> int | None:
        """The number of threads that it began with; with another number, its results would differ."""
        return int(self.tags["threads"]) if "threads" in self.tags else None

    @property
    def proposal(self) -> Proposal | None:
        """Its proposal, if a search began it."""
        return PROPOSALS.validate_json(self.tags["proposal"]) if "proposal" in self.tags else None

    @property
    def last_epoch(self) -> int | None:
        """The last whole epoch of a trial that has ended."""
        return int(self.tags["epochs_run"]) if "epochs_run" in self.tags else None

    @property
    def final_names(self) -> list[str]:
        """The names of its final metrics, in the order in which it reported them; empty for trials of old versions."""
        return self._reported.get("final", [])

    @property
    def picture_names(self) -> list[str]:
        """The names of its pictures by epoch; empty for trials of old versions."""
        return json.loads(self.tags.get(PICTURES, "[]"))  # type: ignore[no-any-return]

    @property
    def names_by_epoch(self) -> list[str]:
        """The names of its metrics by epoch; of all metrics while it runs, and for trials of old versions."""
        ours = {EXPLODED, MARGIN, BEST_EPOCH, *map(best_name, self.metrics)}
        reported = (name for name in self.metrics if name not in ours and not name.startswith(SYSTEM))
        return self._reported["by_epoch"] if "by_epoch" in self._reported else sorted(reported)

    @cached_property
    def _reported(self) -> dict[str, list[str]]:
        return json.loads(self.tags.get(REPORTED, "{}"))  # type: ignore[no-any-return]

    @property
    def names(self) -> MetricNames:
        """The names of its metrics in MLflow."""
        return MetricNames.of(self.metrics, self.tags)

    def stored(self, metric: str) -> str:
        """The name that a metric of it has in MLflow."""
        return self.names.stored(metric)

    @property
    def remark(self) -> str:
        """Why it exploded, failed or was pruned, or that it learned nothing; else empty."""
        kinds = ("explosion.reason", "failure.reason", "pruned.reason", "diagnosis")
        reasons = (self.tags[kind] for kind in kinds if kind in self.tags)
        return in_a_line(next(reasons, ""))

    def value(self, objective: Objective) -> float | None:
        """The value by which it is compared with other trials."""
        last = self.metrics.get(objective.name)
        return self.metrics.get(best_name(objective.name), last) if objective.counts_best else last

    def values(self, objectives: Iterable[Objective]) -> Values | None:
        """The values of all objectives, or None where one is missing."""
        return complete(self.value(objective) for objective in objectives)


def best_name(metric: str) -> str:
    """The name under which the best value of a metric by epoch is logged."""
    return f"{BEST}{metric}"


def changed(function: TrialFunction, records: Iterable[Record]) -> str:
    """A sentence, where the file of a program is not what it was when some of these results came; else empty."""
    results = [record for record in records if record.outcome and record.outcome.is_result]
    others = [record for record in results if record.digest not in (None, function.digest)]
    if not others or function.digest is None:
        return ""
    trials = "a trial" if len(others) == 1 else f"{len(others)} trials"
    return f"{function.title} has changed since {trials} ended; what has a result keeps it"
