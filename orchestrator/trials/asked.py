"""Which of a sweep's trials in the store its file asks for."""

from collections.abc import Iterable, Sequence

from orchestrator.spec import SweepSpec
from orchestrator.trial import Trial
from orchestrator.trials.grid import expand
from orchestrator.trials.longer import Longer
from orchestrator.trials.record import Record
from orchestrator.trials.search_space import SearchSpace


def asked(spec: SweepSpec, records: Sequence[Record]) -> list[Trial]:
    """The trials that a file asks for: all that it lists, or those of its search that were begun; then further seeds.

    Longer ones are in the places of those that they go on from.

    Raises:
        InputError: the grid has too many trials.
    """
    longer = Longer.of(spec, records)
    records = [longer.asked(record) for record in records] if longer.epochs else records
    if spec.is_listed:
        trials = list(expand(spec).trials)
    else:
        trials = [begun.trial for begun in SearchSpace(spec).trials(records)]
    return [longer.trial(trial) for trial in (*trials, *further_seeds(spec, trials, records))]


def further_seeds(spec: SweepSpec, trials: Iterable[Trial], begun: Iterable[Trial | Record]) -> list[Trial]:
    """The further seeds of these trials' configurations that were begun, in the order in which they were proposed."""
    further = [(one, one.proposal) for one in begun if one.proposal is not None]
    if not further:  # then the keys of ten thousand trials are not needed
        return []
    trials = list(trials)
    keys = {trial.trial_key for trial in trials}
    config_keys = {trial.config_key for trial in trials}
    function = spec.function
    numbered: dict[str, tuple[int, Trial]] = {}
    for source, proposal in further:
        if proposal.replicate is not None and source.trial_key not in keys:
            trial = function.trial(function.completed(source.params), source.label, proposal)
            if trial.trial_key == source.trial_key and trial.config_key in config_keys:
                numbered[trial.trial_key] = proposal.replicate, trial
    return [trial for _, trial in sorted(numbered.values(), key=lambda pair: pair[0])]


def of_file(spec: SweepSpec, records: Sequence[Record]) -> list[Record]:
    """The records of the trials that a file asks for.

    Raises:
        InputError: the grid has too many trials.
    """
    return of_trials(asked(spec, records), records)


def of_trials(trials: Iterable[Trial], records: Iterable[Record]) -> list[Record]:
    """The records of some trials."""
    keys = {trial.trial_key for trial in trials}
    return [record for record in records if record.trial_key in keys]
