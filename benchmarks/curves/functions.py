"""Functions and what is not known of them: `forecasting`, `splines`, `attacked`, `processes`, `variational`."""

import math
from collections.abc import Callable, Iterator

import torch
from labelling import Setup
from loop import Batch, digits, mlp, shuffled
from menu import Task, Usual, trained, usual_setups
from torch import Tensor, nn
from torch.nn import functional

QUANTILES = (0.1, 0.5, 0.9)


class Forecaster(nn.Module):
    """A GRU that reads a series, and says the quantiles, or mean and log deviation, of what comes."""

    def __init__(self, ahead: int, outputs: int) -> None:
        super().__init__()
        self.core, self.out = nn.GRU(1, 32, batch_first=True), nn.Linear(32, ahead * outputs)
        self.shape = (ahead, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.core(x[..., None])[1][0]).view(-1, *self.shape)


def forecasting(
    seed: int,
    *,
    normal: bool = False,
    level: Callable[[int], float] = lambda epoch: 1.0,
    stray: float = 0.0,
    count: int = 10**6,
    starts: tuple[int, ...] = (),
) -> Task:
    """Six values of a series that swings in two ways, from the twenty before; `level` scales it by epoch."""
    model, now = Forecaster(6, 2 if normal else 3), {"epoch": 1}

    def series(rows: int, random: torch.Generator) -> Tensor:
        phase = 2 * math.pi * torch.rand(rows, 2, 1, generator=random)
        speed = torch.tensor([0.3, 1.1])[:, None] * (0.9 + 0.2 * torch.rand(rows, 2, 1, generator=random))
        clean = (speed * torch.arange(26.0) + phase).sin().sum(1)
        noisy = clean + 0.1 * torch.randn(rows, 26, generator=random)
        far = torch.rand(rows, 26, generator=random) < stray
        return torch.where(far, 20 * torch.randn(rows, 26, generator=random), noisy)

    def batches(epoch: int) -> Iterator[Batch]:
        for step in range(16):
            random = torch.Generator().manual_seed((10_000 * seed + 100 * epoch + step) % count)
            yield (series(32, random) * level(epoch),)

    def loss(seen: Tensor) -> Tensor:
        said, true = model(seen[:, :20]), seen[:, 20:]
        if normal:
            mean, log = said[..., 0], said[..., 1]
            return (log + 0.5 * ((true - mean) * (-log).exp()) ** 2).mean()
        off = true[..., None] - said
        share = torch.tensor(QUANTILES)
        return torch.maximum(share * off, (share - 1) * off).mean()

    def test() -> Tensor:
        state = torch.Generator().manual_seed(9)
        return series(200, state) * level(now["epoch"])

    def quality() -> float:
        """Minus the mean distance of the median, as a share of how far values swing."""
        seen = test()
        off = (model(seen[:, :20])[..., 0 if normal else 1] - seen[:, 20:]).abs().mean() / seen.abs().mean()
        return -min(float(off), 1e6)

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, batches, quality, lambda: loss(test()), before, starts)


def forecasting_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_error", 0.1, 5e-3, 0.3, 18, 16), forecasting)
    given = {"lr": 5e-3, "epochs": 24}
    normal = lambda seed: forecasting(seed, normal=True)  # noqa: E731
    yield trained("normal", "mean and deviation, so that the loss is negative", ("minus_error", 0.1), normal, **given)
    late = {"schedule": lambda epoch, step: 60.0 if epoch >= 14 else 1.0, **given}
    yield trained("normal-jump", "the same, 60 times the rate from epoch 14 on", ("minus_error", 0.1), normal, **late)
    level = lambda seed: forecasting(seed, level=lambda epoch: 1.0 if epoch < 12 else 8.0, starts=(12,))  # noqa: E731
    yield trained("level", "values eight times as large from epoch 12 on", ("minus_error", 0.1), level, **given)
    rising = lambda seed: forecasting(seed, level=lambda epoch: 1.12**epoch)  # noqa: E731
    yield trained("rising", "values that grow by 12% each epoch", ("minus_error", 0.1), rising, **given)
    stray = lambda seed: forecasting(seed, stray=0.02)  # noqa: E731
    yield trained("stray", "two values of a hundred are far off", ("minus_error", 0.1), stray, **given)


