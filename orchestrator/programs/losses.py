"""Which of the metrics of a program are losses, by what they are called."""

import re
from collections.abc import Collection, Iterable

LOSS = {"loss", "nll"}
GAINS = {"elbo"}  # minus a loss
NEGATIVE = {"neg", "negative", "minus"}
VALIDATION = {"val", "valid", "validation", "eval", "evaluation", "test", "dev", "holdout"}
FACTORS = {"scale", "weight"}  # `loss_scale` is not a loss
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def losses_of(names: Iterable[str], given: Collection[str] | None, maximized: Collection[str]) -> dict[str, int]:
    """The metrics to watch for explosions, with the sign that makes a loss of each: -1 for what grows as it improves.

    Args:
        names: Metrics that the program has logged.
        given: Those that the sweep names itself, which are then the only ones; None if it names none.
        maximized: Those that the sweep maximizes. None of them is a loss, except that minus an ELBO is one.
    """
    chosen = [name for name in names if (_is_loss(name) if given is None else name in given)]
    signs = {name: _sign(name) for name in chosen}
    return {name: sign for name, sign in signs.items() if sign < 0 or name not in maximized}


def is_of_validation(name: str) -> bool:
    """Whether a metric is of data that the program does not learn from, by what it is called."""
    return bool(_words(name) & VALIDATION)


def _words(name: str) -> set[str]:
    return {word.lower() for word in WORDS.findall(name)}


def _is_loss(name: str) -> bool:
    words = _words(name)
    return bool(words & (LOSS | GAINS)) and not words & FACTORS


def _sign(name: str) -> int:
    words = _words(name)
    return -1 if words & GAINS and not words & (LOSS | NEGATIVE) else 1
