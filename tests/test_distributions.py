"""Distributions beside those of W&B's engine: tests/wandb_files/by_sweeps.py wrote what that makes of each."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy.stats import ks_2samp

from orchestrator.errors import InputError
from orchestrator.functions import Parameter
from orchestrator.samplers.dashboard import axes
from orchestrator.samplers.proposals import Proposals
from orchestrator.schema import schema
from orchestrator.spec import SweepSpec, load
from orchestrator.spec.densities import density_of
from orchestrator.spec.domains import Domain, domain_of
from orchestrator.spec.methods import OptunaSampler
from orchestrator.spec.parameter_forms import BetaName, NormalForm, NormalName, RangeForm, RangeName
from orchestrator.trials.grid import expand
from orchestrator.trials.search_space import SearchSpace

ENGINE = json.loads((Path(__file__).parent / "wandb_files" / "expected" / "distributions.json").read_text())
FORMS = [json.dumps(made["form"]) for made in ENGINE]
BY_FORM = dict(zip(FORMS, ENGINE, strict=True))
INVERTED = [form for form in FORMS if "int_" not in form and BY_FORM[form]["form"] != {"min": 3, "max": 9}]
DRAWS = 3000
NUMBERS = Parameter("x", TypeAdapter(float), 0.0)
FUNCTION = """
from dataclasses import dataclass
from typing import Annotated
from pydantic import Field

@dataclass(frozen=True)
class Config:
    x: float = 1.0
    n: int = 1
    positive: Annotated[float, Field(gt=0)] = 1.0
    small: Annotated[int, Field(ge=5, le=49)] = 5

def train(config: Config):
    return {"score": config.x}
