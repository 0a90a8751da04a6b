"""From the proposals of a search to trials, and back from stored trials."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from orchestrator.spec import SweepSpec, text_of
from orchestrator.spec.domains import Choice, Domain
from orchestrator.trial import Params, Proposal, Trial
from orchestrator.trials.labels import label
from orchestrator.trials.record import Record

ROWS = ("zip", "configs")  # proposed as the index of a row
ABSENT = object()


@dataclass(frozen=True)
class BegunTrial:
    """A trial of the search that was begun before, and the values that were proposed for it."""

    trial: Trial
    values: Params


class SearchSpace:
    """What a sweep searches, and what is constant. Of rows that give the same values, only the first is kept."""

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        pairs = zip(ROWS, (spec.zipped, spec.configs), strict=True)
        self._rows = {name: _distinct(rows, spec.function.defaults) for name, rows in pairs if rows}
        domains: dict[str, Domain] = {**spec.domains}
        domains |= {name: Choice(tuple(range(len(rows)))) for name, rows in self._rows.items()}
        self.constants = {name: domain.examples()[0] for name, domain in domains.items() if domain.is_constant}
        conditions = spec.conditions.wanted
        names = [*(name for name in domains if name not in conditions), *conditions]
        # a parameter comes after those that its condition names
        self.domains = {name: domains[name] for name in names if name not in self.constants}
        self._of_rows = {name for rows in self._rows.values() for row in rows for name in row}
        self.seeds: tuple[int | None, ...] = spec.seeds or (None,)

    @property
    def has_further_seeds(self) -> bool:
        """Whether a configuration can run again with a seed that the file does not have."""
        seed = self.spec.function.parameters.get("seed")
        names = {*self.spec.domains, *self._of_rows}
        return seed is not None and seed.is_integer and "seed" not in names

    def trial(self, proposed: Params, seed: int | None, proposal: Proposal) -> Trial:
        """The trial of a configuration and a seed; None keeps the seed of the file or of the function.

        Raises:
            ValueError: the values do not go together.
        """
        values = self.spec.conditions.kept(self.values({**self.constants, **proposed}))
        function = self.spec.function
        params = function.resolve(values if seed is None else {**values, "seed": seed})
        names = [name for name in params if name in self.spec.varying or (name == "seed" and seed is not None)]
        text = label(self.spec, params, names) or self.spec.name
        return function.trial(params, text, proposal)

    def key(self, trial: Trial) -> str:
        """What tells its configuration from others: nothing of its seed, unless the search varies that, too."""
        return trial.trial_key if "seed" in self.spec.varying else trial.config_key

    def is_valid(self, proposed: Params) -> bool:
        """Whether the values go together."""
        try:
            self.trial(proposed, self.seeds[0], Proposal(-1))
        except ValueError:
            return False
        return True

    def values(self, proposed: Params) -> dict[str, Any]:
        """The values of a proposal, with the rows whose indices it has."""
        values = {name: value for name, value in proposed.items() if name not in self._rows}
        for name in proposed.keys() & self._rows.keys():
            values |= self._rows[name][proposed[name]]
        return values

    def part(self, values: Params) -> dict[str, Any]:
        """The part of a proposal that these values are; of rows, the index of the first that has them."""
        defaults = self.spec.function.defaults
        part = {name: value for name, value in values.items() if name in self.domains}
        for choice, rows in self._rows.items():
            names = values.keys() & {name for row in rows for name in row}
            if names and choice in self.domains:
                wanted = {name: values[name] for name in names}
                part[choice] = next(i for i, row in enumerate(rows) if has_values({**defaults, **row}, wanted))
        return part

    def row(self, choice: str, params: Params) -> int | None:
        """The index of the first row of `choice` that parameters have; None where they have none."""
        rows = self._rows[choice]
        return next((i for i, row in enumerate(rows) if row.items() <= params.items()), None)

    def shared(self, proposed: Params) -> dict[str, Any]:
        """The values that trials of a proposal share: its own, and defaults of parameters that only other rows have."""
        names = {name for choice in proposed.keys() & self._rows.keys() for row in self._rows[choice] for name in row}
        defaults = self.spec.function.defaults
        return {name: defaults[name] for name in names & defaults.keys()} | self.values(proposed)

    def varies(self, name: str, proposed: Params) -> bool:
        """Whether a domain is varied, given the values proposed for those before it."""
        values = self.values({**self.constants, **proposed})
        return self.spec.conditions.holds(name, self.spec.conditions.kept(values))

    def find(self, params: Params, trial_key: str, proposal: Proposal | None) -> BegunTrial | None:
        """The trial of these parameters, or None where the search has no such trial in the present file."""
        proposal, params = proposal or Proposal(-1), self.spec.function.completed(params)
        seeds = [params.get("seed")] if proposal.another_seed and self.has_further_seeds else self.seeds
        for values, seed in itertools.product(self._proposals(params), seeds):
            with suppress(ValueError):
                trial = self.trial(values, seed, proposal)
                if trial.trial_key == trial_key:
                    return BegunTrial(trial, values)
        return None

    def trials(self, records: Iterable[Record]) -> list[BegunTrial]:
        """The trials of this search among the records of the sweep, in the order of their proposals."""
        begun = (self.find(record.params, record.trial_key, record.proposal) for record in records)
        return sorted(filter(None, begun), key=order)

    def begun(self, history: Mapping[str, Record], noted: Iterable[Trial]) -> list[BegunTrial]:
        """The trials of this search that were begun before, each once, in the order of their proposals.

        Args:
            history: the records of the sweep, by trial_key.
            noted: trials that were begun, in the store or not.
        """
        noted_starts = (self.find(trial.params, trial.trial_key, trial.proposal) for trial in noted)
        begun = [*filter(None, noted_starts), *self.trials(history.values())]
        return sorted({start.trial.trial_key: start for start in begun}.values(), key=order)

    def examples(self) -> list[Params]:
        """The first choice of every domain, and each further choice once."""
        first = {name: domain.examples()[0] for name, domain in self.domains.items()}
        further = [{**first, name: v} for name, domain in self.domains.items() for v in domain.examples()[1:]]
        params = []
        for proposed in [first, *further]:
            with suppress(ValueError):  # an invalid combination
                params.append(self.trial(proposed, None, Proposal(-1)).params)
        return params

    def _proposals(self, params: Params) -> Iterator[dict[str, Any]]:
        """The proposals that may have led to these parameters; rows that leave many parameters out may fit, too."""
        varied = self.spec.conditions.active(self.domains, params)
        axes: list[list[Any]] = []
        for name in varied:
            if name in self._rows:
                axes.append([i for i, row in enumerate(self._rows[name]) if row.items() <= params.items()])
            else:
                value = params.get(name, ABSENT)
                axes.append([] if value is ABSENT or not self.domains[name].has(value) else [value])
        for values in itertools.product(*axes):
            yield dict(zip(varied, values, strict=True))


def _distinct(rows: Sequence[Params], defaults: Params) -> list[Params]:
    """The rows that differ; a parameter that a row leaves out has its default."""
    names = sorted({name for row in rows for name in row})
    distinct: dict[tuple[str, ...], Params] = {}
    for row in rows:
        distinct.setdefault(tuple(repr(row.get(name, defaults.get(name))) for name in names), row)
    return [*distinct.values()]


def has_values(params: Params, values: Params) -> bool:
    """Whether parameters have these values among them."""
    return all(name in params and repr(params[name]) == repr(value) for name, value in values.items())


def overrides(spec: SweepSpec, params: Params) -> list[str]:
    """The values to `--set` so that a file asks for this configuration alone, with all of its seeds."""
    constants = {name: domain.examples()[0] for name, domain in spec.domains.items() if domain.is_constant}
    rows = {name for row in (*spec.zipped, *spec.configs) for name in row}
    needed = []
    for name, parameter in spec.function.parameters.items():
        stays = name not in rows and name not in spec.domains.keys() - constants.keys()
        if name != "seed" and not (stays and repr(constants.get(name, parameter.default)) == repr(params[name])):
            needed.append(f"{name}={text_of(params[name])}")
    return needed


def order(begun: BegunTrial) -> tuple[int, str]:
    """The order of proposals in a search; trials that another method began come first."""
    trial = begun.trial
    return (trial.proposal.number if trial.proposal else -1, trial.config_key)
