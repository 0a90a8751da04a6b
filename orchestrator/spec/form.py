"""The shape of a sweep file. The JSON Schema that editors use is made from these classes and their descriptions."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SkipValidation, WithJsonSchema
from pydantic_core import PydanticKnownError

from orchestrator.divergence import DivergenceRule
from orchestrator.functions import DEFAULT_TRIAL
from orchestrator.spec import methods
from orchestrator.spec.pruner_forms import Hyperband, Median, Patient, Percentile, SuccessiveHalving, Wilcoxon
from orchestrator.spec.strict import Form, MetricForm
from orchestrator.system import durations

MOST_TRIALS = 10_000
MOST_METRICS = 4  # at once; with more, hardly a configuration is worse than another in all of them
LONGEST_NAME = 200  # characters; MLflow takes 500
LONGEST_DESCRIPTION = 10_000
JOINER = "\u200d"  # within pictographs; the only character that does not print and is of use in a name
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

    name: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=LONGEST_NAME,
            description="Name of the experiment in MLflow, any text in a line. Default: the file's name.",
        ),
    ] = None
    description: Annotated[
        str | None,
        Field(max_length=LONGEST_DESCRIPTION, description="What the sweep is for, shown in MLflow and in the report."),
    ] = None
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
            "when: {...}, a parameter varies only where others have certain values. With parameters: {...} below a "
            "name, further parameters whose names begin with it: optimizer.lr.",
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
    """Whether a text can be a sweep's name: a line that can be printed."""
    return 0 < len(name) <= LONGEST_NAME and name.replace(JOINER, "").isprintable()
