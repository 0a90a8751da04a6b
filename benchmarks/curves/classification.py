"""Classification of digits, in one go (`digits`) and where the task changes on the way (`streams`)."""

import math
from collections.abc import Callable, Iterator

import torch
from labelling import Recording, Setup
from loop import Batch, digits, fit, idle_end, jump, mlp, shuffled
from torch import Tensor, nn
from torch.nn import functional

BATCH = 64


def accuracy(model: nn.Module, labels: Tensor | None = None) -> float:
    data = digits()
    wanted = data.test_labels if labels is None else labels
    logits = model(data.test_images)
    return float((logits.argmax(1) == wanted).float().mean()) if bool(logits.isfinite().all()) else 0.0


def plain(
    name: str,
    how: str,
    *,
    seed: int = 0,
    widths: tuple[int, ...] = (64, 64, 10),
    noise: float = 0.0,
    size: int = BATCH,
    squared: bool = False,
    diverges: bool = False,
    **fitted: object,
) -> Setup:
    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        data, model = digits(), mlp(*widths)
        random = torch.rand(len(data.labels)) < noise
        labels = torch.where(random, torch.randint(0, 10, data.labels.shape), data.labels)

        def loss(images: Tensor, wanted: Tensor) -> Tensor:
            if squared:
                return functional.mse_loss(model(images), functional.one_hot(wanted, 10).float())
            return functional.cross_entropy(model(images), wanted)

        batches = shuffled((data.images, labels), size, seed)
        held_out = lambda: loss(data.test_images, data.test_labels)  # noqa: E731
        fit(recording, model, loss, batches, lambda: accuracy(model), validation=held_out, **fitted)

    return Setup(name, how, "accuracy", train, diverges=diverges)


def cosine(period: int, steps: int = 21) -> Callable[[int, int], float]:
    """From 1 to 0 over so many epochs, then from 1 again."""
    return lambda epoch, step: 0.5 * (1 + math.cos(math.pi * ((step - 1) % (period * steps)) / (period * steps)))


def one_cycle(total: int) -> Callable[[int, int], float]:
    return lambda epoch, step: min(step / total, 1 - step / total, 0.5) * 2 + 0.001


def digits_setups() -> Iterator[Setup]:
    for optimizer, lr in (("adam", 1e-3), ("adam", 1e-2), ("sgd", 0.1), ("momentum", 0.1), ("rmsprop", 3e-3)):
        yield plain(f"{optimizer}-{lr}", f"{optimizer}, learning rate {lr}", optimizer=optimizer, lr=lr)
    yield plain("noise", "three labels of ten at random", noise=0.3, lr=3e-3, epochs=40)
    yield plain(
        "overfit", "forty epochs beyond what is learned, half of the labels random", noise=0.5, lr=5e-3, epochs=60
    )
    yield plain("tiny", "batches of 4", size=4, lr=3e-3, epochs=4)
    yield plain("deep", "six layers", widths=(64, 64, 64, 64, 64, 64, 10), lr=3e-3, epochs=30)
    yield plain("squares", "squared errors of one-hot labels", squared=True, lr=3e-3)
    for seed, lr in enumerate((0.5, 1.0, 2.0)):
        how = f"SGD with momentum, warm restarts at {lr} every five epochs"
        yield plain(f"restarts-{lr}", how, seed=seed, optimizer="momentum", lr=lr, schedule=cosine(5), epochs=25)
    for seed, lr in enumerate((0.02, 0.05, 0.1)):
        how = f"Adam, warm restarts at {lr} every five epochs"
        yield plain(f"restarts-adam-{lr}", how, seed=seed, lr=lr, schedule=cosine(5), epochs=25)
    for lr in (0.05, 0.2):
        yield plain(f"cycle-{lr}", f"Adam, one cycle up to {lr}", lr=lr, schedule=one_cycle(420))
    for factor in (30, 100, 300, 1000):
        how = f"Adam, 1e-3, {factor} times as much from epoch 8 on"
        yield plain(f"jump-{factor}", how, seed=factor, lr=1e-3, schedule=jump(8, factor))
    for lr in (0.5, 2.0, 5.0):
        how = f"SGD with momentum, 0.05, and {lr} from epoch 6 on"
        yield plain(f"momentum-{lr}", how, optimizer="momentum", lr=0.05, schedule=jump(6, lr / 0.05))
    for lr in (5.0, 30.0, 1000.0):
        how = f"SGD, learning rate {lr}, a hundred times and more of what works"
        yield plain(f"sgd-{lr}", how, seed=1, optimizer="sgd", lr=lr, epochs=10, diverges=True)
    how = "six layers, squared errors, learning rate 0.1, and 3 from epoch 6 on"
    yield plain(
        "deep-jump", how, widths=(64,) * 6 + (10,), squared=True, optimizer="momentum", lr=0.1, schedule=jump(6, 30)
    )
    how = "the learning rate grows by a twentieth of itself every step, to find where training breaks"
    yield plain("finder", how, optimizer="sgd", lr=1e-3, schedule=lambda epoch, step: 1.05 ** min(step, 300), epochs=15)


