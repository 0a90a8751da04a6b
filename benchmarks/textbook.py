"""The training loop as textbooks have it: the report's model, and PyTorch's own VAE example around it."""

import time
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

BATCH_SIZE, LEARNING_RATE, VAR = 1024, 5e-3, 0.25
NO_LABEL = torch.tensor(0)


class VAE(nn.Module):
    """Three convolutions of stride 2 and 20 latent dimensions, as models.vae has it, with no thought of speed."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 3, stride=2, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(64, 128, 3, stride=2, padding=1),
            nn.LeakyReLU(),
            nn.Flatten(),
        )
        self.mean = nn.Linear(2048, 20)
        self.log_variance = nn.Linear(2048, 20)
        self.decoder = nn.Sequential(
            nn.Linear(20, 2048),
            nn.Unflatten(1, (128, 4, 4)),
            nn.LeakyReLU(),
            nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1),
            nn.LeakyReLU(),
            nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1),
            nn.LeakyReLU(),
            nn.ConvTranspose2d(32, 1, 3, stride=2, padding=1, output_padding=1),
            nn.Sigmoid(),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.encoder(images)
        mean, log_variance = self.mean(features), self.log_variance(features)
        deviation = torch.exp(0.5 * log_variance)
        return self.decoder(mean + torch.randn_like(deviation) * deviation), mean, log_variance


def loss_function(images: Tensor, reconstruction: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Squared error over twice the decoder's variance, and the divergence; summed over the batch."""
    squared_error = nn.functional.mse_loss(reconstruction, images, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return squared_error / (2 * VAR) + divergence


class AsTorchvision(Dataset[tuple[Tensor, ...]]):
    """What torchvision's MNIST with ToTensor does for each image; its import fails beside a CPU-only torch."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = torch.from_numpy(images)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        picture = Image.fromarray(self.images[index].numpy(), mode="L")
        tensor = torch.from_numpy(np.array(picture, copy=True))
        return tensor.view(28, 28, 1).permute(2, 0, 1).contiguous().to(torch.float32).div(255), NO_LABEL


def as_tensors(images: np.ndarray) -> Dataset[tuple[Tensor, ...]]:
    """All images as one tensor of floats."""
    pixels = torch.from_numpy(images).unsqueeze(1).float() / 255
    return TensorDataset(pixels, torch.zeros(len(pixels)))


def train(dataset: Dataset[tuple[Tensor, ...]], seconds: float) -> Iterator[float]:
    """Train for ever; yield the images per second of each round of so many seconds."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = VAE().to(device)
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loader = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True)
    train_loss, trained, started = 0.0, 0, time.perf_counter()
    while True:
        for images, _ in loader:
            images = images.to(device)
            optimizer.zero_grad()
            loss = loss_function(images, *model(images))
            loss.backward()
            train_loss += loss.item()
            optimizer.step()
            trained += len(images)
            if time.perf_counter() - started >= seconds:
                yield trained / (time.perf_counter() - started)
                trained, started = 0, time.perf_counter()


def megaflop_per_image() -> float:
    """What one image takes in matrix products and convolutions, forward and backward, as PyTorch counts them."""
    images = torch.rand(BATCH_SIZE, 1, 28, 28)
    with FlopCounterMode(display=False) as counter:
        loss_function(images, *VAE()(images)).backward()
    return counter.get_total_flops() / BATCH_SIZE / 1e6
