"""Which files of its trials' folders a sweep keeps: a sweep file's `keep` and `keep_checkpoints`."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from orchestrator.functions import TrialFunction
from orchestrator.spec.form import SweepFile
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.objective import Objective


def patterns_of(form: SweepFile, mistakes: Mistakes) -> tuple[str, ...]:
    """The patterns, which lead nowhere but into the folder of a trial."""
    for index, pattern in enumerate(form.keep):
        if problem := _mistake(pattern):
            mistakes.note(("keep", index), problem)
    return tuple(form.keep)


def checkpoints_of(
    form: SweepFile, function: TrialFunction, aims: Sequence[Objective], mistakes: Mistakes
) -> int | None:
    """Of how many of the best trials checkpoints are kept; None: of all."""
    wanted, key = form.keep_checkpoints, ("keep_checkpoints",)
    if wanted == "none":
        return 0
    if not function.declaration.checkpoints:
        declares = "a program declares" if function.program else f"{function.title} declares"
        mistakes.note(key, f"{declares} no checkpoints, so nobody knows which files they are; use keep: [PATTERN, ..]")
    if wanted == "all":
        return None
    if len(aims) != 1:
        why = "several metrics have no best trials" if aims else "without a metric no trial is best"
        mistakes.note(key, f"{why}; use all or none")
    return int(wanted.removeprefix("best "))


def _mistake(pattern: str) -> str:
    if PurePath(pattern).is_absolute() or ".." in PurePath(pattern).parts or pattern.startswith("~"):
        return f"{pattern!r} leads out of the folder of a trial; write a pattern within it, as *.pt"
    try:
        next(Path("no such folder").glob(pattern), None)
    except (ValueError, NotImplementedError, IndexError) as error:
        return f"{pattern!r} is no pattern for files ({str(error).lower()}); write one as *.pt or checkpoints/**"
    return ""
