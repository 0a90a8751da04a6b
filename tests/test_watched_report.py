"""A report that is kept current while its sweep runs, and the page in a real browser that loads itself again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from exploring import recorded
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from playwright.sync_api import Browser, Page, expect

from orchestrator import live_report
from orchestrator.live_report import LiveReport
from orchestrator.reports import current, files
from orchestrator.reports.document import Section
from orchestrator.reports.page import html
from orchestrator.spec import SweepSpec, load
from orchestrator.trackers import Store, Tracker, kept_report
from orchestrator.workspace import Workspace

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
PATIENCE = 40_000.0  # milliseconds


@pytest.fixture
def section(folder: Path, store: str) -> Section:
    return recorded(folder, store)


@pytest.fixture
def running(store: str, write: Write) -> SweepSpec:
    """A sweep whose launch has begun, and not said that it has ended."""
    spec = load(write("trial: toys:train\nreport: true\nparameters: {x: 1.0, epochs: 1}"))
    tracker = Tracker(store, spec)
    tracker.open(1)
    tracker.abandon()
    return spec


def stamped(folder: Path, section: Section, stamp: int) -> None:
    """What a page that is kept current is, with a stamp of the test's."""
    (folder / "report.html").write_text(html("explored", "made", [section], stamp), encoding="utf-8")
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{stamp}" height="1"/>'
    (folder / files.STAMP).write_text(svg)


def loaded(page: Page, stamp: int | None) -> None:
    """Wait until another page is there, and drawn."""
    which = ":not([data-stamp])" if stamp is None else f"[data-stamp='{stamp}']"
    page.wait_for_selector(f"html{which}[data-drawn=all]", state="attached", timeout=PATIENCE)


@pytest.mark.slow
def test_the_page_loads_itself_again_and_stays_where_it_was(browser: Browser, section: Section, folder: Path) -> None:
    stamped(folder, section, 1)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((folder / "report.html").as_uri())
    loaded(page, 1)
    page.get_by_role("button", name="trial", exact=True).click()
    field = page.get_by_label("only x", exact=True)
    field.fill("2..4")
    expect(page.locator(".count")).to_contain_text("12 of 24")
    page.locator("summary", has_text="Columns").click()
    page.locator("details.columns").get_by_label("outcome").uncheck()
    page.evaluate("scrollTo(0, 600)")
    field.focus(timeout=PATIENCE)
    stamped(folder, section, 2)
    page.wait_for_timeout(5000)  # two looks at the stamp: somebody types
    assert page.evaluate("document.documentElement.dataset.stamp") == "1"
    page.evaluate("document.activeElement.blur(); scrollTo(0, 600)")
    loaded(page, 2)
    expect(page.locator(".count")).to_contain_text("12 of 24")
    expect(page.get_by_label("only x", exact=True)).to_have_value("2..4")
    assert page.evaluate("scrollY") == 600
    assert {"hide=state", "sort=label%7Easc"} <= {*page.evaluate("links.state()").split("&")}
    files.write([section], folder)
    loaded(page, None)  # the last one, which asks for nothing
    expect(page.locator(".count")).to_contain_text("12 of 24")
    assert said == []
    page.close()


def test_the_last_page_leaves_no_stamp_and_asks_for_no_file(section: Section, folder: Path) -> None:
    page = files.write_current([section], folder / "out")
    assert "'self' file:" in page.read_text("utf-8")
    assert (page.parent / files.STAMP).is_file()
    files.write([section], folder / "out")
    assert "'self' file:" not in page.read_text("utf-8")
    assert not (page.parent / files.STAMP).exists()
    assert not [*page.parent.glob(".*")]


