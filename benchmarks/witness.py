"""The VAE's trial function under observation: what it really trains is noted where no launch looks or tidies up.

Copied beside a sweep file, which names it: `trial: witness:train`. Each attempt at a trial leaves a line at its start,
as step 0, and one at each step: `trial_key step seconds`.
"""

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from models.config import TrainConfig
from models.train import prepare
from models.train import train as train_vae

NOTES = Path(__file__).with_name("notes.txt")


def train(
    config: TrainConfig, workdir: Path, watch: Callable[..., None]
) -> Generator[dict[str, float], None, dict[str, float | str]]:
    """Train as `models.train` does, and note it."""
    with NOTES.open("a", buffering=1) as notes:  # a line at a time: a kill tears none

        def note(step: int, *arguments: Any, **more: Any) -> None:
            print(workdir.name, step, time.time(), file=notes)
            watch(step, *arguments, **more)

        print(workdir.name, 0, time.time(), file=notes)
        return (yield from train_vae(config, workdir, note))


train.prepare = prepare  # type: ignore[attr-defined]
