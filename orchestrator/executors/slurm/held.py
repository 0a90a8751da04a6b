"""The trials that a job runs, and what an orchestrator has to be told of them that has not begun them itself."""

from orchestrator.events import Event, Finished, Progress, Started
from orchestrator.worker import serve


class Held:
    """A stack of trials. All that is said of them is in their journals; here is what goes beyond that.

    Args:
        stack: as the worker has got it.
    """

    def __init__(self, stack: serve.Stack) -> None:
        self.stack = stack
        self.running = {*range(len(stack.tasks))}
        self._started: dict[int, bytes] = {}
        self._judged: dict[int, bytes] = {}  # epochs for which no verdict has come
        self._ended: dict[int, bytes] = {}

    @property
    def folders(self) -> dict[int, str]:
        """Of the trials that run, by their place."""
        return {row: str(self.stack.tasks[row].workdir.absolute()) for row in sorted(self.running)}

    @property
    def awaits_verdicts(self) -> bool:
        """Whether nothing goes on before somebody says so."""
        return self.running <= self._judged.keys()

    def take(self, row: int, event: Event, message: bytes) -> None:
        """The worker has sent this event of a trial, in this message."""
        match event:
            case Started():
                self._started[row] = message
            case Progress() if self.stack.awaits_verdicts:
                self._judged[row] = message
            case Finished():
                self.running.discard(row)
                self._judged.pop(row, None)
                self._ended[row] = message

    def answered(self, message: serve.Message) -> None:
        """The worker is sent this."""
        match message:
            case serve.Decision():
                self._judged.pop(message.row, None)
            case serve.Stop():  # which answers all
                self._judged.clear()

    def told(self, row: int) -> list[bytes]:
        """What somebody has to be told who knows the journal of a trial, to go on with it."""
        by_kind = (self._started, self._judged, self._ended)
        return [told[row] for told in by_kind if row in told]
