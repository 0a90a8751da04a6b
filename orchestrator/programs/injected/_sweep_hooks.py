"""Has the runs of wandb, Trackio and SwanLab tell the worker, too, what a script logs to them.

The calls of their runs do first what they always do. What these libraries keep, and where, stays as it is.
"""

from __future__ import annotations

import functools
import glob
import inspect
import os
import sys
from typing import Any, Callable
from weakref import WeakKeyDictionary

from _sweep_run import LoggedRun, quiet, summarize

_runs: Any = WeakKeyDictionary()  # what each run of a library has logged


def wrap(module: Any) -> None:
    """Wrap the runs of a library that has just been imported."""
    source = module.__name__
    if source == "tensorboardX":
        _name_by_process(module)
        return

    def of(run: Any) -> LoggedRun:
        if run not in _runs:
            _runs[run] = LoggedRun(source, _config_of(run))
        logged: LoggedRun = _runs[run]
        return logged

    internals = sys.modules.get("wandb.sdk.wandb_run") if source == "wandb" else None
    run_class = getattr(internals, "Run", None) or module.Run
    _after(run_class, "log", lambda run, *args, **more: _log(of(run), *args, **more))
    _after(run_class, "finish", lambda run, *_, **__: of(run).end())
    if source == "wandb":
        _after(run_class, "_finish", lambda run, *_, **__: of(run).end())  # what `with wandb.init()` calls
        _after(run_class, "define_metric", lambda run, *args, **more: of(run).define_metric(*args, **more))
        _after(run_class, "save", lambda run, *args, **more: save(of(run), *args, **more))
        _after(run_class, "log_artifact", lambda run, *args, **more: log_artifact(of(run), *args, **more))
        summary = sys.modules["wandb.sdk.wandb_summary"].Summary
        _after(summary, "update", lambda _, values: summarize(source, values))


def _log(run: LoggedRun, data: Any = None, step: Any = None, commit: Any = None, *_: Any, **more: Any) -> None:
    run.log(more.get("metrics", data), step, commit)  # as Trackio calls them


@quiet  # type: ignore[untyped-decorator]
def save(run: LoggedRun, glob_str: Any = None, base_path: Any = None, policy: str = "live", **more: Any) -> None:
    """Keep the files that `wandb.save` takes, by the names that it gives them."""
    pattern = os.path.abspath(os.fsdecode(glob_str))
    if base_path is None:
        base_path = os.path.dirname(os.path.dirname(pattern)) if os.path.isabs(os.fsdecode(glob_str)) else "."
    for path in glob.glob(pattern) if more.get("glob", True) else [pattern]:
        run.keep(path, os.path.relpath(path, os.path.abspath(os.fsdecode(base_path))))


@quiet  # type: ignore[untyped-decorator]
def log_artifact(run: LoggedRun, artifact_or_path: Any, name: Any = None, *_: Any, **__: Any) -> None:
    """Keep a file or a folder, or the files of an artifact of wandb's."""
    if isinstance(artifact_or_path, (str, os.PathLike)):
        run.keep(artifact_or_path, str(name or os.path.basename(os.path.abspath(artifact_or_path))))
        return
    if artifact_or_path.type == "run_table":
        return  # what wandb itself makes of a table that is logged
    for path, entry in artifact_or_path.manifest.entries.items():
        if entry.local_path:
            run.keep(entry.local_path, f"{artifact_or_path.name.split(':')[0]}/{path}")


def _name_by_process(module: Any) -> None:
    """Have the names of event files end with their process, as TensorBoard's own do: by that they are known."""
    kind = module.event_file_writer.EventFileWriter
    begin = kind.__init__

    @functools.wraps(begin)
    def wrapped(self: Any, *args: Any, **more: Any) -> None:
        given = inspect.signature(begin).bind(self, *args, **more)
        given.apply_defaults()
        given.arguments["filename_suffix"] = f".{os.getpid()}{given.arguments['filename_suffix']}"
        begin(*given.args, **given.kwargs)

    kind.__init__ = wrapped


def _config_of(run: Any) -> Callable[[], Any]:
    config = run.config  # which lives on where the run has ended
    return lambda: dict(config)


def _after(kind: Any, name: str, then: Callable[..., None]) -> None:
    """Have a method of a class do something besides, once it has done what it does."""
    call = getattr(kind, name, None)
    if call is None or hasattr(call, "_is_heard_by_the_sweep"):
        return
    then = quiet(then)

    @functools.wraps(call)
    def wrapped(self: Any, *args: Any, **more: Any) -> Any:
        result = call(self, *args, **more)
        then(self, *args, **more)
        return result

    wrapped._is_heard_by_the_sweep = True  # type: ignore[attr-defined]
    setattr(kind, name, wrapped)
