"""From a YAML file to a validated SweepSpec; all validation of what users write lives here."""

from orchestrator.spec.load import SweepSpec, load

__all__ = ["SweepSpec", "load"]
