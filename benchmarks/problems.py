"""Problems for searches, most of them of no kind that our samplers were made for; twelve of twenty never explode.

Each seed is an instance of its own: optimum, cliffs and plateaus lie elsewhere. The best that can be had has the
quality 1. Searches see 0.1 + 0.8 times the quality, and noise. Samplers may be tuned on the seeds TUNING alone, and are
judged on JUDGING.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.comparison.psychometric import Scale
from orchestrator.divergence import FARTHEST, NEAREST
from orchestrator.trial import Outcome, Params
from orchestrator.trials.observation import Observation

TUNING = range(40)
JUDGING = range(5000, 5040)
NOISE = 0.002  # of what is seen, one standard deviation
PLATEAU = 0.003  # most that a score on a plateau is off
CHANCE = 0.3  # of an explosion, or of a failure, wherever one looks
STUCK = 0.5  # a search ends stuck with a regret above: half of what there was to gain


@dataclass(frozen=True)
class Number:
    """A range of numbers."""

    low: float
    high: float
    log: bool = False
    integer: bool = False
    when: tuple[str, str] | None = None  # the option that another parameter must have, for this one to be varied

    def position(self, value: float) -> float:
        """From 0 to 1, on its own scale."""
        return Scale(self.low, self.high, self.log).position(value)


@dataclass(frozen=True)
class Options:
    """A list to choose from."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """The parameters of all problems, for sweep files; nothing is trained."""

    lr: float = 1e-3
    decay: float = 1e-3
    dropout: float = 0.0
    clip: float = 1.0
    warmup: float = 0.0
    mix: float = 0.0
    smoothing: float = 0.0
    temperature: float = 1.0
    momentum: float = 0.5
    beta: float = 0.5
    layers: int = 1
    width: int = 64
    optimizer: str = "sgd"
    mode: str = "a"


def train(config: Config) -> dict[str, float]:
    """What a sweep file names; a benchmark asks `Instance.observe` instead."""
    raise NotImplementedError(config)


Space = Mapping[str, Number | Options]
Place = Mapping[str, Any]  # of numbers their positions, of options themselves; of what is varied


@dataclass(frozen=True)
class Landscape:
    """An instance of a problem.

    Args:
        quality: of a place; 1 is the best that there is without an explosion.
        beyond: how far beyond a cliff a place is, in parts of a range; above 0 it explodes.
        is_quiet: whether nobody knows the margins.
        noise: draws what is added to what is seen.
        explodes: the probability with which a trial explodes, wherever it is.
        fails: the probability with which it fails.
    """

    quality: Callable[[Place], float]
    beyond: Callable[[Place], float] = lambda _: -1.0
    is_quiet: bool = False
    noise: Callable[[random.Random], float] = lambda rng: rng.gauss(0, NOISE)
    explodes: float = 0.0
    fails: float = 0.0


@dataclass(frozen=True)
class Problem:
    """What is searched, in how many trials, and its instance for a seed."""

    title: str
    space: Space
    trials: int
    landscape: Callable[[random.Random], Landscape]
    explodes: bool = False

    def instance(self, seed: int) -> "Instance":
        """Its instance for a seed."""
        return Instance(self.space, self.landscape(random.Random(f"{self.title}:{seed}")), seed)


@dataclass(frozen=True)
class Instance:
    """What a search is let loose on."""

    space: Space
    landscape: Landscape
    seed: int

    def place(self, params: Params) -> Place:
        """Where a configuration is."""
        axes = {name: self.space[name] for name in params}
        return {
            name: axis.position(params[name]) if isinstance(axis, Number) else params[name]
            for name, axis in axes.items()
        }

    def quality(self, params: Params) -> float:
        """What a configuration is worth without noise, 0 to 1."""
        return self.landscape.quality(self.place(params))

    def observe(self, params: Params) -> Observation:
        """How a trial ends; the same configuration ends the same again."""
        rng, land = random.Random(f"{self.seed}:{sorted(params.items())}"), self.landscape
        place = self.place(params)
        failing, exploding = rng.random(), rng.random()
        if failing < land.fails:
            return Observation(Outcome.FAILED)
        far = 3 * land.beyond(place)  # ranges are of about three decades
        if exploding < land.explodes:
            far = rng.uniform(0.05, 0.5)
        if far > 0:
            margin = FARTHEST if land.is_quiet else min(NEAREST + 10 * far, FARTHEST)
            return Observation(Outcome.EXPLODED, None, margin)
        value = 0.1 + 0.8 * land.quality(place) + land.noise(rng)
        return Observation(Outcome.COMPLETED, (value,), None if land.is_quiet else max(1.5 * far - NEAREST, -FARTHEST))


LR, DECAY = Number(1e-5, 1e-1, log=True), Number(1e-6, 1e-1, log=True)
UNIT = Number(0.0, 1.0)
TWO: Space = {"lr": LR, "decay": DECAY}
THREE: Space = {**TWO, "dropout": Number(0.0, 0.8)}
FIVE: Space = {**THREE, "clip": Number(0.1, 100.0, log=True), "warmup": UNIT}
EIGHT: Space = {**FIVE, "mix": UNIT, "smoothing": Number(0.0, 0.3), "temperature": Number(0.1, 10.0, log=True)}
KINDS = Options(("sgd", "adam", "lion"))


def peak(names: Space, rng: random.Random, within: float = 0.1) -> Callable[[Place], float]:
    """Highest at one place; falls off along each axis, fast along one of them, half as fast along another, ..."""
    numbers = [name for name, axis in names.items() if isinstance(axis, Number)]
    best = {name: rng.uniform(within, 1 - within) for name in numbers}
    weights = dict(zip(rng.sample(numbers, len(numbers)), (3 / (i + 1) for i in range(len(numbers))), strict=True))

    def quality(place: Place) -> float:
        return 1 / (1 + sum(weights[name] * ((place[name] - best[name]) / 0.3) ** 2 for name in numbers))

    return quality


def smooth(space: Space) -> Callable[[random.Random], Landscape]:
    return lambda rng: Landscape(peak(space, rng))


def plateau(space: Space) -> Callable[[random.Random], Landscape]:
    """As good as nothing but in a band of the learning rate, where the others matter a little, too."""

    def landscape(rng: random.Random) -> Landscape:
        width = rng.uniform(0.12, 0.22)
        middle = rng.uniform(width / 2, 1 - width / 2)
        rest = peak({name: axis for name, axis in space.items() if name != "lr"}, rng)

        def quality(place: Place) -> float:
            off = abs(place["lr"] - middle) / (width / 2)
            return (1 - 0.3 * off**2) * (0.7 + 0.3 * rest(place)) if off < 1 else 0.0

        return Landscape(quality, noise=lambda rng: rng.uniform(-PLATEAU, PLATEAU))

    return landscape


def ridge(rng: random.Random) -> Landscape:
    """A narrow ridge across both axes, that rises slowly to its top."""
    lr, decay, slope = rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.75), rng.choice((-1, 1)) * rng.uniform(0.6, 1.4)

    def quality(place: Place) -> float:
        along = place["decay"] - decay
        return 1 / (1 + ((place["lr"] - lr - slope * along) / 0.08) ** 2 + (along / 0.5) ** 2)

    return Landscape(quality)


def branches(rng: random.Random) -> Landscape:
    """Each optimizer has its own best learning rate, and two of them a parameter of their own."""
    tops = dict(zip(rng.sample(KINDS.values, 3), (1.0, 0.75, 0.5), strict=True))
    lr = {kind: rng.uniform(0.1, 0.9) for kind in KINDS.values}
    own = {kind: rng.uniform(0.1, 0.9) for kind in KINDS.values}

    def quality(place: Place) -> float:
        kind = place["optimizer"]
        other = place.get("momentum", place.get("beta", own[kind]))
        return tops[kind] / (1 + ((place["lr"] - lr[kind]) / 0.15) ** 2 + ((other - own[kind]) / 0.4) ** 2)

    return Landscape(quality)


def heavy_tails(rng: random.Random) -> Landscape:
    """Noise of Student's t with two degrees of freedom: now and then a result is far off, to either side."""

    def noise(rng: random.Random) -> float:
        return 0.02 * rng.gauss(0, 1) / (rng.expovariate(1) ** 0.5)

    return Landscape(peak(THREE, rng), noise=noise)


