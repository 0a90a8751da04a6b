"""Where the trials of a launch run: the executor, and its options from the file and the command."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import InputError

if TYPE_CHECKING:  # names of executors are known before all that is loaded
    from orchestrator.spec.executor_forms import ElsewhereForm
    from orchestrator.system.machine import Resources


@dataclass(frozen=True)
class Place:
    """An executor by name, and its options, where it has any."""

    name: str
    options: "ElsewhereForm | None" = None

    @property
    def is_here(self) -> bool:
        """Whether trials run on this machine."""
        return self.options is None

    @property
    def slots(self) -> int | None:
        """How many trials run at a time at most, where the file says so for this place."""
        return None if self.options is None else self.options.slots

    def takes(self, resources: "Resources") -> "Resources":
        """What a trial takes, of what the file says for any place, and for this one."""
        from orchestrator.system.machine import Resources

        if self.options is None:
            return resources
        cpus = self.options.cpus or resources.cpus or 1
        gpus = self.options.gpus if self.options.gpus is not None else resources.gpus
        return Resources(cpus, gpus)

    def in_words(self, resources: "Resources") -> str:
        """Where trials run, for people; empty where that is this machine."""
        if self.options is None:
            return ""
        takes = self.takes(resources)
        gpus = f" and {takes.gpus:g} GPUs" if takes.gpus else ""
        return f"{self.name}, each trial with {takes.cpus} {'core' if takes.cpus == 1 else 'cores'}{gpus}"


def options_of(
    name: str, form: "type[ElsewhereForm] | None", given: "ElsewhereForm | None", sets: Sequence[str]
) -> "ElsewhereForm | None":
    """The options of an executor.

    Args:
        name: of the executor.
        form: of its options; None where it has none.
        given: those of the file.
        sets: `NAME=VALUE`, from the command.

    Raises:
        InputError: with a line for each that cannot be.
    """
    if form is None:
        if sets:
            raise InputError.of([f"--set-executor {text}: the {name} executor has no options" for text in sets])
        return None
    from orchestrator.spec.mistakes import nearest
    from orchestrator.spec.source import scalar

    values = {} if given is None else given.model_dump(exclude_unset=True)
    mistakes: list[str] = []
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals:
            mistakes.append(f"--set-executor {text}: write NAME=VALUE")
        elif key not in form.model_fields:
            mistakes.append(f"--set-executor {text}: {name} has no option {key}; {nearest(key, [*form.model_fields])}")
        elif problem := _problem(form, {key: scalar(value)}):
            mistakes.append(f"--set-executor {text}: {problem}")
        else:
            values[key] = scalar(value)
    if mistakes:
        raise InputError.of(mistakes)
    return form.model_validate_json(json.dumps(values), strict=True)


def _problem(form: "type[ElsewhereForm]", values: Mapping[str, object]) -> str:
    from pydantic import ValidationError

    from orchestrator.functions import refusal

    try:
        form.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        return refusal.in_words(error.errors()[0])
    return ""
