"""Trials and their parameters, as people read them."""

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.spec import SweepSpec
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Params


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
    """A parameter's value as people read it."""
    return f"{value:.6g}" if isinstance(value, float) else in_a_line(str(value))