class Splines(nn.Module):
    """A function of its own on each edge, of bumps on a grid (Z. Liu et al., KAN, 2024)."""

    def __init__(self, inputs: int, outputs: int, bumps: int = 8) -> None:
        super().__init__()
        self.grid = torch.linspace(-2, 2, bumps)
        self.plain = nn.Linear(inputs, outputs)
        self.heights = nn.Parameter(0.1 * torch.randn(inputs, bumps, outputs))

    def forward(self, x: Tensor) -> Tensor:
        near = (-(((x[..., None] - self.grid) / (self.grid[1] - self.grid[0])) ** 2)).exp()
        return self.plain(functional.silu(x)) + torch.einsum("nib,ibo->no", near, self.heights.to(near.dtype))


def splines(
    seed: int,
    *,
    noise: float = 0.05,
    small: Callable[[int], float] = lambda epoch: 0.0,
    scale: float = 1.0,
    bumps: int = 8,
    count: int = 768,
) -> Task:
    """A function of four numbers, which is known as a sum of functions of sums."""
    model, now = nn.Sequential(Splines(4, 6, bumps), Splines(6, 1, bumps)), {"epoch": 1}
    random = torch.Generator().manual_seed(14)
    x = 3 * torch.rand(1000, 4, generator=random) - 1.5
    clean = scale * ((3 * x[:, 0]).sin() + x[:, 1] ** 2 * x[:, 2] + (x[:, 3] - x[:, 0]).exp() / 3)
    y = clean + scale * noise * torch.randn(1000, generator=random)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        weight = small(now["epoch"])
        heights = [part.heights.abs().mean() for part in model if isinstance(part, Splines)]
        return ((model(x)[:, 0] - y) ** 2).mean() + weight * torch.stack(heights).sum()

    def quality() -> float:
        off = ((model(x[768:])[:, 0] - clean[768:]) ** 2).mean().sqrt() / clean.std()
        return -min(float(off), 1e6)

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    batches = shuffled((x[:count], y[:count]), 32, seed)
    return Task(model, loss, batches, quality, lambda: loss(x[768:], y[768:]), before)


def splines_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_error", 0.1, 5e-3, 0.02, 16, 24), splines)
    given = {"lr": 5e-3, "epochs": 22}
    noisy = lambda seed: splines(seed, noise=1.0)  # noqa: E731
    yield trained("noisy", "noise as large as what is to be learned", ("minus_error", 0.1), noisy, **given)
    small = lambda seed: splines(seed, small=lambda epoch: 0.0 if epoch < 12 else 3.0)  # noqa: E731
    yield trained("small", "heights have a price from epoch 12 on", ("minus_error", 0.1), small, **given)
    large = lambda seed: splines(seed, scale=1000.0)  # noqa: E731
    yield trained(
        "large", "a thousand times as large, as in a unit of its own", ("minus_error", 0.1), large, lr=0.3, epochs=40
    )
    fine = lambda seed: splines(seed, bumps=40, count=96)  # noqa: E731
    yield trained("fine", "forty bumps, 96 points, learned by heart", ("minus_error", 0.1), fine, lr=5e-3, epochs=120)
    late = {"schedule": lambda epoch, step: 500.0 if epoch >= 12 else 1.0, **given}
    yield trained("noisy-jump", "much noise, 500 times the rate from epoch 12 on", ("minus_error", 0.1), noisy, **late)


def attacked(
    seed: int, *, reach: Callable[[int], float] = lambda epoch: 0.1, steps: int = 3, starts: tuple[int, ...] = ()
) -> Task:
    """Digits, moved so as to be mistaken (A. Madry et al., ICLR 2018), as far as `reach` in each pixel."""
    model, data, now = mlp(64, 96, 10), digits(), {"epoch": 1}

    def moved(x: Tensor, y: Tensor, far: float, many: int) -> Tensor:
        away = torch.zeros_like(x)
        for _ in range(many):
            away.requires_grad_(True)
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(functional.cross_entropy(model(x + away), y), away)
            away = (away.detach() + 1.5 * far / many * slope.sign()).clamp(-far, far)
        return x + away.detach()

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(model(moved(x, y, reach(now["epoch"]), steps)), y)

    def quality() -> float:
        """How many are right when they are attacked with a reach of a tenth."""
        seen = moved(data.test_images, data.test_labels, 0.1, 5)
        logits = model(seen)
        right = (logits.argmax(1) == data.test_labels).float().mean()
        return float(right) if bool(logits.isfinite().all()) else 0.0

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    held_out = lambda: loss(data.test_images, data.test_labels)  # noqa: E731
    batches = shuffled((data.images[:960], data.labels[:960]), 48, seed)
    return Task(model, loss, batches, quality, held_out, before, starts)


