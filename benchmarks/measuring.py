"""What every benchmark shares: taking turns, medians and spreads, the machine, tables, the command line."""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Name = TypeVar("Name", bound=Hashable)

ROOT = Path(__file__).parent.parent
VERSIONS = ("torch", "mlflow", "optuna", "pydantic", "typer")
GIGABYTE = 1e9
MEGABYTE = 1e6


@dataclass(frozen=True)
class Spread:
    """The median of some samples, and how far they lie apart."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.low)} - {number(self.high)})"


@dataclass(frozen=True)
class Table:
    """A table with a title, and what one must know to read it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        """As Markdown that can also be read as it stands."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
            for cells in (self.columns, ["-" * width for width in widths], *self.rows)
        ]
        return "\n\n".join(filter(None, [f"### {self.title}", "\n".join(lines), self.note]))


@dataclass(frozen=True)
class Goal:
    """What was aimed at, and what was found. Nothing fails for missing it."""

    what: str
    goal: str
    found: str


@dataclass(frozen=True)
class Topic:
    """What one benchmark has measured: figures for programs, tables for people."""

    figures: Mapping[str, Any]
    tables: Sequence[Table]
    goals: Sequence[Goal] = ()


def in_turn(contenders: Mapping[Name, Callable[[], T]], rounds: int, warm_up: bool = False) -> dict[Name, list[T]]:
    """Let contenders take turns (A B C A B C ...), so that a busy moment of the machine does not favour one."""
    measured: dict[Name, list[T]] = {name: [] for name in contenders}
    for turn in range(-warm_up, rounds):
        say(f"round {turn + 1} of {rounds}" if turn >= 0 else "warming up")
        for name, contender in contenders.items():
            result = contender()
            if turn >= 0:
                measured[name].append(result)
    return measured


def spread(samples: Sequence[float]) -> Spread:
    """Median, least and greatest of samples."""
    return Spread(statistics.median(samples), min(samples), max(samples))


def number(value: float) -> str:
    """A number with three digits, or whole where it has more."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def say(what: str) -> None:
    """Tell whoever waits what is being done."""
    print(f"  {what}", file=sys.stderr, flush=True)


def machine() -> dict[str, str]:
    """What was measured on, and which code."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    return {
        "CPU": f"{_cpu()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / GIGABYTE:.0f} GB",
        "GPU": _said_by("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").replace("\n", ", ") or "none",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": versions,
        "commit": _commit(),
        "load before": f"{os.getloadavg()[0]:.2f} (average of a minute)",
    }


def _cpu() -> str:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def _commit() -> str:
    commit = _said_by("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") or "unknown"
    changed = _said_by("git", "-C", str(ROOT), "status", "--porcelain", "--", "models", "orchestrator")
    return f"{commit}, with changes that are not committed" if changed else commit


def _said_by(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def occasion() -> dict[str, Any]:
    """When and on which machine it is measured."""
    return {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "machine": machine()}


def page(found: Mapping[str, Any], topics: Sequence[str]) -> str:
    """The tables of some topics, as they stand in JSON; the goals and the machine before them."""
    kept = [found[topic] for topic in topics if topic in found]
    facts = Table("The machine", ["", ""], [["measured", found["at"]], *map(list, found["machine"].items())])
    goals = [[goal["what"], goal["goal"], goal["found"]] for topic in kept for goal in topic["goals"]]
    tables = [Table(**table) for topic in kept for table in topic["tables"]]
    parts = [facts, Table("Goals", ["what", "goal", "found"], goals), *tables]
    return "\n\n".join(part.markdown() for part in parts)


def renew(document: Path, command: str, tables: str) -> None:
    """Put the tables into the document, between the marks of the command that writes them."""
    begin, end = f"<!-- measured: written by `{command}` -->", "<!-- end of what is measured -->"
    text = document.read_text()
    between = re.compile(f"(?<={re.escape(begin)}\n).*?(?={re.escape(end)})", re.DOTALL)
    if not between.search(text):
        raise SystemExit(f"{document} lacks its marks:\n{begin}\n{end}")
    document.write_text(between.sub(lambda _: f"\n{tables}\n\n", text))


def main(measure: Callable[[bool], Topic], document: Path | None = None, command: str = "") -> None:
    """Run one benchmark as a command: print its tables; write all that it measured as JSON where that is wanted.

    One that has a document to itself renews it, unless it was only to have a look; `command` is what its marks name.
    """
    text = sys.modules["__main__"].__doc__
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything: a look, not a measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures, tables and goals there")
    arguments = parser.parse_args()
    before = occasion()
    topic = measure(arguments.quick)
    print("\n\n".join(table.markdown() for table in topic.tables), end="\n\n", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(topic), indent=2) + "\n")
    if document and not arguments.quick:
        renew(document, command, page({**before, "measured": asdict(topic)}, ["measured"]))
