"""A tiny vision transformer on scikit-learn's handwritten digits, trained by Hugging Face's Trainer, offline."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification, set_seed
from transformers.trainer_utils import get_last_checkpoint

from orchestrator.integrations.huggingface import HuggingFaceCallback


@dataclass(frozen=True)
class Config:
    """What is swept."""

    lr: float = 1e-3
    layers: int = 1
    epochs: int = 3
    seed: int = 0


class Digits(Dataset):
    """Images of 8x8 pixels."""

    def __init__(self, part: slice) -> None:
        images, labels = load_digits(return_X_y=True)
        self.images, self.labels = images[part].reshape(-1, 1, 8, 8).astype(np.float32) / 16, labels[part]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"pixel_values": torch.tensor(self.images[index]), "labels": torch.tensor(self.labels[index])}


def train(config: Config, report, workdir: Path, watch) -> dict[str, float]:
    """Train for so many epochs; a trial that was interrupted goes on from its last checkpoint."""
    set_seed(config.seed)
    shape = {"image_size": 8, "patch_size": 2, "num_channels": 1, "num_labels": 10}
    size = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": config.layers}
    arguments = TrainingArguments(
        output_dir=str(workdir / "checkpoints"),
        num_train_epochs=config.epochs,
        learning_rate=config.lr,
        per_device_train_batch_size=32,
        seed=config.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        logging_steps=1,  # so that `watch` sees each step
        logging_nan_inf_filter=False,  # or a loss that is not a number is shown as the mean of the others
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=ViTForImageClassification(ViTConfig(**shape, **size)),
        args=arguments,
        train_dataset=Digits(slice(1200)),
        eval_dataset=Digits(slice(1200, None)),
        compute_metrics=lambda given: {"accuracy": (given.predictions.argmax(1) == given.label_ids).mean()},
        callbacks=[HuggingFaceCallback(report, watch)],
    )
    checkpoints = workdir / "checkpoints"
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)) if checkpoints.exists() else None)
    return {"accuracy": trainer.evaluate()["eval_accuracy"]}
