"""The report that a launch keeps current, in a process of its own.

No trial waits for it, and no error of it ends a launch.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from orchestrator.errors import StoreError
from orchestrator.spec import SweepSpec
from orchestrator.system.paths import REPORT_FILE, REPORTS_FOLDER, folder_name
from orchestrator.trackers import Tracker


class LiveReport:
    """`sweep report --watch` while a launch runs, and `sweep report` once its trials have ended.

    A launch that is interrupted leaves it alone: it sees that the sweep has ended, and makes its last pages by itself.
    """

    def __init__(self, spec: SweepSpec, uri: str, log: Callable[[str], None]) -> None:
        self.folder = (REPORTS_FOLDER / folder_name(spec.name)).absolute()
        self._spec, self._uri, self._log = spec, uri, log
        self._watching: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Begin to keep the page current, once the store has the sweep."""
        if self._spec.report and self._watching is None:
            self._log(f"the report: {self.folder / REPORT_FILE}")
            with suppress(OSError):  # then there is one at the end
                self._watching = self._started("--watch", errors=subprocess.DEVNULL)

    def end(self, tracker: Tracker) -> None:
        """Make the whole report, and put it beside the sweep's run."""
        if not self._spec.report:
            return
        if self._watching is not None:
            self._watching.terminate()
            self._watching.wait()
        try:
            if why := self._made():
                self._log(f"the report could not be made: {why}")
            elif not tracker.is_aside:
                tracker.keep_report(self.folder)
        except (StoreError, OSError) as error:
            self._log(f"the report could not be made, or kept in the store: {error}")

    def _made(self) -> str:
        """Make the whole report; returns why that failed, else nothing."""
        with self._started(errors=subprocess.PIPE) as making:
            try:
                _, said = making.communicate()
            except BaseException:  # Ctrl-C
                making.kill()
                raise
        lines = said.decode(errors="replace").splitlines()
        return "" if making.returncode == 0 else lines[-1] if lines else f"exit status {making.returncode}"

    def _started(self, *options: str, errors: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "orchestrator", "report", *options, "--out", str(self.folder)]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": self._uri}  # which may have a password
        return subprocess.Popen(
            [*command, "--", self._spec.name],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the launch
        )
