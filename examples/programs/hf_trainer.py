"""A tiny vision transformer on scikit-learn's digits, by Hugging Face's Trainer, which logs in all its ways."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from transformers import HfArgumentParser, Trainer, TrainingArguments, ViTConfig, ViTForImageClassification, set_seed


class Digits(torch.utils.data.Dataset):
    """Images of 8x8 pixels."""

    def __init__(self, part):
        images, labels = load_digits(return_X_y=True)
        self.images, self.labels = images[part].reshape(-1, 1, 8, 8).astype(np.float32) / 16, labels[part]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {"pixel_values": torch.tensor(self.images[index]), "labels": torch.tensor(self.labels[index])}


def accuracy(given):
    """The part that is right."""
    return {"accuracy": (given.predictions.argmax(1) == given.label_ids).mean()}


def main():
    """Train and evaluate."""
    (arguments,) = HfArgumentParser(TrainingArguments).parse_args_into_dataclasses()
    set_seed(arguments.seed)
    shape = {"image_size": 8, "patch_size": 2, "num_channels": 1, "num_labels": 10}
    size = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1}
    trainer = Trainer(
        model=ViTForImageClassification(ViTConfig(**shape, **size)),
        args=arguments,
        train_dataset=Digits(slice(1200)),
        eval_dataset=Digits(slice(1200, None)),
        compute_metrics=accuracy,
    )
    trainer.train()
    print(trainer.evaluate())


if __name__ == "__main__":
    main()
