"""The folders of the trials of an attempt, on the node where they run."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.events import Event, Progress
from orchestrator.executors.remote.carrying import Receiving, Sending, lacking
from orchestrator.executors.remote.messages import Commit, Letter, Piece, TrialFolder
from orchestrator.system import regular
from orchestrator.system.paths import LOG_FILE


class NodeFolders:
    """Those of one attempt: the same ones as the orchestrator's where the node sees them, else copies.

    Args:
        token: of the attempt.
        folders: as the orchestrator has them.
        base: where copies are.
    """

    def __init__(self, token: int, folders: Sequence[TrialFolder], base: Path) -> None:
        self._token = token
        self._base = base
        self.places = [self._place(folder) for folder in folders]
        for left in (base / "trials").glob("*"):  # of attempts that were lost
            if left not in self.places:
                regular.remove(left)
        self.wanted: list[tuple[int, str]] = []  # files that have to come
        self._receivings: dict[int, Receiving] = {}
        self._sendings: dict[int, Sending] = {}
        # whether another machine may write into one of them
        self.are_shared = any(str(place) == folder.path for folder, place in zip(folders, self.places, strict=True))
        self._awaited = 0  # folders whose files have not all come
        for row, (folder, place) in enumerate(zip(folders, self.places, strict=True)):
            if str(place) != folder.path:
                place.mkdir(parents=True, exist_ok=True)
                self._receivings[row] = Receiving(place)
                lacks = lacking(place, folder.files)
                self.wanted += [(row, path) for path in lacks]
                self._awaited += bool(lacks)

    def _place(self, folder: TrialFolder) -> Path:
        with suppress(OSError):
            if Path(folder.marker).read_text() == folder.nonce:
                return Path(folder.path)
        return self._base / "trials" / Path(folder.path).name

    @property
    def are_there(self) -> bool:
        """Whether all files have come, so that the trials can begin."""
        return self._awaited == 0

    def take(self, piece: Piece, body: bytes) -> None:
        """Add a piece of a file."""
        self._receivings[piece.row].take(piece, body)

    def commit(self, commit: Commit) -> None:
        """Put the files of a folder in place."""
        self._receivings[commit.row].commit(commit)
        self._awaited -= 1

    def watch(self) -> None:
        """From here on, what changes is to be sent."""
        for row in self._receivings:
            self._sendings[row] = Sending(self._token, row, self.places[row], self._base / "aside")

    def belonging_to(self, row: int, event: Event) -> Iterator[Letter]:
        """What comes before an event that is not the last one: the journal and the log, and pictures of the epoch."""
        if sending := self._sendings.get(row):
            if isinstance(event, Progress):
                yield from sending.pictures()
            yield from sending.tails()

    def rest(self, row: int, *, has_new_log: bool) -> Iterator[Letter]:
        """All that a trial has left and that was not sent before.

        Args:
            row: of the trial.
            has_new_log: whether the log may have changed in what was sent before.
        """
        if sending := self._sendings.pop(row, None):
            yield from sending.rest()
            yield from sending.tails([LOG_FILE] if has_new_log else [])

    def leave(self, row: int) -> None:
        """Remove the copy of a folder, once all of it was sent."""
        if self._receivings.pop(row, None):
            regular.remove(self.places[row])

    def news(self) -> Iterator[Letter]:
        """What has changed by now."""
        for sending in [*self._sendings.values()]:
            yield from sending.tails()
            if sending.has_changed:
                yield from sending.changes()
