"""Where the store and the work in flight are. Imports no mlflow: without a store nothing has to load it."""

import hashlib
import os
import re
import tempfile
import unicodedata
from pathlib import Path

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
SQLITE = "sqlite:///"
PLAIN_NAME = r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,198}[A-Za-z0-9._-])?"  # within what file systems take
SHORT = 40  # characters of any other name that its folder has
LOG_FILE = "log.txt"  # in a trial's work folder: what its worker printed
ARTIFACTS_FOLDER = "artifacts"  # the same: what is to become the run's artifacts
IMAGES_FOLDER = "images"  # the same: pictures by epoch, as <name>/<epoch>.png


def tracking_uri(given: str | None) -> str:
    """The URI that was given, or MLFLOW_TRACKING_URI's, or that of the SQLite store under ./mlruns/.

    A SQLite URI comes back with an absolute path.
    """
    uri = given or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    path = sqlite_path(uri)
    return uri if path is None else f"{SQLITE}{path}"


def sqlite_path(uri: str) -> Path | None:
    """The database file of a SQLite URI, absolute."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def exists(uri: str) -> bool:
    """Whether there can be anything to read: a SQLite file that is not there holds nothing."""
    path = sqlite_path(uri)
    return path is None or path.is_file()


def work_folder(uri: str) -> Path:
    """Where work in flight lies: beside a SQLite store, else under ./mlruns/."""
    path = sqlite_path(uri)
    return (Path("mlruns").absolute() if path is None else path.parent) / "work"


def folder_name(name: str) -> str:
    """The folder of a sweep: called as it is where its name is plain, else by a short form of it and a digest.

    The short form is in small letters, and `~` is in no plain name: so no two meet, wherever file systems fold case.
    """
    if re.fullmatch(PLAIN_NAME, name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    short = re.sub("[^a-z0-9]+", "-", plain)[:SHORT].strip("-")
    return f"{short}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def lock_folder(uri: str, sweep: str) -> Path:
    """Where launches of a sweep meet: beside a SQLite store, else in a place of the user's on this machine."""
    if sqlite_path(uri) is not None:
        return work_folder(uri) / folder_name(sweep)
    store = hashlib.sha256(uri.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"vae-sweeps-{os.getuid()}" / store / folder_name(sweep)


def redacted(text: str) -> str:
    """The text without the user and password that a URI in it may have."""
    return re.sub(r"//[^/\s]+@", "//", text)  # up to the last @: a password may have some, too
