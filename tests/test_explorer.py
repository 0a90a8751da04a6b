"""Exploring a sweep's trials: the data of the page, and the page in a real browser."""

import copy
import csv
import dataclasses
import itertools
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exploring import HOSTILE, recorded
from playwright.sync_api import Browser, Locator, Page, expect

from orchestrator.reports import trial_data
from orchestrator.reports.document import Section
from orchestrator.reports.page import MOST_ROWS, compact, html

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Section]:
    folder = tmp_path_factory.mktemp("explored")
    shutil.copy(TESTS / "toys.py", folder)
    shutil.copy(empty_store, folder / "mlflow.db")
    kept = sys.path, sys.modules.pop("toys", None)
    sys.path = [str(folder), *sys.path]
    yield recorded(folder, f"sqlite:///{folder}/mlflow.db")
    sys.path = kept[0]
    sys.modules.pop("toys", None)
    if kept[1] is not None:
        sys.modules["toys"] = kept[1]


def column(document: Any, name: str, kind: str) -> int:
    found: int = [(one["name"], one["kind"]) for one in document["columns"]].index((name, kind))
    return found


def test_the_document_has_all_trials_with_what_became_of_them(explored: Section) -> None:
    document = json.loads(compact(explored.trial_data))
    assert len(document["trials"]) == 24
    assert [one["name"] for one in document["columns"] if one["kind"] == "parameter"] == ["x", "mode", "seed"]
    compared = column(document, "score", "compared")
    assert document["columns"][compared] == {
        "kind": "compared", "name": "score", "title": "best score", "goal": "maximize", "text": trial_data.BEST,
    }  # fmt: skip
    assert document["columns"][column(document, "score", "metric")]["title"] == "last score"
    assert dict(explored.facts)["compared by"] == "best score of any epoch, higher is better"
    assert explored.best == "x=8 mode=fine: best score 40.1 ± 0.25 (95%, 3 seeds)"
    by_state: dict[str, list[Any]] = {}
    for trial in document["trials"]:
        by_state.setdefault(trial["state"], []).append(trial)
    assert {state: len(trials) for state, trials in by_state.items()} == {
        "completed": 20,
        "loss explosion": 3,
        "failed": 1,
    }
    (failed,) = by_state["failed"]
    assert failed["reason"] == "the disk is full"
    assert failed["log"].splitlines()[-1] == f"line 39 {HOSTILE}"
    assert len(failed["log"].splitlines()) == 15
    exploded = by_state["loss explosion"][0]
    assert exploded["values"][compared] is None  # though it had come to something before
    assert exploded["explosion"] == {"epoch": 2.0, "step": 9.0, "last_finite_loss": 0.5}
    best = max(by_state["completed"], key=lambda trial: trial["values"][compared])
    assert best["values"][compared] == pytest.approx(40.2)
    assert {trial["start"] for trial in document["trials"]} == set(range(1, 25))
    assert document["same"]["epochs"] == "5"


def test_the_document_has_curves_of_every_metric_the_compared_one_first(explored: Section) -> None:
    curves = explored.trial_data["curves"]
    assert curves["metrics"] == ["score", HOSTILE]
    assert curves["epochs"][0] == [1, 2, 3, 4, 5]
    lines = [line for line in curves["lines"] if line[1] == 0]
    assert len(lines) == 24
    assert lines[0][3] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert curves["note"] == ""


