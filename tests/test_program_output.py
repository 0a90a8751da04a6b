"""What a program prints has its metrics in it."""

import math
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.programs.followers.lines import Lines, Pattern, pattern_mistake
from orchestrator.programs.followers.output import LONGEST, OutputLines


@pytest.mark.parametrize(
    ("text", "step", "metrics"),
    [
        ("epoch 3/20 loss 0.132 val_acc=0.91", None, {"epoch": 3, "loss": 0.132, "val_acc": 0.91}),
        ("Epoch [3/20], Loss: 0.1320", None, {"epoch": 3, "Loss": 0.132}),
        ("Epoch [3/20], Step [100/600], Loss: 0.1320", 100, {"epoch": 3, "Loss": 0.132}),
        (
            "[epoch 3] train loss: 0.5 | val loss 0.6",
            None,
            {"epoch": 3, "train_loss": 0.5, "val_loss": 0.6},
        ),
        ("step 100: loss 1e-3", 100, {"loss": 0.001}),
        ("Epoch 3 of 20 - loss: -1.5E+02 - acc: 91.5%", None, {"epoch": 3, "loss": -150, "acc": 91.5}),
        ("\x1b[32mepoch=3\x1b[0m \x1b[1mloss\x1b[0m=\x1b[31m.5\x1b[0m", None, {"epoch": 3, "loss": 0.5}),
        (
            "2026-01-31 12:00:01,123 INFO trainer: epoch: 3, loss: 0.5, time: 12.5, 3.2 it/s",
            None,
            {"epoch": 3, "loss": 0.5},
        ),
        ("[12:00:01] Epoch 3 finished in 12.5 with loss 0.25", None, {"epoch": 3, "loss": 0.25}),
        ("Epoch 3: loss 0.5 (12.3s, 1.5GB, 120ms)", None, {"epoch": 3, "loss": 0.5}),
        (
            "Epoch 7:  40%|####      | 40/100 [00:01<00:02, 30.1it/s, v_num=0, train_loss=0.5]",
            None,
            {"epoch": 7, "train_loss": 0.5},
        ),
        ("Train Epoch: 1 [12800/60000 (21%)]\tLoss: 0.633", None, {"epoch": 1, "Loss": 0.633}),
        (
            "Epoch: [0][ 10/391]\tTime  0.1 ( 0.2)\tLoss 6.9e+00 (7.0e+00)\tAcc@1   1.5 (  0.20)",
            None,
            {"epoch": 0, "Loss": 6.9, "Acc@1": 1.5},
        ),
        ("[3,  2000] loss: 2.173", None, {"epoch": 3, "loss": 2.173}),
        ("epoch=3 准确率=0.91 损失 0.5", None, {"epoch": 3, "准确率": 0.91, "损失": 0.5}),
        ("Epoch\uff1a3 训练损失\uff1a0.5 验证 损失\uff1a1", None, {"epoch": 3, "训练损失": 0.5, "验证_损失": 1}),
        ("Epoch 3: Ähnlichkeit = .5, точность: 0.9", None, {"epoch": 3, "Ähnlichkeit": 0.5, "точность": 0.9}),
        (
            "{'loss': 0.5, 'learning_rate': 5e-05, 'epoch': 0.37}",
            None,
            {"epoch": 0.37, "loss": 0.5, "learning_rate": 5e-5},
        ),
        ("{'eval_loss': '0.5', 'epoch': '2.0'}", None, {"epoch": 2, "eval_loss": 0.5}),
        (
            '{"epoch": 3, "loss": 0.5, "val": {"acc": 1}, "done": true, "name": "x"}',
            None,
            {"epoch": 3, "loss": 0.5, "val/acc": 1},
        ),
        ('{"global_step": 30, "loss": 0.5}', 30, {"loss": 0.5}),
        (
            "epoch 3 val/loss=0.5 recall@10: 0.25 top-5 0.75",
            None,
            {"epoch": 3, "val/loss": 0.5, "recall@10": 0.25, "top-5": 0.75},
        ),
    ],
)
def test_lines_as_people_print_them(text: str, step: int | None, metrics: dict[str, float]) -> None:
    line = Lines().read(text)
    assert line is not None
    assert (line.step, line.metrics) == (step, metrics)


@pytest.mark.parametrize(
    "text",
    [
        "loss 0.5",
        "loading 12 files: done=3",
        "epoch 3/20",
        "step 100",
        "2026-01-31 12:00:01 epoch 3 begins",
        "epoch 3: saved 12.5MB to model_3.pt at 12:30",
        "epoch 3 took 12.5 s",
        "Epoch 3:  40%|####   | 40/100 [00:01<00:02, 30.1it/s]",
        '{"epoch": 3}',
        '{"loss": "small"}',
        "{broken",
        "",
    ],
)
def test_other_numbers_are_no_metrics(text: str) -> None:
    assert Lines().read(text) is None


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf"])
def test_a_loss_that_is_no_number_comes_through(value: str) -> None:
    for text in (f"step 100: loss {value}", f"step 100 loss={value}, acc=1", f"{{'loss': {value}, 'step': 100}}"):
        line = Lines().read(text)
        assert line is not None
        assert line.step == 100
        assert not math.isfinite(line.metrics["loss"])


