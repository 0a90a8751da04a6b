"""The report that a launch keeps current, in a process of its own.

No trial waits for it, and no error of it ends a launch.
"""

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from tempfile import TemporaryFile
from threading import Thread
from types import TracebackType
from typing import IO

from orchestrator.errors import StoreError
from orchestrator.spec import SweepSpec
from orchestrator.system.durations import duration
from orchestrator.system.itself import COMMAND
from orchestrator.system.paths import REPORT_FILE, REPORTS_FOLDER, folder_name
from orchestrator.trackers import Tracker, retry

MOST_SECONDS = 300.0  # for the whole report
SECONDS_BETWEEN_LOOKS = 0.5


class LiveReport:
    """`sweep report --watch` beside a launch. As a context it ends with this.

    A pipe leads to it from the launch. The first line out of that is the store's URI, which may have a password. Once
    there is more, or the launch is gone, it makes the whole report and ends. A launch that is interrupted does not wait
    for it.
    """

    def __init__(self, spec: SweepSpec, uri: str, log: Callable[[str], None]) -> None:
        self.folder = (REPORTS_FOLDER / folder_name(spec.name)).absolute()
        self._spec, self._uri, self._log = spec, uri, log
        self._files = ExitStack()
        self._errors: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "LiveReport":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._tell(self._process)
            Thread(target=self._process.wait, daemon=True).start()
        self._files.close()

    def begin(self) -> None:
        """Begin to keep the page current, once the store has the sweep."""
        if self._spec.report and self._process is None:
            self._log(f"the report: {self.folder / REPORT_FILE}")
            with suppress(OSError):  # then there is one at the end
                self._process = self._started()

    def end(self, tracker: Tracker, stops: Callable[[], bool]) -> None:
        """Have the whole report be made, and put it beside the sweep's run.

        Args:
            tracker: of the sweep.
            stops: whether nothing is waited for any more.
        """
        if not self._spec.report:
            return
        try:
            if self._process is None or self._process.poll() is not None:  # what has failed before may not now
                self._process = self._started()
            if why := self._unmade(self._process, stops):
                self._log(f"the report could not be made: {why}")
            elif stops():
                self._log("the report is not kept in the store: interrupted")
            elif not tracker.is_aside:
                retry(lambda: tracker.keep_report(self.folder))
        except (StoreError, OSError) as error:
            self._log(f"the report could not be made, or kept in the store: {error}")

    def _unmade(self, process: "subprocess.Popen[bytes]", stops: Callable[[], bool]) -> str:
        """Wait for the whole report, while that is to be waited for; returns why there is none, else nothing."""
        self._tell(process)
        until = time.monotonic() + MOST_SECONDS
        while not stops():
            with suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_BETWEEN_LOOKS)
                return self._error() or f"exit status {process.returncode}" if process.returncode else ""
            if time.monotonic() > until:
                process.kill()
                return f"it took longer than {duration(MOST_SECONDS)}"
        return ""

    def _error(self) -> str:
        """The last line that it has said; nothing where it has said none."""
        assert self._errors  # noqa: S101
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]

    @staticmethod
    def _tell(process: "subprocess.Popen[bytes]") -> None:
        """Have it know that the launch has ended, also where a process of a trial's has the pipe open still."""
        assert process.stdin  # noqa: S101
        with suppress(OSError, ValueError):  # it has ended, or knows
            process.stdin.write(b"\n")
            process.stdin.close()

    def _started(self) -> "subprocess.Popen[bytes]":
        self._errors = self._files.enter_context(TemporaryFile())  # noqa: SIM115 - it closes with the context
        process = subprocess.Popen(
            [*COMMAND, "report", "--watch", "--tied", "--out", str(self.folder), "--", self._spec.name],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for the launch
        )
        assert process.stdin  # noqa: S101
        with suppress(OSError):  # it has ended
            process.stdin.write(f"{self._uri}\n".encode())
        return process
