"""Which trials of a sweep are to run anew, and that they do."""

from collections.abc import Callable, Mapping

from orchestrator import samplers
from orchestrator.spec import SweepSpec
from orchestrator.trackers import Tracker, retry
from orchestrator.trials.record import Record, has_other_code
from orchestrator.workspace import Workspace


def rerun(
    spec: SweepSpec, tracker: Tracker, workspace: Workspace, history: Mapping[str, Record], log: Callable[[str], None]
) -> dict[str, Record]:
    """Have trials of the file run anew whose code is not that of now, or whose run is in MLflow's trash.

    Returns:
        What the store has of the sweep then, by trial_key.
    """
    known = {**retry(lambda: tracker.trash(spec.name)), **history}
    sampler = samplers.of(spec)
    sampler.replay(known, workspace.begun(spec.function))
    asked = [(trial, known[trial.trial_key]) for trial in sampler.trials if trial.trial_key in known]
    anew = [
        (trial, record)
        for trial, record in asked
        if trial.trial_key not in history or has_other_code(spec.function, record)
    ]
    if not anew:
        log("no trial is to run anew: all have the code of now")
    for trial, _ in anew:
        workspace.remove(trial)
    return retry(lambda: tracker.replace([record for _, record in anew]))
