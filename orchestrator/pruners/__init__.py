"""Which trials end early: told what all trials tell, judged trial by trial."""

from typing import Protocol

from orchestrator.events import Event
from orchestrator.spec import SweepSpec
from orchestrator.spec.form import Wilcoxon
from orchestrator.trial import Trial


class Pruner(Protocol):
    """Ends trials that fall behind.

    All that it knows is what it was told, in the order of the trials' beginnings: of trials that have ended before a
    launch what the store has of them, of those in flight what their journals have, each epoch as often as one likes.
    """

    judges_epochs: bool  # whether trials are to wait after each epoch for its verdict

    def tell(self, trial: Trial, event: Event) -> None:
        """Take in what a trial tells.

        Raises:
            InputError: it has completed without a value of the metric that is looked at.
        """

    def judge(self, trial: Trial) -> str | None:
        """Why the trial is to end after what it has told last, or before it begins; None where it is to go on.

        An epoch is judged once: those before the last were, before they were followed by another.
        """


class NopPruner:
    """Lets every trial go on."""

    judges_epochs = False

    def tell(self, trial: Trial, event: Event) -> None: ...

    def judge(self, trial: Trial) -> str | None:
        return None


def of(spec: SweepSpec) -> Pruner:
    """The pruner that a sweep asks for."""
    if spec.early_terminate is None:
        return NopPruner()
    if isinstance(spec.early_terminate, Wilcoxon):
        from orchestrator.pruners.seeds import SeedPruner  # optuna takes a while to import

        return SeedPruner(spec, spec.early_terminate)
    from orchestrator.pruners.study import StudyPruner

    return StudyPruner(spec, spec.early_terminate)
