"""Which trials of a sweep are to run anew, and that they do."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from orchestrator import samplers
from orchestrator.errors import InputError
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


def longer_trials(tracker: Tracker, keys: Sequence[str]) -> list[Record]:
    """Longer trials that have ended, by their trial_keys.

    Raises:
        InputError: the store has one of them no more.
    """
    name = tracker.spec.name
    there = {record.trial_key: record for record in tracker.records(name)}
    if gone := [key[:12] for key in keys if key not in there]:
        raise InputError(f"{name} has no trial {', '.join(gone)} any more: somebody has deleted it in MLflow")
    return [there[key] for key in keys]


def take_back(tracker: Tracker, workspace: Workspace, records: Sequence[Record]) -> tuple[str, ...]:
    """Record that longer trials run anew with the epochs of their file; called again, it goes on with that.

    Args:
        tracker: of the launch that holds the sweep.
        workspace: of the sweep.
        records: of the longer trials.

    Returns:
        What there is to say of each.
    """
    spec = tracker.spec
    tracker.take_back(records, workspace.folder)
    return tuple(
        f"{record.label or spec.name} runs anew with the {spec.epochs} epochs of its file; what it was is kept, "
        f"and counts no longer: {record.outcome}"
        for record in records
    )


def _cleared(anew: Iterable[tuple[Trial, Record]], workspace: Workspace) -> Iterator[Record]:
    """Their runs. No folder goes before its run is taken: a trial that begins again is to do so in a new run."""
    for trial, record in anew:
        workspace.clear([trial])
        yield record
