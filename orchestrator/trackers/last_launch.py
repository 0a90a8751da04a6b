"""What the last launch of a sweep asked for, as tags of the parent run have it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from orchestrator.functions.declaration import UNDECLARED, Declaration
from orchestrator.spec import Objective
from orchestrator.spec.objective import objectives
from orchestrator.spec.strict import SweepMetricForm

# how many trials it asked for, what they are compared by, and the file
ASKED, METRIC, GOAL, FILE = "sweep.trials", "sweep.metric", "sweep.goal", "sweep.file"
TARGET = "sweep.target"  # of the metric; empty where there is none
FUNCTION = "sweep.function"  # the trial function, by its name
SURVIVORS = "sweep.survivors"  # "true" where seeds that were lost do not count
DECLARED = "sweep.declared"  # the part of the trial function's declaration that watching a sweep needs
WORKERS = "sweep.workers"  # at once, where somebody has asked its launch for so many; else empty
OF_A_DECLARATION = ("training_losses", "validation_losses", "rate", "pace")
BETWEEN = ", "  # several metrics and their goals

_declarations = TypeAdapter(Declaration)


@dataclass(frozen=True)
class LastLaunch:
    """What a launch asked for: what to compare trials by, and the file as it was named."""

    objectives: Sequence[Objective]
    file: str
    declaration: Declaration  # of the trial function, as far as watching a sweep needs it
    survivors: bool = False  # whether seeds that were lost do not count

    @classmethod
    def recorded(cls, tags: Mapping[str, str]) -> "LastLaunch | None":
        """What these tags of a parent run say; None where they do not say how trials are compared."""
        if METRIC not in tags:
            return None
        named = zip(_split(tags[METRIC]), _split(tags[GOAL]), strict=True)
        target = {"target": float(tags[TARGET])} if tags.get(TARGET) else {}
        metrics = [SweepMetricForm.model_validate({"name": name, "goal": goal, **target}) for name, goal in named]
        declaration = _declarations.validate_json(tags[DECLARED]) if DECLARED in tags else UNDECLARED
        return cls(objectives(metrics), tags[FILE], declaration, tags.get(SURVIVORS) == "true")


def comparison(aims: Sequence[Objective], survivors: bool) -> dict[str, str]:
    """The tags that say how trials are compared."""
    return {
        METRIC: joined([aim.name for aim in aims]),
        GOAL: joined([aim.goal for aim in aims]),
        TARGET: "".join(repr(aim.target) for aim in aims if aim.target is not None),
        SURVIVORS: "true" if survivors else "",
    }


def joined(names: Sequence[str]) -> str:
    """Several names in a tag."""
    return json.dumps(names) if any("," in name or name.startswith("[") for name in names) else BETWEEN.join(names)


def _split(text: str) -> list[str]:
    if text.startswith("["):
        return list(json.loads(text))
    return text.split(BETWEEN) if text else []


def declared(declaration: Declaration) -> str:
    """The part of a declaration that the store keeps, as JSON: it is read there without the function."""
    training, validation = declaration.losses_of_training, declaration.losses_of_validation
    shown = replace(declaration, training_losses=training, validation_losses=validation)
    return _declarations.dump_json(shown, include={*OF_A_DECLARATION}).decode()
