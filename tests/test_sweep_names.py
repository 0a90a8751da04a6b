"""What a sweep is called, where its files lie, and that two files of one name are two sweeps."""

import json
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from reading import artifacts, children

from orchestrator.errors import InputError
from orchestrator.spec import load
from orchestrator.system.paths import folder_name
from orchestrator.trackers.identity import PREFIX, Identity, differences

Write = Callable[..., Path]
Sweep = Callable[..., subprocess.CompletedProcess[str]]
TOY = "trial: toys:train\nparameters: {epochs: 1, x: {values: [0.1, 0.2]}}\n"
FREE = "ResNet-50: lr & wd (ümlaut) / try 2"


@pytest.mark.parametrize("name", ["var", "Var", "a b.c_d-e", "x" * 200, "2026-11-28"])
def test_a_plain_name_is_its_folder(name: str) -> None:
    assert folder_name(name) == name


def test_other_names_have_short_folders_of_which_no_two_meet() -> None:
    names = [FREE, FREE.upper(), f"{FREE}.", "a/b", "a:b", "A/B", "..", ".", "日本語", "日本", "x" * 201, "-x", "a "]
    folders = [folder_name(name) for name in names]
    assert len({folder.lower() for folder in folders}) == len(names)
    assert all(re.fullmatch(r"[\w-]{1,40}~[0-9a-f]{12}", folder) for folder in folders)
    assert folders[0].startswith("resnet-50-lr-wd-umlaut-try-2~")
    assert folders[names.index("日本語")].startswith("日本語~")
    assert folders[names.index("..")].startswith("sweep~")


SCRIPTS = ["学习率", "Скорость обучения", "معدل التعلم", "نرخ می\u200cآموزد"]
SCRIPTS += ["학습률", "सीखने की दर", "🔥 lr 🏴\u200d☠️", "Ἀθῆναι"]


@pytest.mark.parametrize("name", [*SCRIPTS, "🔥", "é" * 200, "学" * 200, "ß", "İ", "a\u0301\u0323", "ﬁ", "-", "_"])
def test_a_name_in_any_letters_is_a_name_and_its_folder_fits(name: str, tmp_path: Path) -> None:
    path = tmp_path / "given.yaml"
    path.write_text(f"name: {json.dumps(name, ensure_ascii=False)}\n", encoding="utf-8")
    spec = load(path)
    folder = folder_name(spec.name)
    assert not folder.startswith("~")
    assert len(folder.encode()) <= 255
    (tmp_path / folder).mkdir()
    assert folder in [entry.name for entry in tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["\u200c", "\u200d\u200d", "\u202eabc", "a\u0000b", "\u2028", "\ufeff"])
def test_a_name_of_which_nothing_is_seen_or_that_turns_the_line_around_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "given.yaml"
    path.write_text(f"name: {json.dumps(name)}\n")
    with pytest.raises(InputError, match="is not a valid name"):
        load(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS[:4])
def test_a_sweep_in_any_letters_is_launched_and_found_again(
    name: str, write: Write, store: str, sweep: Sweep, folder: Path
) -> None:
    path = write(TOY, f"{name}.yaml")
    done = sweep("launch", path, "--executor", "inline")
    assert done.returncode == 0, done.stderr
    assert len(children(store, name)) == 2
    short = folder_name(name)
    assert [entry.name for entry in (folder / "mlruns" / "artifacts").iterdir()] == [short]
    assert name in sweep("status", unicodedata.normalize("NFD", name)).stdout
    written = sweep("report", f" {name} ").stdout.splitlines()
    assert Path(written[0]).is_file()
    assert written[0] == f"reports/{short}/report.html"
    assert artifacts(store, children(store, name)[0]) == {"log.txt", "note.txt"}


def parent(store: str, name: str) -> dict[str, str]:
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(name)
    assert experiment, f"no experiment {name}"
    (run,) = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'parent'")
    return run.data.tags


@pytest.mark.slow
def test_a_sweep_has_its_name_as_written_everywhere_but_in_folders(
    write: Write, store: str, sweep: Sweep, folder: Path
) -> None:
    described = "description: |\n  Why *this* one?\n\n  Because.\n"
    path = write(f'name: "{FREE}"\n{described}{TOY}')
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    note = parent(store, FREE)["mlflow.note.content"]
    assert note.startswith("Why \\*this\\* one?\n\nBecause.\n\n| x |")
    short = folder_name(FREE)
    assert (folder / "mlruns" / "artifacts" / short).parent.is_dir()
    assert [path.name for path in (folder / "mlruns" / "work").iterdir()] == [short]
    assert FREE in sweep("status", FREE).stdout
    written = sweep("report", FREE).stdout.split()
    assert written[0] == f"reports/{short}/report.html"
    page, text = Path(written[0]).read_text(), Path(written[1]).read_text()
    assert "<p>Why *this* one?</p>" in page
    assert "ResNet-50: lr &amp; wd (ümlaut) / try 2" in page
    assert "Why \\*this\\* one?\n\nBecause.\n" in text


