"""A training between its steps: what it has measured, where it is, and what it leaves behind."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from models import checkpoint, evaluation, figures
from models.config import TrainConfig
from models.data import Dataset
from models.loss import Loss, nll_bound
from models.random import VALIDATION, generator
from models.vae import VAE, build

METRICS = ("train_loss", "train_recon", "train_kl", "grad_norm")
STEPS_BETWEEN_READINGS = {"cuda": 16}
CHECKPOINT_FILE = "checkpoint.pt"

Watch = Callable[..., None]


def device(precision: str) -> torch.device:
    """Where to train; on a GPU with fp32 that is float32, with bf16 at least TF32, and the same numbers each time."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.deterministic = True
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Readings:
    """What the steps of an epoch measured, read from the device several at a time: a GPU that is asked has to wait."""

    def __init__(self, watch: Watch | None, step: int, every: int) -> None:
        self.step = step
        self._watch = watch
        self._every = every
        self._unread: list[tuple[Tensor, int]] = []
        self._totals = torch.zeros(len(METRICS), dtype=torch.float64)
        self._images = 0

    def note(self, loss: Loss, grad_norm: Tensor, log_variance: Tensor, images: int) -> None:
        """Take in a step on so many images; tells `watch`, which may raise, of those that are due."""
        self._unread.append((torch.stack([*loss, grad_norm, log_variance.max()]), images))
        if len(self._unread) == self._every:
            self.read()

    def read(self) -> None:
        """Have everything read."""
        unread, self._unread = self._unread, []
        for values, (_, images) in zip(_on_cpu([values for values, _ in unread]), unread, strict=True):
            self.step += 1
            self._images += images
            self._totals += values[:-1] * images
            if self._watch is not None:
                self._watch(self.step, values[0].item(), values[3].item(), log_variance=values[4].item())

    def means(self) -> dict[str, float]:
        """The epoch's metrics, as means over its images."""
        self.read()
        return dict(zip(METRICS, (self._totals / self._images).tolist(), strict=True))


def _on_cpu(values: list[Tensor]) -> Tensor:
    return torch.stack(values).double().cpu() if values else torch.empty(0)


class Training:
    """One training, as it is between epochs. It goes on from the checkpoint in its workdir, if there is one."""

    def __init__(self, config: TrainConfig, workdir: Path | None, watch: Watch | None, device: torch.device) -> None:
        self.config, self.workdir, self.watch, self.device = config, workdir, watch, device
        self.history: list[dict[str, float]] = []
        torch.manual_seed(config.seed)
        # channels_last: convolutions of few channels run about twice as fast in this layout
        self.model: VAE = build(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.lr, fused=True)
        self.step = 0
        kept = None if workdir is None else checkpoint.load(workdir / CHECKPOINT_FILE, config)
        if kept is not None:
            self.model.load_state_dict(kept["model"])
            self.optimizer.load_state_dict(kept["optimizer"])
            self.history, self.step = kept["history"], kept["step"]

    @property
    def epoch(self) -> int:
        """The next one."""
        return len(self.history) + 1

    @property
    def is_running(self) -> bool:
        """Whether there are epochs left."""
        return self.epoch <= self.config.epochs

    def begin_epoch(self, every: int | None = None) -> Readings:
        """What is to take in the steps of the next epoch, and reads them so many at a time."""
        self._started = time.perf_counter()
        self.readings = Readings(self.watch, self.step, every or STEPS_BETWEEN_READINGS.get(self.device.type, 1))
        return self.readings

    def end_epoch(self, data: Dataset) -> dict[str, float]:
        """Evaluate; returns the metrics of the epoch."""
        metrics = self.readings.means()
        seconds, self.step = time.perf_counter() - self._started, self.readings.step
        random = generator(self.device, self.config.seed, VALIDATION)
        validation = evaluation.evaluate(self.model, data.val, self.config, random)
        metrics |= {f"val_{name}": value for name, value in validation.items()}
        metrics["val_nll"] = nll_bound(metrics["val_loss"], self.config.var, data.val[0].numel())
        metrics["images_per_second"] = len(data.train) / seconds
        self.history.append({"epoch": self.epoch, **metrics})
        return self.history[-1]

    def keep(self) -> None:
        """Write a checkpoint. Random numbers need no keeping: they come by epoch."""
        if self.workdir is not None:
            state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
            told = {"history": self.history, "step": self.step}
            checkpoint.save(self.workdir / CHECKPOINT_FILE, self.config, {**state, **told})

    def finish(self, data: Dataset) -> dict[str, float | str]:
        """The final metrics; leaves the model and its pictures."""
        final = evaluation.finish(self.model, data, self.config, self.device)
        if self.workdir is not None:
            evaluation.leave(self.model, data, self.config, self.device, self.workdir / "artifacts")
        return final

    def leave_curve(self) -> None:
        """Leave a picture of the losses so far."""
        if self.workdir is not None and self.history:
            (self.workdir / "artifacts").mkdir(parents=True, exist_ok=True)
            figures.loss_curve(self.history, self.workdir / "artifacts" / "loss_curve.png")
