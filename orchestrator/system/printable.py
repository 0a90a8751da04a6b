"""Text from elsewhere (YAML, exceptions, servers), as it may reach a screen, or a database."""

import re

LONGEST_MESSAGE = 2000  # characters of what an exception says


def in_a_line(text: str) -> str:
    """The text in one line, with control characters, such as terminals obey, written out."""
    return in_letters(" ".join(text.split()))


def in_letters(text: str) -> str:
    """The text with control characters, line ends among them, and halves of characters written out."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def described(error: BaseException) -> str:
    """The type of an exception and what it says, in a line; the type alone where it says nothing, or cannot say it."""
    try:
        message = in_a_line(str(error))
    except Exception:  # a class of somebody's, whose `__str__` fails
        message = ""
    message = f"{message[:LONGEST_MESSAGE]}..." if len(message) > LONGEST_MESSAGE else message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def storable(text: str) -> str:
    """The text with what no database takes written out: NUL, and halves of characters, which have no UTF-8."""
    return re.sub("[\0\ud800-\udfff]", lambda found: repr(found[0])[1:-1], text)