def stream(
    name: str,
    how: str,
    tasks: Callable[[int], tuple[Tensor, Tensor]],
    changes: tuple[int, ...],
    *,
    seed: int = 0,
    blocks: bool = False,
    **fitted: object,
) -> Setup:
    """A training whose task changes: `tasks` gives the labels of an epoch, to learn and to be tested on."""

    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        data, model = digits(), mlp(64, 64, 10)
        now = {"test": tasks(1)[1]}

        def before(epoch: int) -> None:
            now["test"] = tasks(epoch)[1]
            if epoch in changes:
                recording.restart()

        def batches(epoch: int) -> Iterator[Batch]:
            labels = tasks(epoch)[0]
            kept = (labels >= 0).nonzero().flatten()
            if blocks:
                rows = kept[labels[kept].argsort(stable=True)]
                return ((data.images[some], labels[some]) for some in rows.split(BATCH))
            return shuffled((data.images[kept], labels[kept]), BATCH, seed)(epoch)

        def quality() -> float:
            kept = now["test"] >= 0
            right = model(data.test_images).argmax(1) == now["test"]
            return float(right[kept].float().mean())

        loss = lambda images, wanted: functional.cross_entropy(model(images), wanted)  # noqa: E731
        fit(recording, model, loss, batches, quality, before=before, **fitted)

    return Setup(name, how, "accuracy", train, untrained=lambda: idle_end(train))


def switched(every: int, seed: int) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Every few epochs, digits are called by other names."""

    def tasks(epoch: int) -> tuple[Tensor, Tensor]:
        task = (epoch - 1) // every
        names = torch.randperm(10, generator=torch.Generator().manual_seed(100 * seed + task))
        return names[digits().labels], names[digits().test_labels]

    return tasks


def growing(every: int) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Two digits at first, and one more every few epochs."""

    def tasks(epoch: int) -> tuple[Tensor, Tensor]:
        known = min(2 + (epoch - 1) // every, 10)
        labels, test = digits().labels, digits().test_labels
        return torch.where(labels < known, labels, -1), torch.where(test < known, test, -1)

    return tasks


def noisy_from(start: int, share: float) -> Callable[[int], tuple[Tensor, Tensor]]:
    """From an epoch on, some labels are wrong, as where a second source of data is added."""

    def tasks(epoch: int) -> tuple[Tensor, Tensor]:
        labels = digits().labels
        random = torch.Generator().manual_seed(epoch)
        wrong = torch.rand(labels.shape, generator=random) < (share if epoch >= start else 0)
        return torch.where(wrong, torch.randint(0, 10, labels.shape, generator=random), labels), digits().test_labels

    return tasks


def same(epoch: int) -> tuple[Tensor, Tensor]:
    return digits().labels, digits().test_labels


def streams_setups() -> Iterator[Setup]:
    for seed, (optimizer, lr) in enumerate((("adam", 3e-3), ("momentum", 0.05), ("adam", 1e-2))):
        how = f"digits get other names every 8 epochs; {optimizer}, {lr}"
        changes = (9, 17, 25)
        yield stream(
            f"switch-{seed}", how, switched(8, seed), changes, seed=seed, optimizer=optimizer, lr=lr, epochs=32
        )
    for seed, lr in enumerate((1e-3, 3e-3)):
        how = f"batches sorted by digit, epoch by epoch; Adam, {lr}"
        yield stream(f"sorted-{lr}", how, same, (), seed=seed, lr=lr, blocks=True, epochs=20)
    how = "batches sorted by digit, SGD, 0.05"
    yield stream("sorted-sgd", how, same, (), optimizer="sgd", lr=0.05, blocks=True, epochs=30)
    for every in (3, 6):
        how = f"two digits at first, one more every {every} epochs"
        changes = tuple(1 + every * i for i in range(1, 9))
        yield stream(f"growing-{every}", how, growing(every), changes, lr=5e-3, epochs=9 * every + 5)
    for share in (0.3, 0.6):
        how = f"from epoch 15 on, {share:.0%} of the labels are random, as of a second source"
        yield stream(f"noisy-{share}", how, noisy_from(15, share), (15,), lr=5e-3, epochs=30)
    for factor in (30, 100, 1000):
        how = f"digits get other names at epoch 9, and the learning rate is {factor} times as high from then on"
        yield stream(
            f"switch-jump-{factor}", how, switched(8, 7), (9,), seed=7, lr=2e-3, schedule=jump(9, factor), epochs=16
        )
    for factor in (100, 300):
        how = f"batches sorted by digit, the learning rate is {factor} times as high from epoch 10 on"
        yield stream(f"sorted-jump-{factor}", how, same, (), lr=2e-3, schedule=jump(10, factor), blocks=True, epochs=20)
    how = "two digits at first, one more every 3 epochs, the learning rate 300 times as high from epoch 20 on"
    changes = tuple(1 + 3 * i for i in range(1, 9))
    yield stream("growing-jump", how, growing(3), changes, lr=3e-3, schedule=jump(20, 300), epochs=30)
    how = "SGD with momentum, noisy labels from epoch 10 on, and a learning rate of 5 from epoch 18 on"
    yield stream(
        "noisy-jump", how, noisy_from(10, 0.3), (10,), optimizer="momentum", lr=0.05, schedule=jump(18, 100), epochs=26
    )
