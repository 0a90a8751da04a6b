"""The pictures of trials: which there are, small ones for the page, and where those in full size are beside it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.functions.declaration import Picture
from orchestrator.reports import pictures
from orchestrator.reports.configurations import Run
from orchestrator.reports.trial_files import TrialFiles
from orchestrator.system.paths import REPORT_TRIALS
from orchestrator.trial import Outcome

MOST_TRIALS = 300  # whose pictures stand beside the page
MOST_SMALL = 24  # trials that came to nothing, whose pictures are within the page, too
MOST_UNDECLARED = 6  # kinds of pictures of a function that declares none
SUFFIX = ".png"
EXPLOSION = "explosion.png"
EXPLODED = "The last steps before its explosion"
AMISS = (Outcome.EXPLODED, Outcome.FAILED, Outcome.INFEASIBLE)
RUN_ID = re.compile(r"[\w-]+", re.ASCII)  # that leads nowhere else: a server may say what it likes
FINAL = (Outcome.COMPLETED, Outcome.EXPLODED, Outcome.PRUNED)  # no launch runs such a trial again by itself


@dataclass(frozen=True)
class TrialPicture:
    """A picture that a trial has left."""

    title: str
    run_id: str
    name: str  # among its artifacts
    files: TrialFiles
    is_small: bool  # whether the page has it, too
    is_final: bool  # whether it stays as it is

    @property
    def path(self) -> str:
        """Where it is beside the page."""
        return path_of(self.run_id, self.name)

    def read(self) -> bytes:
        return self.files.read(self.run_id, self.name)


def path_of(run_id: str, name: str) -> str:
    """Where a trial's picture is beside the page; empty where its run_id names no folder."""
    return f"{REPORT_TRIALS}/{run_id}/{name}" if RUN_ID.fullmatch(run_id) else ""


def trial_pictures(files: TrialFiles, kinds: Sequence[Picture], best: Iterable[Run]) -> dict[str, list[TrialPicture]]:
    """The pictures of a bounded number of trials, by run_id.

    Args:
        files: of the trials.
        kinds: that are declared; of none, all pictures count that a trial has left.
        best: the trials, those first whose pictures are wanted most.
    """
    ended = {run.record.run_id: run.outcome for run in best if run.record and run.outcome is not None}
    ended = {run_id: outcome for run_id, outcome in ended.items() if RUN_ID.fullmatch(run_id)}
    small = [run_id for run_id, outcome in ended.items() if outcome in AMISS][:MOST_SMALL]
    found: dict[str, list[TrialPicture]] = {}
    for run_id in [*dict.fromkeys([*small, *ended])][:MOST_TRIALS]:
        for name, title in _titles(files.names(run_id), kinds).items():
            picture = TrialPicture(title, run_id, name, files, run_id in small, ended[run_id] in FINAL)
            found.setdefault(run_id, []).append(picture)
    return found


def _titles(names: set[str], kinds: Sequence[Picture]) -> Mapping[str, str]:
    """The pictures among what a trial has left, with their titles."""
    declared = {f"{kind.name}{SUFFIX}": kind.title for kind in kinds}
    others = () if kinds else sorted(name for name in names - {EXPLOSION} if name.endswith(SUFFIX))[:MOST_UNDECLARED]
    titles = {EXPLOSION: EXPLODED} | declared | {name: title_of(name) for name in others}
    return {name: title for name, title in titles.items() if name in names and _is_plain(name)}


def title_of(name: str) -> str:
    """The title of a picture that no function declares: "Loss curve" of loss_curve.png."""
    return name.removesuffix(SUFFIX).replace("_", " ").capitalize()


def _is_plain(name: str) -> bool:
    """Whether a name leads nowhere else: a server may say what it likes."""
    return Path(name).name == name and name.isprintable()


def on_page(several: Sequence[TrialPicture]) -> list[list[str]]:
    """A trial's pictures as the page knows them: title, path, and the small one where the page has it."""
    return [[one.title, one.path, *_small(one)] for one in several]


def _small(one: TrialPicture) -> Iterator[str]:
    if one.is_small and (picture := pictures.whole(one.read(), "", "", pictures.SMALL)):
        yield picture.uri
