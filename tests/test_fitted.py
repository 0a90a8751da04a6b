"""What does not fit a terminal: columns by importance, labels by what tells them apart, lines between words."""

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from orchestrator.progress.status import Running, Status
from orchestrator.terminal.fitted import print_table
from orchestrator.terminal.view import view
from orchestrator.trial import Outcome
from orchestrator.trials.shortening import shortened

LONG = ("initial_learning_rate_of_the_optimizer", "weight_decay_of_the_encoder", "name_of_the_augmentation")
HEADER = (*LONG, "outcome", "score", "accuracy_of_the_validation_set", "epochs", "time")
ROWS = [
    [lr, "1e-05", augmentation, Text("loss explosion", style="red"), "5.115", "0.4000", "6", "1 min 05 s"]
    for lr in ("0.001", "0.002")
    for augmentation in ("none", "random_crop_and_flip", "random_crop_and_no_flip")
]
PATHS = [f"/data/runs/of/the/year/2026/{coder}/with_a_dropout_of_{n}" for coder in ("encoder", "decoder") for n in "12"]


def printed(width: int, **options: object) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    print_table(console, "toy: best score first", HEADER, ROWS, **options)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]


def test_a_table_that_fits_has_all_columns() -> None:
    assert printed(10_000)[1].split() == [*HEADER]
    assert "no room" not in " ".join(printed(10_000))


def test_a_narrow_table_leaves_out_what_matters_least_and_says_so() -> None:
    lines = printed(80, needed=HEADER[:5])
    headings = lines[1].split()
    assert {"outcome", "score"} < {*headings}
    assert [heading[:3] for heading in headings[:3]] == [name[:3] for name in LONG]
    assert all(cell_len(line) <= 80 for line in lines)
    assert sum("loss explosion" in line for line in lines) == len(ROWS)
    assert len({line for line in lines if "loss explosion" in line}) == len(ROWS)
    said = " ".join(lines[-2:])
    assert "no room for: epochs, time" in said
    assert "a wider terminal, or a pipe, has them" in said


@pytest.mark.parametrize("width", [30, 40])
def test_where_a_table_says_too_little_each_row_is_a_line_of_whole_words(width: int) -> None:
    lines = printed(width, needed=HEADER[:5])
    words = {word.strip(",") for line in lines for word in line.split()}
    assert {"0.001", "random_crop_and_no_flip", "explosion", "5.115"} <= words
    assert any("initial_learning_rate_of_the" in word for word in words)
    assert "epochs" in words  # left out, and said so
    assert "6" not in words


def test_where_no_column_is_needed_more_than_others_lines_have_all() -> None:
    lines = " ".join(printed(8))
    assert all(str(cell) in lines for cell in ROWS[0] if " " not in str(cell) and cell_len(str(cell)) <= 8)
    assert "no room for" not in lines


@pytest.mark.parametrize("width", [26, 30, 35, 45, 60, 70, 80, 200])
def test_short_labels_keep_what_tells_them_apart(width: int) -> None:
    named = [f"{LONG[0]}={lr} {LONG[1]}=1e-05 dropout={d}" for lr in ("0.001", "0.002") for d in ("0", "0.5")]
    for labels in (named, PATHS):
        short = shortened(labels, width)
        assert all(cell_len(text) <= width for text in short)
        assert len({*short}) == len(labels) or (labels is PATHS and width < 36)
    assert all(lr in text for lr, text in zip(("0.001",) * 2 + ("0.002",) * 2, shortened(named, width), strict=True))


def test_names_that_would_look_alike_are_not_shortened_to_that() -> None:
    labels = ["rate_of_the_first_layer=1 rate_of_the_other_layer=2"]
    assert shortened(labels, 45) != shortened(labels, 100)
    first, second = shortened(labels, 45)[0].split(" ")
    assert first.partition("=")[0] != second.partition("=")[0]


def test_names_that_differ_in_their_middle_stay_apart_and_values_whole() -> None:
    first, final = "decay_of_the_first_layer_of_the_encoder", "decay_of_the_final_layer_of_the_encoder"
    labels = [f"{first}={a} {final}={b}" for a in ("0.1", "0.25") for b in ("1e-05", "3")]
    short = shortened(labels, 34)
    assert len({*short}) == 4
    assert all(len(text) <= 34 for text in short)
    assert [re.findall("=([^ ]+)", text) for text in short] == [re.findall("=([^ ]+)", label) for label in labels]


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 16])
def test_no_label_is_wider_than_the_terminal(width: int) -> None:
    for labels in ([*PATHS], ["学习率=0.1 批量=学学学学学学学学学学"], ["x=1"], [""]):
        assert all(cell_len(text) <= width for text in shortened(labels, width))


def test_the_live_view_of_long_labels_fits_every_screen() -> None:
    running = [Running(f"{LONG[0]}=0.00{i} {LONG[1]}=1e-05 x={i}", 3, 9, value=4.0, values=[9, 4]) for i in range(4)]
    status = Status("toy", 20, {Outcome.COMPLETED: 3}, running, seconds=7.0, rate=12.34)
    for width, height in ((80, 24), (40, 20), (200, 50), (20, 8)):
        lines = [line.plain for line in view(status, width, height)]
        assert len(lines) <= height
        assert all(cell_len(line) <= width for line in lines)
        if height >= 20:
            assert len({line.split("=")[1][:5] for line in lines[1:5]}) == 4
            assert "12.3 trials a second" in " ".join(lines)
