"""What the witness declares: that its trials go on from their checkpoints. Copied beside it; imports no torch."""

from orchestrator.functions.declaration import Declaration

DECLARATION = Declaration(
    stack_by=("var", "lr", "seed"),
    checkpoints=("checkpoint.*",),
    extendable=True,
    prepare="models.train:prepare",
    stacked="witness:train_stacked",
)
