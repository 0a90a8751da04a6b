"""Whether a worker's memory stays flat: what it holds after each of many small trainings of the VAE. Linux only.

python benchmarks/memory.py [--quick] [--json FILE]
"""

import shutil
import tempfile
from pathlib import Path

import commands
import measuring
from commands import BENCHMARKS, SWEEP
from measuring import MEGABYTE, Table, Topic, number

TRIALS, QUICK_TRIALS = (10, 25, 50, 100), (2, 8)
SWEEP_FILE = """
trial: observed:train
parameters: {{dataset: digits, batch_size: 256, epochs: 1, num_layers: 2}}
seeds: [{seeds}]
"""


def held(trials: int) -> list[int]:
    """Resident bytes of the one worker of a sweep after each of its trials."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(BENCHMARKS / "observed.py", folder)
        (folder / "memory.yaml").write_text(SWEEP_FILE.format(seeds=", ".join(map(str, range(trials)))))
        commands.run([SWEEP, "launch", "memory.yaml", "--workers", "1", "--quiet"], folder)
        notes = [tuple(map(int, line.split())) for line in (folder / "notes.txt").read_text().splitlines()]
    if len(notes) != trials or len({pid for pid, _ in notes}) > 1:
        raise SystemExit(f"{len(notes)} trials in {len({pid for pid, _ in notes})} workers, not {trials} in one")
    return [resident for _, resident in notes]


def measure(quick: bool) -> Topic:
    counts = QUICK_TRIALS if quick else TRIALS
    measuring.say(f"{counts[-1]} small trainings in one worker")
    resident = held(counts[-1])
    first, last = resident[counts[0] - 1], resident[-1]
    rows = [[str(count), number(resident[count - 1] / MEGABYTE)] for count in counts]
    note = (
        f"VAEs trained for an epoch on the digits, one after the other in one worker; {counts[-1] - counts[0]} trials "
        f"more have changed what it holds by {(last - first) / MEGABYTE:+.1f} MB."
    )
    return Topic({"resident": resident}, [Table("Memory of a worker", ["after trials", "resident, MB"], rows, note)])


if __name__ == "__main__":
    measuring.main(measure)
