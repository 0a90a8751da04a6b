"""Trial functions that behave and misbehave, without torch. Copied beside the YAML files of tests."""

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field


@dataclass(frozen=True)
class Config:
    x: Annotated[float, Field(gt=0)] = 1.0
    mode: Literal["fine", "raise", "exit", "kill", "hang", "nan", "rise", "text", "spawn"] = "fine"
    epochs: int = 3
    seed: int = 0
    pause: float = 0.0

    def __post_init__(self) -> None:
        if self.mode == "raise" and self.x == 13:
            raise ValueError("mode raise and x=13 do not go together")


def train(config: Config, workdir: Path):
    (workdir / "artifacts").mkdir(exist_ok=True)
    (workdir / "artifacts" / "note.txt").write_text(f"x was {config.x}")
    print(f"training with x={config.x}")
    for epoch in range(1, config.epochs + 1):
        time.sleep(config.pause)
        if epoch == 2:
            _misbehave(config.mode)
        loss = config.x * 10 / epoch
        if config.mode == "nan" and epoch == 3:
            loss = float("nan")
        if config.mode == "rise" and epoch >= 3:
            loss = 1e6
        yield {"epoch": epoch, "train_loss": loss, "val_loss": loss + 1, "score": 1 / loss}
    return {"final_score": config.x + config.seed}


def _misbehave(mode: str) -> None:
    match mode:
        case "raise":
            raise RuntimeError("the toy broke\non two lines")
        case "exit":
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "spawn":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path(os.environ["CHILD_PID_FILE"]).write_text(str(child.pid))
            time.sleep(600)
        case "text":
            sys.exit("the toy left")


def cliff(config: Config):
    """Explodes with a chance that grows with x: half of the seeds do at 0.1, and 97% of them at 0.25."""
    chance = random.Random(config.seed).random()
    for epoch in range(1, config.epochs + 1):
        time.sleep(config.pause)
        explodes = epoch == 3 and chance < 1 / (1 + (0.1 / config.x) ** 4)
        yield {"epoch": epoch, "train_loss": float("nan") if explodes else 1 / epoch}


def tradeoff(config: Config):
    """Gains more the more it costs; both are at their best before the last epoch, and mode text gains less."""
    for epoch, (gain, cost) in enumerate(((1.0, 1.0), (3.0, 0.5), (2.0, 2.0)), start=1):
        loss = float("nan") if config.mode == "nan" and epoch == 3 else 1 / epoch
        gain = gain / 2 if config.mode == "text" else gain
        yield {"epoch": epoch, "train_loss": loss, "gain": gain * config.x + config.seed / 100, "cost": cost * config.x}


def plain(config: Config) -> dict[str, float]:
    return {"final_score": config.x}


def exporting(config: Config, workdir: Path):
    (workdir / "artifacts").mkdir()
    (workdir / "artifacts" / "x").write_text(str(config.x))
    yield {"epoch": 1, "train_loss": float("nan") if config.mode == "nan" else 1.0, "score": config.x}


def _export(artifacts: Path, folder: Path) -> None:
    if Path("broken").exists():
        raise ValueError("no way to write it")
    folder.mkdir()
    if Path("empty").exists():
        return
    (folder / "MLmodel").write_text("flavors: {}\nmodel_uuid: none\n")
    (folder / "x").write_text((artifacts / "x").read_text())


exporting.export = _export


def missing_data(config: Config):
    yield {"train_loss": 1.0}


def _prepare(config: Config) -> None:
    raise ValueError("/nowhere/data.bin: is missing; put it there")


missing_data.prepare = _prepare


def watched(config: Config, watch):
    for step in range(1, 400):
        watch(step, 1e9 if step > 100 else 50.0, 1.0, log_variance=61)
    yield {"epoch": 1, "train_loss": 50.0}


def stubborn(config: Config, watch):
    try:
        for step in range(1, 6):
            watch(step, float("nan"), 1.0)
    except Exception:
        print("kept to itself")
    yield {"epoch": 1, "train_loss": 5.0}
    return {"final_score": 1.0}


