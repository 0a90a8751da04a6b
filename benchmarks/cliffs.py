"""Problems with a cliff beyond which training explodes: toys with a known optimum, and the VAE on real images.

Each seed has an instance of its own: toys have their cliff and optimum anywhere in the range, the VAE is trained with
another seed and searched over another range. So no contender gains by what happens to lie at its first guess.
"""

import bisect
import itertools
import json
import math
import random
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path

from measuring import ROOT
from pydantic import TypeAdapter

from orchestrator import functions
from orchestrator.divergence import FARTHEST, NEAREST, DivergenceRule
from orchestrator.functions import DEFAULT_TRIAL
from orchestrator.spec import Objective
from orchestrator.trial import Outcome, Params
from orchestrator.trials.observation import Observation
from orchestrator.worker import runner

Ranges = Mapping[str, tuple[float, float]]  # each uniform in the logarithm
OBJECTIVE = Objective("val_ssim", "maximize")
QUALITY = 0.9  # of the best without a cliff

VAR: Ranges = {"var": (0.01, 1.0)}
LR_AND_VAR: Ranges = {"lr": (1e-4, 0.1), "var": (0.01, 1.0)}
LR = 1e-3, 1.0  # with which the VAE is trained
DECADES = 1.8  # of it that a search sees
REAL = {"dataset": "digits", "architecture": "conv", "num_layers": 1, "batch_size": 64, "epochs": 4, "var": 0.05}
TRAINED = 72  # learning rates
TRAINED_SEEDS = 4, 5, 6, 7, 12, 13, 14, 15  # with each; settings were chosen on 0 to 3 and 8 to 11
LANDSCAPE = ROOT / "build" / "landscape.json"


@dataclass(frozen=True)
class Instance:
    """What a search is let loose on."""

    ranges: Ranges
    observe: Callable[[Params], Observation]
    optimum: float  # the best value that can be had without an explosion


def value(seen: Observation) -> float | None:
    """Of the metric, where training completed."""
    return seen.values[0] if seen.outcome is Outcome.COMPLETED and seen.values else None


@dataclass(frozen=True)
class Problem:
    """What is searched, and its instance for a seed."""

    title: str
    instance: Callable[[int], Instance]
    is_at_the_cliff: bool = False


def toy(
    ranges: Ranges, quality: Callable[[Params], float], beyond: Callable[[Params], float], optimum: float
) -> Instance:
    """One that explodes where `beyond`, in powers of ten, is above 0.

    Margins are as the divergence rule gives them for the VAE: they rise toward the cliff from a decade or two before
    it, and beyond it soon come to the most that there is.
    """

    def observe(params: Params) -> Observation:
        far = beyond(params)
        if far > 0:
            return Observation(Outcome.EXPLODED, None, min(NEAREST + 10 * far, FARTHEST))
        return Observation(Outcome.COMPLETED, (quality(params),), max(1.5 * far - NEAREST, -FARTHEST))

    return Instance(ranges, observe, optimum)


def inside(seed: int) -> Instance:
    """Explodes below a value of var, is best half a power of ten above it, and falls off to either side."""
    cliff = random.Random(seed).uniform(-1.9, -0.6)

    def quality(params: Params) -> float:
        return QUALITY * math.exp(-(((_log(params, "var") - cliff - 0.5) / 0.35) ** 2) / 2)

    return toy(VAR, quality, lambda params: cliff - _log(params, "var"), QUALITY)


def at_the_cliff(seed: int) -> Instance:
    """Gets better all the way to the value of var below which it explodes."""
    cliff = random.Random(seed).uniform(-1.8, -0.2)

    def quality(params: Params) -> float:
        return QUALITY - 0.2 * (_log(params, "var") - cliff)

    return toy(VAR, quality, lambda params: cliff - _log(params, "var"), QUALITY)


