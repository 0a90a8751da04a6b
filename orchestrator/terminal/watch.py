"""How far sweeps are, kept current until Ctrl-C."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from orchestrator.errors import StoreBusyError
from orchestrator.progress.status import Status
from orchestrator.terminal.consoles import is_ascii_only, print_timed
from orchestrator.terminal.frame import Frame
from orchestrator.terminal.view import facts, in_words, view

SECONDS_BETWEEN_LOOKS = 2.0
SHARE_OF_LOOKING = 0.25  # of the time, at most, where there is much to look at
SECONDS_BETWEEN_FRAMES = 0.25

Look = Callable[[], Sequence[Status]]


def watch(console: Console, look: Look) -> NoReturn:
    """Show the status again and again: in place on a terminal, else in lines as it changes.

    Raises:
        KeyboardInterrupt: the user ends it.
        StoreError: the store refuses. While it does not answer, the last status stays.
    """
    if console.is_interactive:
        for ending in (signal.SIGTERM, signal.SIGHUP):  # which would leave the terminal on a screen that is not its own
            signal.signal(ending, lambda number, _: sys.exit(128 + number))
        _in_place(console, look)
    _in_lines(console, look)


def _in_place(console: Console, look: Look) -> NoReturn:
    seen: Sequence[Status] = ()

    def lines(width: int, height: int) -> list[Text]:
        drawn: list[Text] = []
        for status in sorted(seen, key=lambda status: not status.running):
            drawn += view(status, width, max(0, height - len(drawn)), plain=is_ascii_only(console))
        return drawn[:height]

    with Frame(console, is_alone=True) as frame:
        while True:
            began = time.monotonic()
            with suppress(StoreBusyError):
                seen = look()
            until = _next_look(began)
            while time.monotonic() < until:
                frame.draw(lines)
                time.sleep(SECONDS_BETWEEN_FRAMES)


def _in_lines(console: Console, look: Look) -> NoReturn:
    printed: dict[str, object] = {}
    while True:
        began = time.monotonic()
        with suppress(StoreBusyError):
            for status in look():
                news = status.outcomes, [(trial.label, trial.epoch) for trial in status.running]
                if printed.get(status.name) != news:
                    printed[status.name] = news
                    print_timed(console, f"{status.name}: {', '.join(fact.plain for fact in facts(status))}")
                    for running in status.running:
                        print_timed(console, f"{status.name}: {running.label}: {in_words(running)}")
        time.sleep(max(0.0, _next_look(began) - time.monotonic()))


def _next_look(began: float) -> float:
    now = time.monotonic()
    return max(began + SECONDS_BETWEEN_LOOKS, now + (now - began) * (1 / SHARE_OF_LOOKING - 1))
