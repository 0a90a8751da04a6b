"""A program as a trial: how it is started, what it logs, and how that becomes epochs."""
