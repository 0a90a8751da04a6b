"""From a spec to its trials, where these do not depend on results: a grid, or seeded random draws."""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import InputError
from orchestrator.spec import SweepSpec
from orchestrator.spec.form import MOST_TRIALS
from orchestrator.trial import Params, Trial
from orchestrator.trials.labels import label, short, varying

MOST_REPEATS = 1000  # in a row; after these, random draws are taken to have seen every combination


@dataclass(frozen=True)
class Expansion:
    """The trials that a file asks for, and a line for each invalid combination."""

    trials: tuple[Trial, ...]
    invalid: tuple[str, ...]


def expand(spec: SweepSpec) -> Expansion:
    """Every trial of a grid or of a random search, each once, in the order in which they run.

    Raises:
        InputError: the grid has too many trials.
    """
    combinations = _grid(spec) if spec.method.is_exhaustive else _draws(spec)
    resolved: dict[tuple[tuple[str, str], ...], Params] = {}
    invalid: dict[str, None] = {}
    repeats = 0
    for values in combinations:
        if repeats >= MOST_REPEATS or len(resolved) == spec.proposal_cap:
            break
        try:
            params = spec.function.resolve(values)
        except ValueError as error:
            repeats += 1
            combination = " ".join(f"{name}={short(value)}" for name, value in values.items())
            invalid[spec.source.mistake((), f"{combination}: {error}")] = None
            continue
        identity = tuple((name, repr(value)) for name, value in params.items())
        repeats = repeats + 1 if identity in resolved and not spec.method.is_exhaustive else 0
        resolved.setdefault(identity, params)
    names = varying(list(resolved.values()))
    function = spec.function
    trials = [
        Trial(function.name, function.version, params, label(spec, params, names) or spec.name)
        for params in resolved.values()
    ]
    return Expansion(tuple(spec.stacking.arranged(trials)), tuple(invalid))


def _grid(spec: SweepSpec) -> Iterator[dict[str, Any]]:
    always = [name for name in spec.domains if name not in spec.conditions.wanted]
    axes: list[list[Params]] = [[{name: value} for value in spec.domains[name].grid()] for name in always]
    axes += [list(rows) for rows in (spec.zipped, spec.configs) if rows]
    # seeds vary slowest: every configuration runs once before any is replicated
    axes.insert(0, [{"seed": seed} for seed in spec.seeds] or [{}])
    count = math.prod(len(axis) for axis in axes)
    parts = ({name: value for part in row for name, value in part.items()} for row in itertools.product(*axes))
    combinations = (values for part in parts for values in _with_conditional(part, [*spec.conditions.wanted], spec))
    for index, values in enumerate(combinations):
        if index == MOST_TRIALS or (count > MOST_TRIALS and spec.run_cap is None):
            size = f"{count:,}" if count > MOST_TRIALS else f"more than {MOST_TRIALS:,}"
            hint = f"the limit is {MOST_TRIALS:,}; use method: random with a run_cap"
            raise InputError(f"{spec.source.path}: a grid of {size} trials; {hint}")
        yield values


def _with_conditional(values: Params, names: Sequence[str], spec: SweepSpec) -> Iterator[dict[str, Any]]:
    """These values with all of the conditional parameters, where their conditions hold."""
    if not names:
        yield dict(values)
        return
    name, *rest = names
    varied = spec.conditions.holds(name, values)
    for choice in [{name: value} for value in spec.domains[name].grid()] if varied else [{}]:
        yield from _with_conditional({**values, **choice}, rest, spec)


def _draws(spec: SweepSpec) -> Iterator[dict[str, Any]]:
    for index in itertools.count():
        # each draw has a generator of its own, so that a larger run_cap only adds to a sweep
        rng = random.Random(f"{spec.seed}:{index}")  # noqa: S311
        values = {name: domain.draw(rng) for name, domain in spec.domains.items()}
        for rows in (spec.zipped, spec.configs):
            values |= rng.choice(rows) if rows else {}
        values = spec.conditions.kept(values)
        for seed in spec.seeds or (None,):
            yield values if seed is None else {**values, "seed": seed}
