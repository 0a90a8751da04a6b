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
        description="Other parameters, each with the value or values that it must have for this parameter to vary. "
        "Elsewhere this parameter has its default.",
    ),
]


class Form(BaseModel):
    """Strict: no unknown keys, no value silently turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class MetricForm(Form):
    """The metric that trials are compared by."""

    name: Annotated[str, Field(description="A metric that the trial function reports or returns.")]
    goal: Annotated[Goal, Field(description="Which values are better. Default: minimize, as in W&B.")] = "minimize"


class ValueForm(Form):
    """A constant, as W&B writes it."""

    value: Annotated[Any, Field(description="The value.")]
    distribution: Annotated[Literal["constant"] | None, Field(description="From W&B; has no further effect.")] = None
    when: When = None


class ValuesForm(Form):
    """A list of values."""

    values: Annotated[ValueList, Field(description="The values to try.")]
    probabilities: Annotated[
        list[Share] | None, Field(description="How often method random draws each value. They must add up to 1.")
    ] = None
    distribution: Annotated[
        Literal["categorical", "categorical_w_probabilities"] | None,
        Field(description="From W&B; has no further effect."),
    ] = None
    when: When = None


class RangeForm(Form):
    """A range of numbers, as W&B writes it."""

    min: Annotated[int | float, Field(description="Smallest value (log_uniform: its natural logarithm).")]
    max: Annotated[int | float, Field(description="Largest value (log_uniform: its natural logarithm).")]
    distribution: Annotated[
        Distribution | None, Field(description="Default: int_uniform for whole numbers, else uniform.")
    ] = None
    q: Annotated[float | None, Field(gt=0, description="Step between values, for the q_ distributions.")] = None
    when: When = None


PARAMETER_FORMS: tuple[type[Form], ...] = (ValueForm, ValuesForm, RangeForm)


class ReferenceForm(Form):
    """Published figures to compare the results with."""

    source: Annotated[str, Field(description="Where the figures are from.")]
    rows: Annotated[
        list[dict[str, Any]],
        Field(min_length=1, description="Each row has the parameters of a configuration, and metrics or an outcome."),
    ]


class BoundaryForm(Form):
    """How precisely the boundary is to be found, and which risk counts as safe."""

    width: Annotated[
        float | None,
        Field(
            gt=0,
            description="Stop once the threshold's 95% interval is narrower than this: the ratio of its ends on a "
            "logarithmic range, else their difference. Default: continue up to run_cap.",
        ),
    ] = None
    risk: Annotated[
        float, Field(gt=0, lt=1, description="The safest value is the outermost value with fewer explosions than this.")
    ] = 0.05


class Replicates(Form):
    """More seeds for the best configuration, and for those that may be as good."""

    max: Annotated[int, Field(ge=2, description="Most seeds of a configuration, including those of `seeds`.")]
    until: Annotated[
        Literal["separated"], Field(description="Stop once no other 95% interval overlaps that of the best.")
    ] = "separated"


class PrunerForm(Form):
    """The rule that ends bad trials early."""

    type: Annotated[str, Field(description="The name of the rule.")]
    metric: Annotated[MetricForm | None, Field(description="The metric to compare. Default: the sweep's metric.")] = (
        None
    )


class Hyperband(PrunerForm):
    """W&B's rule: of the trials that reach a bracket, the best 1/eta continue."""

    type: Annotated[Literal["hyperband"], Field(description="The name of the rule.")]
    min_iter: Annotated[
        int | None, Field(ge=1, description="The first bracket, in epochs. Each further bracket is eta times later.")
    ] = None
    max_iter: Annotated[
        int | None, Field(ge=1, description="Epochs in total. The brackets are at 1/eta of these, 1/eta of that, ...")
    ] = None
    s: Annotated[int | None, Field(ge=1, le=MOST_BRACKETS, description="The number of brackets, with max_iter.")] = None
    eta: Annotated[float, Field(gt=1, description="How many times later the next bracket is.")] = 3.0
    strict: Annotated[
        bool, Field(description="Compare the value at the bracket, not the best value up to it. Prunes more.")
    ] = False

    @property
    def brackets(self) -> frozenset[int]:
        """After how many reported values a trial is judged, as in W&B: max_iter takes precedence over min_iter."""
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
    """When a trial is compared with completed trials, at the same epoch."""

    n_startup_trials: Annotated[int, Field(ge=0, description="Trials that must complete before any is pruned.")] = 5
    n_warmup_steps: Annotated[int, Field(ge=0, description="The first epoch after which a trial may be pruned.")] = 0
    interval_steps: Annotated[int, Field(ge=1, description="Epochs from one comparison to the next.")] = 1
    n_min_trials: Annotated[
        int, Field(ge=1, description="Completed trials that are needed for a comparison at an epoch.")
    ] = 1


