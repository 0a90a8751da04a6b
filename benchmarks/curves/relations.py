"""Models that learn from relations: of views (`contrast`), to a teacher (`distilling`), `graphs` and `words`."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

import torch
from labelling import Setup
from loop import Batch, digits, mlp, shuffled
from menu import Task, Usual, trained, usual_setups
from torch import Tensor, nn
from torch.nn import functional


def contrast(
    seed: int,
    *,
    temperature: Callable[[int], float] = lambda epoch: 0.2,
    triplets: bool = False,
    size: Callable[[int], int] = lambda epoch: 32,
    starts: tuple[int, ...] = (),
) -> Task:
    """Two views of an image shall lie near each other, and far from others: InfoNCE, or hardest triplets."""
    model, now = mlp(64, 64, 16), {"epoch": 1}
    data = digits()

    def views(images: Tensor, random: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        both = [
            images * (torch.rand(images.shape, generator=random) > 0.15)
            + 0.1 * torch.randn(images.shape, generator=random)
            for _ in range(2)
        ]
        return both[0], both[1]

    def near(images: Tensor, random: torch.Generator | None = None) -> Tensor:
        a, b = (functional.normalize(model(view), dim=1) for view in views(images, random))
        return a @ b.T

    def loss(images: Tensor) -> Tensor:
        likeness = near(images)
        if triplets:
            others = likeness - 3 * torch.eye(len(likeness))
            return functional.relu(0.5 + others.amax(1) - likeness.diagonal()).mean()
        return functional.cross_entropy(likeness / temperature(now["epoch"]), torch.arange(len(likeness)))

    def quality() -> float:
        likeness = near(data.test_images[:200], torch.Generator().manual_seed(0))
        found = (likeness.argmax(1) == torch.arange(200)).float().mean()
        return float(found) if bool(likeness.isfinite().all()) else 0.0

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    batches = lambda epoch: shuffled((data.images[:640],), size(epoch), seed)(epoch)  # noqa: E731
    return Task(model, loss, batches, quality, before=before, starts=starts)


def contrast_setups() -> Iterator[Setup]:
    usual = Usual("matched", 0.1, 3e-3, 0.1, 20, 20)
    yield from usual_setups(usual, contrast)
    given = {"lr": 3e-3, "epochs": 24}
    falling = lambda seed: contrast(seed, temperature=lambda epoch: max(0.05, 1.0 * 0.85**epoch))  # noqa: E731
    yield trained("temperature", "InfoNCE, its temperature falls from 0.85 to 0.05", ("matched", 0.1), falling, **given)
    triplets = lambda seed: contrast(seed, triplets=True)  # noqa: E731
    yield trained("triplets", "hardest triplets", ("matched", 0.1), triplets, lr=1e-3, epochs=24)
    grown = lambda seed: contrast(seed, size=lambda epoch: 8 if epoch < 12 else 128, starts=(12,))  # noqa: E731
    how = "batches of 8 at first and of 128 from epoch 12 on, so that there are more to be told apart"
    yield trained("grown", how, ("matched", 0.1), grown, **given)


@cache
@torch.enable_grad()
def teachers() -> tuple[nn.Module, nn.Module]:
    """Networks that know digits: one early, one late in its training."""
    data, found = digits(), []
    for epochs in (3, 40):
        torch.manual_seed(100)
        model = mlp(64, 96, 10)
        rule = torch.optim.Adam(model.parameters(), 3e-3)
        for epoch in range(epochs):
            for images, labels in shuffled((data.images, data.labels), 64, 100)(epoch):
                rule.zero_grad()
                functional.cross_entropy(model(images), labels).backward()
                rule.step()
        found.append(model.requires_grad_(False))
    return found[0], found[1]


def distilling(
    seed: int,
    *,
    temperature: Callable[[int], float] = lambda epoch: 3.0,
    labels: Callable[[int], float] = lambda epoch: 0.0,
    second: int = 0,
    count: int = 1024,
    starts: tuple[int, ...] = (),
) -> Task:
    """A small network learns what a large one says; from epoch `second` on, another large one; labels with a weight."""
    model, now, data = mlp(64, 12, 10), {"epoch": 1}, digits()

    def loss(images: Tensor, wanted: Tensor) -> Tensor:
        epoch = now["epoch"]
        heat = temperature(epoch)
        teacher = teachers()[0 if epoch < second else 1]
        said = (teacher(images) / heat).log_softmax(1)
        own = model(images)
        far = functional.kl_div((own / heat).log_softmax(1), said, log_target=True, reduction="batchmean") * heat**2
        return far + labels(epoch) * functional.cross_entropy(own, wanted)

    def quality() -> float:
        own = model(data.test_images)
        agreed = (own.argmax(1) == teachers()[1](data.test_images).argmax(1)).float().mean()
        return float(agreed) if bool(own.isfinite().all()) else 0.0

    def before(epoch: int) -> None:
        now["epoch"] = epoch

    held_out = lambda: loss(data.test_images, data.test_labels)  # noqa: E731
    batches = shuffled((data.images[:count], data.labels[:count]), 32, seed)
    return Task(model, loss, batches, quality, held_out, before, starts)


def distilling_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("agreement", 0.1, 3e-3, 0.02, 16, 32), distilling)
    given = {"lr": 3e-3, "epochs": 20}
    hotter = lambda seed: distilling(seed, temperature=lambda epoch: 1 + epoch / 2)  # noqa: E731
    yield trained("hotter", "its temperature rises from 1.5 to 11", ("agreement", 0.1), hotter, **given)
    other = lambda seed: distilling(seed, second=12, starts=(12,))  # noqa: E731
    yield trained("second", "a teacher that is far surer from epoch 12 on", ("agreement", 0.1), other, **given)
    labelled = lambda seed: distilling(seed, labels=lambda epoch: max(0, epoch - 8) / 4)  # noqa: E731
    yield trained("labels", "labels get a weight from epoch 9 on, by and by", ("agreement", 0.1), labelled, **given)
    few = lambda seed: distilling(seed, count=64)  # noqa: E731
    yield trained("few", "64 images only, 120 epochs", ("agreement", 0.1), few, lr=1e-2, epochs=120)


@cache
def network() -> tuple[Tensor, Tensor, Tensor]:
    """A graph of 240 nodes in four groups: normalized adjacency, weak features, groups."""
    random = torch.Generator().manual_seed(5)
    groups = torch.arange(240) % 4
    same = groups[:, None] == groups[None, :]
    edges = torch.rand(240, 240, generator=random) < torch.where(same, 0.08, 0.015)
    edges = (edges.triu(1) | edges.triu(1).T).float() + torch.eye(240)
    scaled = edges / (edges.sum(1)[:, None] * edges.sum(0)[None, :]).sqrt()
    features = functional.one_hot(groups, 16).float() + 1.2 * torch.randn(240, 16, generator=random)
    return scaled, features, groups


class GraphNet(nn.Module):
    """Convolutions over a graph (T. Kipf and M. Welling, ICLR 2017)."""

    def __init__(self, layers: int = 2, dropped: float = 0.0, residual: bool = False) -> None:
        super().__init__()
        widths = [16, *[32] * (layers - 1), 4]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.dropped, self.residual = dropped, residual

    def forward(self, x: Tensor) -> Tensor:
        edges = network()[0]
        if self.dropped and torch.is_grad_enabled():
            edges = edges * (torch.rand(edges.shape) > self.dropped) / (1 - self.dropped)
        for i, layer in enumerate(self.layers):
            new = edges @ layer(x)
            x = new if i == len(self.layers) - 1 else functional.relu(new) + (x if self.residual and i else 0)
        return x


def graphs(seed: int, *, labelled: int = 60, **net: object) -> Task:
    model = GraphNet(**net)  # type: ignore[arg-type]
    _, features, groups = network()

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        return ((features, torch.randperm(labelled, generator=random)[: labelled // 2]) for _ in range(16))

    loss = lambda x, rows: functional.cross_entropy(model(x)[rows], groups[rows])  # noqa: E731
    rest = torch.arange(120, 240)

    def quality() -> float:
        logits = model(features)[rest]
        right = (logits.argmax(1) == groups[rest]).float().mean()
        return float(right) if bool(logits.isfinite().all()) else 0.0

    return Task(model, loss, batches, quality, lambda: loss(features, rest))


def graphs_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("accuracy", 0.1, 1e-2, 0.1, 24, 16), graphs)
    thinned = lambda seed: graphs(seed, dropped=0.6)  # noqa: E731
    yield trained(
        "thinned", "six edges of ten are left out of each step", ("accuracy", 0.1), thinned, lr=1e-2, epochs=30
    )
    few = lambda seed: graphs(seed, labelled=12)  # noqa: E731
    yield trained("few", "12 labels, 80 epochs, learned by heart", ("accuracy", 0.1), few, lr=2e-2, epochs=80)
    deep = lambda seed: graphs(seed, layers=6, residual=True)  # noqa: E731
    yield trained("deep", "six layers with ways around them", ("accuracy", 0.1), deep, lr=5e-3, epochs=30)
    yield trained(
        "deep-jump", "six layers, learning rate 100 times as high from epoch 18 on", ("accuracy", 0.1), deep, lr=5e-3,
        schedule=lambda epoch, step: 100.0 if epoch >= 18 else 1.0, epochs=28,
    )  # fmt: skip


WORDS, TOPICS = 200, 10


class Words(nn.Module):
    """Two vectors of each word: of it, and of it as a neighbour."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.other = nn.Embedding(WORDS, 16), nn.Embedding(WORDS, 16)
        for table in (self.own, self.other):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (self.own(a)[:, None] * self.other(b)).sum(-1)


