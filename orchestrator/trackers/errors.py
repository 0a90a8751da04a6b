"""What MLflow raises, as errors of ours: whether the same call may succeed later, and in words."""

import errno
import functools
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from mlflow.exceptions import MlflowException
from requests import RequestException, Response
from sqlalchemy.exc import OperationalError

from orchestrator.errors import StoreBusyError, StoreError
from orchestrator.system.paths import redacted
from orchestrator.system.printable import in_a_line
from orchestrator.trackers.causes import cause, statement_free

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)
FINAL_WORDS = (
    *("disk is full", "disk I/O error", "readonly database", "out-of-date database schema"),
    *("file is not a database", "image is malformed", "no such table"),
)
FINAL_CODES = (
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "PERMISSION_DENIED",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
    "UNAUTHENTICATED",
)
REFUSALS = ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")  # of what was to be written, rather than of whoever writes
HTTP_REFUSALS = (400, 404, 411, 413, 414, 415, 422)  # the same of files, where a server takes them
TOO_LARGE = "failed with error code 413 "  # in what MLflow says of a proxy that takes less at once than it does
# what MLflow calls a bad request, too, and is a database's that is busy, or has lost its connection
PASSING = re.compile(
    r"(BAD_REQUEST: )?(QueuePool limit|Can't reconnect until invalid transaction"
    r"|\((?!sqlite3)[\w.]+\.(InterfaceError|InFailedSqlTransaction)\))"
)

P = ParamSpec("P")
T = TypeVar("T")


def translates_errors(method: Callable[P, T]) -> Callable[P, T]:
    """Turn MLflow's exceptions into ours."""

    @functools.wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except (MlflowException, OSError) as error:
            kind = StoreBusyError if may_pass(error) else StoreError
            raise kind(cause(error) or f"MLflow: {message(error)}") from error

    return wrapped


def is_the_stores(error: OSError) -> bool:
    """Whether it is the store that fails (no answer, no room), rather than a file that was to be written to it."""
    return (isinstance(error, RequestException) and not is_refusal(error)) or error.errno in NO_ROOM


def is_refusal(error: Exception) -> bool:
    """Whether the store refuses for good what was to be written, and may take something else."""
    if isinstance(error, MlflowException):
        is_refused = error.error_code in REFUSALS and not PASSING.match(str(error))
        return (is_refused or is_too_large(error)) and not _is_final(error)
    response = error.response if isinstance(error, RequestException) else None
    return isinstance(response, Response) and response.status_code in HTTP_REFUSALS


def is_too_large(error: MlflowException) -> bool:
    """Whether a part of what was to be written may be taken."""
    return TOO_LARGE in str(error)


def may_pass(error: Exception) -> bool:
    """Whether the same call may succeed later: the server is down or restarts, the database is locked."""
    if is_refusal(error):
        return False
    if isinstance(error, OSError):
        return isinstance(error, RequestException | ConnectionError | TimeoutError)
    if isinstance(error, MlflowException) and error.error_code in FINAL_CODES:
        return PASSING.match(str(error)) is not None
    # the second, of a database that cannot be opened: MLflow passes it on
    return isinstance(error, MlflowException | OperationalError) and not _is_final(error)


def _is_final(error: Exception) -> bool:
    return any(words in str(error) for words in FINAL_WORDS)


def message(error: Exception) -> str:
    """Why a call to the store failed, by name or as MLflow, its database or its server says it: a line."""
    return redacted(cause(error) or in_a_line(statement_free(error)))[:500]
