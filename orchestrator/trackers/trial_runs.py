"""The runs of a sweep's trials, and their curves, in pages: what is needed of them, as far as the store allows."""

import functools
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run, ViewType

from orchestrator.trackers.deleted import is_in_the_trash

if TYPE_CHECKING:  # who asks a server needs no SQL
    from sqlalchemy import Select

PAGE = 1000
WHOLE_RUNS = 250  # that a server is asked for at once, at 2 ms of its processor each: a busy one is to answer in time
AT_ONCE = 500  # runs whose tags and metrics a database gives at once


@dataclass(frozen=True)
class Wanted:
    """Which runs of an experiment are wanted."""

    experiment_id: str
    tags: Mapping[str, str | None]  # that they have; None: with whatever value
    stage: int = ViewType.ACTIVE_ONLY
    status: str | None = None  # None: any
    ended_since: int | None = None  # milliseconds since 1970; None: also those that have not ended
    unneeded: Sequence[str] = ()  # names of tags that a database is not asked for

    @property
    def filter(self) -> str:
        """As MLflow's API takes it."""
        parts = [
            f"tags.`{key}` LIKE '%'" if value is None else f"tags.`{key}` = '{value}'"
            for key, value in self.tags.items()
        ]
        parts += [] if self.status is None else [f"attributes.status = '{self.status}'"]
        parts += [] if self.ended_since is None else [f"attributes.end_time >= {self.ended_since}"]
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class TrialRun:
    """What a record needs of a run."""

    run_id: str
    status: str
    began: int  # milliseconds since 1970
    ended: int | None
    is_deleted: bool  # whether it lies in the trash
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> "TrialRun":
        """The same of a run as MLflow's client gives it."""
        info, data, is_deleted = run.info, run.data, is_in_the_trash(run)
        return cls(info.run_id, info.status, info.start_time, info.end_time, is_deleted, dict(data.tags), data.metrics)


def of_trials(client: MlflowClient, wanted: Wanted) -> Iterator[TrialRun]:
    """The runs that are wanted, in the order in which they began.

    MLflow's client makes objects of all that a run has, which takes most of the time. A database is asked for the rows
    that are needed; a server has no other way.
    """
    session_maker = _session_maker(client)
    return _of_server(client, wanted) if session_maker is None else _of_database(session_maker, wanted)


def points_of(client: MlflowClient, metric: str, run_ids: Sequence[str]) -> Iterator[tuple[str, int, float]]:
    """All points of a metric, by run_id, step and value; those of a run in the order in which they were logged.

    A database gives those of many runs at once, which MLflow's client does not offer; a server is asked run by run.
    """
    session_maker = _session_maker(client)
    if session_maker is not None:
        yield from _points_of_database(session_maker, metric, run_ids)
        return
    for run_id in run_ids:
        yield from ((run_id, point.step, point.value) for point in client.get_metric_history(run_id, metric))


def tag_of(client: MlflowClient, run_id: str, name: str) -> str:
    """A tag of a run as it is now; empty where it has none."""
    session_maker = _session_maker(client)
    if session_maker is None:
        return str(client.get_run(run_id).data.tags.get(name, ""))
    from mlflow.store.tracking.dbmodels.models import SqlTag
    from sqlalchemy import select

    tags = SqlTag.__table__.c
    with session_maker() as session:
        return session.scalar(select(tags.value).where(tags.run_uuid == run_id, tags.key == name)) or ""


def pages(search: Callable[..., Any], at_once: int = PAGE) -> Iterator[Any]:
    """All that a search of MLflow's client finds."""
    token = None
    while True:
        page = search(max_results=at_once, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _session_maker(client: MlflowClient) -> Callable[[], Any] | None:
    """What opens sessions with the store, if that is a database."""
    return getattr(client._tracking_client.store, "ManagedSessionMaker", None)


def _of_server(client: MlflowClient, wanted: Wanted) -> Iterator[TrialRun]:
    by_beginning = ["attributes.start_time ASC"]
    search = functools.partial(
        client.search_runs, [wanted.experiment_id], wanted.filter, wanted.stage, order_by=by_beginning
    )
    yield from map(TrialRun.of, pages(search, WHOLE_RUNS))


def _of_database(session_maker: Callable[[], Any], wanted: Wanted) -> Iterator[TrialRun]:
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlTag
    from sqlalchemy import select

    tags, metrics = SqlTag.__table__.c, SqlLatestMetric.__table__.c
    of_tags = select(tags.run_uuid, tags.key, tags.value).where(tags.key.not_in(wanted.unneeded))
    of_metrics = select(metrics.run_uuid, metrics.key, metrics.value, metrics.is_nan)
    with session_maker() as session:
        runs = [TrialRun(*row) for row in session.execute(_chosen(wanted)).all()]
        for start in range(0, len(runs), AT_ONCE):
            part = {run.run_id: run for run in runs[start : start + AT_ONCE]}
            for run_id, key, value in session.execute(of_tags.where(tags.run_uuid.in_(part))).all():
                part[run_id].tags[sys.intern(key)] = value
            for run_id, key, value, is_nan in session.execute(of_metrics.where(metrics.run_uuid.in_(part))).all():
                part[run_id].metrics[sys.intern(key)] = math.nan if is_nan else value
            yield from part.values()


def _points_of_database(
    session_maker: Callable[[], Any], metric: str, run_ids: Sequence[str]
) -> Iterator[tuple[str, int, float]]:
    from mlflow.store.tracking.dbmodels.models import SqlMetric
    from sqlalchemy import select

    points = SqlMetric.__table__.c
    chosen = select(points.run_uuid, points.step, points.value, points.is_nan).where(points.key == metric)
    logged = chosen.order_by(points.run_uuid, points.timestamp, points.step, points.value)
    with session_maker() as session:
        for start in range(0, len(run_ids), AT_ONCE):
            part = run_ids[start : start + AT_ONCE]
            for run_id, step, value, is_nan in session.execute(logged.where(points.run_uuid.in_(part))).all():
                yield run_id, step, math.nan if is_nan else value


def _chosen(wanted: Wanted) -> "Select[tuple[str, str, int, int | None, bool]]":
    from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag
    from sqlalchemy import select

    runs, tags = SqlRun.__table__.c, SqlTag.__table__.c
    is_deleted = runs.lifecycle_stage != LifecycleStage.ACTIVE
    chosen = select(runs.run_uuid, runs.status, runs.start_time, runs.end_time, is_deleted).where(
        runs.experiment_id == int(wanted.experiment_id),
        runs.lifecycle_stage.in_(LifecycleStage.view_type_to_stages(wanted.stage)),
    )
    for key, value in wanted.tags.items():
        having = select(tags.run_uuid).where(tags.key == key)
        chosen = chosen.where(runs.run_uuid.in_(having if value is None else having.where(tags.value == value)))
    if wanted.status is not None:
        chosen = chosen.where(runs.status == wanted.status)
    if wanted.ended_since is not None:
        chosen = chosen.where(runs.end_time >= wanted.ended_since)
    return chosen.order_by(runs.start_time, runs.run_uuid)
