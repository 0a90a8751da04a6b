"""The report of a sweep, among the artifacts of its run."""

from pathlib import Path

from mlflow import MlflowClient

from orchestrator.system.paths import REPORT_FILE, REPORT_FOLDER, REPORT_PICTURES, REPORT_TABLE, REPORT_TEXT
from orchestrator.trackers.deleted import is_in_the_trash
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.open_run import LONGEST_TAG
from orchestrator.trackers.store import Store
from orchestrator.trackers.trial_note import TAG as NOTE
from orchestrator.trackers.view import report_link

LONGEST_LINK = 200  # characters, for which the description of a sweep leaves room


def log(client: MlflowClient, run_id: str, folder: Path) -> None:
    """Log the files of a report, and nothing else that is in its folder; the page last, as it leads to the others.

    Then the run's description leads to the page, where there is room.
    """
    pictures = folder / REPORT_PICTURES
    if pictures.is_dir():
        client.log_artifacts(run_id, str(pictures), f"{REPORT_FOLDER}/{REPORT_PICTURES}")
    for name in (REPORT_TEXT, REPORT_TABLE, REPORT_FILE):
        client.log_artifact(run_id, str(folder / name), REPORT_FOLDER)
    run = client.get_run(run_id)  # its description as it is by now
    described, link = run.data.tags.get(NOTE, ""), report_link(run.info.experiment_id, run_id)
    if link not in described and len(described) + LONGEST_LINK <= LONGEST_TAG:
        client.set_tag(run_id, NOTE, f"{link}\n\n{described}")


@translates_errors
def keep(store: Store, sweep: str, folder: Path) -> None:
    """Put the report in a folder beside the run of its sweep, if there is one.

    Raises:
        StoreError: the store does not answer, or refuses.
    """
    experiment = store.experiment(sweep)
    parent = None if experiment is None else store.parent(experiment)
    if parent is not None and not is_in_the_trash(parent):
        log(store.client, parent.info.run_id, folder)
