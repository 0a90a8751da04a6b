"""What the command `sweep` does: a module for each call, and what they share."""
