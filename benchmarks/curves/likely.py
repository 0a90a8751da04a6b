"""Likelihoods (`mixtures`, `survival`, `ctc`), `energies`, `codes`, `pruning`, and two losses at once (`several`)."""

import math
from collections.abc import Callable, Iterator

import torch
from labelling import Setup
from loop import Batch, digits, mlp, shuffled
from menu import Task, Usual, trained, usual_setups
from torch import Tensor, nn
from torch.nn import functional


class Mixture(nn.Module):
    """Normal distributions with diagonal covariance."""

    def __init__(self, parts: int, width: int) -> None:
        super().__init__()
        self.means = nn.Parameter(0.5 * torch.randn(parts, width))
        self.logs, self.weights = nn.Parameter(torch.zeros(parts, width)), nn.Parameter(torch.zeros(parts))

    def forward(self, x: Tensor) -> Tensor:
        """Minus log likelihood (N,), in nats."""
        z = (x[:, None] - self.means) * (-self.logs).exp()
        each = -0.5 * (z**2).sum(2) - self.logs.sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)
        return -(each + self.weights.log_softmax(0)).logsumexp(1)


def mixtures(
    seed: int, *, spread: float = 0.05, stray: float = 0.0, floor: Callable[[int], float] | None = None
) -> Task:
    """Points in five heaps; some of them stray far; `floor` adds noise to them, by epoch."""
    model, now = Mixture(8, 6), {"epoch": 1}
    random = torch.Generator().manual_seed(11)
    heaps = 2 * torch.rand(5, 6, generator=random) - 1
    points = heaps[torch.arange(1000) % 5] + spread * torch.randn(1000, 6, generator=random)

    def loss(x: Tensor) -> Tensor:
        if stray:
            x = torch.where(torch.rand(len(x), 1) < stray, 5 * torch.randn_like(x), x)
        if floor:
            x = x + floor(now["epoch"]) * torch.randn_like(x)
        return model(x).mean()

    def quality() -> float:
        """How near each heap has a mean."""
        far = (heaps[:, None] - model.means).norm(dim=2).amin(1).mean()
        return -min(float(far), 1e6)

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, shuffled((points,), 50, seed), quality, lambda: model(points[:200]).mean(), before)


def mixtures_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_distance", 0.05, 1e-2, 1e-2, 20, 20), mixtures)
    given = {"lr": 1e-2, "epochs": 30}
    narrow = lambda seed: mixtures(seed, spread=0.002)  # noqa: E731
    yield trained(
        "narrow", "heaps so narrow that the loss falls to -20 and below", ("minus_distance", 0.05), narrow, **given
    )
    stray = lambda seed: mixtures(seed, stray=0.03)  # noqa: E731
    yield trained("stray", "three points of a hundred lie anywhere", ("minus_distance", 0.05), stray, **given)
    sharper = lambda seed: mixtures(seed, floor=lambda epoch: 0.8 * 0.85**epoch)  # noqa: E731
    yield trained("sharper", "noise on the points that falls to nothing", ("minus_distance", 0.05), sharper, **given)


def energies(seed: int, *, moves: int = 10, limit: float = 0.1, kept: float = 0.95) -> Task:
    """Low energy where points are, on a ring, and high where Langevin's walk ends: two means, one minus the other."""
    model = nn.Sequential(nn.Linear(2, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 1))
    walkers = {"now": 3 * torch.rand(256, 2, generator=torch.Generator().manual_seed(seed)) - 1.5}

    def ring(count: int, random: torch.Generator) -> Tensor:
        angle = 2 * math.pi * torch.rand(count, generator=random)
        place = torch.stack([angle.cos(), angle.sin()], 1)
        return place + 0.05 * torch.randn(count, 2, generator=random)

    def walked(places: Tensor, random: torch.Generator, steps: int) -> Tensor:
        for _ in range(steps):
            places = places.detach().requires_grad_(True)
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(model(places).sum(), places)
            step = 0.05 * slope.clamp(-3, 3).nan_to_num(0.0)
            places = (places - step + 0.05 * torch.randn(places.shape, generator=random)).clamp(-3, 3)
        return places.detach()

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        for _ in range(14):
            rows = torch.randperm(256, generator=random)[:64]
            fresh = torch.rand(64, 1, generator=random) > kept
            begin = torch.where(fresh, 3 * torch.rand(64, 2, generator=random) - 1.5, walkers["now"][rows])
            walkers["now"][rows] = walked(begin, random, moves)
            yield ring(64, random), walkers["now"][rows]

    def loss(real: Tensor, walked_: Tensor) -> Tensor:
        low, high = model(real), model(walked_)
        return low.mean() - high.mean() + limit * ((low**2).mean() + (high**2).mean())

    def quality() -> float:
        """How far from the ring walks end that begin anywhere."""
        random = torch.Generator().manual_seed(4)
        ends = walked(3 * torch.rand(200, 2, generator=random) - 1.5, random, 60)
        if not bool(model(ends).isfinite().all()):
            return -10.0
        return -float((ends.norm(dim=1) - 1).abs().mean())

    return Task(model, loss, batches, quality)


