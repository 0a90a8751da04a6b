"""What is notified when a launch has ended: a sweep file's `on_finish`."""

import shlex
from urllib.parse import urlsplit

from orchestrator.spec.form import SweepFile
from orchestrator.spec.mistakes import Mistakes
from orchestrator.spec.sweep_spec import OnFinish


def on_finish_of(form: SweepFile, mistakes: Mistakes) -> OnFinish | None:
    """The command, split into words, or the URL; None where there is no `on_finish`."""
    if form.on_finish is None:
        return None
    command, url = form.on_finish.run, form.on_finish.post
    if (command is None) == (url is None):
        mistakes.note(("on_finish",), "needs either `run`, a command, or `post`, a URL")
    if url is not None and not _is_url(url):
        mistakes.note(("on_finish", "post"), "is not a URL of the form https://host/path")
    try:
        words = shlex.split(command) if isinstance(command, str) else command or []
    except ValueError as error:
        mistakes.note(("on_finish", "run"), f"cannot be split into words: {str(error).lower()}")
        return None
    if command is not None and not (words and words[0]):
        mistakes.note(("on_finish", "run"), "names no command")
    return OnFinish(tuple(words), url or "")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of brackets and ports
        return False
