"""Ctrl-C and its like: the first ends trials after their epoch; the second, or its grace, ends them at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType

from orchestrator.errors import InputError, SweepError

GRACE_SECONDS = 10
LAST_SECONDS = 2.0  # for what is still to be written when nothing may be waited for any more
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """A context in which signals set flags instead of raising; it can be waited on like a file.

    `requested` means that the sweep is to end, `at_once` that nothing may wait any more. The end of a child process
    ends a wait, too: its pipe stays open while a grandchild holds the other end.

    Args:
        grace: seconds from `requested` to `at_once`.
        after: seconds after which the end is requested by itself; None: never.

    Raises:
        InputError: it is entered in another thread than the main one, to which signals come.
    """

    def __init__(self, grace: float = GRACE_SECONDS, after: float | None = None) -> None:
        self.grace = grace
        self._timer = None if after is None else threading.Timer(after, self.request)
        self.requested = False
        self.at_once = False
        self._raises = False

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is not threading.main_thread():
            raise InputError("launch a sweep from the main thread, because no other thread receives Ctrl-C")
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        numbers = {*SIGNALS, signal.SIGALRM}
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup: the sweep goes on without its terminal
            numbers.remove(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._on_signal) for number in numbers}
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        if self._timer:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SweepError):
            error.interrupted = self.requested
        if self._timer:
            self._timer.cancel()
            self._timer.join()  # or it may ask for the grace of what is over
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """Becomes readable when a signal has come, a child process has ended, or `wake` was called."""
        return self._reader

    def wake(self) -> None:
        """End a wait, from any thread."""
        with suppress(OSError):  # it is full, and ends the wait anyway
            os.write(self._writer, b".")

    def request(self) -> None:
        """Have the sweep end as the first signal does, from any thread; called again, it does nothing more."""
        if not self.requested:
            self.requested = True
            signal.setitimer(signal.ITIMER_REAL, self.grace)
        self.wake()

    def drain(self) -> None:
        """Take what made it readable."""
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """For work in this very thread: here `at_once` raises KeyboardInterrupt, a moment later where it was before."""
        self._raises = True
        if self.at_once:
            signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS)
        try:
            yield
        finally:
            self._raises = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested or number == signal.SIGALRM:
            self.at_once = True
            if self._raises:
                raise KeyboardInterrupt
        else:
            self.requested = True
            signal.setitimer(signal.ITIMER_REAL, self.grace)
