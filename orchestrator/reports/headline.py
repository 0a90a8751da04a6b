"""What is best, in sentences, at the head of a report."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.comparison.best import ahead, as_good, as_winner, facts, undistinguished
from orchestrator.comparison.configuration import Configuration
from orchestrator.comparison.dominance import may_be_dominated
from orchestrator.comparison.ranking import Ranking
from orchestrator.reports.configurations import RunGroup, counted_name
from orchestrator.spec import SweepSpec
from orchestrator.spec.objective import by_names


def best_of(spec: SweepSpec, configurations: Sequence[RunGroup]) -> tuple[str, tuple[str, ...]]:
    """The best configuration with its figures, empty where there is none; and in sentences how sure that is."""
    if not spec.ranks:
        return "", ()
    records = [record for group in configurations for record in group.completed]
    aims = [replace(aim, name=counted_name(aim, records)) for aim in spec.objectives]
    ranked = Ranking((group.configuration for group in configurations), aims, spec.survivors)
    if not ranked:
        return "", ()
    if ranked[0].broken:
        return f"none: each configuration breaks a constraint ({', '.join(ranked[0].broken)})", ()
    labels = {group.configuration.config_key: group.label for group in configurations}

    def named(one: Configuration) -> str:
        return labels[one.config_key]

    if len(spec.objectives) > 1:
        front = ranked.front
        doubtful = may_be_dominated(front, ranked)
        best = [f"{named(one)}{' (perhaps)' * (one.config_key in doubtful)}" for one in front]
        note = "; perhaps: with these seeds it may be dominated" if doubtful else ""
        return f"on the Pareto front of {by_names(spec.objectives)}: {'; '.join(best)}{note}", ()
    doubts = [*ahead(ranked, named), *as_winner(ranked), *as_good(ranked, named), *undistinguished(ranked, named)]
    return f"{named(ranked[0])}: {'; '.join(facts(ranked[0], ranked))}", tuple(map(_sentence, doubts))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
