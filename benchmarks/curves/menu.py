"""What people do to any model, well or badly, as setups: most domains of the second generation take them from here."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from labelling import Recording, Setup
from loop import Batch, fit, jump
from torch import Tensor, nn

Schedule = Callable[[int, int], float]
WEIGHT = 1e4  # of a spoiled batch


@dataclass(frozen=True)
class Task:
    """A model and what it is to learn; `starts` gives the epochs from which on its loss means something else."""

    model: nn.Module
    loss: Callable[..., Tensor]
    batches: Callable[[int], Iterable[Batch]]
    quality: Callable[[], float]
    validation: Callable[[], Tensor] | None = None
    before: Callable[[int], None] = lambda epoch: None
    starts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Usual:
    """What is usual: least gain, learning rates of Adam and of SGD with momentum, epochs, steps of an epoch."""

    metric: str
    least: float
    adam: float
    momentum: float
    epochs: int
    steps: int


def trained(
    name: str,
    how: str,
    metric: tuple[str, float],
    make: Callable[[int], Task],
    *,
    seed: int = 0,
    spoiled: tuple[int, ...] = (),
    scale: Callable[[int], float] | None = None,
    by_step: bool = True,
    diverges: bool = False,
    converges: bool = False,
    epochs: int = 20,
    **fitted: object,
) -> Setup:
    """A task, trained as given; beside its metric stands the least gain that is none by chance.

    In the steps that are `spoiled` the inputs are 10,000 times too large, as in a wrong unit (the loss, where inputs
    are no numbers). `scale` gives the factor of the loss by step, in half precision, of which nothing takes care:
    Adam's steps do not depend on it, until it overflows.
    """

    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        task = make(seed)
        steps = 0

        def loss(*batch: Tensor) -> Tensor:
            nonlocal steps
            steps += 1
            weight = 1.0
            if steps in spoiled and any(part.is_floating_point() for part in batch):
                batch = tuple(part * WEIGHT if part.is_floating_point() else part for part in batch)
            elif steps in spoiled:
                weight = WEIGHT
            if scale is None:
                return task.loss(*batch) * weight
            with torch.autocast("cpu", dtype=torch.float16):
                value = task.loss(*batch).float()
            large = value * scale(steps)
            return value.detach() + (large - large.detach())

        def before(epoch: int) -> None:
            if epoch in task.starts:
                recording.restart()
            task.before(epoch)

        fit(
            recording,
            task.model,
            loss,
            task.batches,
            task.quality,
            validation=task.validation,
            before=before,
            epochs=epochs,
            **fitted,
        )

    def untrained() -> float:
        torch.manual_seed(seed)
        task = make(seed)
        for epoch in range(1, epochs + 1):
            task.before(epoch)
        return statistics.median(float(task.loss(*batch).detach()) for batch in task.batches(epochs))

    return Setup(
        name,
        how,
        metric[0],
        train,
        by_step=by_step,
        diverges=diverges,
        converges=converges,
        least=metric[1],
        untrained=untrained,
    )


def cosine(steps: int, times: int = 1) -> Schedule:
    """From 1 to next to nothing, so many times."""
    period = max(steps // times, 1)
    return lambda epoch, step: 0.5 * (1 + math.cos(math.pi * ((step - 1) % period) / period)) + 1e-3


def drops(*epochs: int) -> Schedule:
    """A tenth of it from each of those epochs on."""
    return lambda epoch, step: 0.1 ** sum(epoch >= one for one in epochs)


def warmed(steps: int, warm: float = 0.15) -> Schedule:
    """Up by a line, then down by a line."""
    return lambda epoch, step: min(step / (warm * steps), (1 - step / steps) / (1 - warm) + 1e-3)


def usual_setups(usual: Usual, make: Callable[[int], Task]) -> Iterator[Setup]:
    """Well done: schedules, noise, clipping. Badly done: learning rates, batches and precision that ruin it."""
    yield from well_done(usual, make)
    yield from badly_done(usual, make)


def well_done(usual: Usual, make: Callable[[int], Task]) -> Iterator[Setup]:
    metric, lr, epochs, steps = (usual.metric, usual.least), usual.adam, usual.epochs, usual.epochs * usual.steps
    yield trained("adam", f"Adam, {lr}", metric, make, lr=lr, epochs=epochs)
    yield trained("by-epoch", f"Adam, {lr}, losses by epoch", metric, make, seed=1, lr=lr, epochs=epochs, by_step=False)
    how = f"SGD with momentum, {usual.momentum}, annealed by a cosine"
    annealed = {"optimizer": "momentum", "schedule": cosine(steps)}
    yield trained("cosine", how, metric, make, seed=2, lr=usual.momentum, epochs=epochs, **annealed)
    how = f"Adam, warm restarts at {2 * lr}, four times"
    yield trained("restarts", how, metric, make, seed=3, lr=2 * lr, schedule=cosine(steps, 4), epochs=epochs)
    how = f"Adam, {3 * lr}, a tenth of it from two thirds on, and a hundredth later"
    dropped = drops(epochs * 2 // 3, epochs * 5 // 6)
    yield trained("drops", how, metric, make, seed=4, lr=3 * lr, schedule=dropped, epochs=epochs)
    how = f"Adam, {lr}, one batch of 60 is {WEIGHT:,.0f} times too large, gradients clipped"
    spoiled = tuple(range(60, steps, 60))
    yield trained("spoiled-clip", how, metric, make, seed=5, lr=lr, spoiled=spoiled, clip=1.0, epochs=epochs)
    how = f"Adam, {3 * lr}, warmed up and down again"
    yield trained("warmed", how, metric, make, seed=6, lr=3 * lr, schedule=warmed(steps), epochs=epochs)
    yield trained("rmsprop", f"RMSprop, {lr}", metric, make, seed=7, lr=lr, optimizer="rmsprop", epochs=epochs)
    how = f"Adam, {lr}, twice as many epochs"
    yield trained("long", how, metric, make, seed=8, lr=lr, epochs=2 * epochs)


def badly_done(usual: Usual, make: Callable[[int], Task]) -> Iterator[Setup]:
    metric, lr, epochs = (usual.metric, usual.least), usual.adam, usual.epochs
    late = epochs * 3 // 5
    for factor in (30, 100, 300, 1000):
        how = f"Adam, {lr}, {factor} times as much from epoch {late} on"
        changed = {"schedule": jump(late, factor), "by_step": factor != 100}
        yield trained(f"jump-{factor}", how, metric, make, seed=factor, lr=lr, epochs=epochs, **changed)
    for factor in (20, 200):
        how = f"SGD with momentum, {usual.momentum}, {factor} times as much from epoch {late} on"
        changed = {"optimizer": "momentum", "schedule": jump(late, factor), "seed": factor}
        yield trained(f"momentum-{factor}", how, metric, make, lr=usual.momentum, epochs=epochs, **changed)
    for factor in (100, 1000):
        high = factor * usual.momentum
        how = f"SGD with momentum, {high:g}, from the first step on"
        changed = {"optimizer": "momentum", "diverges": True}
        yield trained(f"high-{factor}", how, metric, make, seed=factor, lr=high, epochs=epochs // 2, **changed)
    how = f"Adam, the learning rate grows from {lr} to a thousand times of it"
    growing: Schedule = lambda epoch, step: 1000 ** (step / (epochs * usual.steps))  # noqa: E731
    yield trained("growing", how, metric, make, seed=12, lr=lr, schedule=growing, epochs=epochs)
    step = late * usual.steps
    how = f"SGD with momentum, {usual.momentum}, inputs {WEIGHT:,.0f} times too large in step {step}, nothing clips"
    changed = {"optimizer": "momentum", "spoiled": (step,)}
    yield trained("spoiled", how, metric, make, seed=13, lr=usual.momentum, epochs=epochs, **changed)
    how = f"Adam, {lr}, half precision, a scale of the loss that grows to 2**40, and no step is skipped"
    grown = lambda now: 2.0 ** (40 * now / (epochs * usual.steps))  # noqa: E731
    yield trained("half", how, metric, make, seed=14, lr=lr, scale=grown, epochs=epochs)