def energies_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_distance", 0.03, 3e-3, 0.02, 18, 14), energies)
    free = lambda seed: energies(seed, limit=0.001)  # noqa: E731
    yield trained("free", "next to nothing keeps energies small", ("minus_distance", 0.03), free, lr=3e-3, epochs=30)
    fresh = lambda seed: energies(seed, kept=0.0, moves=20)  # noqa: E731
    yield trained("fresh", "each walk begins anew", ("minus_distance", 0.03), fresh, lr=3e-3, epochs=20)
    short = lambda seed: energies(seed, moves=3)  # noqa: E731
    yield trained("short", "short walks", ("minus_distance", 0.03), short, lr=3e-3, epochs=30)


def survival(seed: int, *, size: Callable[[int], int] = lambda epoch: 40, count: int = 800, **net: object) -> Task:
    """Cox's partial likelihood: who of those alive dies next; its loss falls by little, whatever is learned."""
    random = torch.Generator().manual_seed(8)
    x = torch.randn(1200, 8, generator=random)
    risk = 1.5 * x[:, 0] - x[:, 1] + x[:, 2] * x[:, 3]
    times = -torch.rand(1200, generator=random).log() / risk.exp()
    dies = torch.rand(1200, generator=random) < 0.7
    model = mlp(8, *(net.get("widths", (32,))), 1)  # type: ignore[misc]

    def loss(x: Tensor, times: Tensor, dies: Tensor) -> Tensor:
        scores = model(x)[times.argsort(descending=True), 0]
        left = scores.logcumsumexp(0)
        return (left - scores)[dies[times.argsort(descending=True)]].mean()

    def quality() -> float:
        """How many pairs are in the right order."""
        scores = model(x[800:])[:, 0]
        if not bool(scores.isfinite().all()):
            return 0.5
        sooner = times[800:, None] < times[None, 800:]
        return float((scores[:, None] > scores[None, :])[sooner].float().mean())

    batches = lambda epoch: shuffled((x[:count], times[:count], dies[:count]), size(epoch), seed)(epoch)  # noqa: E731
    return Task(model, loss, batches, quality, lambda: loss(x[800:], times[800:], dies[800:]))


def survival_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("concordance", 0.05, 3e-3, 0.01, 20, 20), survival)
    few = lambda seed: survival(seed, count=80)  # noqa: E731
    yield trained("few", "80 of them, learned by heart in 150 epochs", ("concordance", 0.05), few, lr=1e-2, epochs=150)
    grown = lambda seed: survival(seed, size=lambda epoch: 10 if epoch < 10 else 400)  # noqa: E731
    yield trained(
        "grown", "batches of 10, and of 400 from epoch 10 on", ("concordance", 0.05), grown, lr=3e-3, epochs=40
    )
    deep = lambda seed: survival(seed, widths=(64, 64, 64))  # noqa: E731
    yield trained("deep", "three layers", ("concordance", 0.05), deep, lr=3e-3, epochs=30)
    far = {"schedule": lambda epoch, step: 300.0 if epoch >= 12 else 1.0, "epochs": 20}
    yield trained(
        "deep-jump", "three layers, 300 times the rate from epoch 12 on", ("concordance", 0.05), deep, lr=3e-3, **far
    )


class Listener(nn.Module):
    """Hears sounds from both sides, and says at each time which sign it heard, or none."""

    def __init__(self, sounds: int, signs: int) -> None:
        super().__init__()
        self.core = nn.GRU(sounds, 24, batch_first=True, bidirectional=True)
        self.out = nn.Linear(48, signs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.core(x)[0])


