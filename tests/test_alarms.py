"""The labelled curves of benchmarks/curves, and how the divergence rule fares on them."""

from collections.abc import Sequence
from pathlib import Path

import alarms
import pytest
from labelling import EXPLODED, HEALTHY, HELD_OUT, Curve, read

from orchestrator.divergence import DivergenceRule
from orchestrator.events import Progress
from orchestrator.worker import journal
from orchestrator.worker.monitor import ExplodedError, Monitor


@pytest.fixture(scope="module")
def curves() -> list[Curve]:
    return [*read()]


def of(curves: Sequence[Curve], *domains: str) -> list[Curve]:
    return [curve for curve in curves if curve.domain in domains]


def test_there_are_curves_enough_each_with_a_reason_and_many_of_them_are_held_out(curves: list[Curve]) -> None:
    assert len(curves) >= 120
    assert sum(curve.has_exploded for curve in curves) >= 40
    assert len({(curve.domain, curve.name) for curve in curves}) == len(curves)
    assert all(curve.why.count(";") and curve.epochs for curve in curves)
    assert sum(curve.is_held_out for curve in curves) >= 120
    assert sum(curve.is_held_out and curve.has_exploded for curve in curves) >= 40
    for label in (HEALTHY, EXPLODED):
        assert {curve.domain for curve in curves if curve.is_held_out and curve.label == label} == {*HELD_OUT}


def test_what_mixed_precision_skips_is_no_explosion_and_what_it_does_not_is(curves: list[Curve]) -> None:
    assert alarms.wrong(alarms.ours, of(curves, "amp")) == []


@pytest.mark.slow
def test_the_page_says_how_often_the_rule_is_wrong_on_what_was_held_out(curves: list[Curve]) -> None:
    page = alarms.DOCUMENT.read_text()
    rows = [line.split("|")[1:-1] for line in page.partition("### Goals")[2].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows]
    for goal in alarms.aims([curve for curve in curves if curve.is_held_out]):
        assert [goal.what, goal.goal, goal.found] in cells
    (row, *_) = [row for row in cells if row[0] == "this rule"]
    for label, cell in zip((HEALTHY, EXPLODED), row[1:], strict=False):
        own = [curve for curve in curves if curve.is_held_out and curve.label == label]
        assert cell == alarms.share(len(alarms.wrong(alarms.ours, own)), len(own))


def test_of_each_curve_held_out_its_quality_alone_says_whether_it_has_lost_what_it_learned(
    curves: list[Curve],
) -> None:
    held_out = [curve for curve in curves if curve.is_held_out]
    assert sum(curve.has_lost for curve in held_out) == 111
    assert len(held_out) == 271
    assert not any(curve.has_lost for curve in held_out if curve.label == HEALTHY)
    assert all(curve.has_lost for curve in held_out if curve.label == EXPLODED)


def test_a_training_that_is_taken_up_again_is_watched_as_if_never_cut_off(curves: list[Curve], tmp_path: Path) -> None:
    """After each epoch, by the journal: also within a jump, or between gradients that are not finite."""
    for curve in [curve for curve in of(curves, "amp", "streams") if curve.losses][::6]:
        (workdir := tmp_path / curve.name).mkdir()
        begun, monitor = 0, Monitor(DivergenceRule())
        for epoch in curve.epochs:
            monitor = Monitor(DivergenceRule(), [entry.memory for entry in journal.read(workdir)])
            end = int(epoch["step"])
            try:
                for step in range(begun, end):
                    monitor.step(step + 1, curve.losses[step], curve.grad_norms[step])
            except ExplodedError:
                break
            begun = end
            losses = {name: value for name, value in epoch.items() if "loss" in name}
            monitor.epoch_ended(int(epoch["epoch"]), losses)
            if monitor.explosion:
                break
            journal.write(workdir, Progress(int(epoch["epoch"]), {}, 1.0), monitor.state)
        else:
            monitor.run_ended({})
        assert (monitor.explosion is not None) == alarms.ours(curve), curve.name


def test_the_page_names_each_domain() -> None:
    rows = alarms.DOCUMENT.read_text().partition("## The rules")[0]
    assert all(f"| {domain} |" in rows for domain in {curve.domain for curve in read()})
