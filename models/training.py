"""A training between its steps: its metrics, its position, and what it saves."""

import time
from collections import deque
from pathlib import Path

import torch
from torch import Tensor

from models import checkpoint, evaluation, figures, postmortem
from models.config import TrainConfig
from models.data import Dataset
from models.loss import Loss, negative_elbo, nll_bound
from models.random import VALIDATION, generator
from models.readings import LAST_STEPS, Readings, Watch
from models.vae import VAE, build
from models.window import Window

STEPS_BETWEEN_READINGS = {"cuda": 16}
CHECKPOINT_FILE = "checkpoint.pt"


def device(precision: str) -> torch.device:
    """Where to train; on a GPU with fp32 that is float32, with bf16 at least TF32, and the same numbers each time."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.deterministic = True
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Training:
    """One training, between epochs. It resumes from the checkpoint in its workdir, if there is a checkpoint."""

    def __init__(self, config: TrainConfig, workdir: Path | None, watch: Watch | None, data: Dataset) -> None:
        self.config, self.workdir, self.watch, self.data = config, workdir, watch, data
        self.device = device(config.precision)
        self.history: list[dict[str, float]] = []
        torch.manual_seed(config.seed)
        # channels_last: convolutions of few channels run about twice as fast in this layout
        self.model: VAE = self.build_model().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = self.build_optimizer()
        self.step = 0
        self.last_steps: deque[Tensor] = deque(maxlen=LAST_STEPS)
        saved = None if workdir is None else checkpoint.load(workdir / CHECKPOINT_FILE, config)
        if saved is not None:
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.history, self.step = saved["history"], saved["step"]
            self.last_steps.extend(saved.get("last_steps", ()))

    def build_model(self) -> VAE:
        """The untrained model, whose weights torch's global generator draws."""
        return build(self.config)

    def build_optimizer(self) -> torch.optim.Adam:
        """Of the model, which is on its device."""
        return torch.optim.Adam(self.model.parameters(), lr=self.config.lr, fused=True)

    @property
    def epoch(self) -> int:
        """The next epoch."""
        return len(self.history) + 1

    @property
    def is_running(self) -> bool:
        """Whether there are epochs left."""
        return self.epoch <= self.config.epochs

    def begin_epoch(self, every: int | None = None) -> Readings:
        """The readings for the next epoch, which are read from the device `every` steps."""
        self._started = time.perf_counter()
        every = every or STEPS_BETWEEN_READINGS.get(self.device.type, 1)
        self.readings = Readings(self.watch, self.step, self.last_steps, every)
        return self.readings

    def loss(self, images: Tensor, reconstruction: Tensor, mean: Tensor, log_variance: Tensor) -> Loss:
        """The loss that a step minimizes."""
        return negative_elbo(images, reconstruction, mean, log_variance, self.config.var)

    def end_epoch(self) -> dict[str, float]:
        """Evaluate; returns the metrics of the epoch."""
        metrics = self.readings.means()
        seconds, self.step = time.perf_counter() - self._started, self.readings.step
        random = generator(self.device, self.config.seed, VALIDATION)
        validation = evaluation.evaluate(self.model, self.data.val, self.config, random)
        metrics |= {f"val_{name}": value for name, value in validation.items()}
        metrics["val_nll"] = nll_bound(metrics["val_loss"], self.config.var, self.data.val[0].numel())
        metrics["images_per_second"] = len(self.data.train) / seconds
        self.history.append({"epoch": self.epoch, **metrics})
        self._save_images()
        return self.history[-1]

    def save_checkpoint(self) -> None:
        """Write a checkpoint. Random generators need no state: they are seeded by epoch."""
        if self.workdir is not None:
            state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
            progress = {"history": self.history, "step": self.step, "last_steps": torch.stack([*self.last_steps])}
            checkpoint.save(self.workdir / CHECKPOINT_FILE, self.config, {**state, **progress})

    def finish(self) -> dict[str, float | str]:
        """The final metrics; saves the model and its pictures."""
        final = evaluation.finish(self.model, self.data, self.config, self.device)
        if self.workdir is not None:
            evaluation.save_artifacts(self.model, self.data, self.config, self.device, self.workdir / "artifacts")
        return final

    def _save_images(self) -> None:
        """Save pictures after epochs 1, 2, 4, 8, ...; those after the last are among the artifacts."""
        epoch = len(self.history)
        if self.workdir is not None and epoch.bit_count() == 1 and self.is_running:
            paths = {name: self.workdir / "images" / name / f"{epoch}.png" for name in evaluation.SHOWN}
            evaluation.save_images(self.model, self.data, self.config, self.device, paths)

    def save_curve(self) -> None:
        """Save a picture of the losses so far."""
        if self.workdir is not None and self.history:
            (self.workdir / "artifacts").mkdir(parents=True, exist_ok=True)
            figures.loss_curve(self.history, self.workdir / "artifacts" / "loss_curve.png")

    def save_postmortem(self, error: Exception) -> None:
        """Save the post-mortem of the last steps, where `error` was raised by `watch` because of an explosion."""
        explosion = getattr(error, "explosion", None)
        if self.workdir is None or explosion is None:
            return
        names = [name for name, _ in self.model.named_parameters()]
        rows, images = [*self.last_steps], len(self.data.train)
        window = Window.of(self.config, images, self.readings.step, rows, names)
        postmortem.save(window, str(error), explosion.step, self.workdir / "artifacts")
