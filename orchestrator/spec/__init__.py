"""From a YAML file to a validated SweepSpec; all validation of what users write lives here."""

from orchestrator.spec.load import load, nearest
from orchestrator.spec.source import text_of
from orchestrator.spec.sweep_spec import OnFinish, Reference, ReferenceRow, SweepSpec

__all__ = ["OnFinish", "Reference", "ReferenceRow", "SweepSpec", "load", "nearest", "text_of"]
