"""What a program logs, call by call, becomes whole epochs and what comes between them."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.divergence import DivergenceRule
from orchestrator.functions.declaration import Declaration
from orchestrator.programs.epochs import QUIET, Epochs
from orchestrator.programs.logged import Ended, Logged, Message, StepMetric
from orchestrator.programs.losses import losses_of
from orchestrator.programs.made import Between, Late, Made, NewCurve, Whole
from orchestrator.worker.monitor import Monitor


class Script:
    """Logs, a tenth of a second after another."""

    def __init__(self) -> None:
        self.now = 100.0

    def log(self, step: int | None = None, /, **metrics: float) -> Logged:
        self.now += 0.1
        return Logged("wandb", {name.replace("__", "/"): value for name, value in metrics.items()}, step, self.now)


@pytest.fixture
def script() -> Script:
    return Script()


def run(epochs: Epochs, messages: Iterable[Message]) -> list[Made]:
    return [made for message in messages for made in epochs.take(message)] + epochs.end()


def curve(made: Iterable[Made]) -> list[tuple[int, dict[str, float]]]:
    return [(one.epoch, dict(one.metrics)) for one in made if isinstance(one, Whole)]


def between(made: Iterable[Made], name: str) -> list[tuple[int, float]]:
    return [(one.count, one.value) for one in made if isinstance(one, Between) and one.name == name]


def test_epochs_that_are_logged_stand_at_their_numbers(script: Script) -> None:
    made = run(Epochs("loss"), [script.log(epoch=1, loss=3), script.log(epoch=2, loss=2), script.log(epoch=5, loss=1)])
    assert curve(made) == [(1, {"loss": 3}), (2, {"loss": 2}), (5, {"loss": 1})]


def test_a_script_that_counts_from_zero_has_epochs_from_one_on_also_where_it_goes_on(script: Script) -> None:
    first = Epochs("loss")
    made = run(first, [script.log(epoch=0, loss=3), script.log(epoch=1, loss=2)])
    assert curve(made) == [(1, {"loss": 3}), (2, {"loss": 2})]
    again = Epochs("loss", begun_after=2, offset=first.offset)
    assert curve(run(again, [script.log(epoch=2, loss=1)])) == [(3, {"loss": 1})]


def test_an_epoch_is_whole_once_a_later_one_begins(script: Script) -> None:
    epochs = Epochs("loss")
    assert epochs.take(script.log(epoch=1, loss=3)) == []
    assert curve(epochs.take(script.log(epoch=2, loss=2))) == [(1, {"loss": 3})]


def test_the_first_epoch_is_whole_when_it_has_been_quiet_and_has_the_compared_metric(script: Script) -> None:
    epochs = Epochs("val_loss")
    epochs.take(script.log(epoch=1, loss=3))
    assert epochs.due is None
    epochs.take(script.log(epoch=1, val_loss=4))
    assert epochs.due == pytest.approx(script.now + QUIET)
    assert epochs.settle(script.now + QUIET / 2) == []
    assert curve(epochs.settle(script.now + QUIET)) == [(1, {"loss": 3, "val_loss": 4})]
    assert epochs.due is None
    assert epochs.settle(script.now + 100) == []
    assert curve(epochs.take(script.log(epoch=2, loss=1))) == []


def test_later_epochs_are_whole_when_they_have_what_the_one_before_had_as_often(script: Script) -> None:
    epochs = Epochs("loss")
    for value in (5, 4, 3):
        epochs.take(script.log(epoch=1, loss=value))
    epochs.take(script.log(epoch=2, loss=2))
    assert epochs.settle(script.now + 100) == []  # the first batch of an epoch is not all of it
    epochs.take(script.log(epoch=2, loss=1))
    epochs.take(script.log(epoch=2, loss=0))
    assert curve(epochs.settle(script.now + QUIET)) == [(2, {"loss": 0})]


def test_a_metric_that_comes_late_is_added_to_its_epoch(script: Script) -> None:
    epochs = Epochs("loss")
    epochs.take(script.log(epoch=1, loss=3))
    assert curve(epochs.settle(script.now + QUIET)) == [(1, {"loss": 3})]
    late = script.log(epoch=1, val_acc=0.5)
    assert epochs.take(late) == [Late(1, {"val_acc": 0.5}, late.at)]
    epochs.take(script.log(epoch=2, loss=2))
    assert epochs.settle(script.now + 100) == []  # it had an accuracy in the epoch before


def test_a_loss_of_each_batch_comes_out_at_its_own_count_and_its_last_value_in_the_epoch(script: Script) -> None:
    calls = [script.log(epoch=epoch, loss=10 * epoch + batch) for epoch in (1, 2) for batch in (1, 2, 3)]
    made = run(Epochs("loss"), calls)
    assert curve(made) == [(1, {"loss": 13}), (2, {"loss": 23})]
    assert between(made, "loss.by_step") == [(1, 11), (2, 12), (3, 13), (4, 21), (5, 22), (6, 23)]


def test_a_fraction_of_an_epoch_is_within_the_next_whole_one(script: Script) -> None:
    calls = [
        script.log(100 * i, train__loss=9 - i, train__epoch=value) for i, value in enumerate([0.37, 0.74, 1.0, 1.2])
    ]
    made = run(Epochs("train/loss"), calls)
    assert curve(made) == [(1, {"train/loss": 7}), (2, {"train/loss": 6})]
    assert between(made, "train/loss.by_step") == [(1, 9), (2, 8), (3, 7), (4, 6)]


def test_an_evaluation_before_the_first_fraction_belongs_to_the_first_epoch(script: Script) -> None:
    made = run(
        Epochs("loss"), [script.log(epoch=0, eval=9), script.log(epoch=0.5, loss=3), script.log(epoch=1, loss=2)]
    )
    assert curve(made) == [(1, {"eval": 9, "loss": 2})]


def test_losses_of_batches_without_an_epoch_belong_to_the_line_that_follows_them(script: Script) -> None:
    def calls() -> Iterator[Message]:
        for epoch in (1, 2):
            yield from (script.log(batch=10 * epoch + i) for i in range(3))
            yield script.log(epoch=epoch, val=epoch)

    assert curve(run(Epochs("val"), calls())) == [(1, {"batch": 12, "val": 1}), (2, {"batch": 22, "val": 2})]


def test_calls_without_an_epoch_belong_to_the_line_before_them_where_that_comes_first(script: Script) -> None:
    def calls() -> Iterator[Message]:
        for epoch in (1, 2):
            yield script.log(epoch=epoch, lr=0.1)
            yield from (script.log(batch=10 * epoch + i) for i in range(3))
            yield script.log(val=epoch)

    made = run(Epochs("val"), calls())
    assert curve(made) == [(1, {"lr": 0.1, "batch": 12, "val": 1}), (2, {"lr": 0.1, "batch": 22, "val": 2})]


def test_the_step_metric_that_is_defined_for_the_compared_metric_comes_first(script: Script) -> None:
    calls = [script.log(epoch=9, generation=i, **{"val/acc": i / 10}) for i in (1, 2)]
    defined = [StepMetric("wandb", "*", "other"), StepMetric("wandb", "val/*", "generation")]
    made = run(Epochs("val/acc"), [*defined, *calls])
    assert [(epoch, metrics["val/acc"]) for epoch, metrics in curve(made)] == [(1, 0.1), (2, 0.2)]


def test_a_step_metric_may_have_been_logged_in_a_call_before(script: Script) -> None:
    calls = [script.log(round=4), script.log(acc=0.1), script.log(round=7), script.log(acc=0.2)]
    made = run(Epochs("acc"), [StepMetric("wandb", "acc", "round"), *calls])
    assert curve(made) == [(4, {"acc": 0.1}), (7, {"acc": 0.2})]


def test_steps_for_all_metrics_come_after_an_epoch_and_before_the_step_of_a_call(script: Script) -> None:
    every = StepMetric("wandb", "*", "global_step")
    with_epoch = [script.log(epoch=i, loss=i, global_step=100 * i) for i in (1, 2)]
    assert [epoch for epoch, _ in curve(run(Epochs("loss"), [every, *with_epoch]))] == [1, 2]
    without = [script.log(i, loss=i, global_step=100 * i) for i in (1, 2)]
    assert [epoch for epoch, _ in curve(run(Epochs("loss"), [every, *without]))] == [100, 200]


def test_the_step_of_the_calls_with_the_compared_metric_is_an_epoch(script: Script) -> None:
    calls = [script.log(i, **({"val": i} if i % 10 == 0 else {"batch": i})) for i in range(1, 21)]
    made = run(Epochs("val"), calls)
    assert curve(made) == [(10, {"batch": 9, "val": 10}), (20, {"batch": 19, "val": 20})]
    assert [value for _, value in between(made, "batch.by_step")] == [i for i in range(1, 20) if i != 10]


def test_calls_with_the_compared_metric_are_counted_where_nothing_else_is_said(script: Script) -> None:
    def calls() -> Iterator[Message]:
        for i in (1, 2, 3):
            yield script.log(batch=i)
            yield script.log(val=i)
            yield script.log(acc=i)

    assert curve(run(Epochs("val"), calls())) == [(i, {"batch": i, "val": i, "acc": i}) for i in (1, 2, 3)]


def test_a_count_goes_on_after_an_attempt_from_which_the_program_goes_on(script: Script) -> None:
    assert curve(run(Epochs("loss", begun_after=4), [script.log(loss=2), script.log(loss=1)])) == [
        (5, {"loss": 2}),
        (6, {"loss": 1}),
    ]


def test_calls_without_a_step_after_one_at_step_zero_are_counted(script: Script) -> None:
    made = run(Epochs("loss"), [script.log(0, loss=3), script.log(loss=2), script.log(loss=1)])
    assert curve(made) == [(1, {"loss": 3}), (2, {"loss": 2}), (3, {"loss": 1})]


def test_without_a_compared_metric_an_epoch_ends_where_a_name_comes_again(script: Script) -> None:
    calls = [script.log(**{name: i}) for i in (1, 2) for name in ("loss", "acc")]
    assert curve(run(Epochs(None), calls)) == [(1, {"loss": 1, "acc": 1}), (2, {"loss": 2, "acc": 2})]


def test_epochs_that_fall_back_begin_a_curve_of_another_name(script: Script) -> None:
    calls = [script.log(epoch=epoch, loss=10 * fold + epoch) for fold in (1, 2, 3) for epoch in (1, 2)]
    made = run(Epochs("loss"), calls)
    assert curve(made) == [(1, {"loss": 11}), (2, {"loss": 12})]
    assert between(made, "loss.fold2") == [(1, 21), (2, 22)]
    assert between(made, "loss.fold3") == [(1, 31), (2, 32)]
    assert [one for one in made if isinstance(one, NewCurve)] == [NewCurve(2, 1), NewCurve(3, 1)]


def test_a_run_that_begins_after_another_has_ended_begins_a_curve(script: Script) -> None:
    fold = [script.log(loss=2), script.log(loss=1), Ended("wandb")]
    made = run(Epochs("loss"), [*fold, *fold])
    assert curve(made) == [(1, {"loss": 2}), (2, {"loss": 1})]
    assert between(made, "loss.fold2") == [(1, 2), (2, 1)]


def test_the_mean_over_folds_keeps_its_name_and_counts_for_the_first_curve(script: Script) -> None:
    folds = [script.log(epoch=epoch, loss=fold) for fold, last in ((1, 3), (2, 5)) for epoch in range(1, last + 1)]
    made = run(Epochs("mean"), [*folds, script.log(mean=1.5, of__two=2)])
    late = [(one.epoch, one.metrics) for one in made if isinstance(one, Late)]
    assert sorted(late) == [(3, {"mean": 1.5}), (5, {"of/two": 2})]


def test_what_is_logged_after_the_last_epoch_belongs_to_it(script: Script) -> None:
    made = run(Epochs("test"), [*(script.log(epoch=i, loss=i) for i in (1, 2)), Ended("wandb"), script.log(test=7)])
    assert curve(made) == [(1, {"loss": 1}), (2, {"loss": 2})]
    assert [(one.epoch, one.metrics) for one in made if isinstance(one, Late)] == [(2, {"test": 7})]


def test_an_attempt_that_starts_anew_says_so_and_one_that_goes_on_does_not(script: Script) -> None:
    anew = run(Epochs("loss", begun_after=3), [script.log(epoch=1, loss=3), script.log(epoch=2, loss=2)])
    assert NewCurve(1, 1) in anew
    assert [epoch for epoch, _ in curve(anew)] == [1, 2]
    on = run(Epochs("loss", begun_after=3), [script.log(epoch=4, loss=1)])
    assert [type(one) for one in on] == [Whole]


def test_values_that_are_not_finite_come_through(script: Script) -> None:
    made = run(Epochs("loss"), [script.log(epoch=1, loss=1), script.log(epoch=2, loss=math.nan)])
    assert math.isnan(curve(made)[1][1]["loss"])


def test_values_of_another_way_begin_no_epoch_and_complete_none(script: Script) -> None:
    epochs = Epochs("loss")
    epochs.take(script.log(loss=3))
    assert epochs.take(script.log(17, lr=0.1), beside=True) == []
    assert epochs.take(script.log(18, lr=0.2), beside=True)[0] != NewCurve(1, 1)
    assert curve(epochs.take(script.log(loss=2))) == [(1, {"loss": 3})]
    made = epochs.take(script.log(19, lr=0.3), beside=True) + epochs.end()
    assert [(one.epoch, one.metrics) for one in made if isinstance(one, Whole | Late)] == [
        (1, {"lr": 0.2}),
        (2, {"loss": 2, "lr": 0.3}),
    ]


NAMES = ["loss", "val", "acc"]
CALLS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(NAMES), st.just(0.0), min_size=1),
        st.one_of(st.none(), st.integers(0, 6), st.floats(0, 6, allow_nan=False)),  # epoch
        st.one_of(st.none(), st.integers(0, 20)),  # step
        st.floats(0, 3, allow_nan=False),  # seconds since the call before
        st.booleans(),  # beside
        st.integers(0, 9),  # 0: the run ends
    ),
    max_size=30,
)


@given(calls=CALLS, compared=st.sampled_from([None, "loss", "missing"]), begun_after=st.integers(0, 3))
def test_nothing_that_is_logged_is_lost_and_epochs_come_once_each_in_order(
    calls: list[tuple[dict[str, float], float | None, int | None, float, bool, int]],
    compared: str | None,
    begun_after: int,
) -> None:
    epochs, now, serial = Epochs(compared, begun_after), 1000.0, 0
    made: list[Made] = []
    logged: dict[float, str] = {}
    for metrics, epoch, step, pause, beside, end in calls:
        now += pause
        if epochs.due is not None:
            made += epochs.settle(now)
        values: dict[str, float] = {}
        for name in (f"other_{name}" if beside else name for name in metrics):  # each metric comes by one way
            serial += 1
            values[name], logged[serial] = serial, name  # each value is another, so that each can be found again
        labelled = values if epoch is None else {**values, "epoch": epoch}
        made += epochs.take(Logged("mlflow", labelled, step, now), beside=beside)
        made += epochs.take(Ended("mlflow")) if end == 0 else []
    made += epochs.end()
    assert epochs.end() == []

    numbers = [one.epoch for one in made if isinstance(one, Whole)]
    assert numbers == sorted(set(numbers))
    assert all(number >= 1 for number in numbers)
    found = {value for one in made if isinstance(one, (Whole, Late)) for value in one.metrics.values()}
    found |= {one.value for one in made if isinstance(one, Between)}
    assert found == set(logged)

    points: dict[str, list[int]] = defaultdict(list)
    for one in made:
        if isinstance(one, Between):
            assert logged[one.value] == one.metric
            points[one.name].append(one.count)
    for name, counts in points.items():
        if name.endswith(".by_step"):
            assert counts == sorted(set(counts)), name


@pytest.mark.parametrize(
    "name",
    ["loss", "train/loss", "eval_loss", "Loss/train", "training_loss", "val-loss", "nll", "trainLoss", "test.NLL"],
)
def test_a_metric_whose_name_says_so_is_a_loss(name: str) -> None:
    assert losses_of([name], None, ()) == {name: 1}


@pytest.mark.parametrize("name", ["accuracy", "lr", "glossary", "loss_scale", "epoch", "lossless_ratio"])
def test_other_metrics_are_no_losses(name: str) -> None:
    assert losses_of([name], None, ()) == {}


def test_minus_an_elbo_is_a_loss_and_what_is_maximized_is_none() -> None:
    names = ["elbo", "neg_elbo", "loss", "score"]
    assert losses_of(names, None, ["elbo", "loss"]) == {"elbo": -1, "neg_elbo": 1}
    assert losses_of(names, ["score", "elbo"], []) == {"elbo": -1, "score": 1}
    assert losses_of(names, ["score"], ["score"]) == {}


def test_losses_are_those_that_a_function_declares_also_where_it_declares_the_usual_names() -> None:
    names = ["loss", "train_loss", "val_loss", "nll"]
    for declaration, losses in [
        (Declaration(), {*names}),
        (Declaration(training_losses=("train_loss", "loss")), {"loss", "train_loss", "val_loss"}),
        (Declaration(validation_losses=("val_loss",)), {"loss", "train_loss", "val_loss"}),
        (Declaration(training_losses=("nll",), validation_losses=()), {"nll"}),
        (Declaration(training_losses=(), validation_losses=()), set()),
    ]:
        monitor = Monitor(DivergenceRule(), declaration=declaration)
        assert monitor.losses(names).keys() == losses, declaration
