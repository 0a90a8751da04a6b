"""Models with a structure of their own: `pointing`, `segmenting`, `implicit`, `spiking`, `experts`, `automata`."""

from collections.abc import Callable, Iterator
from functools import cache

import torch
from labelling import Setup
from loop import Batch, digits, mlp, shuffled
from menu import Task, Usual, trained, usual_setups
from torch import Tensor, nn
from torch.nn import functional


class Pointer(nn.Module):
    """Points at one number after the other (O. Vinyals et al., Pointer networks, NeurIPS 2015)."""

    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.masked = masked
        self.enter, self.core = mlp(1, 32, 32), nn.GRUCell(32, 32)
        self.key, self.query = nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, numbers: Tensor, wanted: Tensor | None, heat: float = 1.0) -> Tensor:
        """Logits (N, places, numbers); what has been pointed at is `wanted`, or else the likeliest."""
        seen = self.enter(numbers[..., None])
        state, last, found = seen.mean(1), torch.zeros(len(numbers), 32), []
        taken = torch.zeros(numbers.shape, dtype=torch.bool)
        rows = torch.arange(len(numbers))
        for place in range(numbers.shape[1]):
            state = self.core(last, state)
            logits = (self.key(seen) * self.query(state)[:, None]).sum(2) / (5.7 * heat)
            found.append(logits.masked_fill(taken, -1e4) if self.masked else logits)
            chosen = found[-1].argmax(1) if wanted is None else wanted[:, place]
            last, taken = seen[rows, chosen], taken.clone()
            taken[rows, chosen] = True
        return torch.stack(found, 1)


def pointing(
    seed: int,
    *,
    count: Callable[[int], int] = lambda epoch: 6,
    heat: Callable[[int], float] = lambda epoch: 1.0,
    masked: bool = True,
    wide: float = 1.0,
    starts: tuple[int, ...] = (),
) -> Task:
    """Numbers are put in the order of what swings with them, by pointing at them."""
    model, now = Pointer(masked), {"epoch": 1}

    def numbers(rows: int, epoch: int, random: torch.Generator) -> Batch:
        some = torch.rand(rows, count(epoch), generator=random) * wide
        return some, (7 * some / wide).sin().argsort(1)

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        return (numbers(48, epoch, random) for _ in range(16))

    def loss(some: Tensor, wanted: Tensor) -> Tensor:
        logits = model(some, wanted, heat(now["epoch"]))
        return functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())

    def quality() -> float:
        some, wanted = numbers(200, 10**6, torch.Generator().manual_seed(3))
        logits = model(some, None)
        right = (logits.argmax(2) == wanted).float().mean()
        return float(right) if bool(logits.isfinite().all()) else 0.0

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, batches, quality, before=before, starts=starts)


def pointing_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("right", 0.1, 5e-3, 0.3, 18, 16), pointing)
    given = {"lr": 5e-3, "epochs": 24}
    more = lambda seed: pointing(seed, count=lambda epoch: 3 if epoch < 10 else 8, starts=(10,))  # noqa: E731
    yield trained("more", "three numbers, and eight from epoch 10 on", ("right", 0.1), more, **given)
    cold = lambda seed: pointing(seed, heat=lambda epoch: max(0.05, 0.85**epoch))  # noqa: E731
    yield trained("colder", "a temperature that falls to a twentieth", ("right", 0.1), cold, **given)
    twice = lambda seed: pointing(seed, masked=False)  # noqa: E731
    yield trained("twice", "it may point at a number twice", ("right", 0.1), twice, **given)
    late = {"schedule": lambda epoch, step: 100.0 if epoch >= 15 else 1.0, **given}
    yield trained("twice-jump", "the same, 100 times the rate from epoch 15 on", ("right", 0.1), twice, **late)
    wide = lambda seed: pointing(seed, wide=100.0)  # noqa: E731
    yield trained("wide", "numbers up to a hundred, as they are", ("right", 0.1), wide, **given)


