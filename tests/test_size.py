"""Sweeps of many trials: what is read by rows, and laid out by the widest, is what it was."""

import io
import itertools
import math
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import grown
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, ViewType
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.spec import load
from orchestrator.terminal.drawn import Drawn
from orchestrator.trackers import Store, trial_runs
from orchestrator.trackers.trial_runs import TrialRun, Wanted, of_trials, pages, points_of

Sweep = Callable[..., subprocess.CompletedProcess[str]]


def by_the_client(client: MlflowClient, wanted: Wanted) -> list[TrialRun]:
    search = partial(client.search_runs, [wanted.experiment_id], wanted.filter, wanted.stage)
    return [TrialRun.of(run) for run in pages(partial(search, order_by=["attributes.start_time ASC"]))]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> str:
    """The tracking URI of a database, one of each kind."""
    store: str = request.getfixturevalue("store")
    return request.getfixturevalue("postgresql")() if request.param == "postgresql" else store


@pytest.fixture
def runs(database: str, monkeypatch: pytest.MonkeyPatch) -> tuple[MlflowClient, str]:
    """An experiment with runs of all kinds, in more pages than one."""
    monkeypatch.setattr(trial_runs, "PAGE", 2)
    monkeypatch.setattr(trial_runs, "AT_ONCE", 2)
    client = MlflowClient(database)
    experiment = client.create_experiment("toy")
    metrics = [Metric(name, value, 1, 1) for name, value in (("b", math.nan), ("a", math.inf), ("Ä/ö", -0.0))]
    for number, began in enumerate((30, 10, 20, 20, 40)):
        tags = {"of": "it's" if number == 1 else "a", "z": "", "学": "\n'\"", "sweep": "toy"}
        run_id = client.create_run(experiment, start_time=began, tags=tags).info.run_id
        client.log_batch(run_id, metrics[: 4 - number])
        if number:
            client.set_terminated(run_id, "FAILED" if number == 2 else "FINISHED", end_time=100 * number)
        if number == 3:
            client.delete_run(run_id)
    client.create_run(client.create_experiment("other"), tags={"of": "a"})
    return client, experiment


WANTED = [
    *(
        {"tags": tags}
        for tags in ({}, {"of": "a"}, {"of": "a", "sweep": "toy"}, {"of": "none"}, {"z": ""}, {"学": None})
    ),
    *({"stage": stage} for stage in (ViewType.DELETED_ONLY, ViewType.ALL)),
    *({"status": status} for status in ("RUNNING", "FINISHED", "KILLED")),
    *({"ended_since": since} for since in (0, 200, 201)),
    {"tags": {"of": None}, "stage": ViewType.ALL, "status": "FINISHED", "ended_since": 300},
]


def test_a_database_gives_by_rows_what_mlflows_client_gives(runs: tuple[MlflowClient, str]) -> None:
    client, experiment = runs
    counts = []
    for limits in WANTED:
        wanted = Wanted(experiment, **{"tags": {"sweep": "toy"}, **limits})
        found = list(of_trials(client, wanted))
        assert repr(found) == repr(by_the_client(client, wanted))  # NaN, and the order of tags and metrics, too
        counts.append(len(found))
    assert counts == [4, 3, 3, 0, 4, 4, 1, 5, 1, 2, 0, 3, 2, 1, 2]


def test_a_database_is_not_asked_for_tags_that_are_not_needed(runs: tuple[MlflowClient, str]) -> None:
    client, experiment = runs
    wanted = partial(Wanted, experiment, {"sweep": "toy", "z": ""})
    found, whole = (list(of_trials(client, wanted(unneeded=names))) for names in (("z", "学"), ()))
    assert {*found[0].tags} == {*whole[0].tags} - {"z", "学"}
    assert [replace(run, tags={}) for run in found] == [replace(run, tags={}) for run in whole]


@pytest.mark.slow
def test_a_database_gives_a_curve_of_many_runs_as_mlflows_client_gives_it(database: str) -> None:
    client = MlflowClient(database)
    experiment = client.create_experiment("toy")
    points = [Metric("a", value, at, step) for value, at, step in ((2, 1, 2), (1, 2, 1), (math.nan, 2, 2), (0, 1, 2))]
    run_ids = [client.create_run(experiment).info.run_id for _ in range(3)]
    client.log_batch(run_ids[1], [*points, Metric("b", 1.0, 1, 1)])
    client.log_batch(run_ids[2], points[:1])
    by_run = [(run_id, point) for run_id in sorted(run_ids) for point in client.get_metric_history(run_id, "a")]
    assert repr(list(points_of(client, "a", run_ids))) == repr([(id_, one.step, one.value) for id_, one in by_run])
    assert len(by_run) == 5


