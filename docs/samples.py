"""How samples from the prior look, by number and by eye: docs/reproduction/samples.csv, docs/images/samples.png.

python docs/samples.py sqlite:///mlruns/mlflow.db [another store ...]    # then: make report

Needs MNIST with its labels, and the weights of the runs, which their stores have. A small classifier learns the digits
first, half a minute of a core. In the 64 features beneath its last layer, the Fréchet distance of Heusel et al., "GANs
Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (2017), is taken from images to the test
set: for 10,000 samples, and for reconstructions of the test set itself. A sample is clearly a digit where the
classifier gives one digit 95%.
"""

import argparse
import gzip
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import findings
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from reproduction import append, read
from torch import Tensor, nn
from torch.nn import functional

from models import vae
from models.data import SPLIT_SEED, data_root, load, pixels
from models.random import PICTURES, generator
from models.vae import VAE
from orchestrator.trackers import Store
from orchestrator.trial import Outcome
from orchestrator.trials.record import Record

PICTURE = findings.IMAGES / "samples.png"
SHOWN = (0.5, 0.25, 0.2, 0.035, 0.009)
NEAR = 1.05  # times the variance that is to be shown
SIDE = 6  # images of a panel, either way
SAMPLES, LATENT, BATCH = 10_000, 20, 1000
SURE = 0.95
COLUMNS = ("trial_key", "frechet", "frechet_reconstructed", "confident")
CPU = torch.device("cpu")

Run = tuple[Store, Record]


class Classifier(nn.Module):
    """Of digits (N, 1, 28, 28): two strided convolutions, 64 features, ten logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(64 * 7 * 7, 64), nn.ReLU()),
        )
        self.logits = nn.Linear(64, 10)


def classifier(images: Tensor, digits: Tensor, epochs: int = 4) -> Classifier:
    """Trained on images of bytes (N, 1, 28, 28) and their digits (N,)."""
    torch.manual_seed(0)
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for indices in torch.randperm(len(images)).split(256):
            logits = model.logits(model.features(pixels(images[indices])))
            optimizer.zero_grad()
            functional.cross_entropy(logits, digits[indices]).backward()
            optimizer.step()
    return model.eval()


@torch.no_grad()
def look(model: Classifier, images: Tensor) -> tuple[NDArray[np.float64], float]:
    """The features (N, 64) of images (N, 1, 28, 28), and the share of these that are clearly a digit."""
    features = torch.cat([model.features(part) for part in images.split(BATCH)])
    sure = model.logits(features).softmax(1).amax(1) > SURE
    return features.double().numpy(), sure.double().mean().item()


def frechet(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The squared Fréchet distance of two Gaussians that have the means and covariances of these points (N, D)."""
    difference = one.mean(0) - other.mean(0)
    covariances = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(min=0))
    return float(difference @ difference + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * roots.sum())


@torch.no_grad()
def sampled(model: VAE, count: int) -> Tensor:
    """Images (count, 1, 28, 28) decoded from the prior: of each model from the same z."""
    z = torch.randn(count, LATENT, generator=generator(CPU, 0, PICTURES))
    return torch.cat([model.decode(part) for part in z.split(BATCH)])


@torch.no_grad()
def reconstructed(model: VAE, images: Tensor) -> Tensor:
    """Images (N, 1, 28, 28) from a sampled code of their own."""
    noise = torch.randn(len(images), LATENT, generator=generator(CPU, 1, PICTURES))
    return torch.cat([model(*parts)[0] for parts in zip(images.split(BATCH), noise.split(BATCH), strict=True)])


def labels(root: Path) -> Tensor:
    """The digits of the images that are learned, in the order that models.data gives these."""
    path = root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    content = path.read_bytes() if path.is_file() else gzip.decompress(path.with_suffix(".gz").read_bytes())
    digits = np.frombuffer(content, np.uint8, offset=8)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(digits))
    return torch.from_numpy(digits[order].astype(np.int64))[-findings.TRAINED :]


def runs(uris: Sequence[str]) -> list[Run]:
    """Those that findings.py takes in for their variance, each once, of seed 0 in bf16."""
    found: dict[str, Run] = {}
    for store in map(Store, uris):
        for name in store.sweeps():
            for record in store.records(name):
                is_whole = record.outcome is Outcome.COMPLETED and not record.is_reused
                is_shown = findings.kind_of(record) and findings.is_of_var(record)
                if is_whole and is_shown and (record.params["seed"], record.params["precision"]) == (0, "bf16"):
                    found.setdefault(record.trial_key, (store, record))
    return list(found.values())


def weights(run: Run) -> VAE:
    """The model that a run left."""
    store, record = run
    with tempfile.TemporaryDirectory() as folder:
        return vae.load(store.client.download_artifacts(record.run_id, "model", folder))


def measure(found: Sequence[Run]) -> int:
    """Add a row for each run that has none yet; returns how many."""
    known = {row["trial_key"] for row in read(findings.SAMPLES)}
    new = [run for run in found if run[1].trial_key not in known]
    if not new:
        return 0
    images = load("mnist", data_root())
    model = classifier(images.train, labels(data_root()))
    test = pixels(images.test)
    truth, _ = look(model, test)
    rows = []
    if "real" not in known:  # what no sample can do better than: images that nobody has learned
        features, sure = look(model, pixels(images.val))
        rows.append(("real", frechet(features, truth), 0.0, sure))
    for run in new:
        made = weights(run)
        features, sure = look(model, sampled(made, SAMPLES))
        again, _ = look(model, reconstructed(made, test))
        rows.append((run[1].trial_key, frechet(features, truth), frechet(again, truth), sure))
        print(run[1].label, *(f"{value:.5g}" for value in rows[-1][1:]), flush=True)
    append(
        findings.SAMPLES,
        COLUMNS,
        [dict(zip(COLUMNS, (key, *(f"{value:.5g}" for value in values)), strict=True)) for key, *values in rows],
    )
    return len(new)


def draw(found: Sequence[Run]) -> None:
    """Samples side by side, from the same z; a variance is shown by its longest run."""
    panels = {"test images": pixels(load("mnist", data_root()).test[: SIDE * SIDE])}
    fixed = [run for run in found if findings.kind_of(run[1]) != findings.OPTIMAL]
    for var in SHOWN:
        near = [(run[1].params["epochs"], -abs(math.log(run[1].params["var"] / var)), run) for run in fixed]
        near = [one for one in near if -one[1] < math.log(NEAR)]
        if near:
            *_, run = max(near, key=lambda one: one[:2])
            panels[f"var {run[1].params['var']:.2g}, {run[1].params['epochs']} epochs"] = sampled(weights(run), SIDE**2)
    for run in found:
        if run not in fixed:
            panels[f"var set to the error, {run[1].params['epochs']} epochs"] = sampled(weights(run), SIDE**2)
    figure = Figure(figsize=(2.1 * len(panels), 2.4), layout="constrained")
    for axes, (title, images) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        tiles = images.reshape(SIDE, SIDE, 28, 28).transpose(1, 2).reshape(SIDE * 28, SIDE * 28)
        axes.imshow(tiles.numpy(), cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    figure.savefig(PICTURE, dpi=100)


def main() -> None:
    """Measure what is new, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", metavar="URI", nargs="+", help="a store that has runs of MNIST")
    torch.set_num_threads(1)  # so that the numbers are the same anywhere
    found = runs(parser.parse_args().stores)
    print(f"{measure(found)} runs measured")
    draw(found)


if __name__ == "__main__":
    main()
