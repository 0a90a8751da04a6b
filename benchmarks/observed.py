"""The VAE's trial function with a note, at the end of each trial, of how much memory its worker holds by then."""

import os
from collections.abc import Callable, Generator
from pathlib import Path

from models.config import TrainConfig
from models.train import prepare
from models.train import train as train_vae

NOTES = Path(__file__).with_name("notes.txt")


def train(
    config: TrainConfig, workdir: Path, watch: Callable[..., None]
) -> Generator[dict[str, float], None, dict[str, float | str]]:
    """Train as `models.train` does; note the resident bytes after it."""
    final = yield from train_vae(config, workdir, watch)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    with NOTES.open("a") as notes:
        print(os.getpid(), pages * os.sysconf("SC_PAGE_SIZE"), file=notes)
    return final


train.prepare = prepare  # type: ignore[attr-defined]
