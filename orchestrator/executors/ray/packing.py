"""The code that goes to the machines of a cluster, in one file: this program's own, and that of the trials."""

import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from orchestrator.errors import InputError
from orchestrator.functions import TrialFunction
from orchestrator.functions.modules import OURS, PACKAGE

MOST_BYTES = 500 * 2**20  # that Ray takes of a working_dir
OF_OURS = "ours"  # the folder of this program's own code in what is carried
STAYS_AT_THE_TOP = ("mlruns", "data")
STAYS = (".git", ".venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", "node_modules")
ENV_FILE = ".env"  # and what begins so: secrets
SINCE = (1980, 1, 1, 0, 0, 0)  # so that the same files make the same package
SHOWN = 3
BESIDE = ("-wal", "-shm", "-journal")  # a database of SQLite's


@dataclass(frozen=True)
class Package:
    """What was packed.

    Args:
        file: a ZIP file.
        code: the folders of code by their paths here, and where they are in it.
        current: where the current folder is in it.
    """

    file: Path
    code: Mapping[str, str]
    current: str


def pack(function: TrialFunction, include: Sequence[str], file: Path, work: Path | None = None) -> Package:
    """Pack what trials need: the folders of their code and the current one, without data, stores, and secrets.

    Args:
        function: of the trials.
        include: files and folders that are packed all the same, by their paths from the first folder.
        file: to write.
        work: the folder of all work in flight, which stays, with the store beside it.

    Raises:
        InputError: there is more of it than Ray takes, or an included file is not there, or in none of the folders.
    """
    current = Path.cwd()
    own = function.modules.folders if function.modules else ()
    folders = [*map(Path, own), *([function.program.folder] if function.program else []), current]
    named = [Path(os.path.normpath(folders[0].resolve() / path)) for path in include]
    wanted = [path.resolve() for path in named]
    if missing := [str(path) for path in wanted if not path.exists()]:
        raise InputError.of([f"executor.ray.include: {path} is not there" for path in missing])
    roots = _roots([folder.resolve() for folder in folders])
    if outside := [one for one, real in zip(named, wanted, strict=True) if not _is_in(roots, one, real)]:
        go = ", ".join(map(str, roots))
        raise InputError.of(
            [f"executor.ray.include: {path} is in no folder that goes along ({go}); put it there" for path in outside]
        )
    launched = [folder for folder in map(Path, own) if work and folder.resolve().is_relative_to(work.resolve())]
    leaving = _Leaving.of([folder.resolve() for folder in folders], [*named, *wanted, *launched], work)
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=1) as package:
        packing = _Packing(package)
        for name in ("orchestrator", *([PACKAGE] if function.modules and function.modules.is_default else [])):
            for path in _files(OURS / name, _Leaving(), [OURS]):
                packing.add(path, f"{OF_OURS}/{path.relative_to(OURS)}")
        for number, root in enumerate(roots):
            package.writestr(ZipInfo(f"{number}/", SINCE), b"")
            for path in _files(root, leaving, roots):
                packing.add(path, f"{number}/{path.relative_to(root)}")
        code = {str(folder): _inside(folder.resolve(), roots) for folder in folders}
        if current.resolve() not in roots:
            package.writestr(ZipInfo(f"{code[str(current)]}/", SINCE), b"")  # also where nothing of it goes along
    return Package(file, code, code[str(current)])


def _roots(folders: Sequence[Path]) -> list[Path]:
    """The folders that are in none of the others."""
    distinct = list(dict.fromkeys(folders))
    return [a for a in distinct if not any(a != b and a.is_relative_to(b) for b in distinct)]


def _is_in(roots: Sequence[Path], *paths: Path) -> bool:
    return any(path.is_relative_to(root) for path in paths for root in roots)


def _inside(folder: Path, roots: Sequence[Path]) -> str:
    number, root = next((n, root) for n, root in enumerate(roots) if folder.is_relative_to(root))
    return str(Path(str(number), folder.relative_to(root)))


