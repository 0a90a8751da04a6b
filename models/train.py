"""Train one VAE: a generator that yields the metrics of each epoch and returns the final ones."""

import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import checkpoint, figures
from models.config import TrainConfig
from models.data import Dataset, data_root, load, pixels
from models.loss import Loss, negative_elbo
from models.metrics import Images, diagnose, mse, ssim
from models.vae import VAE, build, save

# Streams of random numbers, told apart by what they are for; the first two by epoch as well.
ORDER, NOISE, VALIDATION, TEST, PICTURES = range(5)
TRAINING_METRICS = ("train_loss", "train_recon", "train_kl", "grad_norm")
STEPS_BETWEEN_READINGS = {"cuda": 16}
EVALUATION_BATCH = 1000
CHECKPOINT_FILE = "checkpoint.pt"
CPU = torch.device("cpu")


def prepare(config: TrainConfig) -> dict[str, str | int]:
    """Have the images at hand, and say which they are.

    Raises:
        models.data.DataError: they are missing or corrupt.
    """
    data = load(config.dataset, data_root())
    return {
        "name": data.name,
        "digest": data.digest,
        "source": data.source,
        "train": len(data.train),
        "val": len(data.val),
        "test": len(data.test),
    }


def train(
    config: TrainConfig, workdir: Path | None = None, watch: Callable[..., None] | None = None
) -> Generator[dict[str, float], None, dict[str, float | str]]:
    """Train the VAE of `config`, yield each epoch's metrics, return those of the test set.

    Args:
        config: of the training; also which dataset and architecture.
        workdir: where to leave pictures and the model, under `artifacts`, and after each epoch a checkpoint, from which
            a training that was cut off goes on; None leaves nothing.
        watch: called after each step with step, loss and gradient norm; what it raises ends the training.
    """
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # on a GPU: float32 that is float32, and the same numbers each time
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    data = load(config.dataset, data_root())
    train_images = data.train.to(device)
    # channels_last: convolutions of few channels run about twice as fast in this layout
    model: VAE = build(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, fused=True)

    history: list[dict[str, float]] = []
    step = 0
    kept = None if workdir is None else checkpoint.load(workdir / CHECKPOINT_FILE, config)
    if kept is not None:
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        history, step = kept["history"], kept["step"]
    try:
        for epoch in range(len(history) + 1, config.epochs + 1):
            started = time.perf_counter()
            readings = Readings(watch, step, every=STEPS_BETWEEN_READINGS.get(device.type, 1))
            learn(model, optimizer, train_images, config, epoch, readings)
            metrics = readings.means()
            seconds, step = time.perf_counter() - started, readings.step

            validation = evaluate(model, data.val, config, generator(device, config.seed, VALIDATION))
            metrics |= {f"val_{name}": value for name, value in validation.items()}
            metrics["images_per_second"] = len(data.train) / seconds
            history.append({"epoch": epoch, **metrics})
            try:
                yield history[-1]
            finally:  # also when whoever iterates ends here; random numbers need no keeping, they come by epoch
                if workdir is not None:
                    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                    checkpoint.save(workdir / CHECKPOINT_FILE, config, {**state, "history": history, "step": step})

        final = finish(model, data, config, device)
        if workdir is not None:
            leave(model, data, config, device, workdir / "artifacts")
        return final
    finally:
        if workdir is not None and history:
            (workdir / "artifacts").mkdir(parents=True, exist_ok=True)
            figures.loss_curve(history, workdir / "artifacts" / "loss_curve.png")


train.version = 2  # type: ignore[attr-defined]
train.prepare = prepare  # type: ignore[attr-defined]


class Readings:
    """What the steps of an epoch measured, read from the device several at a time: a GPU that is asked has to wait."""

    def __init__(self, watch: Callable[..., None] | None, step: int, every: int) -> None:
        self.step = step
        self._watch = watch
        self._every = every
        self._unread: list[tuple[Tensor, int]] = []
        self._totals = torch.zeros(len(TRAINING_METRICS), dtype=torch.float64)
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
        return dict(zip(TRAINING_METRICS, (self._totals / self._images).tolist(), strict=True))


def _on_cpu(values: list[Tensor]) -> Tensor:
    return torch.stack(values).double().cpu() if values else torch.empty(0)


