"""Pictures of what sweeps find."""
