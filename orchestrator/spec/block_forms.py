"""The shapes of a sweep file's blocks."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticKnownError

from orchestrator.spec.strict import Form

LEAST_RISK = 0.01  # the rate of chance events below which no curve of a boundary lies
WHOSE = "^(all|none|best [1-9][0-9]{0,5})$"


def _whose(given: Any) -> Any:
    if not (isinstance(given, str) and re.fullmatch(WHOSE, given)):
        raise PydanticKnownError("literal_error", {"expected": "all, none or best N, as in best 5"})
    return given


WhoseCheckpoints = Annotated[str, BeforeValidator(_whose), WithJsonSchema({"type": "string", "pattern": WHOSE})]


class ReferenceForm(Form):
    """Published figures to compare the results with."""

    source: Annotated[str, Field(description="Where the figures are from.")]
    rows: Annotated[
        list[dict[str, Any]],
        Field(min_length=1, description="Each row has the parameters of a configuration, and metrics or an outcome."),
    ]


class DiagnosisForm(Form):
    """A diagnosis of trials, as the event whose boundary is looked for."""

    diagnosis: Annotated[str, Field(description="A text that the diagnosis of a trial has.")]


class BoundaryForm(Form):
    """Which event the boundary is of, how precisely it is to be found, and which risk counts as safe."""

    event: Annotated[
        str | DiagnosisForm,
        Field(
            description="What happens on the far side: explosion; infeasible; {diagnosis: TEXT}; or a metric with a "
            "bound, as in val_loss > 2.5."
        ),
    ] = "explosion"
    width: Annotated[
        float | None,
        Field(
            gt=0,
            description="Stop once the threshold's 95% interval is narrower than this: the ratio of its ends on a "
            "logarithmic range, else their difference. Default: continue up to run_cap, or until stopped.",
        ),
    ] = None
    risk: Annotated[
        float,
        Field(
            gt=LEAST_RISK,
            lt=1,
            description="Values count as safe where the event happens in a smaller share of trials than this. It is "
            "above 0.01, since that much is always thought to happen by chance.",
        ),
    ] = 0.05


class Replicates(Form):
    """More seeds for the best configuration, and for those that may be as good."""

    max: Annotated[int, Field(ge=2, description="Most seeds of a configuration, including those of `seeds`.")]
    until: Annotated[
        Literal["separated"],
        Field(
            description="Stop once the best is told from each of the others by the seeds that both have, or once no "
            "further seeds are likely to do that."
        ),
    ] = "separated"
    indifferent: Annotated[
        float,
        Field(
            ge=0,
            description="A difference of the metric that does not matter: no further seeds for configurations that "
            "differ by less.",
        ),
    ] = 0.0


class ConstraintForm(Form):
    """What a metric may be at most and at least."""

    max: Annotated[float | None, Field(description="The greatest value that it may have.")] = None
    min: Annotated[float | None, Field(description="The least value that it may have.")] = None


class PatternForm(Form):
    """How metrics stand in what a program prints."""

    pattern: Annotated[
        str,
        Field(
            description="A regular expression with a named group for each metric, or with groups `name` and `value`; "
            "and `epoch` or `step`."
        ),
    ]


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
