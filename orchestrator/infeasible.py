"""What a trial function raises where its configuration cannot be trained."""


class Infeasible(Exception):  # noqa: N818 - a result of the trial, and no error
    """Ends a trial as `infeasible`: its configuration cannot be, which is a result and no failure.

    Args:
        reason: in a line, for people.
        margin: how far it is beyond what can be, in powers of ten, above 0: log10(asked / had), where that is known.

    Raises:
        ValueError: the margin is not above 0.
    """

    def __init__(self, reason: str, *, margin: float | None = None) -> None:
        super().__init__(reason)
        if margin is not None and not margin > 0:
            raise ValueError(f"the margin of Infeasible is how far beyond a limit it is, above 0, and not {margin!r}")
        self.margin = margin
