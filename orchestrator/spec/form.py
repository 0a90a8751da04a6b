"""The shape of a sweep file. The JSON Schema that editors use is made from these classes and their descriptions."""

import itertools
import operator
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation, WithJsonSchema
from pydantic_core import PydanticKnownError

from orchestrator.divergence import DivergenceRule
from orchestrator.functions import DEFAULT_TRIAL, Goal
from orchestrator.spec import methods
from orchestrator.system import durations

MOST_TRIALS = 10_000
MOST_METRICS = 4  # at once; with more, hardly a configuration is worse than another in all of them
MOST_BRACKETS = 100
LATEST_BRACKET = 1e6  # in epochs
NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,198}[A-Za-z0-9._-])?$"  # within what file systems and MLflow take
Distribution = Literal[
    "constant",
    "categorical",
    "uniform",
    "int_uniform",
    "q_uniform",
    "log_uniform",
    "log_uniform_values",
    "q_log_uniform_values",
]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0)]
Duration = Annotated[
    float,
    BeforeValidator(durations.seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{durations.WRITTEN}$"},
                {"type": "number", "exclusiveMinimum": 0},
            ]
        }
    ),
]
ValueList = Annotated[list[Any], Field(min_length=1)]


def _known_method(name: Any) -> Any:
    *others, last = map(repr, methods.names())
    if repr(name) not in (*others, last):
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
    return name


When = Annotated[
    dict[str, Any] | None,
    Field(
        min_length=1,
        description="Other parameters, and the value or values that each must have for this one to be varied; else it "
        "has its default.",
    ),
]


class Form(BaseModel):
    """Strict: no unknown keys, no value silently turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class MetricForm(Form):
    """What the trials are compared by."""

    name: Annotated[str, Field(description="A metric that the trial function yields or returns.")]
    goal: Annotated[Goal, Field(description="Whether more or less of it is better; W&B's default.")] = "minimize"


class ValueForm(Form):
    """A constant, as W&B writes it."""

    value: Annotated[Any, Field(description="The one value.")]
    distribution: Annotated[Literal["constant"] | None, Field(description="W&B's; says no more.")] = None
    when: When = None


class ValuesForm(Form):
    """A list of values."""

    values: Annotated[ValueList, Field(description="The values to try.")]
    probabilities: Annotated[
        list[Share] | None, Field(description="How often random draws each value; they add up to 1.")
    ] = None
    distribution: Annotated[
        Literal["categorical", "categorical_w_probabilities"] | None, Field(description="W&B's; says no more.")
    ] = None
    when: When = None


class RangeForm(Form):
    """A range of numbers, as W&B writes it."""

    min: Annotated[int | float, Field(description="Least value (log_uniform: its natural logarithm).")]
    max: Annotated[int | float, Field(description="Greatest value (log_uniform: its natural logarithm).")]
    distribution: Annotated[
        Distribution | None, Field(description="Default: int_uniform for whole numbers, else uniform.")
    ] = None
    q: Annotated[float | None, Field(gt=0, description="Step between values, for the q_ distributions.")] = None
    when: When = None


PARAMETER_FORMS: tuple[type[Form], ...] = (ValueForm, ValuesForm, RangeForm)


class ReferenceForm(Form):
    """Published figures to hold the results against."""

    source: Annotated[str, Field(description="Where they are from.")]
    rows: Annotated[
        list[dict[str, Any]],
        Field(min_length=1, description="Per row the parameters that name it, and metrics or an outcome."),
    ]


class BoundaryForm(Form):
    """How well the boundary is to be known, and which risk counts as safe."""

    width: Annotated[
        float | None,
        Field(
            gt=0,
            description="Stop once the threshold's 95% interval is narrower: the ratio of its ends on a logarithmic "
            "range, their difference on another. Default: go on to run_cap.",
        ),
    ] = None
    risk: Annotated[
        float, Field(gt=0, lt=1, description="The safest value is the outermost one with fewer explosions than this.")
    ] = 0.05


class Replicates(Form):
    """Further seeds for the best configuration, and for those that seeds do not tell from it."""

    max: Annotated[int, Field(ge=2, description="The most seeds of a configuration, those of `seeds` among them.")]
    until: Annotated[
        Literal["separated"], Field(description="Stop once no other's 95% interval overlaps that of the best.")
    ] = "separated"


class PrunerForm(Form):
    """What ends trials early that fall behind."""

    type: Annotated[str, Field(description="Which rule.")]
    metric: Annotated[MetricForm | None, Field(description="What it looks at. Default: the sweep's metric.")] = None


class Hyperband(PrunerForm):
    """W&B's: of the trials that come to a bracket, the best 1/eta go on."""

    type: Annotated[Literal["hyperband"], Field(description="Which rule.")]
    min_iter: Annotated[
        int | None, Field(ge=1, description="The first bracket, in epochs; each further one is eta times later.")
    ] = None
    max_iter: Annotated[
        int | None, Field(ge=1, description="Epochs in all: the brackets are at 1/eta of them, 1/eta of that, ...")
    ] = None
    s: Annotated[
        int | None, Field(ge=1, le=MOST_BRACKETS, description="How many brackets there are, with max_iter.")
    ] = None
    eta: Annotated[float, Field(gt=1, description="How much later the next bracket is, and how few go on.")] = 3.0
    strict: Annotated[
        bool, Field(description="Look at the value at the bracket, not at the best one up to there: prunes more.")
    ] = False

    @property
    def brackets(self) -> frozenset[int]:
        """After how many told values a trial is judged, as W&B counts them: max_iter goes before min_iter."""
        if self.max_iter is not None:
            earlier = itertools.repeat(self.eta, self.s or 0)
            bands = itertools.accumulate(earlier, operator.truediv, initial=float(self.max_iter))
            return frozenset(int(band) for band in itertools.islice(bands, 1, None) if band >= 1)
        if self.min_iter is None:
            return frozenset()
        later = itertools.repeat(self.eta, MOST_BRACKETS)
        bands = itertools.accumulate(later, operator.mul, initial=float(self.min_iter))
        return frozenset(int(band) for band in bands if band <= LATEST_BRACKET)


