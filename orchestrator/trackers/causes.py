"""Why a store fails, by name: what its database, its server, or the way to it says, without their statements."""

import errno
import re
import socket
import sqlite3
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from http.client import RemoteDisconnected

from mlflow.exceptions import MlflowException, RestException

NO_TABLES = "the store has no tables of MLflow's: its file was deleted, and made anew"
SQLITE = {  # by the beginnings of SQLite's names of its errors, the longer ones first
    "SQLITE_READONLY_DBMOVED": "the store's file was deleted or moved",
    "SQLITE_READONLY": "the store is read-only",
    "SQLITE_PERM": "the store is not for this user",
    "SQLITE_FULL": "the store's disk is full",
    "SQLITE_BUSY": "the store is locked by another process",
    "SQLITE_LOCKED": "the store is locked by another process",
    "SQLITE_NOTADB": "the store's file is no SQLite database",
    "SQLITE_CORRUPT": "the store's file is damaged",
    "SQLITE_CANTOPEN": "the store's file was deleted, or is not for this user",
    "SQLITE_IOERR": "the store's disk fails",
}
SQLITE_SAYS = (  # the same in its own words, which is what a server passes on
    ("readonly database", SQLITE["SQLITE_READONLY"]),
    ("disk is full", SQLITE["SQLITE_FULL"]),
    ("is locked", SQLITE["SQLITE_BUSY"]),
    ("malformed", SQLITE["SQLITE_CORRUPT"]),
    ("unable to open", SQLITE["SQLITE_CANTOPEN"]),
    ("disk I/O error", SQLITE["SQLITE_IOERR"]),
    ("no such table", NO_TABLES),
)
DISK = {
    errno.ENOSPC: "the store's disk is full",
    errno.EDQUOT: "the store's disk quota is used up",
    errno.EROFS: "the store is read-only",
}
REFUSED_LOGIN = "the store refuses the password"
SERVER = (  # what drivers of PostgreSQL and MySQL say, which have no names for it
    ("password authentication failed|Access denied for user|no password supplied", REFUSED_LOGIN),
    (
        "could not translate host name|failed to resolve host|Unknown MySQL server host",
        "the host of the store is not found",
    ),
    ("Connection refused", "nothing listens at the address of the store (connection refused)"),
    ("No space left on device", "the store's disk is full"),
    ("read-only transaction", "the store is read-only"),
    ("timeout expired|timed out", "the store has not answered in time"),
    ("starting up|shutting down|in recovery mode", "the database of the store starts or stops just now"),
    (
        "server closed the connection|terminating connection|connection already closed",
        "the store closed the connection",
    ),
)
DRIVERS = ("psycopg", "pymysql", "MySQLdb", "pyodbc")
PACKAGES = {  # by the modules that SQLAlchemy misses
    "psycopg": "'psycopg[binary]'",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "pymysql": "pymysql",
    "pyodbc": "pyodbc",
}
PASSED_ON = re.compile(r"[A-Z_]+: \((\w+)[\w.]*\) ")  # how a server begins what its database says
WITHOUT_NAMES = re.compile(r"(?s)^(?:[A-Z_]+: )?(?:\([\w.]+\) )?(.+?)\s*(?:\[SQL:.*|\(Background on.*)?$")
STATUS = re.compile(r"failed with error code (\d{3}) != 200|too many (\d{3}) error responses")


def cause(error: BaseException) -> str | None:
    """Why the store fails, in a clause; None where the error has no name here, and its own words have to do."""
    for one in reversed([*_chain(error)]):  # what came first is nearest to it
        if found := next(filter(None, (kind(one) for kind in KINDS)), None):
            return found
    return None


def is_no_entry(error: BaseException) -> bool:
    """Whether the store does not let this user in, which no waiting changes."""
    return cause(error) in (REFUSED_LOGIN, _answers(401), _answers(403))


def statement_free(error: BaseException) -> str:
    """What an error says, without the SQL and the links that SQLAlchemy adds."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if not re.search(r"\[SQL:|\(Background on", str(error)):
        return str(error) or type(error).__name__
    found = [original for one in _chain(error) if isinstance(original := getattr(one, "orig", None), BaseException)]
    return str(found[0]) if found else WITHOUT_NAMES.sub(r"\1", str(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it was raised from, or made of."""
    known, seen = [error], set[int]()
    while known:
        one = known.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            before = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
            known += [other for other in (before, *one.args) if isinstance(other, BaseException)]


def _of_file(error: BaseException) -> str | None:
    if isinstance(error, sqlite3.Error):
        if str(error).startswith("no such table"):
            return NO_TABLES
        name = getattr(error, "sqlite_errorname", "")
        return next((words for known, words in SQLITE.items() if name.startswith(known)), None)
    return DISK.get(error.errno or 0) if isinstance(error, OSError) else None


def _of_server(error: BaseException) -> str | None:
    if not type(error).__module__.startswith(DRIVERS):
        return None
    known = next((words for pattern, words in SERVER if re.search(pattern, str(error))), None)
    said = re.search(r"\b(?:FATAL|ERROR): +(.+)", str(error))
    return known or (f"the database of the store says: {said[1]}" if said else None)


def _of_answer(error: BaseException) -> str | None:
    """What the database of a server says, of which there are words alone."""
    if not (isinstance(error, RestException) and (driver := PASSED_ON.match(str(error)))):
        return None
    known, said = SQLITE_SAYS if driver[1] == "sqlite3" else SERVER, statement_free(error)
    return next((words for pattern, words in known if re.search(pattern, said)), None)


def _of_network(error: BaseException) -> str | None:
    match error:
        case socket.gaierror():
            return f"the host of the store is not found ({error.strerror})"
        case ConnectionRefusedError():
            return "nothing listens at the address of the store (connection refused)"
        case ssl.SSLCertVerificationError():
            return f"the certificate of the store is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return "the store does not speak TLS as https:// needs it"
        case RemoteDisconnected() | ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return "the store closed the connection"
        case TimeoutError():
            return "the store has not answered in time"
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return "there is no way to the host of the store"
    return None


def _of_status(error: BaseException) -> str | None:
    """The status of an answer of a server or a proxy that is not MLflow's own, which has its reasons in words."""
    found = STATUS.search(str(error))
    if found is None:
        return None
    return _answers(int(found[1] or found[2]))


def _answers(status: int) -> str:
    known = {one.value: one.phrase for one in HTTPStatus}
    return f"the store answers with {status} {known.get(status, '')}".strip()


def _of_uri(error: BaseException) -> str | None:
    if isinstance(error, ModuleNotFoundError) and error.name in PACKAGES:
        return f"the driver of its database is not installed: pip install {PACKAGES[error.name]}"
    if isinstance(error, MlflowException) and "got unsupported URI" in str(error):
        return "MLflow has no such stores; a URI begins with sqlite, http, https, postgresql, mysql or mssql"
    return None


KINDS = (_of_file, _of_server, _of_answer, _of_network, _of_status, _of_uri)
