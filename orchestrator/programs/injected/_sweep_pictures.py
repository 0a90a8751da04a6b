"""Images that a script logs, as PNG files in the trial's folder."""

from __future__ import annotations

import os
import re
import shutil
import struct
import tempfile
import zlib
from typing import Any, Iterator, Mapping


def pictures(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The images and figures among logged values, by name; those of a list under its name and their place."""
    for name, value in values.items():
        if isinstance(value, (list, tuple)):
            yield from ((f"{name}/{place}", image) for place, image in enumerate(value) if _is_picture(image))
        elif _is_picture(value):
            yield name, value


def saved(image: Any, name: str) -> str | None:
    """Where an image of this name is now, in a file of its own; None if it cannot be drawn.

    Raises:
        OSError: there is no such image, or no room for it.
    """
    folder = os.path.join(os.path.dirname(os.environ.get("SWEEP_PARAMS") or tempfile.mkdtemp()), "pictures")
    os.makedirs(folder, exist_ok=True)
    file, path = tempfile.mkstemp(".png", re.sub(r"\W+", "_", name)[:60] + "-", folder)
    os.close(file)
    try:
        write(image, path)
    except Exception as error:
        os.unlink(path)
        if isinstance(error, OSError):
            raise
        return None
    return path


def write(image: Any, path: str) -> None:
    """Write an image of wandb, Trackio or SwanLab, or a figure, or what these take as images."""
    if hasattr(image, "_as_pil"):  # Trackio's
        image = image._as_pil() or image._value
    elif hasattr(image, "buffer") and hasattr(image, "file_type"):  # SwanLab's
        with open(path, "wb") as file:
            file.write(image.buffer.getvalue())
        return
    elif _is_picture(image) and hasattr(image, "image"):
        image = image.image
    if isinstance(image, (str, os.PathLike)):
        shutil.copyfile(image, path)
    elif hasattr(image, "savefig"):
        image.savefig(path, format="png")
    elif hasattr(image, "save") and hasattr(image, "convert"):  # PIL's
        image = image if image.mode in ("1", "L", "LA", "RGB", "RGBA", "P") else image.convert("RGB")
        image.save(path, format="PNG")
    else:
        _write_array(image, path)


def _is_picture(value: Any) -> bool:
    kind = type(value).__name__
    return kind in ("Image", "TrackioImage", "WandbImage") or (kind == "Figure" and hasattr(value, "savefig"))


def _write_array(array: Any, path: str) -> None:
    """Of numpy, height x width x channels, or of torch, channels x height x width; to 255, or real numbers to 1."""
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    if array.ndim == 2:
        array = array[:, :, None]
    if array.dtype.kind == "f":
        array = array * 255 if array.max() <= 1 else array
    elif array.dtype.kind == "b":
        array = array * 255
    height, width, channels = array.shape
    lines = array.clip(0, 255).astype("uint8").tobytes()
    size = width * channels
    rows = b"".join(b"\0" + lines[row * size : (row + 1) * size] for row in range(height))
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)))
        file.write(_chunk(b"IDAT", zlib.compress(rows)))
        file.write(_chunk(b"IEND", b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
