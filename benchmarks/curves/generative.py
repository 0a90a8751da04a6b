"""Models of data: the project's VAE (`vae`), adversaries (`gan`), a denoiser (`denoising`), likelihoods (`density`)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import torch
from labelling import Recording, Setup
from loop import Batch, digits, fit, idle_end, jump, measured, mlp, norm_of, shuffled
from torch import Tensor, nn
from torch.nn import functional

from models.config import TrainConfig
from models.loss import negative_elbo
from models.vae import build

CONFIG = TrainConfig(dataset="digits", architecture="fc", num_layers=1, latent_dim=8, var=0.05, batch_size=64)
MOST = 1e9  # of an ELBO that is taken for a number


@cache
def pictures() -> tuple[Tensor, Tensor]:
    """Digits as the VAE takes them: 28 by 28, enlarged."""
    data = digits()
    some = data.images[:512], data.test_images[:100]
    large = [functional.interpolate(images.view(-1, 1, 8, 8), (28, 28), mode="bilinear") for images in some]
    return large[0], large[1]


def vae(
    name: str,
    how: str,
    config: TrainConfig,
    beta: Callable[[int], float] = lambda epoch: 1.0,
    var: Callable[[int], float] | None = None,
    changes: tuple[int, ...] = (),
    *,
    epochs: int = 30,
    diverges: bool = False,
    **fitted: object,
) -> Setup:
    """The VAE, with a weight of its KL term, and a variance, that may change by epoch."""

    def train(recording: Recording) -> None:
        torch.manual_seed(config.seed)
        model, (images, test) = build(config), pictures()
        now = {"epoch": 1}

        def weighted(batch: Tensor, epoch: int) -> Tensor:
            noise = torch.randn(len(batch), config.latent_dim)
            variance = var(epoch) if var else config.var
            terms = negative_elbo(batch, *model(batch, noise), variance)
            return terms.recon + beta(epoch) * terms.kl

        def quality() -> float:
            """The ELBO of the model that is wanted in the end, from the posterior's mean."""
            terms = negative_elbo(test, *model(test, torch.zeros(len(test), config.latent_dim)), config.var)
            return -float(terms.loss) if float(terms.loss) < MOST else -math.inf

        def before(epoch: int) -> None:
            now["epoch"] = epoch
            if epoch in changes:
                recording.restart()

        fit(
            recording,
            model,
            lambda batch: weighted(batch, now["epoch"]),
            shuffled((images,), config.batch_size, config.seed),
            quality,
            lr=config.lr,
            epochs=epochs,
            validation=lambda: weighted(test, now["epoch"]),
            before=before,
            **fitted,
        )

    moves = (lambda: idle_end(train)) if var or changes else None
    return Setup(name, how, "elbo", train, diverges=diverges, untrained=moves)


def ramp(start: int, over: int, low: float = 1e-3) -> Callable[[int], float]:
    return lambda epoch: low + (1 - low) * min(max(epoch - start, 0) / over, 1.0)


def vae_setups() -> Iterator[Setup]:
    config = replace(CONFIG, lr=1e-3)
    for var in (0.2, 0.05, 0.01):
        yield vae(f"var-{var}", f"variance {var}, Adam, 1e-3", replace(config, var=var), epochs=20)
    for seed in range(3):
        how = "the KL term has next to no weight for 20 epochs, and its own after 10 more"
        changed = replace(config, seed=seed, var=(0.2, 0.1, 0.5)[seed])
        yield vae(f"ramp-{seed}", how, changed, ramp(20, 10), changes=(21,), epochs=45)
    how = "the KL term gets its weight at once, after 15 epochs with next to none"
    yield vae("ramp-steep", how, replace(config, var=0.3), ramp(15, 1), changes=(16,), epochs=30)
    how = "the weight of the KL term goes up and falls back every 10 epochs"
    cycle = lambda epoch: min(((epoch - 1) % 10) / 5, 1.0) + 1e-3  # noqa: E731
    yield vae("cycle", how, replace(config, var=0.2), cycle, changes=(11, 21, 31), epochs=40)
    how = "the decoder's variance goes down from 1 to 0.02, so that its loss goes up"
    yield vae(
        "variance", how, replace(config, var=0.02), var=lambda epoch: max(0.02, 1 / 1.25 ** (epoch - 1)), epochs=35
    )
    for lr in (0.02, 0.1, 0.3):
        how = f"Adam, {lr}, from the first step on, variance 0.02"
        yield vae(f"lr-{lr}", how, replace(config, lr=lr, var=0.02), epochs=15, diverges=lr > 0.02)
    for architecture, factor in (("fc", 30), ("fc", 100), ("fc", 300), ("conv", 30), ("conv", 100)):
        how = f"{architecture}, Adam, 1e-3, and {factor} times as much from epoch 8 on"
        changed = replace(config, architecture=architecture, num_layers=2, seed=factor)
        yield vae(f"{architecture}-jump-{factor}", how, changed, schedule=jump(8, factor), epochs=14)
    how = "the KL term gets its weight over 10 epochs, with a learning rate of 0.1 from epoch 22 on"
    yield vae(
        "ramp-jump", how, replace(config, var=0.2), ramp(20, 10), changes=(21,), schedule=jump(22, 100), epochs=35
    )


