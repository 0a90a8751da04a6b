"""Random draws, as trials."""

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.spec import SweepSpec
from orchestrator.system.figures import numbered
from orchestrator.trial import Params, Trial
from orchestrator.trials.labels import Labels, label, short
from orchestrator.trials.search_space import has_values

MOST_REPEATS = 1000  # draws in a row with nothing new: then everything is taken to have been drawn


class Draws:
    """The trials of a random search, in the order in which they are drawn first.

    A draw that came before counts towards `run_cap`, and gives no further trial: the result is known, or will be.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.count = 0
        self.invalid: dict[str, None] = {}  # a line for each combination that cannot be
        self._combinations = _combinations(spec)
        self._keys: set[str] = set()  # trial_keys
        self._repeats = 0
        self._labels = Labels(spec)

    @property
    def remark(self) -> str:
        """Why there are fewer trials than draws, in a line; empty where they are as many, or may become more."""
        if self._is_exhausted:
            trials = numbered(len(self._keys))
            return f"there is nothing more to try after {trials}: {MOST_REPEATS:,} draws gave nothing new"
        if self.count == self.spec.proposal_cap and len(self._keys) < self.count:
            return f"{self.count} draws gave {len(self._keys)} different trials, each of which runs once"
        return ""

    @property
    def _is_exhausted(self) -> bool:
        return self._repeats >= MOST_REPEATS

    def next(self) -> Trial | None:
        """The next trial that is new, or None where `run_cap` is reached or nothing is new."""
        while not self._is_exhausted and self.count != self.spec.proposal_cap:
            trial = self._trial(next(self._combinations))
            self.count += 1
            self._repeats += 1
            if trial is not None and trial.trial_key not in self._keys:
                self._repeats = 0
                self._keys.add(trial.trial_key)
                return self._labels.apart(trial)
        return None

    def _trial(self, values: dict[str, Any]) -> Trial | None:
        function = self.spec.function
        try:
            params = function.resolve(values)
        except ValueError as error:
            combination = " ".join(f"{name}={short(value)}" for name, value in values.items())
            self.invalid[self.spec.source.mistake((), f"{combination}: {error}")] = None
            return None
        has_seeds = len(self.spec.seeds) > 1
        names = [name for name in params if name in self.spec.varying or (name == "seed" and has_seeds)]
        return function.trial(params, label(self.spec, params, names) or self.spec.name)


def _combinations(spec: SweepSpec) -> Iterator[dict[str, Any]]:
    """Those that a file has tried first, with draws of what they leave out; then the draws."""
    # each draw has a generator of its own, so that a larger run_cap only adds to a sweep
    started = ((start, json.dumps(start, sort_keys=True)) for start in spec.start_with)
    for start, own in itertools.chain(started, (({}, index) for index in itertools.count())):
        rng = random.Random(f"{spec.seed}:{own}")  # noqa: S311
        values = {name: domain.draw(rng) for name, domain in spec.domains.items()}
        for rows in (spec.zipped, spec.configs):
            values |= rng.choice(_fitting(rows, start, spec.function.defaults)) if rows else {}
        values = spec.conditions.kept({**values, **start})
        for seed in spec.seeds or (None,):
            yield values if seed is None else {**values, "seed": seed}


def _fitting(rows: Sequence[Params], start: Params, defaults: Params) -> Sequence[Params]:
    """The rows that have the values of a start."""
    names = {name for row in rows for name in row} & start.keys()
    wanted = {name: start[name] for name in names}
    return [row for row in rows if has_values({**defaults, **row}, wanted)] if names else rows
