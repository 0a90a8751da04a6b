"""Whether one configuration is better than another."""

from collections.abc import Mapping
from math import isfinite
from typing import Literal, Self

from orchestrator.comparison.judgement import Judged, Judging
from orchestrator.documents.base import Document, DocumentPart, Number
from orchestrator.functions import Goal
from orchestrator.system.averages import within
from orchestrator.trial import Outcome


class JudgedPart(DocumentPart):
    """One of two configurations that are judged."""

    sweep: str
    file: str
    """That its sweep was launched from last."""
    configuration: str
    """Its label; of the only configuration of a sweep, the sweep's name."""
    config_key: str
    choices: int
    """From how many configurations it was taken, as the best by its results."""
    mean: Number | None
    seeds: list[int]
    """That have a result."""
    exploded: int
    infeasible: int
    pruned: int
    broken: int
    """How many broke a constraint of the file, which is said, and not judged."""

    @classmethod
    def of(cls, judged: Judged, files: Mapping[str, str]) -> Self:
        """A contender; with the files of sweeps, by name."""
        return cls(
            sweep=judged.contender.sweep,
            file=files[judged.contender.sweep],
            configuration=judged.contender.label,
            config_key=judged.contender.config_key,
            choices=judged.contender.choices,
            mean=judged.mean,
            seeds=[*judged.results],
            exploded=judged.count(Outcome.EXPLODED),
            infeasible=judged.count(Outcome.INFEASIBLE),
            pruned=judged.count(Outcome.PRUNED),
            broken=judged.contender.broken,
        )


class JudgementDocument(Document):
    """Whether A is better than B. Differences are of A's values less those of B, whichever of them is better."""

    kind: Literal["judgement"] = "judgement"
    better: bool | None
    """Null where it is undecided."""
    metric: str
    goal: Goal
    difference: Number | None
    """A - B; null where there are too few seeds."""
    interval: tuple[Number, Number] | None
    """The two ends of its interval; null where there are too few seeds."""
    certainty: Number | None
    """1 - p."""
    p: Number | None
    """The chance of so clear a difference, over all looks, where there is none."""
    seeds: list[int]
    """That both have."""
    paired: bool
    """Whether they are compared by these."""
    needed: int | None
    """How many more seeds of each would decide it in 8 of 10 cases; 0 where it is decided, null where unknown."""
    most: int
    """The seeds of each that there are to be in the end."""
    a: JudgedPart
    b: JudgedPart

    @classmethod
    def of(cls, judging: Judging, files: Mapping[str, str]) -> Self:
        """A judgement; with the files of the sweeps, by name."""
        difference, objective = judging.difference, judging.objective
        means = (judging.a.mean, judging.b.mean)
        apart = within(means[0] - means[1]) if means[0] is not None and means[1] is not None else None
        interval, p = None, None
        if difference is not None:
            apart, half_width = objective.sign * difference.mean, difference.half_width(judging.looks)
            p = difference.p(judging.looks)
            interval = (within(apart - half_width), within(apart + half_width)) if isfinite(half_width) else None
        return cls(
            better=judging.better,
            metric=objective.name,
            goal=objective.goal,
            difference=apart,
            interval=interval,
            certainty=None if p is None else 1 - p,
            p=p,
            seeds=judging.shared,
            paired=bool(difference and difference.is_paired),
            needed=judging.needed,
            most=judging.most,
            a=JudgedPart.of(judging.a, files),
            b=JudgedPart.of(judging.b, files),
        )
