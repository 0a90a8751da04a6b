"""The trials of a sweep and their curves as tables of pandas, and these as CSV."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.comparison.csv_table import cell
from orchestrator.trials.record import Record

if TYPE_CHECKING:
    from pandas import DataFrame

    from orchestrator.trackers import Store


def trials(records: Sequence[Record]) -> "DataFrame":
    """A row for each trial, by its label: parameters, outcome, metrics, seconds of training, remark, run_id.

    A metric with the name of a parameter is called `metrics.NAME`.
    """
    from pandas import DataFrame

    rows = []
    for record in records:
        metrics = {f"metrics.{k}" if k in record.params else k: value for k, value in record.metrics.items()}
        ended = {"seconds": record.seconds, "remark": record.remark, "run_id": record.run_id}
        outcome = None if record.outcome is None else str(record.outcome)
        rows.append({"trial": record.label, **record.params, "outcome": outcome, **metrics, **ended})
    return DataFrame(rows, columns=None if rows else ["trial"]).set_index("trial")


def curves(reader: "Store", records: Sequence[Record]) -> "DataFrame":
    """A row for each epoch of each trial, by its label and the epoch: the metrics that it reported there."""
    from pandas import DataFrame, MultiIndex

    labels = {record.run_id: record.label for record in records}
    names = dict.fromkeys(name for record in records for name in record.names_by_epoch)
    rows: dict[tuple[str, int], dict[str, float]] = {}
    for name, found in ((name, reader.curves(name, records)) for name in names):
        for run_id, curve in found.items():
            for epoch, value in curve.items():
                rows.setdefault((labels[run_id], epoch), {})[name] = value
    numbers = {label: number for number, label in enumerate(labels.values())}
    places = sorted(rows, key=lambda place: (numbers[place[0]], place[1]))
    columns = [[label for label, _ in places], [epoch for _, epoch in places]]
    index = MultiIndex.from_arrays(columns, names=["trial", "epoch"])
    return DataFrame([rows[place] for place in places], index=index, columns=[*names])


def write_csv(frame: "DataFrame", path: Path) -> None:
    """Write a table. A text that a spreadsheet would compute has an apostrophe before it, as in the report's CSV."""

    def text(value: Any) -> str:
        if isinstance(value, float) and math.isnan(value):  # what pandas has where a row has nothing
            return ""
        return cell(json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value)

    flat = frame.reset_index()
    for name, kind in flat.dtypes.items():
        if kind.kind not in "biuf":
            flat[name] = flat[name].map(text)
    flat.columns = [cell(name) for name in flat.columns]
    flat.to_csv(path, index=False, lineterminator="\n")
