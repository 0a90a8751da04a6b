"""The post-mortem that an explosion leaves: its last steps, a picture of them, and a paragraph on what went first."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from models import figures
from models.window import SHARE, TIMES, Gone, Window

NAMES = {
    "mean": "the mean of the posterior",
    "log_variance": "the log variance of the posterior",
    "recon": "the reconstruction term",
    "kl": "the KL divergence",
    "loss": "the loss",
    "grad_norm": "the gradient norm",
}
RULE = (
    f"A quantity diverges where it is not finite, or its magnitude is more than {TIMES:g} times its usual value. The "
    "usual value is the median of its earlier steps in this window. It is at least 1 for the mean and the log "
    f"variance, and at least {SHARE:.0%} of the usual total for a term of the loss or the gradient of a layer."
)


def leave(window: Window, reason: str, step: int, folder: Path) -> None:
    """Write the post-mortem into a folder: explosion.json, explosion.md and explosion.png.

    Args:
        window: ending where the explosion was seen.
        reason: of the explosion, in words.
        step: from which on it is one.
        folder: made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gone = window.gone()
    fields = {"reason": reason, "step": step, "gone": [quantity.as_json() for quantity in gone], **window.as_json()}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
    (folder / "explosion.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    (folder / "explosion.md").write_text(paragraph(window, gone, reason))
    figures.explosion(window, gone, step, folder / "explosion.png")


def paragraph(window: Window, gone: Sequence[Gone], reason: str) -> str:
    """What happened, in Markdown."""
    first, last, config = window.steps[0], window.steps[-1], window.config
    loss = window.measures["loss"]
    seen = f"{reason[0].upper()}{reason[1:]}." if reason else ""
    setting = f"The learning rate was {config.lr:g}, var {config.var:g}, seed {config.seed}."
    loss_range = f"{_number(loss[0])} to {_number(loss[-1])}"
    span = f"From step {first} to step {last}, the loss went from {loss_range}."
    if not gone:
        story = f"At step {last}, no quantity exceeds {TIMES:g} times its usual value: every rise was gradual."
    else:
        epoch = window.epochs[gone[0].step - first]
        story = f"**What diverged first: {said(gone[0].quantity)}, at step {gone[0].step} (epoch {epoch}).** {_how(gone[0])}"
        story += "".join(f" {sentence}" for sentence in _afterwards(gone))
    return f"{story}\n\n{seen} {setting} {span}\n\n{RULE}\n"


def said(quantity: str) -> str:
    """A quantity, for people."""
    return NAMES.get(quantity, f"the {quantity}")


def _afterwards(gone: Sequence[Gone]) -> Iterable[str]:
    first = gone[0].step
    for step in dict.fromkeys(one.step for one in gone):
        named = [one for one in gone[1:] if one.step == step and one.quantity in NAMES]
        layers = [one for one in gone[1:] if one.step == step and one.quantity not in NAMES]
        told = [f"{said(one.quantity)} ({_number(one.value)})" for one in named]
        if len(layers) == 1:
            told.append(f"{said(layers[0].quantity)} ({_number(layers[0].value)})")
        elif layers:
            told.append(f"the gradients of {len(layers)} layers (the largest: {layers[0].quantity})")
        if told:
            when = "In the same step" if step == first else f"At step {step}"
            yield f"{when}: {', '.join(told)}."


def _how(one: Gone) -> str:
    if one.usual is None:
        return f"Its value was {_number(one.value)}; there is no earlier step to compare it with."
    times = f" ({one.times:,.0f} times as much)" if math.isfinite(one.times) else ""
    return f"Its value was {_number(one.value)}, against a usual value of {_number(one.usual)}{times}."


def _number(value: float) -> str:
    return f"{value:.4g}"
