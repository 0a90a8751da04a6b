"""The report as Markdown, with its charts and pictures as files beside it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.comparison.markdown import escaped
from orchestrator.reports import still
from orchestrator.reports.document import Section
from orchestrator.reports.page import content, environment
from orchestrator.system.paths import REPORT_PICTURES as FOLDER

WRITTEN = ("*.svg", "*.webp")
_FENCE = re.compile(r"`{3,}")


def markdown(title: str, made: str, sections: Sequence[Section], folder: Path) -> str:
    """The text; charts and pictures are written into a folder of their own under the given one."""
    pictures = folder / FOLDER
    pictures.mkdir(exist_ok=True)
    for earlier in (path for pattern in WRITTEN for path in pictures.glob(pattern)):
        earlier.unlink(missing_ok=True)  # another writer has deleted it

    def draw(spec: dict[str, Any], name: str) -> str:
        (pictures / f"{name}.svg").write_text(still.svg(spec))
        return f"{FOLDER}/{name}.svg"

    def keep(content: bytes, name: str) -> str:
        (pictures / f"{name}.webp").write_bytes(content)
        return f"{FOLDER}/{name}.webp"

    templates = environment(is_html=False)
    templates.filters["text"] = escaped
    templates.filters["fence"] = fence
    return templates.get_template("page.md").render(**content(title, made, sections), draw=draw, keep=keep)


def fence(text: str) -> str:
    """The fence of a code block with this text."""
    return "`" * max([3, *(len(ticks) + 1 for ticks in _FENCE.findall(text))])
