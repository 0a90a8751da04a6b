"""A small network on scikit-learn's digits, as a Lightning CLI, which logs for TensorBoard by itself."""

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import LightningCLI
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset, random_split


class Network(pl.LightningModule):
    """A perceptron with a hidden layer."""

    def __init__(self, lr: float = 0.1, width: int = 32) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Linear(width, 10))

    def training_step(self, batch, batch_idx):
        """The loss of a batch."""
        loss = functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        """Loss and accuracy on images that are not learned."""
        logits = self.net(batch[0])
        self.log("val_loss", functional.cross_entropy(logits, batch[1]))
        self.log("val_acc", (logits.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        """Plain gradient descent."""
        return torch.optim.SGD(self.parameters(), self.hparams.lr)


class Digits(pl.LightningDataModule):
    """1,797 images of 8x8 pixels."""

    def __init__(self, batch_size: int = 32) -> None:
        super().__init__()
        self.batch_size = batch_size

    def setup(self, stage):
        """Split them."""
        images, labels = load_digits(return_X_y=True)
        data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
        self.learned, self.others = random_split(data, [0.7, 0.3], torch.Generator().manual_seed(0))

    def train_dataloader(self):
        """In batches."""
        return DataLoader(self.learned, self.batch_size, shuffle=True)

    def val_dataloader(self):
        """All at once."""
        return DataLoader(self.others, 600)


if __name__ == "__main__":
    LightningCLI(Network, Digits, save_config_kwargs={"overwrite": True})
