"""What a search learns from other sweeps and from files before its first proposal: read, and kept with the sweep."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchestrator import samplers
from orchestrator.errors import InputError
from orchestrator.samplers import Sampler
from orchestrator.samplers.prior import NOTHING, Prior, prior_of, wanted
from orchestrator.spec import SweepSpec, nearest
from orchestrator.spec.sweep_spec import PriorSource
from orchestrator.trials.csv_file import trials_of
from orchestrator.trials.prior_trial import PriorTrial, of_records
from orchestrator.trials.search_space import SearchSpace
from orchestrator.workspace import Workspace

if TYPE_CHECKING:  # a plan may have no store to read
    from orchestrator.trackers import Store, Tracker
    from orchestrator.trackers.kept_prior import PriorTrials


def informed(
    spec: SweepSpec, sampler: Sampler, tracker: "Tracker", workspace: Workspace, log: Callable[[str], None]
) -> tuple[Sampler, Callable[[], None]]:
    """The sampler of a launch, with what it has to learn from beside the sweep's own trials.

    Once the sweep has trials, it learns from what these were proposed from, whatever has become of the sources.

    Args:
        spec: the file.
        sampler: as it is without that.
        tracker: of the launch, which need not have begun.
        workspace: of the launch.
        log: gets a line on what was taken.

    Returns:
        The sampler, and what keeps this with the sweep once the launch has begun.

    Raises:
        InputError: a sweep or file is not there, or cannot be learned from.
    """
    if not (spec.prior and sampler.learns):
        return sampler, lambda: None
    from orchestrator.trackers import kept_prior, retry

    has_begun = bool(workspace.begun(spec.function) or retry(lambda: tracker.records(spec.name)))
    kept = retry(lambda: kept_prior.kept(tracker, spec)) if has_begun else {}
    trials = retry(lambda: _read(spec, tracker, kept))
    prior = prior_of(spec, trials)
    for remark in prior.remarks:
        log(remark)
    texts = {source.text: known for source, known in trials}
    keep = (lambda: None) if texts.keys() <= kept.keys() else lambda: retry(lambda: kept_prior.keep(tracker, texts))
    return samplers.of(spec, prior), keep


def planned(spec: SweepSpec, store: "Store | None", has_begun: bool) -> Prior:
    """What the sampler of a launch would learn from, by a store as it is now.

    Raises:
        InputError: a sweep or file is not there, or cannot be learned from.
    """
    if not spec.prior:
        return NOTHING
    kept: PriorTrials = {}
    if store is not None and has_begun:
        from orchestrator.trackers import kept_prior

        kept = kept_prior.kept(store, spec)
    return prior_of(spec, _read(spec, store, kept))


def _read(
    spec: SweepSpec, store: "Store | None", kept: "PriorTrials"
) -> list[tuple[PriorSource, Sequence[PriorTrial]]]:
    """The trials of each source: those that are kept, or what is there now."""
    found: list[tuple[PriorSource, Sequence[PriorTrial]]] = []
    mistakes: list[str] = []
    for source in spec.prior:
        try:
            found.append((source, kept[source.text] if source.text in kept else _read_now(spec, store, source)))
        except ValueError as error:
            mistakes.append(spec.source.mistake(("prior", source.number), str(error)))
    if mistakes:
        raise InputError(*mistakes)
    return found


def _read_now(spec: SweepSpec, store: "Store | None", source: PriorSource) -> list[PriorTrial]:
    """The trials of a source as it is now.

    Raises:
        ValueError: it is not there, or cannot be read.
    """
    if source.file is not None:
        try:
            columns = wanted(SearchSpace(spec))
            return trials_of(source.file, spec.function, spec.objectives, columns, spec.constraints)
        except ValueError as error:
            raise ValueError(f"{source.file} {error}") from error
    known = store.sweeps() if store is not None else []
    if store is None or source.sweep not in known:
        hint = nearest(source.sweep, known) if known else "it has none"
        raise ValueError(f"the store has no sweep {source.sweep}; {hint} (the name of a CSV file ends in .csv)")
    return of_records(spec.objectives, store.records(source.sweep, spec.objectives), spec.constraints)
