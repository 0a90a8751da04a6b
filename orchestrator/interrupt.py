"""Ctrl-C and SIGTERM: the first asks trials to end after their epoch, the second, or ten seconds, ends them at once."""

import os
import signal
from contextlib import suppress
from types import FrameType, TracebackType

GRACE_SECONDS = 10


class Interrupt:
    """A context in which signals set flags instead of raising; it can be waited on like a file.

    `requested` says that the sweep is to end, `at_once` that nothing may be waited for any more.
    """

    def __init__(self) -> None:
        self.requested = False
        self.at_once = False
        self.raises = False  # whether at_once raises KeyboardInterrupt, for trials that run in this very thread

    def __enter__(self) -> "Interrupt":
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """Becomes readable when a signal has come."""
        return self._reader

    def drain(self) -> None:
        """Take what made it readable."""
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested or number == signal.SIGALRM:
            self.at_once = True
            if self.raises:
                raise KeyboardInterrupt
        else:
            self.requested = True
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
