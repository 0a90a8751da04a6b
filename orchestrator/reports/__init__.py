"""The report of sweeps: one HTML page that needs nothing else, Markdown, and CSV. The only importers of altair."""
