"""From what a search proposes to trials, and back from trials that the store has."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from orchestrator.expansion import label
from orchestrator.record import Record
from orchestrator.spec import SweepSpec
from orchestrator.spec.domains import Choice, Domain
from orchestrator.trial import Params, Proposal, Trial

ROWS = ("zip", "configs")  # proposed as the index of a row


class SearchSpace:
    """What of a sweep is searched, and what is constant."""

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self._rows: dict[str, tuple[Params, ...]] = {
            name: rows for name, rows in zip(ROWS, (spec.zipped, spec.configs), strict=True) if rows
        }
        every: dict[str, Domain] = {**spec.domains}
        every |= {name: Choice(tuple(range(len(rows)))) for name, rows in self._rows.items()}
        self._constants = {name: domain.examples()[0] for name, domain in every.items() if domain.is_constant}
        self.domains = {name: domain for name, domain in every.items() if name not in self._constants}
        self.seeds: tuple[int | None, ...] = spec.seeds or (None,)

    @property
    def has_seed(self) -> bool:
        """Whether a configuration can be tried again with another seed."""
        return "seed" in self.spec.function.parameters and "seed" not in self.domains

    def trial(self, proposed: Params, seed: int | None, proposal: Proposal) -> Trial:
        """The trial of a configuration and a seed; None leaves the seed that the file or the function has.

        Raises:
            ValueError: the values do not go together.
        """
        values = self._values({**self._constants, **proposed})
        function = self.spec.function
        params = function.resolve(values if seed is None else {**values, "seed": seed})
        names = [name for name in params if name in self._varying or (name == "seed" and seed is not None)]
        return Trial(function.name, function.version, params, label(params, names), proposal)

    def proposed(self, params: Params) -> dict[str, Any] | None:
        """What was proposed where these parameters came of it, or None where they never could."""
        proposed: dict[str, Any] = {}
        for name, domain in self.domains.items():
            if name in self._rows:
                indices = (i for i, row in enumerate(self._rows[name]) if row.items() <= params.items())
                value = next(indices, None)
            else:
                value = params.get(name)
            if value is None or not domain.has(value):
                return None
            proposed[name] = value
        return proposed

    def trials(self, records: Iterable[Record]) -> list[Trial]:
        """The trials of this search among those that the store has of the sweep, in the order of their proposals."""
        known = (self.known(record.params, record.trial_key, record.proposal) for record in records)
        trials = [trial for trial in known if trial is not None]
        return sorted(trials, key=lambda trial: trial.proposal.number if trial.proposal else -1)

    def examples(self) -> list[Params]:
        """The first choice of everything, and each further choice once."""
        first = {name: domain.examples()[0] for name, domain in self.domains.items()}
        others = [{**first, name: v} for name, domain in self.domains.items() for v in domain.examples()[1:]]
        params = []
        for proposed in [first, *others]:
            with suppress(ValueError):  # a combination that cannot be
                params.append(self.trial(proposed, None, Proposal(-1)).params)
        return params

    def known(self, params: Params, trial_key: str, proposal: Proposal | None) -> Trial | None:
        """The trial of these parameters, or None where the search, as it is now, has no such trial."""
        proposed = self.proposed(params)
        if proposed is None:
            return None
        try:
            trial = self.trial(proposed, params.get("seed") if self.has_seed else None, proposal or Proposal(-1))
        except ValueError:
            return None
        return trial if trial.trial_key == trial_key else None

    @property
    def _varying(self) -> set[str]:
        rows = {name for which in self.domains.keys() & self._rows.keys() for row in self._rows[which] for name in row}
        return set(self.domains) | rows

    def _values(self, proposed: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: value for name, value in proposed.items() if name not in self._rows}
        for name in proposed.keys() & self._rows.keys():
            values |= self._rows[name][proposed[name]]
        return values
