"""From what a search proposes to trials, and back from trials that the store has."""

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
class Known:
    """A trial of the search that was begun before, and the values that were proposed for it."""

    trial: Trial
    values: Params


class SearchSpace:
    """What of a sweep is searched, and what is constant. Of rows that come to the same, there is only the first."""

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        given = zip(ROWS, (spec.zipped, spec.configs), strict=True)
        self._rows = {name: _distinct(rows, spec.function.defaults) for name, rows in given if rows}
        every: dict[str, Domain] = {**spec.domains}
        every |= {name: Choice(tuple(range(len(rows)))) for name, rows in self._rows.items()}
        self._constants = {name: domain.examples()[0] for name, domain in every.items() if domain.is_constant}
        conditions = spec.conditions.wanted
        names = [*(name for name in every if name not in conditions), *conditions]
        # each after those that its condition names
        self.domains = {name: every[name] for name in names if name not in self._constants}
        self._of_rows = {name for rows in self._rows.values() for row in rows for name in row}
        self.seeds: tuple[int | None, ...] = spec.seeds or (None,)

    @property
    def has_further_seeds(self) -> bool:
        """Whether a configuration can be tried again with another seed than the file has."""
        seed = self.spec.function.parameters.get("seed")
        given = {*self.spec.domains, *self._of_rows}
        return seed is not None and seed.is_integer and "seed" not in given

    def trial(self, proposed: Params, seed: int | None, proposal: Proposal) -> Trial:
        """The trial of a configuration and a seed; None leaves the seed that the file or the function has.

        Raises:
            ValueError: the values do not go together.
        """
        values = self.spec.conditions.kept(self.values({**self._constants, **proposed}))
        function = self.spec.function
        params = function.resolve(values if seed is None else {**values, "seed": seed})
        names = [name for name in params if name in self.spec.varying or (name == "seed" and seed is not None)]
        named = label(self.spec, params, names) or self.spec.name
        return Trial(function.name, function.version, params, named, proposal)

    def can_be(self, proposed: Params) -> bool:
        """Whether values go together."""
        try:
            self.trial(proposed, self.seeds[0], Proposal(-1))
        except ValueError:
            return False
        return True

    def values(self, proposed: Params) -> dict[str, Any]:
        """What a proposal gives the parameters, with the rows whose indices it has."""
        values = {name: value for name, value in proposed.items() if name not in self._rows}
        for name in proposed.keys() & self._rows.keys():
            values |= self._rows[name][proposed[name]]
        return values

    def whole(self, proposed: Params) -> dict[str, Any]:
        """What trials of a proposal have in common: what it gives, and the defaults of what only other rows give."""
        others = {name for choice in proposed.keys() & self._rows.keys() for row in self._rows[choice] for name in row}
        defaults = self.spec.function.defaults
        return {name: defaults[name] for name in others & defaults.keys()} | self.values(proposed)

    def varies(self, name: str, proposed: Params) -> bool:
        """Whether a domain is varied beside what is proposed of those before it."""
        values = self.values({**self._constants, **proposed})
        return self.spec.conditions.holds(name, self.spec.conditions.kept(values))

    def known(self, params: Params, trial_key: str, proposal: Proposal | None) -> Known | None:
        """The trial of these parameters, or None where the search, as the file has it now, has no such trial."""
        proposal = proposal or Proposal(-1)
        seeds = [params.get("seed")] if proposal.another_seed and self.has_further_seeds else self.seeds
        for values, seed in itertools.product(self._proposals(params), seeds):
            with suppress(ValueError):
                trial = self.trial(values, seed, proposal)
                if trial.trial_key == trial_key:
                    return Known(trial, values)
        return None

    def trials(self, records: Iterable[Record]) -> list[Known]:
        """The trials of this search among those that the store has of the sweep, in the order of their proposals."""
        known = (self.known(record.params, record.trial_key, record.proposal) for record in records)
        return sorted((one for one in known if one is not None), key=place)

    def begun(self, history: Mapping[str, Record], noted: Iterable[Trial]) -> list[Known]:
        """The trials of this search that were begun before, each once, in the order of their proposals.

        Args:
            history: what the store has of the sweep, by trial_key.
            noted: trials that were begun, whether the store has them or not.
        """
        found = (self.known(trial.params, trial.trial_key, trial.proposal) for trial in noted)
        every = [*filter(None, found), *self.trials(history.values())]
        return sorted({one.trial.trial_key: one for one in every}.values(), key=place)

    def examples(self) -> list[Params]:
        """The first choice of everything, and each further choice once."""
        first = {name: domain.examples()[0] for name, domain in self.domains.items()}
        others = [{**first, name: v} for name, domain in self.domains.items() for v in domain.examples()[1:]]
        params = []
        for proposed in [first, *others]:
            with suppress(ValueError):  # a combination that cannot be
                params.append(self.trial(proposed, None, Proposal(-1)).params)
        return params

    def _proposals(self, params: Params) -> Iterator[dict[str, Any]]:
        """The proposals from which these parameters may have come: rows that leave much out may fit, too."""
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
    """The rows that differ; what one of them leaves out has its default."""
    names = sorted({name for row in rows for name in row})
    found: dict[tuple[str, ...], Params] = {}
    for row in rows:
        found.setdefault(tuple(repr(row.get(name, defaults.get(name))) for name in names), row)
    return [*found.values()]


def overrides(spec: SweepSpec, params: Params) -> list[str]:
    """What to `--set` so that a file asks for this configuration alone, whatever its seeds."""
    given = {name: domain.examples()[0] for name, domain in spec.domains.items() if domain.is_constant}
    rows = {name for row in (*spec.zipped, *spec.configs) for name in row}
    needed = []
    for name, parameter in spec.function.parameters.items():
        stays = name not in rows and name not in spec.domains.keys() - given.keys()
        if name != "seed" and not (stays and repr(given.get(name, parameter.default)) == repr(params[name])):
            needed.append(f"{name}={text_of(params[name])}")
    return needed


def place(known: Known) -> tuple[int, str]:
    """Where in the course of the search; what was begun by another method comes first."""
    trial = known.trial
    return (trial.proposal.number if trial.proposal else -1, trial.config_key)
