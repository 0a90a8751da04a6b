"""What the checkpoints that a sweep keeps take on disk."""

from collections.abc import Sequence

from orchestrator.spec import SweepSpec
from orchestrator.system.figures import bytes_in_words
from orchestrator.trials.longer import CHECKPOINT
from orchestrator.trials.record import Record, is_present


def in_words(spec: SweepSpec, records: Sequence[Record], trials: int | None) -> str:
    """Which ones are kept, and what they take, in a line; empty where none are.

    Args:
        spec: the file.
        records: of the sweep.
        trials: how many it asks for in all, where that is known.
    """
    most, sizes = spec.keep_checkpoints, _sizes(records)
    others = len(sizes) - len(_sizes([record for record in records if is_present(spec.function, record)]))
    if most == 0 and not sizes:
        return ""
    whose = "all trials that complete" if most is None else f"the best {most} trials" if most else "no further trials"
    kept = f"checkpoints are kept of {whose}"
    if not sizes:
        return f"{kept}; what one takes on disk is not known until one is kept"
    there = f"{kept}; {len(sizes)} by now, of {bytes_in_words(sum(sizes))}"
    total = trials if most is None else min(most, trials or most)
    if not total or total + others <= len(sizes):
        return there
    total += others  # of another function or version, which stay
    return f"{there}, so that {total} take about {bytes_in_words(round(total * sum(sizes) / len(sizes)))}"


def _sizes(records: Sequence[Record]) -> list[int]:
    """Bytes of each that is kept."""
    tags = (record.tags.get(CHECKPOINT, "") for record in records)
    return [int(size) for size in tags if size.isdecimal()]
