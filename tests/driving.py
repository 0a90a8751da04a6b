"""Executors, driven as the loop drives them, on the toys."""

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator import executors, functions
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.executors.contract import Executor, Setup
from orchestrator.executors.limits import Limits
from orchestrator.stacking import Stacking
from orchestrator.system.interrupt import Interrupt
from orchestrator.trial import Trial

HERE = [name for name, kind in executors.EXECUTORS.items() if kind.form is None]  # of this machine
STACKED_BY = ("x", "mode", "seed")


def setup(
    function: str,
    interrupt: Interrupt,
    *,
    limits: Mapping[str, Any],
    stack: int = 1,
    by: tuple[str, ...] = STACKED_BY,
    log: Path = Path(os.devnull),
    **more: Any,
) -> Setup:
    """What an executor is made from that is to run the toys; without retries, where `limits` asks for none."""
    return Setup(
        functions.find(function),
        DivergenceRule(),
        interrupt,
        log,
        stacks=100,
        pending=100,
        limits=Limits(**{"retries": 0, **limits}),
        stacking=Stacking(stack, by if stack > 1 else ()),
        **more,
    )


def trial(**params: object) -> Trial:
    return Trial("toys:train", 1, params, str(params))


def stackable(place: int = 0, **params: object) -> Trial:
    return Trial("toys:stackable", 1, params, str(params), place=place)


def stacks(folder: Path) -> list[str]:
    """How many trials, of how many that have room, each stack of the toys has had, in the order of their beginnings."""
    return (folder / "stacks.txt").read_text().splitlines()


def drive(
    executor: Executor, trials: list[Trial], folder: Path, stops: Mapping[str, int] | None = None
) -> dict[str, list[Event]]:
    """Run the trials to their end, with those that were submitted before; what each of them reports, by label.

    Trials are stopped after the epoch that `stops` has for their label.
    """
    waiting = list(trials)
    heard: dict[str, list[Event]] = defaultdict(list, {t.label: [] for t in trials})
    while True:
        while waiting and executor.has_free_slot:
            executor.submit(waiting[0], folder / waiting.pop(0).trial_key)
        if executor.idle:
            return heard
        for t, event in executor.events():
            heard[t.label].append(event)
            if stops and isinstance(event, Progress) and event.epoch == stops.get(t.label):
                executor.stop(t, f"behind at {event.epoch}")


def final(events: list[Event]) -> Finished:
    """The only end among these events, which comes last."""
    ends = [event for event in events if isinstance(event, Finished)]
    assert len(ends) == 1
    assert events[-1] is ends[0]
    return ends[0]


def epochs(events: list[Event]) -> list[int]:
    return [event.epoch for event in events if isinstance(event, Progress)]


def attempts(events: list[Event]) -> list[Started]:
    return [event for event in events if isinstance(event, Started)]
