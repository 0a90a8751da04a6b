"""The files that a sweep was written to."""

from typing import Literal

from orchestrator.documents.base import Document


class ExportDocument(Document):
    """What a sweep was written to."""

    kind: Literal["export"] = "export"
    trials: str
    """The CSV file with a row for each trial."""
    curves: str
    """The CSV file with a row for each epoch of each trial."""
    optuna: str | None
    """The storage of Optuna's that has the study, without a password."""
