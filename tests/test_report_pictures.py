"""The pictures of trials in a report: small on the page, in full size beside it; and why each trial exploded."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from exploring import HOSTILE, recorded
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, TEMPORARILY_UNAVAILABLE
from playwright.sync_api import Browser, Page, expect

from orchestrator.errors import StoreBusyError
from orchestrator.functions.declaration import Picture
from orchestrator.reports import files, gallery, leavings, sections, trial_pictures
from orchestrator.reports.document import Section
from orchestrator.reports.files import write
from orchestrator.reports.page import html
from orchestrator.reports.trial_files import TrialFiles
from orchestrator.spec import load
from orchestrator.system.paths import LOG_FILE
from orchestrator.trackers import Store
from orchestrator.trial import Outcome

TESTS = Path(__file__).parent
GONE = "0123456789abcdef" * 2  # the run_id of a trial that is no longer in the store


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
    shutil.copytree((tmp_path / left.path).parent, tmp_path / "report-trials" / GONE)
    files.write_current([section], tmp_path)
    assert read == [f"{gone.run_id}/{gone.name}"]
    assert not (tmp_path / "report-trials" / GONE).exists()
    assert (tmp_path / "report-trials" / "mine.txt").exists()


def of_a_trial(folder: Path, run_id: str = GONE) -> Path:
    """A picture that an earlier report has left beside the page."""
    path = folder / "report-trials" / run_id / "seen.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"earlier")
    return path


def test_pictures_that_a_user_has_put_beside_the_page_stay(section: Section, tmp_path: Path) -> None:
    own = of_a_trial(tmp_path, "mine")
    elsewhere = of_a_trial(tmp_path / "elsewhere")
    (tmp_path / "report-trials" / GONE).symlink_to(elsewhere.parent)
    files.write([section], tmp_path)
    files.write_current([section], tmp_path)
    assert own.is_file()
    assert elsewhere.is_file()
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "report-trials").symlink_to(elsewhere.parent.parent)
    files.write([section], linked)
    assert elsewhere.is_file()
    assert (linked / section.pictures[0].path).is_file()


def test_pictures_stand_beside_a_page_before_it_is_there_and_go_once_it_leads_to_them_no_more(
    section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, seen = files._replace, []

    def look(path: Path, content: str | bytes) -> None:
        if path.suffix != ".png":
            seen.append((path.name, len({*tmp_path.glob("report-trials/*/*")} - {left}), left.is_file()))
        replace(path, content)

    left = of_a_trial(tmp_path)
    monkeypatch.setattr(files, "_replace", look)
    files.write_current([section], tmp_path)
    assert seen == [("report.html", 23, True), (files.STAMP, 23, True)]
    assert not left.exists()
    shutil.rmtree(tmp_path / "report-trials")
    left = of_a_trial(tmp_path)
    seen.clear()
    files.write([section], tmp_path)
    assert seen[0] == ("report.html", 23, True)
    assert not left.exists()


def test_writers_of_one_folder_do_not_fail_for_what_the_other_has_deleted(
    section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, glob, interfered = files._replace, Path.glob, []

    def without_folder(path: Path, content: str | bytes) -> None:
        if not interfered:
            path.parent.rmdir()
            interfered.append("folder")
        replace(path, content)

    def without_what_is_found(folder: Path, pattern: str) -> Iterator[Path]:
        for path in [*glob(folder, pattern)]:
            if folder.name in (GONE, "report-pictures"):
                path.unlink()
                interfered.append(path.name)
            yield path

    left = of_a_trial(tmp_path)
    (tmp_path / "report-pictures").mkdir()
    (tmp_path / "report-pictures" / "chart.svg").write_text("earlier")
    monkeypatch.setattr(files, "_replace", without_folder)
    monkeypatch.setattr(Path, "glob", without_what_is_found)
    files.write([section], tmp_path)
    assert interfered == ["folder", "seen.png", "chart.svg"]
    assert not left.parent.exists()
    assert all((tmp_path / picture.path).is_file() for picture in section.pictures)


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


def test_no_run_id_leads_out_of_the_folder(kept: tuple[Section, Store]) -> None:
    section, store = kept
    run = next(run for run in section.runs if run.outcome is Outcome.COMPLETED)
    assert run.record
    ids = ["../../../evil", "..", ".", "", "a/b", "a\\b", "/etc", "a\n", run.record.run_id]
    runs = [replace(run, record=replace(run.record, run_id=run_id)) for run_id in ids]

    class Hostile(TrialFiles):
        def names(self, run_id: str) -> set[str]:
            return {"seen.png"}

    assert [*trial_pictures.trial_pictures(Hostile(store), (), runs)] == [run.record.run_id]
    assert {trial_pictures.path_of(run_id, "seen.png") for run_id in ids[:-1]} == {""}


def listed_by(store: Store, error: MlflowException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the store answer so, whoever asks what a trial has left."""

    def answer(*_: object) -> None:
        raise error

    monkeypatch.setattr(store.client, "list_artifacts", answer)


