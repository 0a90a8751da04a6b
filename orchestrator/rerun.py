"""Which trials of a sweep are to run anew, and that they do."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from orchestrator import samplers
from orchestrator.samplers.longer import LongerSampler
from orchestrator.spec import SweepSpec
from orchestrator.trackers import Tracker, retry
from orchestrator.trackers.anew import KEY
from orchestrator.trial import Trial
from orchestrator.trials.record import ANEW, Record, has_other_code
from orchestrator.workspace import Workspace


def rerun(
    spec: SweepSpec, tracker: Tracker, workspace: Workspace, history: Mapping[str, Record], log: Callable[[str], None]
) -> dict[str, Record]:
    """Have trials of the file run anew whose code is not that of now, or whose run is in MLflow's trash.

    Returns:
        What the store has of the sweep then, by trial_key.
    """
    known = {**retry(lambda: tracker.trash(spec.name)), **history}
    sampler = LongerSampler(spec, samplers.of(spec))
    sampler.note(known.values(), tracker.requests)
    sampler.replay(known, workspace.begun(spec.function))
    asked = [(trial, known[trial.trial_key]) for trial in sampler.trials if trial.trial_key in known]
    anew = [
        (trial, record)
        for trial, record in asked
        if trial.trial_key not in history or has_other_code(spec.function, record)
    ]
    if not (anew or tracker.is_replacing):
        log("no trial is to run anew: all have the code of now")
    return retry(lambda: tracker.replace(_cleared(anew, workspace)))


def begin_anew(records: Iterable[Record], workspace: Workspace) -> None:
    """Have trials begin at their first epoch that somebody has run anew, be it elsewhere."""
    for record in records:
        has_result = record.outcome is not None and record.outcome.is_result
        if ANEW in record.tags and not has_result and KEY.fullmatch(record.trial_key):
            workspace.begin_anew(record.trial_key, record.tags[ANEW])


def _cleared(anew: Iterable[tuple[Trial, Record]], workspace: Workspace) -> Iterator[Record]:
    """Their runs. No folder goes before its run is taken: a trial that begins again is to do so in a new run."""
    for trial, record in anew:
        workspace.clear([trial])
        yield record
