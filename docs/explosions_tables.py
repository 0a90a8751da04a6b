"""Writes docs/explosions.md from explosions.csv and runs.csv in docs/reproduction, by `make report`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

import late_warnings
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from late_rates import REPORTS, SETTING, Row, percent, setting, whole
from reproduction import FOLDER, ROOT, all_rows, is_black, read

from orchestrator.spec import load
from orchestrator.trial import Outcome
from orchestrator.trials.grid import expand

DOCUMENT = ROOT / "docs" / "explosions.md"
ASKING = {"late": ROOT / "examples" / "late.yaml", "var_0.2": ROOT / "sweeps" / "var_0.2.yaml"}
STARTS = FOLDER / "explosions.csv"
STEPS = "24"
PLAIN = {"kernel": "3", "innermost_stride": "2", "num_layers": "3", "norm": "none", "init": "torch"}
PLAIN |= {"hidden": "0", "slope": "0.01", "clamp": "0", "lr": "0.005"}
DRAWN = ("kaiming", "xavier", "small")  # the initial weights that are not torch's
NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Start:
    """A row of the table of starts: which of them count."""

    label: str
    var: str = "0.25"
    batch: str = ""  # any, where empty
    inits: Sequence[str] = ("torch",)
    choices: Mapping[str, str] = field(default_factory=dict)

    def counts(self, row: Row) -> bool:
        """Whether a start is of this row."""
        given = {name: row[name] or PLAIN[name] for name in PLAIN}
        asked = {**PLAIN, **self.choices, "init": given["init"]}
        setting = given == asked and given["init"] in self.inits and row["steps"] == STEPS
        return setting and row["var"] == self.var and self.batch in ("", row["batch_size"])


ROWS = (
    Start("conv: kernels of 3, 3 layers", "0.5", "1024"),
    Start("", "0.5", "512"),
    Start("", "0.5", "256"),
    Start("", "0.2", "1024"),
    Start("", "0.2", "256"),
    Start("conv, 4 layers", "0.5", "1024", choices={"num_layers": "4"}),
    Start("", "0.5", "256", choices={"num_layers": "4"}),
    Start("innermost stride 1 (7x7x128)", "0.2", "1024", choices={"innermost_stride": "1"}),
    Start("kernels of 3: weights of Kaiming, Xavier or DCGAN", batch="256", inits=DRAWN),
    Start("kernels of 3, linear layers of 256 between", choices={"hidden": "256"}),
    Start("kernels of 4", choices={"kernel": "4"}),
    Start("kernels of 4: Kaiming, Xavier or DCGAN", batch="256", inits=DRAWN, choices={"kernel": "4"}),
    Start("kernels of 4, linear layers of 256 between", choices={"kernel": "4", "hidden": "256"}),
    Start("kernels of 4, LeakyReLU of slope 0.2", choices={"kernel": "4", "slope": "0.2"}),
    Start("kernels of 4, batch normalization", choices={"kernel": "4", "norm": "batch"}),
    Start("kernels of 5", choices={"kernel": "5"}),
    Start("kernels of 5, LeakyReLU of slope 0.2", choices={"kernel": "5", "slope": "0.2"}),
    Start("kernels of 5, batch normalization", choices={"kernel": "5", "norm": "batch"}),
    Start("kernels of 4, 4 layers", choices={"kernel": "4", "num_layers": "4"}),
)


def starts(rows: Sequence[Row]) -> str:
    """The table of the first steps: what turned black, and what died."""
    header = ["variant", "var", "batch", "seeds", "black", "dead", "rate of death", "left, median", "left, least"]
    return markdown(header, [_start(start, rows) for start in ROWS])


def _start(start: Start, rows: Sequence[Row]) -> list[str]:
    found = {(row["init"], row["batch_size"], row["seed"]): row for row in rows if start.counts(row)}
    left = [float(row["gradient_left"]) for row in found.values()]
    black = sum(is_black(float(row["val_mse"]), "val") for row in found.values())
    dead = sum(row["dead"] == "True" for row in found.values())
    sizes = {row["batch_size"] for row in found.values()}
    batch = start.batch or ("both" if len(sizes) > 1 else sizes.pop())
    counts = [str(len(found)), str(black), str(dead), percent(dead, len(found))]
    return [start.label, start.var, batch, *counts, f"{median(left):.1f}", f"{min(left):.1f}"]


def late(rows: Sequence[Row]) -> str:
    """The table of whole trainings: how many of each setting exploded, and in which epochs."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in whole(rows):
        groups.setdefault((*(row[name] for name in SETTING), row["var"]), []).append(row)
    ordered = sorted(groups, key=lambda key: (key[:-1] != REPORTS, key[-2] == "", key[0], key[:-1], float(key[-1])))
    header = ["training", "var", "runs", "exploded", "rate", "in epoch", "turned black", "SSIM of the others"]
    labels = ["", *(setting(groups[key][0]) or "the report's setting" for key in ordered)]
    named = [label if label != before else "" for before, label in pairwise(labels)]
    return markdown(header, [[name, key[-1], *_late(groups[key])] for name, key in zip(named, ordered, strict=True)])


def _late(rows: Sequence[Row]) -> list[str]:
    exploded = [row for row in rows if row["outcome"] == str(Outcome.EXPLODED)]
    ended = [row for row in rows if row not in exploded]
    black = [row for row in ended if is_black(float(row["mse"]), "test")]
    figures = sorted(float(row["ssim"]) for row in ended if row not in black)
    spread = f"{figures[0]:.3f} to {figures[-1]:.3f}" if len(figures) > 1 else "".join(f"{one:.3f}" for one in figures)
    epochs = ", ".join(str(epoch) for epoch in sorted(int(row["epochs_run"]) + 1 for row in exploded))
    rate = percent(len(exploded), len(rows))
    return [str(len(rows)), str(len(exploded)), rate, epochs or NONE, str(len(black)), spread or NONE]


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table, its columns aligned."""
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
    rows = [header, ["-" * width for width in widths], *lines]
    aligned = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in aligned)


def document() -> str:
    """The page."""
    environment = Environment(  # noqa: S701 - Markdown of our own figures
        loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    runs = all_rows()
    told = {"starts": starts(read(STARTS)), "late": late(runs)}
    asked = [row for row in runs if row["sweep"] in ASKING]
    told |= {"run": len(asked), "hours": f"{sum(float(row['wall_seconds']) for row in asked) / 3600:.0f}"}
    told["asked"] = sum(len(expand(load(path)).trials) for path in ASKING.values())
    told["first"] = markdown(*late_warnings.first(read(late_warnings.FIRST)))
    told["warnings"] = markdown(*late_warnings.table(read(late_warnings.STEPS)))
    return environment.get_template("explosions.words.md").render(**told)


if __name__ == "__main__":
    DOCUMENT.write_text(document())
    print(DOCUMENT.relative_to(ROOT))
