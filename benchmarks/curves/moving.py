"""Models of sequences and motions: `translating`, `physics`, tasks to be learned (`meta`), `policies`, `odes`."""

import math
from collections.abc import Callable, Iterator

import torch
from labelling import Setup
from loop import Batch, mlp
from menu import Task, Usual, trained, usual_setups
from torch import Tensor, nn
from torch.nn import functional

SIGNS = 12


class Translator(nn.Module):
    """A GRU that reads and a GRU that writes, sign by sign."""

    def __init__(self) -> None:
        super().__init__()
        self.signs = nn.Embedding(SIGNS + 1, 24)
        self.read, self.write = nn.GRU(24, 48, batch_first=True), nn.GRUCell(24, 48)
        self.out = nn.Linear(48, SIGNS)

    def forward(self, text: Tensor, wanted: Tensor, told: float) -> Tensor:
        """Logits (N, length, SIGNS); what is written next follows on what is `wanted`, with that probability."""
        state, last, found = self.read(self.signs(text))[1][0], torch.full((len(text),), SIGNS), []
        for place in range(wanted.shape[1]):
            state = self.write(self.signs(last), state)
            found.append(self.out(state))
            said = found[-1].detach().argmax(1)
            last = torch.where(torch.rand(len(text)) < told, wanted[:, place], said)
        return torch.stack(found, 1)


def translating(
    seed: int,
    *,
    told: Callable[[int], float] = lambda epoch: 1.0,
    length: Callable[[int], int] = lambda epoch: 5,
    starts: tuple[int, ...] = (),
) -> Task:
    """Write what was read from its end to its beginning."""
    model, now = Translator(), {"epoch": 1}

    def texts(count: int, epoch: int, random: torch.Generator) -> Batch:
        text = torch.randint(0, SIGNS, (count, length(epoch)), generator=random)
        return text, text.flip(1)

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        return (texts(48, epoch, random) for _ in range(18))

    def loss(text: Tensor, wanted: Tensor) -> Tensor:
        return functional.cross_entropy(model(text, wanted, told(now["epoch"])).flatten(0, 1), wanted.flatten())

    def quality() -> float:
        text, wanted = texts(200, 10**6, torch.Generator().manual_seed(7))
        logits = model(text, wanted, 0.0)
        right = (logits.argmax(2) == wanted).float().mean()
        return float(right) if bool(logits.isfinite().all()) else 0.0

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, batches, quality, before=before, starts=starts)


def translating_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("accuracy", 0.1, 5e-3, 0.3, 16, 18), translating)
    given = {"lr": 5e-3, "epochs": 24}
    less = lambda seed: translating(seed, told=lambda epoch: max(0.0, 1 - epoch / 12))  # noqa: E731
    yield trained("scheduled", "it is told ever less of what it should have written", ("accuracy", 0.1), less, **given)
    alone = lambda seed: translating(seed, told=lambda epoch: float(epoch < 12), starts=(12,))  # noqa: E731
    yield trained("alone", "from epoch 12 on it is told nothing", ("accuracy", 0.1), alone, **given)
    grown = (7, 13)
    longer = lambda seed: translating(seed, length=lambda epoch: 2 + min(epoch, 20) // 6, starts=grown)  # noqa: E731
    yield trained("longer", "two signs at first, and one more every six epochs", ("accuracy", 0.1), longer, **given)


class Smooth(nn.Module):
    """Two hidden layers of tanh."""

    def __init__(self, inputs: int = 1, width: int = 32, outputs: int = 1) -> None:
        super().__init__()
        layers = [nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)]
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def physics(
    seed: int,
    *,
    waves: float = 1.0,
    edge: Callable[[int], float] = lambda epoch: 10.0,
    until: Callable[[int], float] = lambda epoch: 1.0,
    starts: tuple[int, ...] = (),
) -> Task:
    """Solve u'' = -(pi w)^2 sin(pi w x), 0 at both ends: what is wrong with it, and at the ends, is the loss."""
    model, now = Smooth(), {"epoch": 1}
    most = math.pi * waves

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        return ((until(epoch) * torch.rand(64, 1, generator=random),) for _ in range(15))

    def loss(x: Tensor) -> Tensor:
        x = x.requires_grad_(True)
        u = model(x)
        (du,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), x, create_graph=True)
        wrong = (ddu + most**2 * torch.sin(most * x)) / most**2
        ends = model(torch.tensor([[0.0], [1.0]]))
        return (wrong**2).mean() + edge(now["epoch"]) * (ends**2).mean()

    def quality() -> float:
        x = torch.linspace(0, 1, 100)[:, None]
        return -min(float((model(x) - torch.sin(most * x)).abs().mean()), 1e6)

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, batches, quality, before=before, starts=starts)


