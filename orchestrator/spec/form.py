"""The shape of a sweep file. The JSON Schema that editors use is made from these classes and their descriptions."""

import unicodedata
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, SkipValidation, Tag, WithJsonSchema
from pydantic_core import PydanticKnownError

from orchestrator.divergence import DivergenceRule
from orchestrator.functions import DEFAULT_TRIAL
from orchestrator.spec import methods
from orchestrator.spec.block_forms import (
    BoundaryForm,
    ConstraintForm,
    OnFinishForm,
    PatternForm,
    ReferenceForm,
    Replicates,
    WhoseCheckpoints,
)
from orchestrator.spec.executor_forms import ExecutorForm
from orchestrator.spec.parameter_forms import Seeds, ValueList
from orchestrator.spec.pruner_forms import Hyperband, Median, Patient, Percentile, SuccessiveHalving, Wilcoxon
from orchestrator.spec.strict import Form, Ignored, MetricForm, MetricName, SweepMetricForm
from orchestrator.system import durations
from orchestrator.system.machine import ANY, Resources

MOST_TRIALS = 10_000
MOST_METRICS = 4  # at once; with more, hardly a configuration is worse than another in all of them
LONGEST_NAME = 200  # characters; MLflow takes 500
LONGEST_DESCRIPTION = 10_000
JOINERS = "\u200c\u200d"  # within Persian and Indian words, and pictographs: they do not print, and mean something
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


def _known_method(name: Any) -> Any:
    *others, last = map(repr, methods.names())
    if repr(name) not in (*others, last):
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
    return name