def ctc(seed: int, *, noise: float = 0.3, signs: Callable[[int], int] = lambda epoch: 3) -> Task:
    """Signs in noise, at times not told: connectionist temporal classification (A. Graves et al., ICML 2006)."""
    model = Listener(8, 6)
    shapes = torch.randn(5, 8, generator=torch.Generator().manual_seed(6))

    def heard(count: int, many: int, random: torch.Generator) -> Batch:
        wanted = torch.randint(0, 5, (count, many), generator=random)
        x = noise * torch.randn(count, 12, 8, generator=random)
        gap = 12 // many
        for place in range(many):
            when = place * gap + torch.randint(0, gap, (count,), generator=random)
            x[torch.arange(count), when] += shapes[wanted[:, place]]
        return x, wanted + 1

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        return (heard(24, signs(epoch), random) for _ in range(14))

    def loss(x: Tensor, wanted: Tensor) -> Tensor:
        logs = model(x).float().log_softmax(2).transpose(0, 1)
        lengths = torch.full((len(x),), 12), torch.full((len(x),), wanted.shape[1])
        return functional.ctc_loss(logs, wanted, *lengths)

    def quality() -> float:
        """How many are written down without a mistake in any place, on average."""
        x, wanted = heard(150, 3, torch.Generator().manual_seed(9))
        logits = model(x)
        if not bool(logits.isfinite().all()):
            return 0.0
        right = 0
        for found, truth in zip(logits.argmax(2).tolist(), wanted.tolist(), strict=True):
            said = [sign for i, sign in enumerate(found) if sign and (i == 0 or sign != found[i - 1])]
            right += sum(a == b for a, b in zip(said, truth, strict=False)) if len(said) <= 4 else 0
        return right / 450

    return Task(model, loss, batches, quality)


def ctc_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("right", 0.1, 1e-2, 0.1, 14, 14), ctc)
    loud = lambda seed: ctc(seed, noise=0.7)  # noqa: E731
    yield trained("loud", "much noise", ("right", 0.1), loud, lr=1e-2, epochs=20)
    more = lambda seed: ctc(seed, signs=lambda epoch: 1 if epoch < 8 else 3)  # noqa: E731
    yield trained("more", "one sign to be heard, and three from epoch 8 on", ("right", 0.1), more, lr=1e-2, epochs=20)


class Coder(nn.Module):
    """A code of four letters for an image, each from a book of its own (A. van den Oord et al., NeurIPS 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = mlp(64, 64, 16), mlp(16, 64, 64)
        self.books = nn.Parameter(0.3 * torch.randn(4, 16, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The image again, what was to be coded, and its code."""
        wanted = self.enter(x).view(-1, 4, 4)
        far = ((wanted[:, :, None] - self.books) ** 2).sum(3).nan_to_num(1e9)
        code = self.books[torch.arange(4), far.argmin(2)]
        return self.leave((wanted + (code - wanted).detach()).flatten(1)), wanted, code


def codes(seed: int, *, bound: Callable[[int], float] = lambda epoch: 0.25, noise: float = 0.0) -> Task:
    model, data, now = Coder(), digits(), {"epoch": 1}

    def loss(x: Tensor) -> Tensor:
        seen, wanted, code = model(x + noise * torch.randn_like(x))
        near = ((code - wanted.detach()) ** 2).mean() + bound(now["epoch"]) * ((wanted - code.detach()) ** 2).mean()
        return ((seen - x) ** 2).mean() + near

    def quality() -> float:
        seen = model(data.test_images)[0]
        return -min(float(((seen - data.test_images) ** 2).mean().sqrt()), 1e6)

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, shuffled((data.images[:960],), 48, seed), quality, lambda: loss(data.test_images), before)


def codes_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_error", 0.02, 2e-3, 0.3, 20, 20), codes)
    bound = lambda seed: codes(seed, bound=lambda epoch: 0.1 if epoch < 12 else 4.0)  # noqa: E731
    yield trained(
        "bound", "codes bind forty times as much from epoch 12 on", ("minus_error", 0.02), bound, lr=2e-3, epochs=24
    )
    noisy = lambda seed: codes(seed, noise=0.5)  # noqa: E731
    yield trained("noisy", "images with noise, to be cleaned", ("minus_error", 0.02), noisy, lr=2e-3, epochs=24)


