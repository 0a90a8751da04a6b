"""A program that logs by several ways at once has each metric from one of them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.programs.epochs import Epochs
from orchestrator.programs.logged import Ended, Logged, Message, Noted, Source, StepMetric, Summary
from orchestrator.programs.made import Between, Late, Made, Whole
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

    assert [one.epoch for one in made if isinstance(one, Whole)] == [1, 2, 3]
    by_epoch: dict[int, dict[str, float]] = defaultdict(dict)
    for one in made:
        if isinstance(one, Whole | Late):
            assert not by_epoch[one.epoch].keys() & one.metrics
            by_epoch[one.epoch] |= one.metrics
    for epoch, metrics in by_epoch.items():
        assert (metrics["train/loss"], metrics["eval/loss"], metrics["loss"]) == (epoch / 2, epoch, epoch / 2)
    by_step = [one.value for one in made if isinstance(one, Between) and one.name == "train/loss.by_step"]
    assert by_step == [1, 0.5, 2, 1, 3, 1.5]


class Trained:
    """What a script logs by two ways at once, in epochs of a fifth of a second, and what of it is heard when."""

    def __init__(self, compared: str, *calls: Message) -> None:
        self._ways, self._epochs = Ways(compared), Epochs(compared)
        self._now = 0.0
        self.by_epoch: dict[int, dict[str, float]] = defaultdict(dict)
        self.by_step: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for call in calls:
            self.hear([call])

    def hear(self, messages: Iterable[Message], *, end: bool = False) -> None:
        passed = [*self._ways.take(messages)]
        self._now = max([self._now, *(one.at for one in messages if isinstance(one, Logged))])
        passed += self._ways.settle(self._now)
        passed += self._ways.end() if end else []
        made = [one for message in passed for one in self._epochs.take(message, beside=self._ways.is_beside(message))]
        made += self._epochs.settle(self._now)
        for one in [*made, *(self._epochs.end() if end else [])]:
            if isinstance(one, Whole | Late):
                assert not self.by_epoch[one.epoch].keys() & one.metrics, one
                self.by_epoch[one.epoch] |= one.metrics
            elif isinstance(one, Between):
                self.by_step[one.name].append((one.count, one.value))


def batches(epochs: int, *, others_at_end: bool, line_first: bool) -> tuple[list[Logged], list[Logged]]:
    """A line of wandb's each epoch; four batches of TensorBoard's, and a value by epoch, before or after that line."""
    lines, others, now, step = [], [], 100.0, 0
    for epoch in range(1, epochs + 1):
        if line_first:
            lines.append(log("wandb", now := now + 0.01, epoch=epoch, loss=1 / epoch))
        for batch in range(4):
            step += 1
            others.append(log("tensorboard", now := now + 0.05, step, lr=epoch + batch / 10))
        if not others_at_end:
            others.append(log("tensorboard", now := now + 0.001, epoch, extra=epoch))
        if not line_first:
            lines.append(log("wandb", now := now + 0.01, epoch=epoch, loss=1 / epoch))
        if others_at_end:
            others.append(log("tensorboard", now := now + 0.001, step, extra=epoch))
    return lines, others


@pytest.mark.parametrize("line_first", [False, True])
@pytest.mark.parametrize("others_at_end", [False, True])
@pytest.mark.parametrize("at_once", [1, 7, 25, 1000])
@pytest.mark.parametrize("late", [0.0, 0.3, 2.0])
def test_each_metric_has_the_last_value_of_its_epoch_whenever_its_file_is_read(
    *, line_first: bool, others_at_end: bool, at_once: int, late: float
) -> None:
    lines, others = batches(8, others_at_end=others_at_end, line_first=line_first)
    reads = [others[i : i + at_once] for i in range(0, len(others), at_once)]
    heard = [(one.at, [one]) for one in lines] + [(read[-1].at + late, read) for read in reads]
    trained = Trained("loss")
    for _, messages in sorted(heard, key=lambda pair: pair[0]):
        trained.hear(messages)
    trained.hear([], end=True)
    assert dict(trained.by_epoch) == {e: {"loss": 1 / e, "lr": e + 0.3, "extra": e} for e in range(1, 9)}
    assert trained.by_step["lr.by_step"] == [
        (i + 1, one.metrics["lr"]) for i, one in enumerate(o for o in others if "lr" in o.metrics)
    ]
    assert trained.by_step.keys() == {"lr.by_step"}


@pytest.mark.parametrize("late", [0.0, 0.4, 2.0])
def test_a_way_that_says_its_epochs_has_its_values_in_them_whenever_it_is_read(late: float) -> None:
    calls: list[Logged] = []
    for i in range(40):  # of a tenth of an epoch each
        epoch, at = (i + 1) / 10, 100 + i / 20
        calls.append(log("wandb", at, **{"train/loss": i, "train/epoch": epoch}))
        calls.append(log("mlflow", at + 0.001, i, loss=i, lr=i, epoch=epoch))
    heard = sorted(calls, key=lambda one: one.at + (late if one.source == "mlflow" else 0))
    trained = Trained("train/loss", *heard)
    trained.hear([], end=True)
    assert dict(trained.by_epoch) == {
        e: {"train/loss": 10 * e - 1, "loss": 10 * e - 1, "lr": 10 * e - 1} for e in range(1, 5)
    }
    for name in ("train/loss", "loss", "lr"):
        assert trained.by_step[f"{name}.by_step"] == [(i + 1, i) for i in range(40)]


def test_a_script_that_counts_from_zero_in_every_way_has_its_values_in_the_same_epochs() -> None:
    calls = [
        call
        for e in range(4)
        for call in (log("wandb", 100 + e / 5, epoch=e, loss=e), log("mlflow", 100.01 + e / 5, e, acc=e))
    ]
    trained = Trained("loss", *[one for one in calls if one.source == "wandb"])
    trained.hear([one for one in calls if one.source == "mlflow"])
    trained.hear([], end=True)
    assert dict(trained.by_epoch) == {e + 1: {"loss": e, "acc": e} for e in range(4)}


def test_folds_have_the_values_of_another_way_in_their_own_curves() -> None:
    trained = Trained("loss")
    now = 100.0
    for fold in (1, 2):
        for epoch in (1, 2, 3):
            for batch in (0, 1):
                trained.hear([log("tensorboard", now := now + 0.1, batch, lr=100 * fold + 10 * epoch + batch)])
            trained.hear([log("wandb", now := now + 0.1, epoch=epoch, loss=10 * fold + epoch)])
    trained.hear([], end=True)
    assert dict(trained.by_epoch) == {e: {"loss": 10 + e, "lr": 101 + 10 * e} for e in (1, 2, 3)}
    assert trained.by_step["lr.fold2"] == [(e, 201 + 10 * e) for e in (1, 2, 3)]
    counted = trained.by_step["lr.by_step"] + trained.by_step["lr.fold2.by_step"]
    assert [value for _, value in counted] == [100 * f + 10 * e + b for f in (1, 2) for e in (1, 2, 3) for b in (0, 1)]
