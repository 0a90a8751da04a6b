"""Files that a server cannot place, and says so with a fault of its own: a path too long for its disk, say.

A server that is in trouble answers so, too. It is about the file where it lasts while the server takes another one.
"""

import time
from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from requests import RequestException, Response

from orchestrator.system.printable import storable

SECONDS = 60.0  # for which a file is sent again; the recorder waits for longer, even with nothing else to do
LIST = "artifacts.problem.txt"  # the file that is taken: which are not


class Faults:
    """The faults with which a server answers to the files of a run."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._lines: list[str] = []

    @property
    def have_come(self) -> bool:
        """Whether there were any."""
        return self._since is not None

    def takes_others(self, client: MlflowClient, run_id: str, error: Exception, line: str) -> bool:
        """Whether the server takes another file than the one that it has failed at for a while: the list of the run.

        Args:
            client: of the store.
            run_id: of the run.
            error: with which the file was answered.
            line: what to say of it.
        """
        if not is_fault(error):
            return False
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since < SECONDS:
            return False
        try:
            self._log(client, run_id, [*self._lines, line])
        except Exception:  # whatever it is, the store takes no file at all
            return False
        return True

    def take(self, line: str) -> None:
        """It is the file that the error is about: it is not taken once others are, either."""
        self._lines.append(line)

    def forget(self, client: MlflowClient, run_id: str) -> None:
        """The server had been in trouble, and has taken the file since: leave it out of the list."""
        if self._lines:
            self._log(client, run_id, self._lines)
            return
        try:
            place = client.get_run(run_id).info.artifact_uri
            get_artifact_repository(place, client.tracking_uri).delete_artifacts(LIST)
        except Exception:  # whatever it is, some stores let nobody delete files
            self._log(client, run_id, ["none: all files are there"])

    def _log(self, client: MlflowClient, run_id: str, lines: Sequence[str]) -> None:
        client.log_text(run_id, storable("\n".join(lines) + "\n"), LIST)


def is_fault(error: Exception) -> bool:
    """Whether a server says that it has failed itself."""
    response = error.response if isinstance(error, RequestException) else None
    return isinstance(response, Response) and response.status_code >= 500