class ComparedByEpoch(PrunerForm):
    """When a trial is held against those that completed, at the same epoch."""

    n_startup_trials: Annotated[int, Field(ge=0, description="Trials that complete before any is pruned.")] = 5
    n_warmup_steps: Annotated[int, Field(ge=0, description="The first epoch after which a trial may be pruned.")] = 0
    interval_steps: Annotated[int, Field(ge=1, description="Epochs from one look to the next.")] = 1
    n_min_trials: Annotated[
        int, Field(ge=1, description="Completed trials that there must be to compare with at an epoch.")
    ] = 1


class Median(ComparedByEpoch):
    """Optuna's: a trial goes on while its best value is no worse than the median of the others at the same epoch."""

    type: Annotated[Literal["median"], Field(description="Which rule.")]


class Percentile(ComparedByEpoch):
    """Optuna's: a trial goes on while its best value is among the best so many percent of the others at that epoch."""

    type: Annotated[Literal["percentile"], Field(description="Which rule.")]
    percentile: Annotated[float, Field(ge=0, le=100, description="25.0 keeps the best quarter.")]


class SuccessiveHalving(PrunerForm):
    """Optuna's asynchronous successive halving: of the trials that come to a rung, the best few go on."""

    type: Annotated[Literal["successive_halving"], Field(description="Which rule.")]
    min_resource: Annotated[int, Field(ge=1, description="The first rung, in epochs.")] = 1
    reduction_factor: Annotated[
        int, Field(ge=2, description="How many times later the next rung is, and of how many trials one goes on.")
    ] = 4
    min_early_stopping_rate: Annotated[int, Field(ge=0, description="How many of the first rungs are left out.")] = 0
    bootstrap_count: Annotated[
        int, Field(ge=0, description="Trials that must have come to a rung before any goes on from there.")
    ] = 0


class Patient(PrunerForm):
    """Optuna's: a trial that gets no better for some epochs ends, if the wrapped pruner, where there is one, agrees."""

    type: Annotated[Literal["patient"], Field(description="Which rule.")]
    patience: Annotated[int, Field(ge=0, description="Epochs without anything better that a trial may take.")]
    min_delta: Annotated[float, Field(ge=0, description="What counts as better must be so by more than this.")] = 0.0
    wrapped_pruner: Annotated[
        SkipValidation[Hyperband | Median | Percentile | SuccessiveHalving | None],
        Field(description="The pruner that is asked then. Default: none, the trial ends."),
    ] = None


class Wilcoxon(PrunerForm):
    """Optuna's: a configuration gets no further seeds once it is significantly worse than the best on the same ones."""

    type: Annotated[Literal["wilcoxon"], Field(description="Which rule.")]
    p_threshold: Annotated[
        float, Field(gt=0, le=1, description="Of the signed-rank test: below it, the difference is no chance.")
    ] = 0.1
    n_startup_steps: Annotated[int, Field(ge=0, description="Seeds that any configuration gets.")] = 2


PRUNERS: Mapping[str, type[PrunerForm]] = {
    "hyperband": Hyperband,
    "median": Median,
    "percentile": Percentile,
    "successive_halving": SuccessiveHalving,
    "patient": Patient,
    "wilcoxon": Wilcoxon,
}


