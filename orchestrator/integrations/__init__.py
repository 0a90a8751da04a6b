"""Callbacks by which other frameworks report to a trial function's `report` and `watch`; each imports its framework."""
