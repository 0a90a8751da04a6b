"""False alarms and misses of the divergence rule on labelled curves, beside those before it and two others.

python benchmarks/alarms.py            # renews docs/alarms.md, in seconds
python benchmarks/alarms.py --quick    # the curves alone that the rule was tuned on; printed only

The curves are in benchmarks/curves; `python benchmarks/curves/generate.py` makes them anew.
"""

import json
import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "curves"))

import labelling
import numpy as np
from labelling import EXPLODED, HEALTHY, NEITHER, Curve
from measuring import ROOT, Goal, Table, Topic, main

from orchestrator.comparison.intervals import wilson
from orchestrator.divergence import DivergenceRule
from orchestrator.worker.monitor import ExplodedError, Monitor

DOCUMENT, COMMAND = ROOT / "docs" / "alarms.md", "make bench-alarms"
BEFORE = Path(__file__).parent / "curves" / "before.json"  # curves on which the rules of earlier looks gave an alarm
LABELS = HEALTHY, EXPLODED, NEITHER
MOST_FALSE, MOST_MISSED = 0.05, 0.10
WINDOW, PATIENCE, PATIENCE_EPOCHS = 100, 20, 3
DEVIATIONS = 3.0  # scaled, of the median absolute deviation
SIGMA = 1.4826  # of a normal distribution, in median absolute deviations
SPIKE = 7.0  # standard deviations
LONGEST_SPIKE = 100  # steps that PaLM went back

Rule = Callable[[Curve], bool]
_known: dict[tuple[Rule, str, str], bool] = {}


def ours(curve: Curve, *, told: bool = False) -> bool:
    """The rule of this program, fed as a worker feeds it; `told` where the loss begins to mean something else."""
    monitor = Monitor(DivergenceRule(), maximized=(curve.metric,))
    begun = 0
    try:
        for epoch in curve.epochs:
            for step in range(begun, int(epoch["step"])):
                again = {"restart": True} if told and step in curve.restarts else {}
                monitor.step(step + 1, curve.losses[step], curve.grad_norms[step], **again)
            begun = int(epoch["step"])
            metrics = {name: value for name, value in epoch.items() if name not in ("epoch", "step")}
            monitor.epoch_ended(int(epoch["epoch"]), metrics)
            if monitor.explosion:
                return True
        monitor.run_ended({})
    except ExplodedError:
        return True
    return monitor.explosion is not None


def told(curve: Curve) -> bool:
    """The same, where the function says from which steps on its loss means something else."""
    return ours(curve, told=True)


def in_a_row(losses: Sequence[float], patience: int, is_far: Callable[[float, Sequence[float]], bool]) -> bool:
    """Whether so many losses in a row are far from those of before; one that is not finite is so at once."""
    window: deque[float] = deque(maxlen=WINDOW)
    far = 0
    for loss in losses:
        if not math.isfinite(loss):
            return True
        if len(window) >= min(patience, WINDOW) and is_far(loss, window):
            far += 1
            if far >= patience:
                return True
        else:
            far = 0
            window.append(loss)
    return False


def deviates(loss: float, window: Sequence[float]) -> bool:
    """Hampel's identifier: more than three scaled median absolute deviations above the median of what was before."""
    losses = np.fromiter(window, float)
    median = np.median(losses)
    return bool(loss > median + DEVIATIONS * SIGMA * np.median(np.abs(losses - median)))


def spikes(loss: float, window: Sequence[float]) -> bool:
    """More than seven standard deviations above the mean of what was before."""
    losses = np.fromiter(window, float)
    return bool(loss > losses.mean() + SPIKE * losses.std())


def followed(curve: Curve, is_far: Callable[[float, Sequence[float]], bool], steps: int) -> bool:
    """A rule of the literature, on the losses by step, or else on those by epoch."""
    if curve.losses:
        return in_a_row(curve.losses, steps, is_far)
    names = sorted({name for epoch in curve.epochs for name in epoch if "loss" in name})
    return any(in_a_row([e[n] for e in curve.epochs if n in e], PATIENCE_EPOCHS, is_far) for n in names)


def second_look(curve: Curve) -> bool:
    """The rule as it stood after the second look."""
    return f"{curve.domain}/{curve.name}" in alarms_before()["the second look's"]


def third_look(curve: Curve) -> bool:
    """The rule as it was frozen for the third look."""
    return f"{curve.domain}/{curve.name}" in alarms_before()["the third look's"]