def categorical(rng: random.Random) -> Landscape:
    """A choice of four that shifts the score, and nothing else."""
    offsets = dict(zip(rng.sample(MODES.values, 4), (1.0, 0.9, 0.7, 0.5), strict=True))
    rest = peak(FIVE, rng)
    return Landscape(lambda place: offsets[place["mode"]] * rest(place))


def failing(rng: random.Random) -> Landscape:
    return Landscape(peak(THREE, rng), fails=CHANCE)


def line(rng: random.Random) -> Landscape:
    """Explodes beyond a line through both axes; the best lies a tenth of a range before it."""
    lr, decay, slope = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.4, 0.9)

    def quality(place: Place) -> float:
        return 1 / (1 + ((place["lr"] - lr) / 0.2) ** 2 + ((place["decay"] - decay) / 0.3) ** 2)

    return Landscape(quality, lambda place: place["lr"] - lr - 0.1 - slope * (place["decay"] - decay))


def edge(rng: random.Random, is_quiet: bool = False) -> Landscape:
    """Gets better all the way to where it explodes."""
    cliff = rng.uniform(0.25, 0.8)

    def quality(place: Place) -> float:
        off = ((cliff - place["lr"]) / 0.25) ** 2 + ((place.get("decay", 0.5) - 0.5) / 0.5) ** 2
        return 1 / (1 + off)

    return Landscape(quality, lambda place: place["lr"] - cliff, is_quiet)


