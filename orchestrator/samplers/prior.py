"""What a search learns from trials of other sweeps: which of them it can take, and as what.

A trial is taken where each parameter that is searched has a value of its domain. It need not agree in what is constant
here: its values are then those of another landscape, of like shape, as is hoped, but at another height. So the best of
each such kind is tried first, and what it gains here is added to the values of its kind.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.ranking import worst_of
from orchestrator.spec import SweepSpec, Values
from orchestrator.spec.domains import Choice, Domain
from orchestrator.spec.metrics import listed
from orchestrator.spec.objective import by_names
from orchestrator.spec.sweep_spec import PriorSource
from orchestrator.trial import Outcome, Params
from orchestrator.trials.labels import short
from orchestrator.trials.prior_trial import PriorTrial
from orchestrator.trials.search_space import ABSENT, ROWS, SearchSpace, has_values

Kind = tuple[tuple[str, str], ...]  # constants of which a trial has other values, with these; none where it agrees
MOST_KINDS = 3  # of trials with other constants: each costs a trial
ENOUGH = 10  # results of its own, after which a search learns only from trials with the same constants
MOST = 300  # configurations: more would slow down the samplers, and tell them little
SHOWN = 3  # reasons for which trials were not taken


@dataclass(frozen=True)
class PriorConfiguration:
    """A configuration in the search's own space, and the results of its seeds."""

    values: Params  # as a proposal has them
    seeds: Configuration
    elsewhere: Kind = ()
    worst: Values | None = None  # completed value of each objective, of its kind


@dataclass(frozen=True)
class Prior:
    """What a search learns before its first proposal, in this order; and lines on what was taken, for people."""

    configurations: tuple[PriorConfiguration, ...] = ()
    remarks: tuple[str, ...] = ()


NOTHING = Prior()


@dataclass
class Heights:
    """By how much the values of each kind of trials lie above or below what they would be here.

    That is known of a kind once its best configuration has ended here. Where that has no value here, those of its kind
    are not learned from.
    """

    best: Mapping[Kind, tuple[Params, Values]] = field(default_factory=dict)  # parameters, and values there
    results: int = 0  # of the search itself
    _above: dict[Kind, Values | None] = field(default_factory=dict)

    @classmethod
    def of(cls, space: SearchSpace, good: Iterable[tuple[PriorConfiguration, Values]]) -> "Heights":
        """Of configurations that did not explode, with their values; the first objective says which is the best."""
        (first, *_) = space.spec.objectives
        best: dict[Kind, tuple[Params, Values]] = {}
        for one, values in good:
            known = best.get(one.elsewhere)
            is_better = known is None or first.is_better(values[0], known[1][0])
            if one.elsewhere and is_better and space.is_valid(one.values):
                best[one.elsewhere] = space.values(one.values), values
        return cls(best)

    @property
    def starts(self) -> list[Params]:
        """What is to be tried first."""
        return [params for params, _ in self.best.values()]

    def take(self, params: Params, values: Values | None) -> bool:
        """Take in the end of a configuration of the search; returns whether other kinds now mean something else."""
        self.results += 1
        new = [k for k, (best, _) in self.best.items() if k not in self._above and has_values(params, best)]
        for kind in new:
            pairs = zip(values, self.best[kind][1], strict=True) if values is not None else None
            self._above[kind] = None if pairs is None else tuple(here - there for here, there in pairs)
        return bool(new) or (bool(self.best) and self.results == ENOUGH)

    def counts(self, kind: Kind) -> bool:
        """Whether a search still learns from this kind of trials."""
        return not kind or self.results < ENOUGH

    def here(self, kind: Kind, values: Values | None) -> Values | None:
        """The values of a configuration of a kind, as they would be here."""
        if values is None or kind not in self._above:
            return values
        above = self._above[kind]
        return None if above is None else tuple(value + more for value, more in zip(values, above, strict=True))


@dataclass(frozen=True)
class TakenTrial:
    """A trial that can be taken, and as what."""

    source: PriorSource
    trial: PriorTrial
    values: Params
    elsewhere: Kind


