"""What trials have left in the store, as far as a report needs it: listed once for each trial."""

from contextlib import suppress

from orchestrator.errors import StoreError
from orchestrator.trackers import Store


class TrialFiles:
    """The artifacts of trials, by run_id. A report goes on without what the store does not give."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: dict[str, set[str]] = {}

    def names(self, run_id: str) -> set[str]:
        """What a trial has left, folders included."""
        if run_id not in self._names:
            self._names[run_id] = set()
            with suppress(StoreError):
                self._names[run_id] = self._store.artifacts(run_id)
        return self._names[run_id]

    def read(self, run_id: str, name: str) -> bytes:
        """A file that a trial has left; empty where it has not."""
        if name in self.names(run_id):
            with suppress(StoreError):
                return self._store.artifact(run_id, name)
        return b""
