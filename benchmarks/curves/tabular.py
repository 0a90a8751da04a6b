"""Regression (`regression`), boosting (`boosting`), recurrent networks (`recurrent`) and factors (`factors`)."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from labelling import Recording, Setup
from loop import Batch, fit, jump, mlp, shuffled
from sklearn.datasets import load_diabetes, make_friedman1, make_hastie_10_2
from sklearn.tree import DecisionTreeRegressor
from torch import Tensor, nn
from torch.nn import functional

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squares": functional.mse_loss,
    "huber": functional.huber_loss,
    "absolute": functional.l1_loss,
    "poisson": lambda seen, wanted: functional.poisson_nll_loss(seen, wanted.clamp(min=0).round()),
}


def regression(
    name: str,
    how: str,
    *,
    tail: float | None = None,
    noise: float = 0.1,
    loss: str = "squares",
    widths: tuple[int, ...] = (10, 64, 1),
    scale: float = 1.0,
    linear: bool = False,
    gaussian: bool = False,
    seed: int = 0,
    size: int = 32,
    diverges: bool = False,
    by_step: bool = True,
    **fitted: object,
) -> Setup:
    """Friedman's first problem, with noise of Student's t where `tail` gives its degrees of freedom.

    Its inputs are `scale` times as large; `linear` takes the target to be their sum; `gaussian` learns mean and
    variance of it together.
    """

    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        random = np.random.default_rng(seed)
        x, y = make_friedman1(1600, random_state=seed)
        y = x.sum(1) if linear else (y - y.mean()) / y.std()
        errors = random.standard_t(tail, len(y)) if tail else random.standard_normal(len(y))
        inputs = torch.tensor(x * scale, dtype=torch.float32)
        clean = torch.tensor(y, dtype=torch.float32)[:, None]
        noisy = torch.tensor(y + noise * errors, dtype=torch.float32)[:, None]
        model = mlp(*widths[:-1], 2 if gaussian else 1)

        def value(inputs: Tensor, wanted: Tensor) -> Tensor:
            seen = model(inputs)
            if gaussian:
                mean, log = seen.chunk(2, 1)
                return (0.5 * (wanted - mean) ** 2 * torch.exp(-log) + 0.5 * log).mean()
            return LOSSES[loss](seen, wanted)

        def quality() -> float:
            seen = model(inputs[1200:])[:, :1]
            seen = seen.exp() if loss == "poisson" else seen
            return -min(float((seen - clean[1200:]).abs().median()), 1e9)

        fit(
            recording,
            model,
            value,
            shuffled((inputs[:1200], noisy[:1200]), size, seed),
            quality,
            validation=lambda: value(inputs[1200:], noisy[1200:]),
            **fitted,
        )

    return Setup(name, how, "minus_error", train, by_step=by_step, diverges=diverges)


def regression_setups() -> Iterator[Setup]:
    yield regression("plain", "Adam, 3e-3", lr=3e-3)
    for tail in (1.0, 1.5, 2.5):
        yield regression(
            f"tail-{tail}", f"noise of Student's t, {tail} degrees of freedom", tail=tail, lr=3e-3, epochs=30
        )
    yield regression("huber", "Huber's loss, noise of Student's t, 1 degree", tail=1.0, loss="huber", lr=3e-3)
    yield regression("poisson", "Poisson's loss", loss="poisson", lr=3e-3)
    how = "no noise, a linear target, down to rounding"
    yield regression("rounding", how, noise=0.0, linear=True, widths=(10, 1), lr=0.02, epochs=60)
    how = "no noise, a linear target, a small network, far down"
    yield regression("far-down", how, noise=0.0, linear=True, widths=(10, 32, 1), lr=0.01, epochs=60)
    for seed in (0, 1):
        how = "mean and variance together, so that the loss is negative"
        yield regression(f"gaussian-{seed}", how, seed=seed, noise=0.02, gaussian=True, lr=3e-3, epochs=40)
    yield regression("epochs", "losses by epoch, noise of Student's t", tail=1.5, lr=3e-3, epochs=40, by_step=False)
    for lr in (1.0, 3.0):
        how = f"SGD, {lr}, inputs a hundred times as large as weights expect"
        yield regression(f"scale-{lr}", how, scale=100, widths=(10, 1), optimizer="sgd", lr=lr, epochs=6, diverges=True)
    for seed, factor in enumerate((100, 300, 1000)):
        how = f"Adam, 3e-3, {factor} times as much from epoch 10 on"
        yield regression(f"jump-{factor}", how, seed=seed, lr=3e-3, schedule=jump(10, factor), epochs=16)
    how = "Adam, 3e-3, noise of Student's t, 300 times as much from epoch 10 on, losses by epoch"
    yield regression("tail-jump", how, tail=1.5, lr=3e-3, schedule=jump(10, 300), epochs=20, by_step=False)
    for factor in (20, 100):
        how = f"mean and variance together, Adam, 3e-3, {factor} times as much from epoch 25 on"
        yield regression(
            f"gaussian-jump-{factor}",
            how,
            seed=factor,
            noise=0.02,
            gaussian=True,
            lr=3e-3,
            schedule=jump(25, factor),
            epochs=35,
        )
    how = "SGD with momentum, 0.05, and 1 from epoch 10 on"
    yield regression("momentum-jump", how, optimizer="momentum", lr=0.05, schedule=jump(10, 20), epochs=16)


def boosting(
    name: str,
    how: str,
    shrinkage: Callable[[int], float],
    *,
    rounds: int = 60,
    classes: bool = False,
    converges: bool = False,
) -> Setup:
    """Trees that learn what is left of the target; an epoch is a round."""

    def train(recording: Recording) -> None:
        if classes:
            x, y = make_hastie_10_2(1600, random_state=0)
            y = (y > 0).astype(float)
        else:
            x, y = load_diabetes(return_X_y=True)
            y = (y - y.mean()) / y.std()
        split = len(x) * 3 // 4
        seen = np.zeros(len(x))

        def losses() -> np.ndarray:
            if classes:
                return np.logaddexp(0, seen) - y * seen
            return (seen - y) ** 2

        def quality() -> float:
            if classes:
                return float(((seen > 0) == (y > 0.5))[split:].mean())
            return -min(float(np.sqrt(losses()[split:].mean())), 1e9)

        recording.begin(quality())
        for i in range(1, rounds + 1):
            left = y - (1 / (1 + np.exp(-seen.clip(-50, 50))) if classes else seen)
            tree = DecisionTreeRegressor(max_depth=3, random_state=i).fit(x[:split], left[:split])
            seen += shrinkage(i) * (4 if classes else 1) * tree.predict(x)
            now = losses()
            recording.step(float(now[:split].mean()))
            recording.epoch(quality(), val_loss=float(now[split:].mean()))

    metric = "accuracy" if classes else "minus_error"
    return Setup(name, how, metric, train, by_step=False, converges=converges)


def boosting_setups() -> Iterator[Setup]:
    for rate in (0.1, 0.5, 1.0):
        yield boosting(f"squares-{rate}", f"shrinkage {rate}", lambda i, rate=rate: rate, converges=True)
        yield boosting(
            f"classes-{rate}", f"classes, shrinkage {rate}", lambda i, rate=rate: rate, classes=True, converges=True
        )
    yield boosting(
        "long", "shrinkage 0.3, 200 rounds, far beyond what is learned", lambda i: 0.3, rounds=200, converges=True
    )
    for rate in (2.1, 2.5, 4.0):
        how = f"shrinkage 0.3, and {rate} from round 20 on, beyond the 2 up to which steps shrink"
        yield boosting(f"jump-{rate}", how, lambda i, rate=rate: rate if i >= 20 else 0.3)


def explained(error: float, variance: float) -> float:
    """The share of a variance that is explained, 0 where it is no more than the mean alone explains."""
    return max(1 - error / variance, 0.0) if math.isfinite(error) else -math.inf


class Recurrent(nn.Module):
    """A plain recurrent network whose last state gives the answer."""

    def __init__(self, inputs: int, hidden: int, gain: float, kind: str) -> None:
        super().__init__()
        self.core = {"tanh": nn.RNN, "relu": nn.RNN, "gru": nn.GRU}[kind](
            inputs, hidden, batch_first=True, **({"nonlinearity": kind} if kind != "gru" else {})
        )
        self.out = nn.Linear(hidden, 1)
        if kind == "relu":
            with torch.no_grad():
                self.core.weight_hh_l0.copy_(gain * torch.eye(hidden))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.core(x)[0][:, -1])


def adding(
    name: str,
    how: str,
    kind: str = "gru",
    *,
    length: int = 15,
    gain: float = 1.0,
    seed: int = 0,
    diverges: bool = False,
    **fitted: object,
) -> Setup:
    """The sum of the two numbers of a sequence that are marked (Hochreiter and Schmidhuber's problem)."""

    def sample(count: int, random: torch.Generator) -> Batch:
        values = torch.rand(count, length, generator=random)
        marks = torch.zeros(count, length)
        places = torch.rand(count, length, generator=random).argsort(1)[:, :2]
        marks.scatter_(1, places, 1.0)
        return torch.stack([values, marks], 2), (values * marks).sum(1, keepdim=True)

    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        model = Recurrent(2, 32, gain, kind)
        test = sample(400, torch.Generator().manual_seed(0))

        def batches(epoch: int) -> Iterator[Batch]:
            random = torch.Generator().manual_seed(100 * seed + epoch)
            return (sample(50, random) for _ in range(30))

        loss = lambda x, y: functional.mse_loss(model(x), y)  # noqa: E731
        quality = lambda: explained(float(loss(*test)), float(test[1].var()))  # noqa: E731
        fit(recording, model, loss, batches, quality, validation=lambda: loss(*test), **fitted)

    return Setup(name, how, "explained", train, diverges=diverges)


def recurrent_setups() -> Iterator[Setup]:
    for seed, lr in enumerate((5e-3, 1e-2)):
        yield adding(f"gru-{lr}", f"GRU, Adam, {lr}, a plateau before it learns", seed=seed, lr=lr, epochs=24)
    yield adding("relu-clip", "ReLU from the identity, gradients clipped", "relu", lr=1e-3, epochs=20, clip=1.0)
    for seed, lr in ((3, 1e-3), (4, 3e-3)):
        how = f"ReLU from the identity, Adam, {lr}, gradients explode now and then"
        yield adding(f"relu-{lr}", how, "relu", seed=seed, lr=lr, epochs=20)
    yield adding("tanh", "tanh, Adam, 3e-3", "tanh", lr=3e-3, epochs=20)
    for kind, factor in (("gru", 100), ("gru", 300), ("tanh", 300), ("relu", 30)):
        how = f"{kind}, Adam, 5e-3, {factor} times as much from epoch 16 on"
        yield adding(f"{kind}-jump-{factor}", how, kind, length=10, lr=5e-3, schedule=jump(16, factor), epochs=22)
    for optimizer, lr in (("sgd", 0.5), ("momentum", 0.3)):
        how = f"ReLU from beyond the identity, {optimizer}, {lr}, from the first step on"
        yield adding(f"relu-{optimizer}", how, "relu", gain=1.05, optimizer=optimizer, lr=lr, epochs=10, diverges=True)


def factors(
    name: str,
    how: str,
    *,
    lr: Callable[[int], float] = lambda epoch: 0.01,
    noise: float = 0.3,
    decay: float = 0.01,
    epochs: int = 40,
    seed: int = 0,
    spread: float = 0.1,
    diverges: bool = False,
) -> Setup:
    """Ratings as products of factors of users and things, learned rating by rating; losses by epoch alone."""

    def train(recording: Recording) -> None:
        random = np.random.default_rng(seed)
        users, things, rank = 80, 60, 4
        truth = random.standard_normal((users, rank)) @ random.standard_normal((rank, things)) + 3
        known = np.argwhere(random.random((users, things)) < 0.3)
        random.shuffle(known)
        test, known = known[:400], known[400:]
        ratings = truth + noise * random.standard_normal(truth.shape)
        u, v = (spread * random.standard_normal((count, 8)) for count in (users, things))

        def error(pairs: np.ndarray) -> float:
            seen = (u[pairs[:, 0]] * v[pairs[:, 1]]).sum(1)
            return float(((seen - ratings[pairs[:, 0], pairs[:, 1]]) ** 2).mean())

        variance = float(ratings[test[:, 0], test[:, 1]].var())
        quality = lambda: explained(error(test), variance)  # noqa: E731
        with np.errstate(all="ignore"):
            recording.begin(quality())
            for epoch in range(1, epochs + 1):
                rate = lr(epoch)
                for i, j in random.permutation(known):
                    left = ratings[i, j] - u[i] @ v[j]
                    recording.step(float(left**2))
                    u[i], v[j] = u[i] + rate * (left * v[j] - decay * u[i]), v[j] + rate * (left * u[i] - decay * v[j])
                recording.epoch(quality(), val_loss=error(test))

    return Setup(name, how, "explained", train, by_step=False, diverges=diverges)


def factors_setups() -> Iterator[Setup]:
    for seed, rate in enumerate((0.003, 0.01, 0.03)):
        yield factors(f"rate-{rate}", f"SGD, {rate}", lr=lambda epoch, rate=rate: rate, seed=seed)
    yield factors("overfit", "no decay, no end", decay=0.0, lr=lambda epoch: 0.03, epochs=80, seed=4)
    how = "SGD, warm restarts at 0.06 every ten epochs"
    yield factors("restarts", how, lr=lambda epoch: 0.06 * (1 - (epoch - 1) % 10 / 10), seed=5)
    yield factors("noisy", "noise as large as what is learned", noise=3.0, seed=6)
    for rate in (0.1, 0.15, 0.25, 0.5):
        how = f"SGD, 0.02, and {rate} from epoch 15 on"
        yield factors(f"jump-{rate}", how, lr=lambda epoch, rate=rate: rate if epoch >= 15 else 0.02, seed=7, epochs=30)
    for rate in (0.3, 1.0):
        how = f"SGD, {rate}, from the first step on"
        yield factors(f"high-{rate}", how, lr=lambda epoch, rate=rate: rate, seed=8, epochs=15, diverges=True)
