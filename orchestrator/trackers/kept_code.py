"""What tells with which code a trial ran: a digest on each run, and on the parent run the text that goes with it."""

import hashlib

from mlflow import MlflowClient

from orchestrator.spec import SweepSpec
from orchestrator.system.provenance import packages
from orchestrator.trials.record import DIGEST

FOLDER = "code"  # of the parent's artifacts
DIFF, PACKAGES = "code.diff", "code.packages"  # the tags: which artifact of the parent it is


def keep(client: MlflowClient, parent_id: str, spec: SweepSpec) -> dict[str, str]:
    """Keep the code of a launch on the parent run, each text once, unless the file wants none kept.

    Returns:
        The tags that its trials get.
    """
    tags = {DIGEST: spec.function.digest} if spec.function.digest else {}
    if not spec.record_code:
        return tags
    diff = spec.function.code.diff(spec.source.path.parent)
    texts = {DIFF: (diff, "diff"), PACKAGES: ("\n".join(packages()) + "\n", "txt")}
    for tag, (text, ending) in texts.items():
        if text.strip():
            tags[tag] = f"{FOLDER}/{hashlib.sha256(text.encode()).hexdigest()[:12]}.{ending}"
            client.log_text(parent_id, text, tags[tag])
    return tags
