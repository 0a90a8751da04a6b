"""A sweep that stands in a store, for tests of the page in which its trials are explored."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from orchestrator.events import Event, Explosion, Finished, Progress, Started
from orchestrator.reports.document import Section
from orchestrator.reports.sections import section
from orchestrator.spec import load
from orchestrator.trackers import Store, Tracker
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.grid import expand

HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)>"
SWEEP = """
name: explored
trial: toys:train
metric: {name: score, goal: maximize}
parameters: {x: {values: [1.0, 2.0, 4.0, 8.0]}, mode: {values: [fine, rise]}, epochs: 5}
seeds: [0, 1, 2]
"""


def told(trial: Trial) -> Sequence[Event]:
    """The score grows with x; where x is 8 and mode is rise it explodes, where x is 4 one seed fails later."""
    x, mode, seed = trial.params["x"], trial.params["mode"], trial.params["seed"]
    events: list[Event] = [Started(1, 1)]
    if (x, mode) == (8.0, "rise"):
        events.append(Progress(1, {"score": 0.5, HOSTILE: 1.0}, at=1.0))
        explosion = Explosion(f"score became nan {HOSTILE}", 2, 9, 0.5)
        return [*events, Finished(Outcome.EXPLODED, explosion=explosion, margin=0.3)]
    if (x, mode, seed) == (4.0, "rise", 2):
        events.append(Progress(1, {"score": 4.0, HOSTILE: 0.0}, at=1.0))  # which seed 0 has, too
        return [*events, Finished(Outcome.FAILED, reason="the disk is full")]
    events += [
        Progress(epoch, {"score": x * epoch + seed / 10, HOSTILE: float(seed)}, at=float(epoch))
        for epoch in range(1, 6)
    ]
    return [*events, Finished(Outcome.COMPLETED, {"final_score": x})]


def picture(width: int, colour: str) -> bytes:
    """A PNG that trials may leave."""
    out = io.BytesIO()
    Image.new("RGB", (width, width // 2), colour).save(out, "PNG")
    return out.getvalue()


def leavings(trial: Trial, outcome: Outcome) -> dict[str, bytes]:
    """The pictures of a trial; what explodes says why, too."""
    if outcome is Outcome.EXPLODED:
        words = f"**What went first: seed {trial.params['seed']}.** It was `nan` {HOSTILE}\n"
        return {"explosion.md": words.encode(), "explosion.png": picture(900, "red")}
    return {"seen.png": picture(1000, "green")} if outcome is Outcome.COMPLETED else {}


def recorded(folder: Path, store: str, *, has_pictures: bool = False) -> Section:
    """The section of the sweep as if its trials had been run; the folder has the toy functions."""
    path = folder / "explored.yaml"
    path.write_text(SWEEP)
    spec = load(path)
    tracker = Tracker(store, spec)
    trials = expand(spec).trials
    tracker.open(len(trials))
    for trial in trials:
        workdir = folder / "work" / trial.trial_key
        (workdir / "artifacts").mkdir(parents=True)
        events = told(trial)
        end = events[-1]
        assert isinstance(end, Finished)
        for name, content in (leavings(trial, end.outcome) if has_pictures else {}).items():
            (workdir / "artifacts" / name).write_bytes(content)
        if end.outcome is Outcome.FAILED:
            (workdir / "log.txt").write_text("\n".join(f"line {number} {HOSTILE}" for number in range(40)))
        tracker.write(trial, events, workdir)
    tracker.abandon()
    return section(Store(store), spec, spec.name, all_records=False, is_live=False)
