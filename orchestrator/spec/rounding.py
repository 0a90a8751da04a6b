"""What `q` of a distribution does: numbers are rounded to its multiples."""

from orchestrator.functions import Parameter

PLACES = 12  # that a number keeps, so that three times 0.1 is 0.3


def shortest(value: float) -> float:
    """A number in its shortest decimal form; whole numbers stay as they are."""
    return value if isinstance(value, int) else float(f"{value:.{PLACES}g}")


def multiple(value: float, q: float) -> float:
    """The multiple of q that is nearest; a whole number where q is one."""
    return shortest(round(value / q) * q)


def step_of(distribution: str, q: float | None, parameter: Parameter) -> float | None:
    """What draws are rounded to, as in W&B; None where they are not rounded.

    Raises:
        ValueError: q does not go with the distribution, or with the parameter.
    """
    if not distribution.startswith("q_"):
        if q is not None:
            raise ValueError(f"q goes with distributions that begin with q_, not with {distribution}")
        return None
    if not parameter.is_integer:
        return 1.0 if q is None else q
    if q is not None and not float(q).is_integer():
        raise ValueError("q must be a whole number here")
    return int(q or 1)
