"""Where the store and the work in flight are. Imports no mlflow: without a store nothing has to load it."""

import hashlib
import os
import re
import stat
import tempfile
import unicodedata
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

from orchestrator.errors import InputError

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
SQLITE = "sqlite:///"
SQLITE_ENCODED = "sqlite+pysqlite:///"  # the same; where a path is encoded, MLflow would make a folder of its letters
OF_SQLITE = re.compile(r"sqlite(\+pysqlite)?:(//)?", re.IGNORECASE)  # what a URI of it begins with, and mistakes
OPTIONS = r"\w+=[^&/]*(&\w+=[^&/]*)*"  # of SQLite's, behind the path of a URI
MEANING_MORE = r"[%?\x00-\x1f\x7f]"  # characters that mean something in a URI, or end it
# of a URI, up to the last @: a password may have some, too; and SQLAlchemy takes one with a slash
USER = re.compile(r"""://([^/\s]+|[^:/\s@]*:[^@\s"'`<>]+)@""")
SECRETS = "password|passwd|pwd|passphrase|token|secret|credential|signature|sig|key"
SECRET_OF_A_QUERY = re.compile(rf"""([?&;][\w.-]*({SECRETS})=)[^&;#\s"'`<>]+""", re.IGNORECASE)
OF_A_DATABASE = (".db", ".sqlite", ".sqlite3")
PLAIN_NAME = r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,198}[A-Za-z0-9._-])?"  # within what file systems take
SHORT = 40  # characters of any other name that its folder has
UNPRINTABLE = "sweep"  # in place of a name without letters
LOCK_FILE = "launch.lock"  # in the folder where launches of a sweep meet
LOG_FILE = "log.txt"  # in a trial's work folder: what its worker printed
ARTIFACTS_FOLDER = "artifacts"  # the same: what is to become the run's artifacts
REPORTS_FOLDER = Path("reports")  # of the current folder: a report's own is in it
REPORT_FOLDER = "report"  # a report among the artifacts of a sweep's run
REPORT_FILE, REPORT_TEXT, REPORT_TABLE, REPORT_PICTURES = "report.html", "report.md", "report.csv", "report-pictures"
REPORT_TRIALS = "report-trials"  # beside the page: the pictures of trials in full size, a folder for each
IMAGES_FOLDER = "images"  # in a trial's work folder: pictures by epoch, as <name>/<epoch>.png


def tracking_uri(given: str | None) -> str:
    """The URI that was given, or MLFLOW_TRACKING_URI's, or that of the SQLite store under ./mlruns/.

    A SQLite URI comes back with an absolute path, as SQLAlchemy writes it.

    Raises:
        InputError: it is SQLite's, and names no file.
    """
    uri = (given or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI).strip()
    found = OF_SQLITE.match(uri)
    if found is None:
        if uri.endswith(OF_A_DATABASE) and ":" not in uri:
            raise InputError(f"the store {uri} is a path, and no URI: write {sqlite_uri(Path(uri).absolute())}")
        return uri
    path, _, query = uri[found.end() :].partition("?")
    if path in ("", "/", "/:memory:") or re.search("(^|&)(mode=memory|vfs=memdb)(&|$)", query):
        raise InputError(f"the store {uri} is in memory, and keeps nothing: name a file, such as {DEFAULT_URI}")
    if found[2] is None or not path.startswith("/") or path.startswith("/file:"):
        raise InputError(f"the store {uri} names no file: write sqlite:///PATH, such as {DEFAULT_URI}")
    if path.startswith("/~"):  # which a shell replaces at the beginning of a word alone, and MLflow nowhere
        raise InputError(f"the store {uri}: ~ is no folder here; write {sqlite_uri(Path(path[1:]).expanduser())}")
    if query and not re.fullmatch(OPTIONS, query):
        whole = sqlite_uri(Path(f"{path[1:]}?{query}").absolute())
        raise InputError(f"the store {uri}: what follows ? are options of SQLite's; for a ? in a path write {whole}")
    read, literal = Path(unquote(path[1:])).absolute(), Path(path[1:]).absolute()
    if os.path.isdir(literal.parent) and not os.path.isdir(read.parent):  # noqa: PTH112 - they never raise
        raise InputError(f"the store {uri} is read as {read}; for {literal} write {sqlite_uri(literal)}")
    return sqlite_uri(read) + (query and f"?{query}")


