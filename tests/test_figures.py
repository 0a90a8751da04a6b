"""Numbers and labels have as many digits as tell them from their neighbours."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.comparison.table import Table
from orchestrator.reports import configurations as report
from orchestrator.spec import load
from orchestrator.system.figures import compared, figure, figures, precision
from orchestrator.trial import Outcome
from orchestrator.trials.draws import Draws
from orchestrator.trials.grid import expand
from orchestrator.trials.labels import Labels, distinct, told_apart
from orchestrator.trials.record import Record

Write = Callable[..., Path]
GRID = "trial: toys:train\nmetric: {{name: score, goal: maximize}}\nparameters: {{{parameters}}}\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.85, "0.8500"),
        (1578.3, "1578"),
        (2.35e-5, "2.35e-05"),
        (1e-6, "1e-06"),
        (-1e-9, "-1e-09"),
        (-0.0, "0"),
        (0.0723, "0.0723"),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_a_figure_has_significant_digits(value: float | None, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1e-6, 2e-6], ["1e-06", "2e-06"]),
        ([0.98765432, 0.98765431, 0.5], ["0.98765432", "0.98765431", "0.5000"]),
        ([1234.56, 1234.57], ["1234.56", "1234.57"]),
        ([1.0, 1.0 + 2e-16], ["1.0", "1.0000000000000002"]),
        ([-2e-6, -2.00001e-6], ["-2e-06", "-2.00001e-06"]),
        ([0.5, 0.5, None], ["0.5000", "0.5000", None]),
    ],
)
def test_neighbours_are_told_apart(values: list[float | None], texts: list[str | None]) -> None:
    found = figures(values)
    assert [None if value is None else found[value] for value in values] == texts


def test_two_numbers_in_a_sentence_are_told_apart() -> None:
    assert compared(0.123456789, 0.123456788) == ("0.123456789", "0.123456788")
    assert compared(0.5, 0.25) == ("0.5", "0.25")
    assert compared(0.5, 0.5) == ("0.5", "0.5")


def test_a_mean_has_the_digits_of_its_interval() -> None:
    assert precision(0.98765432, 1.2e-7) == 8
    assert precision(0.9, 0.02) == 4
    assert precision(2.35e-5, 2.5e-6) == 4
    assert report.measured([1e-6, 2e-6, 3e-6]) == "0.0000020 ± 0.0000025"
    assert report.measured([-1e-9, 1e-5, -1e-5]).startswith("0.000000 ")
    assert report.measured([1e308, 1.2e308]) == "1.1e+308 ± 1.3e+308"
    assert report.measured([1e-320, 2e-320]) == "1.5e-320 ± 6.4e-320"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.1234561, 0.1234562], ["0.1234561", "0.1234562"]),
        ([1, 1.0, "1"], ["1", "1.0", "'1'"]),
        ([True, "True"], ["True", "'True'"]),
        ([None, "None"], ["None", "'None'"]),
        ([0.1, 0.1 + 2e-17, 0.2], ["0.1", "0.10000000000000002", "0.2"]),
        ([1000000, 1000000.0], ["1000000", "1e+06"]),
        ([[0.1234561], [0.1234562]], ["[0.1234561]", "[0.1234562]"]),
    ],
)
def test_values_of_a_parameter_are_told_apart(values: list[object], texts: list[str]) -> None:
    found = distinct(values)
    assert [found[repr(value)] for value in values] == texts


def test_configurations_of_a_grid_have_labels_and_rows_of_their_own(folder: Path, write: Write) -> None:
    spec = load(write(GRID.format(parameters="x: {values: [0.1234561, 0.1234562, 3]}") + "seeds: [0, 1]\n"))
    trials = expand(spec).trials
    assert [trial.config for trial in trials[:3]] == ["x=0.1234561", "x=0.1234562", "x=3"]
    scores = dict(zip((trial.trial_key for trial in trials), (1e-6, 1.1e-6, 2e-5, 3e-5, 4e-5, 5e-5), strict=True))
    records = {
        trial.trial_key: Record(
            trial.trial_key,
            trial.trial_key,
            trial.label,
            Outcome.COMPLETED,
            "",
            trial.params,
            {"score": scores[trial.trial_key]},
            {"config_key": trial.config_key},
        )
        for trial in trials
    }
    table = Table.of(spec, trials, records)
    assert {tuple(row[:4]) for row in table.cells()} >= {
        ("0.1234561", "0", "completed", "1e-06"),
        ("0.1234562", "0", "completed", "1.1e-06"),
    }
    assert all("0.0000" not in cell for _, *row in (table.over_seeds()[1]) for cell in row)
    runs = report.runs_of(spec, list(records.values()), all_records=False, is_live=False, is_over=True)
    groups = report.configurations_of(spec, runs)
    assert sorted(group.label for group in groups) == ["x=0.1234561", "x=0.1234562", "x=3"]


def test_draws_that_look_alike_have_labels_of_their_own(folder: Path, write: Write) -> None:
    text = GRID.format(parameters="x: {min: 0.50000001, max: 0.50000009}")
    draws = Draws(load(write("method: random\nrun_cap: 30\nseeds: [0, 1]\n" + text)))
    trials = [*iter(draws.next, None)]
    assert len({trial.label for trial in trials}) == len(trials) == 30
    assert len({trial.config for trial in trials}) == len({trial.config_key for trial in trials}) == 15


def test_all_seeds_of_a_configuration_share_a_label_that_no_other_has(folder: Path, write: Write) -> None:
    spec = load(write(GRID.format(parameters="x: {values: [0.1234561, 0.1234562]}") + "seeds: [0, 1]\n"))
    trials = expand(spec).trials
    labels = Labels(spec)
    alike = [replace(trial, label=f"x=0.123456 seed={trial.params['seed']}") for trial in trials]
    found = [labels.apart(trial) for trial in alike[:3]]
    assert [trial.label for trial in found] == ["x=0.123456 seed=0", "x=0.1234562 seed=0", "x=0.123456 seed=1"]
    assert labels.apart(alike[3]).config == "x=0.1234562"


def test_labels_that_are_shared_have_as_many_marks_as_tell_them_apart() -> None:
    labels = [("a1", "x=1", None), ("b2", "x=1", "2"), ("c3", "x=2", "2")]
    assert told_apart(labels) == {"a1": "x=1 (version 1)", "b2": "x=1 (version 2)", "c3": "x=2"}
    of_two_versions = [("abcdefghi", "", "2"), ("bcdefghij", "", "2"), ("c", "", None)]
    found = [*told_apart(of_two_versions).values()]
    assert found == ["(version 2, abcdefgh)", "(version 2, bcdefghi)", "(version 1)"]
    of_the_first = [("k1", "x=1", None), ("k2", "x=1", "1"), ("k3", "x=1", "2")]
    assert [*told_apart(of_the_first).values()] == ["x=1 (version 1, k1)", "x=1 (version 1, k2)", "x=1 (version 2)"]
    assert [*told_apart(of_the_first[:2]).values()] == ["x=1 (k1)", "x=1 (k2)"]
    of_one = [("abcdefghi", "x=1", None), ("bcdefghij", "x=1", None)]
    assert [*told_apart(of_one).values()] == ["x=1 (abcdefgh)", "x=1 (bcdefghi)"]
