"""Tags that somebody has deleted in MLflow, put back: without them a trial that has ended would run again.

Which trial a run is follows from its parameters, and how it has ended from its status and metrics.
"""

import ast
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from orchestrator.spec import SweepSpec
from orchestrator.system.printable import in_a_line
from orchestrator.trackers import trial_params
from orchestrator.trackers.open_run import REASONS, tags_of
from orchestrator.trackers.trial_runs import WHOLE_RUNS, pages
from orchestrator.trial import Outcome, Params, Trial
from orchestrator.trials.record import END_NUMBER, EXPLODED, INFEASIBLE, VERSION

KEY, OUTCOME = "trial_key", "outcome"
OF_TRIALS = {OUTCOME, trial_params.TAG, "config_key", END_NUMBER}  # which no other runs have


def put_back(client: MlflowClient, experiment_id: str, spec: SweepSpec) -> list[str]:
    """Put back what trials' runs lack of the tags by which launches know them; lines on what was, and could not be."""
    lines: list[str] = []
    for run in [*_lacking(client, experiment_id, KEY)]:
        if OF_TRIALS.isdisjoint(run.data.tags):
            continue
        trial = _trial(run, spec)
        if trial is None:
            lines.append(
                f"the run {_named(run)} is of a trial that nobody knows any more, since tags of it were deleted in "
                f"MLflow: it does not count, and the trial runs again. Delete the run, or give it its tag {KEY}"
            )
            continue
        keys = {"sweep": spec.name, "trial": trial.function, "config_key": trial.config_key, KEY: trial.trial_key}
        keys |= trial_params.tags(trial.params) | ({} if trial.version == 1 else {VERSION: str(trial.version)})
        client.log_batch(run.info.run_id, tags=tags_of(keys))
        lines.append(_restored(KEY, run))
    for run in [*_lacking(client, experiment_id, trial_params.TAG)]:
        if KEY in run.data.tags and (trial := _trial(run, spec)) is not None:
            client.log_batch(run.info.run_id, tags=tags_of(trial_params.tags(trial.params)))
            lines.append(_restored(trial_params.TAG, run))
    for run in [*_lacking(client, experiment_id, OUTCOME)]:
        if KEY in run.data.tags and (outcome := _outcome(run)) is not None:
            client.set_tag(run.info.run_id, OUTCOME, outcome.value)
            lines.append(_restored(OUTCOME, run))
    return lines


def _lacking(client: MlflowClient, experiment_id: str, tag: str) -> Iterator[Run]:
    """The runs of an experiment that lack a tag."""
    search = partial(client.search_runs, [experiment_id])
    try:
        yield from pages(partial(search, f"tags.`{tag}` IS NULL"), WHOLE_RUNS)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        yield from (run for run in pages(search, WHOLE_RUNS) if tag not in run.data.tags)  # MLflow is an older one


def _trial(run: Run, spec: SweepSpec) -> Trial | None:
    """The trial that a run is of; None where what it has does not tell, or tells of several."""
    function, tags, params = spec.function, run.data.tags, _params(run, spec)
    name, keys = tags.get("trial", function.name), {key: tags[key] for key in (KEY, "config_key") if key in tags}
    if not (keys or trial_params.TAG in tags):
        return None
    for version in [int(tags[VERSION])] if VERSION in tags else [1, function.version]:
        is_ours = (name, version) == (function.name, function.version)
        trial = function.trial(params, "") if is_ours else Trial(name, version, params, "")
        if all(getattr(trial, key) == told for key, told in keys.items()):
            return trial
    return None


def _params(run: Run, spec: SweepSpec) -> Params:
    """The parameters of a trial, from its tags, or else from MLflow's params, which are their texts."""
    if trial_params.TAG in run.data.tags:
        return trial_params.read(run.data.tags)
    names = {spec.function.called("seed"): "seed"}
    told = {run.data.tags.get(trial_params.PARAM + name, names.get(name, name)): name for name in run.data.params}
    return {name: _value(run.data.params[stored]) for name, stored in told.items()}


def _value(text: str) -> Any:
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return ast.literal_eval(text)
    return text


def _outcome(run: Run) -> Outcome | None:
    """With which result a run has ended; None where it has none."""
    exploded, tags = run.data.metrics.get(EXPLODED), run.data.tags  # the metric is of results alone
    match run.info.status:
        case "FINISHED" if exploded is not None:
            return Outcome.COMPLETED
        case "FAILED" if exploded:
            return Outcome.EXPLODED
        case "FAILED" if f"{INFEASIBLE}cause" in tags:
            return Outcome.INFEASIBLE
        case "KILLED" if REASONS[Outcome.PRUNED] in tags:
            return Outcome.PRUNED
    return None


def _named(run: Run) -> str:
    return f"{run.info.run_id} ({in_a_line(str(run.info.run_name))})"


def _restored(tag: str, run: Run) -> str:
    return f"the run {_named(run)} lacked its tag {tag}, which was deleted in MLflow; it is put back"
