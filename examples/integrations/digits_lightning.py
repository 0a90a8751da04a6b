"""A small network on scikit-learn's handwritten digits, trained by Lightning."""

from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset, random_split

from orchestrator.integrations.lightning import LightningCallback


@dataclass(frozen=True)
class Config:
    """What is swept."""

    lr: float = 0.1
    width: int = 64
    epochs: int = 4
    seed: int = 0


class Digits(pl.LightningModule):
    """A classifier, as its author would write it."""

    def __init__(self, lr: float, width: int) -> None:
        super().__init__()
        self.lr = lr
        self.net = torch.nn.Sequential(torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Linear(width, 10))

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        """The loss of a batch."""
        images, labels = batch
        loss = functional.cross_entropy(self.net(images), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        """Logs loss and accuracy on images that are not learned."""
        images, labels = batch
        logits = self.net(images)
        self.log("val_loss", functional.cross_entropy(logits, labels))
        self.log("val_accuracy", (logits.argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain gradient descent."""
        return torch.optim.SGD(self.parameters(), self.lr)


def train(config: Config, report, workdir: Path, watch) -> dict[str, float]:
    """Train for so many epochs; a trial that was interrupted goes on from its last checkpoint."""
    pl.seed_everything(config.seed, verbose=False)
    images, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
    learned, others = random_split(data, [0.7, 0.3], torch.Generator().manual_seed(0))
    trainer = pl.Trainer(
        max_epochs=config.epochs,
        accelerator="auto",
        devices=1,
        default_root_dir=workdir,
        callbacks=[LightningCallback(report, watch), ModelCheckpoint(dirpath=workdir, save_last=True)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Digits(config.lr, config.width)
    last = workdir / "last.ckpt"
    trainer.fit(
        model,
        DataLoader(learned, batch_size=32, shuffle=True),
        DataLoader(others, batch_size=256),
        ckpt_path=last if last.exists() else None,
    )
    return {"accuracy": float(trainer.callback_metrics["val_accuracy"])}
