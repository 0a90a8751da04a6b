"""Every benchmark, one after the other: tables on the screen, JSON under build/, and docs/performance.md renewed.

python benchmarks/all.py             # renews docs/performance.md; the better part of an hour, on a quiet machine
python benchmarks/all.py --quick     # a look, in about two minutes; leaves the document alone
python benchmarks/all.py --from build/bench.json    # writes the document from what was measured before
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import measuring
from measuring import ROOT, Table

DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: written by `make bench` -->", "<!-- end of what is measured -->"
TOPICS = ("training", "overhead", "scale", "startup", "memory")
QUICK_TOPICS = ("training", "overhead", "scale", "startup")


def measured(quick: bool) -> dict[str, Any]:
    """What all benchmarks have measured, each in a process of its own."""
    results: dict[str, Any] = {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "machine": measuring.machine()}
    with tempfile.TemporaryDirectory() as folder:
        for topic in QUICK_TOPICS if quick else TOPICS:
            print(f"{topic} ...", file=sys.stderr, flush=True)
            path = Path(folder) / f"{topic}.json"
            command = [sys.executable, str(ROOT / "benchmarks" / f"{topic}.py"), "--json", str(path)]
            subprocess.run([*command, *(["--quick"] if quick else [])], check=True, stdout=subprocess.DEVNULL)
            results[topic] = json.loads(path.read_text())
    return results


def markdown(results: dict[str, Any]) -> str:
    """The tables of all benchmarks, the goals and the machine before them."""
    topics = [results[topic] for topic in TOPICS if topic in results]
    facts = Table("The machine", ["", ""], [["measured", results["at"]], *map(list, results["machine"].items())])
    goals = [[goal["what"], goal["goal"], goal["found"]] for topic in topics for goal in topic["goals"]]
    tables = [Table(**table) for topic in topics for table in topic["tables"]]
    parts = [facts, Table("Goals", ["what", "goal", "found"], goals), *tables]
    return "\n\n".join(part.markdown() for part in parts)


def renew(document: Path, tables: str) -> None:
    """Put the tables into the document, between its marks."""
    text = document.read_text()
    between = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
    if not between.search(text):
        raise SystemExit(f"{document} lacks its marks:\n{BEGIN}\n{END}")
    document.write_text(between.sub(lambda _: f"\n{tables}\n\n", text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement")
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE", help="results that were measured before")
    arguments = parser.parse_args()
    if arguments.source:
        results = json.loads(arguments.source.read_text())
    else:
        results = measured(arguments.quick)
        path = ROOT / "build" / ("bench-quick.json" if arguments.quick else "bench.json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n")
        print(f"results: {path.relative_to(ROOT)}", file=sys.stderr)
    print(markdown(results))
    if not arguments.quick:
        renew(DOCUMENT, markdown(results))


if __name__ == "__main__":
    main()
