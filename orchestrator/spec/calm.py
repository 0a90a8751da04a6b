"""Which sampler proposes in place of a method's own, as long as nothing has exploded."""

from importlib.util import find_spec

from orchestrator.spec.methods import CalmSampler, OptunaSampler
from orchestrator.spec.sweep_spec import SweepSpec


def in_calm(spec: SweepSpec) -> CalmSampler | None:
    """The sampler that suits what a sweep searches, or None where the method's own does better or nothing else can."""
    sampler = spec.method.sampler
    calm = sampler.in_calm if isinstance(sampler, OptunaSampler) else None
    return calm if calm is not None and _suits(calm, spec) else None


def _suits(calm: CalmSampler, spec: SweepSpec) -> bool:
    """By measured rules: docs/search.md."""
    numbers = {name for name, domain in spec.domains.items() if domain.is_continuous}
    return (
        len(spec.objectives) == 1
        and len(numbers) >= calm.axes
        and spec.varying - {"seed"} <= numbers
        and not spec.conditions.wanted
        and spec.early_terminate is None
        and spec.run_cap is not None
        and spec.run_cap <= calm.trials
        and find_spec(calm.needs) is not None
    )


def proposers(spec: SweepSpec) -> str:
    """What proposes the trials of a search, for people."""
    calm = in_calm(spec)
    name = spec.method.name
    if calm is None:
        return name
    return f"{name} (by {calm.name} after {calm.results} results, while nothing explodes or is beyond another limit)"
