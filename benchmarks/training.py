"""How fast the report's model trains: textbook loops and ours, beside what the machine could do at most.

The limit is the rate of fp32 matrix products, over the arithmetic that an image takes. Ours is `models.train.train` as
a worker calls it: whole epochs, with their evaluation and their checkpoint. On MNIST where SWEEP_DATA_DIR names it,
else on random images of that shape.

    python benchmarks/training.py [--quick] [--json FILE]
"""

import gzip
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import measuring
import numpy as np
import textbook
import torch
from crew import Crew
from measuring import Goal, Spread, Table, Topic, in_turn, number, spread

from models.config import TrainConfig
from models.train import prepare, train
from orchestrator.system import machine

SIDE = 2048
MANY_TRIALS = 1000
TRAINING_IMAGES, VALIDATION_IMAGES, TEST_IMAGES = 55_000, 5_000, 10_000
LIMIT, ITEMS, TENSORS = "matrix products (the limit)", "textbook, torchvision's items", "textbook, tensors"
FP32, BF16 = "ours, fp32", "ours, bf16"


@dataclass(frozen=True)
class Size:
    """How much is measured: images to train on, seconds of a round of what has no epochs, rounds."""

    images: int
    seconds: float
    rounds: int


FULL = Size(images=TRAINING_IMAGES, seconds=10, rounds=5)
QUICK = Size(images=4 * textbook.BATCH_SIZE, seconds=1.5, rounds=2)


class Mode(NamedTuple):
    """How a machine is shared: processes, threads of each (None: torch's default), and how to say it."""

    processes: int
    threads: int | None
    name: str


class Epoch(NamedTuple):
    """What an epoch of ours took: images per second of its steps; seconds of all that is not a step."""

    rate: float
    evaluation: float
    checkpoint: float


def modes() -> list[Mode]:
    """One process with the whole machine, and the workers that a sweep of many trials would have."""
    planned = machine.share(MANY_TRIALS, None)
    each = f"{planned.threads} thread{'s' if planned.threads > 1 else ''} each"
    return [
        Mode(1, None, f"one process, {torch.get_num_threads()} threads"),
        Mode(planned.workers, planned.threads, f"{planned.workers} planned workers, {each}"),
    ]


def products(seconds: float) -> Iterator[float]:
    """GFLOP/s of square fp32 matrix products, by round."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    a, b = torch.randn(2, SIDE, SIDE, device=device)
    while True:
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            (a @ b)[0, 0].item()
            count += 1
        yield count * 2 * SIDE**3 / (time.perf_counter() - started) / 1e9


def loop_over_items(folder: Path, seconds: float) -> Iterator[float]:
    return textbook.train(textbook.AsTorchvision(np.load(folder / "train.npy")), seconds)


def loop_over_tensors(folder: Path, seconds: float) -> Iterator[float]:
    return textbook.train(textbook.as_tensors(np.load(folder / "train.npy")), seconds)


def ours(precision: str, folder: Path) -> Iterator[Epoch]:
    """Train as a worker does, an epoch by round."""
    machine.keep_freed_memory()
    os.environ |= {"SWEEP_DATA_DIR": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    config = TrainConfig(precision=precision, epochs=10**6)  # type: ignore[arg-type]
    images = int(prepare(config)["train"])
    workdir = Path(tempfile.mkdtemp(dir=folder))
    epochs = train(config, workdir, watch=lambda *_, **__: None)
    while True:
        resumed, started = time.time(), time.perf_counter()
        metrics = next(epochs)
        seconds = time.perf_counter() - started
        # the last epoch's checkpoint is the first thing that is done in this one
        written = max((path.stat().st_mtime for path in workdir.glob("checkpoint*")), default=resumed)
        checkpoint = max(0.0, written - resumed)
        rate = metrics["images_per_second"]
        yield Epoch(rate, seconds - checkpoint - images / rate, checkpoint)


def furnish(folder: Path, size: Size) -> str:
    """Write images into a folder, as MNIST's files and as an array; says which they are."""
    given = os.environ.get("SWEEP_DATA_DIR")
    counts = {"train-images-idx3-ubyte": size.images + VALIDATION_IMAGES, "t10k-images-idx3-ubyte": TEST_IMAGES}
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, count in counts.items():
        images = _mnist(Path(given), name)[:count] if given else _random(count)
        header = np.array([0x00000803, *images.shape], ">u4").tobytes()
        (raw / name).write_bytes(header + images.tobytes())
        if name.startswith("train"):
            np.save(folder / "train.npy", images[: size.images])
    return "MNIST" if given else "random images of MNIST's shape"


