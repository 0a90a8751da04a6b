"""Train one VAE: a generator that yields the metrics of each epoch and returns the final ones."""

import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import checkpoint, figures
from models.config import TrainConfig
from models.data import Dataset, data_root, load
from models.loss import negative_elbo
from models.metrics import Images, diagnose, mse, ssim
from models.vae import VAE, build, save

# Streams of random numbers, told apart by what they are for; the first two by epoch as well.
ORDER, NOISE, VALIDATION, TEST, PICTURES = range(5)
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
            random = generator(device, config.seed, NOISE, epoch)
            order = torch.randperm(len(data.train), generator=generator(CPU, config.seed, ORDER, epoch))
            started = time.perf_counter()
            model.train()
            totals = torch.zeros(4, dtype=torch.float64)
            for indices in order.split(config.batch_size):
                images = data.train[indices].to(device)
                noise = torch.randn(len(images), config.latent_dim, generator=random, device=device)
                with autocast(config, device):
                    reconstruction, mean, log_variance = model(images, noise)
                loss = negative_elbo(images, reconstruction, mean.float(), log_variance.float(), config.var)
                optimizer.zero_grad()
                loss.loss.backward()
                gradients = [p.grad for p in model.parameters() if p.grad is not None]
                norm = torch.nn.utils.get_total_norm(gradients)
                step += 1
                values = torch.stack([loss.loss, loss.recon, loss.kl, norm, log_variance.max()]).double().cpu()
                if watch is not None:
                    watch(step, values[0].item(), values[3].item(), log_variance=values[4].item())
                optimizer.step()
                totals += values[:4] * len(images)
            seconds = time.perf_counter() - started

            means = (totals / len(data.train)).tolist()
            metrics = dict(zip(("train_loss", "train_recon", "train_kl", "grad_norm"), means, strict=True))
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


train.version = 1  # type: ignore[attr-defined]
train.prepare = prepare  # type: ignore[attr-defined]


@torch.no_grad()
def evaluate(model: VAE, images: Tensor, config: TrainConfig, random: torch.Generator) -> dict[str, float]:
    """Loss, its terms, MSE and SSIM over images (N, 1, 28, 28), of a sampled z as the loss has it."""
    model.eval()
    reconstructions = []
    totals = torch.zeros(3, dtype=torch.float64)
    for part in images.split(EVALUATION_BATCH):
        batch = part.to(random.device)
        noise = torch.randn(len(batch), config.latent_dim, generator=random, device=random.device)
        with autocast(config, random.device):
            reconstruction, mean, log_variance = model(batch, noise)
        loss = negative_elbo(batch, reconstruction, mean.float(), log_variance.float(), config.var)
        totals += torch.stack(loss).double().cpu() * len(batch)
        reconstructions.append(reconstruction)
    metrics = dict(zip(("loss", "recon", "kl"), (totals / len(images)).tolist(), strict=True))
    originals, sampled = to_numpy(images), to_numpy(torch.cat(reconstructions))
    return metrics | {"mse": mse(originals, sampled), "ssim": ssim(originals, sampled)}


@torch.no_grad()
def from_mean(model: VAE, images: Tensor, config: TrainConfig, device: torch.device) -> Images:
    """Reconstructions (N, 28, 28) of the posterior mean, for images (N, 1, 28, 28)."""
    model.eval()
    reconstructions = []
    for part in images.split(EVALUATION_BATCH):
        with autocast(config, device):
            reconstructions.append(model.decode(model.encode(part.to(device))[0]))
    return to_numpy(torch.cat(reconstructions))


def finish(model: VAE, data: Dataset, config: TrainConfig, device: torch.device) -> dict[str, float | str]:
    """The final metrics, of the test set, and a diagnosis where the model is worthless."""
    sampled = evaluate(model, data.test, config, generator(device, config.seed, TEST))
    originals, of_mean = to_numpy(data.test), from_mean(model, data.test, config, device)
    final: dict[str, float | str] = {
        "ssim": sampled["ssim"],
        "mse": sampled["mse"],
        "ssim_mean": ssim(originals, of_mean),
        "mse_mean": mse(originals, of_mean),
    }
    mean_image = np.broadcast_to(to_numpy(data.train.mean(0, keepdim=True)), originals.shape)
    diagnosis = diagnose(sampled["kl"], mse(originals, of_mean), mse(originals, mean_image))
    return final if diagnosis is None else {**final, "diagnosis": diagnosis}


@torch.no_grad()
def leave(model: VAE, data: Dataset, config: TrainConfig, device: torch.device, folder: Path) -> None:
    """Write the model and its pictures into a folder."""
    model.eval()
    save(model, config, folder / "model")
    random = generator(device, config.seed, PICTURES)
    originals = data.test[: 2 * figures.COLUMNS]
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
