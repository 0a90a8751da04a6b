"""The pictures of trials in a report: small on the page, in full size beside it; and why each trial exploded."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from exploring import HOSTILE, recorded
from playwright.sync_api import Browser, Page, expect

from orchestrator.functions.declaration import Picture
from orchestrator.reports import files, leavings, trial_pictures
from orchestrator.reports.document import Section
from orchestrator.reports.files import write
from orchestrator.reports.page import html
from orchestrator.reports.trial_files import TrialFiles
from orchestrator.trackers import Store

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[tuple[Section, Store]]:
    """A sweep whose trials have left pictures: 20 that completed, three that exploded."""
    folder = tmp_path_factory.mktemp("pictured")
    shutil.copy(TESTS / "toys.py", folder)
    shutil.copy(empty_store, folder / "mlflow.db")
    before = sys.path, sys.modules.pop("toys", None)
    sys.path = [str(folder), *sys.path]
    uri = f"sqlite:///{folder}/mlflow.db"
    yield recorded(folder, uri, has_pictures=True), Store(uri)
    sys.path = before[0]
    sys.modules.pop("toys", None)
    if before[1] is not None:
        sys.modules["toys"] = before[1]


@pytest.fixture
def section(kept: tuple[Section, Store]) -> Section:
    return kept[0]


def in_state(section: Section, state: str) -> list[dict[str, object]]:
    return [trial for trial in section.trial_data["trials"] if trial["state"] == state]


def test_all_pictures_stand_in_full_size_beside_the_page(section: Section, tmp_path: Path) -> None:
    write([section], tmp_path)
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("report-trials/*/*")}
    assert there == {picture.path for picture in section.pictures}
    assert len(there) == 23
    for path in there:
        assert (tmp_path / path).read_bytes() == next(one for one in section.pictures if one.path == path).read()


def test_what_stands_beside_the_page_is_not_read_again_and_goes_with_its_sweep(
    section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write([section], tmp_path)
    read: list[str] = []
    monkeypatch.setattr(TrialFiles, "read", lambda _, run_id, name: read.append(f"{run_id}/{name}"))
    files.write_current([section], tmp_path)
    assert read == []
    gone, *_, left = section.pictures
    (tmp_path / gone.path).unlink()
    (tmp_path / "report-trials" / "mine.txt").write_text("mine")
    shutil.copytree((tmp_path / left.path).parent, tmp_path / "report-trials" / "another")
    files.write_current([section], tmp_path)
    assert read == [f"{gone.run_id}/{gone.name}"]
    assert not (tmp_path / "report-trials" / "another").exists()
    assert (tmp_path / "report-trials" / "mine.txt").exists()


def test_the_page_has_small_pictures_of_the_best_and_of_what_exploded(section: Section) -> None:
    page = html("pictured", "made", [section])
    assert page.count('class="enlarge" data-path="report-trials/') == 7 + 1  # configurations, and a kind of explosion
    for trial in in_state(section, "loss explosion"):
        ((title, path, small),) = trial["pictures"]  # type: ignore[misc]
        assert (title, path) == (trial_pictures.EXPLODED, f"report-trials/{trial['id']}/explosion.png")
        assert small.startswith("data:image/webp;base64,")
    for trial in in_state(section, "completed"):
        assert trial["pictures"] == [["Seen", f"report-trials/{trial['id']}/seen.png"]]


def test_a_page_may_load_pictures_from_beside_it_where_it_has_some_and_nothing_else(section: Section) -> None:
    assert "default-src 'none'; img-src data: 'self' file:; style-src" in html("pictured", "made", [section])


def test_pictures_of_a_bounded_number_of_trials_are_kept_the_best_first(
    kept: tuple[Section, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    section, store = kept
    monkeypatch.setattr(trial_pictures, "MOST_TRIALS", 4)
    monkeypatch.setattr(trial_pictures, "MOST_SMALL", 1)
    found = trial_pictures.trial_pictures(TrialFiles(store), (), section.runs)
    assert [one.is_small for several in found.values() for one in several] == [True, False, False, False]
    assert [one.name for several in found.values() for one in several] == ["explosion.png", *["seen.png"] * 3]
    kinds = [Picture(name="other", title="Other", text="")]
    assert {one.name for several in trial_pictures.trial_pictures(TrialFiles(store), kinds, section.runs).values()
            for one in several} == {"explosion.png"}  # fmt: skip


def test_no_name_of_a_picture_leads_out_of_the_folder(kept: tuple[Section, Store]) -> None:
    class Hostile(TrialFiles):
        def names(self, run_id: str) -> set[str]:
            return {"../../x.png", "/etc/x.png", "a\nb.png", "fine.png"}

    section, store = kept
    found = trial_pictures.trial_pictures(Hostile(store), (), section.runs)
    assert {one.name for several in found.values() for one in several} == {"fine.png"}


def test_each_explosion_has_its_own_post_mortem(
    kept: tuple[Section, Store], section: Section, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [trial["post_mortem"] for trial in in_state(section, "loss explosion")]
    assert told == [f"What went first: seed {seed}. It was nan {HOSTILE}" for seed in range(3)]
    monkeypatch.setattr(leavings, "MOST_POST_MORTEMS", 1)
    assert sum("post_mortem" in left for left in leavings.left_by(TrialFiles(kept[1]), section.runs, {}).values()) == 1


@pytest.fixture
def page(browser: Browser, section: Section, tmp_path: Path) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(write([section], tmp_path).page.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached")
    yield page
    page.close()
    assert said == []


@pytest.mark.slow
def test_a_picture_enlarges_to_the_one_beside_the_page(page: Page, tmp_path: Path) -> None:
    figure = page.locator("main figure", has=page.locator("button.enlarge")).first
    assert figure.locator("img").evaluate("image => image.naturalWidth") == 480
    caption = figure.locator("figcaption").inner_text()
    assert caption.endswith("(seed 0, epoch 5)")
    figure.locator("button.enlarge").click()
    beside = page.locator("dialog.picture img[src^='report-trials/']")
    expect(beside).to_have_js_property("naturalWidth", 1000)
    assert page.locator("dialog.picture").get_by_text(caption).is_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.picture")).to_have_count(0)
    shutil.rmtree(tmp_path / "report-trials")
    page.reload()
    page.wait_for_selector("html[data-drawn]", state="attached")
    figure.locator("button.enlarge").press("Enter")
    page.get_by_text("the picture in full size is not beside the page").wait_for()
    assert page.locator("dialog.picture img").evaluate("image => image.naturalWidth") == 480


@pytest.mark.slow
def test_the_view_of_every_explosion_says_what_went_wrong_and_shows_it(page: Page, section: Section) -> None:
    for trial in in_state(section, "loss explosion"):
        page.goto(f"{page.url.partition('#')[0]}#trial={trial['id']}")
        view = page.locator("dialog.view")
        view.get_by_text(str(trial["post_mortem"])).wait_for()
        (width,) = view.locator("figure img").evaluate_all("all => all.map(one => one.naturalWidth)")
        assert width in (480, 800)  # the first of its kind is larger on the page
        assert view.get_by_text("Ended alike").locator("a").count() == 2


@pytest.mark.slow
def test_chosen_trials_have_their_pictures_side_by_side(page: Page) -> None:
    assert page.locator(".seen figure").count() == 0
    for box in page.locator(".tabulator-row input[type=checkbox]").all()[:2]:
        box.check()
    expect(page.locator(".seen figure")).to_have_count(2)
    widths = page.locator(".seen img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert all(widths)
    assert page.locator(".tabulator-row a img.thumbnail").count() > 0
