"""Pictures and artifacts of a program: none takes another's place, and what there is no room for is said."""

from pathlib import Path

import pytest
from test_disk import mounted

from orchestrator.programs.files import NAME_FILE, LoggedFiles
from orchestrator.programs.logged import ArtifactLogged, NotKept, PictureLogged


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of the script's own."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def kept_pictures(workdir: Path, source: Path, *names: str) -> dict[str, str]:
    """What is kept of pictures of these names, by folder; each has its name as its content."""
    files = LoggedFiles(workdir)
    for number, name in enumerate(names):
        path = source / f"{number}.png"
        path.write_text(name)
        assert files.keep(PictureLogged("wandb", name, str(path), 1), epoch=1) is None
    return {path.parent.name: path.read_text() for path in workdir.glob("images/*/*.png")}


@pytest.mark.parametrize(
    "names",
    [
        ("recon", "Recon", "RECON"),
        ("val/recon", "val_recon"),
        ("caf\u00e9", "cafe\u0301", "caf_"),
        ("a@b", "a#b"),
        ("x" * 300, "x" * 301),
    ],
)
def test_pictures_of_different_names_share_no_folder_on_any_file_system(
    tmp_path: Path, source: Path, names: tuple[str, ...]
) -> None:
    kept = kept_pictures(tmp_path, source, *names)
    assert sorted(kept.values()) == sorted(names)
    assert len({name.casefold() for name in kept}) == len(names)
    assert kept_pictures(tmp_path, source, *reversed(names)) == kept  # as after a restart


def test_a_picture_has_the_name_that_it_was_given(tmp_path: Path, source: Path) -> None:
    kept_pictures(tmp_path, source, "Recon", "val/recon")
    folders = sorted((tmp_path / "images").iterdir())
    assert [folder.name for folder in folders] == ["Recon", "val_recon"]
    assert [(folder / NAME_FILE).read_text() for folder in folders] == ["Recon", "val/recon"]


def test_artifacts_whose_names_differ_in_case_are_apart_and_one_of_the_same_name_is_the_newest(
    tmp_path: Path, source: Path
) -> None:
    files = LoggedFiles(tmp_path)
    for name in ("Model.pt", "model.pt", "plots/a", "Plots/a", "plots/a"):
        (source / "file").write_text(name)
        assert files.keep(ArtifactLogged("wandb", str(source / "file"), name), epoch=1) is None
    paths = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert sorted(path.read_text() for path in paths) == ["Model.pt", "Plots/a", "model.pt", "plots/a"]
    assert len({str(path).casefold() for path in paths}) == len(paths)


def test_what_there_is_no_room_for_is_said_and_no_part_of_it_is_left(tmp_path: Path, source: Path) -> None:
    (source / "folder").mkdir()
    for name, size in {"small": 1000, "big": 900_000, "folder/small": 1000, "folder/big": 900_000}.items():
        (source / name).write_bytes(b"x" * size)
    with mounted(tmp_path / "disk", 400_000):
        files = LoggedFiles(tmp_path / "disk")
        said = [
            files.keep(ArtifactLogged("mlflow", str(source / name), name), epoch=1)
            for name in ("small", "big", "folder", "big")
        ]
        said += [files.keep(PictureLogged("wandb", "seen", str(source / "big"), 1), epoch=1)]
        kept = {str(path.relative_to(tmp_path / "disk")) for path in (tmp_path / "disk").rglob("*") if path.is_file()}
    room = "No space left on device"
    assert said[0] is None
    assert said[1] == f"not all could be kept: big ({room})"
    assert str(said[2]).startswith(f"{str(said[1]).removesuffix(')')}); folder (big: [Errno 28] {room}")
    assert said[3] is None  # it is no news
    assert str(said[4]).endswith(f"; seen ({room})")
    assert kept == {"artifacts/small", "artifacts/folder/small", f"images/seen/{NAME_FILE}"}


def test_what_a_script_itself_could_not_draw_is_said(tmp_path: Path) -> None:
    said = LoggedFiles(tmp_path).keep(NotKept("wandb", "seen", "No space left on device"), epoch=1)
    assert said == "not all could be kept: seen (No space left on device)"
