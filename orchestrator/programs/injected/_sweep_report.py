"""Stands in for `orchestrator` in an environment without it: `from orchestrator import report`."""

from _sweep_client import report

__all__ = ["report"]
