"""A trial, as the store has it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from orchestrator.events import ADDED, CAUSES, Cause, Infeasibility, is_series
from orchestrator.functions import TrialFunction
from orchestrator.spec import Objective, Values
from orchestrator.spec.constraint import Constraint, Told
from orchestrator.spec.objective import complete
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Outcome, Params, Proposal
from orchestrator.trials.metric_names import MetricNames

PROPOSALS = TypeAdapter[Proposal | None](Proposal | None, config=ConfigDict(defer_build=True))
REUSED = "reused_from"  # the tag of a run that was copied from another sweep
# the metrics: whether it exploded, 0 or 1; by how much; its best epoch; how far it is beyond what can be trained
EXPLODED, MARGIN, BEST_EPOCH, INFEASIBLE_MARGIN = ADDED
INFEASIBLE = "infeasible."  # prefix of tags: the reason, the cause, and the trial timeout that ended it, in seconds
BEST = "best_"  # prefix of the best value by epoch of a metric
PROBLEM = "artifacts.problem"  # the tag: which files of a trial are not in its run, and why
REPORTED = "reported"  # the tag: names of the metrics that a trial has reported, and of which it has the best value
PICTURES = "pictures"  # the tag: names of its pictures by epoch
PICTURE = "picture."  # prefix of tags: the name of a picture whose own MLflow does not take
VERSION = "function.version"  # the tag: of its function, where that is not 1; older runs have none
DIGEST = "code.digest"  # the tag: of the source of a trial's function or program
REPLACED, REPLACES = "replaced_by", "replaces"  # the tags: the run that counts instead of it, and the other way round
ANEW = "anew"  # the tag of a run whose trial somebody has run anew: the run that it was
TAKEN_BACK = "taken_back"  # the tag of a run that a launch itself has deleted
METRICS_FROM = "metrics_from"  # the tag: which of its ways of logging a program's curves come from
BROKEN = "constraints.broken"  # the tag: which constraints of the file it broke when it ended, in words
END_NUMBER = "end_number"  # the tag: which of the sweep's ends its end was
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
    is_deleted: bool = False  # whether it lies in MLflow's trash

    @property
    def end(self) -> Outcome | None:
        """How it ended for good; None where it is to run, or to run again.

        What somebody has deleted does neither: it has come to nothing, as what has failed, whatever it was.
        """
        if self.is_deleted:
            return Outcome.FAILED
        return self.outcome if self.outcome and self.outcome.is_result else None

    @property
    def infeasible(self) -> Infeasibility | None:
        """Why its configuration cannot be trained, where that is how it ended."""
        if self.outcome is not Outcome.INFEASIBLE:
            return None
        cause, limit = self.tags.get(f"{INFEASIBLE}cause"), self.tags.get(f"{INFEASIBLE}limit")
        known: Cause = next((known for known in CAUSES if known == cause), "configuration")
        return Infeasibility(known, self.metrics.get(INFEASIBLE_MARGIN), None if limit is None else float(limit))

    @property
    def may_go_on(self) -> bool:
        """Whether a launch of a greater trial timeout goes on with it."""
        return self.infeasible is not None and self.infeasible.limit is not None

    @property
    def seconds(self) -> float | None:
        """Time spent training, in seconds, over all launches."""
        return float(self.tags["wall_seconds"]) if "wall_seconds" in self.tags else None

    @property
    def digest(self) -> str | None:
        """Of the source of its function or program when it was begun; None where that is not known."""
        return self.tags.get(DIGEST)

    @property
    def is_reused(self) -> bool:
        """Whether it was copied from another sweep."""
        return REUSED in self.tags

    @property
    def threads(self) -> int | None:
        """The number of threads that it began with; with another number, its results would differ."""
        return int(self.tags["threads"]) if "threads" in self.tags else None

    @cached_property
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
        return self._reported.get("final", [])  # type: ignore[no-any-return]

    @property
    def picture_names(self) -> list[str]:
        """The names of its pictures by epoch; empty for trials of old versions."""
        return json.loads(self.tags.get(PICTURES, "[]"))  # type: ignore[no-any-return]

    @property
    def names_by_epoch(self) -> list[str]:
        """The names of its metrics by epoch; of all that it reports while it runs, and for trials of old versions."""
        if "by_epoch" in self._reported:
            return self._reported["by_epoch"]  # type: ignore[no-any-return]
        ours = {*ADDED, *map(best_name, self.metrics)}
        reported = (name for name in self.metrics if name not in ours and not name.startswith(SYSTEM))
        return sorted(name for name in reported if not is_series(name))

    @property
    def names_without_value(self) -> list[str]:
        """The names of the metrics that it has reported, but never with a finite value."""
        return self._reported.get("not_finite", [])  # type: ignore[no-any-return]

    @property
    def reported_names(self) -> list[str]:
        """The names of all metrics that it has reported."""
        return [*dict.fromkeys([*self.final_names, *self.names_by_epoch, *self.names_without_value])]

    @property
    def end_number(self) -> int:
        """Which of the sweep's ends its end was, from 1 on; 0 for trials of old versions."""
        return int(self.tags.get(END_NUMBER, 0))

    def has_best(self, objective: Objective) -> bool:
        """Whether it has the value by which it counts. Else that is to be read from the metric by epoch."""
        is_by_epoch = objective.name in self.metrics and objective.name in self.names_by_epoch
        is_known = self._reported.get("best", {}).get(objective.name) == objective.goal
        return is_known or not (objective.counts_best and is_by_epoch and self.outcome and self.outcome.is_compared)

    def _has_reported(self, name: str) -> bool:
        """Whether a metric came from the trial, by epoch or at its end."""
        if "by_epoch" in self._reported:
            return name in self.final_names or name in self.names_by_epoch
        return not (name in ADDED or is_series(name) or name.startswith(SYSTEM))

    @property
    def _reported(self) -> Any:
        return _parsed(self.tags.get(REPORTED, "{}"))

    @property
    def names(self) -> MetricNames:
        """The names of its metrics in MLflow."""
        return MetricNames.of(self.metrics, self.tags)

    def stored(self, metric: str) -> str:
        """The name that a metric of it has in MLflow."""
        return self.names.stored(metric)

    @property
    def remark(self) -> str:
        """Why it exploded, is infeasible, failed or was pruned, or that it learned nothing; else empty."""
        kinds = ("explosion.reason", f"{INFEASIBLE}reason", "failure.reason", "pruned.reason", "diagnosis")
        reasons = (self.tags[kind] for kind in kinds if kind in self.tags)
        return in_a_line(next(reasons, ""))

    def value(self, objective: Objective) -> float | None:
        """The value by which it is compared with other trials: of a metric that it has reported, not of any it has."""
        if not self._has_reported(objective.name):
            return None
        last = self.metrics.get(objective.name)
        counts_best = objective.counts_best and (self.outcome is None or self.outcome.is_compared)
        return self.metrics.get(best_name(objective.name), last) if counts_best else last

    def values(self, objectives: Iterable[Objective]) -> Values | None:
        """The values of all objectives, or None where one is missing."""
        return complete(self.value(objective) for objective in objectives)

    def told(self, constraints: Iterable[Constraint]) -> Told:
        """The values of the constrained metrics that it has told of; None where it had none that is finite."""
        values = {one: self.value(one.objective) for one in constraints}
        without = self.names_without_value if values else ()
        return {one: value for one, value in values.items() if value is not None or one.name in without}


