"""A trial function that calls `report` where another yields: it is iterated like a generator.

The function has a stack of its own, not a thread of its own: it runs in the thread that iterates. So pdb, Ctrl-C,
signals and the settings that a framework keeps by thread are for it what they are for a generator.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from typing import Any

from greenlet import getcurrent, greenlet

MOST_TIMES = 100  # that a function may go on after it was ended, as a study of so many folds does


class TrialEnded(BaseException):
    """Raised out of `report` to end a trial; no Exception, so that a framework that catches these lets it pass."""


def iterate(function: Callable[..., Any]) -> Generator[Mapping[str, Any], None, Any]:
    """Yield each mapping that the function passes to its `report`, and return what it returns.

    `report` returns when the next value is asked for. Where the generator is closed instead, it raises TrialEnded, and
    does so again as often as the function calls it after that.

    Args:
        function: takes `report` as a keyword.
    """
    trial = greenlet(function)

    def report(metrics: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        if getcurrent() is not trial:
            raise RuntimeError("call `report` where the trial function runs: in its thread, and before it returns")
        if not isinstance(metrics, Mapping | None):
            raise TypeError(f"`report` takes a mapping of metrics, as report({{'loss': 0.5}}), not {metrics!r}")
        trial.parent.switch({**(metrics or {}), **named})

    try:
        value = trial.switch(report=report)
        while not trial.dead:
            yield value
            value = trial.switch()
    finally:
        _end(trial)
    if isinstance(value, Generator):
        raise TypeError("the trial function takes `report` and also yields; have it do either")
    return value


def _end(trial: greenlet) -> None:
    for _ in range(MOST_TIMES):
        if trial.dead:
            return
        with suppress(TrialEnded):
            trial.throw(TrialEnded("this trial has ended"))
    raise RuntimeError("the trial function goes on although `report` ends it again and again")