def sqlite_uri(path: Path) -> str:
    """The URI of a SQLite file; what means something in a URI is encoded.

    Raises:
        InputError: the path is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the path {path} is not UTF-8, which stores need; rename its folder") from error
    encoded = re.sub(MEANING_MORE, lambda found: quote(found[0]), str(path))
    return f"{SQLITE if encoded == str(path) else SQLITE_ENCODED}{encoded}"


def sqlite_path(uri: str) -> Path | None:
    """The database file of a SQLite URI, absolute."""
    prefix = next((known for known in (SQLITE, SQLITE_ENCODED) if uri.startswith(known)), None)
    return None if prefix is None else Path(unquote(uri.removeprefix(prefix).partition("?")[0])).absolute()


def exists(uri: str) -> bool:
    """Whether there can be anything to read: a SQLite file that is not there holds nothing."""
    path = sqlite_path(uri)
    try:
        return path is None or path.is_file()
    except OSError:  # a folder on the way is not for this user, which is said where the store is opened
        return True


def work_folder(uri: str) -> Path:
    """Where work in flight lies: beside a SQLite store, else under ./mlruns/."""
    path = sqlite_path(uri)
    return (Path("mlruns").absolute() if path is None else path.parent) / "work"


def artifacts_folder(uri: str) -> Path:
    """Where files of runs lie beside a SQLite store, in a folder for each sweep."""
    return work_folder(uri).parent / "artifacts"


def folder_name(name: str) -> str:
    """The folder of a sweep: called as it is where its name is plain, else by a short form of it and a digest.

    The short form is in small letters of any script without marks on them, and `~` is in no plain name: so no two meet,
    wherever file systems fold case, or take letters apart.
    """
    if re.fullmatch(PLAIN_NAME, name):
        return name
    apart = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(c for c in apart if not unicodedata.combining(c))
    kept = unicodedata.normalize("NFC", plain)  # as file systems have it that take nothing apart
    short = re.sub(r"[\W_]+", "-", kept)[:SHORT].strip("-") or UNPRINTABLE
    return f"{short}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def lock_folder(uri: str, sweep: str) -> Path:
    """Where launches of a sweep meet: beside a SQLite store, else in a place of the user's on this machine."""
    if sqlite_path(uri) is not None:
        return work_folder(uri) / folder_name(sweep)
    store = hashlib.sha256(uri.encode()).hexdigest()[:16]
    return of_servers() / store / folder_name(sweep)


def of_servers() -> Path:
    """The folder of this user in which launches meet whose stores are servers."""
    return Path(tempfile.gettempdir()) / f"vae-sweeps-{os.getuid()}"


def check_own(meeting: Path) -> None:
    """See that where launches meet is this user's: in a folder for all, somebody else may have made it, or a link.

    Raises:
        InputError: it is not.
    """
    top = of_servers()
    if not meeting.is_relative_to(top):
        return
    with suppress(FileExistsError):
        top.mkdir(mode=0o700)
    found = top.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise InputError(f"{top}: is no folder to which this user alone can write; remove it, or set TMPDIR to another")


def is_file(sweep: str) -> bool:
    """Whether a sweep's FILE is meant, rather than its NAME."""
    with suppress(OSError):  # a name may be longer than a file's can be
        return sweep.endswith((".yaml", ".yml")) or Path(sweep).is_file()
    return False


def redacted(text: str) -> str:
    """The text without the user and password that a URI in it may have, nor the secrets in its query."""
    return SECRET_OF_A_QUERY.sub(r"\1***", USER.sub("://", text))