def fragile(config: Config):
    yield {"train_loss": 1.0}


def _prepare_at_second_try(config: Config) -> None:
    tried = Path("tried")
    if not tried.exists():
        tried.touch()
        os.kill(os.getpid(), signal.SIGKILL)


fragile.prepare = _prepare_at_second_try


@dataclass(frozen=True)
class Required:
    size: int


def needs_size(config: Required):
    yield {"epoch": 1, "train_loss": float(config.size)}


def no_parameters(workdir: Path):
    yield {"train_loss": 1.0}


def forked(config: Config):
    yield {"epoch": 1, "train_loss": 1.0}
    if os.fork() == 0:
        time.sleep(600)
    print("last words")
    os.kill(os.getpid(), signal.SIGKILL)


def stuck(config: Config):
    time.sleep(600)
    yield {"train_loss": 1.0}


def chatty(config: Config):
    while True:
        yield {"train_loss": 1.0}


def stubborn_end(config: Config):
    try:
        while True:
            time.sleep(0.05)
            yield {"train_loss": 1.0}
    finally:
        raise ValueError("no end")


def renamed(config: Config):
    yield {"epoch": 1, "train_loss": 1.0, "score": 0.3}
    return {"score": 0.99}


def badly_named(config: Config):
    yield {"epoch": 1, 3: 1.0}


def pictures(config: Config, workdir: Path):
    (workdir / "artifacts").mkdir()
    (workdir / "artifacts" / "broken.png").write_text("no picture")
    yield {"epoch": 1, "train_loss": 1.0}


def odd_data(config: Config):
    yield {"epoch": 1, "train_loss": 1.0}


odd_data.prepare = lambda config: {"name": "odd", "size": 1.5, "shape": (2, 3)}


def dangling(config: Config, workdir: Path):
    (workdir / "artifacts").mkdir()
    (workdir / "artifacts" / "gone").symlink_to("nowhere")
    yield {"epoch": 1, "train_loss": 1.0}


def odd_signal(config: Config):
    yield {"epoch": 1, "train_loss": 1.0}
    os.kill(os.getpid(), 40)


def one_epoch_an_attempt(config: Config, workdir: Path):
    kept = workdir / "epoch"
    epoch = int(kept.read_text()) if kept.exists() else 0
    while True:
        epoch += 1
        yield {"epoch": epoch, "train_loss": 1.0}
        kept.write_text(str(epoch))
        time.sleep(600)


def one_epoch_a_life(config: Config, workdir: Path):
    kept = workdir / "epoch"
    epoch = int(kept.read_text()) + 1 if kept.exists() else 1
    yield {"epoch": epoch, "train_loss": 1.0}
    kept.write_text(str(epoch))
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def stackable(config: Config, workdir: Path, watch):
    alone = stacked([config], [workdir], [watch], 1)
    while True:
        try:
            (told,) = next(alone)
        except StopIteration as stop:
            return stop.value[0]
        if isinstance(told, Exception):
            raise told
        yield told


def stacked(configs, workdirs, watches, width):
    with Path("stacks.txt").open("a") as file:
        print(f"{len(configs)} of {width}", file=file)
    rows = [_Row(*each) for each in zip(configs, workdirs, watches, strict=True)]
    while not all(row.end for row in rows):
        time.sleep(configs[0].pause)
        told = [None if row.end else row.epoch() for row in rows]
        yield told
        for row, metrics in zip(rows, told, strict=True):
            if isinstance(metrics, dict):
                row.keep()
    return [row.end for row in rows]


