"""More epochs for trials that have completed: what was asked for, and what a sweep with such trials is to end as.

A longer trial counts in place of the file's, and is to be what it would have been with so many epochs from the start:
that of a second untouched sweep, whose file says so. Trials are compared one by one. A table of a sweep with longer
trials is that of neither untouched sweep, so none is compared.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from comparison import PARENT, Clause, Left, Violation
from mlflow.entities import Run

EPOCHS = 12  # that somebody asks for; the file has fewer
OF_A_FILE = re.compile(r"\bepochs: \d+")
ASKED_KEY = "asked.trial_key"  # the tag of a longer trial's run: the trial_key of the file's
REPLACES, REPLACED, CONTINUES = "replaces", "replaced_by", "continues"
REQUESTED = "sweep.more."  # prefix of tags of the parent run; a number follows
PICTURE = re.compile(r"images/(.*)\+step\+(\d+)")  # of an epoch; those of the first epochs stay in the run before


@dataclass
class Asked:
    """What somebody has asked for, and what of it may have been taken back.

    Args:
        times: how often a trial was meant, by the trial_key of the file's.
        unknown: how many more may have been meant, since nobody was told which.
        promised: the last call that was answered with a promise, by the trial_key of the file's trial.
        taken_back: the last call by which a trial may have lost its further epochs, by trial_key.
        calls: how many there were so far, of any kind.
    """

    times: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    promised: dict[str, int] = field(default_factory=dict)
    taken_back: dict[str, int] = field(default_factory=dict)
    calls: int = 0

    def take_back(self, key: str) -> None:
        """A trial was to be stopped, or to run anew; whoever asks may be killed, and the launch do it a call later."""
        self.taken_back[key] = self.calls + 1

    def promise(self, keys: Iterable[str]) -> None:
        """Somebody was told that these trials are to have more epochs."""
        self.promised |= dict.fromkeys(keys, self.calls)

    def is_owed(self, *keys: str) -> bool:
        """Whether a trial, of these trial_keys, was promised more epochs that were not taken back."""
        promised = max(self.promised.get(key, 0) for key in keys)
        return promised > max(self.taken_back.get(key, 0) for key in keys)


def with_more(text: str) -> str | None:
    """A sweep file that has so many epochs from the start; None where it has no epochs."""
    changed, count = OF_A_FILE.subn(f"epochs: {EPOCHS}", text)
    return changed if count else None


def key_of_file(run: Run) -> str:
    """The trial_key of the file's trial."""
    tags: Mapping[str, str] = run.data.tags
    return tags.get(ASKED_KEY, tags["trial_key"])


def told_of(answer: str, runs: Iterable[Run]) -> set[str]:
    """The trials, by the trial_keys of the file's, of which an answer says that they are to have so many epochs."""
    lines = answer.splitlines()
    return {
        key_of_file(run)
        for run in runs
        if any(line.startswith(f"{run.info.run_name} is to have {EPOCHS} epochs") for line in lines)
    }


def waiting(parent: Mapping[str, str], runs: Iterable[Run]) -> set[str]:
    """The trials that are to go on with the next launch.

    Args:
        parent: the tags of the parent run.
        runs: those of trials that count.
    """
    wanted: dict[str, int] = {}
    for name in sorted((name for name in parent if name.startswith(REQUESTED)), key=_number):
        request = json.loads(parent[name])
        wanted |= dict.fromkeys(request["trials"], request["epochs"])
    shorter = {
        run.data.tags["trial_key"]
        for run in runs
        if ASKED_KEY not in run.data.tags and run.data.tags.get("outcome") == "completed"
    }
    return {key for key, epochs in wanted.items() if epochs and key in shorter}


def both(file: Left, more: Left | None) -> Left:
    """What two untouched sweeps have left, one of the file and one with more epochs; one parent."""
    if more is None:
        return file
    return replace(
        file,
        runs=[*file.runs, *(run for run in more.runs if PARENT in run.data.tags)],
        curves={**file.curves, **more.curves},
        artifacts={**file.artifacts, **more.artifacts},
        changes=[*file.changes, *more.changes],
        notes=[*file.notes, *more.notes],
    )


def expected(file: Left, more: Left | None, left: Left) -> Left:
    """What an untouched sweep would have left, had those trials more epochs from the start that are longer by now.

    Args:
        file: what a sweep of the file has left.
        more: the same with more epochs; None where nobody asks for these.
        left: what is compared with that, without the runs that were replaced.
    """
    longer = {key_of_file(run) for run in left.runs if ASKED_KEY in run.data.tags}
    unwanted = {key if key in longer else other for key, other in _partners(file, more).items()}
    return both(file, more).without(unwanted)


