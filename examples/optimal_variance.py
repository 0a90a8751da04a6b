"""The VAE with a decoder whose variance is no parameter: at each step it is the mean squared error of the batch.

That is the variance at which the batch is most likely, so the loss is as calibrated as `val_nll` asks: the sigma-VAE
with optimal variance of Rybkin, Daniilidis and Levine, "Simple and Effective VAE Training with Calibrated Decoders"
(ICML 2021). A trial function for sweeps (`trial: optimal_variance:train`); `docs/findings.md` holds it beside fixed
variances.
"""

from collections.abc import Generator
from pathlib import Path

import torch
from declared import VARIANT
from pydantic.dataclasses import dataclass
from torch import Tensor

from models.config import TrainConfig
from models.data import data_root, load
from models.loss import Loss, negative_elbo, nll_bound
from models.readings import Readings, Watch
from models.train import learn
from models.training import Training


@dataclass(frozen=True, kw_only=True)
class Config(TrainConfig):
    """The report's setting; `var` stays at its default and is not looked at."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.var != TrainConfig().var:
            raise ValueError("the training finds its own var: leave it out")


class CalibratedTraining(Training):
    """A training whose loss has each batch's own mean squared error for a variance.

    The error is taken as a constant: the gradient is then that of pixels / 2 * log(error), as if the variance had been
    put into the likelihood and all of it differentiated. What stands in `train_recon` is half the pixels, always.
    """

    def begin_epoch(self, every: int | None = None) -> Readings:
        self.errors: list[Tensor] = []
        return super().begin_epoch(every)

    def loss(self, images: Tensor, reconstruction: Tensor, mean: Tensor, log_variance: Tensor) -> Loss:
        error = (images - reconstruction).detach().square().mean()
        self.errors.append(error)
        return negative_elbo(images, reconstruction, mean, log_variance, error)

    def end_epoch(self) -> dict[str, float]:
        """Validation is at the mean of the epoch's variances, `decoder_var`: from images that were learned alone."""
        metrics, pixels = super().end_epoch(), self.data.val[0].numel()
        var = torch.stack(self.errors).mean().item()
        recon = pixels * metrics["val_mse"] / (2 * var)
        loss = recon + metrics["val_kl"]
        metrics |= {"decoder_var": var, "val_recon": recon, "val_loss": loss, "val_nll": nll_bound(loss, var, pixels)}
        return metrics


def train(
    config: Config, workdir: Path | None = None, watch: Watch | None = None
) -> Generator[dict[str, float], None, dict[str, float | str]]:
    """Train as models.train.train does, but for the variance; also yields `decoder_var` by epoch."""
    data = load(config.dataset, data_root())
    training = CalibratedTraining(config, workdir, watch, data)
    images = data.train.to(training.device)
    try:
        while training.is_running:
            learn(training, training.model, images, training.begin_epoch())
            metrics = training.end_epoch()
            try:
                yield metrics
            finally:
                training.save_checkpoint()
        return training.finish()
    finally:
        training.save_curve()


train.declaration = VARIANT  # type: ignore[attr-defined]