class _Row:
    def __init__(self, config: Config, workdir: Path, watch) -> None:
        self.config, self.watch, self.kept = config, watch, workdir / "epoch"
        self.done = int(self.kept.read_text()) if self.kept.exists() else 0
        self.end: object = None

    def epoch(self) -> "dict[str, float | str] | Exception":
        epoch, x, mode = self.done + 1, self.config.x, self.config.mode
        try:
            for step in range(5 * epoch, 5 * epoch + 5):
                self.watch(step, float("nan") if mode == "nan" and epoch == 2 else x / epoch, 1.0)
        except Exception as error:
            self.end = error
            return error
        if mode == "text":
            return {"epoch": epoch, "train_loss": x / epoch, "score": "high" if epoch == 2 else 1.0}
        if epoch == 2:
            _misbehave(mode)
        return {"epoch": epoch, "train_loss": x / epoch, "score": epoch / x}

    def keep(self) -> None:
        self.done += 1
        self.kept.write_text(str(self.done))
        if self.done == self.config.epochs:
            self.end = {"final_score": self.config.x}


stackable.stacked = stacked
stackable.stack_by = ("x", "mode", "seed")


def reporting(config: Config, report, workdir: Path, watch):
    """As `train`, by calls; it keeps checkpoints, and modes have it die or hang once it has reported."""
    kept = workdir / "checkpoint"
    for epoch in range(int(kept.read_text()) + 1 if kept.exists() else 1, config.epochs + 1):
        time.sleep(config.pause)
        if epoch == 2 and config.mode != "kill":
            _misbehave(config.mode)
        loss = {"nan": float("nan"), "rise": 1e6}.get(config.mode) if epoch >= 3 else None
        report({"epoch": epoch, "train_loss": loss or config.x * 10 / epoch})
        kept.write_text(str(epoch))
        deaths = len(list(workdir.glob("death *")))
        if config.mode == "kill" and deaths < epoch < config.epochs:
            (workdir / f"death {deaths}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return {"final_score": config.x + config.seed}


def keeps_to_itself(config: Config, report, watch):
    """A framework that catches whatever it can."""
    for epoch in range(1, config.epochs + 1):
        time.sleep(config.pause)
        with Path("reached.txt").open("a") as file:
            print(epoch, file=file)
        for step in range(1, 7):
            try:
                watch(6 * epoch + step, float("nan") if config.mode == "nan" and epoch == 2 else 1.0, 1.0)
            except Exception as error:
                print("kept to itself:", error)
        try:
            report({"epoch": epoch, "train_loss": 1.0})
        except Exception as error:
            print("kept to itself:", error)
    return {"final_score": 1.0}


def will_not_end(config: Config, report):
    """Catches even what is no Exception."""
    while True:
        time.sleep(0.001)
        try:
            report({"train_loss": 1.0})
        except BaseException:
            Path("kept.txt").touch()


@dataclass(frozen=True)
class Yields:
    rows: str = "[]"
    epochs: int = 3
    x: float = 1.0


def yields(config: Yields, workdir: Path):
    """Yield the rows, as JSON. At the text "die" the process is killed, once; `x` in a row is that of the trial."""
    died = workdir / "died"
    for row in json.loads(config.rows):
        if row != "die":
            yield {name: config.x if value == "x" else value for name, value in row.items()}
        elif not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def leaves(config: Config, workdir: Path):
    """Print in every way, and leave files and links behind."""
    print("printed by Python")
    print("printed to stderr", file=sys.stderr)
    ctypes.CDLL(None).printf(b"printed by C\n")
    (workdir / "model.pt").write_bytes(b"m" * 5000)
    (workdir / "deep" / "er").mkdir(parents=True, exist_ok=True)
    (workdir / "deep" / "er" / "epoch=1.ckpt").write_bytes(b"c")
    for name, target in (("last.ckpt", "deep/er/epoch=1.ckpt"), ("outside.ckpt", __file__), ("folder", "/etc")):
        if not (workdir / name).is_symlink():
            (workdir / name).symlink_to(target)
    for epoch in range(1, config.epochs + 1):
        print("epoch", epoch)
        yield {"epoch": epoch, "score": config.x}
        time.sleep(config.pause)
        if config.mode == "raise":
            raise RuntimeError("the toy broke")
    print("the end", end="")


def silent(config: Config):
    yield {"epoch": 1, "score": config.x}
