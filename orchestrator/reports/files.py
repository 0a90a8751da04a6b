"""The files of a report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.reports.document import Section
from orchestrator.reports.markdown import markdown
from orchestrator.reports.page import html
from orchestrator.reports.sheet import table
from orchestrator.system.paths import folder_name

FOLDER = Path("reports")


@dataclass(frozen=True)
class ReportFiles:
    """The paths of a report's files."""

    page: Path
    markdown: Path
    table: Path


def folder_for(names: Sequence[str]) -> Path:
    """The default folder of the report of these sweeps: "reports/lr", "reports/lr+7"."""
    first = folder_name(names[0])
    return FOLDER / (first if len(names) == 1 else f"{first}+{len(names) - 1}")


def write(sections: Sequence[Section], folder: Path) -> ReportFiles:
    """Write a report of these sweeps into a folder.

    Raises:
        InputError: the folder cannot be written.
    """
    title = sections[0].name if len(sections) == 1 else f"Report of {len(sections)} sweeps"
    made = f"Made by sweep report on {time.strftime('%Y-%m-%d at %H:%M')}."
    files = ReportFiles(*(folder / f"report.{suffix}" for suffix in ("html", "md", "csv")))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.page.write_text(html(title, made, sections), encoding="utf-8")
        files.markdown.write_text(markdown(title, made, sections, folder), encoding="utf-8")
        files.table.write_text(table(sections), encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written ({error.strerror})") from error
    return files