@cache
def components() -> tuple[Tensor, Tensor]:
    """Mean of the digits and their first ten principal components, by which samples are compared."""
    images = digits().images
    return images.mean(0), torch.linalg.svd(images - images.mean(0))[2][:10]


def unlike(samples: Tensor) -> float:
    """Distance of samples from digits: Fréchet's, of two normal distributions with diagonal covariance."""
    mean, axes = components()
    seen = [(images - mean) @ axes.T for images in (samples, digits().images)]
    (m, s), (n, t) = [(values.mean(0), values.std(0)) for values in seen]
    return float(((m - n) ** 2 + (s - t) ** 2).sum())


Pair = tuple[Tensor, Tensor]  # scores of images and of samples


def bce_d(real: Tensor, fake: Tensor) -> Tensor:
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


GAMES = {
    "bce": (bce_d, lambda fake: functional.softplus(-fake).mean()),
    "squares": (
        lambda real, fake: ((real - 1) ** 2).mean() + (fake**2).mean(),
        lambda fake: ((fake - 1) ** 2).mean(),
    ),
    "wasserstein": (lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
}


def gan(
    name: str,
    how: str,
    game: str = "bce",
    lr: tuple[float, float] = (1e-3, 1e-3),
    *,
    seed: int = 0,
    epochs: int = 40,
    clip: float | None = None,
    later: tuple[int, float] = (10**9, 1.0),
    by_step: bool = True,
) -> Setup:
    """Two networks against each other; the generator's loss is watched."""

    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        make, judge = mlp(16, 96, 64), mlp(64, 96, 1)
        rules = [
            torch.optim.Adam(net.parameters(), rate, betas=(0.5, 0.999))
            for net, rate in zip((make, judge), lr, strict=True)
        ]
        loss_d, loss_g = GAMES[game]
        test = torch.randn(400, 16)
        quality = lambda: -min(unlike(torch.sigmoid(make(test))), 1e6)  # noqa: E731
        recording.begin(measured(quality))
        for epoch in range(1, epochs + 1):
            if epoch == later[0]:
                for rule in rules:
                    rule.param_groups[0]["lr"] *= later[1]
            sums = [0.0, 0.0]
            batches: list[Batch] = [*shuffled((digits().images,), 64, seed)(epoch)]
            for (images,) in batches:
                fake = torch.sigmoid(make(torch.randn(64, 16)))
                rules[1].zero_grad()
                d = loss_d(judge(images), judge(fake.detach()))
                d.backward()
                rules[1].step()
                if clip:
                    with torch.no_grad():
                        for weight in judge.parameters():
                            weight.clamp_(-clip, clip)
                rules[0].zero_grad()
                g = loss_g(judge(fake))
                g.backward()
                norm = norm_of(make)
                rules[0].step()
                sums = [sums[0] + float(d.detach()), sums[1] + float(g.detach())]
                recording.step(float(g.detach()), norm)
            recording.epoch(measured(quality), d_loss=sums[0] / len(batches), g_loss=sums[1] / len(batches))

    return Setup(name, how, "minus_frechet", train, by_step=by_step)


def gan_setups() -> Iterator[Setup]:
    for seed, rates in enumerate(((1e-3, 1e-3), (2e-4, 1e-3), (1e-3, 2e-4), (3e-3, 3e-3))):
        yield gan(f"bce-{seed}", f"learning rates {rates[0]} and {rates[1]}", lr=rates, seed=seed)
    yield gan("bce-epochs", "losses by epoch alone", seed=5, by_step=False)
    for seed in (6, 7):
        yield gan(f"squares-{seed}", "least squares", "squares", seed=seed, by_step=seed == 6)
    for seed in (8, 9):
        yield gan(f"wasserstein-{seed}", "Wasserstein, weights clipped", "wasserstein", seed=seed, clip=0.1)
    yield gan("free-critic", "Wasserstein, and nothing limits the critic", "wasserstein", (1e-3, 1e-2), seed=10)
    for game, factor in (("bce", 30), ("bce", 300), ("squares", 100), ("wasserstein", 100)):
        clip = 0.1 if game == "wasserstein" else None
        how = f"{game}, learning rates {factor} times as high from epoch 25 on"
        yield gan(f"{game}-jump-{factor}", how, game, seed=factor, later=(25, factor), clip=clip)


def denoiser(
    name: str, how: str, *, seed: int = 0, by_step: bool = True, diverges: bool = False, **fitted: object
) -> Setup:
    """A network that finds the noise in images, at noise of any strength, as diffusion models are trained."""

    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        model = mlp(65, 128, 128, 64)
        fixed = torch.Generator().manual_seed(0)
        test = digits().test_images * 2 - 1
        strength = torch.rand(len(test), 1, generator=fixed)
        noise = torch.randn(test.shape, generator=fixed)

        def error(images: Tensor, strength: Tensor, noise: Tensor) -> Tensor:
            seen = (1 - strength).sqrt() * images + strength.sqrt() * noise
            return ((model(torch.cat([seen, strength], 1)) - noise) ** 2).mean()

        def loss(images: Tensor) -> Tensor:
            return error(images * 2 - 1, torch.rand(len(images), 1), torch.randn(images.shape))

        held_out = lambda: error(test, strength, noise)  # noqa: E731
        quality = lambda: -min(float(held_out()), 1e9)  # noqa: E731
        fit(recording, model, loss, shuffled((digits().images,), 32, seed), quality, validation=held_out, **fitted)

    return Setup(name, how, "minus_error", train, by_step=by_step, diverges=diverges)


def denoising_setups() -> Iterator[Setup]:
    for seed, lr in enumerate((3e-4, 1e-3, 3e-3, 1e-2)):
        yield denoiser(f"lr-{lr}", f"Adam, {lr}", seed=seed, lr=lr, epochs=15, by_step=seed != 1)
    yield denoiser("sgd", "SGD with momentum, 0.05", optimizer="momentum", lr=0.05, epochs=15)
    for factor in (30, 100, 1000):
        how = f"Adam, 1e-3, {factor} times as much from epoch 8 on"
        yield denoiser(f"jump-{factor}", how, seed=factor, schedule=jump(8, factor), epochs=14, by_step=factor != 100)
    for lr in (1.0, 3.0):
        how = f"SGD with momentum, {lr}, from the first step on"
        yield denoiser(f"momentum-{lr}", how, optimizer="momentum", lr=lr, epochs=8, diverges=True)


class Flow(nn.Module):
    """Affine couplings, after L. Dinh et al., Density estimation using Real NVP, ICLR 2017."""

    def __init__(self, width: int, layers: int = 4, limit: float | None = 2.0) -> None:
        super().__init__()
        half = width // 2
        self.limit = limit
        self.nets = nn.ModuleList(mlp(half, 64, 2 * (width - half)) for _ in range(layers))
        self.scale = nn.Parameter(torch.zeros(width))
        self.shift = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Minus log likelihood (N,), in nats, of x (N, width)."""
        x = (x - self.shift) * self.scale.exp()
        volume = self.scale.sum().expand(len(x))
        for net in self.nets:
            a, b = x.chunk(2, 1)
            log, move = net(a).chunk(2, 1)
            log = self.limit * torch.tanh(log / self.limit) if self.limit else log
            x = torch.cat([b * log.exp() + move, a], 1)
            volume = volume + log.sum(1)
        return 0.5 * (x**2).sum(1) + 0.5 * x.shape[1] * math.log(2 * math.pi) - volume


@cache
def narrow(width: int) -> tuple[Tensor, Tensor]:
    """Points near a plane of eight dimensions, whose density is large: likelihoods far above 1."""
    random = torch.Generator().manual_seed(width)
    plane = torch.randn(8, width, generator=random) * 0.02
    points = torch.randn(2000, 8, generator=random) @ plane + 0.005 * torch.randn(2000, width, generator=random)
    return points[:1600], points[1600:]


def density(
    name: str,
    how: str,
    width: int,
    *,
    seed: int = 0,
    limit: float | None = 2.0,
    outliers: float = 0.0,
    diverges: bool = False,
    **fitted: object,
) -> Setup:
    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        points, test = narrow(width)
        model = Flow(width, limit=limit)

        def loss(batch: Tensor) -> Tensor:
            if outliers and torch.rand(1) < outliers:
                batch = batch.clone()
                batch[0] *= 30
            return model(batch).mean()

        held_out = lambda: model(test).mean()  # noqa: E731
        quality = lambda: -min(float(held_out()), 1e9)  # noqa: E731
        fit(recording, model, loss, shuffled((points,), 64, seed), quality, validation=held_out, **fitted)

    return Setup(name, how, "log_likelihood", train, diverges=diverges)


def density_setups() -> Iterator[Setup]:
    for width, lr in ((16, 3e-3), (64, 3e-3), (240, 3e-3), (240, 1e-3)):
        yield density(f"flow-{width}-{lr}", f"a flow over {width} dimensions, Adam, {lr}", width, lr=lr, epochs=20)
    for width in (16, 240):
        how = f"a flow over {width} dimensions, a point far outside in one batch of twenty"
        yield density(f"outliers-{width}", how, width, outliers=0.05, lr=3e-3, epochs=20, clip=100.0)
    how = "a flow over 64 dimensions whose scales nothing limits, gradients clipped"
    yield density("free", how, 64, limit=None, lr=1e-3, epochs=20, clip=10.0)
    for width, factor in ((16, 30), (16, 100), (64, 100), (240, 10), (240, 30), (240, 100), (240, 300)):
        how = f"a flow over {width} dimensions, Adam, 3e-3, {factor} times as much from epoch 12 on"
        yield density(f"jump-{width}-{factor}", how, width, seed=factor, lr=3e-3, schedule=jump(12, factor), epochs=20)
    for lr in (0.03, 0.3):
        how = f"a flow over 240 dimensions whose scales nothing limits, Adam, {lr}"
        yield density(f"free-{lr}", how, 240, limit=None, lr=lr, epochs=15, diverges=True)