class Net(nn.Module):
    """Down, up, and across (O. Ronneberger et al., U-Net, MICCAI 2015)."""

    def __init__(self, normalized: bool) -> None:
        super().__init__()

        def part(i: int, o: int) -> nn.Sequential:
            between = [nn.BatchNorm2d(o)] if normalized else []
            return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), *between, nn.ReLU())

        self.down, self.low, self.up, self.out = part(1, 8), part(8, 16), part(24, 8), nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        high = self.down(x)
        low = functional.interpolate(self.low(functional.max_pool2d(high, 2)), scale_factor=2.0)
        return self.out(self.up(torch.cat([high, low], 1)))[:, 0]


@cache
def shapes() -> tuple[Tensor, Tensor]:
    """Discs in noise (400, 1, 16, 16), and where they are (400, 16, 16)."""
    random = torch.Generator().manual_seed(12)
    place = torch.stack(torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij"))
    centre = 3 + 10 * torch.rand(400, 2, 1, 1, generator=random)
    size = 2 + 2.5 * torch.rand(400, 1, 1, generator=random)
    inside = (((place - centre) ** 2).sum(1).sqrt() < size).float()
    noise = torch.randn(400, 16, 16, generator=random)
    light = 1 + torch.rand(400, 1, 1, generator=random)
    return (inside * light + 0.8 * noise)[:, None], inside


def segmenting(
    seed: int,
    *,
    size: int = 4,
    normalized: bool = True,
    dice: Callable[[int], float] = lambda epoch: 1.0,
    positive: float = 1.0,
) -> Task:
    """Which pixels are of the disc: cross entropy, and Dice's loss with a weight; batches of few images."""
    model, now = Net(normalized), {"epoch": 1}
    images, inside = shapes()

    def loss(x: Tensor, y: Tensor) -> Tensor:
        logits = model(x)
        likely = logits.sigmoid()
        overlap = 2 * (likely * y).sum((1, 2)) / (likely.sum((1, 2)) + y.sum((1, 2)) + 1)
        entropy = functional.binary_cross_entropy_with_logits(logits, y, pos_weight=torch.tensor(positive))
        return entropy + dice(now["epoch"]) * (1 - overlap.mean())

    def quality() -> float:
        """Intersection over union."""
        model.eval()
        logits = model(images[300:])
        model.train()
        if not bool(logits.isfinite().all()):
            return 0.0
        found, wanted = logits > 0, inside[300:] > 0
        return float((found & wanted).sum() / (found | wanted).sum())

    def held_out() -> Tensor:
        model.eval()
        value = loss(images[300:], inside[300:])
        model.train()
        return value

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, shuffled((images[:96], inside[:96]), size, seed), quality, held_out, before)


def segmenting_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("overlap", 0.1, 3e-3, 0.05, 14, 24), segmenting)
    given = {"lr": 3e-3, "epochs": 20}
    two = lambda seed: segmenting(seed, size=2)  # noqa: E731
    yield trained("two", "normalized over two images at a time", ("overlap", 0.1), two, **given)
    bare = lambda seed: segmenting(seed, normalized=False)  # noqa: E731
    yield trained("bare", "nothing is normalized", ("overlap", 0.1), bare, **given)
    late = {"schedule": lambda epoch, step: 100.0 if epoch >= 12 else 1.0, **given}
    yield trained("bare-jump", "the same, 100 times the rate from epoch 12 on", ("overlap", 0.1), bare, **late)
    ever = lambda seed: segmenting(seed, dice=lambda epoch: epoch / 4)  # noqa: E731
    yield trained("ever-more", "Dice's loss weighs ever more", ("overlap", 0.1), ever, **given)
    few = lambda seed: segmenting(seed, positive=20.0)  # noqa: E731
    yield trained("rare", "pixels of discs weigh twentyfold", ("overlap", 0.1), few, **given)


class Fixed(nn.Module):
    """A layer that is repeated until it changes nothing, learned by its last steps (S. Bai et al., NeurIPS 2019)."""

    def __init__(self, spread: float, repeats: int, bounded: bool) -> None:
        super().__init__()
        self.enter, self.out = nn.Linear(64, 48), nn.Linear(48, 10)
        self.core = nn.Parameter(spread * torch.randn(48, 48) / 48**0.5)
        self.repeats, self.bounded = repeats, bounded

    def forward(self, x: Tensor) -> Tensor:
        fed, state = self.enter(x), torch.zeros(len(x), 48)
        for step in range(self.repeats):
            new = state @ self.core + fed
            state = torch.tanh(new) if self.bounded else functional.relu(new)
            state = state.detach() if step < self.repeats - 5 else state
        return self.out(state)


