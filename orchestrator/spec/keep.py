"""Which files of its trials' folders a sweep keeps: a sweep file's `keep`."""

from pathlib import Path, PurePath

from orchestrator.spec.form import SweepFile
from orchestrator.spec.mistakes import Mistakes


def patterns_of(form: SweepFile, mistakes: Mistakes) -> tuple[str, ...]:
    """The patterns, which lead nowhere but into the folder of a trial."""
    for index, pattern in enumerate(form.keep):
        if problem := _mistake(pattern):
            mistakes.note(("keep", index), problem)
    return tuple(form.keep)


def _mistake(pattern: str) -> str:
    if PurePath(pattern).is_absolute() or ".." in PurePath(pattern).parts or pattern.startswith("~"):
        return f"{pattern!r} leads out of the folder of a trial; write a pattern within it, as *.pt"
    try:
        next(Path("no such folder").glob(pattern), None)
    except (ValueError, NotImplementedError, IndexError) as error:
        return f"{pattern!r} is no pattern for files ({str(error).lower()}); write one as *.pt or checkpoints/**"
    return ""
