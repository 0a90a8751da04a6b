"""The files of a report."""

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.reports.document import Section
from orchestrator.reports.markdown import markdown
from orchestrator.reports.page import html
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


def table(sections: Sequence[Section]) -> str:
    """A row for each run of each sweep, as CSV: its parameters, its outcome, the last value of each of its metrics."""
    runs = [(section, run) for section in sections for run in section.runs]
    params = list(dict.fromkeys(name for _, run in runs for name in run.params))
    metrics = sorted({name for _, run in runs if run.record for name in run.record.metrics})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["sweep", "run", *params, "outcome", *metrics, "epochs", "seconds", "code", "run_id", "remark"])
    for section, run in runs:
        record = run.record
        values = record.metrics if record else {}
        end = [record.last_epoch, record.seconds, record.digest, record.run_id, record.remark] if record else [""] * 5
        given = [run.params.get(name, "") for name in params]
        reported = [values.get(name, "") for name in metrics]
        writer.writerow([section.name, run.label, *given, run.state, *reported, *end])
    return out.getvalue()