def test_it_is_made_until_the_sweep_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "SECONDS_BETWEEN_PAGES", 0.0)
    monkeypatch.setattr(current, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(current, "SHARE_OF_MAKING", 0.5)
    made: list[int] = []  # with which priority
    usual = os.getpriority(os.PRIO_PROCESS, 0)

    def make() -> None:
        made.append(os.getpriority(os.PRIO_PROCESS, 0))
        sum(range(200_000))  # so that there is a time to wait

    current.keep_current(lambda: len(made) < 3, make)
    assert made == [max(usual, current.LEAST_PRIORITY)] * 3
    assert os.getpriority(os.PRIO_PROCESS, 0) == usual  # for the whole report, for which a launch waits


@pytest.mark.slow
def test_a_launch_leaves_its_report_beside_the_sweeps_run(store: str, write: Write, sweep: Sweep, folder: Path) -> None:
    path = write(
        "trial: toys:train\nreport: true\nmetric: {name: score, goal: maximize}\nparameters: {x: 1.0, epochs: 2}"
    )
    assert "report: reports/toy/report.html is kept current" in sweep("plan", path).stdout
    for name in ("html", "jinja2", "typer"):
        (folder / f"{name}.py").write_text("raise SystemExit('not meant')")
    (folder / "reports" / "toy").mkdir(parents=True)
    (folder / "reports" / "toy" / "report-of-mine.txt").write_text("mine")
    other = store.replace("mlflow.db", "other.db")
    (folder / "mlruns" / "mlflow.db").rename(folder / "mlruns" / "other.db")
    done = sweep("launch", path, "--executor", "inline", "--tracking-uri", other)
    assert done.returncode == 0, done.stderr
    assert "could not be made" not in done.stdout + done.stderr
    page = (folder / "reports" / "toy" / "report.html").read_text()
    assert f'"store":" --tracking-uri {other}"' in page  # which its commands need
    client = MlflowClient(tracking_uri=other)
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (trial,) = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    (parent,) = [run for run in runs if run is not trial]
    there = {item.path for item in client.list_artifacts(parent.info.run_id, "report")}
    assert there == {f"report/{name}" for name in ("report.html", "report.csv", "report.md", "report-pictures")}
    link = f"[the report](#/experiments/1/runs/{parent.info.run_id}/artifacts/report/report.html?"
    assert f"/runs/{parent.info.run_id}?" in trial.data.tags["mlflow.note.content"]
    assert all(link in run.data.tags["mlflow.note.content"] for run in runs)


@pytest.mark.slow
def test_a_report_is_kept_beside_the_run_of_its_sweep_and_written_where_the_store_refuses_it(
    store: str, folder: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MlflowException("not yours", error_code=PERMISSION_DENIED)

    recorded(folder, store)
    with monkeypatch.context() as refusing:
        refusing.setattr(MlflowClient, "log_artifact", refuse)
        done = sweep("report", "explored")
    assert done.returncode == 0
    assert done.stderr == "sweep: the report is in reports/explored alone, and not in the store: MLflow: not yours\n"
    client = MlflowClient(tracking_uri=store)
    (parent,) = client.search_runs(["1"], "tags.`sweep.role` = 'parent'")
    assert sweep("report", "explored.yaml").returncode == 0
    kept = [item.path for item in client.list_artifacts(parent.info.run_id, "report")]
    assert "report/report.html" not in kept  # a file may ask for a part of the trials
    kept_report.keep(Store(store), "explored", Path("reports/explored"))
    there = {item.path for item in client.list_artifacts(parent.info.run_id, "report")}
    assert {f"report/{name}" for name in ("report.html", "report.csv", "report.md")} <= there
    kept_report.keep(Store(store), "explored", Path("reports/explored"))
    (parent,) = client.search_runs(["1"], "tags.`sweep.role` = 'parent'")
    assert parent.data.tags["mlflow.note.content"].count("/artifacts/report/report.html") == 1


@pytest.mark.slow
def test_the_report_of_a_launch_that_is_gone_is_made_a_last_time(store: str, running: SweepSpec) -> None:
    logged: list[str] = []
    with Workspace(store, running.name), LiveReport(running, store, logged.append) as report:
        report.begin()
        process = report._process
        assert process is not None
        assert process.stdin is not None
        while not (report.folder / files.STAMP).exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.stdin.close()  # as the system does when a launch is killed
        assert process.wait(100) == 0  # although the sweep still seems to run
    assert (report.folder / "report.csv").is_file()
    assert not (report.folder / files.STAMP).exists()


def test_an_interrupt_while_the_report_is_made_changes_no_result(
    store: str, write: Write, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def interrupted(report: LiveReport, tracker: Tracker, stops: Callable[[], bool]) -> None:
        seen.append(tracker.client.get_run(tracker.parent_id).info.status)
        os.kill(os.getpid(), signal.SIGINT)
        seen.append(stops())
        seen.append(tracker.parent_id)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second one is to raise")

    monkeypatch.setattr(LiveReport, "end", interrupted)
    done = sweep("launch", write("trial: toys:train\nparameters: {x: 1.0, epochs: 1}"), "--executor", "inline")
    assert done.returncode == 130
    *seen, parent_id = seen
    assert seen == ["FINISHED", True]
    assert MlflowClient(tracking_uri=store).get_run(str(parent_id)).info.status == "FINISHED"


def test_nobody_waits_for_a_report_once_the_launch_is_interrupted(
    store: str, running: SweepSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import sys; sys.stdin.read(); sys.exit('no report')"
    monkeypatch.setattr(live_report, "COMMAND", (sys.executable, "-c", program))
    logged: list[str] = []
    with LiveReport(running, store, logged.append) as report:
        report.begin()
        report.end(Tracker(store, running), lambda: True)
    assert logged[1:] == ["the report is not kept in the store: interrupted"]
    with LiveReport(running, store, logged.append) as report:
        report.begin()
        report.end(Tracker(store, running), lambda: False)
    assert logged[-1] == "the report could not be made: no report"
    monkeypatch.setattr(live_report, "MOST_SECONDS", 0.0)
    monkeypatch.setattr(live_report, "COMMAND", (sys.executable, "-c", "import time; time.sleep(600)"))
    with LiveReport(running, store, logged.append) as report:
        report.begin()
        process = report._process
        report.end(Tracker(store, running), lambda: False)
        assert process is not None
        assert process.wait() == -signal.SIGKILL
    assert logged[-1] == "the report could not be made: it took longer than 0 s"


def test_a_whole_report_beside_one_that_is_kept_current_loads_itself_again(section: Section, folder: Path) -> None:
    with files.kept_current(folder / "out"), files.kept_current(folder / "out"):
        written = files.write([section], folder / "out")
        assert "data-stamp" in written.page.read_text("utf-8").partition("<head>")[0]
        assert (folder / "out" / files.STAMP).is_file()
        assert written.table.is_file()
    files.write([section], folder / "out")
    assert "data-stamp" not in written.page.read_text("utf-8").partition("<head>")[0]
    assert not (folder / "out" / files.STAMP).exists()


def test_several_may_write_a_file_at_once(tmp_path: Path) -> None:
    path, texts = tmp_path / "report.html", [letter * 100_000 for letter in "abcd"]
    with ThreadPoolExecutor(len(texts)) as writers:
        for made in [writers.submit(files._replace, path, text) for text in texts * 50]:
            made.result()
    assert path.read_text("utf-8") in texts
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.slow
def test_a_report_that_cannot_be_made_ends_no_launch(store: str, write: Write, sweep: Sweep, folder: Path) -> None:
    (folder / "reports").write_text("a file")
    done = sweep("launch", write("trial: toys:train\nreport: true\nparameters: {x: 1.0, epochs: 1}"))
    assert done.returncode == 0
    assert "the report could not be made: sweep: --out" in done.stdout + done.stderr


def test_watching_has_no_json(store: str, sweep: Sweep) -> None:
    said = sweep("report", "toy", "--watch", "--json")
    assert said.returncode == 2
    assert "--watch is for people" in said.stderr