PLAIN = [("lr=0.1 seed=0", "bf0cddf2d26eccfd", "done: completed"), ("", "", ""), (" a  b ", "[red]x[/red]", ":smile:")]
ODD = [(text, "a") for text in ("two\nlines", "tab\tbed", "bell\a", "esc\x1b[31m", "line\u2028", "\xa0")]
WIDE = [("学习率=0.1", "é"), ("e\u0301=1", "👩‍🚀"), ("a", "ü" * 30)]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [[], PLAIN, PLAIN[:1], ODD, *([row] for row in ODD), WIDE, PLAIN * 6])
def test_a_table_is_drawn_as_rich_draws_it(rows: Sequence[Sequence[str]]) -> None:
    styled = [[*cells[:-1], Text.assemble((cells[-1], "bold white on red"))] for cells in rows]
    header = ("trial", "学", "state")[: len(rows[0]) if rows else 3]
    for cells, width in itertools.product((rows, [*rows, *styled], styled), (10_000, 80, 40, 20, 8)):
        table = Drawn("toy: 3 trials of [b]toys[/b]", header, cells)
        for colours in (True, False):
            assert printed(table, width, colours) == printed(table._table(cells), width, colours)


def printed(table: Drawn | RichTable, width: int, colours: bool) -> str:
    system = "truecolor" if colours else None
    console = Console(file=io.StringIO(), width=width, force_terminal=colours, color_system=system, highlight=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_rich_lays_out_one_row_of_a_long_table_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out: list[int] = []
    whole = Drawn._table

    def table(self: Drawn, rows: Iterable[Sequence[str | Text]]) -> RichTable:
        laid_out.append(len([*rows]))
        return whole(self, rows)

    monkeypatch.setattr(Drawn, "_table", table)
    printed(Drawn("title", ("a", "b", "c"), PLAIN * 100), 80, colours=True)
    assert laid_out == [1]
    printed(Drawn("title", ("a", "b", "c"), PLAIN * 100), 40, colours=True)
    assert laid_out == [1, 1, 300]


@pytest.mark.slow
def test_a_sweep_whose_runs_are_read_by_rows_is_shown_as_before(
    folder: Path, store: str, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = grown.sweep_file(folder, grown.FEWEST)
    assert sweep("launch", path, "--quiet").returncode == 0
    path = grown.sweep_file(folder, 10 * grown.FEWEST)
    assert "to run: 180 of 200" in sweep("plan", path).stdout
    grown.grow(store, path)
    calls = [("plan", path), ("status", path), ("status", "wide"), ("best", "wide"), ("best", path)]
    calls += [("logs", "wide", 150), ("launch", path, "--quiet"), ("report", "wide", "--out", "report")]

    def shown() -> list[str]:
        done = [sweep(*call) for call in calls]
        assert {one.returncode for one in done} == {0}, [one.stderr for one in done]
        return [*(one.stdout for one in done), (folder / "report" / "report.csv").read_text()]

    by_rows = shown()
    assert "to run: 0 of 200" in by_rows[0]
    assert "epoch 8" in by_rows[5]
    monkeypatch.setattr("orchestrator.trackers.store.of_trials", by_the_client)
    assert shown() == by_rows


@pytest.mark.slow
def test_a_copied_run_is_what_a_launch_writes(folder: Path, store: str, sweep: Sweep) -> None:
    path = grown.sweep_file(folder, grown.FEWEST)
    assert sweep("launch", path, "--quiet").returncode == 0
    shutil.copytree("mlruns", "launched")
    path = grown.sweep_file(folder, 2 * grown.FEWEST)
    grown.grow(store, path)
    uri = f"sqlite:///{folder / 'launched' / 'mlflow.db'}"
    assert sweep("launch", path, "--quiet", "--tracking-uri", uri).returncode == 0
    objectives = load(path).objectives
    copied, launched = (
        {record.trial_key: record for record in Store(place).records("wide", objectives)} for place in (store, uri)
    )
    assert copied.keys() == launched.keys()
    assert len(copied) == 2 * grown.FEWEST
    own = {"wall_seconds", "end_number", "mlflow.runColor", "mlflow.parentRunId", "mlflow.note.content"}
    for key, record in copied.items():
        other = launched[key]
        assert (record.label, record.outcome, record.params) == (other.label, other.outcome, other.params)
        assert (record.tags.keys(), record.metrics.keys()) == (other.tags.keys(), other.metrics.keys())
        shared = [name for name in record.tags if name not in own and not name.startswith("explosion.")]
        assert {name: record.tags[name] for name in shared} == {name: other.tags[name] for name in shared}
        assert record.run_id in record.tags["mlflow.note.content"]
        assert record.metrics.get("best_val_loss") == pytest.approx(other.metrics.get("best_val_loss"))