def with_all_pictures(left: Left) -> Left:
    """The same with the pictures of all epochs in the runs of longer trials, as if they had never been shorter.

    But for those of an end: they are drawn at one epoch alone, which was none of the longer trial's.
    """
    artifacts = dict(left.artifacts)
    for run in left.runs:
        before = left.artifacts.get(run.data.tags.get(CONTINUES, ""), Counter())
        drawn = {path: found.groups() for path, _ in before if (found := PICTURE.match(path))}
        epochs = Counter(name for name, _ in {*drawn.values()})
        pictures = Counter({key: n for key, n in before.items() if key[0] in drawn and epochs[drawn[key[0]][0]] > 1})
        if pictures:
            artifacts[run.info.run_id] = left.artifacts[run.info.run_id] + pictures
    return replace(left, artifacts=artifacts)


def violations(file: Left, more: Left | None, left: Left, asked: Asked) -> Iterator[Violation]:
    """What is longer though nobody has asked for it, or is not although it was promised; and wrong links between runs.

    Args:
        file: what an untouched sweep of the file has left.
        more: the same with more epochs; None where nobody asks for these.
        left: all that a sweep has left.
        asked: what somebody has asked of it.
    """
    partners = _partners(file, more)
    longer = [run for run in left.runs if run.data.tags.get("trial_key") in partners.values()]
    beyond = Counter(map(key_of_file, longer)) - asked.times
    if beyond.total() > asked.unknown:
        yield Violation(Clause.ASKED, f"{', '.join(beyond)}: more epochs than anybody has asked for")
    for run in longer:
        if problem := _problem(run, partners, left):
            yield Violation(Clause.ASKED, f"{run.info.run_name}, which is longer, {problem}")
    for key in {note.trial_key for note in left.notes} & {*partners.values()}:
        first = min((note.step for note in left.notes if note.trial_key == key and note.step > 0), default=None)
        if first is not None and first <= _last_step(file, partners, key):
            yield Violation(Clause.ONCE, f"{key}, which is longer, was trained from step {first} on")
    counting = {run.data.tags.get("trial_key") for run in left.runs if REPLACED not in run.data.tags}
    for key, other in partners.items():
        if asked.is_owed(key, other) and other not in counting:
            yield Violation(Clause.ASKED, f"{key} is not longer, as was promised")


def is_by_longer(run: Run, runs: Mapping[str, Run]) -> bool:
    """Whether a run was replaced by that of the same trial with more epochs; runs by their ids."""
    by = runs.get(run.data.tags.get(REPLACED, ""))
    return by is not None and by.data.tags.get(ASKED_KEY) == run.data.tags["trial_key"]


def _problem(run: Run, partners: Mapping[str, str], left: Left) -> str:
    """What is wrong with the links of a longer trial's run, as the end of a sentence; empty where nothing is."""
    tags = run.data.tags
    before = next((one for one in left.runs if one.info.run_id == tags.get(REPLACES)), None)
    if partners.get(tags.get(ASKED_KEY, "")) != tags["trial_key"]:
        return "names another trial of the file, or none"
    if before is None or before.data.tags.get("trial_key") != tags[ASKED_KEY]:
        return "replaces no run of the file's trial"
    if before.data.tags.get(REPLACED) != run.info.run_id:
        return "is not what the run before it was replaced by"
    return "" if tags.get(CONTINUES) == before.info.run_id else "does not go on from the run before it"


def _last_step(file: Left, partners: Mapping[str, str], longer: str) -> int:
    """Of the file's trial in whose place a longer one is."""
    return max(note.step for note in file.notes if partners.get(note.trial_key) == longer)


def _partners(file: Left, more: Left | None) -> dict[str, str]:
    """The trial_key that each of the file's trials has with more epochs."""
    if more is None:
        return {}
    longer = {_apart_from_epochs(run): run.data.tags["trial_key"] for run in more.runs if PARENT in run.data.tags}
    shorter = (run for run in file.runs if PARENT in run.data.tags)
    return {run.data.tags["trial_key"]: longer[_apart_from_epochs(run)] for run in shorter}


def _apart_from_epochs(run: Run) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in run.data.params.items() if name != "epochs")


def _number(name: str) -> int:
    return int(name.removeprefix(REQUESTED))
