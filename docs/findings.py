"""Writes docs/findings.md and its pictures from the files in docs/reproduction, in seconds and without a store.

make report
python docs/findings.py --add sqlite:///mlruns/mlflow.db    # first takes in what a store has that is new
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

import altair as alt
import torch
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from reproduction import FOLDER, PRECISION, ROOT, SWEEPS, TITLES, Row, append, read
from reproduction import rows as finished
from torch.utils.flop_counter import FlopCounterMode

from models.config import TrainConfig
from models.loss import nll_bound
from models.vae import build
from orchestrator import functions, pruners
from orchestrator.events import Finished, Progress
from orchestrator.functions import DEFAULT_TRIAL
from orchestrator.reports import theme
from orchestrator.reports.charts import data, thinned
from orchestrator.spec import load
from orchestrator.trial import Outcome, Trial
from orchestrator.trials.grid import expand
from orchestrator.trials.record import Record

DOCUMENT = ROOT / "docs" / "findings.md"
IMAGES = ROOT / "docs" / "images"
CURVES, DECODERS, SAMPLES = FOLDER / "curves.csv", FOLDER / "decoders.csv", FOLDER / "samples.csv"
BY_EPOCH = ("train_loss", "val_loss", "val_mse", "val_ssim", "val_nll", "decoder_var")
PIXELS = 28 * 28
TRAINED, VALIDATED = 55_000, 5_000  # images of an epoch
OPTIMAL = "optimal_variance:train"
VERSIONS = {DEFAULT_TRIAL: functions.default_trial().version, OPTIMAL: 1}
FIXED = (0.25, 0.035, 0.009)  # what the optimal variance is held against, at full length
WHOLE = 50  # epochs
SEARCH = "best_var"
EARLY = "early stopping: patient, 5 epochs"
RULES = {
    "median, as it comes": "{type: median}",
    "median, from the second trial on, after 5 epochs": "{type: median, n_startup_trials: 1, n_warmup_steps: 5}",
    "hyperband, from 3 epochs on": "{type: hyperband, min_iter: 3}",
    "successive halving, a third from 3 epochs on": "{type: successive_halving, min_resource: 3, reduction_factor: 3}",
    EARLY: "{type: patient, patience: 5}",
    "early stopping: patient, 10 epochs": "{type: patient, patience: 10}",
}
OUTCOMES = {True: Outcome.COMPLETED, False: Outcome.EXPLODED}  # by whether a training came to its last epoch
NOT_RUN = "not run yet"
LEVEL = {"var": (0.7, 0.9), "num_layers": (0.7, 0.8), "batch_size": (0.7, 0.8)}  # where curves differ in the end
MOST_LINES = 8  # of the search's trials in the table of samples
WIDTH = 230  # pixels of a panel

Curves = dict[str, dict[str, dict[int, float]]]  # by trial_key, metric and epoch


@dataclass(frozen=True)
class Decoder:
    """A training at the report's setting but for the decoder's variance, and what it came to at its end."""

    trial_key: str
    is_optimal: bool
    var: float  # of the last epoch
    epochs: int
    seed: int
    precision: str
    ssim: float  # of the test set
    mse: float
    kl: float  # nats, of validation images
    val_ssim: float
    val_nll: float
    frechet: float | None  # from samples to test images, where it was measured
    reconstructed: float | None  # the same from reconstructions
    confident: float | None  # share of samples that are clearly a digit

    @property
    def name(self) -> str:
        """As a table has it."""
        return "set to the error" if self.is_optimal else f"{self.var:.3g}"


@dataclass(frozen=True)
class Ended:
    """What a rule would have made of trials in a row."""

    last: Mapping[str, int]  # epoch, by trial_key
    whole: int  # epochs of all
    lost: Mapping[str, float]  # of its best val_ssim, by the trial_key of what has not exploded
    lost_of_best: float  # what the one that would be best lacks of the best val_ssim of all
    keeps_best: bool  # whether the same would be best

    @property
    def ran(self) -> int:
        """Epochs of all."""
        return sum(self.last.values())


@dataclass(frozen=True)
class Bill:
    """What trainings have cost."""

    count: int
    epochs: int
    core_seconds: float
    flops: float


def curves() -> Curves:
    """What the trainings told by epoch."""
    found: Curves = {}
    for row in read(CURVES):
        for metric in BY_EPOCH:
            if row[metric]:
                found.setdefault(row["trial_key"], {}).setdefault(metric, {})[int(row["epoch"])] = float(row[metric])
    return found


def decoders(known: Curves) -> list[Decoder]:
    """The trainings that differ in the variance of the decoder, in the order in which they were taken in."""
    looks = {row["trial_key"]: row for row in read(SAMPLES)}
    found = []
    for row in read(DECODERS):
        key, is_optimal = row["trial_key"], row["trial"] == OPTIMAL
        last = {metric: curve[max(curve)] for metric, curve in known[key].items()}
        var = last["decoder_var"] if is_optimal else float(row["var"])
        look = looks.get(key)
        seen = [float(look[name]) if look else None for name in ("frechet", "frechet_reconstructed", "confident")]
        run = (int(row["epochs"]), int(row["seed"]), row["precision"], float(row["ssim"]), float(row["mse"]))
        kl = last["val_loss"] - PIXELS * last["val_mse"] / (2 * var)
        found.append(Decoder(key, is_optimal, var, *run, kl, last["val_ssim"], last["val_nll"], *seen))
    return found


def document() -> str:
    """The page."""
    environment = Environment(  # noqa: S701 - Markdown of our own figures
        loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    known = curves()
    made = decoders(known)
    search = [one for one in made if one.trial_key in {trial.trial_key for trial in proposals()}]
    whole = [one for one in made if one.epochs == WHOLE and one.seed == 0 and one.precision == "bf16"]
    tables = {SWEEPS / f"{name}.yaml": rows_of(name) for name in TITLES}
    ran = those_run(tables, known)
    searched = {ROOT / "sweeps" / f"{SEARCH}.yaml": proposals()}
    pruned = {rule: replays(ran, known, text) for rule, text in RULES.items()}
    asked = {trial.trial_key: trial for trials in tables.values() for trial in trials}
    minutes = [float(row["wall_seconds"]) / 60 for row in finished() if _is_plain(row)]
    told = {
        "bests": bests(search),
        "best_ssim": max(search, key=lambda one: one.val_ssim, default=None),
        "best_nll": min(search, key=lambda one: one.val_nll, default=None),
        "best_look": min((one for one in search if one.frechet is not None), key=_frechet, default=None),
        "searched": len(search),
        "looked": sum(one.frechet is not None for one in search),
        "optimal": next((one for one in whole if one.is_optimal), None),
        "fixed_nll": min((one for one in whole if not one.is_optimal), key=lambda one: one.val_nll, default=None),
        "optimal_table": optimal_table(whole),
        "looks": looks_table(made),
        "real": next((row for row in read(SAMPLES) if row["trial_key"] == "real"), None),
        "bill": bill(asked.values()),
        "everything": bill(_trial(row) for row in finished()),
        "table_rows": sum(map(len, ran.values())),
        "quickest": f"{min(minutes):.0f}",
        "slowest": f"{max(minutes):.0f}",
        "most_saved": f"{max(map(saved, pruned.values())):.0%}",
        "most_kept": max((kept(tables) for tables in pruned.values() if saved(tables)), default=0),
        "tables": len(tables),
        "pruned": pruning_table(pruned),
        "pruned_search": pruning_table({rule: replays(searched, known, text) for rule, text in RULES.items()}),
        "patient": stopping(pruned[EARLY]),
    }
    return environment.get_template("findings.words.md").render(**told)


def bests(found: Sequence[Decoder]) -> str:
    """The best variance of a search, by what it is judged by."""
    lines = ["| judged by | best var | SSIM | MSE | val_nll | distance of samples |", "| --- " * 6 + "|"]
    seen = [one for one in found if one.frechet is not None]
    for judged, among, key in (
        ("`val_ssim`", found, lambda one: -one.val_ssim),
        ("`val_nll`", found, lambda one: one.val_nll),
        ("the look of samples", seen, _frechet),
    ):
        if not among:
            lines.append(f"| {judged} | {NOT_RUN} | | | | |")
            continue
        best = min(among, key=key)
        lines.append(f"| {judged} | {best.var:.3g} | {_figures(best)} |")
    return "\n".join(lines)


def optimal_table(found: Sequence[Decoder]) -> str:
    """The optimal variance beside fixed ones, at full length."""
    lines = ["| var | came to | SSIM | MSE | val_nll | distance of samples |", "| --- " * 6 + "|"]
    optimal = next((one for one in found if one.is_optimal), None)
    came_to = f"{optimal.var:.4f} | {_figures(optimal)}" if optimal else f"{NOT_RUN} | | | |"
    lines.append(f"| set to the error | {came_to} |")
    for var in FIXED:
        fixed = next((one for one in found if not one.is_optimal and one.var == var), None)
        lines.append(f"| {var} | {f'{var} | {_figures(fixed)}' if fixed else f'{NOT_RUN} | | | |'} |")
    return "\n".join(lines)


def looks_table(found: Sequence[Decoder]) -> str:
    """How samples look, from the largest variance down: of trainings at full length, and of some that were short."""
    lines = [
        "| var | epochs | distance of samples | of reconstructions | clearly a digit | KL |",
        "| --- " * 6 + "|",
    ]
    seen = sorted((one for one in found if one.frechet is not None), key=lambda one: -one.var)
    whole = [one for one in seen if one.epochs == WHOLE]
    for one in [*whole, *thinned([one for one in seen if one.epochs != WHOLE], MOST_LINES)]:
        cells = (one.name, one.epochs, _number(one.frechet), _number(one.reconstructed), f"{one.confident:.0%}")
        lines.append(f"| {' | '.join(map(str, cells))} | {one.kl:.1f} |")
    return "\n".join(lines)


def bill(trials: Iterable[Trial]) -> Bill:
    """What these have cost, as far as they have been run."""
    runs = {row["trial_key"]: row for row in finished()}
    found = [(trial, runs[trial.trial_key]) for trial in trials if trial.trial_key in runs]
    epochs = [int(row["epochs_run"] or 0) for _, row in found]
    seconds = sum(float(row["wall_seconds"]) * int(row["threads"]) for _, row in found)
    flops = sum(
        count * (3 * TRAINED + VALIDATED) * flops_of(trial.params["architecture"], *_shape(trial.params))
        for count, (trial, _) in zip(epochs, found, strict=True)
    )
    return Bill(len(found), sum(epochs), seconds, flops)


@cache
def flops_of(architecture: str, num_layers: int, latent_dim: int) -> int:
    """Of one image through the network, multiplications and additions apart; backwards it is about twice as many."""
    model = build(TrainConfig(architecture=architecture, num_layers=num_layers, latent_dim=latent_dim))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 1, 28, 28), torch.zeros(1, latent_dim))
    return int(counter.get_total_flops())


def rows_of(name: str) -> Sequence[Trial]:
    """Those of a table of the report, in their order."""
    return expand(load(SWEEPS / f"{name}.yaml", [PRECISION])).trials


def those_run(tables: Mapping[Path, Sequence[Trial]], known: Curves) -> dict[Path, list[Trial]]:
    """The rows of which there are curves."""
    return {file: [trial for trial in trials if trial.trial_key in known] for file, trials in tables.items()}


def proposals() -> list[Trial]:
    """The trials of the search, in the order in which they began."""
    return [_trial(row) for row in read(DECODERS) if row["sweep"] == SEARCH]


def replays(tables: Mapping[Path, Sequence[Trial]], known: Curves, rule: str) -> list[Ended]:
    """Each table by itself."""
    return [replayed(file, trials, known, rule) for file, trials in tables.items()]


def replayed(file: Path, trials: Sequence[Trial], known: Curves, rule: str) -> Ended:
    """What a rule of `early_terminate` would have made of these trials, had they run one after the other."""
    pruner = pruners.of(load(file, [], f"{file.read_text()}early_terminate: {rule}\n"))
    last, whole, lost, ends = {}, 0, {}, []
    for trial in trials:
        curve = known[trial.trial_key]["val_ssim"]
        reason = None
        for epoch, value in curve.items():
            pruner.take(trial, Progress(epoch, {"val_ssim": value}, at=0.0))
            reason = pruner.judge(trial)
            if reason:
                break
        is_whole = max(curve) == trial.params["epochs"]
        pruner.take(trial, Finished(Outcome.PRUNED if reason else OUTCOMES[is_whole]))
        last[trial.trial_key], whole = epoch, whole + len(curve)
        if is_whole:
            best, until = max(curve.values()), max(value for at, value in curve.items() if at <= epoch)
            lost[trial.trial_key] = best - until
            ends.append((not reason, until, best))
    best = max((best for _, _, best in ends), default=0.0)
    winner = max(ends, default=(True, 0.0, 0.0))  # what was pruned stands behind all that completed
    return Ended(last, whole, lost, best - winner[1], winner[2] == best)


def pruning_table(found: Mapping[str, Sequence[Ended]]) -> str:
    """A line for each rule."""
    lines = ["| rule | epochs saved | best row kept | SSIM lost of the best, at most |", "| --- " * 4 + "|"]
    for rule, tables in found.items():
        most = max((one.lost_of_best for one in tables), default=0.0)
        lines.append(f"| {rule} | {saved(tables):.0%} | {kept(tables)} of {len(tables)} | {most:.4f} |")
    return "\n".join(lines)


def saved(tables: Sequence[Ended]) -> float:
    """Share of the epochs of all tables."""
    return 1 - sum(one.ran for one in tables) / max(1, sum(one.whole for one in tables))


def kept(tables: Sequence[Ended]) -> int:
    """In how many tables the best row is still the best."""
    return sum(one.keeps_best for one in tables)


def stopping(tables: Sequence[Ended]) -> dict[str, float]:
    """What early stopping loses by training: on average and at most."""
    lost = {key: value for table in tables for key, value in table.lost.items()}
    return {"mean": fmean(lost.values()), "most": max(lost.values())}


def draw() -> None:
    """The pictures, but for that of the samples, which need the weights."""
    known = curves()
    draw_var(decoders(known))
    draw_curves(known)


def draw_var(found: Sequence[Decoder]) -> None:
    """What the best var is, by three measures."""
    rows = [
        {
            "var": one.var,
            "epochs": "var set to the error" if one.is_optimal else f"{one.epochs} epochs",
            "val_ssim": one.val_ssim,
            "val_nll": one.val_nll,
            "frechet": one.frechet,
        }
        for one in found
    ]
    panels = [
        _panel([row for row in rows if row[name] is not None], name, title)
        for name, title in (
            ("val_ssim", "val_ssim: up is better"),
            ("val_nll", "val_nll: down is better"),
            ("frechet", "distance of samples: down is better"),
        )
    ]
    _write(alt.hconcat(*panels), "findings_var.svg")


def draw_curves(known: Curves) -> None:
    """The rows of each table by epoch, and where early stopping ends them."""
    panels = []
    for name, level in LEVEL.items():
        tables = those_run({SWEEPS / f"{name}.yaml": rows_of(name)}, known)
        (ended,) = replays(tables, known, RULES[EARLY])
        rows = [
            {
                "trial": trial.label,
                "epoch": epoch,
                "val_ssim": value,
                "ended": epoch == ended.last[trial.trial_key] < trial.params["epochs"],
            }
            for trials in tables.values()
            for trial in trials
            for epoch, value in known[trial.trial_key]["val_ssim"].items()
        ]
        base = alt.Chart(data(rows)).encode(
            x=alt.X("epoch:Q", scale=alt.Scale(domain=[0, WHOLE], nice=False)),
            y=alt.Y("val_ssim:Q", scale=alt.Scale(domain=level), title=None),
            color=alt.Color("trial:N", title=None),
        )
        stops = base.transform_filter("datum.ended").mark_point(filled=True, size=90, opacity=1)
        lines = alt.layer(base.mark_line(clip=True, strokeWidth=1.5), stops)
        panels.append(lines.properties(width=WIDTH, height=220, title=f"val_ssim, {name}"))
    _write(alt.hconcat(*panels).resolve_scale(color="independent"), "findings_curves.svg")


def _write(drawn: alt.HConcatChart, name: str) -> None:
    (IMAGES / name).write_text(vl_convert.vegalite_to_svg(drawn.to_dict(), config=theme.fixed()))


def _panel(rows: Sequence[dict[str, object]], name: str, title: str) -> alt.Chart:
    # what exploded or collapsed is no matter here, so an axis begins where the values do
    drawn: alt.Chart = (
        alt.Chart(data(rows))
        .mark_point(filled=True, opacity=0.8)
        .encode(
            x=alt.X("var:Q", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(values=[0.01, 0.03, 0.1, 0.3])),
            y=alt.Y(f"{name}:Q", scale=alt.Scale(zero=False), title=None),
            color=alt.Color("epochs:N", title=None),
            shape=alt.Shape("epochs:N", title=None),
        )
        .properties(width=WIDTH, height=220, title=title)
    )
    return drawn


def add(uri: str) -> int:
    """Take in the curves that a store has and the file lacks, of trainings on MNIST; returns how many."""
    from orchestrator.trackers import Store

    store = Store(uri)
    known = {row["trial_key"] for row in read(CURVES)}
    taken: list[tuple[str, Record]] = []
    for name in store.sweeps():
        for record in store.records(name):
            is_result = record.outcome in (Outcome.COMPLETED, Outcome.EXPLODED)
            if is_result and not record.is_reused and record.trial_key not in known and kind_of(record):
                known.add(record.trial_key)
                taken.append((name, record))
    told = {metric: store.curves(metric, [record for _, record in taken]) for metric in BY_EPOCH}
    points, settings = [], []
    for name, record in taken:
        curve = {metric: told[metric][record.run_id] for metric in BY_EPOCH}
        if not curve["val_nll"]:  # older than this metric
            var = record.params["var"]
            curve["val_nll"] = {epoch: nll_bound(loss, var, PIXELS) for epoch, loss in curve["val_loss"].items()}
        for epoch in sorted(curve["val_ssim"]):
            values = {metric: f"{curve[metric][epoch]:.6g}" for metric in BY_EPOCH if epoch in curve[metric]}
            points.append({"trial_key": record.trial_key, "epoch": epoch, **values})
        if record.outcome is Outcome.COMPLETED and is_of_var(record):
            figures = {figure: f"{record.metrics[figure]:.6g}" for figure in ("ssim", "mse")}
            settings.append({**record.params, **figures, "sweep": name, "trial": kind_of(record)})
            settings[-1]["trial_key"] = record.trial_key
    append(CURVES, ("trial_key", "epoch", *BY_EPOCH), points)
    columns = ("sweep", "trial", "trial_key", "var", "epochs", "seed", "precision", "ssim", "mse")
    append(DECODERS, columns, settings)
    return len(taken)


def kind_of(record: Record) -> str | None:
    """The trial function of a training on MNIST, if it is the VAE as it is now, or that with the optimal variance."""
    if record.params.get("dataset") != "mnist":
        return None
    for name, version in VERSIONS.items():
        if Trial(name, version, record.params, "").trial_key == record.trial_key:
            return name
    return None


def is_of_var(record: Record) -> bool:
    """Whether it is at the report's setting but for the variance, and for what does not change the model."""
    free = {name: record.params[name] for name in ("var", "epochs", "seed", "precision")}
    return asdict(TrainConfig(**free)) == record.params


