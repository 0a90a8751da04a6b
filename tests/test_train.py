import math
from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

from models.config import TrainConfig
from models.data import Dataset, data_root, load
from models.evaluation import finish
from models.train import prepare, train
from models.vae import build
from orchestrator.divergence import DivergenceRule
from orchestrator.events import Finished
from orchestrator.trial import Outcome
from orchestrator.worker import runner
from orchestrator.worker.monitor import ExplodedError, Monitor

SMALL = {"dataset": "digits", "architecture": "fc", "num_layers": 1, "batch_size": 64, "epochs": 2, "lr": 2e-3}
BY_EPOCH = {
    "train_loss",
    "train_recon",
    "train_kl",
    "val_loss",
    "val_recon",
    "val_kl",
    "val_nll",
    "val_mse",
    "val_ssim",
    "grad_norm",
    "images_per_second",
}


def drained(trial: Generator) -> tuple[list[dict[str, float]], dict[str, float | str]]:
    yielded = []
    while True:
        try:
            yielded.append(next(trial))
        except StopIteration as stop:
            return yielded, stop.value


@pytest.mark.slow
def test_each_epoch_is_yielded_and_the_test_set_comes_last() -> None:
    yielded, final = drained(train(TrainConfig(**SMALL)))
    assert [metrics["epoch"] for metrics in yielded] == [1, 2]
    assert all(set(metrics) == {"epoch", *BY_EPOCH} for metrics in yielded)
    assert set(final) == {"ssim", "mse", "ssim_mean", "mse_mean"}
    assert yielded[1]["val_loss"] < yielded[0]["val_loss"]
    for part in ("train", "val"):
        assert yielded[0][f"{part}_loss"] == pytest.approx(yielded[0][f"{part}_recon"] + yielded[0][f"{part}_kl"])
    # the loss is per image: recon = 784 mse / (2 var)
    assert yielded[0]["val_recon"] == pytest.approx(784 * yielded[0]["val_mse"] / (2 * 0.25), rel=1e-4)


def test_metrics_are_those_of_a_plain_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    # three parts that differ, sizes that no batch divides, and a step too small to change the weights
    generator = torch.Generator().manual_seed(0)
    parts = [
        torch.randint(0, most, (n, 1, 28, 28), generator=generator, dtype=torch.uint8)
        for n, most in ((23, 256), (17, 128), (11, 26))
    ]
    data = Dataset("tiny", "here", "0", *parts)
    monkeypatch.setattr("models.train.load", lambda name, root: data)
    monkeypatch.setattr("models.evaluation.BATCH", 7)
    config = TrainConfig(architecture="fc", num_layers=1, latent_dim=4, batch_size=5, lr=1e-30, epochs=1, seed=3)
    seen: list[tuple[int, float, float]] = []
    (metrics,), final = drained(train(config, None, lambda step, loss, norm, **_: seen.append((step, loss, norm))))

    torch.manual_seed(config.seed)
    model = build(config).double()

    def expected(images: torch.Tensor) -> dict[str, float]:
        images = images.double() / 255
        mean, log_variance = model.encode(images)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean().item()
        recon = [
            (images - model.decode(mean + (log_variance / 2).exp() * torch.randn_like(mean))).pow(2).flatten(1).sum(1)
            for _ in range(200)
        ]
        return {"kl": kl, "recon": torch.stack(recon).mean().item() / (2 * config.var)}

    for part, images in (("train", data.train), ("val", data.val)):
        want = expected(images)
        assert metrics[f"{part}_kl"] == pytest.approx(want["kl"], rel=1e-4)  # no noise in it: it is exact
        assert metrics[f"{part}_recon"] == pytest.approx(want["recon"], rel=0.02)
    assert metrics["val_mse"] == pytest.approx(metrics["val_recon"] * 2 * config.var / 784, rel=1e-4)
    assert final["mse"] == pytest.approx(expected(data.test)["recon"] * 2 * config.var / 784, rel=0.02)
    assert [step for step, _, _ in seen] == [1, 2, 3, 4, 5]
    sizes = [5, 5, 5, 5, 3]
    assert metrics["train_loss"] == pytest.approx(
        sum(n * loss for n, (_, loss, _) in zip(sizes, seen, strict=True)) / 23
    )
    assert metrics["grad_norm"] == pytest.approx(
        sum(n * norm for n, (_, _, norm) in zip(sizes, seen, strict=True)) / 23
    )
    assert metrics["grad_norm"] > 1


