"""Trials and their parameters, as people read them."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.spec import SweepSpec
from orchestrator.system.printable import in_a_line
from orchestrator.trial import Params, Trial
from orchestrator.trials.record import VERSION, Record

LONGEST, SHOWN = 500, 60  # characters of a value that is shown whole, and of another one
LONGEST_HEADING, END_OF_HEADING = 60, 20  # characters of a column's heading, and those of them that end it
SIGNIFICANT = 6  # of a float, unless another value looks like it
FIRST_VERSION = "1"  # of a function that declares none
LETTERS_OF_KEY = 8  # that tell what shares all else
EXACT = 16  # then a value is shown as Python writes it, which tells 1 from 1.0 and "1"
ABSENT = object()  # the value of a parameter that a configuration has not

Texts = Mapping[str, Mapping[str, str]]  # of values, by parameter and the value's repr


def varying(configurations: Sequence[Params]) -> list[str]:
    """The parameters that differ between configurations or that only some of them have, in their order there."""
    names = dict.fromkeys(name for one in configurations for name in one)
    return [name for name in names if len(_by_repr(one.get(name, ABSENT) for one in configurations)) > 1]


def _by_repr(values: Iterable[Any]) -> dict[str, Any]:
    """Values by their repr. Most of thousands are one and the same: a constant, or a value of a grid."""
    objects = {id(value): value for value in values}
    return {repr(value): value for value in objects.values()}


def texts_of(configurations: Sequence[Params], names: Iterable[str]) -> Texts:
    """The values of these parameters, each as short as tells it from the others of its parameter."""
    return {name: distinct(params[name] for params in configurations if name in params) for name in names}


def distinct(values: Iterable[Any], significant: int = SIGNIFICANT) -> dict[str, str]:
    """Texts of some values by their repr: those that look alike have further figures, or are as Python writes them."""
    alike: dict[str, dict[str, Any]] = {}
    for known, value in _by_repr(values).items():
        alike.setdefault(short(value, significant), {})[known] = value
    found: dict[str, str] = {}
    for text, group in alike.items():
        is_apart = len(group) == 1 or significant == EXACT
        found |= dict.fromkeys(group, text) if is_apart else distinct(group.values(), significant + 1)
    return found


def label(
    spec: SweepSpec, params: Params, names: Iterable[str], texts: Texts | None = None, significant: int = SIGNIFICANT
) -> str:
    """The label of a trial: its values of the parameters `names`, as far as these distinguish it.

    Args:
        spec: the file.
        params: of the trial.
        names: of the parameters that vary.
        texts: of their values; one that is not there is shown with `significant`.
        significant: of floats.
    """
    return listed(params, spec.distinguishing(names, params), texts, significant)


def listed(params: Params, names: Iterable[str], texts: Texts | None = None, significant: int = SIGNIFICANT) -> str:
    """Parameters as people read them: "lr=0.01 seed=1"."""
    known = texts or {}
    return " ".join(
        f"{name}={known.get(name, {}).get(repr(params[name])) or short(params[name], significant)}" for name in names
    )


def short(value: Any, significant: int = SIGNIFICANT) -> str:
    """A parameter's value as people read it; of a very long one its beginning, and a digest that distinguishes it."""
    if isinstance(value, float) and significant < EXACT:
        return f"{value:.{significant}g}"
    text = repr(value) if significant == EXACT else in_a_line(str(value))
    if len(text) <= LONGEST:
        return text
    return f"{text[:SHOWN]}...{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def told_apart(labels: Iterable[tuple[str, str, str | None]]) -> dict[str, str]:
    """Labels by key. What shares a label has as much behind it as tells it from the others: version, or key.

    Args:
        labels: key, label, and version of the function; None is the first.
    """
    by_label: dict[str, dict[str, str]] = {}
    for key, text, version in labels:
        by_label.setdefault(text, {})[key] = version or FIRST_VERSION
    found = {}
    for text, versions in by_label.items():
        known = Counter(versions.values())
        for key, version in versions.items():
            marks = [f"version {version}"] if len(known) > 1 else []
            marks += [key[:LETTERS_OF_KEY]] if known[version] > 1 else []
            found[key] = f"{text} ({', '.join(marks)})".strip() if len(versions) > 1 else text
    return found


def marked(records: Sequence[Record]) -> list[Record]:
    """Records whose labels tell their trials apart."""
    labels = told_apart((record.trial_key, record.label, record.tags.get(VERSION)) for record in records)
    return [
        record if labels[record.trial_key] == record.label else replace(record, label=labels[record.trial_key])
        for record in records
    ]


def headings(names: Sequence[str]) -> list[str]:
    """The names of columns; long ones are cut in the middle, unless another one would then look alike."""
    found = [name if len(name) <= LONGEST_HEADING else _cut(name) for name in names]
    return [text if found.count(text) == 1 else name for text, name in zip(found, names, strict=True)]


def _cut(name: str) -> str:
    return f"{name[: LONGEST_HEADING - END_OF_HEADING - 3]}...{name[-END_OF_HEADING:]}"


@dataclass
class Labels:
    """The labels of trials that are proposed one after the other: no two configurations share one."""

    spec: SweepSpec
    _significant: dict[str, int] = field(default_factory=dict)  # of floats, by config_key
    _taken: dict[str, str] = field(default_factory=dict)  # config_key, by the label of a configuration

    def apart(self, trial: Trial) -> Trial:
        """The trial; where its configuration's label is another's, with more figures in it."""
        shown = [name for name in trial.params if name in self.spec.varying or name == "seed"]
        names = [name for name in shown if name in self.spec.varying or trial.config != trial.label]
        for significant in range(self._significant.get(trial.config_key, SIGNIFICANT), EXACT + 1):
            known = (
                trial
                if significant == SIGNIFICANT
                else replace(trial, label=label(self.spec, trial.params, names, significant=significant) or trial.label)
            )
            if self._taken.setdefault(known.config, trial.config_key) == trial.config_key:
                break
        self._significant[trial.config_key] = significant
        return known
