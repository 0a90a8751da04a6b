"""What a program logs, however it does so, as messages in the order in which they came.

`source` says by which way a message came: one of `SOURCES`. Times are seconds since 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Source = Literal["wandb", "trackio", "swanlab", "mlflow", "tensorboard", "output", "report"]


@dataclass(frozen=True)
class Logged:
    """Values that one call logged, not finite ones too. `step` is what the call itself named, if it did."""

    source: Source
    metrics: Mapping[str, float]
    step: int | None
    at: float

    def without(self, metric: str | None) -> "Logged":
        """The same call without a metric, such as the one that has its epoch."""
        return replace(self, metrics={name: value for name, value in self.metrics.items() if name != metric})


@dataclass(frozen=True)
class StepMetric:
    """The steps of `metric`, which may be a pattern such as `val/*`, are the values of `step_metric`."""

    source: Source
    metric: str
    step_metric: str


@dataclass(frozen=True)
class Summary:
    """Final values, by name."""

    source: Source
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class PictureLogged:
    """An image file, under a name of the script's own."""

    source: Source
    name: str
    path: str
    step: int | None


@dataclass(frozen=True)
class ArtifactLogged:
    """A file or a folder that the script keeps; `name` is its path among the artifacts."""

    source: Source
    path: str
    name: str


@dataclass(frozen=True)
class NotKept:
    """A file that the script logged, of which nothing could be kept, and why."""

    source: Source
    name: str
    reason: str


@dataclass(frozen=True)
class Noted:
    """Parameters and tags that a script sets itself."""

    source: Source
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Ended:
    """The script has ended its run; the program may go on."""

    source: Source


Message = Logged | StepMetric | Summary | PictureLogged | ArtifactLogged | NotKept | Noted | Ended