def test_nothing_is_deleted_of_trials_of_which_the_store_refuses_to_say_what_they_left(
    kept: tuple[Section, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, store = kept
    write([known], tmp_path)
    left = of_a_trial(tmp_path)
    listed_by(store, MlflowException("not yours", error_code=PERMISSION_DENIED), monkeypatch)
    spec = load(Path(store.uri.removeprefix("sqlite:///")).with_name("explored.yaml"))
    refused = sections.section(store, spec, "explored", all_records=False, is_live=False)
    assert refused.pictures == ()
    write([refused], tmp_path)
    assert all((tmp_path / picture.path).is_file() for picture in known.pictures)
    assert not left.exists()


def test_a_store_that_is_busy_has_no_report_be_made_without_pictures(
    kept: tuple[Section, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = kept[1]
    trial_files = TrialFiles(store)
    with monkeypatch.context() as busy:
        listed_by(store, MlflowException("away", error_code=TEMPORARILY_UNAVAILABLE), busy)
        for ask in (trial_files.names, lambda run_id: trial_files.read(run_id, "seen.png")):
            with pytest.raises(StoreBusyError):
                ask(kept[0].pictures[0].run_id)
    assert trial_files.read(kept[0].pictures[0].run_id, kept[0].pictures[0].name)  # once it answers again


def test_each_explosion_has_its_own_post_mortem(
    kept: tuple[Section, Store], section: Section, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [trial["post_mortem"] for trial in in_state(section, "loss explosion")]
    assert told == [f"What went first: seed {seed}. It was nan {HOSTILE}" for seed in range(3)]
    assert section.trial_data["left_out"] == {}
    monkeypatch.setattr(leavings, "MOST_POST_MORTEMS", 1)
    monkeypatch.setattr(leavings, "MOST_LOGS", 1)
    left = leavings.left_by(TrialFiles(kept[1]), section.runs, {})
    assert sum("post_mortem" in one for one in left.values()) == 1
    said = "The page has the post-mortems of 1 of 3 explosions; others may be in MLflow, as explosion.md."
    assert leavings.left_out(section.runs, left) == {"post_mortem": said}
    of_logs = (
        "The page has the ends of the logs of 1 of 2 trials that failed or are infeasible; others may be in MLflow"
    )
    assert leavings.left_out([*section.runs] * 2, left)["log"] == f"{of_logs}, as {LOG_FILE}."
    assert gallery.post_mortems(TrialFiles(kept[1]), section.runs, left).words[1:] == (said,)


def test_each_post_mortem_is_read_once_for_a_report(
    kept: tuple[Section, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, read = kept[1], []
    fetch = store.artifact
    monkeypatch.setattr(store, "artifact", lambda run_id, name: read.append((run_id, name)) or fetch(run_id, name))
    spec = load(Path(store.uri.removeprefix("sqlite:///")).with_name("explored.yaml"))
    sections.section(store, spec, "explored", all_records=False, is_live=False)
    told = [run_id for run_id, name in read if name == "explosion.md"]
    assert len(told) == len({*told}) == 3


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