def _trial(row: Row) -> Trial:
    names = TrainConfig.__dataclass_fields__.keys() & row.keys()
    params = asdict(TrainConfig(**{name: row[name] for name in names}))  # type: ignore[arg-type]
    return Trial(DEFAULT_TRIAL, VERSIONS[DEFAULT_TRIAL], params, row["trial_key"])


def _is_plain(row: Row) -> bool:
    """Whether a training is of the kind of which there are most: bf16, and all but var and seed as in the report."""
    free = {"var": float(row["var"]), "seed": int(row["seed"]), "precision": "bf16"}
    return _trial(row).params == asdict(TrainConfig(**free)) and row["outcome"] == Outcome.COMPLETED


def _shape(params: Mapping[str, object]) -> tuple[int, int]:
    return int(str(params["num_layers"])), int(str(params["latent_dim"]))


def _frechet(one: Decoder) -> float:
    return one.frechet or 0.0


def _figures(one: Decoder) -> str:
    return f"{one.ssim:.4f} | {one.mse:.4f} | {one.val_nll:.0f} | {_number(one.frechet)}"


def _number(value: float | None) -> str:
    return NOT_RUN if value is None else f"{value:.1f}"


def main() -> None:
    """Write the page and draw its pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", metavar="URI", action="append", default=[], help="a store: take in what is new there")
    for uri in parser.parse_args().add:
        print(f"{add(uri)} curves taken in")
    DOCUMENT.write_text(document())
    draw()
    print(DOCUMENT.relative_to(ROOT))


if __name__ == "__main__":
    main()
