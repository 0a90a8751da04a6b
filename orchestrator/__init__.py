"""Sweeps over training functions: trials in worker processes, recorded in MLflow, explosions marked as such."""
