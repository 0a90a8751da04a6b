"""The pictures that runs left in the store, as parts of a report: of a bounded number of them, made small."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from orchestrator.comparison.table import FINAL
from orchestrator.errors import StoreError
from orchestrator.reports import pictures
from orchestrator.reports.charts import thinned
from orchestrator.reports.configurations import Configuration, Run, best_first, figure
from orchestrator.reports.document import Part
from orchestrator.reports.pictures import Picture
from orchestrator.reports.results import kinds_of
from orchestrator.spec import SweepSpec
from orchestrator.spec.form import DEFAULT_TRIAL
from orchestrator.trackers import Store

MOST = 12  # configurations whose pictures are shown
MOST_KINDS = 6  # of explosions
WANTED = {"reconstructions.png", "samples.png", "traversal.png"}
EXPLOSION = {"explosion.md", "explosion.png"}
LONGEST = 2000  # characters of what is said of an explosion

Left = Sequence[tuple[Configuration, Mapping[str, bytes]]]  # a configuration, and its first seed's files by name
Read = Callable[[bytes], pictures.Images | None]


def gallery(store: Store, spec: SweepSpec, configurations: Sequence[Configuration]) -> list[Part]:
    """Reconstructions, samples and traversals, one run for each configuration."""
    having = [one for one in configurations if one.completed]
    chosen, words = _chosen(spec, having)
    left = [(one, _files(store, one.completed[0].run_id, WANTED)) for one in chosen]
    is_own = spec.function.name == DEFAULT_TRIAL
    read = pictures.images if is_own else _not_read
    samples = _each(left, "samples.png", "Images decoded from samples of the prior", read)
    what = "Latent traversals: images decoded along single dimensions of the code"
    parts = [
        Part(
            "Reconstructions of the same ten test images" if is_own else "Reconstructions",
            words,
            pictures=tuple(_reconstructions(left, read)),
            layout="in rows",
        ),
        Part("Samples from the prior", words, pictures=tuple(samples)),
        Part("Latent traversals", words, pictures=tuple(_each(left, "traversal.png", what, _not_read))),
    ]
    return [part for part in parts if part.pictures]


def post_mortems(store: Store, runs: Sequence[Run]) -> Part:
    """What is said and drawn of explosions, for the first of each kind that has something."""
    words, drawn = [], []
    for kind in kinds_of(runs)[:MOST_KINDS]:
        first = kind[0]
        files = _files(store, first.record.run_id, EXPLOSION) if first.record else {}
        if "explosion.md" in files:
            words.append(f"{first.label}: {_plain(files['explosion.md'])}")
        text = f"The run {first.label} up to its explosion."
        picture = pictures.whole(files.get("explosion.png", b""), text, first.label)
        drawn += [picture] if picture else []
    return Part("How training exploded", tuple(words), pictures=tuple(drawn), layout="wide")


def _chosen(spec: SweepSpec, having: Sequence[Configuration]) -> tuple[Sequence[Configuration], tuple[str, ...]]:
    """The configurations whose pictures are shown, in their order, and a word on those that are not."""
    if len(having) <= MOST:
        return having, ()
    if not spec.ranks:
        return thinned(having, MOST), (f"Of {MOST} of {len(having)} configurations; all stand in MLflow.",)
    best = {id(one) for one in best_first(having, spec.objectives[0])[:MOST]}
    words = f"Of the {MOST} best of {len(having)} configurations by {spec.objectives[0].name}; all stand in MLflow."
    return [one for one in having if id(one) in best], (words,)


def _files(store: Store, run_id: str, wanted: set[str]) -> dict[str, bytes]:
    found = {}
    with suppress(StoreError):  # a report without a picture is a report
        for name in sorted(store.artifacts(run_id) & wanted):
            found[name] = store.artifact(run_id, name)
    return found


def _not_read(picture: bytes) -> pictures.Images | None:
    """A picture of which nobody knows how it is made up is shown as it is."""
    return None


def _reconstructions(left: Left, read: Read) -> Iterator[Picture]:
    """The originals, then a row for each configuration; again the originals where they are others."""
    before: pictures.Images | None = None
    for one, files in left:
        content = files.get("reconstructions.png", b"")
        rows = read(content)
        if rows is None or len(rows) < 2:
            picture = pictures.whole(content, f"Reconstructions by {_named(one)}.{_worth(one)}", _caption(one))
            if picture:
                yield picture
            continue
        if before is None or not pictures.same(before, rows[:1]):
            before = rows[:1]
            yield pictures.strip(before, "Ten images of the test set, as they are.", "the originals")
        text = f"The ten originals above, reconstructed by {_named(one)}.{_worth(one)}"
        yield pictures.strip(rows[1:2], text, _caption(one))


def _each(left: Left, file: str, what: str, read: Read) -> Iterator[Picture]:
    for one, files in left:
        content = files.get(file, b"")
        text, caption = f"{what}, by {_named(one)}.{_worth(one)}", _caption(one)
        rows = read(content)
        picture = pictures.whole(content, text, caption) if rows is None else pictures.strip(rows, text, caption)
        if picture:
            yield picture


def _named(one: Configuration) -> str:
    params = one.completed[0].params
    return f"{one.label}, seed {params['seed']}" if "seed" in params else one.label


def _caption(one: Configuration) -> str:
    figures = _figures(one)
    return f"{one.label}: {figures}" if figures else one.label


def _worth(one: Configuration) -> str:
    figures = _figures(one)
    return f" {figures}." if figures else ""


def _figures(one: Configuration) -> str:
    metrics = one.completed[0].metrics
    return ", ".join(f"{name.upper()} {figure(metrics[name])}" for name in FINAL if name in metrics)


def _plain(text: bytes) -> str:
    """Markdown of a paragraph as words."""
    return " ".join(text.decode("utf-8", "replace").replace("**", "").replace("`", "").lstrip("# ").split())[:LONGEST]