def prior_of(spec: SweepSpec, trials: Sequence[tuple[PriorSource, Sequence[PriorTrial]]]) -> Prior:
    """What a search can learn from the trials of each source; always in the same order."""
    space = SearchSpace(spec)
    taken: list[TakenTrial] = []
    left_out: dict[PriorSource, Counter[str]] = {}
    for source, known in trials:
        left_out[source] = Counter()
        for trial in known:
            found = _fitted(spec, space, trial)
            if isinstance(found, str):
                left_out[source][found] += 1
            else:
                taken.append(TakenTrial(source, trial, found, _elsewhere(spec, space, trial.params)))
    kinds = [kind for kind, _ in Counter(one.elsewhere for one in taken if one.elsewhere).most_common()]
    for one in taken:
        if one.elsewhere in kinds[MOST_KINDS:]:
            left_out[one.source]["{have} further values of constants"] += 1
    taken = [one for one in taken if one.elsewhere not in kinds[MOST_KINDS:]]
    configurations = _configurations(spec, taken)
    remarks = [_remark(source, len(known), left_out[source]) for source, known in trials]
    remarks += [_remark_of_kind(spec, kind, taken) for kind in kinds[:MOST_KINDS]]
    if len(configurations) > MOST:
        remarks.append(f"prior: of {len(configurations)} configurations every so many is taken, {MOST} in all")
        configurations = [configurations[i * len(configurations) // MOST] for i in range(MOST)]
    return Prior(tuple(configurations), tuple(remarks))


def wanted(space: SearchSpace) -> list[str]:
    """The parameters without which no trial can be taken."""
    conditions = space.spec.conditions.wanted
    return [name for name in space.domains if name not in ROWS and name not in conditions]


def _configurations(spec: SweepSpec, taken: Iterable[TakenTrial]) -> list[PriorConfiguration]:
    """The trials by their configurations: seeds of one count together."""
    found: dict[str, PriorConfiguration] = {}
    for one in taken:
        key = repr((sorted(one.values.items()), one.elsewhere))
        known = found.get(key) or PriorConfiguration(one.values, Configuration(key, one.trial.params), one.elsewhere)
        found[key] = PriorConfiguration(known.values, known.seeds.after(one.trial.seen), known.elsewhere)
    completed: dict[Kind, list[Values]] = {}
    for each in found.values():
        completed.setdefault(each.elsewhere, []).extend(each.seeds.values)
    worst = {kind: worst_of(values, spec.objectives) for kind, values in completed.items()}
    return [replace(each, worst=worst[each.elsewhere]) for each in found.values()]


def _fitted(spec: SweepSpec, space: SearchSpace, trial: PriorTrial) -> dict[str, Any] | str:
    """A trial as a proposal of this search; or why it is none, with {have} for the verb."""
    if not trial.seen.outcome.is_result:
        return "{have} failed"
    if trial.seen.outcome is Outcome.COMPLETED and trial.seen.values is None:
        return f"{{have}} no {by_names(spec.objectives)}"
    here = {**trial.params, **space.constants}
    values: dict[str, Any] = {}
    for name, domain in space.domains.items():
        if not space.varies(name, values):
            continue
        if name in ROWS:
            found = space.row(name, here)
            if found is None:
                return f"{{have}} values of no row of {name}"
        elif name not in here:
            return f"{{have}} no {name}"
        else:
            found = _value(domain, here[name])
            if found is ABSENT:
                what = f"another {name}" if isinstance(domain, Choice) else f"{name} outside of its range"
                return f"{{have}} {what}"
        values[name] = found
    return values


def _value(domain: Domain, value: Any) -> Any:
    """The value of a domain that this is; ABSENT where it is none."""
    if isinstance(domain, Choice):
        same = [known for known in domain.values if repr(known) == repr(value) or _are_equal(known, value)]
        return same[0] if same else ABSENT
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ABSENT
    least, most = domain.ends
    if not least <= value <= most:
        return ABSENT
    # on its step and of the parameter's own type, as it may be tried here
    with suppress(ValueError):
        return domain.parameter.validate(value) if domain.is_continuous else domain.decoded(domain.encoded(value))
    return ABSENT


def _are_equal(one: Any, other: Any) -> bool:
    """Whether they are one number, in whatever type."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))
    return numbers and one == other


def _elsewhere(spec: SweepSpec, space: SearchSpace, params: Params) -> Kind:
    """The constants of which a trial is known to have other values, with these as people read them."""
    constants = {**spec.function.defaults, **space.constants}
    return tuple(
        (name, short(params[name]))
        for name, value in constants.items()
        if name in params and name not in spec.varying and name != "seed"
        if repr(params[name]) != repr(value) and not _are_equal(params[name], value)
    )


def _remark(source: PriorSource, count: int, left_out: Mapping[str, int]) -> str:
    total = sum(left_out.values())
    if not count:
        return f"prior: {source.text} has no trial that has ended"
    reasons = [
        f"{number} {reason.format(have='has' if number == 1 else 'have')}"
        for reason, number in Counter(left_out).most_common(SHOWN)
    ]
    others = total - sum(number for _, number in Counter(left_out).most_common(SHOWN))
    reasons += [f"{others} do not fit for other reasons"] if others else []
    return f"prior: {count - total} of {count} trials of {source.text}{': ' if reasons else ''}{', '.join(reasons)}"


def _remark_of_kind(spec: SweepSpec, kind: Kind, taken: Iterable[TakenTrial]) -> str:
    constants = {**spec.function.defaults, **SearchSpace(spec).constants}
    others = [f"{name} {value}, here {short(constants[name])}" for name, value in kind]
    count = sum(one.elsewhere == kind for one in taken)
    who = "1 trial has" if count == 1 else f"{count} trials have"
    return (
        f"prior: {who} {listed(others, 'and')}: the best configuration of these is tried here first, "
        "and the difference is added to their values"
    )
