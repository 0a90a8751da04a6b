"""A trial, its identity, and how it can end."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

Params = Mapping[str, Any]  # resolved parameters by name; values are plain JSON

_encode = json.JSONEncoder(sort_keys=True).encode  # `json.dumps` makes one for each of ten thousand trials


class Outcome(StrEnum):
    """How a trial ended. An explosion is a result, and so is what cannot be trained; a crash is a bug."""

    COMPLETED = "completed"
    EXPLODED = "loss explosion"
    INFEASIBLE = "infeasible"
    PRUNED = "pruned"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_result(self) -> bool:
        """Whether a trial that ended so is never run again."""
        return self in (Outcome.COMPLETED, Outcome.EXPLODED, Outcome.INFEASIBLE, Outcome.PRUNED)

    @property
    def is_bad(self) -> bool:
        """Whether it is a result that whoever trains with this configuration does not want."""
        return self in (Outcome.EXPLODED, Outcome.INFEASIBLE)

    @property
    def is_compared(self) -> bool:
        """Whether its values stand beside those of other trials; the others have no more than their last ones."""
        return self in (Outcome.COMPLETED, Outcome.PRUNED)

    @property
    def is_reusable(self) -> bool:
        """Whether another sweep may take the result over; a pruned trial was compared with trials of its own sweep."""
        return self in (Outcome.COMPLETED, Outcome.EXPLODED)


@dataclass(frozen=True)
class Proposal:
    """The place of a trial in the course of a sweep whose trials are not all known beforehand."""

    number: int  # of the sampler's proposals; -1 where there are none
    again: tuple[tuple[int, str], ...] = ()  # proposals just before it that were known: number and config_key
    another_seed: bool = False  # whether it is a further seed of what is known
    replicate: int | None = None  # which of the seeds it is that separate configurations from the best


@dataclass(frozen=True, eq=False)
class Trial:
    """One run of a trial function, under fully resolved parameters."""

    function: str
    version: int
    params: Params
    label: str  # what varies, for people: "lr=0.01 seed=1"
    proposal: Proposal | None = None
    place: int = 0  # in a stack, wherever it is trained
    as_before: frozenset[str] = field(default_factory=frozenset)  # newer parameters that leave it what it was

    @cached_property
    def trial_key(self) -> str:
        """Hash of the function's name and version and the resolved parameters: the trial's identity."""
        return self._key(self.as_before)

    @cached_property
    def config_key(self) -> str:
        """The same without the seed, so that replicates share it."""
        return self._key({*self.as_before, "seed"})

    def _key(self, without: Collection[str]) -> str:
        known = {k: v for k, v in self.params.items() if k not in without} if without else self.params
        return _digest(self.function, self.version, known)

    @property
    def config(self) -> str:
        """The label without the seed, so that replicates share it: "lr=0.01"."""
        seed = f"seed={self.params.get('seed')}"
        return " ".join(part for part in self.label.split(" ") if part != seed)


def nested(params: Params) -> dict[str, Any]:
    """Parameters as the mappings that their dotted names stand for: {"optimizer": {"lr": 0.1}}.

    A name whose first part is a parameter itself stays as it is.
    """
    if "." not in "".join(params):  # as most are, of ten thousand trials
        return dict(params)
    inner: dict[str, dict[str, Any]] = {}
    whole: dict[str, Any] = {}
    for name, value in params.items():
        outer, dot, rest = name.partition(".")
        if dot and outer and rest and outer not in params:
            inner.setdefault(outer, {})[rest] = value
        else:
            whole[name] = value
    return whole | {outer: nested(given) for outer, given in inner.items()}


def _digest(function: str, version: int, params: Params) -> str:
    identity = _encode({"trial": function, "version": version, "params": nested(params)})
    return hashlib.sha256(identity.encode()).hexdigest()[:16]
