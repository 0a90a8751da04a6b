"""Text from elsewhere (YAML, exceptions, servers), as it may reach a screen, or a database."""

import re


def in_a_line(text: str) -> str:
    """The text in one line, with control characters, such as terminals obey, written out."""
    line = " ".join(text.split())
    return line if line.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def storable(text: str) -> str:
    """The text with what no database takes written out: NUL, and halves of characters, which have no UTF-8."""
    return re.sub("[\0\ud800-\udfff]", lambda found: repr(found[0])[1:-1], text)
