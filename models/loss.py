"""The negative evidence lower bound of a VAE whose decoder is a Gaussian of fixed variance."""

import math
from typing import NamedTuple

from torch import Tensor


class Loss(NamedTuple):
    """Means over the images of a batch, as scalars: loss = recon + kl."""

    loss: Tensor
    recon: Tensor
    kl: Tensor


def negative_elbo(
    images: Tensor, reconstruction: Tensor, mean: Tensor, log_variance: Tensor, var: float | Tensor
) -> Loss:
    """Squared error over twice the decoder's variance, plus the divergence from the standard normal prior in nats.

    The Gaussian's normalizer is left out, so values at different `var` do not compare. The divergence is the closed
    form of Kingma and Welling, "Auto-Encoding Variational Bayes" (2014), appendix B.

    Args:
        images: (N, 1, 28, 28).
        reconstruction: as images.
        mean: (N, latent_dim), of the posterior of z.
        log_variance: as mean.
        var: the decoder's variance.
    """
    recon = (images - reconstruction).square().flatten(1).sum(1).mean() / (2 * var)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return Loss(recon + kl, recon, kl)


def nll_bound(loss: float, var: float, pixels: int) -> float:
    """The loss with the Gaussian's normalizer, in nats per image: a bound on -log p(x) that compares between `var`.

    Args:
        loss: of `negative_elbo`.
        var: the decoder's variance.
        pixels: of an image.
    """
    return loss + pixels / 2 * math.log(2 * math.pi * var)
