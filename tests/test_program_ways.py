"""A program that logs by several ways at once has each metric from one of them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.programs.epochs import Epochs
from orchestrator.programs.logged import Ended, Logged, Message, Noted, Source, StepMetric, Summary
from orchestrator.programs.made import Between, Made, Whole
from orchestrator.programs.ways import GRACE, Ways

SOURCES: tuple[Source, ...] = get_args(Source)


def log(source: Source, at: float = 100.0, step: int | None = None, **metrics: float) -> Logged:
    return Logged(source, metrics, step, at)


def names(messages: Iterable[Message]) -> set[tuple[str, str]]:
    return {(one.source, name) for one in messages if isinstance(one, Logged) for name in one.metrics}


def test_wandb_is_taken_at_once_when_it_has_the_compared_metric() -> None:
    ways = Ways("loss")
    call = log("wandb", loss=1, epoch=1)
    assert ways.sentence("train.py") is None
    assert ways.take([call]) == [call]
    assert ways.sentence("train.py") == "metrics of train.py: from wandb.log"
    assert ways.due is None


@pytest.mark.parametrize("name", ["", "  ", "x" * 1001])
def test_a_value_whose_name_no_metric_can_have_is_left_out(name: str) -> None:
    ways = Ways("loss")
    assert ways.take([log("wandb", **{name: 2})]) == []
    assert ways.chosen is None
    assert ways.take([log("wandb", loss=1, **{name: 2})]) == [log("wandb", loss=1)]
    assert ways.take([Summary("wandb", {name: 2, "best": 3})]) == [Summary("wandb", {"best": 3})]


@pytest.mark.parametrize("first", ["mlflow", "tensorboard", "output", "report"])
def test_a_way_that_stands_behind_another_waits_for_it_for_a_second(first: Source) -> None:
    ways = Ways("loss")
    early, better = log(first, loss=1), log("wandb", 100.5, loss=1)
    assert ways.take([early]) == []
    assert ways.due == 100 + GRACE
    assert names(ways.take([better])) == {("wandb", "loss")}
    assert names(ways.settle(200)) == set()  # the other loss is the same

    alone = Ways("loss")
    assert alone.take([early]) == []
    assert alone.settle(100.5) == []
    assert alone.settle(100 + GRACE) == [early]
    assert alone.chosen == first


def test_the_first_way_that_has_the_compared_metric_has_the_curves() -> None:
    ways = Ways("eval_loss")
    hf = [log("wandb", **{"eval/loss": 2}), log("mlflow", eval_loss=2), log("tensorboard", eval_loss=2)]
    assert ways.take(hf) == []
    first = ways.settle(101)
    assert ways.chosen == "mlflow"
    assert names([*first, *ways.settle(200)]) == {("mlflow", "eval_loss"), ("wandb", "eval/loss")}


def test_other_ways_add_the_metrics_that_the_chosen_one_does_not_have() -> None:
    ways = Ways("loss")
    ways.take([log("wandb", loss=1)])
    assert ways.take([log("tensorboard", loss=1, lr=0.1, acc=0.5)]) == []
    assert names(ways.take([log("wandb", 100.5, acc=0.5)])) == {("wandb", "acc")}
    (added,) = ways.settle(100 + GRACE)
    assert added == log("tensorboard", lr=0.1)
    assert ways.is_beside(added)
    assert ways.take([log("tensorboard", 103, lr=0.2)]) == [log("tensorboard", 103, lr=0.2)]


def test_printed_lines_add_nothing_unless_they_are_asked_for_or_alone_have_the_compared_metric() -> None:
    calls = [log("wandb", loss=1), log("output", acc=0.5, epoch=1)]
    for asked, compared, found in [(False, "loss", set()), (True, "loss", {"acc", "epoch"}), (False, "acc", {"acc"})]:
        ways = Ways(compared, asked=asked)
        passed = [*ways.take(calls), *ways.settle(101), *ways.settle(200)]
        assert {name for source, name in names(passed) if source == "output"} >= found
        assert bool(found) == any(one.source == "output" for one in passed)


def test_a_way_that_turns_out_to_have_the_compared_metric_has_the_curves_from_then_on() -> None:
    ways = Ways("test_acc")
    ways.take([log("wandb", loss=1)])
    ways.settle(101)
    assert ways.chosen == "wandb"
    ways.take([log("mlflow", 110, test_acc=0.9)])
    assert names(ways.settle(111)) == {("mlflow", "test_acc")}
    assert ways.chosen == "mlflow"
    assert ways.take([log("wandb", 112, loss=0.5)]) == [log("wandb", 112, loss=0.5)]


def test_notes_come_through_at_once_and_steps_and_ends_from_the_chosen_way_alone() -> None:
    ways = Ways("loss")
    note = Noted("mlflow", {"a": "b"})
    assert ways.take([note]) == [note]
    steps, end, other = StepMetric("wandb", "loss", "epoch"), Ended("wandb"), Ended("mlflow")
    call = log("wandb", loss=1)
    assert ways.take([steps, call, other, end]) == [steps, call, end]


def test_final_values_of_a_metric_that_another_way_has_are_left_out() -> None:
    ways = Ways("loss")
    ways.take([log("wandb", loss=1)])
    assert ways.take([Summary("mlflow", {"loss": 3, "auc": 1})]) == [Summary("mlflow", {"auc": 1})]


def test_values_of_a_metric_stay_in_order_when_it_turns_out_from_where_it_comes() -> None:
    ways = Ways("loss")
    ways.take([log("wandb", loss=1)])
    ways.take([log("mlflow", lr=3), log("mlflow", 100.5, lr=2)])
    passed = [*ways.settle(101), *ways.take([log("mlflow", 101, lr=1)])]
    assert [one.metrics["lr"] for one in passed if isinstance(one, Logged)] == [3, 2, 1]


CALLS = st.lists(
    st.tuples(st.sampled_from(SOURCES), st.sets(st.sampled_from("abc"), min_size=1), st.floats(0, 2, allow_nan=False)),
    max_size=20,
)


@given(calls=CALLS, compared=st.sampled_from([None, "a", "z"]))
def test_every_metric_comes_whole_from_some_way_and_in_order(
    calls: list[tuple[Source, set[str], float]], compared: str | None
) -> None:
    ways, now = Ways(compared, asked=True), 1000.0
    passed: list[Message] = []
    sent: dict[tuple[str, str], list[float]] = defaultdict(list)
    for serial, (source, metrics, pause) in enumerate(calls):
        now += pause
        passed += ways.settle(now) if ways.due is not None and ways.due <= now else []
        passed += ways.take([log(source, now, **dict.fromkeys(sorted(metrics), serial))])
        for name in metrics:
            sent[name, source].append(serial)
    passed += ways.end()
    assert ways.end() == []
    got: dict[tuple[str, str], list[float]] = defaultdict(list)
    for message in passed:
        assert isinstance(message, Logged)
        for name, value in message.metrics.items():
            got[name, message.source].append(value)
    assert {name for name, _ in got} == {name for name, _ in sent}
    assert len({name for name, _ in got}) == len(got)  # by one way each
    for key, values in got.items():
        assert values == sent[key]


def test_a_trainer_that_reports_to_three_at_once_has_each_metric_once_by_its_epochs() -> None:
    ways, epochs = Ways("eval/loss"), Epochs("eval/loss")
    made: list[Made] = []

    def follow(messages: list[Message], now: float) -> None:
        nonlocal made
        for message in [*ways.take(messages), *ways.settle(now)]:
            made += epochs.take(message, beside=ways.is_beside(message))
        made += epochs.settle(now)

    def report(at: float, step: int, epoch: float, **metrics: float) -> None:
        slashed = {name if "/" in name else f"train/{name}": value for name, value in metrics.items()}
        plain = {name.replace("/", "_"): value for name, value in metrics.items()}
        follow([log("wandb", at, **slashed, **{"train/epoch": epoch, "train/global_step": step})], at)
        late = [log("mlflow", at, step, **plain, epoch=epoch), log("tensorboard", at, step, **slashed)]
        follow(late, at + 0.2)

    follow([StepMetric("wandb", "*", "train/global_step")], 0)
    for epoch in (1, 2, 3):
        report(10 * epoch, 10 * epoch - 5, epoch - 0.5, loss=epoch)
        report(10 * epoch + 5, 10 * epoch, epoch, loss=epoch / 2)
        report(10 * epoch + 6, 10 * epoch, epoch, **{"eval/loss": epoch})
        follow([], 10 * epoch + 9)
    for message in ways.end():
        made += epochs.take(message, beside=ways.is_beside(message))
    made += epochs.end()

    wholes = {one.epoch: one.metrics for one in made if isinstance(one, Whole)}
    assert [*wholes] == [1, 2, 3]
    for epoch, metrics in wholes.items():
        assert (metrics["train/loss"], metrics["eval/loss"], metrics["loss"]) == (epoch / 2, epoch, epoch / 2)
    by_step = [one.value for one in made if isinstance(one, Between) and one.name == "train/loss.by_step"]
    assert by_step == [1, 0.5, 2, 1, 3, 1.5]
