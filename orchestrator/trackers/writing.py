"""Writes to a run all that the store takes; what it refuses for good is set aside, with a line in a tag of the run.

Names and values are made such that MLflow takes them (`trials/metric_names.py`), as far as its rules are known.
Which others a server, its database, or a later version of MLflow has shows in its answers alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from orchestrator.trackers.errors import is_refusal, is_too_large, message
from orchestrator.trackers.open_run import LONGEST_TAG, OpenRun

REFUSED = "refused"  # the tag: what the store did not take, a line each
LARGEST_STEP = 2**63 - 1  # that a database takes
MANY, FEW = 800, 100  # points, and params or tags, at a time; MLflow takes 1,000 things at once

Thing = Metric | Param | RunTag
T = TypeVar("T")


def log(
    client: MlflowClient,
    run: OpenRun,
    points: Sequence[Metric] = (),
    params: Sequence[Param] = (),
    tags: Sequence[RunTag] = (),
) -> None:
    """Log all of it in as few calls as MLflow allows, the last tags last."""
    refused = [f"{_named(point)}: there is no step {point.step}" for point in points if not _has_step(point)]
    for part in parts(points, params, tags):
        refused += _refused(client, run.run_id, part)
    note(client, run, refused)


def parts(points: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]) -> list[Sequence[Thing]]:
    """As few parts as MLflow allows of what there is to log, the last tags in the last; without points of no step."""
    *before, last_points = in_batches([point for point in points if _has_step(point)]) or [[]]
    last_tags, *other_tags = in_batches(tags[::-1], FEW) or [[]]
    *other_params, last_params = in_batches(params, FEW) or [[]]
    return [*before, *other_tags, *other_params, [*last_points, *last_params, *last_tags]]


def sorted_out(things: Sequence[Thing]) -> tuple[list[Metric], list[Param], list[RunTag]]:
    """A part as MLflow's calls take it: its points, its params, its tags."""
    points = [thing for thing in things if isinstance(thing, Metric)]
    params = [thing for thing in things if isinstance(thing, Param)]
    return points, params, [thing for thing in things if isinstance(thing, RunTag)]


def attempt(client: MlflowClient, run: OpenRun, what: str, write: Callable[[], object]) -> None:
    """Make a write of something else, which the run can be without."""
    try:
        write()
    except (MlflowException, OSError) as error:
        if not is_refusal(error):
            raise
        note(client, run, [f"{what}: {message(error)}"])


def note(client: MlflowClient, run: OpenRun, refused: Iterable[str]) -> None:
    """Add lines to what the run's tag says was refused; a run that does not take this tag takes nothing any more."""
    if lines := [line for line in dict.fromkeys(refused) if line not in run.refused]:
        run.refused = (*run.refused, *lines)
        client.set_tag(run.run_id, REFUSED, "\n".join(run.refused)[:LONGEST_TAG])


def in_batches(things: Sequence[T], size: int = MANY) -> list[Sequence[T]]:
    """As many at a time as MLflow takes."""
    return [things[start : start + size] for start in range(0, len(things), size)]


def have_steps(points: Sequence[Metric]) -> bool:
    """Whether all of these points have steps that a database takes."""
    return all(map(_has_step, points))


def _has_step(point: Metric) -> bool:
    return -LARGEST_STEP <= point.step <= LARGEST_STEP


def _refused(client: MlflowClient, run_id: str, things: Sequence[Thing]) -> Iterator[str]:
    """Log these things, in halves where the store refuses them together; a line for each that it does not take."""
    if not things:
        return
    try:
        _log(client, run_id, things)
    except MlflowException as error:
        if not is_refusal(error):
            raise
        by_name: dict[str, list[Thing]] = {}
        for thing in things:
            by_name.setdefault(_named(thing), []).append(thing)
        if len(by_name) == 1:
            yield f"{_named(things[0])}: {message(error)}"
            return
        if not is_too_large(error):  # where the run itself is refused, everything would be, one after the other
            client.set_tag(run_id, REFUSED, message(error))
        alike, half = [*by_name.values()], len(by_name) // 2
        for part in (alike[:half], alike[half:]):
            yield from _refused(client, run_id, [thing for group in part for thing in group])


def _log(client: MlflowClient, run_id: str, things: Sequence[Thing]) -> None:
    points, params, tags = sorted_out(things)
    client.log_batch(run_id, metrics=points, params=params, tags=tags)


def _named(thing: Thing) -> str:
    kind = {Metric: "metric", Param: "parameter", RunTag: "tag"}[type(thing)]
    return f"{kind} {thing.key}"
