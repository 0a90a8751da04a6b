"""Stands in for `wandb` in an environment without it: what is logged reaches the sweep, all else has no effect."""

from __future__ import annotations

import os
import sys
from typing import Any, Iterator, Mapping

import _sweep_hooks
from _sweep_client import is_heard
from _sweep_run import LoggedRun, parameters, summarize

__version__ = "0.0.0"


class Unavailable:
    """What has no effect: it can be called, has all attributes, and is a context."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class WandbError(Exception):
    """What scripts catch: of a call that has no run, or cannot be stood in for."""


class WandbConfig(dict):  # type: ignore[type-arg]
    """A run's configuration: the trial's parameters, which a script cannot change, and what it adds."""

    def __init__(self) -> None:
        super().__init__(parameters())

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in parameters():
            super().__setitem__(name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the config has no {name!r}") from None

    def update(self, values: Any = None, allow_val_change: Any = None, **more: Any) -> None:  # type: ignore[override]
        for name, value in {**_mapping(values), **more}.items():
            self[name] = value

    def setdefaults(self, values: Any) -> None:
        for name, value in _mapping(values).items():
            self.setdefault(name, value)

    def as_dict(self) -> dict[str, Any]:
        return dict(self)


class WandbSummary(dict):  # type: ignore[type-arg]
    """Final values by name, by attribute too."""

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    __setattr__ = __setitem__

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the summary has no {name!r}") from None

    def update(self, values: Mapping[str, Any]) -> None:  # type: ignore[override]
        super().update(values)
        summarize("wandb", values)


class UnheardSummary(WandbSummary):
    """That of a run which is disabled."""

    update = dict.update  # type: ignore[assignment]


class WandbImage:
    """An image: an array, an image of PIL's, a figure, a tensor, a file."""

    def __init__(self, data_or_path: Any = None, mode: Any = None, caption: Any = None, **_: Any) -> None:
        self.image = getattr(data_or_path, "image", data_or_path)
        self.caption = caption


class WandbArtifact(Unavailable):
    """Files under a name."""

    def __init__(self, name: str, type: str = "", *_: Any, metadata: Any = None, **__: Any) -> None:  # noqa: A002
        self.name, self.type, self.metadata = name, type, metadata
        self.files: dict[str, str] = {}

    def add_file(self, local_path: Any, name: Any = None, **_: Any) -> None:
        self.files[name or os.path.basename(local_path)] = os.fspath(local_path)

    def add_dir(self, local_path: Any, name: Any = None, **_: Any) -> None:
        self.files[name or ""] = os.fspath(local_path)


class WandbRun(Unavailable):
    """A run: what it logs reaches the sweep."""

    def __init__(self, config: Any = None, project: Any = None, name: Any = None, **settings: Any) -> None:
        self.config = WandbConfig()
        self.config.update(config)
        self.disabled = (settings.get("mode") or os.environ.get("WANDB_MODE")) == "disabled"
        self._logged: Any = Unavailable() if self.disabled else LoggedRun("wandb", lambda: self.config)
        self.summary = UnheardSummary() if self.disabled else WandbSummary()
        self.id = settings.get("id") or os.environ.get("WANDB_RUN_ID", "")
        self.sweep_id = os.environ.get("WANDB_SWEEP_ID")
        self.project, self.name, self.group = project, name or self.id, settings.get("group")
        self.tags, self.notes = tuple(settings.get("tags") or ()), settings.get("notes")
        self.entity = self.url = ""
        self.dir = os.environ.get("WANDB_DIR") or os.getcwd()
        self.step, self.starting_step = 0, 0
        self.resumed = self.offline = False

    def log(self, data: Mapping[str, Any], step: Any = None, commit: Any = None, **_: Any) -> None:
        dict.update(self.summary, data)
        self._logged.log(data, step, commit)
        self.step = step if step is not None else self.step + (commit is None or bool(commit))

    def define_metric(self, name: str, *args: Any, **more: Any) -> Any:
        self._logged.define_metric(name, *args, **more)
        return Unavailable()

    def save(self, glob_str: Any = None, *args: Any, **more: Any) -> list[str]:
        if glob_str is not None:
            _sweep_hooks.save(self._logged, glob_str, *args, **more)
        return []

    def log_artifact(self, artifact_or_path: Any, name: Any = None, *_: Any, **__: Any) -> Any:
        if isinstance(artifact_or_path, WandbArtifact):
            for place, path in artifact_or_path.files.items():
                self._logged.keep(path, os.path.join(artifact_or_path.name, place).rstrip("/"))
        else:
            _sweep_hooks.log_artifact(self._logged, artifact_or_path, name)
        return artifact_or_path if isinstance(artifact_or_path, WandbArtifact) else Unavailable()

    def finish(self, *_: Any, **__: Any) -> None:
        global run
        self._logged.end()
        if run is self:
            run = None

    def __exit__(self, *_: object) -> None:
        self.finish()


def _mapping(values: Any) -> dict[str, Any]:
    return dict(values if hasattr(values, "keys") else getattr(values, "__dict__", {}))


def init(*_: Any, **settings: Any) -> WandbRun:
    """Begin a run; the one that goes on, where there is one."""
    global run, config, summary
    if run is not None and settings.get("reinit"):
        run.finish()
    if run is None:
        run = WandbRun(**settings)
    else:
        run.config.update(settings.get("config"))
    config, summary = run.config, run.summary
    return run  # type: ignore[no-any-return]


def _of_the_run(name: str) -> Any:
    def call(*args: Any, **more: Any) -> Any:
        if run is None:
            raise Error(f"You must call wandb.init() before wandb.{name}()")
        return getattr(run, name)(*args, **more)

    return call


def finish(*_: Any, **__: Any) -> None:
    """End the run, if there is one."""
    if run is not None:
        run.finish()


def _of_the_server(name: str) -> Any:
    def call(*_: Any, **__: Any) -> Any:
        raise Error(f"wandb.{name} needs W&B's server: call the function that it would run")

    return call


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return Unavailable()


Error, Image, Artifact, Run = WandbError, WandbImage, WandbArtifact, WandbRun
Table = Histogram = Unavailable
log, define_metric, save, log_artifact = map(_of_the_run, ("log", "define_metric", "save", "log_artifact"))
sweep, agent = map(_of_the_server, ("sweep", "agent"))
run: Any = None
config: Any = WandbConfig()
summary: Any = {}
if is_heard():
    print("wandb is not installed here: a stand-in passes on what is logged to the sweep", file=sys.stderr)