@cache
def alarms_before() -> dict[str, list[str]]:
    """The curves on which earlier rules gave an alarm: their verdicts are kept, not their code."""
    verdicts: dict[str, list[str]] = json.loads(BEFORE.read_text())
    return verdicts


RULES: dict[str, Rule] = {
    "this rule": ours,
    "this rule, told": told,
    "the third look's": third_look,
    "the second look's": second_look,
    "median and MAD": lambda curve: followed(curve, deviates, PATIENCE),
    "spikes": lambda curve: followed(curve, spikes, LONGEST_SPIKE),
}


def share(some: int, of: int) -> str:
    if not of:
        return "-"
    low, high = wilson(some, of)
    return f"{some} of {of}: {some / of:.0%} ({low:.0%} to {high:.0%})"


def wrong(rule: Rule, curves: Iterable[Curve]) -> list[Curve]:
    """Those that a rule gets wrong; no verdict is wrong on what is neither healthy nor exploded."""
    return [c for c in curves if c.label != NEITHER and gives_alarm(rule, c) != c.has_exploded]


def gives_alarm(rule: Rule, curve: Curve) -> bool:
    """What a rule says of a curve, found out once."""
    key = rule, curve.domain, curve.name
    if key not in _known:
        _known[key] = rule(curve)
    return _known[key]


def summary(title: str, curves: Sequence[Curve]) -> Table:
    rows = []
    healthy, exploded, neither = ([c for c in curves if c.label == label] for label in LABELS)
    for name, rule in RULES.items():
        cells = [share(len(wrong(rule, some)), len(some)) for some in (healthy, exploded)]
        called = sum(gives_alarm(rule, curve) for curve in neither)
        rows.append([name, *cells, f"{called} of {len(neither)}"])
    return Table(title, ["", "false alarms", "misses", "of neither, called exploded"], rows)


def by_domain(curves: Sequence[Curve]) -> Table:
    rows = []
    for domain in dict.fromkeys(curve.domain for curve in curves):
        own = [curve for curve in curves if curve.domain == domain]
        counts = [sum(curve.label == label for curve in own) for label in LABELS]
        found = [wrong(rule, own) for rule in RULES.values()]
        cells = [f"{sum(not c.has_exploded for c in some)}, {sum(c.has_exploded for c in some)}" for some in found]
        rows.append([f"{domain}{', held out' if own[0].is_held_out else ''}", ", ".join(map(str, counts)), *cells])
    return Table("By domain", ["", "healthy, exploded, neither", *RULES], rows, "Cells of rules: false alarms, misses.")


def mistaken(curves: Sequence[Curve]) -> Table:
    """What this rule gets wrong, curve by curve."""
    rows = [
        [f"{curve.domain}/{curve.name}", "a miss" if curve.has_exploded else "a false alarm", curve.why]
        for curve in wrong(ours, curves)
    ]
    return Table("What this rule gets wrong", ["curve", "", "why it is labelled so"], rows)


def aims(held_out: Sequence[Curve]) -> Iterator[Goal]:
    """What was aimed at on what was held out: by the labels, and by those of quality alone."""
    judged = {
        "held out": [(curve, curve.has_exploded) for curve in held_out if curve.label != NEITHER],
        "held out, by quality alone": [(curve, curve.has_lost) for curve in held_out],
    }
    for where, labels in judged.items():
        for what, has_exploded, most in (("false alarms", False, MOST_FALSE), ("misses", True, MOST_MISSED)):
            own = [curve for curve, label in labels if label == has_exploded]
            found = sum(gives_alarm(ours, curve) != has_exploded for curve in own)
            missed = "" if found <= most * len(own) else ": missed"
            yield Goal(f"{what}, {where}", f"at most {most:.0%}", f"{share(found, len(own))}{missed}")


def measure(quick: bool) -> Topic:
    curves = [curve for curve in labelling.read() if not (quick and curve.is_held_out)]
    tuned, held_out = ([curve for curve in curves if curve.is_held_out == label] for label in (False, True))
    tables = [summary("Tuned on", tuned), by_domain(curves), mistaken(curves)]
    if held_out:
        tables.insert(0, summary("Held out", held_out))
    goals = [*aims(held_out)] if held_out else []
    figures = {name: [f"{c.domain}/{c.name}" for c in curves if gives_alarm(rule, c)] for name, rule in RULES.items()}
    return Topic(figures, tables, goals)


if __name__ == "__main__":
    main(measure, DOCUMENT, COMMAND)
