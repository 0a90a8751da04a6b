"""More epochs for trials that have ended: what was asked for, on a sweep's parent run, and what goes on as what."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from mlflow import MlflowClient
from pydantic import Field, TypeAdapter, ValidationError

from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.held import held
from orchestrator.trackers.open_run import tags_of
from orchestrator.trackers.store import Store
from orchestrator.trials import longer
from orchestrator.trials.record import REPLACES, Record

REQUESTED = "sweep.more."  # prefix of tags of the parent run; a number follows
CONTINUES = "continues"  # the tag of a run: that from whose checkpoint its curve goes on
AT_ONCE = 300  # trials in a tag


@dataclass(frozen=True)
class Requested:
    """So many epochs for these trials of the file; 0: as many as the file has."""

    epochs: Annotated[int, Field(ge=0)]
    trials: tuple[str, ...]  # trial_keys


_requested = TypeAdapter(Requested)


def requests(tags: Mapping[str, str]) -> dict[str, int]:
    """The epochs that were asked for, by the trial_key of the file's trial, as these tags of a parent run say."""
    wanted: dict[str, int] = {}
    for _, text in _numbered(tags):
        try:
            one = _requested.validate_json(text)
        except ValidationError:  # somebody has changed the tag
            continue
        wanted |= dict.fromkeys(one.trials, one.epochs)
    return {key: epochs for key, epochs in wanted.items() if epochs}


@translates_errors
def requests_of(store: Store, sweep: str) -> dict[str, int]:
    """Those of a sweep."""
    experiment = store.experiment(sweep)
    parent = store.parent(experiment) if experiment else None
    return requests(parent.data.tags) if parent else {}


@translates_errors
def ask(store: Store, sweep: str, epochs: int, keys: Sequence[str]) -> None:
    """Record that trials of the file are to have so many epochs, while no launch holds the sweep.

    Args:
        store: that has the sweep.
        sweep: its name; its workspace is held by whoever calls this.
        epochs: 0 takes back what was asked for.
        keys: trial_keys of the file's trials.

    Raises:
        AlreadyRunningError: a launch on another machine is running the sweep.
    """
    experiment = store.experiment(sweep)
    if experiment is None:
        return
    with held(store.client, store.uri, experiment.experiment_id) as client:
        if parent := store.parent(experiment):
            record(client, parent.info.run_id, epochs, keys)


def record(client: MlflowClient, parent: str, epochs: int, keys: Sequence[str]) -> None:
    """Record it on the parent run: all of it, or nothing.

    Args:
        client: of who holds the sweep.
        parent: the id of its parent run.
        epochs: 0 takes back what was asked for.
        keys: trial_keys of the file's trials.
    """
    tags = client.get_run(parent).data.tags
    first = max((number for number, _ in _numbered(tags)), default=0) + 1
    parts = [keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE)]
    new = {
        f"{REQUESTED}{number}": json.dumps({"epochs": epochs, "trials": part})
        for number, part in enumerate(parts, first)
    }
    client.log_batch(parent, tags=tags_of(new))


@dataclass
class Origins:
    """From which runs trials of a launch go on."""

    before: Mapping[str, Record] = field(default_factory=dict)  # by the trial_key of the longer trial
    continued: set[str] = field(default_factory=set)  # of these, those that go on from a checkpoint

    def tags(self, trial_key: str) -> dict[str, str]:
        """What the run of a trial says of where it comes from."""
        before = self.before.get(trial_key)
        if before is None:
            return {}
        continues = {CONTINUES: before.run_id} if trial_key in self.continued else {}
        return {REPLACES: before.run_id, **longer.tags_of(before), **continues}


def _numbered(tags: Mapping[str, str]) -> Iterable[tuple[int, str]]:
    numbers = (name.removeprefix(REQUESTED) for name in tags if name.startswith(REQUESTED))
    return [(number, tags[f"{REQUESTED}{number}"]) for number in sorted(int(one) for one in numbers if one.isdecimal())]
