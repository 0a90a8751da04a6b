"""Slots on other machines: an agent on each, what goes between it and the orchestrator, and how files travel.

It knows of no engine that finds the machines; `engine.py` says what one owes.
"""
