"""How long the report's page takes to open in Chromium, and how large it is; renews its part of docs/performance.md.

python benchmarks/page.py [--quick] [--json FILE]
"""

import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import commands
import measuring
from commands import BENCHMARKS, SWEEP, WIDE
from measuring import MEGABYTE, ROOT, Goal, Table, Topic, number
from playwright.sync_api import Browser, sync_playwright

DOCUMENT = ROOT / "docs" / "performance.md"
COMMAND = "python benchmarks/page.py"
SIZES, QUICK_SIZES = (300, 10_000), (60,)
REPETITIONS, QUICK_REPETITIONS = 7, 2
SECONDS = {300: 2, 10_000: 5}  # to the first chart, at most
LARGEST = 3  # MB of a page of 300 trials
PATIENCE = 120_000.0  # milliseconds
WATCH = """
window.at = {};
new MutationObserver(() => {
  for (const [name] of Object.entries(document.documentElement.dataset)) at[name] ??= performance.now();
}).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-first", "data-drawn"] });
"""

Figures = Mapping[str, float]


def made(folder: Path, empty: Path, trials: int) -> Path:
    """The page of a sweep of so many trials."""
    measuring.say(f"{trials} trials")
    commands.run([sys.executable, str(BENCHMARKS / "grown.py"), str(trials)], commands.furnish(folder, empty))
    commands.run([SWEEP, "report", WIDE, "--out", "report"], folder)
    return folder / "report" / "report.html"


def opened(browser: Browser, page: Path) -> Figures:
    """Seconds from the call until the table and the first chart are there, and until all charts are."""
    tab = browser.new_page(viewport={"width": 1440, "height": 1000})
    tab.add_init_script(WATCH)
    tab.goto(page.as_uri(), wait_until="commit")
    tab.wait_for_selector("html[data-drawn=all]", state="attached", timeout=PATIENCE)
    found: Figures = tab.evaluate("({first: at.first / 1000, all: at.drawn / 1000})")
    tab.close()
    return found


def measure(quick: bool) -> Topic:
    sizes, repetitions = (QUICK_SIZES, QUICK_REPETITIONS) if quick else (SIZES, REPETITIONS)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("page: there is no chromium on this machine")
    kept: dict[int, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        empty = commands.empty_store(folder)
        pages = {size: made(folder / f"trials-{size}", empty, size) for size in sizes}
        megabytes = {size: page.stat().st_size / MEGABYTE for size, page in pages.items()}
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        version = browser.version
        for size, page in pages.items():
            opened(browser, page)  # the browser itself warms up
            times = [opened(browser, page) for _ in range(repetitions)]
            kept[size] = {what: [one[what] for one in times] for what in ("first", "all")} | {"MB": [megabytes[size]]}
        browser.close()
    rows = [
        [f"{size:,}", number(megabytes[size]), *(str(measuring.spread(of[what])) for what in ("first", "all"))]
        for size, of in kept.items()
    ]
    note = (
        f"From the call to open the file until it is so, in Chromium {version} of 1440 x 1000 pixels without a screen: "
        f"medians (least - greatest) of {repetitions}. Trials of eight epochs and three metrics, without pictures; a "
        "tenth explodes. All charts are drawn one after the other, and the page answers between two of them."
    )
    columns = ["trials", "page, MB", "table and first chart, s", "all charts, s"]
    goals = [
        Goal(f"table and first chart of {size:,} trials", f"under {SECONDS[size]} s", f"{_median(of)} s")
        for size, of in kept.items()
        if size in SECONDS
    ]
    if 300 in kept:
        found = f"{number(megabytes[300])} MB"
        goals.append(Goal("page of 300 trials, without pictures", f"under {LARGEST} MB", found))
    return Topic(kept, [Table("The report's page in a browser", columns, rows, note)], goals)


def _median(of: Mapping[str, list[float]]) -> str:
    return number(statistics.median(of["first"]))


if __name__ == "__main__":
    measuring.main(measure, DOCUMENT, COMMAND)
