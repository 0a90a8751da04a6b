"""What a trial function declares of itself, so that a sweep knows how to watch, compare and show its trials.

A declaration is data. It stands in a module that imports no framework, and the function names it:

    from mine.declared import DECLARATION        # built from the classes below

    def train(config: Config): ...

    train.declaration = DECLARATION

A function that declares nothing is swept all the same: what it reports is then shown under its own names.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Goal = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Tolerance:
    """How far from a published figure a result may be and still count as the same.

    Args:
        value: the largest difference; where `relative`, as a share of the published figure.
        relative: whether the value is such a share.
    """

    value: float
    relative: bool = False

    def around(self, published: float) -> float:
        """The largest difference from this figure."""
        return abs(published) * self.value if self.relative else self.value

    def __str__(self) -> str:
        return f"{self.value:.0%} of it" if self.relative else f"{self.value:g}"


@dataclass(frozen=True)
class Metric:
    """A metric that the function reports.

    Args:
        name: under which it is reported.
        goal: whether more or less of it is better.
        title: for tables, charts and captions; the name by default.
        tolerance: for comparisons with published figures.
        text: what it is, for people who do not know it: "Structural similarity: 1 for the same picture".
    """

    name: str
    goal: Goal = "minimize"
    title: str = ""
    tolerance: Tolerance | None = None
    text: str = ""

    @property
    def heading(self) -> str:
        """The title, or else the name."""
        return self.title or self.name


@dataclass(frozen=True, kw_only=True)
class Incomparable:
    """Metrics that do not compare trials in which certain parameters differ.

    Args:
        metrics: by name.
        between: the parameters.
        reason: what is the matter with such a metric, as the end of a sentence that begins with its name.
        instead: names of metrics that do compare them.
    """

    metrics: tuple[str, ...]
    between: tuple[str, ...]
    reason: str
    instead: tuple[str, ...]


@dataclass(frozen=True)
class Tiles:
    """What a picture is made of: rows of so many square images, each with so many pixels on a side.

    Each pixel of an image may be several of the picture.
    """

    columns: int
    side: int


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture that trials leave as `artifacts/<name>.png`.

    Args:
        name: of the file, without its ending.
        title: its heading in a report.
        text: what it shows, for people who cannot see it: "Images decoded from samples of the prior".
        tiles: what it is made of, so that a report keeps its images pixel for pixel; None shows it as it is.
        has_originals: whether its rows of tiles are by turns originals, and what the trial made of them.
        by_epoch: whether the function leaves it by epoch, too, as `images/<name>/<epoch>.png`.
    """

    name: str
    title: str
    text: str
    tiles: Tiles | None = None
    has_originals: bool = False
    by_epoch: bool = False


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Two metrics by epoch whose values are worth a chart: a line through the values of a parameter.

    Args:
        title: of the chart.
        x: the metric on the horizontal axis.
        y: the metric on the vertical axis.
        along: the parameter.
        text: what the chart shows, as a sentence.
    """

    title: str
    x: Metric
    y: Metric
    along: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """All that a function declares; every part may be left out.

    Args:
        version: raise it when the function's results change; finished trials of an older version no longer count.
        since: parameters that came later, with the version that is the first in which they tell trials apart: of an
            earlier one, a trial in which such a parameter has its default is what it was without it.
        metrics: by epoch, by which trials can be compared; the first is compared by where a sweep names none.
        final: metrics at the end of a trial, in the order of interest.
        training_losses: names of losses that it learns by; of these, the first that is reported is shown. None declares
            none: then `train_loss` or `loss` is shown.
        validation_losses: the same of losses on data that it does not learn from; by default `val_loss` is shown.
        words: what other metrics, and words of its titles and texts, mean, for people who do not know them:
            `{"KL": "Kullback-Leibler divergence: .."}`. A report explains them where they stand.
        diagnoses: how the texts begin that it returns as `diagnosis`.
        rate: the metric by epoch that says how fast it trains, per second.
        pace: the parameters that decide how long an epoch takes; None: any of them may.
        one_thread: values of parameters with which a trial has a single thread, on CPUs and where nobody says how many:
            with more, it would hardly go on beside other work.
        incomparable: metrics that do not compare trials in which certain parameters differ.
        stack_by: the parameters in which trials may differ that `stacked` trains at once.
        checkpoints: files in the folder of a trial that it resumes from, as patterns: nobody misses them where they are
            removed with the folder.
        extendable: whether a training that has ended goes on from its checkpoint to any number of epochs, with the
            numbers of one that was to have so many from the start. Nothing in it may depend on how many there are in
            all, as a schedule of the learning rate does. A mapping has the values of parameters with which that is so:
            `{"schedule": ("constant",)}`.
        pictures: that its trials leave, in the order in which a report shows them.
        plane: two metrics that are worth a chart together.
        prepare: the function, as `module:function`, that is given a config before the first trial, and has data ready.
        stacked: the function that trains several configs at once.
        export: the function that writes a trained model as an MLflow model.
    """

    version: int = 1
    since: Mapping[str, int] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    final: tuple[Metric, ...] = ()
    training_losses: tuple[str, ...] | None = None
    validation_losses: tuple[str, ...] | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    diagnoses: tuple[str, ...] = ()
    rate: str = ""
    pace: tuple[str, ...] | None = None
    one_thread: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    incomparable: tuple[Incomparable, ...] = ()
    stack_by: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    extendable: bool | Mapping[str, tuple[Any, ...]] = False
    pictures: tuple[Picture, ...] = ()
    plane: Plane | None = None
    prepare: str = ""
    stacked: str = ""
    export: str = ""

    @property
    def losses_of_training(self) -> tuple[str, ...]:
        """The losses that it learns by: those that it declares, or else the usual names."""
        return ("train_loss", "loss") if self.training_losses is None else self.training_losses

    @property
    def losses_of_validation(self) -> tuple[str, ...]:
        """The same of losses on data that it does not learn from."""
        return ("val_loss",) if self.validation_losses is None else self.validation_losses

    @property
    def losses(self) -> tuple[str, ...]:
        """The names of all losses, those of training first."""
        return (*self.losses_of_training, *self.losses_of_validation)

    @property
    def declares_losses(self) -> bool:
        """Whether it says itself which of its metrics are losses, if only those of one kind."""
        return self.training_losses is not None or self.validation_losses is not None

    def extends(self, params: Mapping[str, Any]) -> bool:
        """Whether a training with these parameters can go on from its checkpoint to any number of epochs."""
        if isinstance(self.extendable, bool):
            return self.extendable
        return all(params.get(name) in values for name, values in self.extendable.items())

    def heading(self, name: str) -> str:
        """The title of a metric, or its name where none is declared."""
        return next((metric.heading for metric in (*self.final, *self.metrics) if metric.name == name), name)

    def text(self, name: str) -> str:
        """What a metric is; empty where nothing is said of it."""
        texts = (metric.text for metric in (*self.final, *self.metrics) if metric.name == name)
        return next(filter(None, texts), self.words.get(name, ""))

    def tolerance(self, name: str) -> Tolerance | None:
        """How far from a published figure of a metric a result may be; None where none is declared."""
        return next((metric.tolerance for metric in (*self.final, *self.metrics) if metric.name == name), None)

    def parameters(self) -> Iterator[tuple[str, Sequence[str]]]:
        """The names of parameters that it mentions, with the name of the field that does."""
        yield "since", [*self.since]
        yield "stack_by", self.stack_by
        yield "pace", self.pace or ()
        yield "one_thread", [*self.one_thread]
        yield "extendable", [] if isinstance(self.extendable, bool) else [*self.extendable]
        yield "incomparable", [name for rule in self.incomparable for name in rule.between]
        yield "plane", [self.plane.along] if self.plane else []


UNDECLARED = Declaration()
