"""Checkpoints of trials that have completed, kept with their runs: what a sweep file's `keep_checkpoints` says.

With the files goes the trial's journal, so that its curve goes on where they do.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from orchestrator.spec import SweepSpec
from orchestrator.system import regular
from orchestrator.system.stalling import StalledError, attended
from orchestrator.trackers import deleted, remains
from orchestrator.trackers.artifacts import log_file, tried
from orchestrator.trackers.errors import is_refusal, translates_errors
from orchestrator.trackers.open_run import LONGEST_TAG, OpenRun
from orchestrator.trial import Outcome
from orchestrator.trials.longer import CHECKPOINT
from orchestrator.trials.metric_names import file_name
from orchestrator.trials.record import BROKEN, PROBLEM, REPLACES, Record, is_present
from orchestrator.worker import journal
from orchestrator.worker.journal import JOURNAL_FILE
from orchestrator.workspace import ORIGIN_FILE

FOLDER = Path("checkpoint")  # among the artifacts of a run


class Checkpoints:
    """Those that a sweep keeps; of more than it is to keep, the worse ones go as better ones come.

    What a run has kept goes once the one that counts in its place has a result.
    """

    def __init__(self, client: MlflowClient, uri: str, spec: SweepSpec, records: Iterable[Record]) -> None:
        self.client, self.uri, self.spec = client, uri, spec
        self._values: dict[str, float] = {}  # by run_id, of those that are kept and count
        for record in records:
            if CHECKPOINT in record.tags and is_present(spec.function, record):
                self._note(record)

    def forget(self, run_id: str) -> None:
        """Know that another run counts in place of this one."""
        self._values.pop(run_id, None)

    def keep(self, record: Record, run: OpenRun, workdir: Path) -> dict[str, str]:
        """Keep the checkpoint of a trial that has ended, where the file says so; returns tags of its run."""
        most = self.spec.keep_checkpoints
        if most == 0 or record.outcome is None or not record.outcome.is_result:
            return {}
        is_kept = record.outcome is Outcome.COMPLETED and (most is None or self._is_among_best(record, most))
        tags = self._keep(record, run, workdir, most) if is_kept else {}
        self._drop_replaced(run.run_id)
        return tags

    def _keep(self, record: Record, run: OpenRun, workdir: Path, most: int | None) -> dict[str, str]:
        try:
            size, problem = attended(lambda: self._log(run, workdir))
        except (StalledError, OSError) as error:
            size, problem = 0, f"it could not be read: {error}"
        if problem:
            said = [record.tags[PROBLEM]] if PROBLEM in record.tags else []
            return {PROBLEM: "; ".join([*said, f"the checkpoint is not kept: {problem}"])[:LONGEST_TAG]}
        if most is not None and size:
            self._note(record)
            for run_id in self._ranked()[most:]:
                self._drop(run_id)
        return {CHECKPOINT: str(size)} if size else {}

    def _note(self, record: Record) -> None:
        """Know of a checkpoint that is kept."""
        value = record.value(self.spec.objectives[0]) if len(self.spec.objectives) == 1 else None
        if value is not None:
            self._values[record.run_id] = value

    def _is_among_best(self, record: Record, most: int) -> bool:
        """Whether a trial is one of the best so far, and so may be one of the best in the end."""
        if record.value(self.spec.objectives[0]) is None or BROKEN in record.tags:
            return False
        before = dict(self._values)
        self._note(record)
        is_one = record.run_id in self._ranked()[:most]
        self._values = before
        return is_one

    def _ranked(self) -> list[str]:
        """The runs, the best first."""
        sign = 1 if self.spec.objectives[0].goal == "minimize" else -1
        return sorted(self._values, key=lambda run_id: sign * self._values[run_id])

    def _log(self, run: OpenRun, workdir: Path) -> tuple[int, str]:
        """Log the files; returns how many bytes they have, and what is wrong with any of them."""
        place = remains.folder(workdir, self.spec.function)
        found = remains.kept(place, self.spec.function.declaration.checkpoints, workdir).files
        files = {path: real for path, real in found.items() if path.name != JOURNAL_FILE}
        problems = [f"no store keeps a file {path}" for path in files if Path(*map(file_name, path.parts)) != path]
        if problems or not files:
            return 0, "; ".join(problems)
        size = 0
        for path, real in {**files, Path(JOURNAL_FILE): workdir / JOURNAL_FILE}.items():
            log = partial(log_file, self.client, run.run_id, real, FOLDER / path)
            problems += tried(self.client, run, FOLDER / path, real, log)
            size += real.stat().st_size
        return size, "; ".join(problems)

    def _drop_replaced(self, run_id: str) -> None:
        """Remove what is kept of the runs in whose place this one counts."""
        seen = {run_id}
        run = self._run(run_id)
        while run and (before := run.data.tags.get(REPLACES, run_id)) not in seen:  # who may write may change tags
            seen.add(before)
            run = self._drop(before)

    def _drop(self, run_id: str) -> Run | None:
        """Remove what is kept of a run of this sweep; last what says so, so that a removal that is cut off goes on."""
        self._values.pop(run_id, None)
        run = self._run(run_id)
        if run is None or run.data.tags.get("sweep") != self.spec.name:
            return None
        if deleted.is_in_the_trash(run):
            return run
        files = {item.path for item in self.client.list_artifacts(run_id, str(FOLDER))}
        try:
            journal_file = str(FOLDER / JOURNAL_FILE)  # first: no trial goes on from what is left without it
            for path in ([journal_file] if journal_file in files else []) + ([str(FOLDER)] if files else []):
                get_artifact_repository(run.info.artifact_uri, self.uri).delete_artifacts(path)
        except MlflowException as error:
            if not is_refusal(error):  # a store that deletes nothing keeps them
                raise
        if CHECKPOINT in run.data.tags:
            self.client.delete_tag(run_id, CHECKPOINT)
        return run

    def _run(self, run_id: str) -> Run | None:
        """A run, which somebody may have deleted for good."""
        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in deleted.NO_LONGER_THERE:
                raise
            return None


@translates_errors
def take_up(client: MlflowClient, record: Record, workdir: Path) -> bool:
    """Put what is kept of a trial into the folder of one that goes on from it; one that has begun to keeps its own.

    Returns:
        Whether it is there: somebody may have removed it.
    """
    if (workdir / JOURNAL_FILE).is_file() and _origin(workdir) == record.run_id:
        return True
    if not client.list_artifacts(record.run_id, str(FOLDER)):
        return False
    unfinished = workdir.with_name(f"{workdir.name}.unfinished")
    regular.remove(unfinished)
    unfinished.mkdir(parents=True)
    try:
        kept = Path(client.download_artifacts(record.run_id, str(FOLDER), str(unfinished)))
        if not journal.reopen(kept):
            return False
        (kept / ORIGIN_FILE).write_text(record.run_id)
        regular.remove(workdir)
        kept.rename(workdir)  # at once: a launch that is killed leaves all of it, or nothing
    finally:
        with suppress(OSError):
            regular.remove(unfinished)
    return True


def leave(workdir: Path) -> None:
    """Remove what a launch that was killed has put into the folder of a trial that is to train from the start."""
    if _origin(workdir):
        regular.remove(workdir)


def _origin(workdir: Path) -> str:
    """The run from which a trial goes on, as its folder says; empty where it says nothing."""
    try:
        return regular.content(workdir / ORIGIN_FILE).decode(errors="replace")
    except OSError:
        return ""
