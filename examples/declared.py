"""What the trial functions of this folder declare: as the VAE's does, but they train one trial at a time."""

from dataclasses import replace

from models.declaration import DECLARATION

VARIANT = replace(DECLARATION, version=1, stack_by=(), stacked="", export="")
