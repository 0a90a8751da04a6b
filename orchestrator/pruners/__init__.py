"""Which trials end early: pruners follow the reports of all trials, and judge trial by trial."""

from orchestrator.events import Event, Listener
from orchestrator.spec import SweepSpec
from orchestrator.spec.pruner_forms import Wilcoxon
from orchestrator.trial import Trial


class Pruner(Listener):
    """Ends trials that fall behind. This class lets every trial continue.

    It knows only the events that it takes, in the order in which the trials began: of trials that ended before a
    launch from the store, of unfinished trials from their journals. An epoch may come repeatedly.
    """

    judges_epochs = False  # whether trials are to wait after each epoch for its verdict

    def recall(self, trial: Trial, event: Event) -> None:
        """Take in an event as if it were reported now."""
        self.take(trial, event)

    def take(self, trial: Trial, event: Event) -> None:
        """Take in what a trial reports."""

    def judge(self, trial: Trial) -> str | None:
        """Why the trial is to end after its last reported epoch, or before it begins; None where it is to continue.

        Each epoch is judged once, before the next is reported.
        """
        return None


def of(spec: SweepSpec) -> Pruner:
    """The pruner that a sweep asks for."""
    if spec.early_terminate is None:
        return Pruner()
    if isinstance(spec.early_terminate, Wilcoxon):
        from orchestrator.pruners.seeds import SeedPruner  # optuna takes a while to import

        return SeedPruner(spec, spec.early_terminate)
    from orchestrator.pruners.study import StudyPruner

    return StudyPruner(spec, spec.early_terminate)
