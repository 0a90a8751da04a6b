"""Trials that somebody has asked more epochs for than their file does: each takes the place of the file's."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from orchestrator.functions import TrialFunction
from orchestrator.spec import SweepSpec
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.record import Record, has_other_code

# tags of a longer trial's run: the trial_key of the file's, and its epochs
ASKED_KEY, ASKED_EPOCHS = "asked.trial_key", "asked.epochs"
CHECKPOINT = "checkpoint.bytes"  # the tag of a run that has its trial's checkpoint among its artifacts


@dataclass(frozen=True)
class Longer:
    """Which of a file's trials have more epochs, or are to have them."""

    spec: SweepSpec
    epochs: Mapping[str, int] = field(default_factory=dict)  # by the trial_key of the file's trial
    waiting: Mapping[str, Record] = field(default_factory=dict)  # what goes on and has not begun to, by the same

    @classmethod
    def of(cls, spec: SweepSpec, records: Iterable[Record], requests: Mapping[str, int] | None = None) -> "Longer":
        """By what the store has.

        Args:
            spec: the file.
            records: of the sweep.
            requests: the epochs that were asked for, by the trial_key of the file's trial.
        """
        asked, requests, function = spec.epochs, requests or {}, spec.function
        if asked is None:
            return cls(spec)
        records = list(records)
        there = {record.trial_key for record in records}
        epochs: dict[str, int] = {}
        waiting: dict[str, Record] = {}
        for record in records:
            is_longer = record.tags.get(ASKED_EPOCHS) == str(asked)
            key, had = asked_key(record) if is_longer else record.trial_key, record.params.get("epochs", 0)
            if not (is_longer or key in requests) or with_epochs(function, record, asked).trial_key != key:
                continue  # nobody has asked for it, or it is of another function or version
            wanted = requests.get(key, 0)
            can_have = wanted > had and _can_have(function, record, wanted)
            if can_have and with_epochs(function, record, wanted).trial_key not in there:
                epochs[key], waiting[key] = wanted, record
            elif is_longer:
                epochs[key] = had
        return cls(spec, epochs, waiting)

    def trial(self, trial: Trial) -> Trial:
        """The trial in place of one of the file's."""
        wanted = self.epochs.get(trial.trial_key)
        if wanted is None:
            return trial
        params = {**trial.params, "epochs": wanted}
        return replace(self.spec.function.trial(params, trial.label, trial.proposal), place=trial.place)

    def asked(self, record: Record) -> Record:
        """A record as that of the file's trial: of one that is to go on, it was interrupted."""
        if ASKED_KEY in record.tags and asked_key(record) in self.epochs:
            params = {**record.params, "epochs": self.spec.epochs}
            record = replace(record, trial_key=asked_key(record), params=params)
        goes_on = record.trial_key in self.waiting
        return replace(record, outcome=Outcome.INTERRUPTED) if goes_on else record

    def begun(self, records: Mapping[str, Record]) -> dict[str, Record]:
        """Records by trial_key, without those that are to go on, in whose place others will begin."""
        waiting = {record.run_id for record in self.waiting.values()}
        return {key: record for key, record in records.items() if record.run_id not in waiting}

    @cached_property
    def before(self) -> Mapping[str, Record]:
        """What is to go on, by the trial_key that it will have."""
        function = self.spec.function
        return {with_epochs(function, one, self.epochs[key]).trial_key: one for key, one in self.waiting.items()}


def with_epochs(function: TrialFunction, record: Record, epochs: int) -> Trial:
    """The trial of a record's parameters that has so many epochs."""
    return function.trial({**function.completed(record.params), "epochs": epochs}, record.label)


def asked_key(record: Record) -> str:
    """The trial_key of the file's trial."""
    return record.tags.get(ASKED_KEY, record.trial_key)


def tags_of(before: Record) -> dict[str, str]:
    """The tags of a run that goes on from another one, as far as they say of which of the file's trials it is."""
    asked = before.tags.get(ASKED_EPOCHS, str(before.params.get("epochs")))
    return {ASKED_KEY: asked_key(before), ASKED_EPOCHS: asked}


def from_start(function: TrialFunction, record: Record) -> str:
    """Why a trial cannot go on from where it ended, as the end of a sentence; empty where it can."""
    if not function.declaration.extends(record.params):
        where = " with these parameters" if function.declaration.extendable else ""
        return f"{function.title} does not declare that it is `extendable`{where}"
    if has_other_code(function, record):
        return f"{function.title} has changed since"
    return "" if CHECKPOINT in record.tags else "its checkpoint was not kept"


def taken_up(function: TrialFunction, record: Record) -> int:
    """After how many epochs a trial goes on; 0 where it trains from the start."""
    return 0 if from_start(function, record) else record.last_epoch or 0


def goes_on(function: TrialFunction, record: Record) -> str:
    """From where a trial goes on, in words."""
    problem = from_start(function, record)
    return f"from the start: {problem}" if problem else f"on from epoch {record.last_epoch} of run {record.run_id[:8]}"


def _can_have(function: TrialFunction, record: Record, epochs: int) -> bool:
    """Whether a trial has come to its end, and may have so many epochs."""
    if record.is_deleted or record.outcome is not Outcome.COMPLETED:
        return False
    with suppress(ValueError):
        function.config({**function.completed(record.params), "epochs": epochs})
        return True
    return False
