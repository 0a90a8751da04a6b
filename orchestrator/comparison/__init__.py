"""Trials and configurations, compared."""
