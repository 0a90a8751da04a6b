"""A training as a curve: what a trial function would report of it, and whether it has exploded.

The label is made from how the training was set up and from what came of it, never by a rule that follows losses. What
came of it is told by two things. The first is its quality: a metric of which more is better, measured after each epoch
and before the first. The second is where its loss ended (the median of the last tenth), beside the loss that the
untrained model has of what is asked in the end.

- exploded: it lost for good at least half of the quality that it had gained, or never gained any and was set up to
  diverge from its first step on; and its loss ended above that of the untrained model, or not finite.
- healthy: it kept more than half of that quality, and its loss did not end above that of the untrained model; or it did
  and says little by how it is set up (adversaries, values, energies), or it cannot diverge.
- neither: it collapsed without such a rise of its loss, or rose and kept its quality. People would disagree.
"""

import gzip
import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

CURVES = Path(__file__).parent / "curves.jsonl.gz"
HELD_OUT = (
    *("pointing", "segmenting", "implicit", "spiking", "experts", "automata"),
    *("forecasting", "splines", "attacked", "processes", "variational"),
)
EXPLODED, HEALTHY, NEITHER = "exploded", "healthy", "neither"
SAY_LITTLE = ("gan", "rl", "policies", "energies")  # domains whose losses may end anywhere, however well they learn
LOST_FOR_GOOD, NEVER_LEARNED = "lost for good", "it has never learned"
LOST = 0.5  # of the gain
FEW = 5  # losses at the beginning
TOLD_APART = 1e-9  # least gain that is one
WORST = -1e30
STEPS_NOT_FINITE = 60  # in a row, after which a training is over


@dataclass(frozen=True)
class Curve:
    """What a training reported: losses and gradient norms by step (none where it does not count steps), and epochs."""

    name: str
    domain: str
    label: str  # EXPLODED, HEALTHY or NEITHER
    why: str
    metric: str
    losses: list[float]
    grad_norms: list[float]
    epochs: list[dict[str, float]]  # with `step`, the last one of the epoch
    restarts: list[int]  # steps from which on the loss means something else
    began: float  # the quality of the untrained model
    untrained: float  # its loss, as losses are meant in the end

    @property
    def has_exploded(self) -> bool:
        return self.label == EXPLODED

    @property
    def has_lost(self) -> bool:
        """Whether it has exploded by its quality alone, wherever its loss ended."""
        return any(f": {fate};" in self.why for fate in (LOST_FOR_GOOD, NEVER_LEARNED))

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
    loses it loses by learning its data too well; `says_little` that its loss may end anywhere, however well it learns.
    A gain below `least` is one by chance. `untrained` finds the loss of the untrained model, as it is meant in the end;
    without it, the first losses tell.
    """

    name: str
    how: str
    metric: str
    train: Callable[[Recording], None]
    by_step: bool = True
    diverges: bool = False
    converges: bool = False
    says_little: bool = False
    least: float = TOLD_APART
    untrained: Callable[[], float] | None = None


def recorded(domain: str, setup: Setup) -> Curve | None:
    """Train, and label what came of it; None where nothing can be said: it neither gained anything nor rose."""
    recording = Recording(setup.metric, by_step=setup.by_step)
    try:
        setup.train(recording)
    except Stopped:
        recording.epoch(WORST)
    losses = recording.losses or [epoch["train_loss"] for epoch in recording.epochs]
    untrained = _rounded(setup.untrained() if setup.untrained else of_the_first(losses, setup))
    if (found := labelled(setup, recording.qualities, losses, untrained)) is None:
        return None
    label, came = found
    curve = (recording.losses, recording.grad_norms, recording.epochs, recording.restarts)
    why = f"{setup.how}; {came}"
    return Curve(setup.name, domain, label, why, setup.metric, *curve, _rounded(recording.first), untrained)


def of_the_first(losses: Sequence[float], setup: Setup) -> float:
    """The loss of the untrained model by the first losses; the very first where all others are of what diverges."""
    is_one = setup.diverges or not setup.by_step
    return losses[0] if is_one else statistics.median(losses[:FEW])


def of_the_last(losses: Sequence[float]) -> float:
    """Where a loss ended; not finite where most of the last tenth is not."""
    last = [loss if math.isfinite(loss) else math.inf for loss in losses[-max(len(losses) // 10, 1) :]]
    return statistics.median(last)


def labelled(
    setup: Setup, qualities: Sequence[float], losses: Sequence[float], untrained: float
) -> tuple[str, str] | None:
    """The label of a training and what came of it, in words; None where nothing can be said.

    Args:
        setup: of the training.
        qualities: of the untrained model, and after each epoch.
        losses: of its steps, or else of its epochs.
        untrained: the loss of the untrained model.
    """
    first, last, best, end = qualities[0], qualities[-1], max(qualities), of_the_last(losses)
    rose = not end <= untrained
    came = f"{setup.metric} began at {first:.3g}, came to {best:.3g} and ended at {last:.3g}".replace("-1e+30", "none")
    ended = f"the loss ended at {end:.4g}, where that of the untrained model is {untrained:.4g}".replace("inf", "none")
    if setup.converges:
        return HEALTHY, f"{came}: such steps cannot diverge, so this is what it learned too well"
    if best - first > setup.least and not (setup.diverges and last <= first):
        is_lost = best - last >= LOST * (best - first)
        fate = LOST_FOR_GOOD if is_lost else "kept"
    elif setup.diverges and rose:
        is_lost, fate = True, NEVER_LEARNED
    else:
        return None
    if not is_lost and setup.says_little:
        return HEALTHY, f"{came}: {fate}; its loss says little"
    label = (EXPLODED if is_lost else HEALTHY) if is_lost == rose else NEITHER
    return label, f"{came}: {fate}; {ended}"


def write(curves: Iterable[Curve]) -> None:
    """Write curves to the file that is committed, the same bytes for the same curves."""
    lines = "".join(json.dumps(asdict(curve)) + "\n" for curve in curves)
    CURVES.write_bytes(gzip.compress(lines.encode(), mtime=0))


def read() -> Iterator[Curve]:
    """The curves of that file."""
    with gzip.open(CURVES, "rt") as file:
        for line in file:
            yield Curve(**json.loads(line))


def _bounded(value: float) -> float:
    return max(value, WORST) if math.isfinite(value) else WORST


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
