"""What a launch would run."""

from collections.abc import Iterable
from typing import Literal, Self

from orchestrator.documents.base import Document, DocumentPart, Number, Params
from orchestrator.plan import Plan


class PlannedTrialPart(DocumentPart):
    """A trial, and what a launch would do with it."""

    trial: str
    """Its label: what varies."""
    trial_key: str
    params: Params
    state: str
    """In words: "to run", "done: completed"."""
    is_to_run: bool
    command: str | None
    """The command line of a program's trial."""


class PlannedSweepPart(DocumentPart):
    """What a launch of a file would run."""

    sweep: str
    file: str
    function: str
    method: str
    trials: list[PlannedTrialPart]
    """All of them; of a search, those that it has begun."""
    proposals: int | None
    """Trials that are yet to be proposed; null: until the sweep is stopped."""
    further_seeds: int
    """That there may be at most beside these."""
    example: Params | None
    """What the parameters of a proposal may be like."""
    to_run: int | None
    """How many trials; null: until the sweep is stopped."""
    at_a_time: int
    place: str
    """Where trials run, in words; empty: on this machine."""
    seconds: Number | None
    """That it may take; null where there is nothing to learn that from."""
    learned_from: int
    """Earlier trials from which that is known."""
    ranges: list[str]
    """What a search varies, in words."""
    startup: int | None
    """Results after which a search learns from them, at the latest; null where it never does, or does by now."""
    first: list[Params]
    """What a search proposes first, or next once it has begun; results that come meanwhile may change that."""
    spent: Number
    """Seconds of training by now."""
    time_cap: Number | None
    """Seconds of training that the file allows."""
    starts: list[str]
    """What a search tries first, of its proposals."""
    prior: list[str]
    """What a search learns from beside its own trials, in words."""
    remarks: list[str]
    """What else there is to say."""

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """The plan of a sweep."""
        commands, pending = dict(plan.commands), {trial.trial_key for trial in plan.pending}
        trials = [
            PlannedTrialPart(
                trial=trial.label,
                trial_key=trial.trial_key,
                params=dict(trial.params),
                state=plan.state(trial),
                is_to_run=trial.trial_key in pending,
                command=commands.get(trial.label),
            )
            for trial in plan.trials
        ]
        return cls(
            sweep=plan.spec.name,
            file=str(plan.spec.source.path),
            function=plan.spec.function.title,
            method=plan.spec.method.name,
            trials=trials,
            proposals=plan.proposals,
            further_seeds=plan.further_seeds,
            example=None if plan.example is None or plan.proposals == 0 else dict(plan.example),
            to_run=plan.to_run,
            at_a_time=plan.at_a_time,
            place=plan.place,
            seconds=plan.seconds,
            learned_from=plan.learned_from,
            ranges=[*plan.ranges],
            startup=plan.startup if plan.started_up < (plan.startup or 0) else None,
            first=[dict(trial.params) for trial in plan.next],
            spent=plan.spent,
            time_cap=plan.spec.time_cap,
            starts=[*plan.starts],
            prior=[*plan.prior],
            remarks=plan.remarks,
        )


class PlanDocument(Document):
    """What a launch would run."""

    kind: Literal["plan"] = "plan"
    sweeps: list[PlannedSweepPart]

    @classmethod
    def of(cls, plans: Iterable[Plan]) -> Self:
        """The plans of some files."""
        return cls(sweeps=[PlannedSweepPart.of(plan) for plan in plans])