def test_lines_below_an_epoch_belong_to_it() -> None:
    lines = Lines()
    read = [
        lines.read(text) for text in ["Epoch 1/2", "-----", "train Loss: 0.5 Acc: 0.75", "read 3 files", "Epoch 2/2"]
    ]
    assert [line and line.metrics for line in read] == [
        None,
        None,
        {"train_Loss": 0.5, "Acc": 0.75, "epoch": 1},
        None,
        None,
    ]
    keras = lines.read("100/100 - 2s - 20ms/step - loss: 0.25 - val_loss: 0.5")
    assert keras is not None
    assert keras.metrics == {"loss": 0.25, "val_loss": 0.5, "epoch": 2}


def test_a_pattern_finds_what_its_groups_name() -> None:
    line = Pattern(r"E(?P<epoch>\d+) L(?P<loss>\S+)(?: S(?P<step>\d+))?").read("E3 L0.5 S70")
    assert line is not None
    assert (line.step, line.metrics) == (70, {"epoch": 3, "loss": 0.5})
    assert Pattern(r"L(?P<loss>\S+)").read("Lost") is None


@pytest.mark.parametrize("step", ["nan", "inf", "-inf", "1e400", "soon"])
def test_a_step_that_is_no_count_is_none(step: str) -> None:
    for line in (
        Pattern(r"(?P<step>\S+) (?P<loss>\S+)").read(f"{step} 0.5"),
        Pattern(r"(?P<name>\w+)=(?P<value>\S+)").read(f"step={step} loss=0.5"),
    ):
        assert line is not None
        assert (line.step, line.metrics) == (None, {"loss": 0.5})


def test_a_pattern_with_name_and_value_finds_all_of_a_line() -> None:
    line = Pattern(r"#(?P<epoch>\d+)|(?P<name>[a-z ]+)->(?P<value>[\d.]+)").read("#4: val loss->0.5 acc->0.25")
    assert line is not None
    assert line.metrics == {"epoch": 4, "val_loss": 0.5, "acc": 0.25}


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(?P<loss>", "not a regular expression"),
        (r"loss=(\d+)", "names no metric"),
        (r"(?P<epoch>\d+)", "names no metric"),
        (r"(?P<name>\w+)", "belong together"),
    ],
)
def test_what_is_wrong_with_a_pattern_is_said(pattern: str, words: str) -> None:
    assert words in str(pattern_mistake(pattern))


def test_nothing_is_wrong_with_a_pattern_that_names_a_metric() -> None:
    assert pattern_mistake(r"(?P<loss>\d+)") is None
    assert pattern_mistake(r"(?P<name>\w+)=(?P<value>\d+)") is None


def test_a_log_is_read_from_an_offset_on_and_each_line_once_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    follower = OutputLines(log, offset=len("epoch 1 loss 9\n"))
    assert follower.poll() == []
    text = "epoch 1 loss 9\nepoch 2 loss 0.5\r\nepoch 3: loss=0.2"
    log.write_text(text)
    assert [dict(one.metrics) for one in follower.poll()] == [{"epoch": 2, "loss": 0.5}]
    log.write_text(text + "5\repoch 4: loss=0.1")
    assert [dict(one.metrics) for one in follower.poll()] == [{"epoch": 3, "loss": 0.25}]
    assert [dict(one.metrics) for one in follower.end()] == [{"epoch": 4, "loss": 0.1}]
    assert follower.end() == []


@pytest.mark.parametrize(
    ("text", "metrics"),
    [
        ("\x1b[1mloss\x1b[0m=\x1b[31m.5\x1b[0m", {"loss": 0.5}),
        ("saved the weights of the best model so far with loss: 0.5", {"loss": 0.5}),
        ("loss=nan acc: inf", {"loss": math.nan, "acc": math.inf}),
        ("x" * 70 + " loss=0.5", {}),
        ("0.1 0.2 loss 0.3", {}),
        ("12:00:01 0.1 0.2", {}),
    ],
)
def test_a_line_of_an_epoch_gives_what_has_a_sign(text: str, metrics: dict[str, float]) -> None:
    lines = Lines()
    lines.read("epoch 4")
    line = lines.read(text)
    assert repr(line.metrics if line else {}) == repr({**metrics, "epoch": 4.0} if metrics else {})


def test_what_is_behind_much_else_is_found_and_is_where_it_was_read_up_to(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    much = [" ".join(["0.25"] * 2000), "x=1 " * 300, "=" * 5000, "7" * 10**6, "\u2581" * 3000, "name 0.5 " * 500]
    log.write_text("\n".join([*much, "epoch 1 loss 0.5", *much, "loss: 0.25", "epoch 2 loss"]))
    follower = OutputLines(log)
    found = [dict(one.metrics) for one in follower.end()]
    assert found == [{"epoch": 1, "loss": 0.5}, {"x": 1, "epoch": 1}, {"epoch": 1, "loss": 0.25}]
    assert log.read_bytes()[follower.read :] == b"epoch 2 loss"


def test_a_line_of_any_length_takes_no_time(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("epoch 1 " + "a b " * 500_000 + "\n" + "x" * 3_000_000 + "\nepoch 2 loss 0.5\n")
    begun = time.monotonic()
    assert [dict(one.metrics) for one in OutputLines(log).end()] == [{"epoch": 2, "loss": 0.5}]
    assert time.monotonic() - begun < 30  # hours, if every way through these lines were tried


@given(st.text(max_size=2 * LONGEST))
def test_no_line_is_too_strange(text: str) -> None:
    line = Lines().read(f"epoch 1 {text}")
    assert line is None or line.metrics