def learn(
    model: VAE, optimizer: torch.optim.Optimizer, images: Tensor, config: TrainConfig, epoch: int, readings: Readings
) -> None:
    """One pass over images of bytes (N, 1, 28, 28), on the model's device."""
    device = images.device
    random = generator(device, config.seed, NOISE, epoch)
    order = torch.randperm(len(images), generator=generator(CPU, config.seed, ORDER, epoch)).to(device)
    model.train()
    for indices in order.split(config.batch_size):
        batch = pixels(images[indices])
        noise = torch.randn(len(batch), config.latent_dim, generator=random, device=device)
        with autocast(config, device):
            reconstruction, mean, log_variance = model(batch, noise)
        loss = negative_elbo(batch, reconstruction, mean.float(), log_variance.float(), config.var)
        optimizer.zero_grad()
        loss.loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        readings.note(Loss(*(term.detach() for term in loss)), norm, log_variance.detach(), len(batch))
        optimizer.step()


@torch.no_grad()
def evaluate(model: VAE, images: Tensor, config: TrainConfig, random: torch.Generator) -> dict[str, float]:
    """Loss, its terms, MSE and SSIM over images (N, 1, 28, 28), of a sampled z as the loss has it."""
    model.eval()
    reconstructions = []
    totals = torch.zeros(3, dtype=torch.float64)
    for part in images.split(EVALUATION_BATCH):
        batch = pixels(part.to(random.device))
        noise = torch.randn(len(batch), config.latent_dim, generator=random, device=random.device)
        with autocast(config, random.device):
            reconstruction, mean, log_variance = model(batch, noise)
        loss = negative_elbo(batch, reconstruction, mean.float(), log_variance.float(), config.var)
        totals += torch.stack(loss).double().cpu() * len(batch)
        reconstructions.append(reconstruction)
    metrics = dict(zip(("loss", "recon", "kl"), (totals / len(images)).tolist(), strict=True))
    originals, sampled = to_numpy(pixels(images)), to_numpy(torch.cat(reconstructions))
    return metrics | {"mse": mse(originals, sampled), "ssim": ssim(originals, sampled)}


@torch.no_grad()
def from_mean(model: VAE, images: Tensor, config: TrainConfig, device: torch.device) -> Images:
    """Reconstructions (N, 28, 28) of the posterior mean, for images (N, 1, 28, 28)."""
    model.eval()
    reconstructions = []
    for part in images.split(EVALUATION_BATCH):
        with autocast(config, device):
            reconstructions.append(model.decode(model.encode(pixels(part.to(device)))[0]))
    return to_numpy(torch.cat(reconstructions))


def finish(model: VAE, data: Dataset, config: TrainConfig, device: torch.device) -> dict[str, float | str]:
    """The final metrics, of the test set, and a diagnosis where the model is worthless."""
    sampled = evaluate(model, data.test, config, generator(device, config.seed, TEST))
    originals, of_mean = to_numpy(pixels(data.test)), from_mean(model, data.test, config, device)
    final: dict[str, float | str] = {
        "ssim": sampled["ssim"],
        "mse": sampled["mse"],
        "ssim_mean": ssim(originals, of_mean),
        "mse_mean": mse(originals, of_mean),
    }
    mean_image = np.broadcast_to(to_numpy(data.train.float().mean(0, keepdim=True) / 255), originals.shape)
    diagnosis = diagnose(sampled["kl"], mse(originals, of_mean), mse(originals, mean_image))
    return final if diagnosis is None else {**final, "diagnosis": diagnosis}


@torch.no_grad()
def leave(model: VAE, data: Dataset, config: TrainConfig, device: torch.device, folder: Path) -> None:
    """Write the model and its pictures into a folder."""
    model.eval()
    save(model, config, folder / "model")
    random = generator(device, config.seed, PICTURES)
    originals = pixels(data.test[: 2 * figures.COLUMNS])
    noise = torch.randn(len(originals), config.latent_dim, generator=random, device=device)
    z = torch.randn(6 * figures.COLUMNS, config.latent_dim, generator=random, device=device)
    with autocast(config, device):
        reconstruction, _, _ = model(originals.to(device), noise)
        decoded = model.decode(z)
    figures.reconstructions(originals, reconstruction.cpu(), folder / "reconstructions.png")
    figures.samples(decoded, folder / "samples.png")


def generator(device: torch.device, *stream: int) -> torch.Generator:
    """Random numbers that depend on the stream's numbers alone, so that an epoch needs no state of the one before."""
    state = np.random.SeedSequence(stream).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """The context in which the network computes; the loss and the optimizer stay in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")


def to_numpy(images: Tensor) -> Images:
    """Images (N, 1, 28, 28) as an array (N, 28, 28)."""
    array: Images = images.squeeze(1).cpu().numpy()
    return array
