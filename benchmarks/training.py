"""How fast the report's model trains, beside what the machine could do at most.

The limit is the rate of fp32 matrix products, measured in the same run, over the 26.3 MFLOP that one image of the
report's model takes (forward and backward).

    python benchmarks/training.py
"""

import time

import torch

from models.config import TrainConfig
from models.loss import negative_elbo
from models.vae import build

MFLOP_PER_IMAGE = 26.3
SECONDS = 8.0
SIDE = 2048


def matrix_rate() -> float:
    """GFLOP/s of square fp32 matrix products."""
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    a @ b
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS / 2:
        a @ b
        count += 1
    return count * 2 * SIDE**3 / (time.perf_counter() - started) / 1e9


def training_rate(batch_size: int = 1024) -> float:
    """Images per second of whole training steps."""
    config = TrainConfig(batch_size=batch_size)
    model = build(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, fused=True)
    images = torch.rand(batch_size, 1, 28, 28)

    def step() -> None:
        optimizer.zero_grad()
        negative_elbo(images, *model(images, torch.randn(batch_size, config.latent_dim)), config.var).loss.backward()
        optimizer.step()

    step()
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        step()
        count += 1
    return count * batch_size / (time.perf_counter() - started)


def main() -> None:
    rate, limit = training_rate(), 1000 * matrix_rate() / MFLOP_PER_IMAGE
    print(f"{torch.get_num_threads()} threads, batches of 1024, fp32")
    print(f"training:            {rate:7,.0f} images/s")
    print(f"matrix product rate: {limit:7,.0f} images/s (the limit)")
    print(f"share of the limit:  {rate / limit:.2f}")


if __name__ == "__main__":
    main()
