"""The pictures that runs left in the store, as parts of a report: of a bounded number of them, made small."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from orchestrator.errors import StoreError
from orchestrator.report import pictures
from orchestrator.report.configurations import Configuration, Run, best_first, figure
from orchestrator.report.document import Part
from orchestrator.report.pictures import Picture
from orchestrator.report.results import kinds_of
from orchestrator.spec import SweepSpec
from orchestrator.trackers import Store

MOST = 12  # configurations whose pictures are shown
MOST_KINDS = 6  # of explosions
LONGEST = 2000  # characters of what is said of an explosion


def gallery(store: Store, spec: SweepSpec, configurations: Sequence[Configuration]) -> list[Part]:
    """Reconstructions, samples and traversals, one run for each configuration."""
    having = [one for one in configurations if one.completed]
    chosen = best_first(having, spec.metric)[:MOST]
    left = {one.label: _left(store, one) for one in configurations if one in chosen}
    shown = [one for one in configurations if left.get(one.label)]
    words: tuple[str, ...] = ()
    if len(having) > MOST:
        words = (f"Of the {MOST} best of {len(having)} configurations by {spec.metric.name}; all stand in MLflow.",)
    rows = tuple(_reconstructions(shown, left))
    samples = tuple(_each(shown, left, "samples.png", "Images decoded from samples of the prior"))
    traversals = tuple(_each(shown, left, "traversal.png", "Latent traversals: images decoded along single dimensions"))
    return [
        Part("Reconstructions of the same ten test images", words if rows else (), pictures=rows, layout="in rows"),
        Part("Samples from the prior", words if samples else (), pictures=samples),
        Part("Latent traversals", words if traversals else (), pictures=traversals),
    ]


def post_mortems(store: Store, runs: Sequence[Run]) -> Part:
    """What is said and drawn of explosions, for the first of each kind that has something."""
    words, drawn = [], []
    for kind in kinds_of(runs)[:MOST_KINDS]:
        record = kind[0].record
        files = _files(store, record.run_id, {"explosion.md", "explosion.png"}) if record else {}
        if "explosion.md" in files:
            words.append(f"{kind[0].label}: {_plain(files['explosion.md'])}")
        picture = pictures.whole(
            files.get("explosion.png", b""), f"The losses of {kind[0].label} up to its explosion.", kind[0].label
        )
        drawn += [picture] if picture else []
    return Part("How training exploded", tuple(words), pictures=tuple(drawn))


Left = dict[str, dict[str, bytes]]
WANTED = {"reconstructions.png", "samples.png", "traversal.png"}


def _left(store: Store, one: Configuration) -> dict[str, bytes]:
    """The pictures of a configuration's first seed."""
    return _files(store, one.completed[0].run_id, WANTED)


def _files(store: Store, run_id: str, wanted: set[str]) -> dict[str, bytes]:
    found = {}
    with suppress(StoreError):  # a report without a picture is a report
        for name in sorted(store.artifacts(run_id) & wanted):
            found[name] = store.artifact(run_id, name)
    return found


def _reconstructions(shown: Sequence[Configuration], left: Left) -> Iterator[Picture]:
    """The originals, then a row for each configuration; again the originals where they are others."""
    before: pictures.Images | None = None
    for one in shown:
        content = left[one.label].get("reconstructions.png")
        if content is None:
            continue
        name = f"{one.label}, seed {one.completed[0].params['seed']}" if "seed" in one.params else one.label
        rows = pictures.images(content)
        if rows is None or len(rows) < 2:
            picture = pictures.whole(content, f"Reconstructions of {name}.{_worth(one)}", _caption(one))
            if picture:
                yield picture
            continue
        if before is None or not pictures.same(before, rows[:1]):
            before = rows[:1]
            yield pictures.strip(before, "Ten images of the test set, as they are.", "the originals")
        text = f"The ten originals above, reconstructed by {name}.{_worth(one)}"
        yield pictures.strip(rows[1:2], text, _caption(one))


def _each(shown: Sequence[Configuration], left: Left, file: str, what: str) -> Iterator[Picture]:
    for one in shown:
        content = left[one.label].get(file)
        if content is None:
            continue
        text = f"{what}, by {one.label}.{_worth(one)}"
        rows = pictures.images(content)
        picture = (
            pictures.whole(content, text, _caption(one)) if rows is None else pictures.strip(rows, text, _caption(one))
        )
        if picture:
            yield picture


def _caption(one: Configuration) -> str:
    figures = _figures(one)
    return f"{one.label}: {figures}" if figures else one.label


def _worth(one: Configuration) -> str:
    figures = _figures(one)
    return f" {figures}." if figures else ""


def _figures(one: Configuration) -> str:
    metrics = one.completed[0].metrics
    return ", ".join(f"{name.upper()} {figure(metrics[name])}" for name in ("ssim", "mse") if name in metrics)


def _plain(text: bytes) -> str:
    """Markdown of a paragraph as words."""
    return " ".join(text.decode("utf-8", "replace").replace("**", "").replace("`", "").lstrip("# ").split())[:LONGEST]
