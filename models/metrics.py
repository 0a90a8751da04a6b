"""How good reconstructions are, and whether a finished model has learned anything."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

MOSAIC = 200  # images compared in one call: few enough to stay in a core's cache
WINDOW_BORDER = 3  # half of scikit-image's 7x7 window, which it leaves out of an image's mean
BLACK = 0.05
COLLAPSED_KL = 0.1
NO_BETTER = 0.98

Images = NDArray[np.float32]


def mse(images: Images, reconstruction: Images) -> float:
    """Mean squared error per pixel of images (N, 28, 28) in [0, 1]."""
    return float(np.mean(np.square(images - reconstruction), dtype=np.float64))


def ssim(images: Images, reconstruction: Images, threads: int = 1) -> float:
    """scikit-image's structural similarity of each image (N, 28, 28) in [0, 1], averaged over the images.

    Images are compared many in one call, as a mosaic: a pixel whose window lies within its tile has the value that
    it has in the image alone, and only those pixels count.
    """
    parts = [slice(start, start + MOSAIC) for start in range(0, len(images), MOSAIC)]
    with ThreadPoolExecutor(threads) as pool:
        means = pool.map(lambda part: _ssim_of_mosaic(images[part], reconstruction[part]) * len(images[part]), parts)
        return sum(means) / len(images)


def _ssim_of_mosaic(images: Images, reconstruction: Images) -> float:
    n, height, width = images.shape
    mosaic = (n * height, width)
    _, by_pixel = structural_similarity(
        images.reshape(mosaic), reconstruction.reshape(mosaic), data_range=1.0, full=True
    )
    b = WINDOW_BORDER
    tiles = by_pixel.reshape(images.shape)[:, b : height - b, b : width - b]
    return float(np.mean(tiles, dtype=np.float64))


def diagnose(kl: float, mse: float, mean_image_mse: float, brightest: float) -> str | None:
    """Why a finished model is worthless, or None.

    Args:
        kl: divergence of the posterior from the prior on the test images, in nats.
        mse: of the test images' reconstructions from the posterior mean.
        mean_image_mse: the test images' distance to the mean training image, the error without any latent code.
        brightest: the largest pixel of these reconstructions, from 0 to 1.
    """
    if brightest < BLACK:
        return "dead decoder: every reconstruction is black; try a smaller learning rate"
    if kl < COLLAPSED_KL:
        return f"posterior collapse: the latent code carries only {kl:.2g} nats, so all reconstructions are alike"
    if mse > NO_BETTER * mean_image_mse:
        return f"no better than the mean image: MSE {mse:.4g} against {mean_image_mse:.4g}"
    return None