@pytest.mark.parametrize(
    "architecture",
    ["fc", pytest.param("conv", marks=pytest.mark.slow), pytest.param("attention", marks=pytest.mark.slow)],
)
def test_the_same_seed_gives_the_same_numbers_to_the_bit(architecture: str) -> None:
    config = TrainConfig(**{**SMALL, "architecture": architecture, "num_layers": 2})

    def run() -> list[object]:
        yielded, final = drained(train(config))
        return [[{k: v for k, v in m.items() if k != "images_per_second"} for m in yielded], final]

    first = run()
    torch.rand(17)  # whatever else draws from the global generator must not matter
    assert run() == first


@pytest.mark.slow
def test_another_seed_gives_other_numbers() -> None:
    finals = [drained(train(TrainConfig(**{**SMALL, "epochs": 1, "seed": seed})))[1] for seed in (0, 1)]
    assert finals[0] != finals[1]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["fc", pytest.param("conv", marks=pytest.mark.slow)])
def test_bfloat16_learns_as_well(architecture: str) -> None:
    exact, half = (
        drained(train(TrainConfig(**{**SMALL, "architecture": architecture, "epochs": 4, "precision": precision})))[0][
            -1
        ]["val_loss"]
        for precision in ("fp32", "bf16")
    )
    assert half == pytest.approx(exact, rel=0.05)
    assert half != exact


@pytest.mark.slow
def test_pictures_and_the_model_are_left_behind(tmp_path: Path) -> None:
    drained(train(TrainConfig(**SMALL), tmp_path))
    left = {
        str(path.relative_to(tmp_path / "artifacts")) for path in (tmp_path / "artifacts").rglob("*") if path.is_file()
    }
    assert left == {
        "loss_curve.png",
        "reconstructions.png",
        "samples.png",
        "traversal.png",
        "model/weights.pt",
        "model/config.json",
    }


@pytest.mark.slow
def test_pictures_are_left_by_epoch_and_stay_comparable(tmp_path: Path) -> None:
    running = train(TrainConfig(**{**SMALL, "epochs": 6}), tmp_path)
    for _ in range(5):
        next(running)
    running.close()
    left = {str(path.relative_to(tmp_path / "images")) for path in (tmp_path / "images").rglob("*.*")}
    assert left == {f"{name}/{epoch}.png" for name in ("reconstructions", "samples") for epoch in (1, 2, 4)}
    first, second = (imread(tmp_path / "images" / "reconstructions" / f"{epoch}.png") for epoch in (1, 2))
    assert first.shape[:2] == (4 * 56, 10 * 56)
    originals = slice(0, 56), slice(112, 168)
    for rows in originals:
        assert (first[rows] == second[rows]).all()
    assert (first[56:112] != second[56:112]).any()


@pytest.mark.slow
def test_a_training_that_is_stopped_leaves_its_curve(tmp_path: Path) -> None:
    running = train(TrainConfig(**SMALL), tmp_path)
    next(running)
    running.close()
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == ["loss_curve.png"]


@pytest.mark.slow
def test_a_high_learning_rate_explodes_within_its_first_epoch() -> None:
    monitor = Monitor(DivergenceRule())
    config = TrainConfig(**{**SMALL, "architecture": "conv", "num_layers": 3, "lr": 0.2, "var": 0.05})
    with pytest.raises(ExplodedError):
        next(train(config, None, monitor.step))
    assert monitor.explosion is not None
    assert monitor.explosion.epoch == 1
    assert "log variance reached" in monitor.explosion.reason


