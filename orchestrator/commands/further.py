"""Further seeds of configurations that are judged, as trials of the sweeps that these belong to."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.comparison.judgement import Contender, Judging
from orchestrator.errors import InputError
from orchestrator.spec import SweepSpec, load, text_of
from orchestrator.stacking import UNSTACKED
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Params, Proposal, Trial

if TYPE_CHECKING:
    from orchestrator.conclusion import Launched
    from orchestrator.settings import Settings
    from orchestrator.trackers import Store


def wanted(judgement: Judging) -> list[tuple[Contender, int]]:
    """What is to run next: a seed that only one of the two has, or else a new one for both.

    It depends on results alone, so who asks again after an interruption goes on with the same seed.
    """
    a, b = judgement.a, judgement.b
    lacking = [(b.contender, seed) for seed in a.results if seed not in b.results]
    lacking += [(a.contender, seed) for seed in b.results if seed not in a.results]
    if lacking:
        return [min(lacking, key=lambda pair: pair[1])]
    seed = 1 + max([*a.results, *b.results], default=-1)
    return [(a.contender, seed), (b.contender, seed)]


class FurtherSeeds:
    """Runs seeds of configurations of a store, whatever their sweeps' files ask for."""

    def __init__(self, reader: "Store") -> None:
        self.reader = reader
        self._specs: dict[str, SweepSpec] = {}

    def check(self, contenders: Sequence[Contender]) -> None:
        """See that each of these can have further seeds.

        Raises:
            InputError: one cannot.
        """
        for contender in contenders:
            self._trial(contender, 0, 0)

    def run(self, pairs: Sequence[tuple[Contender, int]], settings: "Settings") -> list["Launched"]:
        """Run a seed of each of these configurations, those of one sweep at the same time."""
        from orchestrator.launching import launch
        from orchestrator.terminal.consoles import stderr
        from orchestrator.terminal.display import display_for

        by_sweep: dict[str, list[Trial]] = {}
        for contender, seed in pairs:
            trials = by_sweep.setdefault(contender.sweep, [])
            trials.append(self._trial(contender, seed, self._begun(contender.sweep) + len(trials)))
        launched = []
        for sweep, trials in by_sweep.items():
            spec = self._specs[sweep]
            display = display_for(spec, stderr(), quiet=False)
            launched.append(launch(spec, replace(settings, further=tuple(trials)), display))
            if launched[-1].interrupted:
                break
        return launched

    def _begun(self, sweep: str) -> int:
        """How many further seeds a sweep has."""
        proposals = [record.proposal for record in self.reader.records(sweep)]
        return sum(proposal is not None and proposal.replicate is not None for proposal in proposals)

    def _trial(self, contender: Contender, seed: int, replicate: int) -> Trial:
        known = contender.records[-1]
        spec = self._spec(contender.sweep, known.params)
        function = spec.function
        try:
            params = function.resolve({**function.completed(known.params), "seed": seed})
        except ValueError as error:
            raise InputError(f"{spec.source.path}: {contender.label} cannot run again: {error}") from error
        label = known.tags.get("config", contender.label)  # without what tells it from other versions
        own = "" if label == contender.sweep else label
        proposal = Proposal(known.proposal.number if known.proposal else -1, replicate=replicate)
        trial = function.trial(params, f"{own} seed={seed}".strip(), proposal)
        if trial.config_key != contender.config_key:
            raise InputError(
                f"{spec.source.path}: {function.title} is no longer what ran {in_a_line(contender.label)}: its version "
                "or its parameters are others; launch the sweep again, and judge what that runs"
            )
        return trial

    def _spec(self, sweep: str, params: Params) -> SweepSpec:
        """The sweep's file, for trials of these parameters, without what ends trials or the sweep early."""
        if sweep not in self._specs:
            spec = self._loaded(sweep, params)
            seed = spec.function.parameters.get("seed")
            if seed is None or not seed.is_integer:
                hint = "; add `seeds: [0]` to the file, and `seed_parameter` where the program has a name of its own"
                raise InputError(
                    f"{spec.source.path}: {spec.function.title} has no parameter named seed that is a whole number, so "
                    f"{sweep} cannot have further seeds{hint if spec.function.program else ''}"
                )
            self._specs[sweep] = replace(
                spec,
                objectives=tuple(replace(objective, target=None) for objective in spec.objectives),
                replicates=None,
                time_cap=None,
                early_terminate=None,
                stacking=UNSTACKED,
                reuse=False,
            )
        return self._specs[sweep]

    def _loaded(self, sweep: str, params: Params) -> SweepSpec:
        """The file that was launched last; a program's parameters are all that it names, or that --set has named."""
        path = Path(os.path.relpath(self.reader.last_launch(sweep).file))
        spec = load(path, name=sweep)
        sets = [f"{name}={text_of(value)}" for name, value in params.items() if name not in spec.function.parameters]
        return load(path, sets, name=sweep) if sets and spec.function.program else spec
