"""Which of the ways in which a program logs its curves come from, when it uses several at once."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from orchestrator.events import metric_name
from orchestrator.programs.axis import epoch_key
from orchestrator.programs.logged import Ended, Logged, Message, Source, StepMetric, Summary

MOST_NAMED = 5  # of the metrics that there are instead
GRACE = 1.0  # seconds that a way has to come forward before one that stands behind it is taken
ORDER: Mapping[Source, int] = {
    "wandb": 1,
    "trackio": 1,
    "swanlab": 1,
    "mlflow": 2,
    "tensorboard": 3,
    "report": 4,  # in words for a sweep, so before what is read from lines
    "output": 5,
}
CALLED: Mapping[Source, str] = {
    "wandb": "wandb.log",
    "trackio": "trackio.log",
    "swanlab": "swanlab.log",
    "mlflow": "mlflow",
    "tensorboard": "TensorBoard's event files",
    "output": "the lines that it prints",
    "report": "report",
}

ORDERED = (Logged, Summary, StepMetric, Ended)  # what waits; files and notes need not

_Valued = TypeVar("_Valued", Logged, Summary)


def _place(source: Source) -> tuple[int, str]:
    return ORDER[source], source


class Ways:
    """Passes on what comes in by several ways, each metric by one of them.

    The curves come from the first way in `ORDER` that has the compared metric, or, as long as none has it, that has
    anything. The others add the metrics that it does not have. What they log waits for a second, so that it is known
    what the first has; nothing is lost by that. Lines that a program prints count only where no other way gives
    anything, or gives the compared metric, or where the sweep asks for them.

    Args:
        compared: The metric by which trials are compared, if there is one.
        asked: Whether the sweep asks for what the program prints.
        chosen: What `chosen` was in an attempt before.
        owners: What `owners` was in that attempt.
    """

    def __init__(
        self,
        compared: str | None,
        *,
        asked: bool = False,
        chosen: Source | None = None,
        owners: Mapping[str, Source] | None = None,
    ) -> None:
        self.chosen = chosen  # where the curves come from, once that is known
        self._compared = compared
        self._asked = asked
        self._waiting: list[Message] = []  # until a way is chosen
        self._beside: list[Logged] = []  # metrics that the chosen way may have, too
        self.owners: dict[str, Source] = dict(owners or {})  # the way from which each metric comes
        self._has_compared = {owner for name, owner in self.owners.items() if name == compared}
        self._deadline: float | None = None  # when to choose

    @property
    def due(self) -> float | None:
        """When to call `settle`, in seconds since 1970; None if nothing waits."""
        times = [self._beside[0].at + GRACE] if self._beside else []
        return min([*times, *([] if self._deadline is None else [self._deadline])], default=None)

    @property
    def waiting(self) -> list[Logged]:
        """What waits until it is known which way it comes from."""
        return [*self._beside, *(message for message in self._waiting if isinstance(message, Logged))]

    def sentence(self, program: str) -> str | None:
        """Where the metrics of a program come from, for people; None as long as that is not known."""
        return None if self.chosen is None else f"metrics of {program}: from {CALLED[self.chosen]}"

    def missing(self, program: str) -> str:
        """For people, that a program has ended without the compared metric."""
        where = "nowhere" if self.chosen is None else f"from {CALLED[self.chosen]}"
        names = [name for name in self.owners if name != epoch_key(self.owners)]
        others = f", but {', '.join(names[:MOST_NAMED])}" if names else ""
        return f"metrics of {program}: {where}; there is no {self._compared}{others}"

    @property
    def has_compared(self) -> bool:
        """Whether any way has the compared metric, if there is one."""
        return self._compared is None or bool(self._has_compared)

    def is_beside(self, message: Message) -> bool:
        """Whether a message is of a way that only adds to the chosen one."""
        return message.source != self.chosen

    def take(self, messages: Iterable[Message]) -> list[Message]:
        """What can be passed on, now that these have come; in order."""
        passed: list[Message] = []
        for message in _nameable(messages):
            if isinstance(message, Logged):
                self._note(message)
            if not isinstance(message, ORDERED):
                passed.append(message)
            elif self.chosen is None or self._deadline is not None:
                self._waiting.append(message)
                passed += self._choose() if self._is_clear() else []
            else:
                passed += self._pass(message)
        return passed

    def settle(self, now: float) -> list[Message]:
        """What can be passed on, since nothing better has come for long enough."""
        passed: list[Message] = []
        if self._deadline is not None and now >= self._deadline:
            passed += self._choose()
        while self._beside and self._beside[0].at + GRACE <= now:
            first, *later = self._beside
            self._beside = []
            passed += self._claim(first)
            for one in later:  # of which the first may have made known from where they come
                passed += self._pass_beside(one)
        return passed

    def end(self) -> list[Message]:
        """What is left when the program has ended."""
        passed = self._choose() if self._waiting else []
        beside, self._beside = self._beside, []
        return passed + [message for one in beside for message in self._claim(one)]

    def _note(self, logged: Logged) -> None:
        """Take in which way has what; a better one for the compared metric has to be chosen anew."""
        if self._compared is None or self._compared in logged.metrics:
            self._has_compared.add(logged.source)
        is_open = self.chosen is None or (self._has_compared and self.chosen not in self._has_compared)
        if is_open and self._deadline is None:
            self._deadline = logged.at + GRACE

    def _is_clear(self) -> bool:
        """Whether no way can come that would be preferred."""
        return any(ORDER[source] == 1 for source in self._has_compared)

    def _choose(self) -> list[Message]:
        """Choose a way, and pass on what has waited for that."""
        candidates: set[Source] = self._has_compared or {one.source for one in self._waiting if isinstance(one, Logged)}
        self._deadline = None
        if candidates and (self.chosen is None or self.chosen not in self._has_compared):
            self.chosen = sorted(candidates, key=_place)[0]
        waiting: list[Message] = [*self._beside, *self._waiting]  # those beside came before
        self._beside, self._waiting = [], []
        return [message for one in waiting for message in self._pass(one)]

    def _pass(self, message: Message) -> list[Message]:
        match message:
            case Logged() if message.source != self.chosen:
                return self._pass_beside(message)
            case Logged():
                return self._claim(message)
            case Summary():
                return self._claim(message)
            case StepMetric() | Ended():
                return [message] if message.source == self.chosen else []
        return [message]

    def _pass_beside(self, logged: Logged) -> list[Message]:
        """Pass on what is known to come from this way; the rest waits for the chosen one, or never counts."""
        known, new = _split(logged, self.owners)
        if new is not None and (logged.source != "output" or self._asked):
            self._beside.append(new)
        return self._claim(known) if known is not None else []

    def _claim(self, message: _Valued) -> list[Message]:
        """The metrics of a message that come from its way, which has from now on those that nobody has."""
        for name in message.metrics:
            self.owners.setdefault(name, message.source)
        own, _ = _split(message, [name for name, owner in self.owners.items() if owner == message.source])
        has_epoch_alone = not set(message.metrics) - {epoch_key(message.metrics)}
        if own is None and has_epoch_alone and message.source == self.chosen:
            return [message]
        return [own] if own is not None else []


def _nameable(messages: Iterable[Message]) -> Iterator[Message]:
    """The messages, without values whose names no metric can have: a trial that reports such a name fails."""
    for message in messages:
        if not isinstance(message, Logged | Summary) or all(map(_is_name, message.metrics)):
            yield message
        elif metrics := {name: value for name, value in message.metrics.items() if _is_name(name)}:
            yield replace(message, metrics=metrics)


@lru_cache(maxsize=1024)
def _is_name(name: str) -> bool:
    try:
        return bool(metric_name(name))
    except ValueError:
        return False


def _split(message: _Valued, names: Collection[str]) -> tuple[_Valued | None, _Valued | None]:
    """A message with the metrics of these names, and one with the others; each has the epoch, None if nothing else."""
    epoch = epoch_key(message.metrics)
    rest = {name: value for name, value in message.metrics.items() if name != epoch}
    said = {} if epoch is None else {epoch: message.metrics[epoch]}
    inside = {name: value for name, value in rest.items() if name in names}
    outside = {name: value for name, value in rest.items() if name not in names}
    return (
        replace(message, metrics={**inside, **said}) if inside else None,
        replace(message, metrics={**outside, **said}) if outside else None,
    )
