"""What trials have left in the store, as far as a report needs it: listed once for each trial."""

from contextlib import suppress

from orchestrator.errors import StoreBusyError, StoreError
from orchestrator.trackers import Store


class TrialFiles:
    """The artifacts of trials, by run_id. A report goes on without what the store refuses.

    Attributes:
        unlisted: the trials of which the store does not say what they have left.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: dict[str, set[str]] = {}
        self.unlisted: set[str] = set()

    def names(self, run_id: str) -> set[str]:
        """What a trial has left, folders included; nothing where the store refuses to say.

        Raises:
            StoreBusyError: the store does not answer now.
        """
        if run_id not in self._names:
            try:
                self._names[run_id] = self._store.artifacts(run_id)
            except StoreBusyError:
                raise
            except StoreError:
                self._names[run_id] = set()
                self.unlisted.add(run_id)
        return self._names[run_id]

    def read(self, run_id: str, name: str) -> bytes:
        """A file that a trial has left; empty where it has not."""
        if name in self.names(run_id):
            with suppress(StoreError):
                return self._store.artifact(run_id, name)
        return b""
