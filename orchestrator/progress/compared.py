"""What trials report of the metrics that the file names: names that none has reported, and trials without a value."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.errors import InputError
from orchestrator.events import BY_STEP, Event, Finished, Listener, Points, Progress, Restarted
from orchestrator.spec import SweepSpec, nearest
from orchestrator.spec.constraint import ConstraintsSoFar, broken
from orchestrator.spec.objective import ObjectiveSoFar
from orchestrator.spec.pruner_forms import Wilcoxon
from orchestrator.spec.source import Location
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record


@dataclass
class Compared(Listener):
    """Follows the objectives of trials that run, and the names of all metrics that trials have reported."""

    spec: SweepSpec
    learns: bool  # whether the sampler needs the results of trials
    warn: Callable[[str], None]  # gets a line where the launch goes on although no trial has reported an objective
    _has_warned: bool = False
    _by_epoch: dict[str, None] = field(default_factory=dict)  # names
    _final: dict[str, None] = field(default_factory=dict)
    _by_step: set[str] = field(default_factory=set)  # names of what came by step
    _running: dict[str, list[ObjectiveSoFar]] = field(default_factory=dict)  # by trial_key
    _constrained: dict[str, ConstraintsSoFar] = field(default_factory=dict)  # by trial_key
    _ends: int = 0  # of trials, in all launches
    _completed: str = ""  # the label of the first trial that has completed in this launch
    _before: str = ""  # of one that had completed before

    def begin(self, records: Iterable[Record]) -> None:
        """Take in the trials of earlier launches."""
        for record in records:
            self._ends = max(self._ends, record.end_number)
            if record.outcome is not None:
                self._by_epoch |= dict.fromkeys([*record.names_by_epoch, *record.names_without_value])
                self._final |= dict.fromkeys(record.final_names)
                self._by_step |= _without_step(record.metrics)
            if record.outcome is Outcome.COMPLETED:
                self._before = self._before or record.label
        self._warn_of_missing()

    def start(self, trial: Trial) -> None:
        self._running[trial.trial_key] = [ObjectiveSoFar(objective) for objective in self.spec.objectives]
        self._constrained[trial.trial_key] = ConstraintsSoFar(self.spec.constraints)

    def recall(self, trial: Trial, event: Event) -> None:
        self.take(trial, event)

    def take(self, trial: Trial, event: Event) -> None:
        if isinstance(event, Progress):
            self._by_epoch |= dict.fromkeys([*event.metrics, *event.not_finite])
            for so_far in self._running[trial.trial_key]:
                so_far.take(event.metrics.get(so_far.objective.name), event.epoch)
                if so_far.objective.name in event.not_finite:
                    so_far.lose(event.epoch)
            self._constrained[trial.trial_key].take(event.metrics, event.epoch, event.not_finite)
        elif isinstance(event, Points):
            self._by_step |= _without_step(event.values)
        elif isinstance(event, Restarted):
            self.start(trial)
        elif isinstance(event, Finished):
            del self._running[trial.trial_key], self._constrained[trial.trial_key]
            self._final |= dict.fromkeys([*event.metrics, *event.not_finite])
            if event.outcome is Outcome.COMPLETED:
                self._completed = self._completed or trial.label
                self._warn_of_missing()

    def completed(self, trial: Trial, end: Finished) -> Finished:
        """The end of a trial, with its number, and where it has completed, what there is to say of its metrics.

        That is the constraints that it broke, and as a diagnosis, that it has no value to compare, or that this was not
        finite up to the end.
        """
        self._ends += 1
        so_far = self._running[trial.trial_key] if end.outcome is Outcome.COMPLETED and self.spec.ranks else []
        ends = [(one, end.metrics.get(one.objective.name)) for one in so_far]
        without = [one for one, final in ends if one.value(final) is None]
        told_of = {one.objective.name for one in without if one.lost_since is not None} | {*end.not_finite}
        names = [one.objective.name for one in without]
        lacking = [f"it has no finite {name}" if name in told_of else f"it has reported no {name}" for name in names]
        lost = [remark for one, final in ends if (remark := one.remark(final))]
        diagnosis = "; ".join([*([end.diagnosis] if end.diagnosis else []), *lacking, *lost])
        told = self._constrained[trial.trial_key].told(end.metrics, end.not_finite)
        sentences = broken(told) if end.outcome is Outcome.COMPLETED else ()
        return replace(end, number=self._ends, diagnosis=diagnosis or None, broken=sentences)

    @property
    def ends_launch(self) -> bool:
        """Whether trials have completed in this launch, and none ever reported what the sampler or the pruner needs."""
        return bool(self._completed) and self._missing(self._needed) is not None

    def check(self) -> None:
        """Raise an error, once the running trials have ended.

        Raises:
            InputError: no trial has reported a metric that the search or the early termination needs.
        """
        if self._completed and (missing := self._missing(self._needed)):
            raise InputError(missing)

    def _warn_of_missing(self) -> None:
        named = [*self._named, *((("constraints", one.name), one.name, False) for one in self.spec.constraints)]
        missing = self._missing([metric for metric in named if metric not in self._needed])
        if missing and not self._has_warned:
            self._has_warned = True
            self.warn(missing)

    @property
    def _named(self) -> list[tuple[Location, str, bool]]:
        """The objectives: where they stand, their names, and whether a final metric will not do."""
        if self.spec.method.finds_boundary and self.spec.event.metric:
            return [(("boundary", "event"), self.spec.event.metric, False)]
        if not self.spec.ranks:
            return []
        names = [objective.name for objective in self.spec.objectives]
        if len(names) == 1:
            return [(("metric", "name"), names[0], False)]
        return [(("metrics", index, "name"), name, False) for index, name in enumerate(names)]

    @property
    def _needed(self) -> list[tuple[Location, str, bool]]:
        """What a launch cannot go on without."""
        rule = self.spec.early_terminate
        pruned: list[tuple[Location, str, bool]] = []
        if rule is not None:
            place: Location = ("early_terminate", "metric", "name")
            pruned.append((place, self.spec.pruned_by.name, not isinstance(rule, Wilcoxon)))
        return [*(self._named if self.learns else []), *pruned]

    def _missing(self, metrics: Sequence[tuple[Location, str, bool]]) -> str | None:
        label = self._completed or self._before
        for place, name, is_by_epoch in metrics if label else ():
            known = self._by_epoch if is_by_epoch else self._final | self._by_epoch
            if name not in known:
                is_by_step = name.removesuffix(BY_STEP) in self._by_step
                return self.spec.source.mistake(place, _sentence(label, name, is_by_epoch, is_by_step, [*known]))
        return None


def _without_step(names: Iterable[str]) -> set[str]:
    return {name.removesuffix(BY_STEP) for name in names if name.endswith(BY_STEP)}


def _sentence(label: str, name: str, is_by_epoch: bool, is_by_step: bool, known: Collection[str]) -> str:
    by_epoch = " by epoch" * is_by_epoch
    if is_by_step:
        how = "yield it by epoch, too" if is_by_epoch else "yield it by epoch, too, or return it"
        return f"{label} has reported {name} by step alone; {how}"
    if known:
        return f"{label} has reported no {name}{by_epoch}; {nearest(name, known)}"
    remedy = f"yield or return it; a program prints lines such as `epoch 1 {name}=0.5`"
    remedy = "yield metrics epoch by epoch, or remove early_terminate" if is_by_epoch else remedy
    return f"{label} has reported no {name}{by_epoch}, nor any other metric{by_epoch}; {remedy}"
