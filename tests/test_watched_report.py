"""A report that is kept current while its sweep runs, and the page in a real browser that loads itself again."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from exploring import recorded
from mlflow import MlflowClient
from playwright.sync_api import Browser, Page, expect

from orchestrator.reports import current, files
from orchestrator.reports.document import Section
from orchestrator.reports.page import html

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
PATIENCE = 40_000.0  # milliseconds


@pytest.fixture
def section(folder: Path, store: str) -> Section:
    return recorded(folder, store)


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
    assert page.evaluate("table.state().sorters") == [{"key": "label", "dir": "asc"}]
    assert page.evaluate("table.state().shown.state") is False
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
    monkeypatch.setattr(os, "nice", lambda _: 0)
    monkeypatch.setattr(current, "SECONDS_BETWEEN_PAGES", 0.0)
    monkeypatch.setattr(current, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(current, "SHARE_OF_MAKING", 0.5)
    made: list[int] = []

    def make() -> None:
        made.append(1)
        sum(range(200_000))  # so that there is a time to wait

    current.keep_current(lambda: len(made) < 3, make)
    assert len(made) == 3


@pytest.mark.slow
def test_a_launch_leaves_its_report_beside_the_sweeps_run(store: str, write: Write, sweep: Sweep, folder: Path) -> None:
    path = write(
        "trial: toys:train\nreport: true\nmetric: {name: score, goal: maximize}\nparameters: {x: 1.0, epochs: 2}"
    )
    assert "report: reports/toy/report.html is kept current" in sweep("plan", path).stdout
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert "could not be made" not in done.stdout + done.stderr
    assert (folder / "reports" / "toy" / "report.html").is_file()
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (trial,) = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    (parent,) = [run for run in runs if run is not trial]
    there = {item.path for item in client.list_artifacts(parent.info.run_id, "report")}
    assert {"report/report.html", "report/report.csv", "report/report.md"} <= there
    link = f"#/experiments/{experiment.experiment_id}/runs/{parent.info.run_id}/artifacts/report/report.html"
    assert f"[its report]({link})" in trial.data.tags["mlflow.note.content"]


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
