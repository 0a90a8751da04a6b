"""What trials have left, as the page has it: the end of a log, a post-mortem, pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.reports.configurations import Run
from orchestrator.reports.kinds import kinds_of
from orchestrator.reports.trial_files import TrialFiles
from orchestrator.reports.trial_pictures import TrialPicture, on_page
from orchestrator.system.paths import LOG_FILE
from orchestrator.trial import Outcome

POST_MORTEM = "explosion.md"
MOST_POST_MORTEMS, LONGEST_POST_MORTEM = 200, 2000  # trials, and characters
MOST_LOGS = 60  # whose ends are on the page
LINES, LONGEST_LOG = 15, 2000  # of a log's end: lines and characters
LOGGED = (Outcome.FAILED, Outcome.INFEASIBLE)

Left = Mapping[str, Mapping[str, Any]]  # what trials have left, by run_id


def left_by(files: TrialFiles, runs: Sequence[Run], pictures: Mapping[str, Sequence[TrialPicture]]) -> Left:
    """What a bounded number of trials have left; of each kind of explosion one at least."""
    ended = [(run.record.run_id, run.outcome) for run in runs if run.record]
    logged = [run_id for run_id, outcome in ended if outcome in LOGGED][:MOST_LOGS]
    firsts = [kind[0].record.run_id for kind in kinds_of(runs) if kind[0].record]
    exploded = dict.fromkeys([*firsts, *(run_id for run_id, outcome in ended if outcome is Outcome.EXPLODED)])
    parts: dict[str, dict[str, Any]] = {
        "log": {run_id: log_end(files, run_id) for run_id in logged},
        "post_mortem": {run_id: post_mortem(files, run_id) for run_id in [*exploded][:MOST_POST_MORTEMS]},
        "pictures": {run_id: on_page(several) for run_id, several in pictures.items()},
    }
    found: dict[str, dict[str, Any]] = {}
    for part, by_run in parts.items():
        for run_id, content in by_run.items():
            if content:
                found.setdefault(run_id, {})[part] = content
    return found


def left_out(runs: Sequence[Run], left: Left) -> dict[str, str]:
    """How many post-mortems and logs are not among them, in a sentence each; nothing of what is there whole."""
    exploded = sum(run.outcome is Outcome.EXPLODED for run in runs)
    failed = sum(run.outcome in LOGGED for run in runs)
    parts = {
        "post_mortem": (MOST_POST_MORTEMS, exploded, "post-mortems", "explosions", POST_MORTEM),
        "log": (MOST_LOGS, failed, "ends of the logs", "trials that failed or are infeasible", LOG_FILE),
    }
    there = {part: sum(part in one for one in left.values()) for part in parts}
    return {
        part: f"The page has the {what} of {there[part]} of {total:,} {whose}; others may be in MLflow, as {file}."
        for part, (most, total, what, whose, file) in parts.items()
        if total > most and there[part]
    }


def log_end(files: TrialFiles, run_id: str) -> str:
    """The last lines that a trial printed."""
    text = files.read(run_id, LOG_FILE).decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-LINES:])[-LONGEST_LOG:]


def post_mortem(files: TrialFiles, run_id: str) -> str:
    """What a trial says of its explosion: a paragraph of Markdown, as words."""
    text = files.read(run_id, POST_MORTEM).decode("utf-8", "replace").replace("**", "").replace("`", "")
    return " ".join(text.lstrip("# ").split())[:LONGEST_POST_MORTEM]
