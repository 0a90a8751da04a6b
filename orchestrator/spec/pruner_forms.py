"""The shapes that `early_terminate` can have: a pruner's type and its keys."""

import itertools
import operator
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, SkipValidation

from orchestrator.spec.strict import Form, MetricForm

MOST_BRACKETS = 100
LATEST_BRACKET = 1e6  # in epochs


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
        """After how many reported values a trial is judged, as in W&B: max_iter and s take precedence over min_iter."""
        if self.max_iter is not None and self.s is not None:
            earlier = itertools.repeat(self.eta, self.s)
            bands = itertools.accumulate(earlier, operator.truediv, initial=float(self.max_iter))
            return frozenset(int(band) for band in itertools.islice(bands, 1, None) if band >= 1)
        if self.min_iter is None:
            return frozenset()
        later = itertools.repeat(self.eta, MOST_BRACKETS)
        bands = itertools.accumulate(later, operator.mul, initial=float(self.min_iter))
        return frozenset(int(band) for band in bands if band <= (self.max_iter or LATEST_BRACKET))


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
