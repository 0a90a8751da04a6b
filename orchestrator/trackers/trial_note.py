"""The description of a trial's run: how it ended and why, what it came to, and where there is more to see."""

from orchestrator.comparison.markdown import escaped
from orchestrator.spec import SweepSpec
from orchestrator.system.figures import figure, numbered
from orchestrator.trackers.view import link, report_link, run_address
from orchestrator.trial import Outcome
from orchestrator.trials.record import BROKEN, Record

TAG = "mlflow.note.content"
LONGEST_REASON = 2000  # characters


def note(record: Record, spec: SweepSpec, experiment_id: str, parent_id: str) -> str:
    """As Markdown, which MLflow's page of a run shows first.

    Args:
        record: of a trial that has ended.
        spec: its sweep.
        experiment_id: of its sweep.
        parent_id: the run of its sweep.
    """
    reason = escaped(record.remark[:LONGEST_REASON])
    epochs = record.last_epoch
    found = [(one, record.value(one)) for one in spec.objectives]
    values = [f"{escaped(one.name)} {figure(value)}" for one, value in found if value is not None]
    facts = [*values, *([numbered(epochs, "epoch")] if epochs else [])]
    links = [
        link("the sweep", run_address(experiment_id, parent_id)),
        *[f"{report_link(experiment_id, parent_id)}, once the launch has ended"] * spec.report,
        link("curves and pictures", run_address(experiment_id, record.run_id, "/model-metrics")),
        _files(experiment_id, record.run_id),
    ]
    parts = [
        f"**{record.outcome}**{f': {reason}' if reason else ''}",
        f"breaks {escaped(record.tags[BROKEN])}" if BROKEN in record.tags else "",
        ", ".join(facts),
        " · ".join(links),
    ]
    return "\n\n".join(filter(None, parts))


def is_anothers(text: str, experiment_id: str, run_id: str) -> bool:
    """Whether somebody has written what describes a run, or a part of that before or behind what stands there else."""
    begins = text.startswith(tuple(f"**{outcome}**" for outcome in Outcome))
    return bool(text) and not (begins and text.endswith(_files(experiment_id, run_id)))


def _files(experiment_id: str, run_id: str) -> str:
    return link("log and files", run_address(experiment_id, run_id, "/artifacts"))
