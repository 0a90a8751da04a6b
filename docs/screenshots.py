"""Draws docs/images from a real run: the live view, the report, and MLflow's comparison of the quickstart sweep.

make screenshots    # and build/reports: the reports of the sweeps in docs/shown, with pictures of each page

python docs/screenshots.py grid pruned    # the reports of these sweeps alone
"""

import io
import itertools
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.style import Style
from rich.text import Text

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
SWEEP = ROOT / "sweeps" / "quickstart.yaml"
SHOWN, REPORTS = ROOT / "docs" / "shown", ROOT / "build" / "reports"
WINDOWS = {"desk": (1440, 1000), "phone": (390, 844)}
FAILED = 1  # the exit status of a launch in which a trial has failed
COLUMNS, LINES = 100, 12
COMMAND = [sys.executable, "-m", "orchestrator"]
PATIENCE = 120  # seconds
ASSISTANT = "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"  # of a panel that MLflow opens the first time


def main() -> None:
    """Run the sweep in a folder of its own, and draw what a person sees of it."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("screenshots: there is no chromium on this machine")
    IMAGES.mkdir(exist_ok=True)
    chosen = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if not chosen:
            live_view(browser, folder)
            report(browser, folder)
            comparison(browser, folder)
        for path in sorted(SHOWN.glob("*.yaml")):
            if not chosen or path.stem in chosen:
                shown(browser, folder, path)
        browser.close()


def live_view(browser: Browser, folder: Path) -> None:
    """The terminal while the last trials run."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        environment = environ() | {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
        os.execve(COMMAND[0], [*COMMAND, "launch", str(SWEEP), "--workers", "2"], environment)  # noqa: S606
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    drawn = None
    while chunk := _read(terminal):
        stream.feed(chunk)
        shown = "\n".join(screen.display)
        tells_most = "loss explosion" in shown and "1 running" in shown
        if tells_most or ("completed" in shown and "2 running" in shown):
            drawn = _as_text(screen)
    os.waitpid(child, 0)
    if drawn is None:
        sys.exit("screenshots: nothing ran any more when the first trial had completed")
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(drawn)
    with opened(browser, "about:blank", 1000, 500) as page:
        page.set_content(console.export_svg(title="sweep launch sweeps/quickstart.yaml"))
        page.locator("svg").first.screenshot(path=IMAGES / "live.png", omit_background=True)


def report(browser: Browser, folder: Path) -> None:
    """The report on a desk, by day, and on a phone, by night."""
    subprocess.run([*COMMAND, "report", str(SWEEP)], cwd=folder, env=environ(), check=True)
    address = (folder / "reports" / "quickstart" / "report.html").as_uri()
    for name, width, height, dress in (("report", 1100, 1500, "light"), ("report-phone", 390, 844, "dark")):
        with opened(browser, address, width, height, dress) as page:
            page.wait_for_selector("html[data-drawn]", state="attached")
            if width < height / 2:
                page.get_by_role("heading", name="Results").evaluate("heading => heading.scrollIntoView()")
            page.screenshot(path=IMAGES / f"{name}.png")


def shown(browser: Browser, folder: Path, sweep: Path) -> None:
    """The report of a sweep of toys, and its whole page on a desk and on a phone, by day and by night."""
    out = REPORTS / sweep.stem
    launch = [*COMMAND, "launch", str(sweep), "--executor", "inline", "--quiet"]
    launched = subprocess.run(launch, cwd=folder, env=environ(), capture_output=True, text=True, check=False)
    if launched.returncode not in (0, FAILED):
        sys.exit(f"screenshots: {launched.stderr}")
    subprocess.run([*COMMAND, "report", str(sweep), "--out", str(out)], cwd=folder, env=environ(), check=True)
    for (name, (width, height)), dress in itertools.product(WINDOWS.items(), ("light", "dark")):
        with opened(browser, (out / "report.html").as_uri(), width, height, dress) as page:
            page.wait_for_selector("html[data-drawn]", state="attached")
            if page.evaluate("document.documentElement.scrollWidth") > width:
                sys.exit(f"screenshots: {out / 'report.html'} is wider than {width} pixels")
            page.screenshot(path=out / f"{name}-{dress}.png", full_page=True)


def comparison(browser: Browser, folder: Path) -> None:
    """MLflow's UI, as the link opens it that `sweep ui` prints; then its charts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*COMMAND, "ui", "--port", str(port)]
    ui = subprocess.Popen(command, cwd=folder, env=environ(), stdout=subprocess.PIPE, text=True)
    try:
        link = next(line.split()[-1] for line in ui.stdout or () if "quickstart: " in line)
        _wait_for(link)
        with opened(browser, link, 1500, 700) as page:
            page.get_by_text("loss explosion").first.wait_for(timeout=PATIENCE * 1000)
            page.screenshot(path=IMAGES / "mlflow.png")
        with opened(browser, f"{link}&compareRunsMode=CHART", 1500, 1100) as page:
            page.locator(".js-line").first.wait_for(state="attached", timeout=PATIENCE * 1000)
            page.wait_for_timeout(3000)  # for the other charts
            page.screenshot(path=IMAGES / "mlflow-charts.png")
    finally:
        ui.send_signal(signal.SIGINT)
        ui.wait()


@contextmanager
def opened(browser: Browser, address: str, width: int, height: int, dress: str = "light") -> Iterator[Page]:
    """A page in a window of so many pixels."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=dress, device_scale_factor=1.5)
    page.add_init_script(f"location.protocol == 'http:' && (localStorage['{ASSISTANT}'] = 'true')")
    page.goto(address)
    yield page
    page.close()


def environ() -> dict[str, str]:
    """This one, with an interpreter that finds the project, and a store in the folder of its own."""
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the program has ended
        return b""


def _as_text(screen: pyte.Screen) -> Text:
    """What stands on a screen, in its colours, but for the first lines, which name folders."""
    text = Text()
    first = next((row for row, line in enumerate(screen.display) if line.startswith("completed")), 0)
    for row in range(first, screen.lines):
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            colour = None if cell.fg == "default" else cell.fg if cell.fg.isalpha() else f"#{cell.fg}"
            text.append(cell.data, Style(color=NAMES.get(colour or "", colour), bold=cell.bold, italic=cell.italics))
        text.append("\n")
    text.rstrip()
    return text


NAMES = {"brown": "yellow", "brightblack": "bright_black"}  # pyte's names that are not rich's


def _wait_for(address: str) -> None:
    for _ in range(PATIENCE):
        try:
            urllib.request.urlopen(address, timeout=5).close()  # noqa: S310
        except OSError:
            time.sleep(1)
        else:
            return
    sys.exit(f"screenshots: nothing answered at {address}")


if __name__ == "__main__":
    main()
