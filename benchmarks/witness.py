"""The VAE's trial function under observation: what it really trains is noted where no launch looks or tidies up.

Copied beside a sweep file, which names it: `trial: witness:train`. Each attempt at a trial leaves a line at its start,
as step 0, and one at each step: `trial_key step seconds`. One var does not fit, as is found after a while.
"""

import os
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TextIO

from witness_declaration import DECLARATION

from models.config import TrainConfig
from models.stacked import train_stacked as train_vaes
from models.train import train as train_vae
from orchestrator import Infeasible

NOTES = Path(os.environ.get("TORTURE_NOTES", Path(__file__).with_name("notes.txt")))  # where all hosts see it
DOES_NOT_FIT, AT_STEP = 0.3, 300  # a var, and when that is seen


def train(
    config: TrainConfig, workdir: Path, watch: Callable[..., None]
) -> Generator[dict[str, float], None, dict[str, float | str]]:
    """Train as `models.train` does, and note it."""
    with NOTES.open("a", buffering=1) as notes:  # a line at a time: a kill tears none
        return (yield from train_vae(config, workdir, _noting(notes, config, workdir, watch)))


def train_stacked(
    configs: Sequence[TrainConfig],
    workdirs: Sequence[Path],
    watches: Sequence[Callable[..., None]],
    places: Sequence[int],
    width: int,
) -> Generator[Any, None, Any]:
    """The same of a stack."""
    with NOTES.open("a", buffering=1) as notes:
        noting = [_noting(notes, *of_trial) for of_trial in zip(configs, workdirs, watches, strict=True)]
        return (yield from train_vaes(configs, workdirs, noting, places, width))


def _noting(notes: TextIO, config: TrainConfig, workdir: Path, watch: Callable[..., None]) -> Callable[..., None]:
    def note(step: int, *arguments: Any, **more: Any) -> None:
        print(workdir.name, step, time.time(), file=notes)
        watch(step, *arguments, **more)
        if config.var == DOES_NOT_FIT and step >= AT_STEP:
            raise Infeasible("it does not fit", margin=0.5)

    print(workdir.name, 0, time.time(), file=notes)
    return note


train.declaration = DECLARATION  # type: ignore[attr-defined]
