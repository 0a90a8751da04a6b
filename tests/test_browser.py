"""The page in a real browser: what is on it, what it says on its console, and what it asks of the network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

DIGITS = """
parameters: {dataset: digits, batch_size: 64, epochs: 2, architecture: fc, num_layers: 1}
configs:
  - {var: 0.5, lr: 2e-3}
  - {var: 0.1, lr: 2e-3}
  - {var: 0.1, lr: 100.0}
reference: {source: nobody, rows: [{var: 0.5, ssim: 0.5}]}
"""
SEARCH = """
trial: toys:train
method: random
metric: {name: score, goal: maximize}
run_cap: 24
parameters: {x: {min: 0.1, max: 10, distribution: log_uniform_values}, mode: {values: [fine, nan]}}
"""
MAP = """
trial: toys:cliff
method: boundary
run_cap: 8
configs: [{}, {mode: spawn, epochs: 4, pause: 0.0012}]
parameters: {x: {min: 0.001, max: 1.0, distribution: log_uniform_values}}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    folder = tmp_path_factory.mktemp("sweeps")
    (folder / "mlruns").mkdir()
    shutil.copy(empty_store, folder / "mlruns" / "mlflow.db")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    environment.pop("MLFLOW_TRACKING_URI", None)

    def sweep(*arguments: str) -> None:
        command = [sys.executable, "-m", "orchestrator", *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    shutil.copy(Path(__file__).parent / "toys.py", folder)
    (folder / "digits.yaml").write_text(DIGITS)
    (folder / "search.yaml").write_text(SEARCH)
    (folder / "map.yaml").write_text(MAP)
    sweep("launch", "digits.yaml", "--workers", "1")
    sweep("launch", "search.yaml", "--executor", "inline")
    sweep("launch", "map.yaml", "--executor", "inline")
    sweep("report", "digits.yaml", "search.yaml", "map.yaml", "--out", "report")
    return folder / "report" / "report.html"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dress", ["light", "dark"])
def test_the_page_shows_all_of_a_sweep_and_asks_for_nothing(
    browser: Browser, report: Path, width: int, dress: Literal["light", "dark"]
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=dress)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached")

    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for cell in ("0.5", "loss explosion", "differs"):
        assert page.locator("#sweep-1 td", has_text=cell).count() > 0
    for word, count in {
        "KL: Kullback-Leibler divergence": 1,
        "SSIM: Structural similarity": 1,
        "explosion: Training diverged": 2,  # at the head, and below
    }.items():
        assert page.locator(f"#sweep-1 .hint[aria-label^='{word}']").count() == count
    drawn = page.locator("[id^=chart-] svg")
    assert drawn.count() == page.locator("script.spec").count() >= 5
    for chart in drawn.all():
        box = chart.bounding_box()
        assert box is not None
        assert 100 < box["width"] <= width
        assert chart.locator("path").count() > 3
    lines = page.locator("#sweep-1 figure", has_text="Training loss (solid)").locator(".mark-line path")
    assert lines.count() == 4  # two of training, two of validation: the third run had no epoch
    widths = page.eval_on_selector_all("figure img", "pictures => pictures.map(picture => picture.naturalWidth)")
    assert (
        len(widths) == 1 + 3 * 2 + 1
    )  # the originals, of two runs three pictures each, and the post-mortem of the third
    assert all(widths)
    assert all(page.eval_on_selector_all("figure img", "pictures => pictures.map(picture => picture.alt)"))
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[dress]
    label = page.locator("[id^=chart-] svg text").first.evaluate("text => getComputedStyle(text).fill")
    assert label == {"light": "rgb(87, 96, 106)", "dark": "rgb(163, 171, 181)"}[dress]
    page.close()


def test_a_legend_picks_a_run_and_pointing_says_which_it_is(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached")
    figure = page.locator("#sweep-1 figure", has_text="Training loss (solid)")
    lines = figure.locator(".mark-line path")

    def faded() -> int:
        return sum(float(line.get_attribute("opacity") or 1) < 0.5 for line in lines.all())

    assert faded() == 0
    figure.locator(".role-legend-symbol path").first.click()
    page.wait_for_timeout(100)
    assert faded() == 2
    figure.locator(".mark-symbol[aria-roledescription='symbol mark container'] path").last.hover(force=True)
    assert "lr=100" in page.locator("#vg-tooltip-element.visible").inner_text()
    page.close()


def test_a_map_names_its_rows_in_lines(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached")
    labels = page.locator("#sweep-3 figure", has_text="a row for each curve").locator(".role-axis-label text")
    named = [label.locator("tspan").all_text_contents() or [label.text_content()] for label in labels.all()]
    assert ["defaults"] in named
    assert ["mode=spawn epochs=4", "pause=0.0012"] in named
    page.close()


def test_on_paper_the_page_is_light_and_unfolded(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 794, "height": 1123}, color_scheme="dark")
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached")
    folded = page.locator("details:not(.file, .columns)")
    assert not any(folded.evaluate_all("all => all.map(one => one.open)"))
    page.pdf()
    assert all(folded.evaluate_all("all => all.map(one => one.open)"))
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
    page.close()