@lru_cache
def _parsed(text: str) -> Any:
    """What all trials of a sweep report alike, read once. Nobody changes it."""
    return json.loads(text)


def by_end(record: Record) -> tuple[int, float]:
    """The order in which trials ended."""
    return record.end_number, record.ended or record.began


def is_reusable(outcome: Outcome | None, tags: Mapping[str, str]) -> bool:
    """Whether another sweep may take a result over.

    What lacked memory or time may have it on another day; what a function calls infeasible is so everywhere.
    """
    is_by_its_function = outcome is Outcome.INFEASIBLE and tags.get(f"{INFEASIBLE}cause") == "configuration"
    return outcome is not None and (outcome.is_reusable or is_by_its_function)


def best_name(metric: str) -> str:
    """The name under which the best value of a metric by epoch is logged."""
    return f"{BEST}{metric}"


def has_other_code(function: TrialFunction, record: Record) -> bool:
    """Whether the source of a function or a program is not what it was when a trial was begun, as far as is known."""
    return record.digest is not None and function.digest not in (None, record.digest)


def changed(function: TrialFunction, records: Iterable[Record]) -> str:
    """A sentence, where some of these results came with other code than that of now; else empty."""
    results = [one for one in of_function(function.name, records) if one.outcome and one.outcome.is_result]
    others = sum(has_other_code(function, record) for record in results)
    if not others:
        return ""
    trials, them = ("a trial", "it") if others == 1 else (f"{others} trials", "them")
    anew = f"`sweep launch FILE --rerun` runs {them} anew"
    return f"{function.title} has changed since {trials} ended; what has a result keeps it, and {anew}"


def code_in_words(function: TrialFunction, record: Record) -> str:
    """With which code a trial was begun: "now", or "before" and a digest; empty where that is not known."""
    if has_other_code(function, record):
        return f"before ({(record.digest or '')[:8]})"
    return "now" if record.digest else ""


def is_present(function: TrialFunction, record: Record) -> bool:
    """Whether a trial is of this function, and of its version."""
    return function.trial(function.completed(record.params), record.label).trial_key == record.trial_key


def of_function(function: str, records: Iterable[Record]) -> list[Record]:
    """The trials of a function by its name, and of no other one that the sweep had before; all where it has none."""
    return [record for record in records if record.tags.get("trial", function) == function or not function]


def taken(function: TrialFunction, records: Iterable[Record]) -> list[Record]:
    """The trials of a function whose parameters it takes, with the defaults of those that came after them."""
    found = []
    for record in of_function(function.name, records):
        params = function.completed(record.params)
        if function.takes(params):
            found.append(record if params is record.params else replace(record, params=params))
    return found
