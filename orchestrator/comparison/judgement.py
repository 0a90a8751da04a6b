"""Is one configuration better than another? The verdict, and in words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

from orchestrator.comparison.intervals import CONFIDENCE
from orchestrator.comparison.paired import POWER, Difference, Looks, Standing
from orchestrator.errors import InputError
from orchestrator.spec import Objective
from orchestrator.system.averages import average
from orchestrator.system.figures import numbered, precision
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Outcome
from orchestrator.trials.observation import Observation, valued
from orchestrator.trials.record import BROKEN, Record


@dataclass(frozen=True)
class Contender:
    """A configuration that is judged, and the results of its seeds."""

    sweep: str
    label: str  # what varies: "lr=0.01"; of the only configuration of a sweep its name
    records: Sequence[Record]  # of its trials, in the order in which they began; at least one
    choices: int = 1  # from how many configurations it was taken, as the best by its results

    @property
    def config_key(self) -> str:
        return self.records[0].tags["config_key"]

    @property
    def title(self) -> str:
        """For people: "sgd: alpha=0.01"."""
        return self.sweep if self.label == self.sweep else f"{self.sweep}: {self.label}"

    def results(self, objective: Objective) -> dict[int, Observation]:
        """How its trials ended, by seed; trials without a result are left out.

        Raises:
            InputError: a seed is not a whole number.
        """
        found = {}
        for record in self.records:
            seen = Observation.of_record([objective], record)
            if seen is not None and seen.outcome.is_result:
                seed = record.params.get("seed", 0)
                if not isinstance(seed, int):
                    given = in_a_line(str(seed))
                    raise InputError(
                        f"{self.title} has the seed {given}: seeds have to be whole numbers to be compared"
                    )
                found[seed] = seen
        return dict(sorted(found.items()))

    @property
    def broken(self) -> int:
        """How many of its trials broke a constraint of their file when they ended."""
        return sum(BROKEN in record.tags for record in self.records)


@dataclass(frozen=True)
class Judged:
    """A contender's seeds with their values: one that exploded, was infeasible or has no value counts as the worst.

    Without a worst value, such seeds do not count.
    """

    contender: Contender
    results: dict[int, Observation]
    worst: float | None  # completed value of the sweeps; None where there is none, or survivors alone count

    @cached_property
    def values(self) -> dict[int, float]:
        """By seed; a seed that was pruned has what it had by then."""
        return valued(self.results, self.worst)

    @property
    def mean(self) -> float | None:
        return average(self.values.values()) if self.values else None

    def count(self, outcome: Outcome) -> int:
        """How many of its seeds have an outcome."""
        return sum(seen.outcome is outcome for seen in self.results.values())

    @property
    def lost(self) -> int:
        """How many seeds have no value of their own that counts."""
        return sum(seen.counted is None for seen in self.results.values())


@dataclass(frozen=True)
class Judging:
    """Whether A is better than B, by how much and how certainly, from the seeds that both have."""

    objective: Objective
    a: Judged
    b: Judged
    most: int  # seeds of each that are looked at in the end

    @classmethod
    def of(
        cls,
        a: Contender,
        b: Contender,
        objective: Objective,
        trials: Iterable[Record],
        most: int,
        survivors: bool = False,
    ) -> "Judging":
        """The judgement by the results so far.

        Args:
            a: one configuration.
            b: the other one.
            objective: what they are compared by.
            trials: those of their sweeps, of which the worst completed value stands for explosions.
            most: seeds of each that are looked at in the end.
            survivors: whether seeds that exploded, were infeasible or have no value do not count.
        """
        known = [record.value(objective) for record in trials if record.outcome is Outcome.COMPLETED]
        values = [value for value in known if value is not None and isfinite(value)]
        worst = objective.worst(values) if values and not survivors else None
        one, other = (Judged(contender, contender.results(objective), worst) for contender in (a, b))
        return cls(objective, one, other, most)

    @property
    def shared(self) -> list[int]:
        """The seeds that both have."""
        return [seed for seed in self.a.values if seed in self.b.values]

    @cached_property
    def difference(self) -> Difference | None:
        """None where seeds are too few."""
        return Difference.of(self.a.values, self.b.values, self.objective.sign)

    @property
    def looks(self) -> Looks:
        """A best configuration leads by its luck, too: it is judged as if each that it was chosen from were."""
        return Looks(self.most, comparisons=max(self.a.contender.choices, self.b.contender.choices))

    @property
    def better(self) -> bool | None:
        """Whether A is better; None while that is undecided."""
        if self.difference is None or self.difference.standing(self.looks) is not Standing.APART:
            return None
        return self.difference.mean > 0

    @property
    def is_open(self) -> bool:
        """Whether further seeds may decide it."""
        if len(self.a.results.keys() & self.b.results.keys()) >= self.most:
            return False
        told = self.difference if self.difference and self.difference.is_paired else None
        return told is None or told.standing(self.looks) is Standing.OPEN

    @property
    def needed(self) -> int | None:
        """How many more seeds of each would decide it; None where that is unknown, or more than anybody runs."""
        return None if self.difference is None else self.difference.needed(self.looks)

    def sentences(self) -> list[str]:
        """For people, a line each."""
        lines = [f"by {self.objective.name} ({self.objective.goal})"]
        lines += [f"{name}: {_facts(judged)}" for name, judged in (("A", self.a), ("B", self.b))]
        if self.difference is None:
            return [*lines, f"undecided: {self._why_unknown()}"]
        verdict = {True: "A is better than B", False: "A is not better than B: B is better", None: "undecided"}
        lines.append(f"{verdict[self.better]}: {self._apart(self.difference)}")
        if self.better is None:
            lines.append(self._outlook())
        return lines

    def _apart(self, difference: Difference) -> str:
        """By how much, and how certainly: "A - B = 0.0097 ± 0.0047 (by the 3 seeds that both have; ...)"."""
        mean, half_width = self.objective.sign * difference.mean, difference.half_width(self.looks)
        shown = f"{mean:.{precision(mean, half_width, least=2)}g} ± {half_width:.2g}"
        how = f"by the {difference.seeds} seeds that both have"
        if not difference.is_paired:
            how = "unpaired, since they share fewer than 2 seeds"
        certainty = f"certain to {_percent(1 - difference.p(self.looks))}"
        return f"A - B = {shown} ({how}; {certainty}, where {_percent(CONFIDENCE)} decides)"

    def _outlook(self) -> str:
        """How many seeds it would take."""
        cases = f"in {10 * POWER:.0f} of 10 cases, if the difference stays what it is"
        if self.needed is None:
            return "more seeds than anybody runs would tell them apart: take them for equally good"
        too_many = len(self.shared) + self.needed > self.most
        beyond = f"; that is more than the {self.most} seeds of each that --max-seeds allows" if too_many else ""
        return f"about {numbered(self.needed, 'more seed')} of each would decide it {cases}{beyond}"

    def _why_unknown(self) -> str:
        without = [name for name, judged in (("A", self.a), ("B", self.b)) if not judged.values]
        if without:
            return f"{' and '.join(without)} {'have' if len(without) > 1 else 'has'} no seed with a value"
        return "one seed does not say how far seeds scatter; so nobody knows how many seeds it takes"


def _facts(judged: Judged) -> str:
    """What the seeds of one came to."""
    count, contender = len(judged.results), judged.contender
    facts = [numbered(count, "seed")]
    facts += [] if judged.mean is None else [f"mean {judged.mean:.5g}"]
    if contender.choices > 1:
        facts.append(f"the best of {contender.choices} configurations, which certainty allows for")
    for outcome, ended in ((Outcome.EXPLODED, "exploded"), (Outcome.INFEASIBLE, "infeasible")):
        if number := judged.count(outcome):
            facts.append(f"{number} {ended}")
    if judged.lost:
        worst = None if judged.worst is None else f"counts as {judged.worst:.5g}, the worst completed one"
        facts.append(f"a seed without a value {worst or 'does not count'}")
    if pruned := judged.count(Outcome.PRUNED):
        facts.append(f"{pruned} pruned, and counted with what it had then")
    if contender.broken:
        facts.append(f"{contender.broken} broke a constraint, which is not judged here")
    return f"{contender.title} ({', '.join(facts)})"


def _percent(share: float) -> str:
    text = f"{100 * share:.1f}".removesuffix(".0")
    return f"{'over 99.9' if share > 0.9995 and share < 1 else text}%"