def test_many_long_curves_are_thinned_and_the_page_says_so(explored: Section, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.reports import curve_data
    from orchestrator.spec import load
    from orchestrator.trackers import Store

    monkeypatch.setattr(curve_data, "MOST_TRIALS", 10)
    monkeypatch.setattr(curve_data, "MOST_POINTS", 30)
    monkeypatch.setattr(curve_data, "FEWEST", 3)
    folder = next(Path(path) for path in sys.path if (Path(path) / "explored.yaml").exists())
    found = curve_data.curves_of(Store(f"sqlite:///{folder}/mlflow.db"), load(folder / "explored.yaml"), explored.runs)
    assert len({line[0] for line in found["lines"]}) == 10
    assert max(len(line[3]) for line in found["lines"]) == 3
    assert "Curves of 10 of 24 trials are here." in found["note"]
    assert "Long curves are drawn with 3 points." in found["note"]
    assert f"Those of {HOSTILE} are left out" in found["note"]


def test_no_text_of_a_trial_ends_the_script_that_it_stands_in(explored: Section) -> None:
    page = html("explored", "made", [explored])
    (document,) = re.findall(r'<script type="application/json" class="trials">(.*?)</script>', page, re.DOTALL)
    assert json.loads(document) == json.loads(json.dumps(explored.trial_data))
    assert not re.search("[<>&]", document)
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page


@pytest.fixture(scope="module")
def address(explored: Section, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html("explored", "made", [explored]), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    opened(page, address)
    yield page
    page.close()
    assert said == []


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("html[data-drawn]", state="attached")


def pointed_at(one: Locator) -> None:
    """Point at something once the page has come to rest: scrolling lets go of what one points at."""
    one.scroll_into_view_if_needed()
    one.evaluate("() => new Promise((done) => setTimeout(done, 100))")
    one.hover(force=True)


def check_count(page: Page, text: str) -> None:
    expect(page.locator("output.count")).to_have_text(text)


def cells(page: Page, field: str) -> list[str]:
    return page.locator(f".tabulator-row .tabulator-cell[tabulator-field='{field}']").all_inner_texts()


def field(page: Page, title: str) -> str:
    found = page.locator(".tabulator-col", has=page.get_by_role("button", name=title, exact=True)).first
    return found.get_attribute("tabulator-field") or ""


@pytest.mark.slow
def test_the_table_has_the_best_first_and_sorts_by_any_column(page: Page) -> None:
    score, x = field(page, "best score"), field(page, "x")
    assert cells(page, score)[:3] == ["40.2", "40.1", "40"]
    heading = page.locator(".tabulator").get_by_role("button", name="x", exact=True)
    heading.click()
    assert cells(page, x)[0] == "1"
    heading.press("Enter")
    assert cells(page, x)[0] == "8"


@pytest.mark.slow
def test_trials_are_filtered_by_value_text_and_outcome_and_every_chart_follows(page: Page) -> None:
    check_count(page, "24 trials")
    page.get_by_label("only x", exact=True).fill("2..4")
    check_count(page, "12 of 24 trials are selected")
    page.get_by_label("only mode", exact=True).fill("fin")
    check_count(page, "6 of 24 trials are selected")
    expect(page).to_have_url(re.compile("where=parameter%3Ax%7E2..4.*mode"))
    expect(page.locator(".tabulator-row")).to_have_count(6)
    page.get_by_role("button", name="reset").click()
    check_count(page, "24 trials")
    page.get_by_label("loss explosion 3").uncheck()
    page.get_by_label("find in all columns").fill("mode=rise")
    check_count(page, "9 of 24 trials are selected")


@pytest.mark.slow
def test_a_filter_of_numbers_holds_is_shown_on_its_axis_and_says_what_it_does_not_understand(page: Page) -> None:
    given = page.get_by_label("only x", exact=True)
    brush = page.locator("figure.parallel .brushed0 path")
    for text, count in {">4": 6, "<2": 6, ">=4": 12, "2": 6, "1, 4": 12, "..2": 12, "1..2, >4": 18}.items():
        given.fill(text)
        check_count(page, f"{count} of 24 trials are selected")
        expect(brush).to_have_attribute("stroke-opacity", "0" if "," in text else "1")  # the chart has followed
        page.wait_for_timeout(50)
        check_count(page, f"{count} of 24 trials are selected")  # and has left the filter as it is
    expect(given).to_have_attribute("aria-invalid", "false")
    given.fill("many")
    check_count(page, "24 trials; not understood above x: many")
    expect(given).to_have_attribute("aria-invalid", "true")
    assert "not understood" in (given.get_attribute("title") or "")
    long = "1" * 4000
    given.fill(f"{long}..{long}..{long}x")  # which is refused, and at once
    check_count(page, f"24 trials; not understood above x: {long}..{long}..{long}x")


@pytest.mark.slow
def test_what_failed_has_no_part_in_means_and_a_mark_that_opens_it(page: Page, explored: Section) -> None:
    (failed,) = [trial for trial in explored.trial_data["trials"] if trial["state"] == "failed"]
    page.get_by_label("only x", exact=True).fill("4")
    page.get_by_label("only mode", exact=True).fill("rise")
    tip = page.locator("#tip")
    number = page.locator("figure", has=page.locator("#heat")).locator("text[aria-label*='number:']")
    expect(number).to_have_text(["20.1"])  # of 20 and 20.1
    pointed_at(number)
    expect(tip).to_contain_text("of 2 trials1 of 3 failed")
    curves = page.locator("figure", has=page.locator("#curves"))
    mark = curves.locator(".mark-symbol path[aria-label*='failed']")
    pointed_at(mark)  # where another trial has the same value
    expect(tip).to_contain_text("the disk is full")
    curves.get_by_label("metric").select_option(HOSTILE)
    expect(tip).to_be_hidden()
    curves.get_by_label("metric").select_option("score")
    pointed_at(mark)
    page.mouse.down()
    page.mouse.up()
    expect(page.locator("#view-title")).to_have_text(failed["label"])


@pytest.mark.slow
def test_a_table_of_results_sorts_by_its_headings_the_best_first(page: Page) -> None:
    table = page.locator("main > section > .scroll", has=page.get_by_role("button", name="best score", exact=True))
    first = table.locator("tbody tr").first
    last = table.locator("tbody tr").last
    table.get_by_role("button", name="x", exact=True).click()
    assert first.inner_text().startswith("1\t")
    for best in ("40.10 ± 0.25", "5.10 ± 0.25"):
        table.get_by_role("button", name="best score", exact=True).click()
        assert best in first.inner_text()
        assert "loss explosion" in last.inner_text()  # it has no value


def test_results_stand_best_first_and_count_the_seeds_that_have_a_result(explored: Section) -> None:
    results = next(part for part in explored.parts if part.title == "Results")
    assert results.grid
    assert results.words[0] == (
        "Best first, by best score; what has no value, or lost half of its seeds or more, comes last."
    )
    rows = [[cell.text for cell in row] for row in results.grid.rows]
    assert [row[:2] for row in rows[:3]] == [["8", "fine"], ["4", "fine"], ["4", "rise"]]
    assert rows[-1][:2] == ["8", "rise"]
    (failed,) = [trial for trial in explored.trial_data["trials"] if trial["state"] == "failed"]
    seeds = {cell.text: cell.run_id for row in results.grid.rows for cell in row[-2:-1]}
    assert seeds == {"3": "", "2 of 3": failed["id"]}
    labels = [explored.trial_data["configurations"][number] for number in results.grid.configurations]
    assert labels == [f"x={x} mode={mode}" for x, mode, *_ in rows]


@pytest.mark.slow
def test_results_show_the_configurations_of_selected_trials_and_say_what_their_figures_are_of(page: Page) -> None:
    table = page.locator("main > section > .scroll", has=page.get_by_role("button", name="best score", exact=True))
    note = page.get_by_role("status").filter(has_text="are shown")
    rows = table.locator("tbody tr:visible")
    expect(rows).to_have_count(8)
    expect(note).to_have_count(0)
    page.get_by_label("only seed", exact=True).fill("2")
    expect(note).to_have_text(
        "8 of this table's 8 rows are shown: those of which a trial is selected above, "
        "with their figures over all of their seeds."
    )
    page.get_by_label("loss explosion 3").uncheck()
    page.get_by_label("only x", exact=True).fill(">2")
    expect(note).to_contain_text("3 of this table's 8 rows are shown")
    assert [row.split("\t")[0] for row in rows.all_inner_texts()] == ["8", "4", "4"]
    page.get_by_role("button", name="reset").click()
    expect(rows).to_have_count(8)
    table.get_by_role("link", name="2 of 3").click()
    page.get_by_role("dialog").get_by_text("the disk is full").first.wait_for()


@pytest.mark.slow
def test_the_reason_is_read_without_scrolling(page: Page) -> None:
    page.get_by_label("completed 20").uncheck()
    reason = page.locator(".tabulator-cell[tabulator-field='reason']").first
    expect(reason).to_contain_text("score became nan")
    ends = page.locator(".tabulator-tableholder").first.bounding_box(), reason.bounding_box()
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[1]["x"] + ends[1]["width"] < (ends[0]["x"] + ends[0]["width"]) / 2


@pytest.mark.slow
def test_long_tables_show_their_first_rows_then_all_in_one(page: Page, explored: Section, tmp_path: Path) -> None:
    results = next(part for part in explored.parts if part.title == "Results")
    assert results.grid
    grid = replace(results.grid, rows=results.grid.rows * 5, configurations=results.grid.configurations * 5)
    long = replace(results, grid=grid)
    parts = tuple(long if part is results else part for part in explored.parts)
    (tmp_path / "report.html").write_text(html("explored", "made", [replace(explored, parts=parts)]), encoding="utf-8")
    opened(page, (tmp_path / "report.html").as_uri())
    rows = page.locator("main > section > .scroll tbody").first.locator("tr:visible")
    expect(rows).to_have_count(MOST_ROWS)
    page.get_by_label("only mode", exact=True).fill("fine")
    expect(rows).to_have_count(20)
    expect(page.get_by_role("button", name="more rows")).to_be_hidden()
    page.get_by_role("button", name="reset").click()
    expect(rows).to_have_count(MOST_ROWS)
    page.get_by_role("button", name="10 more rows").click()
    expect(rows).to_have_count(40)


@pytest.mark.slow
def test_columns_are_hidden_and_their_axes_with_them(page: Page) -> None:
    axes = page.locator("figure.parallel .role-axis")
    before = axes.count()
    page.get_by_text("Columns", exact=True).click()
    page.locator(".ticks").get_by_label("seed", exact=True).uncheck()
    expect(axes).to_have_count(before - 1)
    assert page.get_by_label("only seed", exact=True).is_visible() is False


@pytest.mark.slow
def test_a_brush_along_an_axis_selects_in_the_table(page: Page) -> None:
    zone = page.locator("figure.parallel .zone0 path")
    zone.scroll_into_view_if_needed()
    box = zone.bounding_box()
    assert box is not None
    across = box["x"] + box["width"] / 2
    page.mouse.move(across, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(across, box["y"] + box["height"] * 0.3, steps=5)
    page.mouse.up()
    check_count(page, "6 of 24 trials are selected")  # the upper third of x: 8 alone
    assert page.get_by_label("only x", exact=True).input_value().endswith("..")
    page.mouse.click(across, box["y"] + box["height"] * 0.6)
    check_count(page, "24 trials")


@pytest.mark.slow
def test_a_box_in_the_scatter_selects_in_the_table(page: Page) -> None:
    chart = page.locator("figure", has=page.locator("#scatter")).locator("svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + box["height"] * 0.6, steps=5)
    page.mouse.up()
    check_count(page, "3 of 24 trials are selected")


@pytest.mark.slow
def test_chosen_trials_are_compared_side_by_side_by_a_link(page: Page, browser: Browser) -> None:
    for box in page.locator(".tabulator-row input[type=checkbox]").all()[:4:3]:
        box.check()
    page.get_by_role("button", name="compare side by side").click()
    view = page.locator("dialog.view")
    view.get_by_role("heading", name="Two trials side by side").wait_for()
    assert "#compare=" in page.url
    names = view.locator("section", has_text="Parameters that differ").locator("tbody th").all_inner_texts()
    assert set(names) <= {"x", "mode", "seed"}
    assert names
    assert view.locator(".mark-line path").count() >= 2
    again = browser.new_page()
    opened(again, page.url)
    again.get_by_role("heading", name="Two trials side by side").wait_for()
    again.close()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("chosen="))
    assert not view.is_visible()
    boxes = page.locator(".tabulator-row input[type=checkbox]")
    for box in boxes.all()[1:3]:
        box.check()
    page.get_by_role("button", name="compare side by side").click()
    view.get_by_role("heading", name="Four trials side by side").wait_for()
    metrics = view.locator("section", has_text="Metrics, with differences to the first one")
    assert metrics.locator("tbody tr").first.locator("td").count() == 4
    assert metrics.locator("tbody td .soft").first.inner_text().startswith("-")
    page.keyboard.press("Escape")
    for box in boxes.all()[4:7]:
        box.check()
    page.get_by_role("button", name="compare the last 6 side by side").wait_for()


@pytest.mark.slow
def test_a_trial_has_a_view_with_its_reason_log_and_commands(page: Page, address: str, explored: Section) -> None:
    trials = explored.trial_data["trials"]
    (failed,) = [trial for trial in trials if trial["state"] == "failed"]
    opened(page, f"{address}#trial={failed['id']}")
    page.reload()
    view = page.locator("dialog.view")
    view.get_by_text("the disk is full").wait_for()
    assert f"line 39 {HOSTILE}" in view.locator("pre").inner_text()
    link = view.get_by_role("link", name="MLflow").get_attribute("href")
    assert link == f"http://127.0.0.1:5000/#/experiments/1/runs/{failed['id']}?workflowType=machine_learning"
    said = view.inner_text()
    assert (
        said.index(f"sweep launch {explored.trial_data['file']}")
        < said.index(f"sweep replay {failed['id']}")
        < said.index("line 39")
    )
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    view.get_by_role("button", name="close").click()
    expect(page).not_to_have_url(re.compile("#trial"))
    opened(page, f"{address}#trial=nothing")
    page.reload()
    page.get_by_text("The page has no trial whose run is nothing.").wait_for()


@pytest.mark.slow
def test_a_selection_has_a_link(page: Page, address: str) -> None:
    page.get_by_label("only x", exact=True).fill("> 3")
    check_count(page, "12 of 24 trials are selected")
    expect(page).to_have_url(re.compile("#where="))
    link = page.url
    page.goto("about:blank")
    opened(page, link)
    check_count(page, "12 of 24 trials are selected")
    assert page.get_by_label("only x", exact=True).input_value() == "> 3"


@pytest.mark.slow
def test_a_link_has_ids_cut_short_where_one_trial_alone_has_them_and_shows_none_twice(
    page: Page, address: str, explored: Section
) -> None:
    first, second = explored.trial_data["trials"][:2]
    view = page.locator("dialog.view")
    page.goto(f"{address}#compare={first['id']},{second['id'][:12]}")
    view.get_by_role("heading", name="Two trials side by side").wait_for()
    page.goto(f"{address}#compare={first['id'][:8]},{first['id'][:12]}")
    view.get_by_role("heading", name=first["label"], exact=True).wait_for()
    page.goto(f"{address}#trial={first['id'][:7]}")
    view.get_by_text(f"The page has no trial whose run is {first['id'][:7]}.").wait_for()
    page.goto(f"{address}#chosen={second['id'][:12]},{second['id']}")
    expect(page.locator(".compare .chosen")).to_have_count(1)
    page.evaluate("trials.all[1].id = `${trials.all[0].id.slice(0, 12)} and others`")
    page.goto(f"{address}#trial={first['id'][:12]}")
    view.get_by_text(f"The page has no trial whose run is {first['id'][:12]}.").wait_for()


@pytest.mark.slow
def test_the_address_is_written_once_for_many_changes_and_the_page_does_without(page: Page) -> None:
    page.evaluate(
        """() => {
          let calls = 0;
          history.replaceState = () => {
            document.documentElement.dataset.calls = ++calls;
            throw new DOMException("too often", "SecurityError");
          };
          selection.find("mode=rise");
          for (let i = 0; i < 200; i++) links.note();
        }"""
    )
    check_count(page, "12 of 24 trials are selected")
    expect(page.locator("html")).to_have_attribute("data-calls", re.compile("^[1-4]$"))
    assert "#" not in page.url


@pytest.mark.slow
def test_a_finger_on_a_curve_reads_its_value_also_on_a_scrolled_page(browser: Browser, address: str) -> None:
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = phone.new_page()
    opened(page, address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    chart = page.locator("figure", has=page.locator("#curves")).locator("svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5)
    tip = page.locator("#tip")
    tip.wait_for()
    assert re.search(r"epoch \d: score [\d.]+", tip.inner_text())
    seen = tip.bounding_box()
    assert seen is not None
    assert 0 <= seen["y"] <= 844
    phone.close()


@pytest.mark.slow
def test_curves_are_means_with_bands_over_seeds(page: Page) -> None:
    figure = page.locator("figure", has=page.locator("#curves"))
    assert figure.get_by_label("lines").input_value() == "means"  # of more than 20 trials
    expect(figure.locator(".mark-area path")).to_have_count(8)
    expect(figure.locator(".mark-symbol path[aria-label*='loss explosion']")).to_have_count(3)
    page.get_by_label("only seed", exact=True).fill("0")
    expect(figure.get_by_label("lines")).to_have_value("each")
    expect(figure.locator(".mark-area path")).to_have_count(0)
    page.get_by_role("button", name="reset").click()
    figure.get_by_label("lines").select_option("each")
    expect(figure.locator(".mark-line path")).to_have_count(24)
    figure.get_by_label("lines").select_option("means")
    figure.get_by_label("metric").select_option(HOSTILE)
    expect(figure.locator(".role-axis-title text").last).to_contain_text("alert(2)")


@pytest.mark.slow
def test_of_many_curves_the_best_are_in_colour_and_long_ones_are_smoothed(
    page: Page, explored: Section, tmp_path: Path
) -> None:
    document = copy.deepcopy(explored.trial_data)
    labels = [trial["label"] for trial in document["trials"]]
    for number, trial in enumerate(document["trials"]):
        trial["configuration"] = number  # as if no seed were another's
    curves = {"epochs": [[*range(1, 13)]], "lines": [[n, 0, 0, [n, n + 3.0] * 6] for n in range(24)]}
    document |= {"configurations": labels, "curves": document["curves"] | curves}
    path = tmp_path / "report.html"
    section = dataclasses.replace(explored, trial_data=document, parts=())
    path.write_text(html("many", "made", [section]), encoding="utf-8")
    opened(page, path.as_uri())
    figure = chart(page, "curves")
    assert figure.get_by_label("lines").input_value() == "best"
    colours = figure.locator(".mark-line path").evaluate_all("all => all.map(one => one.getAttribute('stroke'))")
    assert sorted(colours) == [f"var(--c{n})" for n in range(1, 6)] + ["var(--line)"] * 19
    named = figure.locator(".role-legend-label text").all_text_contents()
    assert [name for name in named if "=" in name] == cells(page, "label")[:5]
    figure.get_by_label("smooth").fill("1")
    expect(figure.locator(".role-axis-title text").last).to_have_text("score, moving mean")
    expect(page).to_have_url(re.compile("smooth=1"))
    with page.expect_download() as download:
        figure.get_by_role("button", name="CSV").click()
    rows = [*csv.DictReader(Path(download.value.path()).read_text().splitlines())]
    assert [row["score, moving mean"] for row in rows if row["trial"] == labels[4]][:3] == [
        "4",
        "5",
        "6",
    ]  # of 4, 7, 4, 7


@pytest.mark.slow
def test_charts_are_saved_as_csv_svg_and_png_and_rows_as_csv(page: Page) -> None:
    figure = page.locator("figure", has=page.locator("#scatter"))
    saved = {}
    for name in ("CSV", "SVG", "PNG"):
        with page.expect_download() as download:
            figure.get_by_role("button", name=name, exact=True).click()
        saved[name] = Path(download.value.path()).read_bytes()
    assert saved["CSV"].decode().splitlines()[0] == "run,trial,x,best score,outcome"
    assert len(saved["CSV"].decode().splitlines()) == 21
    assert saved["SVG"].startswith(b"<svg")
    assert b"var(--" not in saved["SVG"]
    assert saved["PNG"].startswith(b"\x89PNG")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV of the rows").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 25


@pytest.mark.slow
def test_the_heat_map_marks_cells_with_explosions(page: Page) -> None:
    figure = page.locator("figure", has=page.locator("#heat"))
    assert "3/3" in figure.locator(".mark-text text").all_text_contents()
    fills = figure.locator(".mark-rect path").evaluate_all("all => all.map(one => one.getAttribute('fill'))")
    assert fills.count("var(--grid)") == 1  # the cell in which nothing has a value
    effects = page.locator("figure", has=page.get_by_role("heading", name="mode", exact=True))
    assert "3 of 24 exploded" in effects.inner_text()
    assert effects.locator(".role-axis-label text").all_text_contents()[:2] == ["fine", "rise"]


@pytest.mark.slow
def test_heat_maps_for_each_value_of_a_third_parameter_have_numbers_and_tips(
    page: Page, explored: Section, tmp_path: Path
) -> None:
    document = copy.deepcopy(explored.trial_data)
    document["columns"][column(document, "seed", "parameter")] |= {"name": "size", "title": "size"}
    path = tmp_path / "report.html"
    path.write_text(html("thrice", "made", [dataclasses.replace(explored, trial_data=document)]), encoding="utf-8")
    opened(page, path.as_uri())
    figure = chart(page, "heat")
    figure.get_by_label("for each").select_option("parameter:size")
    expect(figure.locator(".role-legend")).to_have_count(1)
    number = figure.locator("text[aria-label*='number:']", has_text=re.compile("^40.2$"))
    expect(number).to_have_count(1)
    pointed_at(number)
    expect(page.locator("#tip")).to_have_text("x 8, mode fine, size 2mean best score 40.2, of 1 trial")


@pytest.mark.slow
def test_on_paper_all_selected_rows_are_printed(page: Page) -> None:
    page.pdf()
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
    assert page.locator(".controls").first.is_visible() is False


@pytest.mark.slow
def test_on_paper_the_table_is_light_where_the_screen_is_dark(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 794, "height": 1123}, color_scheme="dark")
    opened(page, address)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    cells = page.locator(".tabulator-print-table td")
    assert cells.count() > 24
    looks = cells.evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert {*looks} == {"rgba(0, 0, 0, 0)"}
    assert cells.first.evaluate("cell => getComputedStyle(cell).color") == "rgb(27, 31, 36)"
    heads = page.locator(".tabulator-print-table th").all_inner_texts()
    assert [name for name in heads if name][:4] == ["trial", "outcome", "reason", "x"]
    assert any(name.startswith("</script>") for name in heads)  # a metric's name stays text
    page.close()


@pytest.mark.slow
def test_crosses_of_explosions_are_seen_among_points(page: Page) -> None:
    figure = page.locator("figure", has=page.locator("#scatter"))
    figure.get_by_label("y", exact=True).select_option("metric:score")
    crosses = figure.locator(".mark-symbol path[stroke='var(--bad)']")
    expect(crosses).to_have_count(3)


@pytest.mark.slow
def test_words_are_explained_where_they_stand_by_finger_and_keyboard(page: Page) -> None:
    tip = page.locator("#tip")
    hint = page.locator(".outcomes").get_by_role("button", name=re.compile("^loss explosion: "))
    hint.focus()
    expect(tip).to_contain_text("Training diverged")
    page.keyboard.press("Tab")
    expect(tip).to_be_hidden()
    hint.click()
    expect(tip).to_contain_text("Training diverged")
    page.mouse.wheel(0, 300)
    expect(tip).to_be_hidden()
    for place, said in {
        "dd:has-text('20 completed')": ["loss explosion", "failed"],
        "dt:has-text('exploded')": ["explosion"],
        "#explorer [tabulator-field='outcome'], #explorer [tabulator-field='state']": ["outcome"],
        "main th:has-text('outcome')": ["outcome"],
        "main th:has-text('exploded')": ["explosion"],
    }.items():
        hints = page.locator(place).first.locator(".hint").evaluate_all("all => all.map(one => one.ariaLabel)")
        assert [text.partition(":")[0] for text in hints] == said


@pytest.mark.slow
def test_whatever_a_trial_function_calls_a_word_is_explained(
    browser: Browser, explored: Section, tmp_path: Path
) -> None:
    told = {"x (in m/s)": "A speed.", "mode": "How it moves.", HOSTILE: f"{HOSTILE}."}
    path = tmp_path / "report.html"
    section = dataclasses.replace(explored, trial_data={**explored.trial_data, "words": told}, question="")
    path.write_text(html("explored", "made", [section]), encoding="utf-8")
    page = browser.new_page()
    opened(page, path.as_uri())
    page.get_by_text("What the words mean").click()
    for word, text in told.items():
        assert page.locator(".words div", has_text=word).get_by_text(text, exact=True).is_visible()
    assert (
        page.locator("dt .hint, th .hint")
        .filter(has_text="?")
        .evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
        .count("mode: How it moves.")
        == 1
    )
    page.close()


@pytest.mark.slow
def test_a_tip_stands_in_front_of_the_view_of_a_trial(page: Page, address: str, explored: Section) -> None:
    (failed, *_) = [trial for trial in explored.trial_data["trials"] if trial["state"] == "completed"]
    page.goto(f"{address}#trial={failed['id']}")
    chart = page.locator("dialog.view svg").first
    chart.wait_for()
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.locator("#tip").wait_for()
    assert page.evaluate("document.querySelector('#tip').parentElement.className") == "view"


@pytest.mark.slow
def test_short_names_keep_what_tells_them_apart(page: Page) -> None:
    long = "weight_decay_of_the_first_layer_of_the_encoder={} weight_decay_of_the_final_layer_of_the_encoder={}"
    labels = [long.format(a, b) for a in ("0.1", "0.25") for b in ("1e-05", "3")]
    brief = page.evaluate("labels => briefed(labels, 40)", labels)
    assert len({*brief}) == 4
    for label, short in zip(labels, brief, strict=True):
        assert len(short) < 57 < len(label)
        assert re.findall("=([^ ]+)", short) == re.findall("=([^ ]+)", label)
    names = [f"model.encoder.block_{number}.attention.dropout.probability" for number in range(3)]
    assert len({*page.evaluate("names => apart(names, 20)", names)}) == 3


@pytest.mark.slow
def test_a_view_has_commands_for_its_store_and_says_when_mlflow_is_there(
    page: Page, address: str, explored: Section
) -> None:
    trial = explored.trial_data["trials"][0]
    page.goto(f"{address}#trial={trial['id']}")
    view = page.locator("dialog.view")
    view.get_by_role("heading", name="Commands").wait_for()
    store = explored.trial_data["store"]
    assert store.startswith(" --tracking-uri sqlite:////")
    assert view.get_by_text(f"sweep rerun explored {trial['id']}{store}", exact=True).is_visible()
    link = view.get_by_role("link", name="All the rest of it in MLflow")
    assert re.match(r"http://127\.0\.0\.1:5000/#/experiments/\d+/runs/", link.get_attribute("href") or "")
    assert f"which opens while sweep ui{store} runs" in view.inner_text()
    page.evaluate('trials.all[0].id = "it\'s $& x"; location.hash = `trial=${encodeURIComponent(trials.all[0].id)}`')
    quoted = """'it'"'"'s $& x'"""
    view.get_by_text(f"sweep rerun explored {quoted}{store}", exact=True).wait_for()
    assert view.get_by_text(f"sweep logs {quoted}{store}", exact=True).is_visible()
    assert "/runs/it's%20%24%26%20x?" in (link.get_attribute("href") or "")


@pytest.mark.slow
def test_all_columns_and_axes_are_reached_on_a_phone(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    opened(page, address)
    titles = page.locator(".tabulator-col .sort").all_inner_texts()
    assert titles[:2] == ["trial", "best score"]  # what is compared comes first
    for place in (".tabulator-tableholder", "figure.parallel > .chart"):
        one = page.locator(place).first
        one.evaluate("element => (element.scrollLeft = 1e6)")
        assert one.evaluate("element => element.scrollLeft + element.clientWidth >= element.scrollWidth - 1")
        assert one.evaluate("element => element.scrollLeft > 0")
    axes = page.locator("figure.parallel .role-axis-domain line").all()
    places = sorted({round(axis.evaluate("line => line.getBoundingClientRect().x")) for axis in axes})
    assert min(b - a for a, b in itertools.pairwise(places)) > 40
    page.close()


def chart(page: Page, name: str) -> Locator:
    return page.locator("figure", has=page.locator(f"#{name}"))


def titles(figure: Locator) -> str:
    return " ".join(figure.locator(".role-axis-title text, .role-mark text").all_text_contents())


@pytest.mark.slow
def test_a_metric_that_few_values_squeeze_stands_on_logarithmic_axes_with_one_switch(
    browser: Browser, explored: Section, tmp_path: Path
) -> None:
    document = copy.deepcopy(explored.trial_data)
    score, x = column(document, "score", "compared"), column(document, "x", "parameter")
    for trial in document["trials"]:
        if trial["values"][x] == 8 and trial["values"][score] is not None:
            trial["values"][score] *= 1e6
    path = tmp_path / "report.html"
    path.write_text(html("squeezed", "made", [dataclasses.replace(explored, trial_data=document)]), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    opened(page, path.as_uri())
    effect = page.locator("figure", has=page.get_by_role("heading", name="mode", exact=True))
    for figure in (chart(page, "scatter"), effect, chart(page, "parallel")):
        assert "best score (log)" in titles(figure)
    assert "(log)" not in titles(chart(page, "curves"))  # which are as they were
    chart(page, "scatter").get_by_label("log y").uncheck()
    for figure in (chart(page, "scatter"), effect, chart(page, "parallel")):
        expect(figure.locator("svg", has_text="(log)")).to_have_count(0)
    expect(page).to_have_url(re.compile(re.escape("log=compared%3Abest+score%7Eoff")))
    chart(page, "curves").get_by_label("log y").check()
    expect(chart(page, "curves").locator(".role-axis-title text").last).to_have_text("score (log)")
    page.close()


@pytest.mark.slow
def test_a_link_shows_the_whole_view_elsewhere_and_what_it_does_not_know_is_ignored(
    page: Page, browser: Browser, address: str
) -> None:
    assert "#" not in page.url
    chart(page, "curves").get_by_label("lines").select_option("each")
    chart(page, "curves").get_by_label("log x").check()
    chart(page, "scatter").locator("select").first.select_option("parameter:seed")
    chart(page, "heat").get_by_label("metric").select_option(f"metric:{HOSTILE}")
    page.locator("#effects ~ .controls").get_by_label("metric").select_option(f"metric:{HOSTILE}")
    page.get_by_label("colour by").select_option("state")
    page.get_by_text("Columns", exact=True).click()
    page.locator(".ticks").get_by_label("seed", exact=True).uncheck()
    page.get_by_text("Columns", exact=True).click()
    page.locator("#explorer").get_by_role("button", name="x", exact=True).click()
    expect(page).to_have_url(re.compile("hide=.*sort="))
    again = browser.new_page(viewport={"width": 1440, "height": 1000})
    opened(again, f"{page.url}&sort=nothing&log=nothing~on&y=nothing&later=1")
    curves = chart(again, "curves")
    assert curves.get_by_label("lines").input_value() == "each"
    assert curves.get_by_label("log x").is_checked()
    expect(curves.locator(".mark-line path")).to_have_count(24)
    assert chart(again, "scatter").locator("select").first.input_value() == "parameter:seed"
    assert chart(again, "heat").get_by_label("metric").input_value() == f"metric:{HOSTILE}"
    assert again.locator("#effects ~ .controls").get_by_label("metric").input_value() == f"metric:{HOSTILE}"
    assert again.get_by_label("colour by").input_value() == "state"
    assert again.get_by_label("only seed", exact=True).is_visible() is False
    assert cells(again, field(again, "x"))[0] == "1"
    again.close()


@pytest.mark.slow
def test_a_trial_that_is_pointed_at_is_shown_in_all_charts_and_a_line_opens_it(page: Page) -> None:
    page.locator(".tabulator-row").nth(3).hover()
    expect(page.locator("svg.pointed")).to_have_count(6)  # curves, scatter, two effects, parallel, heat
    lines = chart(page, "parallel").locator("svg").first
    lines.scroll_into_view_if_needed()
    box = lines.bounding_box()
    assert box is not None
    tip = page.locator("#tip")
    for down in range(20, 280, 4):  # to where a line is for itself
        page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + down)
        if tip.is_visible() and tip.inner_text().startswith("x="):
            break
    name = tip.inner_text().splitlines()[0]
    assert page.locator(".is-pointed").count() <= 1
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + down)
    page.get_by_role("dialog").get_by_role("heading", name=name, exact=True).wait_for()


@pytest.mark.slow
def test_curves_zoom_to_a_box_and_a_chart_takes_the_whole_window_until_escape(page: Page) -> None:
    figure = chart(page, "curves")
    figure.scroll_into_view_if_needed()
    before = figure.locator("svg").first.bounding_box()
    assert before is not None
    page.mouse.move(before["x"] + before["width"] * 0.5, before["y"] + 20)
    page.mouse.down()
    page.mouse.move(before["x"] + before["width"] * 0.8, before["y"] + 120, steps=4)
    page.mouse.up()
    reset = figure.get_by_role("button", name="reset zoom")
    reset.wait_for()
    expect(page).to_have_url(re.compile("zoom="))
    figure.get_by_role("button", name="enlarge").click()
    large = page.locator("dialog.large svg").first
    page.wait_for_function("document.querySelector('dialog.large svg').clientHeight > 600")
    box = large.bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    expect(reset).to_have_count(0)
    expect(page).not_to_have_url(re.compile("#"))
    page.keyboard.press("Escape")
    expect(page.locator("dialog.large")).to_have_count(0)
    page.wait_for_function(
        "document.querySelector('#curves').closest('figure').querySelector('svg').clientHeight < 500"
    )
