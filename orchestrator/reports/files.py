"""The files of a report."""

import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from orchestrator.errors import InputError
from orchestrator.reports.document import Section
from orchestrator.reports.markdown import markdown
from orchestrator.reports.page import html
from orchestrator.reports.sheet import table
from orchestrator.reports.trial_pictures import SUFFIX
from orchestrator.system.paths import REPORT_FILE, REPORT_TABLE, REPORT_TEXT, REPORT_TRIALS, REPORTS_FOLDER, folder_name

STAMP = "report-stamp.svg"  # beside a page that is kept current: its width says which page is there
OF_A_TRIAL = re.compile(r"[0-9a-f]{32}")  # as MLflow names a run: no such folder is a user's own


@dataclass(frozen=True)
class ReportFiles:
    """The paths of a report's files."""

    page: Path
    markdown: Path
    table: Path


def folder_for(names: Sequence[str]) -> Path:
    """The default folder of the report of these sweeps: "reports/lr", "reports/lr+7"."""
    first = folder_name(names[0])
    return REPORTS_FOLDER / (first if len(names) == 1 else f"{first}+{len(names) - 1}")


def write(sections: Sequence[Section], folder: Path) -> ReportFiles:
    """Write a report of these sweeps into a folder.

    Raises:
        InputError: the folder cannot be written.
    """
    title, made = _heading(sections)
    files = _files(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _is_kept_current(folder):
            write_current(sections, folder)
        else:
            _write_pictures(sections, folder)
            _replace(files.page, html(title, made, sections))
            (folder / STAMP).unlink(missing_ok=True)  # a page that was kept current loads itself a last time
            _delete_other_pictures(sections, folder)
        _replace(files.markdown, markdown(title, made, sections, folder))
        _replace(files.table, table(sections))
    except OSError as error:
        raise _unwritten(folder, error) from error
    return files


def write_current(sections: Sequence[Section], folder: Path) -> Path:
    """Write the page alone, as one that loads itself again once there is a newer one; returns its path.

    Raises:
        InputError: the folder cannot be written.
    """
    title, made = _heading(sections)
    page, stamp = page_in(folder), int(time.time()) % 30_000 + 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_pictures(sections, folder)
        _replace(page, html(title, made, sections, stamp))
        _replace(folder / STAMP, f'<svg xmlns="http://www.w3.org/2000/svg" width="{stamp}" height="1"/>')
        _delete_other_pictures(sections, folder)
    except OSError as error:
        raise _unwritten(folder, error) from error
    return page


@contextmanager
def kept_current(folder: Path) -> Iterator[None]:
    """A context in which each page in the folder, whoever writes it, is one that loads itself again.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritten(folder, error) from error
    with _opened(folder) as here:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(here, fcntl.LOCK_SH)
        yield


def _is_kept_current(folder: Path) -> bool:
    with _opened(folder) as here, suppress(OSError):
        try:
            fcntl.flock(here, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A folder as what can be locked, so that no file of a lock is left in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _heading(sections: Sequence[Section]) -> tuple[str, str]:
    """The title of a report, and when it was made."""
    title = sections[0].name if len(sections) == 1 else f"Report of {len(sections)} sweeps"
    return title, f"Made by sweep report on {time.strftime('%Y-%m-%d at %H:%M')}."


def page_in(folder: Path) -> Path:
    """The page of the report in a folder."""
    return folder / REPORT_FILE


def _files(folder: Path) -> ReportFiles:
    return ReportFiles(page_in(folder), folder / REPORT_TEXT, folder / REPORT_TABLE)


def _write_pictures(sections: Sequence[Section], folder: Path) -> None:
    """Have the pictures of these trials stand in full size beside the page, before this leads to them.

    What stands there of a trial that is not run again is not read again.
    """
    for picture in (picture for section in sections for picture in section.pictures):
        path = folder / picture.path
        if (picture.is_final and path.is_file()) or not (content := picture.read()):
            continue
        try:
            _write_picture(path, content)
        except (FileNotFoundError, FileExistsError):  # another writer has just deleted the folder, which was empty
            _write_picture(path, content)


def _write_picture(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, content)


def _delete_other_pictures(sections: Sequence[Section], folder: Path) -> None:
    """Delete the pictures of trials that the page leads to no longer, and nothing that may be a user's own."""
    wanted = {folder / picture.path for section in sections for picture in section.pictures}
    unlisted = {run_id for section in sections for run_id in section.unlisted}
    for of_a_trial in _folders(folder / REPORT_TRIALS):
        if OF_A_TRIAL.fullmatch(of_a_trial.name) and of_a_trial.name not in unlisted:
            with suppress(FileNotFoundError):  # another writer has deleted the folder
                _delete(of_a_trial, {*of_a_trial.glob(f"*{SUFFIX}")} - wanted)


def _delete(folder: Path, files: set[Path]) -> None:
    """Delete files in a folder, and this if it has no others."""
    for path in files:
        path.unlink(missing_ok=True)
    if files:
        with suppress(OSError):  # it has others
            folder.rmdir()


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder. What a link leads to is elsewhere."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False)]


def _replace(path: Path, content: str | bytes) -> None:
    """Write a file that a browser may be reading, and others may be writing."""
    whole = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        whole.write_bytes(content if isinstance(content, bytes) else content.encode())
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)


def _unwritten(folder: Path, error: OSError) -> InputError:
    return InputError(f"--out {folder}: cannot be written ({error.strerror})")