"""

Load = Callable[..., SweepSpec]


@pytest.fixture
def spec(tmp_path: Path) -> Load:
    (tmp_path / "numbers_to_sweep.py").write_text(FUNCTION)

    def loaded(parameters: str, method: str = "random", run_cap: int = 20) -> SweepSpec:
        path = tmp_path / "sweep.yaml"
        head = f"trial: numbers_to_sweep:train\nmethod: {method}\nrun_cap: {run_cap}\nmetric: {{name: score}}\n"
        path.write_text(f"{head}parameters: {parameters}\n")
        return load(path)

    return loaded


class FixedShare(random.Random):
    """Always the same number between 0 and 1."""

    share = 0.5

    def random(self) -> float:
        return self.share


class OpenParameter(Parameter):
    """A parameter of any type."""

    is_number, is_integer = True, False  # type: ignore[assignment]

    def validate(self, value: Any) -> Any:
        return value


def domain(spec: Load, form: str) -> Domain:
    return spec(f"{{x: {form}}}").domains["x"]


def refused(spec: Load, *arguments: str) -> list[str]:
    with pytest.raises(InputError) as error:
        spec(*arguments)
    return [line.split("sweep.yaml:", 1)[1] for line in error.value.mistakes]


def test_the_engine_was_asked_about_every_distribution() -> None:
    asked = {made["form"].get("distribution") for made in ENGINE}
    assert asked >= {*get_args(RangeName), *get_args(NormalName), *get_args(BetaName), "constant", "categorical"}


@pytest.mark.parametrize("form", FORMS)
def test_draws_are_distributed_as_those_of_wandb(spec: Load, form: str) -> None:
    rng, ours = random.Random(0), domain(spec, form)
    drawn = [ours.draw(rng) for _ in range(DRAWS)]
    assert ks_2samp(drawn, BY_FORM[form]["quantiles"]).statistic < 0.04


@pytest.mark.parametrize("form", INVERTED)
def test_a_draw_is_made_from_one_uniform_number_as_in_wandb(spec: Load, form: str) -> None:
    rng, ours = FixedShare(), domain(spec, form)
    quantiles = BY_FORM[form]["quantiles"]
    for i, expected in enumerate(quantiles):
        rng.share = (i + 0.5) / len(quantiles)
        assert ours.draw(rng) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("form", [form for form in FORMS if "probabilities" not in form])
def test_a_grid_has_the_values_of_wandb_or_is_refused_as_there(spec: Load, form: str) -> None:
    expected = BY_FORM[form]["grid"]
    if expected is None:
        assert "a grid needs `values`" in refused(spec, f"{{x: {form}}}", "grid")[0]
    else:
        trials = expand(spec(f"{{x: {form}}}", "grid", 1000)).trials
        assert [trial.params["x"] for trial in trials] == pytest.approx(expected)


def test_steps_are_written_in_their_shortest_form(spec: Load) -> None:
    text = "{x: {min: 0.1, max: 0.5, q: 0.1, distribution: q_uniform}}"
    assert [trial.params["x"] for trial in expand(spec(text, "grid")).trials] == [0.1, 0.2, 0.3, 0.4]
    assert {trial.params["x"] for trial in expand(spec(text)).trials} <= {0.1, 0.2, 0.3, 0.4, 0.5}


def test_q_alone_means_q_uniform(spec: Load) -> None:
    text = "{{x: {{min: 5, max: 50, q: 10{}}}}}"
    alone, named = (expand(spec(text.format(more))).trials for more in ("", ", distribution: q_uniform"))
    assert [trial.params for trial in alone] == [trial.params for trial in named]
    assert domain(spec, "{min: 5, max: 50, q: 10}").grid() == (5, 15, 25, 35, 45)


@given(q=st.one_of(st.integers(1, 50), st.floats(0.01, 50)), seed=st.integers(0, 100))
def test_draws_are_multiples_of_q_at_most_half_a_step_outside(q: float, seed: int) -> None:
    drawn = domain_of(RangeForm(min=-30, max=70, q=q), NUMBERS).draw(random.Random(seed))
    assert drawn / q == pytest.approx(round(drawn / q), abs=1e-6)
    assert -30 - q / 2 - 1e-6 <= drawn <= 70 + q / 2 + 1e-6


def test_a_parameter_of_any_type_gets_whole_numbers_where_q_is_whole() -> None:
    anything = OpenParameter("x", TypeAdapter(float), 0.0)
    rng = random.Random(0)
    for q, kind in ((10, int), (10.0, float), (None, float)):
        quantized = domain_of(RangeForm(min=5, max=50, q=q, distribution="q_uniform"), anything)
        normal = density_of(NormalForm(distribution="q_normal", mu=100.0, sigma=20.0, q=q), anything)
        assert type(quantized.draw(rng)) is type(normal.draw(rng)) is type(quantized.grid()[0]) is kind
    assert type(domain_of(RangeForm(min=1, max=9), anything).draw(rng)) is int
    assert type(domain_of(RangeForm(min=1, max=9, distribution="uniform"), anything).draw(rng)) is float


def test_draws_without_q_are_those_of_earlier_versions(spec: Load) -> None:
    text = (
        "{x: {min: -1.5, max: 2.5}, n: {min: 3, max: 900}, "
        "positive: {min: -7, max: -2, distribution: log_uniform}, small: {min: 5, max: 49, distribution: %s}}"
    )
    first, second = expand(spec(text % "log_uniform_values", "random", 2)).trials
    assert [*first.params.values()] == [0.8388019405373823, 589, 0.07452846743610715, 30]
    assert [*second.params.values()] == [-0.7423521581452488, 221, 0.0339543872408333, 18]
    even = expand(spec(text % "uniform", "random", 1)).trials[0]
    assert [*even.params.values()] == [0.8388019405373823, 589, 0.07452846743610715, 11]


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ("{positive: {distribution: normal}}", "5: parameters.positive: a draw may be -3.72: input should be greater"),
        ("{small: {min: 5, max: 45, q: 10}}", "5: parameters.small: q rounds min 5: input should be greater than"),
        ("{small: {min: 1, max: 45}}", "5: parameters.small: input should be greater than or equal to 5, not 1"),
        ("{n: {distribution: normal}}", "5: parameters.n: normal draws fractions; for whole numbers use q_normal"),
        ("{n: {min: 1, max: 9, q: 1.5}}", "5: parameters.n: q must be a whole number here"),
        ("{x: {distribution: normal, q: 2}}", "5: parameters.x: q goes with distributions that begin with q_, not"),
        ("{x: {min: 1, max: 2, q: 1, distribution: uniform}}", "5: parameters.x: q goes with distributions that"),
        ("{x: {min: 1, max: 2, q: 0}}", "5: parameters.x.q: input should be greater than 0"),
        ("{x: {distribution: normal, sigma: 0}}", "5: parameters.x.sigma: input should be greater than 0"),
        ("{x: {distribution: beta, mu: 0}}", "5: parameters.x.mu: does not go with `distribution`"),
        ("{x: {distribution: log_normal, mu: 705}}", "5: parameters.x: its numbers would be too large"),
        ("{x: {min: 1, max: 2, distribution: nromal}}", "unknown distribution nromal; did you mean normal?"),
        ("{x: {min: 1, max: 2, distribution: categorical}}", "categorical takes `value` or `values`"),
        ("{x: {min: 1, max: 2, distribution: inv_log_uniform, q: 1}}", "q goes with distributions that begin with q_"),
    ],
)
def test_what_does_not_go_together_is_refused_with_its_place(spec: Load, parameters: str, line: str) -> None:
    (said,) = refused(spec, parameters)
    assert line in said


@pytest.mark.parametrize("method", ["tpe", "cmaes", "boundary"])
def test_a_search_whose_range_is_refused_is_not_said_to_have_none(spec: Load, method: str) -> None:
    with pytest.raises(InputError) as refused:
        spec("{n: {min: 1, max: 9, q: 2.5}}", method)
    (said,) = refused.value.mistakes
    assert "parameters.n: q must be a whole number here" in said


def test_a_grid_within_the_range_of_its_parameter_is_taken_though_draws_would_leave_it(spec: Load) -> None:
    assert spec("{small: {min: 5, max: 50, q: 10}}", "grid").domains["small"].grid() == (5, 15, 25, 35, 45)


def test_a_rare_draw_that_the_parameter_refuses_is_an_invalid_combination(spec: Load) -> None:
    swept = spec("{positive: {distribution: normal, mu: 3.8}, x: 2}")
    rng = FixedShare()
    rng.share = 1e-5
    drawn = swept.domains["positive"].draw(rng)
    assert drawn < 0
    with pytest.raises(ValueError, match="positive: Input should be greater than 0"):
        swept.function.resolve({"positive": drawn})


@pytest.mark.parametrize("method", ["tpe", "cmaes", "qmc"])
def test_a_search_looks_along_the_shares_of_a_distribution(spec: Load, method: str) -> None:
    text = "{x: {distribution: normal, mu: 10, sigma: 2}, positive: {distribution: q_log_normal, mu: 9, q: 0.5}, "
    swept = spec(text + "n: {min: 5, max: 50, q: 10}}", method)
    assert isinstance(swept.method.sampler, OptunaSampler)
    proposals = Proposals(swept, SearchSpace(swept), swept.method.sampler)
    seen = []
    for _ in range(12):
        number, values = proposals.ask()
        seen.append(values)
        proposals.tell(number, (abs(values["x"] - 12),), -1.0)
    assert all(2 <= values["x"] <= 18 and values["positive"] > 0 and values["n"] % 10 == 0 for values in seen)
    again = Proposals(swept, SearchSpace(swept), swept.method.sampler)
    for values in seen[:6]:
        number, same = again.ask(values)
        assert same == values
        again.tell(number, (abs(values["x"] - 12),), -1.0)
    assert again.ask()[1] == seen[6]


def test_a_boundary_refuses_what_has_no_ends(spec: Load) -> None:
    said = refused(spec, "{x: {distribution: normal}}", "boundary")
    assert "5: parameters.x: boundary needs min and max; other distributions are for random or tpe" in said


@given(share=st.floats(1e-4, 1 - 1e-4), mu=st.floats(-50, 50), sigma=st.floats(0.01, 20), log=st.booleans())
def test_what_a_search_sees_of_a_value_leads_back_to_it(share: float, mu: float, sigma: float, log: bool) -> None:
    form = NormalForm(distribution="log_normal" if log else "normal", mu=mu, sigma=sigma)
    density = density_of(form, NUMBERS)
    value = density.decoded(share)
    assert density.decoded(density.encoded(value)) == value


@pytest.mark.parametrize("form", [form for form in FORMS if "value" not in json.loads(form)])
def test_every_draw_lies_on_the_axis_of_the_dashboard(spec: Load, form: str) -> None:
    swept = spec(f"{{x: {form}}}", "random", 50)
    axis = axes(swept).get("x")
    assert axis is not None
    if "values" not in form:
        for trial in expand(swept).trials:
            assert axis.low <= trial.params["x"] <= axis.high
            assert swept.domains["x"].has(trial.params["x"])


def test_the_schema_takes_every_distribution_and_no_key_of_another() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    for made in ENGINE:
        validator.validate({"method": "random", "run_cap": 1, "parameters": {"lr": made["form"]}})
    assert not validator.is_valid({"parameters": {"lr": {"distribution": "normal", "min": 1}}})


def test_a_distribution_says_what_it_is(spec: Load) -> None:
    assert domain(spec, "{distribution: q_log_normal, mu: 2}").words == "log-normal, mu 2, sigma 1"
    assert domain(spec, "{distribution: beta, a: 2}").words == "beta, a 2, b 1"
