"""The view of a sweep that the UI opens with: trials best first, in columns and charts that are worth a look.

It stands where the UI itself keeps a view that somebody shares: in a tag of the experiment, whose key is part of the
address. A UI that does not understand it shows its own.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from orchestrator.comparison.table import Table
from orchestrator.system.paths import REPORT_FILE, REPORT_FOLDER
from orchestrator.trial import Outcome
from orchestrator.trials.metric_names import nearest
from orchestrator.trials.metric_names import picture as picture_name
from orchestrator.trials.record import BEST_EPOCH, EXPLODED, Record, best_name

KEY = "sweep"
TAG = f"mlflow.sharedViewState.{KEY}"
MOST_PARAMETERS = 10
LONGEST = 5000  # characters that MLflow takes in a tag of an experiment
MOST_UNDECLARED = 4  # curves, and kinds of pictures, of a function that does not say which are worth a look
THE_UIS_OWN = ("Model metrics", "System metrics")  # sections, which it fills with what the others do not show
MOST_CURVES = 20
OF_TRAINING = (
    "workflowType=machine_learning"  # without it the UI is one for language models, whatever the experiment is of
)
COLOURS = (  # of runs in the UI's charts, as far as they go around: Tableau's, the strong ones first
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
    *("#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94", "#f7b6d2", "#c7c7c7", "#dbdb8d", "#9edae5"),
)


def view_of(table: Table) -> str | None:
    """The view for a table's trials, as a tag; None where it would be too long for one."""
    compared = _compared(table)
    metrics = dict.fromkeys((*compared, *(column.name for column in table.shown), *[BEST_EPOCH] * bool(compared)))
    columns = ["tags.`outcome`", *(f"metrics.`{nearest(name)}`" for name in metrics)]
    columns += [f"params.`{nearest(table.spec.function.called(name))}`" for name in _varying(table)[:MOST_PARAMETERS]]
    state = {
        "selectedColumns": [*columns, "attributes.`Models`"],
        "columnOrder": columns,
        "orderByKey": f"metrics.`{nearest(compared[0])}`" if compared else _unranked(table),
        "orderByAsc": not compared or table.spec.objectives[0].goal == "minimize",
        "runsHiddenMode": f"FIRST_{MOST_CURVES}_RUNS",
        "hideEmptyCharts": True,
        **_charts(table),
    }
    text = json.dumps(state, separators=(",", ":"))
    return text if len(text) <= LONGEST else None


def colours(begun: int) -> Iterator[str]:
    """The colours of further runs, where so many have one."""
    return itertools.islice(itertools.cycle(COLOURS), begun, None)


def address(experiment_id: str, has_view: bool) -> str:
    """Where on a server of MLflow's the runs of a sweep are, as a table."""
    view = f"&viewStateShareKey={KEY}" if has_view else ""
    return f"/#/experiments/{experiment_id}/runs?{OF_TRAINING}{view}"


def run_address(experiment_id: str, run_id: str, part: str = "") -> str:
    """Where on a server of MLflow's a run of a sweep is, or a part of its page."""
    return f"/#/experiments/{experiment_id}/runs/{run_id}{part}?{OF_TRAINING}"


def link(text: str, address: str) -> str:
    """As Markdown, in the description of a run."""
    return f"[{text}]({address.removeprefix('/')})"


def report_link(experiment_id: str, run_id: str) -> str:
    """To the report that lies beside a sweep's run."""
    return link("the report", run_address(experiment_id, run_id, f"/artifacts/{REPORT_FOLDER}/{REPORT_FILE}"))


def charts(address: str) -> str:
    """The same, as curves and pictures."""
    return f"{address}&compareRunsMode=CHART"


def _unranked(table: Table) -> str:
    """By what rows are sorted that nothing ranks; not by their start, as the UI then hides them below the parent."""
    varying = _varying(table)
    return f"params.`{nearest(table.spec.function.called(varying[0]))}`" if varying else f"metrics.`{EXPLODED}`"


def _varying(table: Table) -> list[str]:
    """The parameters that vary among the trials so far, and those that will."""
    return [*dict.fromkeys([*table.varying, *(name for name in table.spec.domains if name in table.spec.varying)])]


def _compared(table: Table) -> list[str]:
    """The metrics that have the values of the objectives."""
    measured = {name for row in table.rows if row.record for name in row.record.metrics}
    compared = []
    for objective in table.spec.objectives:
        best, name = best_name(objective.name), objective.name
        compared.append(best if objective.counts_best and (best in measured or name not in measured) else name)
    return compared


def _charts(table: Table) -> dict[str, list[dict[str, Any]]]:
    """Curves of the objectives and losses, pictures at the last epoch that there is, and what the UI adds by itself."""
    made = {"Curves": [_curve(nearest(name)) for name in _curves(table)]}
    ended = [row.record for row in table.rows if row.record and row.outcome is Outcome.COMPLETED]
    epochs = [record.last_epoch or 0 for record in ended]
    if epochs and (pictures := _pictures(table, ended)):
        made["Pictures"] = [_picture(name, max(epochs)) for name in pictures]
    placed = [{**chart, "metricSectionId": section} for section, of_it in made.items() for chart in of_it]
    sections = [*_sections(made, is_generated=False), *_sections(THE_UIS_OWN, is_generated=True)]
    return {"compareRunCharts": placed, "compareRunSections": sections}


def _curves(table: Table) -> list[str]:
    """The objectives and the losses; where there are neither, what else trials have reported by epoch."""
    records = [row.record for row in table.rows if row.record]
    reported = dict.fromkeys(name for record in records for name in record.names_by_epoch)
    declaration = table.spec.function.declaration
    losses = [_first(declaration.losses_of_training, reported), _first(declaration.losses_of_validation, reported)]
    names = [*(objective.name for objective in table.spec.objectives), *filter(None, losses)]
    return list(dict.fromkeys(names)) or [*reported][:MOST_UNDECLARED]


def _first(names: Iterable[str], among: Iterable[str]) -> str | None:
    return next((name for name in names if name in among), None)


def _pictures(table: Table, records: Iterable[Record]) -> list[str]:
    """The pictures by epoch: those declared, or else those that trials have left."""
    declared = [picture_name(picture.name) for picture in table.spec.function.declaration.pictures if picture.by_epoch]
    left = dict.fromkeys(name for record in records for name in record.picture_names)
    return declared or [*left][:MOST_UNDECLARED]


def _sections(names: Iterable[str], is_generated: bool) -> list[dict[str, Any]]:
    columns: dict[str, Any] = {"Pictures": {"columns": 1}}
    shared = {"display": True, "isReordered": not is_generated, "deleted": False, "isGenerated": is_generated}
    return [{"uuid": name, "name": name, **shared, **columns.get(name, {})} for name in names]


def _curve(name: str) -> dict[str, Any]:
    shown = {"metricKey": name, "selectedMetricKeys": [name], "xAxisKey": "step", "lineSmoothness": 0}
    return _chart("LINE", name) | shown


def _picture(name: str, epoch: int) -> dict[str, Any]:
    return _chart("IMAGE", name) | {"imageKeys": [name], "step": epoch, "showRunParams": False}


def _chart(kind: str, name: str) -> dict[str, Any]:
    return {"uuid": name, "type": kind, "runsCountToCompare": MOST_CURVES, "deleted": False, "isGenerated": False}
