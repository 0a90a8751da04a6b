"""Trials and their parameters, as people read them."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.spec import SweepSpec
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Params

LONGEST, SHOWN = 500, 60  # characters of a value that is shown whole, and of another one


def varying(configurations: Sequence[Params]) -> list[str]:
    """The parameters that differ between configurations, in the order of the config."""
    names = list(configurations[0]) if configurations else []
    return [name for name in names if len({repr(params[name]) for params in configurations}) > 1]


def label(spec: SweepSpec, params: Params, names: Iterable[str]) -> str:
    """The label of a trial: its values of the parameters `names`, as far as these distinguish it."""
    return listed(params, spec.distinguishing(names, params))


def listed(params: Params, names: Iterable[str]) -> str:
    """Parameters as people read them: "lr=0.01 seed=1"."""
    return " ".join(f"{name}={short(params[name])}" for name in names)


def short(value: Any) -> str:
    """A parameter's value as people read it; of a very long one its beginning, and a digest that distinguishes it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = in_a_line(str(value))
    if len(text) <= LONGEST:
        return text
    return f"{text[:SHOWN]}...{hashlib.sha256(text.encode()).hexdigest()[:8]}"
