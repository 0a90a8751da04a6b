"""Every benchmark, one after the other: tables on the screen, JSON under build/, and docs/performance.md renewed.

python benchmarks/all.py             # renews docs/performance.md; the better part of an hour, on a quiet machine
python benchmarks/all.py --quick     # a look, in about four minutes; leaves the document alone
python benchmarks/all.py --from build/bench.json    # writes the document from what was measured before
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import measuring
from measuring import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
COMMAND = "make bench"
TOPICS = ("training", "beside", "overhead", "programs", "scale", "reading", "faults", "startup", "memory")
QUICK_TOPICS = ("training", "overhead", "programs", "scale", "reading", "startup")


def measured(quick: bool) -> dict[str, Any]:
    """What all benchmarks have measured, each in a process of its own."""
    results = measuring.occasion()
    with tempfile.TemporaryDirectory() as folder:
        for topic in QUICK_TOPICS if quick else TOPICS:
            print(f"{topic} ...", file=sys.stderr, flush=True)
            path = Path(folder) / f"{topic}.json"
            command = [sys.executable, str(ROOT / "benchmarks" / f"{topic}.py"), "--json", str(path)]
            subprocess.run([*command, *(["--quick"] if quick else [])], check=True, stdout=subprocess.DEVNULL)
            results[topic] = json.loads(path.read_text())
    return results


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
    page = measuring.page(results, TOPICS)
    print(page)
    if not arguments.quick:
        measuring.renew(DOCUMENT, COMMAND, page)


if __name__ == "__main__":
    main()