def physics_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_error", 0.05, 3e-3, 1e-5, 20, 15), physics)
    given = {"lr": 3e-3, "epochs": 30}
    firm = lambda seed: physics(seed, edge=lambda epoch: 1.0 if epoch < 15 else 1000.0, starts=(15,))  # noqa: E731
    yield trained("firm", "the ends weigh 1 at first, and 1000 from epoch 15 on", ("minus_error", 0.05), firm, **given)
    wider = lambda seed: physics(seed, until=lambda epoch: min(0.1 + epoch / 20, 1.0))  # noqa: E731
    yield trained("wider", "a sixth of the range at first, and ever more of it", ("minus_error", 0.05), wider, **given)
    waves = lambda seed: physics(seed, waves=3.0)  # noqa: E731
    yield trained("waves", "three times as many waves, slow to learn", ("minus_error", 0.05), waves, lr=3e-3, epochs=50)


def meta(
    seed: int,
    *,
    inner: float = 0.02,
    inner_steps: Callable[[int], int] = lambda epoch: 1,
    highest: Callable[[int], float] = lambda epoch: 5.0,
    starts: tuple[int, ...] = (),
) -> Task:
    """Waves of any height and phase, each learned from ten points in a step or a few (C. Finn et al., ICML 2017)."""
    model, now = Smooth(1, 40), {"epoch": 1}
    names = [name for name, _ in model.named_parameters()]

    def waves(count: int, epoch: int, random: torch.Generator) -> Tensor:
        """Points (count, 20, 2): x and y of the ten that are learned from, and of ten others."""
        height = 0.1 + (highest(epoch) - 0.1) * torch.rand(count, 1, generator=random)
        phase = math.pi * torch.rand(count, 1, generator=random)
        x = 10 * torch.rand(count, 20, generator=random) - 5
        return torch.stack([x, height * torch.sin(x + phase)], 2)

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        return ((waves(3, epoch, random),) for _ in range(16))

    def after(points: Tensor, steps: int) -> Tensor:
        weights = dict(model.named_parameters())
        for _ in range(steps):
            seen = torch.func.functional_call(model, weights, (points[:10, :1],))
            wrong = ((seen - points[:10, 1:]) ** 2).mean()
            slopes = torch.autograd.grad(wrong, list(weights.values()), create_graph=True)
            weights = {name: weights[name] - inner * slope for name, slope in zip(names, slopes, strict=True)}
        return ((torch.func.functional_call(model, weights, (points[10:, :1],)) - points[10:, 1:]) ** 2).mean()

    def loss(tasks: Tensor) -> Tensor:
        return torch.stack([after(points, inner_steps(now["epoch"])) for points in tasks]).mean()

    test = waves(40, 1, torch.Generator().manual_seed(3)) if highest(1) == highest(99) else None

    def quality() -> float:
        tasks = waves(40, 99, torch.Generator().manual_seed(3)) if test is None else test
        with torch.enable_grad():
            wrong = torch.stack([after(points, 1).detach() for points in tasks]).mean()
        return -min(float(wrong), 1e6)

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, batches, quality, before=before, starts=starts)


