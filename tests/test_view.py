"""The view of a sweep on screens of any size, and the curves in it."""

import itertools
from dataclasses import replace

import pytest
from rich.console import Console

from orchestrator.progress.downsample import MOST, Downsampled
from orchestrator.progress.status import Best, Running, Status
from orchestrator.spec import Objective
from orchestrator.terminal.sparkline import BLOCKS, PLAIN, sparkline
from orchestrator.terminal.view import view
from orchestrator.trial import Outcome

METRIC = Objective("val_ssim", "maximize")
TRIALS = [
    Running(f"var={var} lr=0.002 seed={seed}", 12, 50, 34, 55, 39.412, (900, 90, 50, 45, 44, 43, 42, 41), 12345.6, 125)
    for var in (0.5, 0.25, 0.1, 0.05)
    for seed in range(10)
]
BEST = Best("var=0.05 lr=0.002 seed=3", {}, METRIC, 0.9112)
STATUS = Status("var", 80, {Outcome.COMPLETED: 12, Outcome.EXPLODED: 3}, TRIALS[:3], BEST, 100, 345)


def printed(status: Status, width: int, height: int | None = None) -> list[str]:
    """The lines of the view, as a console of that width prints them."""
    console = Console(width=width, color_system=None, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(*view(status, width, height), sep="\n")
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_view_is_never_wider_than_its_screen_and_names_each_trial(width: int) -> None:
    lines = printed(STATUS, width)
    assert max(map(len, lines)) <= width
    rows = lines[1:4]
    assert all(row.startswith(trial.label[:14]) for row, trial in zip(rows, STATUS.running, strict=True))
    assert all("12/50" in row and "39.412" in row for row in rows)
    told = " ".join(" ".join(lines).split())
    for fact in ("var", "15/80 trials", "3 running", "completed 12", "loss explosion 3", "left 5 min 45 s"):
        assert fact in told
    assert "best val_ssim 0.9112: var=0.05 lr=0.002 seed=3" in told


@pytest.mark.parametrize(("width", "begin"), [(40, "best"), (80, "best mean_absolute_"), (200, "best mean_absolute_")])
@pytest.mark.parametrize("target", [None, 0.1])
def test_the_best_value_and_what_tells_its_trial_apart_stay_on_a_narrow_screen(
    width: int, begin: str, target: float | None
) -> None:
    metric = Objective("mean_absolute_percentage_error_on_the_held_out_validation_split", "minimize", target=target)
    same = "train_split=0.75 first_layer_of_the_encoder=128 "
    running = [replace(STATUS.running[0], label=f"{same}epochs={epochs}") for epochs in (3, 4)]
    status = replace(STATUS, running=running, best=Best(f"{same}epochs=5", {}, metric, 0.2))
    lines = printed(status, width)
    assert max(map(len, lines)) <= width
    (at,) = [i for i, line in enumerate(lines) if line.startswith(begin) or f"  {begin}" in line]
    told = " ".join(lines[at:])
    assert " 0.2" in told
    assert target is None or "0.2 (target 0.1): " in told
    assert told.endswith("=5")
    assert width < 200 or told == f"best {metric.name} 0.2{' (target 0.1)' * bool(target)}: {same}epochs=5"


def test_where_there_is_no_room_columns_go_by_their_weight() -> None:
    headers = [printed(STATUS, width)[0].split() for width in (200, 80, 60, 40, 30, 20, 12)]
    assert headers[0] == ["trial", "epoch", "step", "loss", "curve", "rate", "left"]
    assert all({*narrow} <= {*wide} for wide, narrow in itertools.pairwise(headers))
    assert headers[-2:] == [["trial", "epoch"], ["trial"]]
    assert "trial" in printed(STATUS, 5)[0]


def test_labels_that_are_shortened_leave_room_for_further_columns() -> None:
    same = "of_a_name_that_is_long"
    running = [replace(STATUS.running[0], label=f"x={x} {same}", step=0, rate=None) for x in (1, 2)]
    header, first, second, *_ = printed(replace(STATUS, running=running), 40)
    assert header.split() == ["trial", "epoch", "loss", "left"]
    assert first.startswith("… x=1 ")
    assert second.startswith("… x=2 ")


@pytest.mark.parametrize("height", range(1, 12))
def test_a_view_is_never_taller_than_its_screen_and_counts_what_it_leaves_out(height: int) -> None:
    lines = printed(replace(STATUS, running=TRIALS), 80, height)
    assert len(lines) <= height
    rows = sum("12/50" in line for line in lines)
    more = [line for line in lines if line.startswith("and ")]
    assert more == ([f"and {40 - rows} more"] if rows else [])
    assert rows == max(0, height - 5)
    assert any("40 running" in line for line in lines)


def test_a_screen_without_blocks_gets_letters() -> None:
    lines = [line.plain for line in view(replace(STATUS, running=TRIALS), 40, 8, plain=True)]
    assert "".join(lines).isascii()


def test_a_curve_falls_with_its_values() -> None:
    assert sparkline([8, 7, 6, 5, 4, 3, 2, 1.5], 8) == BLOCKS[::-1]
    assert sparkline([8, 7, 6, 5, 4, 3, 2, 1.5], 8, PLAIN) == PLAIN[::-1]
    assert sparkline([3.0] * 5, 8) == BLOCKS[0] * 5
    assert sparkline([], 8) == sparkline([1.0], 0) == ""


def test_a_curve_that_ranges_far_is_drawn_by_its_logarithm() -> None:
    assert sparkline([10.0**-i for i in range(8)], 8) == BLOCKS[::-1]
    assert sparkline([1e308, 1, -1e308], 3) == BLOCKS[7] + BLOCKS[4] + BLOCKS[0]
    assert len(set(sparkline([10.0**-i for i in range(7)] + [-1], 8))) == 3


def test_a_curve_of_more_values_than_columns_keeps_its_shape() -> None:
    drawn = sparkline([*range(1000), *range(1000, 0, -1)], 20)
    assert len(drawn) == 20
    assert drawn == drawn[::-1]
    assert drawn[9:11] == BLOCKS[7] * 2


def test_losses_are_kept_in_bounded_memory_and_in_their_order() -> None:
    losses = Downsampled()
    for i in range(100_000):
        losses.add(-float(i))
        losses.add(float("nan"))
    assert MOST <= len(losses.values) <= 2 * MOST
    assert losses.values == sorted(losses.values, reverse=True)
    assert losses.values[0] > -2000
    assert losses.values[-1] < -97_000
