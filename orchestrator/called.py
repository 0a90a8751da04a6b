"""A sweep that a call in Python defines in place of a file: of a function, with a sweep file's keys as arguments.

The file is written all the same, into the folder of the sweep, with the function beside it where no import finds that:
so each command finds both, and whoever wants to can launch the file. The launch writes it once it holds the sweep: a
call that is refused leaves the file of the one that runs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError
from orchestrator.functions.call_form import FunctionError
from orchestrator.functions.carried import CarriedFunction, importable, own_name
from orchestrator.spec import SweepSpec, load
from orchestrator.spec.form import as_name
from orchestrator.spec.metrics import Reported
from orchestrator.spec.written import written
from orchestrator.system.paths import folder_name, work_folder
from orchestrator.workspace import Workspace

FOLDER, FILE = "launched", "sweep.yaml"
COMMENT = "Written by orchestrator.launch, as it was called. The next call under this name writes it anew."


def called(function: Callable[..., Any], keys: Mapping[str, Any], uri: str, reported: Reported) -> SweepSpec:
    """The sweep of a function.

    Args:
        function: of a module, or of a notebook, a script, another function.
        keys: of a sweep file, with their values.
        uri: of the store; beside it the launch writes the file.
        reported: as for `load`.

    Raises:
        AlreadyRunningError: a launch of the sweep is at work.
        InputError: with a line for each mistake.
    """
    if "trial" in keys:
        raise InputError("trial: is the function that the sweep is given; leave it out")
    if isinstance(function, type):
        raise InputError(f"{function.__name__} is a class; give a function, or an instance that can be called")
    name = importable(function)
    try:
        carried = None if name else CarriedFunction.of(function)
    except FunctionError as error:
        raise InputError(str(error)) from error
    if carried is not None:
        carried.lend()
        name = carried.name
    text = written({"name": own_name(function), "trial": name, **keys}, COMMENT)
    file = _file(uri, keys.get("name", own_name(function)))
    in_words = _Words(file, name, own_name(function))
    try:
        spec = load(file, text=text, reported=reported)
    except InputError as error:
        raise InputError.of(map(in_words.of, error.mistakes)) from error
    try:
        with Workspace(uri, spec.name):  # a launch that is at work has the function that it began with
            file.parent.mkdir(parents=True, exist_ok=True)
            if carried is not None:
                carried.write(file.parent)
    except OSError as error:
        raise InputError(f"{file.parent}: cannot be written ({error.strerror})") from error
    warnings = tuple(map(in_words.of, spec.warnings))
    return replace(spec, is_named="name" in keys, source=replace(spec.source, is_called=True), warnings=warnings)


def _file(uri: str, name: Any) -> Path:
    return work_folder(uri) / folder_name(as_name(str(name))) / FOLDER / FILE


@dataclass(frozen=True)
class _Words:
    """Mistakes as who has made the call knows their places: by key, without a file, and by the function's own name."""

    file: Path
    name: str
    own_name: str

    def of(self, line: str) -> str:
        return re.sub(rf"^{re.escape(str(self.file))}(:\d+)?: ", "", line).replace(self.name, self.own_name)
