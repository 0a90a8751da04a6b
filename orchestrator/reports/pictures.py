"""Pictures that runs have stored, made small: the images of a grid are read back from it, pixel for pixel."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.functions.declaration import Tiles

WIDEST, SMALL = 800, 480  # pixels of a picture that is kept as it is, and where one in full size stands beside it
QUALITY = 82

Images = NDArray[np.uint8]  # (rows, columns, side, side)


@dataclass(frozen=True)
class ReportPicture:
    """A picture as WebP, and what it shows."""

    content: bytes
    width: int  # pixels
    height: int
    text: str
    caption: str
    is_pixels: bool = False  # few large pixels, to be shown with sharp edges
    run_id: str = ""  # of the trial that left it
    path: str = ""  # of the picture in full size, beside the page

    @property
    def uri(self) -> str:
        """The picture, as a data URI."""
        return f"data:image/webp;base64,{base64.b64encode(self.content).decode()}"


def images(picture: bytes, tiles: Tiles) -> Images | None:
    """The grey images that a picture is made of, enlarged, in rows; None if it is not such a grid."""
    opened = _opened(picture)
    width = tiles.columns * tiles.side
    enlarged = opened.width // width if opened else 0
    if opened is None or not enlarged or opened.width % width or opened.height % (enlarged * tiles.side):
        return None
    pixels: Images = np.asarray(opened.convert("L"))[::enlarged, ::enlarged]
    return pixels.reshape(-1, tiles.side, tiles.columns, tiles.side).transpose(0, 2, 1, 3)


def strip(rows: Images, text: str, caption: str) -> ReportPicture:
    """Rows of images as one picture, pixel for pixel."""
    count, columns, side, _ = rows.shape
    pixels = rows.transpose(0, 2, 1, 3).reshape(count * side, columns * side)
    content = _encoded(Image.fromarray(pixels), lossless=True)
    return ReportPicture(content, columns * side, count * side, text, caption, is_pixels=True)


def whole(picture: bytes, text: str, caption: str, widest: int = WIDEST) -> ReportPicture | None:
    """A picture as it is, at most so many pixels wide; None if it cannot be read."""
    opened = _opened(picture)
    if opened is None:
        return None
    small = opened.convert("RGBA")
    ground = Image.new("RGBA", small.size, "white")
    small = Image.alpha_composite(ground, small).convert("RGB")
    if small.width > widest:
        small = small.resize((widest, max(1, round(small.height * widest / small.width))), Image.Resampling.LANCZOS)
    return ReportPicture(_encoded(small, lossless=False), small.width, small.height, text, caption)


def same(images: Images, other: Images) -> bool:
    """Whether two rows of images are the same, up to rounding."""
    return images.shape == other.shape and bool(np.abs(images.astype(int) - other.astype(int)).max() <= 2)


def _opened(picture: bytes) -> Image.Image | None:
    try:
        opened = Image.open(io.BytesIO(picture))
        opened.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return opened


def _encoded(image: Image.Image, lossless: bool) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=lossless, quality=100 if lossless else QUALITY, method=4)
    return out.getvalue()
