"""The post-mortem of an explosion: the last steps, a picture of them, and a paragraph on what diverged first."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from models import figures
from models.window import SHARE, TIMES, DivergedQuantity, Window

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


def save(window: Window, reason: str, step: int, folder: Path) -> None:
    """Write the post-mortem into a folder: explosion.json, explosion.md and explosion.png.

    Args:
        window: ending where the explosion was seen.
        reason: of the explosion, in words.
        step: at which the explosion begins.
        folder: made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    diverged = window.diverged()
    fields = {"reason": reason, "step": step, "gone": [quantity.as_json() for quantity in diverged], **window.as_json()}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
    (folder / "explosion.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    (folder / "explosion.md").write_text(paragraph(window, diverged, reason))
    figures.explosion(window, diverged, step, folder / "explosion.png")


def paragraph(window: Window, diverged: Sequence[DivergedQuantity], reason: str) -> str:
    """What happened, in Markdown."""
    first, last, config = window.steps[0], window.steps[-1], window.config
    loss = window.measures["loss"]
    cause = f"{reason[0].upper()}{reason[1:]}." if reason else ""
    setting = f"The learning rate was {config.lr:g}, var {config.var:g}, seed {config.seed}."
    loss_range = f"{_number(loss[0])} to {_number(loss[-1])}"
    span = f"From step {first} to step {last}, the loss went from {loss_range}."
    if not diverged:
        story = f"At step {last}, no quantity exceeds {TIMES:g} times its usual value: every rise was gradual."
    else:
        name, step = full_name(diverged[0].quantity), diverged[0].step
        at = f"at step {step} (epoch {window.epochs[step - first]})"
        story = f"**What diverged first: {name}, {at}.** {_how(diverged[0])}"
        story += "".join(f" {sentence}" for sentence in _afterwards(diverged))
    return f"{story}\n\n{cause} {setting} {span}\n\n{RULE}\n"


def full_name(quantity: str) -> str:
    """The name of a quantity in a sentence."""
    return NAMES.get(quantity, f"the {quantity}")


def _afterwards(diverged: Sequence[DivergedQuantity]) -> Iterable[str]:
    first = diverged[0].step
    for step in dict.fromkeys(quantity.step for quantity in diverged):
        later = [quantity for quantity in diverged[1:] if quantity.step == step]
        named = [quantity for quantity in later if quantity.quantity in NAMES]
        layers = [quantity for quantity in later if quantity.quantity not in NAMES]
        listed = [f"{full_name(quantity.quantity)} ({_number(quantity.value)})" for quantity in named]
        if len(layers) == 1:
            listed.append(f"{full_name(layers[0].quantity)} ({_number(layers[0].value)})")
        elif layers:
            listed.append(f"the gradients of {len(layers)} layers (the largest: {layers[0].quantity})")
        if listed:
            when = "In the same step" if step == first else f"At step {step}"
            yield f"{when}: {', '.join(listed)}."


def _how(quantity: DivergedQuantity) -> str:
    if quantity.usual is None:
        return f"Its value was {_number(quantity.value)}; there is no earlier step to compare it with."
    times = f" ({quantity.times:,.0f} times as much)" if math.isfinite(quantity.times) else ""
    return f"Its value was {_number(quantity.value)}, against a usual value of {_number(quantity.usual)}{times}."


def _number(value: float) -> str:
    return f"{value:.4g}"