def plane(seed: int, best: float) -> Instance:
    """Explodes beyond a line, lr too large for its var; would be best `best` powers of ten of lr before that line."""
    rng = random.Random(seed)
    lr, var = rng.uniform(-3.6, -1.3), rng.uniform(-1.8, -0.2)
    slope, steepness_lr, steepness_var = 0.7, 0.15, 0.4
    line = lr - slope * var + best

    def beyond(params: Params) -> float:
        return _log(params, "lr") - slope * _log(params, "var") - line

    def quality(params: Params) -> float:
        return (
            QUALITY - steepness_lr * (_log(params, "lr") - lr) ** 2 - steepness_var * (_log(params, "var") - var) ** 2
        )

    # by Lagrange's rule, where the best lies beyond the line
    lost = max(0.0, -best) ** 2 / (1 / steepness_lr + slope**2 / steepness_var)
    return toy(LR_AND_VAR, quality, beyond, QUALITY - lost)


def vae(seed: int) -> Instance:
    """The VAE on scikit-learn's digits, by its learning rate: the nearest of those with which it was trained.

    The range begins between 0.001, where the best lies in its upper half, and 0.016, where it lies at its lower end.
    """
    low = 10 ** random.Random(seed).uniform(-3, -DECADES)
    ranges = {"lr": (low, low * 10**DECADES)}
    trained = landscape()[seed % len(TRAINED_SEEDS)]
    rates = [math.log(rate) for rate in learning_rates()]
    between = [(low + high) / 2 for low, high in itertools.pairwise(rates)]

    def observe(params: Params) -> Observation:
        return trained[bisect.bisect(between, math.log(params["lr"]))]

    within = (seen for rate, seen in zip(learning_rates(), trained, strict=True) if low <= rate <= ranges["lr"][1])
    return Instance(ranges, observe, max(filter(None, map(value, within))))


PROBLEMS = {
    "inside": Problem("One parameter, the optimum well inside", inside),
    "at": Problem("One parameter, the optimum at the cliff", at_the_cliff, True),
    "inside, two": Problem("Two parameters, the optimum well inside", lambda seed: plane(seed, 0.8)),
    "at, two": Problem("Two parameters, the optimum at the cliff", lambda seed: plane(seed, -0.4), True),
    "vae": Problem("The VAE on digits, by its learning rate", vae),
}


def learning_rates() -> list[float]:
    """Those with which the VAE is trained."""
    low, high = LR
    return [low * (high / low) ** (i / (TRAINED - 1)) for i in range(TRAINED)]


def train(rate: float, seed: int) -> Observation:
    """Train the VAE, as a worker does, and say what a search would be told."""
    params = functions.default_trial().resolve({**REAL, "lr": rate, "seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        task = runner.Task(DEFAULT_TRIAL, params, Path(folder), DivergenceRule(), threads=1)
        return Observation.of_events([OBJECTIVE], runner.run(task))


def prepare(processes: Executor) -> None:
    """Have the VAE trained for each learning rate and seed, unless that has been done before."""
    if LANDSCAPE.exists() and json.loads(LANDSCAPE.read_text())["of"] == _trained_as():
        return
    rates = learning_rates()
    told = processes.map(train, [*rates] * len(TRAINED_SEEDS), [seed for seed in TRAINED_SEEDS for _ in rates])
    trained = [[asdict(next(told)) for _ in rates] for _ in TRAINED_SEEDS]
    LANDSCAPE.parent.mkdir(exist_ok=True)
    LANDSCAPE.write_text(json.dumps({"of": _trained_as(), "trained": trained}, indent=1) + "\n")


def landscape() -> list[list[Observation]]:
    """What came of each learning rate, by seed."""
    return TypeAdapter(list[list[Observation]]).validate_python(json.loads(LANDSCAPE.read_text())["trained"])


def _trained_as() -> dict[str, object]:
    version = functions.default_trial().version
    return {**REAL, "version": version, "rates": TRAINED, "seeds": [*TRAINED_SEEDS], "range": [*LR]}


def _log(params: Params, name: str) -> float:
    return math.log10(params[name])