class OnFinishForm(Form):
    """Who is told when a launch has ended, however it did: one of the two gets a summary as JSON."""

    run: Annotated[
        str | list[str] | None,
        Field(
            description="A command and its arguments, which finds the summary on its standard input; run without a "
            "shell, for at most a minute."
        ),
    ] = None
    post: Annotated[str | None, Field(description="A URL, to which the summary is posted.")] = None


class SweepFile(Form):
    """A sweep over the parameters of a trial function."""

    name: Annotated[str | None, Field(description="Name of the experiment in MLflow. Default: the file's name.")] = None
    method: Annotated[
        str,
        BeforeValidator(_known_method),
        Field(
            description=f"{'; '.join(f'{one.name} {one.description}' for one in methods.METHODS.values())}.",
            json_schema_extra=lambda schema: schema.update(enum=methods.names()),
        ),
    ] = methods.GRID.name
    metric: Annotated[
        MetricForm | None,
        Field(description="What trials are compared by. Default: what the trial function declares, if it does."),
    ] = None
    metrics: Annotated[
        list[MetricForm] | None,
        Field(
            min_length=2,
            max_length=MOST_METRICS,
            description="Instead of metric, several: what is found is their Pareto front. Each counts with its last "
            "value.",
        ),
    ] = None
    trial: Annotated[
        str, Field(description="The function to run, package.module:function. Default: the VAE of this program.")
    ] = DEFAULT_TRIAL
    parameters: Annotated[
        dict[str, Any],
        Field(
            description="Parameters by name: a constant, {values: [...]}, or {min: ..., max: ...}; with "
            "when: {...}, only where others have certain values.",
        ),
    ] = Field(default_factory=dict)
    zip: Annotated[dict[str, ValueList], Field(description="Lists of equal length, walked together.")] = Field(
        default_factory=dict
    )
    configs: Annotated[list[dict[str, Any]], Field(description="Whole configurations, one mapping each.")] = Field(
        default_factory=list
    )
    seeds: Annotated[list[Seed], Field(description="Replicates: every configuration runs once per seed.")] = Field(
        default_factory=list
    )
    replicates: Annotated[
        Replicates | None,
        Field(description="Further seeds where a configuration is not told from the best. Default: none."),
    ] = None
    run_cap: Annotated[
        int | None, Field(ge=1, le=MOST_TRIALS, description="Trials in total, over any number of launches.")
    ] = None
    time_cap: Annotated[
        Duration | None,
        Field(
            description="Training time in total, over all trials and launches: 45s, 90m, 1.5h, or a number of seconds. "
            "When it is spent no further trial starts."
        ),
    ] = None
    seed: Annotated[int, Field(ge=0, description="Seeds what the method draws.")] = 0
    reference: Annotated[ReferenceForm | None, Field(description="Published figures to hold the results against.")] = (
        None
    )
    boundary: Annotated[BoundaryForm | None, Field(description="What method boundary stops at, and reports.")] = None
    early_terminate: Annotated[
        SkipValidation[Hyperband | Median | Percentile | SuccessiveHalving | Patient | Wilcoxon | None],
        Field(description="What ends trials early that fall behind. Default: nothing."),
    ] = None
    divergence: Annotated[DivergenceRule, Field(description="When a loss counts as exploded.")] = DivergenceRule()
    retries: Annotated[
        int, Field(ge=0, description="Deaths of a trial's worker, without a new epoch between them, that it survives.")
    ] = 2
    stall_seconds: Annotated[
        float, Field(gt=0, description="A trial that shows no sign of life for so long, or ten times its pace, hangs.")
    ] = 120.0
    stack: Annotated[
        int,
        Field(
            ge=1,
            description="Up to so many trials train together in a worker, for GPUs: those that differ only in the "
            "parameters of which the trial function says that it can.",
        ),
    ] = 1
    on_finish: Annotated[
        OnFinishForm | None, Field(description="Whom to tell when a launch has ended: {run: COMMAND} or {post: URL}.")
    ] = None
    reuse: Annotated[
        bool, Field(description="Take over trials that another sweep of the store has finished, without pruning.")
    ] = False
    program: Annotated[Any, Field(description="W&B's; ignored.")] = None
    command: Annotated[Any, Field(description="W&B's; ignored.")] = None
    project: Annotated[Any, Field(description="W&B's; ignored.")] = None
    entity: Annotated[Any, Field(description="W&B's; ignored.")] = None


IGNORED = ("program", "command", "project", "entity")


def is_name(name: str) -> bool:
    """Whether a name can be an experiment's and a folder's: letters, numbers, spaces, . _ - behind the first."""
    return re.fullmatch(NAME_PATTERN, name) is not None