def implicit(seed: int, *, spread: float = 0.4, repeats: int = 25, bounded: bool = False, noise: float = 0.0) -> Task:
    model, data = Fixed(spread, repeats, bounded), digits()
    random = torch.Generator().manual_seed(seed)
    wrong = torch.rand(960, generator=random) < noise
    labels = torch.where(wrong, torch.randint(0, 10, (960,), generator=random), data.labels[:960])

    def quality() -> float:
        logits = model(data.test_images)
        right = (logits.argmax(1) == data.test_labels).float().mean()
        return float(right) if bool(logits.isfinite().all()) else 0.0

    loss = lambda x, y: functional.cross_entropy(model(x), y)  # noqa: E731
    held_out = lambda: loss(data.test_images, data.test_labels)  # noqa: E731
    return Task(model, loss, shuffled((data.images[:960], labels), 48, seed), quality, held_out)


def implicit_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("accuracy", 0.1, 2e-3, 0.02, 16, 20), implicit)
    given = {"lr": 2e-3, "epochs": 20}
    bounded = lambda seed: implicit(seed, bounded=True)  # noqa: E731
    yield trained("bounded", "tanh in each repeat", ("accuracy", 0.1), bounded, **given)
    late = {"schedule": lambda epoch, step: 200.0 if epoch >= 10 else 1.0, **given}
    yield trained("bounded-jump", "the same, 200 times the rate from epoch 10 on", ("accuracy", 0.1), bounded, **late)
    near = lambda seed: implicit(seed, spread=0.95, repeats=40)  # noqa: E731
    how = "weights that nearly grow what they repeat, gradients clipped"
    yield trained("near", how, ("accuracy", 0.1), near, lr=5e-4, epochs=20, clip=1.0)
    noisy = lambda seed: implicit(seed, noise=0.4)  # noqa: E731
    yield trained(
        "noisy", "four labels of ten at random, learned by heart", ("accuracy", 0.1), noisy, lr=2e-3, epochs=50
    )


