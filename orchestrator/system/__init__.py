"""The machine, the operating system, and text as they take it."""
