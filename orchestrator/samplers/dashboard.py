"""A sweep as an Optuna study in memory, for optuna-dashboard; kept current while the sweep runs."""

import math
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from wsgiref.simple_server import make_server

import optuna
from optuna import Study as Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from optuna_dashboard import wsgi

from orchestrator.errors import InputError, StoreError
from orchestrator.spec import SweepSpec
from orchestrator.spec.domains import Choice
from orchestrator.system.loopback import HOST, check_port, guarded
from orchestrator.trial import Outcome
from orchestrator.trials.observation import Observation
from orchestrator.trials.record import INFEASIBLE_MARGIN, MARGIN, Record, taken

optuna.logging.set_verbosity(optuna.logging.ERROR)

SECONDS_BETWEEN_LOOKS = 5.0
CONSTRAINTS = "constraints"  # the attribute that Optuna and optuna-dashboard both read; above 0 where one is violated
UNTRAINABLE = 1.0  # where nobody knows by how much


class Mirror:
    """Shows the records of a sweep in a study.

    Raises:
        InputError: the sweep compares its trials by no metric.
    """

    def __init__(self, spec: SweepSpec) -> None:
        if not spec.objectives:
            what = "names no metric, and an Optuna study needs a metric; add `metric: {name: ..., goal: ...}`"
            raise InputError(f"{spec.source.path}: {what}")
        self.objectives = spec.objectives
        self._function = spec.function
        self.storage = InMemoryStorage()
        directions = [objective.goal for objective in spec.objectives]
        study = optuna.create_study(storage=self.storage, study_name=spec.name, directions=directions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([objective.name for objective in spec.objectives])
        self._study = self.storage.get_study_id_from_name(study.study_name)
        self._axes = axes(spec)
        self._conditions, self._constraints = spec.conditions, spec.constraints
        self._running: dict[str, int] = {}  # Optuna's id of a trial, by run_id
        self._ended: set[str] = set()

    def show(self, records: Iterable[Record]) -> None:
        """Add the records that are new."""
        for record in taken(self._function, records):
            if record.run_id in self._ended or not self._fits(record):
                continue
            trial = self._trial(record)
            if record.run_id not in self._running:
                self._running[record.run_id] = self.storage.create_new_trial(self._study, trial)
            elif trial.state.is_finished():
                for name, value in trial.user_attrs.items():
                    self.storage.set_trial_user_attr(self._running[record.run_id], name, value)
                for name, value in trial.system_attrs.items():
                    self.storage.set_trial_system_attr(self._running[record.run_id], name, value)
                self.storage.set_trial_state_values(self._running[record.run_id], trial.state, trial.values)
            if trial.state.is_finished():
                self._ended.add(record.run_id)

    def _trial(self, record: Record) -> FrozenTrial:
        """The record as a trial of Optuna, which has naive times."""
        values = self._values(record)
        ended = TrialState.PRUNED if record.outcome is Outcome.PRUNED else TrialState.FAIL  # without a value
        attributes: dict[str, Any] = {"trial": record.label, "outcome": str(record.outcome)}
        attributes |= {"remark": record.remark, "run_id": record.run_id}
        if MARGIN in record.metrics:
            attributes[MARGIN] = record.metrics[MARGIN]
        varied = self._axes_of(record)
        trial = create_trial(
            state=TrialState.RUNNING if record.outcome is None else ended,
            params={name: _scalar(record.params[name]) for name in varied},
            distributions=varied,
            user_attrs=attributes if record.outcome else {},
            system_attrs=self._violations(record),
        )
        if values is not None:
            trial.state, trial.values = TrialState.COMPLETE, values
        trial.datetime_start = datetime.fromtimestamp(record.began)
        if trial.state.is_finished():
            trial.datetime_complete = datetime.fromtimestamp(record.ended or record.began)
        return trial

    def _values(self, record: Record) -> Sequence[float] | None:
        """What it has come to: by then, where it exploded or was infeasible, and the worst where it had nothing.

        Only a complete trial can be infeasible, which those are by a constraint.
        """
        if record.outcome is None or not record.outcome.is_bad:
            return record.values(self.objectives) if record.outcome is Outcome.COMPLETED else None
        known = [record.value(one) for one in self.objectives]
        worst = [-one.sign * math.inf for one in self.objectives]
        return [value if found is None else found for found, value in zip(known, worst, strict=True)]

    def _violations(self, record: Record) -> dict[str, list[float]]:
        """Whether it can be trained, and by how much not; and how far it is beyond each constraint of the file."""
        seen = Observation.of_record(self.objectives, record, self._constraints)
        if seen is None:
            return {}
        margins = (record.metrics.get(name) for name in (MARGIN, INFEASIBLE_MARGIN))
        known = max((margin for margin in margins if margin is not None), default=0.0)
        trained = (known if known > 0 else UNTRAINABLE) if seen.outcome.is_bad else min(known, 0.0)
        return {CONSTRAINTS: [trained, *(seen.margins.get(one.name, 0.0) for one in self._constraints)]}

    def _fits(self, record: Record) -> bool:
        """Whether its values are on the axes; those of an earlier version of the file may not be."""
        try:
            varied = self._axes_of(record).items()
            return all(axis._contains(axis.to_internal_repr(_scalar(record.params[name]))) for name, axis in varied)
        except (KeyError, ValueError):
            return False

    def _axes_of(self, record: Record) -> dict[str, BaseDistribution]:
        """The axes of the parameters that are varied in it."""
        return {name: self._axes[name] for name in self._conditions.active(self._axes, record.params)}


def study(spec: SweepSpec, records: Iterable[Record]) -> Study:
    """The records of a sweep, as a study."""
    mirror = Mirror(spec)
    mirror.show(records)
    return optuna.load_study(study_name=spec.name, storage=mirror.storage)


def axes(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """The parameters that vary, each with the values that it may take; numbers are drawn on an axis of numbers."""
    distributions: dict[str, BaseDistribution] = {}
    choices: dict[str, list[Any]] = {}
    for name, domain in spec.domains.items():
        if isinstance(domain, Choice):
            choices[name] = list(domain.values)
        else:
            low, high = domain.ends
            distributions[name] = FloatDistribution(low, high, log=domain.log and low > 0)
    for rows in (spec.zipped, spec.configs):
        for name in dict.fromkeys(name for row in rows for name in row):
            default = spec.function.parameters[name].default  # of rows that leave it out
            choices.setdefault(name, []).extend(row.get(name, default) for row in rows)
    for name, values in choices.items():
        if len({repr(value) for value in values}) > 1:
            distributions[name] = _axis(values)
    return distributions


def _axis(values: Iterable[Any]) -> BaseDistribution:
    distinct = list({repr(value): value for value in values}.values())
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct):
        return FloatDistribution(min(distinct), max(distinct))
    return CategoricalDistribution([_scalar(value) for value in distinct])


def _scalar(value: Any) -> bool | int | float | str | None:
    """A value as a choice of Optuna; lists as text."""
    return value if isinstance(value, bool | int | float | str | None) else repr(value)


def serve(spec: SweepSpec, records: Callable[[], Iterable[Record]], port: int, announce: Callable[[str], None]) -> None:
    """Open the dashboard on 127.0.0.1, and keep it current, until Ctrl-C.

    Raises:
        InputError: the sweep compares its trials by no metric, or the port is not available.
    """
    check_port(port)
    mirror = Mirror(spec)
    mirror.show(records())
    with make_server(HOST, port, guarded(wsgi(mirror.storage))) as server, suppress(KeyboardInterrupt):
        announce(f"optuna-dashboard: http://{HOST}:{port} (Ctrl-C stops it)")
        threading.Thread(target=_follow, args=(mirror, records), daemon=True).start()
        server.serve_forever()


def _follow(mirror: Mirror, records: Callable[[], Iterable[Record]]) -> None:
    while True:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        with suppress(StoreError):  # it may answer again
            mirror.show(records())