class Spike(torch.autograd.Function):
    """A step, with the slope of a fast sigmoid (E. Neftci et al., IEEE Signal Processing Magazine 36:51, 2019)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        (x,) = ctx.saved_tensors
        return slope / (1 + 5 * x.abs()) ** 2


class Neurons(nn.Module):
    """Neurons that leak and fire, one layer of them, and a readout that leaks."""

    def __init__(self, back: float) -> None:
        super().__init__()
        self.enter, self.out = nn.Linear(64, 80), nn.Linear(80, 10)
        self.back = nn.Parameter(back * torch.randn(80, 80) / 80**0.5)
        with torch.no_grad():
            self.enter.weight.mul_(3.0)

    def forward(self, x: Tensor, limit: float = 1.0) -> tuple[Tensor, Tensor]:
        """Logits (N, 10), and how often they fired (N, 80)."""
        state, spikes, read, fired = torch.zeros(len(x), 80), torch.zeros(len(x), 80), 0.0, 0.0
        fed = self.enter(x)
        for _ in range(12):
            state = 0.8 * state * (1 - spikes.detach()) + fed + spikes @ self.back
            spikes = Spike.apply(state - limit)
            read = 0.9 * read + self.out(spikes)
            fired = fired + spikes / 12
        return read / 3, fired


def spiking(
    seed: int,
    *,
    back: float = 0.2,
    rare: Callable[[int], float] = lambda epoch: 0.0,
    limit: Callable[[int], float] = lambda epoch: 1.0,
) -> Task:
    model, data, now = Neurons(back), digits(), {"epoch": 1}

    def loss(x: Tensor, y: Tensor) -> Tensor:
        logits, fired = model(x, limit(now["epoch"]))
        return functional.cross_entropy(logits, y) + rare(now["epoch"]) * fired.mean()

    def quality() -> float:
        logits = model(data.test_images, limit(now["epoch"]))[0]
        right = (logits.argmax(1) == data.test_labels).float().mean()
        return float(right) if bool(logits.isfinite().all()) else 0.0

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    held_out = lambda: loss(data.test_images, data.test_labels)  # noqa: E731
    return Task(model, loss, shuffled((data.images[:800], data.labels[:800]), 40, seed), quality, held_out, before)


def spiking_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("accuracy", 0.1, 2e-3, 0.05, 16, 20), spiking)
    given = {"lr": 2e-3, "epochs": 20}
    rare = lambda seed: spiking(seed, rare=lambda epoch: 0.0 if epoch < 10 else 3.0)  # noqa: E731
    yield trained("rare", "spikes have a price from epoch 10 on", ("accuracy", 0.1), rare, **given)
    higher = lambda seed: spiking(seed, limit=lambda epoch: 0.5 + epoch / 15)  # noqa: E731
    yield trained("higher", "the threshold rises epoch by epoch", ("accuracy", 0.1), higher, **given)
    loud = lambda seed: spiking(seed, back=2.0)  # noqa: E731
    yield trained("loud", "neurons that excite each other a lot", ("accuracy", 0.1), loud, **given)
    late = {"schedule": lambda epoch, step: 300.0 if epoch >= 12 else 1.0, **given}
    yield trained("loud-jump", "the same, 300 times the rate from epoch 12 on", ("accuracy", 0.1), loud, **late)


class Experts(nn.Module):
    """Experts, and a gate that asks the likeliest of them (N. Shazeer et al., ICLR 2017)."""

    def __init__(self, asked: int) -> None:
        super().__init__()
        self.gate, self.asked = nn.Linear(12, 6), asked
        self.experts = nn.ModuleList(mlp(12, 24, 1) for _ in range(6))
        self.out = True

    def forward(self, x: Tensor, noise: float = 0.0, away: int = -1) -> tuple[Tensor, Tensor]:
        """What is answered (N,), and how much each expert is asked (6,)."""
        logits = self.gate(x) + noise * torch.randn(len(x), 6)
        if away >= 0:
            logits = logits.index_fill(1, torch.tensor([away]), -1e4)
        top, which = logits.topk(self.asked, 1)
        weights = torch.zeros_like(logits).scatter(1, which, top.softmax(1).to(logits.dtype))
        said = torch.cat([expert(x) for expert in self.experts], 1)
        return (weights * said).sum(1), logits.softmax(1).mean(0) * (weights > 0).float().mean(0)


def experts(
    seed: int,
    *,
    asked: int = 2,
    balance: Callable[[int], float] = lambda epoch: 0.1,
    noise: float = 0.0,
    away: int = 10**9,
    starts: tuple[int, ...] = (),
) -> Task:
    """A function of six pieces; experts shall be asked equally often; one goes away from an epoch on."""
    model, now = Experts(asked), {"epoch": 1}
    random = torch.Generator().manual_seed(21)
    centres, slopes = torch.randn(6, 12, generator=random), torch.randn(6, 12, generator=random)
    x = torch.randn(1200, 12, generator=random)
    piece = ((x[:, None] - centres) ** 2).sum(2).argmin(1)
    y = (x * slopes[piece]).sum(1) / 3 + 2 * (piece.float() - 2.5) + 0.1 * torch.randn(1200, generator=random)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        said, share = model(x, noise, 0 if now["epoch"] >= away else -1)
        return ((said - y) ** 2).mean() + balance(now["epoch"]) * 6 * share.sum()

    def quality() -> float:
        said = model(x[960:], 0.0, 0 if now["epoch"] >= away else -1)[0]
        return -min(float(((said - y[960:]) ** 2).mean().sqrt()), 1e6)

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    batches = shuffled((x[:960], y[:960]), 40, seed)
    return Task(model, loss, batches, quality, lambda: loss(x[960:], y[960:]), before, starts)


def experts_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_error", 0.1, 5e-3, 0.01, 16, 24), experts)
    given = {"lr": 5e-3, "epochs": 20}
    one = lambda seed: experts(seed, asked=1)  # noqa: E731
    yield trained("one", "one expert is asked at a time", ("minus_error", 0.1), one, **given)
    equal = lambda seed: experts(seed, balance=lambda epoch: 0.1 if epoch < 10 else 10.0)  # noqa: E731
    yield trained("equal", "from epoch 10 on, equality weighs a hundredfold", ("minus_error", 0.1), equal, **given)
    noisy = lambda seed: experts(seed, noise=2.0)  # noqa: E731
    yield trained("noisy", "the gate asks at random, half of the time", ("minus_error", 0.1), noisy, **given)
    gone = lambda seed: experts(seed, away=12, starts=(12,))  # noqa: E731
    yield trained("gone", "an expert goes away at epoch 12", ("minus_error", 0.1), gone, **given)


class Automaton(nn.Module):
    """Cells that look at their neighbours, and add to their state (A. Mordvintsev et al., Distill, 2020)."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.see, self.change = nn.Conv2d(8, 24, 3, padding=1), nn.Conv2d(24, 8, 1)
        with torch.no_grad():
            self.change.weight.mul_(start)
            self.change.bias.mul_(start)

    def forward(self, state: Tensor, steps: int) -> Tensor:
        for _ in range(steps):
            alive = (torch.rand(len(state), 1, 8, 8) < 0.8).float()
            state = state + alive * self.change(functional.relu(self.see(state)))
        return state


