"""The view of a sweep that the UI opens with: trials best first, in columns that tell something.

It stands where the UI itself keeps a view that somebody shares: in a tag of the experiment, whose key is part of the
address. A UI that does not understand it shows its own.
"""

import json

from orchestrator.record import best_name
from orchestrator.table import FINAL, Table

KEY = "sweep"
TAG = f"mlflow.sharedViewState.{KEY}"
MOST_PARAMETERS = 10
LONGEST = 5000  # characters that MLflow takes in a tag of an experiment


def view_of(table: Table) -> str | None:
    """The view for a table's trials, as a tag; None where it would be too long for one."""
    measured = {name for row in table.rows if row.record for name in row.record.metrics}
    compared = []
    for objective in table.spec.objectives:
        best, name = best_name(objective.name), objective.name
        compared.append(best if objective.counts_best and (best in measured or name not in measured) else name)
    metrics = dict.fromkeys((*compared, *FINAL, "best_epoch"))
    columns = ["tags.`outcome`", *(f"metrics.`{name}`" for name in metrics)]
    columns += [f"params.`{name}`" for name in table.varying[:MOST_PARAMETERS]]
    state = {
        "selectedColumns": [*columns, "attributes.`Models`"],
        "columnOrder": columns,
        "orderByKey": f"metrics.`{compared[0]}`",
        "orderByAsc": table.spec.objectives[0].goal == "minimize",
        "runsHiddenMode": "FIRST_20_RUNS",
    }
    text = json.dumps(state)
    return text if len(text) <= LONGEST else None


def address(experiment_id: str, has_view: bool) -> str:
    """Where on a server of MLflow's the runs of a sweep are."""
    view = f"&viewStateShareKey={KEY}" if has_view else ""
    return f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning{view}"
