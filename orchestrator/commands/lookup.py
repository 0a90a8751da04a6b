"""What FILEs and NAMEs mean, and the store that they are looked up in."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.errors import InputError, StoreAwayError, SweepError
from orchestrator.system import paths
from orchestrator.terminal.consoles import warn

if TYPE_CHECKING:
    from orchestrator.spec import SweepSpec
    from orchestrator.trackers import Store


def store(uri: str) -> "Store":
    """The read side of the store.

    Raises:
        InputError: there is none.
    """
    if not paths.exists(uri):
        raise InputError(f"there is no store yet at {uri}; `sweep launch FILE` creates it")
    from orchestrator.trackers import Store

    return Store(uri)


def reported(uri: str, function: str) -> Sequence[str]:
    """The metrics that a finished trial of a function has reported, if there is a store that has one."""
    with suppress(StoreAwayError):  # what is missing is a mistake all the same
        return store(uri).reported(function) if paths.exists(uri) else ()
    return ()


def loaded(
    files: Iterable[Path], sets: Sequence[str], tracking_uri: str | None, name: str | None = None
) -> "list[SweepSpec]":
    """The sweeps of files, each file once; warnings have been printed. A name makes one a sweep of its own.

    Raises:
        InputError: with the mistakes of all files.
    """
    from orchestrator.spec import load

    _, *further = files = list({os.path.realpath(file): file for file in files}.values())
    if name is not None and further:
        raise InputError("--name is that of a single sweep; launch the files in separate calls")
    specs: list[SweepSpec] = []
    mistakes: list[str] = []
    for file in files:
        try:
            specs.append(load(file, sets, reported=partial(reported, paths.tracking_uri(tracking_uri)), name=name))
        except InputError as error:
            mistakes += lines_of(error, file) if further else error.mistakes
    names: dict[str, Path] = {}
    for spec in specs:
        path = names.setdefault(spec.name, spec.source.path)
        if path != spec.source.path:
            mistakes.append(f"{spec.source.path}: has the name {spec.name}, as {path} has; change the `name` of one")
    if mistakes:
        raise InputError.of(mistakes)
    for spec in specs:
        for warning in spec.warnings:
            warn(warning)
    return specs


def lines_of(error: SweepError, file: Path) -> list[str]:
    """The lines of an error, each with its file."""
    return [line if line.startswith(str(file)) else f"{file}: {line}" for line in str(error).splitlines()]


def existing(sweep: str, reader: "Store") -> str:
    """The name of the sweep that a FILE or NAME means, which the store has to have.

    Raises:
        InputError: it has not, or has it in the trash.
    """
    return found(sweep, reader)[0]


def found(sweep: str, reader: "Store") -> "tuple[str, SweepSpec | None]":
    """The same with what the FILE says; None for a NAME."""
    name, spec = meant(sweep)
    return reader.existing(name), spec


def meant(sweep: str) -> "tuple[str, SweepSpec | None]":
    """The name of the sweep that a FILE or NAME means, and what the FILE says; None for a NAME. Needs no store."""
    spec = _spec_of(sweep)
    return _named(sweep, spec), spec


def asked(sweep: str, reader: "Store") -> "tuple[str, str, SweepSpec]":
    """The name of the sweep that a FILE or NAME means, its file, and what that says; if gone, as it was launched last.

    Raises:
        InputError: the store does not have the sweep, or the file cannot be read.
    """
    from orchestrator.spec import load

    name, own = found(sweep, reader)
    file = os.path.relpath(sweep if own else reader.last_launch(name).file)
    text = None if Path(file).is_file() else reader.sweep_file(name)
    # the file may have been launched under this name
    return name, file, own or load(Path(file), text=text, is_to_run=False, name=name)


def completions(context: typer.Context, incomplete: str) -> list[str]:
    """The names of sweeps that begin so, for a shell that completes: it cannot wait for MLflow.

    Where there are none, the shell offers files.
    """
    from orchestrator.workspace import sweeps

    with suppress(InputError):  # a store that is none has no names
        uri = paths.tracking_uri(context.params.get("tracking_uri"))
        return [name for name in sweeps(uri) if name.startswith(incomplete)]
    return []


def name_of(sweep: str) -> str:
    """The sweep that a FILE or NAME means."""
    return meant(sweep)[0]


def _spec_of(sweep: str) -> "SweepSpec | None":
    from orchestrator.spec import load

    return load(Path(sweep), is_to_run=False) if paths.is_file(sweep) else None


def _named(sweep: str, spec: "SweepSpec | None") -> str:
    from orchestrator.spec.form import as_name

    return spec.name if spec else as_name(sweep)
