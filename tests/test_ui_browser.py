"""MLflow's own UI in a real browser, on a real sweep: the table, the curves, the pictures and the description."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.slow
SWEEP = """
parameters: {dataset: digits, batch_size: 64, epochs: 3, architecture: fc, num_layers: 1}
configs:
  - {var: 0.5, lr: 2e-3}
  - {var: 0.1, lr: 2e-3}
  - {var: 0.1, lr: 100.0}
"""
LABELS = ("var=0.5 lr=0.002", "var=0.1 lr=0.002", "var=0.1 lr=100")
MLFLOWS_OWN = (
    "users/current",  # it asks who has logged in: nobody, on a server without accounts
    "ResizeObserver loop",  # its charts are laid out twice
)
PATIENCE = 40_000.0  # milliseconds that a page may take on a machine that is busy


class Ui(NamedTuple):
    table: str
    charts: str
    store: str
    browser: Browser

    def run(self, page: Page, label: str, part: str = "") -> None:
        client = MlflowClient(tracking_uri=self.store)
        experiment = client.get_experiment_by_name("digits")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{label}'")
        page.goto(f"{self.table.split('/runs')[0]}/runs/{run.info.run_id}{part}")


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory, empty_store: Path, browser: Browser) -> Iterator[Ui]:
    folder = tmp_path_factory.mktemp("sweeps")
    (folder / "mlruns").mkdir()
    shutil.copy(empty_store, folder / "mlruns" / "mlflow.db")
    (folder / "digits.yaml").write_text(SWEEP)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONUNBUFFERED": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    port = free_port()  # these tests may run in two processes, each with a server of its own
    command = [sys.executable, "-m", "orchestrator"]
    launch = [*command, "launch", "digits.yaml", "--quiet"]
    subprocess.run(launch, cwd=folder, env=environment, check=True, capture_output=True)
    said_else = folder / "stderr.txt"
    with said_else.open("w") as errors:
        server = subprocess.Popen(
            [*command, "ui", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert server.stdout is not None
    try:
        said = [server.stdout.readline().rstrip() for _ in range(3)]
        here = f"http://127.0.0.1:{port}"
        table = f"{here}/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=sweep"
        charts = f"{table}&compareRunsMode=CHART"
        links = [f"  digits: {table}", f"    as curves and pictures: {charts}"]
        assert said == [f"MLflow UI: {table} (Ctrl-C stops it)", *links]
        with socket.create_connection(("127.0.0.1", port), timeout=5):  # the links are printed once it answers
            pass
        yield Ui(table, charts, f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}", browser)
    finally:
        os.killpg(server.pid, signal.SIGINT)  # as Ctrl-C does
        status = server.wait(timeout=60)
        server.stdout.close()
    assert status == 130
    told = said_else.read_text()
    assert "Traceback" not in told
    assert "GET /" not in told  # lines for requests, which would carry the links out of sight


WIDTHS = {"desktop": 1280, "phone": 390}
CHARTS = "val_ssim", "train_loss", "val_loss"
PICTURE = "img.rc-image-img"
LIST_OF_RUNS = "[data-component-id='mlflow.experiment_page.table_resizer.collapse']"


@pytest.fixture(params=WIDTHS)
def page(ui: Ui, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page, on whose console nothing is to be said that is not MLflow's own."""
    page = ui.browser.new_page(viewport={"width": WIDTHS[request.param], "height": 1000})
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    # a panel that MLflow opens by itself the first time, above everything else on a phone
    page.add_init_script("localStorage['mlflow.assistant.fab.autoOpenedOnFirstLoad_v1'] = 'true'")
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.text} {message.location}") if is_wrong(message) else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    page.close()
    assert [words for words in said if not any(own in words for own in MLFLOWS_OWN)] == []


def make_room(page: Page, *, for_charts: bool = False) -> None:
    """Tap away, on a phone, what MLflow has beside what is looked for."""
    assert page.viewport_size is not None
    if page.viewport_size["width"] == WIDTHS["phone"]:
        page.get_by_role("button", name="Toggle sidebar").click()
        if for_charts:
            page.locator(LIST_OF_RUNS).click()


def is_wrong(message: object) -> bool:
    return getattr(message, "type", "") == "error"


def test_trials_stand_with_the_best_first(ui: Ui, page: Page) -> None:
    page.goto(ui.charts)
    make_room(page)
    places = []
    for label in (LABELS[1], LABELS[0], LABELS[2]):
        link = page.get_by_role("link", name=label, exact=True)
        expect(link).to_be_visible()
        box = link.bounding_box()
        assert box is not None
        places.append(box["y"])
    assert places == sorted(places)


def test_the_first_link_leads_to_a_table_of_what_matters(ui: Ui, page: Page) -> None:
    page.goto(ui.table)
    make_room(page)
    for header in ("outcome", "best_val_ssim", "ssim"):
        expect(page.get_by_role("columnheader", name=header, exact=True).last).to_be_attached()
    expect(page.get_by_text("loss explosion", exact=True)).to_be_in_viewport()


def test_the_second_leads_to_curves_of_all_runs_in_one_chart_and_to_their_pictures(ui: Ui, page: Page) -> None:
    page.goto(ui.charts)
    make_room(page, for_charts=True)
    chart = page.locator(".js-plotly-plot").first
    expect(chart).to_be_in_viewport(ratio=0.9)
    colours = (
        "[...document.querySelector('.js-plotly-plot').querySelectorAll('.js-line')].map(line => line.style.stroke)"
    )
    page.wait_for_function(f"document.querySelector('.js-line') && new Set({colours}).size == 2")  # one has no epoch
    shown: set[str] = set()
    chart.hover()
    for _ in range(20):  # what is not in sight is not on the page
        shown |= {name for name in CHARTS if page.get_by_text(name, exact=True).count()}
        if page.locator(PICTURE).count():
            break
        page.mouse.wheel(0, 300)
        page.wait_for_timeout(200)
    assert shown == set(CHARTS)
    expect(page.get_by_text("reconstructions", exact=True).first).to_be_attached()
    page.wait_for_function(f"[...document.querySelectorAll('{PICTURE}')].filter(i => i.naturalWidth > 0).length >= 2")
    page.locator(PICTURE).first.scroll_into_view_if_needed()
    expect(page.locator(PICTURE).first).to_be_in_viewport(ratio=0.9)


def test_the_sweeps_own_run_has_the_result_table(ui: Ui, page: Page) -> None:
    ui.run(page, "digits")
    table = page.locator("table", has_text="loss explosion").first
    expect(table).to_be_attached()
    assert table.locator("tbody tr").count() == len(LABELS)


def test_an_exploded_run_says_what_went_first_and_shows_it(ui: Ui, page: Page) -> None:
    ui.run(page, LABELS[2], "/artifacts/explosion.md")
    expect(page.get_by_text("What diverged first").first).to_be_attached()
    ui.run(page, LABELS[2], "/artifacts/explosion.png")
    page.reload()
    page.wait_for_function("[...document.images].some(image => image.naturalWidth > 500)")
