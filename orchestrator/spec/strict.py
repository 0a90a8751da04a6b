"""What all forms of a sweep file have in common, and the forms of metrics."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orchestrator.events import metric_name
from orchestrator.functions import Goal

OF_WANDB = "From W&B; ignored."
Ignored = Annotated[Any, Field(description=OF_WANDB)]


class Form(BaseModel):
    """Strict: no unknown keys, no value silently turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


MetricName = Annotated[str, AfterValidator(metric_name)]


class MetricForm(Form):
    """The metric that trials are compared by."""

    name: Annotated[MetricName, Field(description="A metric that the trial function reports or returns.")]
    goal: Annotated[Goal, Field(description="Which values are better. Default: minimize, as in W&B.")] = "minimize"


class SweepMetricForm(MetricForm):
    """The one metric of a sweep."""

    target: Annotated[
        float | None, Field(description="No further trial begins once a trial has reached this value. Default: none.")
    ] = None
    impute: Ignored = None
    impute_while_running: Ignored = None


def ignored(kind: type[Form]) -> list[str]:
    """The keys of a form that are W&B's and mean nothing here."""
    return [name for name, field in kind.model_fields.items() if field.description == OF_WANDB]