class Pruned(nn.Module):
    """A classifier whose smallest weights are taken out, and whose weights and activations are rounded."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)])
        self.kept = [torch.ones_like(layer.weight) for layer in self.layers]  # type: ignore[arg-type]
        self.bits = 0

    def prune(self, share: float) -> None:
        for i, layer in enumerate(self.layers):
            sizes = layer.weight.detach().abs()  # type: ignore[union-attr, operator]
            self.kept[i] = (sizes >= torch.nan_to_num(sizes).flatten().quantile(share)).float()

    def rounded(self, x: Tensor) -> Tensor:
        if not self.bits:
            return x
        most = x.detach().abs().amax() + 1e-12
        steps = 2 ** (self.bits - 1) - 1
        return x + ((x / most * steps).round() * most / steps - x).detach()

    def forward(self, x: Tensor) -> Tensor:
        for i, (layer, kept) in enumerate(zip(self.layers, self.kept, strict=True)):
            x = functional.linear(x, self.rounded(layer.weight * kept), layer.bias)  # type: ignore[operator, arg-type]
            x = self.rounded(functional.relu(x)) if i < 2 else x
        return x


def pruning(seed: int, *, shares: tuple[tuple[int, float], ...] = ((8, 0.6),), bits: tuple[int, int] = (99, 0)) -> Task:
    """Digits; from the epochs given on, a share of weights is taken out, or all are rounded to so many bits."""
    model, data = Pruned(), digits()

    def before(epoch: int) -> None:
        for when, share in shares:
            if epoch == when:
                model.prune(share)
        if epoch == bits[0]:
            model.bits = bits[1]

    def quality() -> float:
        logits = model(data.test_images)
        right = (logits.argmax(1) == data.test_labels).float().mean()
        return float(right) if bool(logits.isfinite().all()) else 0.0

    loss = lambda x, y: functional.cross_entropy(model(x), y)  # noqa: E731
    batches = shuffled((data.images[:960], data.labels[:960]), 40, seed)
    starts = tuple(epoch for epoch, _ in (*shares, bits) if epoch < 99)
    return Task(model, loss, batches, quality, lambda: loss(data.test_images, data.test_labels), before, starts)


def pruning_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("accuracy", 0.1, 2e-3, 0.05, 18, 24), pruning)
    given = {"lr": 2e-3, "epochs": 24}
    hard = lambda seed: pruning(seed, shares=((12, 0.95),))  # noqa: E731
    yield trained("hard", "19 weights of 20 are taken out at once", ("accuracy", 0.1), hard, **given)
    often = lambda seed: pruning(seed, shares=tuple((6 + 3 * i, 0.5 + 0.1 * i) for i in range(5)))  # noqa: E731
    yield trained("often", "a half of the weights is taken out, then more and more", ("accuracy", 0.1), often, **given)
    coarse = lambda seed: pruning(seed, shares=(), bits=(10, 3))  # noqa: E731
    yield trained("coarse", "weights of three bits from epoch 10 on", ("accuracy", 0.1), coarse, **given)


class Several(nn.Module):
    """One body, two heads, and the logarithms of two variances."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.classes, self.sizes = mlp(64, 64, 32), nn.Linear(32, 10), nn.Linear(32, 2)
        self.logs = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        inside = functional.relu(self.body(x))
        return self.classes(inside), self.sizes(inside)


def several(
    seed: int,
    *,
    weights: Callable[[int], tuple[float, float]] = lambda epoch: (1.0, 1.0),
    learned: bool = False,
    starts: tuple[int, ...] = (),
) -> Task:
    """Which digit it is, and how much ink in either half; two losses, of weights that change or are learned."""
    model, data, now = Several(), digits(), {"epoch": 1}
    ink = lambda x: 5 * torch.stack([x[:, :32].mean(1), x[:, 32:].mean(1)], 1)  # noqa: E731

    def loss(x: Tensor, y: Tensor) -> Tensor:
        classes, sizes = model(x)
        a, b = functional.cross_entropy(classes, y), functional.mse_loss(sizes, ink(x))
        if learned:
            return a * (-model.logs[0]).exp() + b * (-model.logs[1]).exp() + model.logs.sum()
        first, second = weights(now["epoch"])
        return first * a + second * b

    def quality() -> float:
        classes, sizes = model(data.test_images)
        if not bool(classes.isfinite().all() and sizes.isfinite().all()):
            return 0.0
        wanted = ink(data.test_images)
        rest = float(((sizes - wanted) ** 2).mean() / wanted.var(0).mean())
        return float((classes.argmax(1) == data.test_labels).float().mean()) + max(1 - rest, 0.0)

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    batches = shuffled((data.images[:960], data.labels[:960]), 40, seed)
    held_out = lambda: loss(data.test_images, data.test_labels)  # noqa: E731
    return Task(model, loss, batches, quality, held_out, before, starts)


def several_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("both", 0.1, 3e-3, 0.05, 18, 24), several)
    given = {"lr": 3e-3, "epochs": 24}
    learned = lambda seed: several(seed, learned=True)  # noqa: E731
    yield trained(
        "learned", "weights that are learned, so that the loss falls below 0", ("both", 0.1), learned, **given
    )
    late = {"schedule": lambda epoch, step: 100.0 if epoch >= 16 else 1.0, **given}
    yield trained(
        "learned-jump", "the same, 100 times the learning rate from epoch 16 on", ("both", 0.1), learned, **late
    )
    second = lambda seed: several(seed, weights=lambda epoch: (1.0, 0.0 if epoch < 12 else 30.0), starts=(12,))  # noqa: E731
    yield trained("second", "the second loss counts from epoch 12 on, thirtyfold", ("both", 0.1), second, **given)
    moved = lambda seed: several(seed, weights=lambda epoch: (0.05 + epoch / 5, 3.0))  # noqa: E731
    yield trained("moved", "the first loss weighs ever more, twentyfold in the end", ("both", 0.1), moved, **given)
