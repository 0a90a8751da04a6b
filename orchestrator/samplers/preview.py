"""What can be said of a search before it runs: its ranges, and what it proposes first or next."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from orchestrator import samplers
from orchestrator.errors import InputError
from orchestrator.spec import SweepSpec
from orchestrator.spec.domains import Choice, Domain
from orchestrator.spec.methods import FIRST_LOOKS, OptunaSampler
from orchestrator.trial import Trial
from orchestrator.trials.labels import short
from orchestrator.trials.record import Record
from orchestrator.trials.search_space import ROWS, SearchSpace

MOST_CHOICES = 8


def ranges(spec: SweepSpec) -> list[str]:
    """What a search varies, a line for each parameter: "lr: 0.001 to 0.1, logarithmic"."""
    domains = SearchSpace(spec).domains
    return [f"{name}: {_in_words(name, domain)}{_condition(spec, name)}" for name, domain in domains.items()]


def startup(spec: SweepSpec) -> int | None:
    """Of how many configurations a search needs results to learn, at the most; None where it never learns."""
    sampler = spec.method.sampler
    if not isinstance(sampler, OptunaSampler):
        return None
    if sampler.chooses_early and len(spec.objectives) == 1:
        return FIRST_LOOKS + max(0, len(spec.start_with) - 1)
    return sampler.startup or None


def first(spec: SweepSpec, count: int, records: Iterable[Record] = ()) -> list[Trial]:
    """What a search proposes beside the trials that it has begun, one of each configuration, before further results.

    Nothing where it cannot begin: a launch says why.
    """
    found: dict[str, Trial] = {}
    try:
        sampler = samplers.of(spec)
        sampler.replay({record.trial_key: record for record in records}, [])
        begun = [trial.config_key for trial in sampler.trials]
        # no more: where there are fewer configurations, some samplers go on with further seeds of theirs
        for trial in islice(iter(sampler.ask, None), len(begun) + count * len(SearchSpace(spec).seeds)):
            if trial.config_key not in begun:
                found.setdefault(trial.config_key, trial)
            if len(found) == count:
                break
    except InputError:
        return []
    return [*found.values()]


def _in_words(name: str, domain: Domain) -> str:
    if not isinstance(domain, Choice):
        return domain.words
    if name in ROWS:
        return f"{len(domain.values)} rows"
    shown = ", ".join(map(_quoted, islice(domain.values, MOST_CHOICES)))
    more = len(domain.values) - MOST_CHOICES
    return f"{shown}, and {more} more" if more > 0 else shown


def _quoted(value: Any) -> str:
    """A value, between quotes where one would not see where it begins or ends."""
    is_clear = not isinstance(value, str) or (value and value == value.strip() and "," not in value)
    return short(value) if is_clear else f'"{short(value)}"'


def _condition(spec: SweepSpec, name: str) -> str:
    """Where the parameter is varied, if that is not everywhere: "; only where optimizer is sgd or adam"."""
    wanted = spec.conditions.wanted.get(name, {}).items()
    parts = [f"{other} is {' or '.join(map(_quoted, among))}" for other, among in wanted]
    return f"; only where {' and '.join(parts)}" if parts else ""