def automata(
    seed: int,
    *,
    steps: Callable[[int], int] = lambda epoch: 12,
    start: float = 0.2,
    damage: float = 0.0,
    second: int = 0,
) -> Task:
    """A digit grows from a cell in its middle that says which digit it is; another one of it from epoch `second` on."""
    model, data, now = Automaton(start), digits(), {"epoch": 1}
    first = [int((data.labels == digit).nonzero()[0]) for digit in range(4)]
    other = [int((data.labels == digit).nonzero()[5]) for digit in range(4)]

    def seeds(which: Tensor) -> Tensor:
        state = torch.zeros(len(which), 8, 8, 8)
        state[torch.arange(len(which)), 1 + which, 4, 4] = 1.0
        state[:, 6, 4, 4] = 1.0
        return state

    def wanted(which: Tensor) -> Tensor:
        rows = other if second and now["epoch"] >= second else first
        return data.images[rows][which].view(-1, 8, 8)

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        for _ in range(12):
            which = torch.randint(0, 4, (12,), generator=random)
            yield seeds(which), wanted(which)

    def loss(state: Tensor, image: Tensor) -> Tensor:
        if damage:
            state = state + damage * torch.randn(state.shape)
        return ((model(state, steps(now["epoch"]))[:, 0] - image) ** 2).mean()

    def quality() -> float:
        which = torch.arange(32) % 4
        state = torch.get_rng_state()
        torch.manual_seed(0)
        far = ((model(seeds(which), 12)[:, 0] - wanted(which)) ** 2).mean().sqrt()
        torch.set_rng_state(state)
        return -min(float(far), 1e6)

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, batches, quality, before=before, starts=(second,) if second else ())


def automata_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_error", 0.03, 3e-3, 2e-3, 20, 12), automata)
    given = {"lr": 3e-3, "epochs": 26}
    longer = lambda seed: automata(seed, steps=lambda epoch: 6 + epoch // 2)  # noqa: E731
    yield trained("longer", "ever more steps", ("minus_error", 0.03), longer, **given)
    hurt = lambda seed: automata(seed, damage=0.1)  # noqa: E731
    yield trained("damage", "cells are damaged", ("minus_error", 0.03), hurt, **given)
    other = lambda seed: automata(seed, second=14)  # noqa: E731
    yield trained("second", "other pictures from epoch 14 on", ("minus_error", 0.03), other, **given)
    large = lambda seed: automata(seed, start=1.0)  # noqa: E731
    yield trained("large", "large weights at first, gradients clipped", ("minus_error", 0.03), large, clip=1.0, **given)
    late = {"schedule": lambda epoch, step: 10.0 if epoch >= 14 else 1.0, "optimizer": "momentum", "epochs": 22}
    how = "SGD with momentum, 0.002, ten times as much from epoch 14 on, nothing clips"
    yield trained("momentum-10", how, ("minus_error", 0.03), automata, lr=2e-3, seed=31, **late)