def meta_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_error", 0.2, 3e-3, 1e-2, 15, 16), meta)
    given = {"lr": 2e-3, "epochs": 20}
    steps = lambda seed: meta(seed, inner_steps=lambda epoch: 1 + epoch // 8)  # noqa: E731
    yield trained("steps", "one step within at first, then two, then three", ("minus_error", 0.2), steps, **given)
    higher = lambda seed: meta(seed, highest=lambda epoch: 0.5 if epoch < 8 else 5.0, starts=(8,))  # noqa: E731
    yield trained(
        "higher", "small waves at first, ten times as high from epoch 8 on", ("minus_error", 0.2), higher, **given
    )
    far = lambda seed: meta(seed, inner=0.2)  # noqa: E731
    yield trained("far", "long steps within, from the first step on", ("minus_error", 0.2), far, lr=2e-3, epochs=15)


def policies(
    seed: int,
    *,
    compared: bool = True,
    bonus: Callable[[int], float] = lambda epoch: 0.01,
    prize: Callable[[int], float] = lambda epoch: 1.0,
    starts: tuple[int, ...] = (),
) -> Task:
    """REINFORCE: a walker on a line of nine places looks for a prize at one end; its loss says little of its worth.

    What it got is compared with the mean of its batch, or taken as it is.
    """
    model, now = mlp(9, 32, 2), {"epoch": 1}

    def played(
        count: int, random: torch.Generator, prize: float, greedy: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        place, over = torch.full((count,), 3), torch.zeros(count, dtype=torch.bool)
        seen, acted, gained = [], [], []
        with torch.no_grad():
            for _ in range(12):
                state = functional.one_hot(place, 9).float()
                chances = model(state).softmax(1).nan_to_num(0.5)
                act = chances.argmax(1) if greedy else torch.multinomial(chances + 1e-8, 1, generator=random)[:, 0]
                place = (place + 2 * act - 1).clamp(0, 8)
                got = torch.where(over, 0.0, prize * ((place == 8).float() + 0.1 * (place == 0).float()) - 0.01)
                over = over | (place == 8) | (place == 0)
                seen.append(state)
                acted.append(act)
                gained.append(got)
        return torch.stack(seen), torch.stack(acted), torch.stack(gained).flip(0).cumsum(0).flip(0)

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        for _ in range(16):
            states, acts, returns = played(32, random, prize(epoch))
            yield states, acts, returns - returns.mean() if compared else returns

    def loss(states: Tensor, acts: Tensor, gains: Tensor) -> Tensor:
        logs = model(states).log_softmax(2)
        spread = -(logs.exp() * logs).sum(2).mean()
        return -(logs.gather(2, acts[..., None])[..., 0] * gains).mean() - bonus(now["epoch"]) * spread

    def quality() -> float:
        if not bool(model(torch.eye(9)).isfinite().all()):
            return -1.0
        return float(played(64, torch.Generator().manual_seed(1), 1.0)[2][0].mean())

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    return Task(model, loss, batches, quality, before=before, starts=starts)


def policies_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("return", 0.1, 3e-3, 0.1, 20, 16), policies)
    given = {"lr": 3e-3, "epochs": 25}
    plain = lambda seed: policies(seed, compared=False)  # noqa: E731
    yield trained("plain", "what it got is compared with nothing", ("return", 0.1), plain, **given)
    less = lambda seed: policies(seed, bonus=lambda epoch: max(0.0, 0.5 - epoch / 30))  # noqa: E731
    yield trained("bonus", "a large bonus for trying, which falls to nothing", ("return", 0.1), less, **given)
    richer = lambda seed: policies(seed, prize=lambda epoch: 1.0 if epoch < 12 else 20.0, starts=(12,))  # noqa: E731
    yield trained("richer", "the prize is twenty times as high from epoch 12 on", ("return", 0.1), richer, **given)


def odes(
    seed: int, *, ahead: Callable[[int], int] = lambda epoch: 12, noise: float = 0.02, starts: tuple[int, ...] = ()
) -> Task:
    """A network gives the speed at each place, and is followed for some steps of Euler's along a spiral."""
    model = Smooth(2, 32, 2)
    true = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])

    def motions(count: int, steps: int, random: torch.Generator) -> Tensor:
        """Places (count, steps + 1, 2)."""
        place, seen = 2 * torch.rand(count, 2, generator=random) - 1, []
        for _ in range(steps + 1):
            seen.append(place)
            place = place @ torch.linalg.matrix_exp(0.1 * true).T
        return torch.stack(seen, 1)

    def followed(begin: Tensor, steps: int) -> Tensor:
        place, seen = begin, []
        for _ in range(steps):
            place = place + 0.1 * model(place)
            seen.append(place)
        return torch.stack(seen, 1)

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        for _ in range(16):
            seen = motions(32, ahead(epoch), random)
            yield (seen + noise * torch.randn(seen.shape, generator=random),)

    loss = lambda seen: ((followed(seen[:, 0], seen.shape[1] - 1) - seen[:, 1:]) ** 2).mean()  # noqa: E731
    test = motions(100, 20, torch.Generator().manual_seed(2))
    quality = lambda: -min(float(loss(test).sqrt()), 1e6)  # noqa: E731
    return Task(model, loss, batches, quality, lambda: loss(test), starts=starts)


def odes_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("minus_error", 0.05, 5e-3, 0.02, 18, 16), odes)
    given = {"lr": 5e-3, "epochs": 24}
    further = lambda seed: odes(seed, ahead=lambda epoch: 1 + epoch)  # noqa: E731
    yield trained(
        "further", "two steps ahead at first, and one more each epoch", ("minus_error", 0.05), further, **given
    )
    leap = lambda seed: odes(seed, ahead=lambda epoch: 2 if epoch < 12 else 40, starts=(12,))  # noqa: E731
    yield trained("leap", "two steps ahead, and forty from epoch 12 on", ("minus_error", 0.05), leap, **given)
    noisy = lambda seed: odes(seed, noise=0.5)  # noqa: E731
    yield trained("noisy", "noise of half of what moves", ("minus_error", 0.05), noisy, **given)