@pytest.mark.slow
def test_a_model_that_ignores_its_code_is_diagnosed() -> None:
    # so large a variance makes reconstruction worth nothing: the posterior falls onto the prior
    _, final = drained(train(TrainConfig(**{**SMALL, "var": 1e4, "epochs": 8})))
    assert "posterior collapse" in str(final["diagnosis"])


def test_a_model_whose_images_are_all_black_is_diagnosed() -> None:
    config = TrainConfig(**SMALL)
    model = build(config)
    with torch.no_grad():
        list(model.decoder.parameters())[-1].fill_(-100.0)  # the bias of the pixels
    final = finish(model, load("digits", data_root()), config, torch.device("cpu"))
    assert "dead decoder" in str(final["diagnosis"])


def test_prepare_tells_what_the_data_are() -> None:
    told = prepare(TrainConfig(**SMALL))
    assert (told["name"], told["train"], told["val"], told["test"]) == ("digits", 1300, 200, 297)


HEALTHY = [
    {
        "architecture": architecture,
        "num_layers": num_layers,
        "var": var,
        "lr": lr,
        "batch_size": batch_size,
        "seed": seed,
    }
    for seed, (architecture, num_layers, var, lr, batch_size) in enumerate(
        [
            ("conv", 3, 0.5, 5e-3, 64),
            ("conv", 3, 0.25, 5e-3, 64),
            ("conv", 3, 0.22, 5e-3, 64),
            ("conv", 3, 0.2, 5e-3, 64),
            ("conv", 3, 0.1, 5e-3, 32),
            ("conv", 3, 0.05, 2e-3, 64),
            ("conv", 2, 0.5, 5e-3, 32),
            ("conv", 4, 0.5, 5e-3, 64),
            ("conv", 1, 0.5, 5e-3, 64),
            ("conv", 3, 0.02, 1e-3, 16),
            ("conv", 3, 0.5, 1e-2, 32),
            ("conv", 3, 5.0, 5e-3, 64),
            ("fc", 3, 0.5, 1e-3, 64),
            ("fc", 3, 0.2, 2e-3, 16),
            ("fc", 1, 0.1, 1e-3, 32),
            ("fc", 5, 0.5, 1e-3, 64),
            ("attention", 3, 0.5, 5e-3, 64),
            ("attention", 3, 0.2, 2e-3, 32),
            ("attention", 2, 0.25, 2e-3, 64),
            ("fc", 2, 0.001, 1e-4, 8),
        ]
    )
]


@pytest.mark.slow
def test_twenty_healthy_runs_raise_no_alarm(tmp_path: Path) -> None:
    assert len(HEALTHY) == 20
    for settings in HEALTHY:
        params = {"dataset": "digits", "epochs": 5, **settings}
        finished = list(runner.run(runner.Task("models.train:train", params, tmp_path, DivergenceRule())))[-1]
        assert isinstance(finished, Finished)
        assert finished.outcome is Outcome.COMPLETED, (settings, finished)


@pytest.mark.slow
@pytest.mark.parametrize("lr", [0.1, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("architecture", ["conv", "attention", "fc"])
def test_explosions_of_real_training_are_seen(architecture: str, lr: float) -> None:
    monitor = Monitor(DivergenceRule())
    config = TrainConfig(dataset="digits", architecture=architecture, lr=lr, var=0.05, batch_size=64, epochs=8)
    with pytest.raises(ExplodedError):
        drained(train(config, None, monitor.step))
    assert monitor.explosion is not None


def test_val_nll_is_the_bound_on_the_likelihood_of_the_gaussian() -> None:
    config = TrainConfig(dataset="digits", architecture="fc", num_layers=1, latent_dim=2, epochs=1, var=0.1)
    (epoch,), _ = drained(train(config))
    normalizer = -torch.distributions.Normal(torch.zeros(784), math.sqrt(0.1)).log_prob(torch.zeros(784)).sum().item()
    assert epoch["val_nll"] == pytest.approx(epoch["val_loss"] + normalizer, rel=1e-5)
