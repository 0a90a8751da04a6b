"""What can be said of a search before it runs: its ranges, and what it proposes first."""

from itertools import islice

from orchestrator import samplers
from orchestrator.errors import InputError
from orchestrator.spec import SweepSpec
from orchestrator.spec.domains import Choice, Domain
from orchestrator.spec.methods import FIRST_LOOKS, OptunaSampler
from orchestrator.trial import Trial
from orchestrator.trials.labels import short
from orchestrator.trials.search_space import ROWS, SearchSpace

MOST_CHOICES = 8


def ranges(spec: SweepSpec) -> list[str]:
    """What a search varies, a line for each parameter: "lr: 0.001 to 0.1, logarithmic"."""
    domains = SearchSpace(spec).domains
    return [f"{name}: {_in_words(name, domain)}" for name, domain in domains.items()]


def startup(spec: SweepSpec) -> int | None:
    """Of how many configurations a search needs results to learn, at the most; None where it never learns."""
    sampler = spec.method.sampler
    if not isinstance(sampler, OptunaSampler):
        return None
    if sampler.chooses_early and len(spec.objectives) == 1:
        return FIRST_LOOKS + max(0, len(spec.start_with) - 1)
    return sampler.startup or None


def first(spec: SweepSpec, count: int) -> list[Trial]:
    """The first trials that a new search proposes, one of each configuration, as long as none has a result.

    Nothing where it cannot begin: a launch says why.
    """
    found: dict[str, Trial] = {}
    try:
        sampler = samplers.of(spec)
        sampler.replay({}, [])
        # no more: where there are fewer configurations, some samplers go on with further seeds of theirs
        for trial in islice(iter(sampler.ask, None), count * len(SearchSpace(spec).seeds)):
            found.setdefault(trial.config_key, trial)
    except InputError:
        return []
    return [*found.values()]


def _in_words(name: str, domain: Domain) -> str:
    if not isinstance(domain, Choice):
        return domain.words
    if name in ROWS:
        return f"{len(domain.values)} rows"
    shown = ", ".join(short(value) for value in islice(domain.values, MOST_CHOICES))
    more = len(domain.values) - MOST_CHOICES
    return f"{shown}, and {more} more" if more > 0 else shown