def words(
    seed: int, *, negatives: Callable[[int], int] = lambda epoch: 5, pairs: bool = False, starts: tuple[int, ...] = ()
) -> Task:
    """Which words stand beside which: negative sampling (T. Mikolov et al., 2013), or by pairs, as in shops."""
    model = Words()

    def batches(epoch: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(100 * seed + epoch)
        for _ in range(24):
            a = torch.randint(0, WORDS, (128,), generator=random)
            near = a % TOPICS + TOPICS * torch.randint(0, WORDS // TOPICS, (128,), generator=random)
            any_ = torch.randint(0, WORDS, (128, negatives(epoch)), generator=random)
            stray = torch.rand(128, generator=random) < 0.1
            yield a, torch.cat([torch.where(stray, any_[:, 0], near)[:, None], any_], 1)

    def loss(a: Tensor, b: Tensor) -> Tensor:
        scores = model(a, b)
        if pairs:
            return functional.softplus(scores[:, 1:] - scores[:, :1]).mean()
        return (functional.softplus(-scores[:, 0]) + functional.softplus(scores[:, 1:]).sum(1)).mean()

    def quality() -> float:
        """How many of the nearest five words are of a word's topic."""
        every = torch.arange(WORDS)
        scores = model(every, every.expand(WORDS, WORDS))
        if not bool(scores.isfinite().all()):
            return 0.0
        return float((scores.topk(5, 1)[1] % TOPICS == every[:, None] % TOPICS).float().mean())

    return Task(model, loss, batches, quality, starts=starts)


def words_setups() -> Iterator[Setup]:
    yield from usual_setups(Usual("neighbours", 0.1, 1e-2, 1.0, 16, 24), words)
    more = lambda seed: words(seed, negatives=lambda epoch: min(2 + epoch, 16))  # noqa: E731
    yield trained(
        "more", "3 words at random beside each pair at first, 16 in the end", ("neighbours", 0.1), more, lr=1e-2
    )
    many = lambda seed: words(seed, negatives=lambda epoch: 2 if epoch < 12 else 30, starts=(12,))  # noqa: E731
    yield trained("many", "2 words at random beside each pair, 30 from epoch 12 on", ("neighbours", 0.1), many, lr=1e-2)
    by_pairs = lambda seed: words(seed, pairs=True)  # noqa: E731
    yield trained("pairs", "by pairs", ("neighbours", 0.1), by_pairs, lr=1e-2)
    yield trained(
        "pairs-late", "by pairs, SGD, 10, 80 epochs", ("neighbours", 0.1), by_pairs, optimizer="sgd", lr=10, epochs=80
    )
