"""What a run of wandb, or of a library with the same calls, logs: the same for all of them, and for the stand-in."""

from __future__ import annotations

import atexit
import functools
import json
import os
from typing import Any, Callable, Mapping

from _sweep_client import client, is_heard, leaves, logged, numbers
from _sweep_pictures import pictures, saved

FINALS: dict[str, Callable[[float, float, int], float]] = {  # of a value so far, a new one, and how many that makes
    "min": lambda so_far, new, count: min(so_far, new),
    "max": lambda so_far, new, count: max(so_far, new),
    "first": lambda so_far, new, count: so_far,
    "last": lambda so_far, new, count: new,
    "mean": lambda so_far, new, count: so_far + (new - so_far) / count,
}


def quiet(call: Callable[..., None]) -> Callable[..., None]:
    """A call that never raises into the script that logs; outside of a sweep it does nothing."""

    @functools.wraps(call)
    def quietly(*args: Any, **more: Any) -> None:
        try:
            if is_heard():
                call(*args, **more)
        except Exception:
            return

    return quietly


class LoggedRun:
    """Tells the worker what one run logs.

    Args:
        source: the library.
        config: what the run's configuration is now.
    """

    def __init__(self, source: str, config: Callable[[], Mapping[str, Any]]) -> None:
        self._source = source
        self._config = config
        self._noted: dict[str, str] = {}
        self._uncommitted: dict[str, float] = {}
        self._pictures: list[tuple[str, str]] = []
        self._wanted: list[tuple[str, list[str]]] = []
        self._finals: dict[str, tuple[float, int]] = {}
        self._has_ended = False
        self._process = os.getpid()  # one that it forks ends no run
        atexit.register(self.end)

    @quiet
    def log(self, data: Mapping[str, Any], step: Any = None, commit: Any = None) -> None:
        """Values, which wait for a call that commits them; one that names its step does not wait."""
        metrics = {**self._uncommitted, **numbers(data)}
        found = [(name, self._saved(image, name)) for name, image in pictures(leaves(data))]
        images = [*self._pictures, *((name, path) for name, path in found if path)]
        if step is None and commit is not None and not commit:
            self._uncommitted, self._pictures = metrics, images
        else:
            self._uncommitted, self._pictures = {}, []
            self._commit(metrics, images, step)

    @quiet
    def define_metric(
        self,
        name: str,
        step_metric: Any = None,
        step_sync: Any = None,
        hidden: Any = None,
        summary: Any = None,
        **more: Any,
    ) -> None:
        """What the steps of a metric are, and which final values it has."""
        goal = more.get("goal") or more.get("goals") or "minimize"
        kinds = ["min" if goal.startswith("min") else "max"] if summary == "best" else []
        self._wanted.append(
            (str(name), kinds + [kind for kind in (summary or "").lower().split(",") if kind in FINALS])
        )
        if step_metric:
            step_metric = getattr(step_metric, "name", step_metric)
            self._send("StepMetric", metric=name, step_metric=step_metric)

    @quiet
    def keep(self, path: Any, name: str) -> None:
        """A file or a folder among the artifacts."""
        self._send("ArtifactLogged", path=os.path.abspath(path), name=name)

    @quiet
    def end(self) -> None:
        """The end of the run; a second one means nothing."""
        if self._has_ended or os.getpid() != self._process:
            return
        self._has_ended = True
        if self._uncommitted or self._pictures:
            self._commit(self._uncommitted, self._pictures, None)
        self._note()
        summarize(self._source, {name: value for name, (value, _) in self._finals.items()})
        self._send("Ended")

    def _saved(self, image: Any, name: str) -> str | None:
        path: str | None = None
        try:
            path = saved(image, name)
        except OSError as error:
            self._send("NotKept", name=name, reason=error.strerror or str(error))
        return path

    def _commit(self, metrics: Mapping[str, float], paths: list[tuple[str, str]], step: Any) -> None:
        self._note()
        for name, value in metrics.items():
            self._take_finals(name, value)
        message = logged(self._source, metrics, step)
        images = [
            {"kind": "PictureLogged", "source": self._source, "name": name, "path": path, "step": message["step"]}
            for name, path in paths
        ]
        client.send([message, *images] if metrics else images)

    def _take_finals(self, metric: str, value: float) -> None:
        for pattern, kinds in self._wanted:
            if metric == pattern or (pattern.endswith("*") and metric.startswith(pattern[:-1])):
                for kind in kinds:
                    so_far, count = self._finals.get(f"{metric}.{kind}", (value, 0))
                    self._finals[f"{metric}.{kind}"] = FINALS[kind](so_far, value, count + 1), count + 1

    @quiet
    def _note(self) -> None:
        """The configuration that the script has set itself, where it has changed."""
        config = {name: value for name, value in self._config().items() if not str(name).startswith("_")}
        now = {name: str(value) for name, value in leaves(config).items() if name.split(".")[0] not in _of_the_trial()}
        new = {name: value for name, value in now.items() if self._noted.get(name) != value}
        self._noted.update(new)
        if new:
            self._send("Noted", tags=new)

    def _send(self, kind: str, **values: Any) -> None:
        client.send([{"kind": kind, "source": self._source, **values}])


@quiet
def summarize(source: str, values: Mapping[str, Any]) -> None:
    """Final values, by name."""
    metrics = numbers(values)
    if metrics:
        client.send([{"kind": "Summary", "source": source, "metrics": metrics}])


@functools.lru_cache(maxsize=None)
def parameters() -> dict[str, Any]:
    """The trial's parameters, by name."""
    try:
        with open(os.environ["SWEEP_PARAMS"], encoding="utf-8") as file:
            return dict(json.load(file))
    except (KeyError, OSError, ValueError):
        return {}


def _of_the_trial() -> set[str]:
    return {name.split(".")[0] for name in parameters()}