def corridor(space: Space, is_quiet: bool = False) -> Callable[[random.Random], Landscape]:
    """Stable and poor far away, and stable and good in a corridor between two bands that explode."""

    def landscape(rng: random.Random) -> Landscape:
        half, band = rng.uniform(0.07, 0.1), rng.uniform(0.12, 0.18)
        middle = rng.uniform(0.35, 0.65)
        rest = peak({name: axis for name, axis in space.items() if name != "lr"}, rng)

        def beyond(place: Place) -> float:
            off = abs(place["lr"] - middle)
            return min(off - half, half + band - off)

        def quality(place: Place) -> float:
            off = abs(place["lr"] - middle)
            return (1 - 0.3 * (off / half) ** 2) * (0.6 + 0.4 * rest(place)) if off < half else 0.25 * rest(place)

        return Landscape(quality, beyond, is_quiet)

    return landscape


def chance(rng: random.Random) -> Landscape:
    """Three of ten explode, wherever they are."""
    return Landscape(peak(TWO, rng), explodes=CHANCE)


def one_choice(rng: random.Random) -> Landscape:
    """One optimizer is best near where it explodes, and explodes early; one later; one never, and is worse."""
    kinds = rng.sample(KINDS.values, 3)
    cliffs = dict(zip(kinds, (rng.uniform(0.3, 0.5), rng.uniform(0.6, 0.8), 2.0), strict=True))
    tops = dict(zip(kinds, (1.0, 0.8, 0.6), strict=True))
    decay = rng.uniform(0.2, 0.8)

    def quality(place: Place) -> float:
        best = min(cliffs[place["optimizer"]] - 0.08, 0.7)
        off = ((place["lr"] - best) / 0.15) ** 2 + ((place["decay"] - decay) / 0.4) ** 2
        return tops[place["optimizer"]] / (1 + off)

    return Landscape(quality, lambda place: place["lr"] - cliffs[place["optimizer"]])


def cliff_of_five(rng: random.Random) -> Landscape:
    """Five parameters, of which three decide whether it explodes; the best lies a little before that."""
    best = {name: rng.uniform(0.2, 0.8) for name in FIVE}
    names = rng.sample([*FIVE], 5)
    towards = dict(zip(names, (1.0, 0.6, -0.4, 0.0, 0.0), strict=True))
    weights = dict(zip(rng.sample(names, 5), (3 / (i + 1) for i in range(5)), strict=True))

    def quality(place: Place) -> float:
        return 1 / (1 + sum(weights[name] * ((place[name] - best[name]) / 0.3) ** 2 for name in FIVE))

    return Landscape(quality, lambda place: sum(towards[name] * (place[name] - best[name]) for name in FIVE) - 0.1)


MODES = Options(("a", "b", "c", "d"))
MIXED: Space = {
    "lr": LR,
    "layers": Number(1, 8, integer=True),
    "width": Number(16, 1024, log=True, integer=True),
    "dropout": Number(0.0, 0.8),
}
BRANCHES: Space = {
    "optimizer": KINDS,
    "lr": LR,
    "momentum": Number(0.0, 1.0, when=("optimizer", "sgd")),
    "beta": Number(0.0, 1.0, when=("optimizer", "adam")),
}
PROBLEMS = {
    "plateau, two": Problem("A plateau, two parameters", TWO, 40, plateau(TWO)),
    "plateau, five": Problem("A plateau, five parameters", FIVE, 40, plateau(FIVE)),
    "ridge": Problem("A ridge across two parameters", TWO, 40, ridge),
    "branches": Problem("A choice, and parameters on a condition", BRANCHES, 40, branches),
    "heavy tails": Problem("Noise of heavy tails", THREE, 60, heavy_tails),
    "one": Problem("Smooth, one parameter", {"lr": LR}, 20, smooth({"lr": LR})),
    "two": Problem("Smooth, two parameters", TWO, 30, smooth(TWO)),
    "five": Problem("Smooth, five parameters", FIVE, 40, smooth(FIVE)),
    "eight": Problem("Smooth, eight parameters", EIGHT, 100, smooth(EIGHT)),
    "five, choice": Problem("Smooth, five parameters and a choice of four", {**FIVE, "mode": MODES}, 40, categorical),
    "mixed": Problem("Whole numbers and others, four parameters", MIXED, 60, smooth(MIXED)),
    "failing": Problem("Three of ten trials fail", THREE, 40, failing),
    "line": Problem("A cliff along a line, the best before it", TWO, 40, line, True),
    "edge": Problem("The best at the cliff, one parameter", {"lr": LR}, 20, edge, True),
    "quiet": Problem("The best at a cliff without margins", TWO, 40, lambda rng: edge(rng, True), True),
    "corridor": Problem("A corridor between two bands that explode", TWO, 40, corridor(TWO), True),
    "corridor, three": Problem("The same without margins, three parameters", THREE, 60, corridor(THREE, True), True),
    "chance": Problem("Three of ten trials explode, anywhere", TWO, 40, chance, True),
    "one choice": Problem("A cliff by choice", {"optimizer": KINDS, **TWO}, 40, one_choice, True),
    "cliff, five": Problem("A cliff across three of five parameters", FIVE, 60, cliff_of_five, True),
}
