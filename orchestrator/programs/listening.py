"""A program that runs, and all the places where it logs."""

import select
import time
from collections.abc import Iterable
from contextlib import ExitStack

from orchestrator.programs.channel import Channel
from orchestrator.programs.environment import Environment
from orchestrator.programs.followers import ProgramFollower
from orchestrator.programs.followers.event_files import EventFiles
from orchestrator.programs.followers.mlflow_store import MlflowStore
from orchestrator.programs.followers.output import OutputLines
from orchestrator.programs.kept import HeardCalls, State
from orchestrator.programs.log import ProgramLog
from orchestrator.programs.logged import ArtifactLogged, Logged, Message
from orchestrator.programs.processes import ProgramProcess, kill_all
from orchestrator.programs.program import Program, ProgramFailedError
from orchestrator.system.paths import LOG_FILE

SECONDS_BETWEEN_POLLS = 0.25  # of what is followed from outside


class ProgramListener:
    """Listens to a program in all the ways in which it may log, from its start on.

    Args:
        program: that runs.
        made: its arguments and environment.
        state: what an attempt before has left.
        stack: ends what this begins.
    """

    def __init__(self, program: Program, made: Environment, state: State, stack: ExitStack) -> None:
        self.program = program
        self.was_polled = False  # by the last call of `messages`
        self.until = dict(state.heard.until)
        self._made = made
        self._state = state
        self._polls_due = time.time() + SECONDS_BETWEEN_POLLS
        self._store = MlflowStore(made.mlflow)
        path = made.workdir / LOG_FILE
        if state.was_begun:  # its worker may have been killed together with all that watched over it
            kill_all(str(made.checkpoints))
        self.left: list[Message] = [
            *self._store.end(),
            *OutputLines(path, state.heard.log, program.pattern).end(),
        ]  # by an attempt before, in files
        self.log = ProgramLog(path, program, made.secrets)
        self._channel = Channel(made.workdir)
        stack.callback(self._channel.close)
        self.calls = HeardCalls(made.workdir)
        stack.callback(self.calls.close)

    def start(self, stack: ExitStack, *, goes_on: bool) -> ProgramProcess:
        """Start the program; `goes_on`: it has kept something in an attempt before.

        Raises:
            ProgramFailedError: it cannot be started.
        """
        program, made = self.program, self._made
        variables, since = made.variables(self._channel.path), time.time()
        try:
            self._process = ProgramProcess(made.arguments, program.folder, variables, self.log.path)
        except OSError as error:
            what = self.log.hidden(str(error.filename or made.arguments[0]))
            raise ProgramFailedError(f"{what} cannot be started: {error.strerror}") from error
        stack.callback(self._process.close)
        files = EventFiles(self._process.pid, [program.folder], made.checkpoints)
        if self._state.was_begun:
            self.left += EventFiles(self._state.pid, [program.folder], made.checkpoints, self._state.begun).end()
        if goes_on:
            files.poll()  # what an earlier attempt has left in the program's own folder
        self._note_times(self.left)
        self.since = since
        self._output = OutputLines(self.log.path, self.log.begin, program.pattern)
        self._followers: list[ProgramFollower] = [self._store, files, self._output]
        return self._process

    @property
    def read(self) -> int:
        """How much of its output was read, in bytes."""
        return self._output.read

    def messages(self, *, at_end: bool) -> list[Message]:
        """What is new; at the end, all that is left."""
        now, messages = time.time(), self.receive()
        self.was_polled = at_end or now >= self._polls_due
        if self.was_polled:
            self.log.echo()
            followed = [one for follower in self._followers for one in (follower.end() if at_end else follower.poll())]
            self._note_times(followed)
            messages += sorted(followed, key=lambda one: one.at if isinstance(one, Logged) else 0.0)
            self._polls_due = now + (0.0 if self._output.is_behind else SECONDS_BETWEEN_POLLS)
        return messages

    def receive(self) -> list[Message]:
        """What has come through the channel; the calls of which are kept, and wait for an answer."""
        messages = self._channel.receive()
        self.calls.add(messages)
        return messages

    def release(self) -> None:
        """Answer the calls that have been received."""
        self._channel.release()

    def wait(self, dues: Iterable[float | None]) -> None:
        """Wait until it logs something, ends, or there is something to look after, at one of these times."""
        seconds = min(due for due in (*dues, self._polls_due) if due is not None) - time.time()
        select.select([*self._channel.filenos(), self._process.fileno()], [], [], max(0.0, seconds))

    def artifacts(self) -> list[ArtifactLogged]:
        """What MLflow in it has kept, also where it was ended before its own end."""
        return [message for message in self._store.end() if isinstance(message, ArtifactLogged)]

    def _note_times(self, messages: Iterable[Message]) -> None:
        self.until |= {one.source: one.at for one in messages if isinstance(one, Logged) and one.source != "output"}
