"""What each method requires of a sweep file, and which keys work with it."""

from collections.abc import Sequence

from orchestrator.functions import TrialFunction
from orchestrator.spec.block_forms import Replicates
from orchestrator.spec.densities import Density
from orchestrator.spec.domains import Choice, Range
from orchestrator.spec.event import EXPLOSION
from orchestrator.spec.form import SweepFile
from orchestrator.spec.methods import GRID, METHODS, Method, OptunaSampler, named, of_kind
from orchestrator.spec.metrics import listed
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.parameters import Space
from orchestrator.stacking import UNSTACKED, Stacking


def method_of(form: SweepFile, space: Space, overrides: Sequence[str]) -> Method:
    """The method that runs: that of the file, unless there is nothing left to search."""
    # a search of which all was set to constants is a single configuration: it is run again
    return GRID if overrides and not space.searched else named(form.method)


def check_method(method: Method, form: SweepFile, space: Space, mistakes: Mistakes) -> None:
    """Refuse what the method cannot do."""
    if not method.is_listed:
        _check_search(method, form, space, mistakes)
    elif form.reuse and not _knows_trials(method, form):
        mistakes.note(
            ("reuse",), f"needs run_cap with method {form.method}: it takes over trials that are known in advance"
        )
    if method.finds_boundary:
        _check_boundary(form, space, mistakes)
    elif form.boundary is not None and not named(form.method).finds_boundary:
        mistakes.note(("boundary",), f"works only with method {of_kind('finds_boundary')}")
    _check_values(method, space, mistakes)


def replicates_of(form: SweepFile, space: Space, function: TrialFunction, mistakes: Mistakes) -> Replicates | None:
    """Which further seeds there may be; none where the seed was set to a constant."""
    replicates = form.replicates
    if replicates is None or "seed" in space.constants:
        return None
    seed = function.parameters.get("seed")
    if seed is None or not seed.is_integer:
        mistakes.note(("replicates",), f"{function.title} has no parameter named seed that is a whole number")
    if named(form.method).finds_boundary:
        mistakes.note(("replicates",), f"{form.method} gives each trial a seed of its own; remove the key")
    if form.run_cap is None and not named(form.method).is_exhaustive:
        mistakes.note(("replicates",), f"needs run_cap with method {form.method}: half of it is for further seeds")
    if form.several is not None:
        mistakes.note(("replicates",), "compares configurations by one metric; with `metrics`, list `seeds` instead")
    if form.stack > 1:
        mistakes.note(("replicates",), "adds trials while the sweep runs, and these cannot be stacked")
    if len(form.seeds) >= replicates.max:
        mistakes.note(
            ("replicates", "max"), f"is for the {len(form.seeds)} of `seeds` and further seeds; give a larger number"
        )
    return replicates


def stacking_of(method: Method, form: SweepFile, function: TrialFunction, mistakes: Mistakes) -> Stacking:
    """Which trials train together."""
    if form.stack == 1:
        return UNSTACKED
    if not function.declaration.stack_by:
        message = f"{function.title} trains one trial at a time; remove the key, or declare `stacked`"
        mistakes.note(("stack",), f"{message} and `stack_by`")
    if not method.is_listed:
        mistakes.note(("stack",), f"works only with {of_kind('is_listed')}, whose trials are known in advance")
    elif not _knows_trials(method, form):
        mistakes.note(("stack",), f"needs run_cap with method {form.method}, so that all trials are known in advance")
    return Stacking(form.stack, function.declaration.stack_by)


def _knows_trials(method: Method, form: SweepFile) -> bool:
    return method.is_exhaustive or form.run_cap is not None


def _check_values(method: Method, space: Space, mistakes: Mistakes) -> None:
    """Refuse distributions of which a method takes values that there are not, or that the parameter refuses."""
    for name, domain in space.domains.items():
        try:
            domain.grid() if method.is_exhaustive else domain.check_draws()
        except ValueError as error:
            mistakes.note(space.places[name], str(error))


def _check_search(method: Method, form: SweepFile, space: Space, mistakes: Mistakes) -> None:
    if form.several is not None and not method.takes_metrics:
        suitable = listed([known.name for known in METHODS.values() if known.takes_metrics and _learns(known)], "or")
        mistakes.note(("metrics",), f"{form.method} optimizes one metric; for several use {suitable}")
    if form.reuse:
        mistakes.note(("reuse",), f"works only with {of_kind('is_listed')}, whose trials are known in advance")
    if space.is_known and not space.searched and not method.finds_boundary:
        mistakes.note(
            ("parameters",), f"{form.method} has nothing to search: give a parameter `values`, or min and max"
        )
    if "seed" in space.searched and not form.runs_program:
        mistakes.note(
            space.places.get("seed", ("parameters", "seed")),
            "a search does not vary seeds; list them as `seeds: [...]`",
        )
    for name, domain in space.domains.items():
        if isinstance(domain, Choice) and domain.probabilities is not None:
            drawn = " and ".join(m.name for m in METHODS.values() if m.is_listed and not m.is_exhaustive)
            mistakes.note((*space.places[name], "probabilities"), f"work only with method {drawn}")


def _learns(method: Method) -> bool:
    return isinstance(method.sampler, OptunaSampler) and method.sampler.learns


def _check_boundary(form: SweepFile, space: Space, mistakes: Mistakes) -> None:
    for name, domain in space.domains.items():
        if isinstance(domain, Density):
            mistakes.note(("parameters", name), "boundary needs min and max; other distributions are for random or tpe")
    ranges = [domain for domain in space.domains.values() if isinstance(domain, Range)]
    lists = [name for name in space.searched & space.domains.keys() if isinstance(space.domains[name], Choice)]
    rows = [given for given in (space.zipped, space.configs) if space.differing(given)]
    if space.is_known and (len(ranges) != 1 or len(lists) + len(rows) > 1):
        mistakes.note(
            ("parameters",),
            "boundary needs one parameter with min and max, and at most one other with `values`, `zip` or `configs`; "
            f"the file has {len(ranges)} with min and max, and {len(lists) + len(rows)} others",
        )
    for i, row in enumerate(space.configs):
        for name in (
            {name for config in space.configs for name in config} - row.keys() - space.conditions.defaults.keys()
        ):
            mistakes.note(("configs", i), f"{name} has no default; give it here, as in the other rows")
    if form.seeds:
        mistakes.note(("seeds",), "boundary gives each trial a seed of its own, 0, 1, 2, ...; remove `seeds`")
    if form.survivors:
        mistakes.note(("survivors",), "is for ranking configurations, and boundary ranks none; remove the key")
    if not form.divergence.enabled and (form.boundary is None or form.boundary.event == EXPLOSION.name):
        mistakes.note(("divergence", "enabled"), "boundary looks for explosions; set this to true")
    width = form.boundary.width if form.boundary else None
    if width is not None and len(ranges) == 1:
        _check_width(width, ranges[0], mistakes)


def _check_width(width: float, swept: Range, mistakes: Mistakes) -> None:
    least, most = (1.0, swept.high / swept.low) if swept.log else (0.0, swept.high - swept.low)
    if not least < width < most:
        what = "ratio" if swept.log else "difference"
        mistakes.note(
            ("boundary", "width"),
            f"is the {what} of the interval's ends; it must be above {least:g} and below that of the range, {most:g}",
        )
