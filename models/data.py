"""DATASETS by name, as tensors. Each is read once, and cached for all processes of the machine to map."""

import fcntl
import gzip
import hashlib
import importlib
import importlib.metadata
import math
import os
import pkgutil
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, library
from torch.nn import functional

from models.config import DATASETS

VALIDATION_IMAGES = {"digits": 200}
DEFAULT_VALIDATION_IMAGES = 5000
SPLIT_SEED = 20250609  # so that all trials validate on the same images, whatever their seed
DAYS_KEPT = 30  # in the cache, from the last use on
FORMAT = 1  # raise it when the split or the cached tensors change
IDX_UINT8_3D = (0, 0, 8, 3)

Bytes = NDArray[np.uint8]


class DataError(ValueError):
    """Images that are missing or corrupt. The message names the file and what to do."""


class Files(NamedTuple):
    """Where images come from, a fingerprint that changes with them, and how to read them: train and test."""

    source: str
    fingerprint: str
    read: Callable[[], tuple[Bytes, Bytes]]


@dataclass(frozen=True)
class Dataset:
    """Images (N, 1, 28, 28) of bytes: `train` to learn, `val` for metrics by epoch, `test` for final metrics only."""

    name: str
    source: str
    digest: str
    train: Tensor
    val: Tensor
    test: Tensor


@cache
def load(name: str, root: Path) -> Dataset:
    """Read a dataset, or download it into `root` where it is missing.

    Raises:
        DataError: it is missing and cannot be downloaded, or a file of it is corrupt.
    """
    files: Files = pkgutil.resolve_name(DATASETS[name])(root)
    try:
        return Dataset(name, files.source, **_cached(name, files))
    except (OSError, RuntimeError):  # there is no place for the cache: every process has its own
        return Dataset(name, files.source, **_split(name, files))


def data_root() -> Path:
    """The folder of the datasets: SWEEP_DATA_DIR, or ./data."""
    return Path(os.environ.get("SWEEP_DATA_DIR") or "data").absolute()


def cache_folder() -> Path:
    """The folder of the tensors that all processes map: one copy in memory, and nothing to decode."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vae-sweeps"


def pixels(images: Tensor) -> Tensor:
    """Images of bytes as numbers in [0, 1]."""
    return images.float() / 255


def _split(name: str, files: Files) -> dict[str, Any]:
    train, test = files.read()
    digest = _hash(train.tobytes() + test.tobytes())
    order = np.random.default_rng(SPLIT_SEED).permutation(len(train))
    held_out = VALIDATION_IMAGES.get(name, DEFAULT_VALIDATION_IMAGES)
    if len(train) <= held_out:
        problem = f"{len(train):,} training images are too few, since {held_out:,} are held out for validation"
        raise DataError(f"{files.source}: {problem}")
    parts = {"train": train[order[held_out:]], "val": train[order[:held_out]], "test": test}
    return {"digest": digest, **{part: torch.tensor(images).unsqueeze(1) for part, images in parts.items()}}


def _cached(name: str, files: Files) -> dict[str, Any]:
    """The parts of a dataset from the cache, which is written first if they are missing."""
    path = cache_folder() / f"{name}-{_hash(repr((files.source, files.fingerprint, FORMAT)).encode())}.pt"
    if not path.is_file():
        _write_cache(path, _split(name, files))
    with suppress(OSError):  # somebody else's
        os.utime(path)
    try:
        parts: dict[str, Any] = torch.load(path, mmap=True, weights_only=True)
    except Exception as error:  # torn by a power cut: that fails in many ways
        path.unlink(missing_ok=True)
        raise OSError(f"{path}: torn") from error
    return parts


def _write_cache(path: Path, parts: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidy(path.parent)
    with _unfinished(path) as file:
        torch.save(parts, file)
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).replace(path)


@contextmanager
def _unfinished(path: Path) -> Iterator[IO[bytes]]:
    """A file beside a path, locked while it is written."""
    with path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.unfinished").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    """Remove what killed processes have left in the cache, and what nobody has used for long."""
    for path in folder.glob("*.unfinished"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while a process writes it
            path.unlink()
    for path in folder.glob("*.pt"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > DAYS_KEPT * 86_400:
                path.unlink()  # who has mapped it keeps it


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _torchvision_images(folder: str, root: Path) -> Files:
    raw = root / folder / "raw"
    names = ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"]
    if not all(_find(raw, name) for name in names):
        _download(folder, root, names)
    train, test = (_find(raw, name) or raw / name for name in names)
    found = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in (train, test) if path.is_file()]
    return Files(str(raw), repr(found), lambda: (_read_idx(train), _read_idx(test)))


mnist = partial(_torchvision_images, "MNIST")
fashion_mnist = partial(_torchvision_images, "FashionMNIST")
kmnist = partial(_torchvision_images, "KMNIST")


def digits(root: Path) -> Files:
    """scikit-learn's 1,797 handwritten digits (UCI, 8x8), enlarged to 28x28; the last 297 are the test set."""
    return Files("scikit-learn load_digits", importlib.metadata.version("scikit-learn"), _read_digits)


def _read_digits() -> tuple[Bytes, Bytes]:
    from sklearn.datasets import load_digits

    small = torch.from_numpy(load_digits().images).unsqueeze(1) / 16
    large = functional.interpolate(small, size=(28, 28), mode="bicubic", align_corners=False).clamp(0, 1)
    images = (large.squeeze(1) * 255).round().to(torch.uint8).numpy()
    return images[:1500], images[1500:]


def _find(raw: Path, name: str) -> Path | None:
    return next((path for path in (raw / name, raw / f"{name}.gz") if path.is_file()), None)


def _read_idx(path: Path) -> Bytes:
    """Images (N, 28, 28) of an IDX file, plain or gzipped (the format is described at yann.lecun.com/exdb/mnist)."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: corrupt gzip file ({error}); delete it and download it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if tuple(content[:4]) != IDX_UINT8_3D or len(content) < 16:
        raise DataError(f"{path}: not an IDX file of images; delete it and download it again")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", count=3, offset=4))
    if shape[0] == 0 or shape[1:] != (28, 28):
        raise DataError(f"{path}: contains {shape[0]} images of {shape[1]}x{shape[2]}, not 28x28")
    if len(content) - 16 != math.prod(shape):
        raise DataError(
            f"{path}: contains {len(content) - 16:,} bytes of pixels, but its header requires {math.prod(shape):,}; "
            "delete it and download it again"
        )
    return np.frombuffer(content, np.uint8, offset=16).reshape(shape)


def _download(folder: str, root: Path, names: list[str]) -> None:
    try:
        getattr(_torchvision().datasets, folder)(root, download=True)
    except (OSError, RuntimeError) as error:
        files = " and ".join(f"{name}[.gz]" for name in names)
        raise DataError(
            f"{folder} is not in {root} and cannot be downloaded ({_first_line(error)}); "
            f"put {files} into {root / folder / 'raw'}, or give their folder as --data-dir"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@cache
def _torchvision() -> Any:
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        # The wheels are linked with CUDA. Beside a CPU-only torch their import fails for want of two operators'
        # schemas, which are declared here; the library must live as long as the module.
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        _declared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return importlib.import_module("torchvision")


_declared = library.Library("torchvision", "FRAGMENT")
