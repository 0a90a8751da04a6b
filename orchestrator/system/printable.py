"""Text from elsewhere (YAML, exceptions, servers), as it may reach a screen."""


def in_a_line(text: str) -> str:
    """The text in one line, with control characters, such as terminals obey, written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))
