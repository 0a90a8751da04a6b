"""Labels of trials where there is no room for all of them: what tells them apart stays."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len, set_cell_size

NAMED = re.compile(r"(?:(?<= )|^)([^\s=]+)=")  # where the value of a parameter begins
SHORTEST_NAME = 5


def shortened(labels: Sequence[str], width: int, *, plain: bool = False) -> list[str]:
    """The labels within a width: with shorter names of parameters, else without what all share, else cut there.

    Args:
        labels: of trials that are shown together.
        width: columns that there are.
        plain: whether to write ASCII only.
    """
    dots = "~" if plain else "…"
    for those in (labels, _without_shared(labels, dots)):
        brief = _with_short_names(those, width, dots)
        if _fit(brief, width):
            return brief
    return _apart(brief, width, dots)


def middle_cut(text: str, width: int, dots: str = "…") -> str:
    """A text within a width, without its middle."""
    return _cut(text, width, 0, dots)


def _fit(labels: Iterable[str], width: int) -> bool:
    return all(cell_len(label) <= width for label in labels)


def _with_short_names(labels: Sequence[str], width: int, dots: str) -> list[str]:
    """With names of parameters as long as there is room for, as far as they stay different."""
    names = list(dict.fromkeys(name for label in labels for name in NAMED.findall(label)))
    found = [*labels]
    if _fit(found, width):
        return found
    for size in range(max(map(len, names), default=0) - 1, SHORTEST_NAME - 1, -1):
        texts = dict(zip(names, _apart(names, size, dots), strict=True))
        if len(set(texts.values())) == len(names):
            found = [_renamed(label, texts) for label in labels]
            if _fit(found, width):
                break
    return found


def _apart(texts: Sequence[str], width: int, dots: str) -> list[str]:
    """Texts without their middle; those that would look alike, from where they differ."""
    alike: dict[str, dict[str, None]] = {}
    for text in texts:
        alike.setdefault(middle_cut(text, width, dots), {})[text] = None
    found: dict[str, str] = {}
    for several in alike.values():
        shared = len(os.path.commonprefix([*several])) if len(several) > 1 else 0  # noqa: RUF071 - of letters
        found |= {text: _cut(text, width, shared, dots) for text in several}
    return [found[text] for text in texts]


def _renamed(label: str, texts: Mapping[str, str]) -> str:
    return NAMED.sub(lambda match: f"{texts[match[1]]}=", label)


def _without_shared(labels: Sequence[str], dots: str) -> list[str]:
    """Without the parameters that are the same in all of several labels."""
    split = [label.split(" ") for label in labels]
    shared = set.intersection(*map(set, split)) if len(labels) > 1 else set()
    parts = [[part for part in parts if part not in shared] for parts in split]
    if not shared or not all(parts):
        return [*labels]
    return [f"{dots} {' '.join(those)}" for those in parts]


def _cut(text: str, width: int, shared: int, dots: str) -> str:
    """A text without its middle; or without what lies between its beginning and where it differs from others."""
    if cell_len(text) <= width:
        return text
    if width < SHORTEST_NAME:
        return set_cell_size(text, max(0, width))
    beginning = set_cell_size(text, (width - 1) // 2 if not shared else (width - 1) // 4)
    end, room = text[shared:], width - cell_len(beginning) - 1
    if shared and cell_len(end) > room:
        return beginning + dots + set_cell_size(end, room - 1) + dots
    while cell_len(end) > room:
        end = end[1:]
    return beginning + dots + end
