"""A small language model of a made-up language (`language`)."""

import math
from collections.abc import Callable, Iterator
from functools import cache

import torch
from labelling import Recording, Setup
from loop import Batch, fit, jump
from torch import Tensor, nn
from torch.nn import functional

LETTERS, LENGTH, BATCH, STEPS = 64, 24, 16, 28  # per epoch
WIDTH = 48


@cache
def text() -> Tensor:
    """Words of Zipf's frequencies, each word followed by few others, letter by letter; letter 0 is the space."""
    random = torch.Generator().manual_seed(0)
    words = [
        torch.randint(1, LETTERS, (int(n),), generator=random) for n in torch.randint(2, 7, (300,), generator=random)
    ]
    ranks = 1 / torch.arange(1, 301).float()
    followers = torch.multinomial(ranks.expand(300, 300), 6, generator=random)
    letters, word = [], 0
    for choice in torch.randint(0, 6, (16_000,), generator=random).tolist():
        word = int(followers[word, choice])
        letters += [words[word], torch.zeros(1, dtype=torch.long)]
    return torch.cat(letters)


class Reader(nn.Module):
    """A causal transformer of two layers, or a GRU."""

    def __init__(self, kind: str, letters: int = LETTERS) -> None:
        super().__init__()
        self.embedding = nn.Embedding(letters, WIDTH)
        self.place = nn.Parameter(torch.zeros(LENGTH, WIDTH))
        self.kind = kind
        if kind == "gru":
            self.core: nn.Module = nn.GRU(WIDTH, 2 * WIDTH, batch_first=True)
            self.out = nn.Linear(2 * WIDTH, letters)
        else:
            layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, batch_first=True, norm_first=True)
            self.core = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.out = nn.Linear(WIDTH, letters)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(LENGTH), persistent=False)

    def forward(self, letters: Tensor) -> Tensor:
        x = self.embedding(letters)
        if self.kind == "gru":
            return self.out(self.core(x)[0])
        count = letters.shape[1]
        return self.out(self.core(x + self.place[:count], mask=self.mask[:count, :count], is_causal=True))


def model_of(
    name: str,
    how: str,
    kind: str = "transformer",
    *,
    seed: int = 0,
    garbage: int = 0,
    short_until: int = 0,
    by_step: bool = True,
    second: int = 0,
    diverges: bool = False,
    **fitted: object,
) -> Setup:
    """Predict the next letter.

    Every `garbage`-th batch is of letters at random; until epoch `short_until`, pieces are of four letters; from epoch
    `second` on, the text is of another language.
    """

    def train(recording: Recording) -> None:
        torch.manual_seed(seed)
        model, all_ = Reader(kind), text()
        split = len(all_) - 6000
        other = torch.randperm(LETTERS, generator=torch.Generator().manual_seed(1))
        test = all_[split:].unfold(0, LENGTH, LENGTH)[:150]
        now = {"test": test}

        def batches(epoch: int) -> Iterator[Batch]:
            random = torch.Generator().manual_seed(100 * seed + epoch)
            length = 4 if epoch <= short_until else LENGTH
            if second and epoch == second:
                recording.restart()
            now["test"] = other[test] if second and epoch >= second else test
            for step in range(1, STEPS + 1):
                places = torch.randint(0, split - LENGTH, (BATCH,), generator=random)
                letters = torch.stack([all_[place : place + length] for place in places])
                if garbage and ((epoch - 1) * STEPS + step) % garbage == 0:
                    letters = torch.randint(0, LETTERS, letters.shape, generator=random)
                yield (other[letters] if second and epoch >= second else letters,)

        def loss(letters: Tensor) -> Tensor:
            return functional.cross_entropy(model(letters[:, :-1]).flatten(0, 1), letters[:, 1:].flatten())

        def quality() -> float:
            logits = model(now["test"][:, :-1])
            right = (logits.argmax(2) == now["test"][:, 1:]).float().mean()
            return float(right) if bool(logits.isfinite().all()) else -math.inf

        fit(recording, model, loss, batches, quality, validation=lambda: loss(now["test"]), **fitted)

    return Setup(name, how, "accuracy", train, by_step=by_step, diverges=diverges)


def ramp_to(step: int, factor: float) -> Callable[[int, int], float]:
    """The learning rate grows tenfold and more over so many steps."""
    return lambda epoch, now: factor ** (now / step)


def language_setups() -> Iterator[Setup]:
    yield model_of("plain", "Adam, 3e-3", lr=3e-3)
    yield model_of("gru", "GRU, Adam, 5e-3", "gru", lr=5e-3)
    yield model_of("garbage", "one batch of 50 is letters at random", lr=3e-3, garbage=50, clip=1.0)
    yield model_of("garbage-gru", "GRU, one batch of 20 is letters at random", "gru", lr=5e-3, garbage=20)
    yield model_of("short", "pieces of four letters at first, then of 24", short_until=8, lr=3e-3)
    yield model_of("hot", "Adam, 0.01, no warm-up", lr=0.01, seed=3)
    yield model_of("hot-gru", "GRU, Adam, 0.05, gradients clipped", "gru", lr=0.05, seed=4, clip=1.0)
    yield model_of("second", "another language from epoch 12 on", lr=3e-3, second=12, epochs=24)
    yield model_of("epochs", "Adam, 3e-3, losses by epoch", lr=3e-3, by_step=False)
    for factor in (10, 30, 100, 300):
        how = f"Adam, 3e-3, {factor} times as much from epoch 10 on"
        yield model_of(f"jump-{factor}", how, seed=factor, lr=3e-3, schedule=jump(10, factor), epochs=16)
    how = "GRU, Adam, 5e-3, 100 times as much from epoch 10 on"
    yield model_of("gru-jump", how, "gru", lr=5e-3, schedule=jump(10, 100), epochs=16)
    how = "another language from epoch 10 on, with a learning rate 100 times as high"
    yield model_of("second-jump", how, lr=3e-3, second=10, schedule=jump(10, 100), epochs=16)
    yield model_of("ramp", "the learning rate grows from 1e-4 to 1", lr=1e-4, schedule=ramp_to(400, 1e4), epochs=15)
    how = "GRU, SGD with momentum, 300, from the first step on"
    yield model_of("gru-sgd", how, "gru", optimizer="momentum", lr=300.0, epochs=6, diverges=True)
