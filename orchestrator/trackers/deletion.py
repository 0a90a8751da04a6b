"""Deletes a sweep: into MLflow's trash, or for good where the store allows that."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow.entities import Experiment, LoggedModel, Run, ViewType
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from orchestrator.errors import InputError
from orchestrator.system import regular
from orchestrator.system.paths import redacted
from orchestrator.system.printable import in_a_line
from orchestrator.trackers import best_model
from orchestrator.trackers.deleted import is_in_the_trash
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.experiments import SWEEPS
from orchestrator.trackers.lease import check_free
from orchestrator.trackers.parent_run import PARENT
from orchestrator.trackers.store import Store
from orchestrator.trackers.trial_runs import WHOLE_RUNS, pages

ARTIFACTS = "artifacts"  # the folder of a run's, in the run's own
MODELS = "models"  # MLflow's folder of them, beside those of runs


@dataclass(frozen=True)
class Belongings:
    """What the store has of a sweep.

    Args:
        experiment: of the sweep.
        runs: that carry its tags: its trials', and its own.
        others: how many runs of the experiment do not, and models that are none of the sweep's; they stay.
        models: those of its best trials.
    """

    experiment: Experiment
    runs: tuple[Run, ...]
    others: int
    models: tuple[LoggedModel, ...]

    @property
    def trials(self) -> int:
        """How many of the runs are of trials."""
        return sum("trial_key" in run.data.tags for run in self.runs)

    @property
    def bytes(self) -> int | None:
        """What its files take, those of models among them; None where they are not on a disk of this machine."""
        places = [run.info.artifact_uri for run in self.runs] + [model.artifact_location for model in self.models]
        folders = [local_folder(place) for place in places]
        known = [folder for folder in folders if folder is not None]
        return sum(map(size, known)) if len(known) == len(folders) else None


class Deletion(Store):
    """Deletes what belongs to a sweep. Whoever calls it holds the sweep on this machine.

    Args:
        uri: of the store.
        sweep: its name.
        for_good: whether nothing of it is to be restored.

    Raises:
        InputError: the store has no such sweep, or cannot remove anything for good.
    """

    def __init__(self, uri: str, sweep: str, *, for_good: bool) -> None:
        super().__init__(uri)
        self.sweep, self.for_good = sweep, for_good
        store = self.client._tracking_client.store
        if for_good and not hasattr(store, "_hard_delete_run"):
            raise InputError(
                f"{redacted(uri)} removes nothing for good when asked from here; without --purge the sweep goes to its "
                "trash, which `mlflow gc` empties on its server"
            )

    @translates_errors
    def belongings(self) -> Belongings:
        """What there is to delete: of what lies in the trash already, only where it is to go for good.

        Raises:
            InputError: the store has no such sweep, or has it in the trash already.
        """
        experiment = self.client.get_experiment_by_name(self.sweep)
        if experiment is None or SWEEPS not in experiment.tags:
            known = ", ".join(self.sweeps()) or "none"
            raise InputError(f"the store has no sweep {in_a_line(self.sweep)}; it has {known}")
        if experiment.lifecycle_stage != "active" and not self.for_good:
            raise InputError(f"{self.sweep} is in MLflow's trash already; --purge removes it from there for good")
        stage = ViewType.ALL if self.for_good else ViewType.ACTIVE_ONLY
        found = [*self._runs(experiment, stage)]
        runs = tuple(run for run in found if self._is_of_sweep(run))
        models = () if is_deleted(experiment) else tuple(best_model.of(self.client, experiment.experiment_id))
        all_models = () if is_deleted(experiment) else tuple(best_model.all_of(self.client, experiment.experiment_id))
        return Belongings(experiment, runs, len(found) - len(runs) + len(all_models) - len(models), models)

    @translates_errors
    def delete(self, what: Belongings, first: Callable[[], None] = lambda: None) -> None:
        """Delete it; called again after it was cut off, it goes on.

        Args:
            what: to delete.
            first: is called before anything goes, once it is known that nobody holds the sweep.

        Raises:
            AlreadyRunningError: a launch on another machine is running the sweep.
        """
        experiment = what.experiment.experiment_id
        if not is_deleted(what.experiment):
            check_free(self.client, self.uri, experiment)
        first()
        if not is_deleted(what.experiment):
            for model in what.models:
                self.client.delete_logged_model(model.model_id)
            if what.others:
                for run in what.runs:
                    if not is_in_the_trash(run):
                        self.client.delete_run(run.info.run_id)
            else:
                self.client.delete_experiment(experiment)
        if self.for_good:
            self._remove(what)

    def _remove(self, what: Belongings) -> None:
        """Remove for good what is in the trash now: first the files of a run, without which it is of no use."""
        store = self.client._tracking_client.store
        for model in what.models:
            self._remove_files(model.artifact_location)
            store._hard_delete_logged_model(model.model_id)
        for run in what.runs:
            self._remove_files(run.info.artifact_uri)
            store._hard_delete_run(run.info.run_id)
        if not what.others:
            store._hard_delete_experiment(what.experiment.experiment_id)
        top = local_folder(what.experiment.artifact_location)
        if top is not None and not what.others:
            regular.remove(top / MODELS)
            with suppress(OSError):  # somebody has put something else into it
                top.rmdir()

    def _remove_files(self, place: str) -> None:
        folder = local_folder(place)
        if folder is None:
            get_artifact_repository(place, self.uri).delete_artifacts()
        else:
            regular.remove(folder.parent if folder.name == ARTIFACTS else folder)

    def _runs(self, experiment: Experiment, stage: int) -> Iterator[Run]:
        search = partial(self.client.search_runs, [experiment.experiment_id], run_view_type=stage)
        yield from pages(search, WHOLE_RUNS)

    def _is_of_sweep(self, run: Run) -> bool:
        tags = run.data.tags
        is_trial = "trial_key" in tags and PARENT in tags
        return tags.get("sweep") == self.sweep and (is_trial or tags.get("sweep.role") == "parent")


def is_deleted(experiment: Experiment) -> bool:
    """Whether an experiment lies in the trash."""
    return bool(experiment.lifecycle_stage != "active")


def local_folder(place: str) -> Path | None:
    """The folder that an artifact location means, where it is on a disk of this machine."""
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(place) if not parts.scheme and place.startswith(os.sep) else None


def size(folder: Path) -> int:
    """What the files of a folder take, in bytes; no link is followed."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118
    return total
