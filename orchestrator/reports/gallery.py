"""The pictures that runs have stored, as parts of a report: a bounded number of them, made small."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.functions.declaration import Picture
from orchestrator.reports import pictures
from orchestrator.reports.charts import thinned
from orchestrator.reports.configurations import Run, RunGroup, best_first, figure
from orchestrator.reports.document import Part
from orchestrator.reports.kinds import kinds_of
from orchestrator.reports.leavings import Left, left_out
from orchestrator.reports.pictures import ReportPicture
from orchestrator.reports.trial_files import TrialFiles
from orchestrator.reports.trial_pictures import EXPLOSION, MOST_UNDECLARED, SUFFIX, path_of, title_of
from orchestrator.spec import SweepSpec

MOST = 12  # configurations whose pictures are shown
MOST_FIGURES = 3  # in a caption, of a function that declares none
MOST_KINDS = 6  # of explosions
ELSEWHERE = "those of the others are in MLflow."

Final = tuple[str, str]  # the name of a final metric, and its title
Stored = Sequence[tuple[RunGroup, Mapping[str, bytes]]]  # a configuration, and its first seed's files by name


def gallery(files: TrialFiles, spec: SweepSpec, configurations: Sequence[RunGroup]) -> list[Part]:
    """The pictures that trials have stored, kind by kind, of one run for each configuration.

    These are the pictures that the trial function declares; if it declares none, all pictures among its artifacts.
    """
    chosen, words = shown(spec, configurations)
    kinds = spec.function.declaration.pictures or _undeclared(files, chosen)
    names = {f"{kind.name}{SUFFIX}" for kind in kinds}
    stored = [(configuration, _files(files, configuration.completed[0].run_id, names)) for configuration in chosen]
    final = _final(spec, chosen)
    parts = [
        Part(
            kind.title,
            words,
            pictures=tuple(_pictures(stored, kind, final)),
            layout="in rows" if kind.has_originals else "side by side",
        )
        for kind in kinds
    ]
    return [part for part in parts if part.pictures]


def _final(spec: SweepSpec, chosen: Sequence[RunGroup]) -> list[Final]:
    """The metrics of a caption: the final metrics."""
    if spec.function.declaration.final:
        return [(metric.name, metric.heading) for metric in spec.function.declaration.final]
    names = dict.fromkeys(name for configuration in chosen for name in configuration.completed[0].final_names)
    return [(name, name) for name in [*names][:MOST_FIGURES]]


def _undeclared(files: TrialFiles, chosen: Sequence[RunGroup]) -> list[Picture]:
    names: dict[str, None] = {}
    for configuration in chosen:
        left = files.names(configuration.completed[0].run_id) - {EXPLOSION}
        names |= dict.fromkeys(sorted(name for name in left if name.endswith(SUFFIX)))
    stems = [name.removesuffix(SUFFIX) for name in names][:MOST_UNDECLARED]
    return [Picture(name=stem, title=title_of(stem), text=f"The picture {stem}") for stem in stems]


def post_mortems(files: TrialFiles, runs: Sequence[Run], left: Left) -> Part:
    """The texts and pictures on explosions, of the first run of each kind; and what the page has of the others."""
    words, drawn = [], []
    for kind in kinds_of(runs)[:MOST_KINDS]:
        first = kind[0]
        run_id = first.record.run_id if first.record else ""
        if told := left.get(run_id, {}).get("post_mortem"):
            words.append(f"{first.label}: {told}")
        text = f"The run {first.label} up to its explosion."
        epoch = first.record.tags.get("explosion.epoch") if first.record else None
        caption = f"{first.label} (epoch {epoch})" if epoch else first.label
        picture = pictures.whole(files.read(run_id, EXPLOSION), text, caption)
        drawn += [replace(picture, run_id=run_id, path=path_of(run_id, EXPLOSION))] if picture else []
    words += filter(None, [left_out(runs, left).get("post_mortem")])
    return Part("How training exploded", tuple(words), pictures=tuple(drawn), layout="wide")


def shown(spec: SweepSpec, configurations: Sequence[RunGroup]) -> tuple[Sequence[RunGroup], tuple[str, ...]]:
    """The configurations whose pictures are shown, in their order, and a sentence on those that are left out."""
    completed = [configuration for configuration in configurations if configuration.completed]
    count = len(completed)
    if count <= MOST:
        return completed, ()
    if spec.method.finds_boundary:
        return thinned(completed, MOST), (f"{MOST} of {count} configurations; {ELSEWHERE}",)
    if not spec.objectives:
        return completed[:MOST], (f"The first {MOST} of {count} configurations; {ELSEWHERE}",)
    best = {id(configuration) for configuration in best_first(spec, completed)[:MOST]}
    words = f"The {MOST} best of {count} configurations by {spec.objectives[0].name}; {ELSEWHERE}"
    return [configuration for configuration in completed if id(configuration) in best], (words,)


def _files(files: TrialFiles, run_id: str, names: set[str]) -> dict[str, bytes]:
    contents = {name: files.read(run_id, name) for name in sorted(names)}
    return {name: content for name, content in contents.items() if content}


def _pictures(stored: Stored, kind: Picture, final: Sequence[Final]) -> Iterator[ReportPicture]:
    """A picture of each configuration; originals come before it where they differ from the last originals."""
    originals: pictures.Images | None = None
    for configuration, files in stored:
        run_id = configuration.completed[0].run_id
        content = files.get(f"{kind.name}{SUFFIX}", b"")
        rows = pictures.images(content, kind.tiles) if kind.tiles else None
        figures = _figures(configuration, final)
        caption = f"{configuration.label}: {figures}" if figures else configuration.label
        caption += _whose(configuration)
        text = f"{kind.text}, by {_named(configuration)}.{f' {figures}.' if figures else ''}"
        path = path_of(run_id, f"{kind.name}{SUFFIX}")
        if rows is None or (kind.has_originals and len(rows) < 2):
            picture = pictures.whole(content, text, caption, pictures.SMALL)
            yield from [replace(picture, run_id=run_id, path=path)] if picture else []
            continue
        if kind.has_originals:
            if originals is None or not pictures.same(originals, rows[:1]):
                originals = rows[:1]
                yield pictures.strip(originals, "The original images.", "originals")
            rows = rows[1:2]
        yield replace(pictures.strip(rows, text, caption), run_id=run_id, path=path)


def _named(configuration: RunGroup) -> str:
    params = configuration.completed[0].params
    return f"{configuration.label}, seed {params['seed']}" if "seed" in params else configuration.label


def _whose(configuration: RunGroup) -> str:
    """Of which of several seeds a picture is, and after which epoch it was made: " (seed 0, epoch 20)"."""
    record = configuration.completed[0]
    seed = [f"seed {record.params['seed']}"] * (len(configuration.runs) > 1 and "seed" in record.params)
    known = [*seed, *[f"epoch {record.last_epoch}"] * bool(record.last_epoch)]
    return f" ({', '.join(known)})" if known else ""


def _figures(configuration: RunGroup, final: Sequence[Final]) -> str:
    metrics = configuration.completed[0].metrics
    return ", ".join(f"{heading} {figure(metrics[name])}" for name, heading in final if name in metrics)