def _mnist(root: Path, name: str) -> np.ndarray:
    """Images of an IDX file, plain or gzipped."""
    path = root / "MNIST" / "raw" / name
    content = path.read_bytes() if path.is_file() else gzip.decompress(path.with_name(f"{name}.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)


def _random(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)


def crews(mode: Mode, folder: Path, size: Size) -> dict[str, Crew]:
    """All contenders, sharing the machine in one way."""
    crew = partial(Crew, processes=mode.processes, threads=mode.threads)
    return {
        LIMIT: crew(products, min(size.seconds, 3.0)),
        ITEMS: crew(loop_over_items, folder, size.seconds),
        TENSORS: crew(loop_over_tensors, folder, size.seconds),
        FP32: crew(ours, "fp32", folder),
        BF16: crew(ours, "bf16", folder),
    }


def rounds(folder: Path, size: Size) -> dict[str, dict[str, list[list[Any]]]]:
    """What each process of each contender had in each round, by mode; all take turns."""
    with ExitStack() as stack:
        contenders = {
            (mode.name, name): stack.enter_context(crew).round
            for mode in modes()
            for name, crew in crews(mode, folder, size).items()
        }
        results = in_turn(contenders, size.rounds, warm_up=True)
    return {
        mode.name: {name: results[mode.name, name] for name in (LIMIT, ITEMS, TENSORS, FP32, BF16)} for mode in modes()
    }


def rate(name: str, results: Sequence[Any], megaflop: float) -> float:
    """Images per second of all processes of a round."""
    if name == LIMIT:
        return sum(results) * 1000 / megaflop
    return sum(result.rate if isinstance(result, Epoch) else result for result in results)


def speed_table(rates: Mapping[str, Spread], mode: str, images: str, megaflop: float) -> Table:
    gigaflops = rates[LIMIT].median * megaflop / 1000
    rows = [
        [
            name,
            number(of.median),
            f"{number(of.low)} - {number(of.high)}",
            f"{of.median / rates[LIMIT].median:.2f}",
            f"{of.median / rates[TENSORS].median:.2f}",
        ]
        for name, of in rates.items()
    ]
    columns = ["", "images/s", "least - greatest", "of the limit", "x the textbook, tensors"]
    note = (
        f"Images per second on {images}, of all processes together, batches of {textbook.BATCH_SIZE:,}; medians. "
        f"The limit is {gigaflops:,.0f} GFLOP/s over the {megaflop:.1f} MFLOP that an image takes, forward and "
        "backward, as PyTorch's FlopCounterMode counts them."
    )
    return Table(f"Training: {mode}", columns, rows, note)


def epoch_table(epochs: Mapping[str, Mapping[str, list[Epoch]]]) -> Table:
    """What evaluation and checkpoint take of an epoch of all training images."""
    rows = []
    for mode, by_name in epochs.items():
        for name, of in by_name.items():
            steps, evaluation, checkpoint = (
                statistics.median(values)
                for values in (
                    [TRAINING_IMAGES / epoch.rate for epoch in of],
                    [epoch.evaluation for epoch in of],
                    [epoch.checkpoint for epoch in of],
                )
            )
            whole = steps + evaluation + checkpoint
            shares = [f"{evaluation:.2f}", f"{evaluation / whole:.1%}", f"{1000 * checkpoint:.0f}"]
            rows.append([f"{name}; {mode}", number(whole), *shares, f"{checkpoint / whole:.1%}"])
    columns = ["", "epoch, s", "evaluation, s", "of the epoch", "checkpoint, ms", "of the epoch"]
    note = (
        f"An epoch trains {TRAINING_IMAGES:,} images. Evaluation is all that an epoch does besides its steps and the "
        f"checkpoint: loss, SSIM and MSE over {VALIDATION_IMAGES:,} images. Seconds of one process, medians."
    )
    return Table("An epoch", columns, rows, note)


def goals(rates: Mapping[str, Mapping[str, Spread]], epochs: Mapping[str, Mapping[str, list[Epoch]]]) -> list[Goal]:
    alone, planned = rates.values()

    def compared(name: str) -> str:
        found = planned[name].median
        return f"{found / alone[TENSORS].median:.2f} x ({found / planned[TENSORS].median:.2f} x in as many processes)"

    def share(name: str) -> str:
        return f"{planned[name].median / planned[LIMIT].median:.2f}"

    worst = max(
        statistics.median(epoch.evaluation / (TRAINING_IMAGES / epoch.rate + epoch.evaluation) for epoch in of)
        for by_name in epochs.values()
        for of in by_name.values()
    )
    return [
        Goal("bf16 over the planned workers, beside the textbook loop", "at least 2.5 x", compared(BF16)),
        Goal("bf16 over the planned workers, of the fp32 limit", "at least 1.4", share(BF16)),
        Goal("fp32 over the planned workers, beside the textbook loop", "at least 1.5 x", compared(FP32)),
        Goal("fp32 over the planned workers, of the limit", "at least 0.8", share(FP32)),
        Goal("evaluation, of an epoch", "under 5%", f"{worst:.1%} at worst"),
    ]


def measure(quick: bool) -> Topic:
    size = QUICK if quick else FULL
    megaflop = textbook.megaflop_per_image()
    with tempfile.TemporaryDirectory() as name:
        images = furnish(Path(name), size)
        results = rounds(Path(name), size)
    samples = {
        mode: {name: [rate(name, one, megaflop) for one in of] for name, of in by_name.items()}
        for mode, by_name in results.items()
    }
    epochs = {
        mode: {name: [epoch for one in by_name[name] for epoch in one] for name in (FP32, BF16)}
        for mode, by_name in results.items()
    }
    rates = {mode: {name: spread(of) for name, of in by_name.items()} for mode, by_name in samples.items()}
    figures = {"images": images, "megaflop_per_image": megaflop, "rates": samples, "epochs": epochs}
    tables = [*(speed_table(of, mode, images, megaflop) for mode, of in rates.items()), epoch_table(epochs)]
    return Topic(figures, tables, goals(rates, epochs))


if __name__ == "__main__":
    measuring.main(measure)
