"""What a search has learned from other sweeps and files, kept with its own sweep.

So it proposes the same when it goes on, although the others may have grown since, or are gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from orchestrator.spec import SweepSpec
from orchestrator.trackers.errors import translates_errors
from orchestrator.trackers.store import Store
from orchestrator.trackers.sweep_results import SweepResults
from orchestrator.trials.prior_trial import PriorTrial

FILE = "prior.json"  # an artifact of the parent run

PriorTrials = Mapping[str, Sequence[PriorTrial]]  # by the name of the sweep or file


@dataclass(frozen=True)
class KeptPrior:
    """The trials that a search has learned from, as JSON has them."""

    compared: list[tuple[str, str]]  # each metric that the values are of, and its goal or bounds
    trials: dict[str, list[PriorTrial]]


_adapter = TypeAdapter(KeptPrior)


@translates_errors
def kept(store: Store, spec: SweepSpec) -> PriorTrials:
    """What is kept, by source; nothing of other metrics or constraints than the file's of now."""
    experiment = store.experiment(spec.name)
    parent = store.parent(experiment) if experiment else None
    if parent is None or FILE not in store.artifacts(parent.info.run_id):
        return {}
    try:
        found = _adapter.validate_json(store.artifact(parent.info.run_id, FILE))
    except ValidationError:  # of another version
        return {}
    return found.trials if found.compared == _compared(spec) else {}


@translates_errors
def keep(tracker: SweepResults, trials: PriorTrials) -> None:
    """Keep what the search learns from."""
    whole = KeptPrior(_compared(tracker.spec), {source: [*known] for source, known in trials.items()})
    text = _adapter.dump_json(whole).decode()
    tracker.of_parent(lambda: tracker.client.log_text(tracker.parent_id, text, FILE))


def _compared(spec: SweepSpec) -> list[tuple[str, str]]:
    bounds = [(one.name, f"{one.min} to {one.max}") for one in spec.constraints]
    return [*((objective.name, objective.goal) for objective in spec.objectives), *bounds]