@dataclass(frozen=True)
class _Leaving:
    """What stays here.

    Args:
        places: files and folders.
        wanted: what goes along all the same.
    """

    places: frozenset[Path] = frozenset()
    wanted: Sequence[Path] = ()

    @classmethod
    def of(cls, folders: Sequence[Path], wanted: Sequence[Path], work: Path | None) -> "_Leaving":
        """Data and stores that lie in these folders, or that the launch itself has."""
        places = {folder / name for folder in folders for name in STAYS_AT_THE_TOP}
        if work is not None:
            store = work.resolve().parent
            places.add(work.resolve())
            if any(folder.is_relative_to(store) for folder in folders):  # there is code beside it
                places |= {store / "artifacts", *_databases(store)}
            else:
                places.add(store)
        return cls(frozenset(places), wanted)

    def has(self, path: Path, roots: Sequence[Path]) -> bool:
        """Whether it stays."""
        around = [path, *(parent for parent in path.parents if _is_in(roots, parent) and parent not in roots)]
        if not any(self._has(place) for place in around):
            return False
        return not any(_is_related(place, one) for place in (path, path.resolve()) for one in self.wanted)

    def _has(self, path: Path) -> bool:
        name = path.name
        return path in self.places or name in STAYS or name.startswith(ENV_FILE) or name.endswith(".pyc")


def _files(folder: Path, leaving: _Leaving, roots: Sequence[Path], above: Sequence[Path] = ()) -> Iterator[Path]:
    """The files below a folder that go along, also below links to folders: but to none that it is in itself.

    What lies outside all that goes along, often data, goes only where it is wanted.
    """
    real = folder.resolve()
    if real in above or not (_is_in(roots, real) or any(_is_related(real, one) for one in leaving.wanted)):
        return
    inside: list[Path] = []
    with suppress(OSError):  # a folder that is not for this user has no code of theirs
        inside = sorted(folder.iterdir())
    for path in inside:
        if leaving.has(path, roots):
            continue
        if os.path.isdir(path):  # noqa: PTH112 - it never raises
            yield from _files(path, leaving, roots, [*above, real])
        elif os.path.exists(path):  # noqa: PTH110 - a link may lead nowhere
            yield path


def _databases(folder: Path) -> Iterator[Path]:
    """The stores of MLflow's in a folder, and what SQLite has beside them."""
    for path in filter(Path.is_file, folder.iterdir()):
        with suppress(OSError, sqlite3.Error), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as store:
            if store.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
                yield from (path, *(path.with_name(path.name + end) for end in BESIDE))


def _is_related(path: Path, other: Path) -> bool:
    return path.is_relative_to(other) or other.is_relative_to(path)


class _Packing:
    """Files that are added to a package, as far as Ray takes them."""

    def __init__(self, package: ZipFile) -> None:
        self._package = package
        self._sizes: dict[Path, int] = {}
        self._bytes = 0

    def add(self, path: Path, name: str) -> None:
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return
            self._sizes[path] = status.st_size
            self._bytes += status.st_size
            if self._bytes > MOST_BYTES:
                raise InputError(_too_large(self._sizes))
            about = ZipInfo(name, SINCE)
            about.external_attr, about.compress_type = (status.st_mode & 0xFFFF) << 16, ZIP_DEFLATED
            self._package.writestr(about, path.read_bytes())
        except OSError as error:
            raise InputError(f"{path} cannot be sent to the machines of the cluster ({error.strerror})") from error


def _too_large(sizes: Mapping[Path, int]) -> str:
    largest = sorted(sizes, key=lambda path: -sizes[path])[:SHOWN]
    shown = ", ".join(f"{path} ({sizes[path] / 1e6:.0f} MB)" for path in largest)
    return (
        f"the code that goes to the machines has more than the {MOST_BYTES / 2**20:.0f} MiB that Ray takes, among it "
        f"{shown}; move what is no code into a folder called data, which stays here"
    )
