"""Classification in mixed precision: half precision, and torch's GradScaler, which skips what overflows (`amp`)."""

import math
from collections.abc import Callable, Iterator

import torch
from classification import accuracy
from labelling import Recording, Setup
from loop import digits, jump, measured, mlp, norm_of, shuffled
from torch.nn import functional

BATCH = 64


def scaled(
    name: str,
    how: str,
    *,
    seed: int = 0,
    lr: float = 3e-3,
    optimizer: str = "adam",
    scale: float = 2.0**16,
    interval: int = 2000,
    every_nan: int = 0,
    every_far: int = 0,
    widths: tuple[int, ...] = (64, 64, 10),
    schedule: Callable[[int, int], float] = lambda epoch, step: 1.0,
    epochs: int = 20,
    skips: bool = True,
    by_step: bool = True,
    says_little: bool = False,
) -> Setup:
    """As torch's documentation has it; every `every_nan`-th batch has a NaN, every `every_far`-th too bright a pixel.

    Where it does not skip, gradients are not scaled, and a step is made whatever they are.
    """

    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        data, model = digits(), mlp(*widths)
        kind = torch.optim.Adam if optimizer == "adam" else torch.optim.SGD
        rule = kind(model.parameters(), lr=lr)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=interval, enabled=skips)
        recording.begin(measured(lambda: accuracy(model)))
        steps = 0
        for epoch in range(1, epochs + 1):
            for images, labels in shuffled((data.images, data.labels), BATCH, seed)(epoch):
                steps += 1
                seen = images.clone()
                if every_nan and steps % every_nan == 0:
                    seen[0, 0] = math.nan
                if every_far and steps % every_far == 0:
                    seen[0, 0] = 1e6
                rule.param_groups[0]["lr"] = lr * schedule(epoch, steps)
                with torch.autocast("cpu", dtype=torch.float16):
                    loss = functional.cross_entropy(model(seen), labels)
                rule.zero_grad()
                scaler.scale(loss).backward()
                scaler.unscale_(rule)
                norm = norm_of(model)
                scaler.step(rule)
                scaler.update()
                recording.step(float(loss.detach()), norm)
            with torch.no_grad():
                held_out = functional.cross_entropy(model(data.test_images), data.test_labels)
            recording.epoch(measured(lambda: accuracy(model)), val_loss=float(held_out))

    return Setup(name, how, "accuracy", train, by_step=by_step, says_little=says_little)


def amp_setups() -> Iterator[Setup]:
    yield scaled("plain", "scale 2**16, as torch begins")
    for power in (20, 24, 30):
        how = f"scale 2**{power} at first, so that the first steps are skipped until it fits"
        yield scaled(f"scale-{power}", how, scale=2.0**power, seed=power)
    for interval in (10, 40):
        how = f"the scale doubles after {interval} good steps, until a step is skipped again"
        yield scaled(f"doubles-{interval}", how, scale=2.0**19, interval=interval, seed=interval)
    for every in (25, 200):
        yield scaled(
            f"nan-{every}", f"one batch of {every} has a NaN in it, and is skipped", every_nan=every, seed=every
        )
    yield scaled("far", "one batch of 50 has a pixel that overflows, and is skipped", every_far=50)
    how = "one batch of 40 has a NaN in it, losses by epoch alone: their mean is not finite in most"
    yield scaled("nan-epochs", how, every_nan=40, by_step=False, says_little=True)
    yield scaled("nan-unskipped", "a batch has a NaN in it, and nothing skips it", every_nan=150, skips=False, seed=2)
    how = "a batch has a pixel that overflows, and nothing skips it"
    yield scaled("far-unskipped", how, every_far=150, skips=False, seed=3)
    for factor in (100, 1000, 10_000):
        how = f"Adam, 3e-3, {factor} times as much from epoch 8 on"
        yield scaled(f"jump-{factor}", how, schedule=jump(8, factor), seed=factor, epochs=16)
    how = "six layers, SGD, 0.1, and 30 from epoch 8 on"
    yield scaled("deep", how, widths=(64,) * 6 + (10,), optimizer="sgd", lr=0.1, schedule=jump(8, 300), epochs=16)
