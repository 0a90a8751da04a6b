"""The shapes of a parameter in a sweep file: a constant, a list of values, or a distribution, as W&B writes them."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orchestrator.spec.strict import Form

RangeName = Literal[
    "uniform",
    "int_uniform",
    "q_uniform",
    "log_uniform",
    "log_uniform_values",
    "q_log_uniform",
    "q_log_uniform_values",
    "inv_log_uniform",
    "inv_log_uniform_values",
]
NormalName = Literal["normal", "q_normal", "log_normal", "q_log_normal"]
BetaName = Literal["beta", "q_beta"]
Share = Annotated[float, Field(ge=0, le=1)]
Above0 = Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0)]
ValueList = Annotated[list[Any], Field(min_length=1)]
Step = Annotated[
    Above0 | None,
    Field(description="For the q_ distributions: draws are rounded to multiples of it. Default: 1."),
]
When = Annotated[
    dict[str, Any] | None,
    Field(
        min_length=1,
        description="Other parameters, each with the value or values that it must have for this parameter to vary. "
        "Elsewhere this parameter has its default.",
    ),
]
MOST_SEEDS = 10_000


def _seeds_of(given: Any) -> Any:
    """So many seeds, from 0 on, where a number is given."""
    return [*range(given)] if type(given) is int and 0 < given <= MOST_SEEDS else given


Seeds = Annotated[
    list[Annotated[int, Field(ge=0)]],
    BeforeValidator(_seeds_of),
    Field(
        json_schema_extra=lambda schema: schema.update(
            anyOf=[
                {name: schema.pop(name) for name in ("items", "minItems", "type") if name in schema},
                {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS},
            ]
        ),
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
        RangeName | None,
        Field(description="Default: q_uniform where q is given, int_uniform for whole numbers, else uniform."),
    ] = None
    q: Step = None
    when: When = None


class NormalForm(Form):
    """Numbers of a normal distribution, or of one whose logarithm is normal."""

    distribution: Annotated[NormalName, Field(description="Which of the normal distributions.")]
    mu: Annotated[float, Field(description="The mean (log_normal: of the natural logarithm).")] = 0.0
    sigma: Annotated[float, Field(gt=0, description="The standard deviation (log_normal: of the logarithm).")] = 1.0
    q: Step = None
    when: When = None


class BetaForm(Form):
    """Numbers between 0 and 1 of a beta distribution."""

    distribution: Annotated[BetaName, Field(description="The beta distribution, as it is or rounded.")]
    a: Annotated[float, Field(gt=0, description="Its first shape parameter: larger values give larger numbers.")] = 1.0
    b: Annotated[float, Field(gt=0, description="Its second shape parameter: larger values give smaller numbers.")] = (
        1.0
    )
    q: Step = None
    when: When = None


PARAMETER_FORMS: tuple[type[Form], ...] = (ValueForm, ValuesForm, RangeForm, NormalForm, BetaForm)
