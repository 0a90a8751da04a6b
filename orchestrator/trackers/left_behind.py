"""What launches that died have left in the runs of trials, put in order."""

from collections.abc import Callable, Iterable

from mlflow import MlflowClient

from orchestrator.trackers.open_run import STATUS
from orchestrator.trial import Outcome
from orchestrator.trials.record import REUSED, Record


def settled(client: MlflowClient, read: Callable[[], Iterable[Record]]) -> dict[str, Record]:
    """The trials that are read from the store, by trial_key, none of which is open."""
    known = _distinct(client, read())
    return _distinct(client, read()) if _settle(client, known.values()) else known


def _distinct(client: MlflowClient, records: Iterable[Record]) -> dict[str, Record]:
    """A server that answers late may have made two runs of a trial; keep one."""
    known: dict[str, Record] = {}
    with_key = (record for record in records if record.trial_key)
    for record in sorted(with_key, key=lambda record: record.outcome is None):
        if record.trial_key in known:
            client.delete_run(record.run_id)
        known.setdefault(record.trial_key, record)
    return known


def _settle(client: MlflowClient, records: Iterable[Record]) -> bool:
    """End what a dead launch left RUNNING: with the status of its outcome, else as interrupted.

    A copy from another sweep that was cut off is of no use, and deleted. Returns whether there was anything.
    """
    cut_off = [record for record in records if record.status == "RUNNING"]
    for record in cut_off:
        if record.outcome is None and REUSED in record.tags:
            client.delete_run(record.run_id)
            continue
        if record.outcome is None:
            client.set_tag(record.run_id, "outcome", Outcome.INTERRUPTED.value)
        client.set_terminated(record.run_id, STATUS[record.outcome or Outcome.INTERRUPTED])
    return bool(cut_off)