Metrics = Annotated[
    Annotated[list[MetricForm], Field(min_length=2, max_length=MOST_METRICS), Tag("several")]
    | Annotated[PatternForm, Tag("printed")],
    Discriminator(lambda given: "printed" if isinstance(given, dict | PatternForm) else "several"),
]


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
        SweepMetricForm | None,
        Field(
            description="The metric that trials are compared by. Default: the metric that the trial function declares."
        ),
    ] = None
    metrics: Annotated[
        Metrics | None,
        Field(
            description="Several metrics, in place of metric: the result is their Pareto front. The last value of each "
            "metric counts. Or, of a program, {pattern: ...}: how metrics stand in what it prints.",
        ),
    ] = None
    constraints: Annotated[
        dict[MetricName, ConstraintForm],
        Field(
            min_length=1,
            description="Bounds of metrics that trials log, by name: {n_params: {max: 5e6}}. A trial that breaks one "
            "ranks behind all that do not, and is never best. Default: none.",
        ),
    ] = Field(default_factory=dict)
    trial: Annotated[
        str,
        Field(
            description="The function to run, package.module:function. Default: the VAE of this program, where there "
            "is no `program` or `command`."
        ),
    ] = DEFAULT_TRIAL
    program: Annotated[
        str | None, Field(description="The script to run, in place of a function; from the file's own folder.")
    ] = None
    command: Annotated[
        list[str | int | float | bool] | str | None,
        Field(
            description="The command line of the program, with W&B's macros. "
            "Default: ${env} ${interpreter} ${program} ${args}.",
        ),
    ] = None
    show_env: Annotated[
        list[str],
        Field(min_length=1, description="Variables whose values are no secret, of those that ${envvar:NAME} names."),
    ] = Field(default_factory=list)
    grace: Annotated[
        Duration | None,
        Field(description="How long a program has to end by itself when it is stopped. Default: 10s."),
    ] = None
    infeasible_exit: Annotated[
        int | None,
        Field(
            ge=1,
            le=125,
            description="The exit status by which a program says that its configuration cannot be trained; its reason "
            "is what it printed last. Default: none.",
        ),
    ] = None
    seed_parameter: Annotated[
        str | None, Field(description="What the program calls its seed, for `seeds`, `replicates` and boundary.")
    ] = None
    parameters: Annotated[
        dict[str, Any],
        Field(
            min_length=1,
            description="Parameters by name: a constant, {values: [...]}, or {min: ..., max: ...}; with "
            "when: {...}, a parameter varies only where others have certain values. With parameters: {...} below a "
            "name, further parameters whose names begin with it: optimizer.lr.",
        ),
    ] = Field(default_factory=dict)
    zip: Annotated[
        dict[str, ValueList], Field(min_length=1, description="Lists of equal length that vary together.")
    ] = Field(default_factory=dict)
    configs: Annotated[
        list[dict[str, Any]], Field(min_length=1, description="Whole configurations, each as a mapping.")
    ] = Field(default_factory=list)
    seeds: Annotated[
        Seeds,
        Field(
            min_length=1,
            description="Replicates: every configuration runs once for each seed. A number stands for so many, from 0 "
            "on: 3 for [0, 1, 2].",
        ),
    ] = Field(default_factory=list)
    replicates: Annotated[
        Replicates | None,
        Field(description="More seeds for configurations that may be as good as the best. Default: none."),
    ] = None
    survivors: Annotated[
        bool,
        Field(
            description="Seeds that exploded or were infeasible do not count where configurations are ranked. Default: "
            "each counts as the worst completed value of the sweep."
        ),
    ] = False
    start_with: Annotated[
        list[dict[str, Any]],
        Field(
            min_length=1,
            description="Configurations that a search or random draws try first, each as a mapping from parameters to "
            "values. What one leaves out is proposed.",
        ),
    ] = Field(default_factory=list)
    prior: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        Field(
            min_length=1,
            description="Other sweeps of the store, by their names, and CSV files of trials, by their paths from the "
            "file's own folder: what a search learns from before its first proposal. They do not count as its trials.",
        ),
    ] = Field(default_factory=list)
    run_cap: Annotated[
        int | None,
        Field(
            ge=1,
            le=MOST_TRIALS,
            description="The number of trials in total, over all launches. Default: a grid runs all of its trials, and "
            "other methods run until they are stopped.",
        ),
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
    resources: Annotated[
        Resources,
        Field(
            description="What a trial takes of the machine: {cpus: 4, gpus: 2}. No more trials run at the same time "
            "than fit. A stack counts as a trial."
        ),
    ] = ANY
    executor: Annotated[
        ExecutorForm | None,
        Field(
            description="Where trials run, where the command does not say: {ray: {cpus: 2}}. Default: in processes of "
            "this machine."
        ),
    ] = None
    warm: Annotated[
        bool,
        Field(
            description="Trials of a worker run in one process, one after the other, so that each finds what those "
            "before it have loaded and changed. Default: each begins from the state after the imports."
        ),
    ] = False
    on_finish: Annotated[
        OnFinishForm | None, Field(description="What gets a summary of an ended launch: {run: COMMAND} or {post: URL}.")
    ] = None
    keep: Annotated[
        list[str],
        Field(
            min_length=1,
            description="Files in the folder of a trial that become artifacts of its run at its end, as patterns: "
            '["*.pt", "checkpoints/**"]. Default: none but those in its folder artifacts.',
        ),
    ] = Field(default_factory=list)
    keep_checkpoints: Annotated[
        WhoseCheckpoints,
        Field(
            description="Whose checkpoints become artifacts of their runs, so that `sweep more` goes on from them: "
            "all, none, or best 5, which are those of the five best trials.",
        ),
    ] = "none"
    reuse: Annotated[
        bool,
        Field(
            description="Take over finished trials of other sweeps, but not pruned ones or what lacked memory or time."
        ),
    ] = False
    report: Annotated[
        bool,
        Field(description="Keep a report current in reports/NAME while the sweep runs; MLflow has it at the end."),
    ] = False
    record_code: Annotated[
        bool,
        Field(description="Keep what differs from the git commit in the source, and the list of installed packages."),
    ] = True
    project: Ignored = None
    entity: Ignored = None
    controller: Ignored = None
    job: Ignored = None
    image_uri: Ignored = None
    launch: Ignored = None
    scheduler: Ignored = None
    queue: Ignored = None
    resource: Ignored = None
    resource_args: Ignored = None
    imports: Ignored = None
    kind: Ignored = None
    version: Ignored = None
    wandb_version: Ignored = None
    apiVersion: Ignored = None  # noqa: N815

    @property
    def several(self) -> list[MetricForm] | None:
        """The metrics of a front, where it is one."""
        return self.metrics if isinstance(self.metrics, list) else None

    @property
    def pattern(self) -> str | None:
        """How metrics stand in what a program prints."""
        return self.metrics.pattern if isinstance(self.metrics, PatternForm) else None

    @property
    def runs_program(self) -> bool:
        """Whether its trials run a program, and no function."""
        return "trial" not in self.model_fields_set and (self.program is not None or self.command is not None)


def is_name(name: str) -> bool:
    """Whether a text can be a sweep's name: a line that can be printed."""
    printed = name.translate(dict.fromkeys(map(ord, JOINERS)))
    return len(name) <= LONGEST_NAME and printed.strip() != "" and printed.isprintable()


def as_name(given: str) -> str:
    """A name as sweeps have it: letters with their marks, however they were typed, and one space between words."""
    return " ".join(unicodedata.normalize("NFC", given).split())
