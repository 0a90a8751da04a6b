"""What it means for a trial that an exception has ended it, and what is said of that."""

import sys
import traceback
from multiprocessing import parent_process

from orchestrator.divergence import FARTHEST, NEAREST
from orchestrator.events import Finished, Infeasibility
from orchestrator.infeasible import Infeasible
from orchestrator.programs.program import ProgramFailedError, ProgramKilledError
from orchestrator.system import shortage, torch_builds
from orchestrator.system.printable import described, in_a_line
from orchestrator.system.shortage import Shortage
from orchestrator.trial import Outcome
from orchestrator.worker.curve import MisplacedError
from orchestrator.worker.monitor import ExplodedError


def ended_by(error: BaseException) -> Finished:
    """The end of a trial by an exception that is no explosion: it is infeasible, or has failed."""
    if isinstance(error, ExplodedError):
        return Finished(Outcome.FAILED, reason="it raised the exception that only `watch` may raise")
    if isinstance(said := _of_function(error), Infeasible):
        reason = in_a_line(str(said)) or "its function says so"
        return Finished(Outcome.INFEASIBLE, reason=reason, infeasible=Infeasibility("configuration", _margin(said)))
    is_loss = isinstance(error, ProgramKilledError)
    lack = error.lack if isinstance(error, ProgramFailedError) else shortage.of_error(error)
    if lack is None:
        return Finished(Outcome.FAILED, reason=error_line(error), is_loss=is_loss)
    reason = error_line(error) if is_loss else f"out of memory: {error_line(error)}"
    why = Infeasibility("memory", _margin(lack))
    return Finished(Outcome.INFEASIBLE, reason=reason, infeasible=why, is_loss=is_loss, may_fit_alone=lack.is_of_device)


def _of_function(error: BaseException) -> BaseException:
    """What a trial function has raised, where a framework has made another exception of it."""
    return error.__cause__ if isinstance(error.__cause__, Infeasible) else error


def _margin(of: Infeasible | Shortage) -> float | None:
    return None if of.margin is None else min(max(of.margin, NEAREST), FARTHEST)


def print_traceback(error: BaseException) -> None:
    """Print the traceback of an error. An explosion is not an error, and some speak for themselves."""
    if isinstance(error, MisplacedError):
        print(error, file=sys.stderr)
    elif isinstance(error, Infeasible):
        print(f"infeasible: {in_a_line(str(error))}", file=sys.stderr)
    elif not isinstance(error, ExplodedError | ProgramFailedError):
        traceback.print_exception(error)


def is_of_person(error: BaseException) -> bool:
    """Whether an exception is a person's Ctrl-C; in a worker, which takes no notice of that, it is the code's own."""
    return isinstance(error, KeyboardInterrupt) and parent_process() is None


def error_line(error: BaseException) -> str:
    """The type and the message of an exception, in a line; the message alone where that says all."""
    says_all = isinstance(error, ProgramFailedError | MisplacedError)
    line = in_a_line(str(error)) if says_all else described(error)
    return line + torch_builds.remedy(line)