@pytest.mark.slow
def test_shells_complete_the_name_and_not_the_folder(write: Write, store: str, sweep: Sweep) -> None:
    from orchestrator.workspace import sweeps

    for text in (f'name: "{FREE}"\n{TOY}', TOY):
        assert sweep("launch", write(text), "--executor", "inline").returncode == 0
    assert sweeps(store) == [FREE, "toy"]


def test_names_that_look_alike_are_one_name(write: Write) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert load(write(TOY, f"{decomposed}.yaml")).name == composed
    assert load(write(f"name: ' {composed}  x'\n{TOY}")).name == f"{composed} x"


OURS = Identity("/a/sweep.yaml", "mine:train", "lr, wd")


@pytest.mark.parametrize(
    ("now", "is_there", "words"),
    [
        (OURS, True, []),
        (Identity("/a/sweep.yaml", "other:train", "x"), True, []),  # the same file, rewritten
        (Identity("/b/sweep.yaml", "mine:train", "lr, wd"), False, []),  # moved
        (Identity("/b/sweep.yaml", "mine:train", "lr, wd"), True, ["that file is still there, so this one is another"]),
        (
            Identity("/b/sweep.yaml", "other:train", "lr, beta"),
            False,
            [
                "that one runs mine:train, this one other:train",
                "only that one gives wd",
                "only this one gives beta",
            ],
        ),
    ],
)
def test_a_file_is_a_sweeps_by_its_place_or_by_all_the_rest(now: Identity, is_there: bool, words: list[str]) -> None:
    assert differences(OURS, now, lambda path: is_there and path == OURS.file) == words


@pytest.mark.slow
def test_another_file_of_the_same_name_does_not_fall_into_a_sweep(
    write: Write, store: str, sweep: Sweep, folder: Path
) -> None:
    first = write(TOY, "sweep.yaml")
    assert sweep("launch", first, "--executor", "inline").returncode == 0
    other = folder / "other"
    other.mkdir()
    shutil.copy(folder / "toys.py", other)
    second = other / "sweep.yaml"
    second.write_text("trial: toys:train\nparameters: {epochs: 1, x: 0.7, mode: {values: [fine]}}\n")
    before = parent(store, "sweep")
    planned = sweep("plan", second)
    refused = sweep("launch", second, "--executor", "inline")
    assert planned.returncode == 0
    why = refused.stderr.strip().removeprefix("sweep: ")
    assert f"a launch would be refused: {why}" in planned.stdout
    assert refused.returncode == 2
    assert (
        f"{second}: the sweep sweep in the store is of another file, {first}: only this one gives mode."
        in refused.stderr
    )
    assert "`name:`" in refused.stderr
    assert "--adopt" in refused.stderr
    assert parent(store, "sweep") == before
    assert len(children(store, "sweep")) == 2

    second.write_text(f"name: mine\n{second.read_text()}")
    assert sweep("launch", second, "--executor", "inline").returncode == 0
    second.write_text(second.read_text().removeprefix("name: mine\n"))
    assert sweep("launch", second, "--executor", "inline", "--adopt").returncode == 0
    assert parent(store, "sweep")[f"{PREFIX}file"] == str(second)
    assert len(children(store, "sweep")) == 3
    assert sweep("launch", second, "--executor", "inline").returncode == 0
    assert "that one runs" not in (turned := sweep("launch", first, "--executor", "inline")).stderr
    assert turned.returncode == 2


@pytest.mark.slow
def test_a_copy_is_another_sweep_and_a_moved_file_is_the_same(
    write: Write, store: str, sweep: Sweep, folder: Path
) -> None:
    first = write(TOY, "sweep.yaml")
    assert sweep("launch", first, "--executor", "inline").returncode == 0
    clone = folder / "clone"
    clone.mkdir()
    shutil.copy(folder / "toys.py", clone)
    copy = Path(shutil.copy(first, clone))
    refused = sweep("launch", copy, "--executor", "inline")
    assert refused.returncode == 2
    assert "that file is still there" in refused.stderr
    first.unlink()
    assert sweep("launch", copy, "--executor", "inline").returncode == 0
    assert parent(store, "sweep")[f"{PREFIX}file"] == str(copy)
    assert len(children(store, "sweep")) == 2


@pytest.mark.slow
def test_a_sweep_of_an_earlier_version_is_taken_on_and_gets_a_record(
    write: Write, store: str, sweep: Sweep, folder: Path
) -> None:
    assert sweep("launch", write(TOY, "sweep.yaml"), "--executor", "inline").returncode == 0
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("sweep").experiment_id
    (run,) = client.search_runs([experiment], "tags.`sweep.role` = 'parent'")
    for name in ("file", "runs", "parameters"):
        client.delete_tag(run.info.run_id, PREFIX + name)
    (folder / "new").mkdir()
    shutil.copy(folder / "toys.py", folder / "new")
    path = folder / "new" / "sweep.yaml"
    path.write_text("trial: toys:cliff\nparameters: {epochs: 1, x: 0.9}\n")
    assert sweep("launch", path, "--executor", "inline").returncode == 0
    recorded = Identity.recorded(parent(store, "sweep"))
    assert recorded == Identity(str(path), "toys:cliff", "epochs, x")
