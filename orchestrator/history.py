"""What the store has of a sweep as a launch begins, and which of it counts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.errors import InputError
from orchestrator.samplers import Sampler
from orchestrator.spec import SweepSpec
from orchestrator.trackers import Tracker, retry, trash_in_words
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.asked import further_seeds
from orchestrator.trials.record import Record, changed


@dataclass(frozen=True)
class History:
    """Trials that were begun before, by trial_key."""

    own: Mapping[str, Record]
    deleted: Mapping[str, Record]  # what somebody has put into MLflow's trash: it neither counts nor runs again
    reused: Mapping[str, Record] = field(default_factory=dict)  # taken over from other sweeps

    @classmethod
    def of(cls, tracker: Tracker, own: Mapping[str, Record], trial_timeout: float | None = None) -> "History":
        """With what is in the trash by now.

        Args:
            tracker: of the sweep.
            own: what the store has of it.
            trial_timeout: of the launch, in seconds: what a lesser one has cut off is taken as interrupted.
        """
        own = {key: _that_goes_on(record, trial_timeout) for key, record in own.items()}
        trashed = retry(lambda: tracker.trash(tracker.spec.name))
        return cls(own, {key: record for key, record in trashed.items() if key not in own})

    @property
    def counting(self) -> dict[str, Record]:
        """All that counts."""
        return {**self.own, **self.reused}

    @property
    def known(self) -> dict[str, Record]:
        """All that a sampler has to know."""
        return {**self.deleted, **self.counting}

    def without_deleted(self, trials: Iterable[Trial]) -> list[Trial]:
        """The trials that count, or will."""
        return [trial for trial in trials if trial.trial_key not in self.deleted]

    def check(self, spec: SweepSpec, sampler: Sampler, uri: str) -> None:
        """See that there is something beside the trash.

        Raises:
            InputError: all of the sweep's trials were deleted, and there are no further ones.
        """
        if sampler.trials and not (sampler.has_more or self.without_deleted(sampler.trials)):
            raise InputError(f"{spec.source.path}: {trash_in_words(self.of_trash(sampler.trials), uri)}")

    def of_trash(self, trials: Iterable[Trial]) -> list[Record]:
        """Those of these trials that somebody has deleted."""
        return [self.deleted[trial.trial_key] for trial in trials if trial.trial_key in self.deleted]

    def deleted_since(self, before: "History", trials: Iterable[Trial], uri: str) -> str:
        """Which of these trials somebody has deleted since then, in a line; or nothing."""
        gone = [record for record in self.of_trash(trials) if record.trial_key not in before.deleted]
        return trash_in_words(gone, uri) if gone else ""

    def remarks(self, spec: SweepSpec, trials: Sequence[Trial], uri: str, is_aside: bool) -> Iterator[str]:
        """What there is to say of it, beside these trials that the file asks for, or that run aside; in lines."""
        asked = {trial.trial_key for trial in (*trials, *further_seeds(spec, trials, self.counting.values()))}
        if (left_out := len(self.counting.keys() - asked)) and not is_aside:
            yield (
                f"{left_out} trials of this sweep in the store have other values or another version than the "
                "file's, or are more than its run_cap; they stay as they are"
            )
        if gone := self.of_trash(trials):
            yield trash_in_words(gone, uri)
        if remark := changed(spec.function, self.own.values()):
            yield remark


def _that_goes_on(record: Record, trial_timeout: float | None) -> Record:
    """The record of a trial, as interrupted where it took too long for a lesser limit than that of now."""
    limit = record.infeasible.limit if record.infeasible else None
    is_greater = limit is not None and trial_timeout is not None and trial_timeout > limit
    return replace(record, outcome=Outcome.INTERRUPTED) if is_greater else record
