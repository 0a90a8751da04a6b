"""The metrics in a line that a program prints."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

NUMBER = r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|(?:nan|inf(?:inity)?)\b)"
OF_HOW_MANY = r"(?:\s*(?:of|/)\s*\d+)?"
CONTROLS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")  # colours and the like
EPOCH = re.compile(rf"(?<!\w)epochs?\b['\"]?[\s:=\uff1a#\[('\"]*(\d+(?:\.\d+)?){OF_HOW_MANY}", re.IGNORECASE)
STEP = re.compile(
    rf"(?<!\w)(?:global[_ ]?step|step|iter(?:ation)?)\b['\"]?[\s:=\uff1a#\[('\"]*(\d+)\b{OF_HOW_MANY}", re.IGNORECASE
)
WORDS = ("epoch", "step", "iter")
SIGNS = "=:\uff1a"  # the last one as Chinese and Japanese texts have it
PAIR = re.compile(r"^[ \t]*\[(\d+),\s*\d+\]", re.MULTILINE)  # an epoch and a batch
SIGNED = re.compile(r"[:=\uff1a]\s*['\"]?[-+]?(?:\.?\d|nan|inf)", re.IGNORECASE)
NOISE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d\S*)?"  # dates
    r"|\d{1,2}(?::\d\d){1,2}(?:[.,]\d+)?"  # times
    r"|(?<![\d.])\d{1,15}+(?:\.\d{1,15}+)?\s*(?:it|s|ms|samples|batch|ex\w{0,9}|tok\w{0,9}|img\w{0,9})/\w+"  # rates
    r"|\d{1,3}%\|"  # a bar
)
SCALAR = re.compile(
    r"(?<![\w./@-])['\"]?(?P<name>[^\W\d][\w./@-]*+(?: (?!(?:nan|inf|infinity)\b)[^\W\d][\w./@-]*+)*+)['\"]?"
    rf"(?:(?P<between>\s*+[:=\uff1a]\s*+|\s++)['\"]?(?P<value>{NUMBER})(?![\w:/.]|-\d))?+",
    re.IGNORECASE,
)  # words without a value, too: so each is looked at once
LONGEST_WORD, MOST_WORDS = 61, 4  # of a name
PROSE = {"a", "after", "and", "at", "by", "for", "from", "in", "is", "it", "of", "on", "the", "to", "was", "with"}
OF_TIME = {"time", "times", "eta", "elapsed", "took", "duration", "seconds", "sec", "secs", "speed", "remaining"}
OF_RUNS = {"v_num", "batch", "pid", "rank"}  # counts and labels
STEPS = ("step", "global_step", "iteration", "iter")


@dataclass
class Line:
    """What a line has: metrics, with `epoch` among them if it names one, and its step."""

    metrics: dict[str, float] = field(default_factory=dict)
    step: int | None = None


class Lines:
    """Reads metrics in lines as people print them.

    A JSON object gives its numbers. Other lines give `name=value`, `name: value` and `name value` if they have an epoch
    or a step. A line without either gives the first two of these, in the epoch that was printed last.

    Most of what programs print that print much has nothing of that. It is left by what costs no more than to read it.
    """

    def __init__(self) -> None:
        self._epoch: float | None = None

    def read(self, text: str) -> Line | None:
        """The metrics in a line; None if it has none."""
        if not self.may_have(text):
            return None
        text = (CONTROLS.sub("", text) if "\x1b" in text else text).strip()
        if (found := _of_json(text)) is not None:
            return found if found.metrics.keys() - {"epoch"} else None
        return self._of_text(text)

    def may_have(self, text: str) -> bool:
        """Whether there may be metrics in some lines; where it says no, there are none."""
        lower = text.lower()
        if any(word in lower for word in WORDS) or "{" in text or ("[" in text and PAIR.search(text)):
            return True
        if self._epoch is None or not any(sign in text for sign in SIGNS):
            return False
        return "\x1b" in text or SIGNED.search(text) is not None

    def _of_text(self, text: str) -> Line | None:
        epoch, step = EPOCH.search(text) or PAIR.search(text), STEP.search(text)
        if epoch is not None:
            self._epoch = float(epoch[1])
        for match in (epoch, step):
            if match is not None:
                text = text.replace(match[0], "|", 1)
        is_plain = epoch is None and step is None
        if is_plain and self._epoch is None:
            return None
        metrics = dict(_scalars(NOISE.sub("|", text), needs_sign=is_plain))
        if not metrics:
            return None
        if self._epoch is not None and (is_plain or epoch is not None):
            metrics["epoch"] = self._epoch
        return Line(metrics, None if step is None else int(step[1]))


class Pattern:
    """Reads metrics in lines by a regular expression, which `pattern_mistake` finds nothing wrong with."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)

    def may_have(self, text: str) -> bool:
        """Whether there may be metrics in some lines: only the expression itself knows."""
        return bool(text)

    def read(self, text: str) -> Line | None:
        """The metrics in a line; None if it has none."""
        line = Line()
        for match in self._pattern.finditer(CONTROLS.sub("", text)):
            groups = {name: value for name, value in match.groupdict().items() if value}
            if "name" in groups and "value" in groups:
                groups[_clean(groups.pop("name"))] = groups.pop("value")
            numbers = {name: number for name, value in groups.items() if (number := _number(value)) is not None}
            if (step := numbers.pop("step", None)) is not None:
                line.step = _whole(step)
            line.metrics.update(numbers)
        return line if line.metrics.keys() - {"epoch"} else None


def pattern_mistake(pattern: str) -> str | None:
    """What is wrong with a regular expression for metrics, for whoever wrote it; None if nothing is."""
    try:
        names = set(re.compile(pattern).groupindex)
    except (re.error, RecursionError, OverflowError) as error:
        return f"it is not a regular expression of Python's: {error}"
    if len(names & {"name", "value"}) == 1:
        return "the groups `name` and `value` belong together: the name of a metric and its value"
    if not names - {"epoch", "step"}:
        return "it names no metric: write (?P<loss>..) around the value of loss, or use the groups `name` and `value`"
    return None


def _of_json(text: str) -> Line | None:
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    metrics = dict(_numbers(found))
    step = next((metrics.pop(name) for name in STEPS if name in metrics), None)
    return Line(metrics, None if step is None else _whole(step))


def _numbers(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in an object; those of an object in it have its name before theirs."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and (number := _number(value)) is not None:
            yield f"{prefix}{name}", number


def _scalars(text: str, *, needs_sign: bool) -> Iterator[tuple[str, float]]:
    for match in SCALAR.finditer(text):
        words, between, value = match.groups()
        if value is not None and (not needs_sign or not between.isspace()) and (name := _metric(words)):
            yield name, float(value)


@lru_cache(maxsize=1024)
def _metric(name: str) -> str:
    """The name of a metric in words that stand before a value; empty if they name none."""
    words = name.split(" ")[-MOST_WORDS:]
    if max(map(len, words)) > LONGEST_WORD:
        return ""
    said = [i for i, word in enumerate(words) if word.lower() in PROSE]
    words = words[said[-1] + 1 :] if said else words
    return "" if {word.lower() for word in words} & (OF_TIME | OF_RUNS) else _clean(" ".join(words))


def _clean(name: str) -> str:
    return "_".join(name.split()).strip("./-")


def _whole(step: float) -> int | None:
    return int(step) if math.isfinite(step) else None


def _number(value: str | float) -> float | None:
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
