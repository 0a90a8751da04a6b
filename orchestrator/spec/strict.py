"""What all forms of a sweep file have in common, and the form of a metric."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orchestrator.events import metric_name
from orchestrator.functions import Goal


class Form(BaseModel):
    """Strict: no unknown keys, no value silently turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class MetricForm(Form):
    """The metric that trials are compared by."""

    name: Annotated[
        str, AfterValidator(metric_name), Field(description="A metric that the trial function reports or returns.")
    ]
    goal: Annotated[Goal, Field(description="Which values are better. Default: minimize, as in W&B.")] = "minimize"