def attacked_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("right", 0.1, 3e-3, 0.1, 16, 20), attacked)
    given = {"lr": 3e-3, "epochs": 22}
    further = lambda seed: attacked(seed, reach=lambda epoch: min(epoch, 20) / 80)  # noqa: E731
    yield trained("further", "attacks reach further epoch by epoch", ("right", 0.1), further, **given)
    sudden = lambda seed: attacked(seed, reach=lambda epoch: 0.0 if epoch < 12 else 0.2, starts=(12,))  # noqa: E731
    yield trained("sudden", "no attacks, and far ones from epoch 12 on", ("right", 0.1), sudden, **given)
    single = lambda seed: attacked(seed, steps=1, reach=lambda epoch: 0.15)  # noqa: E731
    yield trained("single", "attacks of one large step", ("right", 0.1), single, **given)
    late = {"schedule": lambda epoch, step: 200.0 if epoch >= 14 else 1.0, **given}
    yield trained("further-jump", "ever further, 200 times the rate from epoch 14 on", ("right", 0.1), further, **late)


class Process(nn.Module):
    """A Gaussian process on what a network makes of its inputs (A. Wilson et al., Deep kernel learning, 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = mlp(3, 24, width) if width else nn.Identity()
        self.logs = nn.Parameter(torch.tensor([0.0, 0.0, -1.0]))  # of length, height and noise

    def kernel(self, a: Tensor, b: Tensor) -> Tensor:
        far = ((self.net(a)[:, None] - self.net(b)) ** 2).sum(2).float()
        return (2 * self.logs[1]).exp() * (-0.5 * far * (-2 * self.logs[0]).exp()).exp()

    def factor(self, x: Tensor) -> Tensor:
        noise = (2 * self.logs[2]).exp() + 1e-4
        return torch.linalg.cholesky_ex(self.kernel(x, x) + noise * torch.eye(len(x)))[0]

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Minus the log marginal likelihood of a value."""
        low = self.factor(x)
        solved = torch.linalg.solve_triangular(low, y[:, None], upper=False)
        logs = low.diagonal().log().sum()
        return (0.5 * (solved**2).sum() + logs) / len(x) + 0.5 * math.log(2 * math.pi)

    def said(self, x: Tensor, y: Tensor, new: Tensor) -> Tensor:
        return (self.kernel(new, x) @ torch.cholesky_solve(y[:, None], self.factor(x)))[:, 0]


def processes(
    seed: int,
    *,
    width: int = 4,
    noise: float = 0.05,
    rough: Callable[[int], float] = lambda epoch: 0.0,
    count: int = 640,
) -> Task:
    """Points of a surface in three dimensions; of what is not explained, some is taken for noise."""
    model, now = Process(width), {"epoch": 1}
    random = torch.Generator().manual_seed(15)
    x = 4 * torch.rand(800, 3, generator=random) - 2
    clean = (2 * x[:, 0]).sin() * x[:, 1] + (x[:, 2] > 0).float()
    y = clean + noise * torch.randn(800, generator=random)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return model(x, y + rough(now["epoch"]) * torch.randn(len(y)))

    def quality() -> float:
        off = ((model.said(x[:200], y[:200], x[640:]) - clean[640:]) ** 2).mean().sqrt()
        return -min(float(off), 1e6) if bool(off.isfinite()) else -1e6

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(
        model, loss, shuffled((x[:count], y[:count]), 40, seed), quality, lambda: loss(x[640:], y[640:]), before
    )


