"""A training as a curve: what a trial function would report of it, and whether it has exploded.

The label is made from how the training was set up and from what came of it, never from the losses by a rule. What came
of it is told by its quality: a metric of which more is better, measured after each epoch and before the first. A
training has exploded if it lost, for good, at least half of what it had gained; or if it was set up to diverge from
its first step on, and ended no better than it began, with losses above those of its beginning. What cannot diverge, by
how it is set up, is healthy, also where it ends far from its best because it learns its data too well.
"""

import gzip
import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

CURVES = Path(__file__).parent / "curves.jsonl.gz"
HELD_OUT = ("several", "pruning", "codes", "survival", "mixtures", "odes", "energies", "ctc")
LOST = 0.5  # of the gain
TOLD_APART = 1e-9  # least gain that is one
WORST = -1e30
STEPS_NOT_FINITE = 60  # in a row, after which a training is over


@dataclass(frozen=True)
class Curve:
    """What a training reported: losses and gradient norms by step (none where it does not count steps), and epochs."""

    name: str
    domain: str
    has_exploded: bool
    why: str
    metric: str
    losses: list[float]
    grad_norms: list[float]
    epochs: list[dict[str, float]]  # with `step`, the last one of the epoch
    restarts: list[int] = field(default_factory=list)  # steps from which on the loss means something else

    @property
    def is_held_out(self) -> bool:
        return self.domain in HELD_OUT


class Stopped(Exception):  # noqa: N818 - it is no error
    """The training has not been finite for so long that there is nothing more to see."""


class Recording:
    """Takes down what a training reports."""

    def __init__(self, metric: str, *, by_step: bool = True) -> None:
        self.metric, self.by_step = metric, by_step
        self.losses: list[float] = []
        self.grad_norms: list[float] = []
        self.epochs: list[dict[str, float]] = []
        self.restarts: list[int] = []
        self.first = WORST
        self._this_epoch: list[float] = []
        self._not_finite = 0

    def begin(self, quality: float) -> None:
        """The quality of what is untrained."""
        self.first = _bounded(quality)

    def step(self, loss: float, grad_norm: float = 0.0) -> None:
        """The loss of a step, and the norm of its gradient."""
        self._this_epoch.append(loss)
        if self.by_step:
            self.losses.append(_rounded(loss))
            self.grad_norms.append(_rounded(grad_norm))
        self._not_finite = 0 if math.isfinite(loss) else self._not_finite + 1
        if self._not_finite >= STEPS_NOT_FINITE:
            raise Stopped

    def restart(self) -> None:
        """From the next step on, the loss means something else."""
        self.restarts.append(len(self.losses))

    def epoch(self, quality: float, **losses: float) -> None:
        """An epoch has ended; the mean of its steps is its training loss."""
        mean = statistics.fmean(self._this_epoch) if self._this_epoch else math.nan
        self._this_epoch = []
        values = {self.metric: quality, "train_loss": mean, **losses}
        kept = {name: _rounded(value) for name, value in values.items() if not math.isnan(value) or "loss" in name}
        self.epochs.append({"epoch": len(self.epochs) + 1, "step": len(self.losses), **kept})

    @property
    def qualities(self) -> list[float]:
        return [self.first, *(_bounded(epoch.get(self.metric, math.nan)) for epoch in self.epochs)]


@dataclass(frozen=True)
class Setup:
    """A training to record: `how` says how it is set up.

    `diverges` says that it is set up to diverge from its beginning; `converges` that it cannot diverge, so that what it
    loses it loses by learning its data too well. A gain below `least` is one by chance.
    """

    name: str
    how: str
    metric: str
    train: Callable[[Recording], None]
    by_step: bool = True
    diverges: bool = False
    converges: bool = False
    least: float = TOLD_APART


def recorded(domain: str, setup: Setup) -> Curve | None:
    """Train, and label what came of it; None where nothing can be said: it neither gained anything nor rose."""
    recording = Recording(setup.metric, by_step=setup.by_step)
    try:
        setup.train(recording)
    except Stopped:
        recording.epoch(WORST)
    first, *qualities = recording.qualities
    best, last = max([first, *qualities]), qualities[-1]
    gain, lost = best - first, best - last
    came = f"{setup.metric} began at {first:.3g}, came to {best:.3g} and ended at {last:.3g}".replace("-1e+30", "none")
    if setup.converges:
        has_exploded = False
        came += ": such steps cannot diverge, so this is what it learned too well"
    elif gain > setup.least and not (setup.diverges and last <= first):
        has_exploded = lost >= LOST * gain
        came += f": {'lost for good' if has_exploded else 'kept'}"
    elif setup.diverges and _rose(recording):
        has_exploded = True
        came += ": it has never learned, and its losses ended above their beginning"
    else:
        return None
    why = f"{setup.how}; {came}"
    curve = (recording.losses, recording.grad_norms, recording.epochs, recording.restarts)
    return Curve(setup.name, domain, has_exploded, why, setup.metric, *curve)


def write(curves: Iterable[Curve]) -> None:
    """Write curves to the file that is committed, the same bytes for the same curves."""
    lines = "".join(json.dumps(asdict(curve)) + "\n" for curve in curves)
    CURVES.write_bytes(gzip.compress(lines.encode(), mtime=0))


def read() -> Iterator[Curve]:
    """The curves of that file."""
    with gzip.open(CURVES, "rt") as file:
        for line in file:
            yield Curve(**json.loads(line))


def _rose(recording: Recording) -> bool:
    losses = recording.losses or [epoch["train_loss"] for epoch in recording.epochs]
    end = statistics.median(losses[-9:])
    return not math.isfinite(end) or end > 1.5 * abs(losses[0]) + TOLD_APART


def _bounded(value: float) -> float:
    return max(value, WORST) if math.isfinite(value) else WORST


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