class Median(ComparedByEpoch):
    """Optuna's rule: a trial continues while its best value is no worse than the median of the others at that epoch."""

    type: Annotated[Literal["median"], Field(description="The name of the rule.")]


class Percentile(ComparedByEpoch):
    """Optuna's rule: a trial continues while its best value is within a percentile of the others at that epoch."""

    type: Annotated[Literal["percentile"], Field(description="The name of the rule.")]
    percentile: Annotated[float, Field(ge=0, le=100, description="25.0 keeps the best quarter of the trials.")]


class SuccessiveHalving(PrunerForm):
    """Optuna's asynchronous successive halving: of the trials that reach a rung, the best few continue."""

    type: Annotated[Literal["successive_halving"], Field(description="The name of the rule.")]
    min_resource: Annotated[int, Field(ge=1, description="The first rung, in epochs.")] = 1
    reduction_factor: Annotated[
        int, Field(ge=2, description="How many times later the next rung is; of so many trials, one continues.")
    ] = 4
    min_early_stopping_rate: Annotated[int, Field(ge=0, description="How many of the first rungs are skipped.")] = 0
    bootstrap_count: Annotated[
        int, Field(ge=0, description="Trials that must reach a rung before any trial continues from there.")
    ] = 0


class Patient(PrunerForm):
    """Optuna's rule: a trial without improvement for some epochs ends, if the wrapped pruner, if any, agrees."""

    type: Annotated[Literal["patient"], Field(description="The name of the rule.")]
    patience: Annotated[int, Field(ge=0, description="Epochs without an improvement that are allowed.")]
    min_delta: Annotated[float, Field(ge=0, description="An improvement must be larger than this.")] = 0.0
    wrapped_pruner: Annotated[
        SkipValidation[Hyperband | Median | Percentile | SuccessiveHalving | None],
        Field(description="The pruner that decides then. Default: none, the trial ends."),
    ] = None


class Wilcoxon(PrunerForm):
    """Optuna's rule: a configuration gets no more seeds once it is significantly worse than the best on them."""

    type: Annotated[Literal["wilcoxon"], Field(description="The name of the rule.")]
    p_threshold: Annotated[
        float, Field(gt=0, le=1, description="A p-value of the signed-rank test below this counts as significant.")
    ] = 0.1
    n_startup_steps: Annotated[int, Field(ge=0, description="Seeds that every configuration gets.")] = 2


PRUNERS: Mapping[str, type[PrunerForm]] = {
    "hyperband": Hyperband,
    "median": Median,
    "percentile": Percentile,
    "successive_halving": SuccessiveHalving,
    "patient": Patient,
    "wilcoxon": Wilcoxon,
}


class OnFinishForm(Form):
    """The command or the URL that gets a summary as JSON when a launch has ended, in whatever way."""

    run: Annotated[
        str | list[str] | None,
        Field(
            description="A command and its arguments. It gets the summary on its standard input, and runs without a "
            "shell, for at most a minute."
        ),
    ] = None
    post: Annotated[str | None, Field(description="A URL that the summary is posted to.")] = None