def processes_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_error", 0.05, 1e-2, 0.01, 20, 16), processes)
    given = {"lr": 1e-2, "epochs": 26}
    bare = lambda seed: processes(seed, width=0)  # noqa: E731
    yield trained("bare", "no network, three numbers to be found", ("minus_error", 0.02), bare, lr=0.05, epochs=26)
    exact = lambda seed: processes(seed, noise=0.0)  # noqa: E731
    yield trained("exact", "no noise at all", ("minus_error", 0.05), exact, **given)
    rough = lambda seed: processes(seed, rough=lambda epoch: 0.0 if epoch < 14 else 0.7)  # noqa: E731
    yield trained("rough", "much noise from epoch 14 on", ("minus_error", 0.05), rough, **given)
    few = lambda seed: processes(seed, count=40, width=8)  # noqa: E731
    yield trained("few", "forty points only, 150 epochs", ("minus_error", 0.05), few, lr=1e-2, epochs=150)
    late = {"schedule": lambda epoch, step: 50.0 if epoch >= 16 else 1.0, "optimizer": "momentum", "epochs": 24}
    how = "SGD with momentum, 0.01, 50 times as much from epoch 16 on"
    yield trained("exact-momentum", how, ("minus_error", 0.05), exact, lr=0.01, seed=33, **late)


class Belief(nn.Module):
    """A normal distribution over the weights of a regression, and over the logarithm of their spread."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.means = nn.Parameter(0.1 * torch.randn(width + 1))
        self.logs = nn.Parameter(torch.full((width + 1,), -1.0))

    def drawn(self, count: int) -> Tensor:
        return self.means + self.logs.exp() * torch.randn(count, len(self.means))


def variational(
    seed: int,
    *,
    prior: Callable[[int], float] = lambda epoch: 1.0,
    draws: int = 4,
    size: int = 40,
    wide: float = 1.0,
) -> Task:
    """Weights of a logistic regression that share an unknown spread: the evidence's lower bound, of all that is known.

    The prior of weights, given the logarithm of their spread, is a funnel (R. Neal, Annals of Statistics 31:705, 2003).
    """
    model, now = Belief(10), {"epoch": 1}
    random = torch.Generator().manual_seed(16)
    truth = 2 * torch.randn(10, generator=random)
    x = wide * torch.randn(800, 10, generator=random)
    y = (torch.rand(800, generator=random) < (x @ truth / wide).sigmoid()).float()

    def loss(x: Tensor, y: Tensor) -> Tensor:
        all_ = model.drawn(draws)
        weights, log = all_[:, :10], all_[:, 10]
        fits = functional.binary_cross_entropy_with_logits(
            x @ weights.T, y[:, None].expand(-1, draws), reduction="none"
        )
        funnel = 0.5 * (weights**2).sum(1) * (-2 * log).exp() + 10 * log + 0.5 * log**2
        unsure = model.logs.sum()
        return fits.mean(1).sum() * 640 / len(x) + prior(now["epoch"]) * (funnel.mean() - unsure)

    def quality() -> float:
        """Minus the cross entropy of what the mean says of others."""
        off = functional.binary_cross_entropy_with_logits(x[640:] @ model.means[:10], y[640:])
        return -min(float(off), 1e6)

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, shuffled((x[:640], y[:640]), size, seed), quality, lambda: loss(x[640:], y[640:]), before)


def variational_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_entropy", 0.1, 2e-2, 1e-4, 20, 16), variational)
    given = {"lr": 2e-2, "epochs": 26}
    annealed = lambda seed: variational(seed, prior=lambda epoch: max(1e-3, min(epoch - 10, 5) / 5))  # noqa: E731
    yield trained("annealed", "the prior gets its weight from epoch 11 on", ("minus_entropy", 0.1), annealed, **given)
    one = lambda seed: variational(seed, draws=1, size=10)  # noqa: E731
    yield trained("one", "one draw, ten of 640 at a time", ("minus_entropy", 0.1), one, **given)
    strong = lambda seed: variational(seed, prior=lambda epoch: 1.0 if epoch < 14 else 30.0)  # noqa: E731
    yield trained("strong", "a prior thirtyfold from epoch 14 on", ("minus_entropy", 0.1), strong, **given)
    wide = lambda seed: variational(seed, wide=30.0)  # noqa: E731
    yield trained("wide", "inputs thirty times as large", ("minus_entropy", 0.1), wide, lr=2e-3, epochs=26)
    late = {"schedule": lambda epoch, step: 100.0 if epoch >= 16 else 1.0, "optimizer": "momentum", "epochs": 24}
    how = "inputs thirty times as large, SGD with momentum, 1e-6, a hundred times as much from epoch 16 on"
    yield trained("wide-momentum", how, ("minus_entropy", 0.1), wide, lr=1e-6, seed=34, **late)
