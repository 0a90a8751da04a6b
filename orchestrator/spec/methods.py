"""The methods that there are, and what each is like. Nothing else knows a method by its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

FIRST_LOOKS = 3  # proposals before early choices: the middle of the space, then points that spread over it


@dataclass(frozen=True, eq=False)
class OptunaSampler:
    """One of Optuna's samplers, and what is to be known of it to ask and tell it; docs/search.md says why.

    The defaults are safe for any sampler that does not draw on a state of its own.

    Args:
        made_by: "module:name" of what makes it, from `seed` and the options.
        options: that it is made with.
        branching: further options where a configuration has only a part of the parameters; without any, the sampler
            takes all parameters to be in every configuration.
        candidates_by: "module:name" of what makes a sampler of the same kind that draws many candidates at once.
        redraws: how often it is asked for candidates, one at a time, where nothing draws many at once.
        learns: whether it learns from results; then its candidates are weighed by the risk of an explosion.
        chooses_early: whether candidates are weighed before anything has exploded, too, after its first looks.
        improves: whether the best of the weighed candidates are improved step by step.
        takes_constraints: whether it takes an explosion as a constraint that is broken, and not as a bad value.
        takes_pruned: whether it learns from a trial without a value, too.
        keeps_state: whether it keeps a state in the study: then `tell` of a trial again must follow `ask` for it again.
        keeps_seed: whether all proposals come from one seed, as those of a sequence do; else each has its own.
        startup: results that it needs before it learns, as Optuna has it by default; until then it draws at random.
        needs: a package that it imports and this program does not bring along.
    """

    made_by: str
    options: Mapping[str, Any] = field(default_factory=dict)
    branching: Mapping[str, Any] = field(default_factory=dict)
    candidates_by: str = ""
    redraws: int = 1
    learns: bool = False
    chooses_early: bool = False
    improves: bool = False
    takes_constraints: bool = False
    takes_pruned: bool = False
    keeps_state: bool = False
    keeps_seed: bool = False
    startup: int = 0
    needs: str = ""


@dataclass(frozen=True, eq=False)
class Method:
    """How a sweep comes to its trials.

    Args:
        name: in a sweep file.
        description: what it does, after its name.
        sampler: what proposes trials: one of Optuna's samplers, or "module:name" of what makes one from a SweepSpec.
        aliases: other names that a file may have for it.
        is_listed: whether its trials follow from the file alone, and not from results.
        is_exhaustive: whether it runs every combination; others go on up to run_cap, or without one until stopped.
        finds_boundary: whether it looks for where training breaks, or another event begins. It looks at that event
            alone, ranks nothing, and gives each trial a seed of its own.
        takes_metrics: whether it can search a front of several metrics.
    """

    name: str
    description: str
    sampler: OptunaSampler | str
    aliases: tuple[str, ...] = ()
    is_listed: bool = False
    is_exhaustive: bool = False
    finds_boundary: bool = False
    takes_metrics: bool = True

    @property
    def needs_metric(self) -> bool:
        """Whether it cannot do without a metric to make best."""
        return not self.is_listed and not self.finds_boundary

    @property
    def takes_starts(self) -> bool:
        """Whether configurations can be tried before those that it comes to by itself."""
        return not self.is_exhaustive and not self.finds_boundary

    @property
    def takes_prior(self) -> bool:
        """Whether it can learn from trials that it has not proposed: one with a state of its own cannot."""
        return isinstance(self.sampler, OptunaSampler) and self.sampler.learns and not self.sampler.keeps_state

    @property
    def names(self) -> tuple[str, ...]:
        """All that a file may call it."""
        return (*self.aliases, self.name)


GRID = Method(
    "grid",
    "runs every combination",
    "orchestrator.samplers.listed:ListSampler.of",
    is_listed=True,
    is_exhaustive=True,
)
AS_TPE = OptunaSampler(
    "optuna.samplers:TPESampler",
    {"multivariate": True, "constant_liar": True},
    branching={"group": True},
    candidates_by="orchestrator.samplers.weighing:DrawingTPE",
    learns=True,
    chooses_early=True,
    takes_constraints=True,
    takes_pruned=True,
    startup=10,
)
AUTO = Method(
    "auto",
    "(or bayes) searches as tpe does, and improves what that proposes: try this method first",
    replace(AS_TPE, improves=True),
    aliases=("bayes",),
)
METHODS = {
    method.name: method
    for method in (
        GRID,
        Method("random", "draws combinations at random", "orchestrator.samplers.drawn:drawn", is_listed=True),
        AUTO,
        Method("tpe", "searches near good trials", AS_TPE),
        Method(
            "gp",
            "searches with a Gaussian process",
            OptunaSampler(
                "optuna.samplers:GPSampler",
                {"warn_independent_sampling": False},
                learns=True,
                takes_constraints=True,
                startup=10,
                needs="torch",
            ),
        ),
        Method(
            "cmaes",
            "searches with an evolution strategy",
            OptunaSampler(
                "optuna.samplers:CmaEsSampler",
                {"warn_independent_sampling": False},
                redraws=16,  # gives another candidate each time; gp's is found by optimizing
                learns=True,
                keeps_state=True,
                startup=1,
            ),
            takes_metrics=False,
        ),
        Method(
            "qmc",
            "spreads trials evenly",
            OptunaSampler(
                "optuna.samplers:QMCSampler",
                {"scramble": True, "warn_independent_sampling": False},
                keeps_state=True,
                keeps_seed=True,
            ),
        ),
        Method(
            "boundary",
            "finds where training breaks, or another event begins",
            "orchestrator.samplers.boundary:BoundarySampler",
            finds_boundary=True,
        ),
    )
}


def named(name: str) -> Method:
    """The method that a sweep file calls so."""
    return next(method for method in METHODS.values() if name in method.names)


def names() -> list[str]:
    """All that a sweep file may name as its method."""
    return [name for method in METHODS.values() for name in method.names]


def of_kind(trait: str) -> str:
    """The methods that have a trait, for people: "grid and random"."""
    return " and ".join(method.name for method in METHODS.values() if getattr(method, trait))
