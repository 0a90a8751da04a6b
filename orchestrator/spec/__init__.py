"""From a YAML file to a validated SweepSpec; all validation of what users write lives here."""

from orchestrator.spec.load import load
from orchestrator.spec.mistakes import nearest
from orchestrator.spec.objective import Objective, Values
from orchestrator.spec.source import text_of
from orchestrator.spec.sweep_spec import OnFinish, Reference, ReferenceRow, SweepSpec

__all__ = ["Objective", "OnFinish", "Reference", "ReferenceRow", "SweepSpec", "Values", "load", "nearest", "text_of"]