class SweepFile(Form):
    """A sweep over the parameters of a trial function."""

    name: Annotated[str | None, Field(description="Name of the experiment in MLflow. Default: the file's name.")] = None
    method: Annotated[
        str,
        BeforeValidator(_known_method),
        Field(
            description=f"{'; '.join(f'{method.name} {method.description}' for method in methods.METHODS.values())}.",
            json_schema_extra=lambda schema: schema.update(enum=methods.names()),
        ),
    ] = methods.GRID.name
    metric: Annotated[
        MetricForm | None,
        Field(
            description="The metric that trials are compared by. Default: the metric that the trial function declares."
        ),
    ] = None
    metrics: Annotated[
        list[MetricForm] | None,
        Field(
            min_length=2,
            max_length=MOST_METRICS,
            description="Several metrics, in place of metric: the result is their Pareto front. The last value of each "
            "metric counts.",
        ),
    ] = None
    trial: Annotated[
        str, Field(description="The function to run, package.module:function. Default: the VAE of this program.")
    ] = DEFAULT_TRIAL
    parameters: Annotated[
        dict[str, Any],
        Field(
            description="Parameters by name: a constant, {values: [...]}, or {min: ..., max: ...}; with "
            "when: {...}, a parameter varies only where others have certain values.",
        ),
    ] = Field(default_factory=dict)
    zip: Annotated[dict[str, ValueList], Field(description="Lists of equal length that vary together.")] = Field(
        default_factory=dict
    )
    configs: Annotated[list[dict[str, Any]], Field(description="Whole configurations, each as a mapping.")] = Field(
        default_factory=list
    )
    seeds: Annotated[list[Seed], Field(description="Replicates: every configuration runs once for each seed.")] = Field(
        default_factory=list
    )
    replicates: Annotated[
        Replicates | None,
        Field(description="More seeds for configurations that may be as good as the best. Default: none."),
    ] = None
    run_cap: Annotated[
        int | None, Field(ge=1, le=MOST_TRIALS, description="The number of trials in total, over all launches.")
    ] = None
    time_cap: Annotated[
        Duration | None,
        Field(
            description="Training time in total, over all trials and launches: 45s, 90m, 1.5h, or a number of seconds. "
            "When it is used up, no further trial starts."
        ),
    ] = None
    seed: Annotated[int, Field(ge=0, description="The seed of the method's own random numbers.")] = 0
    reference: Annotated[ReferenceForm | None, Field(description="Published figures to compare the results with.")] = (
        None
    )
    boundary: Annotated[BoundaryForm | None, Field(description="When method boundary stops, and what it reports.")] = (
        None
    )
    early_terminate: Annotated[
        SkipValidation[Hyperband | Median | Percentile | SuccessiveHalving | Patient | Wilcoxon | None],
        Field(description="The rule that ends bad trials early. Default: none."),
    ] = None
    divergence: Annotated[DivergenceRule, Field(description="When a loss counts as an explosion.")] = DivergenceRule()
    retries: Annotated[
        int, Field(ge=0, description="How often a trial is retried when its worker dies; a new epoch resets the count.")
    ] = 2
    stall_seconds: Annotated[
        float,
        Field(gt=0, description="A trial without a heartbeat for so long, or for ten times its pace, counts as hung."),
    ] = 120.0
    stack: Annotated[
        int,
        Field(
            ge=1,
            description="Up to so many trials train together in a worker, for GPUs: trials that differ only in the "
            "parameters that the trial function declares as `stack_by`.",
        ),
    ] = 1
    on_finish: Annotated[
        OnFinishForm | None, Field(description="What gets a summary of an ended launch: {run: COMMAND} or {post: URL}.")
    ] = None
    reuse: Annotated[
        bool, Field(description="Take over finished trials of other sweeps in the store, except pruned trials.")
    ] = False
    program: Annotated[Any, Field(description="From W&B; ignored.")] = None
    command: Annotated[Any, Field(description="From W&B; ignored.")] = None
    project: Annotated[Any, Field(description="From W&B; ignored.")] = None
    entity: Annotated[Any, Field(description="From W&B; ignored.")] = None


IGNORED = ("program", "command", "project", "entity")


def is_name(name: str) -> bool:
    """Whether a name can be an experiment's and a folder's: letters, numbers, spaces, . _ - behind the first."""
    return re.fullmatch(NAME_PATTERN, name) is not None
